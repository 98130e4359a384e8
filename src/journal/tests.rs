//! The journal as a whole on a disk that forgets, tears and fails. The one promise under test: what is
//! replayed is a prefix of what was appended, and holds every group whose round was synced.

mod snapshots;
mod upkeep;

use super::{Change, Done, Journal, Limits, OpenError, Place};
use crate::clock::Mono;
use crate::disk::lanes::{Append, Completion, Lanes, Round};
use crate::disk::sim::{Fault, SimDisk, SimLanes, Survives, Times};
use crate::disk::{Disk, Mode, RealDisk, Syncing, remove_tree};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const ROOT: &str = "/data";

/// No snapshot is ever due.
pub(super) const NEVER: Limits = Limits {
    interval_ms: i64::MAX,
    bytes: u64::MAX,
    entries: u64::MAX,
};

/// A group that owns its bytes.
pub(super) type Group = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Opens the journal; answers what it replayed.
pub(super) fn open(disk: &SimDisk) -> Result<(Journal, Vec<Group>), OpenError> {
    open_with(disk, NEVER)
}

fn open_with(disk: &SimDisk, limits: Limits) -> Result<(Journal, Vec<Group>), OpenError> {
    let mut groups = Vec::new();
    let place = Place {
        disk: Arc::new(disk.clone()),
        root: ROOT.into(),
        salt: 7,
    };
    let journal = Journal::open(place, limits, Mono(0), &mut |changes| {
        groups.push(owned(changes));
    })?;
    Ok((journal, groups))
}

/// Replayed groups that must be there whatever the disk does to what is not synced.
pub(super) fn reopened(disk: &SimDisk) -> (Journal, Vec<Group>) {
    open(disk).unwrap_or_else(|error| panic!("{error}"))
}

fn owned(changes: &[Change<'_>]) -> Group {
    let own = |change: &Change<'_>| (change.key.to_vec(), change.value.map(<[u8]>::to_vec));
    changes.iter().map(own).collect()
}

pub(super) fn disk(seed: u64) -> SimDisk {
    SimDisk::new(seed, Path::new(ROOT))
}

pub(super) fn file_path(number: u64) -> PathBuf {
    Path::new(ROOT).join(format!("journal/{number:020}.journal"))
}

/// All bytes of a file.
pub(super) fn image(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, Mode::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Makes `bytes` the whole of a file, durably.
pub(super) fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    disk.create_dir(path.parent().unwrap()).unwrap();
    let file = disk.open(path, Mode::Create).unwrap();
    file.set_len(0).unwrap();
    file.write_at(0, &[bytes]).unwrap();
    disk.sync_all(Path::new(ROOT)).unwrap();
}

/// The bytes in quarantine, in the order of their names.
pub(super) fn quarantined(disk: &SimDisk) -> Vec<Vec<u8>> {
    let dir = Path::new(ROOT).join("quarantine");
    let names = disk.list(&dir).unwrap_or_default();
    names
        .iter()
        .map(|entry| image(disk, &dir.join(&entry.name)))
        .collect()
}

/// A group that tells which one it is, with a value of `bytes` bytes.
pub(super) fn group(id: usize, bytes: usize) -> Group {
    let value = vec![b'a' + (id % 26) as u8; bytes];
    vec![
        (format!("key {}", id % 5).into_bytes(), Some(value)),
        (id.to_be_bytes().to_vec(), None),
    ]
}

pub(super) fn append(journal: &mut Journal, group: &Group) {
    let changes: Vec<Change<'_>> = group
        .iter()
        .map(|(key, value)| Change {
            key,
            value: value.as_deref(),
        })
        .collect();
    journal.append(&changes);
}

/// Runs the job that was begun, if one was; `false` when the disk failed.
pub(super) fn work(journal: &mut Journal) -> bool {
    let now = Mono(0);
    let job = journal.take_job();
    job.is_none_or(|job| journal.absorb(job(), now).is_ok())
}

/// Runs what is due and then one round to its end; `false` when the disk failed.
pub(super) fn sync(journal: &mut Journal, disk: &SimDisk, number: u64) -> bool {
    journal.tick(Mono(0));
    work(journal) && round(journal, disk, number)
}

/// Runs one round to its end, in as many parts as it takes; `false` when the disk failed, or has no place for it.
pub(super) fn round(journal: &mut Journal, disk: &SimDisk, number: u64) -> bool {
    loop {
        match part(journal, disk, number) {
            Some(true) => return true,
            Some(false) => {}
            None => return false,
        }
    }
}

/// Runs one part of a round; whether that was the last, or nothing when the disk failed or has no place for it.
pub(super) fn part(journal: &mut Journal, disk: &SimDisk, number: u64) -> Option<bool> {
    while !journal.make_place().ok()? {
        let job = journal.take_job()?;
        journal.absorb(job(), Mono(0)).ok()?;
    }
    let mut round = Round {
        number,
        ..Round::default()
    };
    journal.gather(&mut round);
    let mut lanes = SimLanes::<Done>::new(disk);
    lanes.sync(round);
    lanes.run_sync();
    let is_synced = |done: &Completion<Done>| matches!(done, Completion::Synced(_));
    let synced = lanes.completed().iter().any(is_synced);
    synced.then(|| journal.synced())
}

/// A life of the broker: rounds of groups of some sizes.
type Trace = &'static [&'static [usize]];

