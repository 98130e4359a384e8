//! A partition's directory is made by its first append: what a power cut, a full disk or a hand leaves of it.

use super::*;
use crate::disk::sim::{Fault, Times};
use crate::disk::{self, Mode};

const DIR: &str = "/data/t-0";
const POINTS: &str = "/data/recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "/data/log-start-offset-checkpoint";

fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    let listed = disk.list(Path::new(dir)).unwrap();
    listed.into_iter().map(|entry| entry.name).collect()
}

fn is_damaged(room: &Room) -> bool {
    matches!(room.storage.log(id(0)), Err(Unavailable::Damaged))
}

fn log_file(base: i64) -> PathBuf {
    Path::new(DIR).join(names::file(base, names::Kind::Log))
}

/// Every batch fills a segment.
fn rolling(flush_messages: i64) -> LogConfig {
    LogConfig {
        flush_messages,
        ..small()
    }
}

/// Appends `batches` before the round of the first one can begin, then lets the rounds and checkpoints run until the
/// disk fails. Answers what may be acknowledged by then.
fn append_until_dead(room: &mut Room, batches: u8) -> Vec<(i64, Vec<u8>)> {
    for n in 0..batches {
        if room.append(0, &batch(1, &[n; 1500])).is_err() {
            break;
        }
    }
    room.run_until_dead();
    room.storage
        .log(id(0))
        .map(Log::synced)
        .map_or(Vec::new(), |synced| {
            (0..synced).map(|n| (n, vec![n as u8; 1500])).collect()
        })
}

#[test]
fn a_power_cut_at_any_operation_of_the_first_appends_leaves_a_log_that_begins_at_0() {
    for flush_messages in [1, i64::MAX] {
        let whole = Room::new(1, rolling(flush_messages), 1);
        let before = whole.disk.operations();
        for operation in 0.. {
            let mut room = Room::new(operation, rolling(flush_messages), 1);
            room.disk.cut_at(before + operation);
            let promised = append_until_dead(&mut room, 5);
            let is_over = room.disk.operations() < before + operation;
            for survives in [Survives::Nothing, Survives::Some, Survives::Everything] {
                for seed in 0..4 {
                    let disk = room.disk.fork(seed);
                    disk.crash(survives);
                    comes_back(disk, &promised, flush_messages);
                }
            }
            if is_over {
                assert!(operation > 40, "{operation}");
                break;
            }
        }
    }
}

/// The log begins at 0, with what was promised, and goes on.
fn comes_back(disk: SimDisk, promised: &[(i64, Vec<u8>)], flush_messages: i64) {
    let mut room = Room::on(disk, rolling(flush_messages), 1, false);
    let log = room.storage.log(id(0)).expect("never damaged");
    assert_eq!((log.log_start(), log.segments[0].base()), (0, 0));
    let values = room.values(0);
    assert_eq!(values[..promised.len()], *promised);
    let end = values.len() as i64;
    let appended = room.append(0, &batch(1, b"next")).unwrap();
    assert_eq!(appended.base_offset, end);
    room.storage.flush(id(0));
    room.settle();
    let mut room = room.crash(Survives::Nothing);
    assert_eq!(room.values(0).len() as i64, end + 1);
}

/// A log of several segments of which no file of the data directory tells.
fn untold() -> SimDisk {
    let mut room = Room::new(2, rolling(i64::MAX), 1);
    for n in 0..4 {
        room.append(0, &batch(1, &[n; 1500])).unwrap();
    }
    room.disk.crash(Survives::Everything);
    assert_eq!(names(&room.disk, DIR).len(), 5);
    room.disk
}

#[test]
fn segments_without_the_first_go_to_quarantine_where_nothing_was_ever_promised() {
    for lost in [
        vec![0],
        vec![0, 1],
        vec![0, 2],
        vec![0, 1, 2],
        vec![0, 1, 2, 3],
    ] {
        let disk = untold();
        lost.iter()
            .for_each(|base| disk.remove_file(&log_file(*base)).unwrap());
        let mut room = Room::on(disk, rolling(1), 1, false);
        let log = room.storage.log(id(0)).expect("it is served");
        assert_eq!((log.log_start(), log.log_end()), (0, 0), "{lost:?}");
        let kept = room.disk.list(Path::new("/data/quarantine"));
        assert_eq!(kept.unwrap_or_default().len(), 4 - lost.len(), "{lost:?}");
        assert_eq!(room.append(0, &batch(1, b"a")).unwrap().base_offset, 0);
        room.settle();
        assert_eq!(room.crash(Survives::Nothing).values(0).len(), 1);
    }
}

