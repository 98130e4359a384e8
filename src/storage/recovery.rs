//! Loading a partition: what its directory holds, and after an unclean stop what of it is worth keeping.
//!
//! The passes, each of which changes nothing when it runs again:
//! 1. a swap of compacted segments is finished or undone (cleaner/swap), and what a crash left half done goes (`.tmp`,
//!    `.deleted`);
//! 2. the segments are listed, and indexes without their segments go; where none begins at 0, and nothing says that one
//!    ever was on the disk, the log begins anew (`lifetime`); what lies below the log start, and so was being removed,
//!    goes (`removal`), but for segments that pass 5 may have to read;
//! 3. the newest whole `.snapshot` that is not beyond the recovery point says where to begin, and how the
//!    producers stood there; later ones go. Every checkpoint writes one after it has synced everything before
//!    that offset, so a recovery point that was another topic's of the same name deceives nobody;
//! 4. after an unclean stop the files behind that offset lose their cached pages, so that what is read
//!    is what the disk has;
//! 5. batches behind it are read and held against their checksums; producers, open and aborted transactions,
//!    leader epochs and index entries follow from them;
//! 6. at the first bad batch the log is cut. Everything behind it is kept in `quarantine/` first: later
//!    segments whole, the last one first, then the torn tail;
//! 7. what was read is synced, for nobody may read what a power cut could still take, and, where no checkpoint has seen
//!    to that, `partition.metadata` and the directory's name;
//! 8. indexes that are missing below are made anew.
//!
//! Below that offset a bad batch is damage and is never cut: it is met, and reported, by whoever reads it.

use super::PartitionId;
use super::aborted::{self, AbortIndex, ENTRY_BYTES};
use super::checkpoint;
use super::cleaner;
use super::epochs::Epochs;
use super::heads::{Buffer, Heads, Met};
use super::index::{Index, relative};
use super::lifetime::Home;
use super::log::Parts;
use super::names::{self, Kind};
use super::producer_state::Producers;
use super::removal;
use super::scan::{self, Scanned, Tail};
use super::segment::Segment;
use crate::clock::Now;
use crate::config::LogConfig;
use crate::disk::{self, Disk, Entry, FileRef, Mode, is_full, is_sync_failure};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A partition to be loaded, with all that the job needs.
pub(super) struct Task {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) root: PathBuf,
    pub(super) id: PartitionId,
    /// The directory's name.
    pub(super) name: String,
    pub(super) config: Arc<LogConfig>,
    /// From the checkpoint file; 0 when it has no line.
    pub(super) recovery_point: i64,
    /// From the checkpoint file; 0 when it has no line.
    pub(super) log_start: i64,
    /// Either file has a line.
    pub(super) has_line: bool,
    /// It was compacted before this offset once, and so may lack offsets; from the checkpoint file.
    pub(super) cleaned: Option<i64>,
    /// The last stop was clean.
    pub(super) clean: bool,
    pub(super) now: Now,
}

/// Why a partition could not be loaded.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It answers errors until another start; everything else serves.
    Damaged(String),
    /// A sync failed: the process must stop.
    Failed(io::Error),
}

/// What can be neither read nor put away keeps this one partition from being served, and nothing of it is
/// cut; only a failed sync says that the disk has lost something.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match is_sync_failure(&error) {
            true => Trouble::Failed(error),
            false => Trouble::Damaged(error.to_string()),
        }
    }
}

/// A segment as the directory lists it.
struct Listed {
    base: i64,
    len: u64,
    /// When the `.log` was last written to; 0 is not known.
    modified_ms: i64,
    has_indexes: bool,
    /// Of its index of aborted transactions; `None` where it has none.
    aborts_bytes: Option<u64>,
}

impl Task {
    /// What is known of the directory, when the log in it ends there.
    fn home(&self, log_end: i64) -> Home {
        match self.has_line || log_end > 0 {
            true => Home::Kept,
            false => Home::Found,
        }
    }

