//! Keys of a topic, each with the keys of the broker that it falls back to.
//!
//! A topic's value is its own; else the first of the broker's synonyms that somebody set, in
//! milliseconds where that one counts hours or minutes; else the default of the row.

use super::Change::Live;
use super::Kind::*;
use super::Tier::{Honoured, Moot};
use super::{BrokerConfig, Key, MAX, MIN, Settings, Source, Value, key};
use std::collections::BTreeMap;

/// A setting of topics.
#[derive(Debug)]
pub struct TopicKey {
    /// The row.
    pub key: Key,
    /// Keys of the broker, the strongest first, each with the factor from its unit to this one's.
    pub synonyms: &'static [(&'static str, i64)],
}

/// One setting of a topic as it is in force. None of them is read-only or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub name: &'static str,
    /// Its value; there is always one.
    pub value: Option<String>,
    /// Whose it is.
    pub source: Source,
}

/// The topic's key of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static TopicKey> {
    KEYS.iter().find(|row| row.key.name == name)
}

/// Checks the settings that a client gives a topic, or says in Kafka's words what is wrong with the
/// first wrong one (error 40, INVALID_CONFIG).
pub fn check(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> Result<(), String> {
    if let Some(name) = own.keys().find(|name| find(name).is_none()) {
        return Err(format!("Unknown topic config name: {name}"));
    }
    for (row, value) in own
        .iter()
        .filter_map(|(name, value)| Some((find(name)?, value)))
    {
        row.key.kind.parse(row.key.name, value)?;
    }
    let lag = |name| resolve(name, broker, own).0.number::<i64>();
    let (min, max) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"));
    if min > max {
        return Err(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        ));
    }
    if resolve("remote.storage.enable", broker, own).0.flag() {
        return Err("Tiered Storage functionality is disabled in the broker. \
                    Topic cannot be configured with remote log storage."
            .into());
    }
    Ok(())
}

/// Every setting of a topic with these settings of its own, by name.
#[must_use]
pub fn effective(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> Vec<Effective> {
    let entry = |row: &TopicKey| {
        let (value, source) = resolve(row.key.name, broker, own);
        Effective {
            name: row.key.name,
            value: Some(value.to_string()),
            source,
        }
    };
    let mut entries: Vec<Effective> = KEYS.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.name);
    entries
}

/// The value in force, and whose it is. A value of the topic that is not legal (because an earlier
/// version had other rules) counts as not set.
///
/// # Panics
/// When the table has no such key: a mistake of ours, not of a user.
pub(super) fn resolve(
    name: &str,
    broker: &BrokerConfig,
    own: &BTreeMap<String, String>,
) -> (Value, Source) {
    let row = find(name).expect("callers ask for keys of the table only");
    if let Some(value) = own
        .get(name)
        .and_then(|text| row.key.kind.parse(name, text).ok())
    {
        return (value, Source::Topic);
    }
    of_broker(row, &broker.settings)
}

/// The value of a topic that has none of its own, and whose it is.
pub(super) fn of_broker(row: &TopicKey, settings: &Settings) -> (Value, Source) {
    for &(synonym, factor) in row.synonyms {
        if let Some(source) = settings.source(synonym)
            && let Some(value) = settings.value(synonym)
        {
            return (scaled(value, factor), source);
        }
    }
    let default = row.key.default.expect("every topic key has a default");
    let value = row.key.kind.parse(row.key.name, default);
    (
        value.expect("the table's defaults are legal"),
        Source::Default,
    )
}

/// A value of the broker in the unit of the topic's. Below zero it means "never" in every unit.
fn scaled(value: Value, factor: i64) -> Value {
    match value {
        Value::Number(number) if number >= 0 => Value::Number(number.saturating_mul(factor)),
        other => other,
    }
}

/// A row with its synonyms.
const fn topic(key: Key, synonyms: &'static [(&'static str, i64)]) -> TopicKey {
    TopicKey { key, synonyms }
}

