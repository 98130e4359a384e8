//! The rules of changing settings, for AlterConfigs and IncrementalAlterConfigs: who may have which, in Kafka's order
//! and words, for people search for them. A resource gets all of its changes or none, and the first fault is told.
//!
//! * A resource or a key that stands twice is error 42, as are a missing value, another broker's id, what only a
//!   restart changes, and a wrong value of a broker. Wrong values of others are 40; a missing topic is 3, and is
//!   noticed last.
//! * Nothing is kept for a topic or a broker beyond `MOST_BYTES`. A full disk does not keep an operator from small
//!   changes: to keep records for a shorter time is the way out of it.

use super::topic_creation::{self, Refusal};
use crate::broker::Broker;
use crate::broker::loggers::{self, LEVELS};
use crate::broker::settings::{Resource, ResourceType};
use crate::broker::topics::name_problem;
use crate::config::{self, Values};
use crate::proto::error::ErrorCode;
use crate::proto::{Text, Uuid};
use std::collections::BTreeSet;

/// Names and values of one resource.
const MOST_BYTES: usize = 64 << 10;
/// Kafka's bound on one value.
const MOST_VALUE_BYTES: usize = 32_767;
/// What a change may add on a full disk.
const SMALL_BYTES: usize = 512;

/// What is to be done with one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Set,
    Delete,
    Append,
    Subtract,
    /// None that we know.
    Unknown(i8),
}

/// One change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) name: &'a str,
    pub(super) op: Op,
    pub(super) value: Option<&'a str>,
}

/// The changes of one resource.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) resource_type: i8,
    pub(super) resource_name: &'a str,
    pub(super) changes: Vec<Change<'a>>,
    /// What is not named goes (AlterConfigs).
    pub(super) replaces: bool,
}

/// Where checked settings belong.
enum Target {
    Topic(Uuid),
    Other(Resource),
}

/// Judges all wishes and fulfils those that are legal, unless they are only to be judged.
pub(super) fn fulfil(
    broker: &mut Broker,
    wishes: &[Wish<'_>],
    validate_only: bool,
) -> Vec<Result<(), Refusal>> {
    let key = |wish: &Wish<'_>| (wish.resource_type, wish.resource_name.to_owned());
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<_> = wishes
        .iter()
        .map(key)
        .filter(|it| !seen.insert(it.clone()))
        .collect();
    let one = |wish: &Wish<'_>| match repeated.contains(&key(wish)) {
        true => invalid("Each resource must appear at most once."),
        false => fulfil_one(broker, wish, validate_only),
    };
    wishes.iter().map(one).collect()
}

fn fulfil_one(broker: &mut Broker, wish: &Wish<'_>, validate_only: bool) -> Result<(), Refusal> {
    check_changes(wish)?;
    let kind = match ResourceType::of_number(wish.resource_type) {
        Some(ResourceType::BrokerLogger) if !wish.replaces => {
            return set_levels(broker, wish, validate_only);
        }
        None | Some(ResourceType::BrokerLogger) => {
            return invalid(format!("Unknown resource type {}", wish.resource_type));
        }
        Some(kind) => kind,
    };
    if kind == ResourceType::Broker && !wish.resource_name.is_empty() {
        check_node_id(broker, wish.resource_name)?;
    }
    let resource = Resource::new(kind, wish.resource_name);
    let old = settings_of(broker, &resource).clone();
    let new = changed(kind, wish, &old)?;
    check_values(broker, &resource, &new)?;
    let target = target(broker, resource)?;
    check_size(broker, &old, &new)?;
    if validate_only || old == new {
        return Ok(());
    }
    match target {
        Target::Topic(id) => drop(broker.set_topic_settings(id, new)),
        Target::Other(resource) => drop(broker.set_settings(resource, new)),
    }
    Ok(())
}

/// The settings that a resource has now.
pub(super) fn settings_of<'b>(broker: &'b Broker, resource: &Resource) -> &'b Values {
    match resource.kind {
        ResourceType::Topic => match broker.topics().by_name(&resource.name) {
            Some(topic) => &topic.settings,
            None => broker.kept_settings().of(resource),
        },
        _ => broker.kept_settings().of(resource),
    }
}

