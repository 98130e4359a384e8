//! What the groups of one client go through.
//!
//! The groups of a client, one for each way of dividing partitions, take the same steps side by side, because most
//! of it is waiting: for the session of a killed member to end, above all.

use std::collections::BTreeMap;

use crate::client::{self, Client};
use crate::common::kafka::Kafka;
use crate::common::server::Server;
use crate::common::skipped;
use crate::common::tools::Tools;
use crate::feeder::{Acked, Feeder};
use crate::group::{Group, Place};

/// Enough for five members, and for unequal shares.
const PARTITIONS: usize = 6;

/// Runs the whole story of one client.
pub(crate) fn run(client: &'static Client) {
    let missing = client.command().map(drop).and(Tools::is_here());
    if let Err(why) = missing {
        return skipped(client.name, &why);
    }
    let casts = client
        .assignors
        .iter()
        .map(|assignor| (vec![client], *assignor));
    let mut stage = Stage::new(client.name, casts.collect());
    stage.members_come_and_go();
    if client.static_members {
        stage.a_static_member_is_restarted(client);
    }
    stage.everything_was_processed();
}

/// Runs the story of one group whose members are different clients.
pub(crate) fn mixed() {
    let cast: Vec<&Client> = client::MIXED
        .iter()
        .map(|name| crate::named(name))
        .collect();
    let missing = cast
        .iter()
        .try_for_each(|client| client.command().map(drop));
    if let Err(why) = missing.and(Tools::is_here()) {
        return skipped("a group of many languages", &why);
    }
    let mut stage = Stage::new("mixed", vec![(cast, "range")]);
    stage.members_come_and_go();
    stage.everything_was_processed();
}

/// A broker, a topic that grows, and the groups that read it.
struct Stage {
    // In this order: who talks to the broker ends before it does.
    groups: Vec<Group>,
    feeder: Feeder,
    topic: String,
    server: Server,
}

impl Stage {
    fn new(name: &str, casts: Vec<(Vec<&'static Client>, &'static str)>) -> Stage {
        let server = Server::start(&[]);
        let topic = server.topic(name);
        let mut control = Kafka::connect(server.port()).expect("a connection");
        control.create(&topic, PARTITIONS as i32, &[]);
        server.settle();
        let mut stage = Stage {
            groups: Vec::new(),
            feeder: Feeder::start(server.port(), &topic, PARTITIONS),
            topic,
            server,
        };
        for (cast, assignor) in casts {
            let group = stage.group(assignor, cast, assignor);
            stage.groups.push(group);
        }
        stage
    }

    fn group(&self, name: &str, cast: Vec<&'static Client>, assignor: &'static str) -> Group {
        let place = Place {
            address: &self.server.address(),
            topic: &self.topic,
            partition_count: PARTITIONS,
        };
        Group::new(&format!("{}-{name}", self.topic), &place, cast, assignor)
    }

    /// Two members, three, two after a kill, another death of the broker, five, four.
    fn members_come_and_go(&mut self) {
        self.step(|group| {
            group.join(None);
            group.join(None);
        });
        self.step(|group| {
            group.join(None);
        });
        self.a_member_and_the_broker_die();
        self.the_broker_dies_and_the_groups_go_on();
        self.step(|group| {
            for _ in 0..3 {
                group.join(None);
            }
        });
        self.step(|group| group.leave(0));
    }

    /// Does something with each group, and waits until each has shared the partitions anew and goes on.
    fn step(&mut self, act: impl Fn(&mut Group)) {
        self.groups.iter_mut().for_each(act);
        self.groups.iter_mut().for_each(Group::settle);
        self.go_on();
    }

    fn go_on(&mut self) {
        let ends = self.feeder.grow();
        for group in &mut self.groups {
            group.catch_up(&ends);
        }
    }

    /// The broker that comes back has never heard the dead member, and does not wait for it for ever.
    fn a_member_and_the_broker_die(&mut self) {
        self.groups.iter_mut().for_each(|group| group.kill(1));
        self.server.crash();
        self.step(|_| {});
    }

    /// A stable group has no rebalance when the broker comes back: nobody tells of a change, unless the client itself
    /// joins anew.
    fn the_broker_dies_and_the_groups_go_on(&mut self) {
        let before: Vec<_> = self.groups.iter().map(Group::shares).collect();
        self.server.crash();
        self.go_on();
        if self.groups.iter().any(Group::rejoins) {
            return self.step(|_| {});
        }
        let after: Vec<_> = self.groups.iter().map(Group::shares).collect();
        assert_eq!(before, after, "the groups were divided anew");
    }

    /// Who comes back under its instance id within the session timeout has its partitions, and nobody else notices;
    /// nor does it matter that the broker was away meanwhile.
    fn a_static_member_is_restarted(&mut self, client: &'static Client) {
        let mut group = self.group("static", vec![client], client.assignors[0]);
        let first = group.join(Some("first"));
        let second = group.join(Some("second"));
        group.settle();
        group.catch_up(&self.feeder.grow());
        let before = [first, second].map(|number| group.book.assigned(number));
        group.kill(first);
        self.server.crash();
        let again = group.join(Some("first"));
        group.settle();
        group.catch_up(&self.feeder.grow());
        assert_eq!(
            group.book.assigned(again).0,
            before[0].0,
            "the same partitions"
        );
        assert_eq!(group.book.assigned(second), before[1], "it noticed nothing");
        self.groups.push(group);
    }

    /// What the log holds in the end is what was acknowledged, and what each group has processed; the lag is 0.
    fn everything_was_processed(mut self) {
        let mut tools = Tools::start();
        let acked = self.feeder.stop();
        let log = read_log(&self.server, &self.topic, PARTITIONS);
        assert_contains(&log, &acked);
        let ends: Vec<i64> = log.iter().map(|records| records.len() as i64).collect();
        for group in &mut self.groups {
            group.catch_up(&ends);
            for (partition, records) in (0..).zip(&log) {
                let name = &group.name;
                let processed = group.book.processed(partition);
                assert_eq!(&processed, records, "{name}: partition {partition}");
            }
            let lags = tools.column(&self.server.address(), &group.name, "LAG");
            assert_eq!(lags, [Some(0); PARTITIONS], "{}", group.name);
        }
    }
}

/// The values of all records, by partition and offset.
pub(crate) fn read_log(server: &Server, topic: &str, partition_count: usize) -> Acked {
    let mut connection = Kafka::connect(server.port()).expect("a connection");
    let mut read = |partition| {
        let records = connection
            .read_all(topic, partition)
            .expect("a readable log");
        let values = records.into_iter().map(|record| {
            let value = String::from_utf8(record.value.unwrap_or_default()).expect("text");
            (record.offset, value)
        });
        values.collect::<BTreeMap<i64, String>>()
    };
    (0..partition_count as i32).map(&mut read).collect()
}

/// Everything that was acknowledged is in the log, where its producer was told.
pub(crate) fn assert_contains(log: &Acked, acked: &Acked) {
    for (log, acked) in log.iter().zip(acked) {
        for (offset, value) in acked {
            assert_eq!(log.get(offset), Some(value), "acknowledged at {offset}");
        }
    }
}
