//! What is done for the journal in the work lane: the merge of closed files and the last snapshot, and the
//! files that the loop will want next. The job owns what it works on and gives back what is left of it.
//!
//! ```text
//! 1  write    last snapshot + closed files, newest values only  -> a reserve; sync
//! 2  decide   rename the reserve to <last file>.snapshot; sync the directory
//! 3  recycle  the old snapshot becomes a reserve; closed files are wiped, synced, and become blanks
//! 4  provide  a blank if there is none, if need be by 1 to 3, and in both reserves, and no more, the blocks that the
//!             next two snapshots may need
//! 5  sync the directory, whatever has failed before
//! ```
//!
//! Before 2 is over nothing is touched that a start would read. Names that were given up in 3 and 4 are durable
//! before the loop hears of the files: no file can come back under an old name when it has a new one.

use super::entry::{Change, FILE_BYTES, FileHeader, HEADER_BYTES, Record, used_bytes};
use super::error::{BROKEN, NO_SENSE, damaged};
use super::snapshot::{Covered, Image, Writer};
use super::{JournalFile, OpenError, Reserve, Snapshot, names};
use crate::disk::{Disk, FileRef, Mode, is_full, is_sync_failure};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A snapshot and the reserve for the next one.
const RESERVES: usize = 2;

/// A file is filled with so many zeros over and over.
const BLOCK_BYTES: usize = 4096;

/// One job, and what comes back of it.
pub(super) struct Upkeep {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) salt: u64,
    /// What may be merged: given back as long as no durable snapshot covers it.
    pub(super) closed: Vec<JournalFile>,
    /// Whether a merge is due, and not only what a full disk makes of this.
    pub(super) is_due: bool,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) reserves: Vec<Reserve>,
    /// What a durable snapshot covers: given back as long as it has its old name.
    pub(super) stale: Vec<PathBuf>,
    /// Wiped files that the loop has.
    pub(super) blank_count: usize,
    /// How many it may have.
    pub(super) blank_limit: usize,
    /// Bytes of the files that the loop has, blanks included.
    pub(super) files_bytes: u64,
    /// Wiped files for the loop.
    pub(super) blanks: Vec<PathBuf>,
    /// How many files were merged.
    pub(super) merged_count: usize,
    pub(super) failure: Option<io::Error>,
}

/// What is merged over the last snapshot.
type Newest<'a> = BTreeMap<&'a [u8], Option<&'a [u8]>>;

impl Upkeep {
    /// Does it all.
    pub(super) fn run(mut self) -> Upkeep {
        let done = self.steps();
        let synced = self.disk.sync_dir(&self.dir);
        self.failure = synced.and(done).err();
        self
    }

    /// Whether nothing worse has happened than that the disk is full.
    pub(super) fn is_full(failure: &io::Error) -> bool {
        is_full(failure) && !is_sync_failure(failure)
    }

    fn steps(&mut self) -> io::Result<()> {
        if self.is_due {
            self.merge()?;
        }
        self.recycle()?;
        if self.blank_count + self.blanks.len() == 0 {
            self.provide_blank()?;
        }
        while self.reserve_count() < RESERVES {
            self.make_reserve()?;
        }
        self.trim_reserves()?;
        self.fit_reserves()
    }

    /// Steps 1 and 2.
    fn merge(&mut self) -> io::Result<()> {
        let Some(last) = self.closed.last().map(|file| file.number) else {
            return Ok(());
        };
        if self.reserves.is_empty() {
            self.make_reserve()?;
        }
        let Some(mut reserve) = self.reserves.last().cloned() else {
            return Ok(());
        };
        let header = self.write(&mut reserve, last)?;
        let path = names::snapshot(&self.dir, last);
        self.disk.rename(&reserve.path, &path)?;
        // Not before: until it has its new name, its blocks are those of a reserve.
        self.reserves.pop();
        self.disk.sync_dir(&self.dir)?;
        reserve.path = path;
        let old = self.snapshot.replace(Snapshot {
            file: reserve,
            header,
        });
        self.merged_count = self.closed.len();
        self.stale.extend(old.map(|old| old.file.path));
        self.stale
            .extend(self.closed.drain(..).map(|file| file.path));
        Ok(())
    }