/// Every key once, and with a value where it needs one.
fn check_changes(wish: &Wish<'_>) -> Result<(), Refusal> {
    let names: BTreeSet<&str> = wish.changes.iter().map(|change| change.name).collect();
    if names.len() < wish.changes.len() {
        return invalid("Error due to duplicate config keys");
    }
    let lacks = |change: &&Change<'_>| change.op != Op::Delete && change.value.is_none();
    let lacking: Vec<&str> = wish
        .changes
        .iter()
        .filter(lacks)
        .map(|it| it.name)
        .collect();
    match lacking.is_empty() {
        true => Ok(()),
        false => invalid(format!(
            "Null value not supported for : {}",
            lacking.join(", ")
        )),
    }
}

fn check_node_id(broker: &Broker, name: &str) -> Result<(), Refusal> {
    let ours = broker.identity.node_id;
    match name.parse::<i32>() {
        Err(_) => invalid(format!("Node id must be an integer, but it is: {name}")),
        Ok(id) if id != ours => invalid(format!(
            "Unexpected broker id, expected {ours}, but received {name}"
        )),
        Ok(_) => Ok(()),
    }
}

/// The settings after the changes.
fn changed(kind: ResourceType, wish: &Wish<'_>, old: &Values) -> Result<Values, Refusal> {
    let mut values = match wish.replaces {
        true => Values::new(),
        false => old.clone(),
    };
    for Change { name, op, value } in &wish.changes {
        let value = value.unwrap_or_default();
        let new = match op {
            Op::Set => value.to_owned(),
            Op::Delete => {
                values.remove(*name);
                continue;
            }
            Op::Append | Op::Subtract => {
                let words = list(kind, *op, name, values.get(*name))?;
                edited(*op, words, value)
            }
            Op::Unknown(number) => return invalid(format!("Unknown operations type {number}")),
        };
        if new.len() > MOST_VALUE_BYTES {
            let why = "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.";
            return refused(why);
        }
        values.insert((*name).to_owned(), new);
    }
    Ok(values)
}

/// The words that a list has now, or by default.
fn list(
    kind: ResourceType,
    op: Op,
    name: &str,
    now: Option<&String>,
) -> Result<Vec<String>, Refusal> {
    let key = match kind {
        ResourceType::Topic => config::find_topic_key(name).map(|row| &row.key),
        ResourceType::Broker => config::find(name),
        _ => config::find_kept_key(name),
    };
    let (word, past) = match op {
        Op::Append => ("APPEND", "append"),
        _ => ("SUBTRACT", "subtract"),
    };
    match key {
        Some(key) if key.kind.is_list() => {
            let text = now.map_or(key.default.unwrap_or_default(), String::as_str);
            let words = text.split(',').filter(|word| !word.is_empty());
            Ok(words.map(str::to_owned).collect())
        }
        None if kind == ResourceType::Broker => refused(format!("Unknown config name: {name}")),
        _ if kind == ResourceType::Broker => refused(format!(
            "Config value {past} is not allowed for config key: {name}"
        )),
        _ => refused(format!(
            "Can't {word} to key {name} because its type is not LIST."
        )),
    }
}

fn edited(op: Op, mut words: Vec<String>, value: &str) -> String {
    for word in value.split(',') {
        let place = words.iter().position(|known| known == word);
        match (op, place) {
            (Op::Append, None) => words.push(word.to_owned()),
            (Op::Subtract, Some(place)) => drop(words.remove(place)),
            _ => {}
        }
    }
    words.join(",")
}

/// Whether the resource may have these settings, and no others.
fn check_values(broker: &Broker, resource: &Resource, values: &Values) -> Result<(), Refusal> {
    let name = resource.name.as_str();
    match resource.kind {
        ResourceType::Topic if name.is_empty() => {
            invalid("Default topic resources are not allowed.")
        }
        ResourceType::Topic => match name_problem(name) {
            Some(why) => Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, why)),
            None => topic_creation::check_settings(broker, values),
        },
        ResourceType::Group if name.is_empty() => {
            invalid("Default group resources are not allowed.")
        }
        ResourceType::Group => {
            config::check_group_settings(&broker.config, values).or_else(refused)
        }
        ResourceType::ClientMetrics if name.is_empty() => {
            invalid("Subscription name can't be empty")
        }
        ResourceType::ClientMetrics => {
            config::check_client_metrics_settings(values).or_else(|(of_request, why)| {
                if of_request {
                    invalid(why)
                } else {
                    refused(why)
                }
            })
        }
        ResourceType::Broker | ResourceType::BrokerLogger => {
            config::check_broker_settings(&broker.config, values, !name.is_empty()).or_else(invalid)
        }
    }
}

