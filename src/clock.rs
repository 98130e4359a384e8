//! Time, as the core sees it: a value that is passed in. Nobody else reads a clock.

use std::mem;
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

/// A clock that has gone so far ahead is doubted for longer.
const LEAP_MS: i64 = 30 * 86_400_000;

/// What is thought of the wall clock. Whoever deletes by age asks this first: a clock that was set wrong for a moment,
/// or has just been set right, deletes nothing.
///
/// Its *lead* is what it shows beyond the monotonic clock. A lead that has stood for an hour is believed, unless it is
/// 30 days more than the one that was believed before it, be it by one jump or by several. Nothing is known of the time
/// between two processes, so all that passed since the one before has left something counts as a jump.
#[derive(Debug)]
pub struct Steadiness {
    seen: Now,
    /// Since when the clocks have been in step, at a plausible time.
    since: Mono,
    /// When they were out of step last.
    jumped: Option<Mono>,
    /// The lead that was believed last.
    lead_ms: Option<i64>,
    /// A lead of this process was believed: what the one before has left does not count any more.
    is_settled: bool,
    /// The newest time that the process before has left.
    left_ms: Option<i64>,
    /// Since when the clock is 30 days beyond what was believed.
    doubted: Option<Mono>,
}

impl Steadiness {
    /// Nothing is known before this moment.
    #[must_use]
    pub fn from(now: Now) -> Steadiness {
        Steadiness {
            seen: now,
            since: now.mono,
            jumped: None,
            lead_ms: is_plausible(now).then(|| lead_ms(now)),
            is_settled: false,
            left_ms: None,
            doubted: None,
        }
    }

    /// The process before wrote something when its clock showed this. What is not plausible is no time.
    pub fn remember(&mut self, left_ms: i64) {
        let is_newest = self.left_ms.is_none_or(|known| known < left_ms);
        if left_ms >= PLAUSIBLE_MS && is_newest {
            self.left_ms = Some(left_ms);
            if !self.is_settled {
                self.lead_ms = Some(left_ms);
            }
            self.judge(0);
        }
    }

    /// What the wall clock would show had it not leapt; `None` where it is not in doubt.
    #[must_use]
    pub fn believed_instead(&self) -> Option<i64> {
        let lead_ms = self.doubted.and(self.lead_ms)?;
        Some(lead_ms.saturating_add(millis(self.seen.mono.0)))
    }

    /// Looks at the clocks. The questions are answered as of the last look.
    pub fn look(&mut self, now: Now) {
        let jump_ms = lead_ms(now).saturating_sub(lead_ms(self.seen));
        let before = mem::replace(&mut self.seen, now);
        if jump_ms.unsigned_abs() > STEP_MS.unsigned_abs() {
            let stood_ms = millis(before.mono.since_us(self.since));
            if is_plausible(before) && self.doubted.is_none() && stood_ms >= STEADY_MS {
                self.lead_ms = Some(lead_ms(before));
                self.is_settled = true;
            }
            self.jumped = Some(now.mono);
            self.since = now.mono;
        }
        if is_plausible(now) {
            self.lead_ms.get_or_insert(lead_ms(now));
        } else {
            self.since = now.mono;
        }
        self.judge(jump_ms);
    }

    /// Whether the clock is in doubt, after a jump.
    fn judge(&mut self, jump_ms: i64) {
        let beyond_ms = self
            .lead_ms
            .map(|believed| lead_ms(self.seen).saturating_sub(believed));
        let is_far = is_plausible(self.seen) && beyond_ms.is_some_and(|ms| ms > LEAP_MS);
        self.doubted = match self.doubted {
            _ if !is_far => None,
            Some(at) if jump_ms <= LEAP_MS => Some(at),
            _ => Some(self.since),
        };
    }

    /// Whether the clocks have been in step for so long, or for an hour.
    #[must_use]
    pub fn is_steady_for(&self, ms: i64) -> bool {
        millis(self.seen.mono.since_us(self.since)) >= ms.min(STEADY_MS)
    }

