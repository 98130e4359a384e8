//! Opening: reads the snapshot and every later file, finds the end, and puts the last file in order. In numbered
//! passes:
//!
//! 1. list the files; the numbers of those that the newest snapshot does not cover have no gap;
//! 2. read the snapshot and each of them, hand their groups out, and judge what is behind the last one;
//! 3. only now that nothing is damaged: copy a cut tail into quarantine, if there is any room for that, and
//!    overwrite it with zeros; remove a last file that was never finished;
//! 4. sync what may have been in the page cache only.
//!
//! Each pass may be cut off and done again. The file that was written last is read from the disk and not
//! from the page cache: after a failed sync the cache holds what the disk does not. What the snapshot covers is not
//! read; the first job recycles it, after pass 4 has made the snapshot's name durable.

use super::entry::{
    self, ALIGN, CLOSED, Change, FILE_BYTES, FileHeader, HEADER_BYTES, HeaderFault, Kind, Record,
    RecordHeader, used_bytes,
};
use super::error::{GAP, NO_HEADER, NO_SENSE, damaged};
use super::names::{self, Listing};
use super::schedule::Schedule;
use super::snapshot::Image;
use super::upkeep::Upkeep;
use super::writer::Withheld;
use super::{Journal, JournalFile, Limits, OpenError, Place, Reserve, Snapshot};
use crate::clock::Mono;
use crate::disk::{self, Disk, FileRef, Mode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many files at the end may have been written since the last sync: the current one and the next.
const OPEN_FILES: usize = 2;

/// See `Journal::open`.
pub(super) fn open(
    place: Place,
    limits: Limits,
    now: Mono,
    each: &mut dyn FnMut(&[Change<'_>]),
) -> Result<Journal, OpenError> {
    let (disk, root, dir) = (&*place.disk, &*place.root, &*place.dir());
    disk.create_dir(dir)?;
    let mut listing = Listing::of(disk, dir)?;
    let is_new = listing.snapshot.is_none() && listing.numbers.is_empty();
    let mut replay = Replay::new(each, Mode::Write, is_new);
    replay.read(disk, dir, &listing)?;
    replay.repair(disk, root, &mut listing.blanks)?;
    replay.sync(disk, root, dir, is_new)?;
    let schedule = Schedule::new(&limits, now);
    Ok(replay.finish(&place, listing, schedule, limits))
}

/// Passes 1 and 2. See `journal::check`.
pub(super) fn check(
    disk: &dyn Disk,
    dir: &Path,
    each: &mut dyn FnMut(&[Change<'_>]),
) -> Result<(), OpenError> {
    let listing = Listing::of(disk, dir)?;
    Replay::new(each, Mode::Read, false).read(disk, dir, &listing)
}

/// Opens a file and reads all of it, from the disk itself if `cold`.
fn read(disk: &dyn Disk, path: &Path, mode: Mode, cold: bool) -> io::Result<(FileRef, Vec<u8>)> {
    let file = disk.open(path, mode)?;
    if cold {
        file.drop_cache()?;
    }
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut image = vec![0; len];
    let count = file.read_at(0, &mut image)?;
    image.truncate(count);
    Ok((file, image))
}

/// What has been learned from the files read so far.
struct Replay<'a> {
    each: &'a mut dyn FnMut(&[Change<'_>]),
    /// How journal files are opened.
    mode: Mode,
    snapshot: Option<Snapshot>,
    files: Vec<JournalFile>,
    /// Of the last file.
    version: u16,
    /// What is behind the last record, if it is not zeros.
    cut: Option<Leftover>,
    /// The last file, if it was never finished.
    unfinished: Option<Leftover>,
    next_sequence: u64,
    /// Whether the last record is the mark of a clean stop; true of a new journal, too.
    closed: bool,
}

/// Bytes that are not part of the journal, and not ours to throw away.
struct Leftover {
    path: PathBuf,
    position: usize,
    bytes: Vec<u8>,
}

impl<'a> Replay<'a> {
    fn new(each: &'a mut dyn FnMut(&[Change<'_>]), mode: Mode, is_new: bool) -> Replay<'a> {
        Replay {
            each,
            mode,
            snapshot: None,
            files: Vec::new(),
            version: entry::VERSION,
            cut: None,
            unfinished: None,
            next_sequence: 1,
            closed: is_new,
        }
    }

    /// Pass 2.
    fn read(&mut self, disk: &dyn Disk, dir: &Path, listing: &Listing) -> Result<(), OpenError> {
        if let Some(number) = listing.snapshot {
            self.snapshot(disk, dir, number)?;
        }
        for (index, &number) in listing.numbers.iter().enumerate() {
            self.file(disk, dir, number, listing.numbers.len() - 1 - index)?;
        }
        Ok(())
    }

    /// Reads the snapshot.
    fn snapshot(&mut self, disk: &dyn Disk, dir: &Path, number: u64) -> Result<(), OpenError> {
        let path = names::snapshot(dir, number);
        let image = Image::read(disk, &path, number)?;
        image.blocks(&mut |changes| {
            (self.each)(changes);
            Ok(())
        })?;
        let covered = image.covered();
        self.next_sequence = covered.sequence + 1;
        self.closed = covered.is_closed();
        let bytes = image.file_bytes;
        self.snapshot = Some(Snapshot {
            file: Reserve { path, bytes },
            header: image.header,
        });
        Ok(())
    }

    /// Reads one file, behind which there are `later` more.
    fn file(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        later: usize,
    ) -> Result<(), OpenError> {
        let path = names::journal(dir, number);
        let (file, image) = read(disk, &path, self.mode, later < OPEN_FILES)?;
        let header = match FileHeader::decode(&image) {
            Ok(header) if header.number == number && header.kind == Kind::Journal => header,
            Err(HeaderFault::Newer(version)) => return Err(OpenError::Newer { path, version }),
            _ => return self.without_header(path, &image, later),
        };
        let mut file = JournalFile {
            path,
            file,
            number,
            seed: header.seed(),
            len: image.len() as u64,
            position: HEADER_BYTES as u64,
            is_new: false,
            groups: 0,
            changes: 0,
        };
        self.groups(&mut file, &image)?;
        self.judge(&file, &image)?;
        self.version = header.version;
        self.files.push(file);
        Ok(())
    }

    /// Records are written only after the header has been synced, so without one there may be none.
    fn without_header(
        &mut self,
        path: PathBuf,
        image: &[u8],
        later: usize,
    ) -> Result<(), OpenError> {
        let used = used_bytes(image);
        if later > 0 || used > HEADER_BYTES {
            return Err(damaged(&path, 0, NO_HEADER));
        }
        self.unfinished = Some(Leftover {
            path,
            position: 0,
            bytes: image[..used].to_vec(),
        });
        Ok(())
    }

    /// Hands out the file's groups and finds where they end.
    fn groups(&mut self, file: &mut JournalFile, image: &[u8]) -> Result<(), OpenError> {
        let mut end = HEADER_BYTES;
        while let Some(record) = Record::read(&image[end..], file.seed) {
            if record.header.sequence != self.next_sequence {
                break;
            }
            let changes = record
                .changes()
                .ok_or_else(|| damaged(&file.path, end, NO_SENSE))?;
            self.closed = record.header.flags & CLOSED != 0;
            file.groups += 1;
            file.changes += changes.len() as u64;
            if !changes.is_empty() {
                (self.each)(&changes);
            }
            self.next_sequence += 1;
            end += record.bytes();
        }
        file.position = end as u64;
        Ok(())
    }

    /// What is behind the last group: zeros, an append that was cut off, or proof of damage.
    fn judge(&mut self, file: &JournalFile, image: &[u8]) -> Result<(), OpenError> {
        let end = file.position as usize;
        let rest = &image[end..];
        let used = used_bytes(rest);
        if let Some(cut) = &self.cut
            && end + used > HEADER_BYTES
        {
            return Err(damaged(&cut.path, cut.position, GAP));
        }
        if used == 0 {
            return Ok(());
        }
        if shows_later_append(&rest[..used], file.seed, self.next_sequence) {
            return Err(damaged(&file.path, end, GAP));
        }
        self.cut = Some(Leftover {
            path: file.path.clone(),
            position: end,
            bytes: rest[..used].to_vec(),
        });
        Ok(())
    }

    /// Pass 3. Nothing is overwritten before its copy is durable.
    fn repair(&self, disk: &dyn Disk, root: &Path, blanks: &mut Vec<PathBuf>) -> io::Result<()> {
        if let Some(cut) = &self.cut {
            cut.keep(disk, root, blanks)?;
            let file = disk.open(&cut.path, Mode::Write)?;
            file.write_at(cut.position as u64, &[&vec![0; cut.bytes.len()]])?;
        }
        if let Some(unfinished) = &self.unfinished {
            if !unfinished.bytes.is_empty() {
                unfinished.keep(disk, root, blanks)?;
            }
            disk.remove_file(&unfinished.path)?;
        }
        Ok(())
    }

    /// Pass 4. A file whose process was killed may be whole in the page cache and nowhere else; so may the
    /// mark of a clean stop.
    fn sync(&self, disk: &dyn Disk, root: &Path, dir: &Path, is_new: bool) -> io::Result<()> {
        for file in self.files.iter().rev().take(OPEN_FILES) {
            file.file.sync()?;
        }
        disk.sync_dir(dir)?;
        if is_new || self.files.is_empty() {
            disk.sync_dir(root)?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        place: &Place,
        listing: Listing,
        schedule: Schedule,
        limits: Limits,
    ) -> Journal {
        let covered = listing.snapshot.unwrap_or(0);
        let last = self.files.last().map_or(covered, |file| file.number);
        // An older version's file is read to the end and never written.
        let current = self.files.pop_if(|_| self.version == entry::VERSION);
        Journal {
            disk: Arc::clone(&place.disk),
            dir: place.dir(),
            salt: place.salt,
            limits,
            current,
            closed: self.files,
            snapshot: self.snapshot,
            reserves: listing.reserves,
            blanks: listing.blanks,
            stale: listing.stale,
            next_number: last + 1,
            next_sequence: self.next_sequence,
            withheld: Withheld::default(),
            in_flight: false,
            was_clean: self.closed && self.cut.is_none() && self.unfinished.is_none(),
            schedule,
        }
    }
}

