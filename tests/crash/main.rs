//! The real daemon, killed with SIGKILL under load, fifty times; and twenty times under the commits of `groups`.
//!
//! Writers pipeline batches over connections of their own, plain ones and idempotent ones (which send again after
//! the crash what had no answer), and readers follow the ends of the partitions. After each kill the daemon starts
//! on what is there, and the `ledger`, which knows every record that was acknowledged or read, checks:
//!
//! * no acknowledged record is lost, and none is at another offset than its producer was told;
//! * nothing that was read is taken back or changes;
//! * offsets have no gap, and no two records share one;
//! * idempotent streams have neither duplicate nor gap; plain ones are in order and have no duplicate.
//!
//! What a kill leaves in the page cache is all there at the next start; the cuts that lose it are made in `sim`.

#[path = "../common/mod.rs"]
mod common;

mod groups;
mod ledger;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::broker::Broker;
use common::kafka::Kafka;
use ledger::{Ledger, Observed};
use writer::{Kind, Writer};

const CYCLES: u64 = 50;
const TOPIC: &str = "load";
const PARTITIONS: i32 = 3;

#[test]
fn nothing_that_was_promised_is_lost_in_fifty_kills() {
    let mut broker = Broker::start(&[]);
    let mut control = Kafka::connect(broker.port()).expect("a connection");
    // Small segments, so that many are rolled while the kills come.
    control.create(TOPIC, PARTITIONS, &[("segment.bytes", "1048576")]);
    let mut writers = writers(&mut control);
    let mut ledger = Ledger::new(PARTITIONS);
    for cycle in 0..CYCLES {
        load(&mut broker, &mut writers, &mut ledger, cycle);
        if cycle % 7 == 3 {
            // Killed again while it recovers.
            broker.start_and_kill(Duration::from_millis(cycle));
        }
        broker.restart();
        check(&broker, &writers, &mut ledger, cycle);
    }
    broker.term();
    broker.restart();
    check(&broker, &writers, &mut ledger, CYCLES);
    assert!(ledger.acked_count() > 10_000, "the load was a load");
}

#[test]
fn no_commit_is_lost_and_no_member_is_forgotten_in_twenty_kills() {
    groups::run();
}

fn writers(control: &mut Kafka) -> Vec<Writer> {
    let mut kinds = vec![
        Kind::Plain { acks: -1 },
        Kind::Plain { acks: 1 },
        Kind::Plain { acks: -1 },
    ];
    for _ in 0..3 {
        let (id, epoch) = control.producer_id().expect("a producer id");
        kinds.push(Kind::Idempotent { id, epoch });
    }
    (0..)
        .zip(kinds)
        .map(|(i, kind)| Writer::new(i, kind))
        .collect()
}

/// Everybody writes and reads until the broker is killed under them.
fn load(broker: &mut Broker, writers: &mut [Writer], ledger: &mut Ledger, cycle: u64) {
    let port = broker.port();
    let over = AtomicBool::new(false);
    let ends: Vec<i64> = (0..PARTITIONS)
        .map(|partition| ledger.end(partition))
        .collect();
    std::thread::scope(|scope| {
        let over = &over;
        for writer in &mut *writers {
            scope.spawn(move || writer.run(port, TOPIC, over));
        }
        let readers: Vec<_> = (0..PARTITIONS)
            .zip(ends)
            .map(|(partition, end)| scope.spawn(move || follow(port, partition, end, over)))
            .collect();
        // Between 100 and 596 ms, another one each time.
        std::thread::sleep(Duration::from_millis(100 + cycle * 37 % 497));
        over.store(true, Ordering::Release);
        broker.kill9();
        for (partition, reader) in (0..).zip(readers) {
            ledger.seen(partition, reader.join().expect("a reader"));
        }
    });
    for writer in writers {
        ledger.acked(writer.partition, writer.take_acked());
    }
}

/// Long polls at the end of a partition, and what they have brought until the broker is gone.
fn follow(port: u16, partition: i32, mut next: i64, over: &AtomicBool) -> Vec<Observed> {
    let mut seen = Vec::new();
    let Ok(mut connection) = Kafka::connect(port) else {
        return seen;
    };
    while let Ok(found) = connection.fetch(TOPIC, partition, next, 200) {
        assert_eq!(found.error.0, 0, "partition {partition} at {next}");
        next = found.records.last().map_or(next, |last| last.offset + 1);
        seen.extend(found.records.into_iter().map(Observed::from));
    }
    assert!(over.load(Ordering::Acquire), "a reader was cut off");
    seen
}

fn check(broker: &Broker, writers: &[Writer], ledger: &mut Ledger, cycle: u64) {
    let mut connection = Kafka::connect(broker.port()).expect("a connection");
    for partition in 0..PARTITIONS {
        let log = connection
            .read_all(TOPIC, partition)
            .expect("a readable log");
        let log = log.into_iter().map(Observed::from).collect();
        ledger.check(partition, log, writers, cycle);
    }
}
