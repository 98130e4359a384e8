//! DescribeQuorum (55): who keeps the cluster's metadata (KIP-595, KIP-836, KIP-853). Flexible from version 0 on.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;
use crate::proto::{Text, Uuid};

wire! {
    /// Who keeps this partition? There is one such: `__cluster_metadata`-0.
    struct DescribeQuorumRequest<'a> {
        topics: Vec<asked::TopicData<'a>>,
    }

    /// The quorum, and where its voters listen.
    struct DescribeQuorumResponse<'a> {
        error_code:    ErrorCode,
        error_message: Option<Text<'a>> [2..],
        topics:        Vec<TopicData<'a>>,
        nodes:         Vec<Node<'a>>    [2..],
    }

    /// A topic.
    struct TopicData<'a> {
        topic_name: &'a str,
        partitions: Vec<PartitionData<'a>>,
    }

    /// A partition: its leader, its voters and those who only follow.
    struct PartitionData<'a> {
        partition_index: i32,
        error_code:      ErrorCode,
        error_message:   Option<Text<'a>> [2..],
        leader_id:       i32,
        leader_epoch:    i32,
        high_watermark:  i64,
        current_voters:  Vec<ReplicaState>,
        observers:       Vec<ReplicaState>,
    }

    /// How far a replica is. Times are in ms since 1970, -1 where they are not known.
    struct ReplicaState {
        replica_id:               i32,
        replica_directory_id:     Uuid [2..],
        log_end_offset:           i64,
        last_fetch_timestamp:     i64  [1..] = -1,
        last_caught_up_timestamp: i64  [1..] = -1,
    }

    /// A voter.
    struct Node<'a> {
        node_id:   i32,
        listeners: Vec<Listener<'a>>,
    }

    /// Where it listens.
    struct Listener<'a> {
        name: &'a str,
        host: &'a str,
        port: u16,
    }
}

/// What a request names: Kafka calls the parts of the answer the same.
pub mod asked {
    use crate::proto::wire::wire;

    wire! {
        /// A topic.
        struct TopicData<'a> {
            topic_name: &'a str,
            partitions: Vec<PartitionData>,
        }

        /// A partition.
        struct PartitionData {
            partition_index: i32,
        }
    }
}
