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
//! Those of `tests/groups/admin.rs`, about the group `group=` in one topic:
//!
//! ```text
//! groups                                              -> group NAME                (one for each, ascending)
//! group group= topic=                                 -> state STATE
//!                                                     -> member PARTITION,..       (one for each, ascending)
//! committed group= topic=                             -> committed PARTITION OFFSET
//! lag group= topic=                                   -> lag PARTITION COUNT
//! commit group= topic= partition= offset=             (for a group without members)
//! reset group= topic=                                 (to the beginning)
//! forget group= topic= partition=                     (its offset)
//! dissolve group=
//! ```
//!
//! `produce` sends the records `first .. first + count` as `contents` has them, from a producer of its own;
//! with `keep=1` that producer stays for all later lines, whatever they say about it. In a `record` a null is
//! `-`, a key `=text`, a value its length and CRC-32, and a header `name=text` or, when null, `name`.

use crate::client::Client;
use crate::common::conversation::Conversation;

/// A running client. It ends when this goes.
pub(crate) struct Session {
    pub(crate) client: &'static Client,
    conversation: Conversation,
}

impl Session {
    /// Starts the client, or says what is missing on this machine.
    pub(crate) fn start(client: &'static Client, bootstrap: &str) -> Result<Session, String> {
        let conversation = Conversation::start(client.name, client.command(bootstrap)?);
        Ok(Session {
            client,
            conversation,
        })
    }

    /// Has the client do something, and answers its facts.
    ///
    /// # Panics
    /// When it fails or says nothing for long.
    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        self.conversation.ask(line)
    }

    /// Has the client do something that may fail, and answers its facts or its sentence.
    ///
    /// # Panics
    /// When it says nothing for long.
    pub(crate) fn attempt(&mut self, line: &str) -> Result<Vec<String>, String> {
        self.conversation.attempt(line)
    }
}
