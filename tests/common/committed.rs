//! Which batches of an answer to Fetch count for a reader of committed records: found as Kafka's Java client finds it.
//!
//! An answer brings whole batches up to the last stable offset, and a list of aborted transactions. From the batch on
//! that reaches the first offset of one of these, its producer's records do not count, up to that producer's abort
//! marker.

use std::collections::BTreeSet;

use chronikd::proto::batch::{BatchHeader, EndMarker};
use chronikd::proto::schema::fetch::AbortedTransaction;

/// What hides aborted records in one answer.
pub struct Committed {
    /// First offsets and producer ids, the nearest last.
    ahead: Vec<(i64, i64)>,
    /// Producers whose records do not count now.
    aborting: BTreeSet<i64>,
}

impl Committed {
    /// For the batches of an answer with that list, in whatever order.
    pub fn new(aborted: &[AbortedTransaction]) -> Committed {
        let pairs = aborted.iter().map(|it| (it.first_offset, it.producer_id));
        let mut ahead: Vec<(i64, i64)> = pairs.collect();
        ahead.sort_unstable();
        ahead.reverse();
        Committed {
            ahead,
            aborting: BTreeSet::new(),
        }
    }

    /// Whether the records of the next batch count. A control batch has none; `marker` is the end that it holds, if
    /// any.
    pub fn counts(&mut self, header: &BatchHeader, marker: Option<EndMarker>) -> bool {
        let reached = |(first, _): &mut (i64, i64)| *first <= header.last_offset();
        while let Some((_, producer_id)) = self.ahead.pop_if(reached) {
            self.aborting.insert(producer_id);
        }
        if marker.is_some_and(|marker| !marker.commits) {
            self.aborting.remove(&header.producer_id);
        }
        let attributes = header.attributes;
        let is_aborted =
            attributes.is_transactional() && self.aborting.contains(&header.producer_id);
        !attributes.is_control() && !is_aborted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chronikd::proto::batch::{Batch, BatchBuilder};

    /// A batch of one record at an offset; or the end of a transaction.
    fn batch(offset: i64, producer: i64, end: Option<bool>) -> (BatchHeader, Option<EndMarker>) {
        let marker = end.map(|commits| EndMarker {
            commits,
            coordinator_epoch: 0,
        });
        let mut builder = BatchBuilder::new(0)
            .transactional()
            .producer(producer, 0, 0);
        builder.push(0, None, Some(b"value"));
        let record = || builder.build(None).expect("a small batch");
        let bytes = marker.map_or_else(record, |marker| marker.batch((producer, 0), (0, false)));
        let (batch, _) = Batch::split_first(&bytes).expect("a batch");
        let mut header = *batch.header();
        header.base_offset = offset;
        (header, marker)
    }

    #[test]
    fn only_what_lies_between_the_first_offset_and_the_abort_does_not_count() {
        let aborted = [(7, 1), (8, 3)].map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id,
            first_offset,
        });
        let mut committed = Committed::new(&aborted);
        for (offset, producer, end, counts) in [
            (0, 7, None, true),
            (1, 7, None, false),
            (2, 8, None, true),
            (3, 8, None, false),
            (4, 7, Some(false), false),
            (5, 7, None, true),
            (6, 8, None, false),
            (7, 8, Some(true), false),
            (8, 8, Some(false), false),
            (9, 8, None, true),
        ] {
            let (header, marker) = batch(offset, producer, end);
            assert_eq!(committed.counts(&header, marker), counts, "{offset}");
        }
    }
}
