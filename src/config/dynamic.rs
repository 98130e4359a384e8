//! What clients may set for a broker while it runs, and Kafka's sentences where they may not (all are error 42, as in
//! Kafka, which calls a wrong value of a broker an invalid request).
//!
//! Names that no table has are taken: in Kafka they are for plug-ins.

use super::Change::Start;
use super::rules::{self, Broken};
use super::{BrokerConfig, Key, Settings, Value, Values, find, find_of_listener};

/// Kafka takes these for one listener only, by a name that begins with `listener.name.`.
const PER_LISTENER: [&str; 10] = [
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Checks all settings that a client wants for this broker, or for every broker.
///
/// # Errors
/// What is wrong with the first wrong ones.
pub fn check_broker_settings(
    broker: &BrokerConfig,
    values: &Values,
    is_for_one: bool,
) -> Result<(), String> {
    let is_fixed = |name: &str| find(name).is_some_and(|key| key.change == Start);
    none(values, "Cannot update these configs dynamically", is_fixed)?;
    let sentence = "These security configs can be dynamically updated only per-listener using the listener prefix";
    none(values, sentence, |name| PER_LISTENER.contains(&name))?;
    for (name, text) in values {
        if let Some(key) = find(name).or_else(|| find_of_listener(name)) {
            key.kind.parse(key.name, text)?;
        }
    }
    if !is_for_one {
        let sentence =
            "Cannot update these configs at default cluster level, broker id must be specified";
        none(values, sentence, is_of_one_broker)?;
    }
    let old = &broker.settings;
    let settings = match is_for_one {
        true => old.layered(old.for_every_broker().clone(), values.clone()),
        false => old.layered(values.clone(), old.for_this_broker().clone()),
    };
    if let Some(broken) = rules::broken(&settings) {
        return Err(broken.why);
    }
    check_pools(&broker.settings, &settings).map_err(|why| {
        format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: {why} for configuration \
             Invalid dynamic configuration"
        )
    })?;
    BrokerConfig::new(settings).map(drop).map_err(|problems| {
        let texts: Vec<String> = problems.into_iter().map(|it| it.text).collect();
        texts.join(" ")
    })
}

/// Numbers of threads, none of which mean anything here; the last one has sentences of its own.
const POOLS: [&str; 6] = [
    "num.io.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
    "num.network.threads",
    CLEANERS,
];
const CLEANERS: &str = "log.cleaner.threads";

/// That a number of threads becomes at most twice as large at once, or half as large: a tool that goes on when it is
/// refused, in smaller steps, does so here, too.
fn check_pools(now: &Settings, then: &Settings) -> Result<(), String> {
    for name in POOLS {
        let count = |settings: &Settings| settings.value(name).map_or(0, Value::number::<i64>);
        let (old, new) = (count(now), count(then));
        let (few, many) = match name {
            CLEANERS => (
                "Log cleaner threads cannot be reduced to less than half the current value",
                "Log cleaner threads cannot be increased to more than double the current value",
            ),
            _ => (
                "value should be at least half the current value",
                "value should not be greater than double the current value",
            ),
        };
        let why = match new {
            new if new == old => continue,
            new if new < old / 2 => format!("{few} {old}"),
            new if new > old * 2 => format!("{many} {old}"),
            _ => continue,
        };
        return Err(match name {
            CLEANERS => why,
            _ => format!("Dynamic thread count update validation failed for {name}={new}, {why}"),
        });
    }
    Ok(())
}

/// That none of the names is such a one.
fn none(values: &Values, sentence: &str, is: impl Fn(&str) -> bool) -> Result<(), String> {
    let names: Vec<&str> = values
        .keys()
        .map(String::as_str)
        .filter(|name| is(name))
        .collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(format!("{sentence}: [{}]", names.join(", "))),
    }
}

/// Whether a setting makes sense for one broker only: its listeners and what belongs to them.
fn is_of_one_broker(name: &str) -> bool {
    const OF_ALL: [&str; 3] = [
        "max.connections",
        "max.connection.creation.rate",
        "num.network.threads",
    ];
    if let Some((_, base)) = name
        .strip_prefix("listener.name.")
        .and_then(|rest| rest.split_once('.'))
    {
        return !OF_ALL.contains(&base);
    }
    let is_one = ["ssl.", "sasl."]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    is_one || matches!(name, "principal.builder.class" | "cordoned.log.dirs")
}

impl Settings {
    /// The same, with these in the place of what clients had set. What may not change while the broker runs, or is
    /// not legal alone or with the others (because an earlier version had other rules), counts as not set.
    #[must_use]
    pub fn with_dynamic(&self, for_every_broker: &Values, for_this_broker: &Values) -> Settings {
        self.dynamic(for_every_broker, for_this_broker).0
    }