impl Leftover {
    /// Copies the bytes to `<root>/quarantine/`, durably, under a name that is not yet taken. On a full disk they go
    /// into a wiped file, whose blocks are there; without one they are given up, because they were promised to nobody.
    fn keep(&self, disk: &dyn Disk, root: &Path, blanks: &mut Vec<PathBuf>) -> io::Result<()> {
        let mut kept = self.copy(disk, root, None);
        if kept.as_ref().is_err_and(Upkeep::is_full)
            && self.bytes.len() as u64 <= FILE_BYTES
            && let Some(blank) = blanks.pop()
        {
            kept = self.copy(disk, root, Some(&blank));
        }
        let fate = match kept {
            Ok(path) => format!("they are kept in {}", path.display()),
            Err(failure) if Upkeep::is_full(&failure) => format!("they are lost: {failure}"),
            Err(failure) => return Err(failure),
        };
        log::warn!(
            "{}: {} bytes from {} on were cut off by an unclean stop; {fate}",
            self.path.display(),
            self.bytes.len(),
            self.position
        );
        Ok(())
    }

    /// Writes them into a new file, or into a wiped one.
    fn copy(&self, disk: &dyn Disk, root: &Path, blank: Option<&Path>) -> io::Result<PathBuf> {
        let dir = root.join("quarantine");
        disk.create_dir(&dir)?;
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}.journal-{}", self.position);
        let path = disk::unused_path(disk, &dir, &name, "")?;
        match blank {
            None => drop(disk.open(&path, Mode::CreateNew)?),
            Some(blank) => disk.rename(blank, &path)?,
        }
        // A file that may come back under its old name has to be blank.
        for dir in [&dir, root, self.path.parent().unwrap_or(root)] {
            disk.sync_dir(dir)?;
        }
        let written = self.write(disk, &path);
        if written.is_err() {
            let _ = disk.remove_file(&path);
        }
        written.map(|()| path)
    }

    /// A full disk is an answer here and not a failed sync.
    fn write(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        let len = self.bytes.len() as u64;
        let file = disk.open(path, Mode::Write)?;
        file.reserve(0, len)?;
        file.write_at(0, &[&self.bytes])?;
        file.set_len(len)?;
        file.sync()
    }
}

