//! Kafka's own command line tools, as `Tools.java` runs them, and what they print.

use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::program::Program;
use super::talk::Talk;
use super::tests_dir;

const NEWEST: &str = "kafka-4.3";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const FEATURES: &str = "org.apache.kafka.tools.FeatureCommand";
const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";
/// What the line of titles begins with.
const TITLES: &[&str] = &[
    "GROUP ",
    "TOPIC ",
    "TransactionalId",
    "CoordinatorId",
    "ProducerId",
    "Topic\t",
];
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that runs tools. It ends when this goes.
pub struct Tools {
    talk: Talk,
    lines: Receiver<String>,
}

impl Tools {
    /// Whether this machine has what it takes.
    pub fn is_here() -> Result<(), String> {
        command(NEWEST).map(drop)
    }

    /// Starts the machine with the newest tools.
    pub fn start() -> Tools {
        Tools::of(NEWEST)
    }

    /// Starts the machine with the tools of a toolchain.
    ///
    /// # Panics
    /// When that is not installed.
    pub fn of(toolchain: &'static str) -> Tools {
        let mut command = command(toolchain).expect("an installed toolchain");
        let (sender, lines) = channel();
        let talk = Talk::start(command.stderr(Stdio::null()), move |line| {
            line.is_some_and(|line| sender.send(line.to_owned()).is_ok())
        });
        let talk = talk.expect("java runs");
        Tools { talk, lines }
    }

    /// What a tool prints; an argument may have no space in it.
    pub fn run(&mut self, line: &str) -> Vec<String> {
        self.talk.say(line).expect("a running machine");
        let mut said = Vec::new();
        loop {
            let heard = self.lines.recv_timeout(PATIENCE);
            let heard = heard.unwrap_or_else(|why| panic!("no answer to {line}: {why}"));
            if heard == "done" {
                return said;
            }
            if !heard.trim().is_empty() {
                said.push(heard);
            }
        }
    }

    /// What kafka-consumer-groups prints.
    pub fn groups(&mut self, address: &str, arguments: &str) -> Vec<String> {
        self.run(&format!(
            "{GROUPS} --bootstrap-server {address} {arguments}"
        ))
    }

    /// What kafka-transactions prints.
    pub fn transactions(&mut self, address: &str, arguments: &str) -> Vec<String> {
        self.run(&format!(
            "{TRANSACTIONS} --bootstrap-server {address} {arguments}"
        ))
    }

    /// What kafka-features prints.
    pub fn features(&mut self, address: &str, arguments: &str) -> Vec<String> {
        self.run(&format!(
            "{FEATURES} --bootstrap-server {address} {arguments}"
        ))
    }

    /// What stands in a column about each partition of a group, in their order; `-` is None.
    pub fn column(&mut self, address: &str, group: &str, title: &str) -> Vec<Option<i64>> {
        let told = self.groups(address, &format!("--describe --offsets --group {group}"));
        by_partition(&told, title)
    }
}

fn command(toolchain: &'static str) -> Result<Command, String> {
    Program::Java("Tools", toolchain).command(&tests_dir().join("common"))
}

/// A column of a table that has one row for each partition, in their order; `-` is None.
pub fn by_partition(told: &[String], title: &str) -> Vec<Option<i64>> {
    let mut rows = table(told);
    rows.sort_by_key(|row| row.text("PARTITION").parse::<i32>().expect("a partition"));
    rows.iter()
        .map(|row| row.text(title).parse().ok())
        .collect()
}

/// One row of a table, as pairs of a column's title and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<(String, String)>);

impl Row {
    /// What stands in a column.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn text(&self, title: &str) -> &str {
        let cell = self.0.iter().find(|cell| cell.0 == title);
        cell.map_or_else(|| panic!("no {title} in {self:?}"), |cell| &cell.1)
    }
}

/// The rows below the line of titles.
///
/// # Panics
/// When there is no such line.
pub fn table(lines: &[String]) -> Vec<Row> {
    let is_title = |line: &&String| TITLES.iter().any(|title| line.starts_with(title));
    let at = lines.iter().position(|line| is_title(&line));
    let at = at.unwrap_or_else(|| panic!("no table: {lines:?}"));
    let titles = lines[at].replace(" (ID)", "_(ID)");
    let rows = lines[at + 1..].iter();
    rows.map(|line| Row(cells(&titles, &line.replace("  (", "_("))))
        .collect()
}

/// Where every cell has a word, words are cells; otherwise a cell stands below its title.
fn cells(titles: &str, line: &str) -> Vec<(String, String)> {
    let names: Vec<&str> = titles.split_whitespace().collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.len() == names.len() {
        let cells = names.iter().zip(&words);
        return cells
            .map(|(name, word)| (name.to_string(), word.to_string()))
            .collect();
    }
    let starts: Vec<usize> = names.iter().filter_map(|name| titles.find(name)).collect();
    let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
    let cell = |(start, end): (&usize, usize)| line.get(*start..end.min(line.len()));
    let cells = starts
        .iter()
        .zip(ends)
        .map(|range| cell(range).unwrap_or("").trim());
    names
        .iter()
        .zip(cells)
        .map(|(name, text)| (name.to_string(), text.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_below_its_titles() {
        let lines = ["A warning.", "GROUP   LAG", "mine    7", "yours_and_mine -"];
        let rows = table(&lines.map(str::to_owned));
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].text("GROUP"), rows[0].text("LAG")), ("mine", "7"));
        assert_eq!(rows[1].text("LAG"), "-");
    }

    #[test]
    fn an_empty_cell_is_seen_below_its_title() {
        let lines = ["GROUP   ID      HOST", "mine            /here"];
        let rows = table(&lines.map(str::to_owned));
        assert_eq!((rows[0].text("ID"), rows[0].text("HOST")), ("", "/here"));
    }
}
