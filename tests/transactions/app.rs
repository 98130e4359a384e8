//! A Java program that runs until it is killed or told to stop, and the lines that it prints.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::common::dir::Dir;
use crate::common::talk::Talk;

/// More than any of them takes for a step.
const PATIENCE: Duration = Duration::from_secs(240);
/// So many of its last lines are shown when a test fails.
const TAIL: usize = 30;

/// A running program. It ends when this goes.
pub(crate) struct App {
    name: String,
    talk: Talk,
    lines: Receiver<String>,
    said: Vec<String>,
    /// What was said before is forgotten.
    since: usize,
    complaints: PathBuf,
}

impl App {
    /// Starts it; what it says to stderr is kept in a file of its name, and what it leaves behind beside that.
    pub(crate) fn start(dir: &Dir, name: &str, mut command: Command) -> App {
        let complaints = dir.join(&format!("{name}.stderr"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&complaints)
            .expect("a file");
        let leftovers = format!("-Djava.io.tmpdir={}", dir.path().display());
        command.env("JAVA_TOOL_OPTIONS", leftovers);
        let (sender, lines) = channel();
        let talk = Talk::start(command.stderr(file), move |line| {
            line.is_some_and(|line| sender.send(line.to_owned()).is_ok())
        });
        App {
            name: name.to_owned(),
            talk: talk.expect("java runs"),
            lines,
            said: Vec::new(),
            since: 0,
            complaints,
        }
    }

    /// Waits until it has said these words.
    ///
    /// # Panics
    /// When it does not for long, or before its end, or when it says that something has failed.
    pub(crate) fn wait(&mut self, words: &str) {
        let began = Instant::now();
        let says = |line: &String| line.contains(words);
        while !self.said[self.since..].iter().any(says) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.hear(line),
                Err(why) => panic!("{} never says {words}: {why}", self.name),
            }
        }
    }

    /// Whether it has said these words.
    pub(crate) fn has_said(&mut self, words: &str) -> bool {
        self.check();
        self.said.iter().any(|line| line.contains(words))
    }

    /// Forgets what it has said until now.
    pub(crate) fn forget(&mut self) {
        self.check();
        self.since = self.said.len();
    }

    /// Hears what it has said meanwhile.
    ///
    /// # Panics
    /// When that is that something has failed.
    pub(crate) fn check(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(line);
        }
    }

    fn hear(&mut self, line: String) {
        let failed = FAILURES.iter().any(|word| line.contains(word));
        self.said.push(line);
        assert!(!failed, "{} has failed", self.name);
    }

    /// SIGKILL.
    pub(crate) fn kill9(&mut self) {
        self.check();
        self.talk.kill9();
    }

    /// SIGTERM, and waits for its last words.
    pub(crate) fn stop(&mut self, words: &str) {
        self.talk.term();
        self.wait(words);
        self.talk.wait();
    }

    /// Waits until it ends by itself, and answers its exit status.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let status = self.talk.wait();
        self.check();
        status.code()
    }
}

/// What no line of a good run has in it.
const FAILURES: &[&str] = &["failed ", "-EXCEPTION", "FAILURE", "FAILED", "PROCESSED-"];

impl Drop for App {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let complaints = std::fs::read_to_string(&self.complaints).unwrap_or_default();
        let complaints: Vec<&str> = complaints.lines().collect();
        let said = self.said[self.said.len().saturating_sub(TAIL)..].join("\n");
        let complaints = complaints[complaints.len().saturating_sub(TAIL)..].join("\n");
        eprintln!(
            "{} said last:\n{said}\nand to stderr:\n{complaints}",
            self.name
        );
    }
}
