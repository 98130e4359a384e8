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

use crate::proto::error::ErrorCode;

/// No producer has this id.
pub const NO_PRODUCER_ID: i64 = -1;
/// No producer has this epoch.
pub const NO_EPOCH: i16 = -1;
/// From this version of transactions on, every end moves the epoch (KIP-890).
pub const BUMPING_VERSION: i16 = 2;
/// Stands for a time that is not set.
const NO_TIME: i64 = -1;
/// The highest epoch that a client is given.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// What a transactional id is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There was no transaction since the producer was initialized.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// Its commit is decided; markers are being written.
    PrepareCommit,
    /// Its abort is decided; markers are being written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

impl State {
    /// All of them, with Kafka's names, which clients are shown; the place in the table is Kafka's number.
    const TABLE: [(State, &'static str); 6] = [
        (State::Empty, "Empty"),
        (State::Ongoing, "Ongoing"),
        (State::PrepareCommit, "PrepareCommit"),
        (State::PrepareAbort, "PrepareAbort"),
        (State::CompleteCommit, "CompleteCommit"),
        (State::CompleteAbort, "CompleteAbort"),
    ];
    /// Names that clients may ask for, of states that nothing is ever in here.
    const UNUSED: [&'static str; 2] = ["Dead", "PrepareEpochFence"];

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        State::TABLE[self as usize].1
    }

    /// Whether Kafka has a state of that name.
    #[must_use]
    pub fn has_name(name: &str) -> bool {
        State::UNUSED.contains(&name) || State::TABLE.iter().any(|&(_, known)| known == name)
    }

    /// Kafka's number.
    pub(in crate::broker) fn number(self) -> i8 {
        self as i8
    }

    /// The state of that number.
    pub(in crate::broker) fn of_number(number: i8) -> Option<State> {
        let row = State::TABLE.get(usize::try_from(number).ok()?)?;
        Some(row.0)
    }

    /// An end is decided, and not all markers are written.
    #[must_use]
    pub fn is_prepared(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }

    /// There is no transaction.
    #[must_use]
    pub fn is_idle(self) -> bool {
        !self.is_prepared() && self != State::Ongoing
    }
}

/// What the journal knows of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The producer id that goes with it now.
    pub producer_id: i64,
    /// The epoch of its producer; while an end of version 2 is prepared, the one after it.
    pub epoch: i16,
    /// The producer id before the last step, or -1.
    pub previous_producer_id: i64,
    /// The epoch before this one, which a producer may come with that has missed an answer; or -1.
    pub last_epoch: i16,
    /// The producer id from the end of the transaction on, when the epochs of this one are used up; or -1.
    pub next_producer_id: i64,
    /// A transaction that is open for longer is aborted.
    pub timeout_ms: i32,
    /// What it is doing.
    pub state: State,
    /// The version of transactions that the last change of its transaction came with: 0 or 2.
    pub version: i16,
    /// When the last transaction began, in milliseconds since 1970; -1 when there was none since the producer was
    /// initialized.
    pub started_ms: i64,
    /// When it was changed last, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl Standing {
    /// Of an id that is heard of for the first time. It is not journaled before its first step.
    pub(super) fn unborn(producer_id: i64) -> Standing {
        Standing {
            producer_id,
            epoch: NO_EPOCH,
            previous_producer_id: NO_PRODUCER_ID,
            last_epoch: NO_EPOCH,
            next_producer_id: NO_PRODUCER_ID,
            timeout_ms: 0,
            state: State::Empty,
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
            None => (next, NO_EPOCH),
            Some(_) if self.epoch == NO_EPOCH => (next, NO_EPOCH),
            Some(epoch) if epoch == self.epoch => (next, epoch),
            Some(epoch) if epoch == self.last_epoch => (self.epoch, epoch),
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        };
        Ok(Standing {
            epoch,
            last_epoch,
            timeout_ms,
            started_ms: NO_TIME,
            ..self.step(State::Empty, wall_ms)
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
            last_epoch: believed.map_or(NO_EPOCH, |_| self.epoch),
            timeout_ms,
            started_ms: NO_TIME,
            ..self.step(State::Empty, wall_ms)
        }
    }

    /// A transaction begins.
    pub(super) fn begun(self, version: i16, wall_ms: i64) -> Standing {
        Standing {
            version,
            started_ms: wall_ms,
            ..self.step(State::Ongoing, wall_ms)
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
            true => State::PrepareCommit,
            false => State::PrepareAbort,
        };
        let started_ms = match self.state {
            State::Ongoing => self.started_ms,
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
    pub(super) fn fenced(self, version: i16, fresh_id: i64, wall_ms: i64) -> Standing {
        if version >= BUMPING_VERSION {
            return self.prepared(false, version, fresh_id, wall_ms);
        }
        let shut_out = Standing {
            epoch: self.epoch.saturating_add(1),
            last_epoch: NO_EPOCH,
            ..self
        };
        shut_out.prepared(false, 0, fresh_id, wall_ms)
    }

    /// Every marker of the prepared end is written.
    pub(in crate::broker) fn completed(self, wall_ms: i64) -> Standing {
        let state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
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

    fn step(self, state: State, wall_ms: i64) -> Standing {
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
    fn the_table_of_states_is_in_the_order_of_their_numbers() {
        for (number, (state, name)) in (0..).zip(State::TABLE) {
            assert_eq!(State::of_number(number), Some(state));
            assert_eq!((state.number(), state.name()), (number, name));
            assert!(State::has_name(name));
        }
        assert_eq!((State::of_number(6), State::of_number(-1)), (None, None));
        assert!(State::has_name("Dead") && State::has_name("PrepareEpochFence"));
        assert!(!State::has_name("empty") && !State::has_name(""));
    }

    #[test]
    fn epochs_never_overflow_whatever_step_is_taken() {
        let at_the_top = Standing {
            epoch: i16::MAX,
            state: State::Ongoing,
            ..Standing::unborn(7)
        };
        assert_eq!(at_the_top.prepared(true, 2, 8, 0).epoch, i16::MAX);
        assert_eq!(at_the_top.fenced(0, 8, 0).epoch, i16::MAX);
        assert_eq!(at_the_top.fenced(2, 8, 0).completed(0).epoch, 0);
        let refused = at_the_top.initialized(1, None, 0);
        assert_eq!(refused, Err(ErrorCode::UNKNOWN_SERVER_ERROR));
    }
}
