//! One number for the disk: what all logs together may take, and what goes when they take more.
//!
//! ```text
//! 0 ------------------------------------ low mark ------- headroom ------- budget
//!            records are taken           |  the oldest go, records are taken  |  records are refused
//! ```
//!
//! The headroom is what may come while room is made: the sync lane takes a new log start to the disk, and the work lane
//! unlinks. It is 1/16 of the budget, but 16 MiB where that is not more than a quarter: a small budget takes as long.
//!
//! What counts are the bytes of segments, those too that have lost their names and wait to leave the disk. Above the
//! low mark that wait is over for all of them; what else is too much goes by these rules:
//!
//! 1. The share of every topic is the same. Of the topics that have a closed segment to give, the one furthest above
//!    its share, which is the largest, gives the oldest; then they are compared again. Below its share a topic keeps
//!    at least its part of the headroom, and nobody can take that from it.
//! 2. A topic whose `cleanup.policy` has no `delete` gives nothing. Nor do segments that reach to the last stable
//!    offset: they hold what an open transaction has written, or what nobody could read yet. Where the others have
//!    nothing more to give, those that are above their share are refused: they would grow on what others lose.
//! 3. A segment ends at 1/16 of the budget, even where `segment.bytes` is larger. Where no closed one is left, the
//!    largest active one ends early, and goes when it is on disk.
//!
//! A log gives its segments by beginning later (`starts`), as with DeleteRecords and retention: in the same order of
//! durability, and for good. Readers keep their maps, so that slow ones pin windows of deleted files beyond the budget;
//! `disk` has the bound. At the budget itself, and where the file system has less than `chronik.disk.min.free`, produce
//! is refused as on a full disk. The ends of transactions are not: they are small, and others wait for them.
//!
//! This file is pure; `room` gathers the facts and carries the plan out.

use super::PartitionId;
use super::removal::Leftover;
use crate::clock::Mono;
use crate::proto::Uuid;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::mem;
use std::path::Path;

/// The largest segment, and the headroom of a large budget, as parts of it.
const PARTS: u64 = 16;
/// The headroom of a small one: so much, or a quarter.
const HEADROOM_BYTES: u64 = 16 << 20;
const MOST_HEADROOM: u64 = 4;
/// Logs are compared again after so much time, or when a `STEPS`th of the budget has come.
const PASS_MS: i64 = 100;
const STEPS: u64 = 256;
/// The file system's free bytes are asked for again after this time.
const FREE_MS: i64 = 1000;
/// A topic is named in the log at most once in so much time.
const TOLD_MS: i64 = 3_600_000;
/// Segments that go in one pass at most: nobody waits for a pass long.
const MAX_GOING: usize = 1000;

/// What the logs may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of all logs; `u64::MAX` is without a limit.
    pub(super) max_bytes: u64,
    /// Bytes of the file system that are to stay free.
    pub(super) min_free_bytes: u64,
}

/// What the logs take.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    log_bytes: u64,
    leaving: BTreeMap<Leftover, u64>,
    leaving_bytes: u64,
    /// What was free then, less what was appended since.
    free: Option<(Mono, u64)>,
    /// When logs are compared again, or from how many bytes on.
    next_pass: Option<(Mono, u64)>,
    /// Topics that are above their share and gave nothing, as the last comparison has found.
    stubborn: BTreeSet<Uuid>,
    told: BTreeMap<Uuid, Mono>,
}

