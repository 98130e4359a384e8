//! AlterPartitionReassignments (45): move partitions to other brokers, or stop that (KIP-455). Flexible from version 0
//! on.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Move these partitions.
    struct AlterPartitionReassignmentsRequest<'a> {
        timeout_ms:                      i32 = 60000,
        allow_replication_factor_change: bool [1..] = true,
        topics:                          Vec<ReassignableTopic<'a>>,
    }

    /// A topic.
    struct ReassignableTopic<'a> {
        name:       &'a str,
        partitions: Vec<ReassignablePartition>,
    }

    /// A partition and the brokers that are to hold it; null ends a move that is under way.
    struct ReassignablePartition {
        partition_index: i32,
        replicas:        Option<Vec<i32>>,
    }

    /// What became of each partition.
    struct AlterPartitionReassignmentsResponse<'a> {
        throttle_time_ms:                i32,
        allow_replication_factor_change: bool [1..] = true,
        error_code:                      ErrorCode,
        error_message:                   Option<Text<'a>>,
        responses:                       Vec<ReassignableTopicResponse<'a>>,
    }

    /// A topic.
    struct ReassignableTopicResponse<'a> {
        name:       &'a str,
        partitions: Vec<ReassignablePartitionResponse<'a>>,
    }

    /// A partition, and why it stays.
    struct ReassignablePartitionResponse<'a> {
        partition_index: i32,
        error_code:      ErrorCode,
        error_message:   Option<Text<'a>>,
    }
}
