//! The newest value of every key, as a file: written by a merge, read by a start and by the next merge.

use super::OpenError;
use super::entry::{
    self, CLOSED, Change, FileHeader, HEADER_BYTES, HeaderFault, Holds, Kind, Record,
};
use super::error::{BROKEN, NO_HEADER, NO_SENSE, damaged};
use crate::disk::{Disk, FileRef, read_all};
use std::io;
use std::path::{Path, PathBuf};

/// A block is written when it has reached this size; it is checked and reported as one.
const BLOCK_BYTES: usize = 64 << 10;

/// A snapshot in memory.
pub(super) struct Image {
    pub(super) header: FileHeader,
    /// Of the file; what is behind the snapshot was left there by an older one.
    pub(super) file_bytes: u64,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Image {
    /// Reads a snapshot. Its blocks are verified when they are asked for.
    ///
    /// # Errors
    /// When its header is not that of the snapshot with that number, or says more than there is.
    pub(super) fn read(disk: &dyn Disk, path: &Path, number: u64) -> Result<Image, OpenError> {
        let mut bytes = read_all(disk, path)?;
        let header = match FileHeader::decode(&bytes) {
            Ok(header) if header.number == number && header.kind == Kind::Snapshot => header,
            Err(HeaderFault::Newer(version)) => {
                let path = path.to_owned();
                return Err(OpenError::Newer { path, version });
            }
            _ => return Err(damaged(path, 0, NO_HEADER)),
        };
        let file_bytes = bytes.len() as u64;
        let end = usize::try_from(header.holds.bytes)
            .ok()
            .and_then(|bytes| bytes.checked_add(HEADER_BYTES))
            .filter(|&end| end <= bytes.len())
            .ok_or_else(|| damaged(path, bytes.len(), BROKEN))?;
        bytes.truncate(end);
        let path = path.to_owned();
        Ok(Image {
            header,
            file_bytes,
            path,
            bytes,
        })
    }

    /// How far it goes.
    pub(super) fn covered(&self) -> Covered {
        Covered {
            sequence: self.header.holds.sequence,
            flags: self.header.holds.flags,
        }
    }

    /// Hands out block after block, in the order of the keys.
    ///
    /// # Errors
    /// `Damaged` at the first block that does not verify, or when they do not add up; those of `each`.
    pub(super) fn blocks<'a>(
        &'a self,
        each: &mut dyn FnMut(&[Change<'a>]) -> io::Result<()>,
    ) -> Result<(), OpenError> {
        let seed = self.header.seed();
        let (mut position, mut sequence, mut entries) = (HEADER_BYTES, 1, 0);
        let mut last: Option<&[u8]> = None;
        while position < self.bytes.len() {
            let record = Record::read(&self.bytes[position..], seed)
                .filter(|record| record.header.sequence == sequence)
                .ok_or_else(|| damaged(&self.path, position, BROKEN))?;
            let changes = record
                .changes()
                .filter(|changes| are_ascending(last, changes))
                .ok_or_else(|| damaged(&self.path, position, NO_SENSE))?;
            last = changes.last().map(|change| change.key);
            each(&changes)?;
            entries += changes.len() as u64;
            sequence += 1;
            position += record.bytes();
        }
        if entries != self.header.holds.entries {
            return Err(damaged(&self.path, position, BROKEN));
        }
        Ok(())
    }
}

/// Whether the keys go up from `last`, and all have values.
fn are_ascending<'a>(last: Option<&'a [u8]>, changes: &[Change<'a>]) -> bool {
    let mut last = last;
    changes.iter().all(|change| {
        let is_next = last.is_none_or(|last| last < change.key) && change.value.is_some();
        last = Some(change.key);
        is_next
    })
}

/// A snapshot on its way into a file that may hold anything.
pub(super) struct Writer<'a> {
    file: &'a FileRef,
    header: FileHeader,
    /// Bytes of the file that have their blocks on the disk.
    reserved_bytes: u64,
    block: Vec<Change<'a>>,
    block_bytes: usize,
    blocks: u64,
    /// The encoded block; kept for its memory.
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Begins the snapshot that covers files up to `number` and groups up to `covered`.
    pub(super) fn new(
        file: &'a FileRef,
        reserved_bytes: u64,
        number: u64,
        salt: u64,
        covered: Covered,
    ) -> Writer<'a> {
        let holds = Holds {
            sequence: covered.sequence,
            flags: covered.flags,
            ..Holds::default()
        };
        Writer {
            file,
            header: FileHeader::snapshot(number, salt, holds),
            reserved_bytes,
            block: Vec::new(),
            block_bytes: 0,
            blocks: 0,
            out: Vec::new(),
        }
    }

    /// Adds the next key.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn push(&mut self, change: Change<'a>) -> io::Result<()> {
        let bytes = change.key.len() + change.value.map_or(0, <[u8]>::len);
        // A block is either small or one change, which fits wherever its group did.
        if self.block_bytes + bytes > BLOCK_BYTES {
            self.flush()?;
        }
        self.block_bytes += bytes;
        self.block.push(change);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.blocks += 1;
        self.out.clear();
        entry::push_record(&mut self.out, self.blocks, 0, &self.block);
        entry::seal(&mut self.out, self.header.seed());
        let position = HEADER_BYTES as u64 + self.header.holds.bytes;
        let len = self.out.len() as u64;
        // A full disk is an answer here and not a failed sync.
        if position + len > self.reserved_bytes {
            self.file.reserve(position, len)?;
            self.reserved_bytes = position + len;
        }
        self.file.write_at(position, &[&self.out])?;
        self.header.holds.bytes += len;
        self.header.holds.entries += self.block.len() as u64;
        self.block.clear();
        self.block_bytes = 0;
        Ok(())
    }

    /// Writes what is left and, last of all, the header. Answers it and the bytes that the file has on the disk.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn finish(mut self) -> io::Result<(FileHeader, u64)> {
        self.flush()?;
        self.file.write_at(0, &[&self.header.encode()])?;
        let end = HEADER_BYTES as u64 + self.header.holds.bytes;
        Ok((self.header, self.reserved_bytes.max(end)))
    }
}

/// How far a snapshot goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    /// The last group.
    pub(super) sequence: u64,
    /// Its flags.
    pub(super) flags: u32,
}

impl Covered {
    /// Whether the last group is the mark of a clean stop.
    pub(super) fn is_closed(self) -> bool {
        self.flags & CLOSED != 0
    }
}