    /// Offsets may be missing before this one: after a clean stop no power cut has taken them, and the cleaner touches
    /// nothing behind the recovery point on disk. Before a snapshot everything is on the disk as well, and where all
    /// of that is lost, what is known of the cleaner itself has to do.
    fn gaps_until(&self, newest_snapshot: i64) -> i64 {
        let known = match (self.cleaned, self.recovery_point) {
            _ if self.clean => i64::MAX,
            (None, _) if !self.config.compact => i64::MIN,
            (Some(cleaned), 0) => cleaned,
            (_, recovery_point) => recovery_point,
        };
        known.max(newest_snapshot)
    }
}

/// Runs all passes.
pub(super) fn run(task: &Task) -> Result<Parts, Trouble> {
    let dir = task.root.join(&task.name);
    let names = remove_leftovers(task, &dir)?;
    let snapshots = snapshot_offsets(&names);
    let newest_snapshot = snapshots.last().copied().unwrap_or(-1);
    let mut segments = find_segments(task, &dir, &names, &snapshots)?;
    let names = remove_orphans(task, &dir, names, &segments)?;
    let (begin, producers, snapshots) = find_beginning(task, &dir, snapshots, segments[0].base)?;
    remove_unserved(task, &dir, &names, &mut segments, begin)?;
    let stored_epochs = read_epochs(task, &dir)?;
    let mut tail = Tail {
        now: task.now.mono,
        gaps_until: task.gaps_until(newest_snapshot),
        expected: begin,
        producers,
        epochs: Epochs::from_lines(&stored_epochs).cut(begin),
        tail_bytes: 0,
    };
    let first = segments
        .partition_point(|s| s.base <= begin)
        .saturating_sub(1);
    let mut done = Vec::with_capacity(segments.len());
    for listed in &segments[..first] {
        done.push(below(task, &dir, listed)?);
    }
    let behind = segments.split_off(first);
    for (slot, listed) in behind.iter().enumerate() {
        let is_wanted = listed.base > task.log_start;
        let gap = slot > 0 && is_wanted && !tail.borders(listed.base);
        let scanned = if gap {
            None
        } else {
            Some(scan_segment(task, &dir, listed, begin, &mut tail)?)
        };
        let torn = scanned.as_ref().is_none_or(|s| s.len < listed.len);
        if torn {
            let keep = scanned.as_ref().map_or(0, |s| s.len);
            cut(task, &dir, &behind[slot..], (keep, gap), tail.expected)?;
        }
        done.extend(scanned.map(|s| recovered(task, listed, s)));
        if torn {
            break;
        }
    }
    sync_tail(task, &dir, &done[first..], tail.tail_bytes)?;
    let (first_base, log_end) = (done[0].base(), tail.expected);
    let log_start = task.log_start.clamp(first_base, log_end.max(first_base));
    tail.epochs.begin_at(log_start);
    Ok(Parts {
        log_start,
        segments: done,
        producers: tail.producers,
        epochs_dirty: tail.epochs.lines() != stored_epochs,
        epochs: tail.epochs,
        log_end,
        recovery_point: begin,
        tail_bytes: tail.tail_bytes,
        snapshots,
        // A line of another log that once had the name may lie beyond what this one has ever checkpointed.
        cleaned: task
            .cleaned
            .filter(|cleaned| *cleaned <= newest_snapshot.min(log_end)),
        home: task.home(log_end),
    })
}

/// The offsets of the snapshots that are there, in order.
fn snapshot_offsets(names: &[Entry]) -> Vec<i64> {
    let parsed = names.iter().map(|entry| names::parse_file(&entry.name));
    let offsets = parsed.filter_map(|parsed| match parsed {
        Some((offset, Kind::Snapshot)) => Some(offset),
        _ => None,
    });
    let mut offsets: Vec<i64> = offsets.collect();
    offsets.sort_unstable();
    offsets
}

fn remove_leftovers(task: &Task, dir: &Path) -> Result<Vec<Entry>, Trouble> {
    cleaner::finish(&*task.disk, dir)?;
    let listed = task.disk.list(dir)?;
    let mut names = Vec::with_capacity(listed.len());
    for entry in listed.into_iter().filter(|entry| !entry.is_dir) {
        let path = dir.join(&entry.name);
        match entry.name.rsplit_once('.').map(|(_, suffix)| suffix) {
            Some("tmp" | "deleted") => {
                task.disk.remove_file(&path)?;
            }
            _ => names.push(entry),
        }
    }
    Ok(names)
}

