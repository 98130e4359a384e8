//! OffsetForLeaderEpoch (23), versions 0-4: where an epoch ended, so that a consumer notices that records it
//! has read are gone (KIP-320).
//!
//! * v2+ carries the epoch that the client believes in: 74 when older than ours, 75 when newer.
//! * The current epoch ends at the log's end, so the answer waits until that is durable; an unknown one
//!   answers epoch -1 and offset -1 without error.

use super::common::check_epoch;
use super::{Call, LOADING_TIMEOUT_MS};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use crate::storage::{Log, Unavailable};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: OffsetForLeaderEpochRequest<'_>,
) -> Outcome {
    let named = request
        .topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| (t.topic, p.partition)));
    let loading = broker.loading(named);
    if let Some(wait) = call.wait_for_loading(loading, LOADING_TIMEOUT_MS) {
        return wait;
    }
    let logs = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.filter_map(|p| broker.log(topic.topic, p.partition).ok())
    });
    let told = logs.map(Log::round_of_unsynced).max();
    call.after(told.unwrap_or(0));
    let topics = request
        .topics
        .iter()
        .map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions: topic
                .partitions
                .iter()
                .map(|p| end_of_epoch(broker, topic.topic, p))
                .collect(),
        });
    let response = OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    call.reply(&response)
}

fn end_of_epoch(broker: &Broker, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let log = broker
        .log(topic, asked.partition)
        .map_err(Unavailable::code);
    let checked = log.and_then(|log| {
        check_epoch(asked.current_leader_epoch, broker.leader_epoch())?;
        Ok(log.end_of_epoch(asked.leader_epoch))
    });
    let partition = asked.partition;
    match checked {
        Ok((leader_epoch, end_offset)) => EpochEndOffset {
            partition,
            leader_epoch,
            end_offset,
            ..Default::default()
        },
        Err(error_code) => EpochEndOffset {
            partition,
            error_code,
            ..Default::default()
        },
    }
}
