//! ListOffsets (2), versions 0-11: offsets by time.
//!
//! * A time is answered with the first record at or after it, below the high watermark (isolation 0) or the
//!   last stable offset (isolation 1); none: offset -1 without error. Any other isolation is error -1 for every
//!   partition.
//! * Below zero: -1 end, -2 start, -3 the record with the largest timestamp (v7+), -4 the start on the local disk
//!   (v8+; the same as -2), -5 the end of remote storage (v9+; -1, there is none), -6 the first offset not yet
//!   in remote storage (v11+; -1 too). Below their version, or unknown: error 35 for the partition.
//! * v0 answers up to `max_num_offsets` bases of segments, descending, by the files' times.
//! * v4+ carries the epoch that the client believes in, and is answered the record's epoch.
//! * A look-up by time that would read many indexes at once waits until they are read (`storage::Looks`), and where the
//!   client does not wait, it is error 7.
//! * A partition that stands twice in the request is error 42, once, except in v0.

use super::common::check_epoch;
use super::{Call, LOADING_TIMEOUT_MS};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::clock::Now;
use crate::proto::error::ErrorCode;
use crate::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use crate::storage::{Log, Looks, PartitionId, ReadError, TimedOffset, Unavailable};
use std::collections::BTreeSet;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// From which version on each special time is known.
const SPECIAL: [(i64, i16); 6] = [
    (LATEST, 0),
    (EARLIEST, 0),
    (MAX_TIMESTAMP, 7),
    (EARLIEST_LOCAL, 8),
    (LATEST_TIERED, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];

/// What all partitions of a request share.
struct Asked {
    /// Where a look-up by time would still read too much.
    unknown: BTreeSet<PartitionId>,
    version: i16,
    now: Now,
    read_committed: bool,
}

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ListOffsetsRequest<'_>,
) -> Outcome {
    if !matches!(request.isolation_level, 0 | 1) {
        return fail(call, &request, ErrorCode::UNKNOWN_SERVER_ERROR);
    }
    let named = request
        .topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| (t.name, p.partition_index)));
    let loading = broker.loading(named);
    let timeout_ms = if call.version() >= 10 {
        request.timeout_ms
    } else {
        LOADING_TIMEOUT_MS
    };
    let unknown = match call.version() {
        0 => BTreeSet::new(),
        _ => unknown_times(broker, &request),
    };
    let awaited = loading.into_iter().chain(unknown.iter().copied());
    if let Some(wait) = call.wait_for_loading(awaited.collect(), timeout_ms) {
        return wait;
    }
    let asked = Asked {
        unknown,
        version: call.version(),
        now: call.cx.now,
        read_committed: request.isolation_level == 1,
    };
    let repeated = match asked.version {
        0 => BTreeSet::new(),
        _ => repeated(&request.topics),
    };
    let mut refused = BTreeSet::new();
    let mut answer = |name, partition: &ListOffsetsPartition| {
        let place = (name, partition.partition_index);
        let offset = match repeated.contains(&place) {
            true if !refused.insert(place) => return None,
            true => Err(ErrorCode::INVALID_REQUEST),
            false => look_up(broker, &asked, name, partition),
        };
        let failed = |error_code| ListOffsetsPartitionResponse {
            error_code,
            ..Default::default()
        };
        let found = offset.unwrap_or_else(failed);
        Some(ListOffsetsPartitionResponse {
            partition_index: partition.partition_index,
            ..found
        })
    };
    let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .filter_map(|p| answer(topic.name, p))
            .collect(),
    });
    let response = ListOffsetsResponse {
        topics: topics.collect(),
        ..Default::default()
    };
    call.reply(&response)
}

/// The partitions with a look-up by time that has to wait: too much would be read for it at once.
fn unknown_times(broker: &mut Broker, request: &ListOffsetsRequest<'_>) -> BTreeSet<PartitionId> {
    let mut ids = BTreeSet::new();
    for topic in &request.topics {
        let by_time = topic.partitions.iter().filter(|p| is_by_time(p.timestamp));
        ids.extend(by_time.filter_map(|p| broker.find(topic.name, p.partition_index).ok()));
    }
    let mut looks = Looks::default();
    ids.retain(|id| !broker.storage.knows_times(*id, &mut looks));
    ids
}

fn is_by_time(timestamp: i64) -> bool {
    timestamp >= 0 || timestamp == MAX_TIMESTAMP
}

