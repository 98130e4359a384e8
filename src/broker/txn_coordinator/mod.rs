//! What the broker does for transactions: asks `txns`, journals at once what it decides, and writes ends into logs.
//!
//! The order of durability is in the head of `txns`. Its parts here: a decision forces the logs of its partitions into
//! its round (`decide`); markers are appended when that round is durable (`ends`); and after a start nothing goes on
//! before logs and journal agree (`gate`).
//!
//! An answer waits for the newest record of its transactional id, errors too: what it was judged by may not be durable
//! yet. `Told` holds both together.

mod ends;
mod gate;
#[cfg(test)]
mod tests;

use super::Broker;
use super::facts::{Producer, Standing, TxnFact, TxnState, TxnVersion};
use super::groups::{Groups, offsets};
use super::record::Record;
use super::txns::{Claim, Ended, Init, Initialized, Stray, Transactions, Txn};
use crate::clock::{Mono, Now};
use crate::config::BrokerConfig;
use crate::proto::error::ErrorCode;
use crate::storage::{Appended, Log, Marker, PartitionId, Refused, Unavailable};
use gate::Gate;

/// What a client is told, and when.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Told<T, E = ErrorCode> {
    /// The answer, in the newest version's codes.
    pub answer: Result<T, E>,
    /// It may leave when this round is durable.
    pub round: u64,
}

/// What the broker keeps beside the transactions themselves. It is transient.
#[derive(Debug)]
pub(super) struct TxnCoordinator {
    gate: Gate,
    /// Transactions that are open in logs, whose transactional id has to be found.
    strays: Vec<Stray>,
    /// When strays are looked at again.
    strays_check: Mono,
    /// When transactional ids that have been idle for too long are looked for again.
    expiry_check: Mono,
}

