//! A conversation with one client's program over its stdin and stdout.
//!
//! A line is a verb and words of `name=value`; the program answers facts, one a line, and then `ok`, or
//! `failed` and a sentence. The verbs, with optional words in brackets:
//!
//! ```text
//! cluster                                             -> cluster ID NODES
//! create topic= [partitions=] [config=NAME:VALUE,..]
//! delete topic=
//! describe topic=                                     -> partition NUMBER          (one for each, ascending)
//! produce topic= first= count= [partition=] [codec=] [acks=] [idempotent=1] [headers=NAME,..] [ts=BASE]
//!         [size=] [keep=1]                            -> sent I OFFSET             (kcat tells nothing)
//! consume topic= from=OFFSET|earliest|latest|@MS count= [partition=] [patience=SECONDS]
//!                                                     -> record PARTITION OFFSET TIMESTAMP KEY VALUE HEADERS
//! offsets topic= [partition=]                         -> offsets EARLIEST LATEST
//! offsets topic= at=MS [partition=]                   -> found OFFSET              (-1: no such record)
//! ```
//!
//! `produce` sends the records `first .. first + count` as `contents` has them, from a producer of its own;
//! with `keep=1` that producer stays for all later lines, whatever they say about it. In a `record` a null is
//! `-`, a key `=text`, a value its length and CRC-32, and a header `name=text` or, when null, `name`.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::client::Client;
use crate::common::talk::Talk;

/// More than any client waits itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running client. It ends when this goes.
pub(crate) struct Session {
    pub(crate) client: &'static Client,
    talk: Talk,
    lines: Receiver<String>,
}

impl Session {
    /// Starts the client, or says what is missing on this machine.
    pub(crate) fn start(client: &'static Client, bootstrap: &str) -> Result<Session, String> {
        let mut command = client.command(bootstrap)?;
        let (sender, lines) = channel();
        let talk = Talk::start(&mut command, move |line| {
            line.is_some_and(|line| sender.send(line.to_owned()).is_ok())
        });
        let talk = talk.map_err(|error| format!("{} does not start: {error}", client.name))?;
        Ok(Session {
            client,
            talk,
            lines,
        })
    }

    /// Has the client do something, and answers its facts.
    ///
    /// # Panics
    /// When it fails or says nothing for long.
    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        match self.attempt(line) {
            Ok(facts) => facts,
            Err(sentence) => panic!("{}: {line}: {sentence}", self.client.name),
        }
    }

    /// Has the client do something that may fail, and answers its facts or its sentence.
    ///
    /// # Panics
    /// When it says nothing for long.
    pub(crate) fn attempt(&mut self, line: &str) -> Result<Vec<String>, String> {
        let name = self.client.name;
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
