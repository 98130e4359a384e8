//! One pass over a log, in slices: look, read the keys, rewrite one group of segments after the other.
//!
//! A pass owns what it works on: names and lengths of closed segments, and copies of what only memory has of their
//! aborted transactions. It runs in the work lane for so many bytes at a time, and between two slices lies in the
//! hands of the loop; checkpoints come between, and a log that is deleted ends it there. When a group is written and
//! decided for, the loop gets a [`Replacement`] and the pass goes on.
//!
//! The log may begin later meanwhile, by DeleteRecords, retention or the budget. Segments that have gone by that are
//! the first ones, and nobody reads what was in them, so the pass steps over them and loses none of its work.
//!
//! Memory: the table of offsets, a buffer as large as the largest batch, its records, and a megabyte or two of output.

use super::super::aborted::{AbortIndex, Entry};
use super::super::checkpoint;
use super::super::index::Index;
use super::super::names::{self, Kind};
use super::super::{PartitionId, ReadError};
use super::Trouble;
use super::entries::Entries;
use super::offset_map::{OffsetMap, Size};
use super::plan::{self, Bounds, Facts, Lags, Sizes};
use super::rewrite::{Rewrite, Rules};
use super::swap;
use super::target::{Replacement, Target};
use super::transactions::Transactions;
use crate::config::LogConfig;
use crate::disk::{Disk, Mode};
use crate::proto::batch::{self, Batch, MAGIC};
use crate::proto::legacy;
use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// What one slice reads and writes, about. Small logs of tests have slices, too.
const SLICE_BYTES: u64 = if cfg!(test) { 1000 } else { 4 * 1024 * 1024 };
/// What must be left on the disk beside the segment that is written.
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// A segment as the loop knows it.
pub(super) struct Source {
    pub(super) base: i64,
    pub(super) len: u64,
    /// The broker's time of its last append.
    pub(super) modified_ms: i64,
    pub(super) aborts: AbortIndex,
}

/// All that a pass needs to know.
pub(super) struct Task {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) id: PartitionId,
    pub(super) dir: PathBuf,
    pub(super) config: Arc<LogConfig>,
    /// All segments; the last one is active and only its aborted transactions matter.
    pub(super) sources: Vec<Source>,
    pub(super) bounds: Bounds,
    /// The broker's time, where it may be believed: for lags.
    pub(super) now_ms: Option<i64>,
    pub(super) rules: Rules,
    pub(super) size: Size,
    /// The largest segment that may come of it: what the log's topic and the budget of the disk allow.
    pub(super) segment_bytes: u64,
}

/// What a slice has come to.
pub(in crate::storage) enum Step {
    /// There is more to do.
    More,
    /// A group is written and decided for, and there may be more to do.
    Swap(Box<Replacement>),
    /// Everything before this offset is compacted.
    Done(i64),
    /// There is nothing to do: unless the log changes, not for so many milliseconds, or never.
    NotYet(i64),
    /// It ends here.
    Failed(Trouble),
}

/// A pass.
pub(in crate::storage) struct Pass {
    task: Task,
    stage: Stage,
    buffer: Vec<u8>,
    /// Where the segment begins that is being written.
    writing: Option<i64>,
    /// Bytes that the last slice has read and written.
    pub(super) io_bytes: u64,
    /// Bytes of segments read so far, for the log line.
    pub(super) read_bytes: u64,
}

enum Stage {
    Look,
    Map(Box<Mapping>),
    Rewrite(Box<Rewriting>),
    Over,
}

/// The keys of the dirty section are being read.
struct Mapping {
    dirty: Range<i64>,
    facts: Vec<Facts>,
    map: OffsetMap,
    transactions: Transactions,
    slot: usize,
    entries: Option<Entries>,
}

/// Segments are being rewritten.
struct Rewriting {
    rewrite: Rewrite,
    until: i64,
    groups: Vec<Range<usize>>,
    /// Those of the group at hand.
    group: usize,
    slot: usize,
    entries: Option<Entries>,
    target: Option<Target>,
    /// What of the group was read: first offsets and bytes.
    old: Vec<(i64, u64)>,
}

