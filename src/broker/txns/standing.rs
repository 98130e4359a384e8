//! Where a transactional id stands: what the journal keeps of it, and the steps from one standing to the next.
//!
//! A step is a pure function; who may take it when is decided elsewhere in this room. The arithmetic of ids and epochs
//! is that of Kafka 4.3 (`TransactionMetadata`), step by step:
//!
//! | step | producer id | epoch | last epoch |
//! |---|---|---|---|
//! | InitProducerId | stays | + 1 | none, or the one that the producer has named |
//! | InitProducerId, epochs used up | a fresh one | 0 | the same |
//! | the first partition or group | stays | stays | stays |
//! | end, version 1 | stays | stays | stays |
//! | end, version 2 | stays | + 1 | the one before |
//! | fence, version 1 | stays | + 1 | none |
//! | markers written | the next one if there is one | then 0 | stays |
//!
//! The last epoch but one is the highest that a client is given, so that there is always one left to fence it with.

use crate::broker::facts::{Standing, TxnState};
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::proto::error::ErrorCode;

/// From this version of transactions on, every end moves the epoch (KIP-890).
pub const BUMPING_VERSION: i16 = 2;
/// Stands for a time that is not set.
const NO_TIME: i64 = -1;
/// The highest epoch that a client is given.
const LAST_EPOCH: i16 = i16::MAX - 1;

impl Standing {
    /// Of an id that is heard of for the first time. It is not journaled before its first step.
    pub(super) fn unborn(producer_id: i64) -> Standing {
        Standing {
            producer_id,
            epoch: NO_PRODUCER_EPOCH,
            previous_producer_id: NO_PRODUCER_ID,
            last_epoch: NO_PRODUCER_EPOCH,
            next_producer_id: NO_PRODUCER_ID,
            timeout_ms: 0,
            state: TxnState::Empty,
            version: 0,
            started_ms: NO_TIME,
            updated_ms: 0,
        }
    }

    /// Whether no epoch is left that a client might be given.
    pub(super) fn is_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    /// The producer is initialized; `believed` is the epoch that it says it has. One that has missed the answer to
    /// the last such step gets the same again.
    ///
    /// # Errors
    /// 90 when it has another epoch. -1 when no epoch is left, as in Kafka: then only a producer without an epoch, or with
    /// the last one, gets on.
    pub(super) fn initialized(
        self,
        timeout_ms: i32,
        believed: Option<i16>,
        wall_ms: i64,
    ) -> Result<Standing, ErrorCode> {
        if self.is_exhausted() {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        let next = self.epoch + 1;
        let (epoch, last_epoch) = match believed {
            None => (next, NO_PRODUCER_EPOCH),
            Some(_) if self.epoch == NO_PRODUCER_EPOCH => (next, NO_PRODUCER_EPOCH),
            Some(epoch) if epoch == self.epoch => (next, epoch),
            Some(epoch) if epoch == self.last_epoch => (self.epoch, epoch),
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        };
        Ok(Standing {
            epoch,
            last_epoch,
            timeout_ms,
            started_ms: NO_TIME,
            ..self.step(TxnState::Empty, wall_ms)
        })
    }

    /// The producer is initialized under a new id, because the epochs of the old one are used up.
    pub(super) fn rotated(
        self,
        producer_id: i64,
        timeout_ms: i32,
        believed: Option<i16>,
        wall_ms: i64,
    ) -> Standing {
        Standing {
            producer_id,
            epoch: 0,
            last_epoch: believed.map_or(NO_PRODUCER_EPOCH, |_| self.epoch),
            timeout_ms,
            started_ms: NO_TIME,
            ..self.step(TxnState::Empty, wall_ms)
        }
    }

    /// A transaction begins.
    pub(super) fn begun(self, version: i16, wall_ms: i64) -> Standing {
        Standing {
            version,
            started_ms: wall_ms,
            ..self.step(TxnState::Ongoing, wall_ms)
        }
    }

    /// The end of the transaction is decided. Version 2 may abort where there is none. `fresh_id` is taken where this end
    /// uses up the epochs.
    pub(super) fn prepared(
        self,
        commits: bool,
        version: i16,
        fresh_id: i64,
        wall_ms: i64,
    ) -> Standing {
        let state = match commits {
            true => TxnState::PrepareCommit,
            false => TxnState::PrepareAbort,
        };
        let started_ms = match self.state {
            TxnState::Ongoing => self.started_ms,
            _ => wall_ms,
        };
        let prepared = Standing {
            version,
            started_ms,
            next_producer_id: NO_PRODUCER_ID,
            ..self.step(state, wall_ms)
        };
        if version < BUMPING_VERSION {
            return prepared;
        }
        Standing {
            epoch: self.epoch.saturating_add(1),
            last_epoch: self.epoch,
            next_producer_id: match self.is_exhausted() {
                true => fresh_id,
                false => NO_PRODUCER_ID,
            },
            ..prepared
        }
    }

    /// The open transaction is aborted and its producer shut out, which it has not asked for: `version` is the one that
    /// the broker has finalized. Version 1 forgets the epoch, so that the producer cannot come back with it.
    pub(in crate::broker) fn fenced(self, version: i16, fresh_id: i64, wall_ms: i64) -> Standing {
        if version >= BUMPING_VERSION {
            return self.prepared(false, version, fresh_id, wall_ms);
        }
        let shut_out = Standing {
            epoch: self.epoch.saturating_add(1),
            last_epoch: NO_PRODUCER_EPOCH,
            ..self
        };
        shut_out.prepared(false, 0, fresh_id, wall_ms)
    }

    /// Every marker of the prepared end is written.
    pub(in crate::broker) fn completed(self, wall_ms: i64) -> Standing {
        let state = match self.state {
            TxnState::PrepareCommit => TxnState::CompleteCommit,
            _ => TxnState::CompleteAbort,
        };
        let (producer_id, epoch) = self.after_end();
        Standing {
            producer_id,
            epoch,
            next_producer_id: NO_PRODUCER_ID,
            ..self.step(state, wall_ms)
        }
    }

    /// Producer id and epoch with which the producer goes on after the prepared end.
    #[must_use]
    pub fn after_end(&self) -> (i64, i16) {
        match self.next_producer_id {
            NO_PRODUCER_ID => (self.producer_id, self.epoch),
            next => (next, 0),
        }
    }

    fn step(self, state: TxnState, wall_ms: i64) -> Standing {
        Standing {
            state,
            previous_producer_id: self.producer_id,
            updated_ms: wall_ms,
            ..self
        }
    }
}

/// Whether no epoch is left behind this one that a client might be given.
pub(super) fn is_exhausted(epoch: i16) -> bool {
    epoch >= LAST_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_never_overflow_whatever_step_is_taken() {
        let at_the_top = Standing {
            epoch: i16::MAX,
            state: TxnState::Ongoing,
            ..Standing::unborn(7)
        };
        assert_eq!(at_the_top.prepared(true, 2, 8, 0).epoch, i16::MAX);
        assert_eq!(at_the_top.fenced(0, 8, 0).epoch, i16::MAX);
        assert_eq!(at_the_top.fenced(2, 8, 0).completed(0).epoch, 0);
        let refused = at_the_top.initialized(1, None, 0);
        assert_eq!(refused, Err(ErrorCode::UNKNOWN_SERVER_ERROR));
    }
}
