//! Kafka's error codes (org.apache.kafka.common.protocol.Errors, 4.3).

/// An error code as it stands on the wire; unknown values survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// No error.
    pub const NONE: ErrorCode = ErrorCode(0);
}
