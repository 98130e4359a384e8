//! Room on the disk: who may still append, and what goes so that others may (`budget` has the rules).

use super::budget::{Closed, Limits, Topic, above_share, largest_active, plan};
use super::removal::Leftover;
use super::segment::Segment;
use super::{Log, PartitionId, Refused, State, Storage};
use crate::clock::Now;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::Path;

/// What the logs have, as far as the budget looks at it.
#[derive(Default)]
struct Facts {
    topics: BTreeMap<Uuid, Topic>,
    /// Bytes of segments that go already.
    going_bytes: u64,
    /// Bytes of closed segments that may go as soon as they are on disk.
    soon_bytes: u64,
}

impl Storage {
    /// Obeys the settings of the disk: 0 is without a limit.
    pub(super) fn limit_disk(&mut self) {
        let total_bytes = self.disk.total_bytes(&self.root).ok();
        let limits = Limits {
            max_bytes: match self.config.disk_max_bytes.of(total_bytes) {
                None | Some(0) => u64::MAX,
                Some(bytes) => bytes,
            },
            min_free_bytes: self.config.disk_min_free.of(total_bytes).unwrap_or(0),
        };
        if self.budget.set_limits(limits) && limits.max_bytes < u64::MAX {
            let free_bytes = self.disk.free_bytes(&self.root).unwrap_or(u64::MAX);
            let max_bytes = limits.max_bytes;
            log::info!("the logs may take {max_bytes} bytes; free_bytes={free_bytes}");
        }
        self.shelf.roll_bytes = self.budget.roll_bytes();
    }

