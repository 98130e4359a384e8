//! Kafka's own `StreamsSmokeTest` of Streams, as its system test runs it with exactly_once_v2 and crashes.
//!
//! The driver writes 20,000 numbers in 90 seconds and then checks, to the last value, what became of them: smallest,
//! largest, sum, count, average, windows, joins and counts of counts. Meanwhile one instance after the other does the
//! work and is killed, and so is the broker. `close-deadlock-test` ends its machine out of a handler of errors.

use std::path::Path;

use crate::app::App;
use crate::common::program::Program;
use crate::common::skipped;
use crate::streams::{Cast, PROCESSED, RUNNING, at_work};

const PROGRAM: Program = Program::Class(
    "org.apache.kafka.streams.tests.StreamsSmokeTest",
    "kafka-streams-4.3",
);
const TOPICS: &[&str] = &[
    "avg",
    "cnt",
    "data",
    "dif",
    "echo",
    "fk",
    "max",
    "min",
    "min-raw",
    "min-suppressed",
    "source",
    "sum",
    "sws-raw",
    "sws-suppressed",
    "tagg",
];
/// Those of Kafka's test; only the dead are given up sooner.
const SETTINGS: &[&str] = &[
    "acceptable.recovery.lag=9223372036854775807",
    "acks=all",
    "auto.offset.reset=earliest",
    "buffered.records.per.partition=100",
    "commit.interval.ms=1000",
    "num.standby.replicas=2",
    "num.stream.threads=3",
    "session.timeout.ms=6000",
];

/// The whole test.
pub(crate) fn run() {
    if let Err(why) = PROGRAM.command(Path::new(".")) {
        return skipped("StreamsSmokeTest", &why);
    }
    let mut cast = Cast::new(PROGRAM, SETTINGS, TOPICS);
    let mut doomed = cast.start("doomed", "close-deadlock-test");
    assert_eq!(doomed.end(), Some(1));
    let mut first = cast.start("first", "process");
    first.wait(RUNNING);
    let mut driver = cast.start("driver", "run");
    first.wait(PROCESSED);
    first.kill9();
    let mut second = replace(&cast, "second", &mut driver);
    second.forget();
    cast.server.crash();
    second.wait(PROCESSED);
    second.kill9();
    let mut third = replace(&cast, "third", &mut driver);
    driver.wait("ALL-RECORDS-DELIVERED");
    driver.wait("SUCCESS");
    assert_eq!(driver.end(), Some(0));
    third.stop("SMOKE-TEST-CLIENT-CLOSED");
}

/// The next instance takes over while there is still something to do.
fn replace(cast: &Cast, name: &str, driver: &mut App) -> App {
    let mut instance = cast.start(name, "process");
    at_work(&mut instance);
    assert!(!driver.has_said("Result Verification"), "too early");
    instance
}
