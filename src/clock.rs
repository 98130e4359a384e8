//! Time, as the core sees it: a value that is passed in. Nobody else reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment of the monotonic clock: microseconds since the process started. Timers use only this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// A moment that never comes.
    pub const NEVER: Mono = Mono(u64::MAX);

    /// This moment and `ms` milliseconds; a negative span counts as zero.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Mono {
        Mono(
            self.0
                .saturating_add(u64::try_from(ms).unwrap_or(0).saturating_mul(1000)),
        )
    }

    /// Whole microseconds from `earlier` to this moment, or zero.
    #[must_use]
    pub fn since_us(self, earlier: Mono) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One moment on both clocks. A turn of the loop happens in one `Now`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers and timeouts.
    pub mono: Mono,
    /// Milliseconds since 1970 UTC, for what is written into logs; it may jump.
    pub wall_ms: i64,
}

/// The real clocks.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic side begins now.
    #[must_use]
    pub fn start() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    /// Reads the monotonic clock alone.
    #[must_use]
    pub fn mono(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = self.mono();
        let wall_ms = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Now { mono, wall_ms }
    }
}
