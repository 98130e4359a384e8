//! Produce (0), versions 0-13: append record batches.
//!
//! * v0-v1 carry message sets of format 0, v2 of format 1 (each may hold several entries, compressed or not);
//!   they are converted to one batch. v3+ carry exactly one batch for each partition.
//! * v0-v12 name topics, v13 carries ids: an unknown id is error 100.
//! * acks other than -1, 0, 1: error 21 for every partition. acks=1 and acks=all are the same here, and
//!   the answer leaves when the records are as safe as the topic's flush settings promise.
//! * acks=0 is never answered; when a partition fails, the connection is closed, which is the signal.
//! * zstd below v7: error 76.
//! * A transactional batch in a request without a transactional id: error 53 for all. Batches of more than one producer,
//!   or of one in several epochs: 49 for all. A transactional id alone says nothing.
//! * A transactional batch is appended where its transaction is open. Up to v11 its partition must have been added
//!   (else 48, at v11 120); from v12 on it joins by that. An epoch that is not the producer's own is 47, another producer
//!   id 49. While the last end is being written the answer is 51, which up to v11 is told as 19; so is 14, at every
//!   version, because producers do not know it (KIP-890).
//! * Partitions that are being loaded are waited for, at most the request's timeout, also without acks.
//! * A partition that stands twice in a request is appended to twice: Apache Kafka drops one of them.

use super::{Call, legacy_code};
use crate::broker::Broker;
use crate::broker::facts::{Producer, TxnVersion};
use crate::broker::topics::Topic;
use crate::broker::txns::Claim;
use crate::broker::wait::Outcome;
use crate::proto::batch::{self, Batch, BatchHeader};
use crate::proto::codec::Codec;
use crate::proto::error::ErrorCode;
use crate::proto::legacy;
use crate::proto::schema::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use crate::storage::{Appended, Log, Origin, PartitionId, Refused};
use std::borrow::Cow;
use std::collections::BTreeSet;

const NO_OFFSET: i64 = -1;
/// From this version on transactions are of version 2 (KIP-890).
const TRANSACTIONS_V2: i16 = 12;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ProduceRequest<'_>,
) -> Outcome {
    if !matches!(request.acks, -1..=1) {
        return respond_all(call, &request, ErrorCode::INVALID_REQUIRED_ACKS);
    }
    if let Err(code) = check_transaction(broker, call.version(), &request) {
        return respond_all(call, &request, code);
    }
    let loading = loading(broker, call.version(), &request);
    if let Some(wait) = call.wait_for_loading(loading, request.timeout_ms) {
        return wait;
    }
    let mut failed = false;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for partition in &topic.partition_data {
            let answer = produce(broker, call, (&request, topic, partition));
            failed |= answer.error_code != ErrorCode::NONE;
            partition_responses.push(answer);
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

/// From v13 on a topic has an id and no name.
fn find<'b>(
    broker: &'b Broker,
    version: i16,
    topic: &TopicProduceData<'_>,
) -> Result<&'b Topic, ErrorCode> {
    let (found, absent) = match version {
        ..13 => (
            broker.topics().by_name(topic.name),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ),
        _ => (
            broker.topics().by_id(topic.topic_id),
            ErrorCode::UNKNOWN_TOPIC_ID,
        ),
    };
    found.ok_or(absent)
}

/// The partitions of the request that are still being loaded.
fn loading(broker: &Broker, version: i16, request: &ProduceRequest<'_>) -> Vec<PartitionId> {
    let at =
        |topic: &TopicProduceData<'_>, index| find(broker, version, topic).ok()?.partition(index);
    let named = request
        .topic_data
        .iter()
        .flat_map(|t| t.partition_data.iter().map(move |p| (t, p.index)));
    broker.loading_of(named.filter_map(|(topic, index)| at(topic, index)))
}

/// What transactional batches say of the whole request.
fn check_transaction(
    broker: &Broker,
    version: i16,
    request: &ProduceRequest<'_>,
) -> Result<(), ErrorCode> {
    let mut producers = BTreeSet::new();
    for topic in &request.topic_data {
        for partition in &topic.partition_data {
            let Some(header) = transactional(partition) else {
                continue;
            };
            if request.transactional_id.is_none() {
                return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
            }
            let place = find(broker, version, topic).map(|topic| topic.partition(partition.index));
            if let Ok(Some(_)) = place
                && header.has_producer_id()
            {
                producers.insert((header.producer_id, header.producer_epoch));
            }
        }
    }
    match producers.len() {
        0 | 1 => Ok(()),
        _ => Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING),
    }
}

/// The header of a batch that says that it is part of a transaction.
fn transactional(partition: &PartitionProduceData<'_>) -> Option<BatchHeader> {
    let (batch, _) = Batch::split_first(partition.records.bytes()?).ok()?;
    let header = *batch.header();
    header.attributes.is_transactional().then_some(header)
}

