//! Reads and look-ups: whole batches, the bounds, and times.

use super::*;

/// Ten batches of three records and about 300 bytes, the n-th at time WALL_MS + n; the second half in other
/// segments.
fn ten_batches() -> Room {
    let mut room = Room::new(3, small(), 1);
    for n in 0..10u8 {
        let mut builder = BatchBuilder::new(0);
        for _ in 0..3 {
            builder.push(WALL_MS + i64::from(n), None, Some(&[n; 75]));
        }
        room.append(0, &builder.build(None).unwrap()).unwrap();
    }
    room.settle();
    assert!(room.storage.log(id(0)).unwrap().segments.len() > 1);
    room
}

fn read(room: &mut Room, from: i64, until: i64, max_bytes: usize, must: bool) -> Vec<i64> {
    let bytes = room
        .storage
        .read_raw(id(0), from, until, max_bytes, must)
        .unwrap();
    let found = room
        .storage
        .read(id(0), from, until, max_bytes, must)
        .unwrap();
    let viewed: Vec<u8> = found
        .views
        .iter()
        .flat_map(|v| v.bytes().to_vec())
        .collect();
    assert_eq!((found.bytes, &viewed), (bytes.len(), &bytes));
    let offsets = records(&bytes).into_iter().map(|(offset, _)| offset);
    offsets.filter(|offset| offset % 3 == 0).collect()
}

#[test]
fn a_read_begins_with_the_batch_that_holds_the_offset() {
    let mut room = ten_batches();
    assert_eq!(read(&mut room, 0, 30, 1, true), [0]);
    assert_eq!(read(&mut room, 2, 30, 1, true), [0]);
    assert_eq!(read(&mut room, 3, 30, 1, true), [3]);
    assert_eq!(read(&mut room, 29, 30, 1, true), [27]);
    assert_eq!(read(&mut room, 30, 30, 1, true), [0; 0]);
}

#[test]
fn a_read_ends_before_the_bound_and_within_its_bytes() {
    let mut room = ten_batches();
    let all: Vec<i64> = (0..10).map(|n| n * 3).collect();
    assert_eq!(
        read(&mut room, 0, 30, 1 << 20, false),
        all,
        "across segments"
    );
    assert_eq!(
        read(&mut room, 0, 29, 1 << 20, false),
        all[..9],
        "no batch that ends at the bound"
    );
    assert_eq!(read(&mut room, 4, 12, 1 << 20, false), [3, 6, 9]);
    let one = room
        .storage
        .read_raw(id(0), 0, 3, 1 << 20, false)
        .unwrap()
        .len();
    for count in 0..10 {
        for (spare, extra) in [(0, 0), (one - 1, 0), (one, 1)] {
            let found = read(&mut room, 0, 30, one * count + spare, false);
            assert_eq!(found, all[..(count + extra).min(10)], "{count} + {spare}");
        }
    }
    assert_eq!(read(&mut room, 0, 30, one - 1, false), [0; 0]);
}

