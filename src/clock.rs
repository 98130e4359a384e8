//! Time, as the core sees it: a value that is passed in. Nobody else reads a clock.

use std::ops::RangeInclusive;
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

/// The first of January 2020, in milliseconds since 1970: a clock that shows less has not been set yet.
pub const PLAUSIBLE_MS: i64 = 1_577_836_800_000;

/// How far ahead of the clock a time may lie that is believed.
const AHEAD_MS: i64 = 86_400_000;

/// Times that may be believed by a clock that shows so much: neither from before clocks were set, nor more than a day
/// ahead.
#[must_use]
pub fn believable(wall_ms: i64) -> RangeInclusive<i64> {
    PLAUSIBLE_MS..=wall_ms.saturating_add(AHEAD_MS)
}

/// Wall clock and monotonic clock are in step if they have moved alike, but for this much, between two looks.
const STEP_MS: i64 = 60_000;

/// For so long, or for the age in question if that is less, the clocks must have been in step before anything goes by
/// age.
const STEADY_MS: i64 = 3_600_000;

/// A clock that goes so far ahead at once is doubted for longer.
const LEAP_MS: i64 = 30 * 86_400_000;

/// For how long the wall clock has run in step with the monotonic one, at a plausible time. Whoever deletes by age asks
/// this first: a clock that was set wrong for a moment, or has just been set right, deletes nothing.
#[derive(Debug)]
pub struct Steadiness {
    since: Mono,
    seen: Now,
    /// When the wall clock has jumped last, and whether far ahead from a plausible time.
    jumped: Option<(Mono, bool)>,
}

impl Steadiness {
    /// Nothing is known before this moment.
    #[must_use]
    pub fn from(now: Now) -> Steadiness {
        Steadiness {
            since: now.mono,
            seen: now,
            jumped: None,
        }
    }

    /// Looks at the clocks again: whether they have been in step for so long, an hour at most.
    pub fn is_steady_for(&mut self, ms: i64, now: Now) -> bool {
        self.look(now) >= ms.min(STEADY_MS)
    }

    /// Looks at the clocks again: whether the wall clock is believed by who deletes what is older than `ms` and was
    /// written for the last time at `left_ms` before the process started, as the clock showed then. As
    /// [`Steadiness::is_steady_for`], but for all of `ms` where the clock has gone more than 30 days ahead at once.
    pub fn is_believed_for(&mut self, ms: i64, left_ms: Option<i64>, now: Now) -> bool {
        let in_step_ms = self.look(now);
        let began_ms = now.wall_ms.saturating_sub(in_step_ms);
        let is_leap = |left: i64| left >= PLAUSIBLE_MS && began_ms.saturating_sub(left) > LEAP_MS;
        let has_leapt = match self.jumped {
            Some((_, far)) => far,
            None => left_ms.is_some_and(is_leap),
        };
        let needed_ms = if has_leapt { ms } else { ms.min(STEADY_MS) };
        now.wall_ms >= PLAUSIBLE_MS && in_step_ms >= needed_ms
    }

    /// Looks at the clocks again: whether they were seen out of step in the last hour.
    pub fn has_jumped(&mut self, now: Now) -> bool {
        self.look(now);
        let since = |(at, _): (Mono, bool)| millis(now.mono.since_us(at));
        self.jumped.is_some_and(|jump| since(jump) < STEADY_MS)
    }

    /// Looks at the clocks again. Answers the milliseconds in step.
    fn look(&mut self, now: Now) -> i64 {
        let passed_ms = millis(now.mono.since_us(self.seen.mono));
        let wall_ms = now.wall_ms.saturating_sub(self.seen.wall_ms);
        let has_jumped = wall_ms.abs_diff(passed_ms) > STEP_MS.unsigned_abs();
        if has_jumped {
            let is_far = wall_ms.saturating_sub(passed_ms) > LEAP_MS;
            self.jumped = Some((now.mono, is_far && self.seen.wall_ms >= PLAUSIBLE_MS));
        }
        if has_jumped || now.wall_ms < PLAUSIBLE_MS {
            self.since = now.mono;
        }
        self.seen = now;
        millis(now.mono.since_us(self.since))
    }
}

fn millis(us: u64) -> i64 {
    i64::try_from(us / 1000).unwrap_or(i64::MAX)
}

/// The span in which a `Rate` counts.
const WINDOW_MS: i64 = 60_000;

