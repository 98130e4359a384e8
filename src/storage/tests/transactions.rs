//! Transactions of a partition: how far they hold readers back, who may end them, and what a start knows of them.

use super::ledger::in_transaction;
use super::*;
use crate::disk::Mode;

const COMMIT: Marker = Marker {
    producer_id: 5,
    producer_epoch: 0,
    coordinator_epoch: 0,
    commits: true,
    transaction_version: 1,
};

fn of(producer_id: i64, commits: bool) -> Marker {
    Marker {
        producer_id,
        commits,
        ..COMMIT
    }
}

fn stable(room: &Room) -> i64 {
    room.storage.log(id(0)).unwrap().last_stable_offset()
}

fn aborted(room: &mut Room, from: i64, until: i64) -> Vec<(i64, i64)> {
    let found = room.storage.aborted(id(0), from, until).unwrap();
    let pairs = found.iter().map(|a| (a.producer_id, a.first_offset));
    pairs.collect()
}

fn files(room: &Room, ending: &str) -> Vec<String> {
    let listed = room.disk.list(Path::new("/data/t-0")).unwrap();
    let names = listed.into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(ending)).collect()
}

/// A settled log: producer 5 aborts 0..=2 (the marker is at 3), a plain record is at 4, producer 6 has 5 open.
fn one_of_each(config: LogConfig) -> Room {
    let mut room = Room::new(1, config, 1);
    room.append(0, &in_transaction((5, 0, 0), 2, b"a")).unwrap();
    room.append(0, &in_transaction((5, 0, 2), 1, b"b")).unwrap();
    room.end(0, of(5, false)).unwrap();
    room.append(0, &batch(1, b"plain")).unwrap();
    room.append(0, &in_transaction((6, 0, 0), 1, b"c")).unwrap();
    room.settle();
    room
}

#[test]
fn a_transaction_holds_readers_back_until_its_marker_is_durable() {
    let mut room = Room::new(1, config(), 1);
    room.append(0, &batch(1, b"plain")).unwrap();
    room.append(0, &in_transaction((5, 0, 0), 3, b"a")).unwrap();
    room.append(0, &batch(1, b"plain")).unwrap();
    assert_eq!(stable(&room), 0, "nothing is durable");
    room.settle();
    assert_eq!((stable(&room), room.committed(0).len()), (1, 1));
    assert_eq!(room.values(0).len(), 5, "others read on");
    room.storage.take_signals();
    assert_eq!(room.end(0, COMMIT).unwrap().base_offset, 5);
    assert_eq!(stable(&room), 1, "a cut could still take the marker");
    let log = room.storage.log(id(0)).unwrap();
    assert!(
        !log.has_open_transaction(5, 0),
        "the log's own view is ahead"
    );
    room.settle();
    assert_eq!((stable(&room), room.committed(0).len()), (6, 5));
    assert_eq!(room.storage.take_signals(), [(id(0), usize::MAX)]);
}

#[test]
fn a_relaxed_log_decides_at_once() {
    let relaxed = LogConfig {
        flush_messages: i64::MAX,
        ..config()
    };
    let mut room = Room::new(1, relaxed, 1);
    room.append(0, &in_transaction((5, 0, 0), 3, b"a")).unwrap();
    assert_eq!(stable(&room), 0);
    room.storage.take_signals();
    room.end(0, COMMIT).unwrap();
    assert_eq!(stable(&room), 4);
    assert_eq!(room.storage.take_signals(), [(id(0), usize::MAX)]);
    room.append(0, &in_transaction((5, 0, 3), 1, b"b")).unwrap();
    let durable = Arc::new(config());
    room.storage.set_config(id(0), &durable);
    room.end(0, COMMIT).unwrap();
    assert_eq!(stable(&room), 4, "from now on decided is what is durable");
    room.settle();
    assert_eq!(stable(&room), 6);
}

#[test]
fn what_a_transaction_writes_is_acknowledged_when_it_is_durable_however_relaxed_the_flush_is() {
    let relaxed = LogConfig {
        flush_messages: i64::MAX,
        ..config()
    };
    let mut room = Room::new(1, relaxed, 1);
    room.settle_in(0);
    let plain = room.append(0, &batch(1, b"plain")).unwrap();
    assert_eq!((plain.round, room.storage.needs_round()), (0, false));
    let records = in_transaction((5, 0, 0), 1, b"a");
    let first = room.append(0, &records).unwrap();
    let again = room.append(0, &records).unwrap();
    assert!(again.duplicate && first.round > 0);
    assert_eq!(again.round, first.round);
    assert!(room.storage.needs_round());
    room.settle();
    assert_eq!(room.append(0, &records).unwrap().round, 0, "it is safe");
}

