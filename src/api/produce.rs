//! Produce (0), versions 0-13: append record batches.
//!
//! * v0-v1 carry message sets of format 0, v2 of format 1 (each may hold several entries, compressed or not);
//!   they are converted to one batch. v3+ carry exactly one batch for each partition.
//! * v0-v12 name topics, v13 carries ids: an unknown id is error 100.
//! * acks other than -1, 0, 1: error 21 for every partition. acks=1 and acks=all are the same here, and
//!   the answer leaves when the records are as safe as the topic's flush settings promise.
//! * acks=0 is never answered; when a partition fails, the connection is closed, which is the signal.
//! * zstd below v7: error 76. A transactional id, or a transactional batch: error 53, for there are no
//!   transactions yet.
//! * Partitions that are being loaded are waited for, at most the request's timeout.

use super::{Call, legacy_code};
use crate::broker::Broker;
use crate::broker::topics::Topic;
use crate::broker::wait::Outcome;
use crate::proto::Uuid;
use crate::proto::batch::{self, Batch};
use crate::proto::codec::Codec;
use crate::proto::error::ErrorCode;
use crate::proto::legacy;
use crate::proto::schema::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use crate::storage::{Appended, Origin, PartitionId, Refused};
use std::borrow::Cow;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ProduceRequest<'_>,
) -> Outcome {
    if !matches!(request.acks, -1..=1) {
        return respond_all(call, &request, ErrorCode::INVALID_REQUIRED_ACKS);
    }
    if has_transactional_records(&request) {
        return respond_all(
            call,
            &request,
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        );
    }
    let timeout_ms = if request.acks == 0 {
        0
    } else {
        request.timeout_ms
    };
    let loading = loading(broker, &request);
    if let Some(wait) = call.wait_for_loading(loading, timeout_ms) {
        return wait;
    }
    call.after(broker.topics().round());
    let mut failed = false;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for partition in &topic.partition_data {
            let appended = append(broker, call, topic, partition);
            failed |= appended.is_err();
            if let Ok(appended) = &appended {
                call.after(appended.round);
            }
            partition_responses.push(answer(partition.index, appended));
        }
        responses.push(TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses,
        });
    }
    match request.acks {
        0 if failed => Outcome::Close("a produce with acks=0 that failed"),
        0 => Outcome::Silent,
        _ => call.reply(&ProduceResponse {
            responses,
            ..Default::default()
        }),
    }
}

fn find<'b>(broker: &'b Broker, topic: &TopicProduceData<'_>) -> Result<&'b Topic, ErrorCode> {
    match topic.topic_id {
        Uuid::ZERO => broker
            .topics()
            .by_name(topic.name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        id => broker.topics().by_id(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    }
}

/// The partitions of the request that are still being loaded.
fn loading(broker: &Broker, request: &ProduceRequest<'_>) -> Vec<PartitionId> {
    let at = |topic: &TopicProduceData<'_>, index| find(broker, topic).ok()?.partition(index);
    let named = request
        .topic_data
        .iter()
        .flat_map(|t| t.partition_data.iter().map(move |p| (t, p.index)));
    named
        .filter_map(|(topic, index)| at(topic, index))
        .filter(|&id| broker.storage.is_loading(id))
        .collect()
}

/// Whether the request is part of a transaction: by its id, or by a batch that says so.
fn has_transactional_records(request: &ProduceRequest<'_>) -> bool {
    let says_so = |partition: &PartitionProduceData<'_>| {
        let batch = partition
            .records
            .bytes()
            .and_then(|bytes| Batch::split_first(bytes).ok());
        batch.is_some_and(|(batch, _)| batch.header().attributes.is_transactional())
    };
    let mut partitions = request
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data);
    request.transactional_id.is_some() || partitions.any(says_so)
}

fn append(
    broker: &mut Broker,
    call: &Call<'_, '_>,
    topic: &TopicProduceData<'_>,
    partition: &PartitionProduceData<'_>,
) -> Result<Appended, Refused> {
    let topic = find(broker, topic).map_err(Refused::from)?;
    let id = topic
        .partition(partition.index)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let records = partition.records.bytes().ok_or(Refused::new(
        ErrorCode::INVALID_RECORD,
        "The request has no records for the partition.",
    ))?;
    let records = in_todays_format(
        records,
        call.version(),
        broker.config.chronik_convert_max_bytes,
    )?;
    match broker
        .storage
        .append(id, call.cx.now, &records, Origin::Client)
    {
        Err(Refused {
            failure: Some(failure),
            code,
            ..
        }) => {
            broker.fail(failure.error);
            Err(code.into())
        }
        appended => appended,
    }
}

/// The records as one batch of format 2, converted where an old client sent them.
fn in_todays_format(
    records: &[u8],
    version: i16,
    cap_bytes: usize,
) -> Result<Cow<'_, [u8]>, Refused> {
    let magic = batch::magic_of(records);
    if version < 3 && matches!(magic, Some(0 | 1)) {
        let batch = legacy::to_batch(records, cap_bytes);
        return batch.map(Cow::Owned).map_err(|e| legacy_code(&e).into());
    }
    if let Ok((batch, _)) = Batch::split_first(records)
        && version < 7
        && batch.header().attributes.codec() == Some(Codec::Zstd)
    {
        return Err(Refused::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            "Produce requests with version 6 or below are not allowed to use ZStandard compression",
        ));
    }
    Ok(Cow::Borrowed(records))
}

fn answer<'a>(index: i32, appended: Result<Appended, Refused>) -> PartitionProduceResponse<'a> {
    match appended {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            ..Default::default()
        },
        Err(refused) => PartitionProduceResponse {
            index,
            error_code: refused.code,
            base_offset: -1,
            error_message: refused.message,
            record_errors: refused
                .record_errors
                .into_iter()
                .map(record_error)
                .collect(),
            ..Default::default()
        },
    }
}

fn record_error<'a>(
    (batch_index, message): (i32, Option<String>),
) -> BatchIndexAndErrorMessage<'a> {
    BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: message.map(Into::into),
    }
}

/// Answers every partition with one code, or closes where nobody waits for an answer.
fn respond_all(call: &mut Call<'_, '_>, request: &ProduceRequest<'_>, code: ErrorCode) -> Outcome {
    if request.acks == 0 {
        return Outcome::Close("a produce with acks=0 that failed");
    }
    let responses = request.topic_data.iter().map(|topic| {
        let refused = |p: &PartitionProduceData<'_>| answer(p.index, Err(code.into()));
        TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: topic.partition_data.iter().map(refused).collect(),
        }
    });
    let response = ProduceResponse {
        responses: responses.collect(),
        ..Default::default()
    };
    call.reply(&response)
}
