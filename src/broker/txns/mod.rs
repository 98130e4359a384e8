//! Transactions: who may write as which producer, what a transaction has touched, and how it ends.
//!
//! | state | event | next |
//! |---|---|---|
//! | (unknown) | InitProducerId | Empty |
//! | idle: Empty, CompleteCommit, CompleteAbort | InitProducerId | Empty |
//! | idle | the first partition or group joins | Ongoing |
//! | idle | EndTxn of version 2 aborts | PrepareAbort |
//! | idle | nothing for too long | (unknown) |
//! | Ongoing | EndTxn commits | PrepareCommit |
//! | Ongoing | EndTxn aborts, timeout, InitProducerId | PrepareAbort |
//! | PrepareCommit | every marker is written | CompleteCommit |
//! | PrepareAbort | every marker is written | CompleteAbort |
//!
//! The way of a Produce in a transaction:
//!
//! 1. `api::produce`: `admit` asks
//! 2. `txn_coordinator`: `Broker::admit_produce` asks the log whether it has the transaction open, and if not
//! 3. `txns::join`: `Transactions::admit` answers the records by which the partition joins;
//! 4. `txn_coordinator`: `Broker::join` journals them. Then the batch is appended.
//!
//! The way of an EndTxn:
//!
//! 1. `api::end_txn`: `handle` asks
//! 2. `txn_coordinator`: `Broker::end_transaction`, and that
//! 3. `txns::end`: `Transactions::end`, which answers where the id stands then;
//! 4. `txn_coordinator`: `Broker::decide` journals that. When it is durable, the client is answered, and
//! 5. `txn_coordinator::ends`: `finish_transactions` takes the end (`txns::finish`); `finish` and `mark` write the
//!    markers, and what `Txn::marked` says of them is journaled.
//!
//! Everything lasting is journaled: where a transactional id stands (`standing`), its partitions, its groups. It
//! changes only by what is applied here, in live operation and in replay. Transient are the timers and the list of
//! transactions whose end is decided. No state is "pending" as in Kafka, for a turn is atomic. Decisions are pure: they
//! answer records, and what follows from a record is done where it is applied. The rules are those of Kafka 4.3, by the
//! version of the *request*; ends that nobody has asked for follow the finalized `transaction.version`.
//!
//! # The order of durability
//!
//! A round makes the segments durable first and the journal behind them, so what the journal decides about is never
//! less safe than the decision. Transactions rest on that and on one rule: **logs hear of a transactional id only what
//! its journal has for good** (`Txn::settled_round`).
//!
//! 1. A batch is in the next round, and is acknowledged when that is durable, however relaxed its topic's flush is
//!    (`Storage::append`); a partition joins, at the latest, in the same round as its first batch. After a cut between
//!    the two the log has an open transaction that the journal does not know. The log is believed: the partition is
//!    *adopted* (`adopt`).
//! 2. The decision is journaled together with the fate of the groups' offsets, in the round of the last batch or a
//!    later one. The producer is answered when that round is durable. Where there are more offsets than fit into a
//!    group of the journal the decision is the first, and a start finishes what is left.
//! 3. Only when the decision is durable do markers follow, a bounded number in a turn; that a partition has its marker
//!    is journaled in the round of the marker, and that all have it too. A full disk puts the end off, and nothing
//!    else.
//! 4. After a cut between a marker and that record the marker comes a second time. Behind the first one there may be
//!    records of the producer's next transaction by then. In version 2 they carry the epoch of the marker, by which a
//!    log knows that it has had the marker, and refuses it. In version 1 nothing tells the two transactions apart, so
//!    the next one may write only when the completion of this one is durable. Likewise nobody may write with an epoch
//!    from InitProducerId before that is durable.
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
pub use requests::{Claim, Init};
pub use restart::{Adoption, Stray};
pub use txn::Txn;

use super::facts::{Producer, Standing, TxnFact, TxnState, TxnTouch};
use super::record::Record;
use super::wait::Timers;
use crate::clock::{self, Now};
use crate::proto::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The target of the room's log lines.
pub(super) const LOG: &str = "chronikd::transactions";

/// All transactional ids.
#[derive(Debug, Default)]
pub struct Transactions {
    by_id: BTreeMap<Arc<str>, Txn>,
    /// The transactional id that a producer id belongs to, now or from the end on that is being written.
    by_producer: BTreeMap<i64, Arc<str>>,
    /// When an open transaction is aborted, or an end is tried again.
    timers: Timers<Arc<str>>,
    /// Whose end is decided and to be written, in the order of the decisions; those of before a start are the first,
    /// and those that were put off come to the end of the list when their time has come. Until then they are not in it.
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

    /// The transactional id that the producer id belongs to, now or from the end on that is being written.
    #[must_use]
    pub fn of_producer(&self, producer_id: i64) -> Option<&Txn> {
        self.get(self.by_producer.get(&producer_id)?)
    }

