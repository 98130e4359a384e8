//! Kafka's own tools, line by line to both brokers.
//!
//! A script is text: `+ tool arguments` does something, once; `? tool arguments` asks for something, and again while
//! the two disagree, for Kafka answers before all of it has heard of a change. The broker's address goes in front of
//! the arguments, and `PLANS` is the folder of the files that some tools read. What begins with `#` is a comment.

use std::time::{Duration, Instant};

use crate::common::tests_dir;
use crate::common::tools::Tools;
use crate::pair::Pair;
use crate::plain::{Plain, difference};

/// What is played, in this order: later ones use topics of the earlier ones.
const SCRIPTS: &[(&str, &str)] = &[
    ("topics", include_str!("scripts/topics.txt")),
    ("configs", include_str!("scripts/configs.txt")),
    ("records", include_str!("scripts/records.txt")),
    ("partitions", include_str!("scripts/partitions.txt")),
    ("cluster", include_str!("scripts/cluster.txt")),
];

/// The tools: their names here, and their classes in 4.3 and 3.9.
const TOOLS: &[(&str, [&str; 2])] = &[
    ("topics", ["org.apache.kafka.tools.TopicCommand"; 2]),
    ("configs", ["kafka.admin.ConfigCommand"; 2]),
    (
        "metrics",
        ["org.apache.kafka.tools.ClientMetricsCommand"; 2],
    ),
    (
        "delete-records",
        ["org.apache.kafka.tools.DeleteRecordsCommand"; 2],
    ),
    ("offsets", ["org.apache.kafka.tools.GetOffsetShell"; 2]),
    ("log-dirs", ["org.apache.kafka.tools.LogDirsCommand"; 2]),
    ("elect", ["org.apache.kafka.tools.LeaderElectionCommand"; 2]),
    (
        "reassign",
        ["org.apache.kafka.tools.reassign.ReassignPartitionsCommand"; 2],
    ),
    (
        "quorum",
        ["org.apache.kafka.tools.MetadataQuorumCommand"; 2],
    ),
    (
        "features",
        [
            "org.apache.kafka.tools.FeatureCommand",
            "kafka.admin.FeatureCommand",
        ],
    ),
    (
        "versions",
        [
            "org.apache.kafka.tools.BrokerApiVersionsCommand",
            "kafka.admin.BrokerApiVersionsCommand",
        ],
    ),
];

/// Releases of the tools.
const TOOLCHAINS: [&str; 2] = ["kafka-4.3", "kafka-3.9"];
/// Longer than Kafka takes to tell itself of a change.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plays everything with the tools of both releases, and answers what the brokers disagree about.
pub(crate) fn run(pair: &Pair) -> Vec<String> {
    let mut differences = Vec::new();
    for (release, toolchain) in TOOLCHAINS.into_iter().enumerate() {
        let mut play = Play {
            tools: Tools::of(toolchain),
            release,
            addresses: pair.addresses(),
            plain: Plain::new(),
        };
        for (name, script) in SCRIPTS {
            let differ = |line| play.differ(line);
            let differs = script.lines().filter_map(differ);
            differences.extend(differs.map(|it| format!("{name} [{toolchain}] {it}")));
        }
    }
    differences
}

struct Play {
    tools: Tools,
    /// Index of `TOOLCHAINS`.
    release: usize,
    /// Ours and theirs.
    addresses: [String; 2],
    plain: Plain,
}

impl Play {
    /// Plays a line, and answers what is different.
    fn differ(&mut self, line: &str) -> Option<String> {
        let began = Instant::now();
        let (mark, command) = line.split_once(' ')?;
        let again = match mark {
            "+" => false,
            "?" => true,
            "#" => return None,
            other => panic!("{other} begins no line of a script"),
        };
        loop {
            let [ours, theirs] = [0, 1].map(|side| self.say(side, command));
            let difference = difference(command, &self.plain.both(&ours, &theirs));
            if difference.is_none() || !again || began.elapsed() > PATIENCE {
                return difference;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn say(&mut self, side: usize, command: &str) -> Vec<String> {
        let (tool, arguments) = command.split_once(' ').unwrap_or((command, ""));
        let row = TOOLS.iter().find(|row| row.0 == tool);
        let row = row.unwrap_or_else(|| panic!("{tool} is no tool"));
        let class = row.1[self.release];
        let plans = tests_dir().join("admin/scripts/plans");
        let arguments = arguments.replace("PLANS", &plans.display().to_string());
        let address = &self.addresses[side];
        self.tools
            .run(&format!("{class} --bootstrap-server {address} {arguments}"))
    }
}
