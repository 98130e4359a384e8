//! Produce and Fetch.

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::codec::Codec;
use chronikd::proto::schema::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};
use chronikd::proto::schema::init_producer_id::InitProducerIdRequest;
use chronikd::proto::{ApiKey, Records, Uuid};

use crate::both::{Both, Side};
use crate::run::{Conn, Run};
use crate::scripts::kit::{Configs, Topic, append, batch, filled, now, produce, topic};

pub(crate) fn acks(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 2, &[]);
    let records = batch(&["a", "b"]);
    for acks in [-1, 1, 2, -2, i16::MAX] {
        run.ask_each(conn, |side| produce(side, &topic, 0, acks, &records));
    }
    run.ask_each(conn, |side| produce(side, &topic, 7, -1, &records));
    let absent = Topic {
        name: "absent",
        id: Both::each(|_| Uuid([7; 16])),
    };
    run.ask_each(conn, |side| produce(side, &absent, 0, -1, &records));
    let version = run.version(ApiKey::Produce);
    if version >= 3 {
        run.send_unanswered(conn, |side| produce(side, &topic, 1, 0, &records));
        run.silent(conn, 150);
        run.send_unanswered(conn, |side| produce(side, &topic, 9, 0, &records));
        run.closes(conn);
    }
}

pub(crate) fn bad_batches(run: &mut Run<'_>) {
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[("max.message.bytes", "2000")]);
    let good = batch(&["a", "b"]);
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let from_the_past = |ms| {
        let mut builder = BatchBuilder::new(0);
        builder.push(ms, None, Some(b"old"));
        builder.build(None).expect("a batch")
    };
    let bad = [
        changed(|it| it[70] ^= 1),
        changed(|it| it.fill(0)),
        changed(|it| it.truncate(40)),
        changed(|it| it[11] += 1),
        changed(|it| it[11] -= 20),
        changed(|it| it[7] = 5),
        changed(|it| it.extend_from_slice(b"stray")),
        changed(|it| it[16] = 3),
        changed(|it| it[16] = 1),
        Vec::new(),
        [good.clone(), good.clone()].concat(),
        filled(BatchBuilder::new(0).control(), &["c"]),
        filled(BatchBuilder::new(0).leader_epoch(9), &["epoch"]),
        batch(&[&"x".repeat(3000)]),
        from_the_past(-1),
        from_the_past(now() + 7_200_000),
        from_the_past(1),
    ];
    for records in bad {
        run.ask_each(conn, |side| produce(side, &topic, 0, -1, &records));
    }
}

pub(crate) fn compacted(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[("cleanup.policy", "compact")]);
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    let mut builder = BatchBuilder::new(0);
    builder.push(now(), Some(b"key"), Some(b"value"));
    builder.push(now(), None, Some(b"value"));
    builder.push(now(), None, Some(b"value"));
    let keyless = builder.build(None).expect("a batch");
    run.ask_each(conn, |side| produce(side, &topic, 0, -1, &keyless));
    let keyed = batch(&["a"]);
    run.ask_each(conn, |side| produce(side, &topic, 0, -1, &keyed));
}

pub(crate) fn codecs(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[]);
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    for codec in Codec::ALL {
        let records = filled(BatchBuilder::new(0).codec(codec), &["one", "two"]);
        run.ask_each(conn, |side| produce(side, &topic, 0, -1, &records));
    }
    run.ask_each(conn, |side| fetch(side, &topic, &[at(0)]));
}

const STORED: [Configs; 5] = [
    &[("compression.type", "uncompressed")],
    &[("compression.type", "gzip")],
    &[("compression.type", "snappy")],
    &[("compression.type", "lz4")],
    &[("compression.type", "zstd")],
];

/// What has another codec than its topic is packed anew.
pub(crate) fn codecs_of_topics(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    for stored in STORED {
        let topic = topic(run, conn, 1, stored);
        for codec in Codec::ALL {
            let records = filled(BatchBuilder::new(0).codec(codec), &["one", "two"]);
            run.ask_each(conn, |side| produce(side, &topic, 0, -1, &records));
        }
        run.ask_each(conn, |side| fetch(side, &topic, &[at(0)]));
    }
}

