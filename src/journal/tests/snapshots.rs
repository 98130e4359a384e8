//! What a snapshot holds, when one is made, how much room all of it takes, and what is said of a damaged one.

use super::*;
use crate::disk::read_all;
use crate::journal::entry::{FileHeader, HEADER_BYTES, VERSION};
use std::collections::BTreeMap;

/// A snapshot for every closed file, and for nothing else.
const BY_SIZE: Limits = Limits {
    bytes: 1 << 20,
    ..NEVER
};
/// A snapshot for every change.
const ALWAYS: Limits = Limits {
    entries: 1,
    ..NEVER
};

fn dir() -> PathBuf {
    Path::new(ROOT).join("journal")
}

fn snapshot_path(number: u64) -> PathBuf {
    dir().join(format!("{number:020}.snapshot"))
}

fn names(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(&dir()).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

fn set(key: u32, value: &[u8]) -> Group {
    vec![(key.to_be_bytes().to_vec(), Some(value.to_vec()))]
}

fn removed(key: u32) -> Group {
    vec![(key.to_be_bytes().to_vec(), None)]
}

/// A journal whose groups are all in a snapshot.
fn snapshotted(disk: &SimDisk, groups: &[Group]) -> Journal {
    let (mut journal, _) = open_with(disk, ALWAYS).unwrap();
    for (number, group) in (1..).zip(groups) {
        append(&mut journal, group);
        assert!(sync(&mut journal, disk, number));
    }
    journal.tick(Mono(0));
    assert!(work(&mut journal));
    assert_eq!(journal.size().entries, 0);
    journal
}

/// The newest values that an opening hands out.
fn state(disk: &SimDisk) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let (_, groups) = open_with(disk, NEVER).unwrap();
    groups.into_iter().flatten().collect()
}

fn refusal(disk: &SimDisk) -> (PathBuf, u64) {
    match open_with(disk, NEVER).map(drop).unwrap_err() {
        OpenError::Damaged { path, position, .. } => (path, position),
        other => panic!("{other}"),
    }
}

#[test]
fn a_snapshot_has_the_newest_value_of_every_key_and_no_tombstone() {
    let disk = disk(1);
    let groups = [
        set(1, b"old"),
        set(2, b"two"),
        set(3, b"three"),
        set(1, b"new"),
        removed(2),
        removed(9),
        set(3, b""),
    ];
    let journal = snapshotted(&disk, &groups);
    assert_eq!(journal.size().snapshot_entries, 2);
    assert_eq!(journal.last_sequence(), 7);
    disk.crash(Survives::Nothing);
    let expected = [(1u32, &b"new"[..]), (3, b"")];
    let expected = expected.map(|(key, value)| (key.to_be_bytes().to_vec(), Some(value.to_vec())));
    assert_eq!(state(&disk), BTreeMap::from(expected));
    assert_eq!(open_with(&disk, NEVER).unwrap().0.last_sequence(), 7);
}

#[test]
fn values_of_any_size_come_back_from_a_snapshot_over_a_snapshot() {
    let disk = disk(1);
    let mut expected = BTreeMap::new();
    let (mut journal, _) = open_with(&disk, BY_SIZE).unwrap();
    for step in 0..40u32 {
        let sizes = [0, 10, 1000, 70_000, 300_000, 2_000_000];
        let group = set(step * 7 % 16, &vec![step as u8; sizes[step as usize % 6]]);
        append(&mut journal, &group);
        expected.extend(group);
        assert!(sync(&mut journal, &disk, u64::from(step) + 1));
    }
    assert!(journal.size().snapshot_bytes > 2_000_000);
    disk.crash(Survives::Nothing);
    assert_eq!(state(&disk), expected);
}

#[test]
fn a_flipped_bit_or_a_cut_anywhere_in_a_snapshot_refuses_the_start() {
    let disk = disk(1);
    let groups: Vec<Group> = (0..40).map(|key| set(key, &[1; 40])).collect();
    let size = snapshotted(&disk, &groups).size();
    disk.crash(Survives::Nothing);
    let number = names(&disk)
        .iter()
        .find_map(|name| name.strip_suffix(".snapshot")?.parse().ok())
        .unwrap();
    let path = snapshot_path(number);
    let whole = read_all(&disk, &path).unwrap();
    for at in 0..size.snapshot_bytes as usize {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        put(&disk, &path, &bytes);
        let before = disk.operations();
        let (found, position) = refusal(&disk);
        assert_eq!(found, path, "byte {at}");
        assert!(position as usize <= at, "byte {at}");
        assert_eq!(disk.operations() - before, 1, "the directory is looked for");
    }
    for len in [0, 63, 64, size.snapshot_bytes as usize - 1] {
        put(&disk, &path, &whole[..len]);
        assert_eq!(refusal(&disk).0, path, "cut at {len}");
    }
    put(&disk, &path, &whole);
    assert_eq!(state(&disk).len(), 40);
    disk.rename(&path, &snapshot_path(number + 1)).unwrap();
    assert_eq!(refusal(&disk).0, snapshot_path(number + 1), "another name");
}

