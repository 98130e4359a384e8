//! The index of one segment: offsets to positions, and timestamps to offsets, in Apache Kafka's formats.
//!
//! ```text
//! .index       entry (8 bytes):  offset - base offset u32 | position u32
//! .timeindex   entry (12 bytes): timestamp i64 | offset - base offset u32
//! ```
//!
//! One entry of each at most for every `index.interval.bytes` of log. An offset entry names the last offset
//! of a batch (or of a few that a foreign broker wrote together) and the position where it begins. A
//! time entry says: the greatest timestamp up to here is this one, and the batch that ends at this offset
//! was the first to have it.
//!
//! Entries live in memory and reach the disk at checkpoints, at the end of a segment and at a clean stop.
//! Invariants: offsets and positions rise strictly, timestamps rise strictly and their offsets never fall. A file that
//! breaks them (also the zeros that Kafka preallocates) is believed up to that point: a shorter index
//! makes a look-up slower, never wrong.

/// An offset as the indexes of the segment at `base` count it.
pub(super) fn relative(base: i64, offset: i64) -> u32 {
    u32::try_from(offset.saturating_sub(base).max(0)).unwrap_or(u32::MAX)
}

/// Bytes of an entry of `.index`.
pub(super) const OFFSET_ENTRY_BYTES: usize = 8;
/// Bytes of an entry of `.timeindex`.
pub(super) const TIME_ENTRY_BYTES: usize = 12;

/// A batch's place, given relative to its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetEntry {
    /// The last offset, minus the segment's base offset.
    offset: u32,
    position: u32,
}

/// The greatest timestamp so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeEntry {
    timestamp_ms: i64,
    /// The last offset of the first batch that has it, minus the segment's base offset.
    offset: u32,
}

/// Both indexes of a segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    offsets: Vec<OffsetEntry>,
    times: Vec<TimeEntry>,
    /// How many entries of each the files hold.
    stored: (usize, usize),
    /// Bytes of log since the last entry.
    bytes_since_entry: u64,
}

/// Entries that are to be written behind those that a segment's files already hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unstored {
    /// For `.index`: byte position and bytes.
    pub(super) offsets: (u64, Vec<u8>),
    /// For `.timeindex`.
    pub(super) times: (u64, Vec<u8>),
    /// What [`Index::set_stored`] wants to hear when they are there.
    pub(super) stored: (usize, usize),
}

impl Index {
    /// Reads both files of a segment of `segment_bytes`, as far as they can be believed; entries at or
    /// beyond `end` (an offset relative to the segment's base) are left out.
    pub(super) fn decode(offsets: &[u8], times: &[u8], segment_bytes: u64, end: u64) -> Index {
        let mut index = Index::default();
        for entry in offsets.as_chunks::<OFFSET_ENTRY_BYTES>().0 {
            let (offset, position) = split_u32(u64::from_be_bytes(*entry));
            let inside = u64::from(position) < segment_bytes && u64::from(offset) < end;
            if !inside || !index.push_offset(offset, position) {
                break;
            }
        }
        for [timestamp @ .., a, b, c, d] in times.as_chunks::<TIME_ENTRY_BYTES>().0 {
            let offset = u32::from_be_bytes([*a, *b, *c, *d]);
            let timestamp_ms = i64::from_be_bytes(*timestamp);
            if u64::from(offset) >= end || !index.push_time(timestamp_ms, offset) {
                break;
            }
        }
        index.stored = (index.offsets.len(), index.times.len());
        index
    }

