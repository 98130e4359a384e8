//! What the clients have been told, and what may therefore never change.
//!
//! Every record carries a mark that no other record has. A record that was acknowledged or read stays at its
//! offset; on a topic whose flush is relaxed, until the power fails. The broker's own offsets are looked at after
//! every turn, and at the moment in which a partition has been loaded, before anything is appended to it.

use crate::call::{FIRST_MARK, Read, key_of};
use crate::changes::Known;
use crate::groups::Book;
use crate::txns::History;
use chronikd::broker::Broker;
use chronikd::broker::topics::Topic;
use chronikd::clock::Now;
use chronikd::proto::Uuid;
use chronikd::storage::{Log, PartitionId, Unavailable};
use std::collections::{BTreeMap, BTreeSet};

/// How the last life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There was none.
    Never,
    /// Whatever was not synced may be gone.
    Power,
    /// The process died, and the page cache did not.
    Kill,
    /// By a clean stop.
    Clean,
}

/// Whether a topic exists, as far as the clients can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Exists,
    /// Its deletion was asked for and has not been acknowledged.
    Doubtful,
    /// Its deletion was acknowledged.
    Gone,
}

/// One partition.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Marks of records that were acknowledged or read.
    records: BTreeMap<i64, u64>,
    high_watermark: i64,
    synced: i64,
    /// It was seen to begin there, or said to: it never begins before that.
    log_start: i64,
    /// Somebody wants it to begin here, or before.
    wanted_start: i64,
    /// Where its segments begin.
    bases: BTreeSet<i64>,
    loaded: bool,
}

/// What a topic keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limits {
    /// Everything.
    None,
    /// No less than so many bytes.
    Bytes(u64),
    /// For so short a time that anything may be gone.
    Time,
    /// All that the disk has room for.
    Room,
}

impl Limits {
    fn of(topic: &Topic, has_budget: bool) -> Limits {
        const LONG_MS: i64 = 3_600_000;
        let config = &topic.config;
        match u64::try_from(config.retention_bytes) {
            Ok(bytes) if !has_budget => Limits::Bytes(bytes),
            Ok(_) => Limits::Room,
            Err(_) if (0..LONG_MS).contains(&config.retention_ms) => Limits::Time,
            Err(_) if has_budget && config.delete => Limits::Room,
            Err(_) => Limits::None,
        }
    }
}

/// One topic that clients know of.
#[derive(Clone, Debug)]
pub struct Facet {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whether it exists.
    pub state: State,
    /// Whether acknowledgements wait for the disk.
    pub durable: bool,
    /// Whether of every key only the last record need stay.
    pub is_compacted: bool,
    limits: Limits,
    partitions: Vec<Facts>,
    /// As many as were ever asked for.
    most_partitions: usize,
}

impl Facet {
    /// Whether no other topic is ever given its name, so that a request may use it.
    pub fn keeps_name(&self) -> bool {
        !self.name.starts_with("extra")
    }

    /// How many partitions it has.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// A life has begun: of the partitions that were asked for all may be there, and those that were promised are.
    fn check_count(&mut self, count: usize) {
        let range = self.partitions.len()..=self.most_partitions;
        assert!(
            range.contains(&count),
            "{} has {count} partitions, not {range:?}",
            self.name
        );
        self.partitions.resize(count, Facts::default());
        self.most_partitions = count;
    }
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Ledger {
    topics: BTreeMap<Uuid, Facet>,
    /// Names whose creation was asked for, with an outcome that nobody knows.
    asked: BTreeSet<String>,
    sent: BTreeMap<u64, PartitionId>,
    places: BTreeMap<u64, (PartitionId, i64)>,
    refused: BTreeSet<u64>,
    producer_ids: BTreeSet<i64>,
    cluster: Option<String>,
    leader_epoch: i32,
    /// The broker runs.
    lives: bool,
    /// A start after a clean stop was cut off, and the journal may have taken note of it.
    start_was_cut: bool,
    /// How the last life ended.
    pub end: End,
    /// How often unsynced data was lost.
    pub losses: u64,
    /// A clean stop was begun: it may have come to its end without our knowing.
    pub stopping: bool,
    /// Errors of the disk are to be expected.
    pub faulty: bool,
    /// All logs together may take so much and no more.
    pub has_budget: bool,
    /// What is known of settings.
    pub settings: Known,
    /// What is known of groups.
    pub groups: Book,
    /// What is known of transactions.
    pub txns: History,
}

impl Ledger {
    /// Nothing has been promised yet.
    pub fn new() -> Ledger {
        Ledger {
            topics: BTreeMap::new(),
            asked: BTreeSet::new(),
            sent: BTreeMap::new(),
            places: BTreeMap::new(),
            refused: BTreeSet::new(),
            producer_ids: BTreeSet::new(),
            cluster: None,
            leader_epoch: -1,
            lives: false,
            start_was_cut: false,
            end: End::Never,
            losses: 0,
            stopping: false,
            faulty: false,
            has_budget: false,
            settings: Known::default(),
            groups: Book::default(),
            txns: History::default(),
        }
    }

