//! ElectLeaders (43): let partitions be led by another replica (KIP-183, KIP-460).

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Elect leaders: type 0 the preferred replica, 1 any replica where there is no leader. Null means all partitions.
    struct ElectLeadersRequest<'a> {
        election_type:    i8 [1..],
        topic_partitions: Option<Vec<TopicPartitions<'a>>>,
        timeout_ms:       i32 = 60000,
    }

    /// Partitions of one topic.
    struct TopicPartitions<'a> {
        topic:      &'a str,
        partitions: Vec<i32>,
    }

    /// What became of each partition.
    struct ElectLeadersResponse<'a> {
        throttle_time_ms:         i32,
        error_code:               ErrorCode [1..],
        replica_election_results: Vec<ReplicaElectionResult<'a>>,
    }

    /// The partitions of one topic.
    struct ReplicaElectionResult<'a> {
        topic:            &'a str,
        partition_result: Vec<PartitionResult<'a>>,
    }

    /// One partition, and why it has no new leader.
    struct PartitionResult<'a> {
        partition_id:  i32,
        error_code:    ErrorCode,
        error_message: Option<Text<'a>>,
    }
}
