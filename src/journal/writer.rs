//! From groups in memory to the appends of a round, and the files that take them.
//!
//! The loop fills no file with zeros and waits for no sync: it takes a blank, gives it a header and a
//! name, and the round makes both durable before its records are written. A round that does not fit into what there
//! is goes in parts; where there is no place at all it waits for the work lane.

use super::entry::{self, CLOSED, Change, Extent, FILE_BYTES, FileHeader, HEADER_BYTES};
use super::{Journal, JournalFile, names};
use crate::disk::lanes::{Append, Round};
use crate::disk::{Mode, is_full};
use std::io;
use std::path::Path;

/// What a start needs for its first round.
const FIRST_BYTES: usize = 4096;

/// Records that wait for a place, in the order of their sequence. Their indexes and header checksums wait for the
/// append and the file that take them.
#[derive(Default)]
pub(super) struct Withheld {
    records: Vec<u8>,
    pub(super) groups: u64,
    pub(super) changes: u64,
    /// What is left of the round that has begun. It may not take more: what came later may depend on syncs that are
    /// not part of it.
    begun_bytes: usize,
}

impl Withheld {
    /// What the next append may take.
    fn wanted(&self) -> &[u8] {
        match self.begun_bytes {
            0 => &self.records,
            begun => &self.records[..begun],
        }
    }

    /// Moves the first of the records out.
    fn take(&mut self, first: Extent) -> Vec<u8> {
        self.begun_bytes = self.wanted().len() - first.bytes;
        self.groups -= first.groups;
        self.changes -= first.changes;
        let rest = self.records.split_off(first.bytes);
        std::mem::replace(&mut self.records, rest)
    }
}

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
        let withheld = &mut self.withheld;
        entry::push_record(&mut withheld.records, self.next_sequence, flags, changes);
        withheld.groups += 1;
        withheld.changes += changes.len() as u64;
        self.next_sequence += 1;
    }

    /// Whether anything waits for a round.
    #[must_use]
    pub fn needs_round(&self) -> bool {
        !self.withheld.records.is_empty()
    }

    /// Sees to a place for what is withheld, or for the first groups of it. Without one the work lane is making room,
    /// or looks for it from time to time, and the round has to wait.
    ///
    /// # Errors
    /// What the disk says, if that is not that it is full.
    pub fn make_place(&mut self) -> io::Result<bool> {
        let wanted = self.withheld.wanted();
        if wanted.is_empty() {
            return Ok(true);
        }
        let (all, first) = (wanted.len(), entry::record_bytes(wanted));
        let has_place = self.has_room(all) || self.next_file(all, first)? || self.has_room(first);
        if has_place {
            self.schedule.pressed = false;
        } else {
            self.press();
        }
        Ok(has_place)
    }

    /// Bytes of the records that wait for a place.
    pub(super) fn withheld_bytes(&self) -> usize {
        self.withheld.records.len()
    }

    /// What the files there are still take.
    pub(super) fn spare_bytes(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, JournalFile::room);
        current as u64 + self.blanks.len() as u64 * (FILE_BYTES - HEADER_BYTES as u64)
    }

    fn has_room(&self, bytes: usize) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|file| file.room() >= bytes)
    }

    /// Goes on to a blank: with room for all of a round if the disk has that, or else for its first group,
    /// which most often any file has.
    fn next_file(&mut self, all: usize, first: usize) -> io::Result<bool> {
        let Some(blank) = self.blanks.last() else {
            return Ok(false);
        };
        let taken = match self.take_file(blank, all) {
            Err(failure) if is_full(&failure) => self.take_file(blank, first),
            taken => taken,
        };
        match taken {
            Ok(file) => {
                self.blanks.pop();
                self.next_number += 1;
                self.closed.extend(self.current.replace(file));
                Ok(true)
            }
            Err(failure) if is_full(&failure) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Makes a blank the file of the next number, with room for so many bytes of records.
    fn take_file(&self, blank: &Path, bytes: usize) -> io::Result<JournalFile> {
        let len = FILE_BYTES.max((HEADER_BYTES + bytes) as u64);
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
            is_new: true,
            groups: 0,
            changes: 0,
        })
    }

    /// Moves what is withheld into the round, as far as the place takes whole groups. What is left goes into further
    /// rounds of the same number, as `synced` tells.
    ///
    /// # Panics
    /// When `make_place` was not asked or said no, and when the round before is still in flight, because the new
    /// records would say that it is durable.
    pub fn gather(&mut self, round: &mut Round) {
        if !self.needs_round() {
            return;
        }
        assert!(!self.in_flight, "one round at a time");
        self.note_change();
        let current = self.current.as_mut().expect("make_place has been asked");
        let taken = entry::prefix(self.withheld.wanted(), current.room());
        assert!(taken.groups > 0, "make_place has been asked");
        if std::mem::take(&mut current.is_new) {
            round.files.push(current.file.clone());
            round.dirs.push(self.dir.clone());
        }
        current.groups += taken.groups;
        current.changes += taken.changes;
        let records = self.withheld.take(taken);
        round.then = Some(current.append(records));
        self.in_flight = true;
    }

    /// What was gathered last is durable. Answers whether that was all of the round: until then the next one that is
    /// gathered has to be the rest of it, and to have its number.
    pub fn synced(&mut self) -> bool {
        self.in_flight = false;
        self.withheld.begun_bytes == 0
    }

    /// Whether the first round of this process will have a place.
    pub(super) fn has_first_place(&self) -> bool {
        self.has_room(FIRST_BYTES) || !self.blanks.is_empty()
    }
}

