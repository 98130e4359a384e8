//! The offsets that a group has committed, and when they go.
//!
//! They are kept under the topic's id, so that a topic of the same name that is created later begins without any; they
//! go with their topic, with their group, on request, and by age (`offsets.retention.minutes`). Age counts, as in
//! Kafka:
//!
//! | group | from | which offsets |
//! |---|---|---|
//! | without members | when its last member left | all |
//! | only commits | the commit | all |
//! | stable consumers | the commit | of topics that no member subscribes to |
//! | anything else | - | none |
//!
//! None goes by age that a transaction is about to replace, nor its group (`pending_offsets`).
//! A commit that brought a time of its own (OffsetCommit 2-4) goes at that time, wherever an offset may go at all.
//!
//! A wrong clock deletes nothing (not Kafka's rule, but ours). Nothing goes by age before the wall clock has run in
//! step with the monotonic one for the time of retention, or for an hour ([`clock::Steadiness`]). A time from which age
//! counts that lies before 2020, or a day or more ahead, was told by a clock or a client that did not know better: it
//! becomes the time of the check, and is journaled as that.

pub use super::super::facts::Committed;
use super::super::record::Record;
use super::Groups;
use super::group::{Group, Phase};
pub use super::pending_offsets::ended;
use crate::clock;
use crate::proto::Uuid;
use crate::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;
use std::sync::Arc;

impl Committed {
    /// The same, committed at another time and kept for as long.
    fn moved_to(&self, wall_ms: i64) -> Committed {
        let from_ms = self.commit_timestamp_ms;
        let moved = |at_ms: i64| wall_ms.saturating_add(at_ms.saturating_sub(from_ms));
        Committed {
            commit_timestamp_ms: wall_ms,
            expire_timestamp_ms: self.expire_timestamp_ms.map(moved),
            ..self.clone()
        }
    }
}

/// The committed offsets of a group.
pub type Offsets = BTreeMap<PartitionId, Committed>;

impl Groups {
    /// The records of a commit without a transaction.
    #[must_use]
    pub fn commit(&self, id: &str, all: Offsets) -> Vec<Record> {
        let known = self.get(id);
        let group = known.map_or_else(|| id.into(), |known| Arc::clone(&known.id));
        let record = |(at, committed)| Record::Offset {
            group: Arc::clone(&group),
            at,
            committed: Committed {
                order: known.map_or(0, |known| known.order_of_commit(&at)),
                ..committed
            },
        };
        all.into_iter().map(record).collect()
    }

    /// Applies the record of a commit.
    pub fn committed(&mut self, id: &Arc<str>, at: PartitionId, offset: Committed, round: u64) {
        self.touched(id, round).offsets.insert(at, offset);
    }

    /// Applies the tombstone of an offset. With its last one goes a group that has nothing else, as a replay would have
    /// it.
    pub fn forgotten(&mut self, id: &Arc<str>, at: PartitionId, round: u64) {
        if self.get(id).is_some() {
            self.touched(id, round).offsets.remove(&at);
            self.leave_alone(id);
        }
    }

    /// Tombstones of every offset whose partition is one of these, pending ones too.
    #[must_use]
    pub fn offsets_where(&self, is_one: impl Fn(&PartitionId) -> bool) -> Vec<Record> {
        let doomed = |group| partitions(group, ..).into_iter().filter(&is_one);
        let of_group = |group| tombstones(group, doomed(group));
        self.iter().flat_map(of_group).collect()
    }

    /// Tombstones of every offset of a topic, pending ones too.
    #[must_use]
    pub fn offsets_of_topic(&self, topic: Uuid) -> Vec<Record> {
        let doomed = |group| partitions(group, every_partition(topic));
        let of_group = |group| tombstones(group, doomed(group));
        self.iter().flat_map(of_group).collect()
    }
}

/// The partitions of one topic that have an offset, in their order.
pub fn of_topic(offsets: &Offsets, topic: Uuid) -> impl Iterator<Item = PartitionId> {
    let all = offsets.range(every_partition(topic));
    all.map(|(&at, _)| at)
}

