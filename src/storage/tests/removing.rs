//! Logs that begin later: what is deleted stays deleted, and leaves the disk.

use super::*;
use crate::disk::sim::{Fault, Times};

fn names(room: &Room, dir: &str) -> Vec<String> {
    let listed = room.disk.list(Path::new(dir)).unwrap();
    listed.into_iter().map(|entry| entry.name).collect()
}

/// The segments that the directory has, by their `.log` files, and how many files wait to be removed.
fn segments(room: &Room) -> (Vec<i64>, usize) {
    let names = names(room, "/data/t-0");
    let bases = names.iter().filter_map(|name| name.strip_suffix(".log"));
    let deleted = names.iter().filter(|name| name.ends_with(".deleted"));
    (
        bases.map(|base| base.parse().unwrap()).collect(),
        deleted.count(),
    )
}

fn start_of(room: &Room) -> i64 {
    room.storage.log(id(0)).unwrap().log_start()
}

fn delete_before(room: &mut Room, offset: i64) -> io::Result<u64> {
    room.storage.raise_starts(&[(id(0), offset)], "a test")
}

/// So much time passes, and everything that is to be done is done.
fn wait(room: &mut Room, ms: i64) {
    room.now.mono = room.now.mono.plus_ms(ms);
    room.storage.tick(room.now);
    room.settle();
}

/// Twenty records in segments of four; everything is on disk, and the recovery points say so.
fn twenty(config: LogConfig) -> Room {
    let mut room = Room::new(31, config, 1);
    for n in 0..20u8 {
        room.append(0, &produced(4, n.into(), &[n; 400])).unwrap();
    }
    room.settle();
    wait(&mut room, 1000);
    assert_eq!(segments(&room), (vec![0, 4, 8, 12, 16], 0));
    room
}

#[test]
fn a_log_begins_later_when_its_round_is_durable_and_not_before() {
    let mut room = twenty(small());
    room.storage.take_signals();
    let round = delete_before(&mut room, 10).unwrap();
    assert_eq!(round, room.round + 1);
    assert_eq!(start_of(&room), 0);
    assert_eq!(
        delete_before(&mut room, 7).unwrap(),
        round,
        "it holds that too"
    );
    room.start_work();
    assert_eq!(
        delete_before(&mut room, 9).unwrap(),
        round,
        "and in flight still"
    );
    assert!(room.storage.take_signals().is_empty());
    room.settle();
    assert_eq!(start_of(&room), 10);
    assert_eq!(room.storage.take_signals(), [(id(0), usize::MAX)]);
    assert_eq!(delete_before(&mut room, 10).unwrap(), 0, "it is durable");
    let read = room.storage.read_raw(id(0), 9, 20, 1000, true);
    assert!(matches!(read, Err(ReadError::OutOfRange)));
    assert_eq!(room.values(0)[0], (10, vec![10; 400]));
}

#[test]
fn segments_below_the_start_go_by_name_at_once_and_from_the_disk_later() {
    let mut room = twenty(small());
    delete_before(&mut room, 10).unwrap();
    room.settle();
    assert_eq!(
        segments(&room),
        (vec![8, 12, 16], 6),
        "logs and two indexes each"
    );
    assert!(!names(&room, "/data/t-0").contains(&"00000000000000000004.snapshot".to_owned()));
    wait(&mut room, 59_999);
    assert_eq!(segments(&room).1, 6);
    wait(&mut room, 1);
    assert_eq!(segments(&room), (vec![8, 12, 16], 0));
    assert_eq!(room.values(0).len(), 10);
    let epochs = room.storage.log(id(0)).unwrap().end_of_epoch(1);
    assert_eq!(epochs, (1, 20));
}

#[test]
fn all_of_a_log_may_be_deleted_and_it_goes_on_where_it_ended() {
    let mut room = twenty(small());
    delete_before(&mut room, 20).unwrap();
    room.settle();
    assert_eq!(segments(&room).0, [16], "the active segment stays");
    let mut room = room.crash(Survives::Nothing);
    assert_eq!((start_of(&room), room.values(0)), (20, vec![]));
    let again = room.append(0, &produced(4, 19, b"x")).unwrap();
    assert!(again.duplicate, "the producer is known");
    assert_eq!(room.append(0, &batch(1, b"x")).unwrap().base_offset, 20);
    room.settle();
    assert_eq!(room.values(0), [(20, b"x".to_vec())]);
    let mut room = room.restart();
    assert_eq!(room.values(0), [(20, b"x".to_vec())]);
}

