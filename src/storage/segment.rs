//! One segment of a partition: a file of record batches and its index.
//!
//! The file is opened when it is needed (see `shelf`), the index is read when it is needed, and both may go
//! again while nothing is unsaved. Space is reserved ahead in steps that grow with the segment (64 KiB to 1
//! MiB), never before the first append, and given back when the segment ends.
//! Invariants: `len` counts whole batches only and never passes the file's length; a failed append leaves the
//! file as long as `len`; a file is cut only where no reader can have seen it.

use super::aborted::{self, AbortIndex, Aborted};
use super::cleaner::Replacement;
use super::heads::{Head, Heads, Met};
use super::index::{Index, Unstored, relative};
use super::names::{self, Kind};
use super::shelf::Shelf;
use super::{PartitionId, ReadError, checkpoint};
use crate::clock::{Mono, Now};
use crate::disk::{FileRef, Mode};
use crate::proto::batch::{BatchHeader, HEADER_BYTES};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RESERVE_MIN_BYTES: u64 = 64 * 1024;
const RESERVE_MAX_BYTES: u64 = 1024 * 1024;

/// Whose segments are meant.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) id: PartitionId,
    pub(super) dir: &'a Path,
}

/// A part of a segment: whole batches, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) position: u64,
    pub(super) len: u64,
    /// All its offsets lie before this one.
    pub(super) until: i64,
    /// The range ends because the bytes asked for are used up or an offset bound was met, not because
    /// the segment ends.
    pub(super) bounded: bool,
}

/// One segment.
pub(super) struct Segment {
    base: i64,
    len: u64,
    /// The greatest timestamp and the last offset of the first batch that has it.
    newest: (i64, i64),
    /// The index has told it.
    knows_newest: bool,
    /// The greatest timestamp of the first batch; `None` when it was not read yet.
    first_timestamp_ms: Option<i64>,
    /// Broker time of the segment's creation, or of the start of the process.
    created_ms: i64,
    /// When its file was last written to, by the clock of the machine.
    modified_ms: Option<i64>,
    /// When this process has appended to it last.
    appended: Option<Mono>,
    reserved: u64,
    file: Option<FileRef>,
    index: Option<Box<Index>>,
    /// Aborted transactions, if there are any.
    aborts: Option<Box<AbortIndex>>,
    /// Written since the last round.
    dirty: bool,
    /// Used since the shelf last asked.
    used: bool,
    /// Its files do not have their names yet: what is open and in memory stays so.
    held: bool,
}

impl Segment {
    /// A segment that is about to be created.
    pub(super) fn fresh(base: i64, now_ms: i64) -> Segment {
        let mut segment = Segment::found(base, 0, now_ms);
        segment.index = Some(Box::default());
        segment.knows_newest = true;
        segment
    }

    /// A segment that was there at the start.
    pub(super) fn found(base: i64, len: u64, now_ms: i64) -> Segment {
        Segment {
            base,
            len,
            newest: (-1, base),
            knows_newest: false,
            first_timestamp_ms: None,
            created_ms: now_ms,
            modified_ms: None,
            appended: None,
            reserved: len,
            file: None,
            index: None,
            aborts: None,
            dirty: false,
            used: false,
            held: false,
        }
    }

    /// A segment that takes the place of others, the last of which is `old`. It is served through open files until they
    /// have their names.
    pub(super) fn replacing(new: Replacement, old: &Segment) -> Segment {
        let mut segment = Segment::found(new.base, new.len, old.created_ms).with_aborts(new.aborts);
        segment.newest = new.newest;
        segment.knows_newest = true;
        segment.first_timestamp_ms = Some(new.first_ms);
        segment.modified_ms = old.modified_ms;
        segment.appended = old.appended;
        segment.file = Some(new.file);
        segment.index = Some(Box::new(new.index));
        segment.held = true;
        segment
    }

    /// Its files have their names: they may be closed and opened again.
    pub(super) fn release(&mut self) {
        self.held = false;
        self.file = None;
        if let Some(aborts) = &mut self.aborts {
            aborts.file = None;
        }
        self.forget_index();
    }