fn produce<'a>(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    (request, topic, partition): (
        &ProduceRequest<'_>,
        &TopicProduceData<'_>,
        &PartitionProduceData<'_>,
    ),
) -> PartitionProduceResponse<'a> {
    let found = find(broker, call.version(), topic).and_then(|topic| {
        topic
            .partition(partition.index)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    });
    let id = match found {
        Ok(id) => id,
        Err(code) => return refused(partition.index, code.into(), NO_OFFSET),
    };
    if let Err(refusal) = admit(broker, call, id, (request.transactional_id, partition)) {
        return refused(partition.index, refusal, NO_OFFSET);
    }
    match append(broker, call, id, partition) {
        Ok(appended) => {
            call.after(appended.round);
            accepted(partition.index, &appended)
        }
        Err(refusal) => {
            let log_start = told_log_start(broker, id, refusal.code, partition);
            refused(partition.index, refusal, log_start)
        }
    }
}

/// Has a transactional batch's transaction ready for it. What is refused for other reasons, and before, joins none.
fn admit(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    id: PartitionId,
    (transactional_id, partition): (Option<&str>, &PartitionProduceData<'_>),
) -> Result<(), Refused> {
    let (Some(transactional_id), Some(header)) = (transactional_id, transactional(partition))
    else {
        return Ok(());
    };
    if !header.has_producer_id() || !is_one_batch(partition.records.bytes().unwrap_or_default()) {
        return Ok(());
    }
    let claim = Claim {
        transactional_id,
        producer: Producer {
            id: header.producer_id,
            epoch: header.producer_epoch,
        },
    };
    let version = match call.version() {
        ..TRANSACTIONS_V2 => TxnVersion::V1,
        _ => TxnVersion::V2,
    };
    let admitted = broker.admit_produce(&claim, id, version, call.cx.now);
    let underlying = admitted.answer.err().unwrap_or(ErrorCode::NONE);
    let told = call.told(admitted);
    told.map_err(|code| not_admitted(code, underlying))
}

/// Why a transactional batch is not appended, in Kafka's words.
fn not_admitted(code: ErrorCode, underlying: ErrorCode) -> Refused {
    match code {
        ErrorCode::INVALID_TXN_STATE => {
            Refused::new(code, "Partition was not added to the transaction")
        }
        ErrorCode::NOT_ENOUGH_REPLICAS => {
            let underlying = underlying.name().unwrap_or_default();
            let message = format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: {underlying}"
            );
            Refused::new(code, message)
        }
        _ => code.into(),
    }
}

fn append(
    broker: &mut Broker,
    call: &Call<'_, '_>,
    id: PartitionId,
    partition: &PartitionProduceData<'_>,
) -> Result<Appended, Refused> {
    let origin = match call.version() {
        ..TRANSACTIONS_V2 => Origin::Client,
        _ => Origin::ClientV2,
    };
    let records = partition.records.bytes().ok_or(Refused::new(
        ErrorCode::INVALID_RECORD,
        "The request has no records for the partition.",
    ))?;
    let records = in_todays_format(
        records,
        call.version(),
        broker.config.chronik_convert_max_bytes,
    )?;
    match broker.storage.append(id, call.cx.now, &records, origin) {
        Err(Refused {
            failure: Some(failure),
            code,
            ..
        }) => {
            broker.fail(failure);
            Err(code.into())
        }
        Err(refusal) if refusal.code == ErrorCode::KAFKA_STORAGE_ERROR => {
            broker.note_refused_append(call.cx.now.mono, id, &refusal);
            Err(refusal)
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

fn accepted<'a>(index: i32, appended: &Appended) -> PartitionProduceResponse<'a> {
    PartitionProduceResponse {
        index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    }
}

/// What a refusal tells of the log's start: where the records or their producer are to blame, the producer
/// has to know what is left of its earlier ones (KIP-360). What is not even one batch never comes that far.
fn told_log_start(
    broker: &Broker,
    id: PartitionId,
    code: ErrorCode,
    partition: &PartitionProduceData<'_>,
) -> i64 {
    match code {
        _ if !is_one_batch(partition.records.bytes().unwrap_or_default()) => NO_OFFSET,
        ErrorCode::INVALID_RECORD
        | ErrorCode::INVALID_TIMESTAMP
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::INVALID_TXN_STATE => broker.storage.log(id).map_or(NO_OFFSET, Log::log_start),
        _ => NO_OFFSET,
    }
}

/// Whether there is one whole batch, whatever is wrong inside it.
fn is_one_batch(records: &[u8]) -> bool {
    match Batch::split_first(records) {
        Ok((_, rest)) => Batch::split_first(rest).is_err(),
        Err(_) => false,
    }
}

fn refused<'a>(
    index: i32,
    refusal: Refused,
    log_start_offset: i64,
) -> PartitionProduceResponse<'a> {
    PartitionProduceResponse {
        index,
        error_code: refusal.code,
        base_offset: NO_OFFSET,
        log_start_offset,
        error_message: refusal.message,
        record_errors: refusal
            .record_errors
            .into_iter()
            .map(record_error)
            .collect(),
        ..Default::default()
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
        let refused = |p: &PartitionProduceData<'_>| refused(p.index, code.into(), NO_OFFSET);
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
