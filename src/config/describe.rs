//! What clients are told of settings: value, type, source, and the other values that stand behind it (DescribeConfigs).
//!
//! The layers of a broker's setting, from the strongest: what clients have set for this broker, what they have set for
//! every broker, what its file, environment and command line say, and the table's default. A topic, a group and a
//! subscription to metrics have settings of their own in front of that.
//!
//! Synonyms are Kafka's: a key that another one stands in for (hours for milliseconds) lists that too, but nothing
//! stronger than the key itself. So a topic whose age comes from `log.retention.hours` is told to have a default.

use super::kept::{CLIENT_METRICS_KEYS, GROUP_KEYS, find_client_metrics_key, find_group_key};
use super::topic::{self, KEYS, TopicKey, resolve};
use super::{
    BrokerConfig, Change, Key, Kind, Settings, Values, broker_keys, find, find_of_listener,
};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Where a value comes from, as clients number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// A topic's own.
    Topic = 1,
    /// Set by a client for this broker.
    Broker = 2,
    /// Set by a client for every broker.
    EveryBroker = 3,
    /// Of the file, the environment or the command line.
    Static = 4,
    /// Nobody has set it.
    Default = 5,
    /// The level of a logger.
    Logger = 6,
    /// Of a subscription to clients' metrics.
    ClientMetrics = 7,
    /// A group's own.
    Group = 8,
}

impl Source {
    /// Where a broker's setting may stand, the strongest first.
    pub(super) const LAYERS: [Source; 3] = [Source::Broker, Source::EveryBroker, Source::Static];
}

/// A value that is set somewhere; null if it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key that it is set for.
    pub name: Cow<'static, str>,
    /// The text.
    pub value: Option<String>,
    /// Where.
    pub source: Source,
}

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value; null if there is none or it is a secret.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: Source,
    /// All values that are set, the strongest first.
    pub synonyms: Vec<Synonym>,
    /// It cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// Its value is never shown.
    pub is_sensitive: bool,
    /// Its type, as clients number types; 0 is unknown.
    pub kind: i8,
    /// What it is for; an empty text is told to everybody.
    pub about: Option<&'static str>,
}

/// Settings that Kafka has no default of and lists only where they are set.
const SHOWN_WHEN_SET: [&str; 3] = [
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
];

/// Which keys are asked for. Named ones are looked up, so that to ask for little costs little.
#[derive(Debug)]
pub enum Wanted<'w> {
    /// All.
    All,
    /// Those of these names that there are.
    These(BTreeSet<&'w str>),
}

impl<'w> Wanted<'w> {
    /// Those of these names; all, if there is none.
    #[must_use]
    pub fn of(names: &[&'w str]) -> Wanted<'w> {
        match names.is_empty() {
            true => Wanted::All,
            false => Wanted::These(names.iter().copied().collect()),
        }
    }

    /// Whether the key of this name is asked for.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::These(names) => names.contains(name),
        }
    }

    /// The rows among `all` that are asked for.
    fn rows<R>(
        &self,
        all: impl Iterator<Item = &'static R>,
        find: impl Fn(&str) -> Option<&'static R>,
    ) -> Vec<&'static R> {
        match self {
            Wanted::All => all.collect(),
            Wanted::These(names) => names.iter().filter_map(|name| find(name)).collect(),
        }
    }
}

/// The settings of this broker. A name that no table has is taken for a secret, as in Kafka.
#[must_use]
pub fn describe_broker(config: &BrokerConfig, wanted: &Wanted<'_>) -> Vec<Described> {
    let settings = &config.settings;
    let is_shown =
        |key: &&Key| !SHOWN_WHEN_SET.contains(&key.name) || settings.source(key.name).is_some();
    let known = wanted.rows(broker_keys(), find).into_iter();
    let known = known.filter(is_shown).map(|key| {
        let value = settings.value(key.name).map(|value| value.to_string());
        let synonyms = synonyms(settings, key);
        described(key, value, synonyms, key.change == Change::Start)
    });
    let unknown = match wanted {
        Wanted::All => settings.unknown(),
        Wanted::These(names) => names
            .iter()
            .copied()
            .filter(|name| find(name).is_none())
            .collect(),
    };
    let strangers = unknown.into_iter().filter_map(|name| {
        let source = settings.source(name)?;
        let text = settings.layer(source, name)?;
        Some(other(settings, name, text, &Source::LAYERS))
    });
    known.chain(strangers).collect()
}

