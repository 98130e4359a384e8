//! The topics: names, ids, partitions, settings, changed only by `State::apply`; and how topics and their partitions
//! come and go: partitions with the record, files after it is durable.

use super::Broker;
use super::record::Record;
use super::settings::settings_bytes;
use super::wait::{Key, Signal};
use crate::clock::Now;
use crate::config::{BrokerConfig, LogConfig, Values};
use crate::disk::is_full;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::storage::PartitionId;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A topic as the journal has it.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its id: never zero, never used again, new when a name is used again.
    pub id: Uuid,
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions, numbered from 0.
    pub partition_count: i32,
    /// The settings of its own.
    pub settings: Values,
    /// The settings that its logs obey: its own where set, else the broker's.
    pub config: Arc<LogConfig>,
}

impl Topic {
    /// The partition of that number, if the topic has it.
    #[must_use]
    pub fn partition(&self, partition: i32) -> Option<PartitionId> {
        (0..self.partition_count)
            .contains(&partition)
            .then_some(PartitionId {
                topic: self.id,
                partition,
            })
    }

    /// Every partition.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionId> + use<> {
        let topic = self.id;
        (0..self.partition_count).map(move |partition| PartitionId { topic, partition })
    }

    /// The record that gives it so many partitions and these settings.
    pub(super) fn record(&self, partition_count: i32, settings: Values) -> Record {
        Record::Topic {
            id: self.id,
            name: self.name.to_string(),
            partition_count,
            settings,
        }
    }
}

/// All topics, by name and by id.
#[derive(Debug, Default)]
pub struct Topics {
    by_name: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
    /// Names with every '.' as '_': metric names cannot tell the two apart, so topics may not differ
    /// in nothing else.
    unified: BTreeMap<String, Arc<str>>,
    partition_count: i64,
    /// What the logs of topics without settings of their own obey.
    shared: Option<Arc<LogConfig>>,
    /// The sync round of the newest change: who reads topics answers no earlier.
    pub(super) round: u64,
}

impl Topics {
    /// The topic of that name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    /// The topic of that id.
    #[must_use]
    pub fn by_id(&self, id: Uuid) -> Option<&Topic> {
        self.by_name.get(self.names.get(&id)?)
    }

    /// Whether there is a topic of that id.
    #[must_use]
    pub fn has(&self, id: Uuid) -> bool {
        self.names.contains_key(&id)
    }

    /// The topics in the order of their names, from the first that is not before `from`.
    pub fn from_name(&self, from: &str) -> impl Iterator<Item = &Topic> {
        let from = (std::ops::Bound::Included(from), std::ops::Bound::Unbounded);
        self.by_name.range::<str, _>(from).map(|(_, topic)| topic)
    }

    /// All topics in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    /// Partitions of all topics.
    #[must_use]
    pub fn partition_count(&self) -> i64 {
        self.partition_count
    }

    /// The sync round that a reply which shows topics has to wait for.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The existing topic whose name differs only by '.' and '_', or is the same.
    #[must_use]
    pub fn colliding(&self, name: &str) -> Option<&Arc<str>> {
        self.unified.get(&unify(name))
    }

    /// Adds a topic, or puts its newer form in place of the older.
    pub(super) fn insert(&mut self, topic: Topic) {
        self.names.insert(topic.id, Arc::clone(&topic.name));
        self.unified
            .insert(unify(&topic.name), Arc::clone(&topic.name));
        self.partition_count += i64::from(topic.partition_count);
        let old = self.by_name.insert(Arc::clone(&topic.name), topic);
        self.partition_count -= old.map_or(0, |topic| i64::from(topic.partition_count));
    }

    /// What the logs of a topic obey that has these settings of its own. Topics without any share it.
    pub(super) fn log_config(&mut self, config: &BrokerConfig, own: &Values) -> Arc<LogConfig> {
        let made = || Arc::new(LogConfig::new(config, own));
        match own.is_empty() {
            true => Arc::clone(self.shared.get_or_insert_with(made)),
            false => made(),
        }
    }

    /// The broker's settings have changed, which topics fall back to. Says whether any log may notice: each of its
    /// settings is the topic's or the broker's, so where those of a topic without its own are the same, all are.
    pub(super) fn reconfigure(&mut self, config: &BrokerConfig) -> bool {
        let shared = Arc::new(LogConfig::new(config, &BTreeMap::new()));
        if self.shared.as_ref() == Some(&shared) {
            return false;
        }
        for topic in self.by_name.values_mut() {
            topic.config = match topic.settings.is_empty() {
                true => Arc::clone(&shared),
                false => Arc::new(LogConfig::new(config, &topic.settings)),
            };
        }
        self.shared = Some(shared);
        true
    }

    /// Forgets a topic.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<Topic> {
        let name = self.names.remove(&id)?;
        self.unified.remove(&unify(&name));
        let topic = self.by_name.remove(&name)?;
        self.partition_count -= i64::from(topic.partition_count);
        Some(topic)
    }
}

