//! The language: bytes to structs and back. Knows no broker, no disk and no socket.

pub mod batch;
pub mod codec;
pub mod error;
pub mod legacy;
#[cfg(test)]
mod samples;

/// A topic id, a directory id, a cluster id: sixteen bytes, shown as Kafka shows them (URL-safe base64
/// without padding).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// "No id": what old requests and absent topics carry.
    pub const ZERO: Uuid = Uuid([0; 16]);
}
