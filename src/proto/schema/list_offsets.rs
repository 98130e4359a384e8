//! ListOffsets (2): look offsets up by time, or by one of the special times below zero.
//!
//! Version 0 answers a list of segment base offsets; later versions one offset and its timestamp.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Which offsets have these times?
    struct ListOffsetsRequest<'a> {
        replica_id:      i32,
        isolation_level: i8  [2..],
        topics:          Vec<ListOffsetsTopic<'a>>,
        timeout_ms:      i32 [10..],
    }

    /// The partitions of one topic.
    struct ListOffsetsTopic<'a> {
        name:       &'a str,
        partitions: Vec<ListOffsetsPartition>,
    }

    /// A timestamp in milliseconds, or a special one below zero.
    struct ListOffsetsPartition {
        partition_index:      i32,
        current_leader_epoch: i32 [4..] = -1,
        timestamp:            i64,
        max_num_offsets:      i32 [..=0] = 1,
    }

    /// The offsets found.
    struct ListOffsetsResponse<'a> {
        throttle_time_ms: i32 [2..],
        topics:           Vec<ListOffsetsTopicResponse<'a>>,
    }

    /// One topic of the answer.
    struct ListOffsetsTopicResponse<'a> {
        name:       &'a str,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// The first offset at or after the time, -1 if there is none.
    struct ListOffsetsPartitionResponse {
        partition_index:   i32,
        error_code:        ErrorCode,
        old_style_offsets: Vec<i64> [..=0],
        timestamp:         i64      [1..] = -1,
        offset:            i64      [1..] = -1,
        leader_epoch:      i32      [4..] = -1,
    }
}