impl Budget {
    /// Without limits, and nothing is there.
    pub(super) fn new() -> Budget {
        Budget {
            limits: Limits {
                max_bytes: u64::MAX,
                min_free_bytes: 0,
            },
            log_bytes: 0,
            leaving: BTreeMap::new(),
            leaving_bytes: 0,
            free: None,
            next_pass: None,
            stubborn: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    /// These limits hold from now on. Says whether they are others.
    pub(super) fn set_limits(&mut self, limits: Limits) -> bool {
        let before = mem::replace(&mut self.limits, limits);
        (self.free, self.next_pass) = (None, None);
        before != limits
    }

    /// A segment must not grow beyond this.
    pub(super) fn roll_bytes(&self) -> u64 {
        self.limits.max_bytes / PARTS
    }

    /// Above this, removal begins.
    fn low_mark(&self) -> u64 {
        let max_bytes = self.limits.max_bytes;
        let small = HEADROOM_BYTES.min(max_bytes / MOST_HEADROOM);
        max_bytes - small.max(max_bytes / PARTS)
    }

    /// What each of so many topics has to itself.
    pub(super) fn shares(&self, topics: u64) -> Shares {
        let topics = topics.max(1);
        Shares {
            bytes: self.low_mark() / topics,
            kept_bytes: (self.limits.max_bytes - self.low_mark()) / topics,
        }
    }

    /// These topics are refused until there is room, or until others give.
    pub(super) fn refuse(&mut self, stubborn: BTreeSet<Uuid>) {
        self.stubborn = stubborn;
    }

    /// Bytes of the logs, and of what they have given up and is still on the disk.
    pub(super) fn used_bytes(&self) -> u64 {
        self.log_bytes + self.leaving_bytes
    }

    /// Bytes of the logs alone.
    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// The budget.
    pub(super) fn max_bytes(&self) -> u64 {
        self.limits.max_bytes
    }

    /// Whether what has lost its name must leave at once.
    pub(super) fn is_tight(&self) -> bool {
        self.used_bytes() > self.low_mark()
    }

    /// So much was appended.
    pub(super) fn appended(&mut self, bytes: u64) {
        self.log_bytes += bytes;
        if let Some((_, free_bytes)) = &mut self.free {
            *free_bytes = free_bytes.saturating_sub(bytes);
        }
    }

    /// A log that was counted with `before` has now so many bytes.
    pub(super) fn recounted(&mut self, before: u64, now: u64) {
        self.log_bytes = self.log_bytes - before + now;
    }

    /// So many bytes of a log have lost their name.
    pub(super) fn leaves(&mut self, what: Leftover, bytes: u64) {
        self.leaving_bytes += bytes;
        *self.leaving.entry(what).or_default() += bytes;
    }

    /// The partition whose files are in `dir` has gone, with so many bytes of log: all that is there leaves with it.
    pub(super) fn forgotten(&mut self, dir: &Path, log_bytes: u64, away: Leftover) {
        let of = |base| Leftover::Segment(dir.to_owned(), base);
        let inside = self.leaving.range(of(i64::MIN)..=of(i64::MAX));
        let inside: Vec<Leftover> = inside.map(|(what, _)| what.clone()).collect();
        let named = |what| self.leaving.remove(what).unwrap_or(0);
        let named_bytes: u64 = inside.iter().map(named).sum();
        self.log_bytes -= log_bytes;
        self.leaving_bytes += log_bytes;
        self.leaving.insert(away, log_bytes + named_bytes);
    }

    /// They are off the disk.
    pub(super) fn left(&mut self, what: &Leftover) {
        self.leaving_bytes -= self.leaving.remove(what).unwrap_or(0);
    }

    /// Whether logs are to be compared now. If so, not again for a while.
    pub(super) fn wants_pass(&mut self, now: Mono) -> bool {
        let used_bytes = self.used_bytes();
        let waits = |(at, bytes)| now < at && used_bytes < bytes;
        if !self.is_tight() || self.next_pass.is_some_and(waits) {
            return false;
        }
        let step_bytes = self.limits.max_bytes / STEPS;
        self.next_pass = Some((now.plus_ms(PASS_MS), used_bytes + step_bytes));
        true
    }

    /// What is too much in the logs, of which so many bytes are about to go.
    pub(super) fn excess_bytes(&self, going_bytes: u64) -> u64 {
        let staying = self.log_bytes.saturating_sub(going_bytes);
        staying.saturating_sub(self.low_mark())
    }

    /// Why so many bytes more of a topic are refused, if they are; `free_bytes` asks the file system, at most once a
    /// second.
    pub(super) fn refusal(
        &mut self,
        (topic, bytes): (Uuid, u64),
        now: Mono,
        free_bytes: impl FnOnce() -> u64,
    ) -> Option<String> {
        let Limits {
            max_bytes,
            min_free_bytes,
        } = self.limits;
        let used_bytes = self.used_bytes();
        if used_bytes.saturating_add(bytes) > max_bytes {
            return Some(format!(
                "chronik.disk.max.bytes is reached: the logs have {used_bytes} bytes of {max_bytes}"
            ));
        }
        if self.is_tight() && self.stubborn.contains(&topic) {
            return Some(format!(
                "chronik.disk.max.bytes is near, the logs have {used_bytes} bytes of {max_bytes}, and this topic, which \
                 is above its share, gives nothing: its cleanup.policy is without delete, or a transaction is open"
            ));
        }
        if min_free_bytes == 0 {
            return None;
        }
        let is_new = |&(at, _): &(Mono, u64)| now < at.plus_ms(FREE_MS);
        let known = self.free.filter(is_new);
        let (at, free_bytes) = known.unwrap_or_else(|| (now, free_bytes()));
        self.free = Some((at, free_bytes));
        (free_bytes < min_free_bytes.saturating_add(bytes)).then(|| {
            format!(
                "chronik.disk.min.free is reached: {free_bytes} bytes are free, and {min_free_bytes} are to stay so"
            )
        })
    }

    /// Whether the log is to say that records of a topic go. If so, not again for an hour.
    pub(super) fn admits_line(&mut self, topic: Uuid, now: Mono) -> bool {
        self.told.retain(|_, at| now < at.plus_ms(TOLD_MS));
        match self.told.contains_key(&topic) {
            true => false,
            false => self.told.insert(topic, now).is_none(),
        }
    }
}

/// A segment that may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// Where the log begins when it has gone.
    pub(super) end: i64,
    pub(super) bytes: u64,
    /// How long ago it has come (`retention`); `i64::MAX` where nobody knows.
    pub(super) age_ms: i64,
}

/// What belongs to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// What is fair.
    pub(super) bytes: u64,
    /// What one that has less than that keeps: its part of the headroom.
    pub(super) kept_bytes: u64,
}

