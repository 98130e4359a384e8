//! Transactions: who may write as which producer, what a transaction has touched, and how it ends.
//!
//! ```text
//!          InitProducerId                 EndTxn, timeout, fencing            every marker is written
//!   (new) ---------------> Empty           +--> PrepareCommit -----------------> CompleteCommit --+
//!                            |             |                                                      |
//!                            +--> Ongoing -+                                                      |
//!                            |      ^      |                                                      |
//!                            |      |      +--> PrepareAbort ------------------> CompleteAbort ---+
//!                            |      |                 ^                                           |
//!                            |      +-- a partition or a group joins                              |
//!                            |                        |                                           |
//!                            +-- version 2 may abort -+          InitProducerId: Empty; or as from Empty
//! ```
//!
//! Everything lasting is journaled: where a transactional id stands (`standing`), its partitions, its groups. It changes
//! only by what is applied here, in live operation and in replay. Transient are the timers and the list of transactions
//! whose end is decided. No state is "pending" as in Kafka, for a turn is atomic; `PrepareEpochFence` and `Dead` are
//! names that clients may ask for. The rules are those of Kafka 4.3, by the version of the *request*; ends that nobody has
//! asked for follow the finalized `transaction.version`.
//!
//! # The order of durability
//!
//! A round makes the segments durable first and the journal behind them, so what the journal decides about is never
//! less safe than the decision. Transactions rest on that and on one rule: **logs hear of a transactional id only what
//! its journal has for good** (`Txn::settled_round`).
//!
//! 1. A partition joins in the same round as its first batch. After a cut between the two the log has an open
//!    transaction that the journal does not know. The log is believed: the partition is *adopted* (`adopt`).
//! 2. The decision is journaled together with the fate of the groups' offsets, and the logs of all partitions are forced
//!    into its round, whatever their flush settings. The producer is answered when that round is durable. Where there are
//!    more offsets than fit into a group of the journal the decision is the first, and a start finishes what is left.
//! 3. Only when the decision is durable do markers follow, a bounded number in a turn; that a partition has its marker is
//!    journaled in the round of the marker, and that all have it too. A full disk puts the end off, and nothing else.
//! 4. After a cut between a marker and that record the marker comes a second time. Behind the first one there may be
//!    records of the producer's next transaction by then. In version 2 they carry the epoch of the marker, by which a
//!    log knows that it has had the marker, and refuses it. In version 1 nothing tells the two transactions apart, so the
//!    next one may write only when the completion of this one is durable. Likewise nobody may write with an epoch from
//!    InitProducerId before that is durable.
//! 5. After a start, no transaction goes on before every log is loaded, every decided end has been carried on, and what
//!    logs have open has its transaction again or is aborted. Readers of committed records wait all the while for the
//!    transactions that are open in the logs.
//!
//! So no cut shows a commit without its records, records of an abort, or half of a transaction; the tests cut
//! everywhere.

mod end;
mod finish;
mod init;
mod join;
mod requests;
mod restart;
mod standing;
#[cfg(test)]
mod tests;
mod txn;

pub use end::Ended;
pub use init::Initialized;
pub use requests::{Claim, Init, Joining};
pub use restart::{Adoption, Stray};
pub use standing::BUMPING_VERSION;
pub use txn::Txn;

use super::facts::{Standing, TxnState};
use super::record::Record;
use super::wait::Timers;
use crate::clock;
use crate::proto::error::ErrorCode;
use crate::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The target of the room's log lines.
pub(super) const LOG: &str = "chronikd::transactions";

/// All transactional ids.
#[derive(Debug, Default)]
pub struct Transactions {
    by_id: BTreeMap<Arc<str>, Txn>,
    /// The transactional id that a producer id belongs to now.
    by_producer: BTreeMap<i64, Arc<str>>,
    /// When an open transaction is aborted, or an end is tried again.
    timers: Timers<Arc<str>>,
    /// Whose end is decided and to be written, in the order of the decisions; not those that wait for their timer.
    ending: VecDeque<Arc<str>>,
    /// The newest round of an id that is gone.
    gone_round: u64,
}