/// What clients have set for every broker.
#[must_use]
pub fn describe_every_broker(config: &BrokerConfig, wanted: &Wanted<'_>) -> Vec<Described> {
    let all = config.settings.for_every_broker();
    let set: Vec<_> = match wanted {
        Wanted::All => all.iter().collect(),
        Wanted::These(names) => names
            .iter()
            .filter_map(|name| all.get_key_value(*name))
            .collect(),
    };
    let set = set.into_iter();
    set.map(|(name, value)| match find(name) {
        Some(key) => {
            let mut synonyms = synonyms(&config.settings, key);
            synonyms.retain(|synonym| synonym.source == Source::EveryBroker);
            let is_read_only = key.change == Change::Start;
            described(key, Some(value.clone()), synonyms, is_read_only)
        }
        None => other(&config.settings, name, value, &[Source::EveryBroker]),
    })
    .collect()
}

/// The settings of a topic that has these of its own.
#[must_use]
pub fn describe_topic(config: &BrokerConfig, own: &Values, wanted: &Wanted<'_>) -> Vec<Described> {
    let entry = |TopicKey { key, synonyms: of }: &'static TopicKey| {
        let behind = of.first().and_then(|(first, _)| find(first));
        let behind = behind.map(|first| synonyms(&config.settings, first));
        let value = resolve(key.name, config, own).0.to_string();
        let behind = behind.unwrap_or_default();
        with_own(key, value, own, Source::Topic, behind)
    };
    let rows = wanted.rows(KEYS.iter(), topic::find).into_iter();
    rows.map(entry).collect()
}

/// The settings of a group that has these of its own, be there such a group or not.
#[must_use]
pub fn describe_group(config: &BrokerConfig, own: &Values, wanted: &Wanted<'_>) -> Vec<Described> {
    let entry = |key: &'static Key| {
        let broker = find(&format!("group.{}", key.name));
        let behind = match broker {
            Some(broker) => synonyms(&config.settings, broker),
            None => vec![default_of(key)],
        };
        let set = own.get(key.name).map(String::as_str);
        let value = set.and_then(|text| key.kind.parse(key.name, text).ok());
        let value = value.or_else(|| config.settings.value(broker?.name));
        let value = value.map_or_else(
            || key.default.unwrap_or_default().to_owned(),
            |value| value.to_string(),
        );
        with_own(key, value, own, Source::Group, behind)
    };
    let rows = wanted.rows(GROUP_KEYS.iter(), find_group_key).into_iter();
    rows.map(entry).collect()
}

/// The settings of a subscription to clients' metrics that has these, be there such a one or not.
#[must_use]
pub fn describe_client_metrics(own: &Values, wanted: &Wanted<'_>) -> Vec<Described> {
    let entry = |key: &'static Key| {
        let set = own.get(key.name).map(String::as_str);
        let text = set.or(key.default).unwrap_or_default();
        let value = key.kind.parse(key.name, text);
        let value = value.map_or_else(|_| text.to_owned(), |value| value.to_string());
        with_own(key, value, own, Source::ClientMetrics, Vec::new())
    };
    let rows = wanted.rows(CLIENT_METRICS_KEYS.iter(), find_client_metrics_key);
    rows.into_iter().map(entry).collect()
}

/// The level of a logger.
#[must_use]
pub fn describe_logger(name: &'static str, level: &str) -> Described {
    Described {
        name: name.into(),
        value: Some(level.to_owned()),
        source: Source::Logger,
        synonyms: Vec::new(),
        is_read_only: false,
        is_sensitive: false,
        kind: 0,
        about: Some(""),
    }
}

/// A setting that may have a value of the resource's own, in front of what stands `behind` it.
fn with_own(
    key: &'static Key,
    value: String,
    own: &Values,
    source: Source,
    mut behind: Vec<Synonym>,
) -> Described {
    if own.contains_key(key.name) {
        let synonym = Synonym {
            name: key.name.into(),
            value: Some(value.clone()),
            source,
        };
        behind.insert(0, synonym);
    }
    described(key, Some(value), behind, false)
}

fn described(
    key: &'static Key,
    value: Option<String>,
    synonyms: Vec<Synonym>,
    is_read_only: bool,
) -> Described {
    let is_sensitive = key.kind == Kind::Password;
    Described {
        name: key.name.into(),
        value: value.filter(|_| !is_sensitive),
        source: synonyms.first().map_or(Source::Default, |it| it.source),
        synonyms,
        is_read_only,
        is_sensitive,
        kind: key.kind.number(),
        about: Some(key.about),
    }
}

