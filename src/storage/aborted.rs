//! The aborted transactions of one segment: those whose markers it holds, in Apache Kafka's format.
//!
//! ```text
//! .txnindex    entry (34 bytes): version i16 = 0 | producer id i64 | first offset i64
//!              | last offset i64 (the marker's) | last stable offset i64
//! ```
//!
//! Entries stand in the order of their markers, so last offsets rise strictly and last stable offsets never
//! fall: a look-up begins with a binary search for the first transaction that ends at or behind the first
//! offset that is read, and is over at an entry whose last stable offset has reached the end of what is read: all
//! that begins before that has ended by then. A transaction may have begun in an earlier segment.
//!
//! New entries live in memory and reach the file at checkpoints, like those of the other indexes; what the
//! file holds stays there and is read in blocks. A reader goes on where it has been, so a look-up tries the
//! neighbourhood of the one before first, and mostly reads one block. A segment without aborted transactions has no
//! file. Unlike the other indexes this one is the only witness of what it says, once recovery does not read its segment
//! any more: one that cannot be understood fails the read, for else aborted records would be shown as committed.

use super::ReadError;
use super::producer_state::Ended;
use crate::disk::{File, FileRef};
use std::io;
use std::ops::Range;

/// Bytes of an entry of `.txnindex`.
pub(super) const ENTRY_BYTES: usize = 34;
/// Entries that are read at once.
const BLOCK_ENTRIES: u64 = 120;
/// How far before its end a look-up's successor may begin: transactions overlap.
const OVERLAP_ENTRIES: u64 = 8;
const VERSION: i16 = 0;

/// An aborted transaction, as a reader of committed records needs it: from `first_offset` on, the producer's records
/// are skipped until its abort marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Whose it was.
    pub producer_id: i64,
    /// The first offset of its first batch.
    pub first_offset: i64,
}

impl From<Entry> for Aborted {
    fn from(entry: Entry) -> Aborted {
        Aborted {
            producer_id: entry.producer_id,
            first_offset: entry.first_offset,
        }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
    pub(super) last_stable_offset: i64,
}

impl From<Ended> for Entry {
    fn from(ended: Ended) -> Entry {
        Entry {
            producer_id: ended.producer_id,
            first_offset: ended.first_offset,
            last_offset: ended.last_offset,
            last_stable_offset: ended.last_stable_offset,
        }
    }
}

impl Entry {
    fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        bytes[2..10].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.first_offset.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.last_offset.to_be_bytes());
        bytes[26..].copy_from_slice(&self.last_stable_offset.to_be_bytes());
        bytes
    }

    /// `None` of bytes that no transaction can be, such as zeros.
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Entry> {
        let field = |at: usize| bytes[at..].first_chunk().copied().map(i64::from_be_bytes);
        let entry = Entry {
            producer_id: field(2)?,
            first_offset: field(10)?,
            last_offset: field(18)?,
            last_stable_offset: field(26)?,
        };
        let is_known = i16::from_be_bytes([bytes[0], bytes[1]]) == VERSION;
        let is_one = entry.first_offset >= 0 && entry.first_offset < entry.last_offset;
        (is_known && is_one).then_some(entry)
    }

    fn follows(&self, before: &Entry) -> bool {
        self.last_offset > before.last_offset
    }
}

/// The index of one segment.
#[derive(Default)]
pub(super) struct AbortIndex {
    /// How many entries the file holds.
    stored: u64,
    /// Those behind them.
    fresh: Vec<Entry>,
    /// Where the next look-up tries first.
    hint: u64,
    /// The file cannot be understood: who needs it is answered an error, and nothing is written behind it.
    is_damaged: bool,
    /// The file, while it is open.
    pub(super) file: Option<FileRef>,
}

/// Entries that are to be written behind those that the file holds.
pub(super) struct Unstored {
    pub(super) position: u64,
    pub(super) bytes: Vec<u8>,
    /// What [`AbortIndex::set_stored`] wants to hear when they are there.
    pub(super) stored: u64,
}

impl AbortIndex {
    /// The index of a segment whose file holds so many entries.
    pub(super) fn found(stored: u64) -> AbortIndex {
        AbortIndex {
            stored,
            ..AbortIndex::default()
        }
    }

