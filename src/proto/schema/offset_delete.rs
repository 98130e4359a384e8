//! OffsetDelete (47): forget committed offsets (KIP-496). Never flexible.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Forget the offsets of these partitions.
    struct OffsetDeleteRequest<'a> {
        group_id: &'a str,
        topics:   Vec<OffsetDeleteRequestTopic<'a>>,
    }

    /// Partitions of one topic.
    struct OffsetDeleteRequestTopic<'a> {
        name:       &'a str,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// One partition.
    struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    /// What became of each offset, or why nothing was done.
    struct OffsetDeleteResponse<'a> {
        error_code:       ErrorCode,
        throttle_time_ms: i32,
        topics:           Vec<OffsetDeleteResponseTopic<'a>>,
    }

    /// One topic of the answer.
    struct OffsetDeleteResponseTopic<'a> {
        name:       &'a str,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// One partition of the answer.
    struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code:      ErrorCode,
    }
}
