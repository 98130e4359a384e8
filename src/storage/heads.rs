//! A walk over the batches of a segment by their headers: where each begins, which offsets it holds.
//!
//! Only the first 61 bytes of a batch are looked at, through the descriptor and a small buffer; small batches
//! share a read. What a header claims is believed only as far as it can be true: a size that
//! fits the segment, an offset that does not fall. Message formats 0 and 1 (a log that an old Kafka began) are
//! stepped over by their sizes.

use crate::disk::File;
use crate::proto::batch::{BatchHeader, HEADER_BYTES, NO_TIMESTAMP};
use std::io;

/// Bytes that one read of a walk asks for.
const BUFFER_BYTES: usize = 8 * 1024;
/// Offset, size, checksum, magic and attributes, and two lengths: the least entry of message format 0.
const MIN_ENTRY_BYTES: u64 = 26;

/// One batch, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Where it begins in the file.
    pub(super) position: u64,
    /// All its bytes.
    pub(super) size_bytes: u64,
    /// Its first offset; of an old entry, its only or last.
    pub(super) base_offset: i64,
    /// Its last offset.
    pub(super) last_offset: i64,
    /// The greatest timestamp of its records, or -1.
    pub(super) max_timestamp_ms: i64,
    /// The epoch that wrote it, or -1.
    pub(super) leader_epoch: i32,
    /// Message format 0 or 1.
    pub(super) is_old: bool,
}

impl Head {
    /// Where the next batch begins.
    pub(super) fn end(&self) -> u64 {
        self.position + self.size_bytes
    }

    /// Reads a header, of which up to 61 bytes are given; `room_bytes` are left in the file. `None` when no
    /// batch can begin like that.
    fn parse(bytes: &[u8], position: u64, room_bytes: u64) -> Option<Head> {
        let (base, length) = (bytes.get(..8)?, bytes.get(8..12)?);
        let base_offset = i64::from_be_bytes(base.try_into().ok()?);
        let length = i32::from_be_bytes(length.try_into().ok()?);
        let size_bytes = 12 + u64::try_from(length).ok()?;
        let fits = size_bytes >= MIN_ENTRY_BYTES && size_bytes <= room_bytes && base_offset >= 0;
        if !fits {
            return None;
        }
        let head = Head {
            position,
            size_bytes,
            base_offset,
            last_offset: base_offset,
            max_timestamp_ms: -1,
            leader_epoch: -1,
            is_old: true,
        };
        match *bytes.get(16)? {
            0 | 1 => Some(head),
            2 => head.with_batch(&BatchHeader::from_bytes(bytes.first_chunk()?)),
            _ => None,
        }
    }

    fn with_batch(self, batch: &BatchHeader) -> Option<Head> {
        let plausible = self.size_bytes >= HEADER_BYTES as u64 && batch.last_offset_delta >= 0;
        plausible.then_some(Head {
            last_offset: batch.last_offset(),
            max_timestamp_ms: newest_ms(batch),
            leader_epoch: batch.partition_leader_epoch,
            is_old: false,
            ..self
        })
    }
}

/// The greatest timestamp of a batch's records, or -1. A header that compaction has left without records goes on
/// bearing the time of those that were there, which nobody can find any more.
pub(super) fn newest_ms(batch: &BatchHeader) -> i64 {
    match batch.record_count {
        0 => NO_TIMESTAMP,
        _ => batch.max_timestamp,
    }
}

/// What a walk meets.
#[derive(Debug)]
pub(super) enum Met {
    /// A batch.
    Batch(Head),
    /// The end.
    End,
    /// Bytes at this position that no batch can begin with.
    Broken(u64),
}

/// The buffer of a walk, kept by its owner so that a walk allocates nothing.
pub(super) struct Buffer {
    bytes: Box<[u8; BUFFER_BYTES]>,
}

impl Buffer {
    /// An empty one.
    pub(super) fn new() -> Buffer {
        Buffer {
            bytes: Box::new([0; BUFFER_BYTES]),
        }
    }
}

/// A walk. After `Broken` it stands still.
pub(super) struct Heads<'a> {
    file: &'a dyn File,
    buffer: &'a mut Buffer,
    /// The part of the file that the buffer holds.
    held: std::ops::Range<u64>,
    position: u64,
    end: u64,
    last_offset: i64,
}

