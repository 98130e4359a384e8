//! What of a log is to be compacted, and how: pure facts in, ranges out (Kafka's LogCleanerManager).
//!
//! ```text
//! log start        first dirty                    end          active segment
//! |---- clean ----------|-------- dirty -----------|--------------- not yet ------------
//!  was compacted before    keys from here decide      the active segment, and before it the first that
//!                                                     has the last stable offset, the recovery point,
//!                                                     or a record younger than min.compaction.lag.ms
//! ```
//!
//! A pass reads the keys of the dirty section and rewrites all segments before the end of it. It is due when the dirty
//! bytes are more than `min.cleanable.dirty.ratio` of all bytes before the end, or when a dirty record is older than
//! `max.compaction.lag.ms`. Nothing behind the recovery point is touched, so recovery scans only what was appended.
//!
//! Ages count by record time as in Kafka, but for times that cannot be believed (from before 2020, or more than a day
//! ahead of the clock): those count as the broker's time of the segment's last append. While the clock itself is not
//! believed, nothing is old enough for either lag.

use crate::clock;
use std::ops::Range;

/// A closed segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) base: i64,
    pub(super) len: u64,
    /// Bytes of its indexes: of offsets and of times.
    pub(super) index_bytes: (u64, u64),
    /// Its newest record's time, or -1.
    pub(super) newest_ms: i64,
    /// Its first batch's time, or -1.
    pub(super) first_ms: i64,
    /// The broker's time of its last append.
    pub(super) modified_ms: i64,
}

/// How far a log may be compacted, whatever its lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) log_start: i64,
    pub(super) log_end: i64,
    /// Where the active segment begins.
    pub(super) active: i64,
    /// The lesser of the last stable offset and the recovery point on disk.
    pub(super) decided: i64,
    /// What the checkpoint says was compacted.
    pub(super) cleaned: Option<i64>,
}

/// The ages that a topic wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lags {
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    /// The broker's time, where it may be believed.
    pub(super) now_ms: Option<i64>,
}

/// How large a segment may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) segment_bytes: u64,
    pub(super) index_bytes: u64,
}

/// Segments that become one at a time: a swap opens and renames so many files at most.
const MAX_GROUP: usize = 32;

impl Bounds {
    /// The first offset that was not compacted; a checkpoint that cannot be true counts as none.
    pub(super) fn first_dirty(&self) -> i64 {
        let known = self.log_start..=self.log_end;
        self.cleaned
            .filter(|cleaned| known.contains(cleaned))
            .unwrap_or(self.log_start)
    }

    /// The same without what changes with every append and changes nothing of what is dirty.
    pub(super) fn settled(self) -> Bounds {
        Bounds {
            log_end: self.active,
            decided: self.decided.min(self.active),
            ..self
        }
    }
}

impl Facts {
    /// When its newest record was written.
    fn newest(&self, now_ms: i64) -> i64 {
        believed(self.newest_ms, self.modified_ms, now_ms)
    }

    /// When its first one was.
    fn first(&self, now_ms: i64) -> i64 {
        believed(self.first_ms, self.modified_ms, now_ms)
    }
}

/// A record's time, or the broker's where that one is absurd.
fn believed(record_ms: i64, broker_ms: i64, now_ms: i64) -> i64 {
    match clock::believable(now_ms).contains(&record_ms) {
        true => record_ms,
        false => broker_ms,
    }
}

/// The dirty section. `segments` are the closed ones.
pub(super) fn dirty(segments: &[Facts], bounds: &Bounds, lags: &Lags) -> Range<i64> {
    let start = bounds.first_dirty();
    let too_new = |segment: &&Facts| match lags.now_ms {
        Some(now_ms) => segment.newest(now_ms) > now_ms.saturating_sub(lags.min_ms),
        None => true,
    };
    let mut end = whole_segments(segments, bounds);
    if lags.min_ms > 0
        && let Some(segment) = segments[first_at(segments, start)..].iter().find(too_new)
    {
        end = end.min(segment.base);
    }
    start..end.max(start)
}

/// The end of the segments that are closed and decided as a whole.
fn whole_segments(segments: &[Facts], bounds: &Bounds) -> i64 {
    if bounds.decided >= bounds.active {
        return bounds.active;
    }
    let holds = first_at(segments, bounds.decided);
    segments.get(holds).map_or(bounds.active, |s| s.base)
}

/// Which segment holds `offset`, or would.
pub(super) fn first_at(segments: &[Facts], offset: i64) -> usize {
    let after = segments.partition_point(|segment| segment.base <= offset);
    after.saturating_sub(1)
}

/// The part of the bytes before the section's end that is dirty; 0 where nothing is. A segment that is dirty in part
/// counts as dirty.
pub(super) fn dirty_ratio(segments: &[Facts], dirty: &Range<i64>) -> f64 {
    let bytes = |segments: &[Facts]| segments.iter().map(|s| s.len).sum::<u64>() as f64;
    let end = segments.partition_point(|segment| segment.base < dirty.end);
    let first = first_at(segments, dirty.start).min(end);
    if dirty.is_empty() || end == 0 {
        return 0.0;
    }
    bytes(&segments[first..end]) / bytes(&segments[..end]).max(1.0)
}

