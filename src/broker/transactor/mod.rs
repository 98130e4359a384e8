//! What the broker does for transactions: asks `txns`, journals at once what it decides, and writes ends into logs.
//!
//! The order of durability is in the head of `txns`. Its parts here: a decision forces the logs of its partitions into
//! its round (`decide`); markers are appended when that round is durable (`ends`); and after a start nothing goes on
//! before logs and journal agree (`gate`).
//!
//! An answer waits for `Transactions::round_of` its transactional id, errors too: what it was judged by may not be
//! durable yet.

mod ends;
mod gate;

use super::Broker;
use super::facts::{Standing, TxnState};
use super::groups::offsets;
use super::record::Record;
use super::txns::{Claim, Ended, Init, Initialized, Joining, Stray, Transactions};
use crate::clock::{Mono, Now};
use crate::config::BrokerConfig;
use crate::proto::error::ErrorCode;
use crate::storage::{Marker, PartitionId, Refused, Unavailable};
use gate::Gate;
use std::sync::Arc;

/// What a partition of a transaction takes in the journal besides the transactional id, at most.
const PARTITION_BYTES: usize = 64;

/// What the broker keeps beside the transactions themselves. It is transient.
#[derive(Debug)]
pub(super) struct Transactor {
    gate: Gate,
    /// Transactions that are open in logs, whose transactional id has to be found.
    strays: Vec<Stray>,
    /// When strays are looked at again.
    strays_check: Mono,
    /// When transactional ids that have been idle for too long are looked for again.
    expiry_check: Mono,
}

impl Transactor {
    /// That of a broker that has just started.
    pub(super) fn new(now: Mono, config: &BrokerConfig) -> Transactor {
        let every_ms = config.transaction_remove_expired_transaction_cleanup_interval_ms;
        Transactor {
            gate: Gate::Loading,
            strays: Vec::new(),
            strays_check: now,
            expiry_check: now.plus_ms(every_ms),
        }
    }
}

impl Broker {
    /// The transactional ids, to read.
    #[must_use]
    pub fn transactions(&self) -> &Transactions {
        &self.state.transactions
    }

