//! The table of copiers: programs that read one topic and write another, exactly once, and what they are told.
//!
//! The name of a copier's output is also that of its group and its transactional id. All of them abort at random.

use std::process::{Command, Stdio};

use crate::common::program::Program;
use crate::common::{on_path, tests_dir, toolchain};

const KAFKA: &str = "kafka-4.3";

/// One kind of copier.
pub(crate) struct Copier {
    pub(crate) name: &'static str,
    tool: Tool,
    /// Those that it copies, out of two.
    pub(crate) partitions: &'static [i32],
    /// What it puts before every value.
    pub(crate) mark: &'static str,
}

enum Tool {
    /// Kafka's own `TransactionalMessageCopier`, with these options. It ends when it has copied what was there.
    Kafkas(&'static [&'static str]),
    /// A program of this suite, which ends when its client cannot go on.
    Ours(Program),
}

/// All of them.
pub(crate) const COPIERS: &[Copier] = &[
    Copier {
        name: "kafka-member",
        // The partition has to be there, and means nothing to the member of a group.
        tool: Tool::Kafkas(&[
            "--group-mode",
            "--use-group-metadata",
            "--input-partition=-1",
        ]),
        partitions: &[0, 1],
        mark: "",
    },
    Copier {
        name: "kafka-assigned",
        tool: Tool::Kafkas(&["--input-partition=1"]),
        partitions: &[1],
        mark: "",
    },
    Copier {
        name: "confluent-kafka-2",
        tool: Tool::Ours(Program::Venv("confluent_copier.py", "confluent-kafka-2")),
        partitions: &[0, 1],
        mark: "copy of ",
    },
    Copier {
        name: "kafka-python-3",
        tool: Tool::Ours(Program::Venv("kafka_python_copier.py", "kafka-python-3.0")),
        partitions: &[0, 1],
        mark: "copy of ",
    },
];

impl Copier {
    /// The command that copies from one topic to the other, or what is missing on this machine.
    pub(crate) fn command(
        &self,
        address: &str,
        input: &str,
        output: &str,
    ) -> Result<Command, String> {
        let mut command = match self.tool {
            Tool::Kafkas(options) => kafkas(address, input, output, options)?,
            Tool::Ours(program) => {
                let folder = tests_dir().join("transactions/programs");
                let mut command = program.command(&folder)?;
                command.args([address, input, output]);
                command
            }
        };
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }
}

fn kafkas(address: &str, input: &str, output: &str, options: &[&str]) -> Result<Command, String> {
    on_path("java")?;
    let jars = toolchain(KAFKA)?.join("jars/*");
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(jars)
        .arg("org.apache.kafka.tools.TransactionalMessageCopier")
        .args(["--broker-list", address, "--input-topic", input])
        .args(["--output-topic", output, "--consumer-group", output])
        .args(["--transactional-id", output, "--transaction-size", "7"])
        .arg("--enable-random-aborts")
        .args(options);
    Ok(command)
}