    /// The broker does not run any more.
    pub fn ended(&mut self, end: End) {
        // A start that was cut off before the journal took note of it leaves a clean stop as it was.
        if self.lives || self.end != End::Clean {
            self.end = end;
        } else {
            self.start_was_cut = true;
        }
        if self.lives && end == End::Clean {
            self.groups.stopped_cleanly();
        }
        self.lives = false;
        self.losses += u64::from(end == End::Power);
        self.txns.stopped();
        if end == End::Power {
            self.txns.tally.note("cuts");
        }
    }
}

/// Topics.
impl Ledger {
    /// The topics that surely exist.
    pub fn existing(&self) -> impl Iterator<Item = &Facet> {
        self.topics
            .values()
            .filter(|topic| topic.state == State::Exists)
    }

    /// The topic of that id.
    pub fn topic(&self, id: Uuid) -> &Facet {
        &self.topics[&id]
    }

    /// The topics of that name that may exist.
    pub fn named(&self, name: &str) -> Vec<&Facet> {
        let named = self.topics.values().filter(|topic| topic.name == name);
        named.filter(|topic| topic.state != State::Gone).collect()
    }

    /// What is known of each topic.
    pub fn states(&self) -> BTreeMap<Uuid, State> {
        self.topics
            .iter()
            .map(|(id, topic)| (*id, topic.state))
            .collect()
    }

    /// Whether the name's topic may have been created without our knowing.
    pub fn is_asked(&self, name: &str) -> bool {
        self.asked.contains(name)
    }

    /// Somebody asks for its creation.
    pub fn creating(&mut self, name: &str) {
        self.asked.insert(name.to_owned());
    }

    /// The creation was refused.
    pub fn not_created(&mut self, name: &str, code: i16) {
        const TOPIC_ALREADY_EXISTS: i16 = 36;
        if code == TOPIC_ALREADY_EXISTS {
            let known = !self.named(name).is_empty() || self.is_asked(name);
            assert!(known, "{name} is said to exist, and nobody created it");
        } else {
            // The work lane may still have to do with the files of a topic that had the name.
            let had_it = self.topics.values().any(|topic| topic.name == name);
            assert!(
                self.faulty || had_it,
                "creation of {name} refused with {code}"
            );
            self.asked.remove(name);
        }
    }

    /// A client was told that the topic exists. `was` is what was known when it asked.
    pub fn told(&mut self, broker: &Broker, name: &str, id: Uuid, was: Option<State>) {
        assert_ne!(id, Uuid::ZERO);
        if let Some(topic) = self.topics.get(&id) {
            assert_eq!(topic.name, name, "an id has changed its name");
            assert_ne!(was, Some(State::Gone), "{name} was deleted, and is shown");
            return;
        }
        assert!(self.is_asked(name), "{name} was never created");
        let Some(topic) = broker.topics().by_id(id) else {
            return;
        };
        self.adopt(topic);
    }

