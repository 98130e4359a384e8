//! OffsetDelete (47), version 0: forget committed offsets (KIP-496).
//!
//! * For the whole request: an empty group id is error 24, an unknown group 69, and 68 when the group has members that
//!   are no consumers, because nobody knows what they read.
//! * An unknown partition is error 3; a topic that a member subscribes to 86. Forgetting what was never committed is
//!   fine.
//! * What open transactions bring for the partitions is forgotten too.

use super::Call;
use crate::broker::Broker;
use crate::broker::groups::Group;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::storage::PartitionId;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: OffsetDeleteRequest<'_>,
) -> Outcome {
    let mut doomed = Vec::new();
    let response = match group(broker, request.group_id) {
        Err(error_code) => OffsetDeleteResponse {
            error_code,
            ..Default::default()
        },
        Ok(group) => {
            let topics = request.topics.iter();
            OffsetDeleteResponse {
                topics: topics
                    .map(|topic| judge(broker, group, topic, &mut doomed))
                    .collect(),
                ..Default::default()
            }
        }
    };
    if !doomed.is_empty() {
        broker.forget_offsets(request.group_id, doomed);
    }
    call.after(broker.groups().round_of(request.group_id));
    call.reply(&response)
}

fn group<'a>(broker: &'a Broker, id: &str) -> Result<&'a Group, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let group = broker
        .groups()
        .get(id)
        .ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    if !group.members.is_empty() && !group.is_of_consumers() {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    Ok(group)
}

/// One topic of the answer; what may go is added to `doomed`.
fn judge<'a>(
    broker: &Broker,
    group: &Group,
    topic: &OffsetDeleteRequestTopic<'a>,
    doomed: &mut Vec<PartitionId>,
) -> OffsetDeleteResponseTopic<'a> {
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in &topic.partitions {
        let error_code = match broker.find(topic.name, partition.partition_index) {
            Err(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Ok(_) if group.is_subscribed_to(topic.name) => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
            Ok(at) => {
                doomed.push(at);
                ErrorCode::NONE
            }
        };
        partitions.push(OffsetDeleteResponsePartition {
            partition_index: partition.partition_index,
            error_code,
        });
    }
    OffsetDeleteResponseTopic {
        name: topic.name,
        partitions,
    }
}
