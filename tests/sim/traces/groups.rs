//! Runs that have to do with groups. The journal is snapshotted every few records, so that its merges are cut as well.

use super::{DURABLE, ROLLS, Trace, start, warm};
use crate::script::{Script, Step};

/// All of them.
pub const TRACES: &[Trace] = &[
    snapshotted(warm("a group forms", with_topics, |s| s.join(2))),
    snapshotted(warm("members join a group that works", with_group, |s| {
        s.join(1)
    })),
    snapshotted(warm("offsets are committed", with_group, |s| {
        s.commit("durable", 2)?;
        s.commit("durable", 1)
    })),
    snapshotted(warm("a member leaves", with_group, |s| s.leave(0))),
    snapshotted(warm("a static member starts again", with_group, |s| {
        s.restart(1)
    })),
    snapshotted(warm("a member starts again", with_group, |s| s.restart(0))),
    snapshotted(warm("a member reads something else", with_group, |s| {
        s.resubscribe(0)
    })),
    snapshotted(warm(
        "everybody vanishes, and the group goes",
        with_offsets,
        |s| {
            s.disperse()?;
            s.delete_group("readers")
        },
    )),
    snapshotted(warm("a topic with offsets is deleted", with_offsets, |s| {
        s.delete("durable")
    })),
    snapshotted(warm(
        "with groups, a clean stop",
        with_offsets,
        Script::close,
    )),
    snapshotted(start("a start with groups", with_offsets)),
    snapshotted(start("a start in the middle of a rebalance", |s| {
        with_offsets(s)?;
        s.open()?;
        s.gather()?;
        s.resubscribe(1)?;
        s.join(1)?;
        s.kill();
        Ok(())
    })),
];

const fn snapshotted(trace: Trace) -> Trace {
    Trace {
        is_snapshotted: true,
        ..trace
    }
}

fn with_topics(s: &mut Script) -> Step {
    s.open()?;
    s.create("durable", 2, DURABLE)?;
    s.create("rolls", 1, ROLLS)?;
    s.rest()?;
    s.kill();
    Ok(())
}

fn with_group(s: &mut Script) -> Step {
    with_topics(s)?;
    s.open()?;
    s.join(3)?;
    s.rest()?;
    s.kill();
    Ok(())
}

fn with_offsets(s: &mut Script) -> Step {
    with_group(s)?;
    s.open()?;
    s.gather()?;
    s.commit("durable", 2)?;
    s.commit("rolls", 1)?;
    s.rest()?;
    s.kill();
    Ok(())
}
