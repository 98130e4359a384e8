//! The whole broker under a simulated clock, simulated sockets and a simulated disk.
//!
//! A **seed** is a run: several clients at once, bytes in random pieces, lanes in random order, power cuts between any
//! two operations and in the middle of recoveries (`world`). There are seeds of records, with producers and fetchers,
//! seeds of groups, with members of all sorts, consumers that are in no group and an operator (`groups`), and seeds of
//! transactions, with producers that overtake each other, copiers, readers of committed records and an operator
//! (`txns`). In all of them the journal is snapshotted often or hardly ever.
//!
//! An **hour** is a script that writes more than the disk may hold, while retention and compaction work (`soak`).
//!
//! A **trace** is a short script without chance (`traces`, `script`). Its power is cut at every operation of the disk,
//! each of them fails, and the disk is full from the beginning.
//!
//! | held against what is found | by |
//! |---|---|
//! | records: what was acknowledged or read stays where it is | `ledger` |
//! | settings and added partitions: what was acknowledged or shown stands | `changes` |
//! | what is deleted was to be deleted, stays deleted, and leaves the disk | `ledger`, `deleter` |
//! | one generation at a time, with one plan of which everybody has its part; what was promised of it comes back | `groups::book` |
//! | nobody of an old generation is obeyed; nobody is told to go without a reason | `groups::member` |
//! | transactions are whole or not there, and the last stable offset never goes back | `txns::history` |
//! | offsets and copies move together: what is committed was copied, once, and nothing else | `txns::copies` |
//! | whoever is told to go was overtaken, late or forgotten, and a zombie of a group is told to | `txns::verdict` |
//! | all of that happens often enough | `txns::tally` |
//! | committed offsets never go back, and go only when there is a reason | `groups::offsets` |
//! | every request is answered once and in order, or its connection is gone | `machine`, and `World::is_calm` |
//! | the journal is bounded, becomes what is true, and then nothing is written | `journal`, `World::come_to_rest` |
//!
//! * `SIM_SEED=17 cargo test --test sim` runs that seed alone;
//! * `SIM_SEEDS=100000 cargo test --test sim` runs so many of each kind, `SIM_FROM=5000` from there on, and
//!   `SIM_THREADS=8` on so many threads;
//! * `SIM_TRACE=version cargo test --test sim` runs the traces with that word in their names.

// Everything here is seen by this one suite.
#![allow(unreachable_pub)]

mod admin;
mod call;
mod changes;
#[path = "../common/committed.rs"]
mod committed;
mod deleter;
mod errand;
mod fetcher;
mod groups;
mod journal;
mod ledger;
mod luck;
mod machine;
mod producer;
mod script;
mod side;
mod soak;
mod traced;
mod traces;
mod txns;
mod world;

use chronikd::disk::sim::{Fault, Times};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many seeds of records run when nobody says otherwise.
const RECORD_SEEDS: u64 = 1_000;
/// And of groups, where there is more that can happen.
const GROUP_SEEDS: u64 = 2_000;
/// And of transactions.
const TRANSACTION_SEEDS: u64 = 5_000;
/// On so many threads.
const THREADS: u64 = 2;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Shows what the broker says, where one seed runs alone.
struct Shown;

impl log::Log for Shown {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        eprintln!("{} {}", record.level(), record.args());
    }
    fn flush(&self) {}
}

/// Tells the seed of a run that panics.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {0} failed; SIM_SEED={0} cargo test --test sim runs it again",
                self.0
            );
        }
    }
}

/// Runs so many seeds, or those that the caller of the test wants. Answers what has happened in them, and how many they
/// were.
fn run_seeds(cast: world::Cast, usual: u64) -> (txns::Tally, u64) {
    let alone = number("SIM_SEED");
    let from = alone.or(number("SIM_FROM")).unwrap_or(0);
    let count = if alone.is_some() {
        1
    } else {
        number("SIM_SEEDS").unwrap_or(usual)
    };
    if alone.is_some() && log::set_logger(&Shown).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
    let next = AtomicU64::new(from);
    let run = || {
        let mut tally = txns::Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return tally;
            }
            let _running = Running(seed);
            tally.add(&world::run(seed, cast));
        }
    };
    let threads = number("SIM_THREADS").unwrap_or(THREADS);
    let mut tally = txns::Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            tally.add(&thread.join().expect("seeds that pass"));
        }
    });
    (tally, count)
}

#[test]
fn no_promise_is_broken_whenever_the_power_is_cut() {
    let (tally, seeds) = run_seeds(world::Cast::Logs, RECORD_SEEDS);
    tally.check(txns::OF_RECORDS, seeds);
}

#[test]
fn no_promise_to_a_group_is_broken_whenever_the_power_is_cut() {
    run_seeds(world::Cast::Groups, GROUP_SEEDS);
}

#[test]
fn no_transaction_is_torn_whenever_the_power_is_cut() {
    let (tally, seeds) = run_seeds(world::Cast::Transactions, TRANSACTION_SEEDS);
    tally.check(txns::OF_TRANSACTIONS, seeds);
}

#[test]
fn an_hour_of_retention_compaction_and_a_small_disk_keeps_every_promise() {
    soak::an_hour().expect("a broker that goes on");
}

#[test]
fn no_promise_is_broken_by_a_cut_at_any_operation() {
    for trace in traces::all() {
        let count = trace.cut_everywhere();
        assert!(count > 0, "{} does nothing", trace.name);
    }
}

#[test]
fn a_disk_that_fails_stops_the_broker_before_it_promises_anything() {
    for trace in traces::all() {
        trace.fail_everywhere(Fault::Io, Times::Once);
        trace.fail_everywhere(Fault::Io, Times::Forever);
    }
}

#[test]
fn a_full_disk_is_an_answer_except_to_a_sync() {
    for trace in traces::all() {
        let stops = trace.fail_everywhere(Fault::Full, Times::Once);
        let unexcused = stops.iter().find(|stop| !trace.may_stop_when_full(stop));
        assert_eq!(unexcused, None, "{}", trace.name);
    }
}

#[test]
fn a_disk_that_is_full_for_long_does_not_stop_a_running_broker() {
    const LEFT: [u64; 9] = [0, 90, 600, 3_000, 20_000, 66_000, 300_000, 1 << 20, 3 << 20];
    for trace in traces::all() {
        for left_bytes in LEFT {
            let stopped = trace.fill(left_bytes);
            let excused = stopped.is_none() || trace.may_stop_when_full("");
            assert!(
                excused,
                "{}, {left_bytes} bytes left: {stopped:?}",
                trace.name
            );
        }
    }
}
