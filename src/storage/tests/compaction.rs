//! Compaction against an oracle that knows every record: random logs, power cuts and failures at every operation.

mod meanwhile;

use super::*;
use crate::config::{CleanerConfig, Compaction};
use crate::disk::Mode;
use crate::disk::sim::{Fault, Times};
use crate::proto::batch::EndMarker;
use crate::proto::codec::Codec;
use std::collections::VecDeque;

const KEYS: u64 = 12;

/// A record, and what became of its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    offset: i64,
    key: u64,
    /// Every value has a number.
    value: Option<u64>,
    producer: i64,
    /// `None` while it is open.
    commits: Option<bool>,
}

/// A record as a reader of committed ones sees it.
type Seen = (i64, u64, Option<u64>);

/// All that was appended.
#[derive(Clone, Default)]
struct Story {
    told: Vec<Told>,
    /// By producer, its next sequence.
    sequences: BTreeMap<i64, i32>,
    open: BTreeSet<i64>,
    step: u64,
    /// More keys than usual.
    keys: u64,
}

fn compacted() -> LogConfig {
    LogConfig {
        compact: true,
        delete: false,
        segment_bytes: 1500,
        compaction: Compaction {
            min_dirty_ratio: 0.0,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            delete_retention_ms: 0,
        },
        ..small()
    }
}

fn cleaner() -> CleanerConfig {
    CleanerConfig {
        enable: true,
        backoff_ms: 1000,
        dedupe_buffer_bytes: 1 << 20,
        load_factor: 0.9,
        io_bytes_per_second: f64::MAX,
    }
}

impl Story {
    /// One batch or marker.
    fn act(&mut self, room: &mut Room) {
        let producer = match room.disk.draw(10) {
            0..4 => -1,
            4..6 => 7,
            n => 20 + n as i64 % 3,
        };
        if self.open.contains(&producer) && room.disk.draw(3) == 0 {
            return self.end(room, producer, room.disk.draw(2) == 0);
        }
        self.produce(room, producer, 1 + room.disk.draw(4) as i32);
    }

    fn produce(&mut self, room: &mut Room, producer: i64, count: i32) {
        let codecs = Codec::ALL.into_iter().filter(|codec| codec.is_built());
        let codecs: Vec<Codec> = codecs.collect();
        let codec = codecs[room.disk.draw(codecs.len() as u64 * 2) as usize % codecs.len()];
        let mut builder = BatchBuilder::new(0).codec(codec);
        if producer >= 0 {
            let sequence = self.sequences.entry(producer).or_default();
            builder = builder.producer(producer, 0, *sequence);
            *sequence += count;
        }
        if producer >= 20 {
            builder = builder.transactional();
            self.open.insert(producer);
        }
        let base = room.storage.log(id(0)).unwrap().log_end();
        for offset in (base..).take(count as usize) {
            self.step += 1;
            let key = room.disk.draw(self.keys.max(KEYS));
            let size = room.disk.draw(60) as usize;
            let value = (room.disk.draw(6) > 0).then_some(self.step);
            let bytes = value.map(|step| [&step.to_be_bytes()[..], &vec![1; size]].concat());
            builder.push(WALL_MS, Some(&key.to_be_bytes()), bytes.as_deref());
            let commits = (producer < 20).then_some(true);
            self.told.push(Told {
                offset,
                key,
                value,
                producer,
                commits,
            });
        }
        let bytes = builder.build(None).unwrap();
        assert_eq!(room.append(0, &bytes).unwrap().base_offset, base);
    }

    fn end(&mut self, room: &mut Room, producer: i64, commits: bool) {
        let marker = Marker {
            producer_id: producer,
            producer_epoch: 0,
            coordinator_epoch: 0,
            commits,
            transaction_version: 1,
        };
        room.storage
            .end_transaction(id(0), room.now, marker)
            .unwrap();
        self.open.remove(&producer);
        for told in self
            .told
            .iter_mut()
            .filter(|told| told.producer == producer)
        {
            told.commits.get_or_insert(commits);
        }
    }

    fn end_all(&mut self, room: &mut Room) {
        for producer in self.open.clone() {
            self.end(room, producer, room.disk.draw(2) == 0);
        }
    }

