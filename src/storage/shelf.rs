//! The open files of all partitions: opened when they are needed, and closed again before there are too many.
//!
//! A file that is open here is noted in a queue. When the queue is longer than the limit, the oldest is
//! closed unless it was used since it came to the front or is not on disk yet, when it goes to the back
//! (the "second chance" of page caches). So an idle partition has no descriptor, and the limit is passed
//! only by files that the next round is about to sync. How many files are looked at is bounded by how many were opened
//! and synced, or each of many appends in one round would look at the files of all of them.
//!
//! Indexes that were read back from their files are noted too, and the oldest go when they pass a limit.

use super::PartitionId;
use super::heads::Buffer;
use crate::disk::{Disk, FileRef, Mode};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How many of the oldest files are looked at for each that was opened or synced: the first look takes note of its use.
const CHANCES: usize = 2;
/// How many bytes of index files are held in memory beside those that are still growing.
const MAX_INDEX_BYTES: usize = 16 * 1024 * 1024;
/// What an index counts for beside its entries, so that empty ones cannot make the queue long.
const INDEX_OVERHEAD_BYTES: usize = 128;

/// What is open.
pub(super) struct Shelf {
    /// The disk that all files lie on.
    pub(super) disk: Arc<dyn Disk>,
    /// For walks.
    pub(super) buffer: Buffer,
    /// How many files stay open, as far as the rounds allow it (`chronik.max.open.segments`).
    pub(super) max_open: usize,
    /// A segment ends at this size, whatever its topic says (`budget`).
    pub(super) roll_bytes: u64,
    open: VecDeque<(PartitionId, i64)>,
    /// How many may still be looked at.
    chances: usize,
    /// Each with what it counts for. One that was forgotten and read again stands here twice, and may be
    /// forgotten a little early.
    indexes: VecDeque<(PartitionId, i64, usize)>,
    index_bytes: usize,
}

impl Shelf {
    /// Nothing is open yet.
    pub(super) fn new(disk: Arc<dyn Disk>) -> Shelf {
        Shelf {
            disk,
            buffer: Buffer::new(),
            max_open: usize::MAX,
            roll_bytes: u64::MAX,
            open: VecDeque::new(),
            chances: 0,
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
        self.chances += CHANCES;
        Ok(file)
    }

    /// So many files that had to stay open may be closed now.
    pub(super) fn synced(&mut self, count: usize) {
        self.chances += CHANCES * count;
    }

    /// Notes that an index of so many bytes was read.
    pub(super) fn note_index(&mut self, (id, base): (PartitionId, i64), bytes: usize) {
        let bytes = bytes + INDEX_OVERHEAD_BYTES;
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
        while self.open.len() > self.max_open && self.chances > 0 {
            self.chances -= 1;
            let Some((id, base)) = self.open.pop_front() else {
                return;
            };
            if !close(id, base) {
                self.open.push_back((id, base));
            }
        }
        if self.open.len() <= self.max_open {
            self.chances = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::proto::Uuid;

    #[test]
    fn files_that_wait_for_their_round_cost_no_call_more_than_others_do() {
        let disk = SimDisk::new(1, Path::new("/data"));
        disk.create_dir(Path::new("/data/d")).expect("a directory");
        let mut shelf = Shelf::new(Arc::new(disk));
        let id = PartitionId {
            topic: Uuid([1; 16]),
            partition: 0,
        };
        for base in 0..2000 {
            let path = Path::new("/data/d").join(base.to_string());
            let opened = shelf.open((id, base), &path, Mode::Create);
            drop(opened.expect("a new file"));
            let mut asked = 0;
            shelf.trim(|_, _| {
                asked += 1;
                false
            });
            assert!(asked <= CHANCES, "{asked}");
        }
        assert_eq!(shelf.open.len(), 2000);
        for max_open in [256, 16] {
            shelf.max_open = max_open;
            shelf.synced(2000);
            shelf.trim(|_, _| true);
            assert_eq!(shelf.open.len(), max_open);
        }
    }

    #[test]
    fn the_queue_of_indexes_ends_even_when_all_of_them_are_empty() {
        let mut shelf = Shelf::new(Arc::new(SimDisk::new(1, Path::new("/data"))));
        let id = PartitionId {
            topic: Uuid([1; 16]),
            partition: 0,
        };
        for base in 0..1_000_000 {
            shelf.note_index((id, base), 0);
            while shelf.next_index().is_some() {}
        }
        assert_eq!(shelf.indexes.len(), MAX_INDEX_BYTES / INDEX_OVERHEAD_BYTES);
    }
}
