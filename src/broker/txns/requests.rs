//! What producers say, without its encoding, and what they are told by the version that they speak.

use crate::proto::error::ErrorCode;

/// A producer asks for its id and epoch (InitProducerId with a transactional id).
#[derive(Clone, Copy, Debug)]
pub struct Init<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// After how long its transactions are to be aborted.
    pub timeout_ms: i32,
    /// The producer id and epoch that it says it has (v3+).
    pub believed: Option<(i64, i16)>,
}

impl Init<'_> {
    /// What does not depend on any state.
    ///
    /// # Errors
    /// 42 for an empty id, 50 for a timeout that is not positive or above `transaction.max.timeout.ms`.
    pub(in crate::broker) fn check(&self, max_timeout_ms: i32) -> Result<(), ErrorCode> {
        if self.transactional_id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        match (1..=max_timeout_ms).contains(&self.timeout_ms) {
            true => Ok(()),
            false => Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT),
        }
    }
}

/// A producer that names what it believes to be.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// Its producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
}

impl Claim<'_> {
    /// What does not depend on any state.
    ///
    /// # Errors
    /// 42 for an empty id.
    pub(in crate::broker) fn check(&self) -> Result<(), ErrorCode> {
        match self.transactional_id {
            "" => Err(ErrorCode::INVALID_REQUEST),
            _ => Ok(()),
        }
    }
}

/// What becomes of a write to a partition, or of offsets of a group, that the transaction does not have yet. It goes by
/// the version of the request (KIP-890), and so does what the producer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// It is refused; the producer knows no better code than 48.
    Refused,
    /// It is refused; the producer knows that it can abort and go on (120).
    Abortable,
    /// It joins the transaction, and begins it.
    Added,
}

impl Joining {
    /// Of Produce of that version.
    #[must_use]
    pub fn of_produce(version: i16) -> Joining {
        match version {
            ..=10 => Joining::Refused,
            11 => Joining::Abortable,
            _ => Joining::Added,
        }
    }

    /// Of TxnOffsetCommit of that version.
    #[must_use]
    pub fn of_offsets(version: i16) -> Joining {
        match version {
            ..=3 => Joining::Refused,
            4 => Joining::Abortable,
            _ => Joining::Added,
        }
    }

    /// The code for the producer. Everybody who writes expects 47 where others are told 90.
    #[must_use]
    pub fn told(self, error: ErrorCode) -> ErrorCode {
        match error {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if self == Joining::Refused => {
                ErrorCode::INVALID_TXN_STATE
            }
            other => other,
        }
    }

    /// The code for a producer of records: what it may not try again after is 19, which every version does.
    #[must_use]
    pub fn told_to_writer(self, error: ErrorCode) -> ErrorCode {
        match self.told(error) {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => ErrorCode::NOT_ENOUGH_REPLICAS,
            ErrorCode::CONCURRENT_TRANSACTIONS if self != Joining::Added => {
                ErrorCode::NOT_ENOUGH_REPLICAS
            }
            other => other,
        }
    }
}
