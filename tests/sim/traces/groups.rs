//! Runs that have to do with groups. The journal is snapshotted every few records, so that its merges are cut as well.

use super::{Trace, eager, start, warm, with_two_topics};
use crate::machine::Stopped;
use crate::script::{Script, Step};
use chronikd::disk::sim::Survives;

/// All of them.
pub const TRACES: &[Trace] = &[
    eager(warm("a group forms", with_two_topics, |s| s.join(2))),
    snapshotted(warm("members join a group that works", with_group, |s| {
        s.join(1)
    })),
    snapshotted(warm("offsets are committed", with_group, |s| {
        s.commit("durable", 2)?;
        s.commit("durable", 1)
    })),
    eager(warm("a member leaves", with_group, |s| s.leave(0))),
    eager(warm("a static member starts again", with_group, |s| {
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
    snapshotted(start("a start with a snapshot that was just named", |s| {
        halfway(s, |what| what.starts_with("sync-dir /data/journal"))
    })),
    snapshotted(start("a start with a file half wiped", |s| {
        halfway(s, |what| is_of("write", ".journal", what))
    })),
    snapshotted(start(
        "a start with an old snapshot that is no reserve yet",
        |s| halfway(s, |what| is_of("rename", "/reserve", what)),
    )),
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

/// With a snapshot of every few records, so that several rounds are in one file.
const fn snapshotted(trace: Trace) -> Trace {
    Trace {
        snapshot_entries: Some(3),
        ..trace
    }
}

fn with_group(s: &mut Script) -> Step {
    with_two_topics(s)?;
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

fn is_of(what: &str, file: &str, operation: &str) -> bool {
    operation.starts_with(what) && operation.ends_with(file)
}

/// The power is cut at the first such operation after a snapshot has got its name.
fn halfway(s: &mut Script, is_it: fn(&str) -> bool) -> Step {
    with_offsets(s)?;
    let mut trial = s.fork(1);
    let from = commit_again(&mut trial, None)?;
    let machine = &trial.machine;
    let mut operations = from..machine.disk.operations();
    let is_name = |at: &u64| is_of("rename", ".snapshot", &machine.describe(*at));
    operations.find(is_name).expect("a snapshot");
    let cut = operations.find(|at| is_it(&machine.describe(*at)));
    let cut = cut.expect("such an operation");
    let mut image = s.fork(1);
    let result = commit_again(&mut image, Some(cut));
    assert!(matches!(result, Err(Stopped::Power)));
    image.crash(Survives::Everything);
    *s = image;
    Ok(())
}

/// Commits until there is a snapshot, with the power cut at that operation. Answers the first operation.
fn commit_again(s: &mut Script, cut: Option<u64>) -> Result<u64, Stopped> {
    s.open()?;
    s.gather()?;
    s.rest()?;
    let from = s.machine.disk.operations();
    if let Some(cut) = cut {
        s.machine.cut_at(cut);
    }
    s.commit("durable", 2)?;
    s.rest()?;
    Ok(from)
}
