//! What the values of a broker's settings must be beyond their types and ranges, alone and together: one table, for the
//! start and for what clients change. Where Apache Kafka has the rule, at its start or for clients, the sentence is its
//! own.
//!
//! What is set for one listener (`listener.name.`) stands for that listener in the place of its key: the rules hold for
//! it in the same way.
//!
//! The two of compaction are refused to nobody in Kafka but at its start, and then no topic can be created.

use super::{Settings, Value, topic};

/// A rule about some keys.
struct Rule {
    /// Those that may break it, the most likely one first.
    keys: &'static [&'static str],
    /// What is wrong, if something is.
    fault: fn(&Settings) -> Option<String>,
}

/// A rule that is broken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The settings that it is about, the most likely one first.
    pub(super) names: Vec<String>,
    /// What is wrong.
    pub(super) why: String,
}

/// The first rule that the settings break, which are legal one by one.
pub(super) fn broken(settings: &Settings) -> Option<Broken> {
    first(RULES.iter(), settings).or_else(|| of_listeners(settings))
}

/// The rules about what is set for single listeners, of which clients may make up any number: no others are looked at.
fn of_listeners(settings: &Settings) -> Option<Broken> {
    let mut listeners = settings.listeners().into_iter().peekable();
    listeners.peek()?;
    let mut settings = settings.clone();
    listeners.find_map(|(listener, keys)| {
        settings.listener = listener;
        let is_about = |rule: &&Rule| rule.keys.iter().any(|key| keys.contains(key));
        first(RULES.iter().filter(is_about), &settings)
    })
}

/// The first of some rules that is broken.
fn first(mut rules: impl Iterator<Item = &'static Rule>, settings: &Settings) -> Option<Broken> {
    rules.find_map(|rule| {
        let why = (rule.fault)(settings)?;
        let name = |key: &&str| format!("{}{key}", settings.listener);
        let names = rule.keys.iter().map(name).collect();
        Some(Broken { names, why })
    })
}

/// The rules.
const RULES: &[Rule] = &[
    Rule {
        keys: &["log.roll.ms"],
        fault: |settings| {
            let why = "requirement failed: log.roll.ms must be greater than or equal to 1";
            below(settings, "log.roll.ms", 1).map(|_| why.to_owned())
        },
    },
    Rule {
        keys: &["log.roll.jitter.ms"],
        fault: |settings| {
            let why = "requirement failed: log.roll.jitter.ms must be greater than or equal to 0";
            below(settings, "log.roll.jitter.ms", 0).map(|_| why.to_owned())
        },
    },
    Rule {
        keys: &[
            "log.retention.ms",
            "log.retention.minutes",
            "log.retention.hours",
        ],
        fault: |settings| {
            let why = "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1";
            (retention_ms(settings) == 0).then(|| why.to_owned())
        },
    },
    Rule {
        keys: &LAGS,
        fault: |settings| {
            let [of_min, of_max] = LAGS;
            let (min, max) = (number(settings, of_min)?, number(settings, of_max)?);
            let why =
                || format!("conflict topic config setting {of_min} ({min}) > {of_max} ({max})");
            (min > max).then(why)
        },
    },
    Rule {
        keys: &["log.local.retention.ms", "log.retention.ms"],
        fault: |settings| {
            let all = ("log.retention.ms", retention_ms(settings));
            local(settings, "log.local.retention.ms", all)
        },
    },
    Rule {
        keys: &["log.local.retention.bytes", "log.retention.bytes"],
        fault: |settings| {
            let name = "log.retention.bytes";
            let all = (name, number(settings, name)?);
            local(settings, "log.local.retention.bytes", all)
        },
    },
    Rule {
        keys: &["log.cleaner.threads"],
        fault: |settings| {
            let why = "Log cleaner threads should be at least 1";
            below(settings, "log.cleaner.threads", 1).map(|_| why.to_owned())
        },
    },
    Rule {
        keys: &["log.cleaner.dedupe.buffer.size", "log.cleaner.threads"],
        fault: |settings| {
            let threads = number(settings, "log.cleaner.threads")?;
            let bytes = number(settings, "log.cleaner.dedupe.buffer.size")?;
            let why = "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.";
            (bytes / threads.max(1) <= 1 << 20).then(|| why.to_owned())
        },
    },
    Rule {
        keys: &["max.connections"],
        fault: |settings| {
            let number = below(settings, "max.connections", 1)?;
            Some(format!("Invalid max.connections {number}"))
        },
    },
    Rule {
        keys: &["max.connection.creation.rate"],
        fault: |settings| {
            let number = below(settings, "max.connection.creation.rate", 1)?;
            Some(format!("Invalid max.connection.creation.rate {number}"))
        },
    },
    Rule {
        keys: &["max.connections.per.ip.overrides", "max.connections.per.ip"],
        fault: overrides,
    },
];

const LAGS: [&str; 2] = [
    "log.cleaner.min.compaction.lag.ms",
    "log.cleaner.max.compaction.lag.ms",
];

/// A whole number, if the setting has a value.
fn number(settings: &Settings, name: &str) -> Option<i64> {
    settings.value(name).map(Value::number)
}

/// The number, if it is below the least.
fn below(settings: &Settings, name: &str, least: i64) -> Option<i64> {
    number(settings, name).filter(|number| *number < least)
}

