//! Transactions of a partition: how they end, how far everything is decided, and which were aborted (KIP-98).
//!
//! A transaction is **open** from its first batch to its marker, and **undecided for readers** until the high
//! watermark has passed the marker: what a power cut could still take back is decided for nobody. The last
//! stable offset is the first offset of the first transaction that is either, or the high watermark. It
//! never goes back: a new transaction begins at the log's end, and its end leaves its first offset where it was.
//!
//! Who calls has verified that a transactional batch belongs to a transaction; the log knows only what the
//! batches and markers say. What it knows comes back after a restart from the snapshot and the tail
//! (`producer_state`, `recovery`), the list of aborted ones from their index too (`aborted`).

use super::log::Log;
use super::producer_state::MarkerVerdict;
use super::segment::Place;
use super::shelf::Shelf;
use super::{
    Aborted, Appended, OpenTransaction, PartitionId, ProducerView, ReadError, Refused, Storage,
};
use crate::clock::Now;
use crate::config::TimestampType;
use crate::proto::batch::{Batch, EndMarker};
use std::collections::{BTreeMap, VecDeque};

/// The end of a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction it is.
    pub producer_id: i64,
    /// The epoch of the marker, which becomes the producer's.
    pub producer_epoch: i16,
    /// The epoch of the coordinator; an older one than the last seen here is refused.
    pub coordinator_epoch: i32,
    /// The records stand; else readers of committed records skip them.
    pub commits: bool,
    /// 2: the epoch exceeds the transaction's. Below: it is the transaction's, or one more where the producer is shut
    /// out by this.
    pub transaction_version: i16,
}

/// The transactions of a log that are not decided for its readers.
#[derive(Debug, Default)]
pub(super) struct Unstable {
    /// By first offset, how many bytes lie before it, counted from the start of the process; `None` of one that
    /// began earlier.
    undecided: BTreeMap<i64, Option<u64>>,
    /// Those of them that are not open any more: the marker's offset, which rises, and the first offset.
    ended: VecDeque<(i64, i64)>,
}

impl Unstable {
    /// Those that were open when the log was loaded.
    pub(super) fn of(open: impl Iterator<Item = OpenTransaction>) -> Unstable {
        Unstable {
            undecided: open.map(|open| (open.first_offset, None)).collect(),
            ended: VecDeque::new(),
        }
    }

    /// A transaction has begun, behind so many bytes.
    pub(super) fn began(&mut self, first_offset: i64, bytes: u64) {
        self.undecided.insert(first_offset, Some(bytes));
    }

    /// The marker of a transaction was appended at `marker`.
    pub(super) fn ended(&mut self, first_offset: i64, marker: i64) {
        self.ended.push_back((marker, first_offset));
    }

    /// The high watermark has moved: transactions whose markers lie before it are decided.
    pub(super) fn settle(&mut self, high_watermark: i64) {
        while let Some(&(marker, first_offset)) = self.ended.front()
            && marker < high_watermark
        {
            self.ended.pop_front();
            self.undecided.remove(&first_offset);
        }
    }

    /// The first offset that is not decided, and the bytes before it if they were counted.
    pub(super) fn first(&self) -> Option<(i64, Option<u64>)> {
        let (offset, bytes) = self.undecided.first_key_value()?;
        Some((*offset, *bytes))
    }

    /// What must hold beside the open transactions and a high watermark.
    pub(super) fn check_invariants(
        &self,
        open: impl Iterator<Item = OpenTransaction>,
        high_watermark: i64,
    ) {
        let ended = self.ended.iter().map(|(_, first)| *first);
        let mut undecided: Vec<i64> = open.map(|open| open.first_offset).chain(ended).collect();
        undecided.sort_unstable();
        assert!(self.undecided.keys().eq(&undecided));
        assert!(self.ended.iter().is_sorted());
        let first = self.ended.front();
        assert!(first.is_none_or(|(marker, _)| *marker >= high_watermark));
    }
}

