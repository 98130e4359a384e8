//! Produce in transactions.

use chronikd::proto::ApiKey;
use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::schema::produce::ProduceRequest;

use crate::run::Run;
use crate::scripts::kit::{filled, produce, topic};
use crate::scripts::txns::producer::{OLD_END, OLD_PRODUCE, Producer};
use crate::scripts::txns::seen;

/// Transactional batches came with this version.
const FIRST: i16 = 3;

pub(crate) fn batches(run: &mut Run<'_>) {
    if run.version(ApiKey::Produce) < FIRST {
        return;
    }
    let conn = run.connect("producer");
    let topic = topic(run, conn, 4, &[]);
    let producer = Producer::begins(run, conn, "producer");
    let plain = |side, sequence| {
        let builder = BatchBuilder::new(0).producer(producer.id[side], producer.epoch, sequence);
        produce(side, &topic, 0, -1, &filled(builder, &["c"]))
    };
    producer.adds(run, &topic, &[0, 1]);
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 0));
    run.ask_each(conn, |side| producer.records(side, &topic, 1, 5));
    run.ask_each(conn, |side| ProduceRequest {
        transactional_id: None,
        ..producer.records(side, &topic, 0, 2)
    });
    run.ask_each(conn, |side| plain(side, 2));
    run.ask_each(conn, |side| ProduceRequest {
        transactional_id: Some(producer.name),
        ..plain(side, 2)
    });
    run.ask_each(conn, |side| ProduceRequest {
        acks: 1,
        ..producer.records(side, &topic, 0, 2)
    });
    // The same again, and with a hole.
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 2));
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 9));
    run.ask_each(conn, |side| producer.records(side, &topic, 9, 0));
    run.ask_each(conn, |side| producer.records_in(side, &topic, [1, 3]));
    // A control batch, and one without a producer.
    for builder in [BatchBuilder::new(0).control(), BatchBuilder::new(0)] {
        let records = filled(builder.transactional(), &["d"]);
        run.ask_each(conn, |side| ProduceRequest {
            transactional_id: Some(producer.name),
            ..produce(side, &topic, 0, -1, &records)
        });
    }
    producer.shown(run);
    seen::producers(run, conn, &topic);
}

/// Without partitions that were added, of strangers, and of the past and the future.
pub(crate) fn out_of_time(run: &mut Run<'_>) {
    if run.version(ApiKey::Produce) < FIRST {
        return;
    }
    let conn = run.connect("producer");
    let topic = topic(run, conn, 2, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    let other = Producer::begins(run, conn, "other");
    let mistaken = [other.named(producer.name), producer.named(other.name)];
    for stranger in mistaken.into_iter().chain(producer.strangers()) {
        run.ask_each(conn, |side| stranger.records(side, &topic, 0, 0));
    }
    let second = run.version(ApiKey::Produce) > OLD_PRODUCE;
    if !second {
        run.ask_each(conn, |side| producer.records(side, &topic, 0, 0));
        producer.adds(run, &topic, &[0]);
        run.ask_each(conn, |side| producer.records(side, &topic, 1, 0));
    }
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 0));
    for other in [
        producer.named("stranger"),
        producer.later(-1),
        producer.later(1),
        producer.later(9),
    ] {
        run.ask_each(conn, |side| other.records(side, &topic, 0, 2));
        run.ask_each(conn, |side| other.records(side, &topic, 0, 0));
        run.ask_each(conn, |side| other.records(side, &topic, 1, 0));
    }
    let before = producer;
    for committed in [true, false] {
        producer.ends_at(run, if second { 5 } else { OLD_END }, committed);
        run.ask_each(conn, |side| before.records(side, &topic, 0, 2));
        if !second {
            run.ask_each(conn, |side| producer.records(side, &topic, 0, 2));
            producer.adds(run, &topic, &[0]);
            run.ask_each(conn, |side| producer.records(side, &topic, 0, 2));
        } else {
            run.ask_each(conn, |side| producer.records(side, &topic, 0, 2));
            run.ask_each(conn, |side| producer.records(side, &topic, 0, 0));
            run.ask_each(conn, |side| before.records(side, &topic, 0, 2));
        }
        producer.shown(run);
        seen::producers(run, conn, &topic);
    }
}

/// Version 2: the first batch adds its partition.
pub(crate) fn unasked(run: &mut Run<'_>) {
    if run.version(ApiKey::Produce) <= OLD_PRODUCE {
        return;
    }
    let conn = run.connect("producer");
    let topic = topic(run, conn, 3, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 7));
    producer.shown(run);
    run.ask_each(conn, |side| producer.records(side, &topic, 9, 0));
    run.ask_each(conn, |side| producer.records_in(side, &topic, [0, 2]));
    producer.shown(run);
    // In an open transaction, one of version 1 and one of version 2.
    producer.writes(run, &topic, 0, 2);
    producer.writes(run, &topic, 1, 0);
    producer.adds(run, &topic, &[1]);
    producer.writes(run, &topic, 1, 0);
    producer.ends_at(run, 5, true);
    seen::producers(run, conn, &topic);
    // The ends of both versions, one after the other.
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 0));
    producer.ends_at(run, OLD_END, false);
    producer.shown(run);
    run.ask_each(conn, |side| producer.records(side, &topic, 0, 2));
    producer.ends_at(run, 5, true);
    producer.adds(run, &topic, &[1]);
    producer.ends_at(run, 5, true);
    producer.shown(run);
    seen::producers(run, conn, &topic);
}