/// Pass 2, but for what goes.
fn find_segments(
    task: &Task,
    dir: &Path,
    names: &[Entry],
    snapshots: &[i64],
) -> Result<Vec<Listed>, Trouble> {
    let segments = list_segments(names);
    let was_on_disk = task.has_line || !snapshots.is_empty();
    match segments.first() {
        None if was_on_disk => Err(Trouble::Damaged("its segments are gone".to_owned())),
        Some(first) if first.base == 0 || was_on_disk => Ok(segments),
        _ => Ok(vec![begin_anew(task, dir, &segments)?]),
    }
}

fn list_segments(names: &[Entry]) -> Vec<Listed> {
    // Listings are sorted.
    let length = |name: String| {
        let slot = names.binary_search_by(|entry| entry.name.cmp(&name));
        slot.ok().map(|slot| names[slot].len)
    };
    let logs = names
        .iter()
        .filter_map(|entry| match names::parse_file(&entry.name) {
            Some((base, Kind::Log)) => Some((base, entry)),
            _ => None,
        });
    let mut segments: Vec<Listed> = logs
        .map(|(base, entry)| Listed {
            base,
            len: entry.len,
            modified_ms: entry.modified_ms,
            has_indexes: length(names::file(base, Kind::Index)).is_some()
                && length(names::file(base, Kind::TimeIndex)).is_some(),
            aborts_bytes: length(names::file(base, Kind::TxnIndex)),
        })
        .collect();
    segments.sort_by_key(|segment| segment.base);
    segments
}

/// An index may have its name where its segment has lost its own. Another segment that begins there would be taken for
/// indexed. Answers the names that stay.
fn remove_orphans(
    task: &Task,
    dir: &Path,
    names: Vec<Entry>,
    segments: &[Listed],
) -> Result<Vec<Entry>, Trouble> {
    let is_there = |base| segments.binary_search_by_key(&base, |s| s.base).is_ok();
    let is_orphan = |entry: &Entry| match names::parse_file(&entry.name) {
        Some((base, Kind::Index | Kind::TimeIndex | Kind::TxnIndex)) => !is_there(base),
        _ => false,
    };
    let (orphans, others): (Vec<Entry>, Vec<Entry>) = names.into_iter().partition(is_orphan);
    for orphan in orphans {
        // What was put away has taken its own along.
        let removed = task.disk.remove_file(&dir.join(&orphan.name));
        removed.or_else(removal::gone)?;
    }
    Ok(others)
}

/// Puts away what a power cut has left of a log whose first round never was, and begins it again.
fn begin_anew(task: &Task, dir: &Path, segments: &[Listed]) -> Result<Listed, Trouble> {
    if !segments.is_empty() {
        cut(task, dir, segments, (0, true), 0)?;
    }
    let path = dir.join(names::file(0, Kind::Log));
    task.disk.open(&path, Mode::Create)?;
    task.disk.sync_dir(dir)?;
    Ok(Listed {
        base: 0,
        len: 0,
        modified_ms: 0,
        has_indexes: true,
        aborts_bytes: None,
    })
}

/// Takes away the segments that lie before the log start and before `begin`, where reading begins: what a removal has
/// left of them, which may be some files of each.
fn remove_unserved(
    task: &Task,
    dir: &Path,
    names: &[Entry],
    segments: &mut Vec<Listed>,
    begin: i64,
) -> Result<(), Trouble> {
    let needed = task.log_start.min(begin);
    let ends = segments.iter().skip(1).map(|listed| listed.base);
    let count = ends.take_while(|end| *end <= needed).count();
    segments.drain(..count);
    let first = segments[0].base;
    for entry in names {
        if let Some((base, kind)) = names::parse_file(&entry.name)
            && base < first
            && kind != Kind::Snapshot
        {
            task.disk.remove_file(&dir.join(&entry.name))?;
        }
    }
    Ok(())
}

