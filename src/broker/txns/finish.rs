//! How a transaction ends once that is decided: it waits for its round, then its partitions get their markers, some in
//! each turn, and are journaled as done. What cannot be written now is tried again later.

use super::super::record::Record;
use super::{Transactions, Txn};
use crate::broker::facts::{TxnFact, TxnState, TxnTouch};
use crate::clock::{Mono, Now};
use crate::storage::PartitionId;
use std::sync::Arc;

impl Txn {
    /// Tombstones of its groups, which are done with when the end is decided.
    pub fn groups_done(&self) -> impl Iterator<Item = Record> {
        let groups = self.groups.iter().cloned();
        groups.map(|group| self.touch(TxnTouch::GroupDone(group)))
    }

    /// What is to be journaled when these partitions of an end have their markers: that they have, and that the
    /// transaction is complete when there are no others.
    #[must_use]
    pub fn marked(&self, done: &[PartitionId], now: Now) -> Vec<Record> {
        let is_complete = self.partitions.len() == done.len();
        let marked = done.iter().map(|&at| TxnTouch::PartitionDone(at));
        let step = is_complete.then(|| TxnFact::Stands(self.standing.completed(now.wall_ms)));
        let marked = marked.map(|touch| self.touch(touch));
        marked.chain(step.map(|step| self.record(step))).collect()
    }
}

impl Transactions {
    /// The next decided end that may be written when that round is durable. Whoever takes it writes it to its end, or
    /// gives it back.
    pub fn take_end(&mut self, synced_round: u64) -> Option<Arc<str>> {
        match self.has_end(synced_round) {
            true => self.ending.pop_front(),
            false => None,
        }
    }

    /// Whether there is an end that may be written when that round is durable. The first one tells: those behind it
    /// were decided later, or were put off before and wait for one round more at most.
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
