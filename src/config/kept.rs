//! Keys of groups and of subscriptions to clients' metrics. They are kept, checked and shown, so that tools that set
//! them go on; nothing here obeys them yet.

use super::Change::Live;
use super::Kind::*;
use super::Tier::{Later, Moot};
use super::{BrokerConfig, Key, MAX, MIN, Value, Values, find, key};

/// The rows of groups. The broker's key that each falls back to is `group.` and its name.
#[rustfmt::skip]
pub(super) const GROUP_KEYS: &[Key] = &[
    key("consumer.session.timeout.ms", Int(1, MAX), "45000", Live, Later,
        "A member that is silent for this long is out."),
    key("consumer.heartbeat.interval.ms", Int(1, MAX), "5000", Live, Later,
        "The time between two heartbeats of a member."),
    key("consumer.assignment.interval.ms", Int(0, MAX), "1000", Live, Later,
        "The time between two assignments."),
    key("share.session.timeout.ms", Int(1, MAX), "45000", Live, Later,
        "A member that is silent for this long is out."),
    key("share.heartbeat.interval.ms", Int(1, MAX), "5000", Live, Later,
        "The time between two heartbeats of a member."),
    key("share.record.lock.duration.ms", Int(1000, MAX), "30000", Live, Later,
        "A delivered record belongs to its member this long."),
    key("share.delivery.count.limit", Int(2, MAX), "5", Live, Later,
        "Times that a record is delivered before it is given up."),
    key("share.partition.max.record.locks", Int(100, MAX), "2000", Live, Later,
        "Records of a partition that may be out at a time."),
    key("share.auto.offset.reset", Text, "latest", Live, Later,
        "Where a share group begins to read: earliest, latest, or by_duration: and a span."),
    key("share.isolation.level", OneOf(&["read_committed", "read_uncommitted"]), "read_uncommitted", Live, Later,
        "Whether a share group sees records of transactions that are not committed."),
    key("share.renew.acknowledge.enable", Boolean, "true", Live, Later,
        "Whether a member may keep a record for longer."),
    key("share.assignment.interval.ms", Int(0, MAX), "1000", Live, Later,
        "The time between two assignments."),
    key("streams.session.timeout.ms", Int(1, MAX), "45000", Live, Later,
        "A member that is silent for this long is out."),
    key("streams.heartbeat.interval.ms", Int(1, MAX), "5000", Live, Later,
        "The time between two heartbeats of a member."),
    key("streams.num.standby.replicas", Int(0, MAX), "0", Live, Later,
        "Standby copies of each task."),
    key("streams.initial.rebalance.delay.ms", Int(0, MAX), "3000", Live, Later,
        "How long a new group waits for more members."),
    key("streams.assignment.interval.ms", Int(0, MAX), "1000", Live, Later,
        "The time between two assignments."),
];

/// The rows of subscriptions to clients' metrics (KIP-714).
#[rustfmt::skip]
pub(super) const CLIENT_METRICS_KEYS: &[Key] = &[
    key("metrics", List, "", Live, Moot,
        "Beginnings of the names of metrics that clients push."),
    key("interval.ms", Int(MIN, MAX), "300000", Live, Moot,
        "How often clients push."),
    key("match", List, "", Live, Moot,
        "Which clients are meant."),
];

/// The key of groups of this name.
pub(super) fn find_group_key(name: &str) -> Option<&'static Key> {
    GROUP_KEYS.iter().find(|key| key.name == name)
}

/// The key of subscriptions to metrics of this name.
pub(super) fn find_client_metrics_key(name: &str) -> Option<&'static Key> {
    CLIENT_METRICS_KEYS.iter().find(|key| key.name == name)
}

