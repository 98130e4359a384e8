//! The rules of creating topics and partitions, for CreateTopics, for Metadata with auto-creation and for requests
//! that assign replicas. The messages are Kafka's, for people search for them.

use super::refusal::Refusal;
use crate::broker::Broker;
use crate::broker::topics::name_problem;
use crate::clock::Now;
use crate::disk;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use std::collections::BTreeMap;
use std::io;

/// Kafka's bound on the partitions that one request may create.
const MOST_PARTITIONS_A_REQUEST: i64 = 10_000;
/// Why a topic that a request names twice is refused.
pub(super) const NAMED_TWICE: &str = "Duplicate topic name.";

/// A topic that shall be.
#[derive(Debug)]
pub(super) struct Creation<'a> {
    /// Its name, unchecked.
    pub(super) name: &'a str,
    /// At least 1.
    pub(super) partition_count: i32,
    /// Its own settings, unchecked.
    pub(super) settings: BTreeMap<String, String>,
}

/// Whether the name is free, legal, and told apart from others by more than '.' and '_'.
pub(super) fn check_name(broker: &Broker, name: &str) -> Result<(), Refusal> {
    if broker.topics().by_name(name).is_some() {
        return Err(Refusal::new(
            ErrorCode::TOPIC_ALREADY_EXISTS,
            format!("Topic '{name}' already exists."),
        ));
    }
    if let Some(problem) = name_problem(name) {
        return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, problem));
    }
    match broker.topics().colliding(name) {
        None => Ok(()),
        Some(other) => Err(Refusal::new(
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            format!("Topic '{name}' collides with existing topic: {other}"),
        )),
    }
}

/// Whether one request may create so many partitions.
pub(super) fn check_request(partition_count: i64) -> Result<(), Refusal> {
    match partition_count <= MOST_PARTITIONS_A_REQUEST {
        true => Ok(()),
        false => Err(Refusal::excessive(
            "Excessively large number of partitions per request.",
        )),
    }
}

/// Whether so many partitions more are allowed.
pub(super) fn check_partition_limit(broker: &Broker, partition_count: i32) -> Result<(), Refusal> {
    let limit = broker.config().chronik_max_partitions;
    let existing = broker.topics().partition_count();
    if existing + i64::from(partition_count) <= i64::from(limit) {
        return Ok(());
    }
    Err(Refusal::excessive(format!(
        "Creating {partition_count} partitions would exceed chronik.max.partitions={limit}."
    )))
}

/// Whether the replicas that are assigned to a partition are this broker, once, and no other.
pub(super) fn check_replicas(node_id: i32, replicas: &[i32]) -> Result<(), Refusal> {
    let what = match replicas {
        [] => "an empty replica list".to_owned(),
        [id] if *id == node_id => return Ok(()),
        _ => match replicas.iter().filter(|&&id| id != node_id).min() {
            Some(&id) if id < node_id || !has_twice(replicas, node_id) => {
                format!("broker {id}, but no such broker is registered")
            }
            _ => format!("the broker {node_id} more than once"),
        },
    };
    let message = format!("The manual partition assignment includes {what}.");
    Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
}

fn has_twice(replicas: &[i32], id: i32) -> bool {
    replicas.iter().filter(|&&replica| replica == id).count() > 1
}

/// Creates the topic as auto-creation does: with the broker's count of partitions, and no settings of its own.
pub(super) fn create_by_default(
    broker: &mut Broker,
    name: &str,
    now: Now,
) -> Result<Uuid, Refusal> {
    check_name(broker, name)?;
    let partition_count = broker.config().num_partitions;
    check_partition_limit(broker, partition_count)?;
    let creation = Creation {
        name,
        partition_count,
        settings: BTreeMap::new(),
    };
    create(broker, creation, now)
}

/// Creates a checked topic. Answers its id.
pub(super) fn create(
    broker: &mut Broker,
    creation: Creation<'_>,
    now: Now,
) -> Result<Uuid, Refusal> {
    let id = broker.new_id();
    let Creation {
        name,
        partition_count,
        settings,
    } = creation;
    match broker.create_topic(id, name, partition_count, settings, now) {
        Ok(()) => Ok(id),
        Err(e) => Err(refused_by_disk(broker, name, &e, now)),
    }
}

/// What a client is told when the disk has not taken its partitions.
pub(super) fn refused_by_disk(
    broker: &mut Broker,
    name: &str,
    error: &io::Error,
    now: Now,
) -> Refusal {
    broker.complain(
        now.mono,
        format_args!("partitions of topic {name} could not be created: {error}"),
    );
    let what = match error.kind() {
        _ if disk::is_full(error) => "The disk is full.",
        io::ErrorKind::ResourceBusy => {
            "A topic of that name was just deleted, and its files are still in use: try again."
        }
        _ => "The disk refused; the log says why.",
    };
    Refusal::new(ErrorCode::KAFKA_STORAGE_ERROR, what)
}

/// What a client is told of a topic that does not exist and is not created.
pub(super) fn absent_code(name: &str) -> ErrorCode {
    match name_problem(name) {
        Some(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    }
}