/// Which keys of an entry the table took.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    All,
    /// There was no room for one of them, nor is there for any that follows.
    Full,
}

impl Pass {
    /// A pass that has not begun.
    pub(super) fn new(task: Task) -> Pass {
        Pass {
            task,
            stage: Stage::Look,
            buffer: Vec::new(),
            writing: None,
            io_bytes: 0,
            read_bytes: 0,
        }
    }

    /// Whose log it is.
    pub(super) fn id(&self) -> PartitionId {
        self.task.id
    }

    /// The settings and bounds that it judges by.
    pub(super) fn seen(&self) -> (&Arc<LogConfig>, Bounds) {
        (&self.task.config, self.task.bounds)
    }

    /// The partition's directory, and the segment that was begun and not handed over.
    pub(super) fn unfinished(&self) -> Option<(PathBuf, i64)> {
        Some((self.task.dir.clone(), self.writing?))
    }

    /// Runs one slice. Answers what it has come to.
    pub(super) fn run(&mut self) -> Step {
        self.io_bytes = 0;
        let stage = mem::replace(&mut self.stage, Stage::Over);
        let stepped = match stage {
            Stage::Look => self.look(),
            Stage::Map(mapping) => self.map(mapping),
            Stage::Rewrite(rewriting) => self.rewrite(rewriting),
            Stage::Over => Ok(Step::NotYet(0)),
        };
        stepped.unwrap_or_else(Step::Failed)
    }

    fn closed(&self) -> &[Source] {
        self.task
            .sources
            .split_last()
            .map_or(&[], |(_, closed)| closed)
    }

    /// Finds out what is dirty, and whether it is worth a pass.
    fn look(&mut self) -> Result<Step, Trouble> {
        let config = &self.task.config;
        let lags = Lags {
            min_ms: config.compaction.min_lag_ms,
            max_ms: config.compaction.max_lag_ms,
            now_ms: self.task.now_ms,
        };
        let facts = self.facts()?;
        let dirty = plan::dirty(&facts, &self.task.bounds, &lags);
        let ratio = plan::dirty_ratio(&facts, &dirty);
        let is_due = ratio > config.compaction.min_dirty_ratio
            || (ratio > 0.0 && plan::is_overdue(&facts, &dirty, &lags));
        if !is_due {
            return Ok(Step::NotYet(plan::wait_ms(&facts, &dirty, &lags)));
        }
        let slot = plan::first_at(&facts, dirty.start);
        let groups = plan::groups(&facts, dirty.end, dirty.end, &self.sizes());
        let bytes = groups.iter().map(|group| bytes_of(&facts[group.clone()]));
        // Asked before anything is read: a pass that cannot end would read it all again and again.
        self.check_space(bytes.max().unwrap_or(0))?;
        let keys = (dirty.end - dirty.start).unsigned_abs();
        let mut mapping = Mapping {
            map: OffsetMap::new(self.task.size, keys, dirty.start),
            transactions: Transactions::default(),
            dirty,
            facts,
            slot,
            entries: None,
        };
        let range = (mapping.dirty.start, mapping.dirty.end);
        mapping.transactions.expect(self.task.aborted(slot, range)?);
        self.stage = Stage::Map(Box::new(mapping));
        Ok(Step::More)
    }

    /// What the directory and the indexes say of the closed segments.
    fn facts(&self) -> Result<Vec<Facts>, Trouble> {
        let task = &self.task;
        let listed = task.disk.list(&task.dir).map_err(Trouble::of)?;
        let sizes: BTreeMap<&str, u64> = listed.iter().map(|e| (&*e.name, e.len)).collect();
        let has_lags =
            task.config.compaction.min_lag_ms > 0 || task.config.compaction.max_lag_ms < i64::MAX;
        let first_dirty = task.bounds.first_dirty();
        let ends = task.sources.iter().skip(1).map(|source| source.base);
        let mut facts = Vec::with_capacity(task.sources.len());
        for (source, end) in self.closed().iter().zip(ends) {
            let size = |kind| {
                let name = names::file(source.base, kind);
                sizes.get(&*name).copied().unwrap_or(0)
            };
            let times = match has_lags && end > first_dirty {
                true => times(&*task.disk, task, source)?,
                false => (-1, -1),
            };
            facts.push(Facts {
                base: source.base,
                len: source.len,
                index_bytes: (size(Kind::Index), size(Kind::TimeIndex)),
                newest_ms: times.0,
                first_ms: times.1,
                modified_ms: source.modified_ms,
            });
        }
        Ok(facts)
    }

