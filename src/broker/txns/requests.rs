//! What producers say, without its encoding.

use crate::broker::facts::Producer;
use crate::proto::error::ErrorCode;

/// A producer asks for its id and epoch (InitProducerId with a transactional id).
#[derive(Clone, Copy, Debug)]
pub struct Init<'a> {
    /// The transactional id.
    pub transactional_id: &'a str,
    /// After how long its transactions are to be aborted.
    pub timeout_ms: i32,
    /// What it says it has been (v3+).
    pub believed: Option<Producer>,
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
    /// Its producer id and epoch.
    pub producer: Producer,
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