    /// Everything committed before an offset.
    fn committed(&self, until: i64) -> Vec<Seen> {
        let told = self.told.iter().filter(|told| told.offset < until);
        told.filter(|told| told.commits == Some(true))
            .map(|told| (told.offset, told.key, told.value))
            .collect()
    }

    /// Holds what readers see against what was appended.
    fn check(&self, room: &mut Room) {
        let log = room.storage.log(id(0)).unwrap();
        let (stable, cleaned) = (log.last_stable_offset(), log.cleaned.unwrap_or(0));
        let active = log.segments.last().unwrap().base();
        let (all, seen) = (self.committed(stable), committed(room));
        let mut rest = all.iter();
        for record in &seen {
            assert!(
                rest.any(|told| told == record),
                "{record:?} was appended, in this order"
            );
        }
        assert_eq!(last_values(&all), last_values(&seen));
        let behind = |records: &[Seen]| records.iter().filter(|r| r.0 >= active).count();
        assert_eq!(
            behind(&all),
            behind(&seen),
            "nothing behind {active} has gone"
        );
        let last: BTreeMap<u64, i64> = all
            .iter()
            .filter(|(offset, ..)| *offset < cleaned)
            .map(|(offset, key, _)| (*key, *offset))
            .collect();
        for (offset, key, _) in seen.iter().filter(|(offset, ..)| *offset < cleaned) {
            assert_eq!(last[key], *offset, "only the last of key {key} stays");
        }
    }
}

fn last_values(records: &[Seen]) -> BTreeMap<u64, u64> {
    let mut values = BTreeMap::new();
    for (_, key, value) in records {
        match value {
            Some(value) => values.insert(*key, *value),
            None => values.remove(key),
        };
    }
    values
}

/// What a reader of committed records sees, by the rules of Kafka's consumer.
fn committed(room: &mut Room) -> Vec<Seen> {
    let log = room.storage.log(id(0)).unwrap();
    let (from, until) = (log.log_start(), log.last_stable_offset());
    let aborted = room.storage.aborted(id(0), from, until).unwrap();
    let mut aborted: VecDeque<Aborted> = aborted.into();
    let (mut skipped, mut seen) = (BTreeSet::new(), Vec::new());
    let bytes = read_whole(room, from, until);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (batch, next) = Batch::split_first(rest).unwrap();
        rest = next;
        assert_eq!(batch.check_crc(), Ok(()));
        let header = batch.header();
        while aborted
            .front()
            .is_some_and(|a| a.first_offset <= header.last_offset())
        {
            skipped.extend(aborted.pop_front().map(|a| a.producer_id));
        }
        if header.attributes.is_control() {
            if EndMarker::of(&batch).is_some_and(|marker| !marker.commits) {
                skipped.remove(&header.producer_id);
            }
        } else if !(header.attributes.is_transactional() && skipped.contains(&header.producer_id)) {
            let plain = batch.decompress(1 << 20).unwrap();
            for record in batch.records(&plain) {
                let record = record.unwrap();
                let offset = header.base_offset + i64::from(record.offset_delta);
                let key = u64::from_be_bytes(record.key.unwrap().try_into().unwrap());
                assert_eq!(header.record_timestamp(record.timestamp_delta), WALL_MS);
                let number = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().unwrap());
                seen.push((offset, key, record.value.map(number)));
            }
        }
    }
    seen
}

fn read_whole(room: &mut Room, from: i64, until: i64) -> Vec<u8> {
    if from == until {
        return Vec::new();
    }
    let bytes = room
        .storage
        .read_raw(id(0), from, until, usize::MAX / 2, true);
    bytes.unwrap()
}

/// Runs the lanes until nothing is left or something fails for good.
fn settle(room: &mut Room) -> io::Result<()> {
    loop {
        room.start_work();
        let worked = room.lanes.run_sync() | room.lanes.run_work();
        for done in room.lanes.completed() {
            match done {
                Completion::Synced(round) => room.storage.synced(round),
                Completion::SyncFailed(error) => return Err(error),
                Completion::Worked(done) => room.storage.absorb(done, room.now)?,
            }
        }
        room.storage.check_invariants();
        if !worked && !room.storage.needs_round() {
            return Ok(());
        }
    }
}

