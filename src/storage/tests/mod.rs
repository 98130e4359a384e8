//! The room as a whole on a simulated disk: what is promised by an append, and what comes back after a cut.

mod budget;
mod compaction;
mod expiring;
mod faults;
mod first_appends;
mod ledger;
mod model;
mod reading;
mod removing;
mod starting;
mod transactions;

use super::*;
use crate::clock::Mono;
use crate::config::TimestampType;
use crate::disk::lanes::{Completion, Lanes, Round};
use crate::disk::sim::{SimDisk, SimLanes, Survives};
use crate::proto::batch::BatchBuilder;
use std::path::Path;

const WALL_MS: i64 = 1_800_000_000_000;

fn id(partition: i32) -> PartitionId {
    PartitionId {
        topic: Uuid([9; 16]),
        partition,
    }
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1 << 30,
        segment_ms: i64::MAX,
        segment_jitter_ms: 0,
        index_interval_bytes: 4096,
        segment_index_bytes: 10 << 20,
        max_message_bytes: 1 << 20,
        timestamp_type: TimestampType::CreateTime,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        flush_messages: 1,
        flush_ms: i64::MAX,
        file_delete_delay_ms: 60_000,
        retention_ms: -1,
        retention_bytes: -1,
        convert_max_bytes: 1 << 20,
        ..LogConfig::default()
    }
}

impl<'a> NewBatch<'a> {
    /// One that is appended as it is.
    pub(crate) fn whole(bytes: &'a [u8]) -> NewBatch<'a> {
        let (batch, rest) = Batch::split_first(bytes).expect("a whole batch");
        assert!(rest.is_empty(), "one batch");
        NewBatch::from(&batch)
    }
}

/// A batch of so many records of `value`, all at one time.
fn batch(count: i32, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..count {
        builder.push(WALL_MS, Some(b"k"), Some(value));
    }
    builder.build(None).unwrap()
}

fn produced(producer: i64, sequence: i32, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).producer(producer, 0, sequence);
    builder.push(WALL_MS, Some(b"k"), Some(value));
    builder.build(None).unwrap()
}

/// A storage, its disk and its lanes.
struct Room {
    disk: SimDisk,
    lanes: SimLanes<Done>,
    storage: Storage,
    config: Arc<LogConfig>,
    partitions: i32,
    round: u64,
    now: Now,
}

impl Room {
    fn new(seed: u64, config: LogConfig, partitions: i32) -> Room {
        let disk = SimDisk::new(seed, Path::new("/data"));
        Room::on(disk, config, partitions, false)
    }

    /// Starts on whatever the disk has, and runs until everything is loaded.
    fn on(disk: SimDisk, config: LogConfig, partitions: i32, clean: bool) -> Room {
        let mut room = Room::on_unsettled(disk, config, partitions, clean);
        room.settle();
        room
    }

    fn on_unsettled(disk: SimDisk, config: LogConfig, partitions: i32, clean: bool) -> Room {
        let now = Now {
            mono: Mono(0),
            wall_ms: WALL_MS,
        };
        let arc: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut room = Room {
            lanes: SimLanes::new(&disk),
            storage: Storage::new(arc, PathBuf::from("/data"), 1, StorageConfig::default()),
            disk,
            config: Arc::new(config),
            partitions,
            round: 0,
            now,
        };
        let known = (0..partitions).map(|n| Known {
            id: id(n),
            topic_name: "t".into(),
            config: Arc::clone(&room.config),
        });
        room.storage
            .start(known.collect(), &BTreeSet::new(), clean, now)
            .unwrap();
        room
    }

    fn append(&mut self, partition: i32, records: &[u8]) -> Result<Appended, Refused> {
        let appended = self.storage.append(
            id(partition),
            self.now,
            &NewBatch::whole(records),
            Origin::Client,
        );
        self.storage.check_invariants();
        appended
    }

    /// Gives a partition its directory, as its first append would.
    fn settle_in(&mut self, partition: i32) {
        let log = self.storage.log_mut(id(partition)).unwrap();
        log.settle_in().unwrap();
        self.storage.note_names(id(partition));
        self.settle();
    }

    /// Starts a round if one is wanted, and hands the jobs to the work lane.
    fn start_work(&mut self) {
        self.try_to_start_work().expect("the disk works");
    }