/// Whether a dirty record waits for longer than `max.compaction.lag.ms`.
pub(super) fn is_overdue(segments: &[Facts], dirty: &Range<i64>, lags: &Lags) -> bool {
    let Some(now_ms) = lags.now_ms.filter(|_| lags.max_ms < i64::MAX) else {
        return false;
    };
    let until = now_ms.saturating_sub(lags.max_ms);
    let end = segments.partition_point(|segment| segment.base < dirty.end);
    let first = first_at(segments, dirty.start).min(end);
    let first_times = segments[first..end].iter().map(|s| s.first(now_ms));
    !dirty.is_empty() && first_times.min().is_some_and(|first_ms| first_ms < until)
}

/// How long it is until one of the lags is over, so that a log may be due which is not: `i64::MAX` where none is on its
/// way.
pub(super) fn wait_ms(segments: &[Facts], dirty: &Range<i64>, lags: &Lags) -> i64 {
    let Some(now_ms) = lags.now_ms else {
        return 0;
    };
    let behind = &segments[first_at(segments, dirty.start)..];
    let left_ms =
        |since_ms: i64, lag_ms: i64| since_ms.saturating_add(lag_ms).saturating_sub(now_ms);
    let held = behind
        .iter()
        .map(|s| left_ms(s.newest(now_ms), lags.min_ms));
    let held = held.filter(|ms| *ms > 0 && lags.min_ms > 0).min();
    let overdue = behind
        .iter()
        .map(|s| left_ms(s.first(now_ms), lags.max_ms).saturating_add(1));
    let overdue = overdue.filter(|_| lags.max_ms < i64::MAX).min();
    held.into_iter()
        .chain(overdue)
        .min()
        .map_or(i64::MAX, |ms| ms.max(0))
}

