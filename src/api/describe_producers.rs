//! DescribeProducers (61), version 0: who writes to a partition, and whether a transaction is open there (KIP-664).
//!
//! * Asked with an illegal topic name, a partition is error 17 with a sentence; without such a topic or partition 3.
//! * Every producer that the log remembers is listed, idempotent ones too, until `producer.id.expiration.ms` forgets
//!   it.
//! * `coordinator_epoch` is that of the last marker, -1 before one; `current_txn_start_offset` is -1 without an open
//!   transaction.
//! * The epoch is an i32 here and an i16 everywhere else.

use super::Call;
use crate::broker::Broker;
use crate::broker::topics;
use crate::broker::wait::Outcome;
use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicRequest, TopicResponse,
};
use crate::storage::{Log, ProducerView, Unavailable};

const NO_TRANSACTION: i64 = -1;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeProducersRequest<'_>,
) -> Outcome {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let of = |&index: &i32| partition(broker, call, topic, index);
        topics.push(TopicResponse {
            name: topic.name,
            partitions: topic.partition_indexes.iter().map(of).collect(),
        });
    }
    call.reply(&DescribeProducersResponse {
        topics,
        ..Default::default()
    })
}

fn partition<'a>(
    broker: &Broker,
    call: &mut Call<'_, '_>,
    topic: &TopicRequest<'_>,
    partition_index: i32,
) -> PartitionResponse<'a> {
    let answer = PartitionResponse {
        partition_index,
        ..Default::default()
    };
    if let Some((error_code, message)) = topic_problem(broker, topic.name) {
        return PartitionResponse {
            error_code,
            error_message: Some(message),
            ..answer
        };
    }
    match broker.log(topic.name, partition_index) {
        Err(why) => PartitionResponse {
            error_code: Unavailable::code(why),
            ..answer
        },
        Ok(log) => {
            call.after(log.round_of_unsynced());
            PartitionResponse {
                active_producers: producers(log),
                ..answer
            }
        }
    }
}

/// What is wrong with the whole topic, in Kafka's words.
fn topic_problem<'a>(broker: &Broker, name: &str) -> Option<(ErrorCode, Text<'a>)> {
    if let Some(sentence) = topics::name_problem(name) {
        return Some((ErrorCode::INVALID_TOPIC_EXCEPTION, sentence.into()));
    }
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let sentence = "This server does not host this topic-partition.";
    let known = broker.topics().by_name(name);
    known.is_none().then(|| (unknown, sentence.into()))
}

fn producers(log: &Log) -> Vec<ProducerState> {
    let state = |known: ProducerView| ProducerState {
        producer_id: known.producer_id,
        producer_epoch: known.producer_epoch.into(),
        last_sequence: known.last_sequence,
        last_timestamp: known.last_timestamp_ms,
        coordinator_epoch: known.coordinator_epoch,
        current_txn_start_offset: known.transaction_start.unwrap_or(NO_TRANSACTION),
    };
    log.producers().map(state).collect()
}
