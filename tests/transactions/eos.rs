//! Kafka's own `StreamsEosTest` of Streams 4.2, the last that has it, as its system test "failure and recovery,
//! complex" runs it: three instances, of which one after the other is killed with a transaction open and comes back.
//!
//! The verifier holds every record of the output, in its order, to the input up to the committed offsets.
//!
//! The program wants three replicas of its internal topics, which one broker does not have; so these are there before.

use std::path::Path;

use crate::app::App;
use crate::common::program::Program;
use crate::common::skipped;
use crate::streams::{Cast, at_work};

const PROGRAM: Program = Program::Class(
    "org.apache.kafka.streams.tests.StreamsEosTest",
    "kafka-streams-4.2",
);
const INSTANCE: &str = "process-complex";
const TOPICS: &[&str] = &[
    "cnt",
    "data",
    "echo",
    "max",
    "min",
    "repartition",
    "sum",
    "EosTest-KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog",
    "EosTest-KSTREAM-AGGREGATE-STATE-STORE-0000000007-changelog",
    "EosTest-KSTREAM-AGGREGATE-STATE-STORE-0000000014-changelog",
    "EosTest-KSTREAM-AGGREGATE-STATE-STORE-0000000018-changelog",
];
/// Those of Kafka's test; only the dead are given up sooner, and a busy machine has time to end its transactions:
/// Streams takes the answer that its transaction has timed out in version 2 (48) for the end of the world.
const SETTINGS: &[&str] = &[
    "acceptable.recovery.lag=9223372036854775807",
    "group.protocol=classic",
    "producer.transaction.timeout.ms=20000",
    "session.timeout.ms=6000",
];

/// The whole test.
pub(crate) fn run() {
    if let Err(why) = PROGRAM.command(Path::new(".")) {
        return skipped("StreamsEosTest", &why);
    }
    let cast = Cast::new(PROGRAM, SETTINGS, TOPICS);
    let mut driver = cast.start("driver", "run");
    let mut first = cast.add("first", INSTANCE, &mut []);
    let mut second = cast.add("second", INSTANCE, &mut [&mut first]);
    let mut third = cast.add("third", INSTANCE, &mut [&mut first, &mut second]);
    for _ in 0..2 {
        lose(&mut first, &mut [&mut second, &mut third]);
        first = cast.add("first", INSTANCE, &mut [&mut second, &mut third]);
    }
    lose(&mut second, &mut [&mut first, &mut third]);
    first.forget();
    third.stop("PENDING_SHUTDOWN -> NOT_RUNNING");
    at_work(&mut first);
    first.stop("PENDING_SHUTDOWN -> NOT_RUNNING");
    driver.stop("Terminated");
    let mut verifier = cast.start("verifier", "verify-complex");
    verifier.wait("ALL-RECORDS-DELIVERED");
    assert_eq!(verifier.end(), Some(0));
}

/// Kills an instance, and waits until the others have taken over.
fn lose(instance: &mut App, others: &mut [&mut App]) {
    others.iter_mut().for_each(|other| other.forget());
    instance.kill9();
    others.iter_mut().for_each(|other| at_work(other));
}
