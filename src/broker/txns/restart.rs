//! What a start makes of what it finds: timers begin anew, decided ends are carried on, and transactions that are open in
//! a log find their transactional id again.

use super::super::record::Record;
use super::{BUMPING_VERSION, Transactions};
use crate::broker::facts::TxnState;
use crate::clock::Now;
use crate::storage::PartitionId;
use std::sync::Arc;

/// A transaction that is open in a log and of which the journal may know nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The log.
    pub at: PartitionId,
    /// Who has written there.
    pub producer_id: i64,
    /// In which epoch.
    pub epoch: i16,
}

/// What becomes of a stray.
#[derive(Clone, Debug, PartialEq)]
pub enum Adoption {
    /// It belongs to a transaction that is open; these are to be journaled, if it was not known there.
    Adopted(Vec<Record>),
    /// Its producer has an end to be written first, by which it may go, or be the transaction behind it.
    Later,
    /// Nobody can end it any more: it is to be aborted.
    Orphan,
}

impl Transactions {
    /// After the replay: timeouts run anew, and every decided end is to be written.
    pub fn resume(&mut self, now: Now) {
        for (id, txn) in &self.by_id {
            if txn.state().is_prepared() {
                self.ending.push_back(Arc::clone(id));
            }
            if txn.state() == TxnState::Ongoing
                && let Some(left_ms) = txn.remaining_ms(now.wall_ms)
            {
                self.timers.set(Arc::clone(id), now.mono.plus_ms(left_ms));
            }
        }
    }

    /// What becomes of a transaction that is open in a log. Whoever has its producer id and epoch now owns it: the records
    /// were written in the round in which the partition joined, and the journal's part of that round was lost.
    pub fn adopt(&mut self, stray: &Stray, now: Now) -> Adoption {
        let Some(txn) = self.of_producer(stray.producer_id) else {
            return Adoption::Orphan;
        };
        if txn.state().is_prepared() {
            return Adoption::Later;
        }
        if txn.standing.epoch != stray.epoch {
            return Adoption::Orphan;
        }
        if txn.partitions.contains(&stray.at) {
            return Adoption::Adopted(Vec::new());
        }
        let id = Arc::clone(&txn.id);
        let mut records: Vec<Record> = self.begin(&id, BUMPING_VERSION, now).into_iter().collect();
        records.push(Record::TransactionPartition { id, at: stray.at });
        Adoption::Adopted(records)
    }
}
