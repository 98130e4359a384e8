//! DescribeProducers (61), version 0: who writes to a partition, and whether a transaction is open there (KIP-664).
//!
//! * Asked with an illegal topic name, a partition is error 17 with a sentence; without such a topic 3 with one,
//!   without such a partition 3 without.
//! * Every producer that the log remembers is listed by its id, idempotent ones too, until `producer.id.expiration.ms`
//!   forgets it.
//! * `coordinator_epoch` is that of the last marker, -1 before one; `current_txn_start_offset` is -1 without an open
//!   transaction. The epoch is an i32 here and an i16 everywhere else.
//! * What is told includes the newest append, so the answer waits until that is durable.

use super::common::Allowance;
use super::refusal::Refusal;
use super::{Call, LOADING_TIMEOUT_MS};
use crate::broker::Broker;
use crate::broker::topics::name_problem;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicRequest, TopicResponse,
};
use crate::storage::{Log, ProducerView, Unavailable};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeProducersRequest<'_>,
) -> Outcome {
    let named = request.topics.iter().flat_map(|topic| {
        let indexes = topic.partition_indexes.iter();
        indexes.map(|&partition| (topic.name, partition))
    });
    let loading = broker.loading(named.clone());
    if let Some(wait) = call.wait_for_loading(loading, LOADING_TIMEOUT_MS) {
        return wait;
    }
    let logs = named
        .clone()
        .filter_map(|(topic, partition)| broker.log(topic, partition).ok());
    let told = logs.map(Log::round_of_unsynced).max();
    call.after(told.unwrap_or(0));
    let mut allowance = Allowance::new();
    for (topic, partition) in named {
        let producers = broker
            .log(topic, partition)
            .map_or(0, |log| log.producers().count());
        if let Err(outcome) = allowance.take::<ProducerState>(producers) {
            return outcome;
        }
    }
    let topics = request.topics.iter().map(|topic| described(broker, topic));
    let response = DescribeProducersResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    call.reply(&response)
}

fn described<'a>(broker: &Broker, asked: &TopicRequest<'a>) -> TopicResponse<'a> {
    let refused = refusal(broker, asked.name);
    let indexes = asked.partition_indexes.iter();
    let partitions = indexes.map(|&partition_index| match &refused {
        Some(Refusal { code, message }) => PartitionResponse {
            partition_index,
            error_code: *code,
            error_message: message.clone(),
            ..Default::default()
        },
        None => producers(broker, asked.name, partition_index),
    });
    TopicResponse {
        name: asked.name,
        partitions: partitions.collect(),
    }
}

/// Why no partition of the topic can be described.
fn refusal(broker: &Broker, topic: &str) -> Option<Refusal> {
    if let Some(why) = name_problem(topic) {
        return Some(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    }
    if broker.topics().by_name(topic).is_none() {
        let why = "This server does not host this topic-partition.";
        return Some(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, why));
    }
    None
}

fn producers(broker: &Broker, topic: &str, partition_index: i32) -> PartitionResponse<'static> {
    match broker.log(topic, partition_index) {
        Ok(log) => PartitionResponse {
            partition_index,
            active_producers: log.producers().map(state).collect(),
            ..Default::default()
        },
        Err(unavailable) => PartitionResponse {
            partition_index,
            error_code: Unavailable::code(unavailable),
            ..Default::default()
        },
    }
}

fn state(producer: ProducerView) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp_ms,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_start.unwrap_or(-1),
    }
}