    /// Takes note of a batch that was appended at `position`; `newest` is the greatest timestamp of the
    /// segment including this batch, with the last offset of the batch that had it first.
    pub(super) fn note(
        &mut self,
        interval_bytes: u64,
        (last_offset, position, size_bytes): (u32, u64, u64),
        newest: (i64, u32),
    ) {
        if self.bytes_since_entry > interval_bytes {
            if let Ok(position) = u32::try_from(position) {
                self.push_offset(last_offset, position);
            }
            self.push_time(newest.0, newest.1);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += size_bytes;
    }

    /// Adds an offset entry if it keeps the order; position 0 needs none.
    fn push_offset(&mut self, offset: u32, position: u32) -> bool {
        let last = self
            .offsets
            .last()
            .map_or((None, 0), |e| (Some(e.offset), e.position));
        let rises = last.0.is_none_or(|last| offset > last) && position > last.1;
        if rises {
            self.offsets.push(OffsetEntry { offset, position });
        }
        rises
    }

    /// Adds a time entry if it keeps the order; "no timestamp" (-1) needs none.
    pub(super) fn push_time(&mut self, timestamp_ms: i64, offset: u32) -> bool {
        let rises = match self.times.last() {
            Some(last) => timestamp_ms > last.timestamp_ms && offset >= last.offset,
            None => timestamp_ms >= 0,
        };
        if rises {
            self.times.push(TimeEntry {
                timestamp_ms,
                offset,
            });
        }
        rises
    }

    /// A position from which a walk finds the batch that holds `offset`.
    pub(super) fn position_before_offset(&self, offset: u32) -> u64 {
        let after = self.offsets.partition_point(|e| e.offset <= offset);
        self.position_at(after)
    }

    /// The least known beginning of a batch that ends at or behind `offset`.
    pub(super) fn position_behind_offset(&self, offset: u32) -> Option<u64> {
        let slot = self.offsets.partition_point(|e| e.offset < offset);
        self.offsets.get(slot).map(|e| u64::from(e.position))
    }

    /// The greatest known beginning of a batch at or before `position` that ends before the offset `end`.
    pub(super) fn position_before(&self, position: u64, end: u64) -> u64 {
        let after = self
            .offsets
            .partition_point(|e| u64::from(e.position) <= position && u64::from(e.offset) < end);
        self.position_at(after)
    }

    fn position_at(&self, after: usize) -> u64 {
        let entry = after.checked_sub(1).map(|slot| self.offsets[slot]);
        entry.map_or(0, |e| u64::from(e.position))
    }

    /// An offset before which every timestamp is below `timestamp_ms`.
    pub(super) fn offset_before_time(&self, timestamp_ms: i64) -> u32 {
        let after = self
            .times
            .partition_point(|e| e.timestamp_ms <= timestamp_ms);
        after
            .checked_sub(1)
            .map_or(0, |slot| self.times[slot].offset)
    }

    /// The last time entry: the greatest timestamp that is known.
    pub(super) fn newest(&self) -> Option<(i64, u32)> {
        self.times.last().map(|e| (e.timestamp_ms, e.offset))
    }

    /// Whether either file would exceed `max_bytes` (`segment.index.bytes`) with one entry more; as in
    /// Kafka, the last slot of the time index is kept for the end of the segment.
    pub(super) fn is_full(&self, max_bytes: u64) -> bool {
        let bytes = |entries: usize, size: usize| (entries * size) as u64;
        bytes(self.offsets.len() + 1, OFFSET_ENTRY_BYTES) > max_bytes
            || bytes(self.times.len() + 2, TIME_ENTRY_BYTES) > max_bytes
    }

    /// Whether the files hold all entries.
    pub(super) fn is_stored(&self) -> bool {
        self.stored == (self.offsets.len(), self.times.len())
    }

    /// The lengths of the files, as far as they are believed.
    pub(super) fn stored_bytes(&self) -> (u64, u64) {
        let (offsets, times) = self.stored;
        (
            (offsets * OFFSET_ENTRY_BYTES) as u64,
            (times * TIME_ENTRY_BYTES) as u64,
        )
    }

    /// The entries that the files do not hold.
    pub(super) fn unstored(&self) -> Unstored {
        let (offsets, times) = self.stored;
        let bytes = |entries: usize, size: usize| (entries * size) as u64;
        Unstored {
            offsets: (
                bytes(offsets, OFFSET_ENTRY_BYTES),
                encode_offsets(&self.offsets[offsets..]),
            ),
            times: (
                bytes(times, TIME_ENTRY_BYTES),
                encode_times(&self.times[times..]),
            ),
            stored: (self.offsets.len(), self.times.len()),
        }
    }

    /// The entries of [`Index::unstored`] are in the files.
    pub(super) fn set_stored(&mut self, stored: (usize, usize)) {
        debug_assert!(stored.0 <= self.offsets.len() && stored.1 <= self.times.len());
        self.stored = stored;
    }
}

fn encode_offsets(entries: &[OffsetEntry]) -> Vec<u8> {
    let words = entries
        .iter()
        .map(|e| (u64::from(e.offset) << 32) | u64::from(e.position));
    words.flat_map(u64::to_be_bytes).collect()
}

fn encode_times(entries: &[TimeEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * TIME_ENTRY_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&entry.timestamp_ms.to_be_bytes());
        bytes.extend_from_slice(&entry.offset.to_be_bytes());
    }
    bytes
}

