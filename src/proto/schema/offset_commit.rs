//! OffsetCommit (8): keep the offsets that a group has come to.
//!
//! Versions 2 to 4 say how long they are kept; version 10 names topics by id alone (KIP-848).

use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Keep these offsets. A generation of -1 is a consumer that is no member.
    struct OffsetCommitRequest<'a> {
        group_id:                      &'a str,
        generation_id_or_member_epoch: i32             [1..] = -1,
        member_id:                     &'a str         [1..],
        group_instance_id:             Option<&'a str> [7..],
        retention_time_ms:             i64             [2..=4] = -1,
        topics:                        Vec<OffsetCommitRequestTopic<'a>>,
    }

    /// The offsets of one topic.
    struct OffsetCommitRequestTopic<'a> {
        name:       &'a str [..=9],
        topic_id:   Uuid    [10..],
        partitions: Vec<OffsetCommitRequestPartition<'a>>,
    }

    /// The next offset to read of one partition, and a text of the consumer's.
    struct OffsetCommitRequestPartition<'a> {
        partition_index:        i32,
        committed_offset:       i64,
        committed_leader_epoch: i32 [6..] = -1,
        commit_timestamp:       i64 [1..=1] = -1,
        committed_metadata:     Option<&'a str>,
    }

    /// What became of each offset.
    struct OffsetCommitResponse<'a> {
        throttle_time_ms: i32 [3..],
        topics:           Vec<OffsetCommitResponseTopic<'a>>,
    }

    /// One topic of the answer.
    struct OffsetCommitResponseTopic<'a> {
        name:       &'a str [..=9],
        topic_id:   Uuid    [10..],
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// One partition of the answer.
    struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code:      ErrorCode,
    }
}