    /// Whether the producer, in this very epoch, has a transaction whose end is not decided.
    #[must_use]
    pub fn is_ongoing(&self, producer: Producer) -> bool {
        let txn = self.of_producer(producer.id);
        txn.is_some_and(|txn| txn.state() == TxnState::Ongoing && txn.standing.producer == producer)
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

    /// Makes a fact of that round true.
    pub fn apply(&mut self, id: &Arc<str>, fact: TxnFact, round: u64) {
        match fact {
            TxnFact::Stands(standing) => self.stepped(id, standing, round),
            TxnFact::Expired => self.expired(id, round),
        }
    }

    /// Applies a record of what the producer's transaction touches.
    pub fn touched(&mut self, producer_id: i64, touch: TxnTouch, round: u64) {
        let id = self.by_producer.get(&producer_id);
        let Some(txn) = id.and_then(|id| self.by_id.get_mut(id)) else {
            return;
        };
        txn.round = round;
        match touch {
            TxnTouch::Partition(at) => txn.partitions.insert(at),
            TxnTouch::PartitionDone(at) => txn.partitions.remove(&at),
            TxnTouch::Group(group) => txn.groups.insert(group),
            TxnTouch::GroupDone(group) => txn.groups.remove(&group),
        };
    }

    /// A decided end waits for its round from this step on.
    fn stepped(&mut self, id: &Arc<str>, standing: Standing, round: u64) {
        let fresh = || Txn::new(Arc::clone(id), standing);
        let txn = self.by_id.entry(Arc::clone(id)).or_insert_with(fresh);
        let (id, before) = (&txn.id.clone(), txn.standing);
        txn.apply(standing, round);
        for producer_id in before.producer_ids() {
            self.by_producer.remove(&producer_id);
        }
        let ids = standing.producer_ids();
        self.by_producer
            .extend(ids.map(|producer_id| (producer_id, Arc::clone(id))));
        if standing.state != TxnState::Ongoing {
            self.timers.cancel(id);
        }
        let is_live = round > 0;
        if standing.state.is_prepared() && is_live {
            self.ending.push_back(Arc::clone(id));
        }
    }

    fn expired(&mut self, id: &Arc<str>, round: u64) {
        if let Some(txn) = self.by_id.remove(id) {
            for producer_id in txn.standing.producer_ids() {
                self.by_producer.remove(&producer_id);
            }
            self.timers.cancel(id);
        }
        self.gone_round = self.gone_round.max(round);
    }

    /// Starts the clock of an open transaction that has none yet.
    pub fn wind(&mut self, id: &str, now: Now) {
        if let Some(txn) = self.get(id)
            && txn.state() == TxnState::Ongoing
            && self.timers.get(id).is_none()
            && let Some(left_ms) = txn.remaining_ms(now.wall_ms)
        {
            let id = Arc::clone(&txn.id);
            self.timers.set(id, now.mono.plus_ms(left_ms));
        }
    }

    /// Tombstones of the ids that have been idle for so long. While the clock is implausible, none goes by age; an id
    /// that was last changed by a clock that nobody can believe counts as changed now.
    #[must_use]
    pub fn aged(&self, wall_ms: i64, expiration_ms: i64) -> Vec<Record> {
        if wall_ms < clock::PLAUSIBLE_MS {
            return Vec::new();
        }
        let idle = self.iter().filter(|txn| txn.state().is_idle());
        let aged = idle.filter_map(|txn| {
            let updated_ms = txn.standing.updated_ms;
            let fact = match clock::believable(wall_ms).contains(&updated_ms) {
                true if wall_ms.saturating_sub(updated_ms) < expiration_ms => return None,
                true => TxnFact::Expired,
                false => TxnFact::Stands(Standing {
                    updated_ms: wall_ms,
                    ..txn.standing
                }),
            };
            Some(txn.record(fact))
        });
        aged.collect()
    }

    /// What must hold between turns.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self) {
        let ending: BTreeSet<&Arc<str>> = self.ending.iter().collect();
        assert_eq!(ending.len(), self.ending.len(), "an end is written once");
        let mut producer_id_count = 0;
        for (id, txn) in &self.by_id {
            txn.check_invariants();
            assert_eq!(*id, txn.id);
            for producer_id in txn.standing.producer_ids() {
                let owner = self.by_producer.get(&producer_id);
                assert_eq!(owner, Some(id), "a producer id is one's own");
                producer_id_count += 1;
            }
            let is_timed = self.timers.get(id).is_some();
            match txn.state() {
                TxnState::Ongoing => assert_eq!(is_timed, txn.timeout_ms().is_some()),
                state if state.is_prepared() => assert_ne!(is_timed, ending.contains(id)),
                _ => assert!(!is_timed && !ending.contains(id)),
            }
        }
        assert_eq!(self.by_producer.len(), producer_id_count);
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
