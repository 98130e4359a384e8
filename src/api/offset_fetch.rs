//! OffsetFetch (9), versions 0-10: the offsets that groups have committed.
//!
//! * Null topics ask for everything the group has (v2+). Where nothing is committed the answer is -1 without an error,
//!   also for unknown groups and topics.
//! * v0 once meant ZooKeeper and is treated as v1, except that nothing committed is error 3 there.
//! * v8+ asks for several groups (KIP-709); v9+ may name a member and its epoch, which mean nothing to classic groups;
//!   v10 names topics by id alone: an unknown one is 100.
//! * With `require_stable` (v7+) a partition that an open transaction brings an offset for is answered with 88 and no
//!   offset, so that a consumer does not begin behind what another is about to commit. Without topics that goes for
//!   what is committed: a partition that has nothing but such an offset is not in the answer.
//! * The answer leaves when what it shows is on disk.

use super::Call;
use super::common::Allowance;
use crate::broker::Broker;
use crate::broker::groups::Group;
use crate::broker::groups::offsets::{self, Committed};
use crate::broker::topics::Topic;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::storage::PartitionId;
use std::collections::BTreeSet;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: OffsetFetchRequest<'_>,
) -> Outcome {
    let version = call.version();
    let is_stable = request.require_stable;
    let asked = match version {
        ..8 => vec![only_group(request)],
        _ => request.groups,
    };
    for group in &asked {
        call.after(broker.groups().round_of(group.group_id));
    }
    let (broker, mut allowance) = (&*broker, Allowance::new());
    let mut groups = Vec::with_capacity(asked.len());
    for group in &asked {
        let count = row_count(broker, group);
        if let Err(outcome) = allowance.take::<OffsetFetchResponsePartitions<'_>>(count) {
            return outcome;
        }
        groups.push(row(broker, group, is_stable, version));
    }
    if version >= 8 {
        return call.reply(&OffsetFetchResponse {
            groups,
            ..Default::default()
        });
    }
    let topics = groups.pop().map(|group| group.topics).unwrap_or_default();
    call.reply(&OffsetFetchResponse {
        topics: topics
            .into_iter()
            .map(|topic| in_old_form(topic, version))
            .collect(),
        ..Default::default()
    })
}

/// What a request before v8 asks, in the newer form.
fn only_group(request: OffsetFetchRequest<'_>) -> OffsetFetchRequestGroup<'_> {
    OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: request
            .topics
            .map(|topics| topics.into_iter().map(in_new_form).collect()),
        ..Default::default()
    }
}

fn in_new_form(topic: OffsetFetchRequestTopic<'_>) -> OffsetFetchRequestTopics<'_> {
    OffsetFetchRequestTopics {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
        ..Default::default()
    }
}

fn in_old_form(topic: OffsetFetchResponseTopics<'_>, version: i16) -> OffsetFetchResponseTopic<'_> {
    let partitions = topic.partitions.into_iter();
    let older = partitions.map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: match (version, partition.committed_offset) {
            (0, -1) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            _ => partition.error_code,
        },
    });
    OffsetFetchResponseTopic {
        name: topic.name,
        partitions: older.collect(),
    }
}

/// How many partitions the answer for a group has.
fn row_count(broker: &Broker, asked: &OffsetFetchRequestGroup<'_>) -> usize {
    match &asked.topics {
        Some(topics) => topics
            .iter()
            .map(|topic| topic.partition_indexes.len())
            .sum(),
        None => broker
            .groups()
            .get(asked.group_id)
            .map_or(0, |group| group.offsets.len()),
    }
}

fn row<'a>(
    broker: &'a Broker,
    asked: &OffsetFetchRequestGroup<'a>,
    is_stable: bool,
    version: i16,
) -> OffsetFetchResponseGroup<'a> {
    let group = broker.groups().get(asked.group_id);
    let found = group.map(|group| Found { group, is_stable });
    let topics = match (&asked.topics, found) {
        (None, None) => Vec::new(),
        (None, Some(found)) => everything(broker, found),
        (Some(topics), _) => {
            let named = topics.iter();
            named
                .map(|topic| of_topic(broker, found, topic, version))
                .collect()
        }
    };
    OffsetFetchResponseGroup {
        group_id: asked.group_id,
        topics,
        ..Default::default()
    }
}

/// A group, and how it is asked.
#[derive(Clone, Copy)]
struct Found<'a> {
    group: &'a Group,
    /// What is about to be replaced is not to be shown.
    is_stable: bool,
}

impl<'a> Found<'a> {
    /// What the group has of a partition.
    fn shown(self, at: PartitionId) -> OffsetFetchResponsePartitions<'a> {
        if self.is_stable && self.group.pending_offsets.has(&at) {
            return OffsetFetchResponsePartitions {
                error_code: ErrorCode::UNSTABLE_OFFSET_COMMIT,
                ..shown(at.partition, None)
            };
        }
        shown(at.partition, self.group.offsets.get(&at))
    }
}

fn everything<'a>(broker: &'a Broker, found: Found<'a>) -> Vec<OffsetFetchResponseTopics<'a>> {
    let offsets = &found.group.offsets;
    let ids: BTreeSet<_> = offsets.keys().map(|at| at.topic).collect();
    let topics = ids.into_iter().filter_map(|id| broker.topics().by_id(id));
    let all_of = |topic: &'a Topic| OffsetFetchResponseTopics {
        name: &topic.name,
        topic_id: topic.id,
        partitions: offsets::of_topic(offsets, topic.id)
            .map(|at| found.shown(at))
            .collect(),
    };
    topics.map(all_of).collect()
}

fn of_topic<'a>(
    broker: &'a Broker,
    found: Option<Found<'a>>,
    asked: &OffsetFetchRequestTopics<'a>,
    version: i16,
) -> OffsetFetchResponseTopics<'a> {
    let topic = match version {
        ..10 => broker.topics().by_name(asked.name),
        _ => broker.topics().by_id(asked.topic_id),
    };
    let error_code = match topic {
        None if version >= 10 => ErrorCode::UNKNOWN_TOPIC_ID,
        _ => ErrorCode::NONE,
    };
    let partition = |&partition: &i32| {
        let at = topic.and_then(|topic| topic.partition(partition));
        match (found, at) {
            (Some(found), Some(at)) => found.shown(at),
            _ => OffsetFetchResponsePartitions {
                error_code,
                ..shown(partition, None)
            },
        }
    };
    OffsetFetchResponseTopics {
        name: asked.name,
        topic_id: asked.topic_id,
        partitions: asked.partition_indexes.iter().map(partition).collect(),
    }
}

fn shown(partition: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions<'_> {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: committed.map_or(-1, |committed| committed.offset),
        committed_leader_epoch: committed.map_or(-1, |committed| committed.leader_epoch),
        metadata: Some(committed.map_or("", |committed| &committed.metadata)),
        error_code: ErrorCode::NONE,
    }
}