/// A setting that no table has. One of a listener is told by the type of its key, which stands behind it; any other is
/// taken for a secret, as in Kafka.
fn other(settings: &Settings, name: &str, text: &str, layers: &[Source]) -> Described {
    let key = find_of_listener(name);
    let is_sensitive = key.is_none_or(|key| key.kind == Kind::Password);
    let shown = |text: &str| Some(text.to_owned()).filter(|_| !is_sensitive);
    let mut synonyms = Vec::new();
    for &source in layers {
        for name in [Some(name), key.map(|key| key.name)].into_iter().flatten() {
            synonyms.extend(settings.layer(source, name).map(|text| Synonym {
                name: name.to_owned().into(),
                value: shown(text.trim()),
                source,
            }));
        }
    }
    if layers.contains(&Source::Static) {
        let with_default = key.filter(|key| key.default.is_some());
        synonyms.extend(with_default.map(default_of));
    }
    let stronger = synonyms.iter().take_while(|synonym| synonym.name != name);
    let synonyms = synonyms.split_off(stronger.count());
    Described {
        name: name.to_owned().into(),
        value: shown(text),
        source: synonyms.first().map_or(Source::Default, |it| it.source),
        synonyms,
        is_read_only: true,
        is_sensitive,
        kind: key.map_or(0, |key| key.kind.number()),
        about: None,
    }
}

/// Everything that is set for a key of the broker, or for one that stands in for it, the strongest first.
fn synonyms(settings: &Settings, key: &'static Key) -> Vec<Synonym> {
    let chain = chain(key);
    let shown =
        |key: &Key, text: &str| Some(text.to_owned()).filter(|_| key.kind != Kind::Password);
    let mut found = Vec::new();
    for source in Source::LAYERS {
        found.extend(chain.iter().filter_map(|key| {
            let text = settings.layer(source, key.name)?;
            Some(Synonym {
                name: key.name.into(),
                value: shown(key, text.trim()),
                source,
            })
        }));
    }
    let defaults = chain.iter().filter(|key| key.default.is_some());
    found.extend(defaults.map(|key| default_of(key)));
    let stronger = found.iter().take_while(|synonym| synonym.name != key.name);
    found.split_off(stronger.count())
}

