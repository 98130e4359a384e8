//! A program that answers each line with facts, one a line, and then `ok`, or `failed` and a sentence.

use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::talk::Talk;

/// More than any client waits itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running program. It ends when this goes.
pub struct Conversation {
    name: &'static str,
    talk: Talk,
    lines: Receiver<String>,
}

impl Conversation {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(name: &'static str, mut command: Command) -> Conversation {
        let (sender, lines) = channel();
        let talk = Talk::start(&mut command, move |line| {
            line.is_some_and(|line| sender.send(line.to_owned()).is_ok())
        });
        let talk = talk.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Conversation { name, talk, lines }
    }

    /// Has it do something, and answers its facts.
    ///
    /// # Panics
    /// When it fails or says nothing for long.
    pub fn ask(&mut self, line: &str) -> Vec<String> {
        match self.attempt(line) {
            Ok(facts) => facts,
            Err(sentence) => panic!("{}: {line}: {sentence}", self.name),
        }
    }

    /// Has it do something that may fail, and answers its facts or its sentence.
    ///
    /// # Panics
    /// When it says nothing for long.
    pub fn attempt(&mut self, line: &str) -> Result<Vec<String>, String> {
        let name = self.name;
        let said = self.talk.say(line);
        said.unwrap_or_else(|_| panic!("{name} is gone before {line}"));
        let mut facts = Vec::new();
        loop {
            let said = self.lines.recv_timeout(PATIENCE);
            let said = said.unwrap_or_else(|_| panic!("{name} says nothing to {line}"));
            if said == "ok" {
                return Ok(facts);
            }
            if let Some(sentence) = said.strip_prefix("failed ") {
                return Err(sentence.to_owned());
            }
            facts.push(said);
        }
    }
}
