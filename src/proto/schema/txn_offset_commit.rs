//! TxnOffsetCommit (28): keep offsets of a group that count when the transaction commits.
//!
//! From version 3 on the consumer says which member it is (KIP-447).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Keep these offsets if the transaction commits. A generation of -1 is a producer that says no member.
    struct TxnOffsetCommitRequest<'a> {
        transactional_id:  &'a str,
        group_id:          &'a str,
        producer_id:       i64,
        producer_epoch:    i16,
        generation_id:     i32             [3..] = -1,
        member_id:         &'a str         [3..],
        group_instance_id: Option<&'a str> [3..],
        topics:            Vec<TxnOffsetCommitRequestTopic<'a>>,
    }

    /// The offsets of one topic.
    struct TxnOffsetCommitRequestTopic<'a> {
        name:       &'a str,
        partitions: Vec<TxnOffsetCommitRequestPartition<'a>>,
    }

    /// The next offset to read of one partition, and a text of the consumer's.
    struct TxnOffsetCommitRequestPartition<'a> {
        partition_index:        i32,
        committed_offset:       i64,
        committed_leader_epoch: i32 [2..] = -1,
        committed_metadata:     Option<&'a str>,
    }

    /// What became of each offset.
    struct TxnOffsetCommitResponse<'a> {
        throttle_time_ms: i32,
        topics:           Vec<TxnOffsetCommitResponseTopic<'a>>,
    }

    /// One topic of the answer.
    struct TxnOffsetCommitResponseTopic<'a> {
        name:       &'a str,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// One partition of the answer.
    struct TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code:      ErrorCode,
    }
}
