//! Snapshots on a disk that forgets, tears and fails. What is under test: what is replayed is the state after some
//! prefix of what was appended, and that prefix has every group whose round was synced; wherever the work was cut.

use super::*;
use std::collections::BTreeMap;

/// The newest value of every key.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn apply(state: &mut State, group: &Group) {
    for (key, value) in group {
        match value {
            Some(value) => drop(state.insert(key.clone(), value.clone())),
            None => drop(state.remove(key)),
        }
    }
}

fn state_of(groups: &[Group]) -> State {
    let mut state = State::new();
    groups.iter().for_each(|group| apply(&mut state, group));
    state
}

/// What happens in a life, one after the other.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A round with a group of this size.
    Round(usize),
    /// What is due is begun, at this second.
    Tick(u64),
    /// The job is run, and its result taken in.
    Work,
}
use Step::{Round as Sync, Tick, Work};

/// The third round makes a snapshot due.
const LIMITS: Limits = Limits {
    interval_ms: 10_000,
    bytes: 1 << 20,
    entries: 6,
};

#[rustfmt::skip]
const LIVES: [&[Step]; 4] = [
    // The first snapshot, and the second one over it, each with rounds while the job is under way.
    &[
        Sync(10),
        Tick(1),
        Work,
        Sync(20),
        Sync(30),
        Tick(1),
        Sync(40),
        Work,
        Sync(50),
        Sync(60),
        Sync(70),
        Tick(2),
        Sync(10),
        Work,
        Sync(80),
    ],
    // On the timer, with nothing but the snapshot afterwards.
    &[
        Sync(10),
        Tick(1),
        Work,
        Sync(300),
        Tick(11),
        Work,
        Tick(30),
        Tick(50),
    ],
    // By size: the full file is merged, the current one is not.
    &[
        Sync(600_000),
        Tick(1),
        Work,
        Sync(600_000),
        Tick(1),
        Work,
        Sync(10),
        Tick(1),
        Work,
    ],
    // A round larger than a file.
    &[
        Sync(10),
        Tick(1),
        Work,
        Sync(1_500_000),
        Tick(1),
        Work,
        Sync(30),
        Sync(9),
        Tick(2),
        Work,
    ],
];

/// How often each of them is cut at each operation; large files take long.
const SEEDS: [u64; 4] = [8, 8, 3, 3];

/// Everything appended, and how much of it is synced.
#[derive(Default)]
struct Ledger {
    groups: Vec<Group>,
    synced: usize,
}

impl Ledger {
    /// Lives through the steps until the disk fails. `false` if it did.
    fn live(&mut self, disk: &SimDisk, journal: &mut Journal, steps: &[Step]) -> bool {
        steps.iter().enumerate().all(|(index, step)| match *step {
            Sync(bytes) => self.round(disk, journal, bytes, index as u64),
            Tick(second) => {
                journal.tick(Mono(second * 1_000_000));
                true
            }
            Work => work(journal),
        })
    }

    fn round(&mut self, disk: &SimDisk, journal: &mut Journal, bytes: usize, number: u64) -> bool {
        let group = group(self.groups.len(), bytes);
        append(journal, &group);
        self.groups.push(group);
        let is_synced = round(journal, disk, number);
        if is_synced {
            self.synced = self.groups.len();
        }
        is_synced
    }

    /// Opens after a stop. What came back is what there is from now on.
    fn check(&mut self, disk: &SimDisk, context: &str) -> Journal {
        let (journal, replayed) =
            open_with(disk, LIMITS).unwrap_or_else(|error| panic!("{context}: {error}"));
        let count = journal.last_sequence() as usize;
        assert!(
            count >= self.synced,
            "{context}: {count} of {}",
            self.synced
        );
        assert!(count <= self.groups.len(), "{context}: {count} groups");
        assert_eq!(
            state_of(&replayed),
            state_of(&self.groups[..count]),
            "{context}"
        );
        self.groups.truncate(count);
        self.synced = count;
        journal
    }
}

const FAULTS: [(Fault, Times); 3] = [
    (Fault::Io, Times::Once),
    (Fault::Full, Times::Once),
    (Fault::Full, Times::Forever),
];

fn operations(life: &[Step]) -> u64 {
    let disk = disk(1);
    let (mut journal, _) = open_with(&disk, LIMITS).unwrap();
    assert!(Ledger::default().live(&disk, &mut journal, life));
    disk.operations()
}

#[test]
fn every_life_makes_a_snapshot_and_comes_back() {
    for life in LIVES {
        let disk = disk(1);
        let mut ledger = Ledger::default();
        let (mut journal, _) = open_with(&disk, LIMITS).unwrap();
        assert!(ledger.live(&disk, &mut journal, life));
        assert!(journal.size().snapshot_bytes > 0);
        let names = names(&disk);
        let count = |end: &str| names.iter().filter(|name| name.contains(end)).count();
        assert_eq!((count(".snapshot"), count("reserve")), (1, 1), "{names:?}");
        assert!(count("") <= 6, "{names:?}");
        disk.crash(Survives::Nothing);
        let again = ledger.check(&disk, "a life");
        assert_eq!(again.size().snapshot_bytes, journal.size().snapshot_bytes);
    }
}