/// Pass 3. Answers the offset, the producers, and the offsets of the snapshots that stay.
fn find_beginning(
    task: &Task,
    dir: &Path,
    mut snapshots: Vec<i64>,
    first_base: i64,
) -> Result<(i64, Producers, Vec<i64>), Trouble> {
    while let Some(&offset) = snapshots.last() {
        let path = dir.join(names::file(offset, Kind::Snapshot));
        if offset <= task.recovery_point {
            let bytes = checkpoint::read_bytes(&*task.disk, &path)?;
            if let Some(producers) = Producers::decode(&bytes.unwrap_or_default(), task.now.mono) {
                return Ok((offset.max(first_base), producers, snapshots));
            }
            log::warn!("{}: {} is damaged and left out", task.name, path.display());
        }
        task.disk.remove_file(&path)?;
        snapshots.pop();
    }
    Ok((first_base, Producers::default(), snapshots))
}

/// The lines of the file, none where it is missing or makes no sense.
fn read_epochs(task: &Task, dir: &Path) -> Result<Vec<(i32, i64)>, Trouble> {
    let path = dir.join(names::EPOCHS);
    let text = checkpoint::read_text(&*task.disk, &path)?;
    let lines = checkpoint::decode_epochs(&text.unwrap_or_default());
    Ok(lines.unwrap_or_else(|why| {
        log::warn!("{}: {} is left out: {why}", task.name, path.display());
        Vec::new()
    }))
}

/// A segment that need not be read.
fn below(task: &Task, dir: &Path, listed: &Listed) -> Result<Segment, Trouble> {
    if !listed.has_indexes {
        rebuild_index(task, dir, listed)?;
    }
    let len = listed.aborts_bytes.unwrap_or(0);
    let aborts = match aborted::is_whole(len) {
        true => AbortIndex::found(len / ENTRY_BYTES as u64),
        false => damaged_aborts(task, listed),
    };
    let found = Segment::found(listed.base, listed.len, task.now.wall_ms);
    Ok(found.with_modified(listed.modified_ms).with_aborts(aborts))
}

/// Pass 8: from headers alone. Damage ends it; look-ups walk on from there.
fn rebuild_index(task: &Task, dir: &Path, listed: &Listed) -> Result<(), Trouble> {
    let path = dir.join(names::file(listed.base, Kind::Log));
    let file = task.disk.open(&path, Mode::Write)?;
    let (mut buffer, mut index, mut newest) = (Buffer::new(), Index::default(), (-1, 0));
    let mut heads = Heads::new(&*file, &mut buffer, 0, listed.len);
    while let Met::Batch(head) = heads.step()? {
        let last = relative(listed.base, head.last_offset);
        if head.max_timestamp_ms > newest.0 {
            newest = (head.max_timestamp_ms, last);
        }
        let interval = u64::from(task.config.index_interval_bytes);
        index.note(interval, (last, head.position, head.size_bytes), newest);
    }
    index.push_time(newest.0, newest.1);
    let unstored = index.unstored();
    for (kind, bytes) in [
        (Kind::Index, unstored.offsets.1),
        (Kind::TimeIndex, unstored.times.1),
    ] {
        let path = dir.join(names::file(listed.base, kind));
        disk::replace(&*task.disk, &path, &bytes)?;
    }
    log::info!(
        "{}: made the index of segment {} anew",
        task.name,
        listed.base
    );
    Ok(())
}

/// Passes 4 and 5 for one segment.
fn scan_segment(
    task: &Task,
    dir: &Path,
    listed: &Listed,
    begin: i64,
    tail: &mut Tail,
) -> Result<Scanned, Trouble> {
    let path = dir.join(names::file(listed.base, Kind::Log));
    let file = task.disk.open(&path, Mode::Write)?;
    if !task.clean {
        file.drop_cache()?;
    }
    tail.expected = tail.expected.max(listed.base);
    let known = relative(listed.base, begin);
    let index = read_index(task, dir, listed, known)?;
    let aborts = read_aborts(task, dir, listed, begin)?;
    let damaged = |why| Trouble::Damaged(format!("{}: {why}", path.display()));
    let position = find_position(&*file, &index, listed, begin)?.map_err(damaged)?;
    let interval_bytes = u64::from(task.config.index_interval_bytes);
    let scan = scan::Scan::new(&*file, listed.base, (position, listed.len), interval_bytes);
    scan.run((index, aborts), tail)?.map_err(damaged)
}

