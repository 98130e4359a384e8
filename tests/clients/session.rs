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

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::client::Client;

/// More than any client waits itself.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running client. It ends when this goes.
pub(crate) struct Session {
    pub(crate) client: &'static Client,
    process: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Session {
    /// Starts the client, or says what is missing on this machine.
    pub(crate) fn start(client: &'static Client, bootstrap: &str) -> Result<Session, String> {
        let mut process = client
            .command(bootstrap)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", client.name))?;
        let stdin = process.stdin.take().expect("a pipe");
        let stdout = process.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Session {
            client,
            process,
            stdin,
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
        writeln!(self.stdin, "{line}").unwrap_or_else(|_| panic!("{name} is gone before {line}"));
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

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