pub(crate) fn append_time(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[("message.timestamp.type", "LogAppendTime")]);
    let records = batch(&["a", "b"]);
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    run.ask_each(conn, |side| produce(side, &topic, 0, -1, &records));
    run.ask_each(conn, |side| fetch(side, &topic, &[at(0)]));
}

pub(crate) fn sequences(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[]);
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    let given = run.ask(
        conn,
        InitProducerIdRequest {
            transaction_timeout_ms: 1000,
            ..InitProducerIdRequest::default()
        },
    );
    for (epoch, sequence) in [
        (0, 0),
        (0, 2),
        (0, 0),
        (0, 2),
        (0, 7),
        (0, 3),
        (1, 3),
        (1, 0),
        (0, 4),
        (1, 2),
    ] {
        run.ask_each(conn, |side| {
            let id = given[side].producer_id;
            let builder = BatchBuilder::new(0).producer(id, epoch, sequence);
            produce(side, &topic, 0, -1, &filled(builder, &["a", "b"]))
        });
    }
    run.ask_each(conn, |side| {
        let builder = BatchBuilder::new(0).producer(given[side].producer_id, 1, 4);
        produce(
            side,
            &topic,
            0,
            -1,
            &filled(builder.transactional(), &["a"]),
        )
    });
    run.ask_each(conn, |side| fetch(side, &topic, &[at(0)]));
}

pub(crate) fn many_partitions(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 3, &[]);
    if run.version(ApiKey::Produce) < 3 {
        return;
    }
    let records = crate::asks::keep::<[u8]>(batch(&["a", "b", "c"]));
    run.ask_each(conn, |side| {
        let mut request = produce(side, &topic, 2, -1, records);
        let data = &mut request.topic_data[0].partition_data;
        for index in [0, 5, 1] {
            let mut part = data[0].clone();
            part.index = index;
            if index == 1 {
                part.records = Records::Here(Some(&records[..50]));
            }
            data.push(part);
        }
        request
    });
    run.ask_each(conn, |side| {
        let mut request = produce(side, &topic, 0, -1, records);
        request.topic_data.clear();
        request
    });
}

/// A place to read from, with the defaults of a plain consumer.
pub(crate) fn at(offset: i64) -> FetchPartition {
    FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    }
}

/// Reads a topic without waiting.
pub(crate) fn fetch(
    side: Side,
    topic: &Topic,
    partitions: &[FetchPartition],
) -> FetchRequest<'static> {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: topic.name,
            topic_id: topic.id[side],
            partitions: partitions.to_vec(),
        }],
        ..FetchRequest::default()
    }
}

fn two_batches(run: &mut Run<'_>, conn: Conn) -> Topic {
    let topic = topic(run, conn, 2, &[]);
    append(run, conn, &topic, &[batch(&["a", "b", "c"]), batch(&["d"])]);
    topic
}

pub(crate) fn places(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let topic = two_batches(run, conn);
    for offset in [0, 1, 3, 4, 5, -1, i64::MAX] {
        run.ask_each(conn, |side| fetch(side, &topic, &[at(offset)]));
    }
    let of = |partition| FetchPartition { partition, ..at(0) };
    run.ask_each(conn, |side| fetch(side, &topic, &[of(1), of(0), of(9)]));
    let absent = Topic {
        name: "absent",
        id: Both::each(|_| Uuid([7; 16])),
    };
    run.ask_each(conn, |side| fetch(side, &absent, &[at(0)]));
    run.ask_each(conn, |side| {
        let mut request = fetch(side, &topic, &[at(4)]);
        (request.max_wait_ms, request.min_bytes) = (120, 1);
        request
    });
}

pub(crate) fn limits(run: &mut Run<'_>) {
    if run.version(ApiKey::Fetch) >= 4 {
        limited(run);
    }
}

pub(crate) fn limits_of_sets(run: &mut Run<'_>) {
    if run.version(ApiKey::Fetch) < 4 {
        limited(run);
    }
}

fn limited(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let topic = two_batches(run, conn);
    for (partition_max_bytes, max_bytes) in [(1 << 20, 1), (1, 1 << 20), (0, 1 << 20), (1 << 20, 0)]
    {
        run.ask_each(conn, |side| {
            let place = FetchPartition {
                partition_max_bytes,
                ..at(0)
            };
            let mut request = fetch(side, &topic, &[place]);
            request.max_bytes = max_bytes;
            request
        });
    }
}

