//! How a compacted segment takes the place of those that it was made of, whatever is cut off when.
//!
//! ```text
//!    .log.cleaned .index.cleaned ...       written, synced; names synced
//!       |                                  a start removes them
//!    .log.swap    .index.swap ...          renamed, log first; names synced
//!       |                                  *decided*: no .cleaned is left. The loop serves the new segment
//!    old .log -> .log.deleted ...          renamed; names synced
//!       |                                  a start goes on from here: the old ones are those whose first offsets
//!       |                                  lie in what the new one holds
//!    .log.swap -> .log                     renamed; names synced
//!    .index.swap -> .index ...             renamed; names synced
//!       |                                  a start goes on with what is left
//!    .deleted                              unlinked, file.delete.delay.ms later or at a start
//! ```
//!
//! The names are those of Apache Kafka, and so is the meaning of every state, so that either finishes or undoes what
//! the other has begun: a `.swap` counts only when no `.cleaned` at or before its offset is left (that is why the log
//! is renamed first and why a swap is undone by renaming it back). Each step waits until the names of the one before
//! are durable. Were the old segment unlinked or renamed earlier, a power cut could take both; were the log to get its
//! name before the others lost theirs, old and new records would stand in one log.

use super::super::heads::{Buffer, Heads, Met};
use super::super::names::{self, CLEANED, Kind, OF_SEGMENT, SWAP};
use super::super::removal;
use crate::disk::{Disk, Mode};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where a file of the segment at `base` lies on its way.
pub(super) fn path(dir: &Path, base: i64, kind: Kind, suffix: &str) -> PathBuf {
    dir.join(names::file_on_its_way(base, kind, suffix))
}

/// Decides for the segment at `base`, whose files are written and synced.
pub(super) fn decide(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    disk.sync_dir(dir)?;
    for kind in OF_SEGMENT {
        let (from, to) = (path(dir, base, kind, CLEANED), path(dir, base, kind, SWAP));
        rename_if_there(disk, &from, &to)?;
    }
    disk.sync_dir(dir)
}

/// Gives the segment at `base` its names, after it was decided for. `old` are the first offsets of those that it
/// replaces, whose files may be unlinked then.
pub(super) fn settle(disk: &dyn Disk, dir: &Path, base: i64, old: &[i64]) -> io::Result<()> {
    removal::put_away(disk, dir, old)?;
    name(disk, dir, base, Kind::Log)?;
    disk.sync_dir(dir)?;
    name_indexes(disk, dir, base)
}

fn name_indexes(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    for kind in OF_SEGMENT {
        name(disk, dir, base, kind)?;
    }
    disk.sync_dir(dir)
}

fn name(disk: &dyn Disk, dir: &Path, base: i64, kind: Kind) -> io::Result<bool> {
    let to = dir.join(names::file(base, kind));
    rename_if_there(disk, &path(dir, base, kind, SWAP), &to)
}

/// Takes back what was written of a segment, decided for or not, of which nothing else was renamed yet.
pub(super) fn undo(disk: &dyn Disk, dir: &Path, base: i64) -> io::Result<()> {
    let log = path(dir, base, Kind::Log, CLEANED);
    if rename_if_there(disk, &path(dir, base, Kind::Log, SWAP), &log)? {
        disk.sync_dir(dir)?;
    }
    for suffix in [SWAP, CLEANED] {
        for kind in OF_SEGMENT {
            remove_if_there(disk, &path(dir, base, kind, suffix))?;
        }
        disk.sync_dir(dir)?;
    }
    Ok(())
}

/// At a start: finishes or undoes the swaps of a partition. What was put away is left to be removed.
pub(in crate::storage) fn finish(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let listed = disk.list(dir)?;
    let all = |suffix| {
        let files = listed
            .iter()
            .filter_map(move |entry| names::parse_on_its_way(&entry.name, &[suffix]));
        files.map(|(base, kind, _)| (base, kind))
    };
    let first_cleaned = all(CLEANED).map(|(base, _)| base).min();
    let (undone, decided): (BTreeSet<i64>, BTreeSet<i64>) = all(SWAP)
        .chain(all(CLEANED))
        .map(|(base, _)| base)
        .partition(|base| first_cleaned.is_some_and(|first| *base >= first));
    for base in undone {
        undo(disk, dir, base)?;
    }
    // A cut may have left some files of an old segment with their names, and not its log.
    let bases = listed
        .iter()
        .filter_map(|entry| match names::parse_file(&entry.name) {
            Some((base, kind)) if OF_SEGMENT.contains(&kind) => Some(base),
            _ => None,
        });
    let bases: BTreeSet<i64> = bases.collect();
    for base in decided {
        if all(SWAP).any(|found| found == (base, Kind::Log)) {
            let end = end_of(disk, &path(dir, base, Kind::Log, SWAP), base)?;
            let old: Vec<i64> = bases.range(base..end).copied().collect();
            settle(disk, dir, base, &old)?;
            log::info!(
                "{}: finished the compaction of segment {base}",
                dir.display()
            );
        } else {
            name_indexes(disk, dir, base)?;
        }
    }
    Ok(())
}