/// Where a merge is refused a name, as a full disk may do, the blocks that it has written to are not lost.
#[test]
fn a_reserve_that_gets_no_name_is_a_reserve_again() {
    let life = LIVES[0];
    let mut refused = 0;
    for at in 0..operations(life) {
        let disk = disk(at);
        disk.fail_at(at, Fault::Full, Times::Once);
        let Ok((mut journal, _)) = open_with(&disk, LIMITS) else {
            continue;
        };
        if !Ledger::default().live(&disk, &mut journal, life) {
            continue;
        }
        refused += usize::from(journal.is_short());
        let files = journal.closed.iter().chain(&journal.current).count();
        let reserves = journal
            .reserves
            .iter()
            .chain(journal.snapshot.as_ref().map(|it| &it.file));
        let known = files + reserves.count() + journal.blanks.len() + journal.stale.len();
        let names = names(&disk);
        assert_eq!(names.len(), known, "{at}: {names:?}");
    }
    assert!(refused > 0, "none of the failures was told");
}

#[test]
fn reserves_beyond_two_are_removed_and_the_largest_stay() {
    let disk = disk(1);
    let (mut journal, _) = open_with(&disk, LIMITS).unwrap();
    assert!(Ledger::default().live(&disk, &mut journal, LIVES[0]));
    for (name, bytes) in [
        ("reserve.7", 10),
        ("reserve.8", 90_000_000),
        ("reserve.9", 20),
    ] {
        let path = Path::new(ROOT).join("journal").join(name);
        put(&disk, &path, b"anything");
        disk.open(&path, Mode::Write)
            .unwrap()
            .set_len(bytes)
            .unwrap();
    }
    disk.kill();
    let (mut journal, _) = open_with(&disk, LIMITS).unwrap();
    journal.tick(Mono(0));
    assert!(work(&mut journal));
    let reserves = names(&disk)
        .into_iter()
        .filter(|name| name.starts_with("reserve"));
    assert_eq!(reserves.collect::<Vec<_>>(), ["reserve.8"]);
}

fn names(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(&Path::new(ROOT).join("journal")).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_cut_at_any_operation_of_a_snapshot_loses_nothing() {
    for (index, life) in LIVES.into_iter().enumerate() {
        for cut in 0..operations(life) {
            for seed in 0..SEEDS[index] {
                let context = format!("life {index}, cut at {cut}, seed {seed}");
                let disk = disk(seed * 1000 + cut);
                disk.cut_at(cut);
                let mut ledger = Ledger::default();
                if let Ok((mut journal, _)) = open_with(&disk, LIMITS) {
                    assert!(!ledger.live(&disk, &mut journal, life), "{context}");
                }
                let left = [Survives::Nothing, Survives::Everything, Survives::Some];
                disk.crash(left[seed.min(2) as usize]);
                let mut journal = ledger.check(&disk, &context);
                assert!(ledger.live(&disk, &mut journal, life), "{context}");
                disk.crash(Survives::Some);
                ledger.check(&disk, &context);
            }
        }
    }
}

#[test]
fn a_kill_and_then_a_cut_in_the_recycling_of_the_next_start_lose_nothing() {
    let recycle = [Tick(1), Work, Sync(10), Tick(2), Work];
    for (index, life) in LIVES[..2].iter().enumerate() {
        for kill in 0..operations(life) {
            let disk = disk(kill);
            disk.cut_at(kill);
            let mut ledger = Ledger::default();
            if let Ok((mut journal, _)) = open_with(&disk, LIMITS) {
                ledger.live(&disk, &mut journal, life);
            }
            disk.kill();
            for cut in 0..30 {
                let context = format!("life {index}, killed at {kill}, cut at {cut}");
                let fork = disk.fork(cut);
                let mut ledger = Ledger {
                    groups: ledger.groups.clone(),
                    synced: ledger.synced,
                };
                fork.cut_at(cut);
                if let Ok((mut journal, _)) = open_with(&fork, LIMITS) {
                    ledger.groups.truncate(journal.last_sequence() as usize);
                    ledger.live(&fork, &mut journal, &recycle);
                }
                fork.crash(if cut % 2 == 0 {
                    Survives::Nothing
                } else {
                    Survives::Some
                });
                ledger.check(&fork, &context);
            }
        }
    }
}

#[test]
fn a_failure_of_any_operation_of_a_snapshot_loses_nothing() {
    for (index, life) in LIVES.into_iter().enumerate() {
        for at in 0..operations(life) {
            for (fault, times) in &FAULTS[..if index < 2 { 3 } else { 2 }] {
                let context = format!("life {index}, {fault:?} {times:?} at {at}");
                let disk = disk(at);
                disk.fail_at(at, *fault, *times);
                let mut ledger = Ledger::default();
                if let Ok((mut journal, _)) = open_with(&disk, LIMITS) {
                    ledger.live(&disk, &mut journal, life);
                }
                let cut = disk.fork(at);
                cut.crash(Survives::Some);
                let mut copy = Ledger {
                    groups: ledger.groups.clone(),
                    synced: ledger.synced,
                };
                copy.check(&cut, &context);
                disk.kill();
                let mut journal = ledger.check(&disk, &context);
                assert!(ledger.live(&disk, &mut journal, life), "{context}");
                disk.crash(Survives::Nothing);
                ledger.check(&disk, &context);
            }
        }
    }
}

/// A failed read is told, too: nothing is merged without what was not read.
#[test]
fn a_failure_of_any_read_of_a_snapshot_loses_nothing() {
    for (index, life) in LIVES.into_iter().enumerate() {
        let reads = {
            let disk = disk(1);
            let (mut journal, _) = open_with(&disk, LIMITS).unwrap();
            assert!(Ledger::default().live(&disk, &mut journal, life));
            disk.reads()
        };
        for at in 0..reads {
            let disk = disk(at);
            disk.fail_read_at(at, Fault::Io, Times::Once);
            let mut ledger = Ledger::default();
            if let Ok((mut journal, _)) = open_with(&disk, LIMITS) {
                ledger.live(&disk, &mut journal, life);
            }
            disk.crash(Survives::Some);
            ledger.check(&disk, &format!("life {index}, read {at}"));
        }
    }
}