/// The age that records are kept for: every negative one is for ever.
fn retention_ms(settings: &Settings) -> i64 {
    let row = topic::find("retention.ms").expect("a key of the table");
    let (ms, _) = topic::of_broker(row, settings);
    ms.number::<i64>().max(-1)
}

/// What is kept locally is no more than what is kept; -2 is the same as that.
fn local(settings: &Settings, name: &str, (whole, all): (&str, i64)) -> Option<String> {
    let kept = number(settings, name)?;
    let why = match kept {
        -2 => return None,
        _ if all < 0 => return None,
        -1 => format!("Value must not be -1 as {whole} value is set as {all}."),
        _ if kept > all => format!("Value must not be more than {whole} property value: {all}"),
        _ => return None,
    };
    Some(format!(
        "Invalid value {kept} for configuration {name}: {why}"
    ))
}

/// Overrides are hosts with counts; without them nobody may connect where the limit is zero.
fn overrides(settings: &Settings) -> Option<String> {
    let name = "max.connections.per.ip.overrides";
    let text = settings.value(name).map(Value::text).unwrap_or_default();
    let is_override = |word: &str| {
        let parts = word.trim().rsplit_once(':');
        parts.is_some_and(|(host, count)| {
            !host.trim().is_empty() && count.trim().parse::<i32>().is_ok()
        })
    };
    let is_empty = text.trim().is_empty();
    if !is_empty && !text.split(',').all(is_override) {
        return Some(format!(
            "Error parsing configuration property '{name}': {text}"
        ));
    }
    let is_none = is_empty && number(settings, "max.connections.per.ip") == Some(0);
    is_none.then(|| {
        format!("requirement failed: max.connections.per.ip can be set to zero only if {name} property is set.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            settings.set(name, value, Origin::CommandLine);
        }
        settings
    }

    #[test]
    fn the_defaults_and_what_people_set_break_no_rule() {
        for good in [
            &[][..],
            &[("log.retention.ms", "-1")],
            &[("log.retention.ms", "-9")],
            &[("log.roll.ms", "1"), ("log.roll.jitter.ms", "0")],
            &[("log.local.retention.ms", "5"), ("log.retention.ms", "5")],
            &[("log.local.retention.bytes", "5")],
            &[("max.connections.per.ip.overrides", "a:1, ::1:0")],
            &[
                ("max.connections.per.ip", "0"),
                ("max.connections.per.ip.overrides", "a:1"),
            ],
        ] {
            assert_eq!(broken(&settings(good)), None, "{good:?}");
        }
    }

    #[test]
    fn each_rule_is_broken_by_the_key_that_it_names_first() {
        for (pairs, why) in [
            (
                &[("log.roll.ms", "-1")][..],
                "log.roll.ms must be greater than or equal to 1",
            ),
            (
                &[("log.roll.jitter.ms", "-5")],
                "greater than or equal to 0",
            ),
            (&[("log.retention.ms", "0")], "must be unlimited (-1)"),
            (&[("log.retention.hours", "0")], "must be unlimited (-1)"),
            (
                &[
                    ("log.cleaner.min.compaction.lag.ms", "50"),
                    ("log.cleaner.max.compaction.lag.ms", "5"),
                ],
                "(50) > log.cleaner.max.compaction.lag.ms (5)",
            ),
            (
                &[("log.local.retention.ms", "604800001")],
                "Value must not be more than log.retention.ms property value: 604800000",
            ),
            (
                &[
                    ("log.local.retention.bytes", "-1"),
                    ("log.retention.bytes", "9"),
                ],
                "Value must not be -1 as log.retention.bytes value is set as 9.",
            ),
            (&[("log.cleaner.threads", "0")], "at least 1"),
            (&[("log.cleaner.dedupe.buffer.size", "1")], "at least 1MB"),
            (&[("max.connections", "0")], "Invalid max.connections 0"),
            (
                &[("max.connection.creation.rate", "0")],
                "Invalid max.connection.creation.rate 0",
            ),
            (
                &[("max.connections.per.ip.overrides", "garbage")],
                "Error parsing",
            ),
            (&[("max.connections.per.ip", "0")], "set to zero only if"),
        ] {
            let broken = broken(&settings(pairs)).expect(why);
            assert!(broken.why.contains(why), "{}", broken.why);
            let names: Vec<&str> = broken.names.iter().map(String::as_str).collect();
            assert!(names.contains(&pairs[0].0), "{pairs:?}");
        }
    }

    #[test]
    fn what_is_set_for_one_listener_obeys_the_rules_of_its_key() {
        let good = [
            ("listener.name.a.max.connections", "1"),
            ("listener.name.b.log.roll.ms", "1"),
        ];
        assert_eq!(broken(&settings(&good)), None);
        let bad = [good[0], ("listener.name.b.max.connections", "0")];
        let broken = broken(&settings(&bad)).expect("a rule");
        assert_eq!(broken.names, ["listener.name.b.max.connections"]);
        assert_eq!(broken.why, "Invalid max.connections 0");
    }

    #[test]
    fn every_key_of_a_rule_is_one_of_the_broker() {
        let keys = RULES.iter().flat_map(|rule| rule.keys);
        keys.for_each(|key| assert!(crate::config::find(key).is_some(), "{key}"));
    }
}