const TRACES: [Trace; 4] = [
    // Small ones, one by one.
    &[&[10], &[20], &[0]],
    // Groups of one size, so that an old one would fit behind a new one.
    &[&[700, 700, 700], &[700, 700, 700, 700], &[700]],
    // Files run full, exactly half full, and one round is larger than a file.
    &[&[400_000], &[200_000], &[500_000], &[1_200_000, 10], &[30]],
    &[&[1_500_000], &[600_000], &[10], &[600_000, 10]],
];

/// How often each of them is cut at each operation; large files take long.
const SEEDS: [u64; 4] = [12, 12, 2, 2];

/// What was appended, and how much of it must and may come back.
#[derive(Default)]
struct History {
    groups: Vec<Group>,
    synced: usize,
}

impl History {
    /// Appends and syncs round after round until the disk fails.
    fn live(&mut self, disk: &SimDisk, journal: &mut Journal, trace: Trace) -> bool {
        for (number, sizes) in (1..).zip(trace) {
            for &bytes in *sizes {
                let group = group(self.groups.len(), bytes);
                append(journal, &group);
                self.groups.push(group);
            }
            if !sync(journal, disk, number) {
                return false;
            }
            self.synced = self.groups.len();
        }
        true
    }

    /// Opens after a stop. What came back is what there is from now on.
    fn check(&mut self, disk: &SimDisk, context: &str) -> Journal {
        let (journal, replayed) = open(disk).unwrap_or_else(|e| panic!("{context}: {e}"));
        self.compare(&replayed, context);
        journal
    }

    fn compare(&mut self, replayed: &[Group], context: &str) {
        let count = replayed.len();
        assert!(
            count >= self.synced,
            "{context}: {count} of {}",
            self.synced
        );
        assert!(self.groups.starts_with(replayed), "{context}: not a prefix");
        self.groups.truncate(count);
        self.synced = count;
    }
}

/// The number of operations that a trace needs from the opening on.
fn operations(trace: Trace) -> u64 {
    let disk = disk(1);
    let (mut journal, _) = reopened(&disk);
    assert!(History::default().live(&disk, &mut journal, trace));
    disk.operations()
}

#[test]
fn a_power_cut_at_any_operation_loses_no_synced_group() {
    for (index, trace) in TRACES.into_iter().enumerate() {
        for cut in 0..operations(trace) {
            for seed in 0..SEEDS[index] {
                let context = format!("trace {index}, cut at {cut}, seed {seed}");
                let disk = disk(seed * 1000 + cut);
                disk.cut_at(cut);
                let mut history = History::default();
                if let Ok((mut journal, _)) = open(&disk) {
                    history.live(&disk, &mut journal, trace);
                }
                disk.crash(Survives::Some);
                let mut journal = history.check(&disk, &context);
                assert!(history.live(&disk, &mut journal, trace), "{context}");
                disk.crash(Survives::Some);
                history.check(&disk, &context);
            }
        }
    }
}

/// A disk that was cut while a round of several sectors was written.
fn torn(seed: u64) -> (SimDisk, History) {
    let disk = disk(seed);
    let (mut journal, _) = reopened(&disk);
    let mut history = History::default();
    let trace = TRACES[1];
    disk.cut_at(operations(trace) - 4);
    assert!(!history.live(&disk, &mut journal, trace));
    disk.crash(Survives::Some);
    (disk, history)
}