#[test]
fn what_is_known_to_be_on_disk_and_is_not_there_is_damage() {
    let lines = [(POINTS, "0\n1\nt 0 0\n"), (LOG_STARTS, "0\n1\nt 0 2\n")];
    for (file, line) in lines {
        let disk = untold();
        disk::replace(&disk, Path::new(file), line.as_bytes()).unwrap();
        (0..4).for_each(|base| disk.remove_file(&log_file(base)).unwrap());
        assert!(is_damaged(&Room::on(disk, rolling(1), 1, false)), "{file}");
        let disk = untold();
        disk::replace(&disk, Path::new(file), line.as_bytes()).unwrap();
        disk.rename(Path::new(DIR), Path::new("/data/gone"))
            .unwrap();
        assert!(is_damaged(&Room::on(disk, rolling(1), 1, false)), "{file}");
    }
    let disk = untold();
    disk.open(
        &Path::new(DIR).join("00000000000000000004.snapshot"),
        Mode::Create,
    )
    .unwrap();
    (0..4).for_each(|base| disk.remove_file(&log_file(base)).unwrap());
    assert!(is_damaged(&Room::on(disk, rolling(1), 1, false)));
}

#[test]
fn a_round_makes_a_partition_known_without_a_checkpoint() {
    let mut room = Room::new(3, config(), 2);
    room.append(0, &batch(1, b"a")).unwrap();
    room.append(1, &batch(1, b"a")).unwrap();
    room.settle();
    room.storage.checkpoint(id(1));
    room.settle();
    room.now.mono = room.now.mono.plus_ms(2000);
    room.storage.tick(room.now);
    room.settle();
    let points = checkpoint::read_text(&room.disk, Path::new(POINTS)).unwrap();
    assert_eq!(points.unwrap(), "0\n2\nt 0 0\nt 1 1\n");
    disk::remove_tree(&room.disk, Path::new(DIR)).unwrap();
    assert!(is_damaged(&room.crash(Survives::Everything)));
}

#[test]
fn an_empty_directory_that_a_start_has_found_is_not_taken_for_durable() {
    let mut room = Room::new(4, config(), 1);
    room.storage.log_mut(id(0)).unwrap().settle_in().unwrap();
    room.disk.crash(Survives::Everything);
    let room = Room::on(room.disk, config(), 1, true);
    let disk = room.disk.clone();
    let mut room = room.restart();
    assert_eq!(names(&disk, DIR).len(), 2);
    let points = checkpoint::read_text(&disk, Path::new(POINTS)).unwrap();
    assert_eq!(points.unwrap(), "0\n0\n", "no line for it");
    let before = disk.operations();
    room.append(0, &batch(1, b"a")).unwrap();
    assert!(room.storage.needs_round());
    assert!(disk.operations() > before + 2, "it is made like a new one");
    room.settle();
    assert_eq!(room.crash(Survives::Nothing).values(0).len(), 1);
    disk.crash(Survives::Everything);
}

#[test]
fn a_found_directory_leaves_with_its_topic() {
    let mut room = Room::new(5, config(), 1);
    room.storage.log_mut(id(0)).unwrap().settle_in().unwrap();
    room.disk.crash(Survives::Everything);
    let mut room = Room::on(room.disk, config(), 1, false);
    room.storage.forget(id(0));
    room.storage.delete_files(id(0));
    room.storage.tick(room.now);
    room.storage.hurry_removals(room.now);
    room.settle();
    let left = room.disk.list(Path::new("/data")).unwrap();
    assert!(left.iter().all(|entry| !entry.is_dir), "{left:?}");
}

#[test]
fn a_disk_that_is_full_at_any_operation_of_the_first_append_refuses_it_and_keeps_nothing() {
    for operation in 0..5 {
        let mut room = Room::new(6, config(), 1);
        let next = room.disk.operations() + operation;
        room.disk.fail_at(next, Fault::Full, Times::Once);
        let Err(refused) = room.append(0, &batch(1, b"a")) else {
            assert_eq!(operation, 4, "the last one is of no append");
            continue;
        };
        assert_eq!(refused.code, ErrorCode::KAFKA_STORAGE_ERROR);
        assert!(refused.lacks_space && refused.failure.is_none());
        let is_there = names(&room.disk, "/data").contains(&"t-0".to_owned());
        assert!(
            !is_there || names(&room.disk, DIR).len() == 2,
            "{operation}"
        );
        assert_eq!(room.append(0, &batch(1, b"a")).unwrap().base_offset, 0);
        room.settle();
        assert_eq!(room.crash(Survives::Nothing).values(0).len(), 1);
    }
}

#[test]
fn an_index_without_its_segment_is_not_taken_for_that_of_a_later_one() {
    let disk = untold();
    disk.remove_file(&log_file(3)).unwrap();
    let index = Path::new(DIR).join("00000000000000000003.index");
    disk.open(&index, Mode::Create)
        .unwrap()
        .write_at(0, &[&[7; 80]])
        .unwrap();
    let room = Room::on(disk, rolling(1), 1, false);
    assert_eq!(room.storage.log(id(0)).unwrap().log_end(), 3);
    let left = names(&room.disk, DIR);
    assert!(
        !left
            .iter()
            .any(|name| name.starts_with("00000000000000000003."))
    );
}