    /// The index of a segment whose file cannot be understood.
    pub(super) fn damaged() -> AbortIndex {
        AbortIndex {
            is_damaged: true,
            ..AbortIndex::default()
        }
    }

    /// Whether there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && !self.is_damaged
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u64 {
        self.stored + self.fresh.len() as u64
    }

    /// Whether a look-up needs the file.
    pub(super) fn has_stored(&self) -> bool {
        self.stored > 0
    }

    /// Adds a transaction whose marker was appended behind all others.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(self.fresh.last().is_none_or(|last| entry.follows(last)));
        self.fresh.push(entry);
    }

    /// Whether the file holds all entries that it is to hold.
    pub(super) fn is_stored(&self) -> bool {
        self.fresh.is_empty() || self.is_damaged
    }

    /// The entries that the file does not hold, if any.
    pub(super) fn unstored(&self) -> Option<Unstored> {
        let bytes = self.fresh.iter().flat_map(|entry| entry.encode());
        (!self.is_stored()).then(|| Unstored {
            position: self.stored * ENTRY_BYTES as u64,
            bytes: bytes.collect(),
            stored: self.len(),
        })
    }

    /// The entries of [`AbortIndex::unstored`] are in the file.
    pub(super) fn set_stored(&mut self, stored: u64) {
        debug_assert!(self.stored <= stored && stored <= self.len());
        self.fresh.drain(..(stored - self.stored) as usize);
        self.stored = stored;
    }

    /// The same index for a reader of its own, without the open file.
    pub(super) fn copy(&self) -> AbortIndex {
        AbortIndex {
            stored: self.stored,
            fresh: self.fresh.clone(),
            hint: 0,
            is_damaged: self.is_damaged,
            file: None,
        }
    }

    /// Adds the transactions that touch `[from, until)` to `found`. `file` is wanted if the index has stored
    /// entries. Answers whether later segments can have no more of them.
    pub(super) fn search<T: From<Entry>>(
        &mut self,
        file: Option<&dyn File>,
        (from, until): (i64, i64),
        found: &mut Vec<T>,
    ) -> Result<bool, ReadError> {
        if self.is_damaged {
            return Err(ReadError::Damaged);
        }
        let mut entries = Entries::new(self, file);
        let first = entries.first_that_ends_behind(from, self.hint)?;
        let mut last = None;
        for slot in first..self.len() {
            let entry = entries.get(slot)?;
            if entry.first_offset < until {
                found.push(entry.into());
            }
            if entry.last_stable_offset >= until {
                last = Some(slot);
                break;
            }
        }
        self.hint = last.unwrap_or(self.len()).saturating_sub(OVERLAP_ENTRIES);
        Ok(last.is_some())
    }
}

/// Entries by number, those of the file through a block of it.
struct Entries<'a> {
    index: &'a AbortIndex,
    file: Option<&'a dyn File>,
    block: [u8; BLOCK_ENTRIES as usize * ENTRY_BYTES],
    /// The entries that the block holds.
    held: Range<u64>,
}

impl<'a> Entries<'a> {
    fn new(index: &'a AbortIndex, file: Option<&'a dyn File>) -> Entries<'a> {
        Entries {
            index,
            file,
            block: [0; BLOCK_ENTRIES as usize * ENTRY_BYTES],
            held: 0..0,
        }
    }

    /// The number of the first entry whose marker is at or behind `offset`; how many there are if none is. The
    /// search begins at `hint`, and what a block holds is used before another is read.
    fn first_that_ends_behind(&mut self, offset: i64, hint: u64) -> Result<u64, ReadError> {
        let mut range = 0..self.index.len();
        let mut probe = hint.min(range.end.saturating_sub(1));
        while !range.is_empty() {
            if self.get(probe)?.last_offset < offset {
                range.start = probe + 1;
            } else {
                range.end = probe;
            }
            let at_hand = range.start.max(self.held.start)..range.end.min(self.held.end);
            probe = match range.end.saturating_sub(range.start) {
                _ if !at_hand.is_empty() => middle(&at_hand),
                // The rest fits into a block.
                ..=BLOCK_ENTRIES => range.start,
                _ => middle(&range),
            };
        }
        Ok(range.start)
    }

    fn get(&mut self, slot: u64) -> Result<Entry, ReadError> {
        if let Some(fresh) = slot.checked_sub(self.index.stored) {
            let entry = self.index.fresh.get(fresh as usize);
            return entry.copied().ok_or(ReadError::Damaged);
        }
        if !self.held.contains(&slot) {
            self.read_from(slot)?;
        }
        let at = (slot - self.held.start) as usize;
        let entry = self.block.as_chunks().0.get(at).and_then(Entry::decode);
        entry.ok_or(ReadError::Damaged)
    }

    fn read_from(&mut self, slot: u64) -> Result<(), ReadError> {
        let count = BLOCK_ENTRIES.min(self.index.stored - slot);
        let file = self.file.ok_or(ReadError::Damaged)?;
        let bytes = &mut self.block[..count as usize * ENTRY_BYTES];
        let got = file.read_at(slot * ENTRY_BYTES as u64, bytes)?;
        if got < bytes.len() {
            return Err(ReadError::Damaged);
        }
        self.held = slot..slot + count;
        Ok(())
    }
}

