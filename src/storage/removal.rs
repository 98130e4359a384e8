//! How files leave the disk: by name at once, for good after `file.delete.delay.ms`.
//!
//! A segment that its log has given up, because it lies below the log start or has been compacted, is renamed in the
//! work lane ([`put_away`]): `.log` becomes `.log.deleted`, and so do its indexes.
//! Readers keep their open files and maps, and nobody opens it again. When the delay has passed it is unlinked, in the
//! work lane too; a start does not wait, and removes what has such a name (`recovery`). A deleted partition's
//! directory goes the same way, renamed to `-delete` (`start`).
//!
//! Nothing here asks whether a segment may go. What lies below the log start may when the file of log starts says so
//! on disk (`starts`) and the recovery point on disk has passed it, for else a start would look for the producers
//! there (`Log::take_unserved`).

use super::names::{self, Kind};
use super::{Done, Outcome, PartitionId, Storage};
use crate::clock::Now;
use crate::disk::{Disk, is_sync_failure};
use std::io;
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

/// Segments have been renamed, or could not be.
pub(super) struct PutAway {
    id: PartitionId,
    bases: Vec<i64>,
    result: io::Result<()>,
}

/// Gives the segments that begin at `bases` the names of deleted ones, and makes that durable. Files that are not
/// there, such as those of a run that was cut off, are fine. For the work lane.
///
/// # Errors
/// Those of the disk; then some have their old names.
pub(super) fn put_away(disk: &dyn Disk, dir: &Path, bases: &[i64]) -> io::Result<()> {
    for &base in bases {
        for kind in names::OF_SEGMENT {
            let (from, to) = (names::file(base, kind), names::deleted_file(base, kind));
            disk.rename(&dir.join(from), &dir.join(to)).or_else(gone)?;
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
        let waits = log.waits_for_checkpoint();
        if !gone.is_empty() {
            self.put_away(id, gone, snapshots);
        }
        if waits {
            self.checkpoint(id);
        }
    }

    /// Has segments, each told by its beginning and its bytes, renamed in the work lane.
    fn put_away(&mut self, id: PartitionId, gone: Vec<(i64, u64)>, snapshots: Vec<i64>) {
        let Ok(log) = self.log_mut(id) else {
            return;
        };
        let bases: Vec<i64> = gone.iter().map(|(base, _)| *base).collect();
        log.removals_running += 1;
        let (disk, dir) = (Arc::clone(&log.disk), log.dir.clone());
        self.count_leaving(id, &dir, &gone);
        self.jobs.push(Box::new(move || {
            let result = remove_snapshots(&*disk, &dir, &snapshots)
                .and_then(|()| put_away(&*disk, &dir, &bases));
            Done(Outcome::PutAway(PutAway { id, bases, result }))
        }));
    }

    /// Segments have been put away: they leave the disk later. What kept its name goes with the next start.
    pub(super) fn absorb_put_away(&mut self, done: PutAway, now: Now) -> io::Result<()> {
        match self.log_mut(done.id) {
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

    /// Something has left the disk, or could not.
    pub(super) fn removed(&mut self, what: &Leftover, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if is_sync_failure(&error) => return Err(error),
            Err(error) => log::warn!("what was deleted stays until the next start: {error}"),
            Ok(()) => self.budget.left(what),
        }
        Ok(())
    }

    /// Hands what is due to the work lane.
    pub(super) fn tick_removals(&mut self, now: Now) {
        while let Some((at, _)) = self.removals.first()
            && *at <= now.mono
            && let Some((_, leftover)) = self.removals.pop_first()
        {
            let disk = Arc::clone(&self.disk);
            self.jobs.push(Box::new(move || {
                let result = leftover.remove(&*disk);
                Done(Outcome::Removed(leftover, result))
            }));
        }
    }
}

impl Leftover {
    /// Removes it. What is already gone is fine.
    fn remove(&self, disk: &dyn Disk) -> io::Result<()> {
        match self {
            Leftover::Directory(dir) => remove_directory(disk, dir),
            Leftover::Segment(dir, base) => names::OF_SEGMENT.into_iter().try_for_each(|kind| {
                let path = dir.join(names::deleted_file(*base, kind));
                disk.remove_file(&path).or_else(gone)
            }),
        }
    }
}

fn remove_snapshots(disk: &dyn Disk, dir: &Path, offsets: &[i64]) -> io::Result<()> {
    offsets.iter().try_for_each(|offset| {
        let path = dir.join(names::file(*offset, Kind::Snapshot));
        disk.remove_file(&path).or_else(gone)
    })
}

fn remove_directory(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) => return gone(error),
    };
    for entry in entries {
        disk.remove_file(&dir.join(&entry.name)).or_else(gone)?;
    }
    disk.remove_dir(dir).or_else(gone)?;
    disk.sync_dir(dir.parent().unwrap_or(dir))
}

fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