    /// Whether the wall clock is believed by who deletes what is older than `ms`: as [`Steadiness::is_steady_for`], and
    /// where it is in doubt, only when all of `ms` has passed since: by then nothing looks older than it is.
    #[must_use]
    pub fn is_believed_for(&self, ms: i64) -> bool {
        let is_over = |at| millis(self.seen.mono.since_us(at)) >= ms;
        is_plausible(self.seen) && self.is_steady_for(ms) && self.doubted.is_none_or(is_over)
    }

    /// Whether the clocks were seen out of step in the last hour.
    #[must_use]
    pub fn has_jumped(&self) -> bool {
        let passed_ms = |at| millis(self.seen.mono.since_us(at));
        self.jumped.is_some_and(|at| passed_ms(at) < STEADY_MS)
    }
}

fn is_plausible(now: Now) -> bool {
    now.wall_ms >= PLAUSIBLE_MS
}

/// What the wall clock shows beyond the monotonic one.
fn lead_ms(now: Now) -> i64 {
    now.wall_ms.saturating_sub(millis(now.mono.0))
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

    const HOUR_MS: i64 = STEADY_MS;
    const DAY_MS: i64 = 24 * HOUR_MS;
    const TODAY_MS: i64 = PLAUSIBLE_MS + 1000 * LEAP_MS;
    const YEAR_MS: i64 = 13 * LEAP_MS;

    /// So long after the start, by a clock that would have shown `lead_ms` then.
    fn at(passed_ms: i64, lead_ms: i64) -> Now {
        Now {
            mono: Mono(0).plus_ms(passed_ms),
            wall_ms: lead_ms.saturating_add(passed_ms),
        }
    }

    /// A process that has started today, and has seen a clock with these leads from so many minutes on.
    fn after(left_ms: Option<i64>, looks: &[(i64, i64)]) -> Steadiness {
        let mut clock = Steadiness::from(at(0, TODAY_MS));
        left_ms.into_iter().for_each(|left| clock.remember(left));
        for &(minute, lead_ms) in looks {
            clock.look(at(minute * 60_000, lead_ms));
        }
        clock
    }

    #[test]
    fn clocks_are_steady_from_the_last_jump_on_at_a_plausible_time() {
        let mut clock = Steadiness::from(at(0, PLAUSIBLE_MS - 1_000_000));
        let mut steady = |now, ms| {
            clock.look(now);
            (clock.is_steady_for(ms), clock.is_steady_for(ms + 1)) == (true, false)
        };
        assert!(steady(at(1000, PLAUSIBLE_MS - 1_000_000), 0));
        assert!(steady(at(2000, PLAUSIBLE_MS), 0), "it was just set");
        assert!(steady(at(10_000, PLAUSIBLE_MS), 8000));
        assert!(
            steady(at(20_000, PLAUSIBLE_MS + 60_000), 18_000),
            "a minute off"
        );
        assert!(steady(at(30_000, PLAUSIBLE_MS - 1), 0), "more");
        assert!(steady(at(40_000, i64::MAX), 0));
    }

    #[test]
    fn a_jump_is_believed_after_an_hour_and_known_for_one() {
        let steps = [5 * 60_000, HOUR_MS, LEAP_MS, -5 * 60_000, -YEAR_MS];
        for step in steps.map(|step| TODAY_MS + step) {
            let jumped = after(None, &[(60, TODAY_MS), (70, step)]);
            assert!(jumped.has_jumped() && !jumped.is_believed_for(DAY_MS));
            let later = after(None, &[(60, TODAY_MS), (70, step), (130, step)]);
            assert!(
                !later.has_jumped() && later.is_believed_for(DAY_MS),
                "{step}"
            );
        }
        let suspended = |half: i64| (half * 720, TODAY_MS + half / 2 * 8 * HOUR_MS);
        let mut looks: Vec<_> = (1..400).map(suspended).collect();
        looks.push(suspended(400));
        looks.push((400 * 720 + 60, suspended(400).1));
        assert!(
            after(None, &looks).is_believed_for(YEAR_MS),
            "many are no leap"
        );
    }

    #[test]
    fn a_leap_is_doubted_for_all_of_the_time_in_question_however_it_came_about() {
        let far = TODAY_MS + YEAR_MS;
        let days = |count: i64| TODAY_MS + count * DAY_MS;
        let in_parts = [days(29), days(58), days(87)];
        let histories: [&[(i64, i64)]; 4] = [
            &[(60, TODAY_MS), (70, far)],
            &[(60, TODAY_MS), (70, far), (80, far + 300_000)],
            &[(60, far), (70, far - 300_000)],
            &[
                (60, TODAY_MS),
                (62, in_parts[0]),
                (70, in_parts[1]),
                (72, in_parts[2]),
            ],
        ];
        for history in histories {
            let (minute, lead) = *history.last().unwrap();
            let clock = |minute| after(None, &[history, &[(minute, lead)]].concat());
            let leapt = history.iter().find(|look| look.1 > days(30)).unwrap().0;
            assert!(!clock(minute + 61).is_believed_for(DAY_MS), "{history:?}");
            assert!(!clock(leapt + 1439).is_believed_for(DAY_MS), "{history:?}");
            assert!(clock(leapt + 1440).is_believed_for(DAY_MS), "{history:?}");
            assert!(
                !clock(leapt + 1440).is_believed_for(2 * DAY_MS),
                "{history:?}"
            );
            let instead = clock(minute + 9).believed_instead();
            assert_eq!(instead, Some(TODAY_MS + (minute + 9) * 60_000));
            let right = &[(leapt + 20, TODAY_MS), (leapt + 80, TODAY_MS)];
            assert!(after(None, &[history, right].concat()).is_believed_for(DAY_MS));
        }
    }

    #[test]
    fn a_start_is_held_against_the_newest_time_that_the_process_before_has_left() {
        let believed = |left: &[i64], minute: i64| {
            let mut clock = after(None, &[(1, TODAY_MS)]);
            left.iter().for_each(|left| clock.remember(*left));
            clock.look(at(minute * 60_000, TODAY_MS));
            clock.is_believed_for(DAY_MS)
        };
        let long_ago = TODAY_MS - YEAR_MS;
        assert!(believed(&[TODAY_MS - LEAP_MS], 60));
        assert!(!believed(&[long_ago], 1439) && believed(&[long_ago], 1440));
        assert!(
            believed(&[long_ago, TODAY_MS - DAY_MS, long_ago], 60),
            "the newest"
        );
        assert!(believed(&[0], 60), "that was no time");
        let ahead = [(10, TODAY_MS + 120_000), (71, TODAY_MS + 120_000)];
        assert!(!after(Some(long_ago), &ahead).is_believed_for(DAY_MS));
        let set_right = [(10, long_ago), (71, long_ago)];
        assert!(after(Some(long_ago), &set_right).is_believed_for(DAY_MS));
        let mut late = after(
            None,
            &[
                (70, TODAY_MS),
                (80, TODAY_MS + 300_000),
                (150, TODAY_MS + 300_000),
            ],
        );
        late.remember(long_ago);
        assert!(late.is_believed_for(DAY_MS), "it has been believed since");
    }

    #[test]
    fn a_clock_that_was_not_set_is_believed_an_hour_after_it_is() {
        let mut unset = Steadiness::from(at(0, 0));
        assert!(!unset.is_believed_for(0));
        unset.look(at(HOUR_MS, TODAY_MS));
        assert!(!unset.is_believed_for(DAY_MS));
        unset.look(at(2 * HOUR_MS, TODAY_MS));
        assert!(unset.is_believed_for(DAY_MS), "it knew nothing before");
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