/// What one topic has.
#[derive(Clone, Debug, Default)]
pub(super) struct Topic {
    /// Bytes that stay unless the plan says otherwise.
    pub(super) bytes: u64,
    /// Its largest active segment that could end and be given: bytes and partition.
    pub(super) active: Option<(u64, i32)>,
    /// By partition, ascending.
    pub(super) closed: BTreeMap<i32, VecDeque<Closed>>,
}

/// The first segments of a topic's partitions: the oldest first, of equally old ones that of the largest partition.
type Front = (Reverse<i64>, Reverse<u64>, i32);
type Fronts = BTreeSet<Front>;

impl Topic {
    fn front(&self, partition: i32) -> Option<Front> {
        let closed = self.closed.get(&partition)?;
        let bytes = closed.iter().map(|segment| segment.bytes).sum();
        let first = closed.front()?;
        Some((Reverse(first.age_ms), Reverse(bytes), partition))
    }

    fn fronts(&self) -> Fronts {
        let partitions = self.closed.keys();
        partitions.filter_map(|&at| self.front(at)).collect()
    }

    /// Whether it may lose so many bytes.
    fn can_give(&self, bytes: u64, shares: Shares) -> bool {
        self.bytes > shares.bytes || self.bytes >= shares.kept_bytes + bytes
    }