/// The broker's keys that a topic's falls back to, this one among them, the strongest first.
fn chain(key: &'static Key) -> Vec<&'static Key> {
    let has_it = |row: &&TopicKey| row.synonyms.iter().any(|(name, _)| *name == key.name);
    match KEYS.iter().find(has_it) {
        Some(row) => row
            .synonyms
            .iter()
            .filter_map(|(name, _)| find(name))
            .collect(),
        None => vec![key],
    }
}

/// The default of a key that has one.
fn default_of(key: &'static Key) -> Synonym {
    let value = key
        .default
        .and_then(|text| key.kind.parse(key.name, text).ok());
    Synonym {
        name: key.name.into(),
        value: value.map(|value| value.to_string()),
        source: Source::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;
    use crate::config::values;

    fn broker(
        fixed: &[(&str, &str)],
        every: &[(&str, &str)],
        this: &[(&str, &str)],
    ) -> BrokerConfig {
        let mut settings = Settings::default();
        for (name, value) in fixed {
            settings.set(name, value, Origin::CommandLine);
        }
        let settings = settings.with_dynamic(&values(every), &values(this));
        BrokerConfig::new(settings).expect("legal settings")
    }

    fn one(described: Vec<Described>) -> Described {
        let [it] = <[Described; 1]>::try_from(described).expect("one");
        it
    }

    fn behind(described: &Described) -> Vec<(&str, Option<&str>, i8)> {
        let synonyms = described.synonyms.iter();
        synonyms
            .map(|it| (&*it.name, it.value.as_deref(), it.source as i8))
            .collect()
    }

    #[test]
    fn the_strongest_layer_holds_and_the_others_stand_behind_it() {
        let set = "message.max.bytes";
        let broker = broker(&[(set, "3")], &[(set, "4")], &[(set, "5")]);
        let it = one(describe_broker(&broker, &Wanted::of(&[set])));
        assert_eq!(
            (it.value.as_deref(), it.source),
            (Some("5"), Source::Broker)
        );
        let layers = [
            (set, Some("5"), 2),
            (set, Some("4"), 3),
            (set, Some("3"), 4),
            (set, Some("1048588"), 5),
        ];
        assert_eq!(behind(&it), layers);
        let every = one(describe_every_broker(&broker, &Wanted::All));
        assert_eq!(behind(&every), layers[1..2]);
        let topic = one(describe_topic(
            &broker,
            &values(&[("max.message.bytes", "6")]),
            &Wanted::of(&["max.message.bytes"]),
        ));
        assert_eq!(
            (topic.value.as_deref(), topic.source),
            (Some("6"), Source::Topic)
        );
        assert_eq!(behind(&topic)[1..], layers);
    }

    #[test]
    fn what_stands_in_for_a_key_is_behind_it_and_never_before() {
        let broker = broker(&[("log.retention.hours", "2")], &[], &[]);
        let key = |name: &'static str| one(describe_broker(&broker, &Wanted::of(&[name])));
        assert_eq!(
            behind(&key("log.retention.hours")),
            [
                ("log.retention.hours", Some("2"), 4),
                ("log.retention.hours", Some("168"), 5)
            ]
        );
        assert_eq!(behind(&key("log.retention.ms")), []);
        let topic = one(describe_topic(
            &broker,
            &Values::new(),
            &Wanted::of(&["retention.ms"]),
        ));
        assert_eq!(
            (topic.value.as_deref(), topic.source),
            (Some("7200000"), Source::Default)
        );
    }

    #[test]
    fn a_setting_of_one_listener_has_the_type_of_its_key_and_that_behind_it() {
        let name = "listener.name.x.max.connections";
        let config = broker(
            &[("max.connections", "9")],
            &[(name, "6")],
            &[
                (name, " 5 "),
                ("listener.name.x.ssl.keystore.password", "s"),
            ],
        );
        let it = one(describe_broker(&config, &Wanted::of(&[name])));
        assert_eq!(
            (it.kind, it.is_read_only, it.is_sensitive, it.source),
            (3, true, false, Source::Broker)
        );
        let told = |it: &Synonym| (it.name.to_string(), it.value.clone(), it.source);
        let is = |name: &str, value: &str, source| {
            let value = Some(value.to_owned());
            (name.to_owned(), value, source)
        };
        assert_eq!(
            it.synonyms.iter().map(told).collect::<Vec<_>>(),
            [
                is(name, "5", Source::Broker),
                is(name, "6", Source::EveryBroker),
                is("max.connections", "9", Source::Static),
                is("max.connections", "10000", Source::Default),
            ]
        );
        let it = one(describe_every_broker(&config, &Wanted::All));
        assert_eq!(
            (it.value.as_deref(), it.synonyms.len(), it.kind),
            (Some("6"), 1, 3)
        );
        let secret = Wanted::of(&["listener.name.x.ssl.keystore.password"]);
        let it = one(describe_broker(&config, &secret));
        assert_eq!((it.value, it.is_sensitive, it.kind), (None, true, 9));
    }

    #[test]
    fn secrets_and_strangers_have_no_value() {
        let broker = broker(&[("ssl.key.password", "x")], &[("my.plugin", "y")], &[]);
        for name in ["ssl.key.password", "my.plugin"] {
            let it = one(describe_broker(&broker, &Wanted::of(&[name])));
            assert_eq!(
                (it.value.as_deref(), it.is_sensitive),
                (None, true),
                "{name}"
            );
            assert_eq!(it.synonyms[0].value, None, "{name}");
        }
    }

    #[test]
    fn what_may_not_change_while_the_broker_runs_does_not() {
        let broker = broker(
            &[],
            &[("num.partitions", "9"), ("log.segment.bytes", "1")],
            &[],
        );
        let key = |name: &'static str| one(describe_broker(&broker, &Wanted::of(&[name])));
        assert_eq!(key("num.partitions").value.as_deref(), Some("1"));
        assert!(key("num.partitions").is_read_only);
        assert_eq!(key("log.segment.bytes").source, Source::Default);
    }

    #[test]
    fn a_group_falls_back_to_the_broker_s() {
        let broker = broker(&[("group.consumer.session.timeout.ms", "50000")], &[], &[]);
        let own = values(&[("consumer.heartbeat.interval.ms", "6000")]);
        let key = |name: &'static str| one(describe_group(&broker, &own, &Wanted::of(&[name])));
        let session = key("consumer.session.timeout.ms");
        assert_eq!(
            (session.value.as_deref(), session.source),
            (Some("50000"), Source::Static)
        );
        let beat = key("consumer.heartbeat.interval.ms");
        assert_eq!(
            (beat.value.as_deref(), beat.source),
            (Some("6000"), Source::Group)
        );
        assert_eq!(key("share.isolation.level").source, Source::Default);
    }

    #[test]
    fn named_keys_are_looked_up_and_no_table_is_walked() {
        let all = std::iter::from_fn(|| -> Option<&'static Key> { panic!("a walk") });
        let rows = Wanted::of(&["num.partitions", "zz", "num.partitions"]).rows(all, find);
        assert_eq!(
            rows.iter().map(|key| key.name).collect::<Vec<_>>(),
            ["num.partitions"]
        );
        let every = Wanted::of(&[]).rows(broker_keys(), |_| panic!("a look-up"));
        assert_eq!(every.len(), broker_keys().count());
    }

    #[test]
    fn a_subscription_shows_what_was_understood() {
        let own = values(&[
            ("interval.ms", " 1000 "),
            ("match", "client_id=a , client_id=b"),
        ]);
        let key = |name: &'static str| one(describe_client_metrics(&own, &Wanted::of(&[name])));
        assert_eq!(key("interval.ms").value.as_deref(), Some("1000"));
        assert_eq!(
            key("match").value.as_deref(),
            Some("client_id=a,client_id=b")
        );
    }
}
