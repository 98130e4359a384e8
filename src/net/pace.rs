//! Log lines at a bounded rate, and the parts of a turn that took too long.

use crate::api::Peer;
use crate::clock::Mono;

/// The span in which lines are counted.
const WINDOW_MS: i64 = 60_000;
/// Lines about single connections in one span.
const COMPLAINT_COUNT: u32 = 10;
/// A part of a turn that takes longer than this is slow.
const SLOW_US: u64 = 1_000;

/// Allows so many events in a span of time.
#[derive(Debug)]
pub(super) struct Rate {
    limit_count: u32,
    until: Mono,
    seen_count: u32,
}

impl Rate {
    /// So many a minute.
    pub(super) fn per_minute(limit_count: u32) -> Rate {
        Rate {
            limit_count,
            until: Mono(0),
            seen_count: 0,
        }
    }

    /// Whether the event may be told. Answers how many were left out before it, for the first of a new span.
    pub(super) fn admit(&mut self, now: Mono) -> Option<u32> {
        let mut left_out = 0;
        if now >= self.until {
            left_out = self.seen_count.saturating_sub(self.limit_count);
            (self.until, self.seen_count) = (now.plus_ms(WINDOW_MS), 0);
        }
        self.seen_count = self.seen_count.saturating_add(1);
        (self.seen_count <= self.limit_count).then_some(left_out)
    }
}

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
            log::warn!("closing a connection: {reason} remote={remote} listener={listener}");
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
    fn a_rate_counts_what_it_leaves_out_and_starts_again() {
        let mut rate = Rate::per_minute(2);
        let admitted: Vec<_> = (0..5).map(|at| rate.admit(Mono(at))).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None, None]);
        assert_eq!(rate.admit(Mono(0).plus_ms(WINDOW_MS)), Some(3));
        assert_eq!(rate.admit(Mono(0).plus_ms(3 * WINDOW_MS)), Some(0));
    }

    #[test]
    fn only_parts_above_a_millisecond_are_slow() {
        let mut laps = Laps::new();
        laps.start(Mono(5));
        laps.end(&"a", Mono(1005));
        laps.end(&"b", Mono(2006));
        assert_eq!(laps.slow_count(), 1);
    }
}
