//! Runs that have to do with transactions. The journal is snapshotted every few records.

use super::{DURABLE, ROLLS, Trace, start, warm};
use crate::script::{Script, Step};
use crate::txns::Style;

/// All of them.
pub const TRACES: &[Trace] = &[
    eager(warm("a transaction of version 1", with_topics, |s| {
        s.transact(&[("copy", Style::First)], 1)
    })),
    eager(warm("a transaction of version 2", with_topics, |s| {
        s.transact(&[("copy", Style::Second)], 1)
    })),
    eager(warm("transactions of both versions", with_topics, |s| {
        s.transact(&[("copy", Style::First), ("count", Style::Second)], 2)
    })),
    eager(start("a start with transactions of version 1", |s| {
        halfway(s, Style::First)
    })),
    eager(start("a start with transactions of version 2", |s| {
        halfway(s, Style::Second)
    })),
];

const fn eager(mut trace: Trace) -> Trace {
    trace.snapshot_entries = Some(5);
    trace
}

fn with_topics(s: &mut Script) -> Step {
    s.open()?;
    s.create("durable", 2, DURABLE)?;
    s.create("rolls", 1, ROLLS)?;
    s.rest()?;
    s.kill();
    Ok(())
}

/// The process dies while transactions are open, and others are over.
fn halfway(s: &mut Script, style: Style) -> Step {
    with_topics(s)?;
    s.open()?;
    s.transact(&[("copy", style)], 1)?;
    s.begin_to_transact(&[("copy", style), ("count", style)])?;
    s.kill();
    Ok(())
}
