//! A broker without sockets on a simulated disk, for the tests of this room; and such a broker on a full disk:
//! whatever a request asks for is taken in, however much of the journal it needs.

use super::groups::offsets::Committed;
use super::{Broker, Seeds, Worked};
use crate::clock::{Mono, Now};
use crate::config::BrokerConfig;
use crate::disk::lanes::{Inline, Lanes};
use crate::disk::read_all;
use crate::disk::sim::SimDisk;
use crate::proto::Uuid;
use crate::storage::PartitionId;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) const ROOT: &str = "/data";
pub(super) const NOW: Now = Now {
    mono: Mono(0),
    wall_ms: 1_700_000_000_000,
};
pub(super) const SEEDS: Seeds = Seeds {
    ids: 7,
    salt: 8,
    keys: 9,
};
const TOPIC: Uuid = Uuid([1; 16]);
const GROUPS: usize = 300;
const PARTITIONS: i32 = 100;

/// A broker and its lanes, which work when the test lets them.
pub(super) struct Life {
    pub(super) disk: SimDisk,
    pub(super) broker: Broker,
    lanes: Inline<Worked>,
}

impl Life {
    pub(super) fn new() -> Life {
        Life::start(SimDisk::new(1, Path::new(ROOT)))
    }

    pub(super) fn start(disk: SimDisk) -> Life {
        let config = Arc::new(BrokerConfig::default());
        let shared = Arc::new(disk.clone());
        let root = Path::new(ROOT);
        let broker = Broker::open(shared.clone(), root, config, SEEDS, NOW).expect("it opens");
        let lanes = Inline::new(shared, root);
        Life {
            disk,
            broker,
            lanes,
        }
    }

    /// Ends without a clean stop and starts again.
    pub(super) fn restart(self) -> Life {
        self.disk.kill();
        Life::start(self.disk)
    }

    /// Turns without requests, until there is nothing more to do. Answers the rounds that were started.
    pub(super) fn run(&mut self, now: Now) -> Vec<u64> {
        let mut rounds = Vec::new();
        loop {
            self.broker.tick(now);
            let jobs = self.broker.take_jobs();
            let round = self.broker.start_round().expect("the disk is only full");
            if jobs.is_empty() && round.is_none() {
                return rounds;
            }
            jobs.into_iter().for_each(|job| self.lanes.work(job));
            rounds.extend(round.as_ref().map(|round| round.number));
            round.into_iter().for_each(|round| self.lanes.sync(round));
            for done in self.lanes.completed() {
                self.broker
                    .absorb(now, done)
                    .expect("the disk is only full");
            }
        }
    }

    /// Every group commits an offset for every partition of `topic`.
    fn commit_offsets(&mut self, topic: Uuid) {
        let committed = |offset: i32| Committed {
            offset: offset.into(),
            leader_epoch: 0,
            metadata: "".into(),
            commit_timestamp_ms: NOW.wall_ms,
            expire_timestamp_ms: None,
            order: 0,
        };
        for group in 0..GROUPS {
            let all = (0..PARTITIONS).map(|partition| {
                let at = PartitionId { topic, partition };
                (at, committed(partition))
            });
            self.broker
                .commit_offsets(&format!("group-{group:04}"), all.collect());
        }
        self.run(NOW);
        assert_eq!(self.offset_count(), GROUPS * PARTITIONS as usize);
    }

    fn offset_count(&self) -> usize {
        self.broker.check_invariants();
        self.broker.state.groups.offsets_where(|_| true).len()
    }
}

#[test]
fn a_topic_with_thirty_thousand_offsets_can_be_deleted_on_a_full_disk() {
    let mut life = Life::new();
    life.run(NOW);
    let created = life
        .broker
        .create_topic(TOPIC, "t", PARTITIONS, BTreeMap::new(), NOW);
    created.expect("there is room");
    life.commit_offsets(TOPIC);
    life.disk.set_capacity(Some(0));
    life.broker.delete_topic(TOPIC);
    let round = life.broker.topics().round();
    let rounds = life.run(NOW);
    let parts = rounds.iter().filter(|&&number| number == round).count();
    assert!(parts > 1, "{rounds:?}");
    assert!(life.broker.synced_round() >= round);
    let life = life.restart();
    assert_eq!(life.offset_count(), 0);
    assert!(!life.broker.topics().has(TOPIC));
}

#[test]
fn thirty_thousand_offsets_of_no_topic_do_not_keep_a_start_on_a_full_disk() {
    let mut life = Life::new();
    life.run(NOW);
    life.commit_offsets(TOPIC);
    life.disk.set_capacity(Some(0));
    let life = life.restart();
    assert_eq!(life.offset_count(), 0);
    assert_eq!(life.restart().offset_count(), 0);
}

#[test]
fn the_salt_of_the_journal_is_not_made_of_what_clients_see() {
    let disk = SimDisk::new(1, Path::new(ROOT));
    drop(Life::start(disk.clone()));
    let path = Path::new(ROOT).join("journal/00000000000000000001.journal");
    let file = read_all(&disk, &path).expect("it is there");
    assert_eq!(file[24..32], SEEDS.salt.to_be_bytes());
}