    /// Step 1.
    fn write(&self, reserve: &mut Reserve, number: u64) -> io::Result<FileHeader> {
        let disk = &*self.disk;
        let old = match &self.snapshot {
            Some(old) => Some(Image::read(disk, &old.file.path, old.header.number)?),
            None => None,
        };
        let images = self.closed.iter().map(JournalFile::image);
        let images = images.collect::<io::Result<Vec<_>>>()?;
        let (newest, covered) = newest(&self.closed, &images, old.as_ref().map(Image::covered))?;
        let file = disk.open(&reserve.path, Mode::Write)?;
        let mut writer = Writer::new(&file, reserve.bytes, number, self.salt, covered);
        merge_into(&mut writer, old.as_ref(), newest)?;
        let (header, bytes) = writer.finish()?;
        reserve.bytes = bytes;
        file.sync()?;
        Ok(header)
    }

    /// Step 3.
    fn recycle(&mut self) -> io::Result<()> {
        while let Some(path) = self.stale.last().cloned() {
            if names::is_snapshot(&path) {
                self.recycle_snapshot(&path)?;
            } else {
                self.recycle_journal(&path)?;
            }
            self.stale.pop();
        }
        Ok(())
    }

    /// A new file, or on a full disk a closed one.
    fn provide_blank(&mut self) -> io::Result<()> {
        match self.make_blank() {
            Err(failure) if Upkeep::is_full(&failure) && !self.closed.is_empty() => {
                self.merge()?;
                self.recycle()
            }
            made => made,
        }
    }

    fn reserve_count(&self) -> usize {
        self.reserves.len() + usize::from(self.snapshot.is_some())
    }

    fn recycle_snapshot(&mut self, path: &Path) -> io::Result<()> {
        if self.reserve_count() >= RESERVES {
            return self.disk.remove_file(path);
        }
        let bytes = self.disk.open(path, Mode::Read)?.len()?;
        let reserve = names::new_reserve(&*self.disk, &self.dir)?;
        self.disk.rename(path, &reserve)?;
        self.reserves.push(Reserve {
            path: reserve,
            bytes,
        });
        Ok(())
    }

    /// A larger file is cut. One that is too short, and one too many, is removed; so is one that a full disk does not
    /// let be wiped.
    fn recycle_journal(&mut self, path: &Path) -> io::Result<()> {
        let file = self.disk.open(path, Mode::Write)?;
        let is_wanted = self.blank_count + self.blanks.len() < self.blank_limit;
        let len = file.len()?;
        if !is_wanted || len < FILE_BYTES {
            return self.disk.remove_file(path);
        }
        if len > FILE_BYTES {
            file.set_len(FILE_BYTES)?;
        }
        match wipe(&file) {
            Ok(()) => {}
            Err(failure) if Upkeep::is_full(&failure) => return self.disk.remove_file(path),
            Err(failure) => return Err(failure),
        }
        let blank = names::new_blank(&*self.disk, &self.dir)?;
        self.disk.rename(path, &blank)?;
        self.blanks.push(blank);
        Ok(())
    }

    /// A new file of zeros. Its blocks are reserved first, so that a full disk is an answer here and not a failed
    /// sync.
    fn make_blank(&mut self) -> io::Result<()> {
        let path = names::new_blank(&*self.disk, &self.dir)?;
        let file = self.disk.open(&path, Mode::CreateNew)?;
        let zeros = vec![&[0; BLOCK_BYTES][..]; FILE_BYTES as usize / BLOCK_BYTES];
        let filled = file
            .reserve(0, FILE_BYTES)
            .and_then(|()| file.write_at(0, &zeros))
            .and_then(|()| file.sync());
        if let Err(failure) = filled {
            // An unfinished file is worth nothing; the next start would remove it too.
            let _ = self.disk.remove_file(&path);
            return Err(failure);
        }
        self.blanks.push(path);
        Ok(())
    }

    fn make_reserve(&mut self) -> io::Result<()> {
        let path = names::new_reserve(&*self.disk, &self.dir)?;
        self.disk.open(&path, Mode::CreateNew)?;
        self.reserves.push(Reserve { path, bytes: 0 });
        Ok(())
    }

