//! DeleteRecords (21), versions 0-2: what lies before an offset is deleted, and the log begins there.
//!
//! * -1 means the high watermark. An offset beyond that, or another below 0, is error 1; one before the log's
//!   beginning changes nothing. The answer says where the log begins.
//! * Where `cleanup.policy` is `compact` alone: 44. Internal topics: 17. Unknown topics and partitions: 3.
//!   A full disk lets records go; only one that was full when the broker was new there may answer 56.
//! * Of a partition that is named twice the last offset counts, and it is answered once.
//! * The answer leaves when the new beginnings are durable, whatever the request's timeout is; that is only for
//!   partitions that are still being loaded. Fetches and ListOffsets see them from then on.

use super::Call;
use crate::broker::Broker;
use crate::broker::topics::is_internal;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use crate::storage::{PartitionId, Unavailable};
use std::collections::BTreeMap;

const HIGH_WATERMARK: i64 = -1;

/// What is asked for, each partition once.
type Asked<'a> = BTreeMap<&'a str, BTreeMap<i32, i64>>;

/// Which log is to begin where, or why not.
type Verdict = Result<(PartitionId, i64), ErrorCode>;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DeleteRecordsRequest<'_>,
) -> Outcome {
    let mut asked = Asked::new();
    for topic in &request.topics {
        for it in &topic.partitions {
            let offsets = asked.entry(topic.name).or_default();
            offsets.insert(it.partition_index, it.offset);
        }
    }
    let named = asked.iter();
    let named = named.flat_map(|(name, offsets)| offsets.keys().map(|n| (*name, *n)));
    if let Some(wait) = call.wait_for_loading(broker.loading(named), request.timeout_ms) {
        return wait;
    }
    let verdicts = judge(broker, &asked);
    let wanted = verdicts.values().flat_map(BTreeMap::values);
    let wanted: Vec<_> = wanted.filter_map(|verdict| verdict.ok()).collect();
    let deleted = broker.delete_records(&wanted);
    if let Ok(round) = deleted {
        call.after(round);
    }
    let topics = verdicts.into_iter().map(|(name, partitions)| {
        let rows = partitions.into_iter();
        let rows = rows.map(|(n, verdict)| row(n, verdict.and_then(|to| deleted.and(Ok(to)))));
        DeleteRecordsTopicResult {
            name,
            partitions: rows.collect(),
        }
    });
    call.reply(&DeleteRecordsResponse {
        topics: topics.collect(),
        ..Default::default()
    })
}

fn judge<'a>(broker: &Broker, asked: &Asked<'a>) -> BTreeMap<&'a str, BTreeMap<i32, Verdict>> {
    let of_topic = |name: &str, offsets: &BTreeMap<i32, i64>| {
        let offsets = offsets.iter();
        offsets
            .map(|(&partition, &offset)| (partition, judge_one(broker, (name, partition), offset)))
            .collect()
    };
    let topics = asked.iter();
    topics
        .map(|(&name, offsets)| (name, of_topic(name, offsets)))
        .collect()
}

fn judge_one(broker: &Broker, (name, partition): (&str, i32), offset: i64) -> Verdict {
    let log = broker.log(name, partition).map_err(Unavailable::code)?;
    if is_internal(name) {
        return Err(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if log.config().compact && !log.config().delete {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let start = match offset {
        HIGH_WATERMARK => log.high_watermark(),
        other => other,
    };
    if !(0..=log.high_watermark()).contains(&start) {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok((log.id(), start.max(broker.storage.coming_start(log))))
}

fn row(partition_index: i32, verdict: Verdict) -> DeleteRecordsPartitionResult {
    let (low_watermark, error_code) = match verdict {
        Ok((_, start)) => (start, ErrorCode::NONE),
        Err(code) => (-1, code),
    };
    DeleteRecordsPartitionResult {
        partition_index,
        low_watermark,
        error_code,
    }
}