impl Transactions {
    /// The transactional id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Txn> {
        self.by_id.get(id)
    }

    /// All transactional ids, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Txn> {
        self.by_id.values()
    }

    /// The transactional id that the producer id belongs to now.
    #[must_use]
    pub fn of_producer(&self, producer_id: i64) -> Option<&Txn> {
        self.get(self.by_producer.get(&producer_id)?)
    }

    /// Whether the producer has a transaction whose end is not decided.
    #[must_use]
    pub fn is_ongoing(&self, producer_id: i64) -> bool {
        let txn = self.of_producer(producer_id);
        txn.is_some_and(|txn| txn.state() == TxnState::Ongoing)
    }

    /// The round of the newest record of that id; where there is no such id, of the newest one of any that is gone.
    #[must_use]
    pub fn round_of(&self, id: &str) -> u64 {
        self.get(id).map_or(self.gone_round, |txn| txn.round)
    }

    /// The round of the newest record of any id.
    #[must_use]
    pub fn newest_round(&self) -> u64 {
        let rounds = self.iter().map(|txn| txn.round);
        rounds.max().unwrap_or(0).max(self.gone_round)
    }

    /// Applies a step. A decided end waits for its round from then on.
    pub fn stepped(&mut self, id: &Arc<str>, standing: Standing, round: u64) {
        let fresh = || Txn::new(Arc::clone(id), standing);
        let txn = self.by_id.entry(Arc::clone(id)).or_insert_with(fresh);
        let (id, before) = (&txn.id.clone(), txn.standing.producer_id);
        txn.apply(standing, round);
        if before != standing.producer_id {
            self.by_producer.remove(&before);
        }
        self.by_producer
            .insert(standing.producer_id, Arc::clone(id));
        if standing.state != TxnState::Ongoing {
            self.timers.cancel(id);
        }
        let is_live = round > 0;
        if standing.state.is_prepared() && is_live {
            self.ending.push_back(Arc::clone(id));
        }
    }

    /// Applies that a transactional id is forgotten.
    pub fn expired(&mut self, id: &Arc<str>, round: u64) {
        if let Some(txn) = self.by_id.remove(id) {
            self.by_producer.remove(&txn.standing.producer_id);
            self.timers.cancel(id);
        }
        self.gone_round = self.gone_round.max(round);
    }

    /// The partitions of a transaction, to apply a record to.
    pub(super) fn partitions_mut(
        &mut self,
        id: &str,
        round: u64,
    ) -> Option<&mut BTreeSet<PartitionId>> {
        let txn = self.by_id.get_mut(id)?;
        txn.round = round;
        Some(&mut txn.partitions)
    }

    /// The groups of a transaction, to apply a record to.
    pub(super) fn groups_mut(&mut self, id: &str, round: u64) -> Option<&mut BTreeSet<Arc<str>>> {
        let txn = self.by_id.get_mut(id)?;
        txn.round = round;
        Some(&mut txn.groups)
    }

    /// Tombstones of the ids that have been idle for so long. While the clock is implausible, none goes by age.
    #[must_use]
    pub fn idle(&self, wall_ms: i64, expiration_ms: i64) -> Vec<Record> {
        if wall_ms < clock::PLAUSIBLE_MS {
            return Vec::new();
        }
        let is_old = |txn: &&Txn| {
            let idle_ms = wall_ms.saturating_sub(txn.standing.updated_ms);
            txn.state().is_idle() && idle_ms >= expiration_ms
        };
        let tombstone = |txn: &Txn| Record::TransactionExpired {
            id: Arc::clone(&txn.id),
        };
        self.iter().filter(is_old).map(tombstone).collect()
    }

    /// What must hold between turns.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self) {
        let ending: BTreeSet<&Arc<str>> = self.ending.iter().collect();
        assert_eq!(ending.len(), self.ending.len(), "an end is written once");
        assert_eq!(self.by_producer.len(), self.by_id.len());
        for (id, txn) in &self.by_id {
            txn.check_invariants();
            assert_eq!(*id, txn.id);
            let owner = self.by_producer.get(&txn.standing.producer_id);
            assert_eq!(owner, Some(id), "a producer id is one's own");
            let is_timed = self.timers.get(id).is_some();
            match txn.state() {
                TxnState::Ongoing => assert_eq!(is_timed, txn.timeout_ms().is_some()),
                state if state.is_prepared() => assert_ne!(is_timed, ending.contains(id)),
                _ => assert!(!is_timed && !ending.contains(id)),
            }
        }
    }

    /// The transactional id of a claim.
    ///
    /// # Errors
    /// 49 when there is none.
    fn claimed(&self, claim: &Claim<'_>) -> Result<&Txn, ErrorCode> {
        let txn = self.get(claim.transactional_id);
        txn.ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }
}
