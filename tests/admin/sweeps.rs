//! The administrative calls of clients, each of them made to both brokers.
//!
//! ```text
//! topics | settings | cluster     -> a line for each call: its name, and what it has answered or failed with
//! ```
//!
//! A program is given the broker's address and what the names of its topics begin with.

use crate::common::conversation::Conversation;
use crate::common::program::Program;
use crate::common::{skipped, tests_dir};
use crate::pair::Pair;
use crate::plain::{Plain, difference};

/// A client's name, which its topics begin with, its program, and its verbs.
const SWEEPS: &[(&str, Program, &[&str])] = &[
    ("java-4.3", Program::Java("Sweep", "kafka-clients-4.3"), ALL),
    ("java-3.9", Program::Java("Sweep", "kafka-clients-3.9"), ALL),
    (
        "confluent",
        Program::Venv("confluent.py", "confluent-kafka-2"),
        ALL,
    ),
    (
        "python-3.0",
        Program::Venv("kafka_python.py", "kafka-python-3.0"),
        ALL,
    ),
    (
        "python-2.3",
        Program::Venv("kafka_python.py", "kafka-python-2.3"),
        ALL,
    ),
    ("kafkajs", Program::Node("kafkajs.js", "kafkajs-2"), ALL),
    ("sarama", Program::Go("sarama", "sweep"), ALL),
    ("franz-go", Program::Go("franz-go", "sweep"), ALL),
];

const ALL: &[&str] = &["topics", "settings", "cluster"];

/// Has all clients make their calls, and answers what the brokers disagree about.
pub(crate) fn run(pair: &Pair) -> Vec<String> {
    let plain = Plain::new();
    let mut differences = Vec::new();
    for (name, program, verbs) in SWEEPS {
        if let Err(why) = program.command(&tests_dir().join("admin/programs")) {
            skipped(name, &why);
            continue;
        }
        let told = pair
            .addresses()
            .map(|address| std::thread::spawn(|| tell(name, *program, verbs, address)));
        let [ours, theirs] = told.map(|told| told.join().expect("a program that answers"));
        for ((verb, ours), theirs) in verbs.iter().zip(ours).zip(theirs) {
            let what = format!("{name} {verb}");
            differences.extend(difference(&what, &plain.both(&ours, &theirs)));
        }
    }
    differences
}

/// What a client tells of a broker, by its verbs.
fn tell(name: &'static str, program: Program, verbs: &[&str], address: String) -> Vec<Vec<String>> {
    let command = program.command(&tests_dir().join("admin/programs"));
    let mut command = command.expect("what run() has found");
    command.args([&address, name]);
    let mut conversation = Conversation::start(name, command);
    verbs.iter().map(|verb| conversation.ask(verb)).collect()
}