fn split_u32(word: u64) -> (u32, u32) {
    let low = word & u64::from(u32::MAX);
    ((word >> 32) as u32, low as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten batches of ten offsets and 100 bytes; the time rises by one from batch to batch.
    fn sample() -> Index {
        let mut index = Index::default();
        for batch in 0..10u32 {
            let last = batch * 10 + 9;
            index.note(
                0,
                (last, u64::from(batch) * 100, 100),
                (i64::from(batch) + 1000, last),
            );
        }
        index
    }

    #[test]
    fn the_first_batch_needs_no_entry_and_every_later_one_has_its_own() {
        let index = sample();
        assert_eq!(index.offsets.len(), 9);
        assert_eq!(index.position_before_offset(0), 0);
        assert_eq!(index.position_before_offset(18), 0);
        assert_eq!(index.position_before_offset(19), 100);
        assert_eq!(index.position_before_offset(u32::MAX), 900);
    }

    #[test]
    fn entries_are_an_interval_apart() {
        let mut index = Index::default();
        for batch in 0..100u32 {
            index.note(350, (batch, u64::from(batch) * 100, 100), (-1, 0));
        }
        let positions: Vec<u32> = index.offsets.iter().take(3).map(|e| e.position).collect();
        assert_eq!(positions, [400, 800, 1200]);
        assert_eq!(index.newest(), None, "no timestamp, no entry");
    }

    #[test]
    fn positions_are_bounded_by_position_and_by_offset() {
        let index = sample();
        assert_eq!(index.position_before(250, u64::MAX), 200);
        assert_eq!(
            index.position_before(900, 30),
            200,
            "batch 20..=29 ends below 30"
        );
        assert_eq!(index.position_before(99, u64::MAX), 0);
        let behind = |offset| index.position_behind_offset(offset);
        assert_eq!(
            [0, 10, 19, 20, 99, 100].map(behind),
            [Some(100), Some(100), Some(100), Some(200), Some(900), None]
        );
    }

    #[test]
    fn a_time_leads_to_an_offset_behind_which_it_is_found() {
        let index = sample();
        assert_eq!(index.offset_before_time(0), 0);
        assert_eq!(index.offset_before_time(1003), 39);
        assert_eq!(index.offset_before_time(i64::MAX), 99);
        assert_eq!(index.newest(), Some((1009, 99)));
    }

    #[test]
    fn both_files_come_back() {
        let index = sample();
        let unstored = index.unstored();
        assert_eq!(unstored.offsets.1[..8], [0, 0, 0, 19, 0, 0, 0, 100]);
        let back = Index::decode(&unstored.offsets.1, &unstored.times.1, 1000, u64::MAX);
        assert_eq!(back.offsets, index.offsets);
        assert_eq!(back.times, index.times);
        assert!(back.is_stored() && !index.is_stored());
    }

    #[test]
    fn only_what_the_files_lack_is_written() {
        let mut index = sample();
        let first = index.unstored();
        index.set_stored(first.stored);
        assert!(index.is_stored());
        index.note(0, (109, 1000, 100), (2000, 109));
        let second = index.unstored();
        assert_eq!(second.offsets, (72, vec![0, 0, 0, 109, 0, 0, 3, 232]));
        assert_eq!(second.times.0, 9 * 12);
        let offsets = [first.offsets.1, second.offsets.1].concat();
        assert_eq!(
            Index::decode(&offsets, &[], 2000, u64::MAX).offsets.len(),
            10
        );
    }

    #[test]
    fn zeros_disorder_and_positions_outside_end_what_is_believed() {
        let index = sample();
        let mut offsets = encode_offsets(&index.offsets);
        offsets.extend([0; 64]);
        let mut times = encode_times(&index.times);
        times.extend([0; 120]);
        let back = Index::decode(&offsets, &times, 1000, u64::MAX);
        assert_eq!((back.offsets.len(), back.times.len()), (9, 9));
        assert_eq!(Index::decode(&offsets, &[], 500, u64::MAX).offsets.len(), 4);
        assert_eq!(Index::decode(&offsets, &times, 1000, 40).stored, (3, 3));
        offsets[16..24].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(
            Index::decode(&offsets, &[], 1000, u64::MAX).offsets.len(),
            2
        );
        assert_eq!(
            Index::decode(&offsets[..13], &[], 1000, u64::MAX)
                .offsets
                .len(),
            1
        );
        assert!(
            Index::decode(&[0; 80], &[0; 12], 1000, u64::MAX)
                .newest()
                .is_some_and(|n| n == (0, 0))
        );
    }

    #[test]
    fn a_full_index_says_so_and_keeps_the_last_slot_of_the_times() {
        let index = sample();
        assert!(index.is_full(9 * 8));
        assert!(
            index.is_full(10 * 12),
            "9 entries and one kept leave no slot"
        );
        assert!(!index.is_full(11 * 12));
    }
}
