//! ListPartitionReassignments (46): the partitions that are being moved (KIP-455). Flexible from version 0 on.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Which of these partitions, or of all, are being moved?
    struct ListPartitionReassignmentsRequest<'a> {
        timeout_ms: i32 = 60000,
        topics:     Option<Vec<ListPartitionReassignmentsTopics<'a>>>,
    }

    /// Partitions of one topic.
    struct ListPartitionReassignmentsTopics<'a> {
        name:              &'a str,
        partition_indexes: Vec<i32>,
    }

    /// Those that are.
    struct ListPartitionReassignmentsResponse<'a> {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
        error_message:    Option<Text<'a>>,
        topics:           Vec<OngoingTopicReassignment<'a>>,
    }

    /// Partitions of one topic.
    struct OngoingTopicReassignment<'a> {
        name:       &'a str,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    /// A partition: who holds it, who will, and who will no more.
    struct OngoingPartitionReassignment {
        partition_index:   i32,
        replicas:          Vec<i32>,
        adding_replicas:   Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