/// Allows so many events in a span of time.
#[derive(Debug)]
pub struct Rate {
    limit_count: u32,
    until: Mono,
    seen_count: u32,
}

impl Rate {
    /// So many a minute.
    #[must_use]
    pub fn per_minute(limit_count: u32) -> Rate {
        Rate {
            limit_count,
            until: Mono(0),
            seen_count: 0,
        }
    }

    /// Whether the event may be told. Answers how many were left out before it, for the first of a new span.
    pub fn admit(&mut self, now: Mono) -> Option<u32> {
        let mut left_out = 0;
        if now >= self.until {
            left_out = self.seen_count.saturating_sub(self.limit_count);
            (self.until, self.seen_count) = (now.plus_ms(WINDOW_MS), 0);
        }
        self.seen_count = self.seen_count.saturating_add(1);
        (self.seen_count <= self.limit_count).then_some(left_out)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_steady_from_the_last_jump_on_at_a_plausible_time() {
        let at = |mono_ms: i64, wall_ms| Now {
            mono: Mono(0).plus_ms(mono_ms),
            wall_ms,
        };
        let mut steadiness = Steadiness::from(at(0, PLAUSIBLE_MS - 1_000_000));
        assert_eq!(steadiness.look(at(1000, PLAUSIBLE_MS - 999_000)), 0);
        assert_eq!(
            steadiness.look(at(2000, PLAUSIBLE_MS)),
            0,
            "it was just set"
        );
        assert_eq!(steadiness.look(at(10_000, PLAUSIBLE_MS + 8_000)), 8_000);
        assert_eq!(
            steadiness.look(at(20_000, PLAUSIBLE_MS + 78_000)),
            18_000,
            "a minute off"
        );
        assert_eq!(
            steadiness.look(at(30_000, PLAUSIBLE_MS + 27_999)),
            0,
            "more"
        );
        assert_eq!(steadiness.look(at(40_000, i64::MAX)), 0);
    }

    #[test]
    fn a_clock_that_leaps_a_year_ahead_is_doubted_for_all_of_the_time_in_question() {
        let hour = STEADY_MS;
        let at = |hours: i64, wall_ms: i64| Now {
            mono: Mono(0).plus_ms(hours * hour),
            wall_ms: wall_ms + hours * hour,
        };
        let (today, year) = (PLAUSIBLE_MS + 1000 * LEAP_MS, 13 * LEAP_MS);
        let believed = |steadiness: &mut Steadiness, left, now| {
            steadiness.is_believed_for(24 * hour, left, now)
        };
        let mut clock = Steadiness::from(at(0, today));
        assert!(!believed(&mut clock, None, at(0, today)) && !clock.has_jumped(at(0, today)));
        assert!(believed(&mut clock, Some(today - LEAP_MS), at(1, today)));
        let long_ago = Some(today - year);
        assert!(!believed(&mut clock, long_ago, at(23, today)));
        assert!(believed(&mut clock, long_ago, at(24, today)));
        assert!(
            believed(&mut clock, Some(0), at(24, today)),
            "that was no time"
        );
        let ahead = today + year;
        assert!(!believed(&mut clock, None, at(25, ahead)) && clock.has_jumped(at(25, ahead)));
        assert!(!believed(&mut clock, None, at(48, ahead)) && !clock.has_jumped(at(48, ahead)));
        assert!(believed(&mut clock, None, at(49, ahead)));
        assert!(!believed(&mut clock, None, at(50, today)));
        assert!(believed(&mut clock, None, at(51, today)), "back is an hour");
        let mut unset = Steadiness::from(at(0, 0));
        assert!(!unset.is_believed_for(0, None, at(0, 0)));
        assert!(!believed(&mut unset, None, at(1, today)));
        assert!(
            believed(&mut unset, None, at(2, today)),
            "it knew nothing before"
        );
    }

    #[test]
    fn a_rate_counts_what_it_leaves_out_and_starts_again() {
        let mut rate = Rate::per_minute(2);
        let admitted: Vec<_> = (0..5).map(|at| rate.admit(Mono(at))).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None, None]);
        assert_eq!(rate.admit(Mono(0).plus_ms(WINDOW_MS)), Some(3));
        assert_eq!(rate.admit(Mono(0).plus_ms(3 * WINDOW_MS)), Some(0));
    }
}
