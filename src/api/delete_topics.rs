//! DeleteTopics (20), versions 0-6.
//!
//! * v6 names a topic by name or by id; both, or neither, is error 42, and so is naming one twice.
//! * An unknown name is error 3, an unknown id 100. `delete.topic.enable=false`: 73 (v3+), else 42.
//! * Metadata, and every other request, stops knowing the topic at once; the files go when the deletion
//!   is durable, which is when the answer leaves.

use super::Call;
use super::topic_creation::Refusal;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::schema::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use std::collections::BTreeMap;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DeleteTopicsRequest<'_>,
) -> Outcome {
    let by_name = |name| DeleteTopicState {
        name: Some(name),
        ..Default::default()
    };
    let mut asked: Vec<_> = request.topic_names.into_iter().map(by_name).collect();
    asked.extend(request.topics);
    let mut times_named = BTreeMap::new();
    for id in asked.iter().filter_map(|topic| resolve(broker, topic).ok()) {
        *times_named.entry(id).or_insert(0) += 1;
    }
    let mut responses = Vec::with_capacity(asked.len());
    for topic in &asked {
        let deleted = check(broker, call.version(), topic, &times_named);
        if let Ok(id) = deleted {
            broker.delete_topic(id);
        }
        responses.push(result(topic, deleted));
    }
    call.after(broker.topics().round());
    call.reply(&DeleteTopicsResponse {
        responses,
        ..Default::default()
    })
}

fn check(
    broker: &Broker,
    version: i16,
    topic: &DeleteTopicState<'_>,
    times_named: &BTreeMap<Uuid, i32>,
) -> Result<Uuid, Refusal> {
    if !broker.config.delete_topic_enable {
        return Err(match version {
            ..3 => Refusal::new(
                ErrorCode::INVALID_REQUEST,
                "This version does not support topic deletion.",
            ),
            _ => Refusal::new(
                ErrorCode::TOPIC_DELETION_DISABLED,
                "Topic deletion is disabled.",
            ),
        });
    }
    let id = resolve(broker, topic)?;
    match times_named.get(&id) {
        Some(2..) => Err(Refusal::new(
            ErrorCode::INVALID_REQUEST,
            "The topic is named more than once.",
        )),
        _ => Ok(id),
    }
}

fn resolve(broker: &Broker, topic: &DeleteTopicState<'_>) -> Result<Uuid, Refusal> {
    let refusal = |code, message| Err(Refusal::new(code, message));
    match (topic.name, topic.topic_id) {
        (None, Uuid::ZERO) => refusal(
            ErrorCode::INVALID_REQUEST,
            "Neither topic name nor id were specified.",
        ),
        (Some(name), Uuid::ZERO) => match broker.topics().by_name(name) {
            Some(topic) => Ok(topic.id),
            None => refusal(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                "This server does not host this topic-partition.",
            ),
        },
        (None, id) => match broker.topics().by_id(id) {
            Some(_) => Ok(id),
            None => refusal(
                ErrorCode::UNKNOWN_TOPIC_ID,
                "This server does not host this topic ID.",
            ),
        },
        (Some(_), _) => refusal(
            ErrorCode::INVALID_REQUEST,
            "You may not specify both topic name and topic id.",
        ),
    }
}

fn result<'a>(
    topic: &DeleteTopicState<'a>,
    deleted: Result<Uuid, Refusal>,
) -> DeletableTopicResult<'a> {
    let (topic_id, error_code, error_message) = match deleted {
        Ok(id) => (id, ErrorCode::NONE, None),
        Err(refusal) => (topic.topic_id, refusal.code, Some(refusal.message.into())),
    };
    DeletableTopicResult {
        name: topic.name,
        topic_id,
        error_code,
        error_message,
        ..Default::default()
    }
}