    /// Reads keys until the slice is over, the table is full or the section ends.
    fn map(&mut self, mut mapping: Box<Mapping>) -> Result<Step, Trouble> {
        while mapping
            .facts
            .get(mapping.slot)
            .is_some_and(|s| s.base < mapping.dirty.end)
        {
            let opened = match mapping.entries.take() {
                Some(entries) => Some(entries),
                None => if_there(self.open(mapping.slot))?,
            };
            let Some(mut entries) = opened else {
                mapping.next_slot();
                continue;
            };
            while let Some(entry) = entries.next()? {
                let bytes = entry.bytes.len() as u64;
                let noted = mapping.note(entry.bytes, self.task.config.convert_max_bytes);
                let noted = noted.map_err(|why| entries.damaged(&why))?;
                self.count(bytes);
                if noted == Noted::Full {
                    self.buffer = entries.into_buffer();
                    return self.begin_rewrite(*mapping);
                }
                if self.io_bytes >= SLICE_BYTES {
                    mapping.entries = Some(entries);
                    self.stage = Stage::Map(mapping);
                    return Ok(Step::More);
                }
            }
            self.buffer = entries.into_buffer();
            mapping.next_slot();
        }
        self.begin_rewrite(*mapping)
    }

    fn begin_rewrite(&mut self, mapping: Mapping) -> Result<Step, Trouble> {
        let until = mapping.map.until();
        let groups = plan::groups(&mapping.facts, until, mapping.dirty.end, &self.sizes());
        self.stage = Stage::Rewrite(Box::new(Rewriting {
            rewrite: Rewrite::new(self.task.rules.clone(), mapping.map),
            until,
            groups,
            group: 0,
            slot: 0,
            entries: None,
            target: None,
            old: Vec::new(),
        }));
        Ok(Step::More)
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            segment_bytes: self.task.segment_bytes,
            index_bytes: u64::from(self.task.config.segment_index_bytes),
        }
    }

    /// Rewrites until the slice is over or a group ends.
    fn rewrite(&mut self, mut rewriting: Box<Rewriting>) -> Result<Step, Trouble> {
        let Some(group) = rewriting.groups.get(rewriting.group).cloned() else {
            return Ok(Step::Done(rewriting.until));
        };
        let mut target = match rewriting.target.take() {
            Some(target) => target,
            None => self.begin_group(&group)?,
        };
        let last = self.last_filled(&group);
        while rewriting.slot < group.end {
            let opened = match rewriting.entries.take() {
                Some(entries) => Some(entries),
                None => if_there(self.begin_source(&mut rewriting))?,
            };
            let Some(mut entries) = opened else {
                rewriting.slot += 1;
                continue;
            };
            while rewriting.copy(&mut entries, &mut target, last, self)? {
                if self.io_bytes >= SLICE_BYTES {
                    rewriting.entries = Some(entries);
                    rewriting.target = Some(target);
                    self.stage = Stage::Rewrite(rewriting);
                    return Ok(Step::More);
                }
            }
            self.buffer = entries.into_buffer();
            let source = &self.task.sources[rewriting.slot];
            rewriting.old.push((source.base, source.len));
            rewriting.slot += 1;
        }
        let step = self.end_group(&mut rewriting, target, group)?;
        self.stage = Stage::Rewrite(rewriting);
        Ok(step)
    }

    /// Begins to read a segment of the group at hand.
    fn begin_source(&mut self, rewriting: &mut Rewriting) -> Result<Entries, Trouble> {
        let slot = rewriting.slot;
        let range = (self.base(slot), self.base(slot + 1));
        let aborted = self.task.aborted(slot, range)?;
        rewriting.rewrite.transactions.expect(aborted);
        self.open(slot)
    }

    /// A group needs about as much space as it takes, until the old segments are gone.
    fn begin_group(&mut self, group: &Range<usize>) -> Result<Target, Trouble> {
        let sources = &self.task.sources[group.clone()];
        let bytes: u64 = sources.iter().map(|source| source.len).sum();
        let base = sources.first().map_or(0, |source| source.base);
        self.check_space(bytes)?;
        let task = &self.task;
        let interval = u64::from(task.config.index_interval_bytes);
        self.writing = Some(base);
        Target::create(&*task.disk, &task.dir, base, interval).map_err(Trouble::of)
    }

    /// All of a group is written; of one that has gone as a whole nothing is kept.
    fn end_group(
        &mut self,
        rewriting: &mut Rewriting,
        mut target: Target,
        group: Range<usize>,
    ) -> Result<Step, Trouble> {
        let task = &self.task;
        let first = self.base(group.start);
        let modified_ms = task.sources[group].last().map_or(0, |s| s.modified_ms);
        let aborted = mem::take(&mut rewriting.rewrite.aborted);
        let old = mem::take(&mut rewriting.old);
        rewriting.group += 1;
        let step = if old.is_empty() {
            swap::undo(&*task.disk, &task.dir, first).map_err(Trouble::of)?;
            Step::More
        } else {
            target.set_modified(modified_ms);
            let new = target.finish(&*task.disk, old, aborted);
            Step::Swap(Box::new(new.map_err(Trouble::of)?))
        };
        self.writing = None;
        Ok(step)
    }

    fn check_space(&self, bytes: u64) -> Result<(), Trouble> {
        let task = &self.task;
        let free = task.disk.free_bytes(&task.dir).map_err(Trouble::of)?;
        match free < bytes.saturating_add(RESERVE_BYTES) {
            true => Err(Trouble::NoSpace),
            false => Ok(()),
        }
    }

    /// The last segment of a group that holds anything.
    fn last_filled(&self, group: &Range<usize>) -> usize {
        let mut filled = group.clone().rev();
        filled
            .find(|slot| self.task.sources[*slot].len > 0)
            .unwrap_or(group.start)
    }

    fn base(&self, slot: usize) -> i64 {
        let end = self.task.bounds.log_end;
        self.task
            .sources
            .get(slot)
            .map_or(end, |source| source.base)
    }

    fn open(&mut self, slot: usize) -> Result<Entries, Trouble> {
        let source = &self.task.sources[slot];
        let path = self.task.dir.join(names::file(source.base, Kind::Log));
        let buffer = mem::take(&mut self.buffer);
        Entries::open(&*self.task.disk, path, source.len, buffer)
    }

    fn count(&mut self, bytes: u64) {
        self.io_bytes += bytes;
        self.read_bytes += bytes;
    }
}

