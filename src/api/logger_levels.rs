//! Changing the levels of loggers, for IncrementalAlterConfigs: all of a request's or none. The messages are Kafka's.

use super::refusal::Refusal;
use super::setting_changes::{Change, Op, Wish, node_number};
use crate::broker::Broker;
use crate::broker::loggers::{self, LEVELS, Level, Loggers, ROOT};

/// Changes levels of loggers.
pub(super) fn set_levels(
    broker: &mut Broker,
    wish: &Wish<'_>,
    validate_only: bool,
) -> Result<(), Refusal> {
    let (ours, id) = (broker.identity.node_id, node_number(wish.resource_name)?);
    if id != ours {
        return Err(Refusal::invalid(format!(
            "Unexpected node id. Expected {ours}, but received {id}"
        )));
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
fn level(loggers: &Loggers, change: &Change<'_>) -> Result<Option<Level>, Refusal> {
    let Change { name, op, value } = *change;
    let not_allowed = |what: String| {
        Err(Refusal::invalid(format!(
            "{what} is not allowed for the BROKER_LOGGER resource"
        )))
    };
    match op {
        Op::Set | Op::Delete if !loggers.has(name) => Err(Refusal::bad_setting(format!(
            "Logger {name} does not exist!"
        ))),
        Op::Set => {
            let word = value.unwrap_or_default();
            let names = LEVELS.map(|level| level.word).join(", ");
            loggers::level(word).map(Some).map_or_else(
                || {
                    Err(Refusal::bad_setting(format!(
                        "Cannot set the log level of {name} to {word} as it is not a supported log level. \
                         Valid log levels are {names}"
                    )))
                },
                Ok,
            )
        }
        Op::Delete if name == ROOT => Err(Refusal::invalid(
            "Removing the log level of the root logger is not allowed",
        )),
        Op::Delete => Ok(None),
        Op::Append => not_allowed("APPEND operation".to_owned()),
        Op::Subtract => not_allowed("SUBTRACT operation".to_owned()),
        Op::Unknown(number) => not_allowed(format!("Unknown operation type {number}")),
    }
}