impl Storage {
    /// Appends the end of a transaction: a control batch, which takes one offset. Where nothing is open it is
    /// written all the same, as in Kafka, but for the retry of a marker of version 2: that is answered
    /// as a duplicate, with base offset -1 and the round that holds everything before it.
    ///
    /// # Errors
    /// Nothing has changed. 47: the marker's epoch is older than the producer's here, or in version 2 not
    /// newer while a transaction is open. 52: the coordinator's is older. 56: the disk is full; it may be tried
    /// again.
    pub fn end_transaction(
        &mut self,
        id: PartitionId,
        now: Now,
        marker: Marker,
    ) -> Result<Appended, Refused> {
        let (log, shelf, round) = self.writable(id)?;
        let before = log.appended_bytes();
        let appended = log.end_transaction(shelf, now, &marker, round)?;
        let size_bytes = log.appended_bytes() - before;
        if !appended.duplicate {
            self.after_append(id, size_bytes as usize, now);
        }
        Ok(appended)
    }

    /// The aborted transactions with records or markers in `[from, until)`, by first offset. `until` must not
    /// exceed the last stable offset.
    ///
    /// # Errors
    /// When there is no log, or its index cannot be read: then the records must not be shown.
    pub fn aborted(
        &mut self,
        id: PartitionId,
        from: i64,
        until: i64,
    ) -> Result<Vec<Aborted>, ReadError> {
        self.with_log(id, |log, shelf| log.aborted(shelf, from, until))
    }
}

impl Log {
    /// Readers of committed records see what lies before this offset: everything before it is decided.
    #[must_use]
    pub fn last_stable_offset(&self) -> i64 {
        let watermark = self.high_watermark();
        let first = self.unstable.first().map(|(offset, _)| offset);
        let stable = first.map_or(watermark, |first| first.min(watermark));
        stable.max(self.log_start())
    }

    /// The transactions whose end the log does not have, by first offset.
    pub fn open_transactions(&self) -> impl Iterator<Item = OpenTransaction> {
        self.producers.open()
    }

    /// Whether the producer has a transaction open in just this epoch.
    #[must_use]
    pub fn has_open_transaction(&self, producer_id: i64, producer_epoch: i16) -> bool {
        self.producer(producer_id).is_some_and(|known| {
            known.producer_epoch == producer_epoch && known.transaction_start.is_some()
        })
    }

    /// What is known of a producer.
    #[must_use]
    pub fn producer(&self, producer_id: i64) -> Option<ProducerView> {
        self.producers.view(producer_id)
    }

    /// What is known of all producers, by their ids.
    pub fn producers(&self) -> impl Iterator<Item = ProducerView> {
        self.producers.views()
    }

    fn end_transaction(
        &mut self,
        shelf: &mut Shelf,
        now: Now,
        marker: &Marker,
        round: u64,
    ) -> Result<Appended, Refused> {
        match self.producers.check_marker(marker) {
            MarkerVerdict::Next => {}
            MarkerVerdict::Again => return Ok(self.marked_before()),
            MarkerVerdict::Refused(code, why) => return Err(Refused::new(code, why)),
        }
        let end = EndMarker {
            commits: marker.commits,
            coordinator_epoch: marker.coordinator_epoch,
        };
        let producer = (marker.producer_id, marker.producer_epoch);
        let is_append_time = self.config().timestamp_type == TimestampType::LogAppendTime;
        let bytes = end.batch(producer, (now.wall_ms, is_append_time));
        let (batch, _) = Batch::split_first(&bytes).expect("what was just built is a batch");
        self.write(
            shelf,
            now,
            (*batch.header(), batch.payload()),
            Some(end),
            round,
        )
    }

    /// The answer to the retry of a marker: where it is was not kept, so the answer waits for all that is there.
    fn marked_before(&self) -> Appended {
        Appended {
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: self.log_start(),
            round: self.round_of_unsynced(),
            duplicate: true,
        }
    }

    fn aborted(
        &mut self,
        shelf: &mut Shelf,
        from: i64,
        until: i64,
    ) -> Result<Vec<Aborted>, ReadError> {
        let mut found = Vec::new();
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let first = self.slot_of(from);
        for segment in &mut self.segments[first..] {
            if segment.search_aborted((shelf, place), (from, until), &mut found)? {
                break;
            }
        }
        found.sort_unstable_by_key(|aborted| aborted.first_offset);
        Ok(found)
    }
}
