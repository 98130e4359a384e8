//! ElectLeaders (43), versions 0-2: let another replica lead.
//!
//! * Every partition has one replica, which leads it: the preferred and every other election is error 84, with
//!   Kafka's sentence. An unknown topic or partition is error 3.
//! * Null partitions mean all. Those where nothing changes are then left out, so that each topic stands there alone.
//! * A type that is neither preferred (0) nor unclean (1) is error 42, for the request and each of its partitions;
//!   version 0 has no type and means the preferred replica. A request without partitions is not looked at further.

use super::Call;
use super::common::Allowance;
use super::refusal::{self, Refusal};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
    TopicPartitions,
};

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ElectLeadersRequest<'_>,
) -> Outcome {
    let named = request.topic_partitions.as_deref();
    let is_known = [PREFERRED, UNCLEAN].contains(&request.election_type);
    let unknown = match is_known || named.is_some_and(<[_]>::is_empty) {
        true => None,
        false => Some(request.election_type),
    };
    let mut allowance = Allowance::new();
    let rows = named.unwrap_or_default().iter();
    let count = rows.map(|topic| topic.partitions.len()).sum();
    if let Err(outcome) = allowance.take::<PartitionResult<'_>>(count) {
        return outcome;
    }
    let results = match (unknown, named) {
        (Some(_), None) => Ok(Vec::new()),
        (Some(kind), Some(topics)) => results(&mut allowance, topics, |_, _| {
            Refusal::invalid(format!("Unknown election type {kind}"))
        }),
        (None, None) => Ok(untouched(broker)),
        (None, Some(topics)) => results(&mut allowance, topics, |topic, partition| {
            verdict(broker, topic, partition)
        }),
    };
    let replica_election_results = match results {
        Ok(results) => results,
        Err(outcome) => return outcome,
    };
    call.reply(&ElectLeadersResponse {
        error_code: unknown.map_or(ErrorCode::NONE, |_| ErrorCode::INVALID_REQUEST),
        replica_election_results,
        ..Default::default()
    })
}

/// All topics, none of which has a partition that needs a leader.
fn untouched(broker: &Broker) -> Vec<ReplicaElectionResult<'_>> {
    let result = |topic| ReplicaElectionResult {
        topic,
        partition_result: Vec::new(),
    };
    let topics = broker.topics().iter();
    topics.map(|topic| result(&topic.name)).collect()
}

fn results<'a>(
    allowance: &mut Allowance,
    topics: &[TopicPartitions<'a>],
    verdict: impl Fn(&str, i32) -> Refusal,
) -> Result<Vec<ReplicaElectionResult<'a>>, Outcome> {
    let mut row = |topic, &partition_id: &i32| {
        let (error_code, error_message) = refusal::parts(Some(verdict(topic, partition_id)));
        allowance.take_text(error_message.as_deref())?;
        Ok(PartitionResult {
            partition_id,
            error_code,
            error_message,
        })
    };
    let mut result = |asked: &TopicPartitions<'a>| {
        let rows = asked.partitions.iter().map(|index| row(asked.topic, index));
        Ok(ReplicaElectionResult {
            topic: asked.topic,
            partition_result: rows.collect::<Result<_, Outcome>>()?,
        })
    };
    topics.iter().map(&mut result).collect()
}

/// Why a partition gets no other leader.
fn verdict(broker: &Broker, name: &str, partition: i32) -> Refusal {
    let unknown = |what| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what);
    let Some(topic) = broker.topics().by_name(name) else {
        return unknown(format!("No such topic as {name}"));
    };
    if topic.partition(partition).is_none() {
        return unknown(format!("No such partition as {name}-{partition}"));
    }
    let message = "Leader election not needed for topic partition.";
    Refusal::new(ErrorCode::ELECTION_NOT_NEEDED, message)
}
