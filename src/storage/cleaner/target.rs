//! The segment that a group becomes, while it is written: its log, its indexes, and what the loop will want to know.
//!
//! What was written is synced every few megabytes, so that no sync takes long.

use super::super::aborted::{AbortIndex, Entry};
use super::super::heads::newest_ms;
use super::super::index::{Index, relative};
use super::super::names::{CLEANED, Kind, SWAP};
use super::swap;
use crate::disk::{Disk, FileRef, Mode};
use crate::proto::batch::{BatchHeader, NO_TIMESTAMP};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1024 * 1024;
/// Bytes that are written before they are synced.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// A segment in the making.
pub(super) struct Target {
    dir: PathBuf,
    base: i64,
    interval_bytes: u64,
    file: FileRef,
    /// Bytes that the file holds.
    written: u64,
    unsynced: u64,
    /// Batches that it does not hold yet.
    pub(super) out: Vec<u8>,
    index: Index,
    newest: (i64, i64),
    first_ms: Option<i64>,
    modified_ms: i64,
}

/// A segment that takes the place of others.
pub(in crate::storage) struct Replacement {
    /// The first offset of the new segment, at or before that of the first of the old ones.
    pub(in crate::storage) base: i64,
    /// Those of the old ones that it was made of, each with its bytes.
    pub(in crate::storage) old: Vec<(i64, u64)>,
    /// Bytes.
    pub(in crate::storage) len: u64,
    /// The log, whose name is not the last one yet.
    pub(in crate::storage) file: FileRef,
    /// All of which the files have.
    pub(in crate::storage) index: Index,
    /// All of which the file has.
    pub(in crate::storage) aborts: AbortIndex,
    /// The greatest timestamp and the last offset of the first batch that has it.
    pub(in crate::storage) newest: (i64, i64),
    /// The greatest timestamp of the first batch.
    pub(in crate::storage) first_ms: i64,
}

impl Target {
    /// Begins a segment.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        base: i64,
        interval_bytes: u64,
    ) -> io::Result<Target> {
        let file = disk.open(&swap::path(dir, base, Kind::Log, CLEANED), Mode::Create)?;
        file.set_len(0)?;
        Ok(Target {
            dir: dir.to_owned(),
            base,
            interval_bytes,
            file,
            written: 0,
            unsynced: 0,
            out: Vec::new(),
            index: Index::default(),
            newest: (NO_TIMESTAMP, base),
            first_ms: None,
            modified_ms: 0,
        })
    }

    /// When the last of the old segments was written to, which the file is to say: its records are as old as that.
    pub(super) fn set_modified(&mut self, ms: i64) {
        self.modified_ms = ms;
    }

    /// Takes note of a batch that was put at the end of `out`.
    pub(super) fn note(&mut self, header: &BatchHeader) {
        let size_bytes = header.size_bytes() as u64;
        let position = self.written + self.out.len() as u64 - size_bytes;
        self.first_ms.get_or_insert(header.max_timestamp);
        let newest_ms = newest_ms(header);
        if newest_ms > self.newest.0 {
            self.newest = (newest_ms, header.last_offset());
        }
        let last = relative(self.base, header.last_offset());
        let newest = (self.newest.0, relative(self.base, self.newest.1));
        let place = (last, position, size_bytes);
        self.index.note(self.interval_bytes, place, newest);
    }

    /// Writes what there is, if that is worth it. Answers how many bytes.
    pub(super) fn flush_if_full(&mut self) -> io::Result<u64> {
        match self.out.len() >= WRITE_BYTES {
            true => self.flush(),
            false => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<u64> {
        let bytes = self.out.len() as u64;
        if bytes > 0 {
            // A full disk says so here then, and not at a sync, which would be final.
            self.file.reserve(self.written, bytes)?;
            self.file.write_at(self.written, &[&self.out])?;
            self.out.clear();
            self.out.shrink_to(2 * WRITE_BYTES);
        }
        self.written += bytes;
        self.unsynced += bytes;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(bytes)
    }

    /// Ends the segment: all its files are written and synced, and it is decided for.
    pub(super) fn finish(
        mut self,
        disk: &dyn Disk,
        old: Vec<(i64, u64)>,
        aborted: Vec<Entry>,
    ) -> io::Result<Replacement> {
        self.flush()?;
        if self.modified_ms > 0 {
            // That it fails is no harm: the segment counts as younger then.
            let _ = self.file.set_modified(self.modified_ms);
        }
        self.file.sync()?;
        let newest = (self.newest.0, relative(self.base, self.newest.1));
        self.index.push_time(newest.0, newest.1);
        let unstored = self.index.unstored();
        self.write(disk, Kind::Index, &unstored.offsets.1)?;
        self.write(disk, Kind::TimeIndex, &unstored.times.1)?;
        self.index.set_stored(unstored.stored);
        let mut aborts = AbortIndex::default();
        aborted.into_iter().for_each(|entry| aborts.push(entry));
        if let Some(unstored) = aborts.unstored() {
            self.write(disk, Kind::TxnIndex, &unstored.bytes)?;
            aborts.set_stored(unstored.stored);
        }
        swap::decide(disk, &self.dir, self.base)?;
        if aborts.has_stored() {
            // Until the swap is settled the file has a name that nobody looks for.
            let path = swap::path(&self.dir, self.base, Kind::TxnIndex, SWAP);
            aborts.file = Some(disk.open(&path, Mode::Write)?);
        }
        Ok(Replacement {
            base: self.base,
            old,
            len: self.written,
            file: self.file,
            index: self.index,
            aborts,
            newest: self.newest,
            first_ms: self.first_ms.unwrap_or(NO_TIMESTAMP),
        })
    }

    fn write(&self, disk: &dyn Disk, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let path = swap::path(&self.dir, self.base, kind, CLEANED);
        let file = disk.open(&path, Mode::Create)?;
        file.set_len(0)?;
        file.write_at(0, &[bytes])?;
        file.sync()
    }
}
