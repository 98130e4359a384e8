//! Adding to lists and taking from them, for IncrementalAlterConfigs; the messages are Kafka's.

use super::refusal::Refusal;
use super::setting_changes::Op;
use crate::broker::settings::ResourceType;
use crate::config;
use std::collections::{BTreeMap, BTreeSet};

/// The words that a list has now, or by default.
pub(super) fn list<'v>(
    kind: ResourceType,
    op: Op,
    name: &str,
    now: Option<&'v String>,
) -> Result<Vec<&'v str>, Refusal> {
    let key = match kind {
        ResourceType::Topic => config::find_topic_key(name).map(|row| &row.key),
        ResourceType::Broker => config::find(name),
        // Kafka knows no types of the others.
        _ => None,
    };
    let (word, past) = match op {
        Op::Append => ("APPEND", "append"),
        _ => ("SUBTRACT", "subtract"),
    };
    match key {
        Some(key) if key.kind.is_list() => {
            let text = now.map_or(key.default.unwrap_or_default(), String::as_str);
            Ok(text.split(',').filter(|word| !word.is_empty()).collect())
        }
        None if kind == ResourceType::Broker => {
            Err(Refusal::bad_setting(format!("Unknown config name: {name}")))
        }
        _ if kind == ResourceType::Broker => Err(Refusal::bad_setting(format!(
            "Config value {past} is not allowed for config key: {name}"
        ))),
        _ => Err(Refusal::bad_setting(format!(
            "Can't {word} to key {name} because its type is not LIST."
        ))),
    }
}

/// Adds the words of `value` that are not there, or takes away the first of each.
pub(super) fn edited(op: Op, words: &[&str], value: &str) -> String {
    let named = value.split(',');
    let words = words.iter().copied();
    let new: Vec<&str> = match op {
        Op::Append => {
            let mut known: BTreeSet<&str> = words.clone().collect();
            words
                .chain(named.filter(|word| known.insert(word)))
                .collect()
        }
        _ => {
            let mut gone: BTreeMap<&str, usize> = BTreeMap::new();
            named.for_each(|word| *gone.entry(word).or_default() += 1);
            let mut goes = |word: &str| {
                let left = gone.get_mut(word).filter(|left| **left > 0);
                left.map(|left| *left -= 1).is_some()
            };
            words.filter(|word| !goes(word)).collect()
        }
    };
    new.join(",")
}
