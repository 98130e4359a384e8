//! Log lines at a bounded rate, and the parts of a turn that took too long.

use crate::api::Peer;
use crate::clock::{Mono, Rate};

/// Lines about single connections in one span.
const COMPLAINT_COUNT: u32 = 10;
/// A part of a turn that takes longer than this is slow.
const SLOW_US: u64 = 1_000;

/// Warnings about single connections.
#[derive(Debug)]
pub(super) struct Complaints {
    rate: Rate,
}

impl Default for Complaints {
    fn default() -> Complaints {
        Complaints {
            rate: Rate::per_minute(COMPLAINT_COUNT),
        }
    }
}

impl Complaints {
    /// Says why a connection is closed, unless too much has been said already.
    pub(super) fn log(&mut self, now: Mono, peer: &Peer, reason: &str) {
        if let Some(left_out) = self.rate.admit(now) {
            let (remote, listener) = (peer.remote, &peer.listener);
            let software = match &peer.software {
                Some((name, version)) => format!(" software={name}/{version}"),
                None => String::new(),
            };
            log::warn!(
                "closing a connection: {reason} remote={remote} listener={listener}{software}"
            );
            if left_out > 0 {
                log::warn!("{left_out} warnings like this were left out in the minute before");
            }
        }
    }
}

/// Measures the parts of a turn.
#[derive(Debug)]
pub(super) struct Laps {
    last: Mono,
    slow_count: u64,
    rate: Rate,
}

impl Laps {
    pub(super) fn new() -> Laps {
        Laps {
            last: Mono(0),
            slow_count: 0,
            rate: Rate::per_minute(COMPLAINT_COUNT),
        }
    }

    /// A part begins.
    pub(super) fn start(&mut self, now: Mono) {
        self.last = now;
    }

    /// The part has ended, and the next one begins.
    pub(super) fn end(&mut self, part: &dyn std::fmt::Debug, now: Mono) {
        let took_us = now.since_us(self.last);
        self.last = now;
        if took_us > SLOW_US {
            self.slow_count += 1;
            if self.rate.admit(now).is_some() {
                log::debug!("slow part of a turn: {part:?} us={took_us}");
            }
        }
    }

    /// How many parts were slow since the start.
    pub(super) fn slow_count(&self) -> u64 {
        self.slow_count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_above_a_millisecond_are_slow() {
        let mut laps = Laps::new();
        laps.start(Mono(5));
        laps.end(&"a", Mono(1005));
        laps.end(&"b", Mono(2006));
        assert_eq!(laps.slow_count(), 1);
    }
}
