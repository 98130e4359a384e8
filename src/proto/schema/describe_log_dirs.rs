//! DescribeLogDirs (35): where partitions lie and how large they are (KIP-113, KIP-827).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// How large are these partitions, or all?
    struct DescribeLogDirsRequest<'a> {
        topics: Option<Vec<DescribableLogDirTopic<'a>>>,
    }

    /// Partitions of one topic.
    struct DescribableLogDirTopic<'a> {
        topic:      &'a str,
        partitions: Vec<i32>,
    }

    /// Each log directory.
    struct DescribeLogDirsResponse<'a> {
        throttle_time_ms: i32,
        error_code:       ErrorCode [3..],
        results:          Vec<DescribeLogDirsResult<'a>>,
    }

    /// A log directory. Its bytes are those of its file system, -1 where they are not known.
    struct DescribeLogDirsResult<'a> {
        error_code:   ErrorCode,
        log_dir:      &'a str,
        topics:       Vec<DescribeLogDirsTopic<'a>>,
        total_bytes:  i64  [4..] = -1,
        usable_bytes: i64  [4..] = -1,
        is_cordoned:  bool [5..],
    }

    /// Partitions of one topic.
    struct DescribeLogDirsTopic<'a> {
        name:       &'a str,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    /// A partition: the bytes of its segments, and how many records it is behind.
    struct DescribeLogDirsPartition {
        partition_index: i32,
        partition_size:  i64,
        offset_lag:      i64,
        is_future_key:   bool,
    }
}
