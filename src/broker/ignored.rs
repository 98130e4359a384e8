//! What a start says of settings that the journal has kept for clients: which ones win over file and command line, and
//! which do not count any more, because an earlier version had other rules. That is a line for each resource, and
//! neither long ones nor many.

use super::settings::{KeptSettings, Resource, ResourceType};
use super::state::State;
use crate::config::{self, BrokerConfig, Values};

/// How many resources are told of, and how many settings of each.
const MOST_RESOURCES: usize = 50;
const MOST_SETTINGS: usize = 5;

/// Says it.
pub(super) fn tell(state: &State) {
    for (what, names) in of_clients(&state.settings, &state.started) {
        match state.started.chronik_client_settings_enable {
            true => log::info!("clients have set for {what}, over file and command line: {names}"),
            false => log::warn!(
                "chronik.client.settings.enable=false: not in force for {what}, though clients have set it: {names}"
            ),
        }
    }
    let topics = state.topics.iter();
    let topics = topics.map(|topic| (&*topic.name, &topic.settings));
    for line in lines(&state.settings, &state.started, topics) {
        log::warn!("{line}");
    }
}

fn lines<'t>(
    kept: &KeptSettings,
    started: &BrokerConfig,
    topics: impl Iterator<Item = (&'t str, &'t Values)>,
) -> Vec<String> {
    let of_topics = topics.map(|(name, own)| {
        let what = format!("topic {}", told(name));
        (what, config::ignored_of_topic(own))
    });
    let of_others = [ResourceType::Group, ResourceType::ClientMetrics]
        .into_iter()
        .flat_map(|kind| of_kind(kept, kind));
    let all = of_brokers(kept, started).into_iter();
    let all = all.chain(of_topics).chain(of_others);
    let mut all = all.filter(|(_, ignored)| !ignored.is_empty());
    let first = all.by_ref().take(MOST_RESOURCES);
    let mut lines: Vec<String> = first.map(|(what, ignored)| line(&what, &ignored)).collect();
    let more = all.count();
    if more > 0 {
        lines.push(format!("settings of {more} other resources do not count"));
    }
    lines
}

/// The names of what clients have set for every broker and for this one.
fn of_clients(kept: &KeptSettings, started: &BrokerConfig) -> Vec<(String, String)> {
    let id = started.node_id.to_string();
    let named = |what: String, name: &str| {
        let own = kept.of(&Resource::new(ResourceType::Broker, name));
        let names: Vec<&str> = own.keys().map(String::as_str).collect();
        (what, told(&names.join(", ")))
    };
    let all = [
        named("every broker".to_owned(), ""),
        named(format!("broker {id}"), &id),
    ];
    let all = all.into_iter().filter(|(_, names)| !names.is_empty());
    all.collect()
}

/// Those of every broker and of this one; with `chronik.client.settings.enable=false` they are not to count.
fn of_brokers(kept: &KeptSettings, started: &BrokerConfig) -> Vec<(String, Vec<String>)> {
    if !started.chronik_client_settings_enable {
        return Vec::new();
    }
    let id = started.node_id.to_string();
    let of = |name: &str| kept.of(&Resource::new(ResourceType::Broker, name));
    let [every, this] = config::ignored_of_brokers(&started.settings, of(""), of(&id));
    vec![
        ("every broker".to_owned(), every),
        (format!("broker {id}"), this),
    ]
}

fn of_kind(
    kept: &KeptSettings,
    kind: ResourceType,
) -> impl Iterator<Item = (String, Vec<String>)> + '_ {
    kept.names(kind).map(move |name| {
        let own = kept.of(&Resource::new(kind, name));
        match kind {
            ResourceType::Group => (
                format!("group {}", told(name)),
                config::ignored_of_group(own),
            ),
            _ => (
                format!("subscription {}", told(name)),
                config::ignored_of_client_metrics(own),
            ),
        }
    })
}

/// A name or a list of them, which may be of any length.
fn told(name: &str) -> String {
    name.chars().take(300).collect()
}

fn line(what: &str, ignored: &[String]) -> String {
    let some = &ignored[..ignored.len().min(MOST_SETTINGS)];
    let more = ignored.len() - some.len();
    let rest = match more {
        0 => String::new(),
        _ => format!("; and {more} more"),
    };
    format!(
        "what was set for {what} and is not legal any more does not count: {}{rest}",
        some.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values;

    #[test]
    fn a_start_names_what_clients_have_set() {
        let mut kept = KeptSettings::default();
        let config = BrokerConfig::default();
        assert_eq!(of_clients(&kept, &config), []);
        let set = values(&[("max.connections", "1"), ("log.retention.ms", "5")]);
        kept.apply(Resource::new(ResourceType::Broker, "1"), set, 1);
        let names = "log.retention.ms, max.connections".to_owned();
        assert_eq!(of_clients(&kept, &config), [("broker 1".to_owned(), names)]);
    }

    #[test]
    fn each_resource_has_one_line_and_legal_ones_have_none() {
        let mut kept = KeptSettings::default();
        let mut keep = |kind, name: &str, pairs: &[(&str, &str)]| {
            kept.apply(Resource::new(kind, name), values(pairs), 1);
        };
        keep(ResourceType::Broker, "", &[("log.roll.ms", "0")]);
        keep(ResourceType::Broker, "1", &[("max.connections", "5")]);
        keep(
            ResourceType::Group,
            "g",
            &[("consumer.session.timeout.ms", "x")],
        );
        keep(ResourceType::ClientMetrics, "m", &[("interval.ms", "500")]);
        let topics = [
            ("t", values(&[("retention.ms", "x"), ("flush.ms", "y")])),
            ("u", Values::new()),
        ];
        let topics = || topics.iter().map(|(name, own)| (*name, own));
        let mut config = BrokerConfig::default();
        let told = lines(&kept, &config, topics());
        let begin = |line: &String| line.split(" and is not").next().unwrap_or("").to_owned();
        let begins: Vec<String> = told.iter().map(begin).collect();
        assert_eq!(
            begins,
            [
                "what was set for every broker",
                "what was set for topic t",
                "what was set for group g"
            ]
        );
        assert!(
            told[1].contains("flush.ms=y") && told[1].contains("retention.ms=x"),
            "{told:?}"
        );
        config.chronik_client_settings_enable = false;
        assert_eq!(lines(&kept, &config, topics()).len(), 2);
    }

    #[test]
    fn neither_many_resources_nor_many_settings_are_told_of() {
        let names: Vec<String> = (0..60).map(|i| format!("t{i}")).collect();
        let own: Values = (0..9).map(|i| (format!("x{i}"), String::new())).collect();
        let topics = names.iter().map(|name| (name.as_str(), &own));
        let told = lines(&KeptSettings::default(), &BrokerConfig::default(), topics);
        assert_eq!(told.len(), MOST_RESOURCES + 1);
        assert!(told[0].ends_with("; and 4 more"), "{}", told[0]);
        assert_eq!(told[50], "settings of 10 other resources do not count");
    }
}
