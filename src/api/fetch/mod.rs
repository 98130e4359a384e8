//! Fetch (1), versions 0-18: read records, and wait for them.
//!
//! * The answer waits up to `max_wait_ms` for `min_bytes`, unless a partition has an error or nothing is
//!   asked. Partitions that are not there do not end the wait for those that are, or a consumer of a deleted
//!   topic would ask without a pause; one that goes away meanwhile does. v7+ may have a session (see
//!   `broker::fetch_sessions`): then only partitions with news are answered.
//! * Up to v12 topics are named, v13+ carries ids: an unknown one is error 100, an unknown name 3.
//! * v0-v1 are answered in message format 0, v2-v3 in format 1 (see `read`); v4+ get the batches as they lie
//!   in the log, without a copy.
//! * v9+ carries the epoch that the client believes in (74, 75); v12+ also that of its last record: where the
//!   log has gone another way since, the answer is the diverging epoch, without records.
//! * `replica_id` comes from the network and gives no rights: everybody reads as a consumer does, up to the
//!   high watermark, or with isolation 1 (v4+) up to the last stable offset, with the aborted transactions among
//!   what was read. Any other isolation is error -1, once there is a partition to read: v7+ at the top, up to v12 for
//!   every partition.
//! * v11's rack id chooses among replicas; there is one. `max_bytes` is bounded by `fetch.max.bytes`, and by
//!   `chronik.outbox.pinned.bytes`, so that a slow reader holds no more than that.

mod read;

use super::Call;
use crate::broker::Broker;
use crate::broker::fetch_sessions::{Asked, Plan, TopicRef, Wanted};
use crate::broker::wait::{Key, Outcome, Wait};
use crate::clock::Mono;
use crate::proto::error::ErrorCode;
use crate::proto::schema::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse,
    PartitionData,
};
use crate::proto::{Records, Uuid};
use crate::storage::{Aborted, PartitionId};
use read::{Limits, Read};
use std::collections::BTreeSet;