/// The rows.
#[rustfmt::skip]
pub(super) const KEYS: &[TopicKey] = &[
    // Segments and indexes.
    topic(key("segment.bytes", Int(1048576, MAX), "1073741824", Live, Honoured,
            "A segment never grows beyond this."),
        &[("log.segment.bytes", 1)]),
    topic(key("segment.ms", Long(1, MAX), "604800000", Live, Honoured,
            "A segment is closed at this age, by the time of its first record."),
        &[("log.roll.ms", 1), ("log.roll.hours", 3_600_000)]),
    topic(key("segment.jitter.ms", Long(0, MAX), "0", Live, Honoured,
            "Taken off segment.ms at random, so that segments are not all closed at once."),
        &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)]),
    topic(key("segment.index.bytes", Int(4, MAX), "10485760", Live, Honoured,
            "The largest index file; a full one closes its segment."),
        &[("log.index.size.max.bytes", 1)]),
    topic(key("index.interval.bytes", Int(0, MAX), "4096", Live, Honoured,
            "One index entry for so many bytes of log."),
        &[("log.index.interval.bytes", 1)]),
    topic(key("preallocate", Boolean, "false", Live, Moot,
            "Whether to reserve a whole segment at once; here space is reserved in small steps."),
        &[("log.preallocate", 1)]),
    // Durability.
    topic(key("flush.messages", Long(1, MAX), "1", Live, Honoured,
            "Records between two syncs; 1 means that an acknowledgement waits for the disk, as it always does in a transaction."),
        &[("log.flush.interval.messages", 1)]),
    topic(key("flush.ms", Long(0, MAX), "9223372036854775807", Live, Honoured,
            "The time after which records are synced."),
        &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    topic(key("min.insync.replicas", Int(1, MAX), "1", Live, Moot,
            "Copies that acks=all waits for; there is one, and it is always in sync."),
        &[("min.insync.replicas", 1)]),
    topic(key("unclean.leader.election.enable", Boolean, "false", Live, Moot,
            "Part of replication."),
        &[("unclean.leader.election.enable", 1)]),
    topic(key("leader.replication.throttled.replicas", Replicas, "", Live, Moot,
            "Part of replication."),
        &[]),
    topic(key("follower.replication.throttled.replicas", Replicas, "", Live, Moot,
            "Part of replication."),
        &[]),
    // Records.
    topic(key("max.message.bytes", Int(0, MAX), "1048588", Live, Honoured,
            "The largest batch of records."),
        &[("message.max.bytes", 1)]),
    topic(key("message.timestamp.type", OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime", Live, Honoured,
            "CreateTime keeps the producer's time in a record, LogAppendTime puts the broker's there."),
        &[("log.message.timestamp.type", 1)]),
    topic(key("message.timestamp.before.max.ms", Long(0, MAX), "9223372036854775807", Live, Honoured,
            "How far a record's time may lie before the broker's."),
        &[("log.message.timestamp.before.max.ms", 1)]),
    topic(key("message.timestamp.after.max.ms", Long(0, MAX), "3600000", Live, Honoured,
            "How far a record's time may lie after the broker's."),
        &[("log.message.timestamp.after.max.ms", 1)]),
    topic(key("compression.type",
            OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer", Live, Honoured,
            "The codec of stored batches, which are packed anew where theirs is another; producer keeps what was sent."),
        &[("compression.type", 1)]),
    topic(key("compression.gzip.level", IntOr(-1, 1, 9), "-1", Live, Honoured,
            "The level of gzip, where the broker compresses."),
        &[("compression.gzip.level", 1)]),
    topic(key("compression.lz4.level", Int(1, 17), "9", Live, Moot,
            "The level of lz4; here there is only one."),
        &[("compression.lz4.level", 1)]),
    topic(key("compression.zstd.level", Int(-131072, 22), "3", Live, Honoured,
            "The level of zstd, where the broker compresses; above 19 it is 19."),
        &[("compression.zstd.level", 1)]),
    // Retention and compaction.
    topic(key("cleanup.policy", ListOf(&["compact", "delete"]), "delete", Live, Honoured,
            "delete removes old segments, compact keeps the last record of each key; neither keeps all."),
        &[("log.cleanup.policy", 1)]),
    topic(key("retention.ms", Long(-1, MAX), "604800000", Live, Honoured,
            "Records are kept this long; -1 is for ever."),
        &[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)]),
    topic(key("retention.bytes", Long(MIN, MAX), "-1", Live, Honoured,
            "A partition is cut to this size; -1 is without a limit."),
        &[("log.retention.bytes", 1)]),
    topic(key("file.delete.delay.ms", Long(0, MAX), "60000", Live, Honoured,
            "A removed segment leaves the disk after this time."),
        &[("log.segment.delete.delay.ms", 1)]),
    topic(key("delete.retention.ms", Long(0, MAX), "86400000", Live, Honoured,
            "How long a tombstone stays."),
        &[("log.cleaner.delete.retention.ms", 1)]),
    topic(key("min.cleanable.dirty.ratio", Double(0.0, 1.0), "0.5", Live, Honoured,
            "The part of a log that must be new before it is compacted."),
        &[("log.cleaner.min.cleanable.ratio", 1)]),
    topic(key("min.compaction.lag.ms", Long(0, MAX), "0", Live, Honoured,
            "The shortest time that a record stays as it is."),
        &[("log.cleaner.min.compaction.lag.ms", 1)]),
    topic(key("max.compaction.lag.ms", Long(1, MAX), "9223372036854775807", Live, Honoured,
            "The longest that a record waits for compaction."),
        &[("log.cleaner.max.compaction.lag.ms", 1)]),
    // Tiered storage.
    topic(key("remote.storage.enable", Boolean, "false", Live, Moot,
            "Whether old segments may move to another store."),
        &[]),
    topic(key("remote.log.copy.disable", Boolean, "false", Live, Moot,
            "Part of tiered storage."),
        &[]),
    topic(key("remote.log.delete.on.disable", Boolean, "false", Live, Moot,
            "Part of tiered storage."),
        &[]),
    topic(key("local.retention.bytes", Long(-2, MAX), "-2", Live, Moot,
            "Part of tiered storage."),
        &[("log.local.retention.bytes", 1)]),
    topic(key("local.retention.ms", Long(-2, MAX), "-2", Live, Moot,
            "Part of tiered storage."),
        &[("log.local.retention.ms", 1)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Settings, find as find_broker_key};

    fn broker(settings: &[(&str, &str)]) -> BrokerConfig {
        let mut all = Settings::default();
        for (name, value) in settings {
            all.set(name, value, Origin::CommandLine);
        }
        BrokerConfig::new(all).expect("legal settings")
    }

    fn judged(settings: &[(&str, &str)]) -> Result<(), String> {
        let own = settings
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        check(
            &broker(&[("log.cleaner.max.compaction.lag.ms", "5")]),
            &own.collect(),
        )
    }

    fn fault(name: &str, value: &str) -> String {
        judged(&[(name, value)]).expect_err(name)
    }

    #[test]
    fn every_synonym_is_a_key_of_the_broker_with_the_same_default() {
        for TopicKey { key, synonyms } in KEYS {
            assert!(key.default.is_some(), "{}", key.name);
            for (synonym, _) in *synonyms {
                assert!(find_broker_key(synonym).is_some(), "{synonym}");
            }
            if let &[(synonym, 1)] = *synonyms {
                let row = find_broker_key(synonym).expect(synonym);
                assert_eq!(
                    (row.default, row.tier),
                    (key.default, key.tier),
                    "{synonym}"
                );
            }
        }
    }

    #[test]
    fn what_a_topic_may_not_have_is_refused_in_kafka_s_words() {
        assert_eq!(fault("nope", "1"), "Unknown topic config name: nope");
        assert_eq!(
            fault("segment.bytes", "100"),
            "Invalid value 100 for configuration segment.bytes: Value must be at least 1048576"
        );
        assert_eq!(
            fault("cleanup.policy", "delete,nope"),
            "Invalid value nope for configuration cleanup.policy: String must be one of: compact, delete"
        );
        let throttled = "follower.replication.throttled.replicas";
        let told = fault(throttled, "0:1,what");
        assert!(told.starts_with("Invalid value [0:1, what] for configuration"));
        assert!(judged(&[(throttled, "*,0:1")]).is_err());
        for good in ["", "*", "0:1, 12:3"] {
            assert_eq!(judged(&[(throttled, good)]), Ok(()));
        }
        assert!(fault("remote.storage.enable", "true").starts_with("Tiered Storage"));
        assert_eq!(
            fault("min.compaction.lag.ms", "6"),
            "conflict topic config setting min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"
        );
        let good = [
            ("cleanup.policy", "compact, delete"),
            ("min.compaction.lag.ms", "5"),
            ("remote.storage.enable", "false"),
        ];
        assert_eq!(judged(&good), Ok(()));
    }

    #[test]
    fn a_value_is_the_topic_s_else_the_broker_s_else_the_default() {
        let broker = broker(&[("log.segment.bytes", "2097152")]);
        let own = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        let entries = effective(&broker, &own);
        let entry = |name| {
            let entry = entries.iter().find(|entry| entry.name == name).expect(name);
            (entry.value.as_deref(), entry.source as i8)
        };
        assert_eq!(entry("retention.ms"), (Some("5"), 1));
        assert_eq!(entry("segment.bytes"), (Some("2097152"), 4));
        assert_eq!(entry("flush.messages"), (Some("1"), 5));
        assert_eq!(entry("min.cleanable.dirty.ratio"), (Some("0.5"), 5));
        assert_eq!(entries.len(), KEYS.len());
    }

    #[test]
    fn hours_and_minutes_give_way_to_milliseconds() {
        let ms = |settings: &[(&str, &str)]| {
            resolve("retention.ms", &broker(settings), &BTreeMap::new()).0
        };
        let hours = ("log.retention.hours", "2");
        let minutes = ("log.retention.minutes", "3");
        assert_eq!(ms(&[]), Value::Number(604_800_000));
        assert_eq!(ms(&[hours]), Value::Number(7_200_000));
        assert_eq!(ms(&[hours, minutes]), Value::Number(180_000));
        assert_eq!(
            ms(&[hours, minutes, ("log.retention.ms", "4")]),
            Value::Number(4)
        );
        assert_eq!(ms(&[("log.retention.hours", "-1")]), Value::Number(-1));
    }
}
