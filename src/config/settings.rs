//! What was set, by whom: the text of each setting, and where it came from.
//!
//! The command line wins over the environment, the environment over the file, the file over the table's
//! default; within one origin the last wins. What clients set while the broker runs stands in two layers above all of
//! that: what they set for every broker, and, stronger, for this one.

use super::{
    Key, Kind, Source, Tier, Value, Values, broker_keys, find, find_of_listener, nearest, parse,
    topic,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where a setting came from; a later variant wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// The settings file.
    File {
        /// Its path, as given.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// The variable of this name.
    Environment(String),
    /// An option.
    CommandLine,
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment(_) => 2,
            Origin::CommandLine => 3,
        }
    }

    /// For sorting: the rank, and the line in the file.
    fn place(&self) -> (u8, usize) {
        match self {
            Origin::File { line, .. } => (self.rank(), *line),
            _ => (self.rank(), 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File { path, line } => write!(f, "{path}:{line}"),
            Origin::Environment(variable) => write!(f, "{variable}"),
            Origin::CommandLine => write!(f, "command line"),
        }
    }
}

/// Something to tell about a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Error: the value is not legal. Warn: nobody knows the name. Info: the setting changes nothing.
    pub level: log::Level,
    /// Origin and reason, in one line.
    pub text: String,
}

/// The settings that somebody set, and through them the table's defaults.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    set: BTreeMap<String, (String, Origin)>,
    for_every_broker: Values,
    for_this_broker: Values,
    /// What stands before the names of the listener whose settings win (`listener.name.x.`); empty for none.
    pub(super) listener: String,
}

impl Settings {
    /// Sets `name`, unless a stronger origin already has.
    pub fn set(&mut self, name: &str, value: &str, origin: Origin) {
        let weaker = |(_, by): &(String, Origin)| by.rank() > origin.rank();
        if !self.set.get(name).is_some_and(weaker) {
            self.set.insert(name.into(), (value.into(), origin));
        }
    }

    /// Takes in the text of a settings file; `path` is for messages.
    pub fn add_file(&mut self, path: &str, text: &str) -> Result<(), Problem> {
        let lines = parse::properties(text).map_err(|(line, why)| Problem {
            level: log::Level::Error,
            text: format!("{path}:{line}: {why}"),
        })?;
        for line in lines {
            let origin = Origin::File {
                path: path.into(),
                line: line.number,
            };
            self.set(&line.key, &line.value, origin);
        }
        Ok(())
    }