/// Checks all settings of a group, in Kafka's words (error 40, INVALID_CONFIG).
pub fn check_group_settings(broker: &BrokerConfig, own: &Values) -> Result<(), String> {
    if let Some(name) = own.keys().find(|name| find_group_key(name).is_none()) {
        return Err(format!("Unknown group config name: {name}"));
    }
    let rows = own.iter();
    for (name, text, row) in rows.filter_map(|(n, text)| Some((n, text, find_group_key(n)?))) {
        let value = row.kind.parse(name, text)?;
        check_bounds(broker, name, &value)?;
        if name == "share.auto.offset.reset" {
            check_reset(text.trim())?;
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let session = format!("{kind}.session.timeout.ms");
        let heartbeat = format!("{kind}.heartbeat.interval.ms");
        if number(broker, own, &session) <= number(broker, own, &heartbeat) {
            return Err(format!("{session} must be greater than {heartbeat}"));
        }
    }
    Ok(())
}

/// The broker has keys for the least and the most that a group may set.
fn check_bounds(broker: &BrokerConfig, name: &str, value: &Value) -> Result<(), String> {
    let (Some((kind, rest)), Value::Number(number)) = (name.split_once('.'), value) else {
        return Ok(());
    };
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    let bound = |end: &str| {
        let bound = format!("group.{kind}.{end}.{rest}");
        let value = find(&bound).and_then(|key| broker.settings.value(key.name));
        value.map(|value| (bound, value.number::<i64>()))
    };
    if let Some((min, _)) = bound("min").filter(|(_, min)| number < min) {
        return Err(format!("{name} must be greater than or equal to {min}"));
    }
    if let Some((max, _)) = bound("max").filter(|(_, max)| number > max) {
        return Err(format!("{name} must be less than or equal to {max}"));
    }
    Ok(())
}

fn check_reset(text: &str) -> Result<(), String> {
    let is_legal = match text.strip_prefix("by_duration:") {
        Some(span) => is_span(span),
        None => matches!(text, "earliest" | "latest"),
    };
    if is_legal {
        return Ok(());
    }
    Err(format!(
        "Invalid value {text} for configuration share.auto.offset.reset: Invalid value `{text}` for configuration \
         share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format \
         'by_duration:<PnDTnHnMn.nS>'."
    ))
}

/// Whether it is a span of ISO 8601 as Java writes it, and none below zero: `P2DT3H4M5.6S`.
fn is_span(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let Some(span) = text.strip_prefix('P') else {
        return false;
    };
    let (days, time) = match span.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (span, None),
    };
    let is_time = |time| !str::is_empty(time) && are_parts(time, "HMS");
    !span.is_empty() && are_parts(days, "D") && time.is_none_or(is_time)
}

/// Whether these are numbers, each with one of the units behind it, in their order.
fn are_parts(mut text: &str, units: &str) -> bool {
    for unit in units.chars() {
        let Some((number, rest)) = text.split_once(unit) else {
            continue;
        };
        let number = number.strip_prefix('+').unwrap_or(number);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let has_part = number.contains('.');
        let is_legal = (1..=18).contains(&whole.len()) && is_number(whole) && is_number(part);
        if !is_legal || part.len() > 9 || (has_part && unit != 'S') {
            return false;
        }
        text = rest;
    }
    text.is_empty()
}

/// The group's own number, else the broker's, which is in force then.
fn number(broker: &BrokerConfig, own: &Values, name: &str) -> i64 {
    let own = own.get(name).and_then(|text| text.trim().parse().ok());
    let of_broker = || {
        let key = find(&format!("group.{name}"))?;
        broker.settings.value(key.name).map(Value::number)
    };
    own.or_else(of_broker).unwrap_or(0)
}

/// What a client may be told apart by.
const MATCHES: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// What is wrong with settings, and of which kind that is.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong (error 42).
    Request(String),
    /// A value is (error 40).
    Value(String),
}

