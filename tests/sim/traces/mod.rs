//! Some fifty short runs, each cut at every operation of the disk, and with every operation failing.
//!
//! A trace has a past, which is not cut and ends with the broker off; then the broker is started, before the
//! part that is cut or as the first thing in it.

mod changes;
mod deletions;
mod groups;
mod txns;

use crate::admin::Flavour;
use crate::ledger::End;
use crate::machine::{Stopped, configured};
use crate::script::{Script, Step};
use chronikd::disk::sim::{Fault, Survives, Times};

const DURABLE: Flavour = &[];
const RELAXED: Flavour = &[("flush.messages", "9223372036854775807")];
const FOURTH: Flavour = &[("flush.messages", "4")];
const ROLLS: Flavour = &[("segment.index.bytes", "24"), ("index.interval.bytes", "0")];
const RELAXED_ROLLS: Flavour = &[
    ("flush.messages", "9223372036854775807"),
    ("segment.index.bytes", "24"),
    ("index.interval.bytes", "0"),
];

const COMPACTED: Flavour = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0"),
    ("segment.index.bytes", "24"),
    ("index.interval.bytes", "0"),
];

const ENTRIES: &str = "chronik.journal.snapshot.entries";
const CLEAN_STOP: &str = "a clean stop";

/// A run to be cut.
pub struct Trace {
    /// What it is about.
    pub name: &'static str,
    past: fn(&mut Script) -> Step,
    /// The start of the broker is not cut.
    is_warm: bool,
    /// The journal is snapshotted whenever it has so many records more, if this is given.
    snapshot_entries: Option<u64>,
    run: fn(&mut Script) -> Step,
}

const fn warm(
    name: &'static str,
    past: fn(&mut Script) -> Step,
    run: fn(&mut Script) -> Step,
) -> Trace {
    Trace {
        name,
        past,
        is_warm: true,
        snapshot_entries: None,
        run,
    }
}

/// A start after that past.
const fn start(name: &'static str, past: fn(&mut Script) -> Step) -> Trace {
    Trace {
        name,
        past,
        is_warm: false,
        snapshot_entries: None,
        run: Script::open,
    }
}

/// With a snapshot of everything that is journaled.
const fn eager(trace: Trace) -> Trace {
    Trace {
        snapshot_entries: Some(1),
        ..trace
    }
}

/// All of them, or those with a word in their names that the caller of the tests wants.
pub fn all() -> impl Iterator<Item = &'static Trace> {
    let word = std::env::var("SIM_TRACE").unwrap_or_default();
    let all = TRACES.iter().chain(changes::TRACES);
    let all = all.chain(deletions::TRACES);
    let all = all.chain(groups::TRACES).chain(txns::TRACES);
    all.filter(move |trace| trace.name.contains(&word))
}

const TRACES: &[Trace] = &[
    start("the first start", |_| Ok(())),
    warm("a topic is created", empty, |s| s.create("a", 1, DURABLE)),
    warm("a topic of three partitions is created", empty, |s| {
        s.create("a", 3, DURABLE)
    }),
    warm("a batch is written", with_topics, |s| {
        s.produce("durable", 0, 3, 100)
    }),
    warm("a large batch is written", with_topics, |s| {
        s.produce("durable", 0, 2, 40_000)
    }),
    warm(
        "batches for many partitions are in one round",
        with_topics,
        one_round,
    ),
    warm("batches follow each other", with_topics, |s| {
        (0..4).try_for_each(|n| s.produce("durable", n % 2, 2, 700))
    }),
    warm("relaxed batches are never synced", with_topics, |s| {
        (0..3).try_for_each(|_| s.produce("relaxed", 0, 2, 700))
    }),
    warm("every fourth message is synced", with_topics, |s| {
        (0..5).try_for_each(|_| s.produce("fourth", 0, 2, 100))
    }),
    warm("segments end and are checkpointed", with_topics, |s| {
        (0..6).try_for_each(|_| s.produce("rolls", 0, 1, 100))?;
        s.pass_ms(1_100)
    }),
    warm("relaxed segments end", with_topics, |s| {
        (0..6).try_for_each(|_| s.produce("relaxed-rolls", 0, 1, 600))?;
        s.pass_ms(1_100)
    }),
    warm(
        "an idempotent producer writes across segments",
        with_topics,
        |s| {
            s.identify()?;
            (0..5).try_for_each(|_| s.produce("rolls", 0, 2, 100))
        },
    ),
    warm("a log is compacted", with_compacted, |s| {
        s.pass_ms(16_000)?;
        s.produce("compacted", 0, 1, 100)
    }),
    warm(
        "segments that were compacted leave the disk",
        with_compacted,
        |s| {
            s.pass_ms(16_000)?;
            s.pass_ms(70_000)
        },
    ),
    warm(
        "a log is deleted while it is compacted",
        with_compacted,
        |s| {
            s.pass_ms(15_100)?;
            s.delete("compacted")
        },
    ),
    warm("producer ids are given", with_topics, |s| {
        (0..3).try_for_each(|_| s.identify())
    }),
    warm("a topic is deleted", with_data, |s| s.delete("durable")),
    warm("a deleted topic's files go", with_data, |s| {
        s.delete("rolls")?;
        s.pass_ms(70_000)
    }),
    warm("a topic is deleted and made again", with_data, |s| {
        s.delete("durable")?;
        s.create("durable", 1, DURABLE)?;
        s.produce("durable", 0, 1, 10)
    }),
    warm(CLEAN_STOP, with_data, |s| {
        s.produce("durable", 1, 2, 100)?;
        s.produce("rolls", 0, 2, 100)?;
        s.close()
    }),
    start("a start after a clean stop", |s| {
        with_data(s)?;
        s.open()?;
        s.close()?;
        s.machine.crash(Survives::Nothing);
        s.ledger.ended(End::Clean);
        Ok(())
    }),
    start("a start after a kill", with_data),
    start("a start after a kill with long tails", |s| {
        with_topics(s)?;
        s.open()?;
        (0..8).try_for_each(|n| s.produce("relaxed-rolls", 0, 1, 100 * n))?;
        (0..4).try_for_each(|n| s.produce("fourth", 0, 1, 900 * n))?;
        s.kill();
        Ok(())
    }),
    start("a start after a torn tail", |s| torn(s, 1)),
    start("a start after another torn tail", |s| torn(s, 7)),
    start("a start with a deletion half done", |s| {
        with_data(s)?;
        s.open()?;
        s.delete("rolls")?;
        s.kill();
        Ok(())
    }),
];