    fn try_to_start_work(&mut self) -> io::Result<()> {
        if self.storage.needs_round() && self.round == self.durable_round() {
            self.round += 1;
            let mut round = Round {
                number: self.round,
                ..Round::default()
            };
            self.storage.gather(&mut round)?;
            self.lanes.sync(round);
        }
        for job in self.storage.take_jobs() {
            self.lanes.work(job);
        }
        Ok(())
    }

    fn durable_round(&self) -> u64 {
        self.round - u64::from(self.lanes.pending().sync_steps > 0)
    }

    fn absorb(&mut self) {
        for done in self.lanes.completed() {
            match done {
                Completion::Synced(round) => self.storage.synced(round),
                Completion::SyncFailed(error) => panic!("{error}"),
                Completion::Worked(done) => self.storage.absorb(done, self.now).unwrap(),
            }
        }
        self.storage.check_invariants();
    }

    /// Runs until nothing is left to be done.
    fn settle(&mut self) {
        loop {
            self.start_work();
            let worked = self.lanes.run_sync() | self.lanes.run_work();
            self.absorb();
            if !worked && !self.storage.needs_round() {
                return;
            }
        }
    }

    /// Ends cleanly and starts again.
    fn restart(mut self) -> Room {
        self.storage.begin_close(self.now);
        self.settle();
        assert!(self.storage.closed());
        self.disk.crash(Survives::Nothing);
        Room::on(self.disk, (*self.config).clone(), self.partitions, true)
    }

    /// The power fails.
    fn crash(self, survives: Survives) -> Room {
        self.disk.crash(survives);
        Room::on(self.disk, (*self.config).clone(), self.partitions, false)
    }

    /// All values below the high watermark, with their offsets.
    fn values(&mut self, partition: i32) -> Vec<(i64, Vec<u8>)> {
        let log = self.storage.log(id(partition)).unwrap();
        let (mut from, until) = (log.log_start(), log.high_watermark());
        let mut values = Vec::new();
        while from < until {
            let bytes = self
                .storage
                .read_raw(id(partition), from, until, 1000, true)
                .unwrap();
            assert!(
                !bytes.is_empty(),
                "never an empty answer below the high watermark"
            );
            let wanted = records(&bytes).into_iter().filter(|(at, _)| *at >= from);
            let wanted: Vec<_> = wanted.collect();
            from = wanted.last().unwrap().0 + 1;
            values.extend(wanted);
        }
        values
    }
}

fn records(mut bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (batch, rest) = Batch::split_first(bytes).unwrap();
        assert_eq!(batch.check_crc(), Ok(()));
        for record in batch.records(batch.payload()) {
            let record = record.unwrap();
            let offset = batch.header().base_offset + i64::from(record.offset_delta);
            records.push((offset, record.value.unwrap().to_vec()));
        }
        bytes = rest;
    }
    records
}

/// Small segments and indexes, so that a short run meets every border.
fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 300,
        ..config()
    }
}

#[test]
fn what_was_appended_is_readable_after_its_round_and_not_before() {
    let mut room = Room::new(1, config(), 1);
    let appended = room.append(0, &batch(3, b"a")).unwrap();
    assert_eq!((appended.base_offset, appended.round), (0, 1 + room.round));
    assert_eq!(room.values(0), []);
    let log = room.storage.log(id(0)).unwrap();
    assert_eq!((log.log_end(), log.high_watermark()), (3, 0));
    room.settle();
    assert_eq!(room.values(0).len(), 3);
    assert_eq!(room.append(0, &batch(1, b"b")).unwrap().base_offset, 3);
    let signals = room.storage.take_signals();
    assert!(
        signals
            .iter()
            .any(|(at, bytes)| *at == id(0) && *bytes == batch(3, b"a").len())
    );
}

#[test]
fn synced_records_survive_a_power_cut_and_a_clean_stop() {
    for survives in [Survives::Nothing, Survives::Some, Survives::Everything] {
        let mut room = Room::new(2, config(), 2);
        for n in 0..20u8 {
            room.append(i32::from(n) % 2, &batch(2, &[n; 300])).unwrap();
        }
        room.settle();
        let before = [room.values(0), room.values(1)];
        assert_eq!(before[0].len(), 20);
        let mut room = room.crash(survives);
        assert_eq!([room.values(0), room.values(1)], before);
        let mut room = room.restart();
        assert_eq!([room.values(0), room.values(1)], before);
        assert_eq!(room.append(1, &batch(1, b"x")).unwrap().base_offset, 20);
    }
}
