//! Where a transactional id stands: what the journal keeps of it, and the steps from one standing to the next.
//!
//! A step is a pure function; who may take it when is decided elsewhere in this room. The arithmetic of ids and epochs
//! is that of Kafka 4.3 (`TransactionMetadata`), step by step:
//!
//! | step | producer id | epoch | last epoch |
//! |---|---|---|---|
//! | InitProducerId | stays | + 1 | none, or the one that the producer has named |
//! | InitProducerId again, with the last epoch | stays | stays | stays |
//! | InitProducerId, epochs used up | a fresh one | 0 | none, or the one that the producer has named |
//! | the first partition or group | stays | stays | stays |
//! | end, version 1 | stays | stays | stays |
//! | end, version 2 | stays | + 1 | the one before |
//! | fence, version 1 | stays | + 1 | none |
//! | fence, version 2 | stays | + 1 | the one before |
//! | markers written | the next one if there is one | then 0 | stays |
//!
//! The last epoch but one is the highest that a client is given, so that there is always one left to fence it with.

use crate::broker::facts::{Producer, Standing, TxnState, TxnVersion};
use crate::proto::batch::NO_PRODUCER_EPOCH;
use crate::proto::error::ErrorCode;

/// The highest epoch that a client is given.
const LAST_EPOCH: i16 = i16::MAX - 1;

impl Standing {
    /// Of an id that is heard of for the first time. It is not journaled before its first step.
    pub(super) fn unborn(producer_id: i64) -> Standing {
        Standing {
            producer: Producer {
                id: producer_id,
                epoch: NO_PRODUCER_EPOCH,
            },
            previous_producer_id: None,
            last_epoch: None,
            next_producer_id: None,
            timeout_ms: 0,
            state: TxnState::Empty,
            version: TxnVersion::V1,
            started_ms: None,
            updated_ms: 0,
        }
    }

    /// Whether no producer has been initialized yet.
    pub(super) fn is_unborn(&self) -> bool {
        self.producer.epoch == NO_PRODUCER_EPOCH
    }

    /// The producer ids that are this transactional id's own: the present one, and the one that follows a prepared end.
    pub(in crate::broker) fn producer_ids(&self) -> impl Iterator<Item = i64> + use<> {
        [self.producer.id].into_iter().chain(self.next_producer_id)
    }

    /// Whether this is its producer.
    ///
    /// # Errors
    /// 49 when the producer has another id, 90 when it has another epoch.
    pub(super) fn check(&self, producer: Producer) -> Result<(), ErrorCode> {
        if producer.id != self.producer.id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if producer.epoch != self.producer.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        Ok(())
    }

    /// Whether this was its producer before the last end of version 2, be it that this end has used up the epochs of
    /// the id. The very last epoch stays with an idle id only when it has shut a producer out: nobody goes on with
    /// that, as would be possible in Kafka.
    pub(super) fn was(&self, producer: Producer) -> bool {
        let Producer { id, epoch } = self.producer;
        let shuts_out = epoch == i16::MAX && self.state.is_idle();
        let is_next = producer.epoch.checked_add(1) == Some(epoch);
        let is_before = producer.id == id && is_next && !shuts_out;
        let was_last = self.previous_producer_id == Some(producer.id)
            && producer.epoch == LAST_EPOCH
            && epoch == 0;
        is_before || was_last
    }

    /// Whether no epoch is left that a client might be given.
    pub(super) fn is_exhausted(&self) -> bool {
        is_exhausted(self.producer.epoch)
    }

