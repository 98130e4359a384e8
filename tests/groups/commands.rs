//! Kafka's own `kafka-consumer-groups` on a group with members and without.
//!
//! The topic has two partitions of known ends, and records of known times: those in the first half of each
//! partition are a minute apart from `THEN` on, and those in the second half an hour from `RECENT_MS` ago on.

use crate::client::Client;
use crate::common::kafka::Kafka;
use crate::common::server::Server;
use crate::common::tools::{Tools, by_partition, table};
use crate::common::{now_ms, skipped};
use crate::group::{Group, Place};

use chronikd::proto::batch::BatchBuilder;

/// The ends of the partitions.
const ENDS: [i64; 2] = [40, 20];
/// 2020-01-01T00:00:00Z, in milliseconds since 1970.
const THEN: i64 = 1_577_836_800_000;
/// Not a whole number of hours, so that the slowest test finds the same records.
const RECENT_MS: i64 = 20 * HOUR_MS - HOUR_MS / 2;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Where a group stands before each reset.
const HERE: [i64; 2] = [10, 10];

/// Options of a reset, and where they lead a group that stands at `HERE`.
const RESETS: &[(&str, [i64; 2])] = &[
    ("--to-earliest", [0, 0]),
    ("--to-latest", ENDS),
    ("--to-current", HERE),
    ("--to-offset 15", [15, 15]),
    // What is out of range ends at the end.
    ("--to-offset 1000", ENDS),
    ("--shift-by 5", [15, 15]),
    ("--shift-by -3", [7, 7]),
    ("--shift-by 15", [25, 20]),
    ("--shift-by -100", [0, 0]),
    ("--to-datetime 2020-01-01T00:05:00.000", [5, 5]),
    ("--to-datetime 2019-01-01T00:00:00.000", [0, 0]),
    // Nothing in partition 1 is so new.
    ("--by-duration PT10H", [30, 20]),
    ("--by-duration PT100000H", [0, 0]),
];

/// The whole test.
pub(crate) fn run() {
    let client = crate::named("kafka_clients_4_3");
    if let Err(why) = client.command().map(drop).and(Tools::is_here()) {
        return skipped("kafka-consumer-groups", &why);
    }
    let mut bench = Bench::new(client);
    bench.a_group_with_members_is_described_and_left_alone();
    bench.offsets_are_reset();
    bench.offsets_are_exported_and_taken_from_a_file();
    bench.a_member_begins_where_it_was_put();
    bench.offsets_and_groups_are_deleted();
}

struct Bench {
    tools: Tools,
    group: Group,
    client: &'static Client,
    topic: String,
    server: Server,
}

impl Bench {
    fn new(client: &'static Client) -> Bench {
        let server = Server::start(&[]);
        let topic = server.topic("commands");
        fill(&server, &topic);
        Bench {
            tools: Tools::start(),
            group: group(&server, &topic, client),
            client,
            topic,
            server,
        }
    }

    /// What the tool says to these options, about this group.
    fn say(&mut self, options: &str) -> Vec<String> {
        let arguments = format!("{options} --group {}", self.group.name);
        self.tools.groups(&self.server.address(), &arguments)
    }

    /// Where the tool shows the group.
    fn committed(&mut self) -> Vec<Option<i64>> {
        let address = self.server.address();
        self.tools
            .column(&address, &self.group.name, "CURRENT-OFFSET")
    }

    fn reset(&mut self, options: &str) -> Vec<String> {
        let topic = self.topic.clone();
        self.say(&format!("--reset-offsets --topic {topic} {options}"))
    }

    fn assert_listed(&mut self, state: &str) {
        let address = self.server.address();
        let names = self.tools.groups(&address, "--list");
        assert!(names.contains(&self.group.name), "{names:?}");
        let told = self.tools.groups(&address, "--list --state");
        let rows = table(&told);
        let row = rows.iter().find(|row| row.text("GROUP") == self.group.name);
        assert_eq!(row.map(|row| row.text("STATE")), Some(state), "{told:?}");
        let told = self
            .tools
            .groups(&address, &format!("--list --state {state}"));
        assert!(told.iter().any(|line| line.starts_with(&self.group.name)));
    }

    fn a_group_with_members_is_described_and_left_alone(&mut self) {
        self.group.join(None);
        self.group.join(None);
        self.group.settle();
        self.group.catch_up(&ENDS);
        self.assert_listed("Stable");
        self.state_members_and_offsets_are_shown();
        let topic = self.topic.clone();
        let refused = [
            ("--delete".to_owned(), "GroupNotEmptyException"),
            (
                format!("--reset-offsets --to-earliest --execute --topic {topic}"),
                "the current state is Stable",
            ),
            (
                format!("--delete-offsets --topic {topic}"),
                "GroupSubscribedToTopicException",
            ),
        ];
        for (options, why) in refused {
            let told = self.say(&options);
            assert!(
                told.iter().any(|line| line.contains(why)),
                "{options}: {told:?}"
            );
        }
        assert_eq!(self.committed(), ENDS.map(Some));
        self.group.leave(0);
        self.group.leave(1);
        self.assert_listed("Empty");
        let told = self.say("--describe --state");
        assert_eq!(table(&told)[0].text("#MEMBERS"), "0", "{told:?}");
    }