/// The offset behind the last batch of a segment, and behind its own first.
fn end_of(disk: &dyn Disk, path: &Path, base: i64) -> io::Result<i64> {
    let file = disk.open(path, Mode::Read)?;
    let (mut end, mut buffer) = (base + 1, Buffer::new());
    let mut heads = Heads::new(&*file, &mut buffer, 0, file.len()?);
    while let Met::Batch(head) = heads.step()? {
        end = end.max(head.last_offset.saturating_add(1));
    }
    Ok(end)
}

fn rename_if_there(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<bool> {
    match disk.rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unlinks a file, if it is there.
fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::{SimDisk, Survives};
    use crate::proto::batch::BatchBuilder;
    use std::collections::BTreeMap;

    const DIR: &str = "/data/t-0";
    const OLD: [i64; 3] = [0, 10, 20];
    const KINDS: [Kind; 3] = [Kind::Log, Kind::Index, Kind::TimeIndex];
    const CUTS: u64 = 40;

    fn write(disk: &SimDisk, path: &Path, bytes: &[u8]) {
        let file = disk.open(path, Mode::Create).unwrap();
        file.write_at(0, &[bytes]).unwrap();
        file.sync().unwrap();
    }

    /// One batch that holds offsets 0 to 24.
    fn new_log() -> Vec<u8> {
        let mut builder = BatchBuilder::new(0);
        (0..25).for_each(|_| builder.push(0, Some(b"k"), Some(b"v")));
        builder.build(None).unwrap()
    }

    /// Three segments, and one that is to take their place.
    fn written(seed: u64) -> SimDisk {
        let (disk, dir) = (SimDisk::new(seed, Path::new("/data")), Path::new(DIR));
        disk.create_dir(dir).unwrap();
        for kind in KINDS {
            for base in OLD {
                write(&disk, &dir.join(names::file(base, kind)), b"old");
            }
        }
        disk.sync_dir(Path::new("/data")).unwrap();
        disk.sync_dir(dir).unwrap();
        for kind in KINDS {
            let log = new_log();
            let bytes = if kind == Kind::Log { &log } else { &b"new"[..] };
            write(&disk, &path(dir, 0, kind, CLEANED), bytes);
        }
        disk
    }

    /// What is there under names that a start takes for segments, each with whether it is new.
    fn served(disk: &SimDisk) -> BTreeMap<String, bool> {
        let entries = disk.list(Path::new(DIR)).unwrap().into_iter();
        let files = entries.filter(|entry| names::parse_file(&entry.name).is_some());
        let is_new = |name: &str| {
            let mut bytes = [0; 3];
            let file = disk.open(&Path::new(DIR).join(name), Mode::Read).unwrap();
            file.read_at(0, &mut bytes).unwrap();
            bytes != *b"old"
        };
        files
            .map(|entry| (entry.name.clone(), is_new(&entry.name)))
            .collect()
    }

    fn files(bases: &[i64], is_new: bool) -> BTreeMap<String, bool> {
        let names = |base: &i64| KINDS.map(|kind| (names::file(*base, kind), is_new));
        bases.iter().flat_map(names).collect()
    }

    /// Cuts the power at every operation of `run` and of the start after it. What is there then is all old or all new,
    /// and nothing else is on its way.
    fn cut_everywhere(before: fn(&SimDisk), run: fn(&SimDisk) -> io::Result<()>) -> [bool; 2] {
        let mut seen = [false; 2];
        for seed in 0..CUTS * CUTS {
            let disk = written(seed);
            before(&disk);
            for (at, step) in [
                (seed % CUTS, run),
                (seed / CUTS, start as fn(&SimDisk) -> _),
            ] {
                disk.cut_at(disk.operations() + at);
                let _ = step(&disk);
                let survives = [Survives::Nothing, Survives::Some, Survives::Some];
                disk.crash(survives[seed as usize % 3]);
            }
            start(&disk).unwrap();
            let there = served(&disk);
            let is_new = there == files(&OLD[..1], true);
            assert!(is_new || there == files(&OLD, false), "{seed}: {there:?}");
            let listed = disk.list(Path::new(DIR)).unwrap().into_iter();
            let on_its_way = listed.filter(|e| e.name.ends_with(CLEANED) || e.name.ends_with(SWAP));
            assert_eq!(on_its_way.count(), 0, "{seed}");
            seen[usize::from(is_new)] = true;
        }
        seen
    }

    fn start(disk: &SimDisk) -> io::Result<()> {
        finish(disk, Path::new(DIR))
    }

    #[test]
    fn a_swap_that_is_cut_anywhere_is_finished_or_undone_as_a_whole() {
        let seen = cut_everywhere(
            |_| (),
            |disk| {
                decide(disk, Path::new(DIR), 0)?;
                settle(disk, Path::new(DIR), 0, &OLD)
            },
        );
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn a_swap_that_is_taken_back_leaves_the_old_segments_or_what_was_decided() {
        let seen = cut_everywhere(
            |disk| decide(disk, Path::new(DIR), 0).unwrap(),
            |disk| undo(disk, Path::new(DIR), 0),
        );
        assert_eq!(seen, [true; 2]);
    }
}
