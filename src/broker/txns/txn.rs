//! One transactional id: where it stands, and what its transaction has touched.

use super::super::record::Record;
use super::LOG;
use crate::broker::facts::{Producer, Standing, TxnFact, TxnState, TxnTouch, TxnVersion};
use crate::clock::PLAUSIBLE_MS;
use crate::storage::PartitionId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A timeout that never comes (Kafka's mark of a transaction that another system decides about).
const NEVER_MS: i32 = i32::MAX;

/// A transactional id and its transaction, if it has one.
#[derive(Debug)]
pub struct Txn {
    /// The transactional id.
    pub id: Arc<str>,
    /// Where it stands.
    pub standing: Standing,
    /// Partitions that the transaction has written to, or may write to, and that have no marker yet. A topic that is
    /// deleted leaves its partitions here until the end, which passes them over.
    pub partitions: BTreeSet<PartitionId>,
    /// Groups that it commits offsets of, until the end is decided.
    pub groups: BTreeSet<Arc<str>>,
    /// Logs hear of this id, by records or by markers, only when this round is durable.
    pub(super) settled_round: u64,
    /// The sync round of its newest record: who reads of it answers no earlier.
    pub round: u64,
}

impl Txn {
    pub(super) fn new(id: Arc<str>, standing: Standing) -> Txn {
        Txn {
            id,
            standing,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            settled_round: 0,
            round: 0,
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> TxnState {
        self.standing.state
    }

    /// A fact about it, as the journal takes it.
    #[must_use]
    pub fn record(&self, fact: TxnFact) -> Record {
        let id = Arc::clone(&self.id);
        Record::Transaction { id, fact }
    }

    /// The record of what its transaction touches.
    #[must_use]
    pub(super) fn touch(&self, touch: TxnTouch) -> Record {
        let producer_id = self.standing.producer.id;
        Record::Touched { producer_id, touch }
    }

    /// After how long its transaction is aborted, if ever.
    pub(super) fn timeout_ms(&self) -> Option<i64> {
        let timeout_ms = self.standing.timeout_ms;
        (timeout_ms != NEVER_MS).then_some(timeout_ms.into())
    }

    /// What is left of the timeout of its open transaction. A clock that has jumped can make it short, and never longer
    /// than it is; one that had not been set when it began does not count.
    pub(super) fn remaining_ms(&self, wall_ms: i64) -> Option<i64> {
        let timeout_ms = self.timeout_ms()?;
        let started_ms = self.standing.started_ms;
        let started_ms = started_ms.expect("who has a transaction has begun it");
        if started_ms < PLAUSIBLE_MS {
            return Some(timeout_ms);
        }
        let until_ms = started_ms.saturating_add(timeout_ms);
        Some(until_ms.saturating_sub(wall_ms).clamp(0, timeout_ms))
    }

    /// Takes a step over, and keeps the rule of rounds: see the header of this room.
    pub(super) fn apply(&mut self, standing: Standing, round: u64) {
        let tells_logs = match standing.state {
            TxnState::Empty | TxnState::PrepareCommit | TxnState::PrepareAbort => true,
            TxnState::CompleteCommit | TxnState::CompleteAbort => {
                standing.version == TxnVersion::V1
            }
            TxnState::Ongoing => false,
        };
        if tells_logs {
            self.settled_round = round;
        }
        log::debug!(target: LOG, "{}: {standing:?}", self.id);
        self.standing = standing;
        self.round = round;
        if standing.state.is_idle() {
            give_back(&mut self.partitions);
            give_back(&mut self.groups);
        }
    }

    /// What must hold between turns.
    pub(super) fn check_invariants(&self) {
        let Standing {
            producer: Producer { epoch, .. },
            last_epoch,
            next_producer_id,
            started_ms,
            state,
            version,
            ..
        } = self.standing;
        assert!(epoch >= 0, "who is journaled has an epoch");
        assert!(self.settled_round <= self.round);
        assert_eq!(state == TxnState::Empty, started_ms.is_none());
        if state.is_idle() {
            assert!(self.partitions.is_empty(), "nothing is left to be marked");
        }
        if state != TxnState::Ongoing {
            assert!(self.groups.is_empty(), "offsets go with the decision");
        }
        if state.is_prepared() && version == TxnVersion::V2 {
            assert!(last_epoch.is_some_and(|last| epoch > last) || epoch == i16::MAX);
        }
        assert!(next_producer_id.is_none() || state.is_prepared());
    }
}

/// An emptied set keeps room for a few, and most ids are idle most of the time.
fn give_back<T>(set: &mut BTreeSet<T>) {
    if set.is_empty() {
        *set = BTreeSet::new();
    }
}
