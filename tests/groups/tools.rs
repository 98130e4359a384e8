//! Kafka's own command line tools, as `Tools.java` runs them, and what they print.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::program::Program;
use crate::common::tests_dir;

const PROGRAM: Program = Program::Java("Tools", "kafka-4.3");
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that runs tools. It ends when this goes.
pub(crate) struct Tools {
    process: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Tools {
    /// Whether this machine has what it takes.
    pub(crate) fn is_here() -> Result<(), String> {
        PROGRAM.command(&tests_dir().join("groups")).map(drop)
    }

    pub(crate) fn start() -> Tools {
        let command = PROGRAM.command(&tests_dir().join("groups"));
        let mut process = command
            .expect("what is_here() has found")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("java runs");
        let stdin = process.stdin.take().expect("a pipe");
        let stdout = process.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut said = BufReader::new(stdout).lines().map_while(Result::ok);
            said.try_for_each(|line| sender.send(line))
        });
        Tools {
            process,
            stdin,
            lines,
        }
    }

    /// What a tool prints; an argument may have no space in it.
    pub(crate) fn run(&mut self, line: &str) -> Vec<String> {
        writeln!(self.stdin, "{line}").expect("a running machine");
        let mut said = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("an answer");
            if line == "done" {
                return said;
            }
            if !line.trim().is_empty() {
                said.push(line);
            }
        }
    }

    /// What kafka-consumer-groups prints.
    pub(crate) fn groups(&mut self, address: &str, arguments: &str) -> Vec<String> {
        self.run(&format!(
            "{GROUPS} --bootstrap-server {address} {arguments}"
        ))
    }

    /// The lags of a group's partitions, in their order.
    pub(crate) fn lags(&mut self, address: &str, group: &str) -> Vec<i64> {
        let told = self.groups(address, &format!("--describe --offsets --group {group}"));
        let mut lags: Vec<(i32, i64)> = table(&told)
            .iter()
            .map(|row| (row.number("PARTITION"), row.number("LAG")))
            .map(|(partition, lag)| (partition as i32, lag))
            .collect();
        lags.sort_unstable();
        lags.into_iter().map(|(_, lag)| lag).collect()
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One row of a table, as pairs of a column's title and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(Vec<(String, String)>);

impl Row {
    /// What stands in a column.
    ///
    /// # Panics
    /// When there is no such column.
    pub(crate) fn text(&self, title: &str) -> &str {
        let cell = self.0.iter().find(|cell| cell.0 == title);
        cell.map_or_else(|| panic!("no {title} in {self:?}"), |cell| &cell.1)
    }

    pub(crate) fn number(&self, title: &str) -> i64 {
        let text = self.text(title);
        text.parse()
            .unwrap_or_else(|_| panic!("{title} in {self:?}"))
    }
}

/// The rows below the line of titles, which begins with `GROUP`. Words are what spaces divide.
pub(crate) fn table(lines: &[String]) -> Vec<Row> {
    let mut lines = lines.iter().skip_while(|line| !line.starts_with("GROUP"));
    let Some(titles) = lines.next() else {
        panic!("no table: {lines:?}");
    };
    let row = |line: &String| {
        let cells = titles.split_whitespace().zip(line.split_whitespace());
        Row(cells
            .map(|(title, text)| (title.to_owned(), text.to_owned()))
            .collect())
    };
    lines.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_below_its_titles() {
        let lines = ["A warning.", "GROUP   LAG", "mine    7", "yours   -"];
        let rows = table(&lines.map(str::to_owned));
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].text("GROUP"), rows[0].number("LAG")), ("mine", 7));
        assert_eq!(rows[1].text("LAG"), "-");
    }
}
