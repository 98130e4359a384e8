//! What a start makes of what it finds: timers begin anew, decided ends are carried on, and transactions that are open
//! in a log find their transactional id again.

use super::super::record::Record;
use super::Transactions;
use crate::broker::facts::{Producer, TxnTouch, TxnVersion};
use crate::clock::Now;
use crate::storage::PartitionId;
use std::sync::Arc;

/// A transaction that is open in a log and of which the journal may know nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The log.
    pub at: PartitionId,
    /// Who has written there.
    pub producer: Producer,
}

/// What becomes of a stray.
#[derive(Clone, Debug, PartialEq)]
pub enum Adoption {
    /// It belongs to the transaction of that id, which is open or begins; these are to be journaled, if it was not
    /// known there.
    Adopted(Arc<str>, Vec<Record>),
    /// Its transactional id has an end to be written first, by which it may go, or be the transaction behind it: that
    /// of the same producer id, or of the one that is to follow.
    Later,
    /// Nobody can end it any more: it is to be aborted.
    Orphan,
}

impl Transactions {
    /// After the replay: timeouts run anew, and every decided end is to be written.
    pub fn resume(&mut self, now: Now) {
        let ids: Vec<Arc<str>> = self.by_id.keys().cloned().collect();
        for id in ids {
            match self.by_id[&id].state().is_prepared() {
                true => self.ending.push_back(id),
                false => self.wind(&id, now),
            }
        }
    }

    /// What becomes of a transaction that is open in a log. Whoever has its producer id and epoch now owns it: the
    /// records were written in the round in which the partition joined, and the journal's part of that round was lost.
    #[must_use]
    pub fn adopt(&self, stray: &Stray, now: Now) -> Adoption {
        let Some(txn) = self.of_producer(stray.producer.id) else {
            return Adoption::Orphan;
        };
        if txn.state().is_prepared() {
            return Adoption::Later;
        }
        if txn.standing.producer != stray.producer {
            return Adoption::Orphan;
        }
        let records = match txn.partitions.contains(&stray.at) {
            true => Vec::new(),
            false => txn.joined_by([TxnTouch::Partition(stray.at)], TxnVersion::V2, now),
        };
        Adoption::Adopted(Arc::clone(&txn.id), records)
    }
}