    fn state_members_and_offsets_are_shown(&mut self) {
        let told = self.say("--describe --state");
        let rows = table(&told);
        let columns = [
            "COORDINATOR_(ID)",
            "ASSIGNMENT-STRATEGY",
            "STATE",
            "#MEMBERS",
        ];
        let coordinator = format!("{}_(1)", self.server.address());
        let shown = columns.map(|column| rows[0].text(column));
        assert_eq!(shown, [&coordinator, "range", "Stable", "2"], "{told:?}");
        let told = self.say("--describe --members --verbose");
        let rows = table(&told);
        let mut assigned: Vec<&str> = rows
            .iter()
            .map(|row| row.text("CURRENT-ASSIGNMENT"))
            .collect();
        assigned.sort_unstable();
        assert_eq!(
            assigned,
            [format!("{}:0", self.topic), format!("{}:1", self.topic)]
        );
        assert!(
            rows.iter().all(|row| row.text("HOST") == "/127.0.0.1"),
            "{told:?}"
        );
        assert!(
            rows.iter().all(|row| row.text("#PARTITIONS") == "1"),
            "{told:?}"
        );
        let told = self.say("--describe --offsets");
        assert_eq!(by_partition(&told, "CURRENT-OFFSET"), ENDS.map(Some));
        assert_eq!(by_partition(&told, "LOG-END-OFFSET"), ENDS.map(Some));
        assert_eq!(by_partition(&told, "LAG"), [Some(0), Some(0)]);
        let prefix = format!("consumer-{}-1-", self.group.name);
        assert!(
            table(&told)
                .iter()
                .all(|row| row.text("CONSUMER-ID").starts_with(&prefix)),
            "{told:?}"
        );
    }

    fn offsets_are_reset(&mut self) {
        for (option, expected) in RESETS {
            let expected = expected.map(Some);
            self.reset("--to-offset 10 --execute");
            let told = self.reset(&format!("{option} --dry-run"));
            assert_eq!(by_partition(&told, "NEW-OFFSET"), expected, "{option}");
            assert_eq!(self.committed(), HERE.map(Some), "{option} was tried only");
            let told = self.reset(&format!("{option} --execute"));
            assert_eq!(by_partition(&told, "NEW-OFFSET"), expected, "{option}");
            assert_eq!(self.committed(), expected, "{option}");
        }
        self.one_partition_is_reset();
    }

    fn one_partition_is_reset(&mut self) {
        self.reset("--to-offset 10 --execute");
        let one = format!("{}:1", self.topic);
        self.say(&format!(
            "--reset-offsets --topic {one} --to-latest --execute"
        ));
        assert_eq!(self.committed(), [Some(HERE[0]), Some(ENDS[1])]);
    }

    fn offsets_are_exported_and_taken_from_a_file(&mut self) {
        let mut told = self.say("--reset-offsets --all-topics --to-current --export --dry-run");
        told.sort();
        let line = |partition: usize, offset: i64| format!("{},{partition},{offset}", self.topic);
        assert_eq!(told, [line(0, HERE[0]), line(1, ENDS[1])]);
        let dir = crate::common::dir::Dir::new();
        let file = dir.join("offsets.csv");
        let plan = [line(0, 3), line(1, 4)].join("\n");
        std::fs::write(&file, plan + "\n").expect("a file of offsets");
        let from = format!("--from-file {}", file.display());
        self.say(&format!("--reset-offsets {from} --execute"));
        assert_eq!(self.committed(), [Some(3), Some(4)]);
    }

    fn a_member_begins_where_it_was_put(&mut self) {
        let name = self.group.name.clone();
        self.group = group(&self.server, &self.topic, self.client);
        assert_eq!(self.group.name, name);
        self.group.join(None);
        self.group.catch_up(&ENDS);
        let firsts = [0, 1].map(|partition| {
            let processed = self.group.book.processed(partition);
            processed.first_key_value().map(|first| *first.0)
        });
        assert_eq!(firsts, [Some(3), Some(4)]);
        self.group.leave(0);
    }

    fn offsets_and_groups_are_deleted(&mut self) {
        let topic = self.topic.clone();
        let told = self.say(&format!("--delete-offsets --topic {topic}:0"));
        assert_eq!(table(&told)[0].text("STATUS"), "Successful", "{told:?}");
        assert_eq!(self.committed(), [Some(ENDS[1])], "partition 1 alone");
        let told = self.say("--delete");
        assert!(told[0].ends_with("was successful."), "{told:?}");
        let names = self.tools.groups(&self.server.address(), "--list");
        assert!(!names.contains(&self.group.name), "{names:?}");
        let told = self.say("--delete");
        assert!(
            told.concat().contains("GroupIdNotFoundException"),
            "{told:?}"
        );
    }
}

fn group(server: &Server, topic: &str, client: &'static Client) -> Group {
    let place = Place {
        address: &server.address(),
        topic,
        partition_count: ENDS.len(),
    };
    Group::new(topic, &place, vec![client], "range")
}

fn fill(server: &Server, topic: &str) {
    let mut control = Kafka::connect(server.port()).expect("a connection");
    control.create(topic, ENDS.len() as i32, &[("retention.ms", "-1")]);
    server.settle();
    let recent = now_ms() - RECENT_MS;
    for (partition, end) in (0..).zip(ENDS) {
        let mut builder = BatchBuilder::new(0);
        for (start, apart) in [(THEN, MINUTE_MS), (recent, HOUR_MS)] {
            for i in 0..end / 2 {
                builder.push(start + i * apart, None, Some(b"value"));
            }
        }
        let batch = builder.build(None).expect("a small batch");
        control.produce(topic, partition, -1, &batch).expect("sent");
        let acked = control.acked().expect("an answer");
        assert_eq!(
            (acked.error.0, acked.base_offset),
            (0, 0),
            "partition {partition}"
        );
    }
}
