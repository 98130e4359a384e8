//! What a walk over a log knows of its transactions: which batches are of aborted ones, and which markers nobody needs
//! any more (KIP-98, KIP-534).
//!
//! The walk meets batches in order. Transactions that were aborted are told to it before it reaches their first offset,
//! out of the indexes; of all others it finds out at their markers. A marker may go when the walk has met no batch of
//! its transaction: as long as one is left, even one whose records go in this very walk, readers need the marker, and
//! in the case of an aborted one its line of the index.

use super::super::aborted::Entry;
use crate::proto::batch::{Batch, BatchHeader, EndMarker};
use std::collections::{BTreeMap, BTreeSet};

/// The transactions at one place of a walk.
#[derive(Default)]
pub(super) struct Transactions {
    /// Aborted ones that have not begun yet, by first offset and producer.
    coming: BTreeMap<(i64, i64), Entry>,
    /// Aborted ones that have begun, by producer, and whether a batch of them was met.
    aborted: BTreeMap<i64, (Entry, bool)>,
    /// Producers of whose transaction a batch was met, and which is none of the aborted.
    committed: BTreeSet<i64>,
}

/// What becomes of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// No batch of its transaction is left.
    pub(super) may_go: bool,
    /// The line of the index that readers go on needing.
    pub(super) aborted: Option<Entry>,
}

impl Transactions {
    /// Tells of aborted transactions that overlap what the walk comes to next. One may be told again while it has not
    /// ended.
    pub(super) fn expect(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let key = (entry.first_offset, entry.producer_id);
            self.coming.insert(key, entry);
        }
    }

    /// A batch of records is met. Whether it belongs to an aborted transaction.
    pub(super) fn meet(&mut self, header: &BatchHeader) -> bool {
        self.begin(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some((_, met)) => {
                *met = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// A control batch is met. Kinds of control records that are not known stay; an empty batch has been emptied by
    /// an earlier walk and may go.
    pub(super) fn meet_control(&mut self, batch: &Batch<'_>) -> Judged {
        let header = batch.header();
        self.begin(header.last_offset());
        let Some(marker) = EndMarker::of(batch) else {
            let may_go = header.record_count == 0;
            return Judged {
                may_go,
                aborted: None,
            };
        };
        if marker.commits {
            let may_go = !self.committed.remove(&header.producer_id);
            return Judged {
                may_go,
                aborted: None,
            };
        }
        let ended = self.aborted.remove(&header.producer_id);
        let aborted = ended.filter(|(_, met)| *met).map(|(entry, _)| entry);
        Judged {
            may_go: aborted.is_none(),
            aborted,
        }
    }

    /// Those begin that have their first offset at or before this one.
    fn begin(&mut self, offset: i64) {
        while let Some(first) = self.coming.first_entry()
            && first.key().0 <= offset
        {
            let entry = first.remove();
            self.aborted
                .entry(entry.producer_id)
                .or_insert((entry, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::BatchBuilder;

    fn entry(producer_id: i64, first_offset: i64, last_offset: i64) -> Entry {
        Entry {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset: last_offset + 1,
        }
    }

    fn meet(walk: &mut Transactions, producer: i64, offset: i64) -> bool {
        let mut builder = BatchBuilder::new(offset)
            .transactional()
            .producer(producer, 0, 0);
        builder.push(1, Some(b"k"), None);
        let bytes = builder.build(None).unwrap();
        walk.meet(Batch::split_first(&bytes).unwrap().0.header())
    }

    fn end(walk: &mut Transactions, producer: i64, offset: i64, commits: bool) -> Judged {
        let marker = EndMarker {
            commits,
            coordinator_epoch: 0,
        };
        let mut bytes = marker.batch((producer, 0), (1, false));
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        walk.meet_control(&Batch::split_first(&bytes).unwrap().0)
    }

    #[test]
    fn batches_of_aborted_transactions_are_told_from_those_of_others() {
        let mut walk = Transactions::default();
        walk.expect([entry(1, 10, 20), entry(1, 30, 40)]);
        assert!(
            !meet(&mut walk, 1, 5),
            "an earlier one of the same producer"
        );
        assert!(!end(&mut walk, 1, 6, true).may_go);
        assert!(meet(&mut walk, 1, 10) && !meet(&mut walk, 2, 11));
        walk.expect([entry(1, 10, 20)]);
        assert!(meet(&mut walk, 1, 12), "told twice");
        let ended = end(&mut walk, 1, 20, false);
        assert_eq!(
            (ended.may_go, ended.aborted),
            (false, Some(entry(1, 10, 20)))
        );
        assert!(!meet(&mut walk, 1, 21), "between two aborted ones");
        assert!(!end(&mut walk, 1, 22, true).may_go);
        assert!(meet(&mut walk, 1, 30));
    }

    #[test]
    fn a_marker_may_go_when_nothing_of_its_transaction_was_met() {
        let mut walk = Transactions::default();
        walk.expect([entry(1, 10, 20)]);
        let ended = end(&mut walk, 1, 20, false);
        assert_eq!((ended.may_go, ended.aborted), (true, None));
        assert!(end(&mut walk, 2, 21, true).may_go);
        meet(&mut walk, 2, 22);
        assert!(!end(&mut walk, 2, 23, true).may_go);
        assert!(end(&mut walk, 2, 24, true).may_go, "that was the next one");
    }

    #[test]
    fn an_emptied_control_batch_may_go_and_an_unknown_one_stays() {
        let control = |key: Option<&[u8]>| {
            let mut builder = BatchBuilder::new(0).control().producer(1, 0, -1);
            if let Some(key) = key {
                builder.push(1, Some(key), None);
            }
            builder.skip_offsets(i32::from(key.is_none()));
            let bytes = builder.build(None).unwrap();
            Transactions::default()
                .meet_control(&Batch::split_first(&bytes).unwrap().0)
                .may_go
        };
        assert!(control(None));
        assert!(!control(Some(&[0, 0, 0, 9])));
    }
}