    /// The producer is initialized; `believed` is the epoch that it says it has. One that has missed the answer to
    /// the last such step gets the same again.
    ///
    /// # Errors
    /// 90 when it has another epoch. -1 when no epoch is left, as in Kafka: then only a producer without an epoch, or
    /// with the last one, gets on.
    pub(super) fn initialized(
        self,
        timeout_ms: i32,
        believed: Option<i16>,
        wall_ms: i64,
    ) -> Result<Standing, ErrorCode> {
        if self.is_exhausted() {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        let Producer { id, epoch } = self.producer;
        let (epoch, last_epoch) = match believed {
            None => (epoch + 1, None),
            Some(_) if self.is_unborn() => (epoch + 1, None),
            Some(it) if it == epoch => (epoch + 1, believed),
            Some(_) if believed == self.last_epoch => (epoch, believed),
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        };
        Ok(Standing {
            producer: Producer { id, epoch },
            last_epoch,
            timeout_ms,
            started_ms: None,
            ..self.step(TxnState::Empty, wall_ms)
        })
    }

    /// The producer is initialized under a new id, because the epochs of the old one are used up.
    pub(super) fn rotated(
        self,
        fresh_id: i64,
        timeout_ms: i32,
        believed: Option<i16>,
        wall_ms: i64,
    ) -> Standing {
        Standing {
            producer: first_of(fresh_id),
            last_epoch: believed.map(|_| self.producer.epoch),
            timeout_ms,
            started_ms: None,
            ..self.step(TxnState::Empty, wall_ms)
        }
    }

    /// A transaction begins.
    pub(super) fn begun(self, version: TxnVersion, wall_ms: i64) -> Standing {
        Standing {
            version,
            started_ms: Some(wall_ms),
            ..self.step(TxnState::Ongoing, wall_ms)
        }
    }

    /// The end of the transaction is decided. Version 2 may abort where there is none. `fresh_id` is taken where this
    /// end uses up the epochs.
    pub(super) fn prepared(
        self,
        commits: bool,
        version: TxnVersion,
        fresh_id: i64,
        wall_ms: i64,
    ) -> Standing {
        let state = match commits {
            true => TxnState::PrepareCommit,
            false => TxnState::PrepareAbort,
        };
        let started_ms = match self.state {
            TxnState::Ongoing => self.started_ms,
            _ => Some(wall_ms),
        };
        let prepared = Standing {
            version,
            started_ms,
            next_producer_id: None,
            ..self.step(state, wall_ms)
        };
        if version == TxnVersion::V1 {
            return prepared;
        }
        Standing {
            producer: self.bumped(),
            last_epoch: Some(self.producer.epoch),
            next_producer_id: self.is_exhausted().then_some(fresh_id),
            ..prepared
        }
    }

    /// The open transaction is aborted and its producer shut out, which it has not asked for: `version` is the one that
    /// the broker has finalized. Version 1 forgets the epoch, so that the producer cannot come back with it.
    pub(in crate::broker) fn fenced(
        self,
        version: TxnVersion,
        fresh_id: i64,
        wall_ms: i64,
    ) -> Standing {
        if version == TxnVersion::V2 {
            return self.prepared(false, version, fresh_id, wall_ms);
        }
        let shut_out = Standing {
            producer: self.bumped(),
            last_epoch: None,
            ..self
        };
        shut_out.prepared(false, version, fresh_id, wall_ms)
    }

    /// Every marker of the prepared end is written.
    pub(in crate::broker) fn completed(self, wall_ms: i64) -> Standing {
        let state = match self.state.commits() {
            true => TxnState::CompleteCommit,
            false => TxnState::CompleteAbort,
        };
        Standing {
            producer: self.after_end(),
            next_producer_id: None,
            ..self.step(state, wall_ms)
        }
    }

    /// As whom the producer goes on after the prepared end.
    #[must_use]
    pub fn after_end(&self) -> Producer {
        self.next_producer_id.map_or(self.producer, first_of)
    }

    /// The same producer id with the next epoch, if there is one.
    fn bumped(&self) -> Producer {
        let Producer { id, epoch } = self.producer;
        let epoch = epoch.saturating_add(1);
        Producer { id, epoch }
    }

    fn step(self, state: TxnState, wall_ms: i64) -> Standing {
        Standing {
            state,
            previous_producer_id: Some(self.producer.id),
            updated_ms: wall_ms,
            ..self
        }
    }
}

/// The first producer of an id.
fn first_of(id: i64) -> Producer {
    Producer { id, epoch: 0 }
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
        let (id, epoch) = (7, i16::MAX);
        let at_the_top = Standing {
            producer: Producer { id, epoch },
            state: TxnState::Ongoing,
            ..Standing::unborn(id)
        };
        for version in [TxnVersion::V1, TxnVersion::V2] {
            let fenced = at_the_top.fenced(version, 8, 0);
            assert_eq!(fenced.producer.epoch, epoch);
        }
        let prepared = at_the_top.prepared(true, TxnVersion::V2, 8, 0);
        assert_eq!(prepared.producer.epoch, epoch);
        assert_eq!(prepared.completed(0).producer, first_of(8));
        let refused = at_the_top.initialized(1, None, 0);
        assert_eq!(refused, Err(ErrorCode::UNKNOWN_SERVER_ERROR));
    }
}
