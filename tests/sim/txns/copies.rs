//! Copies: which record is one of which, and that offsets and output have moved together.

use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};

/// A record: its partition and offset.
type Source = (PartitionId, i64);

/// The copies that anybody has begun to write, by their marks.
#[derive(Clone, Debug, Default)]
pub struct Copies(BTreeMap<u64, Source>);

impl Copies {
    /// The records from this mark on are copies of these.
    pub fn begin(&mut self, first: u64, sources: &[Source]) {
        self.0.extend((first..).zip(sources.iter().copied()));
    }

    /// Of the committed copies each record below the committed offset of its partition has exactly one, and no other
    /// has any. `inputs` are the offsets of committed records. Answers how many copies there are.
    pub fn check(
        &self,
        visible: &[u64],
        inputs: &BTreeMap<PartitionId, Vec<i64>>,
        offsets: &BTreeMap<PartitionId, i64>,
    ) -> u64 {
        let mut found: BTreeMap<PartitionId, BTreeSet<i64>> = BTreeMap::new();
        for (at, offset) in visible.iter().filter_map(|mark| self.0.get(mark)) {
            let is_first = found.entry(*at).or_default().insert(*offset);
            assert!(is_first, "offset {offset} of {at:?} was copied twice");
        }
        for (at, records) in inputs {
            let until = offsets.get(at).copied().unwrap_or(0);
            let below = records.iter().copied().filter(|offset| *offset < until);
            let expected: BTreeSet<i64> = below.collect();
            let copied = found.remove(at).unwrap_or_default();
            let lost = expected.difference(&copied).next();
            let early = copied.difference(&expected).next();
            assert_eq!(
                (lost, early),
                (None, None),
                "what is lost, and what is copied without its offset, of {at:?}, committed up to {until}"
            );
        }
        assert!(found.is_empty(), "copies of what is not read: {found:?}");
        let made = visible.iter().filter(|mark| self.0.contains_key(mark));
        made.count() as u64
    }
}
