//! The start against the directories, creation and deletion.

use super::lifetime::MOVES;
use super::names::SPARE_LOG_STARTS;
use super::*;
use crate::disk::Mode;

fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    let listed = disk.list(Path::new(dir)).unwrap();
    listed.into_iter().map(|entry| entry.name).collect()
}

fn other(topic: u8) -> PartitionId {
    PartitionId {
        topic: Uuid([topic; 16]),
        partition: 0,
    }
}

#[test]
fn an_empty_partition_takes_nothing_on_the_disk_and_starts_empty() {
    let room = Room::new(1, config(), 1);
    assert_eq!(names(&room.disk, "/data"), SPARE_LOG_STARTS);
    let mut room = room.restart();
    assert_eq!(room.storage.log(id(0)).unwrap().log_end(), 0);
    room.append(0, &batch(1, b"a")).unwrap();
    assert_eq!(
        names(&room.disk, "/data/t-0"),
        ["00000000000000000000.log", "partition.metadata"]
    );
}

#[test]
fn a_clean_stop_leaves_kafka_s_files() {
    let mut room = Room::new(2, small(), 1);
    for n in 0..10 {
        room.append(0, &produced(4, n, &[1; 400])).unwrap();
    }
    let room = room.restart();
    let found = names(&room.disk, "/data/t-0");
    for name in [
        "00000000000000000000.index",
        "00000000000000000000.timeindex",
        "00000000000000000010.snapshot",
        "leader-epoch-checkpoint",
        "partition.metadata",
    ] {
        assert!(found.iter().any(|n| n == name), "{name} of {found:?}");
    }
    let read = |name: &str| checkpoint::read_text(&room.disk, &Path::new("/data").join(name));
    let points = read("recovery-point-offset-checkpoint").unwrap().unwrap();
    assert_eq!(points, "0\n1\nt 0 10\n");
    let epochs = read("t-0/leader-epoch-checkpoint").unwrap().unwrap();
    assert_eq!(epochs, "0\n1\n1 0\n");
}