#[test]
fn a_segment_stays_until_the_recovery_point_on_disk_has_passed_it() {
    let mut room = Room::new(32, small(), 1);
    for n in 0..20u8 {
        room.append(0, &produced(4, n.into(), &[n; 400])).unwrap();
    }
    room.settle();
    delete_before(&mut room, 10).unwrap();
    room.settle();
    assert_eq!(
        segments(&room).0,
        [0, 4, 8, 12, 16],
        "the file knows nothing yet"
    );
    let mut room = room.crash(Survives::Nothing);
    assert_eq!(start_of(&room), 10);
    assert!(room.append(0, &produced(4, 19, b"x")).unwrap().duplicate);
    wait(&mut room, 1000);
    assert_eq!(
        segments(&room).0,
        [8, 12, 16],
        "the start has made a checkpoint for it"
    );
}

#[test]
fn a_cut_anywhere_brings_nothing_back_and_leaves_nothing_behind() {
    let config = LogConfig {
        file_delete_delay_ms: 0,
        ..small()
    };
    for at in 0.. {
        let mut room = twenty(config.clone());
        let disk = room.disk.clone();
        let before = disk.operations();
        let round = delete_before(&mut room, 10).unwrap();
        disk.cut_at(before + at);
        room.run_until_dead();
        room.storage.tick(room.now);
        room.run_until_dead();
        let told = start_of(&room);
        let is_over = disk.operations() < before + at;
        let mut room = room.crash(Survives::Some);
        assert!(start_of(&room) >= told, "cut at {at} of round {round}");
        let start = start_of(&room);
        assert!(start == 0 || start == 10);
        assert_eq!(room.values(0).len() as i64, 20 - start, "cut at {at}");
        delete_before(&mut room, 10).unwrap();
        wait(&mut room, 1000);
        wait(&mut room, 1000);
        assert_eq!(segments(&room), (vec![8, 12, 16], 0), "cut at {at}");
        if is_over {
            return;
        }
    }
}

#[test]
fn relaxed_records_are_on_disk_before_what_lies_before_them_is_deleted() {
    let config = LogConfig {
        flush_messages: i64::MAX,
        ..small()
    };
    let mut room = Room::new(33, config, 1);
    for n in 0..6u8 {
        room.append(0, &batch(1, &[n; 100])).unwrap();
    }
    assert_eq!(room.storage.log(id(0)).unwrap().synced(), 0);
    delete_before(&mut room, 5).unwrap();
    room.settle();
    let mut room = room.crash(Survives::Nothing);
    assert_eq!(room.values(0), [(5, vec![5; 100])]);
}

#[test]
fn a_full_disk_that_keeps_no_room_is_told_and_nothing_has_changed() {
    let mut room = twenty(small());
    room.disk
        .fail_at(room.disk.operations(), Fault::Full, Times::Once);
    let error = delete_before(&mut room, 10).unwrap_err();
    assert!(crate::disk::is_full(&error));
    room.settle();
    assert_eq!(start_of(&room), 0);
    delete_before(&mut room, 5).unwrap();
    room.disk
        .fail_at(room.disk.operations(), Fault::Full, Times::Once);
    assert!(delete_before(&mut room, 10).is_err());
    room.settle();
    assert_eq!(start_of(&room), 5, "the one before still stands");
    let room = room.crash(Survives::Nothing);
    assert_eq!(start_of(&room), 5);
}

#[test]
fn a_full_disk_lets_records_go_as_often_as_anybody_wants() {
    let config = LogConfig {
        file_delete_delay_ms: 0,
        ..small()
    };
    let mut room = twenty(config);
    for start in (2..=20).step_by(3) {
        room.disk.set_capacity(Some(1 << 30));
        let free_bytes = room.disk.free_bytes(Path::new("/data")).unwrap();
        room.disk.set_capacity(Some((1 << 30) - free_bytes));
        assert_eq!(room.disk.free_bytes(Path::new("/data")).unwrap(), 0);
        for wanted in [start - 2, start - 1] {
            delete_before(&mut room, wanted).unwrap();
        }
        room.start_work();
        // While that is in flight somebody asks for more.
        delete_before(&mut room, start).unwrap();
        room.settle();
        assert_eq!(start_of(&room), start);
    }
    wait(&mut room, 0);
    assert_eq!(segments(&room), (vec![16], 0));
    let room = room.crash(Survives::Nothing);
    assert_eq!(start_of(&room), 20);
}