/// Whether `rest`, where the record `expected` should be, holds a record of an append that was written after
/// `expected` had been synced. Its header says it all.
fn shows_later_append(rest: &[u8], seed: u32, expected: u64) -> bool {
    (0..rest.len())
        .step_by(ALIGN)
        .filter_map(|at| RecordHeader::read(&rest[at..], seed))
        .any(|header| header.append_start() > expected)
}

#[cfg(test)]
mod tests {
    use super::super::entry::VERSION;
    use super::super::error::MISSING;
    use super::super::tests::{
        Group, append, disk, file_path, group, image, open, put, quarantined, reopened, sync,
    };
    use super::*;
    use crate::disk::sim::{SimDisk, Survives};

    /// The used bytes of a journal of one file with rounds of so many small groups, where each round ends,
    /// and all groups.
    fn small(rounds: &[usize]) -> (Vec<u8>, Vec<usize>, Vec<Group>) {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        let (mut ends, mut groups) = (Vec::new(), Vec::new());
        for (number, &count) in (1..).zip(rounds) {
            for _ in 0..count {
                groups.push(group(groups.len(), 9));
                append(&mut journal, &groups[groups.len() - 1]);
            }
            assert!(sync(&mut journal, &disk, number));
            ends.push(journal.current.as_ref().unwrap().position as usize);
        }
        let mut bytes = image(&disk, &file_path(1));
        bytes.truncate(ends[ends.len() - 1] + 512);
        (bytes, ends, groups)
    }