    fn adopt(&mut self, topic: &Topic) {
        for other in self
            .topics
            .values()
            .filter(|other| *other.name == *topic.name)
        {
            assert_ne!(other.state, State::Exists, "{} exists twice", topic.name);
        }
        self.asked.remove(&*topic.name);
        let facts = Facts {
            loaded: true,
            ..Facts::default()
        };
        let facet = Facet {
            id: topic.id,
            name: topic.name.to_string(),
            state: State::Exists,
            durable: topic.config.flush_messages <= 1,
            is_compacted: topic.config.compact,
            limits: Limits::of(topic, self.has_budget),
            partitions: vec![facts; topic.partition_count as usize],
            most_partitions: topic.partition_count as usize,
        };
        self.topics.insert(topic.id, facet);
    }

    /// Somebody asks for its deletion.
    pub fn deleting(&mut self, id: Uuid) {
        self.set_state(id, State::Doubtful);
    }

    /// Its deletion was acknowledged.
    pub fn deleted(&mut self, id: Uuid) {
        self.set_state(id, State::Gone);
    }

    /// Somebody asks for so many partitions.
    pub fn growing(&mut self, id: Uuid, count: usize) {
        let topic = self.topics.get_mut(&id).expect("a topic that is known");
        topic.most_partitions = topic.most_partitions.max(count);
    }

    /// It was said to have so many.
    pub fn grown(&mut self, id: Uuid, count: usize) {
        let topic = self.topics.get_mut(&id).expect("a topic that is known");
        let new = Facts {
            loaded: true,
            ..Facts::default()
        };
        assert!(count <= topic.most_partitions, "nobody asked for {count}");
        topic
            .partitions
            .resize(topic.partitions.len().max(count), new);
    }

    fn set_state(&mut self, id: Uuid, state: State) {
        if let Some(topic) = self.topics.get_mut(&id) {
            topic.state = state;
        }
    }
}

/// Starts, turns.
impl Ledger {
    /// A life has begun: what was acknowledged about topics holds.
    pub fn opened(&mut self, broker: &Broker) {
        self.check_identity(broker);
        (self.lives, self.start_was_cut, self.stopping) = (true, false, false);
        for topic in self.topics.values_mut() {
            let there = broker.topics().by_id(topic.id);
            let state = match (topic.state, there.is_some()) {
                (State::Exists, false) => panic!("topic {} is gone", topic.name),
                (State::Gone, true) => panic!("topic {} has come back", topic.name),
                (State::Doubtful, true) => State::Exists,
                (State::Doubtful, false) => State::Gone,
                (state, _) => state,
            };
            topic.state = state;
            if let Some(there) = there {
                topic.check_count(there.partition_count as usize);
            }
            topic
                .partitions
                .iter_mut()
                .for_each(|facts| facts.loaded = false);
        }
        for topic in broker.topics().iter() {
            if !self.topics.contains_key(&topic.id) {
                assert!(
                    self.is_asked(&topic.name),
                    "{} was never created",
                    topic.name
                );
                self.adopt(topic);
            }
        }
        self.asked.clear();
        self.settings.opened(broker);
        let topics = &self.topics;
        self.groups.opened(broker, &|id| state_of(topics, id));
    }

    fn check_identity(&mut self, broker: &Broker) {
        let cluster = &broker.identity.cluster_id;
        assert_eq!(self.cluster.get_or_insert_with(|| cluster.clone()), cluster);
        match self.end {
            _ if self.start_was_cut || self.stopping => {
                assert!(broker.leader_epoch() >= self.leader_epoch);
            }
            End::Clean => assert_eq!(broker.leader_epoch(), self.leader_epoch),
            _ => assert!(
                broker.leader_epoch() > self.leader_epoch,
                "the epoch must rise after {:?}: {} then, {} now",
                self.end,
                self.leader_epoch,
                broker.leader_epoch()
            ),
        }
        self.leader_epoch = broker.leader_epoch();
    }

