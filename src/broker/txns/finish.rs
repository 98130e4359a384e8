//! How a transaction ends once that is decided: it waits for its round, then its partitions get their markers, some in
//! each turn, and are journaled as done. What cannot be written now is tried again later.

use super::super::record::Record;
use super::{Transactions, Txn};
use crate::broker::facts::{Standing, TxnState};
use crate::clock::{Mono, Now};
use crate::storage::PartitionId;
use std::sync::Arc;

impl Transactions {
    /// What is to be journaled of a decision: first the decision, so that no part of it is without it, then what it
    /// means for offsets, then that its groups are done with.
    #[must_use]
    pub fn decision(&self, id: &Arc<str>, standing: Standing, offsets: Vec<Record>) -> Vec<Record> {
        let mut records = vec![Record::Transaction {
            id: Arc::clone(id),
            standing,
        }];
        records.extend(offsets);
        records.extend(self.groups_done(id));
        records
    }

    /// Tombstones of the groups of a transaction.
    pub fn groups_done(&self, id: &Arc<str>) -> impl Iterator<Item = Record> {
        let groups = self.get(id).into_iter().flat_map(|txn| &txn.groups);
        groups.map(|group| Record::TransactionGroupDone {
            id: Arc::clone(id),
            group: Arc::clone(group),
        })
    }

    /// What is to be journaled when these partitions of an end have their markers: that they have, and that the
    /// transaction is complete when there are no others.
    #[must_use]
    pub fn marked(&self, id: &Arc<str>, done: &[PartitionId], now: Now) -> Vec<Record> {
        let mut records: Vec<Record> = done
            .iter()
            .map(|&at| Record::TransactionPartitionDone {
                id: Arc::clone(id),
                at,
            })
            .collect();
        let txn = self
            .get(id)
            .filter(|txn| txn.partitions.len() == done.len());
        records.extend(txn.map(|txn| Record::Transaction {
            id: Arc::clone(id),
            standing: txn.standing.completed(now.wall_ms),
        }));
        records
    }

    /// The next decided end that may be written when that round is durable. Whoever takes it writes it to its end, or
    /// gives it back.
    pub fn take_end(&mut self, synced_round: u64) -> Option<Arc<str>> {
        match self.has_end(synced_round) {
            true => self.ending.pop_front(),
            false => None,
        }
    }

    /// Whether there is an end that may be written when that round is durable.
    #[must_use]
    pub fn has_end(&self, synced_round: u64) -> bool {
        let txn = self.ending.front().and_then(|id| self.get(id));
        txn.is_some_and(|txn| txn.settled_round <= synced_round)
    }

    /// Gives an end back that is to be gone on with in the next turn.
    pub fn go_on(&mut self, id: Arc<str>) {
        self.ending.push_front(id);
    }

    /// Gives an end back that is to be tried again later.
    pub fn put_off(&mut self, id: Arc<str>, until: Mono) {
        self.timers.set(id, until);
    }

    /// A transactional id whose transaction has been open for too long. Ends that were put off and are due go back into
    /// the list of those to be written.
    pub fn overdue(&mut self, now: Mono) -> Option<Arc<str>> {
        while let Some(id) = self.timers.pop(now) {
            match self.get(&id).map(Txn::state) {
                Some(TxnState::Ongoing) => return Some(id),
                Some(state) if state.is_prepared() => self.ending.push_back(id),
                _ => {}
            }
        }
        None
    }

    /// When `overdue` is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.timers.next()
    }
}
