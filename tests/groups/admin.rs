//! What the clients' own administrative calls say of a group with members and without, and do to it.
//!
//! The sessions are those of `tests/clients`, whose lines are described there.

use crate::common::conversation::Conversation;
use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::server::Server;
use crate::common::{now_ms, skipped, tests_dir};
use crate::group::{Group, Place};

use chronikd::proto::batch::BatchBuilder;

/// The ends of the topic's partitions.
const ENDS: [i64; 2] = [12, 8];

/// A client that knows groups from outside.
struct Admin {
    /// The name of the client whose members the group has, too.
    name: &'static str,
    program: Program,
    /// Computes how far a group is behind.
    tells_lag: bool,
    /// Takes a single offset of a group away.
    forgets: bool,
    /// Puts a group back to the beginning.
    resets: bool,
}

const ADMINS: &[Admin] = &[
    Admin {
        name: "kafkajs_2",
        program: Program::Node("kafkajs.js", "kafkajs-2"),
        tells_lag: true,
        forgets: false,
        resets: true,
    },
    Admin {
        name: "sarama",
        program: Program::Go("sarama", "session"),
        tells_lag: true,
        forgets: true,
        resets: false,
    },
    Admin {
        name: "kafka_go",
        program: Program::Go("kafka-go", "session"),
        tells_lag: false,
        forgets: true,
        resets: false,
    },
    Admin {
        name: "franz_go",
        program: Program::Go("franz-go", "session"),
        tells_lag: true,
        forgets: true,
        resets: false,
    },
];

/// Runs the calls of one client.
pub(crate) fn run(name: &str) {
    let admin = ADMINS.iter().find(|admin| admin.name == name);
    let admin = admin.expect("a client of the table");
    match admin.program.command(&tests_dir().join("clients")) {
        Ok(mut command) => {
            let server = Server::start(&[]);
            command.arg(server.address());
            let conversation = Conversation::start(admin.name, command);
            Bench::new(&server, admin, conversation).run();
        }
        Err(why) => skipped(admin.name, &why),
    }
}

struct Bench {
    admin: &'static Admin,
    conversation: Conversation,
    group: Group,
    /// The words that name the group and its topic.
    names: String,
}

impl Bench {
    fn new(server: &Server, admin: &'static Admin, conversation: Conversation) -> Bench {
        let topic = server.topic(&format!("{}-admin", admin.name));
        fill(server, &topic);
        let place = Place {
            address: &server.address(),
            topic: &topic,
            partition_count: ENDS.len(),
        };
        let client = crate::named(admin.name);
        let group = Group::new(&topic, &place, vec![client], client.assignors[0]);
        Bench {
            admin,
            conversation,
            names: format!("group={} topic={topic}", group.name),
            group,
        }
    }

    fn run(mut self) {
        self.a_group_with_members_is_described_and_left_alone();
        self.an_empty_group_is_put_elsewhere();
        self.offsets_and_groups_are_deleted();
    }

    fn ask(&mut self, verb: &str, further: &str) -> Vec<String> {
        let line = format!("{verb} {} {further}", self.names);
        self.conversation.ask(&line)
    }

    /// Why something is refused, in small letters without what divides words.
    fn refusal(&mut self, verb: &str, further: &str) -> String {
        let line = format!("{verb} {} {further}", self.names);
        let refused = self.conversation.attempt(&line).expect_err(&line);
        refused.to_lowercase().replace([' ', '_'], "")
    }

    fn assert_committed(&mut self, offsets: &[(usize, i64)]) {
        let fact = |verb: &str, partition, number| format!("{verb} {partition} {number}");
        let committed: Vec<String> = offsets
            .iter()
            .map(|(partition, offset)| fact("committed", partition, *offset))
            .collect();
        assert_eq!(self.ask("committed", ""), committed, "{}", self.admin.name);
        if self.admin.tells_lag {
            let lags: Vec<String> = offsets
                .iter()
                .map(|(partition, offset)| fact("lag", partition, ENDS[*partition] - offset))
                .collect();
            assert_eq!(self.ask("lag", ""), lags, "{}", self.admin.name);
        }
    }

    fn is_listed(&mut self) -> bool {
        let listed = self.ask("groups", "");
        listed.contains(&format!("group {}", self.group.name))
    }

    fn a_group_with_members_is_described_and_left_alone(&mut self) {
        self.group.join(None);
        self.group.join(None);
        self.group.settle();
        self.group.catch_up(&ENDS);
        assert!(self.is_listed());
        let told = self.ask("group", "");
        assert_eq!(told, ["state Stable", "member 0", "member 1"]);
        self.assert_committed(&[(0, ENDS[0]), (1, ENDS[1])]);
        let why = self.refusal("dissolve", "");
        assert!(
            why.contains("notempty") || why.contains("nonempty"),
            "{why}"
        );
        self.refusal("commit", "partition=0 offset=1");
        if self.admin.forgets {
            let why = self.refusal("forget", "partition=0");
            assert!(why.contains("subscribed"), "{why}");
        }
        self.assert_committed(&[(0, ENDS[0]), (1, ENDS[1])]);
        self.group.leave(0);
        self.group.leave(1);
        assert_eq!(self.ask("group", ""), ["state Empty"]);
    }

    fn an_empty_group_is_put_elsewhere(&mut self) {
        self.ask("commit", "partition=0 offset=3");
        self.assert_committed(&[(0, 3), (1, ENDS[1])]);
        if self.admin.resets {
            self.ask("reset", "");
            self.assert_committed(&[(0, 0), (1, 0)]);
        }
    }

    fn offsets_and_groups_are_deleted(&mut self) {
        if self.admin.forgets {
            self.ask("forget", "partition=0");
            self.assert_committed(&[(1, ENDS[1])]);
        }
        self.ask("dissolve", "");
        assert!(!self.is_listed());
        let why = self.refusal("dissolve", "");
        assert!(why.contains("notfound") || why.contains("exist"), "{why}");
    }
}

fn fill(server: &Server, topic: &str) {
    let mut control = Kafka::connect(server.port()).expect("a connection");
    control.create(topic, ENDS.len() as i32, &[]);
    server.settle();
    for (partition, end) in (0..).zip(ENDS) {
        let mut builder = BatchBuilder::new(0);
        for _ in 0..end {
            builder.push(now_ms(), None, Some(b"value"));
        }
        let batch = builder.build(None).expect("a small batch");
        control.produce(topic, partition, -1, &batch).expect("sent");
        assert_eq!(control.acked().expect("an answer").error.0, 0);
    }
}
