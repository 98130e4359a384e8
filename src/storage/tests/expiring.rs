//! Retention under a simulated clock: what goes, what stays, and that no wrong clock empties a log or keeps it for
//! ever.

use super::*;
use crate::disk::sim::{Fault, Times};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const YEAR_MS: i64 = 365 * DAY_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// Segments of four records, kept for a week.
fn week() -> LogConfig {
    LogConfig {
        retention_ms: WEEK_MS,
        file_delete_delay_ms: 0,
        ..small()
    }
}

/// A batch of one record with that time.
fn at(timestamp_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    builder.push(timestamp_ms, Some(b"k"), Some(&[7; 400]));
    builder.build(None).unwrap()
}

impl Room {
    /// Appends so many records whose times are this far ahead of the clock.
    fn append_times(&mut self, count: usize, ahead_ms: i64) {
        let wall_ms = self.now.wall_ms;
        self.append_at(count, wall_ms + ahead_ms);
    }

    fn append_at(&mut self, count: usize, timestamp_ms: i64) {
        for _ in 0..count {
            self.append(0, &at(timestamp_ms)).unwrap();
        }
        self.settle();
    }

    /// Both clocks go on together, an hour at a time, and everything that is due is done.
    fn live(&mut self, ms: i64) {
        let mut left_ms = ms;
        while left_ms > 0 {
            let step_ms = left_ms.min(HOUR_MS);
            left_ms -= step_ms;
            self.now.mono = self.now.mono.plus_ms(step_ms);
            self.set_clock(self.now.wall_ms + step_ms);
            for _ in 0..3 {
                self.storage.tick(self.now);
                self.settle();
                self.now.mono = self.now.mono.plus_ms(1000);
                self.set_clock(self.now.wall_ms + 1000);
            }
        }
    }

    /// The wall clock is set; the other goes on.
    fn set_clock(&mut self, wall_ms: i64) {
        self.now.wall_ms = wall_ms;
        self.disk.set_clock(wall_ms);
    }

    /// A start at that time, after a clean stop.
    fn start_at(mut self, wall_ms: i64) -> Room {
        self.storage.begin_close(self.now);
        self.settle();
        assert!(self.storage.closed());
        self.disk.crash(Survives::Nothing);
        self.disk.set_clock(wall_ms);
        let mut room = Room::on_at(self.disk, (*self.config).clone(), true, wall_ms);
        room.settle();
        room
    }

    fn on_at(disk: SimDisk, config: LogConfig, clean: bool, wall_ms: i64) -> Room {
        let now = Now {
            mono: Mono(0),
            wall_ms,
        };
        let mut room = Room {
            lanes: SimLanes::new(&disk),
            storage: Storage::new(
                Arc::new(disk.clone()),
                PathBuf::from("/data"),
                1,
                StorageConfig::default(),
            ),
            disk,
            config: Arc::new(config),
            partitions: 1,
            round: 0,
            now,
        };
        let known = Known {
            id: id(0),
            topic_name: "t".into(),
            config: Arc::clone(&room.config),
        };
        let started = room
            .storage
            .start(vec![known], &BTreeSet::new(), clean, now);
        started.unwrap();
        room
    }

    fn fresh(config: LogConfig, wall_ms: i64) -> Room {
        let disk = SimDisk::new(41, Path::new("/data"));
        disk.set_clock(wall_ms);
        Room::on_at(disk, config, false, wall_ms)
    }

    /// The first offset that is served, and the segments that are left.
    fn left(&self) -> (i64, usize) {
        let log = self.storage.log(id(0)).unwrap();
        (log.log_start(), log.segments.len())
    }
}

#[test]
fn records_go_when_they_are_older_than_the_topic_keeps_them() {
    let mut room = Room::fresh(week(), WALL_MS);
    room.append_times(8, 0);
    room.live(3 * DAY_MS);
    room.append_times(4, 0);
    assert_eq!(room.left(), (0, 3));
    room.live(4 * DAY_MS - 2 * HOUR_MS);
    assert_eq!(room.left(), (0, 3));
    room.live(3 * HOUR_MS);
    assert_eq!(room.left(), (8, 1), "the segments of the first day");
    room.live(3 * DAY_MS);
    assert_eq!(room.left(), (12, 1), "the active one is ended and goes");
    assert_eq!(room.storage.log(id(0)).unwrap().size_bytes(), 0);
    room.append_times(1, 0);
    let mut room = room.start_at(WALL_MS + 11 * DAY_MS);
    assert_eq!(room.values(0).len(), 1);
    assert_eq!(room.left(), (12, 1));
}

