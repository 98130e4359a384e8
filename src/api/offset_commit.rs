//! OffsetCommit (8), versions 0-10: keep the offsets that a group has come to.
//!
//! * A member commits under its id and generation, a consumer that is no member with generation -1; an empty group id
//!   is accepted. What is wrong with the member (22, 25, 27, 69, 82) is the answer for every partition that there is.
//! * v0 once meant ZooKeeper and is treated as v1. v1 brings the time of the commit, v2-4 for how long it is to be
//!   kept; later ones are kept as `offsets.retention.minutes` says (KIP-211).
//! * v10 names topics by id alone: an unknown one is 100. An unknown partition is 3, a text that is too long 12. When
//!   there is nothing else, the member is not looked at, as in Kafka.
//! * A topic of no partitions is not in the answer, unless it is unknown. A partition that is named twice is kept as it
//!   is named last.
//! * What is larger than `message.max.bytes` is error -1 for every partition that would be kept: Kafka writes a commit
//!   as one batch.
//! * While the disk is full, an offset that would be the group's first of its partition is refused (15); others go on.
//! * The answer leaves when the commit is on disk.

use super::Call;
use super::offsets::{check_metadata, check_size};
use crate::broker::Broker;
use crate::broker::groups::Claim;
use crate::broker::groups::offsets::Committed;
use crate::broker::topics::Topic;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::storage::PartitionId;
use std::collections::BTreeMap;

/// "Not set", of times.
const NO_TIME: i64 = -1;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: OffsetCommitRequest<'_>,
) -> Outcome {
    let topics = request.topics.iter();
    let found: Vec<_> = topics
        .map(|topic| find(broker, topic, call.version()))
        .collect();
    let mut verdict = Ok(());
    if found.iter().any(|places| places.iter().any(Result::is_ok)) {
        let claim = Claim {
            group_id: request.group_id,
            generation_id: request.generation_id_or_member_epoch,
            member_id: request.member_id,
            group_instance_id: request.group_instance_id,
        };
        verdict = broker
            .check_commit(claim, call.version(), call.cx.now)
            .and_then(|()| check_size(broker, request.group_id, kept(&request, &found)));
    }
    let mut taken = BTreeMap::new();
    let mut topics = Vec::with_capacity(found.len());
    for (topic, places) in request.topics.iter().zip(found) {
        if places.is_empty() && topic_of(broker, topic, call.version()).is_ok() {
            continue;
        }
        let mut partitions = Vec::with_capacity(places.len());
        for (partition, place) in topic.partitions.iter().zip(places) {
            let checked = place.and_then(|at| {
                verdict?;
                check_metadata(broker, partition.committed_metadata)?;
                broker.check_place(request.group_id, &at, taken.len())?;
                taken.insert(at, committed(&request, partition, call.cx.now.wall_ms));
                Ok(())
            });
            partitions.push(OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: checked.err().unwrap_or(ErrorCode::NONE),
            });
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions,
        });
    }
    if !taken.is_empty() {
        broker.commit_offsets(request.group_id, taken);
    }
    call.after(broker.groups().round_of(request.group_id));
    call.reply(&OffsetCommitResponse {
        topics,
        ..Default::default()
    })
}

fn topic_of<'b>(
    broker: &'b Broker,
    topic: &OffsetCommitRequestTopic<'_>,
    version: i16,
) -> Result<&'b Topic, ErrorCode> {
    let topics = broker.topics();
    match version {
        ..10 => topics
            .by_name(topic.name)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        _ => topics
            .by_id(topic.topic_id)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    }
}

/// Where each partition of the request is.
fn find(
    broker: &Broker,
    topic: &OffsetCommitRequestTopic<'_>,
    version: i16,
) -> Vec<Result<PartitionId, ErrorCode>> {
    let known = topic_of(broker, topic, version);
    let place = |partition: &OffsetCommitRequestPartition<'_>| {
        let place = known?.partition(partition.partition_index);
        place.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    };
    topic.partitions.iter().map(place).collect()
}

/// The texts of what would be kept.
fn kept<'a>(
    request: &'a OffsetCommitRequest<'_>,
    found: &'a [Vec<Result<PartitionId, ErrorCode>>],
) -> impl Iterator<Item = Option<&'a str>> {
    let asked = request.topics.iter().zip(found);
    let rows = asked.flat_map(|(topic, places)| topic.partitions.iter().zip(places));
    let kept = rows.filter(|(_, place)| place.is_ok());
    kept.map(|(partition, _)| partition.committed_metadata)
}

fn committed(
    request: &OffsetCommitRequest<'_>,
    partition: &OffsetCommitRequestPartition<'_>,
    wall_ms: i64,
) -> Committed {
    Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default().into(),
        commit_timestamp_ms: match partition.commit_timestamp {
            NO_TIME => wall_ms,
            told => told,
        },
        expire_timestamp_ms: match request.retention_time_ms {
            NO_TIME => None,
            kept_ms => Some(wall_ms.saturating_add(kept_ms)),
        },
        order: 0,
    }
}
