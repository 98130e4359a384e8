//! What clients have set for brokers, groups and subscriptions to metrics, as the journal keeps it. A topic's own
//! settings stand in its own record; levels of loggers are not kept (see `loggers`).
//!
//! A change of a broker's settings becomes effective in [`Broker::reconfigured`] for the rooms that hold some: groups
//! and the storage, which a start tells too (`Broker::open`), and connections through `take_reconfigured`. Everything
//! else reads `Broker::config` when it needs it. A topic's own settings are brought to its logs at once.

use super::record::Record;
use super::topics::Topic;
use super::{Broker, Closing};
use crate::config::{BrokerConfig, Values};
use crate::storage::Storage;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What settings may belong to, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A broker, or with an empty name every broker.
    Broker = 4,
    /// The loggers of a broker.
    BrokerLogger = 8,
    /// A subscription to clients' metrics.
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

impl ResourceType {
    /// All of them.
    pub const ALL: [ResourceType; 5] = [
        ResourceType::Topic,
        ResourceType::Broker,
        ResourceType::BrokerLogger,
        ResourceType::ClientMetrics,
        ResourceType::Group,
    ];

    /// As the broker's log names one of them.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ResourceType::Topic => "topic",
            ResourceType::Broker => "broker",
            ResourceType::BrokerLogger => "loggers of broker",
            ResourceType::ClientMetrics => "subscription",
            ResourceType::Group => "group",
        }
    }

    /// The type of that number.
    #[must_use]
    pub fn of_number(number: i8) -> Option<ResourceType> {
        let mut all = ResourceType::ALL.into_iter();
        all.find(|&it| it as i8 == number)
    }
}

/// What some settings belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// Its type.
    pub kind: ResourceType,
    /// Its name.
    pub name: String,
}

impl Resource {
    /// The resource of that type and name.
    #[must_use]
    pub fn new(kind: ResourceType, name: impl Into<String>) -> Resource {
        let name = name.into();
        Resource { kind, name }
    }
}

/// What a resource takes in memory beside its texts.
const RESOURCE_BYTES: usize = 700;