    /// Gives a transactional producer its id and epoch.
    ///
    /// # Errors
    /// 42, 50, 14, 90; 51 while an end is being written, also one that this call has begun; 15 for a new id while the
    /// journal is short; -1 see `Standing::initialized`.
    pub fn init_transactions(&mut self, ask: &Init<'_>, now: Now) -> Result<(i64, i16), ErrorCode> {
        ask.check(self.config.transaction_max_timeout_ms)?;
        self.check_transactions()?;
        if self.state.transactions.get(ask.transactional_id).is_none() {
            self.check_room(ask.transactional_id.len())?;
        }
        let fresh = self.fresh_producer_id();
        let version = self.state.features.transaction_version();
        match self.state.transactions.init(ask, version, fresh, now)? {
            Initialized::Ready(standing) => {
                self.step(ask.transactional_id, standing, Vec::new());
                Ok((standing.producer_id, standing.epoch))
            }
            Initialized::Fencing(standing) => {
                self.decide(ask.transactional_id, standing);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        }
    }

    /// Adds partitions to a transaction, and begins it, at the request of a client of that version of transactions.
    ///
    /// # Errors
    /// 42, 14, 49, 90, 51; 15 while the journal is short. Then none is added.
    pub fn add_partitions(
        &mut self,
        claim: &Claim<'_>,
        partitions: &[PartitionId],
        version: i16,
        now: Now,
    ) -> Result<(), ErrorCode> {
        self.check_claim(claim)?;
        let each_bytes = claim.transactional_id.len() + PARTITION_BYTES;
        self.check_room(each_bytes * partitions.len())?;
        let transactions = &mut self.state.transactions;
        let records = transactions.add_partitions(claim, partitions, version, now)?;
        self.commit_in_parts(records);
        Ok(())
    }

    /// Whether a partition is in a transaction.
    ///
    /// # Errors
    /// 42, 14, 49, 90, 51; 120 when it is not.
    pub fn verify_partition(&self, claim: &Claim<'_>, at: PartitionId) -> Result<(), ErrorCode> {
        self.check_claim(claim)?;
        self.state.transactions.verify(claim, at)
    }

    /// Adds a group to a transaction of version 1, and begins it.
    ///
    /// # Errors
    /// 42, 14, 49, 90, 51; 15 while the journal is short.
    pub fn add_group(&mut self, claim: &Claim<'_>, group: &str, now: Now) -> Result<(), ErrorCode> {
        self.check_claim(claim)?;
        self.check_room(claim.transactional_id.len() + group.len())?;
        let records = self.state.transactions.add_group(claim, group, 0, now)?;
        self.commit_in_parts(records);
        Ok(())
    }

    /// Whether a transactional batch may be appended. Where the log has the transaction open that is so, unless its end
    /// is decided; else the partition has to be in the transaction, or joins it.
    ///
    /// # Errors
    /// What the log says where it is not available; 47, 42, 14, 49, 90, 51, 120, 15: `Joining::told_to_writer`
    /// translates them.
    pub fn admit_produce(
        &mut self,
        claim: &Claim<'_>,
        at: PartitionId,
        joining: Joining,
        now: Now,
    ) -> Result<(), ErrorCode> {
        let log = self.storage.log(at).map_err(Unavailable::code)?;
        let known = log.producer(claim.producer_id);
        if known.is_some_and(|known| claim.epoch < known.producer_epoch) {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let is_open = log.has_open_transaction(claim.producer_id, claim.epoch);
        self.check_claim(claim)?;
        if is_open && self.state.transactions.is_ongoing(claim.producer_id) {
            return Ok(());
        }
        if joining == Joining::Added {
            self.check_room(claim.transactional_id.len())?;
        }
        let synced = self.rounds.synced;
        let transactions = &mut self.state.transactions;
        let records = transactions.admit(claim, at, joining, synced, now)?;
        self.commit_in_parts(records);
        Ok(())
    }

    /// Whether offsets of the group may be committed in the transaction (TxnOffsetCommit): the group has to be in it, or
    /// joins it.
    ///
    /// # Errors
    /// 42, 14, 47, 49, 51; 48 or 120 when the group is not in the transaction; 15 while the journal is short.
    pub fn admit_offsets(
        &mut self,
        claim: &Claim<'_>,
        group: &str,
        joining: Joining,
        now: Now,
    ) -> Result<(), ErrorCode> {
        self.check_claim(claim)?;
        self.check_room(claim.transactional_id.len() + group.len())?;
        let transactions = &mut self.state.transactions;
        let records = transactions.admit_group(claim, group, joining, now);
        let records = records.map_err(|error| joining.told(error))?;
        self.commit_in_parts(records);
        Ok(())
    }

    /// Decides the end of a transaction, at the request of a client of that version of transactions. Answers the producer
    /// id and epoch to go on with; version 1 is told neither where it repeats itself.
    ///
    /// # Errors
    /// 42, 14, 49, 90, 51, 48.
    pub fn end_transaction(
        &mut self,
        claim: &Claim<'_>,
        commits: bool,
        version: i16,
        now: Now,
    ) -> Result<(i64, i16), ErrorCode> {
        self.check_claim(claim)?;
        let fresh = self.fresh_producer_id();
        let transactions = &self.state.transactions;
        match transactions.end(claim, commits, version, fresh, now)? {
            Ended::Before(producer_id, epoch) => Ok((producer_id, epoch)),
            Ended::Decided(standing) => {
                self.decide(claim.transactional_id, standing);
                Ok(standing.after_end())
            }
        }
    }

    /// Writes a marker that a client has sent (WriteTxnMarkers). Answers its round.
    ///
    /// # Errors
    /// What the log says.
    pub fn write_marker(
        &mut self,
        at: PartitionId,
        marker: Marker,
        now: Now,
    ) -> Result<u64, Refused> {
        self.storage.end_transaction(at, now, marker)?;
        self.storage.flush(at);
        Ok(self.rounds.gathering)
    }

    /// Journals a decision with what it means for offsets, and forces the logs of the transaction into its round.
    fn decide(&mut self, id: &str, standing: Standing) {
        let Some(txn) = self.state.transactions.get(id) else {
            return;
        };
        for &at in &txn.partitions {
            self.storage.flush(at);
        }
        let commits = standing.state == TxnState::PrepareCommit;
        let groups = &self.state.groups;
        let offsets = offsets::ended(groups, standing.producer_id, &txn.groups, commits);
        self.step(id, standing, offsets);
    }

    /// Journals a step, and what goes with it. A fresh producer id is spent by that.
    fn step(&mut self, id: &str, standing: Standing, offsets: Vec<Record>) {
        let ids = &mut self.state.producer_ids;
        if [standing.producer_id, standing.next_producer_id].contains(&ids.next()) {
            ids.spend();
        }
        let known = self.state.transactions.get(id);
        let id: Arc<str> = known.map_or_else(|| id.into(), |txn| Arc::clone(&txn.id));
        let records = self.state.transactions.decision(&id, standing, offsets);
        self.commit_in_parts(records);
    }

    /// A producer id that nobody has. It stays so until it is journaled.
    fn fresh_producer_id(&mut self) -> i64 {
        loop {
            match self.state.producer_ids.reserve() {
                Ok(id) => return id,
                Err(next) => self.commit(vec![Record::ProducerIds { next }]),
            };
        }
    }

    fn check_claim(&self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        claim.check()?;
        self.check_transactions()
    }

    /// Whether something new of so many bytes may be journaled.
    fn check_room(&mut self, bytes: usize) -> Result<(), ErrorCode> {
        match self.may_grow(bytes) {
            true => Ok(()),
            false => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }
}
