//! The gate: after a start no transaction goes on before logs and journal agree about what is open.
//!
//! 1. Every log is loaded. What is open in them is noted.
//! 2. Every decided end is carried on. One that cannot be written now (a full disk, a damaged log) keeps nobody else.
//! 3. What is open in a log and unknown to its transactional id is adopted, or aborted. Then the gate opens.
//!
//! Until then the answer is 14, and readers of committed records are kept back by what is open in the logs.

use super::super::Broker;
use super::super::facts::{Producer, TxnVersion};
use super::super::txns::{Adoption, Stray, Txn};
use super::super::wait::{Key, Signal};
use super::ends::{Marked, RETRY_MS};
use super::fate_of_offsets;
use crate::clock::{Mono, Now};
use crate::proto::error::ErrorCode;
use crate::storage::{Log, Marker};

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
        match self.txn_coordinator.gate {
            Gate::Open => Ok(()),
            _ => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        }
    }

    /// After the replay: timers begin anew, and what a decision means for offsets is carried on where it was cut off.
    pub(in crate::broker) fn resume_transactions(&mut self, now: Now) {
        self.state.transactions.resume(now);
        let is_cut_off = |txn: &&Txn| txn.state().is_prepared() && !txn.groups.is_empty();
        let cut_off = self.state.transactions.iter().filter(is_cut_off);
        let fate = |txn: &Txn| fate_of_offsets(&self.state.groups, txn, txn.state());
        let fates: Vec<_> = cut_off.map(fate).collect();
        for records in fates {
            // What a second cut leaves of this list comes out again.
            self.commit_in_parts(records);
        }
    }

    pub(super) fn is_loading_transactions(&self) -> bool {
        self.txn_coordinator.gate == Gate::Loading
    }

    /// When every log is loaded, what is open in them is noted, and ends may be written.
    pub(in crate::broker) fn leave_loading(&mut self) {
        if !self.is_loading_transactions() || self.storage.loading() > 0 {
            return;
        }
        self.txn_coordinator.gate = Gate::Finishing;
        self.txn_coordinator.strays = self.storage.logs().flat_map(open_in).collect();
    }

    /// When every decided end has been carried on as far as it can be, transactions go on.
    pub(super) fn advance_gate(&mut self) {
        if self.state.transactions.has_end(self.rounds.synced) {
            return;
        }
        if std::mem::replace(&mut self.txn_coordinator.gate, Gate::Open) != Gate::Open {
            self.signals.push(Signal {
                key: Key::Transactions,
                bytes: usize::MAX,
            });
        }
    }

    /// Behind the gate, in the turn in which it opens, what is open in logs finds its transactional id. What cannot be
    /// settled now is looked at again later.
    pub(super) fn settle_strays(&mut self, now: Now) {
        let is_due = self.next_look_at_strays().is_some_and(|at| at <= now.mono);
        if self.txn_coordinator.gate != Gate::Open || !is_due {
            return;
        }
        self.txn_coordinator.strays_check = now.mono.plus_ms(RETRY_MS);
        for stray in std::mem::take(&mut self.txn_coordinator.strays) {
            self.settle_stray(stray, now);
        }
    }

    pub(super) fn next_look_at_strays(&self) -> Option<Mono> {
        let at = self.txn_coordinator.strays_check;
        (!self.txn_coordinator.strays.is_empty()).then_some(at)
    }

    fn settle_stray(&mut self, stray: Stray, now: Now) {
        let Ok(log) = self.storage.log(stray.at) else {
            return;
        };
        if !log.has_open_transaction(stray.producer.id, stray.producer.epoch) {
            return;
        }
        match self.state.transactions.adopt(&stray, now) {
            Adoption::Adopted(id, records) => self.joined(&id, records, now),
            Adoption::Later => self.txn_coordinator.strays.push(stray),
            Adoption::Orphan => self.abort_orphan(stray, now),
        }
    }

    /// Aborts what nobody can end any more.
    fn abort_orphan(&mut self, stray: Stray, now: Now) {
        let (place, producer_id) = (self.place(stray.at), stray.producer.id);
        self.complain(
            now.mono,
            format_args!(
                "producer {producer_id} has a transaction open in {place}, which belongs to no transactional id: \
                 it is aborted"
            ),
        );
        let marker = Marker {
            producer_id,
            producer_epoch: stray.producer.epoch,
            coordinator_epoch: self.leader_epoch(),
            commits: false,
            transaction_version: TxnVersion::V1.level(),
        };
        if self.mark(stray.at, marker, now) == Marked::Later {
            self.txn_coordinator.strays.push(stray);
        }
    }

    /// What must hold between turns.
    pub(in crate::broker) fn check_transaction_invariants(&self) {
        self.state.transactions.check_invariants();
        if self.txn_coordinator.gate != Gate::Open {
            return;
        }
        for open in self.storage.logs().flat_map(open_in) {
            let txn = self.state.transactions.of_producer(open.producer.id);
            let is_known = txn.is_some_and(|txn| txn.partitions.contains(&open.at));
            let is_stray = self.txn_coordinator.strays.contains(&open);
            assert!(is_known || is_stray, "{open:?} is in its transaction");
        }
    }
}

/// What is open in a log.
fn open_in(log: &Log) -> impl Iterator<Item = Stray> {
    let at = log.id();
    log.open_transactions().map(move |open| Stray {
        at,
        producer: Producer {
            id: open.producer_id,
            epoch: open.producer_epoch,
        },
    })
}