/// The entries below `known` (relative), and files cut to just those.
fn read_index(task: &Task, dir: &Path, listed: &Listed, known: u32) -> Result<Index, Trouble> {
    let read = |kind| {
        let path = dir.join(names::file(listed.base, kind));
        let bytes = checkpoint::read_bytes(&*task.disk, &path)?;
        Ok::<_, Trouble>((path, bytes.unwrap_or_default()))
    };
    let (offsets, times) = (read(Kind::Index)?, read(Kind::TimeIndex)?);
    let index = Index::decode(&offsets.1, &times.1, listed.len, u64::from(known));
    let (offsets_len, times_len) = index.stored_bytes();
    for ((path, bytes), len) in [(offsets, offsets_len), (times, times_len)] {
        if bytes.len() as u64 > len {
            let file = task.disk.open(&path, Mode::Write)?;
            file.set_len(len)?;
            file.sync()?;
        }
    }
    Ok(index)
}

/// The aborted transactions whose markers lie before `begin`, and the file cut to just those. After a clean stop there
/// is nothing to be cut: what cannot be believed then is damage, and stays.
fn read_aborts(
    task: &Task,
    dir: &Path,
    listed: &Listed,
    begin: i64,
) -> Result<AbortIndex, Trouble> {
    let Some(len) = listed.aborts_bytes else {
        return Ok(AbortIndex::default());
    };
    let path = dir.join(names::file(listed.base, Kind::TxnIndex));
    let file = task.disk.open(&path, Mode::Write)?;
    let aborted::Believed { count, is_sound } = aborted::believed(&*file, len, begin)?;
    if task.clean && !is_sound {
        return Ok(damaged_aborts(task, listed));
    }
    let kept = count * ENTRY_BYTES as u64;
    if count == 0 {
        task.disk.remove_file(&path)?;
    } else if kept < len {
        file.set_len(kept)?;
        file.sync()?;
    }
    Ok(AbortIndex::found(count))
}

fn damaged_aborts(task: &Task, listed: &Listed) -> AbortIndex {
    log::warn!(
        "{}: {} is damaged: nobody can read committed records of that segment",
        task.name,
        names::file(listed.base, Kind::TxnIndex)
    );
    AbortIndex::damaged()
}

/// Where the batch at or behind `begin` begins.
fn find_position(
    file: &dyn disk::File,
    index: &Index,
    listed: &Listed,
    begin: i64,
) -> io::Result<Result<u64, String>> {
    if begin <= listed.base {
        return Ok(Ok(0));
    }
    let from = index.position_before_offset(relative(listed.base, begin - 1));
    let mut buffer = Buffer::new();
    let mut heads = Heads::new(file, &mut buffer, from, listed.len);
    let (mut position, mut end) = (from, listed.base);
    Ok(loop {
        match heads.step()? {
            Met::Batch(head) if head.last_offset >= begin => break Ok(head.position),
            Met::Batch(head) => (position, end) = (head.end(), head.last_offset + 1),
            _ if end == begin => break Ok(position),
            Met::End => {
                break Err(format!(
                    "it ends at offset {end}, but {begin} had been synced"
                ));
            }
            Met::Broken(at) => {
                break Err(format!(
                    "no batch at position {at}, below the synced offset {begin}"
                ));
            }
        }
    })
}

fn recovered(task: &Task, listed: &Listed, scanned: Scanned) -> Segment {
    Segment::found(listed.base, scanned.len, task.now.wall_ms)
        .with_modified(listed.modified_ms)
        .with_index(scanned.index, scanned.newest)
        .with_aborts(scanned.aborts)
}