#[test]
fn a_missing_file_behind_a_snapshot_is_damage() {
    let disk = disk(1);
    drop(snapshotted(&disk, &[set(1, b"one")]));
    disk.crash(Survives::Nothing);
    let (mut journal, _) = open_with(&disk, NEVER).unwrap();
    for number in 1..4 {
        append(&mut journal, &set(1, &[1; 600_000]));
        assert!(sync(&mut journal, &disk, number));
    }
    drop(journal);
    let files: Vec<String> = names(&disk)
        .into_iter()
        .filter(|name| name.ends_with(".journal"))
        .collect();
    assert!(files.len() > 1, "{files:?}");
    disk.remove_file(&dir().join(&files[0])).unwrap();
    assert_eq!(refusal(&disk), (dir().join(&files[0]), 0));
}

#[test]
fn what_a_snapshot_covers_is_not_read_again_and_becomes_blank() {
    let disk = disk(1);
    drop(snapshotted(&disk, &[set(1, b"one"), set(2, b"two")]));
    disk.crash(Survives::Nothing);
    put(&disk, &file_path(1), b"anything");
    let mut old = FileHeader::journal(2, 7).encode().to_vec();
    old.resize(1 << 20, 3);
    put(&disk, &file_path(2), &old);
    put(&disk, &snapshot_path(1), b"anything");
    assert_eq!(state(&disk).len(), 2);
    let (mut journal, _) = open_with(&disk, NEVER).unwrap();
    journal.tick(Mono(0));
    assert!(work(&mut journal));
    assert!(names(&disk).iter().all(|name| !name.ends_with(".journal")));
    for name in names(&disk).iter().filter(|name| name.starts_with("blank")) {
        let bytes = read_all(&disk, &dir().join(name)).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        assert!(bytes[HEADER_BYTES..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn damage_that_a_merge_meets_ends_the_process_and_changes_nothing() {
    for at in [64, 5000, 600_000] {
        let disk = disk(1);
        let (mut journal, _) = open_with(&disk, BY_SIZE).unwrap();
        append(&mut journal, &set(1, &[1; 600_000]));
        assert!(sync(&mut journal, &disk, 1));
        append(&mut journal, &set(2, &[1; 600_000]));
        assert!(sync(&mut journal, &disk, 2));
        let file = disk.open(&file_path(1), Mode::Write).unwrap();
        file.write_at(at, &[b"?"]).unwrap();
        let before = names(&disk);
        journal.tick(Mono(0));
        let job = journal.take_job().unwrap();
        let failure = journal.absorb(job(), Mono(0)).unwrap_err();
        assert!(
            failure.to_string().contains("00001.journal is damaged"),
            "{failure}"
        );
        assert_eq!(names(&disk), before);
        assert_eq!(refusal(&disk).0, file_path(1));
    }
}

#[test]
fn a_file_of_the_version_before_is_read_and_never_written() {
    let disk = disk(1);
    let mut first = read_first(&[set(1, b"one"), set(2, b"two")]);
    let header = FileHeader {
        version: 1,
        ..FileHeader::journal(1, 7)
    };
    first[..HEADER_BYTES].copy_from_slice(&header.encode());
    put(&disk, &file_path(1), &first);
    let (mut journal, groups) = open_with(&disk, NEVER).unwrap();
    assert_eq!(groups.len(), 2);
    append(&mut journal, &set(3, b"three"));
    assert!(sync(&mut journal, &disk, 1));
    assert_eq!(image(&disk, &file_path(1)), first);
    let second = FileHeader::decode(&image(&disk, &file_path(2))).unwrap();
    assert_eq!(second.version, VERSION);
    disk.crash(Survives::Nothing);
    assert_eq!(state(&disk).len(), 3);
}

/// The first file of a journal with these groups.
fn read_first(groups: &[Group]) -> Vec<u8> {
    let disk = disk(1);
    let (mut journal, _) = open_with(&disk, NEVER).unwrap();
    for (number, group) in (1..).zip(groups) {
        append(&mut journal, group);
        assert!(sync(&mut journal, &disk, number));
    }
    image(&disk, &file_path(1))
}

#[test]
fn the_mark_of_a_clean_stop_is_remembered_in_a_snapshot() {
    for is_clean in [true, false] {
        let disk = disk(1);
        let (mut journal, _) = open_with(&disk, NEVER).unwrap();
        append(&mut journal, &set(1, b"one"));
        if is_clean {
            journal.close();
        }
        assert!(sync(&mut journal, &disk, 1));
        journal.begin(crate::journal::schedule::Merge::Everything);
        assert!(work(&mut journal));
        assert_eq!(journal.size().groups, 0);
        disk.crash(Survives::Nothing);
        assert_eq!(open_with(&disk, NEVER).unwrap().0.was_clean(), is_clean);
    }
}

#[test]
fn the_timer_makes_one_snapshot_of_a_change_and_rests() {
    let disk = disk(1);
    let limits = Limits {
        interval_ms: 1000,
        ..NEVER
    };
    let (mut journal, _) = open_with(&disk, limits).unwrap();
    assert_eq!(journal.next_deadline(), None);
    journal.tick(Mono(5_000_000));
    assert!(work(&mut journal));
    append(&mut journal, &set(1, b"one"));
    assert!(sync(&mut journal, &disk, 1));
    journal.tick(Mono(0));
    assert!(work(&mut journal), "a blank is made");
    let due = journal.next_deadline().unwrap();
    assert_eq!(due, Mono(1_000_000));
    journal.tick(Mono(due.0 - 1));
    assert!(journal.take_job().is_none());
    journal.tick(due);
    assert!(work(&mut journal));
    assert_eq!(journal.size().snapshot_entries, 1);
    let before = disk.operations();
    for second in 6..100 {
        assert_eq!(journal.next_deadline(), None);
        journal.tick(Mono(second * 1_000_000));
        assert!(journal.take_job().is_none());
    }
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_round_without_a_place_waits_and_everything_withheld_stays() {
    let disk = disk(1);
    let (mut journal, _) = open_with(&disk, NEVER).unwrap();
    append(&mut journal, &set(1, &[1; 900_000]));
    assert!(sync(&mut journal, &disk, 1));
    append(&mut journal, &set(2, &[2; 900_000]));
    let before = disk.operations();
    for _ in 0..3 {
        assert!(!journal.make_place().unwrap());
    }
    append(&mut journal, &set(3, b"later"));
    assert_eq!(disk.operations(), before, "the loop does nothing about it");
    assert!(work(&mut journal));
    assert!(sync(&mut journal, &disk, 2));
    disk.crash(Survives::Nothing);
    assert_eq!(state(&disk).len(), 3);
}

/// What the journal has on the disk, reserved blocks included.
fn used_bytes(disk: &SimDisk) -> u64 {
    disk.set_capacity(Some(1 << 40));
    let used = (1 << 40) - disk.free_bytes(Path::new(ROOT)).unwrap();
    disk.set_capacity(None);
    used
}

#[test]
fn the_directory_is_bounded_by_twice_the_state_and_a_reserve() {
    const RESERVE: u64 = (3 * (1 + 3) + 2) << 20;
    let disk = disk(1);
    let (mut journal, _) = open_with(&disk, BY_SIZE).unwrap();
    let (mut live, mut largest) = (BTreeMap::new(), 0);
    for step in 0..400u64 {
        // The state grows, stays, and shrinks.
        let key = (step * 31 % if step < 300 { 97 } else { 5 }) as u32;
        let is_removal = step >= 300 && step % 2 == 0;
        let group = match is_removal {
            true => removed((step * 7 % 97) as u32),
            false => set(key, &vec![step as u8; 60_000 + step as usize]),
        };
        append(&mut journal, &group);
        for (key, value) in group {
            live.remove(&key);
            live.extend(value.map(|value| (key, value.len() as u64 + 80)));
        }
        largest = largest.max(live.values().sum());
        assert!(sync(&mut journal, &disk, step + 1));
        assert!(journal.size().bytes <= 4 << 20);
        let used = used_bytes(&disk);
        assert!(
            used <= 2 * largest + RESERVE,
            "step {step}: {used} for {largest}"
        );
    }
    for key in 0..97 {
        append(&mut journal, &removed(key));
    }
    assert!(sync(&mut journal, &disk, 401));
    for _ in 0..2 {
        journal.begin(crate::journal::schedule::Merge::Everything);
        assert!(work(&mut journal));
    }
    assert_eq!(journal.size().snapshot_entries, 0);
    assert!(used_bytes(&disk) <= RESERVE, "{}", used_bytes(&disk));
}
