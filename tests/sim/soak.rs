//! One hour of a small machine, in simulated time and without chance: retention, compaction and the budget together.
//!
//! Somebody writes all the time to a topic that is cut to its age, to one that is cut to its size, to one that keeps
//! everything and to one that is compacted. All of them want more than the disk may hold. The power is cut every ten
//! minutes. What is held is what every run is held against (`ledger`, `machine`), and that each of the three has had
//! its part in it.

use crate::admin::Flavour;
use crate::machine::configured;
use crate::script::{Script, Step};
use chronikd::disk::sim::Survives;

const MINUTES: i64 = 60;
/// All logs may have so many bytes, and so many are written every minute.
const BUDGET_BYTES: i64 = 48 << 10;
const BATCHES_A_MINUTE: usize = 8;
const STEP_MS: i64 = 60_000 / BATCHES_A_MINUTE as i64;

const TOPICS: [(&str, Flavour); 4] = [
    (
        "young",
        &[("retention.ms", "600000"), ("segment.ms", "60000")],
    ),
    (
        "short",
        &[("retention.bytes", "6000"), ("segment.ms", "60000")],
    ),
    ("greedy", &[("retention.ms", "-1")]),
    (
        "compacted",
        &[
            ("cleanup.policy", "compact"),
            ("segment.ms", "60000"),
            ("min.cleanable.dirty.ratio", "0.3"),
        ],
    ),
];

/// Runs the hour.
pub fn an_hour() -> Step {
    let config = configured(&[
        ("chronik.disk.max.bytes", BUDGET_BYTES),
        ("log.retention.check.interval.ms", 30_000),
    ]);
    let mut script = Script::new(config);
    script.open()?;
    for (name, flavour) in TOPICS {
        script.create(name, 1, flavour)?;
    }
    let mut starts = [0; TOPICS.len()];
    for minute in 1..=MINUTES {
        write_for_a_minute(&mut script)?;
        for (start, (name, _)) in starts.iter_mut().zip(TOPICS) {
            *start = start_of(&mut script, name);
        }
        if minute % 10 == 0 {
            script.crash(Survives::Some);
            script.open()?;
        }
    }
    script.audit()?;
    let [young, short, greedy, compacted] = starts;
    assert!(young > 0 && short > 0 && greedy > 0, "{starts:?}");
    assert_eq!(compacted, 0, "it gives nothing");
    let tally = &script.ledger.txns.tally;
    assert!(tally.count("compacted away") > 100, "{tally:?}");
    assert!(tally.count("given up for space") > 10, "{tally:?}");
    Ok(())
}

fn write_for_a_minute(script: &mut Script) -> Step {
    for batch in 0..BATCHES_A_MINUTE {
        for (name, _) in TOPICS {
            script.produce(name, 0, 1 + batch % 3, 40 * (batch % 4))?;
        }
        script.pass_ms(STEP_MS)?;
    }
    Ok(())
}

fn start_of(script: &mut Script, name: &str) -> i64 {
    let log = script.machine.broker().log(name, 0);
    log.expect("a log").log_start()
}