    /// Lanes' results have been taken in: partitions may have been loaded.
    pub fn absorbed(&mut self, broker: &Broker) {
        let (end, faulty) = (self.end, self.faulty);
        let mut lost = Vec::new();
        for topic in self.topics.values_mut() {
            if broker.topics().by_id(topic.id).is_none() {
                continue;
            }
            for (index, facts) in topic.partitions.iter_mut().enumerate() {
                let at = PartitionId {
                    topic: topic.id,
                    partition: index as i32,
                };
                match broker.storage.log(at) {
                    Ok(log) if !facts.loaded => {
                        let title = format!("{}-{index}", topic.name);
                        facts.check_start(&title, log, topic.limits);
                        lost.extend(facts.check_loaded(&title, log, topic.durable, end));
                    }
                    Err(Unavailable::Damaged) if !faulty => {
                        panic!("{}-{index} is not served", topic.name)
                    }
                    _ => {}
                }
            }
        }
        for mark in lost {
            self.places.remove(&mark);
        }
    }

    /// A turn begins.
    pub fn turning(&mut self) {
        self.groups.turning(self.stopping);
    }

    /// After every turn: offsets only rise.
    pub fn turned(&mut self, broker: &Broker, now: Now) {
        let durable = self.durable();
        self.txns.turned(broker, &durable);
        let topics = &self.topics;
        let state = |id| state_of(topics, id);
        self.groups.turned(broker, now, &state);
        for topic in self.topics.values_mut() {
            for (index, facts) in topic.partitions.iter_mut().enumerate() {
                let at = PartitionId {
                    topic: topic.id,
                    partition: index as i32,
                };
                if let Ok(log) = broker.storage.log(at) {
                    assert_eq!(log.leader_epoch(), broker.leader_epoch());
                    let title = format!("{}-{index}", topic.name);
                    if facts.check_start(&title, log, topic.limits) {
                        self.txns.tally.note("given up for space");
                    }
                    facts.check_turned(&title, log);
                }
            }
        }
    }

    fn durable(&self) -> Vec<PartitionId> {
        let all = self.partitions().into_iter();
        all.filter(|at| self.topics[&at.topic].durable).collect()
    }

    /// How many partitions are known, of topics that exist.
    pub fn partitions(&self) -> Vec<PartitionId> {
        let ids = |topic: &Facet| {
            let topic_id = topic.id;
            (0..topic.partitions.len()).map(move |index| PartitionId {
                topic: topic_id,
                partition: index as i32,
            })
        };
        self.existing().flat_map(ids).collect()
    }
}

fn state_of(topics: &BTreeMap<Uuid, Facet>, id: Uuid) -> State {
    topics.get(&id).map_or(State::Gone, |topic| topic.state)
}

impl Facts {
    /// Whatever must have survived is there. Answers the marks of what need not, and has not.
    fn check_loaded(&mut self, title: &str, log: &Log, durable: bool, end: End) -> Vec<u64> {
        let known_end = self.records.keys().next_back().map_or(0, |last| last + 1);
        let floor = match (durable, end) {
            (false, End::Power) => self.synced,
            _ => known_end.max(self.high_watermark),
        };
        assert!(
            log.log_end() >= floor,
            "{title} ends at {} after {end:?}, but {floor} was promised (records before {known_end}, high watermark \
             {}, synced {})",
            log.log_end(),
            self.high_watermark,
            self.synced
        );
        let lost = self.records.split_off(&log.log_end());
        self.high_watermark = log.high_watermark();
        self.synced = log.synced();
        self.loaded = true;
        lost.into_values().collect()
    }

    /// It begins no earlier than before, and no later than somebody wants, or with one of its segments where the limits
    /// of its topic or of the disk want that. Answers whether it has begun later for want of space.
    fn check_start(&mut self, title: &str, log: &Log, limits: Limits) -> bool {
        let start = log.log_start();
        assert!(
            start >= self.log_start,
            "the start of {title} went back from {} to {start}",
            self.log_start
        );
        let goes = limits != Limits::None && self.bases.contains(&start);
        assert!(
            start == self.log_start || start <= self.wanted_start || goes,
            "{title} begins at {start}, which nobody wants; {} was the last, and segments begin at {:?}",
            self.wanted_start,
            self.bases
        );
        let is_given_up = start > self.log_start && start > self.wanted_start;
        self.log_start = start;
        let bases = log.segment_bases();
        self.bases = bases.into_iter().map(|(base, _)| base).collect();
        is_given_up && limits == Limits::Room
    }