#[test]
fn the_first_of_several_transactions_counts_and_ends_are_told_when_they_free_something() {
    let mut room = Room::new(1, config(), 1);
    for producer in [5, 6, 7] {
        room.append(0, &in_transaction((producer, 0, 0), 1, &[1; 500]))
            .unwrap();
    }
    room.settle();
    for (producer, expected) in [(6, 0), (5, 2), (7, 6)] {
        room.storage.take_signals();
        room.end(0, of(producer, true)).unwrap();
        room.settle();
        assert_eq!(stable(&room), expected);
        let [(_, bytes)] = room.storage.take_signals()[..] else {
            panic!("one signal");
        };
        assert_eq!(bytes == usize::MAX, producer != 6, "{producer}");
    }
}

#[test]
fn what_is_available_to_readers_of_committed_records_is_counted_to_the_byte() {
    let mut room = Room::new(1, config(), 1);
    let plain = batch(1, &[1; 300]).len();
    for _ in 0..3 {
        room.append(0, &batch(1, &[1; 300])).unwrap();
        room.settle();
    }
    let first = in_transaction((5, 0, 0), 1, &[2; 900]);
    room.append(0, &first).unwrap();
    for n in 0..20 {
        room.append(0, &in_transaction((5, 0, n + 1), 1, &[2; 900]))
            .unwrap();
        room.settle();
    }
    let available = |room: &Room, from| {
        let log = room.storage.log(id(0)).unwrap();
        log.available(from, log.last_stable_offset())
    };
    assert_eq!((stable(&room), available(&room, 3)), (3, 0));
    let found = available(&room, 2);
    assert!((plain..=3 * plain).contains(&found), "{found}");
    room.append(0, &in_transaction((6, 0, 0), 1, b"next"))
        .unwrap();
    room.end(0, COMMIT).unwrap();
    room.settle();
    assert_eq!((stable(&room), available(&room, 24)), (24, 0));
    assert_eq!(available(&room, 3), 21 * first.len());
}

#[test]
fn only_its_own_epoch_ends_a_transaction_and_only_a_coordinator_that_is_not_fenced() {
    let mut room = one_of_each(config());
    let mut code = |marker: Marker| room.end(0, marker).map_err(|refused| refused.code.0);
    let old = Marker {
        producer_epoch: -1,
        ..COMMIT
    };
    assert_eq!(code(old).unwrap_err(), -1);
    let second = Marker {
        coordinator_epoch: 7,
        producer_epoch: 2,
        transaction_version: 2,
        ..of(6, true)
    };
    let same = Marker {
        producer_epoch: 0,
        ..second
    };
    assert_eq!(
        code(same).unwrap_err(),
        47,
        "not newer than what it would end"
    );
    let ended = code(second).unwrap();
    assert_eq!((ended.base_offset, ended.duplicate), (6, false));
    let again = code(second).unwrap();
    assert_eq!((again.base_offset, again.duplicate), (-1, true));
    assert_eq!(again.round, ended.round, "it waits for what it tells of");
    let fenced = Marker {
        coordinator_epoch: 6,
        producer_epoch: 3,
        ..second
    };
    assert_eq!(code(fenced).unwrap_err(), 52);
    assert_eq!(
        code(Marker {
            transaction_version: 1,
            producer_epoch: 1,
            ..second
        })
        .unwrap_err(),
        47
    );
    let log = room.storage.log(id(0)).unwrap();
    assert_eq!((log.log_end(), log.open_transactions().count()), (7, 0));
    let views: Vec<_> = log
        .producers()
        .map(|p| (p.producer_id, p.producer_epoch))
        .collect();
    assert_eq!(views, [(5, 0), (6, 2)]);
    assert_eq!(log.producer(6).unwrap().coordinator_epoch, 7);
}

