//! Torn tails, flipped bits, full disks: what is cut, what is kept, what is told.

use super::*;
use crate::disk::sim::{Fault, Times};
use crate::disk::{FileRef, Mode};

const LOG: &str = "/data/t-0/00000000000000000000.log";

/// Five synced batches; the positions where they begin, and the end.
fn five_batches() -> (Room, Vec<u64>) {
    let mut room = Room::new(11, config(), 1);
    let mut positions = vec![0];
    for n in 0..5u8 {
        room.append(0, &batch(1, &[n; 100])).unwrap();
        positions.push(room.storage.log(id(0)).unwrap().size_bytes());
    }
    room.settle();
    (room, positions)
}

fn file(disk: &SimDisk, path: &str) -> FileRef {
    disk.open(Path::new(path), Mode::Write).unwrap()
}

fn content(disk: &SimDisk, path: &str) -> Vec<u8> {
    let file = file(disk, path);
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Every file below the data directory, with its bytes.
fn everything(disk: &SimDisk, dir: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in disk.list(Path::new(dir)).unwrap() {
        let path = format!("{dir}/{}", entry.name);
        if entry.is_dir {
            found.extend(everything(disk, &path));
        } else {
            let bytes = content(disk, &path);
            found.push((path, bytes));
        }
    }
    found
}

fn start(disk: &SimDisk) -> Room {
    Room::on(disk.clone(), config(), 1, false)
}

#[test]
fn a_log_cut_at_any_byte_keeps_its_whole_batches_and_nothing_is_thrown_away() {
    let (room, positions) = five_batches();
    let whole = content(&room.disk, LOG);
    room.disk.crash(Survives::Everything);
    for len in 0..whole.len() {
        let disk = room.disk.fork(1);
        file(&disk, LOG).set_len(len as u64).unwrap();
        let mut room = start(&disk);
        let batches = positions[1..]
            .iter()
            .filter(|end| **end <= len as u64)
            .count();
        assert_eq!(room.values(0).len(), batches, "{len}");
        let kept = positions[batches] as usize;
        assert_eq!(content(&disk, LOG), whole[..kept]);
        let torn = format!("/data/quarantine/t-0-{batches:020}.torn");
        if len > kept {
            assert_eq!(content(&disk, &torn), whole[kept..len]);
        }
        assert_eq!(
            room.append(0, &batch(1, b"x")).unwrap().base_offset,
            batches as i64
        );
    }
}

#[test]
fn a_flipped_bit_in_the_tail_cuts_there_and_keeps_the_rest_in_quarantine() {
    let (room, positions) = five_batches();
    let whole = content(&room.disk, LOG);
    room.disk.crash(Survives::Everything);
    for bit in 0..whole.len() * 8 {
        let disk = room.disk.fork(1);
        let byte = whole[bit / 8] ^ (1 << (bit % 8));
        file(&disk, LOG)
            .write_at(bit as u64 / 8, &[&[byte]])
            .unwrap();
        let mut room = start(&disk);
        let batches = positions[1..]
            .iter()
            .filter(|end| **end <= bit as u64 / 8)
            .count();
        let in_batch = bit as u64 / 8 - positions[batches];
        // The offset is outside the checksum, but it follows from the one before; only the leader epoch is
        // bound to nothing.
        if !(12..16).contains(&in_batch) {
            assert_eq!(room.values(0).len(), batches, "bit {bit}");
            let torn = format!("/data/quarantine/t-0-{batches:020}.torn");
            assert_eq!(
                content(&disk, &torn).len() as u64,
                positions[5] - positions[batches]
            );
        }
    }
}

#[test]
fn recovering_twice_changes_nothing() {
    let (room, positions) = five_batches();
    room.disk.crash(Survives::Everything);
    let disk = room.disk.clone();
    file(&disk, LOG).set_len(positions[4] + 7).unwrap();
    drop(start(&disk));
    disk.kill();
    let once = everything(&disk, "/data");
    drop(start(&disk));
    disk.kill();
    assert_eq!(everything(&disk, "/data"), once);
}

#[test]
fn damage_below_the_recovery_point_is_not_cut_and_the_rest_is_served() {
    let mut room = Room::new(12, small(), 1);
    for n in 0..12u8 {
        room.append(0, &batch(1, &[n; 300])).unwrap();
    }
    let mut room = room.restart();
    let before = room.values(0);
    room.disk.crash(Survives::Everything);
    let disk = room.disk.clone();
    file(&disk, LOG).write_at(0, &[&[0xff; 61]]).unwrap();
    let bytes = content(&disk, LOG);
    let mut room = Room::on(disk.clone(), small(), 1, false);
    assert_eq!(content(&disk, LOG), bytes);
    let damaged = room.storage.read(id(0), 0, 12, 1000, true).unwrap_err();
    assert_eq!(damaged.code(), ErrorCode::KAFKA_STORAGE_ERROR);
    let later = room.storage.read_raw(id(0), 6, 12, 1 << 20, true).unwrap();
    assert_eq!(records(&later), before[6..]);
    assert_eq!(room.append(0, &batch(1, b"x")).unwrap().base_offset, 12);
}

#[test]
fn a_log_that_ends_before_what_was_synced_is_damaged_and_left_alone() {
    let (room, positions) = five_batches();
    let room = room.restart();
    room.disk.crash(Survives::Everything);
    let disk = room.disk.clone();
    file(&disk, LOG).set_len(positions[3]).unwrap();
    let room = start(&disk);
    assert!(matches!(room.storage.log(id(0)), Err(Unavailable::Damaged)));
    assert_eq!(file(&disk, LOG).len().unwrap(), positions[3]);
}

#[test]
fn lost_indexes_are_made_again_and_nonsense_in_them_does_no_harm() {
    let mut room = Room::new(13, small(), 1);
    for n in 0..30u8 {
        room.append(0, &batch(1, &[n; 100])).unwrap();
    }
    let mut room = room.restart();
    let before = room.values(0);
    room.disk.crash(Survives::Everything);
    for nonsense in [false, true] {
        let disk = room.disk.fork(1);
        for (path, bytes) in everything(&disk, "/data/t-0") {
            if path.ends_with("index") && nonsense {
                file(&disk, &path)
                    .write_at(0, &[&vec![0x01; bytes.len()]])
                    .unwrap();
            } else if path.ends_with("index") {
                disk.remove_file(Path::new(&path)).unwrap();
            }
        }
        let mut room = Room::on(disk, small(), 1, false);
        assert_eq!(room.values(0), before);
        let last = room.storage.read_raw(id(0), 29, 30, 1000, true).unwrap();
        assert_eq!(records(&last), before[29..]);
    }
}

#[test]
fn a_full_disk_is_an_answer_and_appending_goes_on_when_there_is_room() {
    let (room, positions) = five_batches();
    let mut room = room.restart();
    room.disk.set_capacity(Some(positions[5] + 50));
    for _ in 0..3 {
        let refused = room.append(0, &batch(1, &[7; 100])).unwrap_err();
        assert_eq!(refused.code, ErrorCode::KAFKA_STORAGE_ERROR);
        assert!(refused.failure.is_none());
        assert_eq!(file(&room.disk, LOG).len().unwrap(), positions[5]);
    }
    assert_eq!(room.values(0).len(), 5);
    room.disk.set_capacity(None);
    assert_eq!(room.append(0, &batch(1, b"x")).unwrap().base_offset, 5);
    room.settle();
    assert_eq!(room.values(0).len(), 6);
}

#[test]
fn a_write_that_fails_otherwise_is_fatal_and_leaves_the_state_as_it_was() {
    let (mut room, _) = five_batches();
    room.disk
        .fail_at(room.disk.operations(), Fault::Io, Times::Forever);
    let refused = room.append(0, &produced(3, 0, b"x")).unwrap_err();
    assert!(refused.failure.is_some());
    room.disk.heal();
    let log = room.storage.log(id(0)).unwrap();
    assert_eq!((log.log_end(), log.producers.len()), (5, 0));
}

#[test]
fn a_read_that_fails_is_that_reads_error_only() {
    let (mut room, _) = five_batches();
    room.disk
        .fail_read_at(room.disk.reads(), Fault::Io, Times::Once);
    let failed = room.storage.read_raw(id(0), 3, 5, 1000, true).unwrap_err();
    assert!(matches!(failed, ReadError::Io(_)));
    assert_eq!(room.values(0).len(), 5);
}

#[test]
fn a_checkpoint_without_space_is_put_off_and_not_fatal() {
    let (mut room, _) = five_batches();
    room.disk.set_capacity(Some(0));
    room.storage.checkpoint(id(0));
    room.settle();
    let checkpoints = &room.storage.log(id(0)).unwrap().checkpoints;
    assert_eq!(
        (checkpoints.recovery_point, checkpoints.running),
        (0, false)
    );
    assert!(checkpoints.tail_bytes > 0);
    room.disk.set_capacity(None);
    room.storage.checkpoint(id(0));
    room.settle();
    let checkpoints = &room.storage.log(id(0)).unwrap().checkpoints;
    assert_eq!((checkpoints.recovery_point, checkpoints.tail_bytes), (5, 0));
    let mut room = room.restart();
    assert_eq!(room.values(0).len(), 5);
}

#[test]
fn a_torn_tail_waits_where_there_is_no_space_to_keep_it() {
    let (room, positions) = five_batches();
    let disk = room.disk.clone();
    disk.crash(Survives::Everything);
    file(&disk, LOG).set_len(positions[4] + 7).unwrap();
    disk.set_capacity(Some(0));
    let room = start(&disk);
    assert!(matches!(room.storage.log(id(0)), Err(Unavailable::Damaged)));
    assert_eq!(file(&disk, LOG).len().unwrap(), positions[4] + 7);
    disk.kill();
    disk.set_capacity(None);
    assert_eq!(start(&disk).values(0).len(), 4);
}

#[test]
fn a_tail_that_cannot_be_put_away_keeps_its_partition_from_being_served_and_no_other() {
    let mut room = Room::new(14, config(), 2);
    room.append(0, &batch(1, b"a")).unwrap();
    room.append(1, &batch(1, b"b")).unwrap();
    room.settle();
    let disk = room.disk.clone();
    disk.crash(Survives::Everything);
    let whole = file(&disk, LOG).len().unwrap();
    file(&disk, LOG).set_len(whole - 1).unwrap();
    // A file stands where the directory should be made.
    let quarantine = Path::new("/data/quarantine");
    disk.open(quarantine, Mode::CreateNew).unwrap();
    let mut room = Room::on(disk.clone(), config(), 2, false);
    assert!(matches!(room.storage.log(id(0)), Err(Unavailable::Damaged)));
    assert_eq!(file(&disk, LOG).len().unwrap(), whole - 1, "nothing is cut");
    assert_eq!(room.values(1).len(), 1);
}

#[test]
fn a_torn_tail_of_the_longest_topic_name_is_kept_like_any_other() {
    let mut room = Room::new(15, config(), 0);
    let disk = room.disk.clone();
    let name = "x".repeat(249);
    let known = Known {
        id: id(0),
        topic_name: name.as_str().into(),
        config: Arc::new(config()),
    };
    room.storage
        .create(id(0), &known.topic_name, &known.config, room.now)
        .unwrap();
    room.append(0, &batch(1, b"a")).unwrap();
    room.settle();
    disk.crash(Survives::Everything);
    let log = file(&disk, &format!("/data/{name}-0/00000000000000000000.log"));
    log.set_len(log.len().unwrap() - 1).unwrap();
    room.storage = Storage::new(
        Arc::new(disk.clone()),
        PathBuf::from("/data"),
        1,
        StorageConfig::default(),
    );
    (room.lanes, room.round) = (SimLanes::new(&disk), 0);
    room.storage
        .start(vec![known], &BTreeSet::new(), false, room.now)
        .unwrap();
    room.settle();
    assert_eq!(room.storage.log(id(0)).unwrap().log_end(), 0);
    let kept = disk.list(Path::new("/data/quarantine")).unwrap();
    assert_eq!((kept.len(), kept[0].name.len()), (1, 255));
    assert!(kept[0].name.ends_with("-00000000000000000000.torn"));
}

/// Two appended batches, of whose second a round and a checkpoint wait in their lanes; the next sync fails.
fn about_to_fail() -> Room {
    let mut room = Room::new(16, config(), 1);
    room.append(0, &batch(1, b"a")).unwrap();
    room.storage.checkpoint(id(0));
    room.settle();
    room.append(0, &batch(1, b"a")).unwrap();
    room.storage.checkpoint(id(0));
    room.start_work();
    let next = room.disk.operations();
    room.disk.fail_at(next, Fault::Io, Times::Once);
    room
}

#[test]
fn a_round_fails_too_when_a_checkpoint_has_met_the_failed_sync_of_its_file() {
    let mut room = about_to_fail();
    assert!(room.lanes.run_work() && room.lanes.run_sync());
    let done = room.lanes.completed();
    let synced = |done: &Completion<Done>| matches!(done, Completion::Synced(_));
    assert_eq!((done.len(), done.iter().any(synced)), (2, false));
}

#[test]
fn a_failed_sync_is_final_even_of_a_partition_that_is_gone() {
    let mut room = about_to_fail();
    room.storage.forget(id(0));
    room.lanes.run_work();
    for done in room.lanes.completed() {
        let Completion::Worked(done) = done else {
            panic!("no round has been run");
        };
        room.storage.absorb(done, room.now).unwrap_err();
    }
}

#[test]
fn a_round_that_lacks_a_dirty_file_is_refused() {
    let relaxed = LogConfig {
        flush_messages: 10,
        ..config()
    };
    let mut room = Room::new(17, relaxed, 1);
    room.append(0, &batch(1, b"a")).unwrap();
    let segment = &mut room.storage.log_mut(id(0)).unwrap().segments[0];
    assert!(!segment.close_if_idle(false) && segment.close_if_idle(false));
    room.disk.remove_file(Path::new(LOG)).unwrap();
    room.storage.flush(id(0));
    room.storage.gather(&mut Round::default()).unwrap_err();
}