impl<'a> Heads<'a> {
    /// Walks from the batch that begins at `position` to `end`.
    pub(super) fn new(
        file: &'a dyn File,
        buffer: &'a mut Buffer,
        position: u64,
        end: u64,
    ) -> Heads<'a> {
        Heads {
            file,
            buffer,
            held: 0..0,
            position,
            end,
            last_offset: -1,
        }
    }

    /// The next batch.
    pub(super) fn step(&mut self) -> io::Result<Met> {
        if self.position >= self.end {
            return Ok(Met::End);
        }
        let (position, room) = (self.position, self.end - self.position);
        let head = Head::parse(self.bytes()?, position, room)
            .filter(|head| head.base_offset > self.last_offset);
        let Some(head) = head else {
            return Ok(Met::Broken(position));
        };
        self.position = head.end();
        self.last_offset = head.last_offset;
        Ok(Met::Batch(head))
    }

    /// The first batch that satisfies `wanted`.
    pub(super) fn find(&mut self, wanted: impl Fn(&Head) -> bool) -> io::Result<Met> {
        loop {
            match self.step()? {
                Met::Batch(head) if !wanted(&head) => {}
                met => return Ok(met),
            }
        }
    }

    /// Up to 61 bytes at the walk's position.
    fn bytes(&mut self) -> io::Result<&[u8]> {
        let wanted = self.position..self.end.min(self.position + HEADER_BYTES as u64);
        if wanted.start < self.held.start || wanted.end > self.held.end {
            let room = (self.end - self.position).min(BUFFER_BYTES as u64) as usize;
            let got = self
                .file
                .read_at(self.position, &mut self.buffer.bytes[..room])?;
            self.held = self.position..self.position + got as u64;
        }
        let end = wanted.end.min(self.held.end);
        let range = (wanted.start - self.held.start) as usize..(end - self.held.start) as usize;
        Ok(&self.buffer.bytes[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::View;
    use crate::proto::batch::BatchBuilder;

    /// A file that cannot be written.
    struct Fixed(Vec<u8>);

    impl File for Fixed {
        fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[(position as usize).min(self.0.len())..];
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        }
        fn write_at(&self, _: u64, _: &[&[u8]]) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn set_modified(&self, _: i64) -> io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn drop_cache(&self) -> io::Result<()> {
            Ok(())
        }
        fn view(&self, _: u64, _: usize) -> io::Result<Vec<View>> {
            Ok(Vec::new())
        }
    }

    fn batch(offset: i64, records: i32, value_bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(offset);
        for record in 0..records {
            builder.push(
                1000 + offset + i64::from(record),
                None,
                Some(&vec![7; value_bytes]),
            );
        }
        builder.build(None).unwrap()
    }

    fn walk(bytes: Vec<u8>, from: u64) -> (Vec<Head>, Met) {
        let file = Fixed(bytes);
        let (end, mut buffer) = (file.len().unwrap(), Buffer::new());
        let mut heads = Heads::new(&file, &mut buffer, from, end);
        let mut found = Vec::new();
        loop {
            match heads.step().unwrap() {
                Met::Batch(head) => found.push(head),
                met => return (found, met),
            }
        }
    }

    #[test]
    fn every_batch_is_met_whatever_its_size() {
        let sizes = [1, 5, 8000, 9000, 20_000, 3, 100];
        let bytes: Vec<u8> = (0..)
            .zip(sizes)
            .flat_map(|(n, size)| batch(n * 2, 2, size))
            .collect();
        let (found, met) = walk(bytes.clone(), 0);
        assert!(matches!(met, Met::End));
        let offsets: Vec<(i64, i64)> = found
            .iter()
            .map(|h| (h.base_offset, h.last_offset))
            .collect();
        assert_eq!(
            offsets,
            [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13)]
        );
        assert_eq!(found[6].end(), bytes.len() as u64);
        assert_eq!(found[3].max_timestamp_ms, 1007);
        let (later, _) = walk(bytes, found[2].position);
        assert_eq!(later, found[2..]);
    }

    #[test]
    fn a_torn_end_is_broken_where_the_last_batch_begins() {
        let whole = [batch(0, 1, 10), batch(1, 1, 10)].concat();
        let second = batch(0, 1, 10).len();
        for len in second + 1..whole.len() {
            let (found, met) = walk(whole[..len].to_vec(), 0);
            assert_eq!(found.len(), 1);
            assert!(
                matches!(met, Met::Broken(at) if at == second as u64),
                "{len}"
            );
        }
    }

    #[test]
    fn zeros_nonsense_and_falling_offsets_are_broken() {
        let good = batch(5, 1, 10);
        for tail in [
            vec![0; 100],
            vec![255; 100],
            batch(4, 1, 10),
            batch(5, 1, 10),
        ] {
            let (found, met) = walk([good.clone(), tail].concat(), 0);
            assert_eq!(found.len(), 1);
            assert!(matches!(met, Met::Broken(at) if at == good.len() as u64));
        }
    }

    #[test]
    fn old_entries_are_stepped_over() {
        let mut old = 3i64.to_be_bytes().to_vec();
        old.extend(14i32.to_be_bytes());
        old.extend([0; 14]);
        let (found, met) = walk([old, batch(4, 1, 1)].concat(), 0);
        assert!(matches!(met, Met::End));
        assert_eq!((found[0].is_old, found[0].last_offset), (true, 3));
        assert_eq!((found[1].is_old, found[1].base_offset), (false, 4));
    }
}