impl Broker {
    /// Creates a topic: its partitions, and the record that makes it true.
    ///
    /// # Errors
    /// What the disk says; then nothing has been created. `StorageFull` also where the journal has no room for it.
    pub fn create_topic(
        &mut self,
        id: Uuid,
        name: &str,
        partition_count: i32,
        settings: Values,
        now: Now,
    ) -> io::Result<()> {
        if !self.may_grow(name.len() + settings_bytes(&settings)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let name: Arc<str> = name.into();
        let config = self.state.topics.log_config(&self.state.config, &settings);
        self.create_partitions(id, &name, &config, 0..partition_count, now)?;
        log::info!("topic {name} is created, with {partition_count} partitions");
        let name = name.to_string();
        self.commit(vec![Record::Topic {
            id,
            name,
            partition_count,
            settings,
        }]);
        Ok(())
    }

    /// Gives a topic more partitions, so that it has `partition_count`, and journals the topic as it is from now on.
    ///
    /// # Errors
    /// What the disk says; then nothing has changed. `NotFound` when there is no such topic, `StorageFull` also where
    /// the journal has no room for the record.
    pub fn grow_topic(&mut self, id: Uuid, partition_count: i32, now: Now) -> io::Result<()> {
        let topic = self.state.topics.by_id(id);
        let topic = topic.ok_or(io::ErrorKind::NotFound)?.clone();
        let bytes = settings_bytes(&topic.settings);
        if !self.may_grow(topic.name.len() + bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let numbers = topic.partition_count..partition_count;
        self.create_partitions(id, &topic.name, &topic.config, numbers, now)?;
        log::info!("topic {} has {partition_count} partitions now", topic.name);
        self.commit(vec![topic.record(partition_count, topic.settings.clone())]);
        Ok(())
    }

    /// Makes partitions, all or none.
    fn create_partitions(
        &mut self,
        topic: Uuid,
        name: &Arc<str>,
        config: &Arc<LogConfig>,
        numbers: Range<i32>,
        now: Now,
    ) -> io::Result<()> {
        let at = |partition| PartitionId { topic, partition };
        for partition in numbers.clone() {
            if let Err(e) = self.storage.create(at(partition), name, config, now) {
                for partition in numbers.start..=partition {
                    self.storage.undo_create(at(partition));
                }
                return Err(e);
            }
        }
        Ok(())
    }

    /// Deletes a topic, and the offsets that groups have committed for it. It is gone at once; its files follow when
    /// the record is durable.
    pub fn delete_topic(&mut self, id: Uuid) {
        if let Some(topic) = self.state.topics.by_id(id) {
            log::info!("topic {} is deleted", topic.name);
        }
        let offsets = self.state.groups.offsets_of_topic(id);
        self.commit(vec![Record::TopicDeleted { id }]);
        // What a cut leaves of them goes with the next start (`resume_groups`).
        self.commit_in_parts(offsets);
    }

    /// Has logs begin later: what lies before each offset, none of which is beyond its high watermark, is deleted.
    /// Answers the round that makes it so; until then everything is there.
    ///
    /// # Errors
    /// 56 where the disk does not take it; then nothing will be deleted.
    pub fn delete_records(&mut self, wanted: &[(PartitionId, i64)]) -> Result<u64, ErrorCode> {
        let raised = self.storage.raise_starts(wanted, "DeleteRecords");
        raised.map_err(|error| {
            if !is_full(&error) {
                self.fail(error);
            }
            ErrorCode::KAFKA_STORAGE_ERROR
        })
    }

    pub(super) fn forget_partitions(&mut self, topic: &Topic, round: u64) {
        for at in topic.partitions() {
            self.storage.forget(at);
            self.signals.push(Signal {
                key: Key::Partition(at),
                bytes: usize::MAX,
            });
        }
        self.deletions.push((round, topic.partitions().collect()));
    }
}

fn unify(name: &str) -> String {
    name.replace('.', "_")
}

/// Whether the name is that of one of Kafka's own topics, which clients list apart, be it there or not.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    matches!(
        name,
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    )
}

/// Why a name cannot be a topic's, in Kafka's words (org.apache.kafka.common.internals.Topic), or
/// `None` when it can. The rule keeps names harmless as directory names.
#[must_use]
pub fn name_problem(name: &str) -> Option<String> {
    const MAX_LENGTH: usize = 249;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("Topic name is invalid: the empty string is not allowed".to_owned())
    } else if name == "." || name == ".." {
        Some(format!("Topic name is invalid: '{name}' is not allowed"))
    } else if name.len() > MAX_LENGTH {
        Some(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length {MAX_LENGTH}"
        ))
    } else if !name.chars().all(legal) {
        Some(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than \
             ASCII alphanumerics, '.', '_' and '-'"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Settings};

    fn config(name: &str, value: &str) -> BrokerConfig {
        let mut settings = Settings::default();
        settings.set(name, value, Origin::CommandLine);
        BrokerConfig::new(settings).expect("legal settings")
    }

    #[test]
    fn only_a_setting_that_logs_obey_is_brought_to_all_topics() {
        let mut topics = Topics::default();
        let started = BrokerConfig::default();
        for (n, own) in [(1, None), (2, None), (3, Some("7"))] {
            let own = own.map(|value| ("retention.ms".to_owned(), value.to_owned()));
            let settings = own.into_iter().collect();
            let config = topics.log_config(&started, &settings);
            topics.insert(Topic {
                id: Uuid([n; 16]),
                name: n.to_string().into(),
                partition_count: 1,
                config,
                settings,
            });
        }
        let retention = |topics: &Topics| -> Vec<i64> {
            topics
                .iter()
                .map(|topic| topic.config.retention_ms)
                .collect()
        };
        assert!(!topics.reconfigure(&config("max.connections", "9")));
        assert_eq!(retention(&topics), [604_800_000, 604_800_000, 7]);
        assert!(topics.reconfigure(&config("log.retention.ms", "5")));
        assert_eq!(retention(&topics), [5, 5, 7]);
        assert!(!topics.reconfigure(&config("log.retention.ms", "5")));
        let [one, two] = ["1", "2"].map(|name| &topics.by_name(name).expect(name).config);
        assert!(Arc::ptr_eq(one, two));
    }

    #[test]
    fn a_name_is_kafkas_or_refused() {
        for good in [
            "a",
            "a.b_c-D9",
            "...",
            "__consumer_offsets",
            &"x".repeat(249),
        ] {
            assert_eq!(name_problem(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }
}
