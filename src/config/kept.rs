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
    for (name, text) in own {
        let row = find_group_key(name);
        let row = row.ok_or_else(|| format!("Unknown group config name: {name}"))?;
        let value = row.kind.parse(name, text)?;
        check_bounds(broker, name, &value)?;
        if name == "share.auto.offset.reset" {
            check_reset(text.trim())?;
        }
    }
    for kind in ["consumer", "share", "streams"] {
        let session = format!("{kind}.session.timeout.ms");
        let heartbeat = format!("{kind}.heartbeat.interval.ms");
        if number(own, &session) <= number(own, &heartbeat) {
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
    let is_span = |text: &str| {
        text.strip_prefix("by_duration:P")
            .is_some_and(|span| !span.is_empty())
    };
    if matches!(text, "earliest" | "latest") || is_span(text) {
        return Ok(());
    }
    Err(format!(
        "Invalid value {text} for configuration share.auto.offset.reset: The value must be either 'earliest', \
         'latest' or of the format 'by_duration:<PnDTnHnMn.nS.>'."
    ))
}

/// The group's own number, else the default.
fn number(own: &Values, name: &str) -> i64 {
    let default = || find_group_key(name)?.default;
    let text = own.get(name).map(String::as_str).or_else(default);
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
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

/// Checks all settings of a subscription to clients' metrics, in Kafka's words; whether it is the request that is
/// wrong (error 42) or a value (40).
pub fn check_client_metrics_settings(own: &Values) -> Result<(), (bool, String)> {
    let parsed = |name: &str, text: &str| {
        let row = find_client_metrics_key(name);
        let row = row.ok_or_else(|| {
            (
                true,
                format!("Unknown client metrics configuration: {name}"),
            )
        })?;
        row.kind.parse(name, text).map_err(|why| (false, why))
    };
    for (name, text) in own {
        match parsed(name, text)? {
            Value::Number(ms) if !(100..=3_600_000).contains(&ms) => {
                let why = format!(
                    "Invalid value {ms} for {name}, interval must be between 100 and 3600000 (1 hour)"
                );
                return Err((true, why));
            }
            Value::List(patterns) if name == "match" => {
                let is_legal = |pattern: &&String| match pattern.split_once('=') {
                    Some((what, text)) => {
                        MATCHES.contains(&what.trim()) && !text.is_empty() && !text.contains('=')
                    }
                    None => false,
                };
                if let Some(bad) = patterns.iter().find(|pattern| !is_legal(pattern)) {
                    return Err((false, format!("Illegal client matching pattern: {bad}")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(group("share.auto.offset.reset", "never").is_err());
        assert_eq!(group("share.auto.offset.reset", "by_duration:PT1H"), Ok(()));
    }

    #[test]
    fn a_subscription_is_checked_as_kafka_does() {
        let check = |name, value| check_client_metrics_settings(&own(name, value));
        assert_eq!(
            check("match", "client_id=a.*, client_source_port=1"),
            Ok(())
        );
        assert!(matches!(check("match", "who=a"), Err((false, _))));
        assert!(matches!(check("interval.ms", "99"), Err((true, _))));
        assert!(matches!(check("interval.ms", "x"), Err((false, _))));
        assert!(matches!(check("nope", "1"), Err((true, _))));
    }
}
