//! Administration by the real tools and clients, unchanged: what they print of chronikd is held against what they print
//! of a real Apache Kafka.
//!
//! `commands` plays the lines of `scripts/` to both brokers with Kafka's own tools, those of 4.3 and of 3.9; `sweeps`
//! has the administrative clients of `programs/` make every call that there is an API for, good ones and bad ones.
//! `plain` says what may differ, and why. There is one Kafka for all of that, of the release that chronikd is like
//! (`pair`).
//!
//! `live` needs no Kafka: what is changed while the broker runs has its effect at once, and after a kill, too.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod live;
mod pair;
mod plain;
mod sweeps;

use common::apache::{Apache, NEWEST};
use pair::Pair;

#[test]
fn tools_and_clients_find_in_chronikd_what_they_find_in_kafka() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return common::skipped("administration beside Kafka", &why);
    }
    let pair = Pair::start();
    let mut differences = commands::run(&pair);
    differences.extend(sweeps::run(&pair));
    let found = differences.len();
    assert!(
        found == 0,
        "{found} differences:\n{}",
        differences.join("\n")
    );
}

#[test]
fn topics_obey_what_is_changed_while_the_broker_runs() {
    live::topics();
}

#[test]
fn brokers_obey_what_is_changed_while_they_run() {
    live::brokers();
}

#[test]
fn a_topic_packs_its_records_with_its_own_codec() {
    live::codecs();
}
