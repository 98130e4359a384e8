//! CreatePartitions (37), versions 0-3: give topics more partitions.
//!
//! * Topics are judged one by one, in Kafka's order: existence (3), the count (37 unless it is an increase),
//!   assignments (39), and then our own limits (44). A name that stands twice in the request is error 42, once.
//! * Assignments are for the new partitions only; each must name this broker, and nobody else.
//! * More than 10,000 new partitions in one request are error 44 for all of its topics; Kafka fails there with -1.
//! * Nothing is moved: records with a key may go to other partitions than before, as with Kafka.
//! * The answer leaves when the partitions are durable, whatever the request's timeout is; Metadata shows them then.
//!   With `validate_only` nothing is changed.

use super::Call;
use super::refusal::{self, Refusal};
use super::topic_creation;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::schema::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use std::collections::BTreeMap;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: CreatePartitionsRequest<'_>,
) -> Outcome {
    let mut named: BTreeMap<&str, Vec<&CreatePartitionsTopic<'_>>> = BTreeMap::new();
    for topic in &request.topics {
        named.entry(topic.name).or_default().push(topic);
    }
    let total = additional(broker, &request.topics);
    let mut results = Vec::with_capacity(named.len());
    for (name, topics) in named {
        let refusal = match &topics[..] {
            [topic] => grow(broker, call, topic, total, request.validate_only).err(),
            _ => Some(Refusal::invalid(topic_creation::NAMED_TWICE)),
        };
        results.push(row(name, refusal));
    }
    call.reply(&CreatePartitionsResponse {
        results,
        ..Default::default()
    })
}

/// How many partitions the request would add in all.
fn additional(broker: &Broker, topics: &[CreatePartitionsTopic<'_>]) -> i64 {
    let of_one = |topic: &CreatePartitionsTopic<'_>| {
        let existing = broker.topics().by_name(topic.name)?.partition_count;
        Some((i64::from(topic.count) - i64::from(existing)).max(0))
    };
    topics.iter().filter_map(of_one).sum()
}

fn grow(
    broker: &mut Broker,
    call: &Call<'_, '_>,
    wish: &CreatePartitionsTopic<'_>,
    total: i64,
    validate_only: bool,
) -> Result<(), Refusal> {
    let (id, additional) = check(broker, wish)?;
    topic_creation::check_request(total)?;
    topic_creation::check_partition_limit(broker, additional)?;
    if validate_only {
        return Ok(());
    }
    let grown = broker.grow_topic(id, wish.count, call.cx.now);
    grown.map_err(|e| topic_creation::refused_by_disk(broker, wish.name, &e, call.cx.now))
}

/// The topic, and how many partitions it is to have more.
fn check(broker: &Broker, wish: &CreatePartitionsTopic<'_>) -> Result<(Uuid, i32), Refusal> {
    let (name, count) = (wish.name, wish.count);
    let Some(topic) = broker.topics().by_name(name) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    };
    let existing = topic.partition_count;
    if count <= existing {
        let message = match count == existing {
            true => format!("Topic already has {existing} partition(s)."),
            false => format!(
                "The topic {name} currently has {existing} partition(s); {count} would not be an increase."
            ),
        };
        return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
    }
    let additional = count - existing;
    if let Some(assignments) = &wish.assignments {
        if usize::try_from(additional) != Ok(assignments.len()) {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        for assignment in assignments {
            topic_creation::check_replicas(broker.identity.node_id, &assignment.broker_ids)?;
        }
    }
    Ok((topic.id, additional))
}

fn row(name: &str, refusal: Option<Refusal>) -> CreatePartitionsTopicResult<'_> {
    let (error_code, error_message) = refusal::parts(refusal);
    CreatePartitionsTopicResult {
        name,
        error_code,
        error_message,
    }
}
