//! A small disk: what goes when the logs take more than they may, and what never does.

use super::*;
use crate::config::Amount;
use crate::disk::Mode;
use crate::storage::segment::Segment;

/// Segments end at 4 KiB.
const BUDGET: u64 = 64 << 10;
const LOW_MARK: u64 = BUDGET / 4 * 3;
/// Of a value, so that eight batches are a segment.
const VALUE: usize = 400;

fn limited(partitions: i32, config: LogConfig) -> Room {
    let mut room = Room::new(41, config, partitions);
    limit(&mut room);
    room
}

fn limit(room: &mut Room) {
    limit_to(room, Amount::Bytes(BUDGET), Amount::Bytes(0));
}

fn limit_to(room: &mut Room, disk_max_bytes: Amount, disk_min_free: Amount) {
    room.storage.obey(StorageConfig {
        disk_max_bytes,
        disk_min_free,
        ..room.storage.config
    });
}

fn other(topic: u8) -> PartitionId {
    PartitionId {
        topic: Uuid([topic; 16]),
        partition: 0,
    }
}

/// One more topic, of one partition.
fn create(room: &mut Room, topic: u8, config: LogConfig) -> PartitionId {
    let name: Arc<str> = format!("other{topic}").into();
    let created = room
        .storage
        .create(other(topic), &name, &Arc::new(config), room.now);
    created.unwrap();
    other(topic)
}

/// Appends one batch, and lets some time pass in which everything is done.
fn write(room: &mut Room, at: PartitionId, value: u8) -> Result<i64, Refused> {
    let records = batch(1, &[value; VALUE]);
    let written = room
        .storage
        .append(at, room.now, &NewBatch::whole(&records), Origin::Client);
    pass(room, 100);
    written.map(|appended| appended.base_offset)
}

fn pass(room: &mut Room, ms: i64) {
    room.now.mono = room.now.mono.plus_ms(ms);
    room.now.wall_ms += ms;
    room.storage.tick(room.now);
    room.settle();
    let used = room.storage.used_bytes();
    assert_eq!(disk_bytes(room), used, "the books are those of the disk");
    assert!(used <= BUDGET, "{used}");
}

/// All bytes of segments, of deleted ones too.
fn disk_bytes(room: &Room) -> u64 {
    let root = Path::new("/data");
    let dirs = room.disk.list(root).unwrap().into_iter();
    let files = dirs
        .filter(|dir| dir.is_dir)
        .flat_map(|dir| room.disk.list(&root.join(dir.name)).unwrap());
    let segments = files.filter(|file| file.name.contains(".log"));
    segments.map(|file| file.len).sum()
}

fn start_and_size(room: &Room, at: PartitionId) -> (i64, u64) {
    let log = room.storage.log(at).unwrap();
    (log.log_start(), log.size_bytes())
}

#[test]
fn a_log_that_is_written_for_ever_keeps_its_newest_records() {
    let mut room = limited(1, config());
    for n in 0..1000 {
        assert_eq!(write(&mut room, id(0), n as u8).unwrap(), n);
    }
    let (start, size) = start_and_size(&room, id(0));
    assert!((LOW_MARK - 5000..=LOW_MARK).contains(&size), "{size}");
    let values: Vec<_> = (start..1000).map(|n| (n, vec![n as u8; VALUE])).collect();
    assert_eq!(room.values(0), values);
    let longest = room.storage.log(id(0)).unwrap().segments.iter();
    assert!(longest.map(Segment::len).all(|len| len <= BUDGET / 16));
}

#[test]
fn the_topic_furthest_above_its_share_gives_and_the_others_do_not() {
    let mut room = limited(1, config());
    let (small, late) = (
        create(&mut room, 1, config()),
        create(&mut room, 2, config()),
    );
    for n in 0..20 {
        write(&mut room, small, n).unwrap();
    }
    for n in 0..300 {
        write(&mut room, id(0), n as u8).unwrap();
    }
    let given = start_and_size(&room, id(0)).0;
    assert!(given > 0);
    assert_eq!(start_and_size(&room, small).0, 0, "its records are older");
    for n in 0..300 {
        write(&mut room, late, n as u8).unwrap();
    }
    let sizes = [id(0), late].map(|at| start_and_size(&room, at).1);
    assert!(sizes[0].abs_diff(sizes[1]) <= 2 * BUDGET / 16, "{sizes:?}");
    assert_eq!(start_and_size(&room, small).0, 0, "it is below its share");
}

