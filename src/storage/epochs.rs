//! Which leader epoch wrote which offsets of a partition (KIP-101, KIP-320).
//!
//! The broker has one epoch, raised after an unclean stop. A partition gets a line (epoch, first offset) at
//! its first append in an epoch; since every batch carries its epoch, recovery makes the lines anew from
//! the batches that it scans, and the file need not be written before a checkpoint.
//! Invariant: epochs and first offsets both rise strictly.

/// The lines, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// Takes lines from a file; those that break the order are left out.
    pub(super) fn from_lines(lines: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, start) in lines {
            epochs.note(epoch, start);
        }
        epochs
    }

    /// The lines for the file.
    pub(super) fn lines(&self) -> &[(i32, i64)] {
        &self.0
    }

    /// A batch of `epoch` begins at `start`. Says whether that is a new line.
    pub(super) fn note(&mut self, epoch: i32, start: i64) -> bool {
        let last = self.0.last().copied();
        let newer = epoch >= 0 && last.is_none_or(|(e, s)| epoch > e && start >= s);
        if !newer {
            return false;
        }
        if last.is_some_and(|(_, s)| s == start) {
            self.0.pop();
        }
        self.0.push((epoch, start));
        true
    }

    /// Only the lines before the offset `end`.
    pub(super) fn cut(mut self, end: i64) -> Epochs {
        self.0.retain(|(_, start)| *start < end);
        self
    }

    /// What lies before `offset` is deleted: the line that holds it begins there, and those before go. Says whether
    /// anything has changed.
    pub(super) fn begin_at(&mut self, offset: i64) -> bool {
        let after = self.0.partition_point(|(_, start)| *start <= offset);
        let Some(last) = after.checked_sub(1) else {
            return false;
        };
        let changed = last > 0 || self.0[last].1 < offset;
        self.0[last].1 = offset;
        self.0.drain(..last);
        changed
    }

    /// The epoch of the batch that holds `offset`.
    pub(super) fn at(&self, offset: i64) -> Option<i32> {
        let after = self.0.partition_point(|(_, start)| *start <= offset);
        after.checked_sub(1).map(|slot| self.0[slot].0)
    }

    /// The newest line's epoch.
    pub(super) fn newest(&self) -> Option<i32> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// Where `epoch` ends, as OffsetForLeaderEpoch answers it: the greatest epoch not above `epoch`, and the
    /// first offset behind it; (-1, -1) when it is not known. `current` is the epoch of the broker,
    /// which has the log's end even before its first append.
    pub(super) fn end_of(&self, epoch: i32, current: i32, log_end: i64) -> (i32, i64) {
        if epoch == current || (Some(epoch) == self.newest() && epoch >= current) {
            return (epoch, log_end);
        }
        if epoch < 0 || epoch > current.max(self.newest().unwrap_or(-1)) {
            return (-1, -1);
        }
        let after = self.0.partition_point(|(e, _)| *e <= epoch);
        let end = self.0.get(after).map_or(log_end, |(_, start)| *start);
        let floor = after.checked_sub(1).map(|slot| self.0[slot].0);
        (floor.unwrap_or(epoch), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Epochs {
        Epochs::from_lines(&[(1, 10), (3, 20), (7, 50)])
    }

    #[test]
    fn a_line_is_added_once_for_each_epoch() {
        let mut epochs = sample();
        assert!(!epochs.note(7, 60) && !epochs.note(2, 60) && !epochs.note(-1, 60));
        assert!(epochs.note(9, 60));
        assert_eq!(epochs.newest(), Some(9));
    }

    #[test]
    fn an_epoch_without_a_batch_gives_way_to_its_successor() {
        let mut epochs = sample();
        assert!(epochs.note(8, 50));
        assert_eq!(epochs.lines(), [(1, 10), (3, 20), (8, 50)]);
    }

    #[test]
    fn the_epoch_of_an_offset_is_that_of_the_line_before_it() {
        let epochs = sample();
        let found: Vec<_> = [9, 10, 19, 20, 49, 50, 99].map(|o| epochs.at(o)).into();
        assert_eq!(
            found,
            [None, Some(1), Some(1), Some(3), Some(3), Some(7), Some(7)]
        );
    }

    #[test]
    fn a_cut_takes_the_lines_behind_it() {
        assert_eq!(sample().cut(20).lines(), [(1, 10)]);
    }

    #[test]
    fn a_log_that_begins_later_has_the_line_of_its_beginning_and_what_follows() {
        let begin = |offset| {
            let mut epochs = sample();
            (epochs.begin_at(offset), epochs.0)
        };
        assert_eq!(begin(9), (false, vec![(1, 10), (3, 20), (7, 50)]));
        assert_eq!(begin(10), (false, vec![(1, 10), (3, 20), (7, 50)]));
        assert_eq!(begin(11), (true, vec![(1, 11), (3, 20), (7, 50)]));
        assert_eq!(begin(20), (true, vec![(3, 20), (7, 50)]));
        assert_eq!(begin(99), (true, vec![(7, 99)]));
    }

    #[test]
    fn the_end_of_an_epoch_is_the_beginning_of_the_next() {
        let epochs = sample();
        let end = |epoch| epochs.end_of(epoch, 9, 100);
        assert_eq!(end(1), (1, 20));
        assert_eq!(
            end(2),
            (1, 20),
            "no batch in epoch 2: the one before ended there"
        );
        assert_eq!(end(3), (3, 50));
        assert_eq!(end(7), (7, 100), "epoch 9 has not written yet");
        assert_eq!(end(9), (9, 100));
        assert_eq!(end(0), (0, 10), "older than all we know");
        assert_eq!(end(10), (-1, -1));
        assert_eq!(end(-1), (-1, -1));
        assert_eq!(epochs.end_of(7, 7, 100), (7, 100));
    }
}