/// What settings take: names and values.
#[must_use]
pub fn settings_bytes(settings: &Values) -> usize {
    settings
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

/// The settings that are kept, by what they belong to; what has none is not there.
#[derive(Debug, Default)]
pub struct KeptSettings {
    by_resource: BTreeMap<Resource, Values>,
    /// What settings of groups and subscriptions take, which anybody can make up.
    bytes: usize,
    /// The sync round of the newest change.
    round: u64,
}

impl KeptSettings {
    /// Those of a resource, which may be none.
    #[must_use]
    pub fn of(&self, resource: &Resource) -> &Values {
        static NONE: Values = Values::new();
        self.by_resource.get(resource).unwrap_or(&NONE)
    }

    /// Names of the resources of a type that have settings.
    pub fn names(&self, kind: ResourceType) -> impl Iterator<Item = &str> {
        let all = self.by_resource.keys();
        all.filter(move |it| it.kind == kind)
            .map(|it| it.name.as_str())
    }

    /// What settings of groups and subscriptions would take, if those of this resource were of so many bytes.
    #[must_use]
    pub fn bytes_with(&self, resource: &Resource, bytes: usize) -> usize {
        let old = cost(resource, self.of(resource));
        self.bytes - old + resource.name.len() + bytes + RESOURCE_BYTES
    }

    /// The round that an answer which shows settings has to wait for.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The journal says so.
    pub(super) fn apply(&mut self, resource: Resource, values: Values, round: u64) {
        let old = cost(&resource, self.of(&resource));
        self.bytes = self.bytes - old + cost(&resource, &values);
        if values.is_empty() {
            self.by_resource.remove(&resource);
        } else {
            self.by_resource.insert(resource, values);
        }
        self.round = round;
    }

    /// What a broker obeys that was started with these settings. Should they not fit together (because an earlier
    /// version had other rules), it obeys only those.
    pub(super) fn effective(&self, started: &Arc<BrokerConfig>) -> Arc<BrokerConfig> {
        if !started.chronik_client_settings_enable {
            return Arc::clone(started);
        }
        let of = |name: String| self.of(&Resource::new(ResourceType::Broker, name));
        let (every, this) = (of(String::new()), of(started.node_id.to_string()));
        if every.is_empty() && this.is_empty() {
            return Arc::clone(started);
        }
        match BrokerConfig::new(started.settings.with_dynamic(every, this)) {
            Ok(config) => Arc::new(config),
            Err(problems) => {
                for problem in problems {
                    log::warn!("settings of clients do not count: {}", problem.text);
                }
                Arc::clone(started)
            }
        }
    }
}

/// What the settings of a group or a subscription count for.
fn cost(resource: &Resource, values: &Values) -> usize {
    let is_counted = matches!(
        resource.kind,
        ResourceType::Group | ResourceType::ClientMetrics
    );
    if !is_counted || values.is_empty() {
        return 0;
    }
    resource.name.len() + settings_bytes(values) + RESOURCE_BYTES
}

impl Broker {
    /// The settings that are kept.
    #[must_use]
    pub fn kept_settings(&self) -> &KeptSettings {
        &self.state.settings
    }

    /// The settings that a resource has of its own; a topic's stand in its own record.
    #[must_use]
    pub fn settings_of(&self, resource: &Resource) -> &Values {
        static NONE: Values = Values::new();
        match resource.kind {
            ResourceType::Topic => match self.state.topics.by_name(&resource.name) {
                Some(topic) => &topic.settings,
                None => &NONE,
            },
            _ => self.state.settings.of(resource),
        }
    }

    /// Gives a resource these settings, checked, in the place of those it has.
    pub fn set_settings(&mut self, resource: Resource, values: Values) {
        let kind = resource.kind;
        if kind == ResourceType::Topic {
            return self.set_topic_settings(&resource.name, values);
        }
        self.commit(vec![Record::Settings { resource, values }]);
        if kind == ResourceType::Broker {
            self.reconfigured();
        }
    }

    fn set_topic_settings(&mut self, name: &str, settings: Values) {
        let Some(topic) = self.state.topics.by_name(name) else {
            return;
        };
        let record = topic.record(topic.partition_count, settings);
        self.commit(vec![record]);
        if let Some(topic) = self.state.topics.by_name(name) {
            obey_topic(&mut self.storage, topic);
        }
    }

    /// Makes the broker's settings effective, as they are now.
    pub(super) fn reconfigured(&mut self) {
        let is_for_logs = self.state.reconfigure();
        self.storage.obey(self.state.config.storage);
        if is_for_logs {
            for topic in self.state.topics.iter() {
                obey_topic(&mut self.storage, topic);
            }
        }
        self.has_news = true;
    }

    /// Whether settings or levels of loggers have changed since the last call, for those outside who obey them.
    pub fn take_reconfigured(&mut self) -> bool {
        std::mem::take(&mut self.has_news) && self.closing == Closing::No
    }
}

/// Has the logs of a topic obey its settings, as they are now.
fn obey_topic(storage: &mut Storage, topic: &Topic) {
    for at in topic.partitions() {
        storage.set_config(at, &topic.config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &str, value: &str) -> Values {
        Values::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_has_no_settings_any_more_is_not_listed() {
        let mut kept = KeptSettings::default();
        let group = Resource::new(ResourceType::Group, "g");
        kept.apply(group.clone(), values("a", "1"), 3);
        assert_eq!(kept.of(&group), &values("a", "1"));
        assert_eq!(kept.names(ResourceType::Group).collect::<Vec<_>>(), ["g"]);
        assert_eq!(kept.names(ResourceType::Broker).count(), 0);
        kept.apply(group, Values::new(), 4);
        assert_eq!(
            (kept.names(ResourceType::Group).count(), kept.round()),
            (0, 4)
        );
    }

    #[test]
    fn a_broker_obeys_its_own_before_those_of_all() {
        let started = Arc::new(BrokerConfig::default());
        let mut kept = KeptSettings::default();
        assert_eq!(kept.effective(&started).max_connections, 10_000);
        let of = |name: &str| Resource::new(ResourceType::Broker, name);
        kept.apply(of(""), values("max.connections", "7"), 1);
        assert_eq!(kept.effective(&started).max_connections, 7);
        kept.apply(of("1"), values("max.connections", "8"), 1);
        assert_eq!(kept.effective(&started).max_connections, 8);
        kept.apply(of("2"), values("max.connections", "9"), 1);
        assert_eq!(kept.effective(&started).max_connections, 8);
        kept.apply(of("1"), values("max.connections", "x"), 1);
        assert_eq!(kept.effective(&started).max_connections, 7);
    }

    #[test]
    fn a_broker_can_be_started_without_what_clients_have_set() {
        let mut config = BrokerConfig::default();
        config.chronik_client_settings_enable = false;
        let started = Arc::new(config);
        let mut kept = KeptSettings::default();
        let all = Resource::new(ResourceType::Broker, "");
        kept.apply(all, values("max.connections", "1"), 1);
        assert_eq!(kept.effective(&started).max_connections, 10_000);
    }
}
