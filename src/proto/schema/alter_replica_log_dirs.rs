//! AlterReplicaLogDirs (34): move partitions to other directories of a broker (KIP-113).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Move partitions into these directories.
    struct AlterReplicaLogDirsRequest<'a> {
        dirs: Vec<AlterReplicaLogDir<'a>>,
    }

    /// A directory and what is to lie in it.
    struct AlterReplicaLogDir<'a> {
        path:   &'a str,
        topics: Vec<AlterReplicaLogDirTopic<'a>>,
    }

    /// Partitions of one topic.
    struct AlterReplicaLogDirTopic<'a> {
        name:       &'a str,
        partitions: Vec<i32>,
    }

    /// What became of each partition.
    struct AlterReplicaLogDirsResponse<'a> {
        throttle_time_ms: i32,
        results:          Vec<AlterReplicaLogDirTopicResult<'a>>,
    }

    /// A topic.
    struct AlterReplicaLogDirTopicResult<'a> {
        topic_name: &'a str,
        partitions: Vec<AlterReplicaLogDirPartitionResult>,
    }

    /// A partition.
    struct AlterReplicaLogDirPartitionResult {
        partition_index: i32,
        error_code:      ErrorCode,
    }
}