#[test]
fn what_a_full_disk_cannot_rename_leaves_it_at_once() {
    let mut room = twenty(small());
    delete_before(&mut room, 10).unwrap();
    room.start_work();
    room.lanes.run_sync();
    room.absorb();
    room.start_work();
    let before = room.disk.operations();
    // The snapshots go first.
    room.disk.fail_at(before + 1, Fault::Full, Times::Once);
    room.settle();
    let (bases, deleted) = segments(&room);
    assert_eq!((bases, deleted), (vec![8, 12, 16], 5));
    assert_eq!(room.values(0).len(), 10);
}

#[test]
fn a_namesake_begins_at_0_whenever_the_power_fails() {
    for at in 0.. {
        let mut room = twenty(small());
        delete_before(&mut room, 10).unwrap();
        room.settle();
        let disk = room.disk.clone();
        room.storage.forget(id(0));
        room.storage.delete_files(id(0));
        let config = Arc::clone(&room.config);
        let before = disk.operations();
        let new = PartitionId {
            topic: Uuid([8; 16]),
            partition: 0,
        };
        let created = room.storage.create(new, &"t".into(), &config, room.now);
        created.unwrap();
        let appended = room.storage.append(
            new,
            room.now,
            &NewBatch::whole(&batch(3, b"new")),
            Origin::Client,
        );
        let round = appended.unwrap().round;
        disk.cut_at(before + at);
        room.run_until_dead();
        let acknowledged = room.storage.log(new).unwrap().high_watermark() == 3;
        let is_over = disk.operations() < before + at;
        disk.crash(Survives::Some);
        if acknowledged {
            let arc: Arc<dyn Disk> = Arc::new(disk.clone());
            room.storage = Storage::new(arc, PathBuf::from("/data"), 1, StorageConfig::default());
            room.lanes = SimLanes::new(&disk);
            let known = Known {
                id: new,
                topic_name: "t".into(),
                config,
            };
            let start =
                room.storage
                    .start(vec![known], &BTreeSet::from([id(0).topic]), false, room.now);
            start.unwrap();
            room.settle();
            let log = room.storage.log(new).unwrap();
            assert_eq!(
                (log.log_start(), log.log_end()),
                (0, 3),
                "round {round}, cut at {at}"
            );
        }
        if is_over {
            return;
        }
    }
}

#[test]
fn there_is_no_namesake_while_a_deletion_may_be_taken_back() {
    let mut room = twenty(small());
    delete_before(&mut room, 10).unwrap();
    room.settle();
    room.storage.forget(id(0));
    let config = Arc::clone(&room.config);
    let new = PartitionId {
        topic: Uuid([8; 16]),
        partition: 0,
    };
    let create = |room: &mut Room| room.storage.create(new, &"t".into(), &config, room.now);
    let busy = create(&mut room).unwrap_err();
    assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
    room.settle();
    let mut room = room.crash(Survives::Everything);
    assert_eq!(
        start_of(&room),
        10,
        "the deletion was lost, and nothing else"
    );
    room.storage.forget(id(0));
    room.storage.delete_files(id(0));
    create(&mut room).unwrap();
}

#[test]
fn a_deletion_that_is_taken_back_has_kept_its_line_whatever_else_was_deleted() {
    let mut room = Room::new(34, small(), 2);
    for partition in [0, 1] {
        (0..9).for_each(|n| drop(room.append(partition, &batch(1, &[n; 400]))));
    }
    room.settle();
    delete_before(&mut room, 7).unwrap();
    room.settle();
    room.storage.forget(id(0));
    room.storage.raise_starts(&[(id(1), 5)], "a test").unwrap();
    room.settle();
    let room = room.crash(Survives::Everything);
    let starts: Vec<i64> = room.storage.logs().map(Log::log_start).collect();
    assert_eq!(starts, [7, 5]);
}