fn middle(range: &Range<u64>) -> u64 {
    range.start + range.end.saturating_sub(range.start) / 2
}

/// What of a file may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Believed {
    /// So many entries at its beginning are whole, in order and of markers before the offset that was asked for.
    pub(super) count: u64,
    /// What follows them is nothing, or of later markers. Else it was on its way to the disk when the process ended, or
    /// is damage.
    pub(super) is_sound: bool,
}

/// What of a file of `len_bytes` may be believed about markers before the offset `end`.
pub(super) fn believed(file: &dyn File, len_bytes: u64, end: i64) -> io::Result<Believed> {
    let index = AbortIndex::found(len_bytes / ENTRY_BYTES as u64);
    let mut entries = Entries::new(&index, Some(file));
    let mut last: Option<Entry> = None;
    for count in 0..index.len() {
        let entry = match entries.get(count) {
            Ok(entry) => Some(entry),
            Err(ReadError::Damaged) => None,
            Err(error) => return Err(error.into_io()),
        };
        let next = entry.filter(|entry| last.is_none_or(|last| entry.follows(&last)));
        if next.is_none_or(|entry| entry.last_offset >= end) {
            let is_sound = next.is_some();
            return Ok(Believed { count, is_sound });
        }
        last = next;
    }
    Ok(Believed {
        count: index.len(),
        is_sound: is_whole(len_bytes),
    })
}

