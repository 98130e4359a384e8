//! The open files of all partitions: opened when they are needed, and closed again before there are too many.
//!
//! A file that is open here is noted in a queue. When the queue is longer than the limit, the oldest is
//! closed unless it was used since it came to the front or is not on disk yet, when it goes to the back
//! (the "second chance" of page caches). So an idle partition has no descriptor, and the limit is passed
//! only by files that the next round is about to sync.
//!
//! Indexes that were read back from their files are noted too, and the oldest go when they pass a limit.

use super::PartitionId;
use super::heads::Buffer;
use crate::disk::{Disk, FileRef, Mode};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How many files stay open, as far as the rounds allow it.
const MAX_OPEN: usize = 256;
/// How many bytes of index files are held in memory beside those that are still growing.
const MAX_INDEX_BYTES: usize = 16 * 1024 * 1024;

/// What is open.
pub(super) struct Shelf {
    /// The disk that all files lie on.
    pub(super) disk: Arc<dyn Disk>,
    /// For walks.
    pub(super) buffer: Buffer,
    open: VecDeque<(PartitionId, i64)>,
    /// Each with the bytes of its files.
    indexes: VecDeque<(PartitionId, i64, usize)>,
    index_bytes: usize,
}

impl Shelf {
    /// Nothing is open yet.
    pub(super) fn new(disk: Arc<dyn Disk>) -> Shelf {
        Shelf {
            disk,
            buffer: Buffer::new(),
            open: VecDeque::new(),
            indexes: VecDeque::new(),
            index_bytes: 0,
        }
    }

    /// Opens the segment of `id` that begins at `base`.
    pub(super) fn open(
        &mut self,
        (id, base): (PartitionId, i64),
        path: &Path,
        mode: Mode,
    ) -> io::Result<FileRef> {
        let file = self.disk.open(path, mode)?;
        self.open.push_back((id, base));
        Ok(file)
    }

    /// Notes that an index of so many bytes was read.
    pub(super) fn note_index(&mut self, (id, base): (PartitionId, i64), bytes: usize) {
        self.indexes.push_back((id, base, bytes));
        self.index_bytes += bytes;
    }

    /// The oldest index, while there is too much of them.
    pub(super) fn next_index(&mut self) -> Option<(PartitionId, i64)> {
        if self.index_bytes <= MAX_INDEX_BYTES {
            return None;
        }
        let (id, base, bytes) = self.indexes.pop_front()?;
        self.index_bytes -= bytes;
        Some((id, base))
    }

    /// Closes what is too much. `close` is asked for each of the oldest, and says whether it went.
    pub(super) fn trim(&mut self, mut close: impl FnMut(PartitionId, i64) -> bool) {
        let excess = self.open.len().saturating_sub(MAX_OPEN);
        let mut chances = excess * 2;
        while self.open.len() > MAX_OPEN && chances > 0 {
            chances -= 1;
            let Some((id, base)) = self.open.pop_front() else {
                return;
            };
            if !close(id, base) {
                self.open.push_back((id, base));
            }
        }
    }
}