fn target(broker: &Broker, resource: Resource) -> Result<Target, Refusal> {
    if resource.kind != ResourceType::Topic {
        // The id may be written with zeros in front.
        let name = match resource.name.is_empty() || resource.kind != ResourceType::Broker {
            true => resource.name,
            false => broker.identity.node_id.to_string(),
        };
        return Ok(Target::Other(Resource::new(resource.kind, name)));
    }
    match broker.topics().by_name(&resource.name) {
        Some(topic) => Ok(Target::Topic(topic.id)),
        None => Err(Refusal::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("The topic '{}' does not exist.", resource.name),
        )),
    }
}

/// Whether there is room for what is kept.
fn check_size(broker: &mut Broker, old: &Values, new: &Values) -> Result<(), Refusal> {
    let bytes = |values: &Values| -> usize { values.iter().map(|(k, v)| k.len() + v.len()).sum() };
    let (old, new) = (bytes(old), bytes(new));
    if new > MOST_BYTES {
        return refused(format!(
            "The settings of one resource may take at most {MOST_BYTES} bytes together."
        ));
    }
    if new > old + SMALL_BYTES && !broker.may_grow(new) {
        return Err(Refusal::new(
            ErrorCode::KAFKA_STORAGE_ERROR,
            "The disk is full.",
        ));
    }
    Ok(())
}

/// Changes levels of loggers.
fn set_levels(broker: &mut Broker, wish: &Wish<'_>, validate_only: bool) -> Result<(), Refusal> {
    let ours = broker.identity.node_id;
    match wish.resource_name.parse::<i32>() {
        Err(_) => {
            let name = wish.resource_name;
            return invalid(format!("Node id must be an integer, but it is: {name}"));
        }
        Ok(id) if id != ours => {
            return invalid(format!(
                "Unexpected node id. Expected {ours}, but received {id}"
            ));
        }
        Ok(_) => {}
    }
    let mut loggers = broker.loggers().clone();
    for change in &wish.changes {
        let level = level(&loggers, change)?;
        loggers.set(change.name, level);
    }
    if !validate_only && loggers != *broker.loggers() {
        broker.set_loggers(loggers);
    }
    Ok(())
}

/// The level that a logger shall have; `None` to follow the root.
fn level(
    loggers: &loggers::Loggers,
    change: &Change<'_>,
) -> Result<Option<log::LevelFilter>, Refusal> {
    let Change { name, op, value } = *change;
    let not_allowed = |what: String| {
        invalid(format!(
            "{what} is not allowed for the BROKER_LOGGER resource"
        ))
    };
    match op {
        Op::Set | Op::Delete if !loggers.has(name) => {
            refused(format!("Logger {name} does not exist!"))
        }
        Op::Set => {
            let word = value.unwrap_or_default();
            let names = LEVELS.map(|(name, _)| name).join(", ");
            loggers::level(word).map(Some).map_or_else(
                || {
                    refused(format!(
                        "Cannot set the log level of {name} to {word} as it is not a supported log level. \
                         Valid log levels are {names}"
                    ))
                },
                Ok,
            )
        }
        Op::Delete if name == loggers::ROOT => {
            invalid("Removing the log level of the root logger is not allowed")
        }
        Op::Delete => Ok(None),
        Op::Append => not_allowed("APPEND operation".to_owned()),
        Op::Subtract => not_allowed("SUBTRACT operation".to_owned()),
        Op::Unknown(number) => not_allowed(format!("Unknown operation type {number}")),
    }
}

/// A refusal as answers carry it.
pub(super) fn told<'a>(refusal: Refusal) -> (ErrorCode, Option<Text<'a>>) {
    (refusal.code, refusal.message.map(Into::into))
}

/// The request is wrong.
fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::INVALID_REQUEST, why))
}

/// A setting is wrong.
fn refused<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::INVALID_CONFIG, why))
}
