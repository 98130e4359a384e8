//! AlterPartitionReassignments (45), versions 0-1: move partitions to other brokers.
//!
//! * There is one broker, so nothing ever moves: to where it is, a partition has moved at once, without an error. Any
//!   other list of replicas is error 39, with Kafka's sentence.
//! * Null replicas end a move that is under way, which none is: error 85.
//! * An unknown topic or partition is error 3.
//! * The replication factor is 1 before and after, whether v1+ allows it to change or not; the answer repeats which.
//! * A request without topics is answered like a fresh message of Kafka's: an empty sentence, and "allowed".

use super::Call;
use super::common::Allowance;
use super::refusal::{self, Refusal};
use super::topic_creation::check_replicas;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopic, ReassignableTopicResponse,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: AlterPartitionReassignmentsRequest<'_>,
) -> Outcome {
    let mut allowance = Allowance::new();
    let topics = request.topics.iter();
    let count = topics.map(|topic| topic.partitions.len()).sum();
    if let Err(outcome) = allowance.take::<ReassignablePartitionResponse<'_>>(count) {
        return outcome;
    }
    if request.topics.is_empty() {
        return call.reply(&AlterPartitionReassignmentsResponse {
            error_message: Some("".into()),
            ..Default::default()
        });
    }
    let topics = request.topics.iter();
    let responses = topics.map(|topic| response(broker, &mut allowance, topic));
    let responses = match responses.collect::<Result<_, Outcome>>() {
        Ok(responses) => responses,
        Err(outcome) => return outcome,
    };
    call.reply(&AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses,
        ..Default::default()
    })
}

fn response<'a>(
    broker: &Broker,
    allowance: &mut Allowance,
    topic: &ReassignableTopic<'a>,
) -> Result<ReassignableTopicResponse<'a>, Outcome> {
    let row = |partition: &ReassignablePartition| {
        let refusal = check(broker, topic.name, partition).err();
        let (error_code, error_message) = refusal::parts(refusal);
        allowance.take_text(error_message.as_deref())?;
        Ok(ReassignablePartitionResponse {
            partition_index: partition.partition_index,
            error_code,
            error_message,
        })
    };
    let rows = topic.partitions.iter().map(row);
    Ok(ReassignableTopicResponse {
        name: topic.name,
        partitions: rows.collect::<Result<_, Outcome>>()?,
    })
}

/// Whether a partition is where it shall be.
fn check(broker: &Broker, name: &str, wish: &ReassignablePartition) -> Result<(), Refusal> {
    let unknown = |what| Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what));
    let index = wish.partition_index;
    let Some(topic) = broker.topics().by_name(name) else {
        return unknown(format!("Unable to find a topic named {name}."));
    };
    if topic.partition(index).is_none() {
        return unknown(format!("Unable to find partition {name}:{index}."));
    }
    match &wish.replicas {
        None => Err(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS.into()),
        Some(replicas) => check_replicas(broker.identity.node_id, replicas),
    }
}
