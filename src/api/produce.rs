//! Produce (0), versions 0-13: append record batches.
//!
//! * v0-v1 carry message sets of format 0, v2 of format 1 (each may hold several entries, compressed or not);
//!   they are converted to one batch. v3+ carry exactly one batch for each partition.
//! * v0-v12 name topics, v13 carries ids: an unknown id is error 100.
//! * acks other than -1, 0, 1: error 21 for every partition. acks=1 and acks=all are the same here, and
//!   the answer leaves when the records are as safe as the topic's flush settings promise.
//! * acks=0 is never answered; when a partition fails, the connection is closed, which is the signal.
//! * zstd below v7: error 76.
//! * A transactional batch in a request without a transactional id: error 53 for all. Batches of more than one
//!   producer, or of one in several epochs: 49 for all. A transactional id alone says nothing.
//! * A transactional batch is appended where its transaction is open. Up to v11 its partition must have been added
//!   (else 48, at v11 120); from v12 on it joins by that. An epoch that is not the producer's own is 47, another
//!   producer id 49. While the last end is being written the answer is 51, which up to v11 is told as 19; so is 14, at
//!   every version, because producers do not know it (KIP-890).
//! * Partitions that are being loaded are waited for, at most the request's timeout, also without acks; so are, for
//!   transactional batches, the transactions. Batches of one producer that are sent ahead of each other keep their
//!   order that way: the first, refused, would come behind the second.
//! * A partition that stands twice in a request is appended to twice: Apache Kafka drops one of them.

use super::{Call, produced};
use crate::broker::Broker;
use crate::broker::facts::{Producer, TxnVersion};
use crate::broker::topics::Topic;
use crate::broker::txns::Claim;
use crate::broker::wait::{Key, Outcome};
use crate::proto::batch::{Batch, BatchHeader};
use crate::proto::error::ErrorCode;
use crate::proto::schema::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceResponse,
};
use crate::storage::{Appended, Log, Origin, PartitionId, Refused, Unavailable};
use std::collections::BTreeSet;

const NO_OFFSET: i64 = -1;
/// From this version on transactions are of version 2 (KIP-890).
const TRANSACTIONS_V2: i16 = 12;

/// One partition of a request, and what can be said of it before anything is done.
struct Part<'r> {
    index: i32,
    /// Where its records are to go.
    at: Result<PartitionId, ErrorCode>,
    records: Option<&'r [u8]>,
    /// The header of the first whole batch of format 2.
    header: Option<BatchHeader>,
    /// That batch is the only whole one.
    is_single: bool,
}

impl Part<'_> {
    /// The header of a batch that says that it is part of a transaction.
    fn transactional(&self) -> Option<&BatchHeader> {
        let header = self.header.as_ref();
        header.filter(|header| header.attributes.is_transactional())
    }
}

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ProduceRequest<'_>,
) -> Outcome {
    let parts = parts(broker, call.version(), &request);
    if let Err(code) = check(&request, &parts) {
        let answers = parts
            .iter()
            .map(|part| refused(part, code.into(), NO_OFFSET));
        let answers = answers.collect();
        return respond(call, &request, answers);
    }
    let awaited = awaited(broker, &parts);
    if let Some(wait) = call.wait_for(awaited, request.timeout_ms) {
        return wait;
    }
    let mut answers = Vec::with_capacity(parts.len());
    for part in &parts {
        answers.push(produce(broker, call, request.transactional_id, part));
    }
    respond(call, &request, answers)
}

/// Every partition of the request, in its order. From v13 on a topic has an id and no name.
fn parts<'r>(broker: &Broker, version: i16, request: &ProduceRequest<'r>) -> Vec<Part<'r>> {
    let count = request
        .topic_data
        .iter()
        .map(|topic| topic.partition_data.len());
    let mut parts = Vec::with_capacity(count.sum());
    for topic in &request.topic_data {
        let topics = broker.topics();
        let (found, absent) = match version {
            ..13 => (
                topics.by_name(topic.name),
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ),
            _ => (topics.by_id(topic.topic_id), ErrorCode::UNKNOWN_TOPIC_ID),
        };
        for partition in &topic.partition_data {
            let place = |topic: &Topic| topic.partition(partition.index);
            let records = partition.records.bytes();
            let first = records.and_then(|records| Batch::split_first(records).ok());
            parts.push(Part {
                index: partition.index,
                at: found
                    .ok_or(absent)
                    .and_then(|topic| place(topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
                records,
                header: first.as_ref().map(|(batch, _)| *batch.header()),
                is_single: first.is_some_and(|(_, rest)| Batch::split_first(rest).is_err()),
            });
        }
    }
    parts
}

/// What a start has still to bring before these parts can be judged.
fn awaited(broker: &Broker, parts: &[Part<'_>]) -> Vec<Key> {
    let places = parts.iter().filter_map(|part| part.at.ok());
    let mut awaited: Vec<Key> = broker
        .loading_of(places)
        .into_iter()
        .map(Key::Partition)
        .collect();
    let is_transactional = parts.iter().any(|part| part.transactional().is_some());
    if is_transactional && broker.check_transactions().is_err() {
        awaited.push(Key::Transactions);
    }
    awaited
}

/// What is wrong with the whole request.
fn check(request: &ProduceRequest<'_>, parts: &[Part<'_>]) -> Result<(), ErrorCode> {
    if !matches!(request.acks, -1..=1) {
        return Err(ErrorCode::INVALID_REQUIRED_ACKS);
    }
    let mut producers = BTreeSet::new();
    for part in parts {
        let Some(header) = part.transactional() else {
            continue;
        };
        if request.transactional_id.is_none() {
            return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        if part.at.is_ok() && header.has_producer_id() {
            producers.insert((header.producer_id, header.producer_epoch));
        }
    }
    match producers.len() {
        0 | 1 => Ok(()),
        _ => Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING),
    }
}

fn produce<'a>(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    transactional_id: Option<&str>,
    part: &Part<'_>,
) -> PartitionProduceResponse<'a> {
    let at = match part.at {
        Ok(at) => at,
        Err(code) => return refused(part, code.into(), NO_OFFSET),
    };
    if let Err(refusal) = admit(broker, call, at, (transactional_id, part)) {
        return refused(part, refusal, NO_OFFSET);
    }
    match append(broker, call, at, part) {
        Ok(appended) => {
            call.after(appended.round);
            accepted(part, &appended)
        }
        Err(refusal) => {
            let log_start = told_log_start(broker, at, refusal.code, part);
            refused(part, refusal, log_start)
        }
    }
}

