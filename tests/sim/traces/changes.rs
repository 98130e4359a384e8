//! Runs in which settings change and topics grow.

use super::{Trace, eager, start, warm, with_data, with_topics};
use crate::changes::Place;
use crate::script::{Script, Step};

/// All of them.
pub const TRACES: &[Trace] = &[
    eager(warm("settings change", with_topics, settings)),
    eager(start("a start with settings", |s| {
        with_topics(s)?;
        s.open()?;
        settings(s)?;
        s.kill();
        Ok(())
    })),
    warm("a topic grows", with_data, |s| s.grow("durable", 4)),
    warm("a topic grows and is written to", with_data, |s| {
        s.grow("rolls", 2)?;
        (0..3).try_for_each(|_| s.produce("rolls", 1, 1, 100))
    }),
    warm("a topic grows and goes", with_data, |s| {
        s.grow("durable", 3)?;
        s.delete("durable")
    }),
];

fn settings(s: &mut Script) -> Step {
    s.set_of("durable", Some("50000"))?;
    s.set(Place::Group, Some("46000"))?;
    s.set(Place::Brokers, Some("50001"))?;
    s.set_of("durable", Some("50002"))?;
    s.set(Place::Group, None)?;
    s.set(Place::Brokers, Some("50003"))
}
