//! Broker and topic settings: one table, and typed views of it for the rooms that obey them.
//!
//! A key is a row of a table: name, kind (type and legal values), default, whether it may change while
//! the broker runs, what chronikd does with it, and one sentence. The same rows read the settings file,
//! check what a client sends, and answer what is in force. `broker`, `groups`, `security` and `cluster`
//! hold the broker's keys by theme; `topic` holds a topic's keys with the broker keys they fall back to.
//!
//! ```text
//! file, environment, command line -> Settings (text and origin) -> BrokerConfig (typed, checked)
//! what clients set for brokers ----> (layers of the same)
//!                                    a topic's own settings -----> LogConfig    (typed)
//! ```
//!
//! Names, types, ranges and defaults are those of Apache Kafka 4.3. What differs on purpose:
//! `log.flush.interval.messages` and `flush.messages` default to 1, because an acknowledgement is a
//! promise here; `group.initial.rebalance.delay.ms` to 0; `max.connections` to 10000 and
//! `queued.max.request.bytes` to 64 MiB, because a small machine must stay one; and the copies
//! that internal topics have to 1, because there is one broker.

mod broker;
mod cluster;
mod describe;
mod dynamic;
mod groups;
mod ignored;
mod kept;
mod listeners;
mod parse;
mod rules;
mod security;
mod settings;
mod topic;
mod values;
mod views;

pub use describe::{
    Described, Source, Synonym, Wanted, describe_broker, describe_client_metrics,
    describe_every_broker, describe_group, describe_logger, describe_topic,
};
pub use dynamic::check_broker_settings;
pub use ignored::{
    ignored_of_brokers, ignored_of_client_metrics, ignored_of_group, ignored_of_topic,
};
pub use kept::{Fault, check_client_metrics_settings, check_group_settings};
pub use listeners::Listener;
pub use settings::{Origin, Problem, Settings};
pub use topic::{
    Effective, TopicKey, check as check_topic_settings, effective as effective_topic_settings,
    find as find_topic_key,
};
pub use values::{Kind, Value};
pub use views::{
    Amount, BrokerConfig, CleanerConfig, Compaction, LogConfig, StorageConfig, SyncAll,
    TimestampType,
};

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Texts of settings, by name.
pub type Values = BTreeMap<String, String>;

/// Whether clients may change a setting while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At any time.
    Live,
    /// Only with a restart.
    Start,
}

/// What chronikd does with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// It obeys.
    Honoured,
    /// It accepts the setting, and will obey in a later version.
    Later,
    /// It accepts the setting, which has no meaning on a single broker without a Java machine.
    Moot,
}

/// One setting: a row of the table.
#[derive(Debug)]
pub struct Key {
    /// Kafka's name, or `chronik.` and a name of our own.
    pub name: &'static str,
    /// Type and legal values.
    pub kind: Kind,
    /// The value that holds when nobody sets one, as text; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// When it may change.
    pub change: Change,
    /// What chronikd does with it.
    pub tier: Tier,
    /// What it is for: one sentence.
    pub about: &'static str,
}

/// No lower end, in a row: the type's own holds.
const MIN: i64 = i64::MIN;
/// No upper end, in a row: the type's own holds.
const MAX: i64 = i64::MAX;

/// A row with a default.
const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    change: Change,
    tier: Tier,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default: Some(default),
        change,
        tier,
        about,
    }
}

/// A row whose default is null.
const fn unset(
    name: &'static str,
    kind: Kind,
    change: Change,
    tier: Tier,
    about: &'static str,
) -> Key {
    Key {
        name,
        kind,
        default: None,
        change,
        tier,
        about,
    }
}

/// Every key of the broker, theme by theme.
pub fn broker_keys() -> impl Iterator<Item = &'static Key> {
    [broker::KEYS, groups::KEYS, security::KEYS, cluster::KEYS]
        .into_iter()
        .flatten()
}

/// Every key of topics.
pub fn topic_keys() -> impl Iterator<Item = &'static TopicKey> {
    topic::KEYS.iter()
}

/// The broker's key of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    static BY_NAME: OnceLock<BTreeMap<&'static str, &'static Key>> = OnceLock::new();
    let by_name = || broker_keys().map(|key| (key.name, key)).collect();
    BY_NAME.get_or_init(by_name).get(name).copied()
}

/// The key that a setting of one listener is about (`listener.name.` and the listener's name stand before it).
fn find_of_listener(name: &str) -> Option<&'static Key> {
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    find(base)
}

/// The key whose name needs the fewest edits to become `name`, if there is one that a slip of the
/// fingers could explain.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let (edits, best) = broker_keys()
        .map(|key| (distance(key.name, name), key.name))
        .min()?;
    (edits <= 2 + name.len() / 8).then_some(best)
}

/// Levenshtein's distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Settings for a test.
#[cfg(test)]
pub(crate) fn values(pairs: &[(&str, &str)]) -> Values {
    let pairs = pairs.iter();
    pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_key_has_two_rows() {
        let names: BTreeSet<_> = broker_keys().map(|key| key.name).collect();
        assert_eq!(names.len(), broker_keys().count());
    }

    #[test]
    fn every_default_is_legal() {
        for key in broker_keys().chain(topic_keys().map(|row| &row.key)) {
            if let Some(default) = key.default {
                assert_eq!(
                    key.kind.parse(key.name, default).err(),
                    None,
                    "{}",
                    key.name
                );
            }
        }
    }

    #[test]
    fn every_row_has_one_sentence() {
        for key in broker_keys().chain(topic_keys().map(|row| &row.key)) {
            assert!(
                key.about.ends_with('.') && key.about.len() > 8,
                "{}",
                key.name
            );
        }
    }

    #[test]
    fn a_slip_finds_its_key_and_a_stranger_finds_none() {
        assert_eq!(nearest("log.retenton.hours"), Some("log.retention.hours"));
        assert_eq!(nearest("num.partition"), Some("num.partitions"));
        assert_eq!(nearest("completely.unlike.anything"), None);
    }
}