    /// The same, and which names do not count because they break a rule, with what is wrong.
    pub(super) fn dynamic(
        &self,
        for_every_broker: &Values,
        for_this_broker: &Values,
    ) -> (Settings, Vec<(String, String)>) {
        let counts = |(name, text): &(&String, &String)| {
            let is_legal = |key: &Key| key.kind.parse(key.name, text).is_ok();
            match find(name) {
                Some(key) => key.change != Start && is_legal(key),
                None => find_of_listener(name).is_none_or(is_legal),
            }
        };
        let those = |values: &Values| {
            let those = values.iter().filter(counts);
            those
                .map(|(name, text)| (name.clone(), text.clone()))
                .collect()
        };
        let mut layered = self.layered(those(for_every_broker), those(for_this_broker));
        let mut forgotten = Vec::new();
        while let Some(Broken { names, why }) = rules::broken(&layered)
            && let Some(name) = names.into_iter().find(|name| layered.forget(name))
        {
            forgotten.push((name, why));
        }
        (layered, forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, is_for_one: bool) -> Result<(), String> {
        let values = Values::from([(name.to_owned(), value.to_owned())]);
        check_broker_settings(&BrokerConfig::default(), &values, is_for_one)
    }

    #[test]
    fn what_is_fixed_is_refused_in_kafka_s_words() {
        let fault = check("num.partitions", "2", true).expect_err("fixed");
        assert_eq!(
            fault,
            "Cannot update these configs dynamically: [num.partitions]"
        );
        assert!(
            check("ssl.key.password", "x", true)
                .expect_err("one listener")
                .ends_with("prefix: [ssl.key.password]")
        );
        let fault = check("sasl.enabled.mechanisms", "PLAIN", false).expect_err("one broker");
        assert!(
            fault.ends_with("broker id must be specified: [sasl.enabled.mechanisms]"),
            "{fault}"
        );
        assert_eq!(check("sasl.enabled.mechanisms", "PLAIN", true), Ok(()));
    }

    #[test]
    fn threads_are_at_most_doubled_or_halved_at_once() {
        let good = [
            ("num.io.threads", "16"),
            ("num.io.threads", "4"),
            (CLEANERS, "2"),
        ];
        for (name, value) in good {
            assert_eq!(check(name, value, true), Ok(()));
        }
        let bad = [
            (
                "num.io.threads",
                "17",
                "should not be greater than double the current value 8 for",
            ),
            (
                "num.io.threads",
                "3",
                "=3, value should be at least half the current value 8 for",
            ),
            (
                CLEANERS,
                "3",
                "Log cleaner threads cannot be increased to more than double",
            ),
            (CLEANERS, "0", "Log cleaner threads should be at least 1"),
        ];
        for (name, value, why) in bad {
            let told = check(name, value, true).expect_err(value);
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn what_may_change_is_checked_by_its_row_and_strangers_are_taken() {
        let fault = check("log.retention.ms", "x", false).expect_err("no number");
        assert_eq!(
            fault,
            "Invalid value x for configuration log.retention.ms: Not a number of type LONG"
        );
        assert_eq!(check("log.retention.ms", "5", false), Ok(()));
        assert_eq!(check("my.plugin", "x", false), Ok(()));
        assert!(check("listener.name.a.ssl.key.password", "x", false).is_err());
        assert_eq!(check("listener.name.a.max.connections", "7", false), Ok(()));
    }

    #[test]
    fn settings_of_one_listener_have_the_kind_of_their_key() {
        assert_eq!(
            check("listener.name.x.max.connections", "zz", true),
            Err(
                "Invalid value zz for configuration max.connections: Not a number of type INT"
                    .into()
            )
        );
    }

    #[test]
    fn a_value_that_breaks_a_rule_is_refused_and_alone_forgotten_at_a_start() {
        let fault = check("log.roll.ms", "-1", false).expect_err("a rule");
        assert!(
            fault.starts_with("requirement failed: log.roll.ms"),
            "{fault}"
        );
        let values = |pairs: &[(&str, &str)]| -> Values {
            let pairs = pairs.iter();
            pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect()
        };
        let every = values(&[("log.roll.ms", "0"), ("max.connections", "7")]);
        let this = values(&[
            ("log.cleaner.min.compaction.lag.ms", "5"),
            ("log.cleaner.max.compaction.lag.ms", "4"),
        ]);
        let settings = Settings::default().with_dynamic(&every, &this);
        assert_eq!(
            settings.for_every_broker(),
            &values(&[("max.connections", "7")])
        );
        assert_eq!(
            settings.for_this_broker(),
            &values(&[("log.cleaner.max.compaction.lag.ms", "4")])
        );
        assert!(BrokerConfig::new(settings).is_ok());
    }
}
