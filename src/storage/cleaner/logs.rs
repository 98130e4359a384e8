//! What a pass takes from a log, and what the log takes from it.

use super::super::log::Log;
use super::super::segment::Segment;
use super::offset_map::Size;
use super::pass::{Source, Task};
use super::plan::{self, Bounds, Facts, Lags};
use super::rewrite::Rules;
use super::target::Replacement;
use std::sync::Arc;

impl Log {
    /// How dirty it is, if a look at its segments may find it due.
    pub(super) fn dirty_permille(&self) -> Option<u64> {
        let closed = self.segments.split_last()?.1;
        let facts = closed.iter().map(|segment| Facts {
            base: segment.base(),
            len: segment.len(),
            ..Facts::default()
        });
        let facts: Vec<Facts> = facts.collect();
        let lags = Lags {
            min_ms: 0,
            max_ms: i64::MAX,
            now_ms: None,
        };
        let dirty = plan::dirty(&facts, &self.bounds(), &lags);
        let ratio = plan::dirty_ratio(&facts, &dirty);
        let limits = self.config().compaction;
        let may_be_due = ratio > limits.min_dirty_ratio || limits.max_lag_ms < i64::MAX;
        (may_be_due && ratio > 0.0).then_some((ratio * 1000.0) as u64)
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            log_start: self.log_start(),
            log_end: self.log_end(),
            active: self.segments.last().map_or(0, Segment::base),
            decided: self
                .last_stable_offset()
                .min(self.checkpoints.durable_point),
            cleaned: self.cleaned,
        }
    }

    pub(super) fn rules(&self, now_ms: Option<i64>) -> Rules {
        Rules {
            now_ms,
            delete_retention_ms: self.config().compaction.delete_retention_ms,
            max_unpacked_bytes: self.config().convert_max_bytes,
            last_batches: self.producers.last_batches(),
        }
    }

    pub(super) fn task(&self, rules: Rules, now_ms: Option<i64>, size: Size) -> Task {
        let sources = self.segments.iter().map(|segment| Source {
            base: segment.base(),
            len: segment.len(),
            modified_ms: segment.modified_ms(),
            aborts: segment.copy_aborts(),
        });
        Task {
            disk: Arc::clone(&self.disk),
            id: self.id,
            dir: self.dir.clone(),
            config: Arc::clone(self.config()),
            sources: sources.collect(),
            bounds: self.bounds(),
            now_ms,
            rules,
            size,
            segment_bytes: u64::from(self.config().segment_bytes),
        }
    }

    /// Puts a segment in the place of those that it was made of and that are still there, and answers those: none when
    /// all have gone. `None` if it was made of others.
    pub(super) fn replace(&mut self, new: Replacement) -> Option<Vec<(i64, u64)>> {
        let last = new.old.last()?.0;
        let first = self.segments.partition_point(|s| s.base() < new.base);
        let end = self.segments.partition_point(|s| s.base() <= last);
        let there = self.segments.get(first..end)?;
        let old: Vec<(i64, u64)> = there.iter().map(|s| (s.base(), s.len())).collect();
        let is_served = first == 0 || old.len() == new.old.len();
        if !new.old.ends_with(&old) || !is_served || end == self.segments.len() {
            return None;
        }
        if let Some(last) = there.last() {
            let segment = Segment::replacing(new, last);
            self.segments.splice(first..end, [segment]);
        }
        Some(old)
    }
}