impl Mapping {
    /// What was at hand is read, or nobody needs it any more.
    fn next_slot(&mut self) {
        self.slot += 1;
        let next = self.facts.get(self.slot);
        let end = next.map_or(self.dirty.end, |next| next.base);
        self.map.set_until(end.min(self.dirty.end));
    }

    /// Notes the keys of an entry.
    fn note(&mut self, entry: &[u8], max_bytes: usize) -> Result<Noted, String> {
        if batch::magic_of(entry) != Some(MAGIC) {
            return self.note_old(entry, max_bytes);
        }
        let (batch, _) = Batch::split_first(entry).map_err(|why| why.to_string())?;
        batch.check_crc().map_err(|why| why.to_string())?;
        let header = batch.header();
        if header.attributes.is_control() {
            self.transactions.meet_control(&batch);
            return Ok(Noted::All);
        }
        if self.transactions.meet(header) || header.last_offset() < self.dirty.start {
            return Ok(Noted::All);
        }
        let plain = batch.decompress(max_bytes).map_err(|why| why.to_string())?;
        for record in batch.records(&plain) {
            let record = record.map_err(|why| format!("record {} {why}", why.index))?;
            let offset = header.base_offset + i64::from(record.offset_delta);
            if !self.put(record.key, offset) {
                return Ok(Noted::Full);
            }
        }
        self.map.set_until(header.next_offset());
        Ok(Noted::All)
    }