#[test]
fn a_batch_of_an_unknown_producer_of_version_2_begins_with_sequence_0() {
    let mut room = Room::new(1, config(), 1);
    let mut append = |records: &[u8]| {
        let appended =
            room.storage
                .append(id(0), room.now, &NewBatch::whole(records), Origin::ClientV2);
        appended.map_err(|refused| refused.code)
    };
    let refused = append(&in_transaction((5, 0, 3), 1, b"a")).unwrap_err();
    assert_eq!(refused, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    append(&in_transaction((5, 0, 0), 1, b"a")).unwrap();
    append(&in_transaction((5, 0, 1), 1, b"a")).unwrap();
}

#[test]
fn a_marker_has_the_time_that_the_topic_wants() {
    for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let config = LogConfig {
            timestamp_type,
            ..config()
        };
        let mut room = Room::new(1, config, 1);
        let ended = room.end(0, COMMIT).unwrap();
        let is_ours = timestamp_type == TimestampType::LogAppendTime;
        assert_eq!(ended.log_append_time_ms, if is_ours { WALL_MS } else { -1 });
        room.settle();
        let newest = room.storage.max_timestamp(id(0)).unwrap().unwrap();
        assert_eq!((newest.offset, newest.timestamp), (0, WALL_MS));
    }
}