    fn check_turned(&mut self, title: &str, log: &Log) {
        assert!(
            log.high_watermark() >= self.high_watermark,
            "the high watermark of {title} went back from {} to {}",
            self.high_watermark,
            log.high_watermark()
        );
        assert!(log.synced() >= self.synced);
        self.high_watermark = log.high_watermark();
        self.synced = log.synced();
    }
}

/// Records.
impl Ledger {
    fn facts(&mut self, at: PartitionId) -> (&mut Facts, &str) {
        let topic = self
            .topics
            .get_mut(&at.topic)
            .expect("a topic that is known");
        (&mut topic.partitions[at.partition as usize], &topic.name)
    }

    /// The high watermark that a request sent now cannot miss.
    pub fn high_watermark(&mut self, at: PartitionId) -> i64 {
        let durable = self.topic(at.topic).durable;
        let facts = self.facts(at).0;
        if facts.loaded || durable {
            facts.high_watermark
        } else {
            facts.synced
        }
    }

    /// Where the partition begins.
    pub fn log_start(&mut self, at: PartitionId) -> i64 {
        self.facts(at).0.log_start
    }

    /// When all is quiet: a topic that is cut to a size keeps that much, unless somebody has deleted more.
    pub fn check_kept(&self, broker: &Broker) {
        for topic in self.existing() {
            let Limits::Bytes(least) = topic.limits else {
                continue;
            };
            for (index, facts) in topic.partitions.iter().enumerate() {
                let log = broker.log(&topic.name, index as i32).expect("a log");
                let kept = log.available(log.log_start(), log.high_watermark()) as u64;
                assert!(
                    log.log_start() <= facts.wanted_start || kept >= least,
                    "{}-{index} keeps {kept} of {least} bytes",
                    topic.name
                );
            }
        }
    }

    /// Somebody asks for what lies before an offset to be deleted; -1 is the high watermark, which may be anywhere by
    /// then.
    pub fn deleting_records(&mut self, at: PartitionId, offset: i64) {
        let wanted = if offset < 0 { i64::MAX } else { offset };
        let facts = self.facts(at).0;
        facts.wanted_start = facts.wanted_start.max(wanted);
    }

    /// A partition was said to begin there.
    pub fn deleted_records(&mut self, at: PartitionId, start: i64) {
        let facts = self.facts(at).0;
        facts.log_start = facts.log_start.max(start);
    }

    /// Records are on their way to a partition.
    pub fn sending(&mut self, at: PartitionId, first: u64, count: usize) {
        self.sent
            .extend((first..first + count as u64).map(|mark| (mark, at)));
    }

    /// A batch was refused for good: none of its records may ever be read.
    pub fn refused(&mut self, first: u64, count: usize) {
        for mark in first..first + count as u64 {
            assert!(
                !self.places.contains_key(&mark),
                "{mark:#x} was refused, and read before"
            );
            self.refused.insert(mark);
        }
    }

    /// A batch was acknowledged.
    pub fn acked(&mut self, at: PartitionId, base_offset: i64, first: u64, count: usize) {
        assert!(base_offset >= 0);
        for index in 0..count {
            self.place(at, base_offset + index as i64, first + index as u64);
        }
    }

    /// A batch was read, by a fetch for `from`.
    pub fn saw(&mut self, at: PartitionId, batch: &Read, from: i64) {
        for &(offset, mark) in batch.records.iter().filter(|(offset, _)| *offset >= from) {
            self.place(at, offset, mark);
        }
    }

    fn place(&mut self, at: PartitionId, offset: i64, mark: u64) {
        let sent_to = self.sent.get(&mark).copied();
        let (facts, name) = self.facts(at);
        let title = format!("{name}-{}", at.partition);
        assert_eq!(sent_to, Some(at), "{mark:#x} was never sent to {title}");
        if let Some(other) = facts.records.insert(offset, mark) {
            assert_eq!(other, mark, "two records at offset {offset} of {title}");
        }
        let before = self.places.insert(mark, (at, offset));
        assert!(
            before.is_none_or(|before| before == (at, offset)),
            "{mark:#x} is at offset {offset} of {title}, and at {before:?}"
        );
        assert!(
            !self.refused.contains(&mark),
            "{mark:#x} was refused, and is at {offset} of {title}"
        );
    }