    fn note_old(&mut self, entry: &[u8], max_bytes: usize) -> Result<Noted, String> {
        let mut has_room = true;
        let opened = legacy::open_entry(entry, max_bytes, |record| {
            has_room = has_room && self.put(record.key, record.offset);
        });
        opened.map_err(|why| why.to_string())?;
        Ok(match has_room {
            true => Noted::All,
            false => Noted::Full,
        })
    }

    /// What did not fit is the end of what the table speaks for.
    fn put(&mut self, key: Option<&[u8]>, offset: i64) -> bool {
        let Some(key) = key.filter(|_| offset >= self.dirty.start) else {
            return true;
        };
        let has_room = self.map.put(key, offset);
        if !has_room {
            self.map.set_until(offset);
        }
        has_room
    }
}

impl Rewriting {
    /// Rewrites one entry of the segment at hand; `false` at its end.
    fn copy(
        &mut self,
        entries: &mut Entries,
        target: &mut Target,
        last: usize,
        pass: &mut Pass,
    ) -> Result<bool, Trouble> {
        let Some(entry) = entries.next()? else {
            return Ok(false);
        };
        let bytes = entry.bytes.len() as u64;
        let ends_group = self.slot == last && entry.is_last;
        let written = match Batch::split_first(entry.bytes) {
            Ok((batch, _)) => self.rewrite.batch(&batch, ends_group, &mut target.out),
            Err(batch::BatchError::Magic(0 | 1)) => {
                self.rewrite
                    .old_entry(entry.bytes, ends_group, &mut target.out)
            }
            Err(why) => Err(why.to_string()),
        };
        let written = written.map_err(|why| entries.damaged(&why))?;
        pass.count(bytes);
        if let Some(written) = written {
            target.note(&written);
            pass.io_bytes += target.flush_if_full().map_err(Trouble::of)?;
        }
        Ok(true)
    }
}

impl Task {
    /// The aborted transactions that touch a range that begins in a segment. Their markers may stand in later ones.
    fn aborted(&mut self, slot: usize, range: (i64, i64)) -> Result<Vec<Entry>, Trouble> {
        let mut found = Vec::new();
        for source in &mut self.sources[slot..] {
            let path = self.dir.join(names::file(source.base, Kind::TxnIndex));
            let file = match source.aborts.has_stored() {
                true => Some(self.disk.open(&path, Mode::Read).map_err(Trouble::of)?),
                false => None,
            };
            let searched = source.aborts.search(file.as_deref(), range, &mut found);
            match searched {
                Ok(true) => break,
                Ok(false) => {}
                Err(ReadError::Io(error)) => return Err(Trouble::of(error)),
                Err(why) => {
                    let why = format!("{}: {why}", path.display());
                    return Err(Trouble::Damaged(why));
                }
            }
        }
        Ok(found)
    }
}

/// `None` of a segment that has gone.
fn if_there(opened: Result<Entries, Trouble>) -> Result<Option<Entries>, Trouble> {
    match opened {
        Err(Trouble::Gone) => Ok(None),
        opened => opened.map(Some),
    }
}

fn bytes_of(segments: &[Facts]) -> u64 {
    segments.iter().map(|segment| segment.len).sum()
}

/// The time of the newest record of a segment, and that of its first batch; -1 where there is none.
fn times(disk: &dyn Disk, task: &Task, source: &Source) -> Result<(i64, i64), Trouble> {
    let path = |kind| task.dir.join(names::file(source.base, kind));
    let times = checkpoint::read_bytes(disk, &path(Kind::TimeIndex)).map_err(Trouble::of)?;
    let index = Index::decode(&[], &times.unwrap_or_default(), source.len, u64::MAX);
    let log = disk
        .open(&path(Kind::Log), Mode::Read)
        .map_err(Trouble::of)?;
    let mut header = [0; batch::HEADER_BYTES];
    let got = log.read_at(0, &mut header).map_err(Trouble::of)?;
    let is_batch = got == header.len() && batch::magic_of(&header) == Some(MAGIC);
    let first = is_batch.then(|| batch::BatchHeader::from_bytes(&header).max_timestamp);
    Ok((index.newest().map_or(-1, |n| n.0), first.unwrap_or(-1)))
}
