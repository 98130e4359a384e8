//! What look-ups by time want to know of every segment, learned a few segments in a turn.
//!
//! A look-up reads the greatest time of each segment from its index, once: it is remembered. After a start nothing is,
//! and a log has thousands of segments, so that nobody else would be served meanwhile. A request takes the few
//! that it may at once; for the rest its logs are *learned* in the turns that follow, and it waits.

use super::shelf::Shelf;
use super::{Log, PartitionId, ReadError, Storage};
use std::collections::BTreeSet;

/// Segments whose indexes may be read in one turn, or for one request.
const SLICE_SEGMENTS: usize = if cfg!(test) { 4 } else { 64 };

/// How many segments a request may still look at.
pub struct Looks(usize);

impl Default for Looks {
    fn default() -> Looks {
        Looks(SLICE_SEGMENTS)
    }
}

/// Logs that requests wait for.
#[derive(Default)]
pub(super) struct Learning(BTreeSet<PartitionId>);

impl Learning {
    /// Whether [`Storage::tick`] is wanted at once.
    pub(super) fn goes_on(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Storage {
    /// Whether a look-up by time in this log need not read many indexes. Where it must, they are read in the turns that
    /// follow, and a signal tells when that is over. What cannot be read is left to the look-up.
    pub fn knows_times(&mut self, id: PartitionId, looks: &mut Looks) -> bool {
        let known = self.with_log(id, |log, shelf| log.learn_times(shelf, looks));
        let is_known = known.unwrap_or(true);
        if !is_known {
            self.learning.0.insert(id);
        }
        is_known
    }

    pub(super) fn tick_learning(&mut self) {
        let mut looks = Looks::default();
        while let Some(&id) = self.learning.0.first() {
            let known = self.with_log(id, |log, shelf| log.learn_times(shelf, &mut looks));
            if !known.unwrap_or(true) {
                return;
            }
            self.learning.0.remove(&id);
            self.signals.push((id, usize::MAX));
        }
    }
}

impl Log {
    /// Learns the greatest times of so many segments. Answers whether all of them are known.
    fn learn_times(&mut self, shelf: &mut Shelf, looks: &mut Looks) -> Result<bool, ReadError> {
        for slot in self.slot_of(self.log_start())..self.segments.len() {
            if self.segments[slot].knows_newest() {
                continue;
            }
            if looks.0 == 0 {
                return Ok(false);
            }
            looks.0 -= 1;
            self.newest_in(shelf, slot)?;
        }
        Ok(true)
    }
}
