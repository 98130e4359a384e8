//! TxnOffsetCommit (28), versions 0-5: offsets of a group that count when the transaction commits.
//!
//! * A topic or partition that does not exist is error 3, by itself; the others go on. An empty group id is 24.
//! * The transaction is looked at first: an unknown transactional id, or another producer id than its own, is 49;
//!   another epoch 47; 51 while the last one is being ended. A group that was not added: v0-3 48, v4 120; v5 adds it,
//!   and begins a transaction if none is open.
//! * Then the group, as for OffsetCommit: v3+ bring generation and member, and 22, 25 and 82 fence a consumer that was
//!   replaced. A generation of -1 without a member is taken whatever the group's state is. An absent group is made if
//!   the generation is negative, else 22.
//! * Text beside an offset above `offset.metadata.max.bytes` is 12, by itself. What is larger than `message.max.bytes`
//!   is error -1 for every partition, as OffsetCommit says.
//! * A topic of no partitions is not in the answer, unless it is unknown; where nothing else is, neither the
//!   transaction nor the group is looked at. Of a partition that is named twice the last offset counts.
//! * While the disk is full it is refused (15).
//! * v0 and v1 know 14 (still loading) as 15.
//! * The answer leaves when the offsets are on disk, and what the transaction and the group were judged by.

use super::Call;
use super::offsets::{check_metadata, check_size};
use crate::broker::Broker;
use crate::broker::facts::Producer;
use crate::broker::groups;
use crate::broker::groups::offsets::Committed;
use crate::broker::txns;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::storage::PartitionId;
use std::collections::BTreeMap;

/// From this version on the group joins the transaction by this.
const JOINS: i16 = 5;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: TxnOffsetCommitRequest<'_>,
) -> Outcome {
    let texts = known_texts(broker, &request);
    let verdict = match texts.is_empty() {
        true => Ok(()),
        false => judge(broker, call, &request, &texts),
    };
    let mut taken = BTreeMap::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        if topic.partitions.is_empty() && broker.topics().by_name(topic.name).is_some() {
            continue;
        }
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let checked = find(broker, topic, partition).and_then(|at| {
                verdict?;
                check_metadata(broker, partition.committed_metadata)?;
                taken.insert(at, committed(partition, call.cx.now.wall_ms));
                Ok(())
            });
            partitions.push(TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: checked.err().unwrap_or(ErrorCode::NONE),
            });
        }
        topics.push(TxnOffsetCommitResponseTopic {
            name: topic.name,
            partitions,
        });
    }
    if !taken.is_empty() {
        broker.commit_pending_offsets(request.producer_id, request.group_id, taken);
    }
    call.after(broker.groups().round_of(request.group_id));
    call.reply(&TxnOffsetCommitResponse {
        topics,
        ..Default::default()
    })
}

fn find(
    broker: &Broker,
    topic: &TxnOffsetCommitRequestTopic<'_>,
    partition: &TxnOffsetCommitRequestPartition<'_>,
) -> Result<PartitionId, ErrorCode> {
    let found = broker.find(topic.name, partition.partition_index);
    found.map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

/// The texts beside the offsets of partitions that there are.
fn known_texts<'a>(broker: &Broker, request: &TxnOffsetCommitRequest<'a>) -> Vec<Option<&'a str>> {
    let topics = request.topics.iter();
    let rows = topics.flat_map(|topic| topic.partitions.iter().map(move |it| (topic, it)));
    let known = rows.filter(|(topic, partition)| find(broker, topic, partition).is_ok());
    known
        .map(|(_, partition)| partition.committed_metadata)
        .collect()
}

/// What goes for the whole request.
fn judge(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: &TxnOffsetCommitRequest<'_>,
    texts: &[Option<&str>],
) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let producer = txns::Claim {
        transactional_id: request.transactional_id,
        producer: Producer {
            id: request.producer_id,
            epoch: request.producer_epoch,
        },
    };
    let version = call.txn_version(JOINS);
    call.told(broker.admit_offsets(&producer, request.group_id, version, call.cx.now))?;
    let member = groups::Claim {
        group_id: request.group_id,
        generation_id: request.generation_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
    };
    broker.check_pending_commit(&member, texts.len())?;
    check_size(broker, request.group_id, texts.iter().copied())
}

fn committed(partition: &TxnOffsetCommitRequestPartition<'_>, wall_ms: i64) -> Committed {
    Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default().into(),
        commit_timestamp_ms: wall_ms,
        expire_timestamp_ms: None,
        order: 0,
    }
}