/// Whether a file of that length can consist of entries.
pub(super) fn is_whole(len_bytes: u64) -> bool {
    len_bytes.is_multiple_of(ENTRY_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::disk::{Disk, Mode};
    use std::path::Path;

    /// Transaction n has offsets 10 n to 10 n + 12, so its end lies in the next one: entry n ends at 10 n + 12, and
    /// the next one is open then.
    fn entry(n: i64) -> Entry {
        Entry {
            producer_id: 1000 + n,
            first_offset: 10 * n,
            last_offset: 10 * n + 12,
            last_stable_offset: 10 * n + 10,
        }
    }

    /// An index of `count` entries, the first `stored` of which are in the file.
    fn sample(count: i64, stored: u64) -> (AbortIndex, FileRef) {
        let disk = SimDisk::new(1, Path::new("/data"));
        let file = disk.open(Path::new("/data/x"), Mode::Create).unwrap();
        let mut index = AbortIndex::default();
        for n in 0..count {
            if n as u64 == stored {
                store(&mut index, &file);
            }
            index.push(entry(n));
        }
        (index, file)
    }

    fn store(index: &mut AbortIndex, file: &FileRef) {
        if let Some(unstored) = index.unstored() {
            file.write_at(unstored.position, &[&unstored.bytes])
                .unwrap();
            index.set_stored(unstored.stored);
        }
    }

    fn search(index: &mut AbortIndex, file: &FileRef, from: i64, until: i64) -> (Vec<i64>, bool) {
        let mut found: Vec<Aborted> = Vec::new();
        let complete = index.search(Some(&**file), (from, until), &mut found);
        let producers = found.iter().map(|aborted| aborted.producer_id - 1000);
        (producers.collect(), complete.unwrap())
    }

    #[test]
    fn an_entry_has_kafkas_bytes_and_comes_back() {
        let entry = Entry {
            producer_id: 1,
            first_offset: 2,
            last_offset: 3,
            last_stable_offset: 4,
        };
        let bytes = entry.encode();
        let words: Vec<u8> = bytes[2..].chunks(8).map(|word| word[7]).collect();
        assert_eq!(
            (bytes.len(), &bytes[..2], words),
            (34, &[0, 0][..], vec![1, 2, 3, 4])
        );
        assert_eq!(Entry::decode(&bytes), Some(entry));
        assert_eq!(Entry::decode(&[0; 34]), None);
        let mut later = bytes;
        later[1] = 1;
        assert_eq!(Entry::decode(&later), None, "a version that is not known");
    }

    #[test]
    fn just_those_are_found_that_touch_the_range_wherever_they_are_kept() {
        for stored in [0, 1, 299, 300, 700, 1000] {
            let (mut index, file) = sample(1000, stored);
            if stored == 1000 {
                store(&mut index, &file);
            }
            for from in [0, 1, 12, 13, 2990, 2993, 5003, 9990, 10_002, 10_003] {
                for until in [from + 1, from + 10, from + 3000] {
                    let expected = (0..1000).filter(|n| {
                        let entry = entry(*n);
                        entry.last_offset >= from && entry.first_offset < until
                    });
                    let (found, complete) = search(&mut index, &file, from, until);
                    assert_eq!(found, expected.collect::<Vec<_>>(), "{from} to {until}");
                    assert_eq!(complete, until <= 10_000, "{from} to {until}");
                }
            }
        }
    }

    #[test]
    fn a_long_transaction_is_found_behind_those_that_it_held_back() {
        let mut index = AbortIndex::default();
        for n in 1..500 {
            index.push(Entry {
                last_stable_offset: 0,
                ..entry(n)
            });
        }
        index.push(Entry {
            first_offset: 0,
            ..entry(500)
        });
        let (_, file) = sample(0, 0);
        assert_eq!(search(&mut index, &file, 13, 15), (vec![1, 500], true));
    }

    #[test]
    fn a_big_index_is_not_walked() {
        let disk = SimDisk::new(1, Path::new("/data"));
        let file = disk.open(Path::new("/data/x"), Mode::Create).unwrap();
        let mut index = AbortIndex::default();
        (0..100_000).for_each(|n| index.push(entry(n)));
        store(&mut index, &file);
        let mut reads = |from| {
            let before = disk.reads();
            let found = search(&mut index, &file, from, from + 100).0;
            assert_eq!((found.len(), found[0]), (11, from / 10));
            disk.reads() - before
        };
        assert!(reads(500_003) < 15);
        assert_eq!(reads(500_103), 1, "the next range");
        assert_eq!(reads(500_203), 1);
        assert!(reads(3) < 15);
    }

    #[test]
    fn a_file_that_is_not_what_it_was_is_an_error_and_never_an_empty_answer() {
        let (mut index, file) = sample(300, 0);
        store(&mut index, &file);
        let mut found: Vec<Aborted> = Vec::new();
        assert!(matches!(
            index.search(None, (0, 10), &mut found),
            Err(ReadError::Damaged)
        ));
        file.write_at(34 * 2, &[&[0; 34]]).unwrap();
        assert!(matches!(
            index.search(Some(&*file), (0, 100), &mut found),
            Err(ReadError::Damaged)
        ));
        file.set_len(34 * 299).unwrap();
        assert!(matches!(
            index.search(Some(&*file), (2900, 2901), &mut found),
            Err(ReadError::Damaged)
        ));
    }

    #[test]
    fn what_a_cut_has_left_of_the_end_is_not_believed() {
        let (mut index, file) = sample(10, 0);
        store(&mut index, &file);
        let believed = |len, end| {
            let believed = believed(&*file, len, end).unwrap();
            (believed.count, believed.is_sound)
        };
        assert_eq!(believed(340, i64::MAX), (10, true));
        assert_eq!(believed(339, i64::MAX), (9, false));
        assert_eq!(believed(340, 52), (4, true), "entry 4 ends at 52");
        assert_eq!(believed(340, 53), (5, true));
        file.write_at(34 * 7, &[&entry(6).encode()]).unwrap();
        assert_eq!(believed(340, i64::MAX), (7, false), "no entry twice");
        file.write_at(34 * 3, &[&[0; 34]]).unwrap();
        assert_eq!(believed(340, i64::MAX), (3, false));
    }
}