/// Pass 6. The first of `segments` is cut to `keep` bytes, or goes whole when it does not border on
/// its predecessor; the others go whole.
fn cut(
    task: &Task,
    dir: &Path,
    segments: &[Listed],
    (keep, first_too): (u64, bool),
    end: i64,
) -> Result<(), Trouble> {
    let quarantine = task.root.join(names::QUARANTINE);
    let disk = &*task.disk;
    disk.create_dir(&quarantine)?;
    disk.sync_dir(&task.root)?;
    let whole = usize::from(!first_too);
    let bytes: u64 = segments.iter().map(|s| s.len).sum::<u64>() - keep;
    for listed in segments[whole..].iter().rev() {
        move_segment(task, dir, &quarantine, listed)?;
    }
    if !first_too {
        cut_tail(task, dir, &quarantine, &segments[0], (keep, end))?;
    }
    // What has come must be safe before what has gone.
    disk.sync_dir(&quarantine)?;
    disk.sync_dir(dir)?;
    log::warn!(
        "{}: cut {bytes} torn bytes after offset {} (kept in {}/{0}-*)",
        task.name,
        end - 1,
        names::QUARANTINE
    );
    Ok(())
}

fn move_segment(
    task: &Task,
    dir: &Path,
    quarantine: &Path,
    listed: &Listed,
) -> Result<(), Trouble> {
    let name = names::file(listed.base, Kind::Log);
    let to = disk::unused_path(&*task.disk, quarantine, &task.name, &format!("-{name}"))?;
    task.disk.rename(&dir.join(&name), &to)?;
    for kind in [Kind::Index, Kind::TimeIndex, Kind::TxnIndex] {
        let path = dir.join(names::file(listed.base, kind));
        match task.disk.remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The copy is durable before the file is cut.
fn cut_tail(
    task: &Task,
    dir: &Path,
    quarantine: &Path,
    listed: &Listed,
    (keep, end): (u64, i64),
) -> Result<(), Trouble> {
    let path = dir.join(names::file(listed.base, Kind::Log));
    let file = task.disk.open(&path, Mode::Write)?;
    let name = format!("-{end:020}.torn");
    let copy = disk::unused_path(&*task.disk, quarantine, &task.name, &name)?;
    copy_range(&*task.disk, &file, (keep, listed.len), &copy)?;
    file.set_len(keep)?;
    Ok(file.sync()?)
}

fn copy_range(
    disk: &dyn Disk,
    from: &FileRef,
    (mut position, end): (u64, u64),
    to: &Path,
) -> io::Result<()> {
    let (copy, mut written) = (disk.open(to, Mode::CreateNew)?, 0);
    let mut chunk = vec![0; scan::BUFFER_BYTES];
    while position < end {
        let want = (end - position).min(chunk.len() as u64) as usize;
        let got = from.read_at(position, &mut chunk[..want])?;
        if got == 0 {
            break;
        }
        copy.write_at(written, &[&chunk[..got]])?;
        (position, written) = (position + got as u64, written + got as u64);
    }
    copy.sync()?;
    disk.sync_dir(to.parent().unwrap_or(to))
}

/// Writes it again: where the sync of a process before has failed, the page that was read is clean and not on the disk.
/// A full disk may have no room even for that, but it has what it has.
fn sync_metadata(task: &Task, dir: &Path) -> Result<(), Trouble> {
    let metadata = task.disk.open(&dir.join(names::METADATA), Mode::Write)?;
    let text = checkpoint::encode_metadata(task.id.topic);
    match metadata.write_at(0, &[text.as_bytes()]) {
        Err(error) if !is_full(&error) => Err(error.into()),
        _ => Ok(metadata.sync()?),
    }
}

/// Pass 7.
fn sync_tail(task: &Task, dir: &Path, segments: &[Segment], tail: u64) -> Result<(), Trouble> {
    if tail == 0 && task.clean {
        return Ok(());
    }
    if task.recovery_point == 0 {
        sync_metadata(task, dir)?;
        task.disk.sync_dir(&task.root)?;
    }
    for segment in segments {
        let path = dir.join(names::file(segment.base(), Kind::Log));
        let file = task.disk.open(&path, Mode::Write)?;
        // The length stays; space that was reserved behind it goes back. Nothing new was written.
        file.set_len(segment.len())?;
        if let Some(ms) = segment.written_ms() {
            let _ = file.set_modified(ms);
        }
        file.sync()?;
    }
    Ok(task.disk.sync_dir(dir)?)
}
