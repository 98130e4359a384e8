//! Offsets that transactions bring: they become the group's own when the transaction commits, and else go.
//!
//! Until then they belong to the transaction's producer. Nobody reads them; who asks for stable offsets is told of
//! their partitions that they are not (88). While a partition has any, the offset that the group has of it does not go
//! by age, and neither does the group. They go early with their topic, with their group, and by OffsetDelete, and
//! nothing is left for the end of the transaction then.
//!
//! As in Kafka the newest commit stays, and a commit is as new as its request, not as the end of its transaction.
//! `Committed::order` tells that, by partition; it is journaled, so that it holds after a restart:
//!
//! ```text
//! TxnOffsetCommit   P brings 5    order 1     has -
//! OffsetCommit      8             order 2     has 8       it would be 0 if nothing were pending
//! TxnOffsetCommit   Q brings 9    order 3     has 8
//! EndTxn, commit    P             1 < 2       has 8       overtaken
//! EndTxn, commit    Q             3 > 2       has 9       nothing is pending any more: it has order 0
//! ```

use super::super::facts::Committed;
use super::super::record::Record;
use super::Groups;
use super::group::Group;
use super::offsets::Offsets;
use crate::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;
use std::sync::Arc;

/// The pending offsets of a group.
#[derive(Debug, Default)]
pub struct PendingOffsets {
    by_producer: BTreeMap<i64, Offsets>,
    producers: BTreeMap<PartitionId, BTreeSet<i64>>,
}

impl PendingOffsets {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Whether some transaction brings an offset of that partition.
    #[must_use]
    pub fn has(&self, at: &PartitionId) -> bool {
        self.producers.contains_key(at)
    }

    /// What that producer's transaction brings.
    #[must_use]
    pub fn of(&self, producer_id: i64) -> Option<&Offsets> {
        self.by_producer.get(&producer_id)
    }

    /// Whose transactions bring something.
    pub fn producers(&self) -> impl Iterator<Item = i64> {
        self.by_producer.keys().copied()
    }

    /// Whose transactions bring an offset of that partition.
    pub(super) fn producers_of(&self, at: &PartitionId) -> impl Iterator<Item = i64> {
        self.producers.get(at).into_iter().flatten().copied()
    }

    /// The partitions in that range that have any.
    pub(super) fn partitions(
        &self,
        range: impl RangeBounds<PartitionId>,
    ) -> impl Iterator<Item = PartitionId> {
        self.producers.range(range).map(|(&at, _)| at)
    }

    /// The order of the newest of that partition.
    fn newest(&self, at: &PartitionId) -> Option<i32> {
        let offsets = self.producers_of(at).filter_map(|id| self.of(id)?.get(at));
        offsets.map(|committed| committed.order).max()
    }

    fn insert(&mut self, producer_id: i64, at: PartitionId, committed: Committed) {
        let offsets = self.by_producer.entry(producer_id).or_default();
        offsets.insert(at, committed);
        self.producers.entry(at).or_default().insert(producer_id);
    }

    fn remove(&mut self, producer_id: i64, at: &PartitionId) {
        if let Some(offsets) = self.by_producer.get_mut(&producer_id) {
            offsets.remove(at);
            if offsets.is_empty() {
                self.by_producer.remove(&producer_id);
            }
        }
        if let Some(producers) = self.producers.get_mut(at) {
            producers.remove(&producer_id);
            if producers.is_empty() {
                self.producers.remove(at);
            }
        }
    }

    /// What must hold between turns.
    pub(super) fn check_invariants(&self) {
        let count = |sum: usize, more: usize| sum + more;
        let offsets = self.by_producer.values().map(Offsets::len);
        let producers = self.producers.values().map(BTreeSet::len);
        assert_eq!(offsets.fold(0, count), producers.fold(0, count));
        for (at, producers) in &self.producers {
            let orders = producers.iter().map(|id| self.by_producer[id][at].order);
            assert!(orders.min() > Some(0), "what is pending has an order");
        }
        assert!(self.by_producer.values().all(|offsets| !offsets.is_empty()));
    }
}

impl Groups {
    /// The records of a commit in a transaction of that producer.
    #[must_use]
    pub fn commit_pending(&self, producer_id: i64, id: &str, all: Offsets) -> Vec<Record> {
        let known = self.get(id);
        let group = known.map_or_else(|| id.into(), |known| Arc::clone(&known.id));
        let record = |(at, committed)| Record::PendingOffset {
            producer_id,
            group: Arc::clone(&group),
            at,
            committed: Committed {
                order: known.map_or(1, |known| known.order_of_pending(&at)),
                ..committed
            },
        };
        all.into_iter().map(record).collect()
    }

    /// Applies that a producer's transaction brings an offset. Who only commits offsets makes a group by it.
    pub fn offset_pends(
        &mut self,
        id: &Arc<str>,
        producer_id: i64,
        at: PartitionId,
        committed: Committed,
        round: u64,
    ) {
        let pending = &mut self.touched(id, round).pending_offsets;
        pending.insert(producer_id, at, committed);
    }

    /// Applies that it does not bring it any more. With it goes a group that has nothing else.
    pub fn offset_pends_no_more(
        &mut self,
        id: &Arc<str>,
        producer_id: i64,
        at: PartitionId,
        round: u64,
    ) {
        if self.get(id).is_some() {
            let pending = &mut self.touched(id, round).pending_offsets;
            pending.remove(producer_id, &at);
            self.leave_alone(id);
        }
    }
}

impl Group {
    /// The order of an offset that is committed now without a transaction.
    pub(super) fn order_of_commit(&self, at: &PartitionId) -> i32 {
        match self.pending_offsets.has(at) {
            true => self.order_of_pending(at),
            false => 0,
        }
    }

    /// The order of an offset that a transaction brings now.
    fn order_of_pending(&self, at: &PartitionId) -> i32 {
        let committed = self.offsets.get(at).map(|committed| committed.order);
        let newest = committed.max(self.pending_offsets.newest(at));
        newest.unwrap_or(0).saturating_add(1)
    }

    /// What the end of the producer's transaction makes of the offset that it has brought.
    fn ended(&self, producer_id: i64, at: PartitionId, brought: &Committed) -> Option<Record> {
        let had = self.offsets.get(&at).map_or(0, |committed| committed.order);
        let is_last = self.pending_offsets.producers_of(&at).eq([producer_id]);
        (brought.order >= had).then(|| Record::Offset {
            group: Arc::clone(&self.id),
            at,
            committed: Committed {
                order: if is_last { 0 } else { brought.order },
                ..brought.clone()
            },
        })
    }
}

/// What the end of a producer's transaction means for the offsets that it has brought for these groups: they become
/// the groups' own where they have not been overtaken, or go. Wherever the list is cut, what is left of it comes out
/// again when this is asked once more.
#[must_use]
pub fn ended(
    groups: &Groups,
    producer_id: i64,
    ids: &BTreeSet<Arc<str>>,
    commits: bool,
) -> Vec<Record> {
    let mut records = Vec::new();
    for group in ids.iter().filter_map(|id| groups.get(id)) {
        for (&at, brought) in group.pending_offsets.of(producer_id).into_iter().flatten() {
            if commits {
                records.extend(group.ended(producer_id, at, brought));
            }
            records.push(Record::PendingOffsetDone {
                producer_id,
                group: Arc::clone(&group.id),
                at,
            });
        }
    }
    records
}
