//! The reading of a log's tail: every batch held against its checksum, in one pass and in one buffer.

use super::aborted::AbortIndex;
use super::epochs::Epochs;
use super::heads::newest_ms;
use super::index::{Index, relative};
use super::producer_state::{Noted, Producers};
use crate::clock::Mono;
use crate::disk::File;
use crate::proto::batch::{Batch, BatchHeader, EndMarker, HEADER_BYTES, MAGIC};
use std::io;
use std::ops::Range;

/// Bytes that are read at once.
pub(super) const BUFFER_BYTES: usize = 1024 * 1024;
/// The checksum covers a batch from its attributes on.
const CHECKED_FROM: u64 = 21;
/// The checksum of an entry of message format 0 or 1 (CRC-32) covers it from its magic on.
const OLD_CHECKED_FROM: u64 = 16;

/// What a segment turned out to hold.
pub(super) struct Scanned {
    /// Bytes of whole batches.
    pub(super) len: u64,
    pub(super) index: Index,
    pub(super) aborts: AbortIndex,
    /// The greatest timestamp and the last offset of the first batch that has it.
    pub(super) newest: (i64, i64),
}

/// What the scan carries from batch to batch, and from segment to segment.
pub(super) struct Tail {
    /// When the producers that are found count as seen.
    pub(super) now: Mono,
    /// The next batch's first offset, or less than that where offsets may be missing.
    pub(super) expected: i64,
    /// Compaction, and nothing else, leaves offsets out, and only before this one: behind it a gap is what a power cut
    /// has taken.
    pub(super) gaps_until: i64,
    pub(super) producers: Producers,
    pub(super) epochs: Epochs,
    /// Bytes read.
    pub(super) tail_bytes: u64,
}

/// One segment's scan.
pub(super) struct Scan<'a> {
    file: &'a dyn File,
    base: i64,
    position: u64,
    end: u64,
    interval_bytes: u64,
    buffer: Vec<u8>,
    /// The part of the file that the buffer holds.
    held: Range<u64>,
}

