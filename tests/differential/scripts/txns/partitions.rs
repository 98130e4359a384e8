//! AddPartitionsToTxn, from clients (to version 3) and from brokers.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::add_partitions_to_txn::AddPartitionsToTxnRequest;

use crate::run::Run;
use crate::scripts::kit::{named_topic, topic};
use crate::scripts::txns::producer::{OLD_ADD, OLD_END, Producer};

/// Topics with some of their partitions.
type Places<'p> = &'p [(&'static str, &'p [i32])];

pub(crate) fn of_clients(run: &mut Run<'_>) {
    if run.version(ApiKey::AddPartitionsToTxn) > OLD_ADD {
        return;
    }
    let conn = run.connect("producer");
    let one = topic(run, conn, 3, &[]);
    let other = run.name("other");
    let other = named_topic(run, conn, other, 1, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    let asks = |run: &mut Run<'_>, who: &Producer, places: Places<'_>| {
        run.ask_each(conn, |side| who.add(side, places));
        who.shown(run);
    };
    for stranger in producer.strangers() {
        asks(run, &stranger, &[(one.name, &[0])]);
    }
    let places: [Places<'_>; 10] = [
        &[],
        &[(one.name, &[])],
        &[(one.name, &[7])],
        &[(one.name, &[0, 7]), (other.name, &[0])],
        &[("absent", &[0])],
        &[("absent", &[0]), (one.name, &[1])],
        &[("__consumer_offsets", &[0])],
        &[(one.name, &[0])],
        &[(one.name, &[0, 1, 1]), (other.name, &[0])],
        &[(one.name, &[2]), (one.name, &[1])],
    ];
    for places in places {
        asks(run, &producer, places);
    }
    for committed in [true, false] {
        producer.ends_at(run, OLD_END, committed);
        asks(run, &producer, &[(one.name, &[1])]);
        asks(run, &producer.later(-1), &[(one.name, &[1])]);
    }
}

pub(crate) fn of_brokers(run: &mut Run<'_>) {
    if run.version(ApiKey::AddPartitionsToTxn) <= OLD_ADD {
        return;
    }
    let conn = run.connect("broker");
    let topic = topic(run, conn, 3, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    let second = Producer::begins(run, conn, "second");
    let asks = |run: &mut Run<'_>, claims: &[(Producer, bool, Places<'_>)]| {
        run.ask_each(conn, |side| AddPartitionsToTxnRequest {
            transactions: claims
                .iter()
                .map(|(who, verify_only, places)| who.claim(side, *verify_only, places))
                .collect(),
            ..AddPartitionsToTxnRequest::default()
        });
        producer.shown(run);
    };
    let zero: Places<'_> = &[(topic.name, &[0])];
    // (Kafka never answers a request without transactions.)
    for verify_only in [true, false] {
        for stranger in producer.strangers() {
            asks(run, &[(stranger, verify_only, zero)]);
        }
    }
    for verify_only in [true, false, true] {
        asks(run, &[(producer, verify_only, &[])]);
        asks(
            run,
            &[(
                producer,
                verify_only,
                &[("absent", &[0]), (topic.name, &[1])],
            )],
        );
        asks(run, &[(producer, verify_only, &[(topic.name, &[1, 7])])]);
        asks(run, &[(producer, verify_only, &[(topic.name, &[0])])]);
        asks(run, &[(producer, verify_only, &[(topic.name, &[0, 1, 2])])]);
        asks(
            run,
            &[(producer, verify_only, zero), (second, verify_only, zero)],
        );
    }
    asks(
        run,
        &[
            (producer, true, zero),
            (second, false, &[(topic.name, &[2])]),
        ],
    );
    for committed in [true, false] {
        let mut ended = producer;
        ended.ends_at(run, OLD_END, committed);
        asks(run, &[(producer, true, zero)]);
        asks(run, &[(producer, false, zero)]);
    }
    producer.ends_at(run, OLD_END, true);
}