/// Tombstones of what the group has of these partitions, pending offsets too.
pub fn tombstones(
    group: &Group,
    partitions: impl IntoIterator<Item = PartitionId>,
) -> impl Iterator<Item = Record> {
    let of_partition = move |at| {
        let pending = group.pending_offsets.producers_of(&at);
        let pending = pending.map(move |producer_id| Record::PendingOffsetDone {
            producer_id,
            group: Arc::clone(&group.id),
            at,
        });
        let own = group.offsets.contains_key(&at);
        let own = own.then(|| Record::OffsetForgotten {
            group: Arc::clone(&group.id),
            at,
        });
        pending.chain(own).collect::<Vec<_>>()
    };
    partitions.into_iter().flat_map(of_partition)
}

/// The partitions in that range that the group has an offset of, pending ones too.
fn partitions(
    group: &Group,
    range: impl RangeBounds<PartitionId> + Clone,
) -> BTreeSet<PartitionId> {
    let own = group.offsets.range(range.clone()).map(|(&at, _)| at);
    own.chain(group.pending_offsets.partitions(range)).collect()
}

/// Tombstones of a group and of all its offsets. The group's own is the last, so that a part of them leaves a group
/// with fewer offsets and never offsets without their group.
#[must_use]
pub fn all_of(group: &Group) -> Vec<Record> {
    let gone = Record::GroupDeleted {
        id: Arc::clone(&group.id),
    };
    let doomed = partitions(group, ..);
    tombstones(group, doomed).chain([gone]).collect()
}

/// What age makes of a group: times that make no sense are put right; else tombstones of what has been kept long
/// enough, and of the group too, when it has neither members nor offsets left. The clock has to be steady.
pub fn aged(
    group: &Group,
    wall_ms: i64,
    retention_ms: i64,
    name_of: impl Fn(Uuid) -> Option<Arc<str>>,
) -> Vec<Record> {
    let righted = righted(group, wall_ms);
    match righted.is_empty() {
        true => expired(group, wall_ms, retention_ms, name_of),
        false => righted,
    }
}

/// The group's records with times that make sense, as far as they had none.
fn righted(group: &Group, wall_ms: i64) -> Vec<Record> {
    let sensible = clock::believable(wall_ms);
    let is_empty = group.phase == Phase::Empty && group.protocol_type.is_some();
    let generation = (is_empty && !sensible.contains(&group.since_ms)).then(|| Record::Group {
        id: Arc::clone(&group.id),
        generation: group.generation(wall_ms, |_, member| Arc::clone(&member.assignment)),
    });
    let absurd = group
        .offsets
        .iter()
        .filter(|(_, committed)| !sensible.contains(&committed.commit_timestamp_ms));
    let offsets = absurd.map(|(&at, committed)| Record::Offset {
        group: Arc::clone(&group.id),
        at,
        committed: committed.moved_to(wall_ms),
    });
    generation.into_iter().chain(offsets).collect()
}

fn expired(
    group: &Group,
    wall_ms: i64,
    retention_ms: i64,
    name_of: impl Fn(Uuid) -> Option<Arc<str>>,
) -> Vec<Record> {
    let is_due =
        |committed: &Committed| match (committed.expire_timestamp_ms, since(group, committed)) {
            (_, None) => false,
            (Some(at_ms), _) => at_ms <= wall_ms,
            (None, Some(from_ms)) => wall_ms.saturating_sub(from_ms) >= retention_ms,
        };
    let is_read =
        |at: &PartitionId| name_of(at.topic).is_some_and(|name| group.is_subscribed_to(&name));
    let due = group
        .offsets
        .iter()
        .filter(|(at, committed)| is_due(committed) && !is_read(at))
        .filter(|(at, _)| !group.pending_offsets.has(at));
    let due: Vec<PartitionId> = due.map(|(&at, _)| at).collect();
    let is_idle = group.phase == Phase::Empty && group.pending.is_empty();
    if due.len() == group.offsets.len() && is_idle && group.pending_offsets.is_empty() {
        return all_of(group);
    }
    tombstones(group, due).collect()
}

/// From when on the age of an offset counts, in milliseconds since 1970; none while it does not count.
fn since(group: &Group, committed: &Committed) -> Option<i64> {
    match (group.phase, &group.protocol_type) {
        (_, None) => Some(committed.commit_timestamp_ms),
        (Phase::Empty, _) => Some(group.since_ms),
        (Phase::Stable, _) if group.subscribed_topics().is_some() => {
            Some(committed.commit_timestamp_ms)
        }
        _ => None,
    }
}

fn every_partition(topic: Uuid) -> std::ops::RangeInclusive<PartitionId> {
    let at = |partition| PartitionId { topic, partition };
    at(i32::MIN)..=at(i32::MAX)
}
