//! What several APIs share: the bound of an answer, masks of operations, where we are reached, and two rules that are
//! answered with a code.

use super::Peer;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::MOST_OWN_BYTES;
use crate::proto::error::ErrorCode;
use crate::proto::legacy::LegacyError;

/// What the rows of an answer may still take. A request may name one thing again and again, and each time get all of
/// it: rows that together take more memory than the largest answer are not made.
pub(super) struct Allowance(usize);

impl Allowance {
    pub(super) fn new() -> Allowance {
        Allowance(MOST_OWN_BYTES)
    }

    /// Takes what so many rows need.
    ///
    /// # Errors
    /// When there is not as much: what becomes of the request.
    pub(super) fn take<Row>(&mut self, count: usize) -> Result<(), Outcome> {
        self.take_bytes(count.saturating_mul(size_of::<Row>()))
    }

    /// Takes what the text needs that a row has been refused with.
    ///
    /// # Errors
    /// As `take`.
    pub(super) fn take_text(&mut self, text: Option<&str>) -> Result<(), Outcome> {
        self.take_bytes(text.map_or(0, str::len))
    }

    /// Takes so many bytes: what a row has beside itself, such as text that is made for it.
    ///
    /// # Errors
    /// As `take`.
    pub(super) fn take_bytes(&mut self, count: usize) -> Result<(), Outcome> {
        let left = self.0.checked_sub(count);
        self.0 = left.ok_or(Outcome::Close("an answer above 64 MiB"))?;
        Ok(())
    }
}

/// The cluster operations that everybody may perform without an authorizer, as Kafka's bit set.
pub(super) const CLUSTER_OPERATIONS: i32 = 8096;
/// Likewise of a topic.
pub(super) const TOPIC_OPERATIONS: i32 = 3576;
/// Likewise of a group.
pub(super) const GROUP_OPERATIONS: i32 = 3400;
/// "Not asked for."
pub(super) const NO_OPERATIONS: i32 = i32::MIN;

/// Where this client reaches us: as the settings say, else where it has connected to.
pub(super) fn endpoint(broker: &Broker, peer: &Peer) -> (String, i32) {
    match broker.config().advertised(&peer.listener) {
        Some((host, port)) => (
            host.to_owned(),
            port.map_or(peer.local.port(), |port| port).into(),
        ),
        None => (
            peer.local.ip().to_canonical().to_string(),
            peer.local.port().into(),
        ),
    }
}

/// What a client is told when records cannot be converted between formats.
pub(super) fn legacy_code(error: &LegacyError) -> ErrorCode {
    match error {
        LegacyError::Corrupt(_) => ErrorCode::CORRUPT_MESSAGE,
        LegacyError::Invalid(_) => ErrorCode::INVALID_RECORD,
        LegacyError::UnsupportedCodec => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        LegacyError::TooLarge => ErrorCode::MESSAGE_TOO_LARGE,
    }
}

/// Holds the leader epoch that a client believes in (-1 = none) against ours (KIP-320).
pub(super) fn check_epoch(believed: i32, ours: i32) -> Result<(), ErrorCode> {
    match believed {
        -1 => Ok(()),
        epoch if epoch < ours => Err(ErrorCode::FENCED_LEADER_EPOCH),
        epoch if epoch > ours => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        _ => Ok(()),
    }
}