impl JournalFile {
    /// Bytes that it still takes.
    fn room(&self) -> usize {
        usize::try_from(self.len - self.position).unwrap_or(usize::MAX)
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
    use super::super::tests::{
        append, disk, file_path, group, image, part, reopened, round, sync, work,
    };
    use super::*;
    use crate::clock::Mono;
    use crate::disk::Disk;
    use crate::disk::sim::{SimDisk, Survives};
    use crate::journal::schedule::Merge;
    use std::collections::BTreeSet;
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
            let append = round.then.unwrap();
            assert!(append.position == position || append.position == HEADER_BYTES as u64);
            position = append.position + append.bytes.len() as u64;
            assert!(position <= FILE_BYTES);
            assert!(round.files.len() <= 1 && round.dirs.len() == round.files.len());
            assert!(!journal.needs_round());
            journal.synced();
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
    fn a_file_is_zeros_behind_its_records_and_the_next_is_blank() {
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
            [
                "00000000000000000001.journal",
                "blank",
                "reserve",
                "reserve.1"
            ]
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
        assert!(!journal.may_grow(1));
        let again = journal.next_deadline().unwrap();
        journal.tick(again);
        assert!(work(&mut journal));
        assert!(!journal.is_short() && journal.may_grow(1));
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
    fn a_group_that_no_file_takes_waits_on_a_full_disk_and_ends_nothing() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        assert_eq!(fill(&mut journal, &disk, 10, 2), 2);
        disk.set_capacity(Some(4 * FILE_BYTES));
        append(&mut journal, &group(2, 5_000_000));
        for now in (0..100).map(|tenth| Mono(tenth * 100_000)) {
            journal.tick(now);
            assert!(!journal.make_place().unwrap());
            while let Some(job) = journal.take_job() {
                journal.absorb(job(), now).unwrap();
                assert!(!journal.make_place().unwrap());
            }
            assert!(
                journal.next_deadline() > Some(now),
                "the loop does not spin"
            );
            assert!(journal.is_short() && journal.needs_round());
        }
        disk.set_capacity(None);
        journal.tick(Mono(100 * 100_000));
        assert!(work(&mut journal) && round(&mut journal, &disk, 3));
        disk.kill();
        assert_eq!(reopened(&disk).0.last_sequence(), 3);
    }

    /// A journal on a full disk, and a round of 2.5 MB in groups of 50 kB that replaces what is there.
    fn large_round_on_a_full_disk(disk: &SimDisk) -> Journal {
        let (mut journal, _) = reopened(disk);
        assert_eq!(fill(&mut journal, disk, 50_000, 10), 10);
        disk.set_capacity(Some(0));
        (10..60).for_each(|id| append(&mut journal, &group(id, 50_000)));
        journal
    }

    #[test]
    fn a_large_round_goes_in_parts_on_a_full_disk() {
        let disk = disk(1);
        let mut journal = large_round_on_a_full_disk(&disk);
        assert_eq!(part(&mut journal, &disk, 11), Some(false));
        append(&mut journal, &group(60, 10));
        let rest = std::iter::from_fn(|| part(&mut journal, &disk, 11).filter(|all| !all));
        assert!(rest.count() > 0);
        assert!(journal.needs_round(), "what came later is not taken along");
        assert_eq!(part(&mut journal, &disk, 12), Some(true));
        assert!(!journal.needs_round());
        disk.kill();
        assert_eq!(reopened(&disk).0.last_sequence(), 61);
    }

    #[test]
    fn a_cut_at_any_operation_of_a_round_in_parts_leaves_a_prefix_of_it() {
        let operations = {
            let disk = disk(1);
            let mut journal = large_round_on_a_full_disk(&disk);
            let before = disk.operations();
            assert!(round(&mut journal, &disk, 11));
            disk.operations() - before
        };
        let mut left = BTreeSet::new();
        for cut in 0..operations {
            let disk = disk(cut);
            let mut journal = large_round_on_a_full_disk(&disk);
            disk.cut_at(disk.operations() + cut);
            assert!(!round(&mut journal, &disk, 11), "cut at {cut}");
            disk.crash(Survives::Some);
            let (mut journal, groups) = reopened(&disk);
            let last = journal.last_sequence() as usize;
            let newest = group(last - 1, 50_000);
            assert!(groups.iter().flatten().any(|change| *change == newest[0]));
            left.insert(last);
            append(&mut journal, &group(60, 10));
            assert!(sync(&mut journal, &disk, 1), "cut at {cut}");
        }
        assert_eq!((left.first(), left.last()), (Some(&10), Some(&60)));
        assert!(left.len() >= 4, "{left:?}");
    }

    #[test]
    fn what_the_files_have_no_room_for_may_be_added_if_the_disk_has() {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        disk.set_capacity(Some(1 << 30));
        let used = (1 << 30) - disk.free_bytes(Path::new("/data")).unwrap();
        disk.set_capacity(Some(used + 6_000_000));
        assert!(journal.may_grow(1_000_000) && journal.may_grow(2_000_000));
        assert!(!journal.may_grow(2_000_001));
        append(&mut journal, &group(1, 900_000));
        assert!(journal.may_grow(1_000_000) && !journal.may_grow(1_200_000));
        disk.set_capacity(Some(0));
        assert!(journal.may_grow(100_000) && !journal.may_grow(200_000));
    }

    #[test]
    #[should_panic(expected = "a group of")]
    fn a_group_beyond_the_limit_is_a_mistake() {
        let (mut journal, _) = reopened(&disk(1));
        append(&mut journal, &group(1, entry::MAX_GROUP_BYTES));
    }
}
