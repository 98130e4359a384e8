//! Runs that have to do with transactions. The journal is snapshotted every few records.

use super::{DURABLE, Trace, start, warm, with_two_topics};
use crate::machine::Stopped;
use crate::script::{Script, Step};
use crate::txns::Style;
use chronikd::disk::sim::Survives;

const FIRST: Style = Style::First;
const SECOND: Style = Style::Second;

/// All of them.
pub const TRACES: &[Trace] = &[
    eager(warm("a transaction of version 1", with_two_topics, |s| {
        s.transact(&[("copy", FIRST)], 1)
    })),
    eager(warm("a transaction of version 2", with_two_topics, |s| {
        s.transact(&[("copy", SECOND)], 1)
    })),
    eager(warm(
        "transactions of both versions",
        with_two_topics,
        |s| s.transact(&[("copy", FIRST), ("count", SECOND)], 2),
    )),
    eager(warm(
        "transactions of version 1 while the disk is slow",
        with_two_topics,
        |s| s.transact_slowly(&[("copy", FIRST)], 5),
    )),
    eager(warm(
        "transactions of version 2 while the disk is slow",
        with_two_topics,
        |s| s.transact_slowly(&[("copy", SECOND)], 2),
    )),
    eager(warm(
        "transactions whose producers are gone time out",
        with_both_open,
        Script::desert,
    )),
    eager(warm("a producer overtakes another", with_two_topics, |s| {
        s.begin_to_transact(&[("copy", FIRST), ("count", SECOND)])?;
        s.transact(&[("copy", SECOND), ("count", FIRST)], 1)
    })),
    eager(warm(
        "with open transactions, a clean stop",
        with_two_topics,
        |s| {
            s.begin_to_transact(&[("copy", FIRST), ("count", SECOND)])?;
            s.close()
        },
    )),
    eager(warm("a copier of version 1", with_input, |s| s.copy(FIRST))),
    eager(warm("a copier of version 2", with_input, |s| {
        s.copy(SECOND)
    })),
    eager(start("a start with transactions of version 1", |s| {
        halfway(s, FIRST)
    })),
    eager(start("a start with transactions of version 2", |s| {
        halfway(s, SECOND)
    })),
    eager(start(
        "a start with a transaction that only the log knows",
        |s| {
            with_two_topics(s)?;
            cut_before(s, SECOND, Moment::Joined)
        },
    )),
    eager(start(
        "a start with a marker of version 1 that only the log knows",
        |s| {
            with_two_topics(s)?;
            cut_before(s, FIRST, Moment::Marked)
        },
    )),
    eager(start(
        "a start with a marker of version 2 that only the log knows",
        |s| {
            with_two_topics(s)?;
            cut_before(s, SECOND, Moment::Marked)
        },
    )),
];

const fn eager(mut trace: Trace) -> Trace {
    trace.snapshot_entries = Some(5);
    trace
}

fn with_input(s: &mut Script) -> Step {
    with_two_topics(s)?;
    s.open()?;
    s.create("output", 2, DURABLE)?;
    s.produce("durable", 0, 3, 10)?;
    s.produce("rolls", 0, 2, 10)?;
    s.transact(&[("copy", SECOND)], 2)?;
    s.rest()?;
    s.kill();
    Ok(())
}

fn with_both_open(s: &mut Script) -> Step {
    with_two_topics(s)?;
    s.open()?;
    s.begin_to_transact(&[("copy", FIRST), ("count", SECOND)])?;
    s.kill();
    Ok(())
}

/// The process dies while transactions are open, and others are over.
fn halfway(s: &mut Script, style: Style) -> Step {
    with_two_topics(s)?;
    s.open()?;
    s.transact(&[("copy", style)], 1)?;
    s.begin_to_transact(&[("copy", style), ("count", style)])?;
    s.kill();
    Ok(())
}

/// Something that a log has, and the journal does not have yet.
#[derive(Clone, Copy)]
enum Moment {
    /// The first batch of a transaction.
    Joined,
    /// The last marker of it.
    Marked,
}

/// The power is cut before the journal is written behind that, and nothing that was written is lost.
fn cut_before(s: &mut Script, style: Style, moment: Moment) -> Step {
    let mut trial = s.fork(1);
    let from = transact(&mut trial, style, None)?;
    let machine = &trial.machine;
    let all = from..machine.disk.operations();
    let mut batches = all
        .clone()
        .filter(|at| is_write_to(".log", &machine.describe(*at)));
    let batch = match moment {
        Moment::Joined => batches.next(),
        Moment::Marked => batches.next_back(),
    };
    let batch = batch.expect("a batch");
    let cut = (batch..all.end).find(|at| is_write_to(".journal", &machine.describe(*at)));
    let mut image = s.fork(1);
    let result = transact(&mut image, style, cut);
    assert!(matches!(result, Err(Stopped::Power)));
    image.crash(Survives::Everything);
    *s = image;
    Ok(())
}

fn is_write_to(file: &str, operation: &str) -> bool {
    operation.starts_with("write ") && operation.ends_with(file)
}

/// Runs one transaction, with the power cut at that operation. Answers the first operation.
fn transact(s: &mut Script, style: Style, cut: Option<u64>) -> Result<u64, Stopped> {
    s.open()?;
    s.rest()?;
    let from = s.machine.disk.operations();
    if let Some(cut) = cut {
        s.machine.cut_at(cut);
    }
    s.transact(&[("copy", style)], 1)?;
    s.rest()?;
    Ok(from)
}
