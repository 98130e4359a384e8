//! The rules of changing settings, for AlterConfigs and IncrementalAlterConfigs: who may have which, in Kafka's order
//! and words, for people search for them. A resource gets all of its changes or none, and the first fault is told.
//!
//! * A resource or a key that stands twice is error 42, as are a missing value, another broker's id, what only a
//!   restart changes, and a wrong value of a broker. Wrong values of others are 40; a missing topic is 3, which is told
//!   where the settings themselves are right.
//! * More than `MOST_CHANGES` of one request are error 44 for all of its resources, and nothing is done.
//! * Every resource has a bound on what it may keep, and groups and subscriptions have one together
//!   (`chronik.settings.bytes`). A full disk does not keep an operator from small changes of what exists, 64 KiB more
//!   at most in all: to keep records for a shorter time is the way out of it.

use super::refusal::{self, Refusal};
use super::{list_edits, logger_levels};
use crate::broker::Broker;
use crate::broker::settings::{Resource, ResourceType, settings_bytes};
use crate::broker::topics::name_problem;
use crate::config::{self, Fault, Values};
use crate::proto::error::ErrorCode;
use crate::proto::schema::alter_configs::AlterConfigsResourceResponse;
use std::collections::BTreeSet;

/// Kafka's bound on what one request may write. A resource without a change counts as one here.
const MOST_CHANGES: usize = 10_000;
/// Kafka's bound on one value.
const MOST_VALUE_BYTES: usize = 32_767;
/// What the settings of one resource may take together, names and values.
const MOST_SETTINGS_BYTES: usize = 64 << 10;
/// What the settings of a topic or a broker may come to on a full disk.
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

/// Judges all wishes and fulfils those that are legal, unless they are only to be judged.
pub(super) fn fulfil<'a>(
    broker: &mut Broker,
    wishes: &[Wish<'a>],
    validate_only: bool,
) -> Vec<AlterConfigsResourceResponse<'a>> {
    let changes: usize = wishes.iter().map(|wish| wish.changes.len().max(1)).sum();
    let is_excessive = changes > MOST_CHANGES;
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<_> = wishes
        .iter()
        .map(Wish::resource)
        .filter(|it| !seen.insert(*it))
        .collect();
    let one = |wish: &Wish<'_>| {
        if is_excessive {
            let why = "Unable to perform excessively large batch operation.";
            Err(Refusal::excessive(why))
        } else if repeated.contains(&wish.resource()) {
            Err(Refusal::invalid("Each resource must appear at most once."))
        } else {
            fulfil_one(broker, wish, validate_only)
        }
    };
    let results: Vec<Result<(), Refusal>> = wishes.iter().map(one).collect();
    wishes.iter().zip(results).map(row).collect()
}

fn row<'a>((wish, result): (&Wish<'a>, Result<(), Refusal>)) -> AlterConfigsResourceResponse<'a> {
    let (error_code, error_message) = refusal::parts(result.err());
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: wish.resource_type,
        resource_name: wish.resource_name,
    }
}

impl<'a> Wish<'a> {
    fn resource(&self) -> (i8, &'a str) {
        (self.resource_type, self.resource_name)
    }
}

fn fulfil_one(broker: &mut Broker, wish: &Wish<'_>, validate_only: bool) -> Result<(), Refusal> {
    check_changes(wish)?;
    let kind = match ResourceType::of_number(wish.resource_type) {
        Some(ResourceType::BrokerLogger) if !wish.replaces => {
            return logger_levels::set_levels(broker, wish, validate_only);
        }
        None | Some(ResourceType::BrokerLogger) => {
            return Err(Refusal::invalid(format!(
                "Unknown resource type {}",
                wish.resource_type
            )));
        }
        Some(kind) => kind,
    };
    if kind == ResourceType::Broker && !wish.resource_name.is_empty() {
        check_node_id(broker, wish.resource_name)?;
    }
    let resource = Resource::new(kind, wish.resource_name);
    let old = broker.settings_of(&resource).clone();
    let new = changed(kind, wish, &old)?;
    let (old_bytes, new_bytes) = (settings_bytes(&old), settings_bytes(&new));
    check_values(broker, &resource, &new)?;
    check_bytes(old_bytes, new_bytes)?;
    check_is_there(broker, &resource)?;
    check_space(broker, &resource, old_bytes, new_bytes)?;
    if validate_only || old == new {
        return Ok(());
    }
    broker.changed(old_bytes, new_bytes);
    tell(&resource, &old, &new);
    broker.set_settings(resource, new);
    Ok(())
}

