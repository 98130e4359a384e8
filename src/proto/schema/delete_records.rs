//! DeleteRecords (21): have logs begin later (KIP-107).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Delete what these partitions hold before an offset.
    struct DeleteRecordsRequest<'a> {
        topics:     Vec<DeleteRecordsTopic<'a>>,
        timeout_ms: i32,
    }

    /// A topic and its partitions.
    struct DeleteRecordsTopic<'a> {
        name:       &'a str,
        partitions: Vec<DeleteRecordsPartition>,
    }

    /// The offset that becomes the first; -1 is the high watermark.
    struct DeleteRecordsPartition {
        partition_index: i32,
        offset:          i64,
    }

    /// Where each partition begins now.
    struct DeleteRecordsResponse<'a> {
        throttle_time_ms: i32,
        topics:           Vec<DeleteRecordsTopicResult<'a>>,
    }

    /// A topic and its partitions.
    struct DeleteRecordsTopicResult<'a> {
        name:       &'a str,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// A partition's first offset; -1 with an error.
    struct DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark:   i64,
        error_code:      ErrorCode,
    }
}