    /// Takes the oldest segment out, if it may go.
    fn give(&mut self, fronts: &mut Fronts, shares: Shares) -> Option<(i32, Closed)> {
        let (_, _, partition) = fronts.pop_first()?;
        let oldest = self.closed.get(&partition)?.front()?;
        if !self.can_give(oldest.bytes, shares) {
            return None;
        }
        let segment = self.closed.get_mut(&partition)?.pop_front()?;
        self.bytes -= segment.bytes;
        fronts.extend(self.front(partition));
        Some((partition, segment))
    }
}

/// The largest active segment that could go if it ended.
pub(super) fn largest_active(
    topics: &BTreeMap<Uuid, Topic>,
    shares: Shares,
) -> Option<PartitionId> {
    let actives = topics.iter().filter_map(|(&topic, has)| {
        let (bytes, partition) = has.active?;
        let id = PartitionId { topic, partition };
        has.can_give(bytes, shares).then_some((bytes, id))
    });
    actives.max().map(|(_, id)| id)
}

/// The topics that have more than their share.
pub(super) fn above_share(topics: &BTreeMap<Uuid, Topic>, shares: Shares) -> BTreeSet<Uuid> {
    let above = topics.iter().filter(|(_, has)| has.bytes > shares.bytes);
    above.map(|(id, _)| *id).collect()
}

/// What a comparison has come to.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where logs are to begin.
    pub(super) starts: BTreeMap<PartitionId, i64>,
    /// How many bytes go by that.
    pub(super) bytes: u64,
    /// It was not cut short: nobody has more to give, or it is enough.
    pub(super) is_whole: bool,
}

