//! CreateTopics (19), versions 0-7.
//!
//! * Topics are judged one by one, in Kafka's order: name, existence, settings, assignments or counts. A name
//!   that stands twice in the request is error 42.
//! * -1 partitions and -1 replicas mean the defaults, at every version; more than one replica is error 38,
//!   for there is one broker.
//! * A manual assignment wants both counts to be -1, partitions 0..n, and this broker as the one replica.
//! * `validate_only` (v1+) answers what would be; the id is then a fresh one, as in Kafka.
//! * v5+ answers the topic's effective settings.
//! * The answer leaves when the topic is durable, and Metadata shows it then.

use super::Call;
use super::refusal::Refusal;
use super::setting_changes;
use super::topic_creation::{self, Creation};
use crate::broker::Broker;
use crate::broker::settings::settings_bytes;
use crate::broker::wait::Outcome;
use crate::config;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::schema::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfigs, CreatableTopicResult,
    CreateTopicsRequest, CreateTopicsResponse,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: CreateTopicsRequest<'_>,
) -> Outcome {
    let repeated = repeated_names(&request.topics);
    let total = total_partitions(broker, &request.topics);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics.iter().filter(|t| !repeated.contains(t.name)) {
        let result = topic_creation::check_request(total)
            .and_then(|()| create(broker, call, topic, request.validate_only));
        topics.push(result.unwrap_or_else(|refusal| refused(topic.name, refusal)));
    }
    let twice = || Refusal::invalid(topic_creation::NAMED_TWICE);
    topics.extend(repeated.into_iter().map(|name| refused(name, twice())));
    call.reply(&CreateTopicsResponse {
        topics,
        ..Default::default()
    })
}

fn repeated_names<'a>(topics: &[CreatableTopic<'a>]) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    topics
        .iter()
        .map(|t| t.name)
        .filter(|name| !seen.insert(*name))
        .collect()
}

fn total_partitions(broker: &Broker, topics: &[CreatableTopic<'_>]) -> i64 {
    let wanted = |topic: &CreatableTopic<'_>| match (topic.assignments.len(), topic.num_partitions)
    {
        (0, -1) => i64::from(broker.config().num_partitions),
        (0, count) => i64::from(count.max(0)),
        (assigned, _) => i64::try_from(assigned).unwrap_or(i64::MAX),
    };
    topics.iter().map(wanted).fold(0, i64::saturating_add)
}

fn create<'a>(
    broker: &mut Broker,
    call: &Call<'_, '_>,
    topic: &CreatableTopic<'a>,
    validate_only: bool,
) -> Result<CreatableTopicResult<'a>, Refusal> {
    topic_creation::check_name(broker, topic.name)?;
    let settings = settings(topic)?;
    config::check_topic_settings(broker.config(), &settings).map_err(Refusal::bad_setting)?;
    setting_changes::check_bytes(0, settings_bytes(&settings))?;
    let creation = Creation {
        name: topic.name,
        partition_count: partition_count(broker, topic)?,
        settings,
    };
    topic_creation::check_partition_limit(broker, creation.partition_count)?;
    let (partition_count, configs) = (
        creation.partition_count,
        effective(broker, &creation.settings),
    );
    let topic_id = match validate_only {
        true => broker.new_id(),
        false => topic_creation::create(broker, creation, call.cx.now)?,
    };
    Ok(CreatableTopicResult {
        name: topic.name,
        topic_id,
        num_partitions: partition_count,
        replication_factor: 1,
        configs: Some(configs),
        ..Default::default()
    })
}

/// The settings of the request; one without a value is refused, as Kafka does.
fn settings(topic: &CreatableTopic<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let setting = |name: &str, value: Option<&str>| match value {
        Some(value) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Refusal::bad_setting(format!(
            "Null value not supported for topic configs: {name}"
        ))),
    };
    topic
        .configs
        .iter()
        .map(|c| setting(c.name, c.value))
        .collect()
}

fn partition_count(broker: &Broker, topic: &CreatableTopic<'_>) -> Result<i32, Refusal> {
    if !topic.assignments.is_empty() {
        return assigned_count(broker, topic);
    }
    let refusal = |code, message: &'static str| Err(Refusal::new(code, message));
    match (topic.replication_factor, topic.num_partitions) {
        (..=-2 | 0, _) => refusal(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ),
        (_, ..=-2 | 0) => refusal(
            ErrorCode::INVALID_PARTITIONS,
            "Number of partitions was set to an invalid non-positive value.",
        ),
        (-1 | 1, -1) => Ok(broker.config().num_partitions),
        (-1 | 1, count) => Ok(count),
        (factor, _) => Err(Refusal::new(
            ErrorCode::INVALID_REPLICATION_FACTOR,
            format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} \
                 cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories \
                 cordoned."
            ),
        )),
    }
}

fn assigned_count(broker: &Broker, topic: &CreatableTopic<'_>) -> Result<i32, Refusal> {
    let counted = |what| {
        let message =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Refusal::invalid(message))
    };
    if topic.replication_factor != -1 {
        return counted("replication factor");
    }
    if topic.num_partitions != -1 {
        return counted("numPartitions");
    }
    let refusal =
        |message: String| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    let mut assigned = BTreeSet::new();
    for CreatableReplicaAssignment {
        partition_index,
        broker_ids,
        ..
    } in &topic.assignments
    {
        if !assigned.insert(*partition_index) {
            return refusal(format!(
                "Found multiple manual partition assignments for partition {partition_index}"
            ));
        }
        topic_creation::check_replicas(broker.identity.node_id, broker_ids)?;
    }
    let consecutive = assigned
        .iter()
        .zip(0..)
        .all(|(&number, expected)| number == expected);
    if !consecutive {
        return refusal("partitions should be a consecutive 0-based integer sequence".to_owned());
    }
    Ok(i32::try_from(assigned.len()).unwrap_or(i32::MAX))
}

fn effective<'a>(
    broker: &Broker,
    own: &BTreeMap<String, String>,
) -> Vec<CreatableTopicConfigs<'a>> {
    let row = |setting: config::Effective| CreatableTopicConfigs {
        name: setting.name,
        value: setting.value.map(Into::into),
        read_only: false,
        config_source: setting.source as i8,
        is_sensitive: false,
    };
    config::effective_topic_settings(broker.config(), own)
        .into_iter()
        .map(row)
        .collect()
}

fn refused(name: &str, refusal: Refusal) -> CreatableTopicResult<'_> {
    CreatableTopicResult {
        name,
        topic_id: Uuid::ZERO,
        error_code: refusal.code,
        error_message: refusal.message,
        configs: Some(Vec::new()),
        ..Default::default()
    }
}
