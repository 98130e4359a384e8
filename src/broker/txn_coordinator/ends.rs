//! Ends: markers behind decisions that are durable, some in each turn, and timeouts.

use super::super::txns::Txn;
use super::super::{Broker, Closing};
use crate::clock::{Mono, Now};
use crate::proto::error::ErrorCode;
use crate::storage::{Marker, PartitionId, Refused};
use std::sync::Arc;

/// Markers that are written in a turn: others are served between two parts of a large end.
const MARKERS_A_TURN: usize = 1000;
/// Timeouts that fire in a turn: after an outage all that is open may be due at once.
const TIMEOUTS_A_TURN: usize = 1000;
/// What a marker takes in a log.
const MARKER_BYTES: usize = 78;
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
        self.finish_some(MARKERS_A_TURN, now);
    }

    /// Writes at most so many markers, and answers how many more may be written.
    fn finish_some(&mut self, mut left: usize, now: Now) -> usize {
        if self.is_loading_transactions() || self.closing != Closing::No {
            return left;
        }
        while left > 0
            && let Some(id) = self.state.transactions.take_end(self.rounds.synced)
        {
            left -= self.finish(id, left, now);
        }
        self.advance_gate();
        self.settle_strays(now);
        left
    }

    /// Writes at most so many markers of an end, and answers how many it has tried.
    fn finish(&mut self, id: Arc<str>, most: usize, now: Now) -> usize {
        let txn = self.state.transactions.get(&id);
        let txn = txn.expect("an id is not forgotten before its end is written");
        let marker = marker_of(txn, self.leader_epoch());
        let all_count = txn.partitions.len();
        let part: Vec<PartitionId> = txn.partitions.iter().copied().take(most).collect();
        let mut done = Vec::with_capacity(part.len());
        for &at in &part {
            if self.mark(at, marker, now) == Marked::Done {
                done.push(at);
            }
        }
        let txn = self.state.transactions.get(&id);
        let records = txn.map(|txn| txn.marked(&done, now)).unwrap_or_default();
        // What a cut leaves undone has its marker again: step 4 of the order of durability.
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
            Err(refused) => self.not_marked(at, refused, now),
        };
        self.storage.flush(at);
        marked
    }

    /// A log that has a newer marker, or in version 2 the same and records behind it, needs none; nor does one that is
    /// gone.
    fn not_marked(&mut self, at: PartitionId, mut refused: Refused, now: Now) -> Marked {
        if self.take_failure(&mut refused) {
            return Marked::Later;
        }
        if refused.lacks_space {
            self.note_full_disk(now, at, (MARKER_BYTES, &refused));
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
                    now.mono,
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
        let left = self.finish_some(MARKERS_A_TURN, now);
        if self.check_transactions().is_ok() {
            self.time_out_overdue(now);
            // Ends that were put off and are due again.
            self.finish_some(left, now);
        }
        if self.txn_coordinator.expiry_check <= now.mono {
            let every_ms = self
                .state
                .config
                .transaction_remove_expired_transaction_cleanup_interval_ms;
            self.txn_coordinator.expiry_check = now.mono.plus_ms(every_ms);
            self.expire_transactions(now);
        }
    }

    /// Not before the gate is open, so that a decision is about everything that the transaction has.
    fn time_out_overdue(&mut self, now: Now) {
        let mut left = TIMEOUTS_A_TURN;
        while left > 0
            && let Some(id) = self.state.transactions.overdue(now.mono)
        {
            self.time_out(&id, now);
            left -= 1;
        }
    }

    /// Forgets ids that have been idle for so long, if the clock can be believed.
    fn expire_transactions(&mut self, now: Now) {
        let expiration_ms = self.state.config.transactional_id_expiration_ms;
        if self.steadiness.is_steady_for(expiration_ms) {
            let aged = self.state.transactions.aged(now.wall_ms, expiration_ms);
            // The next check finds what a cut leaves of them.
            self.commit_in_parts(aged);
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
        let is_open = self.check_transactions().is_ok();
        let timers = self.state.transactions.next_deadline();
        let timers = timers.filter(|_| is_open).into_iter();
        timers
            .chain(self.next_look_at_strays())
            .chain([self.txn_coordinator.expiry_check])
            .min()
    }

    /// An open transaction has had its time.
    fn time_out(&mut self, id: &str, now: Now) {
        let fresh = self.fresh_producer_id();
        let version = self.state.features.transaction_version();
        let txn = self.state.transactions.get(id);
        let txn = txn.expect("what is overdue is open");
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
        producer_id: txn.standing.producer.id,
        producer_epoch: txn.standing.producer.epoch,
        coordinator_epoch,
        commits: txn.state().commits(),
        transaction_version: txn.standing.version.level(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::TxnState;
    use super::super::super::tests::{Life, NOW};
    use super::super::super::txns::{Claim, Init};
    use super::*;

    const TIMEOUT_MS: i32 = 1000;

    /// Begins a transaction that touches nothing but a group.
    fn begin(broker: &mut Broker, transactional_id: &str) {
        let ask = Init {
            transactional_id,
            timeout_ms: TIMEOUT_MS,
            believed: None,
        };
        let producer = broker.init_transactions(&ask, NOW).answer;
        let claim = Claim {
            transactional_id,
            producer: producer.expect("initialized"),
        };
        let begun = broker.add_group(&claim, "group", NOW).answer;
        begun.expect("begun");
    }

    fn open_count(broker: &Broker) -> usize {
        let transactions = broker.transactions().iter();
        transactions
            .filter(|txn| txn.state() == TxnState::Ongoing)
            .count()
    }

    #[test]
    fn timeouts_that_are_due_at_once_are_spread_over_turns() {
        let mut broker = Life::new().broker;
        for number in 0..=TIMEOUTS_A_TURN {
            begin(&mut broker, &format!("id-{number}"));
        }
        let due = Now {
            mono: NOW.mono.plus_ms(TIMEOUT_MS.into()),
            ..NOW
        };
        broker.tick(due);
        assert_eq!(open_count(&broker), 1);
        assert!(broker.next_deadline().is_some_and(|at| at <= due.mono));
        broker.tick(due);
        assert_eq!(open_count(&broker), 0);
    }
}