pub(crate) fn isolation_and_epochs(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let topic = two_batches(run, conn);
    for isolation_level in [0, 1, 2, -1, i8::MAX] {
        // The partitions that are there, and one that is not.
        for places in [
            &[at(0)][..],
            &[],
            &[
                at(4),
                FetchPartition {
                    partition: 9,
                    ..at(0)
                },
            ],
        ] {
            run.ask_each(conn, |side| {
                let mut request = fetch(side, &topic, places);
                request.isolation_level = isolation_level;
                request
            });
        }
    }
    for (current_leader_epoch, last_fetched_epoch) in [(0, -1), (7, -1), (-1, 0), (0, 5), (-7, -1)]
    {
        run.ask_each(conn, |side| {
            let place = FetchPartition {
                current_leader_epoch,
                last_fetched_epoch,
                ..at(4)
            };
            fetch(side, &topic, &[place])
        });
    }
}

pub(crate) fn sessions(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let topic = two_batches(run, conn);
    if run.version(ApiKey::Fetch) < 7 {
        return;
    }
    let with = |side: Side, places: &[FetchPartition], id: i32, epoch: i32| {
        let mut request = fetch(side, &topic, places);
        (request.session_id, request.session_epoch) = (id, epoch);
        if places.is_empty() {
            request.topics.clear();
        }
        request
    };
    let other = FetchPartition {
        partition: 1,
        ..at(0)
    };
    let opened = run.ask_each(conn, |side| with(side, &[at(0), other.clone()], 0, 0));
    let id = opened.map(|answer| answer.session_id);
    run.ask_each(conn, |side| with(side, &[], id[side], 1));
    run.ask_each(conn, |side| with(side, &[at(4)], id[side], 2));
    append(run, conn, &topic, &[batch(&["e"])]);
    run.ask_each(conn, |side| with(side, &[], id[side], 3));
    run.ask_each(conn, |side| with(side, &[], id[side], 9));
    run.ask_each(conn, |side| with(side, &[], 123_456, 4));
    run.ask_each(conn, |side| {
        let mut request = with(side, &[at(3)], id[side], 4);
        request.forgotten_topics_data = vec![ForgottenTopic {
            topic: topic.name,
            topic_id: topic.id[side],
            partitions: vec![1, 8],
        }];
        request
    });
    run.ask_each(conn, |side| with(side, &[], id[side], -1));
    run.ask_each(conn, |side| with(side, &[], id[side], 5));
    run.ask_each(conn, |side| with(side, &[at(0)], 0, -1));
}

pub(crate) fn old_sets(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[]);
    let version = run.version(ApiKey::Produce);
    if version >= 3 {
        return;
    }
    for magic in [0, 1] {
        let one = entry(magic, b"one");
        let sets = [
            one.clone(),
            [one.clone(), entry(magic, b"two")].concat(),
            [&one[..], &entry(magic, b"cut")[..20]].concat(),
            {
                let mut bad = one.clone();
                bad[28] ^= 1;
                bad
            },
            one[..20].to_vec(),
        ];
        for set in sets {
            run.ask_each(conn, |side| produce(side, &topic, 0, -1, &set));
        }
    }
    let modern = batch(&["new"]);
    run.ask_each(conn, |side| produce(side, &topic, 0, -1, &modern));
    for version in [0, 2, 3, 4, 11] {
        run.ask_each_at(version, conn, |side| fetch(side, &topic, &[at(0)]));
    }
}

/// A message of format 0 or 1 with a key.
fn entry(magic: u8, value: &[u8]) -> Vec<u8> {
    let mut body = vec![magic, 0];
    if magic == 1 {
        body.extend_from_slice(&now().to_be_bytes());
    }
    body.extend_from_slice(&1i32.to_be_bytes());
    body.push(b'k');
    body.extend_from_slice(&i32::try_from(value.len()).expect("short").to_be_bytes());
    body.extend_from_slice(value);
    let crc = crc32fast::hash(&body);
    let length = i32::try_from(body.len() + 4).expect("short");
    [
        &0i64.to_be_bytes()[..],
        &length.to_be_bytes(),
        &crc.to_be_bytes(),
        &body,
    ]
    .concat()
}