#[test]
fn a_compacted_topic_gives_nothing_and_is_refused_while_others_keep_their_part_of_the_headroom() {
    let compacted = LogConfig {
        compact: true,
        delete: false,
        ..config()
    };
    let mut room = limited(1, config());
    let kept = create(&mut room, 1, compacted);
    write(&mut room, id(0), 7).unwrap();
    let refused = loop {
        if let Err(refused) = write(&mut room, kept, 1) {
            break refused;
        }
    };
    assert_eq!(refused.code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(refused.lacks_space && refused.failure.is_none());
    let message = refused.message.unwrap();
    assert!(message.starts_with("chronik.disk.max.bytes"), "{message}");
    assert_eq!(start_and_size(&room, kept).0, 0);
    assert_eq!(start_and_size(&room, id(0)).0, 0, "it has little");
    for n in 0..100 {
        write(&mut room, id(0), n).unwrap();
    }
    let size = start_and_size(&room, id(0)).1;
    let part = (BUDGET - LOW_MARK) / 2;
    assert!((part..=BUDGET - LOW_MARK).contains(&size), "{size}");
    assert!(write(&mut room, kept, 1).is_err(), "it is above its share");
    room.storage.forget(kept);
    room.storage.delete_files(kept);
    pass(&mut room, 100);
    room.storage.hurry_removals(room.now);
    room.settle();
    assert_eq!(room.storage.used_bytes(), size);
}

#[test]
fn what_an_open_transaction_has_written_stays() {
    let mut room = limited(2, config());
    let mut builder = BatchBuilder::new(0).producer(5, 0, 0).transactional();
    builder.push(WALL_MS, Some(b"k"), Some(b"open"));
    let records = builder.build(None).unwrap();
    room.append(0, &records).unwrap();
    for n in 0..50 {
        write(&mut room, id(0), n).unwrap();
    }
    for n in 0..300 {
        write(&mut room, id(1), n as u8).unwrap();
    }
    assert_eq!(
        start_and_size(&room, id(0)).0,
        0,
        "it is older than all others"
    );
    assert!(start_and_size(&room, id(1)).0 > 0);
}

#[test]
fn where_nothing_is_closed_the_largest_active_segment_ends_and_goes() {
    let mut room = limited(40, config());
    for n in 0..400 {
        let at = if n < 6 { 39 } else { n % 39 };
        write(&mut room, id(at), n as u8).unwrap();
        // The recovery point has to pass it, and its file is written once a second.
        pass(&mut room, 1000);
    }
    assert!(start_and_size(&room, id(39)).0 > 0, "it was the largest");
}

#[test]
fn what_is_appended_to_a_segment_that_ends_early_is_acknowledged_when_it_is_on_disk() {
    let mut room = limited(40, config());
    for n in 0..105 {
        write(&mut room, id(n % 39), n as u8).unwrap();
    }
    let ended = |room: &Room| room.storage.log(id(39)).unwrap().segments.len() > 1;
    while !ended(&room) {
        room.append(39, &batch(1, &[1; VALUE])).unwrap();
        room.now.mono = room.now.mono.plus_ms(100);
    }
    room.start_work();
    room.lanes.run_sync();
    room.absorb();
    let values = room.values(39);
    let log = room.storage.log(id(39)).unwrap();
    assert_eq!(values.len() as i64, log.log_end(), "nothing has gone yet");
    assert_eq!(room.crash(Survives::Nothing).values(39), values);
}

#[test]
fn no_segment_ends_early_where_one_is_about_to_be_on_disk_and_can_go() {
    let mut room = limited(13, config());
    for n in 0..96 {
        write(&mut room, id(n % 12), n as u8).unwrap();
    }
    assert!(room.storage.used_bytes() < LOW_MARK);
    for n in 0..10 {
        room.append(12, &batch(1, &[n; VALUE])).unwrap();
        room.now.mono = room.now.mono.plus_ms(100);
        room.storage.tick(room.now);
    }
    assert!(room.storage.used_bytes() > LOW_MARK);
    let segments = |n| room.storage.log(id(n)).unwrap().segments.len();
    assert_eq!((segments(12), segments(0)), (2, 1));
    assert!((0..12).all(|n| segments(n) == 1));
}

#[test]
fn a_work_lane_that_is_far_behind_makes_room_before_records_are_refused() {
    let mut room = limited(1, config());
    for n in 0..300 {
        write(&mut room, id(0), n as u8).unwrap();
    }
    let mut taken = 0;
    for n in 0..1000 {
        let used = room.storage.used_bytes();
        let records = batch(1, &[n as u8; VALUE]);
        let written = room.append(0, &records);
        if written.is_err() {
            assert!(used + records.len() as u64 > BUDGET);
            break;
        }
        taken += records.len() as u64;
        room.now.mono = room.now.mono.plus_ms(100);
        room.storage.tick(room.now);
        room.start_work();
        room.lanes.run_sync();
        room.absorb();
    }
    assert!(taken + 500 >= BUDGET / 4, "{taken}");
    pass(&mut room, 100);
    write(&mut room, id(0), 1).expect("the lane has worked");
}

#[test]
fn after_a_restart_what_came_first_goes_first_whatever_its_file_says() {
    let mut room = limited(2, config());
    let fill = |room: &mut Room, partition: i32, count: u8| {
        room.disk.set_clock(room.now.wall_ms);
        for n in 0..count {
            write(room, id(partition), n).unwrap();
        }
    };
    fill(&mut room, 0, 20);
    pass(&mut room, 86_400_000);
    fill(&mut room, 1, 40);
    pass(&mut room, 1000);
    room.storage.begin_close(room.now);
    room.settle();
    // Another program has touched the files of the older ones: they were written in the year 2100.
    for entry in room.disk.list(Path::new("/data/t-0")).unwrap() {
        let path = Path::new("/data/t-0").join(entry.name);
        let file = room.disk.open(&path, Mode::Write).unwrap();
        file.set_modified(4_102_444_800_000).unwrap();
    }
    let wall_ms = room.now.wall_ms;
    room.disk.crash(Survives::Everything);
    let mut room = Room::on(room.disk, config(), 2, true);
    room.now.wall_ms = wall_ms;
    limit(&mut room);
    fill(&mut room, 1, 50);
    let starts = [0, 1].map(|n| start_and_size(&room, id(n)).0);
    assert!(starts[0] > 0, "{starts:?}");
    assert_eq!(starts[1], 0, "it is younger");
}

#[test]
fn what_waits_for_its_delay_leaves_before_anything_is_given_up() {
    let mut room = limited(2, config());
    for n in 0..60 {
        write(&mut room, id(0), n).unwrap();
    }
    pass(&mut room, 1000);
    room.storage.raise_starts(&[(id(0), 50)], "a test").unwrap();
    pass(&mut room, 100);
    let used = room.storage.used_bytes();
    assert!(used > 28_000, "deleted, and still there: {used}");
    for n in 0..85 {
        write(&mut room, id(1), n).unwrap();
    }
    assert_eq!(start_and_size(&room, id(1)).0, 0);
    assert_eq!(start_and_size(&room, id(0)).0, 50);
}

#[test]
fn a_lower_budget_is_kept_without_another_append() {
    let mut room = limited(1, config());
    for n in 0..120 {
        write(&mut room, id(0), n).unwrap();
    }
    limit_to(&mut room, Amount::Bytes(BUDGET / 2), Amount::Bytes(0));
    pass(&mut room, 100);
    pass(&mut room, 1000);
    let used = room.storage.used_bytes();
    assert!(
        (LOW_MARK / 2 - 5000..=LOW_MARK / 2).contains(&used),
        "{used}"
    );
}

#[test]
fn too_little_free_space_refuses_records_and_removes_nothing() {
    let mut room = Room::new(41, config(), 1);
    room.disk.set_capacity(Some(4 << 20));
    limit_to(&mut room, Amount::Percent(0), Amount::Percent(50));
    let mut value = 0;
    let refused = loop {
        room.now.mono = room.now.mono.plus_ms(1000);
        let appended = room.append(0, &batch(1, &[value; 100_000]));
        room.settle();
        match appended {
            Ok(_) => value += 1,
            Err(refused) => break refused,
        }
    };
    let message = refused.message.unwrap();
    assert!(message.starts_with("chronik.disk.min.free"), "{message}");
    let free = room.disk.free_bytes(Path::new("/data")).unwrap();
    // What a segment reserves ahead comes on top of what was asked for.
    assert!(((1 << 20)..(3 << 20)).contains(&free), "{free}");
    assert_eq!(start_and_size(&room, id(0)).0, 0);
}

#[test]
fn a_cut_anywhere_brings_nothing_back_and_the_books_are_right_again() {
    for at in 0..200 {
        let mut room = limited(2, small());
        for n in 0..140 {
            write(&mut room, id(i32::from(n % 3 == 0)), n).unwrap();
        }
        let begun = [0, 1].map(|n| start_and_size(&room, id(n)).0);
        assert!(begun[0] > 0);
        let disk = room.disk.clone();
        let cut = disk.operations() + at;
        disk.cut_at(cut);
        for n in 0..20 {
            let records = batch(1, &[n; VALUE]);
            if disk.operations() > cut || room.append(0, &records).is_err() {
                break;
            }
            room.now.mono = room.now.mono.plus_ms(100);
            room.run_until_dead();
        }
        let mut room = room.crash(Survives::Some);
        limit(&mut room);
        assert_eq!(disk_bytes(&room), room.storage.used_bytes(), "cut {at}");
        for (n, begun) in (0..).zip(begun) {
            let (start, _) = start_and_size(&room, id(n));
            assert!(start >= begun, "cut {at}: {start} was {begun}");
            let values = room.values(n);
            assert!(values.first().is_none_or(|(first, _)| *first == start));
        }
        for n in 0..20 {
            write(&mut room, id(1), n).unwrap();
        }
    }
}

#[test]
fn what_is_about_to_go_is_not_asked_of_others() {
    let mut room = limited(2, config());
    for n in 0..130 {
        write(&mut room, id(i32::from(n) % 2), n).unwrap();
    }
    let before = room.storage.budget.log_bytes();
    assert!(before > LOW_MARK - 2 * 5000, "{before}");
    let records = batch(1, &[1; VALUE]);
    for _ in 0..8 {
        room.append(0, &records).unwrap();
    }
    for _ in 0..10 {
        room.now.mono = room.now.mono.plus_ms(200);
        room.storage.tick(room.now);
    }
    room.settle();
    let left = room.storage.budget.log_bytes();
    assert!((LOW_MARK - 5000..=LOW_MARK).contains(&left), "{left}");
}