    /// Its aborted transactions, for a reader of its own.
    pub(super) fn copy_aborts(&self) -> AbortIndex {
        self.aborts
            .as_ref()
            .map_or_else(AbortIndex::default, |aborts| aborts.copy())
    }

    /// Tells a found segment when its file was last written to; 0 is not known.
    pub(super) fn with_modified(mut self, ms: i64) -> Segment {
        self.modified_ms = (ms > 0).then_some(ms);
        self
    }

    /// Gives a fresh segment its file.
    pub(super) fn set_file(&mut self, file: FileRef) {
        self.file = Some(file);
    }

    /// Gives a found segment the index that recovery made of it.
    pub(super) fn with_index(mut self, index: Index, newest: (i64, i64)) -> Segment {
        self.newest = newest;
        self.set_index(index);
        self
    }

    /// Gives a found segment its aborted transactions.
    pub(super) fn with_aborts(mut self, aborts: AbortIndex) -> Segment {
        self.aborts = (!aborts.is_empty()).then(|| Box::new(aborts));
        self
    }

    pub(super) fn base(&self) -> i64 {
        self.base
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// When it was last appended to, as well as that is known (ListOffsets 0 asks).
    pub(super) fn modified_ms(&self) -> i64 {
        let known = self
            .modified_ms
            .or((self.newest.0 >= 0).then_some(self.newest.0));
        known.unwrap_or(self.created_ms)
    }

    /// When its file was last written to, as the clock of the machine showed it then.
    pub(super) fn written_ms(&self) -> Option<i64> {
        self.modified_ms
    }

    /// How long ago this process has appended to it last.
    pub(super) fn held_ms(&self, now: Mono) -> Option<i64> {
        let us = now.since_us(self.appended?);
        Some(i64::try_from(us / 1000).unwrap_or(i64::MAX))
    }

    /// Its file is as if it had been written to at that time. Where the disk does not take that it holds for as long as
    /// the process runs.
    pub(super) fn set_written(&mut self, shelf: &mut Shelf, place: Place<'_>, ms: i64) {
        self.modified_ms = Some(ms);
        let _ = self
            .file(shelf, place)
            .and_then(|file| file.set_modified(ms));
    }

    pub(super) fn path(&self, place: Place<'_>, kind: Kind) -> PathBuf {
        place.dir.join(names::file(self.base, kind))
    }

    fn relative(&self, offset: i64) -> u32 {
        relative(self.base, offset)
    }

    /// The open file.
    pub(super) fn file(&mut self, shelf: &mut Shelf, place: Place<'_>) -> io::Result<FileRef> {
        self.used = true;
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let path = self.path(place, Kind::Log);
        let file = shelf.open((place.id, self.base), &path, Mode::Write)?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Closes the file and forgets the index, unless it was used lately, or a round is to sync it soon
    /// (`is_durable`). A relaxed segment stays dirty, and is opened again to be synced.
    pub(super) fn close_if_idle(&mut self, is_durable: bool) -> bool {
        let wanted = std::mem::take(&mut self.used) || self.held || (self.dirty && is_durable);
        if !wanted {
            self.give_back();
            self.file = None;
            if let Some(aborts) = &mut self.aborts {
                aborts.file = None;
            }
            self.forget_index();
        }
        !wanted
    }

    /// Gives reserved space back, which is not to pass for an append. That it fails is no harm.
    pub(super) fn give_back(&mut self) {
        if let Some(file) = &self.file
            && self.reserved > self.len
        {
            let _ = file.set_len(self.len);
            if let Some(ms) = self.modified_ms {
                let _ = file.set_modified(ms);
            }
            self.reserved = self.len;
        }
    }

    /// Forgets the index if its files have all of it.
    pub(super) fn forget_index(&mut self) {
        if !self.held && self.index.as_ref().is_some_and(|index| index.is_stored()) {
            self.index = None;
        }
    }

    fn set_index(&mut self, index: Index) {
        if let Some((timestamp, offset)) = index.newest()
            && timestamp > self.newest.0
        {
            self.newest = (timestamp, self.base + i64::from(offset));
        }
        self.knows_newest = true;
        self.index = Some(Box::new(index));
    }

    /// The index, read from its files when it is not in memory.
    pub(super) fn index(&mut self, shelf: &mut Shelf, place: Place<'_>) -> io::Result<&mut Index> {
        if self.index.is_none() {
            let read = |kind| checkpoint::read_bytes(&*shelf.disk, &self.path(place, kind));
            let offsets = read(Kind::Index)?.unwrap_or_default();
            let times = read(Kind::TimeIndex)?.unwrap_or_default();
            shelf.note_index((place.id, self.base), offsets.len() + times.len());
            self.set_index(Index::decode(&offsets, &times, self.len, u64::MAX));
        }
        Ok(self.index.get_or_insert_default())
    }

    /// The file, if it is open.
    pub(super) fn open_file(&self) -> Option<FileRef> {
        self.file.clone()
    }

    /// Whether its greatest timestamp is known without a look at its index.
    pub(super) fn knows_newest(&self) -> bool {
        self.knows_newest
    }

    /// The greatest timestamp, or -1.
    pub(super) fn newest_ms(&mut self, shelf: &mut Shelf, place: Place<'_>) -> io::Result<i64> {
        if !self.knows_newest {
            self.index(shelf, place)?;
        }
        Ok(self.newest.0)
    }

    /// Where a look-up of `timestamp_ms` begins.
    pub(super) fn position_before_time(
        &mut self,
        shelf: &mut Shelf,
        place: Place<'_>,
        timestamp_ms: i64,
    ) -> io::Result<u64> {
        let index = self.index(shelf, place)?;
        let offset = index.offset_before_time(timestamp_ms);
        Ok(index.position_before_offset(offset))
    }

    /// Appends one batch: its patched header, and the payload where it lies.
    ///
    /// # Errors
    /// Nothing has changed, but for [`Unwritten::Torn`].
    pub(super) fn append(
        &mut self,
        (shelf, place): (&mut Shelf, Place<'_>),
        batch: &BatchHeader,
        payload: &[u8],
        (interval_bytes, now): (u64, Now),
    ) -> Result<(), Unwritten> {
        let file = self.file(shelf, place).map_err(Unwritten::Untouched)?;
        self.index(shelf, place).map_err(Unwritten::Untouched)?;
        let size_bytes = (HEADER_BYTES + payload.len()) as u64;
        self.reserve(&file, size_bytes);
        if let Err(error) = file.write_at(self.len, &[&batch.to_bytes(), payload]) {
            self.reserved = self.len;
            return Err(match file.set_len(self.len) {
                Ok(()) => Unwritten::CutBack(error),
                Err(_) => Unwritten::Torn(error),
            });
        }
        self.dirty = true;
        self.modified_ms = Some(now.wall_ms);
        self.appended = Some(now.mono);
        self.note(batch, self.len, size_bytes, interval_bytes);
        self.len += size_bytes;
        Ok(())
    }

    /// Takes note of a batch that lies at `position`.
    fn note(&mut self, batch: &BatchHeader, position: u64, size_bytes: u64, interval_bytes: u64) {
        if position == 0 {
            self.first_timestamp_ms = Some(batch.max_timestamp);
        }
        if batch.max_timestamp > self.newest.0 {
            self.newest = (batch.max_timestamp, batch.last_offset());
        }
        let place = (self.relative(batch.last_offset()), position, size_bytes);
        let newest = (self.newest.0, self.relative(self.newest.1));
        if let Some(index) = &mut self.index {
            index.note(interval_bytes, place, newest);
        }
    }

    /// Reserves space for `more_bytes` and some to come. That it fails is no harm: the write will tell.
    fn reserve(&mut self, file: &FileRef, more_bytes: u64) {
        let needed = self.len + more_bytes;
        if needed > self.reserved {
            let ahead = self
                .len
                .clamp(RESERVE_MIN_BYTES, RESERVE_MAX_BYTES)
                .max(more_bytes);
            let _ = file.reserve(self.len, ahead);
            self.reserved = self.len + ahead;
        }
    }

    /// Whether the next batch needs a new segment: this one is full, old, or cannot count so far.
    pub(super) fn must_roll(
        &mut self,
        (shelf, place): (&mut Shelf, Place<'_>),
        batch: &BatchHeader,
        limits: RollLimits,
    ) -> io::Result<bool> {
        if self.len == 0 {
            return Ok(batch.last_offset() - self.base > i64::from(i32::MAX));
        }
        let full = self.len + batch.size_bytes() as u64 > limits.segment_bytes
            || batch.last_offset() - self.base > i64::from(i32::MAX)
            || self.index(shelf, place)?.is_full(limits.index_bytes);
        Ok(full || self.age_ms(shelf, place, batch, limits.now_ms)? > limits.age_ms)
    }

    /// By the records' time; by the broker's where the first batch has none.
    fn age_ms(
        &mut self,
        shelf: &mut Shelf,
        place: Place<'_>,
        batch: &BatchHeader,
        now_ms: i64,
    ) -> io::Result<i64> {
        if self.first_timestamp_ms.is_none() {
            let first = self.find_head(shelf, place, 0, |_| true);
            let first = first.map_err(ReadError::into_io)?;
            self.first_timestamp_ms = Some(first.map_or(-1, |head| head.max_timestamp_ms));
        }
        Ok(match self.first_timestamp_ms {
            Some(first) if first >= 0 => batch.max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        })
    }

    /// The segment ends here: its newest timestamp becomes its last time entry.
    pub(super) fn seal_times(&mut self) {
        let offset = self.relative(self.newest.1);
        if let Some(index) = &mut self.index {
            index.push_time(self.newest.0, offset);
        }
    }

    /// The next round is to sync it.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// It is on disk, or in a round.
    pub(super) fn set_clean(&mut self) {
        self.dirty = false;
    }

    /// Index entries that are only in memory, if any.
    pub(super) fn unstored(&self) -> Option<Unstored> {
        let index = self.index.as_ref().filter(|index| !index.is_stored())?;
        Some(index.unstored())
    }

    /// Such entries have been written.
    pub(super) fn set_stored(&mut self, stored: (usize, usize)) {
        if let Some(index) = &mut self.index {
            index.set_stored(stored);
        }
    }

    /// Whether anything of its indexes is only in memory.
    pub(super) fn has_unstored(&self) -> bool {
        self.index.as_ref().is_some_and(|index| !index.is_stored())
            || self
                .aborts
                .as_ref()
                .is_some_and(|aborts| !aborts.is_stored())
    }

    /// The marker of an aborted transaction has been appended.
    pub(super) fn note_aborted(&mut self, entry: aborted::Entry) {
        self.aborts.get_or_insert_default().push(entry);
    }

    /// Entries about aborted transactions that are only in memory, if any.
    pub(super) fn unstored_aborts(&self) -> Option<aborted::Unstored> {
        self.aborts.as_ref()?.unstored()
    }

    /// Such entries have been written.
    pub(super) fn set_stored_aborts(&mut self, stored: u64) {
        if let Some(aborts) = &mut self.aborts {
            aborts.set_stored(stored);
        }
    }

    /// Adds the aborted transactions that touch `[from, until)` and have their markers here; answers whether
    /// later segments can have no more.
    pub(super) fn search_aborted(
        &mut self,
        (shelf, place): (&mut Shelf, Place<'_>),
        range: (i64, i64),
        found: &mut Vec<Aborted>,
    ) -> Result<bool, ReadError> {
        let Some(aborts) = &mut self.aborts else {
            return Ok(false);
        };
        self.used = true;
        if aborts.has_stored() && aborts.file.is_none() {
            let path = place.dir.join(names::file(self.base, Kind::TxnIndex));
            let file = shelf.open((place.id, self.base), &path, Mode::Write)?;
            aborts.file = Some(file);
        }
        let file = aborts.file.clone();
        aborts.search(file.as_deref(), range, found)
    }

    /// The first batch from `position` on that is `wanted`.
    pub(super) fn find_head(
        &mut self,
        shelf: &mut Shelf,
        place: Place<'_>,
        position: u64,
        wanted: impl Fn(&Head) -> bool,
    ) -> Result<Option<Head>, ReadError> {
        let file = self.file(shelf, place)?;
        let mut heads = Heads::new(&*file, &mut shelf.buffer, position, self.len);
        match heads.find(wanted) {
            Ok(Met::Batch(head)) => Ok(Some(head)),
            Ok(Met::End) => Ok(None),
            Ok(Met::Broken(_)) => Err(ReadError::Damaged),
            Err(error) => Err(error.into()),
        }
    }

    /// The batch that holds `offset`, or the first one behind it.
    pub(super) fn find_offset(
        &mut self,
        shelf: &mut Shelf,
        place: Place<'_>,
        offset: i64,
    ) -> Result<Option<Head>, ReadError> {
        let relative = self.relative(offset);
        let wanted = |head: &Head| head.last_offset >= offset;
        let position = self.index(shelf, place)?.position_before_offset(relative);
        match self.find_head(shelf, place, position, wanted) {
            // The damage may be the index's.
            Err(ReadError::Damaged) if position > 0 => self.find_head(shelf, place, 0, wanted),
            found => found,
        }
    }

    /// The whole batches behind and including `first` that end before the offset `until` and within
    /// `max_bytes`. `next_base` is the first offset behind this segment.
    pub(super) fn span(
        &mut self,
        (shelf, place): (&mut Shelf, Place<'_>),
        first: &Head,
        (until, next_base): (i64, i64),
        max_bytes: u64,
    ) -> Result<Span, ReadError> {
        let limit = first.position.saturating_add(max_bytes);
        if until >= next_base && limit >= self.len {
            return Ok(Span {
                position: first.position,
                len: self.len - first.position,
                until: next_base,
                bounded: false,
            });
        }
        let before = u64::try_from(until.saturating_sub(self.base)).unwrap_or(0);
        let index = self.index(shelf, place)?;
        let start = index.position_before(limit, before).max(first.position);
        let file = self.file(shelf, place)?;
        let mut heads = Heads::new(&*file, &mut shelf.buffer, start, self.len);
        let met = heads.find(|head| head.end() > limit || head.last_offset >= until);
        let (end, until) = match met {
            Ok(Met::Batch(head)) => (head.position, head.base_offset),
            Ok(Met::End) => (self.len, next_base),
            Ok(Met::Broken(position)) => (position, next_base),
            Err(error) => return Err(error.into()),
        };
        Ok(Span {
            position: first.position,
            len: end - first.position,
            until,
            bounded: true,
        })
    }

    /// A position at or before that of `offset`, from what is in memory.
    pub(super) fn position_before(&self, offset: i64) -> u64 {
        let relative = self.relative(offset);
        self.index
            .as_ref()
            .map_or(0, |index| index.position_before_offset(relative))
    }

    /// A position at or behind that of the batch that begins with `offset`, from what is in memory.
    pub(super) fn position_behind(&self, offset: i64) -> u64 {
        let relative = self.relative(offset);
        let known = self
            .index
            .as_ref()
            .and_then(|index| index.position_behind_offset(relative));
        known.unwrap_or(self.len)
    }
}

/// Why a batch was not appended.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// The files could not be opened; nothing was tried.
    Untouched(io::Error),
    /// The write failed, and the file is as long as it was.
    CutBack(io::Error),
    /// The write failed, and the file could not be cut back.
    Torn(io::Error),
}

/// What closes a segment, with `segment.ms` less this segment's jitter.
#[derive(Clone, Copy)]
pub(super) struct RollLimits {
    pub(super) segment_bytes: u64,
    pub(super) index_bytes: u64,
    pub(super) age_ms: i64,
    pub(super) now_ms: i64,
}
