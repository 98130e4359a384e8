//! OffsetForLeaderEpoch (23): where a leader epoch ends, for clients that check whether their log was cut (KIP-320).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Where do these epochs end? A consumer is replica -1; -2 marks a debugging one.
    struct OffsetForLeaderEpochRequest<'a> {
        replica_id: i32 [3..] = -2,
        topics:     Vec<OffsetForLeaderTopic<'a>>,
    }

    /// The partitions of one topic.
    struct OffsetForLeaderTopic<'a> {
        topic:      &'a str,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    /// The epoch in question, and the one that the client believes current (-1 if it has no opinion).
    struct OffsetForLeaderPartition {
        partition:            i32,
        current_leader_epoch: i32 [2..] = -1,
        leader_epoch:         i32,
    }

    /// The ends of the epochs.
    struct OffsetForLeaderEpochResponse<'a> {
        throttle_time_ms: i32 [2..],
        topics:           Vec<OffsetForLeaderTopicResult<'a>>,
    }

    /// One topic of the answer.
    struct OffsetForLeaderTopicResult<'a> {
        topic:      &'a str,
        partitions: Vec<EpochEndOffset>,
    }

    /// The largest epoch at or below the one asked for, and the offset behind its last record.
    struct EpochEndOffset {
        error_code:   ErrorCode,
        partition:    i32,
        leader_epoch: i32 [1..] = -1,
        end_offset:   i64 = -1,
    }
}
