//! How files leave the disk: by name at once, for good after `file.delete.delay.ms`.
//!
//! A segment that its log has given up, because it lies below the log start or has been compacted, is renamed in the
//! work lane ([`put_away`]): `.log` becomes `.log.deleted`, and so do its indexes.
//! Readers keep their open files and maps, and nobody opens it again. When the delay has passed it is unlinked, in the
//! work lane too; a start does not wait, and removes what has such a name (`recovery`). A deleted partition's
//! directory goes the same way, renamed to `-delete` (`start`).
//!
//! However much goes, the work lane does a slice of it at a time, [`SLICE`] segments or files, and others have their
//! turn between: a deleted topic of 10,000 segments holds nobody up. The loop itself renames a directory, once.
//!
//! Nothing here asks whether a segment may go. What lies below the log start may when the file of log starts says so
//! on disk (`starts`) and the recovery point on disk has passed it, for else a start would look for the producers
//! there (`Log::take_unserved`). So a full disk lets everything go but the last segments before the active one, which
//! may lack a checkpoint: that needs a few blocks, of those that the others have left.

use super::names::{self, Kind};
use super::{Done, Log, Outcome, PartitionId, Storage};
use crate::clock::{Mono, Now};
use crate::disk::{Disk, is_full, is_sync_failure};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has lost its name and waits to leave the disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leftover {
    /// A partition's directory with everything in it.
    Directory(PathBuf),
    /// The files of the segment that begins at an offset, in a partition's directory.
    Segment(PathBuf, i64),
}

/// Segments that are put away, or files that are unlinked, in one job.
const SLICE: usize = 100;
/// Jobs that unlink and are in the work lane at once.
const MOST_UNLINKING: usize = 4;

/// Segments have been renamed, or could not be.
pub(super) struct PutAway {
    id: PartitionId,
    bases: Vec<i64>,
    rest: Given,
    result: io::Result<()>,
}

/// What a log has given up, and what still has its name.
struct Given {
    /// The offsets at which segments begin.
    bases: Vec<i64>,
    /// Those of snapshots.
    snapshots: Vec<i64>,
}

impl Given {
    /// Takes a slice out.
    fn next(&mut self) -> Given {
        Given {
            bases: first(&mut self.bases),
            snapshots: first(&mut self.snapshots),
        }
    }

    fn is_empty(&self) -> bool {
        self.bases.is_empty() && self.snapshots.is_empty()
    }
}

/// Takes the first few out.
fn first<T>(all: &mut Vec<T>) -> Vec<T> {
    let rest = all.split_off(all.len().min(SLICE));
    mem::replace(all, rest)
}

/// What has lost its name is off the disk, but for these files of a directory; or it could not go.
pub(super) struct Removed {
    what: Leftover,
    files: Vec<String>,
    result: io::Result<()>,
}

/// Gives the segments that begin at `bases` the names of deleted ones, and makes that durable. Files that are not
/// there, such as those of a run that was cut off, are fine; those for whose longer names a full disk has no room leave
/// it at once. For the work lane.
///
/// # Errors
/// Those of the disk; then some have their old names.
pub(super) fn put_away(disk: &dyn Disk, dir: &Path, bases: &[i64]) -> io::Result<()> {
    for &base in bases {
        for kind in names::OF_SEGMENT {
            let from = dir.join(names::file(base, kind));
            let to = dir.join(names::deleted_file(base, kind));
            let renamed = disk.rename(&from, &to);
            let done = renamed.or_else(|error| match is_full(&error) {
                true => disk.remove_file(&from),
                false => Err(error),
            });
            done.or_else(gone)?;
        }
    }
    disk.sync_dir(dir)
}

impl Storage {
    /// The segments of a log that nobody needs any more leave it, if there are any.
    pub(super) fn remove_unserved(&mut self, id: PartitionId) {
        let Ok(log) = self.log_mut(id) else {
            return;
        };
        let (gone, snapshots) = log.take_unserved();
        if !gone.is_empty() {
            self.put_away(id, gone, snapshots);
        }
        self.checkpoint_if_awaited(id);
    }

    /// Begins the checkpoint that a deleted segment lacks to go. Retention asks again, for a full disk may have had no
    /// room for it.
    pub(super) fn checkpoint_if_awaited(&mut self, id: PartitionId) {
        if self.log(id).is_ok_and(Log::waits_for_checkpoint) {
            self.checkpoint(id);
        }
    }

    /// Has segments, each told by its beginning and its bytes, renamed in the work lane.
    fn put_away(&mut self, id: PartitionId, gone: Vec<(i64, u64)>, snapshots: Vec<i64>) {
        let Ok(log) = self.log_mut(id) else {
            return;
        };
        let bases = gone.iter().map(|(base, _)| *base).collect();
        log.removals_running += 1;
        let dir = log.dir.clone();
        self.count_leaving(id, &dir, &gone);
        self.put_away_slice(id, dir, Given { bases, snapshots });
    }

