//! The gate: after a start no transaction goes on before logs and journal agree about what is open.
//!
//! 1. Every log is loaded. What is open in them is noted.
//! 2. Every decided end is carried on. One that cannot be written now (a full disk, a damaged log) keeps nobody else.
//! 3. What is open in a log and unknown to its transactional id is adopted, or aborted. Then the gate opens.
//!
//! Until then the answer is 14, and readers of committed records are kept back by what is open in the logs.

use super::super::Broker;
use super::super::facts::TxnState;
use super::super::groups::offsets;
use super::super::txns::{Adoption, Stray, Txn};
use super::ends::{Marked, RETRY_MS};
use crate::clock::{Mono, Now};
use crate::proto::error::ErrorCode;
use crate::storage::{Log, Marker};
use std::sync::Arc;

/// Whether transactions may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Not before every log is loaded.
    Loading,
    /// Not before every decided end has been carried on.
    Finishing,
    /// They may.
    Open,
}

impl Broker {
    /// Whether transactions may go on: after a start, not at once.
    ///
    /// # Errors
    /// 14 until then.
    pub fn check_transactions(&self) -> Result<(), ErrorCode> {
        match self.transactor.gate {
            Gate::Open => Ok(()),
            _ => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        }
    }

    /// After the replay: timers begin anew, and what a decision means for offsets is carried on where it was cut off.
    pub(in crate::broker) fn resume_transactions(&mut self, now: Now) {
        self.state.transactions.resume(now);
        let is_cut_off = |txn: &&Txn| txn.state().is_prepared() && !txn.groups.is_empty();
        let cut_off = self.state.transactions.iter().filter(is_cut_off);
        let ids: Vec<Arc<str>> = cut_off.map(|txn| Arc::clone(&txn.id)).collect();
        for id in ids {
            let Some(txn) = self.state.transactions.get(&id) else {
                continue;
            };
            let commits = txn.state() == TxnState::PrepareCommit;
            let (groups, producer_id) = (&self.state.groups, txn.standing.producer_id);
            let mut records = offsets::ended(groups, producer_id, &txn.groups, commits);
            records.extend(self.state.transactions.groups_done(&id));
            self.commit_in_parts(records);
        }
    }

    pub(super) fn is_loading_transactions(&self) -> bool {
        self.transactor.gate == Gate::Loading
    }

    /// When every log is loaded, what is open in them is noted, and ends may be written.
    pub(in crate::broker) fn leave_loading(&mut self) {
        if !self.is_loading_transactions() || self.storage.loading() > 0 {
            return;
        }
        self.transactor.gate = Gate::Finishing;
        self.transactor.strays = self.storage.logs().flat_map(open_in).collect();
    }

    /// When every decided end has been carried on as far as it can be, what is open in logs finds its transactional id,
    /// and transactions go on. What cannot be settled now is looked at again later.
    pub(super) fn open_gate(&mut self, now: Now) {
        if self.state.transactions.has_end(self.rounds.synced) {
            return;
        }
        self.transactor.gate = Gate::Open;
        if self.next_look_at_strays().is_none_or(|at| at > now.mono) {
            return;
        }
        self.transactor.strays_check = now.mono.plus_ms(RETRY_MS);
        for stray in std::mem::take(&mut self.transactor.strays) {
            self.settle_stray(stray, now);
        }
    }

    pub(super) fn next_look_at_strays(&self) -> Option<Mono> {
        let at = self.transactor.strays_check;
        (!self.transactor.strays.is_empty()).then_some(at)
    }

    fn settle_stray(&mut self, stray: Stray, now: Now) {
        let Ok(log) = self.storage.log(stray.at) else {
            return;
        };
        if !log.has_open_transaction(stray.producer_id, stray.epoch) {
            return;
        }
        match self.state.transactions.adopt(&stray, now) {
            Adoption::Adopted(records) => {
                self.commit_in_parts(records);
            }
            Adoption::Later => self.transactor.strays.push(stray),
            Adoption::Orphan => self.abort_orphan(stray, now),
        }
    }

    /// Aborts what nobody can end any more.
    fn abort_orphan(&mut self, stray: Stray, now: Now) {
        let (place, producer_id) = (self.place(stray.at), stray.producer_id);
        self.complain(
            now.mono,
            format_args!(
                "producer {producer_id} has a transaction open in {place}, which belongs to no transactional id: \
                 it is aborted"
            ),
        );
        let marker = Marker {
            producer_id: stray.producer_id,
            producer_epoch: stray.epoch,
            coordinator_epoch: self.leader_epoch(),
            commits: false,
            transaction_version: 0,
        };
        if self.mark(stray.at, marker, now) == Marked::Later {
            self.transactor.strays.push(stray);
        }
    }

    /// What must hold between turns.
    pub(in crate::broker) fn check_transaction_invariants(&self) {
        self.state.transactions.check_invariants();
        if self.transactor.gate != Gate::Open {
            return;
        }
        for open in self.storage.logs().flat_map(open_in) {
            let txn = self.state.transactions.of_producer(open.producer_id);
            let is_known = txn.is_some_and(|txn| txn.partitions.contains(&open.at));
            let is_stray = self.transactor.strays.contains(&open);
            assert!(is_known || is_stray, "{open:?} is in its transaction");
        }
    }
}

/// What is open in a log.
fn open_in(log: &Log) -> impl Iterator<Item = Stray> {
    let at = log.id();
    log.open_transactions().map(move |open| Stray {
        at,
        producer_id: open.producer_id,
        epoch: open.producer_epoch,
    })
}
