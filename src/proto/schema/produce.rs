//! Produce (0): append record batches to partitions.
//!
//! Version 13 names topics by id alone. Versions 0 and 1 carry message format 0, version 2 format 1, later ones record
//! batches (format 2). With acks=0 there is no response.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;
use crate::proto::{Records, Text, Uuid};

wire! {
    /// Append these records; acks says how safe they must be before the answer: 0 no answer, 1 here, -1 on all
    /// in-sync replicas.
    struct ProduceRequest<'a> {
        transactional_id: Option<&'a str> [3..],
        acks:             i16,
        timeout_ms:       i32,
        topic_data:       Vec<TopicProduceData<'a>>,
    }

    /// The records for one topic.
    struct TopicProduceData<'a> {
        name:           &'a str [..=12],
        topic_id:       Uuid    [13..],
        partition_data: Vec<PartitionProduceData<'a>>,
    }

    /// The records for one partition.
    struct PartitionProduceData<'a> {
        index:   i32,
        records: Records<'a>,
    }

    /// What became of each partition's records.
    struct ProduceResponse<'a> {
        responses:        Vec<TopicProduceResponse<'a>>,
        throttle_time_ms: i32 [1..],
        ;
        0 => node_endpoints: Vec<NodeEndpoint<'a>> [10..],
    }

    /// One topic of the answer.
    struct TopicProduceResponse<'a> {
        name:                &'a str [..=12],
        topic_id:            Uuid    [13..],
        partition_responses: Vec<PartitionProduceResponse<'a>>,
    }

    /// The offset that the first record got, or the error for all of them.
    struct PartitionProduceResponse<'a> {
        index:              i32,
        error_code:         ErrorCode,
        base_offset:        i64,
        log_append_time_ms: i64                                [2..] = -1,
        log_start_offset:   i64                                [5..] = -1,
        record_errors:      Vec<BatchIndexAndErrorMessage<'a>> [8..],
        error_message:      Option<Text<'a>>                   [8..],
        ;
        0 => current_leader: LeaderIdAndEpoch [10..],
    }

    /// Which record of the batch was refused, and why.
    struct BatchIndexAndErrorMessage<'a> {
        batch_index:               i32,
        batch_index_error_message: Option<Text<'a>>,
    }

    /// Who leads the partition, as a hint to a client that asked the wrong broker (KIP-951).
    struct LeaderIdAndEpoch {
        leader_id:    i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// Where a broker named in a leader hint listens.
    struct NodeEndpoint<'a> {
        node_id: i32,
        host:    &'a str,
        port:    i32,
        rack:    Option<&'a str>,
    }
}
