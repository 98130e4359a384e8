//! From groups in memory to appends of a round, and the files that take them.
//!
//! The loop fills no file with zeros and waits for no sync: it takes a file from the stock, gives it a header and a
//! name, and the round makes both durable before its records are written. A round that needs more than the stock
//! has waits for the work lane.

use super::entry::{self, CLOSED, Change, FileHeader, HEADER_BYTES};
use super::schedule::Merge;
use super::{Journal, JournalFile, names};
use crate::disk::lanes::{Append, Round};
use crate::disk::{Mode, is_full};
use std::io;
use std::path::Path;

/// The size of a file, unless one round needs more.
pub(super) const FILE_BYTES: u64 = 1 << 20;

/// What a start needs for its first round.
const FIRST_BYTES: usize = 4096;

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
        self.schedule.closing = true;
        self.push(CLOSED, &[]);
    }

    fn push(&mut self, flags: u32, changes: &[Change<'_>]) {
        let (sequence, index) = (self.next_sequence, self.withheld_groups);
        entry::push_record(&mut self.withheld, sequence, index, flags, changes);
        self.next_sequence += 1;
        self.withheld_groups += 1;
        self.withheld_changes += changes.len() as u64;
    }

    /// Whether anything waits for a round.
    #[must_use]
    pub fn needs_round(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Sees to a place for what is withheld. Without one, a job of the work lane is making room, and the round has
    /// to wait for it.
    ///
    /// # Errors
    /// When there is no place, and the work lane could not make one either.
    pub fn make_place(&mut self) -> io::Result<bool> {
        let bytes = self.withheld.len();
        let has_room = |file: &JournalFile| file.has_room(bytes);
        if bytes == 0 || self.current.as_ref().is_some_and(has_room) {
            return Ok(true);
        }
        let Some(blank) = self.stock.last() else {
            return self.press(io::ErrorKind::StorageFull.into());
        };
        match self.take_file(blank, (HEADER_BYTES + bytes) as u64) {
            Ok(file) => {
                self.stock.pop();
                self.next_number += 1;
                self.closed.extend(self.current.replace(file));
                self.is_new = true;
                self.schedule.pressed = false;
                Ok(true)
            }
            Err(failure) if is_full(&failure) => self.press(failure),
            Err(failure) => Err(failure),
        }
    }

    /// A round has no place: it waits for the work lane, which is asked once.
    fn press(&mut self, failure: io::Error) -> io::Result<bool> {
        if self.schedule.is_working() {
            return Ok(false);
        }
        if self.schedule.pressed {
            return Err(failure);
        }
        self.schedule.pressed = true;
        self.begin(Merge::Everything);
        Ok(false)
    }

    /// Makes a file of the stock the one of the next number, with room for `len` bytes.
    fn take_file(&self, blank: &Path, len: u64) -> io::Result<JournalFile> {
        let len = len.max(FILE_BYTES);
        let header = FileHeader::journal(self.next_number, self.salt);
        let path = names::journal(&self.dir, header.number);
        let file = self.disk.open(blank, Mode::Write)?;
        file.reserve(0, len)?;
        file.write_at(0, &[&header.encode()])?;
        self.disk.rename(blank, &path)?;
        Ok(JournalFile {
            file: self.disk.open(&path, Mode::Write)?,
            path,
            number: header.number,
            seed: header.seed(),
            len,
            position: HEADER_BYTES as u64,
            groups: 0,
            changes: 0,
        })
    }

    /// Moves what is withheld into the round.
    ///
    /// # Panics
    /// When `make_place` was not asked or said no, and when the round before is still in flight, because the new
    /// records would say that it is durable.
    pub fn gather(&mut self, round: &mut Round) {
        if self.withheld.is_empty() {
            return;
        }
        assert!(self.in_flight.is_none(), "one round at a time");
        self.note_change();
        let records = std::mem::take(&mut self.withheld);
        let current = self.current.as_mut();
        let current = current
            .filter(|file| file.has_room(records.len()))
            .expect("make_place has been asked");
        if std::mem::take(&mut self.is_new) {
            round.files.push(current.file.clone());
            round.dirs.push(self.dir.clone());
        }
        current.groups += u64::from(std::mem::take(&mut self.withheld_groups));
        current.changes += std::mem::take(&mut self.withheld_changes);
        round.then.push(current.append(records));
        self.in_flight = Some(round.number);
    }

    /// The round is durable.
    pub fn synced(&mut self, round: u64) {
        self.in_flight.take_if(|number| *number == round);
    }

    /// Whether the first round of this process will have a place.
    pub(super) fn has_first_place(&self) -> bool {
        let has_room = |file: &JournalFile| file.has_room(FIRST_BYTES);
        self.current.as_ref().is_some_and(has_room) || !self.stock.is_empty()
    }
}

impl JournalFile {
    fn has_room(&self, bytes: usize) -> bool {
        self.position + bytes as u64 <= self.len
    }

    /// The next bytes of the file.
    fn append(&mut self, mut records: Vec<u8>) -> Append {
        entry::seal(&mut records, self.seed);
        let position = self.position;
        self.position += records.len() as u64;
        Append {
            file: self.file.clone(),
            position,
            bytes: records,
        }
    }

    /// What has been written.
    pub(super) fn image(&self) -> io::Result<Vec<u8>> {
        let mut image = vec![0; self.position as usize];
        let count = self.file.read_at(0, &mut image)?;
        image.truncate(count);
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{append, disk, file_path, group, image, reopened, sync, work};
    use super::*;
    use crate::clock::Mono;
    use crate::disk::Disk;
    use crate::disk::sim::SimDisk;
    use std::path::Path;

    fn names(disk: &SimDisk) -> Vec<String> {
        let entries = disk.list(Path::new("/data/journal")).unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn a_round_goes_to_one_place_in_one_file() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        let mut position = HEADER_BYTES as u64;
        for number in 1..9 {
            append(&mut journal, &group(1, 300_000));
            append(&mut journal, &group(2, 10));
            journal.tick(Mono(0));
            assert!(work(&mut journal));
            assert!(journal.make_place().unwrap());
            let mut round = Round {
                number,
                ..Round::default()
            };
            journal.gather(&mut round);
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
            assert!(journal.make_place().unwrap());
            let mut round = Round {
                number,
                ..Round::default()
            };
            journal.gather(&mut round);
        }
    }

    #[test]
    fn a_file_is_zeros_behind_its_records_and_the_next_is_in_stock() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        append(&mut journal, &group(1, 600_000));
        assert!(sync(&mut journal, &disk, 1));
        let bytes = image(&disk, &file_path(1));
        assert_eq!(bytes.len() as u64, FILE_BYTES);
        assert!(bytes[601_000..].iter().all(|&byte| byte == 0));
        append(&mut journal, &group(2, 1));
        assert!(sync(&mut journal, &disk, 2));
        assert_eq!(
            names(&disk),
            ["00000000000000000001.journal", "blank", "room", "room.1"]
        );
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
        assert_eq!(again.size().entries, journal.size().entries);
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
        assert!(names(&disk).len() >= 10);
    }

    /// Appends and syncs groups of that size until the journal gives up or `count` of them are through.
    fn fill(journal: &mut Journal, disk: &SimDisk, bytes: usize, count: usize) -> usize {
        let passes = |&id: &usize| {
            append(journal, &group(id, bytes));
            sync(journal, disk, id as u64 + 1)
        };
        (0..count).take_while(passes).count()
    }

    #[test]
    fn what_only_replaces_goes_on_for_ever_on_a_full_disk() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        assert_eq!(fill(&mut journal, &disk, 100_000, 50), 50);
        journal.begin(Merge::Everything);
        assert!(work(&mut journal));
        disk.set_capacity(Some(0));
        assert_eq!(fill(&mut journal, &disk, 100_000, 200), 200);
        assert!(!journal.is_short(), "nothing had to be refused");
        disk.kill();
        assert_eq!(reopened(&disk).0.last_sequence(), 250);
    }

    #[test]
    fn without_any_reserve_the_one_file_is_merged_and_used_again() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        disk.set_capacity(Some(0));
        assert_eq!(fill(&mut journal, &disk, 100_000, 1), 1);
        journal.tick(Mono(0));
        assert!(work(&mut journal));
        assert!(journal.is_short());
        assert_eq!(fill(&mut journal, &disk, 100_000, 200), 200);
        disk.set_capacity(None);
        journal.want_room();
        journal.tick(Mono(0));
        assert!(work(&mut journal));
        assert!(!journal.is_short());
        disk.kill();
        assert_eq!(reopened(&disk).0.last_sequence(), 201);
    }

    #[test]
    fn a_state_that_grows_on_a_full_disk_makes_the_journal_short_before_it_is_stuck() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        assert_eq!(fill(&mut journal, &disk, 100_000, 2), 2);
        disk.set_capacity(Some(0));
        let mut keys = 0;
        while !journal.is_short() {
            let group = vec![(format!("key {keys}").into_bytes(), Some(vec![1; 100_000]))];
            append(&mut journal, &group);
            keys += 1;
            assert!(sync(&mut journal, &disk, keys));
        }
        assert!((10..30).contains(&keys), "{keys}");
        assert_eq!(fill(&mut journal, &disk, 100_000, 200), 200);
    }

    #[test]
    fn a_large_round_on_a_full_disk_is_refused_before_it_is_written() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        assert_eq!(fill(&mut journal, &disk, 10, 2), 2);
        disk.set_capacity(Some(4 * FILE_BYTES));
        append(&mut journal, &group(2, 5_000_000));
        assert!(!sync(&mut journal, &disk, 3));
        assert!(journal.needs_round(), "what is withheld stays");
        disk.set_capacity(None);
        assert!(sync(&mut journal, &disk, 3));
        disk.kill();
        assert_eq!(reopened(&disk).0.last_sequence(), 3);
    }

    #[test]
    #[should_panic(expected = "a group of")]
    fn a_group_beyond_the_limit_is_a_mistake() {
        let (mut journal, _) = reopened(&disk(1));
        append(&mut journal, &group(1, entry::MAX_GROUP_BYTES));
    }
}
