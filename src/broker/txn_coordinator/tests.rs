//! The broker's part of transactions, over logs of its own: what waits for the gate, and what an open log keeps out.

use super::super::tests::{Life, NOW};
use super::*;
use crate::proto::Uuid;
use crate::proto::batch::BatchBuilder;
use crate::storage::{NewBatch, Origin};
use std::collections::BTreeMap;

const ID: &str = "orders";
const TIMEOUT_MS: i32 = 1000;
const AT: PartitionId = PartitionId {
    topic: Uuid([1; 16]),
    partition: 0,
};

fn after_timeout() -> Now {
    Now {
        mono: NOW.mono.plus_ms(TIMEOUT_MS.into()),
        wall_ms: NOW.wall_ms + i64::from(TIMEOUT_MS),
    }
}

impl Life {
    /// With one topic of one partition, and no transaction.
    fn with_topic() -> Life {
        let mut life = Life::new();
        life.run(NOW);
        let created = life
            .broker
            .create_topic(AT.topic, "t", 1, BTreeMap::new(), NOW);
        created.expect("there is room");
        life.run(NOW);
        life
    }

    /// The producer gets the next epoch, which is durable.
    fn init(&mut self) -> Claim<'static> {
        let ask = Init {
            transactional_id: ID,
            timeout_ms: TIMEOUT_MS,
            believed: None,
        };
        let producer = self.broker.init_transactions(&ask, NOW).answer;
        self.run(NOW);
        Claim {
            transactional_id: ID,
            producer: producer.expect("it gets one"),
        }
    }

    /// One record goes into the log, whatever the transactional id knows of it.
    fn append(&mut self, claim: &Claim<'_>) {
        let batch = BatchBuilder::new(0).producer(claim.producer.id, claim.producer.epoch, 0);
        let mut batch = batch.transactional();
        batch.push(NOW.wall_ms, None, None);
        let batch = batch.build(None).expect("a small batch");
        let appended =
            self.broker
                .storage
                .append(AT, NOW, &NewBatch::whole(&batch), Origin::ClientV2);
        appended.expect("appended");
    }

    fn state(&self) -> TxnState {
        let txn = self.broker.transactions().get(ID);
        txn.expect("it is known").state()
    }
}

#[test]
fn nothing_times_out_before_the_gate_is_open_and_nobody_is_woken_for_it() {
    let mut life = Life::with_topic();
    let claim = life.init();
    let added = life
        .broker
        .admit_produce(&claim, AT, TxnVersion::V2, NOW)
        .answer;
    added.expect("it joins");
    life.append(&claim);
    life.run(NOW);
    life.disk.kill();
    let mut life = life.restart();
    let due = after_timeout();
    life.broker.tick_transactions(due);
    assert!(life.broker.check_transactions().is_err());
    assert_eq!(life.state(), TxnState::Ongoing);
    let wake = life.broker.next_transaction_deadline();
    assert!(wake.is_none_or(|at| at > due.mono), "{wake:?}");
    life.run(due);
    assert_eq!(life.state(), TxnState::CompleteAbort);
    life.broker.check_invariants();
}

#[test]
fn nothing_is_written_behind_an_older_transaction_that_the_log_has_open() {
    let mut life = Life::with_topic();
    let old = life.init();
    life.append(&old);
    let new = life.init();
    let told = life
        .broker
        .admit_produce(&new, AT, TxnVersion::V2, NOW)
        .answer;
    assert_eq!(told, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(life.state(), TxnState::Empty, "it joins nothing by that");
    let marker = Marker {
        producer_id: old.producer.id,
        producer_epoch: old.producer.epoch,
        coordinator_epoch: 0,
        commits: false,
        transaction_version: 0,
    };
    let written = life.broker.write_marker(AT, marker, NOW);
    assert!(written.answer.is_ok());
    let told = life
        .broker
        .admit_produce(&new, AT, TxnVersion::V2, NOW)
        .answer;
    assert_eq!(told, Ok(()));
}

#[test]
fn a_full_disk_keeps_out_what_is_new_and_not_what_is_repeated() {
    let mut life = Life::with_topic();
    let claim = life.init();
    let disk = life.disk.clone();
    let mut add = |group: &str| {
        let added = life.broker.add_group(&claim, group, NOW).answer;
        life.run(NOW);
        added
    };
    assert_eq!(add("g"), Ok(()));
    disk.set_capacity(Some(0));
    let padding = "x".repeat(10_000);
    let refused = (0..1000).find_map(|number| add(&format!("{number}-{padding}")).err());
    assert_eq!(refused, Some(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    assert_eq!(add("g"), Ok(()), "it is in the transaction");
}