    /// Removes the smallest of those that are too many, as a start may find them.
    fn trim_reserves(&mut self) -> io::Result<()> {
        self.reserves.sort_by_key(|reserve| reserve.bytes);
        let excess = self.reserve_count().saturating_sub(RESERVES);
        for reserve in self.reserves.drain(..excess) {
            self.disk.remove_file(&reserve.path)?;
        }
        Ok(())
    }

    /// Both reserves take the snapshot as it is and all that the journal's files can add to it.
    fn fit_reserves(&mut self) -> io::Result<()> {
        let held = self.snapshot.as_ref().map_or(0, Snapshot::bytes);
        let closed: u64 = self.closed.iter().map(|file| file.len).sum();
        let blanks = self.blanks.len() as u64 * FILE_BYTES;
        let target = held + self.files_bytes + closed + blanks;
        let written = self.snapshot.as_mut().map(|snapshot| &mut snapshot.file);
        let mut reserves = written.into_iter().chain(&mut self.reserves);
        reserves.try_for_each(|reserve| reserve.fit(&*self.disk, target))
    }
}

impl Reserve {
    /// Reserves blocks up to `target`, and gives back what is more by far. The target is never below what a
    /// snapshot in the file has. The file's length becomes what it has, so that the next start knows it: blocks that
    /// no length tells of could not be given back when the state has shrunk.
    fn fit(&mut self, disk: &dyn Disk, target: u64) -> io::Result<()> {
        if (target..=target + FILE_BYTES).contains(&self.bytes) {
            return Ok(());
        }
        let file = disk.open(&self.path, Mode::Write)?;
        file.reserve(0, target)?;
        file.set_len(target)?;
        self.bytes = target;
        Ok(())
    }
}

/// Overwrites what is not zero, durably.
fn wipe(file: &FileRef) -> io::Result<()> {
    let mut image = vec![0; FILE_BYTES as usize];
    let count = file.read_at(0, &mut image)?;
    let used = used_bytes(&image[..count]);
    image[..used].fill(0);
    file.write_at(0, &[&image[..used]])?;
    file.sync()
}

/// The newest change of every key in the files, and how far they go.
fn newest<'a>(
    closed: &[JournalFile],
    images: &'a [Vec<u8>],
    covered: Option<Covered>,
) -> Result<(Newest<'a>, Covered), OpenError> {
    let mut newest = Newest::new();
    let mut covered = covered.unwrap_or_default();
    for (file, image) in closed.iter().zip(images) {
        let mut position = HEADER_BYTES;
        while position as u64 != file.position {
            let record = Record::read(image.get(position..).unwrap_or_default(), file.seed)
                .filter(|record| record.header.sequence == covered.sequence + 1)
                .ok_or_else(|| damaged(&file.path, position, BROKEN))?;
            let changes = record.changes();
            let changes = changes.ok_or_else(|| damaged(&file.path, position, NO_SENSE))?;
            newest.extend(changes.iter().map(|change| (change.key, change.value)));
            covered = Covered {
                sequence: record.header.sequence,
                flags: record.header.flags,
            };
            position += record.bytes();
        }
    }
    Ok((newest, covered))
}

/// Writes the newest value of every key, in the order of the keys. Tombstones are left out.
fn merge_into<'a>(
    writer: &mut Writer<'a>,
    old: Option<&'a Image>,
    newest: Newest<'a>,
) -> io::Result<()> {
    let mut newest = newest.into_iter().peekable();
    if let Some(old) = old {
        old.blocks(&mut |changes| {
            for change in changes {
                let mut is_replaced = false;
                while let Some((key, value)) = newest.next_if(|(key, _)| *key <= change.key) {
                    is_replaced = key == change.key;
                    write_live(writer, key, value)?;
                }
                if !is_replaced {
                    writer.push(*change)?;
                }
            }
            Ok(())
        })?;
    }
    newest.try_for_each(|(key, value)| write_live(writer, key, value))
}

fn write_live<'a>(
    writer: &mut Writer<'a>,
    key: &'a [u8],
    value: Option<&'a [u8]>,
) -> io::Result<()> {
    match value {
        Some(_) => writer.push(Change { key, value }),
        None => Ok(()),
    }
}
