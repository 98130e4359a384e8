//! What happens to a log while it is compacted: its start rises, and what times its records have.

use super::*;

/// A log of many small segments, all on disk, that the next tick begins to compact into larger ones.
fn many_segments(seed: u64) -> (Room, Story) {
    let config = LogConfig {
        delete: true,
        ..compacted()
    };
    let mut room = Room::new(seed, config.clone(), 1);
    let mut story = Story::default();
    (0..150).for_each(|_| story.produce(&mut room, -1, 3));
    compact(&mut room).unwrap();
    let larger = LogConfig {
        segment_bytes: 6000,
        ..config
    };
    room.storage.set_config(id(0), &Arc::new(larger));
    start_cleaner(&mut room, cleaner(), seed);
    pass_ms(&mut room, 1100);
    (room, story)
}

/// Has the log begin behind its first segment.
fn drop_first_segment(room: &mut Room) {
    let second = room.storage.log(id(0)).unwrap().segments[1].base();
    room.storage
        .raise_starts(&[(id(0), second)], "a test")
        .unwrap();
}

/// One job of each lane, and what the loop makes of it.
fn turn(room: &mut Room) {
    room.start_work();
    room.lanes.run_sync();
    room.lanes.run_work();
    room.absorb();
}

#[test]
fn a_pass_goes_on_while_the_first_segments_of_its_log_leave() {
    for pace in [2, 3, 4, 5, 7, 11, 16, 23] {
        let (mut room, story) = many_segments(pace);
        let end = room.storage.log(id(0)).unwrap().log_end();
        room.storage.tick(room.now);
        for n in 1..1000 {
            turn(&mut room);
            if room.storage.cleaner.is_idle() {
                break;
            }
            let start = room.storage.log(id(0)).unwrap().log_start();
            if n % pace == 0 && start < end / 2 {
                drop_first_segment(&mut room);
            }
        }
        let log = room.storage.log(id(0)).unwrap();
        assert!(log.log_start() > 0, "{pace}");
        assert!(log.cleaned.is_some(), "one pass is enough, {pace}");
        story.check(&mut room);
        settle(&mut room).unwrap();
        let mut room = room.crash(Survives::Some);
        story.check(&mut room);
    }
}

#[test]
fn a_pass_without_space_does_not_begin_and_has_what_was_deleted_leave() {
    let (mut room, mut story) = many_segments(1);
    compact(&mut room).unwrap();
    let deleted = |room: &Room| names(&room.disk).iter().any(|n| n.ends_with("deleted"));
    assert!(deleted(&room), "file.delete.delay.ms is not over");
    (0..50).for_each(|_| story.produce(&mut room, -1, 3));
    settle(&mut room).unwrap();
    let cleaned = room.storage.log(id(0)).unwrap().cleaned;
    room.disk.set_capacity(Some(16 << 20));
    // The recovery point has to pass what was written first.
    for _ in 0..3 {
        settle(&mut room).unwrap();
        pass_ms(&mut room, 1100);
        room.storage.tick(room.now);
    }
    assert!(!room.storage.cleaner.is_idle());
    turn(&mut room);
    assert!(room.storage.cleaner.is_idle(), "its first slice knows");
    settle(&mut room).unwrap();
    assert!(!deleted(&room));
    room.disk.set_capacity(None);
    compact(&mut room).unwrap();
    assert!(room.storage.log(id(0)).unwrap().cleaned > cleaned);
    story.check(&mut room);
}

#[test]
fn the_greatest_time_is_that_of_a_record_that_is_still_there() {
    let mut room = room(1, compacted());
    let append = |room: &mut Room, producer: i64, key: &str, ms: i64| {
        let mut builder = BatchBuilder::new(0).producer(producer, 0, 0);
        builder.push(WALL_MS + ms, Some(key.as_bytes()), Some(&[1; 700]));
        room.append(0, &builder.build(None).unwrap()).unwrap();
    };
    append(&mut room, 1, "a", 900);
    for producer in 2..8 {
        append(&mut room, producer, "a", 100 * producer);
    }
    compact(&mut room).unwrap();
    for _ in 0..2 {
        let bytes = read_whole(&mut room, 0, 7);
        let (first, _) = Batch::split_first(&bytes).unwrap();
        assert_eq!(
            (first.header().base_offset, first.header().record_count),
            (0, 0)
        );
        let newest = room.storage.max_timestamp(id(0)).unwrap().unwrap();
        assert_eq!((newest.offset, newest.timestamp), (6, WALL_MS + 700));
        room = room.restart();
    }
}

fn cleaned(room: &Room) -> Option<i64> {
    room.storage.log(id(0)).unwrap().cleaned
}

#[test]
fn a_log_that_only_its_lag_holds_is_not_looked_at_until_the_lag_is_over() {
    let mut config = compacted();
    config.compaction.min_lag_ms = 1_200_000;
    let mut room = room(3, config);
    // By then the clock is believed for as long as the lag is.
    for _ in 0..20 {
        pass_ms(&mut room, 62_000);
        room.storage.tick(room.now);
    }
    for n in 0..60 {
        let mut builder = BatchBuilder::new(0);
        builder.push(room.now.wall_ms, Some(b"k"), Some(&[n; 100]));
        room.append(0, &builder.build(None).unwrap()).unwrap();
    }
    compact(&mut room).unwrap();
    let reads = room.disk.reads();
    compact(&mut room).unwrap();
    assert_eq!(room.disk.reads(), reads, "it rests");
    assert_eq!(cleaned(&room), None);
    pass_ms(&mut room, 1_200_000);
    compact(&mut room).unwrap();
    assert!(cleaned(&room).is_some());
}

#[test]
fn a_log_that_could_not_be_read_is_compacted_later() {
    let (disk, story) = before_compaction(4);
    for read in 0..6 {
        let mut room = started(disk.fork(read), compacted(), true);
        let before = cleaned(&room);
        let at = room.disk.reads() + read;
        room.disk.fail_read_at(at, Fault::Io, Times::Once);
        compact(&mut room).unwrap();
        assert_eq!(cleaned(&room), before, "{read}");
        pass_ms(&mut room, 600_000);
        compact(&mut room).unwrap();
        assert!(cleaned(&room) > before, "{read}");
        story.check(&mut room);
    }
}

#[test]
fn a_setting_that_is_altered_while_a_log_is_looked_at_counts_at_the_next_sweep() {
    let mut config = compacted();
    config.compaction.min_dirty_ratio = 1.0;
    config.compaction.max_lag_ms = 36_000_000;
    let mut room = room(6, config.clone());
    let mut story = Story::default();
    (0..50).for_each(|_| story.produce(&mut room, -1, 3));
    settle(&mut room).unwrap();
    room.disk.set_clock(room.now.wall_ms);
    for _ in 0..3 {
        pass_ms(&mut room, 1100);
        room.storage.tick(room.now);
        if !room.storage.cleaner.is_idle() {
            break;
        }
        settle(&mut room).unwrap();
    }
    assert!(!room.storage.cleaner.is_idle(), "the look is on its way");
    config.compaction.min_dirty_ratio = 0.0;
    room.storage.set_config(id(0), &Arc::new(config));
    compact(&mut room).unwrap();
    assert!(cleaned(&room).is_some());
    story.check(&mut room);
}
