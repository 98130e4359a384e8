//! The offsets that a group has committed, and when they go.

use crate::storage::PartitionId;
use std::collections::BTreeMap;

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record that was read, or -1.
    pub leader_epoch: i32,
    /// A text of the consumer's.
    pub metadata: Box<str>,
    /// When it was committed, in milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// When it is to go, if the client has said so (v2-v4), in milliseconds since 1970.
    pub expire_timestamp_ms: Option<i64>,
}

/// The committed offsets of a group.
pub type Offsets = BTreeMap<PartitionId, Committed>;
