//! DeleteTopics (20), versions 0-6.
//!
//! * v6 names a topic by name or by id; both, or neither, is error 42. So is naming one twice, which is
//!   answered once: as the name or id that stands twice, or as the name whose id is there too.
//! * An unknown name is error 3, an unknown id 100. `delete.topic.enable=false`: 73 (v3+), else 42.
//! * Metadata, and every other request, stops knowing the topic at once; the files go when the deletion
//!   is durable, which is when the answer leaves.

use super::Call;
use super::refusal::{self, Refusal};
use super::topic_creation::NAMED_TWICE;
use crate::broker::Broker;
use crate::broker::topics::Topic;
use crate::broker::wait::Outcome;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::schema::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    let verdicts = match broker.config().delete_topic_enable {
        true => judge(broker, &asked),
        false => disabled(call.version(), &asked),
    };
    for verdict in verdicts.iter().filter(|verdict| verdict.refusal.is_none()) {
        broker.delete_topic(verdict.topic_id);
    }
    call.reply(&DeleteTopicsResponse {
        responses: verdicts.iter().map(row).collect(),
        ..Default::default()
    })
}

/// What is to become of a topic.
struct Verdict {
    name: Option<Arc<str>>,
    topic_id: Uuid,
    /// Why it is not deleted.
    refusal: Option<Refusal>,
}

/// A topic as a request names it, and how often it does.
type Named<'a> = BTreeMap<(Option<&'a str>, Uuid), usize>;

/// Judges everything that the request names, before anything is deleted.
fn judge(broker: &Broker, asked: &[DeleteTopicState<'_>]) -> Vec<Verdict> {
    let mut named = Named::new();
    for topic in asked {
        *named.entry((topic.name, topic.topic_id)).or_default() += 1;
    }
    let each = named.iter();
    each.filter_map(|(&topic, &times)| judge_one(broker, &named, topic, times))
        .collect()
}

/// `None` where another entry answers for this one.
fn judge_one(
    broker: &Broker,
    named: &Named<'_>,
    (name, topic_id): (Option<&str>, Uuid),
    times: usize,
) -> Option<Verdict> {
    let invalid = |message| refused(name, topic_id, ErrorCode::INVALID_REQUEST, message);
    Some(match (name, topic_id) {
        (None, Uuid::ZERO) => invalid("Neither topic name nor id were specified."),
        (Some(_), Uuid::ZERO) if times > 1 => invalid(NAMED_TWICE),
        (Some(name), Uuid::ZERO) => by_name(broker, named, name),
        (Some(_), _) => invalid("You may not specify both topic name and topic id."),
        (None, _) if times > 1 => invalid("Duplicate topic id."),
        (None, id) => return by_id(broker, named, id),
    })
}

fn by_name(broker: &Broker, named: &Named<'_>, name: &str) -> Verdict {
    let message = "The provided topic name maps to an ID that was already supplied.";
    match broker.topics().by_name(name) {
        Some(topic) if named.contains_key(&(None, topic.id)) => {
            refused(Some(name), topic.id, ErrorCode::INVALID_REQUEST, message)
        }
        Some(topic) => doomed(topic),
        None => refused(
            Some(name),
            Uuid::ZERO,
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "This server does not host this topic-partition.",
        ),
    }
}

fn by_id(broker: &Broker, named: &Named<'_>, id: Uuid) -> Option<Verdict> {
    match broker.topics().by_id(id) {
        Some(topic) if named.get(&(Some(&topic.name), Uuid::ZERO)) == Some(&1) => None,
        Some(topic) => Some(doomed(topic)),
        None => Some(refused(
            None,
            id,
            ErrorCode::UNKNOWN_TOPIC_ID,
            "This server does not host this topic ID.",
        )),
    }
}

fn doomed(topic: &Topic) -> Verdict {
    Verdict {
        name: Some(Arc::clone(&topic.name)),
        topic_id: topic.id,
        refusal: None,
    }
}

fn refused(name: Option<&str>, topic_id: Uuid, code: ErrorCode, message: &'static str) -> Verdict {
    Verdict {
        name: name.map(Into::into),
        topic_id,
        refusal: Some(Refusal::new(code, message)),
    }
}

fn disabled(version: i16, asked: &[DeleteTopicState<'_>]) -> Vec<Verdict> {
    let (code, message) = match version {
        ..3 => (
            ErrorCode::INVALID_REQUEST,
            "This version does not support topic deletion.",
        ),
        _ => (
            ErrorCode::TOPIC_DELETION_DISABLED,
            "Topic deletion is disabled.",
        ),
    };
    let refused = |topic: &DeleteTopicState<'_>| refused(topic.name, topic.topic_id, code, message);
    asked.iter().map(refused).collect()
}

fn row(verdict: &Verdict) -> DeletableTopicResult<'_> {
    let (error_code, error_message) = refusal::parts(verdict.refusal.clone());
    DeletableTopicResult {
        name: verdict.name.as_deref(),
        topic_id: verdict.topic_id,
        error_code,
        error_message,
    }
}
