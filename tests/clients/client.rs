//! The table of clients: how each is started, and what it can do.

use std::process::Command;

use crate::common::program::Program;
use crate::common::tests_dir;

/// What a client sends as the timestamps of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// The ones it is given.
    Given,
    /// Its own clock's; it cannot be told.
    Clock,
    /// None: message format 0 has no place for them.
    None,
}

/// One client in one version.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its test's name.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// The version of Kafka that it is told to assume, without asking.
    pub(crate) assumed: Option<&'static str>,
    /// The compressions that it knows, both ways.
    pub(crate) codecs: &'static [&'static str],
    /// The values of acks that work in it.
    pub(crate) acks: &'static [&'static str],
    /// Has an idempotent producer.
    pub(crate) idempotent: bool,
    /// The headers that it can send, of those that `contents` knows.
    pub(crate) headers: &'static [&'static str],
    /// Shows headers and, unless its stamps are `None`, timestamps of what it reads.
    pub(crate) shows_headers: bool,
    /// Tells a header that is empty from one that is null.
    pub(crate) tells_empty: bool,
    pub(crate) stamps: Stamps,
    /// Creates, configures and deletes topics; the others have the broker create them.
    pub(crate) admin: bool,
    /// Finds offsets by time.
    pub(crate) finds_times: bool,
    /// Tells the offsets of what it sent.
    pub(crate) tells_offsets: bool,
}

const ALL_CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];
const OLD_CODECS: &[&str] = &["none", "gzip", "snappy", "lz4"];
const ALL_ACKS: &[&str] = &["0", "1", "all"];
/// kafka-python 2.3 never sends what it was given with acks=0, to no broker.
const SOME_ACKS: &[&str] = &["1", "all"];
const ALL_HEADERS: &[&str] = &["topic", "empty", "null"];
const SOME_HEADERS: &[&str] = &["topic", "empty"];

const NEW: Client = Client {
    name: "",
    program: Program::System("", ""),
    assumed: None,
    codecs: ALL_CODECS,
    acks: ALL_ACKS,
    idempotent: true,
    headers: ALL_HEADERS,
    shows_headers: true,
    tells_empty: true,
    stamps: Stamps::Given,
    admin: true,
    finds_times: true,
    tells_offsets: true,
};

const OLD: Client = Client {
    codecs: OLD_CODECS,
    acks: SOME_ACKS,
    idempotent: false,
    headers: &[],
    shows_headers: false,
    admin: false,
    finds_times: false,
    ..NEW
};

/// All of them.
pub(crate) const CLIENTS: &[Client] = &[
    Client {
        name: "kcat",
        program: Program::System("kcat.py", "kcat"),
        stamps: Stamps::Clock,
        admin: false,
        tells_offsets: false,
        ..NEW
    },
    Client {
        name: "kafka_python_3_0",
        program: Program::Venv("kafka_python.py", "kafka-python-3.0"),
        headers: SOME_HEADERS,
        ..NEW
    },
    Client {
        name: "kafka_python_2_3",
        program: Program::Venv("kafka_python.py", "kafka-python-2.3"),
        acks: SOME_ACKS,
        headers: SOME_HEADERS,
        ..NEW
    },
    Client {
        name: "kafka_python_2_0",
        program: Program::Venv("kafka_python.py", "kafka-python-2.0"),
        idempotent: false,
        headers: SOME_HEADERS,
        ..NEW
    },
    Client {
        name: "kafka_python_as_for_kafka_0_10",
        program: Program::Venv("kafka_python.py", "kafka-python-2.3"),
        assumed: Some("0.10.0"),
        ..OLD
    },
    Client {
        name: "kafka_python_as_for_kafka_0_9",
        program: Program::Venv("kafka_python.py", "kafka-python-2.3"),
        assumed: Some("0.9"),
        stamps: Stamps::None,
        ..OLD
    },
    Client {
        name: "confluent_kafka_2",
        program: Program::Venv("confluent.py", "confluent-kafka-2"),
        ..NEW
    },
    Client {
        name: "kafka_clients_4_3",
        program: Program::Java("Client", "kafka-clients-4.3"),
        ..NEW
    },
    Client {
        name: "kafka_clients_3_9",
        program: Program::Java("Client", "kafka-clients-3.9"),
        ..NEW
    },
    Client {
        name: "kafka_clients_2_8",
        program: Program::Java("Client", "kafka-clients-2.8"),
        ..NEW
    },
    Client {
        name: "kafkajs_2",
        program: Program::Node("kafkajs.js", "kafkajs-2"),
        headers: SOME_HEADERS,
        ..NEW
    },
    Client {
        name: "sarama",
        program: Program::Go("sarama", "session"),
        ..NEW
    },
    Client {
        name: "sarama_as_for_kafka_2_8",
        program: Program::Go("sarama", "session"),
        assumed: Some("2.8.0"),
        ..NEW
    },
    Client {
        name: "kafka_go",
        program: Program::Go("kafka-go", "session"),
        idempotent: false,
        tells_empty: false,
        ..NEW
    },
    Client {
        name: "franz_go",
        program: Program::Go("franz-go", "session"),
        ..NEW
    },
];

impl Client {
    /// The command that starts a session of it, or what is missing on this machine.
    pub(crate) fn command(&self, bootstrap: &str) -> Result<Command, String> {
        let mut command = self.program.command(&tests_dir().join("clients"))?;
        command.arg(bootstrap).args(self.assumed);
        Ok(command)
    }

    /// Knows message format 2, and with it headers and large offsets inside batches.
    pub(crate) fn knows_zstd(&self) -> bool {
        self.codecs.contains(&"zstd")
    }
}
