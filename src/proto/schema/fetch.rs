//! Fetch (1): read record batches from partitions, waiting for them if need be.
//!
//! Version 7 brought fetch sessions (KIP-227), version 13 topic ids instead of names (KIP-516).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;
use crate::proto::{Records, Uuid};

wire! {
    /// Read from these partitions; the answer may wait up to `max_wait_ms` until it has `min_bytes`.
    struct FetchRequest<'a> {
        replica_id:            i32                     [..=14] = -1,
        max_wait_ms:           i32,
        min_bytes:             i32,
        max_bytes:             i32                     [3..] = i32::MAX,
        isolation_level:       i8                      [4..],
        session_id:            i32                     [7..],
        session_epoch:         i32                     [7..] = -1,
        topics:                Vec<FetchTopic<'a>>,
        forgotten_topics_data: Vec<ForgottenTopic<'a>> [7..],
        rack_id:               &'a str                 [11..],
        ;
        0 => cluster_id:    Option<&'a str> [12..],
        1 => replica_state: ReplicaState    [15..],
    }

    /// Who fetches, if it is a replica: its broker id and epoch.
    struct ReplicaState {
        replica_id:    i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// The partitions of one topic to read.
    struct FetchTopic<'a> {
        topic:      &'a str [..=12],
        topic_id:   Uuid    [13..],
        partitions: Vec<FetchPartition>,
    }

    /// Where to read on, and how much at most. `replica_directory_id` and `high_watermark` come from replicas.
    struct FetchPartition {
        partition:            i32,
        current_leader_epoch: i32 [9..] = -1,
        fetch_offset:         i64,
        last_fetched_epoch:   i32 [12..] = -1,
        log_start_offset:     i64 [5..] = -1,
        partition_max_bytes:  i32,
        ;
        0 => replica_directory_id: Uuid [17..],
        1 => high_watermark:       i64  [18..] = i64::MAX,
    }

    /// Partitions that leave the fetch session.
    struct ForgottenTopic<'a> {
        topic:      &'a str [..=12],
        topic_id:   Uuid    [13..],
        partitions: Vec<i32>,
    }

    /// What was read. In a session, only the partitions that have news.
    struct FetchResponse<'a> {
        throttle_time_ms: i32       [1..],
        error_code:       ErrorCode [7..],
        session_id:       i32       [7..],
        responses:        Vec<FetchableTopicResponse<'a>>,
        ;
        0 => node_endpoints: Vec<NodeEndpoint<'a>> [16..],
    }

    /// One topic of the answer.
    struct FetchableTopicResponse<'a> {
        topic:      &'a str [..=12],
        topic_id:   Uuid    [13..],
        partitions: Vec<PartitionData<'a>>,
    }

    /// The records of one partition and how far it reaches. The list of aborted transactions is null where
    /// none was asked for (isolation level 0).
    struct PartitionData<'a> {
        partition_index:        i32,
        error_code:             ErrorCode,
        high_watermark:         i64,
        last_stable_offset:     i64                             [4..] = -1,
        log_start_offset:       i64                             [5..] = -1,
        aborted_transactions:   Option<Vec<AbortedTransaction>> [4..],
        preferred_read_replica: i32                             [11..] = -1,
        records:                Records<'a>,
        ;
        0 => diverging_epoch: EpochEndOffset   [12..],
        1 => current_leader:  LeaderIdAndEpoch [12..],
        2 => snapshot_id:     SnapshotId       [12..],
    }

    /// Where the log and the fetcher's went different ways: the last epoch they share, and its end.
    struct EpochEndOffset {
        epoch:      i32 = -1,
        end_offset: i64 = -1,
    }

    /// Who leads the partition, as a hint to a client that asked the wrong broker (KIP-951).
    struct LeaderIdAndEpoch {
        leader_id:    i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// A snapshot to fetch instead of the log; only for the metadata log.
    struct SnapshotId {
        end_offset: i64 = -1,
        epoch:      i32 = -1,
    }

    /// From `first_offset` on, skip this producer's records until its abort marker.
    struct AbortedTransaction {
        producer_id:  i64,
        first_offset: i64,
    }

    /// Where a broker named in a leader hint listens.
    struct NodeEndpoint<'a> {
        node_id: i32,
        host:    &'a str,
        port:    i32,
        rack:    Option<&'a str>,
    }
}