/// Which of the closed segments that begin before `end` become one each: no more bytes, indexes and offsets than a
/// segment may have, and not too many files. `uncleanable` is the first offset behind all that could be compacted.
pub(super) fn groups(
    segments: &[Facts],
    end: i64,
    uncleanable: i64,
    sizes: &Sizes,
) -> Vec<Range<usize>> {
    let count = segments.partition_point(|segment| segment.base < end);
    let last_offset = |slot: usize| match segments[..count].get(slot + 1) {
        Some(next) => next.base - 1,
        None => uncleanable - 1,
    };
    let mut groups = Vec::new();
    let mut start = 0;
    while start < count {
        let mut total = segments[start];
        let mut slot = start + 1;
        while slot < count && slot - start < MAX_GROUP {
            let next = &segments[slot];
            total.len += next.len;
            total.index_bytes.0 += next.index_bytes.0;
            total.index_bytes.1 += next.index_bytes.1;
            let fits = total.len <= sizes.segment_bytes
                && total.index_bytes.0 <= sizes.index_bytes
                && total.index_bytes.1 <= sizes.index_bytes
                && last_offset(slot) - total.base <= i64::from(i32::MAX);
            if !fits {
                break;
            }
            slot += 1;
        }
        groups.push(start..slot);
        start = slot;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    /// Ten segments of ten offsets and 100 bytes, one hour apart; the last ended an hour ago.
    fn sample() -> Vec<Facts> {
        (0..10)
            .map(|n| Facts {
                base: n * 10,
                len: 100,
                index_bytes: (8, 12),
                newest_ms: NOW_MS - (10 - n) * 3_600_000,
                first_ms: NOW_MS - (11 - n) * 3_600_000,
                modified_ms: NOW_MS - (10 - n) * 3_600_000,
            })
            .collect()
    }

    fn bounds(decided: i64, cleaned: Option<i64>) -> Bounds {
        Bounds {
            log_start: 5,
            log_end: 105,
            active: 100,
            decided,
            cleaned,
        }
    }

    fn lags(min_hours: i64, max_ms: i64) -> Lags {
        Lags {
            min_ms: min_hours * 3_600_000,
            max_ms,
            now_ms: Some(NOW_MS),
        }
    }

    #[test]
    fn the_dirty_section_begins_where_compaction_ended_and_ends_before_what_is_undecided() {
        let none = lags(0, i64::MAX);
        for (cleaned, start) in [
            (None, 5),
            (Some(37), 37),
            (Some(3), 5),
            (Some(106), 5),
            (Some(105), 105),
        ] {
            let found = dirty(&sample(), &bounds(87, cleaned), &none);
            assert_eq!(found, start..80.max(start), "{cleaned:?}");
        }
    }

    #[test]
    fn segments_younger_than_the_lag_are_left_alone_and_so_is_everything_by_a_clock_in_doubt() {
        let segments = sample();
        let end = |hours, now_ms| {
            let lags = Lags {
                now_ms,
                ..lags(hours, i64::MAX)
            };
            dirty(&segments, &bounds(100, None), &lags).end
        };
        assert_eq!(end(0, None), 100);
        let all = |decided| dirty(&segments, &bounds(decided, None), &lags(0, i64::MAX)).end;
        assert_eq!(
            [all(104), all(100), all(99), all(90), all(3)],
            [100, 100, 90, 90, 5]
        );
        assert_eq!(end(1, Some(NOW_MS)), 100, "an hour is not less than one");
        assert_eq!(end(3, Some(NOW_MS)), 80);
        assert_eq!(end(11, Some(NOW_MS)), 5);
        assert_eq!(end(1, None), 5);
    }

    #[test]
    fn a_time_that_nobody_believes_counts_as_that_of_the_broker() {
        let mut segments = sample();
        segments[2].newest_ms = i64::MAX;
        segments[9].newest_ms = 0;
        let found = dirty(&segments, &bounds(100, None), &lags(2, i64::MAX));
        assert_eq!(found.end, 90, "not 20, nor 100");
        segments[0].first_ms = 0;
        segments[0].modified_ms = NOW_MS;
        let overdue = |max_ms| is_overdue(&segments, &(5..100), &lags(0, max_ms));
        assert!(overdue(9 * 3_600_000) && !overdue(10 * 3_600_000));
    }

    #[test]
    fn a_log_rests_until_the_first_of_its_lags_is_over() {
        const HOUR_MS: i64 = 3_600_000;
        let wait = |lags| wait_ms(&sample(), &(25..100), &lags);
        assert_eq!(wait(lags(0, i64::MAX)), i64::MAX, "no lag holds it");
        assert_eq!(wait(lags(5, i64::MAX)), HOUR_MS, "the one at 60 is next");
        assert_eq!(wait(lags(0, 20 * HOUR_MS)), 11 * HOUR_MS + 1, "that at 20");
        assert_eq!(wait(lags(5, 20 * HOUR_MS)), HOUR_MS);
        assert_eq!(wait(lags(0, 9 * HOUR_MS)), 1);
        assert_eq!(wait(lags(0, 3 * HOUR_MS)), 0);
        let doubted = Lags {
            now_ms: None,
            ..lags(5, i64::MAX)
        };
        assert_eq!(wait(doubted), 0);
    }

    #[test]
    fn what_waits_too_long_is_overdue_if_it_is_dirty() {
        let segments = sample();
        let overdue = |dirty, hours: i64, now_ms| {
            let lags = Lags {
                now_ms,
                ..lags(0, hours * 3_600_000)
            };
            is_overdue(&segments, &dirty, &lags)
        };
        assert!(overdue(5..100, 10, Some(NOW_MS)));
        assert!(!overdue(5..100, 11, Some(NOW_MS)));
        assert!(!overdue(10..100, 10, Some(NOW_MS)), "that one is clean");
        assert!(!overdue(5..5, 1, Some(NOW_MS)) && !overdue(5..100, 1, None));
        assert!(!is_overdue(&segments, &(5..100), &lags(0, i64::MAX)));
    }

    #[test]
    fn the_ratio_counts_the_bytes_before_the_end() {
        let segments = sample();
        let ratio = |dirty: Range<i64>| dirty_ratio(&segments, &dirty);
        assert_eq!(ratio(5..100), 1.0);
        assert_eq!(ratio(50..100), 0.5);
        assert_eq!(ratio(70..80), 0.125);
        assert_eq!(ratio(80..80), 0.0);
        assert_eq!(dirty_ratio(&[], &(0..0)), 0.0);
    }

    #[test]
    fn groups_keep_to_every_limit() {
        let sizes = |segment_bytes, index_bytes| Sizes {
            segment_bytes,
            index_bytes,
        };
        let of = |segments: &[Facts], end, sizes| {
            let groups = groups(segments, end, end, &sizes);
            groups.iter().map(Range::len).collect::<Vec<_>>()
        };
        let mut segments = sample();
        assert_eq!(of(&segments, 100, sizes(1000, 1000)), [10]);
        assert_eq!(of(&segments, 85, sizes(350, 1000)), [3, 3, 3]);
        assert_eq!(of(&segments, 100, sizes(1000, 59)), [4, 4, 2]);
        assert_eq!(of(&segments, 100, sizes(1, 1)), [1; 10]);
        assert_eq!(of(&segments, 0, sizes(1, 1)), [0; 0]);
        segments[4].base += 1 << 31;
        segments[5..].iter_mut().for_each(|s| s.base += 1 << 32);
        assert_eq!(of(&segments, i64::MAX, sizes(1000, 1000)), [3, 1, 1, 4, 1]);
        let many: Vec<Facts> = (0..100)
            .map(|base| Facts {
                base,
                ..Facts::default()
            })
            .collect();
        assert_eq!(of(&many, 100, sizes(1000, 1000)), [32, 32, 32, 4]);
    }
}
