//! DescribeProducers (61): who writes to a partition, and whether a transaction is open there (KIP-664). Flexible from
//! version 0 on.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Who writes to these partitions?
    struct DescribeProducersRequest<'a> {
        topics: Vec<TopicRequest<'a>>,
    }

    /// Partitions of one topic.
    struct TopicRequest<'a> {
        name:              &'a str,
        partition_indexes: Vec<i32>,
    }

    /// The producers of each partition.
    struct DescribeProducersResponse<'a> {
        throttle_time_ms: i32,
        topics:           Vec<TopicResponse<'a>>,
    }

    /// One topic of the answer.
    struct TopicResponse<'a> {
        name:       &'a str,
        partitions: Vec<PartitionResponse<'a>>,
    }

    /// One partition of the answer.
    struct PartitionResponse<'a> {
        partition_index:  i32,
        error_code:       ErrorCode,
        error_message:    Option<Text<'a>>,
        active_producers: Vec<ProducerState>,
    }

    /// What the partition knows of one producer. A start offset of -1: no transaction is open.
    struct ProducerState {
        producer_id:              i64,
        producer_epoch:           i32,
        last_sequence:            i32 = -1,
        last_timestamp:           i64 = -1,
        coordinator_epoch:        i32,
        current_txn_start_offset: i64 = -1,
    }
}
