//! InitProducerId with a transactional id.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::init_producer_id::InitProducerIdRequest;

use crate::asks::keep;
use crate::run::Run;
use crate::scripts::kit::topic;
use crate::scripts::txns::producer::{Producer, TIMEOUT_MS, init};

/// The longest transaction that a broker lets a client ask for.
const LONGEST_MS: i32 = 900_000;

pub(crate) fn begins(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let long = keep::<str>(format!("{}-{}", "x".repeat(32_000), run.name("long")));
    let [one, other] = ["one", "other"].map(|it| run.name(it));
    for (name, timeout) in [
        (one, TIMEOUT_MS),
        (one, TIMEOUT_MS),
        (one, 0),
        (one, -1),
        (one, i32::MIN),
        (one, LONGEST_MS),
        (one, LONGEST_MS + 1),
        (one, i32::MAX),
        (other, LONGEST_MS + 1),
        (other, 0),
        ("", TIMEOUT_MS),
        (long, TIMEOUT_MS),
        ("a b\u{e9}\u{0}", TIMEOUT_MS),
    ] {
        run.ask(
            conn,
            InitProducerIdRequest {
                transaction_timeout_ms: timeout,
                ..init(name)
            },
        );
    }
    for name in [one, other] {
        Producer::begins(run, conn, name).named(name).shown(run);
    }
}

/// A string has at most 32,767 bytes, also where its length is a varint.
pub(crate) fn too_long(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let longest = format!("{:x<32767}", run.name("long"));
    run.ask(conn, init(keep::<str>(longest)));
    let version = run.version(ApiKey::InitProducerId);
    if !ApiKey::InitProducerId.info().is_flexible(version) {
        return;
    }
    for bytes in [32_768, 40_000] {
        let conn = run.connect("producer");
        let name = [&varint(bytes + 1)[..], &vec![b'x'; bytes]].concat();
        let what_follows = [0; 32];
        run.send_raw(ApiKey::InitProducerId, version, conn, |_| {
            [&name[..], &what_follows].concat()
        });
        run.closes(conn);
    }
}

/// In three bytes.
fn varint(number: usize) -> [u8; 3] {
    [number | 0x80, number >> 7 | 0x80, number >> 14].map(|byte| byte as u8)
}

pub(crate) fn begins_again(run: &mut Run<'_>) {
    if run.version(ApiKey::InitProducerId) < 3 {
        return;
    }
    let conn = run.connect("producer");
    let mut producer = Producer::begins(run, conn, "again");
    let again = |run: &mut Run<'_>, who: &Producer| {
        let given = run.ask_each(conn, |side| InitProducerIdRequest {
            producer_id: who.id[side],
            producer_epoch: who.epoch,
            ..init(who.name)
        });
        who.shown(run);
        Producer::given(conn, who.name, &given)
    };
    let first = producer;
    for _ in 0..2 {
        producer = again(run, &producer);
        // It has missed the answer to that, and asks as before.
        again(run, &producer.later(-1));
    }
    for epochs in [-2, 1, 7] {
        again(run, &producer.later(epochs));
    }
    again(run, &first);
    again(run, &producer.with_id(987_654_321));
    again(run, &producer.with_id(-1));
    again(
        run,
        &Producer {
            epoch: -1,
            ..producer
        },
    );
    again(
        run,
        &Producer {
            epoch: -2,
            ..producer
        },
    );
    again(run, &producer.with_id(-1).later(-producer.epoch - 1));
    let unborn = producer.named(run.name("unborn"));
    again(run, &unborn);
    again(run, &unborn.later(3));
}

/// A second instance with the same transactional id.
pub(crate) fn shuts_out(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 2, &[]);
    for second in [false, true] {
        let mut first = Producer::begins(run, conn, if second { "second" } else { "first" });
        if second && run.range(ApiKey::EndTxn).1 > 4 {
            let newest = run.range(ApiKey::Produce).1;
            run.ask_each_at(newest, conn, |side| first.records(side, &topic, 1, 0));
        } else {
            first.adds(run, &topic, &[0]);
            first.writes(run, &topic, 0, 0);
        }
        run.ask(conn, init(first.name));
        first.rests(run);
        first.shown(run);
        let given = run.ask(conn, init(first.name));
        let next = Producer::given(conn, first.name, &given);
        next.shown(run);
        first.adds(run, &topic, &[0, 1]);
        first.writes(run, &topic, 0, 2);
        first.ends(run, true);
        first.adds_group(run, "group");
        next.adds(run, &topic, &[0]);
        next.writes(run, &topic, 0, 0);
        next.shown(run);
    }
}
