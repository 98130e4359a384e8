//! DescribeTopicPartitions (75): partitions of topics, page by page (KIP-966).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;
use crate::proto::{Maybe, Uuid};

wire! {
    /// Describe the topics' partitions from the cursor on, up to the limit.
    struct DescribeTopicPartitionsRequest<'a> {
        topics:                   Vec<TopicRequest<'a>>,
        response_partition_limit: i32 = 2000,
        cursor:                   Maybe<Cursor<'a>>,
    }

    /// A topic by name.
    struct TopicRequest<'a> {
        name: &'a str,
    }

    /// The first partition of a page.
    struct Cursor<'a> {
        topic_name:      &'a str,
        partition_index: i32,
    }

    /// One page, and where the next begins; a null cursor ends it.
    struct DescribeTopicPartitionsResponse<'a> {
        throttle_time_ms: i32,
        topics:           Vec<DescribeTopicPartitionsResponseTopic<'a>>,
        next_cursor:      Maybe<Cursor<'a>>,
    }

    /// A topic of the page.
    struct DescribeTopicPartitionsResponseTopic<'a> {
        error_code:                  ErrorCode,
        name:                        Option<&'a str>,
        topic_id:                    Uuid,
        is_internal:                 bool,
        partitions:                  Vec<DescribeTopicPartitionsResponsePartition>,
        topic_authorized_operations: i32 = i32::MIN,
    }

    /// A partition, its leader and its replicas.
    struct DescribeTopicPartitionsResponsePartition {
        error_code:               ErrorCode,
        partition_index:          i32,
        leader_id:                i32,
        leader_epoch:             i32 = -1,
        replica_nodes:            Vec<i32>,
        isr_nodes:                Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr:           Option<Vec<i32>>,
        offline_replicas:         Vec<i32>,
    }
}