/// Answers one error for all.
fn fail(
    call: &mut Call<'_, '_>,
    request: &ListOffsetsRequest<'_>,
    error_code: ErrorCode,
) -> Outcome {
    let failed = |partition: &ListOffsetsPartition| ListOffsetsPartitionResponse {
        partition_index: partition.partition_index,
        error_code,
        ..Default::default()
    };
    let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic.partitions.iter().map(failed).collect(),
    });
    call.reply(&ListOffsetsResponse {
        topics: topics.collect(),
        ..Default::default()
    })
}

fn repeated<'a>(topics: &[ListOffsetsTopic<'a>]) -> BTreeSet<(&'a str, i32)> {
    let mut seen = BTreeSet::new();
    let named = topics
        .iter()
        .flat_map(|t| t.partitions.iter().map(|p| (t.name, p.partition_index)));
    named.filter(|partition| !seen.insert(*partition)).collect()
}

fn look_up(
    broker: &mut Broker,
    asked: &Asked,
    topic: &str,
    partition: &ListOffsetsPartition,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let special = SPECIAL
        .iter()
        .find(|(time, _)| *time == partition.timestamp);
    if partition.timestamp < 0 && special.is_none_or(|&(_, since)| asked.version < since) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let id = broker
        .find(topic, partition.partition_index)
        .map_err(Unavailable::code)?;
    let log = broker.storage.log(id).map_err(Unavailable::code)?;
    check_epoch(partition.current_leader_epoch, broker.leader_epoch())?;
    if asked.version == 0 {
        let old_style_offsets = segment_bases(log, asked.now, partition);
        return Ok(ListOffsetsPartitionResponse {
            old_style_offsets,
            ..Default::default()
        });
    }
    if is_by_time(partition.timestamp) && asked.unknown.contains(&id) {
        return Err(ErrorCode::REQUEST_TIMED_OUT);
    }
    let found = offset_at(broker, id, asked, partition.timestamp).map_err(|e| {
        let number = partition.partition_index;
        broker.complain(
            asked.now.mono,
            format_args!("{topic}-{number}: look-up by time failed: {e}"),
        );
        e.code()
    })?;
    let TimedOffset {
        timestamp,
        offset,
        leader_epoch,
    } = found.unwrap_or(NOWHERE);
    Ok(ListOffsetsPartitionResponse {
        timestamp,
        offset,
        leader_epoch,
        ..Default::default()
    })
}

const NOWHERE: TimedOffset = TimedOffset {
    timestamp: -1,
    offset: -1,
    leader_epoch: -1,
};

fn offset_at(
    broker: &mut Broker,
    id: PartitionId,
    asked: &Asked,
    time: i64,
) -> Result<Option<TimedOffset>, ReadError> {
    let leader_epoch = broker.leader_epoch();
    let log = broker.storage.log(id)?;
    let end = if asked.read_committed {
        log.last_stable_offset()
    } else {
        log.high_watermark()
    };
    let below_end = |found: &TimedOffset| found.offset < end;
    let found = match time {
        LATEST => Some(TimedOffset {
            offset: end,
            leader_epoch,
            ..NOWHERE
        }),
        EARLIEST | EARLIEST_LOCAL => {
            let offset = log.log_start();
            Some(TimedOffset {
                offset,
                leader_epoch: log.epoch_of(offset),
                ..NOWHERE
            })
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => None,
        MAX_TIMESTAMP => broker.storage.max_timestamp(id)?.filter(below_end),
        time => broker.storage.offset_for_time(id, time)?.filter(below_end),
    };
    Ok(found)
}

/// The bases of segments no younger than the time asked for, and the log's end as the youngest.
fn segment_bases(log: &Log, now: Now, asked: &ListOffsetsPartition) -> Vec<i64> {
    let mut bases = log.segment_bases();
    if log.high_watermark() > bases.last().map_or(0, |&(base, _)| base) {
        bases.push((log.high_watermark(), now.wall_ms));
    }
    let old_enough = match asked.timestamp {
        LATEST => bases.len(),
        EARLIEST => 1,
        time => bases
            .iter()
            .rposition(|&(_, modified_ms)| modified_ms <= time)
            .map_or(0, |i| i + 1),
    };
    let wanted = usize::try_from(asked.max_num_offsets).unwrap_or(0);
    bases[..old_enough.min(bases.len())]
        .iter()
        .rev()
        .take(wanted)
        .map(|&(base, _)| base)
        .collect()
}