#[test]
fn a_power_cut_at_any_operation_of_a_start_loses_nothing_more() {
    let mut repaired = 0;
    for seed in 0..60 {
        let (disk, mut history) = torn(seed);
        let fork = disk.fork(seed);
        let (_, replayed) = reopened(&fork);
        let kept = quarantined(&fork);
        repaired += kept.len();
        history.compare(&replayed, "the first start");
        for cut in 0..fork.operations() {
            let fork = disk.fork(seed);
            fork.cut_at(cut);
            assert!(open(&fork).is_err());
            fork.crash(Survives::Some);
            let (_, again) = reopened(&fork);
            assert_eq!(again, replayed, "seed {seed}, cut at {cut}");
            let aside = quarantined(&fork);
            assert!(kept.iter().all(|bytes| aside.contains(bytes)));
        }
    }
    assert!(repaired > 5, "only {repaired} tails were torn");
}

#[test]
fn a_failed_operation_stops_the_process_and_loses_no_synced_group() {
    for (index, trace) in TRACES.into_iter().enumerate() {
        for at in 0..operations(trace) {
            let context = format!("trace {index}, failure at {at}");
            let disk = disk(at);
            disk.fail_at(at, Fault::Io, Times::Once);
            let mut history = History::default();
            if let Ok((mut journal, _)) = open(&disk) {
                history.live(&disk, &mut journal, trace);
            }
            disk.kill();
            let mut journal = history.check(&disk, &context);
            assert!(history.live(&disk, &mut journal, trace), "{context}");
            disk.crash(Survives::Nothing);
            history.check(&disk, &context);
        }
    }
}

#[test]
fn what_a_start_has_replayed_survives_a_power_cut() {
    let disk = disk(1);
    let (mut journal, _) = reopened(&disk);
    let mut history = History::default();
    assert!(history.live(&disk, &mut journal, TRACES[0]));
    append(&mut journal, &group(9, 100));
    history.groups.push(group(9, 100));
    disk.cut_at(disk.operations() + 1);
    assert!(!sync(&mut journal, &disk, 9));
    disk.kill();
    history.check(&disk, "killed before the sync");
    assert_eq!(history.synced, 4);
    disk.crash(Survives::Nothing);
    history.check(&disk, "crashed after the start");
}

#[test]
fn only_a_clean_stop_is_clean() {
    let disk = disk(1);
    assert!(reopened(&disk).0.was_clean(), "a new journal");
    let (mut journal, _) = reopened(&disk);
    append(&mut journal, &group(1, 10));
    assert!(sync(&mut journal, &disk, 1));
    disk.kill();
    let (mut journal, _) = reopened(&disk);
    assert!(!journal.was_clean(), "no mark");
    journal.close();
    assert!(sync(&mut journal, &disk, 1));
    disk.crash(Survives::Nothing);
    let (mut journal, groups) = reopened(&disk);
    assert!(journal.was_clean(), "the mark is last");
    assert_eq!(groups, [group(1, 10)]);
    append(&mut journal, &group(2, 10));
    assert!(sync(&mut journal, &disk, 1));
    disk.kill();
    assert!(!reopened(&disk).0.was_clean(), "the mark is not last");
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let disk = disk(1);
    let (mut journal, _) = reopened(&disk);
    append(&mut journal, &group(1, 10));
    assert!(sync(&mut journal, &disk, 1));
    assert!(sync(&mut journal, &disk, 2));
    let before = disk.operations();
    assert!(!journal.needs_round());
    for number in 3..10 {
        assert!(sync(&mut journal, &disk, number));
    }
    assert_eq!(disk.operations(), before);
}

#[test]
fn the_real_disk_gives_back_what_it_was_given() {
    let name = format!("chronikd-journal-{}", std::process::id());
    let (root, disk) = (
        std::env::temp_dir().join(name),
        RealDisk::new(Syncing::Each),
    );
    disk.create_dir(&root).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let mut given = Vec::new();
    for life in 0..3 {
        let mut groups = Vec::new();
        let place = Place {
            disk: Arc::clone(&disk),
            root: root.clone(),
            salt: life,
        };
        let mut journal = Journal::open(place, NEVER, Mono(0), &mut |changes| {
            groups.push(owned(changes));
        })
        .unwrap();
        assert_eq!(groups, given);
        for number in 1..5 {
            given.push(group(given.len(), 300_000));
            append(&mut journal, &given[given.len() - 1]);
            journal.tick(Mono(0));
            assert!(work(&mut journal));
            assert!(journal.make_place().unwrap());
            let mut round = Round::default();
            journal.gather(&mut round);
            let Append {
                file,
                position,
                bytes,
            } = round.then.unwrap();
            file.write_at(position, &[&bytes]).unwrap();
            file.sync().unwrap();
            journal.synced();
            assert_eq!(journal.last_sequence(), life * 4 + number);
        }
    }
    remove_tree(&*disk, &root).unwrap();
}
