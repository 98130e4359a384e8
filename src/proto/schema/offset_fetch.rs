//! OffsetFetch (9): the offsets that a group has committed.
//!
//! Version 8 asks for several groups at once (KIP-709); version 10 names topics by id alone (KIP-848).

use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Which offsets has the group committed, or has each of the groups? Null topics are all topics.
    struct OffsetFetchRequest<'a> {
        group_id:       &'a str                                  [..=7],
        topics:         Option<Vec<OffsetFetchRequestTopic<'a>>> [..=7],
        groups:         Vec<OffsetFetchRequestGroup<'a>>         [8..],
        require_stable: bool                                     [7..],
    }

    /// Partitions of one topic.
    struct OffsetFetchRequestTopic<'a> {
        name:              &'a str,
        partition_indexes: Vec<i32>,
    }

    /// One group; member and epoch are checked when they are given.
    struct OffsetFetchRequestGroup<'a> {
        group_id:     &'a str,
        member_id:    Option<&'a str> [9..],
        member_epoch: i32             [9..] = -1,
        topics:       Option<Vec<OffsetFetchRequestTopics<'a>>>,
    }

    /// Partitions of one topic of one group.
    struct OffsetFetchRequestTopics<'a> {
        name:              &'a str [..=9],
        topic_id:          Uuid    [10..],
        partition_indexes: Vec<i32>,
    }

    /// The committed offsets.
    struct OffsetFetchResponse<'a> {
        throttle_time_ms: i32                               [3..],
        topics:           Vec<OffsetFetchResponseTopic<'a>> [..=7],
        error_code:       ErrorCode                         [2..=7],
        groups:           Vec<OffsetFetchResponseGroup<'a>> [8..],
    }

    /// One topic of the answer.
    struct OffsetFetchResponseTopic<'a> {
        name:       &'a str,
        partitions: Vec<OffsetFetchResponsePartition<'a>>,
    }

    /// One committed offset; -1 where there is none.
    struct OffsetFetchResponsePartition<'a> {
        partition_index:        i32,
        committed_offset:       i64,
        committed_leader_epoch: i32 [5..] = -1,
        metadata:               Option<&'a str>,
        error_code:             ErrorCode,
    }

    /// One group of the answer.
    struct OffsetFetchResponseGroup<'a> {
        group_id:   &'a str,
        topics:     Vec<OffsetFetchResponseTopics<'a>>,
        error_code: ErrorCode,
    }

    /// One topic of one group.
    struct OffsetFetchResponseTopics<'a> {
        name:       &'a str [..=9],
        topic_id:   Uuid    [10..],
        partitions: Vec<OffsetFetchResponsePartitions<'a>>,
    }

    /// One committed offset of one group; -1 where there is none.
    struct OffsetFetchResponsePartitions<'a> {
        partition_index:        i32,
        committed_offset:       i64,
        committed_leader_epoch: i32 = -1,
        metadata:               Option<&'a str>,
        error_code:             ErrorCode,
    }
}