/// Where logs are to begin so that `excess_bytes` go, which are taken from `topics`.
pub(super) fn plan(topics: &mut BTreeMap<Uuid, Topic>, shares: Shares, excess_bytes: u64) -> Plan {
    let (mut starts, mut bytes, mut given) = (BTreeMap::new(), 0, 0);
    let mut fronts: BTreeMap<Uuid, Fronts> = BTreeMap::new();
    let sizes = topics.iter().map(|(id, topic)| (topic.bytes, Reverse(*id)));
    let mut largest: BinaryHeap<(u64, Reverse<Uuid>)> = sizes.collect();
    while bytes < excess_bytes
        && given < MAX_GOING
        && let Some((_, Reverse(id))) = largest.pop()
    {
        let Some(topic) = topics.get_mut(&id) else {
            continue;
        };
        let fronts = fronts.entry(id).or_insert_with(|| topic.fronts());
        if let Some((partition, segment)) = topic.give(fronts, shares) {
            let at = PartitionId {
                topic: id,
                partition,
            };
            starts.insert(at, segment.end);
            bytes += segment.bytes;
            given += 1;
            largest.push((topic.bytes, Reverse(id)));
        }
    }
    Plan {
        starts,
        bytes,
        is_whole: given < MAX_GOING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const A: Uuid = Uuid([1; 16]);
    const B: Uuid = Uuid([2; 16]);

    /// Everybody gives.
    const NOTHING: Shares = Shares {
        bytes: 0,
        kept_bytes: 0,
    };

    fn at(topic: Uuid, partition: i32) -> PartitionId {
        PartitionId { topic, partition }
    }

    fn now(ms: i64) -> Mono {
        Mono(0).plus_ms(ms)
    }

    /// A topic whose partitions have segments of 10 bytes that came at these times, and active ones of `more`.
    fn topic(partitions: &[&[i64]], more: u64) -> Topic {
        let mut topic = Topic {
            bytes: more,
            ..Topic::default()
        };
        for (partition, times) in (0..).zip(partitions) {
            let closed = (1..).zip(*times).map(|(end, at_ms)| Closed {
                end,
                bytes: 10,
                age_ms: 100 - at_ms,
            });
            topic.bytes += 10 * times.len() as u64;
            topic.closed.insert(partition, closed.collect());
        }
        topic
    }

    fn budget(max_bytes: u64, min_free_bytes: u64) -> Budget {
        let mut budget = Budget::new();
        budget.set_limits(Limits {
            max_bytes,
            min_free_bytes,
        });
        budget
    }

    #[test]
    fn the_largest_topic_gives_its_oldest_until_another_is_larger() {
        let topics = || {
            let a = topic(&[&[50, 60], &[5, 55, 65]], 0);
            BTreeMap::from([(A, a), (B, topic(&[&[1, 2, 3]], 5))])
        };
        let few = plan(&mut topics(), NOTHING, 10);
        assert_eq!((few.starts, few.bytes), ([(at(A, 1), 1)].into(), 10));
        let more = plan(&mut topics(), NOTHING, 25);
        let expected = [(at(A, 1), 1), (at(A, 0), 1), (at(B, 0), 1)];
        assert_eq!((more.starts, more.bytes), (expected.into(), 30));
    }

    #[test]
    fn a_topic_with_nothing_closed_gives_nothing_however_large_it_is() {
        let mut topics = BTreeMap::from([(A, topic(&[&[]], 1000)), (B, topic(&[&[1]], 0))]);
        let all = plan(&mut topics, NOTHING, 500);
        assert_eq!((all.starts, all.bytes), ([(at(B, 0), 1)].into(), 10));
        assert!(all.is_whole, "there is no more");
        let times = [1; MAX_GOING + 1];
        let mut many = BTreeMap::from([(A, topic(&[&times], 0))]);
        let cut = plan(&mut many, NOTHING, u64::MAX);
        assert_eq!((cut.bytes, cut.is_whole), (10 * MAX_GOING as u64, false));
    }

    #[test]
    fn below_its_share_a_topic_keeps_its_part_of_the_headroom() {
        let shares = Shares {
            bytes: 45,
            kept_bytes: 15,
        };
        let mut topics = BTreeMap::from([(A, topic(&[], 100)), (B, topic(&[&[1, 2, 3, 4]], 5))]);
        let all = plan(&mut topics, shares, 100);
        let given = (all.starts, all.bytes);
        assert_eq!(given, ([(at(B, 0), 3)].into(), 30), "15 are left");
        assert_eq!(above_share(&topics, shares), [A].into());
        let mut alone = BTreeMap::from([(B, topic(&[&[1]], 40))]);
        assert_eq!(plan(&mut alone, shares, 100).bytes, 10, "it has 50");
        alone.entry(B).or_default().active = Some((40, 3));
        assert_eq!(
            largest_active(&alone, shares),
            None,
            "it would keep nothing"
        );
        alone.entry(B).or_default().bytes = 46;
        assert_eq!(largest_active(&alone, shares), Some(at(B, 3)));
    }

    #[test]
    fn who_is_above_its_share_and_gives_nothing_is_refused_while_there_is_too_much() {
        let mut budget = budget(100, 0);
        budget.appended(76);
        budget.refuse([A].into());
        let why = budget
            .refusal((A, 1), now(0), || 0)
            .expect("it must not grow");
        assert!(why.starts_with("chronik.disk.max.bytes "), "{why}");
        assert_eq!(budget.refusal((B, 1), now(0), || 0), None);
        budget.recounted(76, 75);
        assert_eq!(budget.refusal((A, 1), now(0), || 0), None);
    }

    #[test]
    fn of_equally_old_segments_the_largest_partition_gives_first() {
        let all = [[7; 1].as_slice(), &[7; 3], &[7; 2]];
        let plan = plan(&mut BTreeMap::from([(A, topic(&all, 0))]), NOTHING, 20);
        assert_eq!(
            plan.starts,
            [(at(A, 1), 2)].into(),
            "three, then two at the lower number"
        );
    }

    #[test]
    fn what_waits_to_leave_counts_until_it_has_left() {
        let mut budget = budget(200, 0);
        budget.appended(150);
        assert!(!budget.is_tight(), "just the low mark");
        let segment = Leftover::Segment(PathBuf::from("/d"), 0);
        budget.recounted(150, 100);
        budget.leaves(segment.clone(), 50);
        budget.appended(1);
        assert!(budget.is_tight());
        assert_eq!((budget.used_bytes(), budget.excess_bytes(0)), (151, 0));
        budget.left(&segment);
        budget.left(&segment);
        assert!(!budget.is_tight());
        assert_eq!(budget.used_bytes(), 101);
    }

    #[test]
    fn what_a_deleted_partition_has_leaves_with_its_directory() {
        let mut budget = budget(160, 0);
        budget.appended(70);
        let segment = |dir: &str| Leftover::Segment(PathBuf::from(dir), 0);
        budget.leaves(segment("/a"), 5);
        budget.leaves(segment("/b"), 3);
        let away = Leftover::Directory(PathBuf::from("/a-delete"));
        budget.forgotten(Path::new("/a"), 30, away.clone());
        assert_eq!((budget.used_bytes(), budget.log_bytes()), (78, 40));
        budget.left(&segment("/a"));
        assert_eq!(budget.used_bytes(), 78, "it is renamed, and still there");
        budget.left(&away);
        assert_eq!(budget.used_bytes(), 43);
    }

    #[test]
    fn a_small_budget_has_more_headroom_and_never_more_than_a_quarter() {
        let headroom = |max_bytes| max_bytes - budget(max_bytes, 0).low_mark();
        let of_mib = [32, 64, 160, 256, 1024].map(|mib| headroom(mib << 20) >> 20);
        assert_eq!(of_mib, [8, 16, 16, 16, 64]);
    }

    #[test]
    fn logs_are_compared_again_after_a_while_or_when_much_has_come() {
        let mut budget = budget(16 * 256, 0);
        budget.appended(12 * 256);
        assert!(!budget.wants_pass(now(0)));
        budget.appended(1);
        assert!(budget.wants_pass(now(0)));
        assert!(!budget.wants_pass(now(PASS_MS - 1)));
        assert!(budget.wants_pass(now(PASS_MS)));
        budget.appended(16);
        assert!(budget.wants_pass(now(PASS_MS)));
        assert_eq!(budget.excess_bytes(7), 10);
    }

    #[test]
    fn the_budget_is_never_passed_and_the_refusal_names_the_setting() {
        let mut budget = budget(100, 0);
        budget.appended(90);
        assert_eq!(budget.refusal((A, 10), now(0), || 0), None);
        let why = budget.refusal((A, 11), now(0), || 0).expect("too much");
        assert!(why.starts_with("chronik.disk.max.bytes "), "{why}");
        budget.set_limits(Limits {
            max_bytes: u64::MAX,
            min_free_bytes: 0,
        });
        assert_eq!(budget.refusal((A, u64::MAX), now(0), || 0), None);
        assert!(!budget.is_tight());
    }

    #[test]
    fn free_bytes_are_asked_for_once_a_second_and_counted_down_between() {
        let mut budget = budget(u64::MAX, 1000);
        assert_eq!(budget.refusal((A, 10), now(0), || 1010), None);
        budget.appended(10);
        let asked = || -> u64 { panic!("it is known") };
        let why = budget.refusal((A, 1), now(FREE_MS - 1), asked);
        assert!(why.is_some_and(|why| why.starts_with("chronik.disk.min.free ")));
        assert_eq!(budget.refusal((A, 1), now(FREE_MS), || 5000), None);
    }

    #[test]
    fn a_topic_is_named_once_an_hour() {
        let mut budget = Budget::new();
        let hour = now(TOLD_MS);
        let told: Vec<bool> = [(A, now(0)), (A, now(9)), (B, now(9)), (A, hour)]
            .map(|(topic, at)| budget.admits_line(topic, at))
            .into();
        assert_eq!(told, [true, false, true, true]);
    }
}
