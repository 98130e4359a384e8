//! Message sets: the formats 0 (Kafka 0.8) and 1 (Kafka 0.10) that came before record batches.
//!
//! ```text
//! message:  offset i64 | size i32 | crc u32 | magic i8 | attributes i8 | timestamp i64 (format 1)
//!           key length i32, key | value length i32, value
//! wrapper:  a message with codec bits whose value is a compressed message set
//! ```
//!
//! The size counts what follows it; the CRC-32 covers everything from the magic on; a length of -1 is null. Inner
//! offsets of a wrapper are absolute in format 0 and relative in format 1, where the wrapper's own offset is that
//! of its last message.
//!
//! Logs of our own hold batches of format 2 only: [`to_batch`] converts what Produce 0-2 brings, [`to_message_set`]
//! what Fetch 0-3 asks for, and [`open_entry`] opens what an old Kafka left in a log. Both rewrite records, which
//! costs memory and time, and are called by api/ and the cleaner only. Their rules are those of Kafka 3.9, the last
//! release that converts.

mod down;
mod entry;
mod message;
mod up;

use std::fmt;

pub use down::{Converted, DownConversion, to_message_set};
pub use entry::{OldEntry, OldRecord, open_entry};
pub use up::to_batch;

use crate::proto::batch::BuildError;
use crate::proto::codec::CodecError;

/// Why records could not be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyError {
    /// The bytes are not those that were written, or no message at all: error 2, CORRUPT_MESSAGE.
    Corrupt(&'static str),
    /// The bytes arrived whole, but no broker may store them: error 87, INVALID_RECORD.
    Invalid(&'static str),
    /// The codec does not exist in the format asked for or is not built in: error 76,
    /// UNSUPPORTED_COMPRESSION_TYPE.
    UnsupportedCodec,
    /// More records than the caller allows: error 10, MESSAGE_TOO_LARGE.
    TooLarge,
}

impl fmt::Display for LegacyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            LegacyError::Corrupt(reason) | LegacyError::Invalid(reason) => reason,
            LegacyError::UnsupportedCodec => "the format asked for has no such compression",
            LegacyError::TooLarge => "the records are larger than is allowed",
        })
    }
}

impl std::error::Error for LegacyError {}

impl From<CodecError> for LegacyError {
    fn from(error: CodecError) -> LegacyError {
        match error {
            CodecError::Unknown => LegacyError::Invalid("the compression codec is unknown"),
            CodecError::NotBuilt => LegacyError::UnsupportedCodec,
            CodecError::CapExceeded => LegacyError::TooLarge,
            CodecError::Corrupt => LegacyError::Corrupt("the compressed messages are damaged"),
        }
    }
}

impl From<BuildError> for LegacyError {
    fn from(error: BuildError) -> LegacyError {
        match error {
            BuildError::TooLarge => LegacyError::TooLarge,
            BuildError::Codec(error) => error.into(),
        }
    }
}
