//! The real daemon on a file system of 64 MiB that fills up, on tmpfs and on ext4 in a file (`mounts`).
//!
//! Somebody writes until there is no room. Then produce answers 56 and a sentence; fetches, commits, ends of
//! transactions and deletes go on. Each time room is made in another way: a topic is deleted, or its records, or they
//! are kept for a shorter time, or all logs get a budget; and the next record is taken. After a kill everything that
//! was acknowledged is there, and nothing is torn. The log has one warning for each time it was full, and one line that
//! says that it is over.
//!
//! `budget` and `soak` write more than the logs may take, to a disk that has room.

#[path = "../common/mod.rs"]
mod common;

mod budget;
mod mounts;
mod soak;
mod user;

use common::broker::Broker;
use common::dir::Dir;
use mounts::FileSystem;
use user::User;

/// How room is made each time that the disk is full, of which `User::write_ballast` leaves enough.
const WAYS: [fn(&mut User); 4] = [
    User::delete_ballast,
    User::delete_records,
    User::keep_less,
    User::give_logs_a_budget,
];

#[test]
fn a_full_tmpfs_refuses_records_and_nothing_else() {
    let name = "a_full_tmpfs_refuses_records_and_nothing_else";
    mounts::inside(name, FileSystem::Memory, fill_up);
}

#[test]
fn a_full_ext4_refuses_records_and_nothing_else() {
    let name = "a_full_ext4_refuses_records_and_nothing_else";
    mounts::inside(name, FileSystem::Loop, fill_up);
}

#[test]
fn the_logs_keep_to_their_budget_while_somebody_reads_slowly() {
    budget::run();
}

#[test]
fn a_soak_stays_within_the_budget() {
    soak::run();
}

/// The whole test, on the file system that is mounted at `data` in that directory.
fn fill_up(dir: Dir) {
    let often = "log.retention.check.interval.ms=1000";
    let mut broker = Broker::start_in(dir, &["-o", often]);
    let mut user = User::connect(broker.port());
    user.prepare();
    for (time, make_room) in (1..).zip(WAYS) {
        user.write_ballast(time);
        let refused = user.write_until_refused();
        assert!(
            refused.contains("the disk is full"),
            "what a producer is told: {refused:?}"
        );
        user.read_everything();
        user.commit_offset();
        user.end_transaction();
        make_room(&mut user);
        mounts::wait_for_room(&broker.data());
        if time > 1 {
            user.delete_ballast();
        }
        user.write_what_was_refused();
        let log = mounts::wait_until(|| {
            let log = broker.log();
            (count(&log, "the disk has room again") == time).then_some(log)
        });
        let of_budget = count(&log, "go before their retention is over");
        assert_eq!(
            count(&log, " WARN "),
            warnings_at_start(&log) + time + of_budget,
            "{log}"
        );
        user.begin_transaction();
    }
    user.lose_what_the_budget_takes();
    broker.kill9();
    broker.restart();
    let mut user = user.connect_again(broker.port());
    user.read_everything();
    user.end_transaction();
    user.write_what_was_refused();
    assert_eq!(count(&broker.log(), "torn"), 0, "{}", broker.log());
}

fn count(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

/// Those about running as root, and about the worth of a sync in memory.
fn warnings_at_start(log: &str) -> usize {
    let before = log.lines().take_while(|line| !line.contains("ready"));
    before.filter(|line| line.contains(" WARN ")).count()
}
