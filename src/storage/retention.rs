//! Which segments are old or too many, and when that is looked at.
//!
//! Where `cleanup.policy` has `delete`, a log gives up its first segments while all of it is larger than
//! `retention.bytes`, and then those that are older than `retention.ms`: it begins behind them from the next round on
//! (`starts`), and they leave the disk (`removal`). The active segment is ended first when it is to go too. Logs are
//! looked at every `log.retention.check.interval.ms`, a few in each turn of the loop. What lies below a log start
//! goes under every policy, and does not wait for that.
//!
//! **Age.** A clock may be wrong, and so may be the times that records bear: neither may empty a log, nor keep it for
//! ever. For each segment three things are known, and the first that can be believed counts:
//!
//! | what | believed |
//! |---|---|
//! | the greatest time of its records, as in Kafka | from 2020 on, and no more than a day ahead of the clock |
//! | how long this process has had it since the last append, by the monotonic clock | always |
//! | when its file was last written to, or else the file of a later segment | from 2020 on, and no more than a day ahead |
//! | nothing of it | its file and those of all later segments are given the time of now: their age begins |
//!
//! The clock itself is believed when it shows a time from 2020 on and has run in step with the monotonic one for
//! an hour, or for `retention.ms` where that is less. Where it has leapt more than 30 days ahead, while the process
//! runs or since the one before, all of `retention.ms` must pass: by then the leap has made nothing look older than it
//! is. What the one before believed is the time of `recovery-point-offset-checkpoint`: that of its writing, and while
//! the clock is in doubt the time that it would be without the leap. While it is not believed only what this process
//! has had for longer than `retention.ms` goes. A broker that never runs for an hour deletes nothing by age;
//! `retention.bytes` always holds. What has come first for the budget of the disk (`budget`) goes by the same table
//! without its first line.

use super::log::Log;
use super::segment::{Place, Segment};
use super::shelf::Shelf;
use super::{PartitionId, State, Storage};
use crate::clock::{Mono, Now, PLAUSIBLE_MS, Steadiness, believable};
use std::io;
use std::mem;
use std::ops::Bound::{Included, Unbounded};

/// The first look comes no later than this after the start.
const FIRST_LOOK_MS: i64 = 30_000;
/// Logs that are looked at in one turn.
const SLICE_LOGS: usize = 64;
/// Segments of a log whose age is asked for at once: each may have its index read.
const SLICE_SEGMENTS: usize = 64;
/// When a log is looked at again that has more old segments than those.
const AGAIN_MS: i64 = 1000;

/// When logs are looked at, and what is thought of the clock.
pub(super) struct Retention {
    due: Mono,
    /// The first log of the next slice; `None` between two looks.
    next: Option<PartitionId>,
    /// A log has more that is old.
    again: bool,
    /// What is thought of the clock; it is looked at in every tick.
    pub(super) clock: Steadiness,
    /// When the process before wrote to a log for the last time, as far as that is known.
    left_ms: i64,
    /// That process has told until when it believed its clock.
    is_told: bool,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            due: Mono::NEVER,
            next: None,
            again: false,
            clock: Steadiness::from(Now::default()),
            left_ms: i64::MIN,
            is_told: false,
        }
    }
}

impl Retention {
    /// The process starts now. `told_ms` is the time of the one before by the clock that it believed; logs are looked
    /// at every `interval_ms`.
    pub(super) fn begin(&mut self, told_ms: Option<i64>, interval_ms: i64, now: Now) {
        self.clock = Steadiness::from(now);
        let told_ms = told_ms.filter(|ms| *ms >= PLAUSIBLE_MS);
        self.is_told = told_ms.is_some();
        told_ms.into_iter().for_each(|ms| self.clock.remember(ms));
        self.due = now.mono.plus_ms(interval_ms.min(FIRST_LOOK_MS));
    }

    /// A log was written to for the last time when its file says so.
    pub(super) fn loaded(&mut self, left_ms: i64) {
        self.left_ms = self.left_ms.max(left_ms);
        if !self.is_told {
            self.clock.remember(left_ms);
        }
    }

    /// What the clock shows, if that is believed by who deletes what is older than `age_ms`.
    pub(super) fn believed_ms(&self, age_ms: i64, now: Now) -> Option<i64> {
        let is_believed = self.clock.is_believed_for(age_ms);
        is_believed.then_some(now.wall_ms)
    }

    /// See [`Storage::trusts`].
    pub(super) fn trusts(&mut self, now: Now) -> bool {
        self.clock.look(now);
        let jumped = self.clock.has_jumped();
        !jumped && now.wall_ms >= PLAUSIBLE_MS && *believable(now.wall_ms).end() >= self.left_ms
    }
}

/// When a segment has come, as far as that is known.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    /// How long this process has had it since it was last appended to.
    held_ms: Option<i64>,
    /// When its file was last written to.
    written_ms: Option<i64>,
    /// The same of the first later segment that has a believable time.
    heir_ms: Option<i64>,
}

