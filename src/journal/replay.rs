//! Opening: reads every file, finds the end, and puts the last file in order. In numbered passes:
//!
//! 1. list the files; their numbers have no gap;
//! 2. read each of them, hand its groups out, and judge what is behind the last one;
//! 3. only now that nothing is damaged: copy a cut tail into quarantine and overwrite it with zeros, remove
//!    a last file that was never finished;
//! 4. sync what may have been in the page cache only.
//!
//! Each pass may be cut off and done again. The file that was written last is read from the disk and not
//! from the page cache: after a failed sync the cache holds what the disk does not.

use super::entry::{
    self, ALIGN, CLOSED, Change, FileHeader, HEADER_BYTES, HeaderFault, Record, RecordHeader,
};
use super::{Current, Journal, JournalFile, OpenError, Size};
use crate::disk::{Disk, FileRef, Mode};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NO_HEADER: &str = "the file's header does not verify";
const NO_SENSE: &str = "the record verifies but makes no sense";
const GAP: &str =
    "the record that belongs here does not verify, and a later one shows that it had been durable";
const MISSING: &str = "the file is missing";

/// How many files at the end may have been written since the last sync: the current one and the next.
const OPEN_FILES: usize = 2;

/// See `Journal::open`.
pub(super) fn open(
    disk: Arc<dyn Disk>,
    root: &Path,
    salt: u64,
    each: &mut dyn FnMut(&[Change<'_>]),
) -> Result<Journal, OpenError> {
    let dir = root.join("journal");
    disk.create_dir(&dir)?;
    let numbers = list(&*disk, &dir)?;
    let mut replay = Replay::new(each, numbers.is_empty());
    for (index, &number) in numbers.iter().enumerate() {
        replay.file(&*disk, &dir, number, numbers.len() - 1 - index)?;
    }
    replay.repair(&*disk, root)?;
    replay.sync(&*disk, root, &dir)?;
    Ok(replay.finish(disk, dir, salt))
}

/// The numbers of the files, 1, 2, 3 ...
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, OpenError> {
    let mut numbers = Vec::new();
    for entry in disk.list(dir)? {
        let path = dir.join(&entry.name);
        match (path.extension().and_then(OsStr::to_str), number_of(&path)) {
            (Some("journal"), Some(number)) => numbers.push(number),
            (Some("snapshot"), Some(_)) => return Err(refuse(disk, path)?),
            _ => log::warn!("{} is no file of the journal", path.display()),
        }
    }
    for (number, &found) in (1..).zip(&numbers) {
        if number != found {
            return Err(damaged(&dir.join(entry::file_name(number)), 0, MISSING));
        }
    }
    Ok(numbers)
}

/// The number that a file is named by, with 20 digits.
fn number_of(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let is_number = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| stem.parse().ok()).flatten()
}

/// A kind of file that only a newer version writes.
fn refuse(disk: &dyn Disk, path: PathBuf) -> io::Result<OpenError> {
    let (_, image) = read(disk, &path, Mode::Read, false)?;
    match FileHeader::decode(&image) {
        Err(HeaderFault::Newer(version)) => Ok(OpenError::Newer { path, version }),
        _ => Ok(damaged(&path, 0, NO_HEADER)),
    }
}

fn damaged(path: &Path, position: usize, why: &'static str) -> OpenError {
    OpenError::Damaged {
        path: path.to_path_buf(),
        position: position as u64,
        why,
    }
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
    /// The last `OPEN_FILES` of them.
    open: Vec<Current>,
    /// What is behind the last record, if it is not zeros.
    cut: Option<Leftover>,
    /// The last file, if it was never finished.
    unfinished: Option<Leftover>,
    next_sequence: u64,
    /// Whether the last record is the mark of a clean stop; true of a new journal, too.
    closed: bool,
    size: Size,
}

/// Bytes that are not part of the journal, and not ours to throw away.
struct Leftover {
    path: PathBuf,
    position: usize,
    bytes: Vec<u8>,
}

impl<'a> Replay<'a> {
    fn new(each: &'a mut dyn FnMut(&[Change<'_>]), is_new: bool) -> Replay<'a> {
        Replay {
            each,
            open: Vec::new(),
            cut: None,
            unfinished: None,
            next_sequence: 1,
            closed: is_new,
            size: Size::default(),
        }
    }

    /// Reads one file, behind which there are `later` more.
    fn file(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        later: usize,
    ) -> Result<(), OpenError> {
        let path = dir.join(entry::file_name(number));
        let (file, image) = read(disk, &path, Mode::Write, later < OPEN_FILES)?;
        let header = match FileHeader::decode(&image) {
            Ok(header) if header.number == number => header,
            Err(HeaderFault::Newer(version)) => return Err(OpenError::Newer { path, version }),
            _ => return self.without_header(path, &image, later),
        };
        let seed = header.seed();
        let end = self.groups(&path, &image, seed)?;
        self.judge(&path, &image, end, seed)?;
        self.size.files += 1;
        self.size.bytes += image.len() as u64;
        if self.open.len() == OPEN_FILES {
            self.open.remove(0);
        }
        self.open.push(Current {
            file: JournalFile {
                file,
                path,
                seed,
                len: image.len() as u64,
            },
            position: end as u64,
        });
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

    /// Hands out the file's groups and answers where they end.
    fn groups(&mut self, path: &Path, image: &[u8], seed: u32) -> Result<usize, OpenError> {
        let mut end = HEADER_BYTES;
        while let Some(record) = Record::read(&image[end..], seed) {
            if record.header.sequence != self.next_sequence {
                break;
            }
            let changes = record
                .changes()
                .ok_or_else(|| damaged(path, end, NO_SENSE))?;
            self.closed = record.header.flags & CLOSED != 0;
            self.size.groups += 1;
            self.size.entries += changes.len() as u64;
            if !changes.is_empty() {
                (self.each)(&changes);
            }
            self.next_sequence += 1;
            end += record.bytes();
        }
        Ok(end)
    }

    /// What is behind the last group: zeros, a round that was cut off, or proof of damage.
    fn judge(&mut self, path: &Path, image: &[u8], end: usize, seed: u32) -> Result<(), OpenError> {
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
        if shows_later_round(&rest[..used], seed, self.next_sequence) {
            return Err(damaged(path, end, GAP));
        }
        self.cut = Some(Leftover {
            path: path.to_path_buf(),
            position: end,
            bytes: rest[..used].to_vec(),
        });
        Ok(())
    }

    /// Pass 3. Nothing is overwritten before its copy is durable.
    fn repair(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        if let Some(cut) = &self.cut {
            cut.keep(disk, root)?;
            let file = disk.open(&cut.path, Mode::Write)?;
            file.write_at(cut.position as u64, &[&vec![0; cut.bytes.len()]])?;
        }
        if let Some(unfinished) = &self.unfinished {
            if !unfinished.bytes.is_empty() {
                unfinished.keep(disk, root)?;
            }
            disk.remove_file(&unfinished.path)?;
        }
        Ok(())
    }

    /// Pass 4. A file whose process was killed may be whole in the page cache and nowhere else; so may the
    /// mark of a clean stop.
    fn sync(&self, disk: &dyn Disk, root: &Path, dir: &Path) -> io::Result<()> {
        for Current { file, .. } in &self.open {
            file.file.sync()?;
        }
        disk.sync_dir(dir)?;
        if self.open.is_empty() {
            disk.sync_dir(root)?;
        }
        Ok(())
    }

    fn finish(mut self, disk: Arc<dyn Disk>, dir: PathBuf, salt: u64) -> Journal {
        let ready = self
            .open
            .pop_if(|file| file.position == HEADER_BYTES as u64);
        Journal {
            disk,
            dir,
            salt,
            current: self.open.pop(),
            ready: ready.map(|file| file.file),
            next_number: self.size.files + 1,
            next_sequence: self.next_sequence,
            withheld: Vec::new(),
            withheld_groups: 0,
            in_flight: None,
            clean: self.closed && self.cut.is_none() && self.unfinished.is_none(),
            short: false,
            size: self.size,
        }
    }
}

