//! The table of clients, and the lines that their programs answer.
//!
//! A line is a verb and words of `name=value`; the program answers facts, one a line, and then `ok`, or `failed` and
//! a sentence. A program holds several producers, by the name that `as=` gives them:
//!
//! ```text
//! init as=NAME id=TRANSACTIONAL_ID [timeout=MS]       a producer; it ends what its id has left open
//! begin as=NAME
//! send as=NAME topic= partition= values=A,B,.. [time=MS]
//!                                                     sends, and waits until all are acknowledged; only Java
//!                                                     knows times
//! copy as=NAME group= from= into= count= end=commit|abort
//!                                                     begins; a member of the group reads as many records of partition
//!                                                     0, sends them to partition 0 of the other topic, and the
//!                                                     offsets with them; ends; leaves the group
//! join as=NAME group= topic= reads=0|1                a member of the group, once it has a part of the topic, and has
//!                                                     read something; who has joined before goes on reading
//!                                                     meanwhile
//! move as=NAME of=MEMBER                              sends the offset of that member, as the one that it was when it
//!                                                     read its first record
//! leave as=MEMBER
//! commit as=NAME
//! abort as=NAME
//! read topic= partition= until=VALUE                  -> value OFFSET VALUE   (from the beginning, read_committed)
//! ```

use std::process::Command;

use crate::common::program::Program;
use crate::common::tests_dir;

/// One client in one version.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its test's name.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// What its sentence says, one of these, when another instance has taken its transactional id.
    pub(crate) fenced: &'static [&'static str],
    /// What its sentence says when the member whose offset it sends is of an old generation, and when there is no such
    /// member any more; `None` where the program knows no members.
    pub(crate) outdated: Option<[&'static str; 2]>,
    /// Ends a transaction in which nothing was sent without asking the broker, which would refuse to commit it behind
    /// one that was aborted.
    pub(crate) ends_empty: bool,
    /// Leaves out every aborted transaction: of those of one producer in one answer, another one knows only the last.
    pub(crate) tells_aborts: bool,
}

const NEW: Client = Client {
    name: "",
    program: Program::System("", ""),
    fenced: &[],
    outdated: None,
    ends_empty: true,
    tells_aborts: true,
};

/// All of them.
pub(crate) const CLIENTS: &[Client] = &[
    // Transactions of version 2: nothing is added by requests of its own, and every end has an epoch.
    Client {
        name: "kafka_clients_4_3",
        program: Program::Java("Transactor", "kafka-clients-4.3"),
        fenced: &["ProducerFencedException", "InvalidProducerEpochException"],
        outdated: Some(["CommitFailedException"; 2]),
        ..NEW
    },
    // It knows version 1 only.
    Client {
        name: "kafka_clients_3_9",
        program: Program::Java("Transactor", "kafka-clients-3.9"),
        fenced: &["ProducerFencedException", "InvalidProducerEpochException"],
        outdated: Some(["CommitFailedException"; 2]),
        ..NEW
    },
    Client {
        name: "confluent_kafka_2",
        program: Program::Venv("confluent.py", "confluent-kafka-2"),
        fenced: &["_FENCED", "PRODUCER_FENCED"],
        outdated: Some(["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID"]),
        ..NEW
    },
    Client {
        name: "kafka_python_3_0",
        program: Program::Venv("kafka_python.py", "kafka-python-3.0"),
        fenced: &["ProducerFencedError", "InvalidProducerEpochError"],
        ..NEW
    },
    Client {
        name: "kafkajs_2",
        program: Program::Node("kafkajs.js", "kafkajs-2"),
        fenced: &["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"],
        ..NEW
    },
    Client {
        name: "platformatic_kafka_2",
        program: Program::Node("platformatic.js", "platformatic-kafka-2"),
        fenced: &["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"],
        ends_empty: false,
        tells_aborts: false,
        ..NEW
    },
    Client {
        name: "sarama",
        program: Program::Go("sarama", "transactor"),
        // It has no name for PRODUCER_FENCED.
        fenced: &["Error code = 90", "old epoch"],
        ..NEW
    },
    Client {
        name: "franz_go",
        program: Program::Go("franz-go", "transactor"),
        fenced: &["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"],
        ..NEW
    },
];

impl Client {
    /// The command that starts a program of it, or what is missing on this machine.
    pub(crate) fn command(&self, bootstrap: &str) -> Result<Command, String> {
        let folder = tests_dir().join("transactions/programs");
        let mut command = self.program.command(&folder)?;
        command.arg(bootstrap);
        Ok(command)
    }
}
