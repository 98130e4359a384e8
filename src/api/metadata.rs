//! Metadata (3), versions 0-13: the broker, the cluster's id, and topics with their partitions.
//!
//! * Null topics (v1+), or none in v0, mean all of them.
//! * A topic that is asked for by name and absent is created when the settings and the request (v4+) allow
//!   it, and answered at once: Apache Kafka answers 3 first and creates it meanwhile.
//! * v10-v11 carry topic ids in answers only; v12+ may ask by id: an unknown one is error 100 with a null
//!   name and the id echoed. Where ids are asked for, names beside them are not looked at, as in Kafka.
//!   An entry with neither name nor id, or with an id below v12, is error 42 for every topic of the request.
//! * Authorized operations are real bit sets where asked for (v8+; the cluster's only up to v10), also of
//!   topics that do not exist, but not of unknown ids.
//! * A partition that is still being loaded is shown like any other: its requests wait.

use super::Call;
use super::common::{CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS, endpoint};
use super::topic_creation;
use crate::broker::Broker;
use crate::broker::topics::{Topic, is_internal};
use crate::broker::wait::Outcome;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::proto::schema::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use std::collections::{BTreeMap, BTreeSet};

/// Topics that one request may bring into being: each costs files, and other clients wait meanwhile. The rest
/// is answered 5, and created by the client's next try.
const CREATIONS_A_REQUEST: usize = 100;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: MetadataRequest<'_>,
) -> Outcome {
    let version = call.version();
    let asked = request
        .topics
        .as_deref()
        .filter(|topics| version > 0 || !topics.is_empty());
    if let Some(topics) = asked
        && topics.iter().any(|topic| !can_name(version, topic))
    {
        return refuse(broker, call, topics);
    }
    let may_create = request.allow_auto_topic_creation && broker.config().auto_create_topics_enable;
    let mut failed = BTreeMap::new();
    if let Some(topics) = asked
        && may_create
        && !topics.iter().any(|t| t.topic_id != Uuid::ZERO)
    {
        failed = create_absent(broker, call, topics);
    }
    let topics = describe(
        broker,
        asked,
        &failed,
        request.include_topic_authorized_operations,
    );
    respond(
        broker,
        call,
        topics,
        request.include_cluster_authorized_operations,
    )
}

/// Whether the entry names a topic in a way that its version allows.
fn can_name(version: i16, topic: &MetadataRequestTopic<'_>) -> bool {
    match (topic.name, topic.topic_id) {
        (Some(_), Uuid::ZERO) => true,
        (None, Uuid::ZERO) => false,
        _ => version >= 12,
    }
}

/// An entry that names nothing, or an id before v12, is error 42 for every topic, and nothing else is told.
fn refuse(
    broker: &Broker,
    call: &mut Call<'_, '_>,
    topics: &[MetadataRequestTopic<'_>],
) -> Outcome {
    call.reply(&MetadataResponse {
        cluster_id: Some(&broker.identity.cluster_id),
        topics: topics.iter().map(refused).collect(),
        ..Default::default()
    })
}

fn refused<'a>(asked: &MetadataRequestTopic<'a>) -> MetadataResponseTopic<'a> {
    MetadataResponseTopic {
        name: Some(asked.name.unwrap_or("")),
        topic_id: asked.topic_id,
        error_code: ErrorCode::INVALID_REQUEST,
        ..Default::default()
    }
}

/// Creates the topics that are named and absent. Answers those that were not created, and why.
fn create_absent<'t>(
    broker: &mut Broker,
    call: &Call<'_, '_>,
    topics: &[MetadataRequestTopic<'t>],
) -> BTreeMap<&'t str, ErrorCode> {
    let names: BTreeSet<&str> = topics.iter().filter_map(|t| t.name).collect();
    let absent = names
        .into_iter()
        .filter(|name| broker.topics().by_name(name).is_none());
    let absent: Vec<&str> = absent.collect();
    let mut failed = BTreeMap::new();
    for (index, name) in absent.into_iter().enumerate() {
        if index >= CREATIONS_A_REQUEST {
            failed.insert(name, ErrorCode::LEADER_NOT_AVAILABLE);
            continue;
        }
        let created = topic_creation::create_by_default(broker, name, call.cx.now);
        if let Err(refused) = created {
            failed.insert(name, refused.code);
        }
    }
    failed
}

fn describe<'b>(
    broker: &'b Broker,
    asked: Option<&[MetadataRequestTopic<'b>]>,
    failed: &BTreeMap<&str, ErrorCode>,
    with_operations: bool,
) -> Vec<MetadataResponseTopic<'b>> {
    let known = |topic: &'b Topic| found(broker, topic, with_operations);
    let Some(asked) = asked else {
        return broker.topics().iter().map(known).collect();
    };
    let ids: BTreeSet<Uuid> = asked
        .iter()
        .map(|t| t.topic_id)
        .filter(|&id| id != Uuid::ZERO)
        .collect();
    if !ids.is_empty() {
        let by_id = |topic_id: Uuid| match broker.topics().by_id(topic_id) {
            Some(topic) => known(topic),
            None => MetadataResponseTopic {
                error_code: ErrorCode::UNKNOWN_TOPIC_ID,
                topic_id,
                name: None,
                ..Default::default()
            },
        };
        return ids.into_iter().map(by_id).collect();
    }
    let names: BTreeSet<&'b str> = asked.iter().filter_map(|t| t.name).collect();
    let by_name = |name: &'b str| match broker.topics().by_name(name) {
        Some(topic) => known(topic),
        None => {
            let failure = failed.get(name).copied();
            let code = failure.unwrap_or_else(|| topic_creation::absent_code(name));
            absent(name, code, with_operations)
        }
    };
    names.into_iter().map(by_name).collect()
}

fn found<'b>(
    broker: &Broker,
    topic: &'b Topic,
    with_operations: bool,
) -> MetadataResponseTopic<'b> {
    let node = broker.identity.node_id;
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: node,
        leader_epoch: broker.leader_epoch(),
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        ..Default::default()
    };
    MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: (0..topic.partition_count).map(partition).collect(),
        topic_authorized_operations: operations(TOPIC_OPERATIONS, with_operations),
        ..Default::default()
    }
}

fn absent(name: &str, error_code: ErrorCode, with_operations: bool) -> MetadataResponseTopic<'_> {
    MetadataResponseTopic {
        error_code,
        name: Some(name),
        is_internal: is_internal(name),
        topic_authorized_operations: operations(TOPIC_OPERATIONS, with_operations),
        ..Default::default()
    }
}

fn operations(allowed: i32, asked: bool) -> i32 {
    if asked { allowed } else { NO_OPERATIONS }
}

fn respond(
    broker: &Broker,
    call: &mut Call<'_, '_>,
    topics: Vec<MetadataResponseTopic<'_>>,
    with_cluster_operations: bool,
) -> Outcome {
    let (host, port) = endpoint(broker, call.cx.peer);
    let response = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: broker.identity.node_id,
            host: &host,
            port,
            rack: broker.config().broker_rack.as_deref(),
        }],
        cluster_id: Some(&broker.identity.cluster_id),
        controller_id: broker.identity.node_id,
        topics,
        cluster_authorized_operations: operations(CLUSTER_OPERATIONS, with_cluster_operations),
        ..Default::default()
    };
    call.reply(&response)
}