    /// A producer id was given.
    pub fn given(&mut self, producer_id: i64) {
        assert!(producer_id >= 0);
        assert!(
            self.producer_ids.insert(producer_id),
            "producer id {producer_id} was given twice"
        );
    }

    /// Whether anybody has been given a producer id, as far as we know.
    pub fn has_producers(&self) -> bool {
        !self.producer_ids.is_empty()
    }

    /// Holds a whole partition, from its start to its high watermark, against everything that is known.
    pub fn audit(&mut self, broker: &Broker, at: PartitionId, batches: &[Read]) {
        let Facet {
            durable,
            is_compacted,
            ..
        } = *self.topic(at.topic);
        self.check_complete(broker, at, batches);
        let (facts, name) = self.facts(at);
        let title = format!("{name}-{}", at.partition);
        let end = batches
            .last()
            .map_or(facts.log_start, |batch| batch.header.next_offset());
        let known_end = facts.records.keys().next_back().map_or(0, |last| last + 1);
        let start = facts.log_start;
        assert!(
            end >= known_end,
            "{title} ends at {end}; {known_end} was promised"
        );
        let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
        let mut sequences: BTreeMap<(i64, i16), i32> = BTreeMap::new();
        let mut epoch = 0;
        for Read {
            header, records, ..
        } in batches.iter().filter(|batch| batch.marker.is_none())
        {
            assert!(
                header.partition_leader_epoch >= epoch,
                "{title}: a leader epoch went back"
            );
            epoch = header.partition_leader_epoch;
            for (_, mark) in records {
                let last = newest.entry(mark >> 32).or_default();
                assert!(*last < *mark, "{title}: {mark:#x} comes after {last:#x}");
                *last = *mark;
            }
            if header.has_producer_id() {
                // What came before may be deleted.
                let first = if start > 0 { header.base_sequence } else { 0 };
                let next = sequences
                    .entry((header.producer_id, header.producer_epoch))
                    .or_insert(first);
                let has_gap = is_compacted && header.base_sequence > *next;
                assert!(
                    !durable || has_gap || header.base_sequence == *next,
                    "{title}: sequence {} of producer {} at offset {} is not {next}",
                    header.base_sequence,
                    header.producer_id,
                    header.base_offset
                );
                *next = header.base_sequence + header.last_offset_delta + 1;
            }
        }
    }

    /// Everything that is known is there. Of a compacted partition a record may be missing that has a later one of its
    /// key, and that is not in the active segment. Those of transactions are judged by `txns::history`.
    fn check_complete(&mut self, broker: &Broker, at: PartitionId, batches: &[Read]) {
        let is_compacted = self.topic(at.topic).is_compacted;
        let records = batches.iter().flat_map(|batch| &batch.records);
        let there: BTreeMap<i64, u64> = records.copied().collect();
        let last = there.iter().map(|(offset, mark)| (key_of(*mark), *offset));
        let last: BTreeMap<u64, i64> = last.collect();
        let bases = broker.storage.log(at).map(Log::segment_bases);
        let active = bases.ok().and_then(|bases| Some(bases.last()?.0));
        let (facts, name) = self.facts(at);
        let title = format!("{name}-{}", at.partition);
        let known = facts.records.range(facts.log_start..);
        let missing = known.filter(|(offset, _)| !there.contains_key(offset));
        let missing: Vec<(i64, u64)> = missing.map(|(offset, mark)| (*offset, *mark)).collect();
        for (offset, mark) in missing {
            let has_later = last.get(&key_of(mark)).is_some_and(|last| *last > offset);
            let may_go = has_later || mark >= FIRST_MARK;
            assert!(
                is_compacted && may_go && active.is_some_and(|active| offset < active),
                "{title}: {mark:#x} at {offset} is lost; the active segment begins at {active:?}"
            );
            self.txns.tally.note("compacted away");
        }
    }

    /// The leader epoch of this life.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }
}