#[test]
fn a_full_disk_puts_an_end_off() {
    // What was reserved ahead has been given back.
    let mut room = one_of_each(config()).restart();
    room.disk.set_capacity(Some(0));
    let refused = room.end(0, of(6, true)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(refused.failure.is_none());
    assert!(room.storage.log(id(0)).unwrap().has_open_transaction(6, 0));
    room.disk.set_capacity(None);
    room.end(0, of(6, true)).unwrap();
    room.settle();
    assert_eq!(stable(&room), 7);
}

#[test]
fn open_and_aborted_transactions_survive_a_clean_stop_and_a_cut() {
    for clean in [true, false] {
        let mut room = one_of_each(config());
        room = match clean {
            true => room.restart(),
            false => room.crash(Survives::Nothing),
        };
        let log = room.storage.log(id(0)).unwrap();
        assert_eq!((log.log_end(), log.last_stable_offset()), (6, 5));
        let open = OpenTransaction {
            producer_id: 6,
            producer_epoch: 0,
            first_offset: 5,
        };
        assert!(log.open_transactions().eq([open]));
        assert_eq!(aborted(&mut room, 0, 5), [(5, 0)]);
        assert_eq!(aborted(&mut room, 3, 4), [(5, 0)], "its marker is there");
        assert_eq!(aborted(&mut room, 4, 5), []);
        room.end(0, of(6, false)).unwrap();
        room.settle();
        assert_eq!(aborted(&mut room, 0, 7), [(5, 0), (6, 5)]);
        let mut room = room.crash(Survives::Everything).restart();
        assert_eq!(aborted(&mut room, 0, 7), [(5, 0), (6, 5)]);
        assert_eq!(stable(&room), 7);
    }
}

#[test]
fn an_open_transaction_is_never_too_old_to_be_remembered() {
    let mut room = one_of_each(config());
    for days in 1..5 {
        room.now.mono = Mono(days * 86_400_000_000);
        room.storage.tick(room.now);
    }
    let log = room.storage.log(id(0)).unwrap();
    assert!(log.producers().map(|p| p.producer_id).eq([6]));
    assert_eq!(log.last_stable_offset(), 5);
    room.storage.check_invariants();
}

/// Forty transactions over several segments, of which only the third and the last but one are aborted.
fn two_of_forty() -> Room {
    let mut room = Room::new(2, small(), 1);
    for n in 0..40 {
        room.append(0, &in_transaction((5, 0, n), 1, &[7; 200]))
            .unwrap();
        room.end(0, of(5, n != 2 && n != 38)).unwrap();
    }
    room.settle();
    room
}

#[test]
fn segments_without_aborted_transactions_have_no_file_of_them() {
    let room = two_of_forty().restart();
    let logs = files(&room, ".log");
    let indexes = files(&room, ".txnindex");
    assert!(logs.len() > 5, "{logs:?}");
    assert_eq!(indexes.len(), 2, "{indexes:?}");
    let bytes = crate::disk::read_all(&room.disk, &Path::new("/data/t-0").join(&indexes[0]));
    let words = [5i64, 4, 5, 6].map(i64::to_be_bytes).concat();
    assert_eq!(bytes.unwrap(), [&[0, 0][..], &words].concat());
}

#[test]
fn aborted_transactions_are_found_across_segments_and_whatever_memory_holds() {
    let mut room = two_of_forty();
    for _ in 0..2 {
        assert_eq!(aborted(&mut room, 0, 80), [(5, 4), (5, 76)]);
        assert_eq!(aborted(&mut room, 0, 5), [(5, 4)]);
        assert_eq!(aborted(&mut room, 5, 77), [(5, 4), (5, 76)]);
        assert_eq!(aborted(&mut room, 6, 76), []);
        assert_eq!(aborted(&mut room, 78, 80), []);
        assert_eq!(room.committed(0).len(), 38);
        room = room.restart();
    }
}

#[test]
fn a_transaction_over_many_segments_is_aborted_in_all_of_them() {
    let mut room = Room::new(3, small(), 1);
    for n in 0..40 {
        room.append(0, &in_transaction((5, 0, n), 1, &[7; 200]))
            .unwrap();
    }
    room.end(0, of(5, false)).unwrap();
    room.settle();
    let mut room = room.restart();
    assert!(files(&room, ".log").len() > 3);
    assert_eq!(aborted(&mut room, 0, 1), [(5, 0)]);
    assert_eq!(room.committed(0), []);
}

#[test]
fn what_a_cut_takes_of_the_log_it_takes_of_the_aborted_transactions() {
    let mut room = one_of_each(config());
    room.storage.checkpoint(id(0));
    room.settle();
    room.end(0, of(6, false)).unwrap();
    room.settle();
    let end = room.storage.log(id(0)).unwrap().size_bytes();
    // The index has both, the file of recovery points knows of neither checkpoint, and the last marker is torn.
    room.storage.checkpoint(id(0));
    room.settle();
    let disk = room.disk.clone();
    disk.crash(Survives::Everything);
    let log = disk.open(Path::new("/data/t-0/00000000000000000000.log"), Mode::Write);
    log.unwrap().set_len(end - 1).unwrap();
    for name in [
        "00000000000000000007.snapshot",
        "00000000000000000006.snapshot",
    ] {
        let _ = disk.remove_file(&Path::new("/data/t-0").join(name));
    }
    let mut room = Room::on(disk, config(), 1, false);
    assert_eq!((stable(&room), aborted(&mut room, 0, 5)), (5, vec![(5, 0)]));
    room.end(0, of(6, true)).unwrap();
    room.settle();
    assert_eq!(aborted(&mut room, 0, 7), [(5, 0)]);
    let mut room = room.restart();
    assert_eq!(aborted(&mut room, 0, 7), [(5, 0)]);
}

#[test]
fn an_index_that_a_clean_stop_left_otherwise_is_an_error_until_somebody_mends_it() {
    let room = one_of_each(config()).restart();
    let path = Path::new("/data/t-0/00000000000000000000.txnindex");
    for (damage, len) in [(&[9, 9][..], 34), (&[][..], 20)] {
        let disk = room.disk.fork(1);
        let file = disk.open(path, Mode::Write).unwrap();
        file.write_at(0, &[damage]).unwrap();
        file.set_len(len).unwrap();
        let mut broken = Room::on(disk, config(), 1, true);
        let failed = broken.storage.aborted(id(0), 0, 5).unwrap_err();
        assert!(matches!(failed, ReadError::Damaged), "{len}");
        assert_eq!(file.len().unwrap(), len, "what is there stays");
    }
}

#[test]
fn an_index_that_cannot_be_read_is_an_error_and_not_an_empty_list() {
    let room = one_of_each(config()).restart();
    let path = Path::new("/data/t-0/00000000000000000000.txnindex");
    let mut broken = Room::on(room.disk.fork(1), config(), 1, true);
    broken.disk.remove_file(path).unwrap();
    let failed = broken.storage.aborted(id(0), 0, 5).unwrap_err();
    assert_eq!(failed.code(), ErrorCode::KAFKA_STORAGE_ERROR);
    let mut broken = Room::on(room.disk.fork(2), config(), 1, true);
    let file = broken.disk.open(path, Mode::Write).unwrap();
    file.write_at(0, &[&[0; 34]]).unwrap();
    let failed = broken.storage.aborted(id(0), 0, 5).unwrap_err();
    assert!(matches!(failed, ReadError::Damaged));
    let unknown = broken.storage.aborted(id(9), 0, 5).unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}