fn empty(s: &mut Script) -> Step {
    s.open()?;
    s.kill();
    Ok(())
}

/// The two topics that groups and transactions read and write.
fn with_two_topics(s: &mut Script) -> Step {
    s.open()?;
    s.create("durable", 2, DURABLE)?;
    s.create("rolls", 1, ROLLS)?;
    s.rest()?;
    s.kill();
    Ok(())
}

fn with_topics(s: &mut Script) -> Step {
    s.open()?;
    s.create("durable", 2, DURABLE)?;
    s.create("relaxed", 1, RELAXED)?;
    s.create("fourth", 1, FOURTH)?;
    s.create("rolls", 1, ROLLS)?;
    s.create("relaxed-rolls", 1, RELAXED_ROLLS)?;
    s.rest()?;
    s.kill();
    Ok(())
}

/// A log that is worth compaction.
fn with_compacted(s: &mut Script) -> Step {
    s.open()?;
    s.create("compacted", 1, COMPACTED)?;
    (0..7).try_for_each(|n| s.produce("compacted", 0, 2, 100 * n))?;
    s.pass_ms(1_100)?;
    s.rest()?;
    s.kill();
    Ok(())
}

fn with_data(s: &mut Script) -> Step {
    with_topics(s)?;
    s.open()?;
    s.produce("durable", 0, 3, 100)?;
    s.produce("durable", 1, 1, 2_000)?;
    s.produce("relaxed", 0, 2, 300)?;
    (0..4).try_for_each(|_| s.produce("rolls", 0, 1, 100))?;
    s.pass_ms(1_100)?;
    s.produce("rolls", 0, 1, 100)?;
    s.kill();
    Ok(())
}

fn one_round(s: &mut Script) -> Step {
    s.send("durable", 0, 2, 600);
    s.send("durable", 1, 1, 100);
    s.send("rolls", 0, 1, 100);
    s.send("relaxed", 0, 1, 100);
    s.answers()
}

/// Power fails while nothing of the relaxed topics was synced.
fn torn(s: &mut Script, seed: u64) -> Step {
    with_data(s)?;
    let mut image = s.fork(seed);
    image.open()?;
    (0..6).try_for_each(|n| image.produce("relaxed-rolls", 0, 2, 400 * n))?;
    (0..3).try_for_each(|n| image.produce("relaxed", 0, 2, 1_500 * n))?;
    image.crash(Survives::Some);
    *s = image;
    Ok(())
}

impl Trace {
    /// The past, once; every run starts from a copy.
    fn image(&self) -> Script {
        let entries = self.snapshot_entries.map(|it| (ENTRIES, it as i64));
        let mut image = Script::new(configured(entries.as_slice()));
        (self.past)(&mut image).expect("the past of a trace");
        image
    }

    /// A machine at the beginning of what is cut, and the number of the next operation.
    fn begin(&self, image: &Script) -> (Script, u64) {
        let mut script = image.fork(1);
        if self.is_warm {
            let begun = script.open().and_then(|()| script.gather());
            begun
                .and_then(|()| script.rest())
                .expect("a start on a disk that is whole");
        }
        let from = script.machine.disk.operations();
        (script, from)
    }

    /// The run, and what it leaves to the lanes.
    fn go(&self, script: &mut Script) -> Step {
        (self.run)(script)?;
        script.rest()
    }

