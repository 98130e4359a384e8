//! The entries of a segment one after the other, through the descriptor and one buffer that is as large as the largest.
//!
//! The length of an entry is outside its checksum, so the buffer does not grow by a length alone: an entry that is
//! larger than what is read at once is held against its checksum first, piece by piece.

use super::super::scan::Scan;
use super::Trouble;
use crate::disk::{Disk, FileRef, Mode};
use crate::proto::batch::LENGTH_PREFIX_BYTES;
use std::path::PathBuf;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1024 * 1024;
/// The least entry of any format.
const MIN_ENTRY_BYTES: usize = LENGTH_PREFIX_BYTES + 14;

/// One entry: a batch, or a message of format 0 or 1.
pub(super) struct Entry<'a> {
    pub(super) bytes: &'a [u8],
    /// Nothing follows it.
    pub(super) is_last: bool,
}

/// A walk over the entries of a file.
pub(super) struct Entries {
    file: FileRef,
    path: PathBuf,
    /// Where the next entry begins.
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// The part of the buffer that was not shown yet.
    start: usize,
}

impl Entries {
    /// Walks over the first `len` bytes of a segment. `buffer` is one that another walk has given back.
    ///
    /// # Errors
    /// [`Trouble::Gone`] when the file is not there any more.
    pub(super) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        len: u64,
        buffer: Vec<u8>,
    ) -> Result<Entries, Trouble> {
        let file = disk.open(&path, Mode::Read).map_err(Trouble::of)?;
        Ok(Entries {
            file,
            path,
            position: 0,
            end: len,
            start: buffer.len(),
            buffer,
        })
    }

    /// The next entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, Trouble> {
        if self.position >= self.end {
            return Ok(None);
        }
        self.fill(LENGTH_PREFIX_BYTES)?;
        let length = self.buffer[self.start..].get(8..12);
        let length = length.and_then(|bytes| bytes.first_chunk().copied());
        let length = length.map_or(-1, i32::from_be_bytes);
        let size = LENGTH_PREFIX_BYTES.saturating_add(usize::try_from(length).unwrap_or(0));
        if size < MIN_ENTRY_BYTES || size as u64 > self.end - self.position {
            return Err(self.damaged("no batch can begin like that"));
        }
        if size > BUFFER_BYTES && !self.is_whole()? {
            return Err(self.damaged("the batch does not match its checksum"));
        }
        self.fill(size)?;
        let range = self.start..self.start + size;
        self.start = range.end;
        self.position += size as u64;
        Ok(Some(Entry {
            bytes: &self.buffer[range],
            is_last: self.position >= self.end,
        }))
    }

    /// Whether the next entry matches its checksum.
    fn is_whole(&self) -> Result<bool, Trouble> {
        let range = (self.position, self.end);
        let mut scan = Scan::new(&*self.file, 0, range, u64::MAX);
        scan.is_whole().map_err(Trouble::of)
    }

    /// What is wrong with the entry that was shown last, or could not be.
    pub(super) fn damaged(&self, why: &str) -> Trouble {
        Trouble::Damaged(format!(
            "{} before position {}: {why}",
            self.path.display(),
            self.position
        ))
    }

    /// Gives the buffer back.
    pub(super) fn into_buffer(mut self) -> Vec<u8> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES);
        self.buffer
    }

    /// Makes the buffer hold so many bytes from the position on.
    fn fill(&mut self, wanted: usize) -> Result<(), Trouble> {
        if self.buffer.len() - self.start >= wanted {
            return Ok(());
        }
        let room = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        self.buffer.resize(room.min(wanted.max(BUFFER_BYTES)), 0);
        self.start = 0;
        let got = self.file.read_at(self.position, &mut self.buffer);
        let got = got.map_err(Trouble::of)?;
        self.buffer.truncate(got);
        match got >= wanted.min(room) {
            true => Ok(()),
            false => Err(self.damaged("the file ends before its segment does")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::proto::batch::BatchBuilder;
    use std::path::Path;

    /// A segment of these entries.
    fn segment(entries: &[&[u8]]) -> (SimDisk, Entries) {
        let disk = SimDisk::new(1, Path::new("/data"));
        let path = PathBuf::from("/data/0.log");
        let file = disk.open(&path, Mode::CreateNew).unwrap();
        file.write_at(0, entries).unwrap();
        let len = entries.iter().map(|entry| entry.len() as u64).sum();
        let walk = Entries::open(&disk, path, len, Vec::new()).unwrap();
        (disk, walk)
    }

    fn batch(bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(0);
        builder.push(1, None, Some(&vec![7; bytes]));
        builder.build(None).unwrap()
    }

    #[test]
    fn an_entry_is_shown_whole_whatever_its_size() {
        let all = [batch(10), batch(3 * BUFFER_BYTES), batch(10)];
        let (_disk, mut walk) = segment(&[&all[0], &all[1], &all[2]]);
        for (n, expected) in all.iter().enumerate() {
            let entry = walk.next().unwrap().unwrap();
            assert!(entry.bytes == &expected[..], "{n}");
            assert_eq!(entry.is_last, n == 2);
        }
        assert!(walk.next().unwrap().is_none());
    }

    #[test]
    fn a_length_that_is_not_true_takes_no_memory() {
        let mut first = batch(10);
        let rest = vec![7; 5 * BUFFER_BYTES];
        let length = (first.len() + rest.len() - LENGTH_PREFIX_BYTES) as i32;
        first[8..12].copy_from_slice(&length.to_be_bytes());
        for magic in [2, 1, 0, 77] {
            first[16] = magic;
            let (_disk, mut walk) = segment(&[&first, &rest]);
            assert!(matches!(walk.next(), Err(Trouble::Damaged(_))));
            assert!(walk.buffer.capacity() <= BUFFER_BYTES);
        }
    }
}
