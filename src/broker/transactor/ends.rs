//! Ends: markers behind decisions that are durable, some in each turn, and timeouts.

use super::super::coordinator::STEADY_MS;
use super::super::facts::TxnState;
use super::super::txns::Txn;
use super::super::{Broker, Closing};
use crate::clock::{Mono, Now};
use crate::proto::error::ErrorCode;
use crate::storage::{Marker, PartitionId, Refused};
use std::sync::Arc;

/// Markers that are written in a turn: others are served between two parts of a large end.
const MARKERS_A_TURN: usize = 1000;
/// When what could not be written is tried again.
pub(super) const RETRY_MS: i64 = 500;

/// What became of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// The log has it, or there is no log any more.
    Done,
    /// The log cannot take it now.
    Later,
}

impl Broker {
    /// Writes the ends that are durably decided, as many markers as fit into a turn. Behind a clean stop's last
    /// checkpoints nothing may follow: the next start goes on.
    pub(in crate::broker) fn finish_transactions(&mut self, now: Now) {
        if self.is_loading_transactions() || self.closing != Closing::No {
            return;
        }
        let mut left = MARKERS_A_TURN;
        while left > 0
            && let Some(id) = self.state.transactions.take_end(self.rounds.synced)
        {
            left -= self.finish(id, left, now);
        }
        self.open_gate(now);
    }

    /// Writes at most so many markers of an end, and answers how many it has tried.
    fn finish(&mut self, id: Arc<str>, most: usize, now: Now) -> usize {
        let Some(txn) = self.state.transactions.get(&id) else {
            return 0;
        };
        let marker = marker_of(txn, self.leader_epoch());
        let all_count = txn.partitions.len();
        let part: Vec<PartitionId> = txn.partitions.iter().copied().take(most).collect();
        let mut done = Vec::with_capacity(part.len());
        for &at in &part {
            if self.mark(at, marker, now) == Marked::Done {
                done.push(at);
            }
        }
        let records = self.state.transactions.marked(&id, &done, now);
        self.commit_in_parts(records);
        if done.len() < part.len() {
            let until = now.mono.plus_ms(RETRY_MS);
            self.state.transactions.put_off(id, until);
        } else if done.len() < all_count {
            self.state.transactions.go_on(id);
        }
        part.len()
    }

    /// Writes one marker of ours, and forces it into the round that will say so.
    pub(super) fn mark(&mut self, at: PartitionId, mut marker: Marker, now: Now) -> Marked {
        if let Ok(log) = self.storage.log(at)
            && let Some(known) = log.producer(marker.producer_id)
        {
            let is_safe = |first| first < log.synced();
            assert!(
                known.transaction_start.is_none_or(is_safe),
                "a decision is never safer than what it decides about"
            );
            // Somebody may have written a marker by hand, under a coordinator epoch of any size.
            marker.coordinator_epoch = marker.coordinator_epoch.max(known.coordinator_epoch);
        }
        let marked = match self.storage.end_transaction(at, now, marker) {
            Ok(_) => Marked::Done,
            Err(refused) => self.not_marked(at, refused, now.mono),
        };
        self.storage.flush(at);
        marked
    }

    /// A log that has a newer marker, or in version 2 the same and records behind it, needs none; nor does one that is
    /// gone.
    fn not_marked(&mut self, at: PartitionId, refused: Refused, now: Mono) -> Marked {
        if let Some(failure) = refused.failure {
            self.fail(failure);
            return Marked::Later;
        }
        match refused.code {
            ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                Marked::Done
            }
            code => {
                let place = self.place(at);
                let why = code.name().unwrap_or_default();
                self.complain(
                    now,
                    format_args!(
                        "the end of a transaction cannot be written into {place} yet: {why}"
                    ),
                );
                Marked::Later
            }
        }
    }

    /// Fires what is due, and goes on with ends that were too large for a turn.
    pub(in crate::broker) fn tick_transactions(&mut self, now: Now) {
        self.leave_loading();
        while let Some(id) = self.state.transactions.overdue(now.mono) {
            self.time_out(&id, now);
        }
        self.finish_transactions(now);
        if self.transactor.expiry_check <= now.mono {
            let every_ms = self
                .config
                .transaction_remove_expired_transaction_cleanup_interval_ms;
            self.transactor.expiry_check = now.mono.plus_ms(every_ms);
            self.expire_transactions(now);
        }
    }

    /// Forgets ids that have been idle for so long, if the clock can be believed.
    fn expire_transactions(&mut self, now: Now) {
        let expiration_ms = self.config.transactional_id_expiration_ms;
        if self.steadiness.look(now) >= expiration_ms.min(STEADY_MS) {
            let idle = self.state.transactions.idle(now.wall_ms, expiration_ms);
            self.commit_in_parts(idle);
        }
    }

    /// When `tick_transactions` is wanted next.
    pub(in crate::broker) fn next_transaction_deadline(&self) -> Option<Mono> {
        if self.closing != Closing::No {
            return None;
        }
        let synced = self.rounds.synced;
        if !self.is_loading_transactions() && self.state.transactions.has_end(synced) {
            return Some(Mono(0));
        }
        let timers = self.state.transactions.next_deadline().into_iter();
        timers
            .chain(self.next_look_at_strays())
            .chain([self.transactor.expiry_check])
            .min()
    }

    /// An open transaction has had its time.
    fn time_out(&mut self, id: &str, now: Now) {
        let fresh = self.fresh_producer_id();
        let version = self.state.features.transaction_version();
        let Some(txn) = self.state.transactions.get(id) else {
            return;
        };
        let timeout_ms = txn.standing.timeout_ms;
        let standing = txn.standing.fenced(version, fresh, now.wall_ms);
        self.decide(id, standing);
        self.complain(
            now.mono,
            format_args!(
                "a transaction of {id:?} was open for its timeout of {timeout_ms} ms and is aborted"
            ),
        );
    }
}

/// The marker that ends a transaction.
fn marker_of(txn: &Txn, coordinator_epoch: i32) -> Marker {
    Marker {
        producer_id: txn.standing.producer_id,
        producer_epoch: txn.standing.epoch,
        coordinator_epoch,
        commits: txn.state() == TxnState::PrepareCommit,
        transaction_version: txn.standing.version,
    }
}