impl Receipt {
    /// The lines of the table above but the first, by a clock that is believed.
    fn age_ms(self, now_ms: i64) -> Option<i64> {
        let can_be = believable(now_ms);
        let written = [self.written_ms, self.heir_ms].into_iter().flatten();
        let mut written = written.filter(|ms| can_be.contains(ms));
        self.held_ms
            .or_else(|| written.next().map(|ms| now_ms - ms))
    }
}

/// The age of a segment, as the table above has it; `None` where nothing can be believed. `newest_ms` is the greatest
/// time of its records, or -1; `clock_ms` is what the clock shows, if that is believed.
fn age_ms(newest_ms: i64, receipt: Receipt, clock_ms: Option<i64>) -> Option<i64> {
    let Some(now_ms) = clock_ms else {
        return receipt.held_ms;
    };
    match believable(now_ms).contains(&newest_ms) {
        true => Some(now_ms - newest_ms),
        false => receipt.age_ms(now_ms),
    }
}

/// How many of the first segments go so that what is left has just not less than `limit_bytes`.
fn count_beyond(sizes: &[u64], limit_bytes: u64) -> usize {
    let mut excess = sizes.iter().sum::<u64>().saturating_sub(limit_bytes);
    let goes = |size: &&u64| match excess.checked_sub(**size) {
        Some(left) => {
            excess = left;
            true
        }
        None => false,
    };
    sizes.iter().take_while(goes).count()
}

impl Log {
    /// How long ago each segment has come, whatever its records say; `None` where nothing of it is known. That is for
    /// comparisons only: the clock is taken as it is.
    pub(super) fn receipt_ages_ms(&self, now: Now) -> Vec<Option<i64>> {
        let can_be = believable(now.wall_ms);
        let mut heir_ms = None;
        let backwards = self.segments.iter().rev().map(|segment| {
            let receipt = Receipt {
                held_ms: segment.held_ms(now.mono),
                written_ms: segment.written_ms(),
                heir_ms,
            };
            heir_ms = receipt
                .written_ms
                .filter(|ms| can_be.contains(ms))
                .or(heir_ms);
            receipt.age_ms(now.wall_ms)
        });
        let mut ages: Vec<_> = backwards.collect();
        ages.reverse();
        ages
    }

    /// The first offset that the log keeps by the limits of its topic, if that is beyond its beginning, and whether
    /// there may be more that is old. The active segment is ended if it goes.
    fn expire(
        &mut self,
        shelf: &mut Shelf,
        clock: &Retention,
        now: Now,
    ) -> io::Result<(Option<i64>, bool)> {
        if !self.config().delete {
            return Ok((None, false));
        }
        let first = self.slot_of(self.log_start());
        // What nobody can read yet stays, and so does an active segment without records.
        let ends = self.segments[first + 1..].iter().map(Segment::base);
        let ends = ends.chain((self.size_of_last() > 0).then(|| self.log_end()));
        let watermark = self.high_watermark();
        let most = ends.take_while(|end| *end <= watermark).count();
        let limit_bytes = u64::try_from(self.config().retention_bytes);
        let sizes: Vec<u64> = self.segments[first..].iter().map(Segment::len).collect();
        let by_size = limit_bytes.map_or(0, |limit| count_beyond(&sizes, limit));
        let mut count = by_size.min(most);
        let until = most.min(count + SLICE_SEGMENTS);
        while count < until && self.is_old(shelf, first + count, clock, now)? {
            count += 1;
        }
        let again = count == until && count < most;
        let takes_all = first + count == self.segments.len();
        // Where there is no room for a new segment the last one stays.
        if takes_all && self.roll(shelf, now).is_err() {
            count -= 1;
        }
        let begins = (count > 0).then(|| self.segments[first + count].base());
        Ok((begins, again))
    }

    fn size_of_last(&self) -> u64 {
        self.segments.last().map_or(0, Segment::len)
    }

    fn is_old(
        &mut self,
        shelf: &mut Shelf,
        slot: usize,
        clock: &Retention,
        now: Now,
    ) -> io::Result<bool> {
        let retention_ms = self.config().retention_ms;
        if retention_ms < 0 {
            return Ok(false);
        }
        let clock_ms = clock.believed_ms(retention_ms, now);
        let can_be = believable(now.wall_ms);
        let later = self.segments[slot + 1..].iter();
        let mut later = later.filter_map(Segment::written_ms);
        let heir_ms = later.find(|ms| can_be.contains(ms));
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let segment = &mut self.segments[slot];
        let receipt = Receipt {
            held_ms: segment.held_ms(now.mono),
            written_ms: segment.written_ms(),
            heir_ms,
        };
        let newest_ms = segment.newest_ms(shelf, place)?;
        let age_ms = age_ms(newest_ms, receipt, clock_ms);
        if age_ms.is_none() && clock_ms.is_some() {
            // None of the later ones has a believable time either.
            for segment in &mut self.segments[slot..] {
                segment.set_written(shelf, place, now.wall_ms);
            }
        }
        Ok(age_ms.is_some_and(|age_ms| age_ms > retention_ms))
    }
}

