//! The rules of creating topics and partitions, for CreateTopics, for Metadata with auto-creation and for requests
//! that assign replicas. The messages are Kafka's, for people search for them.

use super::refusal::Refusal;
use crate::broker::Broker;
use crate::broker::settings::settings_bytes;
use crate::broker::topics::name_problem;
use crate::clock::Now;
use crate::config::{self, BrokerConfig};
use crate::disk;
use crate::proto::error::ErrorCode;
use std::collections::BTreeMap;
use std::io;

/// What the settings of one resource may take together, names and values.
const MOST_SETTINGS_BYTES: usize = 64 << 10;
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

impl<'a> Creation<'a> {
    /// As auto-creation makes it.
    pub(super) fn with_defaults(config: &BrokerConfig, name: &'a str) -> Creation<'a> {
        Creation {
            name,
            partition_count: config.num_partitions,
            settings: BTreeMap::new(),
        }
    }
}

/// Whether the topic may be created; nothing is changed.
pub(super) fn check(broker: &Broker, creation: &Creation<'_>) -> Result<(), Refusal> {
    check_name(broker, creation.name)?;
    check_settings(broker, &creation.settings, 0)?;
    check_room(broker, creation.partition_count)
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

/// Whether the settings exist and have values that they may have, each and together. Those that they take the place of
/// have `old_bytes`.
pub(super) fn check_settings(
    broker: &Broker,
    settings: &BTreeMap<String, String>,
    old_bytes: usize,
) -> Result<(), Refusal> {
    config::check_topic_settings(&broker.config, settings).map_err(Refusal::bad_setting)?;
    check_bytes(old_bytes, settings_bytes(settings))
}

/// That settings do not grow beyond what one resource may have. Those that are too large may shrink.
pub(super) fn check_bytes(old: usize, new: usize) -> Result<(), Refusal> {
    if new <= MOST_SETTINGS_BYTES || new <= old {
        return Ok(());
    }
    let why = format!(
        "The settings of one resource may take at most {MOST_SETTINGS_BYTES} bytes together."
    );
    Err(Refusal::bad_setting(why))
}

/// Whether so many partitions more are allowed.
pub(super) fn check_room(broker: &Broker, partition_count: i32) -> Result<(), Refusal> {
    let limit = broker.config.chronik_max_partitions;
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

/// Creates a checked topic. Answers its id.
pub(super) fn create(
    broker: &mut Broker,
    creation: Creation<'_>,
    now: Now,
) -> Result<crate::proto::Uuid, Refusal> {
    let id = broker.new_id();
    let Creation {
        name,
        partition_count,
        settings,
    } = creation;
    match broker.create_topic(id, name, partition_count, settings, now) {
        Ok(_) => Ok(id),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_may_shrink_and_not_grow() {
        assert!(check_bytes(0, MOST_SETTINGS_BYTES).is_ok());
        assert!(check_bytes(0, MOST_SETTINGS_BYTES + 1).is_err());
        assert!(check_bytes(MOST_SETTINGS_BYTES + 9, MOST_SETTINGS_BYTES + 9).is_ok());
        assert!(check_bytes(MOST_SETTINGS_BYTES + 9, MOST_SETTINGS_BYTES + 10).is_err());
    }
}