#[test]
fn offsets_outside_the_log_are_refused() {
    let mut room = ten_batches();
    for from in [-1, 31, i64::MAX] {
        let read = room.storage.read(id(0), from, i64::MAX, 1000, true);
        assert!(matches!(read, Err(ReadError::OutOfRange)), "{from}");
    }
    let unknown = room.storage.read(id(7), 0, 1, 1000, true).unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn what_is_available_is_never_nothing_while_something_is_there() {
    let mut room = ten_batches();
    let size = room.storage.log(id(0)).unwrap().size_bytes() as usize;
    for from in 0..30 {
        let found = room
            .storage
            .read(id(0), from, 30, usize::MAX, false)
            .unwrap()
            .bytes;
        let available = room.storage.log(id(0)).unwrap().available(from, 30);
        assert!(
            (found..=size).contains(&available),
            "{from}: {available} for {found}"
        );
    }
    let log = room.storage.log(id(0)).unwrap();
    assert_eq!(log.available(30, 30), 0);
    room.append(0, &batch(1, b"unsynced")).unwrap();
    let log = room.storage.log(id(0)).unwrap();
    assert_eq!(log.available(30, 31), 0, "nobody may read it yet");
    assert_eq!(log.available(0, 30), size);
}

#[test]
fn a_time_finds_the_first_record_at_or_after_it() {
    let mut room = ten_batches();
    for cold in [false, true] {
        if cold {
            room = room.restart();
        }
        for (time, expected) in [(0, 0), (WALL_MS, 0), (WALL_MS + 1, 3), (WALL_MS + 9, 27)] {
            let found = room.storage.offset_for_time(id(0), time).unwrap().unwrap();
            assert_eq!(found.offset, expected, "{time}");
            assert_eq!(
                (found.timestamp, found.leader_epoch),
                (WALL_MS + expected / 3, 1)
            );
        }
        assert_eq!(
            room.storage.offset_for_time(id(0), WALL_MS + 10).unwrap(),
            None
        );
        let newest = room.storage.max_timestamp(id(0)).unwrap().unwrap();
        assert_eq!((newest.offset, newest.timestamp), (27, WALL_MS + 9));
    }
}

#[test]
fn the_times_of_many_segments_are_learned_a_few_in_a_turn() {
    let config = LogConfig {
        segment_bytes: 200,
        ..config()
    };
    let mut room = Room::new(5, config, 2);
    for n in 0..20 {
        room.append(n % 2, &batch(1, &[1; 100])).unwrap();
    }
    room.settle();
    let mut room = room.restart();
    let mut looks = Looks::default();
    assert!(!room.storage.knows_times(id(0), &mut looks));
    assert!(
        !room.storage.knows_times(id(1), &mut looks),
        "no look is left"
    );
    room.storage.take_signals();
    let (mut told, mut turns) = (Vec::new(), 0);
    while room.storage.next_deadline() == Some(Mono(0)) {
        let before = room.disk.reads();
        room.storage.tick(room.now);
        let reads = room.disk.reads() - before;
        assert!((1..=4 * 6).contains(&reads), "four segments: {reads}");
        told.extend(room.storage.take_signals());
        turns += 1;
    }
    assert_eq!(turns, 4);
    assert_eq!(told, [0, 1].map(|n| (id(n), usize::MAX)));
    let mut none = Looks::default();
    assert!(room.storage.knows_times(id(0), &mut none));
    assert!(room.storage.knows_times(id(1), &mut none));
}

#[cfg(feature = "gzip")]
#[test]
fn times_out_of_order_and_inside_compressed_batches_are_found() {
    use crate::proto::codec::Codec;
    let mut room = Room::new(3, small(), 1);
    for (n, times) in [[5, 9, 7], [1, 2, 3], [30, 10, 20]].iter().enumerate() {
        let codec = if n == 1 { Codec::None } else { Codec::Gzip };
        let mut builder = BatchBuilder::new(0).codec(codec);
        for time in times {
            builder.push(WALL_MS + time, None, Some(b"v"));
        }
        room.append(0, &builder.build(None).unwrap()).unwrap();
    }
    room.settle();
    let mut at = |ms| {
        let found = room.storage.offset_for_time(id(0), WALL_MS + ms).unwrap();
        found.map(|found| (found.offset, found.timestamp - WALL_MS))
    };
    assert_eq!(at(6), Some((1, 9)));
    assert_eq!(at(10), Some((6, 30)));
    assert_eq!(at(31), None);
    let newest = room.storage.max_timestamp(id(0)).unwrap().unwrap();
    assert_eq!((newest.offset, newest.timestamp), (6, WALL_MS + 30));
}

#[test]
fn the_greatest_time_is_told_though_its_record_lies_before_the_log_start() {
    let mut room = Room::new(4, config(), 1);
    for ms in [100, 900, 300, 400] {
        let mut builder = BatchBuilder::new(0);
        builder.push(WALL_MS + ms, None, Some(b"v"));
        room.append(0, &builder.build(None).unwrap()).unwrap();
    }
    room.settle();
    room.storage.raise_starts(&[(id(0), 2)], "a test").unwrap();
    room.settle();
    assert_eq!(room.storage.log(id(0)).unwrap().log_start(), 2);
    let newest = room.storage.max_timestamp(id(0)).unwrap().unwrap();
    assert_eq!((newest.offset, newest.timestamp), (1, WALL_MS + 900));
    let found = room.storage.offset_for_time(id(0), WALL_MS).unwrap();
    assert_eq!(found.map(|found| found.offset), Some(2));
}

#[test]
fn relaxed_flush_shows_records_at_once_and_syncs_by_count_or_time() {
    let relaxed = LogConfig {
        flush_messages: 3,
        flush_ms: 1000,
        ..config()
    };
    let mut room = Room::new(4, relaxed, 1);
    room.settle_in(0);
    assert_eq!(room.append(0, &batch(1, b"a")).unwrap().round, 0);
    assert_eq!(room.values(0).len(), 1);
    assert!(!room.storage.needs_round());
    assert_eq!(room.storage.next_deadline(), Some(Mono(1_000_000)));
    room.append(0, &batch(2, b"b")).unwrap();
    assert!(room.storage.needs_round(), "three records");
    room.settle();
    assert_eq!(room.storage.log(id(0)).unwrap().synced(), 3);
    room.now.mono = Mono(5_000_000);
    room.storage.tick(room.now);
    room.append(0, &batch(1, b"c")).unwrap();
    room.now.mono = Mono(6_000_000);
    room.storage.tick(room.now);
    assert!(room.storage.needs_round(), "a second");
}

#[test]
fn a_topic_that_becomes_durable_keeps_what_was_seen_and_goes_on_when_it_is_synced() {
    let relaxed = LogConfig {
        flush_messages: i64::MAX,
        ..config()
    };
    let mut room = Room::new(5, relaxed, 1);
    room.append(0, &batch(2, b"a")).unwrap();
    room.storage.set_config(id(0), &Arc::new(config()));
    room.storage.check_invariants();
    assert_eq!(room.values(0).len(), 2);
    let appended = room.append(0, &batch(1, b"b")).unwrap();
    assert_eq!(appended.round, room.round + 1);
    assert_eq!(room.values(0).len(), 2);
    room.settle();
    assert_eq!(room.values(0).len(), 3);
    room.append(0, &batch(1, b"c")).unwrap();
    let relaxed = room.config.clone();
    room.storage.set_config(id(0), &relaxed);
    room.storage.check_invariants();
    assert_eq!(room.values(0).len(), 4);
}

#[test]
fn segments_end_by_size_age_and_index() {
    let segments = |room: &Room| room.storage.log(id(0)).unwrap().segments.len();
    let aged = LogConfig {
        segment_ms: 1000,
        ..config()
    };
    let mut room = Room::new(6, aged, 1);
    for (ms, expected) in [(0, 1), (1000, 1), (1001, 2), (1500, 2), (2002, 3)] {
        let mut builder = BatchBuilder::new(0);
        builder.push(WALL_MS + ms, None, None);
        room.append(0, &builder.build(None).unwrap()).unwrap();
        assert_eq!(segments(&room), expected, "{ms}");
    }
    let indexed = LogConfig {
        index_interval_bytes: 1,
        segment_index_bytes: 40,
        ..config()
    };
    let mut room = Room::new(6, indexed, 1);
    for _ in 0..12 {
        room.append(0, &batch(1, b"a")).unwrap();
    }
    assert_eq!(segments(&room), 2, "five entries of eight bytes fill forty");
}

#[test]
fn an_answer_about_unsynced_records_waits_for_their_round() {
    let mut room = Room::new(7, config(), 1);
    let first = room.append(0, &produced(5, 0, b"a")).unwrap();
    let again = room.append(0, &produced(5, 0, b"a")).unwrap();
    assert_eq!(
        (again.duplicate, again.base_offset, again.round),
        (true, 0, first.round)
    );
    room.start_work();
    let second = room.append(0, &produced(5, 1, b"b")).unwrap();
    assert_eq!(second.round, first.round + 1);
    let again = room.append(0, &produced(5, 0, b"a")).unwrap();
    assert_eq!(again.round, first.round, "the round in flight holds it");
    assert_eq!(
        room.storage.log(id(0)).unwrap().round_of_unsynced(),
        second.round
    );
    room.settle();
    assert_eq!(room.append(0, &produced(5, 0, b"a")).unwrap().round, 0);
    assert_eq!(room.storage.log(id(0)).unwrap().round_of_unsynced(), 0);
}

#[test]
fn an_idle_partition_is_small_and_holds_no_file() {
    assert!(size_of::<Log>() + size_of::<Slot>() + size_of::<segment::Segment>() < 1000);
    let mut room = Room::new(8, config(), 600);
    for n in 0..600 {
        room.append(n, &batch(1, b"a")).unwrap();
    }
    room.settle();
    for _ in 0..3 {
        room.append(0, &batch(1, b"a")).unwrap();
    }
    let open = room
        .storage
        .logs()
        .filter(|log| log.segments[0].open_file().is_some());
    assert!(open.count() <= 257);
}