    /// How many operations there are to cut.
    fn operations(&self, image: &Script) -> u64 {
        let (mut script, from) = self.begin(image);
        self.go(&mut script).expect("a trace that is not disturbed");
        script.machine.disk.operations() - from
    }

    /// Cuts the power at every operation. Answers how many there were.
    pub fn cut_everywhere(&self) -> u64 {
        let image = self.image();
        let count = self.operations(&image);
        for cut in 0..count {
            let (mut script, from) = self.begin(&image);
            script.machine.cut_at(from + cut);
            let result = self.go(&mut script);
            let what = script.machine.describe(from + cut);
            assert!(
                matches!(result, Err(Stopped::Power)),
                "{}: cut {cut} ({what})",
                self.name
            );
            let left = [
                Survives::Nothing,
                Survives::Everything,
                Survives::Some,
                Survives::Some,
            ];
            for (seed, survives) in left.into_iter().enumerate() {
                let _shown = Shown(format!(
                    "{}, cut {cut} ({what}), {survives:?} {seed}",
                    self.name
                ));
                let mut after = script.fork(cut * 8 + seed as u64);
                after.crash(survives);
                after.check_recovery().expect("a disk that is whole");
            }
        }
        count
    }

    /// Whether the broker may stop where this operation meets a full disk: a sync is final, the journal's next
    /// records have their space, and who starts or stops may say that it cannot.
    pub fn may_stop_when_full(&self, operation: &str) -> bool {
        // The checkpoint of log starts takes its name in a round, after the one before it has lost it.
        let is_final = operation.starts_with("sync")
            || operation.contains(".journal,")
            || operation.contains("/log-start-offset-checkpoint,")
            || operation.contains("/log-start-offset-checkpoint.old,");
        is_final || !self.is_warm || self.name.ends_with(CLEAN_STOP)
    }

    /// Lets every operation fail, one at a time. Answers those that stopped the broker, and how.
    pub fn fail_everywhere(&self, fault: Fault, times: Times) -> Vec<String> {
        let image = self.image();
        let count = self.operations(&image);
        let mut stops = Vec::new();
        for at in 0..count {
            let (mut script, from) = self.begin(&image);
            script.machine.disk.fail_at(from + at, fault, times);
            script.ledger.faulty = true;
            let _shown = Shown(format!("{}, {fault:?} {times:?} at {at}", self.name));
            let result = self.go(&mut script);
            let what = script.machine.describe(from + at);
            match result {
                Err(why) => stops.push(format!("{what}, {times:?}: {why}")),
                Ok(()) => check_survived(fault, &what),
            }
            recover_both_ways(script, at);
        }
        stops
    }

    /// Runs with so many bytes left on the disk. Answers why the broker has stopped, if it has.
    pub fn fill(&self, left_bytes: u64) -> Option<String> {
        let image = self.image();
        let (mut script, _) = self.begin(&image);
        script.machine.leave_bytes(left_bytes);
        script.ledger.faulty = true;
        let _shown = Shown(format!("{} with {left_bytes} bytes left", self.name));
        let stopped = self.go(&mut script).err().map(|why| why.to_string());
        script.machine.disk.set_capacity(None);
        if stopped.is_none() && self.is_warm && !self.name.ends_with(CLEAN_STOP) {
            let goes_on = script.check_goes_on();
            goes_on.expect("there is room again");
        }
        recover_both_ways(script, left_bytes);
        stopped
    }
}

/// The power fails as well, or the process alone starts again.
fn recover_both_ways(mut script: Script, seed: u64) {
    let mut cut = script.fork(seed);
    cut.crash(Survives::Some);
    cut.check_recovery().expect("a disk that is whole");
    script.kill();
    // What a failed sync has lost is lost.
    script.ledger.ended(End::Power);
    script.check_recovery().expect("a disk that is whole");
}

/// What failed and did not stop the broker: nothing that a promise may stand on. A creation that fails is taken
/// back, a tail that cannot be put aside is not cut and its partition not served, a log is not compacted, and what
/// memory has is written again when there is space.
fn check_survived(fault: Fault, what: &str) {
    const AGAIN: [&str; 4] = [".index", ".timeindex", ".snapshot.tmp", "-checkpoint.tmp"];
    let is_sync = what.starts_with("sync");
    let is_write = what.starts_with("write ");
    let aside = [
        "partition.metadata",
        "/quarantine/",
        "/log-start-offset-checkpoint.",
        ".cleaned",
    ];
    let excused = match fault {
        Fault::Io => is_write && aside.iter().any(|part| what.contains(part)),
        Fault::Full => is_write || AGAIN.iter().any(|suffix| what.ends_with(suffix)),
    };
    assert!(
        excused || !(is_sync || is_write),
        "{what} failed, and the broker went on"
    );
}

/// Tells what was tried when a check panics.
struct Shown(String);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