impl Leftover {
    /// Copies the bytes to `<root>/quarantine/`, durably, under a name that is not yet taken.
    fn keep(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        let dir = root.join("quarantine");
        disk.create_dir(&dir)?;
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}.journal-{}", self.position);
        let (path, file) = create_unused(disk, &dir, &name)?;
        file.write_at(0, &[&self.bytes])
            .and_then(|()| file.sync())?;
        for dir in [&*dir, root] {
            disk.sync_dir(dir)?;
        }
        log::warn!(
            "{}: {} bytes from {} on were cut off by an unclean stop; they are kept in {}",
            self.path.display(),
            self.bytes.len(),
            self.position,
            path.display()
        );
        Ok(())
    }
}

/// An earlier start that was cut off itself may have left the plain name.
fn create_unused(disk: &dyn Disk, dir: &Path, name: &str) -> io::Result<(PathBuf, FileRef)> {
    let mut path = dir.join(name);
    let mut attempt = 1;
    loop {
        match disk.open(&path, Mode::CreateNew) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                attempt += 1;
                path = dir.join(format!("{name}.{attempt}"));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether `rest`, where the record `expected` should be, holds a record of a round that was written after
/// `expected` had been synced. Its header says it all.
fn shows_later_round(rest: &[u8], seed: u32, expected: u64) -> bool {
    (0..rest.len())
        .step_by(ALIGN)
        .filter_map(|at| RecordHeader::read(&rest[at..], seed))
        .any(|header| header.round_start() > expected)
}

/// The length without the zeros at the end.
fn used_bytes(bytes: &[u8]) -> usize {
    const BLOCK: usize = 512;
    let is_used = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) != 0;
    let Some(last) = bytes.chunks(BLOCK).rposition(is_used) else {
        return 0;
    };
    let block = &bytes[last * BLOCK..bytes.len().min((last + 1) * BLOCK)];
    last * BLOCK
        + block
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |at| at + 1)
}