/// Has a transactional batch's transaction ready for it. A batch that its log refuses then has joined all the same, as
/// in Kafka; what is not even one batch has not.
fn admit(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    at: PartitionId,
    (transactional_id, part): (Option<&str>, &Part<'_>),
) -> Result<(), Refused> {
    let (Some(transactional_id), Some(header)) = (transactional_id, part.transactional()) else {
        return Ok(());
    };
    if !header.has_producer_id() || !part.is_single {
        return Ok(());
    }
    let claim = Claim {
        transactional_id,
        producer: Producer {
            id: header.producer_id,
            epoch: header.producer_epoch,
        },
    };
    let version = call.txn_version(TRANSACTIONS_V2);
    let admitted = broker.admit_produce(&claim, at, version, call.cx.now);
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
    at: PartitionId,
    part: &Part<'_>,
) -> Result<Appended, Refused> {
    let origin = match call.txn_version(TRANSACTIONS_V2) {
        TxnVersion::V1 => Origin::Client,
        TxnVersion::V2 => Origin::ClientV2,
    };
    let now = call.cx.now;
    let has_bounds = broker.storage.trusts(now);
    let config = broker.storage.log(at).map_err(Unavailable::code)?.config();
    let cap_bytes = config.convert_max_bytes;
    let records = produced::in_todays_format(part.records, call.version(), cap_bytes)?;
    let batch = produced::check(&records, config, (now, has_bounds))?;
    broker.append(at, &batch, origin, now)
}

fn accepted<'a>(part: &Part<'_>, appended: &Appended) -> PartitionProduceResponse<'a> {
    PartitionProduceResponse {
        index: part.index,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time_ms,
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    }
}

/// What a refusal tells of the log's start: where the records or their producer are to blame, the producer
/// has to know what is left of its earlier ones (KIP-360). What is not even one batch never comes that far.
fn told_log_start(broker: &Broker, at: PartitionId, code: ErrorCode, part: &Part<'_>) -> i64 {
    match code {
        _ if !part.is_single => NO_OFFSET,
        ErrorCode::INVALID_RECORD
        | ErrorCode::INVALID_TIMESTAMP
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::INVALID_TXN_STATE => broker.storage.log(at).map_or(NO_OFFSET, Log::log_start),
        _ => NO_OFFSET,
    }
}

fn refused<'a>(
    part: &Part<'_>,
    refusal: Refused,
    log_start_offset: i64,
) -> PartitionProduceResponse<'a> {
    let record_errors = refusal.record_errors.into_iter();
    PartitionProduceResponse {
        index: part.index,
        error_code: refusal.code,
        base_offset: NO_OFFSET,
        log_start_offset,
        error_message: refusal.message,
        record_errors: record_errors.map(record_error).collect(),
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

/// Answers, where somebody waits for it: with acks=0 a failure closes the connection instead.
fn respond(
    call: &mut Call<'_, '_>,
    request: &ProduceRequest<'_>,
    answers: Vec<PartitionProduceResponse<'_>>,
) -> Outcome {
    if request.acks == 0 {
        let is_fine = |answer: &PartitionProduceResponse<'_>| answer.error_code == ErrorCode::NONE;
        return match answers.iter().all(is_fine) {
            true => Outcome::Silent,
            false => Outcome::Close("a produce with acks=0 that failed"),
        };
    }
    let mut answers = answers.into_iter();
    let responses = request.topic_data.iter().map(|topic| {
        let of_topic = answers.by_ref().take(topic.partition_data.len());
        TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: of_topic.collect(),
        }
    });
    let response = ProduceResponse {
        responses: responses.collect(),
        ..Default::default()
    };
    call.reply(&response)
}