/// "The client believes in none", as does every number below it.
const NO_EPOCH: i32 = -1;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: FetchRequest<'_>,
) -> Outcome {
    let by_id = call.version() >= 13;
    let asked = Asked {
        session_id: request.session_id,
        epoch: request.session_epoch,
        by_id,
    };
    let plan = match broker.fetch_sessions.plan(asked) {
        Ok(plan) => plan,
        Err(error_code) => {
            return call.reply(&FetchResponse {
                error_code,
                ..Default::default()
            });
        }
    };
    let wanted = wanted(broker, &request, asked, plan);
    let at: Vec<_> = wanted.iter().map(|w| locate(broker, w)).collect();
    if !matches!(request.isolation_level, 0 | 1) && at.iter().any(Result::is_ok) {
        return fail(call, &request, ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    let limits = Limits::new(broker, call, &request);
    if let Some(wait) = wait(broker, call, &request, &wanted, &at, &limits) {
        return wait;
    }
    let reads = read::all(broker, &wanted, &at, &limits);
    let (kept, answered) = settle(plan, wanted, reads);
    let session_id = broker
        .fetch_sessions
        .commit(asked, plan, kept, call.cx.now.mono);
    respond(call, session_id, answered)
}

/// Answers one error for all; sessions stay as they are.
fn fail(call: &mut Call<'_, '_>, request: &FetchRequest<'_>, error_code: ErrorCode) -> Outcome {
    let failed = |p: &FetchPartition| partition_data(p.partition, &Read::absent(error_code));
    let topics = request.topics.iter().map(|topic| FetchableTopicResponse {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(failed).collect(),
    });
    let responses = match call.version() {
        ..13 => topics.collect(),
        _ => Vec::new(),
    };
    call.reply(&FetchResponse {
        error_code,
        session_id: request.session_id,
        responses,
        ..Default::default()
    })
}

/// The partitions that this fetch is about.
fn wanted(broker: &Broker, request: &FetchRequest<'_>, asked: Asked, plan: Plan) -> Vec<Wanted> {
    let topic_ref = |name: &str, id: Uuid| match asked.by_id {
        true => TopicRef::Id(id),
        false => TopicRef::Name(name.into()),
    };
    let mut named = Vec::new();
    for topic in &request.topics {
        let topic_ref = topic_ref(topic.topic, topic.topic_id);
        named.extend(topic.partitions.iter().map(|p| Wanted {
            topic: topic_ref.clone(),
            partition: p.partition,
            current_leader_epoch: p.current_leader_epoch.max(NO_EPOCH),
            fetch_offset: p.fetch_offset,
            last_fetched_epoch: p.last_fetched_epoch,
            max_bytes: p.partition_max_bytes,
            told_high_watermark: -1,
            told_log_start: -1,
        }));
    }
    if plan != Plan::Incremental {
        return named;
    }
    let mut forgotten = BTreeSet::new();
    for topic in &request.forgotten_topics_data {
        let topic_ref = topic_ref(topic.topic, topic.topic_id);
        forgotten.extend(
            topic
                .partitions
                .iter()
                .map(|&partition| (topic_ref.clone(), partition)),
        );
    }
    broker
        .fetch_sessions
        .merged(asked.session_id, named, &forgotten)
}

fn locate(broker: &Broker, wanted: &Wanted) -> Result<PartitionId, ErrorCode> {
    let topic = match &wanted.topic {
        TopicRef::Name(name) => broker
            .topics()
            .by_name(name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        TopicRef::Id(id) => broker
            .topics()
            .by_id(*id)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    topic?
        .partition(wanted.partition)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

/// Waits, if there is too little and time is left. Looks at positions only, and reads nothing.
fn wait(
    broker: &Broker,
    call: &Call<'_, '_>,
    request: &FetchRequest<'_>,
    wanted: &[Wanted],
    at: &[Result<PartitionId, ErrorCode>],
    limits: &Limits,
) -> Option<Outcome> {
    let is_first = call.cx.now.mono == call.cx.arrived;
    let (there, absent) = (at.iter().flatten().count(), at.iter().any(Result::is_err));
    if call.cx.last_call || request.max_wait_ms <= 0 || there == 0 || absent && !is_first {
        return None;
    }
    let min_bytes = usize::try_from(request.min_bytes)
        .unwrap_or(0)
        .min(limits.max_bytes);
    let mut found_bytes = 0usize;
    let mut is_loading = false;
    for (wanted, at) in wanted.iter().zip(at) {
        let Ok(id) = *at else { continue };
        if broker.storage.is_loading(id) {
            is_loading = true;
            continue;
        }
        found_bytes = found_bytes.saturating_add(read::available(broker, id, wanted, limits)?);
    }
    if found_bytes >= min_bytes && (found_bytes > 0 || !is_loading) {
        return None;
    }
    let on = at.iter().flatten().copied().map(Key::Partition).collect();
    let until: Mono = call.cx.arrived.plus_ms(request.max_wait_ms.into());
    let missing = if is_loading {
        usize::MAX
    } else {
        min_bytes - found_bytes
    };
    Some(Outcome::Retry(Wait { until, on, missing }))
}

/// Decides which partitions are answered, and what the session remembers: partitions with data go to the
/// end, so that the others are read first next time.
fn settle(
    plan: Plan,
    wanted: Vec<Wanted>,
    reads: Vec<Read>,
) -> (Vec<Wanted>, Vec<(TopicRef, i32, Read)>) {
    let (mut kept, mut busy, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    for (mut wanted, read) in wanted.into_iter().zip(reads) {
        let is_news = plan != Plan::Incremental
            || read.bytes > 0
            || read.error_code != ErrorCode::NONE
            || read.diverging.is_some()
            || read.high_watermark != wanted.told_high_watermark
            || read.log_start != wanted.told_log_start;
        let failed = read.error_code != ErrorCode::NONE;
        wanted.told_high_watermark = if failed { -1 } else { read.high_watermark };
        wanted.told_log_start = read.log_start;
        let (topic, partition, bytes) = (wanted.topic.clone(), wanted.partition, read.bytes);
        if plan != Plan::Sessionless {
            let list = if bytes > 0 { &mut busy } else { &mut kept };
            list.push(wanted);
        }
        if is_news {
            answered.push((topic, partition, read));
        }
    }
    kept.append(&mut busy);
    (kept, answered)
}

fn respond(
    call: &mut Call<'_, '_>,
    session_id: i32,
    mut answered: Vec<(TopicRef, i32, Read)>,
) -> Outcome {
    let views = answered
        .iter_mut()
        .map(|(_, _, read)| std::mem::take(&mut read.views));
    let payloads = views.filter(|views| !views.is_empty()).collect();
    let mut responses: Vec<FetchableTopicResponse<'_>> = Vec::new();
    for neighbours in answered.chunk_by(|(a, ..), (b, ..)| a == b) {
        let (topic, topic_id) = match &neighbours[0].0 {
            TopicRef::Name(name) => (&**name, Uuid::ZERO),
            TopicRef::Id(id) => ("", *id),
        };
        let partitions = neighbours
            .iter()
            .map(|(_, partition, read)| partition_data(*partition, read));
        responses.push(FetchableTopicResponse {
            topic,
            topic_id,
            partitions: partitions.collect(),
        });
    }
    call.reply_with(
        &FetchResponse {
            session_id,
            responses,
            ..Default::default()
        },
        payloads,
    )
}

fn aborted_transactions(aborted: &[Aborted]) -> Vec<AbortedTransaction> {
    let listed = aborted.iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
    });
    listed.collect()
}

fn partition_data<'a>(partition_index: i32, read: &Read) -> PartitionData<'a> {
    PartitionData {
        partition_index,
        error_code: read.error_code,
        high_watermark: read.high_watermark,
        last_stable_offset: read.last_stable_offset,
        log_start_offset: read.log_start,
        aborted_transactions: read.aborted.as_deref().map(aborted_transactions),
        records: match read.bytes {
            0 => Records::Here(Some(&[])),
            length => Records::Elsewhere { length },
        },
        diverging_epoch: read.diverging.clone().unwrap_or_default(),
        ..Default::default()
    }
}
