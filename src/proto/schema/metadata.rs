//! Metadata (3): brokers, topics and who leads their partitions.
//!
//! All topics are asked for by a null list; version 0, which has no null, by an empty one.

use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// What is known of these topics, or of all?
    struct MetadataRequest<'a> {
        topics:                                Option<Vec<MetadataRequestTopic<'a>>>,
        allow_auto_topic_creation:             bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations:   bool [8..],
    }

    /// A topic by name, or by id with a null name.
    struct MetadataRequestTopic<'a> {
        topic_id: Uuid [10..],
        name:     Option<&'a str>,
    }

    /// Brokers, controller and topics. `cluster_id` must never be null: some clients take that for a failure.
    struct MetadataResponse<'a> {
        throttle_time_ms:              i32             [3..],
        brokers:                       Vec<MetadataResponseBroker<'a>>,
        cluster_id:                    Option<&'a str> [2..],
        controller_id:                 i32             [1..] = -1,
        topics:                        Vec<MetadataResponseTopic<'a>>,
        cluster_authorized_operations: i32             [8..=10] = i32::MIN,
        error_code:                    ErrorCode       [13..],
    }

    /// A broker and where it listens.
    struct MetadataResponseBroker<'a> {
        node_id: i32,
        host:    &'a str,
        port:    i32,
        rack:    Option<&'a str> [1..],
    }

    /// A topic; its name is null if an unknown id was asked for.
    struct MetadataResponseTopic<'a> {
        error_code:                  ErrorCode,
        name:                        Option<&'a str> = Some(""),
        topic_id:                    Uuid [10..],
        is_internal:                 bool [1..],
        partitions:                  Vec<MetadataResponsePartition>,
        topic_authorized_operations: i32  [8..] = i32::MIN,
    }

    /// A partition, its leader and its replicas.
    struct MetadataResponsePartition {
        error_code:       ErrorCode,
        partition_index:  i32,
        leader_id:        i32,
        leader_epoch:     i32      [7..] = -1,
        replica_nodes:    Vec<i32>,
        isr_nodes:        Vec<i32>,
        offline_replicas: Vec<i32> [5..],
    }
}