    /// A disk with these files of a journal, from number 1 on.
    fn disk_with(images: &[&[u8]]) -> SimDisk {
        let disk = disk(1);
        for (number, image) in (1..).zip(images) {
            put(&disk, &file_path(number), image);
        }
        disk
    }

    fn damage(disk: &SimDisk) -> (PathBuf, u64, &'static str) {
        let before: Vec<_> = (1..4).map(|n| try_image(disk, n)).collect();
        let (path, position, why) = match open(disk) {
            Err(OpenError::Damaged {
                path,
                position,
                why,
            }) => (path, position, why),
            Err(error) => panic!("{error}"),
            Ok((_, groups)) => panic!("opened with {} groups", groups.len()),
        };
        let after: Vec<_> = (1..4).map(|n| try_image(disk, n)).collect();
        assert_eq!(after, before, "nothing is touched");
        (path, position, why)
    }

    fn try_image(disk: &SimDisk, number: u64) -> Option<Vec<u8>> {
        disk.open(&file_path(number), Mode::Read).ok()?;
        Some(image(disk, &file_path(number)))
    }

    #[test]
    fn a_tail_cut_anywhere_is_kept_aside_and_the_rest_goes_on() {
        let (bytes, ends, groups) = small(&[1, 2, 3]);
        for cut in ends[1]..ends[2] {
            let mut torn = bytes.clone();
            torn[cut..].fill(0);
            let disk = disk_with(&[&torn]);
            let (mut journal, replayed) = reopened(&disk);
            assert!(replayed.len() >= 3 && groups.starts_with(&replayed));
            assert!(!journal.was_clean());
            let kept = quarantined(&disk);
            if let [kept] = &kept[..] {
                let rest = image(&disk, &file_path(1));
                let end = used_bytes(&rest).next_multiple_of(ALIGN);
                assert_eq!(torn[end..][..kept.len()], kept[..], "cut at {cut}");
                assert!(torn[end + kept.len()..].iter().all(|&byte| byte == 0));
            } else {
                assert_eq!(kept.len(), 0);
                assert_eq!(image(&disk, &file_path(1)), torn, "cut at {cut}");
            }
            append(&mut journal, &group(99, 9));
            assert!(sync(&mut journal, &disk, 1));
            disk.crash(Survives::Nothing);
            let (_, again) = reopened(&disk);
            assert_eq!(again[..replayed.len()], replayed);
            assert_eq!(again[replayed.len()..], [group(99, 9)]);
            assert_eq!(quarantined(&disk), kept, "the repair was enough");
        }
    }