    /// Takes in the variables that begin with `CHRONIKD_`: `CHRONIKD_LOG_RETENTION_HOURS` sets
    /// `log.retention.hours`.
    pub fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (variable, value) in variables {
            if let Some(name) = variable.strip_prefix("CHRONIKD_") {
                let name = name.to_ascii_lowercase().replace('_', ".");
                self.set(&name, &value, Origin::Environment(variable.clone()));
            }
        }
    }

    /// What there is to say about the settings that were set: the gravest first, then in the order of their origins
    /// and lines.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let judged = |(name, (value, origin)): (&String, &(String, Origin))| {
            let (level, why) = judge(name, value)?;
            let text = format!("{origin}: {why}");
            Some((level, origin.place(), Problem { level, text }))
        };
        let mut problems: Vec<_> = self.set.iter().filter_map(judged).collect();
        problems.sort_by_key(|(level, place, _)| (*level, *place));
        problems.into_iter().map(|(.., problem)| problem).collect()
    }

    /// Every key that the table knows, with the value in force and its origin; secrets are masked.
    pub fn effective(&self) -> impl Iterator<Item = (&'static Key, Option<String>, Origin)> {
        broker_keys().map(|key| {
            let (text, origin) = match self.set.get(key.name) {
                Some((text, origin)) => (Some(text.as_str()), origin.clone()),
                None => (key.default, Origin::Default),
            };
            let shown = match (key.kind, text) {
                (Kind::Password, Some(_)) => Some("[hidden]".into()),
                _ => text.map(|text| text.trim().to_owned()),
            };
            (key, shown, origin)
        })
    }

    /// What clients have set for every broker.
    #[must_use]
    pub fn for_every_broker(&self) -> &Values {
        &self.for_every_broker
    }

    /// What clients have set for this broker.
    #[must_use]
    pub fn for_this_broker(&self) -> &Values {
        &self.for_this_broker
    }

    /// The same with other settings of clients, which count.
    pub(super) fn layered(&self, for_every_broker: Values, for_this_broker: Values) -> Settings {
        Settings {
            set: self.set.clone(),
            for_every_broker,
            for_this_broker,
            listener: String::new(),
        }
    }

    /// The listeners that have settings of their own, by what stands before their names, and the keys of these.
    pub(super) fn listeners(&self) -> BTreeMap<String, Vec<&'static str>> {
        let mut listeners: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for name in self.unknown() {
            if let Some(key) = find_of_listener(name)
                && let Some(listener) = name.strip_suffix(key.name)
            {
                let keys = listeners.entry(listener.to_owned()).or_default();
                keys.push(key.name);
            }
        }
        listeners
    }

    /// Forgets what clients have set for this name, the strongest layer of it; answers whether there was one.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let of_this = self.for_this_broker.remove(name);
        of_this
            .or_else(|| self.for_every_broker.remove(name))
            .is_some()
    }

    /// A fault of a setting, with the place where somebody set it.
    pub(super) fn told(&self, name: &str, why: String) -> Problem {
        let text = match self.set.get(name) {
            Some((_, origin)) => format!("{origin}: {why}"),
            None => why,
        };
        let level = log::Level::Error;
        Problem { level, text }
    }

    /// The text that one layer has for this name.
    pub(super) fn layer(&self, source: Source, name: &str) -> Option<&str> {
        match source {
            Source::Broker => self.for_this_broker.get(name).map(String::as_str),
            Source::EveryBroker => self.for_every_broker.get(name).map(String::as_str),
            Source::Static => self.set.get(name).map(|(text, _)| text.as_str()),
            _ => None,
        }
    }

    /// The strongest layer that has this name.
    pub(super) fn source(&self, name: &str) -> Option<Source> {
        let mut layers = Source::LAYERS.into_iter();
        layers.find(|&layer| self.layer(layer, name).is_some())
    }

    /// Names that the table has not.
    pub(super) fn unknown(&self) -> Vec<&str> {
        let dynamic = self
            .for_every_broker
            .keys()
            .chain(self.for_this_broker.keys());
        let names: BTreeSet<&str> = dynamic.chain(self.set.keys()).map(String::as_str).collect();
        names
            .into_iter()
            .filter(|name| find(name).is_none())
            .collect()
    }

    /// The text that somebody set for this name.
    pub(super) fn explicit(&self, name: &str) -> Option<&str> {
        let of_listener = match self.listener.is_empty() {
            true => None,
            false => self.anywhere(&format!("{}{name}", self.listener)),
        };
        of_listener.or_else(|| self.anywhere(name))
    }

    fn anywhere(&self, name: &str) -> Option<&str> {
        self.layer(self.source(name)?, name)
    }

    /// The value in force; `None` is Kafka's null. An illegal value counts as not set.
    ///
    /// # Panics
    /// When the table has no such key: a mistake of ours, not of a user.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let key = find(name).expect("views ask for keys of the table only");
        self.explicit(name)
            .and_then(|text| key.kind.parse(name, text).ok())
            .or_else(|| key.kind.parse(name, key.default?).ok())
    }
}

/// What there is to say about one setting, if anything.
fn judge(name: &str, value: &str) -> Option<(log::Level, String)> {
    let Some(key) = find(name) else {
        return unknown(name, value);
    };
    if let Err(why) = key.kind.parse(name, value) {
        return Some((log::Level::Error, why));
    }
    let fate = match key.tier {
        Tier::Honoured => return None,
        Tier::Later => "accepted, but not obeyed yet",
        Tier::Moot => "accepted, but without meaning here",
    };
    Some((log::Level::Info, format!("{name}: {fate}")))
}

