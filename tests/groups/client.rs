//! The table of clients: how a member of each is started, and what it can do.

use std::process::Command;

use crate::common::program::Program;
use crate::common::tests_dir;

/// One client in one version.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its test's name.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// The ways of dividing partitions that it is tried with; each makes a group of its own.
    pub(crate) assignors: &'static [&'static str],
    /// Has `group.instance.id`.
    pub(crate) static_members: bool,
    /// Joins anew when the broker was away, so that its group is divided once more; the others go on.
    pub(crate) rejoins: bool,
}

const EAGER: &[&str] = &["range"];
const BOTH: &[&str] = &["range", "cooperative-sticky"];

const NEW: Client = Client {
    name: "",
    program: Program::System("", ""),
    assignors: BOTH,
    static_members: true,
    rejoins: false,
};

/// All of them.
pub(crate) const CLIENTS: &[Client] = &[
    Client {
        name: "kafka_python_3_0",
        program: Program::Venv("kafka_python.py", "kafka-python-3.0"),
        ..NEW
    },
    Client {
        name: "kafka_python_2_3",
        program: Program::Venv("kafka_python.py", "kafka-python-2.3"),
        assignors: EAGER,
        ..NEW
    },
    Client {
        name: "kafka_python_2_0",
        program: Program::Venv("kafka_python.py", "kafka-python-2.0"),
        assignors: EAGER,
        static_members: false,
        ..NEW
    },
    Client {
        name: "confluent_kafka_2",
        program: Program::Venv("confluent.py", "confluent-kafka-2"),
        ..NEW
    },
    Client {
        name: "kafka_clients_4_3",
        program: Program::Java("Member", "kafka-clients-4.3"),
        ..NEW
    },
    Client {
        name: "kafka_clients_3_9",
        program: Program::Java("Member", "kafka-clients-3.9"),
        ..NEW
    },
    Client {
        name: "kafka_clients_2_8",
        program: Program::Java("Member", "kafka-clients-2.8"),
        ..NEW
    },
    Client {
        name: "kafkajs_2",
        program: Program::Node("kafkajs.js", "kafkajs-2"),
        assignors: &["roundrobin"],
        static_members: false,
        rejoins: true,
    },
    Client {
        name: "sarama",
        program: Program::Go("sarama", "member"),
        assignors: EAGER,
        ..NEW
    },
    Client {
        name: "kafka_go",
        program: Program::Go("kafka-go", "member"),
        assignors: EAGER,
        static_members: false,
        rejoins: true,
    },
    Client {
        name: "franz_go",
        program: Program::Go("franz-go", "member"),
        ..NEW
    },
];

/// The clients of the group of many languages; all of them know `range`. kafka-go's is another one for all but itself:
/// its subscription says version 1 and ends where version 0 does.
pub(crate) const MIXED: &[&str] = &[
    "kafka_clients_4_3",
    "confluent_kafka_2",
    "kafka_python_3_0",
    "sarama",
    "franz_go",
];

impl Client {
    /// The command that starts a member, without its arguments, or what is missing on this machine.
    pub(crate) fn command(&self) -> Result<Command, String> {
        self.program.command(&tests_dir().join("groups/members"))
    }
}