    /// A journal whose last round was torn, with a wiped file or without one, and what is behind its end.
    fn torn(seed: u64, has_blank: bool) -> (SimDisk, Vec<u8>) {
        let (mut bytes, ends, _) = small(&[1, 3]);
        let cut = ends[1] - 30;
        bytes[cut..].fill(0);
        let kept = used_bytes(&bytes[..cut]);
        bytes.resize(FILE_BYTES as usize, 0);
        let disk = disk(seed);
        put(&disk, &file_path(1), &bytes);
        if has_blank {
            put(&disk, Path::new("/data/journal/blank"), &vec![0; 1 << 20]);
        }
        let last = Record::read(&bytes[ends[0]..], FileHeader::journal(1, 7).seed()).unwrap();
        let end = ends[0] + 2 * last.bytes();
        (disk, bytes[end..kept].to_vec())
    }

    #[test]
    fn a_full_disk_keeps_no_journal_with_a_torn_tail_from_opening() {
        for has_blank in [true, false] {
            let (disk, tail) = torn(1, has_blank);
            disk.set_capacity(Some(0));
            let (mut journal, groups) = reopened(&disk);
            assert_eq!(groups.len(), 3);
            assert_eq!(
                quarantined(&disk),
                Vec::from_iter(has_blank.then_some(tail))
            );
            append(&mut journal, &group(9, 9));
            assert!(sync(&mut journal, &disk, 1));
            disk.crash(Survives::Nothing);
            assert_eq!(reopened(&disk).1.len(), 4);
        }
    }

    #[test]
    fn a_wiped_file_that_takes_a_torn_tail_is_not_taken_for_wiped_afterwards() {
        for cut in 0..20 {
            for seed in 0..20 {
                let (disk, _) = torn(seed, true);
                disk.set_capacity(Some(0));
                disk.cut_at(disk.operations() + cut);
                let _ = open(&disk);
                disk.crash(Survives::Some);
                let blank = Path::new("/data/journal/blank");
                if disk.open(blank, Mode::Read).is_ok() {
                    assert_eq!(used_bytes(&image(&disk, blank)), 0, "cut at {cut}");
                }
                assert_eq!(reopened(&disk).1.len(), 3);
            }
        }
    }