fn pass_ms(room: &mut Room, ms: i64) {
    room.now.mono = room.now.mono.plus_ms(ms);
    room.now.wall_ms += ms;
}

/// Lets the cleaner do all that it will do now.
fn compact(room: &mut Room) -> io::Result<()> {
    settle(room)?;
    for _ in 0..6 {
        pass_ms(room, 1100);
        room.storage.tick(room.now);
        settle(room)?;
    }
    Ok(())
}

fn set_cleaner(room: &mut Room, cleaner: CleanerConfig) {
    let config = room.storage.config;
    room.storage.obey(StorageConfig { cleaner, ..config });
}

fn start_cleaner(room: &mut Room, cleaner: CleanerConfig, secret: u64) {
    set_cleaner(room, cleaner);
    room.storage.start_cleaner(secret, room.now);
}

fn room(seed: u64, config: LogConfig) -> Room {
    let mut room = Room::new(seed, config, 1);
    start_cleaner(&mut room, cleaner(), seed);
    room
}

fn started(disk: SimDisk, config: LogConfig, clean: bool) -> Room {
    let mut room = Room::on(disk, config, 1, clean);
    start_cleaner(&mut room, cleaner(), 5);
    room
}

/// A storage on a copy of the disk whose pass has run for so many jobs of the work lane.
fn in_a_pass(disk: &SimDisk, jobs: u64) -> Room {
    let mut room = started(disk.fork(jobs), compacted(), true);
    pass_ms(&mut room, 1100);
    room.storage.tick(room.now);
    for _ in 0..jobs {
        room.start_work();
        room.lanes.run_work();
        room.absorb();
    }
    room
}