impl Storage {
    /// When logs are looked at next.
    pub(super) fn retention_deadline(&self) -> Option<Mono> {
        (!self.closing).then_some(self.retention.due)
    }

    /// Looks at the next few logs, if it is time.
    pub(super) fn tick_retention(&mut self, now: Now) {
        if self.closing || now.mono < self.retention.due {
            return;
        }
        let mut ids = self.next_slice();
        self.retention.next = (ids.len() > SLICE_LOGS).then(|| ids.pop()).flatten();
        let begins = ids
            .iter()
            .filter_map(|&id| Some((id, self.expire(id, now)?)));
        let begins: Vec<_> = begins.collect();
        self.raise_own_starts(&begins, "retention is over");
        ids.iter().for_each(|&id| self.checkpoint_if_awaited(id));
        self.keep_spares();
        let wait_ms = match self.retention.next {
            Some(_) => 0,
            None if mem::take(&mut self.retention.again) => AGAIN_MS,
            None => self.config.retention_check_interval_ms,
        };
        self.retention.due = now.mono.plus_ms(wait_ms);
        self.trim_shelf();
    }

    /// The logs of this turn, and one more if there is one.
    fn next_slice(&self) -> Vec<PartitionId> {
        let from = self.retention.next.map_or(Unbounded, Included);
        let slots = self.slots.range((from, Unbounded));
        let ready = slots.filter(|(_, slot)| matches!(slot.state, State::Ready(_)));
        ready.map(|(id, _)| *id).take(SLICE_LOGS + 1).collect()
    }

    /// Where a log is to begin, if it is to begin later. What cannot be looked at is kept.
    fn expire(&mut self, id: PartitionId, now: Now) -> Option<i64> {
        let State::Ready(log) = &mut self.slots.get_mut(&id)?.state else {
            return None;
        };
        let expired = log.expire(&mut self.shelf, &self.retention, now);
        let (begins, again) = expired.unwrap_or_else(|error| {
            log::warn!("the age of a segment is not known: {error}");
            (None, false)
        });
        self.retention.again |= again;
        self.after_roll(id);
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;
    const DAY_MS: i64 = 86_400_000;
    const YEAR_MS: i64 = 365 * DAY_MS;

    const UNKNOWN: Receipt = Receipt {
        held_ms: None,
        written_ms: None,
        heir_ms: None,
    };

    #[test]
    fn a_time_of_records_counts_unless_it_is_absurd() {
        let age = |newest_ms| age_ms(newest_ms, UNKNOWN, Some(NOW_MS));
        for age_of in [0, 1, DAY_MS, 5 * YEAR_MS, -DAY_MS] {
            assert_eq!(age(NOW_MS - age_of), Some(age_of));
        }
        for absurd in [-1, 0, 1000, PLAUSIBLE_MS - 1, NOW_MS + DAY_MS + 1, i64::MAX] {
            assert_eq!(age(absurd), None, "{absurd}");
        }
    }

    #[test]
    fn where_records_tell_nothing_the_first_believable_receipt_counts() {
        let age = |held_ms, written_ms, heir_ms| {
            let known = Receipt {
                held_ms,
                written_ms,
                heir_ms,
            };
            age_ms(i64::MAX, known, Some(NOW_MS))
        };
        let (written, heir) = (Some(NOW_MS - 7), Some(NOW_MS - 3));
        assert_eq!(age(Some(5), written, heir), Some(5));
        assert_eq!(age(None, written, heir), Some(7));
        for absurd in [None, Some(1000), Some(NOW_MS + YEAR_MS)] {
            assert_eq!(age(None, absurd, heir), Some(3), "{absurd:?}");
            assert_eq!(age(None, absurd, None), None);
        }
    }

    #[test]
    fn a_clock_in_doubt_leaves_only_what_the_process_has_measured_itself() {
        let newest_ms = NOW_MS - YEAR_MS;
        let mut known = Receipt {
            written_ms: Some(newest_ms),
            ..UNKNOWN
        };
        assert_eq!(age_ms(newest_ms, known, None), None);
        known.held_ms = Some(9);
        assert_eq!(age_ms(newest_ms, known, None), Some(9));
    }

    #[test]
    fn what_is_left_is_the_least_that_the_limit_asks_for() {
        let count = |limit| count_beyond(&[10, 20, 5, 5], limit);
        let counts: Vec<usize> = [41, 40, 31, 30, 11, 10, 5, 4, 0].map(count).to_vec();
        assert_eq!(counts, [0, 0, 0, 1, 1, 2, 3, 3, 4]);
    }
}
