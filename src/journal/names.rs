//! The names in the journal's directory, and what each of them says before anything is read.

use super::entry::{FILE_BYTES, HEADER_BYTES};
use super::error::{MISSING, damaged};
use super::{Found, OpenError, Reserve};
use crate::disk::{self, Disk, Entry, Mode};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

const BLANK: &str = "blank";
const RESERVE: &str = "reserve";

/// The journal file of that number.
pub(super) fn journal(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.journal"))
}

/// The snapshot that covers the files up to that number.
pub(super) fn snapshot(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.snapshot"))
}

/// A name for a wiped file.
///
/// # Errors
/// When the directory cannot be listed.
pub(super) fn new_blank(disk: &dyn Disk, dir: &Path) -> io::Result<PathBuf> {
    disk::unused_path(disk, dir, BLANK, "")
}

/// A name for the reserve of a later snapshot.
///
/// # Errors
/// When the directory cannot be listed.
pub(super) fn new_reserve(disk: &dyn Disk, dir: &Path) -> io::Result<PathBuf> {
    disk::unused_path(disk, dir, RESERVE, "")
}

/// Whether the path is that of a snapshot and not of a journal file.
pub(super) fn is_snapshot(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("snapshot"))
}

/// What a directory holds.
#[derive(Default)]
pub(super) struct Listing {
    /// Journal files that no snapshot covers, without a gap.
    pub(super) numbers: Vec<u64>,
    /// The newest snapshot.
    pub(super) snapshot: Option<u64>,
    /// Wiped files.
    pub(super) blanks: Vec<PathBuf>,
    /// Reserve for later snapshots.
    pub(super) reserves: Vec<Reserve>,
    /// What the newest snapshot has made superfluous.
    pub(super) stale: Vec<PathBuf>,
}

impl Listing {
    /// Lists a directory.
    ///
    /// # Errors
    /// Those of the disk, and `Damaged` when a file is missing.
    pub(super) fn of(disk: &dyn Disk, dir: &Path) -> Result<Listing, OpenError> {
        let mut found = Listing::default();
        let mut snapshots = Vec::new();
        for entry in disk.list(dir)? {
            let path = dir.join(&entry.name);
            let extension = path.extension().and_then(OsStr::to_str);
            match (extension, number_of(&path)) {
                (Some("journal"), Some(number)) => found.numbers.push(number),
                (Some("snapshot"), Some(number)) => snapshots.push(number),
                _ if is_numbered(&entry, BLANK) && entry.len == FILE_BYTES => {
                    found.blanks.push(path);
                }
                // It was never finished.
                _ if is_numbered(&entry, BLANK) => found.stale.push(path),
                _ if is_numbered(&entry, RESERVE) => found.reserves.push(Reserve {
                    path,
                    bytes: entry.len,
                }),
                _ => log::warn!("{} is no file of the journal", path.display()),
            }
        }
        found.snapshot = snapshots.pop();
        let old = snapshots.into_iter().map(|number| snapshot(dir, number));
        found.stale.extend(old);
        found.set_covered_aside(dir);
        found.check_gaps(dir)?;
        Ok(found)
    }

    fn set_covered_aside(&mut self, dir: &Path) {
        let last = self.snapshot.unwrap_or(0);
        let covered = self.numbers.partition_point(|&number| number <= last);
        let covered = self.numbers.drain(..covered);
        self.stale
            .extend(covered.map(|number| journal(dir, number)));
    }

    fn check_gaps(&self, dir: &Path) -> Result<(), OpenError> {
        let first = self.snapshot.unwrap_or(0) + 1;
        for (number, &found) in (first..).zip(&self.numbers) {
            if number != found {
                return Err(damaged(&journal(dir, number), 0, MISSING));
            }
        }
        Ok(())
    }
}

/// See `journal::look`. A snapshot, a second file, or a record in the only one says that it was begun: a file without
/// any record is what a first start had made when it was cut off.
pub(super) fn look(disk: &dyn Disk, dir: &Path) -> io::Result<Found> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Unbegun),
        Err(error) => return Err(error),
    };
    let (numbered, others): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .partition(|entry| is_journal_or_snapshot(&entry.name));
    match numbered[..] {
        [] if others
            .iter()
            .all(|entry| is_numbered(entry, BLANK) || is_numbered(entry, RESERVE)) =>
        {
            Ok(Found::Unbegun)
        }
        [] => Ok(Found::Strange),
        [file]
            if !is_snapshot(Path::new(&file.name)) && !has_record(disk, &dir.join(&file.name))? =>
        {
            Ok(Found::Unbegun)
        }
        _ => Ok(Found::Begun),
    }
}

/// Whether something was written behind the header of a journal file.
fn has_record(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    let mut record = [0; 64];
    let count = disk
        .open(path, Mode::Read)?
        .read_at(HEADER_BYTES as u64, &mut record)?;
    Ok(record[..count].iter().any(|&byte| byte != 0))
}

fn is_journal_or_snapshot(name: &str) -> bool {
    let path = Path::new(name);
    let extension = path.extension().and_then(OsStr::to_str);
    matches!(extension, Some("journal" | "snapshot")) && number_of(path).is_some()
}

/// The number that a file is named by, with 20 digits.
fn number_of(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let is_number = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| stem.parse().ok()).flatten()
}

/// `name`, `name.1`, `name.2` ...
fn is_numbered(entry: &Entry, name: &str) -> bool {
    let Some(rest) = entry.name.strip_prefix(name) else {
        return false;
    };
    let digits = rest.strip_prefix('.').unwrap_or("0");
    rest.is_empty()
        || !digits.is_empty() && rest.starts_with('.') && digits.bytes().all(|b| b.is_ascii_digit())
}