/// What a client changes can explain much later; values may be secrets.
fn tell(resource: &Resource, old: &Values, new: &Values) {
    let is_changed = |key: &&String| old.get(*key) != new.get(*key);
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).filter(is_changed).collect();
    let keys: Vec<&str> = keys.into_iter().take(20).map(String::as_str).collect();
    let keys: String = keys.join(", ").chars().take(500).collect();
    let whose = match (resource.kind, &*resource.name) {
        (ResourceType::Broker, "") => "every broker".to_owned(),
        (kind, name) => format!("{} {name:?}", kind.word()),
    };
    log::info!("a client has changed settings of {whose}: {keys}");
}

/// Every key once, and with a value where it needs one.
fn check_changes(wish: &Wish<'_>) -> Result<(), Refusal> {
    let names: BTreeSet<&str> = wish.changes.iter().map(|change| change.name).collect();
    if names.len() < wish.changes.len() {
        return Err(Refusal::invalid("Error due to duplicate config keys"));
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
        false => Err(Refusal::invalid(format!(
            "Null value not supported for : {}",
            lacking.join(", ")
        ))),
    }
}

/// Settings are kept by name, so that there is one name of this broker: `01` is none.
fn check_node_id(broker: &Broker, name: &str) -> Result<(), Refusal> {
    node_number(name)?;
    let ours = broker.identity.node_id.to_string();
    match name == ours {
        true => Ok(()),
        false => Err(Refusal::invalid(format!(
            "Unexpected broker id, expected {ours}, but received {name}"
        ))),
    }
}

/// The number that names a broker.
pub(super) fn node_number(name: &str) -> Result<i32, Refusal> {
    let why = |_| Refusal::invalid(format!("Node id must be an integer, but it is: {name}"));
    name.parse().map_err(why)
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
                let words = list_edits::list(kind, *op, name, values.get(*name))?;
                list_edits::edited(*op, &words, value)
            }
            Op::Unknown(number) => {
                return Err(Refusal::invalid(format!(
                    "Unknown operations type {number}"
                )));
            }
        };
        if new.len() > MOST_VALUE_BYTES {
            let why = "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes.";
            return Err(Refusal::bad_setting(why));
        }
        values.insert((*name).to_owned(), new);
    }
    Ok(values)
}

/// Whether the resource may have these settings, and no others.
fn check_values(broker: &Broker, resource: &Resource, values: &Values) -> Result<(), Refusal> {
    let name = resource.name.as_str();
    match resource.kind {
        ResourceType::Topic if name.is_empty() => {
            Err(Refusal::invalid("Default topic resources are not allowed."))
        }
        ResourceType::Topic => match name_problem(name) {
            Some(why) => Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, why)),
            None => {
                config::check_topic_settings(broker.config(), values).map_err(Refusal::bad_setting)
            }
        },
        ResourceType::Group if name.is_empty() => {
            Err(Refusal::invalid("Default group resources are not allowed."))
        }
        ResourceType::Group => {
            config::check_group_settings(broker.config(), values).map_err(Refusal::bad_setting)
        }
        ResourceType::ClientMetrics if name.is_empty() => {
            Err(Refusal::invalid("Subscription name can't be empty"))
        }
        ResourceType::ClientMetrics => {
            config::check_client_metrics_settings(values).map_err(|fault| match fault {
                Fault::Request(why) => Refusal::invalid(why),
                Fault::Value(why) => Refusal::bad_setting(why),
            })
        }
        ResourceType::Broker | ResourceType::BrokerLogger => {
            config::check_broker_settings(broker.config(), values, !name.is_empty())
                .map_err(Refusal::invalid)
        }
    }
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

/// Whether there is what is to be changed: of all resources only topics can be missing.
fn check_is_there(broker: &Broker, resource: &Resource) -> Result<(), Refusal> {
    let is_there =
        resource.kind != ResourceType::Topic || broker.topics().by_name(&resource.name).is_some();
    match is_there {
        true => Ok(()),
        false => Err(Refusal::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("The topic '{}' does not exist.", resource.name),
        )),
    }
}

/// Whether there is room for what is kept: on the disk, and for what anybody can make up in memory.
fn check_space(
    broker: &mut Broker,
    resource: &Resource,
    old: usize,
    new: usize,
) -> Result<(), Refusal> {
    let (name, most) = match resource.kind {
        ResourceType::Topic | ResourceType::Broker => (0, old.max(SMALL_BYTES)),
        _ => {
            let limit = broker.config().chronik_settings_bytes;
            if new > old && broker.kept_settings().bytes_with(resource, new) > limit {
                return Err(Refusal::excessive(format!(
                    "Settings of groups and of subscriptions to metrics would exceed chronik.settings.bytes={limit}."
                )));
            }
            (resource.name.len(), old)
        }
    };
    let has_room = match new > most {
        true => broker.may_grow(name + new),
        false => new <= old || broker.may_change(new - old),
    };
    if !has_room {
        return Err(Refusal::new(
            ErrorCode::KAFKA_STORAGE_ERROR,
            "The disk is full.",
        ));
    }
    Ok(())
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
