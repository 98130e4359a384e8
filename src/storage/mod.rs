//! Partitions on disk. Knows batches, not requests.

use crate::proto::Uuid;

/// One partition of one topic, by the topic's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic's id, never zero.
    pub topic: Uuid,
    /// The partition's number, from 0.
    pub partition: i32,
}

/// What a job of the work lane brings back to the storage.
pub enum Done {}