impl<'a> Scan<'a> {
    /// A scan of the bytes from `position` to `end`.
    pub(super) fn new(
        file: &'a dyn File,
        base: i64,
        (position, end): (u64, u64),
        interval_bytes: u64,
    ) -> Scan<'a> {
        Scan {
            file,
            base,
            position,
            end,
            interval_bytes,
            buffer: Vec::new(),
            held: 0..0,
        }
    }

    /// Reads until the end or the first bad batch. The indexes hold what is known of the part before.
    ///
    /// # Errors
    /// The inner one says why the log must be left alone.
    pub(super) fn run(
        mut self,
        (mut index, mut aborts): (Index, AbortIndex),
        tail: &mut Tail,
    ) -> io::Result<Result<Scanned, String>> {
        let mut newest = index.newest().unwrap_or((-1, 0));
        let start = self.position;
        while let Some(header) = self.batch()? {
            if !tail.borders(header.base_offset) || !self.crc_matches(&header)? {
                break;
            }
            if header.magic != MAGIC {
                let why = "it holds message format 0 or 1 behind its recovery point";
                return Ok(Err(why.to_owned()));
            }
            let last = relative(self.base, header.last_offset());
            let newest_ms = newest_ms(&header);
            if newest_ms > newest.0 {
                newest = (newest_ms, last);
            }
            let size_bytes = header.size_bytes() as u64;
            index.note(
                self.interval_bytes,
                (last, self.position, size_bytes),
                newest,
            );
            let marker = self.marker(&header)?;
            self.position += size_bytes;
            if let Noted::Ended(ended) = tail.take(&header, marker)
                && !ended.commits
            {
                aborts.push(ended.into());
            }
        }
        tail.tail_bytes += self.position - start;
        Ok(Ok(Scanned {
            len: self.position,
            index,
            aborts,
            newest: (newest.0, self.base + i64::from(newest.1)),
        }))
    }

    /// Whether the batch or old entry at the position ends within the file and matches its checksum.
    pub(super) fn is_whole(&mut self) -> io::Result<bool> {
        match self.batch()? {
            Some(header) => self.crc_matches(&header),
            None => Ok(false),
        }
    }

    /// The header at the position, if a batch that ends within the file can begin like that.
    fn batch(&mut self) -> io::Result<Option<BatchHeader>> {
        let room = self.end - self.position;
        let bytes = self.bytes(self.position, HEADER_BYTES)?;
        let mut start = [0; HEADER_BYTES];
        start[..bytes.len()].copy_from_slice(bytes);
        let header = BatchHeader::from_bytes(&start);
        let is_old = matches!(header.magic, 0 | 1) && header.batch_length >= 14;
        let size_bytes = header.size_bytes();
        let is_batch = header.magic == MAGIC
            && size_bytes >= HEADER_BYTES
            && header.last_offset_delta >= 0
            && header.base_offset >= 0;
        let fits = size_bytes as u64 <= room;
        Ok((fits && (is_batch || is_old)).then_some(header))
    }

    /// What the batch at the position holds if it ends a transaction.
    fn marker(&mut self, header: &BatchHeader) -> io::Result<Option<EndMarker>> {
        if !header.attributes.is_control() || header.size_bytes() > BUFFER_BYTES {
            return Ok(None);
        }
        let bytes = self.bytes(self.position, header.size_bytes())?;
        let batch = Batch::split_first(bytes).ok();
        Ok(batch.and_then(|(batch, _)| EndMarker::of(&batch)))
    }

    /// A torn header may look like one of an old format, so those are held against their checksums too.
    fn crc_matches(&mut self, header: &BatchHeader) -> io::Result<bool> {
        let end = self.position + header.size_bytes() as u64;
        if header.magic == MAGIC {
            let mut crc = 0;
            let whole = self.fold(self.position + CHECKED_FROM, end, |bytes| {
                crc = crc32c::crc32c_append(crc, bytes);
            })?;
            return Ok(whole && crc == header.crc);
        }
        let mut crc = crc32fast::Hasher::new();
        let whole = self.fold(self.position + OLD_CHECKED_FROM, end, |bytes| {
            crc.update(bytes);
        })?;
        // Where a batch has its leader epoch, an old entry has its checksum.
        let stored = header.partition_leader_epoch.cast_unsigned();
        Ok(whole && crc.finalize() == stored)
    }

    /// Shows all bytes up to `end`, piece by piece; `false` when the file ends before.
    fn fold(&mut self, mut at: u64, end: u64, mut show: impl FnMut(&[u8])) -> io::Result<bool> {
        while at < end {
            // What is held is shown first, so that nothing is read twice.
            let held = self.held.end.checked_sub(at).filter(|left| *left > 0);
            let len = (end - at).min(held.unwrap_or(BUFFER_BYTES as u64)) as usize;
            let bytes = self.bytes(at, len)?;
            if bytes.is_empty() {
                return Ok(false);
            }
            show(bytes);
            at += bytes.len() as u64;
        }
        Ok(true)
    }

    /// Up to `len` bytes of the file, fewer only at its end.
    fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let end = self.end.min(position + len as u64);
        if position < self.held.start || end > self.held.end {
            let room = (self.end - position).min(BUFFER_BYTES as u64) as usize;
            self.buffer.resize(room, 0);
            let got = self.file.read_at(position, &mut self.buffer)?;
            self.held = position..position + got as u64;
        }
        let end = end.min(self.held.end);
        let range = (position - self.held.start) as usize..(end - self.held.start) as usize;
        Ok(&self.buffer[range])
    }
}

impl Tail {
    /// Whether a batch or a segment that begins at `base` follows what was read: the offset is outside the
    /// checksum.
    pub(super) fn borders(&self, base: i64) -> bool {
        base == self.expected || (self.expected..=self.gaps_until).contains(&base)
    }

    /// A good batch.
    fn take(&mut self, header: &BatchHeader, marker: Option<EndMarker>) -> Noted {
        self.epochs
            .note(header.partition_leader_epoch, header.base_offset);
        self.expected = header.next_offset();
        if !header.has_producer_id() {
            return Noted::Nothing;
        }
        self.producers.note(header, marker, self.now)
    }
}