    #[test]
    fn a_file_that_ends_anywhere_is_read_up_to_there() {
        let (bytes, _, groups) = small(&[1, 2]);
        for len in 0..bytes.len() {
            let disk = disk_with(&[&bytes[..len]]);
            let (mut journal, replayed) = reopened(&disk);
            assert!(groups.starts_with(&replayed));
            append(&mut journal, &group(99, 9));
            assert!(sync(&mut journal, &disk, 1));
            disk.crash(Survives::Nothing);
            assert_eq!(reopened(&disk).1.last(), Some(&group(99, 9)));
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_damage_or_costs_the_last_round_at_most() {
        let (bytes, ends, groups) = small(&[1, 2, 1, 2]);
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match open(&disk_with(&[&flipped])) {
                Ok((_, replayed)) => {
                    assert!(bit / 8 >= ends[2], "bit {bit} was not noticed");
                    assert!(replayed.len() >= 4 && groups.starts_with(&replayed));
                }
                Err(OpenError::Damaged { position, .. }) => {
                    assert!(position as usize <= bit / 8);
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(refused, ends[2] * 8, "all but the last round");
    }

    #[test]
    fn a_lost_sector_in_the_middle_is_damage_and_in_the_last_round_is_not() {
        let (bytes, ends, groups) = small(&[1, 2, 3]);
        let mut lost = bytes.clone();
        lost[ends[0]..ends[1]].fill(0);
        let (path, position, why) = damage(&disk_with(&[&lost]));
        assert_eq!((path, position, why), (file_path(1), ends[0] as u64, GAP));
        let mut lost = bytes;
        lost[ends[1]..ends[1] + 40].fill(0);
        let disk = disk_with(&[&lost]);
        assert_eq!(reopened(&disk).1, groups[..3]);
        assert_eq!(quarantined(&disk).len(), 1);
        assert_eq!(used_bytes(&image(&disk, &file_path(1))[ends[1]..]), 0);
    }

    /// Three files, the last of which is ready and empty, with used lengths and all groups.
    fn three_files() -> (Vec<Vec<u8>>, Vec<Group>) {
        let disk = disk(1);
        let (mut journal, _) = reopened(&disk);
        let groups = [
            group(0, 700_000),
            group(1, 30),
            group(2, 900_000),
            group(3, 7),
        ];
        for (number, group) in (1..).zip(&groups) {
            append(&mut journal, group);
            assert!(sync(&mut journal, &disk, number));
        }
        let images = (1..3).map(|number| image(&disk, &file_path(number)));
        let mut images: Vec<_> = images.collect();
        let mut ready = FileHeader::journal(3, 7).encode().to_vec();
        ready.resize(1 << 20, 0);
        images.push(ready);
        (images, groups.to_vec())
    }

    #[test]
    fn damage_in_an_earlier_file_is_reported_where_it_is() {
        let (files, groups) = three_files();
        let [first, second, ready] = &files[..] else {
            panic!("{} files", files.len());
        };
        assert_eq!(reopened(&disk_with(&[first, second, ready])).1, groups);
        let end = used_bytes(first).next_multiple_of(ALIGN);
        for at in [64, 1000, end - 1] {
            let mut flipped = first.clone();
            flipped[at] ^= 1;
            let (path, ..) = damage(&disk_with(&[&flipped, second, ready]));
            assert_eq!(path, file_path(1), "byte {at}");
        }
        let mut forgotten = first.clone();
        forgotten[64..].fill(0);
        damage(&disk_with(&[&forgotten, second, ready]));
        let mut dirty = first.clone();
        dirty[end + 100] = 1;
        assert_eq!(
            damage(&disk_with(&[&dirty, second, ready])),
            (file_path(1), end as u64, GAP)
        );
        let mut headless = first.clone();
        headless[20] ^= 1;
        assert_eq!(
            damage(&disk_with(&[&headless, second])),
            (file_path(1), 0, NO_HEADER)
        );
        let mut headless = second.clone();
        headless[20] ^= 1;
        assert_eq!(
            damage(&disk_with(&[first, &headless])),
            (file_path(2), 0, NO_HEADER)
        );
    }

    #[test]
    fn a_missing_file_is_damage() {
        let (files, _) = three_files();
        let disk = disk_with(&[&files[0], &files[1]]);
        disk.remove_file(&file_path(1)).unwrap();
        assert_eq!(damage(&disk), (file_path(1), 0, MISSING));
    }

    #[test]
    fn the_tail_of_the_current_file_may_be_torn_while_the_next_is_ready() {
        let (files, groups) = three_files();
        let mut torn = files[1].clone();
        let end = used_bytes(&torn);
        torn[end - 9..end].fill(0);
        let disk = disk_with(&[&files[0], &torn, &files[2]]);
        let (mut journal, replayed) = reopened(&disk);
        assert_eq!(replayed, groups[..3]);
        assert_eq!(quarantined(&disk).len(), 1);
        append(&mut journal, &group(9, 900_000));
        assert!(sync(&mut journal, &disk, 1));
        assert_eq!(reopened(&disk).1.last(), Some(&group(9, 900_000)));
    }

    #[test]
    fn a_last_file_that_was_never_finished_is_removed_and_made_again() {
        let (files, groups) = three_files();
        let mut garbage = [0; HEADER_BYTES];
        garbage[..9].copy_from_slice(b"chronikd\x07");
        for (unfinished, kept) in [(&[][..], 0), (&[0; 5000][..], 0), (&garbage[..], 1)] {
            let disk = disk_with(&[&files[0], &files[1], unfinished]);
            let (mut journal, replayed) = reopened(&disk);
            assert_eq!(replayed, groups);
            assert_eq!(try_image(&disk, 3), None);
            assert_eq!(quarantined(&disk).len(), kept);
            append(&mut journal, &group(9, 900_000));
            assert!(sync(&mut journal, &disk, 1));
            disk.crash(Survives::Nothing);
            assert_eq!(reopened(&disk).1.len(), 5);
        }
    }

    #[test]
    fn what_an_older_file_left_is_not_taken_for_new() {
        let (mut old, ..) = small(&[3]);
        let header = FileHeader::journal(1, 8);
        old[..HEADER_BYTES].copy_from_slice(&header.encode());
        let disk = disk_with(&[&old]);
        assert_eq!(reopened(&disk).1.len(), 0);
        assert_eq!(quarantined(&disk).len(), 1);
        let (mut first, ..) = small(&[3]);
        first.truncate(used_bytes(&first));
        assert_eq!(
            damage(&disk_with(&[&first, &first])),
            (file_path(2), 0, NO_HEADER)
        );
    }

    #[test]
    fn a_value_that_looks_like_a_record_proves_nothing() {
        let (bytes, ends, _) = small(&[1, 1]);
        let mut fake = Vec::new();
        entry::push_record(&mut fake, 9, 0, &[]);
        entry::seal(&mut fake, FileHeader::journal(1, 1).seed());
        let mut torn = bytes.clone();
        torn[ends[0]..].fill(0);
        torn[ends[0] + 64..][..fake.len()].copy_from_slice(&fake);
        assert_eq!(reopened(&disk_with(&[&torn])).1.len(), 1);
        let mut real = fake;
        entry::seal(&mut real, FileHeader::journal(1, 7).seed());
        torn[ends[0] + 64..][..real.len()].copy_from_slice(&real);
        assert_eq!(damage(&disk_with(&[&torn])).1, ends[0] as u64);
    }

    #[test]
    fn a_record_of_unknown_flags_is_refused() {
        let (mut bytes, ends, _) = small(&[1]);
        let mut strange = Vec::new();
        entry::push_record(&mut strange, 2, 2, &[]);
        entry::seal(&mut strange, FileHeader::journal(1, 7).seed());
        bytes[ends[0]..][..strange.len()].copy_from_slice(&strange);
        assert_eq!(
            damage(&disk_with(&[&bytes])),
            (file_path(1), ends[0] as u64, NO_SENSE)
        );
    }

    #[test]
    fn a_newer_version_is_refused_and_nothing_is_touched() {
        let (bytes, ..) = small(&[1]);
        let mut newer = bytes.clone();
        newer[10..12].copy_from_slice(&(VERSION + 1).to_be_bytes());
        let crc = crc32c::crc32c(&newer[..12]);
        newer[12..16].copy_from_slice(&crc.to_be_bytes());
        let mut torn = bytes;
        torn.truncate(100);
        let snapshot = Path::new("/data/journal/00000000000000000001.snapshot");
        for (path, other) in [(file_path(2), &torn), (snapshot.to_path_buf(), &torn)] {
            let disk = disk_with(&[other]);
            put(&disk, &path, &newer);
            let error = open(&disk).map(|_| ()).unwrap_err();
            assert!(
                matches!(&error, OpenError::Newer { path: at, version } if *at == path && *version == VERSION + 1),
                "{error}"
            );
            assert!(error.to_string().contains("newer chronikd"));
            assert_eq!(image(&disk, &file_path(1)), torn);
            assert!(quarantined(&disk).is_empty());
        }
    }

    #[test]
    fn files_of_other_names_are_left_alone() {
        let (bytes, _, groups) = small(&[2]);
        let disk = disk_with(&[&bytes]);
        for name in ["1.journal", "notes", "+0000000000000000001.journal"] {
            put(&disk, &Path::new("/data/journal").join(name), b"x");
        }
        assert_eq!(reopened(&disk).1, groups);
        for name in ["1.journal", "notes", "+0000000000000000001.journal"] {
            let path = Path::new("/data/journal").join(name);
            assert_eq!(image(&disk, &path), b"x");
        }
    }
}