#[test]
fn a_topic_that_keeps_all_or_only_compacts_loses_nothing() {
    for (retention_ms, delete) in [(-1, true), (WEEK_MS, false)] {
        let config = LogConfig {
            retention_ms,
            retention_bytes: if delete { -1 } else { 0 },
            delete,
            ..week()
        };
        let mut room = Room::fresh(config, WALL_MS);
        room.append_times(12, 0);
        room.live(30 * DAY_MS);
        assert_eq!(room.left(), (0, 3));
    }
}

#[test]
fn a_log_is_cut_to_its_size_whatever_the_clock_shows() {
    for wall_ms in [WALL_MS, 0] {
        let config = LogConfig {
            retention_bytes: 3000,
            retention_ms: -1,
            ..week()
        };
        let mut room = Room::fresh(config, wall_ms);
        room.append_times(22, 0);
        room.live(2 * HOUR_MS);
        let log = room.storage.log(id(0)).unwrap();
        assert!(log.log_start() > 8 && log.segments.len() < 4);
        let (size, first) = (log.size_bytes(), log.segments[0].len());
        assert!(size >= 3000 && size - first < 3000, "{size}");
    }
}

#[test]
fn new_settings_hold_at_the_next_look() {
    let mut room = Room::fresh(week(), WALL_MS);
    room.append_times(12, 0);
    room.live(2 * DAY_MS);
    assert_eq!(room.left(), (0, 3));
    let config = LogConfig {
        retention_ms: DAY_MS,
        ..week()
    };
    room.storage.set_config(id(0), &Arc::new(config));
    room.live(HOUR_MS);
    assert_eq!(room.left(), (12, 1));
}

#[test]
fn times_in_the_far_future_or_at_1970_neither_keep_records_for_ever_nor_lose_them_early() {
    for timestamp_ms in [WALL_MS + 50 * YEAR_MS, i64::MAX, 0, 1, -1] {
        let config = LogConfig {
            timestamp_after_max_ms: i64::MAX,
            ..week()
        };
        let mut room = Room::fresh(config, WALL_MS);
        room.append_at(8, timestamp_ms);
        room.live(6 * DAY_MS);
        assert_eq!(room.left(), (0, 2), "{timestamp_ms}");
        let mut room = room.start_at(WALL_MS + 6 * DAY_MS + HOUR_MS);
        room.live(DAY_MS / 2);
        assert_eq!(room.left(), (0, 2), "{timestamp_ms}");
        room.live(DAY_MS);
        assert_eq!(room.left(), (8, 1), "{timestamp_ms}");
    }
}

#[test]
fn a_clock_that_jumps_a_year_loses_nothing_early_and_keeps_nothing_for_ever() {
    for jump_ms in [YEAR_MS, -YEAR_MS] {
        let mut room = Room::fresh(week(), WALL_MS);
        room.append_times(4, 0);
        room.live(DAY_MS);
        room.set_clock(room.now.wall_ms + jump_ms);
        room.live(HOUR_MS);
        // Producers have clocks of their own, which are right.
        room.append_times(4, -jump_ms);
        room.live(5 * DAY_MS);
        assert_eq!(room.left(), (0, 2), "{jump_ms}");
        room.set_clock(room.now.wall_ms - jump_ms);
        room.live(DAY_MS / 2);
        assert_eq!(room.left(), (0, 2), "{jump_ms}");
        room.live(8 * DAY_MS);
        assert_eq!(room.left().0, 8, "{jump_ms}");
    }
}

#[test]
fn a_start_with_a_clock_a_year_off_loses_nothing_and_one_with_none_keeps_nothing_for_ever() {
    for wall_ms in [WALL_MS + YEAR_MS, WALL_MS - YEAR_MS, 0, 12_345] {
        let mut room = Room::fresh(week(), WALL_MS);
        room.append_times(8, 0);
        let mut room = room.start_at(wall_ms);
        room.append_at(4, WALL_MS);
        room.live(6 * DAY_MS);
        assert_eq!(room.left(), (0, 3), "{wall_ms}");
        // The clock is set right.
        room.set_clock(WALL_MS + 6 * DAY_MS);
        room.live(DAY_MS / 2);
        assert_eq!(room.left(), (0, 3), "{wall_ms}");
        room.live(8 * DAY_MS);
        assert_eq!(room.left().0, 12, "{wall_ms}");
    }
}

#[test]
fn what_nobody_knows_the_age_of_goes_a_week_after_it_was_found() {
    // Written without a clock, with times of no clock, and nothing comes after it.
    let mut room = Room::fresh(week(), 5_000);
    room.append_at(8, 7_000);
    let mut room = room.start_at(WALL_MS);
    room.live(6 * DAY_MS);
    assert_eq!(room.left(), (0, 2));
    let mut room = room.start_at(WALL_MS + 6 * DAY_MS + HOUR_MS);
    room.live(2 * DAY_MS);
    assert_eq!(room.left(), (8, 1), "its file remembers");
}