fn names(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(Path::new("/data/t-0")).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn of_random_logs_the_last_record_of_every_key_stays_with_its_offset() {
    for seed in 0..60 {
        let mut config = compacted();
        config.compaction.delete_retention_ms = [0, 3000, i64::MAX][seed as usize % 3];
        let mut room = room(seed, config);
        let mut story = Story::default();
        if seed % 4 == 0 {
            story.keys = 200;
            let size = CleanerConfig {
                dedupe_buffer_bytes: 1,
                ..cleaner()
            };
            set_cleaner(&mut room, size);
        }
        for _ in 0..room.disk.draw(5) + 2 {
            (0..room.disk.draw(120)).for_each(|_| story.act(&mut room));
            compact(&mut room).unwrap();
            story.check(&mut room);
            if room.disk.draw(3) == 0 {
                room = match room.disk.draw(2) {
                    0 => room.crash(Survives::Some),
                    _ => room.restart(),
                };
                start_cleaner(&mut room, cleaner(), seed);
                story.check(&mut room);
            }
        }
        story.end_all(&mut room);
        (0..60).for_each(|_| story.produce(&mut room, -1, 2));
        compact(&mut room).unwrap();
        story.check(&mut room);
        let log = room.storage.log(id(0)).unwrap();
        assert!(log.cleaned.is_some_and(|cleaned| cleaned > 0), "{seed}");
        pass_ms(&mut room, 120_000);
        compact(&mut room).unwrap();
        let left = |name: &String| {
            ["cleaned", "swap", "deleted"]
                .iter()
                .any(|s| name.ends_with(s))
        };
        assert!(
            !names(&room.disk).iter().any(left),
            "{:?}",
            names(&room.disk)
        );
    }
}

/// A log that is worth a pass, closed cleanly.
fn before_compaction(seed: u64) -> (SimDisk, Story) {
    let mut room = room(seed, compacted());
    let mut story = Story::default();
    (0..70).for_each(|_| story.act(&mut room));
    compact(&mut room).unwrap();
    (0..50).for_each(|_| story.act(&mut room));
    let room = room.restart();
    (room.disk, story)
}

fn operations_of_compaction(disk: &SimDisk) -> u64 {
    let mut room = started(disk.fork(1), compacted(), true);
    let before = room.disk.operations();
    compact(&mut room).unwrap();
    room.disk.operations() - before
}

#[test]
fn a_power_cut_at_any_operation_of_a_compaction_loses_nothing_and_brings_nothing_back() {
    let (disk, story) = before_compaction(1);
    let count = operations_of_compaction(&disk);
    assert!(count > 40, "{count}");
    for operation in 0..count {
        for survives in [
            Survives::Nothing,
            Survives::Some,
            Survives::Some,
            Survives::Everything,
        ] {
            let mut room = started(disk.fork(operation), compacted(), true);
            room.disk.cut_at(room.disk.operations() + operation);
            let _ = compact(&mut room);
            room.disk.crash(survives);
            let again = room.disk.operations() + room.disk.draw(30);
            room.disk.cut_at(again);
            let _ = settle(&mut Room::on_unsettled(
                room.disk.clone(),
                compacted(),
                1,
                false,
            ));
            room.disk.crash(survives);
            let mut room = started(room.disk, compacted(), false);
            story.check(&mut room);
            compact(&mut room).unwrap();
            story.check(&mut room);
        }
    }
}

#[test]
fn a_failure_of_any_operation_of_a_compaction_leaves_a_log_that_reads_the_same() {
    let (disk, story) = before_compaction(2);
    let count = operations_of_compaction(&disk);
    for operation in 0..count {
        for fault in [Fault::Io, Fault::Full] {
            let mut room = started(disk.fork(operation), compacted(), true);
            let at = room.disk.operations() + operation;
            room.disk.fail_at(at, fault, Times::Once);
            if compact(&mut room).is_ok() {
                story.check(&mut room);
            }
            room.disk.kill();
            let mut room = started(room.disk, compacted(), false);
            story.check(&mut room);
        }
    }
}

#[test]
fn a_producer_goes_on_after_its_last_batch_was_compacted_and_its_snapshots_are_lost() {
    let mut room = room(3, compacted());
    let mut story = Story::default();
    story.produce(&mut room, 7, 3);
    (0..100).for_each(|_| story.produce(&mut room, -1, 3));
    compact(&mut room).unwrap();
    let of_seven = |(_, key, _): &Seen| story.told[..3].iter().any(|told| told.key == *key);
    assert!(
        committed(&mut room).iter().all(|r| r.0 > 2 || !of_seven(r)),
        "its records are gone"
    );
    room.disk.kill();
    for name in names(&room.disk)
        .iter()
        .filter(|name| name.ends_with(".snapshot"))
    {
        room.disk
            .remove_file(&Path::new("/data/t-0").join(name))
            .unwrap();
    }
    let mut room = started(room.disk, compacted(), false);
    let known = room.storage.log(id(0)).unwrap().producer(7);
    assert_eq!(known.map(|known| known.last_sequence), Some(2));
    story.produce(&mut room, 7, 1);
}

#[test]
fn tombstones_stay_for_the_retention_that_begins_when_they_are_compacted() {
    let mut config = compacted();
    config.compaction.delete_retention_ms = 60_000;
    let mut room = room(4, config);
    pass_ms(&mut room, 60_000);
    let fill = |room: &mut Room, key: &str| {
        let mut builder = BatchBuilder::new(0);
        builder.push(WALL_MS, Some(key.as_bytes()), Some(&[1; 1400]));
        room.append(0, &builder.build(None).unwrap()).unwrap();
    };
    let mut builder = BatchBuilder::new(0);
    builder.push(WALL_MS, Some(b"gone"), None);
    room.append(0, &builder.build(None).unwrap()).unwrap();
    let tombstones = |room: &mut Room| {
        let end = room.storage.log(id(0)).unwrap().high_watermark();
        let bytes = read_whole(room, 0, end);
        let (first, _) = Batch::split_first(&bytes).unwrap();
        (first.header().base_offset == 0).then(|| *first.header())
    };
    fill(&mut room, "a");
    fill(&mut room, "a");
    compact(&mut room).unwrap();
    let header = tombstones(&mut room).expect("it has just been compacted");
    assert!(header.attributes.has_delete_horizon());
    let passed = room.now.wall_ms - (header.base_timestamp - 60_000);
    assert!((0..10_000).contains(&passed), "{passed}");
    pass_ms(&mut room, 40_000);
    fill(&mut room, "a");
    compact(&mut room).unwrap();
    assert!(tombstones(&mut room).is_some(), "not yet");
    pass_ms(&mut room, 20_000);
    fill(&mut room, "a");
    compact(&mut room).unwrap();
    assert_eq!(tombstones(&mut room), None);
}

#[test]
fn a_clock_that_jumps_neither_drops_a_tombstone_nor_dates_one() {
    let mut config = compacted();
    config.compaction.delete_retention_ms = 60_000;
    let mut room = room(5, config);
    pass_ms(&mut room, 60_000);
    let append = |room: &mut Room, key: &str, value: Option<&[u8]>| {
        let mut builder = BatchBuilder::new(0);
        builder.push(WALL_MS, Some(key.as_bytes()), value);
        room.append(0, &builder.build(None).unwrap()).unwrap();
    };
    let first = |room: &mut Room| {
        let end = room.storage.log(id(0)).unwrap().high_watermark();
        let bytes = read_whole(room, 0, end);
        *Batch::split_first(&bytes).unwrap().0.header()
    };
    append(&mut room, "gone", None);
    (0..3).for_each(|_| append(&mut room, "a", Some(&[1; 1400])));
    room.now.wall_ms = 1_000_000;
    compact(&mut room).unwrap();
    assert!(!first(&mut room).attributes.has_delete_horizon(), "1970");
    room.now.wall_ms = WALL_MS;
    compact(&mut room).unwrap();
    assert!(
        !first(&mut room).attributes.has_delete_horizon(),
        "it was just set"
    );
    pass_ms(&mut room, 70_000);
    append(&mut room, "a", Some(&[1; 1400]));
    compact(&mut room).unwrap();
    assert!(first(&mut room).attributes.has_delete_horizon());
    room.now.wall_ms += 31_536_000_000;
    append(&mut room, "a", Some(&[1; 1400]));
    compact(&mut room).unwrap();
    assert_eq!(
        first(&mut room).base_offset,
        0,
        "a year in a moment is none"
    );
}

#[test]
fn a_compacted_segment_is_as_old_as_the_last_of_those_it_was_made_of() {
    let (disk, _) = before_compaction(3);
    let written = |disk: &SimDisk| {
        let entries = disk.list(Path::new("/data/t-0")).unwrap().into_iter();
        let logs = entries.filter(|entry| entry.name.ends_with(".log"));
        logs.map(|entry| entry.modified_ms).collect::<Vec<_>>()
    };
    let newest_ms = *written(&disk).iter().max().unwrap();
    let mut room = started(disk, compacted(), true);
    pass_ms(&mut room, 3_600_000);
    compact(&mut room).unwrap();
    assert!(room.storage.log(id(0)).unwrap().cleaned.is_some());
    let (active_ms, compacted_ms) = (written(&room.disk).pop(), written(&room.disk));
    let compacted_ms = &compacted_ms[..compacted_ms.len() - 1];
    assert!(active_ms.is_some() && !compacted_ms.is_empty());
    let is_as_old = |ms: &i64| (1..=newest_ms).contains(ms);
    assert!(
        compacted_ms.iter().all(is_as_old),
        "{compacted_ms:?} {newest_ms}"
    );
}

#[test]
fn a_batch_that_a_cut_has_taken_is_the_end_of_a_compacted_log_too() {
    for has_checkpoint in [true, false] {
        let (disk, story) = before_compaction(9);
        let dir = Path::new("/data/t-0");
        for name in names(&disk)
            .iter()
            .filter(|name| name.ends_with(".snapshot"))
        {
            disk.remove_file(&dir.join(name)).unwrap();
        }
        if !has_checkpoint {
            let path = Path::new("/data").join("cleaner-offset-checkpoint");
            disk.remove_file(&path).unwrap();
        }
        let last = names(&disk)
            .into_iter()
            .rfind(|name| name.ends_with(".log"));
        let file = disk.open(&dir.join(last.unwrap()), Mode::Write).unwrap();
        let mut room = started(disk.fork(1), compacted(), false);
        story.check(&mut room);
        let end = room.storage.log(id(0)).unwrap().log_end();
        let mut builder = BatchBuilder::new(end + 5);
        builder.push(WALL_MS, Some(&[0; 8]), Some(&[0; 8]));
        let bytes = builder.build(None).unwrap();
        file.write_at(file.len().unwrap(), &[&bytes]).unwrap();
        let mut room = started(disk, compacted(), false);
        assert_eq!(room.storage.log(id(0)).unwrap().log_end(), end);
        story.check(&mut room);
    }
}

/// The topic goes, and its files are given the time to leave the disk.
fn delete_topic(room: &mut Room) {
    room.storage.forget(id(0));
    room.storage.delete_files(id(0));
    room.storage.tick(room.now);
    settle(room).unwrap();
    pass_ms(room, 120_000);
    room.storage.tick(room.now);
    settle(room).unwrap();
}

#[test]
fn a_deleted_topic_ends_its_pass_and_leaves_nothing_behind() {
    let (disk, _) = before_compaction(6);
    for slices in 0..12 {
        let mut room = in_a_pass(&disk, slices);
        delete_topic(&mut room);
        let left = room.disk.list(Path::new("/data")).unwrap();
        assert!(left.iter().all(|entry| !entry.is_dir), "{slices}: {left:?}");
        room.storage.begin_close(room.now);
        settle(&mut room).unwrap();
        assert!(room.storage.closed());
    }
}

#[test]
fn a_clean_stop_during_a_pass_ends_it_soon_and_loses_nothing() {
    let (disk, story) = before_compaction(7);
    for slices in 0..12 {
        let room = in_a_pass(&disk, slices);
        let mut room = room.restart();
        story.check(&mut room);
    }
}

#[test]
fn a_topic_that_is_not_to_be_compacted_any_more_is_left_as_it_is() {
    let (disk, _) = before_compaction(8);
    for begun in [false, true] {
        let mut room = started(disk.fork(1), compacted(), true);
        let slowly = CleanerConfig {
            io_bytes_per_second: 1.0,
            ..cleaner()
        };
        set_cleaner(&mut room, slowly);
        if begun {
            pass_ms(&mut room, 1100);
            room.storage.tick(room.now);
            settle(&mut room).unwrap();
            assert!(!room.storage.cleaner.is_idle(), "its next slice waits");
        }
        let end = room.storage.log(id(0)).unwrap().log_end();
        let before = read_whole(&mut room, 0, end);
        let kept = Arc::new(LogConfig {
            compact: false,
            ..compacted()
        });
        room.storage.set_config(id(0), &kept);
        for _ in 0..5 {
            pass_ms(&mut room, 1 << 30);
            room.storage.tick(room.now);
            settle(&mut room).unwrap();
        }
        assert!(room.storage.cleaner.is_idle());
        assert!(read_whole(&mut room, 0, end) == before, "{begun}");
    }
}

#[test]
fn a_deleted_topic_s_namesake_does_not_count_as_compacted() {
    let (disk, _) = before_compaction(9);
    let mut room = started(disk, compacted(), true);
    compact(&mut room).unwrap();
    assert!(room.storage.log(id(0)).unwrap().cleaned.is_some());
    delete_topic(&mut room);
    let config = Arc::clone(&room.config);
    let created = room.storage.create(id(0), &"t".into(), &config, room.now);
    created.unwrap();
    room.append(0, &batch(1, b"new")).unwrap();
    settle(&mut room).unwrap();
    let room = room.restart();
    assert_eq!(room.storage.log(id(0)).unwrap().cleaned, None);
}

#[test]
fn a_compacted_log_outlives_the_loss_of_every_file_of_the_root() {
    for clean in [true, false] {
        let (disk, story) = before_compaction(10);
        let mut room = started(disk, compacted(), true);
        compact(&mut room).unwrap();
        let end = room.storage.log(id(0)).unwrap().log_end();
        room.storage.begin_close(room.now);
        settle(&mut room).unwrap();
        assert!(room.storage.closed());
        for name in [names::RECOVERY_POINTS, names::CLEANER_OFFSETS] {
            let path = Path::new("/data").join(name);
            room.disk.remove_file(&path).unwrap();
        }
        room.disk.sync_dir(Path::new("/data")).unwrap();
        let mut room = started(room.disk, compacted(), clean);
        settle(&mut room).unwrap();
        assert_eq!(room.storage.log(id(0)).unwrap().log_end(), end, "{clean}");
        story.check(&mut room);
    }
}
