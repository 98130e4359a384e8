//! Runs in which logs begin later: by request, by size and by age.

use super::{DURABLE, Trace, start, warm, with_data};
use crate::admin::Flavour;
use crate::script::{Script, Step};

/// A segment for every few batches, and the partition is cut to about three of them.
const SHORT: Flavour = &[
    ("segment.index.bytes", "24"),
    ("index.interval.bytes", "0"),
    ("retention.bytes", "900"),
    ("file.delete.delay.ms", "500"),
];
/// The same, but by age.
const YOUNG: Flavour = &[
    ("segment.index.bytes", "24"),
    ("index.interval.bytes", "0"),
    ("retention.ms", "2000"),
    ("file.delete.delay.ms", "0"),
];
/// Until logs are looked at for the first time.
const FIRST_LOOK_MS: i64 = 31_000;

/// All of them.
pub const TRACES: &[Trace] = &[
    warm("records are deleted", with_data, |s| {
        s.delete_records("rolls", 1)?;
        s.delete_records("rolls", 3)
    }),
    warm("deleted records leave the disk", with_data, |s| {
        s.delete_records("rolls", 4)?;
        s.pass_ms(1_100)?;
        s.pass_ms(70_000)
    }),
    warm("all records are deleted, and others come", with_data, |s| {
        s.delete_records("durable", -1)?;
        s.produce("durable", 0, 2, 100)?;
        s.delete_records("rolls", -1)?;
        s.produce("rolls", 0, 2, 100)
    }),
    warm("relaxed records are deleted", with_data, |s| {
        (0..4).try_for_each(|_| s.produce("relaxed-rolls", 0, 1, 300))?;
        s.delete_records("relaxed-rolls", 3)?;
        s.produce("relaxed-rolls", 0, 1, 300)?;
        s.pass_ms(1_100)
    }),
    warm(
        "a topic with deleted records is made again",
        with_data,
        |s| {
            s.delete_records("durable", 2)?;
            s.delete("durable")?;
            s.create("durable", 1, DURABLE)?;
            s.produce("durable", 0, 3, 10)
        },
    ),
    warm("a log is cut to its size", with_short, |s| {
        s.produce("short", 0, 1, 100)?;
        s.pass_ms(FIRST_LOOK_MS)?;
        s.pass_ms(1_100)?;
        s.produce("short", 0, 1, 100)?;
        s.pass_ms(1_100)
    }),
    warm("a log is cut to its age", with_young, |s| {
        s.pass_ms(FIRST_LOOK_MS)?;
        s.pass_ms(1_100)?;
        s.produce("young", 0, 1, 100)?;
        s.pass_ms(1_100)
    }),
    start("a start with a removal half done", |s| {
        with_data(s)?;
        s.open()?;
        s.delete_records("rolls", 4)?;
        s.pass_ms(1_100)?;
        s.kill();
        Ok(())
    }),
];

fn with_short(s: &mut Script) -> Step {
    with(s, "short", SHORT)
}

fn with_young(s: &mut Script) -> Step {
    with(s, "young", YOUNG)
}

fn with(s: &mut Script, name: &str, flavour: Flavour) -> Step {
    s.open()?;
    s.create(name, 1, flavour)?;
    (0..10).try_for_each(|_| s.produce(name, 0, 1, 100))?;
    s.pass_ms(1_100)?;
    s.kill();
    Ok(())
}