    fn put_away_slice(&mut self, id: PartitionId, dir: PathBuf, mut rest: Given) {
        let disk = Arc::clone(&self.disk);
        let Given { bases, snapshots } = rest.next();
        self.jobs.push(Box::new(move || {
            let result = remove_snapshots(&*disk, &dir, &snapshots)
                .and_then(|()| put_away(&*disk, &dir, &bases));
            Done(Outcome::PutAway(PutAway {
                id,
                bases,
                rest,
                result,
            }))
        }));
    }

    /// Segments have been put away: they leave the disk later. What kept its name goes with the next start.
    pub(super) fn absorb_put_away(&mut self, done: PutAway, now: Now) -> io::Result<()> {
        // A partition that has gone meanwhile takes the rest along.
        let goes_on = done.result.is_ok() && !done.rest.is_empty();
        match self.log_mut(done.id) {
            Ok(log) if goes_on => {
                let dir = log.dir.clone();
                self.put_away_slice(done.id, dir, done.rest);
            }
            Ok(log) => log.removals_running -= 1,
            Err(_) => self.job_ended(done.id, now),
        }
        match done.result {
            Ok(()) => {
                self.unlink_later(done.id, &done.bases, now);
                if self.budget.is_tight() {
                    self.hurry_removals(now);
                }
            }
            Err(error) if is_sync_failure(&error) => return Err(error),
            Err(error) => log::warn!("deleted segments stay until the next start: {error}"),
        }
        Ok(())
    }

    /// The segments of a partition that begin at `bases` have been put away, and leave the disk when the delay that its
    /// topic has now is over.
    pub(super) fn unlink_later(&mut self, id: PartitionId, bases: &[i64], now: Now) {
        // The files of a partition that is gone leave with its directory.
        let Ok(log) = self.log(id) else {
            return;
        };
        let at = now.mono.plus_ms(log.config().file_delete_delay_ms);
        let segments = bases
            .iter()
            .map(|base| (at, Leftover::Segment(log.dir.clone(), *base)));
        let segments: Vec<_> = segments.collect();
        self.removals.extend(segments);
    }

    /// Something has left the disk, or a slice of it, or could not.
    pub(super) fn removed(&mut self, done: Removed, now: Now) -> io::Result<()> {
        self.unlinking -= 1;
        match done.result {
            Err(error) if is_sync_failure(&error) => return Err(error),
            Err(error) => log::warn!("what was deleted stays until the next start: {error}"),
            Ok(()) if done.files.is_empty() => self.budget.left(&done.what),
            Ok(()) => self.unlink(done.what, Some(done.files)),
        }
        self.tick_removals(now);
        Ok(())
    }

    /// When something is to leave the disk next, if the work lane may be given more.
    pub(super) fn removal_deadline(&self) -> Option<Mono> {
        let first = self.removals.first().map(|(at, _)| *at);
        first.filter(|_| self.unlinking < MOST_UNLINKING)
    }

    /// Hands what is due to the work lane.
    pub(super) fn tick_removals(&mut self, now: Now) {
        while self.removal_deadline().is_some_and(|at| at <= now.mono)
            && let Some((_, leftover)) = self.removals.pop_first()
        {
            self.unlink(leftover, None);
        }
    }

    /// Has a slice removed, of these files where it is a directory that was looked at.
    fn unlink(&mut self, what: Leftover, files: Option<Vec<String>>) {
        self.unlinking += 1;
        let disk = Arc::clone(&self.disk);
        self.jobs.push(Box::new(move || {
            let (files, result) = match what.remove(&*disk, files) {
                Ok(files) => (files, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            };
            Done(Outcome::Removed(Removed {
                what,
                files,
                result,
            }))
        }));
    }
}

impl Leftover {
    /// Removes it, or a slice of a directory with these files; answers those that are left. What is already gone is
    /// fine.
    fn remove(&self, disk: &dyn Disk, files: Option<Vec<String>>) -> io::Result<Vec<String>> {
        match self {
            Leftover::Directory(dir) => remove_directory(disk, dir, files),
            Leftover::Segment(dir, base) => {
                for kind in names::OF_SEGMENT {
                    let path = dir.join(names::deleted_file(*base, kind));
                    disk.remove_file(&path).or_else(gone)?;
                }
                Ok(Vec::new())
            }
        }
    }
}

fn remove_snapshots(disk: &dyn Disk, dir: &Path, offsets: &[i64]) -> io::Result<()> {
    offsets.iter().try_for_each(|offset| {
        let path = dir.join(names::file(*offset, Kind::Snapshot));
        disk.remove_file(&path).or_else(gone)
    })
}

fn remove_directory(
    disk: &dyn Disk,
    dir: &Path,
    files: Option<Vec<String>>,
) -> io::Result<Vec<String>> {
    let mut files = match files {
        Some(files) => files,
        None => match disk.list(dir) {
            Ok(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            Err(error) => return gone(error).map(|()| Vec::new()),
        },
    };
    for name in first(&mut files) {
        disk.remove_file(&dir.join(name)).or_else(gone)?;
    }
    if files.is_empty() {
        disk.remove_dir(dir).or_else(gone)?;
        disk.sync_dir(dir.parent().unwrap_or(dir))?;
    }
    Ok(files)
}

/// What is not there need not be removed.
pub(super) fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