#[test]
fn a_removal_that_runs_keeps_the_directory_from_being_given_away() {
    let mut room = twenty(small());
    delete_before(&mut room, 10).unwrap();
    room.start_work();
    room.lanes.run_sync();
    room.absorb();
    assert_eq!(room.storage.log(id(0)).unwrap().removals_running, 1);
    room.storage.forget(id(0));
    room.storage.delete_files(id(0));
    let config = Arc::clone(&room.config);
    let namesake = PartitionId {
        topic: Uuid([8; 16]),
        partition: 0,
    };
    let created = room
        .storage
        .create(namesake, &"t".into(), &config, room.now);
    assert_eq!(created.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    room.settle();
    let created = room
        .storage
        .create(namesake, &"t".into(), &config, room.now);
    created.unwrap();
}

/// Runs the jobs of the work lane one by one, each a bounded number of operations, with `between` after each. Answers
/// how many there were.
fn run_in_slices(room: &mut Room, mut between: impl FnMut(&mut Room)) -> usize {
    for jobs in 0.. {
        room.start_work();
        room.lanes.run_sync();
        room.absorb();
        room.start_work();
        assert!(room.lanes.pending().jobs <= 8, "others get their turn");
        let before = room.disk.operations();
        if !room.lanes.run_work() {
            return jobs;
        }
        let count = room.disk.operations() - before;
        assert!(count <= 600, "{count} operations in one job");
        room.absorb();
        between(room);
        room.storage.tick(room.now);
    }
    0
}

#[test]
fn a_topic_of_ten_thousand_segments_goes_in_slices_while_its_namesake_is_written_to() {
    const SEGMENTS: i64 = 10_000;
    let mut room = Room::new(35, small(), 1);
    room.append(0, &batch(1, b"old")).unwrap();
    for base in 1..SEGMENTS {
        for kind in ["log", "index", "timeindex"] {
            let path = format!("/data/t-0/{base:020}.{kind}");
            let made = room.disk.open(Path::new(&path), crate::disk::Mode::Create);
            made.unwrap();
        }
    }
    room.disk.sync_dir(Path::new("/data/t-0")).unwrap();
    room.settle();
    room.storage.forget(id(0));
    room.storage.delete_files(id(0));
    let before = room.disk.operations();
    let config = Arc::clone(&room.config);
    let new = PartitionId {
        topic: Uuid([8; 16]),
        partition: 0,
    };
    let created = room.storage.create(new, &"t".into(), &config, room.now);
    created.unwrap();
    assert!(room.disk.operations() - before < 30, "the loop does little");
    room.now.mono = room.now.mono.plus_ms(60_000);
    room.storage.tick(room.now);
    let mut written = 0;
    let jobs = run_in_slices(&mut room, |room| {
        let records = batch(1, b"new");
        let records = NewBatch::whole(&records);
        let appended = room.storage.append(new, room.now, &records, Origin::Client);
        assert_eq!(appended.unwrap().base_offset, written);
        let until = room.storage.log(new).unwrap().high_watermark();
        assert_eq!(until, written, "what came before has been synced");
        let read = room.storage.read_raw(new, 0, until, 1000, true);
        assert!(until == 0 || !read.unwrap().is_empty());
        written += 1;
    });
    assert!(jobs > 300, "{jobs}");
    let there = names(&room, "/data");
    assert!(
        there.iter().all(|name| !name.ends_with("-delete")),
        "{there:?}"
    );
}

#[test]
fn many_segments_of_a_log_go_in_slices() {
    let config = LogConfig {
        file_delete_delay_ms: 0,
        segment_bytes: 100,
        ..small()
    };
    let mut room = Room::new(36, config, 1);
    for n in 0..450u32 {
        let value = n.to_be_bytes();
        room.append(0, &produced(4, n as i32, &value)).unwrap();
    }
    room.settle();
    wait(&mut room, 1000);
    assert_eq!(segments(&room).0.len(), 450);
    delete_before(&mut room, 440).unwrap();
    let jobs = run_in_slices(&mut room, |_| {});
    assert!(jobs > 440, "{jobs}");
    assert_eq!(segments(&room), ((440..450).collect(), 0));
    assert_eq!(room.storage.log(id(0)).unwrap().removals_running, 0);
    assert_eq!(room.values(0).len(), 10);
}