#[test]
fn producers_are_not_held_against_a_clock_in_doubt() {
    let mut room = Room::fresh(week(), WALL_MS);
    assert!(room.storage.trusts(room.now), "the clock is as good as any");
    room.set_clock(WALL_MS - YEAR_MS);
    assert!(!room.storage.trusts(room.now), "it has just jumped");
    room.live(2 * HOUR_MS);
    assert!(room.storage.trusts(room.now));
    let mut room = Room::fresh(week(), 0);
    assert!(!room.storage.trusts(room.now), "it was never set");
    let mut room = Room::fresh(week(), WALL_MS);
    room.append_times(1, 0);
    let mut room = room.start_at(WALL_MS - YEAR_MS);
    room.live(2 * HOUR_MS);
    assert!(
        !room.storage.trusts(room.now),
        "it is behind what was written"
    );
}

#[test]
fn a_kill_does_not_make_records_younger() {
    let config = LogConfig {
        timestamp_after_max_ms: i64::MAX,
        ..week()
    };
    let mut room = Room::fresh(config.clone(), WALL_MS);
    room.append_at(8, i64::MAX);
    for day in 1..=6 {
        let wall_ms = WALL_MS + day * DAY_MS;
        room.disk.crash(Survives::Nothing);
        room.disk.set_clock(wall_ms);
        room = Room::on_at(room.disk, config.clone(), false, wall_ms);
        room.settle();
    }
    assert_eq!(room.left(), (0, 2));
    room.live(2 * DAY_MS);
    assert_eq!(room.left(), (8, 1));
}

#[test]
fn many_logs_are_looked_at_a_few_in_a_turn() {
    let config = LogConfig {
        retention_bytes: 0,
        ..week()
    };
    let mut room = Room::new(42, config, 200);
    for partition in 0..200 {
        room.append(partition, &batch(1, b"v")).unwrap();
    }
    room.settle();
    room.now.mono = Mono(0).plus_ms(30_000);
    let mut turns = 0;
    while room.storage.next_deadline() <= Some(room.now.mono) {
        room.storage.tick(room.now);
        assert!(room.storage.jobs.len() <= 66, "{}", room.storage.jobs.len());
        room.settle();
        turns += 1;
    }
    assert_eq!(turns, 4);
    let begun = room.storage.logs().filter(|log| log.log_start() == 1);
    assert_eq!(begun.count(), 200);
}

#[test]
fn a_full_disk_is_tried_again_at_the_next_look() {
    let mut room = Room::fresh(week(), WALL_MS);
    room.append_times(8, 0);
    room.live(7 * DAY_MS - 2 * HOUR_MS);
    let next = room.disk.operations();
    room.disk.fail_at(next, Fault::Full, Times::Forever);
    room.live(3 * HOUR_MS);
    assert_eq!(room.left(), (0, 2));
    room.disk.heal();
    room.live(HOUR_MS);
    assert_eq!(room.left(), (8, 1));
}

#[test]
fn a_start_does_not_make_a_leap_believed() {
    for clean in [true, false] {
        let mut room = Room::fresh(week(), WALL_MS);
        room.append_times(8, 0);
        room.live(DAY_MS);
        room.set_clock(room.now.wall_ms + YEAR_MS);
        room.live(2 * HOUR_MS);
        room.append_times(4, 0);
        room.live(HOUR_MS);
        let wall_ms = room.now.wall_ms;
        let mut room = match clean {
            true => room.start_at(wall_ms),
            false => {
                room.disk.crash(Survives::Nothing);
                Room::on_at(room.disk, week(), false, wall_ms)
            }
        };
        room.settle();
        room.live(6 * DAY_MS);
        assert_eq!(room.left().0, 0, "{clean}");
        room.live(2 * DAY_MS);
        assert_eq!(room.left().0, 12, "{clean}");
    }
}

#[test]
fn a_quiet_log_is_no_sign_of_a_leap_where_the_process_before_was_there() {
    let config = LogConfig {
        retention_ms: 90 * DAY_MS,
        ..week()
    };
    let mut room = Room::fresh(config, WALL_MS);
    room.append_times(8, 0);
    for _ in 0..3 {
        let wall_ms = room.now.wall_ms + 29 * DAY_MS;
        room = room.start_at(wall_ms);
        room.live(2 * HOUR_MS);
    }
    assert_eq!(room.left().0, 0);
    let wall_ms = room.now.wall_ms + 4 * DAY_MS;
    let mut room = room.start_at(wall_ms);
    room.live(2 * HOUR_MS);
    assert_eq!(room.left().0, 8);
}
