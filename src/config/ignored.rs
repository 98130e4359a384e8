//! What was kept of clients' settings and does not count: an earlier version had other rules. It is told at a start,
//! for otherwise it would go without a word.

use super::Change::Start;
use super::kept::{find_client_metrics_key, find_group_key};
use super::{Key, Kind, Settings, Values, find, find_of_listener, topic};

/// How much of a value, and of a reason, which quotes it, is told.
const MOST_TOLD_BYTES: usize = 200;

/// Of what clients have set for every broker, and for this one: `name=value: reason` for each that does not count.
#[must_use]
pub fn ignored_of_brokers(
    started: &Settings,
    for_every_broker: &Values,
    for_this_broker: &Values,
) -> [Vec<String>; 2] {
    let (counting, broken) = started.dynamic(for_every_broker, for_this_broker);
    let told = |kept: &Values, counting: &Values| {
        let gone = kept
            .iter()
            .filter(|(name, _)| !counting.contains_key(*name));
        let line = |(name, text): (&String, &String)| {
            let key = find(name).or_else(|| find_of_listener(name));
            let of_rule = || broken.iter().find(|(it, _)| it == name);
            let why = key.and_then(|key| fault(key, text));
            let why = why.or_else(|| of_rule().map(|(_, why)| why.clone()));
            line(key, name, text, &why.unwrap_or_default())
        };
        gone.map(line).collect()
    };
    [
        told(for_every_broker, counting.for_every_broker()),
        told(for_this_broker, counting.for_this_broker()),
    ]
}

/// Of a topic's own settings.
#[must_use]
pub fn ignored_of_topic(own: &Values) -> Vec<String> {
    ignored(own, |name| topic::find(name).map(|row| &row.key))
}

/// Of a group's own settings.
#[must_use]
pub fn ignored_of_group(own: &Values) -> Vec<String> {
    ignored(own, find_group_key)
}

/// Of the settings of a subscription to clients' metrics.
#[must_use]
pub fn ignored_of_client_metrics(own: &Values) -> Vec<String> {
    ignored(own, find_client_metrics_key)
}

fn ignored(own: &Values, find: impl Fn(&str) -> Option<&'static Key>) -> Vec<String> {
    let told = |(name, text): (&String, &String)| {
        let key = find(name);
        let why = match key {
            Some(key) => key.kind.parse(name, text).err()?,
            None => "nobody knows it".to_owned(),
        };
        Some(line(key, name, text, &why))
    };
    own.iter().filter_map(told).collect()
}

/// What is wrong with a setting of a broker by itself.
fn fault(key: &Key, text: &str) -> Option<String> {
    match key.change {
        Start => Some("only a restart changes it".to_owned()),
        _ => key.kind.parse(key.name, text).err(),
    }
}

fn line(key: Option<&Key>, name: &str, text: &str, why: &str) -> String {
    let is_secret = key.is_none_or(|key| key.kind == Kind::Password);
    let text = if is_secret { "[hidden]" } else { cut(text) };
    format!("{}={text}: {}", cut(name), cut(why))
}

fn cut(text: &str) -> &str {
    let mut ends = (0..=MOST_TOLD_BYTES.min(text.len())).rev();
    let end = ends.find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values;

    #[test]
    fn what_does_not_count_for_a_broker_is_told_with_its_reason() {
        let every = values(&[("log.roll.ms", "0"), ("max.connections", "7")]);
        let this = values(&[("num.partitions", "5"), ("log.retention.ms", "x")]);
        let told = ignored_of_brokers(&Settings::default(), &every, &this);
        let [every, this] = told;
        assert_eq!(
            every,
            ["log.roll.ms=0: requirement failed: log.roll.ms must be greater than or equal to 1"]
        );
        assert_eq!(
            this,
            [
                "log.retention.ms=x: Invalid value x for configuration log.retention.ms: \
                 Not a number of type LONG",
                "num.partitions=5: only a restart changes it",
            ]
        );
    }

    #[test]
    fn secrets_and_what_nobody_knows_are_hidden_and_long_values_cut() {
        let long = "ä".repeat(20_000);
        let told = ignored_of_topic(&values(&[("retention.ms", &long), ("secret", "s")]));
        assert_eq!(told[1], "secret=[hidden]: nobody knows it");
        assert!(told[0].len() < 500, "{}", told[0].len());
        let every = values(&[("ssl.keystore.password", "s"), ("log.dirs", "/x")]);
        let [every, _] = ignored_of_brokers(&Settings::default(), &every, &Values::new());
        assert_eq!(every, ["log.dirs=/x: only a restart changes it"]);
    }

    #[test]
    fn groups_and_subscriptions_are_read_by_their_own_tables() {
        let own = values(&[("consumer.session.timeout.ms", "x"), ("interval.ms", "100")]);
        assert_eq!(ignored_of_group(&own).len(), 2);
        assert_eq!(ignored_of_client_metrics(&own).len(), 1);
        assert_eq!(ignored_of_topic(&values(&[("retention.ms", "5")])), [""; 0]);
    }
}
