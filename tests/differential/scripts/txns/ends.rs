//! EndTxn and WriteTxnMarkers.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use chronikd::proto::schema::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use crate::asks::keep;
use crate::both::Side;
use crate::run::{Conn, Run};
use crate::scripts::kit::{Topic, named_topic, topic};
use crate::scripts::txns::producer::{OLD_END, Producer, init, is_second};
use crate::scripts::txns::seen;

/// How a transaction comes to the state in which its end is asked for; true commits. In the last one the end of an
/// earlier one is asked for while another is open.
const WAYS: [&[Option<bool>]; 5] = [
    &[],
    &[None],
    &[None, Some(true)],
    &[None, Some(false)],
    &[None, Some(true), None],
];

/// Every state, with both ends, of the epoch before, of its own and of the next.
pub(crate) fn every(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[]);
    for way in WAYS {
        for committed in [true, false] {
            for epochs in [0, -1, 1] {
                one(run, conn, &topic, way, committed, epochs);
            }
        }
    }
}

fn one(
    run: &mut Run<'_>,
    conn: Conn,
    topic: &Topic,
    way: &[Option<bool>],
    committed: bool,
    epochs: i16,
) {
    let name = format!("{}{committed}{epochs}", way.len());
    let mut producer = Producer::begins(run, conn, &name);
    // One epoch on, so that there is one before.
    let given = run.ask_at(4, conn, init(producer.name));
    producer = Producer::given(conn, producer.name, &given);
    for (step, written) in way.iter().zip(0..) {
        match step {
            // Two records and an end are two steps; a new epoch begins anew.
            None => producer.opens(run, topic, 0, if is_second(run) { 0 } else { written }),
            Some(committed) => {
                producer.ends(run, *committed);
            }
        }
    }
    let mut asks = producer.later(epochs);
    asks.ends(run, committed);
    producer.shown(run);
    asks.ends(run, committed);
    producer.shown(run);
    producer.ends(run, !committed);
    producer.shown(run);
}

pub(crate) fn strangers(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[]);
    let producer = Producer::begins(run, conn, "producer");
    producer.opens(run, &topic, 0, 0);
    let other = Producer::begins(run, conn, "other");
    let long = keep::<str>("x".repeat(32_000));
    for mut stranger in [
        other.named(producer.name),
        producer.named(other.name),
        Producer {
            epoch: -1,
            ..producer
        },
        Producer {
            epoch: i16::MIN,
            ..producer
        },
        producer.named("stranger"),
        producer.named(long),
        producer.with_id(987_654_321),
        producer.with_id(-1),
        producer.later(1),
        producer.later(7),
        producer.later(-1),
        producer.later(-2),
        producer.later(i16::MAX - producer.epoch),
    ] {
        stranger.ends(run, true);
        stranger.ends(run, false);
    }
    producer.shown(run);
}

/// The level is not that of the request's version: version 1 moves no epoch, unless it is shut out.
pub(crate) fn at_a_lower_level(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let second = is_second(run);
    for level in [1, 0] {
        set_level(run, conn, level);
        let name = run.name(if level == 0 {
            "topic-zero"
        } else {
            "topic-one"
        });
        let topic = named_topic(run, conn, name, 1, &[]);
        let mut producer = Producer::begins(run, conn, if level == 0 { "zero" } else { "one" });
        producer.adds(run, &topic, &[0]);
        producer.writes(run, &topic, 0, 0);
        producer.ends_at(run, OLD_END, true);
        producer.shown(run);
        // (At level 0 Kafka cannot write down what version 2 does: 35, and the id is stuck at 51 from then on.)
        if second && level == 1 {
            producer.opens(run, &topic, 0, 2);
            producer.shown(run);
            producer.ends(run, true);
            producer.shown(run);
        }
        producer.adds(run, &topic, &[0]);
        run.ask_at(4, conn, init(producer.name));
        producer.rests(run);
        producer.shown(run);
        run.ask_at(4, conn, init(producer.name));
        producer.ends_at(run, OLD_END, false);
        seen::producers(run, conn, &topic);
    }
    set_level(run, conn, 2);
}

fn set_level(run: &mut Run<'_>, conn: Conn, level: i16) {
    let make = |_| UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: "transaction.version",
            max_version_level: level,
            upgrade_type: if level == 2 { 1 } else { 2 },
            ..FeatureUpdateKey::default()
        }],
        ..UpdateFeaturesRequest::default()
    };
    run.settle(1, conn, make, |_| true);
    crate::scripts::features::settled(run, conn, level);
}

/// A marker for some partitions.
fn marker(
    side: Side,
    producer: &Producer,
    transaction_result: bool,
    coordinator_epoch: i32,
    transaction_version: i8,
    topics: &[(&'static str, &[i32])],
) -> WritableTxnMarker<'static> {
    let place = |&(name, partitions): &(&'static str, &[i32])| WritableTxnMarkerTopic {
        name,
        partition_indexes: partitions.to_vec(),
    };
    WritableTxnMarker {
        producer_id: producer.id[side],
        producer_epoch: producer.epoch,
        transaction_result,
        topics: topics.iter().map(place).collect(),
        coordinator_epoch,
        transaction_version,
    }
}

pub(crate) fn markers(run: &mut Run<'_>) {
    let conn = run.connect("broker");
    let topic = topic(run, conn, 2, &[]);
    let producer = Producer::begins(run, conn, "producer");
    producer.adds(run, &topic, &[0]);
    producer.writes(run, &topic, 0, 0);
    let zero: &[i32] = &[0];
    let all: &[i32] = &[1, 0, 7];
    let second = i8::from(run.version(ApiKey::WriteTxnMarkers) > 1) * 2;
    let stranger = producer.with_id(987_654_321);
    let asks = [
        (producer.later(-1), false, 0, 0, zero),
        (producer, false, 0, second, zero),
        (producer, false, 0, 0, zero),
        (producer, false, 0, 0, zero),
        (producer, true, 3, 0, zero),
        (producer, true, 2, 0, zero),
        (producer.later(2), true, 3, second, zero),
        (producer.later(2), true, 3, second, zero),
        (producer.later(1), true, 3, second, zero),
        (producer.later(-1), true, 3, 0, zero),
        (stranger, true, 0, 0, all),
        (stranger, true, 0, second, all),
        (producer.later(2), true, -1, 0, zero),
    ];
    for (who, commits, epoch, version, partitions) in asks {
        let places = [(topic.name, partitions)];
        run.ask_each(conn, |side| WriteTxnMarkersRequest {
            markers: vec![marker(side, &who, commits, epoch, version, &places)],
        });
        seen::producers(run, conn, &topic);
    }
    // (Kafka never answers when a marker has no topics.)
    run.ask_each(conn, |side| WriteTxnMarkersRequest {
        markers: vec![
            marker(side, &producer, true, 9, 0, &[("absent", zero)]),
            marker(
                side,
                &stranger,
                true,
                9,
                0,
                &[("absent", zero), (topic.name, zero)],
            ),
        ],
    });
    // (Behind such markers Kafka's own end waits for ever.)
    producer.shown(run);
    seen::producers(run, conn, &topic);
    run.ask(conn, WriteTxnMarkersRequest::default());
}