    /// Bytes of all logs, and of what they have given up and is still on the disk.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.budget.used_bytes()
    }

    /// What that may come to, if there is a limit.
    #[must_use]
    pub fn max_bytes(&self) -> Option<u64> {
        Some(self.budget.max_bytes()).filter(|max| *max < u64::MAX)
    }

    /// Refuses an append where the logs may not take more. One to a log that is not there gets to know that instead.
    pub(super) fn check_room(
        &mut self,
        id: PartitionId,
        bytes: usize,
        now: Now,
    ) -> Result<(), Refused> {
        let (disk, root) = (&self.disk, &self.root);
        let free_bytes = || disk.free_bytes(root).unwrap_or(u64::MAX);
        let why = self
            .budget
            .refusal((id.topic, bytes as u64), now.mono, free_bytes);
        let Some(why) = why.filter(|_| self.log(id).is_ok()) else {
            return Ok(());
        };
        self.keep_room(now);
        if bytes as u64 > self.budget.max_bytes() {
            let why = "The batch is larger than chronik.disk.max.bytes.";
            return Err(Refused::new(ErrorCode::MESSAGE_TOO_LARGE, why));
        }
        Err(Refused {
            lacks_space: true,
            ..Refused::new(ErrorCode::KAFKA_STORAGE_ERROR, why)
        })
    }

    /// A log has gained or lost segments: what it is counted with follows.
    pub(super) fn recount(&mut self, id: PartitionId) {
        if let Some(State::Ready(log)) = self.slots.get_mut(&id).map(|slot| &mut slot.state) {
            let bytes = log.size_bytes();
            let before = mem::replace(&mut log.counted_bytes, bytes);
            self.budget.recounted(before, bytes);
        }
    }

    /// A log has given up these segments, each with so many bytes, and perhaps gained one: until they have left the
    /// disk they count.
    pub(super) fn count_leaving(&mut self, id: PartitionId, dir: &Path, segments: &[(i64, u64)]) {
        for &(base, bytes) in segments {
            let what = Leftover::Segment(dir.to_owned(), base);
            self.budget.leaves(what, bytes);
        }
        self.recount(id);
    }

    /// Has everything that was deleted leave the disk now: its space is wanted.
    pub fn hurry_removals(&mut self, now: Now) {
        let waiting = mem::take(&mut self.removals).into_iter();
        let hurried = waiting.map(|(at, what)| (at.min(now.mono), what));
        self.removals = hurried.collect();
        self.tick_removals(now);
    }

    /// Where the logs have too much, the oldest goes. Their shares are known when all of them are loaded.
    pub(super) fn keep_room(&mut self, now: Now) {
        if self.closing || self.loading > 0 || !self.budget.wants_pass(now.mono) {
            return;
        }
        self.hurry_removals(now);
        let mut facts = self.facts(now);
        let largest = facts.largest();
        let topics = facts.topics.values().filter(|topic| topic.bytes > 0);
        let shares = self.budget.shares(topics.count() as u64);
        let excess_bytes = self.budget.excess_bytes(facts.going_bytes);
        let plan = plan(&mut facts.topics, shares, excess_bytes);
        let starts: Vec<(PartitionId, i64)> = plan.starts.into_iter().collect();
        if !starts.is_empty() {
            self.give_up(&starts, largest, now);
        }
        let mut stubborn = BTreeSet::new();
        if plan.is_whole && plan.bytes + facts.soon_bytes < excess_bytes {
            match largest_active(&facts.topics, shares) {
                Some(id) => self.end_segment(id, now),
                None => stubborn = above_share(&facts.topics, shares),
            }
        }
        starts.iter().for_each(|(id, _)| {
            stubborn.remove(&id.topic);
        });
        self.budget.refuse(stubborn);
    }

    /// Logs begin later, and the log of the broker tells of each topic that has lost records by that, and which one
    /// takes most of the disk.
    fn give_up(
        &mut self,
        starts: &[(PartitionId, i64)],
        (largest_bytes, largest): (u64, Uuid),
        now: Now,
    ) {
        if !self.raise_own_starts(starts, "chronik.disk.max.bytes") {
            return;
        }
        for (id, _) in starts {
            if self.budget.admits_line(id.topic, now.mono) {
                let name = self.topic_name(*id);
                let (used, max) = (self.budget.used_bytes(), self.budget.max_bytes());
                let largest = self.topic_name(PartitionId {
                    topic: largest,
                    partition: 0,
                });
                log::warn!(
                    "the oldest records of {name} go before their retention is over: chronik.disk.max.bytes is near; \
                     used_bytes={used} max_bytes={max} largest_topic={largest} \
                     largest_bytes={largest_bytes}"
                );
            }
        }
    }

    /// Ends the active segment of a log early.
    fn end_segment(&mut self, id: PartitionId, now: Now) {
        let Some(State::Ready(log)) = self.slots.get_mut(&id).map(|slot| &mut slot.state) else {
            return;
        };
        if let Err(error) = log.roll(&mut self.shelf, now) {
            log::debug!("no segment ends: {error}");
            return;
        }
        self.flush(id);
        self.after_roll(id);
    }

    fn facts(&self, now: Now) -> Facts {
        let mut facts = Facts::default();
        for log in self.logs() {
            facts.add(log, self.coming_start(log), now);
        }
        facts
    }
}

impl Facts {
    /// The bytes of the largest topic, and its id.
    fn largest(&self) -> (u64, Uuid) {
        let sizes = self.topics.iter().map(|(id, has)| (has.bytes, *id));
        sizes.max().unwrap_or_default()
    }

    fn add(&mut self, log: &Log, start: i64, now: Now) {
        let (id, gives) = (log.id(), log.config().delete);
        let (stable, readable) = (log.last_stable_offset(), log.high_watermark());
        let topic = self.topics.entry(id.topic).or_default();
        let ages_ms = log.receipt_ages_ms(now);
        for (pair, age_ms) in log.segments.windows(2).zip(ages_ms) {
            let (end, bytes) = (pair[1].base(), pair[0].len());
            if end <= start {
                self.going_bytes += bytes;
                continue;
            }
            topic.bytes += bytes;
            if gives && end <= stable {
                let closed = topic.closed.entry(id.partition).or_default();
                closed.push_back(Closed {
                    end,
                    bytes,
                    age_ms: age_ms.unwrap_or(i64::MAX),
                });
            } else if gives && end > readable {
                self.soon_bytes += bytes;
            }
        }
        let active_bytes = log.segments.last().map_or(0, Segment::len);
        topic.bytes += active_bytes;
        if gives && active_bytes > 0 && log.open_transactions().next().is_none() {
            topic.active = topic.active.max(Some((active_bytes, id.partition)));
        }
    }
}
