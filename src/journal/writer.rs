//! From groups in memory to appends of a round, and the files that take them.
//!
//! Making a file (create, reserve, fill 1 MiB with zeros) is done here, on the loop, because it costs a
//! fraction of a millisecond while nothing is synced; the syncs of its zeros and of its name belong to the
//! round, before the round's records.

use super::entry::{self, CLOSED, Change, FileHeader, HEADER_BYTES};
use super::{Current, Journal, JournalFile};
use crate::disk::lanes::{Append, Round};
use crate::disk::{FileRef, Mode};
use std::io;

/// The size of a file, unless one round needs more.
pub(super) const FILE_BYTES: u64 = 1 << 20;

/// A file is filled with so many zeros over and over.
const BLOCK_BYTES: usize = 4096;

impl Journal {
    /// Adds a group, withheld in memory until a round takes it. No changes make no group.
    ///
    /// # Panics
    /// When the group is larger than `MAX_GROUP_BYTES`; `group_bytes` tells.
    pub fn append(&mut self, changes: &[Change<'_>]) {
        if !changes.is_empty() {
            self.push(0, changes);
        }
    }

    /// Adds the mark of a clean stop, which must be the last group; gathered like any other.
    pub fn close(&mut self) {
        self.push(CLOSED, &[]);
    }

    fn push(&mut self, flags: u32, changes: &[Change<'_>]) {
        let (sequence, index) = (self.next_sequence, self.withheld_groups);
        entry::push_record(&mut self.withheld, sequence, index, flags, changes);
        self.next_sequence += 1;
        self.withheld_groups += 1;
        self.size.groups += 1;
        self.size.entries += changes.len() as u64;
    }

    /// Whether anything waits for a round.
    #[must_use]
    pub fn needs_round(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Moves what is withheld into the round. The round before must have been `synced`. While the journal
    /// is short, every call tries again to make the next file, also when nothing is withheld.
    ///
    /// # Errors
    /// When a file was needed and could not be made. Then what is withheld stays, and a later call may
    /// succeed; the round must be run all the same.
    ///
    /// # Panics
    /// When the round before is still in flight, because the new records would say that it is durable.
    pub fn gather(&mut self, round: &mut Round) -> io::Result<()> {
        self.make_ready(round);
        if !self.needs_round() {
            return Ok(());
        }
        assert!(self.in_flight.is_none(), "one round at a time");
        let current = match self.current.take() {
            Some(current) if current.has_room(self.withheld.len()) => current,
            full => match self.next_file(round) {
                Ok(file) => Current::new(file),
                Err(failure) => {
                    self.current = full;
                    return Err(failure);
                }
            },
        };
        let current = self.current.insert(current);
        let mut records = std::mem::take(&mut self.withheld);
        entry::seal(&mut records, current.file.seed);
        round.then.push(current.append(records));
        self.withheld_groups = 0;
        self.in_flight = Some(round.number);
        Ok(())
    }

    /// The round is durable.
    pub fn synced(&mut self, round: u64) {
        self.in_flight.take_if(|number| *number == round);
    }

    /// Makes the next file ahead of need.
    fn make_ready(&mut self, round: &mut Round) {
        let half_full = self.current.as_ref().is_some_and(Current::is_half_full);
        if !half_full || self.ready.is_some() {
            return;
        }
        match self.make_file(FILE_BYTES, round) {
            Ok(file) => {
                self.ready = Some(file);
                self.short = false;
            }
            Err(failure) => {
                if !self.short {
                    log::warn!("the journal could not make its next file: {failure}");
                }
                self.short = true;
            }
        }
    }

    /// A file without records and with room for what is withheld.
    fn next_file(&mut self, round: &mut Round) -> io::Result<JournalFile> {
        let bytes = (HEADER_BYTES + self.withheld.len()) as u64;
        if let Some(file) = &mut self.ready {
            self.size.bytes += file.grow(bytes)?;
        }
        match self.ready.take() {
            Some(file) => Ok(file),
            None => self.make_file(bytes.max(FILE_BYTES), round),
        }
    }

    /// Makes the file of the next number with room for `len` bytes. The round syncs it and its name before
    /// any record can be in it.
    fn make_file(&mut self, len: u64, round: &mut Round) -> io::Result<JournalFile> {
        let header = FileHeader {
            number: self.next_number,
            salt: self.salt,
        };
        let path = self.dir.join(entry::file_name(header.number));
        let file = self.disk.open(&path, Mode::CreateNew)?;
        if let Err(error) = fill(&file, header, len) {
            // An unfinished file is worth nothing; the next start would remove it too.
            let _ = self.disk.remove_file(&path);
            return Err(error);
        }
        self.next_number += 1;
        self.size.files += 1;
        self.size.bytes += len;
        round.files.push(file.clone());
        round.dirs.push(self.dir.clone());
        Ok(JournalFile {
            file,
            seed: header.seed(),
            len,
        })
    }
}

/// Reserves the blocks first, so that a full disk is an answer here and not a failed sync.
fn fill(file: &FileRef, header: FileHeader, len: u64) -> io::Result<()> {
    file.reserve(0, len)?;
    let zeros = [0; BLOCK_BYTES];
    let mut first = zeros;
    first[..HEADER_BYTES].copy_from_slice(&header.encode());
    let mut blocks = vec![&zeros[..]; FILE_BYTES as usize / BLOCK_BYTES];
    blocks[0] = &first;
    file.write_at(0, &blocks)
}

impl JournalFile {
    /// Reserves what one large round needs beyond the end; its write makes the file longer. Answers by how
    /// much.
    fn grow(&mut self, len: u64) -> io::Result<u64> {
        let more = len.saturating_sub(self.len);
        if more > 0 {
            self.file.reserve(self.len, more)?;
            self.len = len;
        }
        Ok(more)
    }
}

impl Current {
    fn new(file: JournalFile) -> Current {
        Current {
            file,
            position: HEADER_BYTES as u64,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.position + bytes as u64 <= self.file.len
    }

    fn is_half_full(&self) -> bool {
        self.position > self.file.len / 2
    }

    /// The next bytes of the file.
    fn append(&mut self, bytes: Vec<u8>) -> Append {
        let position = self.position;
        self.position += bytes.len() as u64;
        Append {
            file: self.file.file.clone(),
            position,
            bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{append, disk, file_path, group, image, reopened, sync};
    use super::*;
    use crate::disk::Disk;
    use crate::disk::sim::SimDisk;
    use std::path::Path;

    fn names(disk: &SimDisk) -> usize {
        disk.list(Path::new("/data/journal")).unwrap().len()
    }

    #[test]
    fn a_round_goes_to_one_place_in_one_file() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        let mut position = HEADER_BYTES as u64;
        for number in 1..9 {
            append(&mut journal, &group(1, 300_000));
            append(&mut journal, &group(2, 10));
            let mut round = Round {
                number,
                ..Round::default()
            };
            journal.gather(&mut round).unwrap();
            let [append] = &round.then[..] else {
                panic!("{} appends", round.then.len());
            };
            assert!(append.position == position || append.position == HEADER_BYTES as u64);
            position = append.position + append.bytes.len() as u64;
            assert!(position <= FILE_BYTES);
            assert!(round.files.len() <= 1 && round.dirs.len() == round.files.len());
            assert!(!journal.needs_round());
            journal.synced(number);
        }
    }

    #[test]
    #[should_panic(expected = "one round at a time")]
    fn a_round_before_the_last_one_is_durable_is_a_mistake() {
        let (mut journal, _) = reopened(&disk(1));
        for number in 1..3 {
            append(&mut journal, &group(1, 1));
            let mut round = Round {
                number,
                ..Round::default()
            };
            journal.gather(&mut round).unwrap();
        }
    }

    #[test]
    fn a_file_is_zeros_behind_its_records_and_the_next_is_made_at_half() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        append(&mut journal, &group(1, 600_000));
        assert!(sync(&mut journal, &disk, 1));
        assert_eq!(names(&disk), 1);
        let bytes = image(&disk, &file_path(1));
        assert_eq!(bytes.len() as u64, FILE_BYTES);
        assert!(bytes[601_000..].iter().all(|&byte| byte == 0));
        append(&mut journal, &group(2, 1));
        assert!(sync(&mut journal, &disk, 2));
        assert_eq!(names(&disk), 2);
        assert_eq!(journal.size().files, 2);
        assert_eq!(journal.size().bytes, 2 * FILE_BYTES);
    }

    #[test]
    fn a_round_larger_than_a_file_comes_back() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        let groups = [group(1, 5_000_000), group(2, 10), group(3, 2_000_000)];
        for (number, group) in (1..).zip(&groups) {
            append(&mut journal, group);
            assert!(sync(&mut journal, &disk, number));
        }
        disk.kill();
        let (again, replayed) = reopened(&disk);
        assert_eq!(replayed, groups);
        assert_eq!(again.size(), journal.size());
        assert_eq!(again.last_sequence(), 3);
    }

    #[test]
    fn many_files_come_back_in_order() {
        let disk = disk(1);
        let mut expected = Vec::new();
        for life in 0..4 {
            let (mut journal, replayed) = reopened(&disk);
            assert_eq!(replayed, expected);
            for number in 0..10 {
                let group = group(life * 10 + number, 250_000);
                append(&mut journal, &group);
                expected.push(group);
                assert!(sync(&mut journal, &disk, number as u64 + 1));
            }
            disk.kill();
        }
        assert!(names(&disk) >= 10);
    }

    #[test]
    fn a_full_disk_is_told_early_and_forgiven() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        disk.set_capacity(Some(FILE_BYTES + 1000));
        append(&mut journal, &group(1, 600_000));
        assert!(sync(&mut journal, &disk, 1));
        append(&mut journal, &group(2, 1));
        assert!(sync(&mut journal, &disk, 2));
        assert!(journal.is_short());
        append(&mut journal, &group(3, 100_000));
        assert!(sync(&mut journal, &disk, 3), "the rest of the file is good");
        append(&mut journal, &group(4, 800_000));
        assert!(!sync(&mut journal, &disk, 4));
        assert!(journal.needs_round(), "what is withheld stays");
        assert_eq!(names(&disk), 1, "no unfinished file is left");
        disk.set_capacity(None);
        assert!(sync(&mut journal, &disk, 4));
        assert!(!journal.is_short());
        disk.kill();
        assert_eq!(reopened(&disk).1.len(), 4);
    }

    #[test]
    fn a_large_round_on_a_full_disk_is_refused_before_it_is_written() {
        for ready in [false, true] {
            let disk = disk(1);
            let (mut journal, _) = reopened(&disk);
            for (number, bytes) in [(1, if ready { 600_000 } else { 10 }), (2, 10)] {
                append(&mut journal, &group(1, bytes));
                assert!(sync(&mut journal, &disk, number));
            }
            assert_eq!(journal.ready.is_some(), ready);
            disk.set_capacity(Some(4 * FILE_BYTES));
            append(&mut journal, &group(2, 5_000_000));
            assert!(journal.gather(&mut Round::default()).is_err());
            assert!(journal.needs_round());
            disk.set_capacity(None);
            assert!(sync(&mut journal, &disk, 3));
            disk.kill();
            assert_eq!(reopened(&disk).1.len(), 3);
        }
    }

    #[test]
    #[should_panic(expected = "a group of")]
    fn a_group_beyond_the_limit_is_a_mistake() {
        let (mut journal, _) = reopened(&disk(1));
        append(&mut journal, &group(1, entry::MAX_GROUP_BYTES));
    }
}