impl TxnCoordinator {
    /// That of a broker that has just started.
    pub(super) fn new(now: Mono, config: &BrokerConfig) -> TxnCoordinator {
        let every_ms = config.transaction_remove_expired_transaction_cleanup_interval_ms;
        TxnCoordinator {
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
    /// Errors: 42, 50, 14, 90; 51 while an end is being written, also one that this call has begun; 15 for a new id
    /// while the journal is short; -1 see `Standing::initialized`.
    pub fn init_transactions(&mut self, ask: &Init<'_>, now: Now) -> Told<Producer> {
        self.tell(ask.transactional_id, |broker| {
            ask.check(broker.state.config.transaction_max_timeout_ms)?;
            broker.check_transactions()?;
            let fresh = broker.fresh_producer_id();
            let version = broker.state.features.transaction_version();
            match broker.state.transactions.init(ask, version, fresh, now)? {
                Initialized::Ready(standing) => {
                    broker.settle(ask.transactional_id, standing)?;
                    Ok(standing.producer)
                }
                Initialized::Fencing(standing) => {
                    broker.complain(
                        now.mono,
                        format_args!(
                            "the open transaction of {:?} is aborted: a new producer has taken the id",
                            ask.transactional_id
                        ),
                    );
                    broker.decide(ask.transactional_id, standing);
                    Err(ErrorCode::CONCURRENT_TRANSACTIONS)
                }
            }
        })
    }

    /// Adds partitions to a transaction, and begins it, at the request of a client of that version.
    ///
    /// Errors: 42, 14, 49, 90, 51; 15 while the journal is short. Then none is added.
    pub fn add_partitions(
        &mut self,
        claim: &Claim<'_>,
        partitions: &[PartitionId],
        version: TxnVersion,
        now: Now,
    ) -> Told<()> {
        self.tell(claim.transactional_id, |broker| {
            broker.check_claim(claim)?;
            let transactions = &broker.state.transactions;
            let records = transactions.add_partitions(claim, partitions, version, now)?;
            broker.join(claim.transactional_id, records, now)
        })
    }

    /// Whether a partition is in a transaction.
    ///
    /// Errors: 42, 14, 49, 90, 51; 120 when it is not.
    pub fn verify_partition(&mut self, claim: &Claim<'_>, at: PartitionId) -> Told<()> {
        self.tell(claim.transactional_id, |broker| {
            broker.check_claim(claim)?;
            broker.state.transactions.verify(claim, at)
        })
    }

    /// Adds a group to a transaction of version 1, and begins it.
    ///
    /// Errors: 42, 14, 49, 90, 51; 15 while the journal is short.
    pub fn add_group(&mut self, claim: &Claim<'_>, group: &str, now: Now) -> Told<()> {
        self.tell(claim.transactional_id, |broker| {
            broker.check_claim(claim)?;
            let transactions = &broker.state.transactions;
            let records = transactions.add_group(claim, group, TxnVersion::V1, now)?;
            broker.join(claim.transactional_id, records, now)
        })
    }

    /// Whether a transactional batch may be appended. Where the log has the transaction open that is so, unless its end
    /// is decided; else the partition has to be in the transaction, or joins it. Where the log has an older transaction
    /// of the producer open, which a start has found there and could not end yet, nothing follows it (51).
    ///
    /// Errors: what the log says where it is not available; 47, 42, 14, 49, 90, 51; 120 when the partition is not in
    /// the transaction; 15 while the journal is short.
    pub fn admit_produce(
        &mut self,
        claim: &Claim<'_>,
        at: PartitionId,
        version: TxnVersion,
        now: Now,
    ) -> Told<()> {
        self.tell(claim.transactional_id, |broker| {
            let log = broker.storage.log(at).map_err(Unavailable::code)?;
            let Producer { id, epoch } = claim.producer;
            let known = log.producer(id);
            if known.is_some_and(|known| epoch < known.producer_epoch) {
                return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
            }
            broker.check_claim(claim)?;
            let transactions = &broker.state.transactions;
            let open = known.filter(|known| known.transaction_start.is_some());
            let is_open = open.is_some_and(|open| open.producer_epoch == epoch);
            if is_open && transactions.is_ongoing(claim.producer) {
                return Ok(());
            }
            let records = transactions.admit(claim, at, version, broker.rounds.synced, now)?;
            if open.is_some() && !is_open {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            broker.join(claim.transactional_id, records, now)
        })
    }

    /// Whether offsets of the group may be committed in the transaction (TxnOffsetCommit): the group has to be in it,
    /// or joins it.
    ///
    /// Errors: 42, 14, 49, 90, 51; 120 when the group is not in the transaction; 15 while the journal is short.
    pub fn admit_offsets(
        &mut self,
        claim: &Claim<'_>,
        group: &str,
        version: TxnVersion,
        now: Now,
    ) -> Told<()> {
        self.tell(claim.transactional_id, |broker| {
            broker.check_claim(claim)?;
            let transactions = &broker.state.transactions;
            let records = transactions.admit_group(claim, group, version, now)?;
            broker.join(claim.transactional_id, records, now)
        })
    }

    /// Decides the end of a transaction, at the request of a client of that version. Answers as whom the producer goes
    /// on.
    ///
    /// Errors: 42, 14, 49, 90, 51, 48.
    pub fn end_transaction(
        &mut self,
        claim: &Claim<'_>,
        commits: bool,
        version: TxnVersion,
        now: Now,
    ) -> Told<Producer> {
        self.tell(claim.transactional_id, |broker| {
            broker.check_claim(claim)?;
            let fresh = broker.fresh_producer_id();
            let transactions = &broker.state.transactions;
            match transactions.end(claim, commits, version, fresh, now)? {
                Ended::Before(producer) => Ok(producer),
                Ended::Decided(standing) => {
                    broker.decide(claim.transactional_id, standing);
                    Ok(standing.after_end())
                }
            }
        })
    }

    /// Writes a marker that a client has sent (WriteTxnMarkers), and what the log says. A refusal is judged by all that
    /// is there.
    pub fn write_marker(
        &mut self,
        at: PartitionId,
        marker: Marker,
        now: Now,
    ) -> Told<Appended, Refused> {
        let mut answer = self.storage.end_transaction(at, now, marker);
        let round = match &mut answer {
            Ok(_) => {
                self.storage.flush(at);
                self.rounds.gathering
            }
            Err(refused) => {
                self.take_failure(refused);
                self.storage.log(at).map_or(0, Log::round_of_unsynced)
            }
        };
        Told { answer, round }
    }

    /// What is asked about a transactional id, and the round of what that was judged by.
    fn tell<T>(
        &mut self,
        transactional_id: &str,
        ask: impl FnOnce(&mut Broker) -> Result<T, ErrorCode>,
    ) -> Told<T> {
        let answer = ask(self);
        let round = self.state.transactions.round_of(transactional_id);
        Told { answer, round }
    }

    /// Journals where an id without a transaction stands; a new one only where there is room for it.
    fn settle(&mut self, id: &str, standing: Standing) -> Result<(), ErrorCode> {
        let fact = TxnFact::Stands(standing);
        let records = match self.state.transactions.get(id) {
            Some(txn) => vec![txn.record(fact)],
            None => {
                let records = vec![Record::Transaction {
                    id: id.into(),
                    fact,
                }];
                self.check_space(&records)?;
                records
            }
        };
        self.commit(records);
        Ok(())
    }

    /// Journals what joins a transaction, where there is room for it.
    fn join(&mut self, id: &str, records: Vec<Record>, now: Now) -> Result<(), ErrorCode> {
        self.check_space(&records)?;
        self.joined(id, records, now);
        Ok(())
    }

    /// Journals what joins a transaction, whose clock runs from then on. Where a cut leaves a beginning of it, whoever
    /// was not answered asks again, or the timeout ends what has begun.
    fn joined(&mut self, id: &str, records: Vec<Record>, now: Now) {
        if !records.is_empty() {
            self.commit_in_parts(records);
            self.state.transactions.wind(id, now);
        }
    }

    /// Journals a decision with what it means for offsets. The decision is the first, so that no part of the list is
    /// without it, and a start finishes what a cut leaves.
    fn decide(&mut self, id: &str, standing: Standing) {
        let txn = self.state.transactions.get(id);
        let txn = txn.expect("only what has begun can end");
        let mut records = vec![txn.record(TxnFact::Stands(standing))];
        records.extend(fate_of_offsets(&self.state.groups, txn, standing.state));
        self.commit_in_parts(records);
    }

    fn check_claim(&self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        claim.check()?;
        self.check_transactions()
    }

    /// Whether these records, if there are any, may be journaled as something new.
    fn check_space(&mut self, records: &[Record]) -> Result<(), ErrorCode> {
        let bytes = records.iter().map(|record| record.encode().bytes()).sum();
        match records.is_empty() || self.may_grow(bytes) {
            true => Ok(()),
            false => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }
}

/// What a decided end means for the offsets that the transaction has brought, and that its groups are done with.
fn fate_of_offsets(groups: &Groups, txn: &Txn, decided: TxnState) -> Vec<Record> {
    let producer_id = txn.standing.producer.id;
    let mut records = offsets::ended(groups, producer_id, &txn.groups, decided.commits());
    records.extend(txn.groups_done());
    records
}