fn unknown(name: &str, value: &str) -> Option<(log::Level, String)> {
    if name.starts_with("listener.name.") {
        if let Some(Err(why)) = find_of_listener(name).map(|key| key.kind.parse(key.name, value)) {
            return Some((log::Level::Error, why));
        }
        let fate = "settings of one listener are accepted, but not obeyed yet";
        return Some((log::Level::Info, format!("{name}: {fate}")));
    }
    let mut text = format!("unknown setting {name}");
    if let Some(row) = topic::find(name) {
        text += " (a topic's setting";
        if let Some((synonym, _)) = row.synonyms.first() {
            text += &format!("; the broker's is {synonym}");
        }
        text += ")";
    } else if let Some(near) = nearest(name) {
        text += &format!(", did you mean {near}?");
    }
    Some((log::Level::Warn, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(settings: &Settings) -> Vec<String> {
        settings
            .problems()
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn the_stronger_origin_wins_whoever_comes_first() {
        let mut settings = Settings::default();
        settings.set("num.partitions", "4", Origin::CommandLine);
        let variable = ("CHRONIKD_NUM_PARTITIONS".to_owned(), "3".to_owned());
        settings.add_environment([variable].into_iter());
        settings.add_file("f", "num.partitions=2").expect("legal");
        assert_eq!(settings.explicit("num.partitions"), Some("4"));
        settings.set("num.partitions", "5", Origin::CommandLine);
        assert_eq!(settings.explicit("num.partitions"), Some("5"));
    }

    #[test]
    fn every_key_can_be_set_through_the_environment() {
        for key in broker_keys() {
            assert!(!key.name.contains(['_', '-']), "{}", key.name);
            assert_eq!(key.name, key.name.to_ascii_lowercase());
        }
    }

    #[test]
    fn an_unknown_name_is_a_warning_with_its_line_and_the_nearest_key() {
        let mut settings = Settings::default();
        settings
            .add_file("/etc/c.conf", "\nlog.segmnt.bytes=1")
            .expect("legal");
        assert_eq!(
            texts(&settings),
            ["/etc/c.conf:2: unknown setting log.segmnt.bytes, did you mean log.segment.bytes?"]
        );
        assert_eq!(settings.problems()[0].level, log::Level::Warn);
    }

    #[test]
    fn a_setting_of_topics_names_the_broker_s() {
        let mut settings = Settings::default();
        settings.set("retention.ms", "1", Origin::CommandLine);
        assert_eq!(
            texts(&settings),
            ["command line: unknown setting retention.ms \
              (a topic's setting; the broker's is log.retention.ms)"]
        );
    }

    #[test]
    fn errors_come_before_what_is_only_to_know() {
        let mut settings = Settings::default();
        settings.set("ssl.key.password", "1", Origin::CommandLine);
        settings.set("num.partitions", "0", Origin::CommandLine);
        assert_eq!(
            texts(&settings),
            [
                "command line: Invalid value 0 for configuration num.partitions: \
                 Value must be at least 1",
                "command line: ssl.key.password: accepted, but not obeyed yet",
            ]
        );
    }

    #[test]
    fn what_is_equally_grave_comes_in_the_order_of_the_file() {
        let mut settings = Settings::default();
        let file = "num.network.threads=3\nlog.dirs=/a\nbackground.threads=1";
        settings.add_file("f", file).expect("legal");
        let lines: Vec<String> = texts(&settings)
            .iter()
            .map(|text| text[..4].to_owned())
            .collect();
        assert_eq!(lines, ["f:1:", "f:2:", "f:3:"]);
    }

    #[test]
    fn secrets_are_masked() {
        let mut settings = Settings::default();
        settings.set("ssl.key.password", "hunter2", Origin::CommandLine);
        let shown = settings
            .effective()
            .find_map(|(key, shown, _)| (key.name == "ssl.key.password").then_some(shown));
        assert_eq!(shown, Some(Some("[hidden]".into())));
    }
}