#[test]
fn a_clean_start_reads_no_batch_again_and_knows_the_producers() {
    let mut room = Room::new(3, config(), 1);
    for n in 0..6 {
        room.append(0, &produced(4, n, b"v")).unwrap();
    }
    let mut room = room.restart();
    assert_eq!(room.storage.log(id(0)).unwrap().checkpoints.tail_bytes, 0);
    for n in 1..6 {
        let again = room.append(0, &produced(4, n, b"v")).unwrap();
        assert_eq!((again.duplicate, again.base_offset), (true, i64::from(n)));
    }
    let gap = room.append(0, &produced(4, 7, b"v")).unwrap_err();
    assert_eq!(gap.code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[test]
fn snapshots_do_not_pile_up() {
    let mut room = Room::new(4, config(), 1);
    for n in 0..10 {
        room.append(0, &produced(4, n, b"v")).unwrap();
        room.storage.checkpoint(id(0));
        room.settle();
        room.now.mono = room.now.mono.plus_ms(2000);
        room.storage.tick(room.now);
        room.settle();
    }
    let found = names(&room.disk, "/data/t-0");
    let snapshots = found.iter().filter(|n| n.ends_with(".snapshot")).count();
    assert!(snapshots <= 2, "{found:?}");
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_a_minute_later() {
    let mut room = Room::new(5, config(), 2);
    room.append(0, &batch(1, b"a")).unwrap();
    room.storage.forget(id(0));
    assert!(matches!(room.storage.log(id(0)), Err(Unavailable::Unknown)));
    room.settle();
    assert!(names(&room.disk, "/data").contains(&"t-0".to_owned()));
    room.storage.delete_files(id(0));
    room.storage.tick(room.now);
    room.settle();
    let away = format!("t-0.{}-delete", "09".repeat(16));
    let there = names(&room.disk, "/data");
    assert!(there.contains(&away) && !there.contains(&"t-0".to_owned()));
    room.now.mono = Mono(60_000_000);
    assert_eq!(
        room.storage.next_deadline(),
        Some(Mono(1_000_000)),
        "the recovery points"
    );
    room.storage.tick(room.now);
    room.settle();
    let there = names(&room.disk, "/data");
    assert!(there.contains(&"recovery-point-offset-checkpoint".to_owned()));
    assert!(!there.contains(&away));
}

#[test]
fn a_topic_of_the_same_name_may_be_created_at_once() {
    let mut room = Room::new(6, config(), 1);
    room.append(0, &batch(3, b"old")).unwrap();
    room.settle();
    room.storage.forget(id(0));
    let config = Arc::clone(&room.config);
    room.storage
        .create(other(8), &"t".into(), &config, room.now)
        .unwrap();
    let records = batch(1, b"new");
    let appended = room.storage.append(
        other(8),
        room.now,
        &NewBatch::whole(&records),
        Origin::Client,
    );
    assert_eq!(appended.unwrap().base_offset, 0);
    room.settle();
    // The power fails before the journal has heard of any of it: the old topic is back, the new one kept.
    let mut room = room.crash(Survives::Nothing);
    assert_eq!(room.values(0).len(), 3);
    assert_eq!(names(&room.disk, "/data/quarantine"), ["t-0"]);
}

#[test]
fn a_namesake_is_not_taken_for_a_partition_that_has_lost_its_directory() {
    let mut room = Room::new(13, config(), 1);
    room.append(0, &batch(3, b"old")).unwrap();
    let mut room = room.restart();
    room.storage.forget(id(0));
    room.storage.delete_files(id(0));
    room.storage.tick(room.now);
    let known = Known {
        id: other(8),
        topic_name: "t".into(),
        config: Arc::clone(&room.config),
    };
    let create = |room: &mut Room| {
        let (topic, config) = (&known.topic_name, &known.config);
        room.storage.create(known.id, topic, config, room.now)
    };
    create(&mut room).unwrap();
    room.settle();
    assert_eq!(names(&room.disk, "/data/t-0").len(), 2, "the line stands");
    // The machine stops before the file of recovery points has lost the line of the old one.
    room.disk.crash(Survives::Nothing);
    let arc: Arc<dyn Disk> = Arc::new(room.disk.clone());
    room.storage = Storage::new(arc, PathBuf::from("/data"), 1, StorageConfig::default());
    (room.lanes, room.round) = (SimLanes::new(&room.disk), 0);
    let gone = BTreeSet::from([id(0).topic]);
    let start = |room: &mut Room| {
        let known = vec![known.clone()];
        room.storage.start(known, &gone, false, room.now).unwrap();
        room.settle();
    };
    start(&mut room);
    assert_eq!(room.storage.log(other(8)).unwrap().log_end(), 0);
}

#[test]
fn ten_thousand_partitions_are_created_without_the_disk() {
    let mut room = Room::new(14, config(), 0);
    let before = room.disk.operations();
    let (name, config) = ("t".into(), Arc::clone(&room.config));
    for partition in 0..10_000 {
        let created = room.storage.create(id(partition), &name, &config, room.now);
        created.unwrap();
    }
    let operations = room.disk.operations() - before;
    assert!(operations < 100, "room for their log starts: {operations}");
    assert!(!room.storage.needs_round());
    (0..10_000).for_each(|partition| room.storage.forget(id(partition)));
    (0..10_000).for_each(|partition| room.storage.delete_files(id(partition)));
    assert_eq!(
        room.storage.next_deadline(),
        room.storage.retention_deadline()
    );
}

#[test]
fn a_turn_renames_a_few_directories_however_many_partitions_are_deleted() {
    let count = 2 * MOVES + 1;
    let mut room = Room::new(15, config(), count as i32);
    (0..count).for_each(|n| drop(room.append(n as i32, &batch(1, b"a"))));
    room.settle();
    (0..count).for_each(|n| room.storage.forget(id(n as i32)));
    (0..count).for_each(|n| room.storage.delete_files(id(n as i32)));
    for expected in [MOVES, 2 * MOVES, count, count] {
        room.storage.tick(room.now);
        let left = names(&room.disk, "/data");
        let away = left.iter().filter(|name| name.ends_with("-delete"));
        assert_eq!(away.count(), expected);
        let is_over = room.storage.next_deadline() != Some(Mono(0));
        assert_eq!(is_over, expected == count);
    }
}

#[test]
fn a_directory_of_an_unknown_topic_is_put_away_and_one_of_a_deleted_topic_removed() {
    let mut room = Room::new(7, config(), 2);
    room.append(0, &batch(1, b"a")).unwrap();
    let disk = room.disk.clone();
    for (name, topic) in [("x-0", 5), ("y-0", 6)] {
        let dir = Path::new("/data").join(name);
        disk.create_dir(&dir).unwrap();
        let file = disk
            .open(&dir.join("partition.metadata"), Mode::Create)
            .unwrap();
        let text = checkpoint::encode_metadata(Uuid([topic; 16]));
        file.write_at(0, &[text.as_bytes()]).unwrap();
        let path = dir.join("00000000000000000000.log");
        let file = disk.open(&path, Mode::Create).unwrap();
        file.write_at(0, &[b"record"]).unwrap();
    }
    disk.create_dir(Path::new("/data/journal")).unwrap();
    let mut room = Room::new(7, config(), 0);
    room.disk = disk.clone();
    room.storage = Storage::new(
        Arc::new(disk.clone()),
        PathBuf::from("/data"),
        1,
        StorageConfig::default(),
    );
    room.lanes = SimLanes::new(&disk);
    let deleted = BTreeSet::from([Uuid([6; 16])]);
    room.storage
        .start(Vec::new(), &deleted, true, room.now)
        .unwrap();
    room.storage.tick(room.now);
    room.settle();
    let there = names(&disk, "/data").into_iter();
    let there = there.filter(|name| !name.starts_with("log-start-offset-checkpoint"));
    assert_eq!(there.collect::<Vec<_>>(), ["journal", "quarantine"]);
    assert_eq!(names(&disk, "/data/quarantine"), ["t-0", "x-0"]);
}

#[test]
fn a_directory_without_files_of_a_partition_stays_until_a_partition_needs_its_name() {
    let room = Room::new(11, config(), 1);
    let disk = room.disk.clone();
    for dir in ["t-1", "photos-2024"] {
        let dir = Path::new("/data").join(dir);
        disk.create_dir(&dir).unwrap();
        disk.open(&dir.join("a.jpg"), Mode::Create).unwrap();
    }
    let mut room = Room::on(disk.clone(), config(), 1, true);
    assert_eq!(names(&disk, "/data/t-1"), ["a.jpg"]);
    room.storage
        .create(id(1), &"t".into(), &room.config, room.now)
        .unwrap();
    assert_eq!(names(&disk, "/data/quarantine/t-1"), ["a.jpg"]);
    assert_eq!(names(&disk, "/data/photos-2024"), ["a.jpg"]);
    room.append(1, &batch(1, b"a")).unwrap();
    assert_eq!(names(&disk, "/data/t-1").len(), 2);
}

#[test]
fn a_known_partition_without_a_directory_is_created_or_reported() {
    let mut room = Room::new(8, config(), 1);
    room.append(0, &batch(1, b"a")).unwrap();
    let room = room.restart();
    let disk = room.disk.clone();
    disk.rename(Path::new("/data/t-0"), Path::new("/data/gone"))
        .unwrap();
    let mut room = Room::on(disk, config(), 2, false);
    assert!(matches!(room.storage.log(id(0)), Err(Unavailable::Damaged)));
    let refused = room.append(0, &batch(1, b"a")).unwrap_err();
    assert_eq!(refused.code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(room.append(1, &batch(1, b"a")).unwrap().base_offset, 0);
}

#[test]
fn a_recovery_point_of_an_older_topic_of_that_name_deceives_nobody() {
    let mut room = Room::new(9, config(), 1);
    room.append(0, &batch(5, b"a")).unwrap();
    room.settle();
    room.disk.crash(Survives::Everything);
    let path = Path::new("/data/recovery-point-offset-checkpoint");
    crate::disk::replace(&room.disk, path, b"0\n1\nt 0 3\n").unwrap();
    let mut room = Room::on(room.disk.clone(), config(), 1, false);
    assert_eq!(room.values(0).len(), 5);
    assert_eq!(
        room.storage.log(id(0)).unwrap().checkpoints.recovery_point,
        0
    );
}

#[test]
fn idle_producers_are_forgotten_when_their_time_is_over() {
    let mut room = Room::new(10, config(), 1);
    room.append(0, &produced(4, 0, b"v")).unwrap();
    let count = |room: &Room| room.storage.log(id(0)).unwrap().producers.len();
    for (hours, expected) in [(1, 1), (23, 1), (25, 0)] {
        room.now.mono = Mono(hours * 3_600_000_000);
        room.storage.tick(room.now);
        assert_eq!(count(&room), expected, "{hours}");
    }
}

#[test]
fn too_much_behind_the_recovery_points_is_checkpointed_once_and_counted_until_the_file_knows() {
    let mut room = Room::new(11, config(), 3);
    for partition in 0..3 {
        room.append(partition, &batch(1, &[1; 1000])).unwrap();
    }
    // As if these three were all that is left of very long tails.
    for partition in 0..3u64 {
        let bytes = (partition + 1) * 50_000_000;
        let log = room.storage.log_mut(id(partition as i32)).unwrap();
        log.checkpoints.tail_bytes += bytes;
        room.storage.points.tails.open_bytes += bytes;
    }
    room.append(0, &batch(1, b"x")).unwrap();
    let running = |room: &Room| -> Vec<bool> {
        let logs = room.storage.logs();
        logs.map(|log| log.checkpoints.running).collect()
    };
    assert_eq!(running(&room), [true, true, true]);
    room.settle();
    room.storage.check_invariants();
    assert!(
        room.storage.next_deadline().is_some(),
        "the file is to follow"
    );
    room.append(0, &batch(1, b"x")).unwrap();
    assert_eq!(running(&room), [false; 3], "nothing is left to relieve");
}

#[test]
fn epochs_that_only_the_batches_know_reach_their_file_at_the_next_clean_stop() {
    let mut room = Room::new(12, config(), 1);
    room.append(0, &batch(1, b"a")).unwrap();
    room.settle();
    let room = room.crash(Survives::Everything).restart();
    let path = Path::new("/data/t-0/leader-epoch-checkpoint");
    let text = checkpoint::read_text(&room.disk, path).unwrap();
    assert_eq!(text.as_deref(), Some("0\n1\n1 0\n"));
}
