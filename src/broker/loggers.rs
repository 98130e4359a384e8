//! Levels of loggers: one for each room, and `root`, which the rooms follow that have none of their own. Clients change
//! them through the resource BROKER_LOGGER (KIP-412); as in Kafka, a restart forgets them.

use super::Broker;
use log::LevelFilter;
use std::collections::BTreeMap;

/// The logger that the others follow.
pub const ROOT: &str = "root";

/// The rooms that speak.
const ROOMS: [&str; 9] = [
    "api", "broker", "config", "disk", "journal", "main", "net", "proto", "storage",
];

/// A level as it was set: whoever asks for it finds the word that was set, though two words mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Kafka's word.
    pub word: &'static str,
    /// What is logged, at most.
    filter: LevelFilter,
}

/// Kafka's levels, in the order of its messages. There is nothing above an error here.
pub const LEVELS: [Level; 6] = [
    of("DEBUG", LevelFilter::Debug),
    of("ERROR", LevelFilter::Error),
    of("FATAL", LevelFilter::Error),
    of("INFO", LevelFilter::Info),
    of("TRACE", LevelFilter::Trace),
    of("WARN", LevelFilter::Warn),
];

const fn of(word: &'static str, filter: LevelFilter) -> Level {
    Level { word, filter }
}

/// The level that Kafka's word stands for.
#[must_use]
pub fn level(word: &str) -> Option<Level> {
    LEVELS.into_iter().find(|level| level.word == word)
}

/// The levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loggers {
    root: Level,
    of_rooms: BTreeMap<&'static str, Level>,
}

impl Default for Loggers {
    fn default() -> Loggers {
        Loggers::at(LevelFilter::Info)
    }
}

impl Loggers {
    /// Every room at that level.
    #[must_use]
    pub fn at(root: LevelFilter) -> Loggers {
        Loggers {
            root: of(root.as_str(), root),
            of_rooms: BTreeMap::new(),
        }
    }

    /// Whether there is such a logger.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        name == ROOT || ROOMS.contains(&name)
    }

    /// Every logger with its level.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Level)> {
        let all = ROOMS.into_iter().chain([ROOT]);
        all.map(|name| (name, self.of(name)))
    }

    fn of(&self, room: &str) -> Level {
        self.of_rooms.get(room).copied().unwrap_or(self.root)
    }

    /// What a room logs, at most.
    #[must_use]
    pub fn level(&self, room: &str) -> LevelFilter {
        self.of(room).filter
    }

    /// The most that any room logs.
    #[must_use]
    pub fn highest(&self) -> LevelFilter {
        let rooms = self.of_rooms.values().map(|level| level.filter);
        rooms.fold(self.root.filter, std::cmp::max)
    }

    /// Gives a logger a level of its own, or none any more; `root` keeps the one it has.
    pub fn set(&mut self, name: &str, level: Option<Level>) {
        if let Some(room) = ROOMS.into_iter().find(|room| *room == name) {
            self.of_rooms.remove(room);
            self.of_rooms.extend(level.map(|level| (room, level)));
        } else if name == ROOT {
            self.root = level.unwrap_or(self.root);
        }
    }
}

impl Broker {
    /// The levels of its loggers.
    #[must_use]
    pub fn loggers(&self) -> &Loggers {
        &self.loggers
    }

    /// Changes the levels of loggers; whoever logs asks `take_reconfigured`.
    pub fn set_loggers(&mut self, loggers: Loggers) {
        self.loggers = loggers;
        self.has_news = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_follows_the_root_until_it_has_a_level_of_its_own() {
        let mut loggers = Loggers::at(LevelFilter::Warn);
        assert_eq!(loggers.level("net"), LevelFilter::Warn);
        loggers.set("net", level("TRACE"));
        loggers.set("nobody", level("TRACE"));
        assert_eq!(
            (
                loggers.level("net"),
                loggers.level("api"),
                loggers.highest()
            ),
            (LevelFilter::Trace, LevelFilter::Warn, LevelFilter::Trace)
        );
        loggers.set(ROOT, level("FATAL"));
        loggers.set("net", None);
        loggers.set(ROOT, None);
        assert_eq!(loggers.level("net"), LevelFilter::Error);
        let words: Vec<&str> = loggers.iter().map(|(_, level)| level.word).collect();
        assert_eq!(words, ["FATAL"; 10]);
    }
}