/// Checks all settings of a subscription to clients' metrics, in Kafka's words.
///
/// # Errors
/// The first fault; names that do not exist come before values.
pub fn check_client_metrics_settings(own: &Values) -> Result<(), Fault> {
    let known = own.iter().map(|(name, text)| {
        let unknown = || format!("Unknown client metrics configuration: {name}");
        let row = find_client_metrics_key(name);
        Ok((row.ok_or_else(|| Fault::Request(unknown()))?, text))
    });
    for (row, text) in known.collect::<Result<Vec<_>, _>>()? {
        let name = row.name;
        match row.kind.parse(name, text).map_err(Fault::Value)? {
            Value::Number(ms) if !(100..=3_600_000).contains(&ms) => {
                let why = format!(
                    "Invalid value {ms} for {name}, interval must be between 100 and 3600000 (1 hour)"
                );
                return Err(Fault::Request(why));
            }
            Value::List(patterns) if name == "match" => {
                if let Some(bad) = patterns.iter().find(|pattern| !is_pattern(pattern)) {
                    let why = format!("Illegal client matching pattern: {bad}");
                    return Err(Fault::Value(why));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether it matches something of a client with a text. Java's split drops what is empty at the end.
fn is_pattern(pattern: &str) -> bool {
    let parts = pattern.trim_end_matches('=').split_once('=');
    parts.is_some_and(|(what, text)| {
        MATCHES.contains(&what.trim()) && !text.is_empty() && !text.contains('=')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Settings};

    fn own(name: &str, value: &str) -> Values {
        Values::from([(name.to_owned(), value.to_owned())])
    }

    fn group(name: &str, value: &str) -> Result<(), String> {
        check_group_settings(&BrokerConfig::default(), &own(name, value))
    }

    #[test]
    fn every_default_is_legal_and_the_broker_s() {
        for key in GROUP_KEYS.iter().chain(CLIENT_METRICS_KEYS) {
            let default = key.default.expect("a default");
            assert_eq!(
                key.kind.parse(key.name, default).err(),
                None,
                "{}",
                key.name
            );
            if let Some(broker) = find(&format!("group.{}", key.name)) {
                assert_eq!(broker.default, key.default, "{}", key.name);
            }
        }
    }

    #[test]
    fn a_group_stays_within_the_broker_s_bounds() {
        let name = "consumer.session.timeout.ms";
        assert_eq!(group(name, "50000"), Ok(()));
        let low = "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms";
        assert_eq!(group(name, "1").expect_err("low"), low);
        let high = "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas";
        assert_eq!(
            group("streams.num.standby.replicas", "3").expect_err("high"),
            high
        );
        assert_eq!(
            group("nope", "1").expect_err("unknown"),
            "Unknown group config name: nope"
        );
        for bad in [
            "never",
            "by_duration:Pxx",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:-PT1S",
            "by_duration:PT-1S",
            "by_duration:PT1.5H",
        ] {
            assert!(group("share.auto.offset.reset", bad).is_err(), "{bad}");
        }
        for good in [
            "earliest",
            "by_duration:P2DT3H4M5.6S",
            "by_duration:pt1s",
            "by_duration:P1D",
        ] {
            assert_eq!(group("share.auto.offset.reset", good), Ok(()));
        }
        assert_eq!(group("share.auto.offset.reset", "by_duration:PT1H"), Ok(()));
    }

    #[test]
    fn a_subscription_is_checked_as_kafka_does() {
        let check = |name, value| check_client_metrics_settings(&own(name, value));
        assert_eq!(
            check("match", "client_id=a.*, client_source_port=1"),
            Ok(())
        );
        assert!(matches!(check("match", "who=a"), Err(Fault::Value(_))));
        assert_eq!(check("match", "client_id=a="), Ok(()));
        assert!(matches!(check("match", "client_id="), Err(Fault::Value(_))));
        let two = [("interval.ms", "x"), ("zzz", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(
            check_client_metrics_settings(&Values::from(two)),
            Err(Fault::Request(
                "Unknown client metrics configuration: zzz".to_owned()
            ))
        );
        assert!(matches!(check("interval.ms", "99"), Err(Fault::Request(_))));
        assert!(matches!(check("interval.ms", "x"), Err(Fault::Value(_))));
        assert!(matches!(check("nope", "1"), Err(Fault::Request(_))));
    }

    #[test]
    fn a_group_is_held_against_the_broker_s_settings() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("session.timeout.ms", "50000"),
            ("max.heartbeat.interval.ms", "47000"),
        ] {
            settings.set(
                &format!("group.consumer.{name}"),
                value,
                Origin::CommandLine,
            );
        }
        let broker = BrokerConfig::new(settings).expect("legal settings");
        let own = own("consumer.heartbeat.interval.ms", "46000");
        assert_eq!(check_group_settings(&broker, &own), Ok(()));
        assert!(check_group_settings(&BrokerConfig::default(), &own).is_err());
    }
}
