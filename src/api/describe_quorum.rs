//! DescribeQuorum (55), versions 0-2: who keeps the cluster's metadata. That is this broker, alone, in its journal.
//!
//! * `__cluster_metadata`-0 has one voter, which leads and lags behind nobody. Its log end is the number of the
//!   journal's newest entry; the answer leaves when that entry is durable, so the high watermark is the same.
//! * Anything but this one partition, alone, is error 3 for all that is named.
//! * Where nothing is wrong v2+ has an empty sentence, as in Kafka, not null.
//! * The voter's times are now, as for every leader. v2+ says where it listens: where the client has found it, for
//!   there is no listener for controllers.

use super::Call;
use super::common::{Allowance, endpoint};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node, PartitionData, ReplicaState,
    TopicData, asked,
};

/// The name that Kafka gives to the log of its metadata.
const METADATA: &str = "__cluster_metadata";

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeQuorumRequest<'_>,
) -> Outcome {
    if !is_metadata(&request.topics) {
        return refuse(call, &request.topics);
    }
    let (newest, round) = broker.journaled();
    let log_end_offset = i64::try_from(newest).unwrap_or(i64::MAX);
    call.after(round);
    let (node_id, now_ms) = (broker.identity.node_id, call.cx.now.wall_ms);
    let voter = ReplicaState {
        replica_id: node_id,
        replica_directory_id: broker.identity.directory_id,
        log_end_offset,
        last_fetch_timestamp: now_ms,
        last_caught_up_timestamp: now_ms,
    };
    let quorum = PartitionData {
        error_message: Some("".into()),
        leader_id: node_id,
        leader_epoch: broker.leader_epoch(),
        high_watermark: log_end_offset,
        current_voters: vec![voter],
        ..Default::default()
    };
    let (host, port) = endpoint(broker, call.cx.peer);
    let name = call.cx.peer.listener.clone();
    let listener = Listener {
        name: &name,
        host: &host,
        port: u16::try_from(port).unwrap_or_default(),
    };
    call.reply(&DescribeQuorumResponse {
        error_message: Some("".into()),
        topics: vec![TopicData {
            topic_name: METADATA,
            partitions: vec![quorum],
        }],
        nodes: vec![Node {
            node_id,
            listeners: vec![listener],
        }],
        ..Default::default()
    })
}

/// Whether the partition is named that there is, and no other.
fn is_metadata(topics: &[asked::TopicData<'_>]) -> bool {
    let [topic] = topics else {
        return false;
    };
    topic.topic_name == METADATA
        && matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
}

fn refuse(call: &mut Call<'_, '_>, topics: &[asked::TopicData<'_>]) -> Outcome {
    let mut allowance = Allowance::new();
    let count = topics.iter().map(|topic| topic.partitions.len()).sum();
    if let Err(outcome) = allowance.take::<PartitionData<'_>>(count) {
        return outcome;
    }
    let row = |partition_index| PartitionData {
        partition_index,
        error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        error_message: Some("This server does not host this topic-partition.".into()),
        ..Default::default()
    };
    let refused = topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| row(partition.partition_index))
            .collect(),
    });
    call.reply(&DescribeQuorumResponse {
        error_message: Some("".into()),
        topics: refused.collect(),
        ..Default::default()
    })
}
