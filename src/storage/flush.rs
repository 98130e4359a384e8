//! How appended records reach the disk for good: rounds, checkpoints, and the clean stop.
//!
//! A **round** (the sync lane) makes acknowledgements true: it syncs every file that was written since the last one.
//! A **checkpoint** (the work lane) makes the next start short: it syncs the log, writes the index entries
//! (offsets, times, aborted transactions) that only memory has, the epochs and a producer snapshot, each
//! synced, and only then moves the recovery point; the file of recovery points follows within a second. One
//! that comes before a partition's first round makes its directory durable first. Checkpoints come every 32 MiB, at
//! the end of a segment, at a clean stop, and when all tails together pass 256 MiB: then of the longest, as many as
//! bring the rest down to 64 MiB. A snapshot goes when the recovery point on disk has passed it, except those at the
//! beginning of a segment, which Kafka keeps too.

use super::aborted;
use super::checkpoint::{self, Offsets};
use super::index::Unstored;
use super::lifetime::Home;
use super::log::Log;
use super::names::{self, Kind};
use super::segment::{Place, Segment};
use super::{Done, Outcome, PartitionId, Slot, State, Storage};
use crate::clock::{Mono, Now};
use crate::disk::lanes::Round;
use crate::disk::{self, Disk, FileRef, Mode, is_full, is_sync_failure};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

const CHECKPOINT_BYTES: u64 = 32 * 1024 * 1024;
/// What a start after a kill may have to read.
const MAX_TAILS_BYTES: u64 = 256 * 1024 * 1024;
/// What of the tails is left without a checkpoint when there is too much of them. Far below half of the
/// limit, so that logs are compared once for many megabytes of appends.
const RELIEVED_TAILS_BYTES: u64 = MAX_TAILS_BYTES / 4;
/// The file of recovery points is written at most this often.
const POINTS_INTERVAL_MS: i64 = 1000;
/// Idle producers are looked for at most this often.
const EXPIRY_INTERVAL_MS: i64 = 600_000;

/// What the next round takes, and what the one in flight has taken.
pub(super) struct Rounds {
    /// Its number: what is appended now belongs to it.
    pub(super) gathering: u64,
    dirty: Vec<PartitionId>,
    /// Files and directories outside the segments.
    pub(super) files: Vec<FileRef>,
    pub(super) dirs: BTreeSet<PathBuf>,
    flying: Vec<PartitionId>,
    /// `flush.ms`: when a partition must be in a round.
    due: BTreeSet<(Mono, PartitionId)>,
    /// When idle producers are looked for.
    expiry: Option<Mono>,
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds {
            gathering: 1,
            dirty: Vec::new(),
            files: Vec::new(),
            dirs: BTreeSet::new(),
            flying: Vec::new(),
            due: BTreeSet::new(),
            expiry: None,
        }
    }
}

/// The file of recovery points, and what is not in it yet.
#[derive(Default)]
pub(super) struct Points {
    /// As the file said at the start, for partitions that are not loaded.
    pub(super) recovery: Offsets,
    pub(super) cleaned: Offsets,
    /// The file of what was compacted has something else.
    pub(super) cleaned_dirty: bool,
    dirty: bool,
    running: bool,
    due: Option<Mono>,
    /// What the job in the work lane writes.
    sent: Vec<(PartitionId, i64)>,
    /// Partitions that are gone, while the file may have a line of each.
    gone: BTreeSet<(Arc<str>, i32)>,
    /// Those of them that the job in the work lane leaves out.
    left_out: BTreeSet<(Arc<str>, i32)>,
    pub(super) tails: Tails,
}

impl Points {
    /// What the file has of others than the partitions with directories of these names is of nobody.
    pub(super) fn note_strangers<T>(&mut self, wanted: &BTreeMap<String, T>) {
        let lines = self.recovery.keys();
        let gone = lines.filter(|(topic, n)| !wanted.contains_key(&names::dir(topic, *n)));
        self.gone = gone.map(|(topic, n)| (topic.as_str().into(), *n)).collect();
    }

    /// A partition is gone, with its directory.
    pub(super) fn forget(&mut self, topic: Arc<str>, partition: i32) {
        self.gone.insert((topic, partition));
    }

    /// Whether the file may have a line of a partition of that name that is gone.
    pub(super) fn may_list(&self, topic: &Arc<str>, partition: i32) -> bool {
        let lines = [&self.gone, &self.left_out];
        let mut lines = lines.into_iter().filter(|lines| !lines.is_empty());
        lines.any(|lines| lines.contains(&(Arc::clone(topic), partition)))
    }
}

/// All bytes behind the recovery points that the file has, by how far they have come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tails {
    /// No checkpoint is on its way for them.
    pub(super) open_bytes: u64,
    /// A checkpoint is.
    covered_bytes: u64,
    /// A checkpoint is done, and the file does not know.
    settled_bytes: u64,
    /// The file is being written.
    sent_bytes: u64,
}

impl Tails {
    /// Whether checkpoints must begin: there is too much, and not enough of it is on its way.
    fn are_too_long(&self) -> bool {
        let all = self.open_bytes + self.covered_bytes + self.settled_bytes + self.sent_bytes;
        all > MAX_TAILS_BYTES && self.open_bytes > MAX_TAILS_BYTES / 2
    }
}

impl Storage {
    /// What an append leaves to be done.
    pub(super) fn after_append(&mut self, id: PartitionId, size_bytes: usize, now: Now) {
        let Ok(log) = self.log_mut(id) else {
            return;
        };
        let (limits, news) = (Arc::clone(log.config()), log.take_news());
        let due = log.unflushed >= limits.flush_messages;
        let wants_timer = !due && !log.queued && limits.flush_ms < i64::MAX && !log.timed;
        log.timed |= wants_timer;
        let wants_checkpoint =
            log.checkpoints.rolled || log.checkpoints.tail_bytes >= CHECKPOINT_BYTES;
        let has_names = log.dir_dirty;
        let has_producers = !log.producers.is_empty();
        log.counted_bytes += size_bytes as u64;
        self.budget.appended(size_bytes as u64);
        if has_names {
            self.note_names(id);
        }
        if due {
            self.flush(id);
        }
        if wants_timer {
            let at = now.mono.plus_ms(limits.flush_ms);
            self.rounds.due.insert((at, id));
        }
        if news > 0 {
            self.signals.push((id, news));
        }
        if has_producers && self.rounds.expiry.is_none() {
            self.rounds.expiry = Some(self.next_expiry(now));
        }
        self.points.tails.open_bytes += size_bytes as u64;
        if wants_checkpoint {
            self.checkpoint(id);
        }
        if self.points.tails.are_too_long() {
            self.checkpoint_longest();
        }
        self.trim_shelf();
        self.keep_room(now);
    }

    /// If a log has begun another segment, but not by an append, its directory has a name to keep and it wants a
    /// checkpoint.
    pub(super) fn after_roll(&mut self, id: PartitionId) {
        if self.log(id).is_ok_and(|log| log.dir_dirty) {
            self.note_names(id);
            self.checkpoint(id);
        }
    }

    /// The partition is in the next round, however relaxed its flush is.
    pub fn flush(&mut self, id: PartitionId) {
        if let Ok(log) = self.log_mut(id)
            && !mem::replace(&mut log.queued, true)
        {
            self.rounds.dirty.push(id);
        }
    }

    /// Whether a round would do anything.
    #[must_use]
    pub fn needs_round(&self) -> bool {
        !(self.rounds.dirty.is_empty()
            && self.rounds.files.is_empty()
            && self.rounds.dirs.is_empty()
            && !self.starts.needs_round())
    }

    /// Adds everything that is dirty to a round, and remembers how far it reaches.
    ///
    /// # Errors
    /// When a file that is to be synced cannot be opened. The round must not be run, and the process must stop.
    pub fn gather(&mut self, round: &mut Round) -> io::Result<()> {
        debug_assert!(
            self.rounds.flying.is_empty(),
            "one round is in flight at a time"
        );
        for id in mem::take(&mut self.rounds.dirty) {
            let Some(State::Ready(log)) = self.slots.get_mut(&id).map(|slot| &mut slot.state)
            else {
                continue;
            };
            log.gather(&mut self.shelf, round.number, &mut round.files)?;
            self.rounds.flying.push(id);
        }
        self.gather_starts(round)?;
        round.files.append(&mut self.rounds.files);
        round.dirs.extend(mem::take(&mut self.rounds.dirs));
        self.rounds.gathering = round.number + 1;
        Ok(())
    }

    /// The round in flight is durable: what it holds may be acknowledged and read.
    pub fn synced(&mut self, round: u64) {
        let flying = mem::take(&mut self.rounds.flying);
        self.shelf.synced(flying.len());
        for id in flying {
            if let Ok(log) = self.log_mut(id) {
                log.landed(round);
            }
            self.tell_news(id);
        }
        self.starts_landed();
    }

    /// Fires what is due.
    pub fn tick(&mut self, now: Now) {
        self.retention.clock.look(now);
        while let Some(&(at, id)) = self.rounds.due.first()
            && at <= now.mono
        {
            self.rounds.due.pop_first();
            if let Ok(log) = self.log_mut(id) {
                log.timed = false;
                if log.unflushed > 0 {
                    self.flush(id);
                }
            }
        }
        if self.rounds.expiry.is_some_and(|at| at <= now.mono) {
            self.expire_producers(now);
        }
        self.keep_room(now);
        if self.points.due.is_some_and(|at| at <= now.mono) {
            self.write_points(now);
        }
        self.tick_retention(now);
        self.tick_moves(now);
        self.tick_removals(now);
        self.tick_cleaner(now);
        self.tick_learning();
    }

    /// When [`Storage::tick`] is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let flush = self.rounds.due.first().map(|(at, _)| *at);
        let removal = self.removal_deadline();
        let points = self.points.due.filter(|_| !self.points.running);
        let retention = self.retention_deadline();
        let cleaner = self.cleaner.next_deadline();
        let learning = self.learning.goes_on().then_some(Mono(0));
        let expiry = self.rounds.expiry;
        let moves = self.moves_deadline();
        [
            flush, removal, points, retention, expiry, cleaner, learning, moves,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn next_expiry(&self, now: Now) -> Mono {
        let interval = self
            .config
            .producer_id_expiration_ms
            .min(EXPIRY_INTERVAL_MS);
        now.mono.plus_ms(interval.max(1))
    }

    fn expire_producers(&mut self, now: Now) {
        let mut anybody = false;
        let expiration_ms = self.config.producer_id_expiration_ms;
        for slot in self.slots.values_mut() {
            if let State::Ready(log) = &mut slot.state {
                log.producers.expire(now.mono, expiration_ms);
                anybody |= !log.producers.is_empty();
            }
        }
        self.rounds.expiry = anybody.then(|| self.next_expiry(now));
    }

    /// Starts a checkpoint of a partition, unless one is on its way, or nothing was ever appended.
    pub(super) fn checkpoint(&mut self, id: PartitionId) {
        let closing = self.closing;
        let Ok(log) = self.log_mut(id) else {
            return;
        };
        if log.checkpoints.running || matches!(log.home, Home::Absent | Home::Found) {
            return;
        }
        let task = Checkpoint::of(log, closing);
        let covered = task.covered_bytes;
        log.checkpoints.running = true;
        log.checkpoints.rolled = false;
        log.checkpoints.epochs_dirty = false;
        log.checkpoints.tail_bytes = 0;
        self.points.tails.open_bytes -= covered;
        self.points.tails.covered_bytes += covered;
        self.jobs
            .push(Box::new(move || Done(Outcome::Checkpointed(task.run()))));
    }

    /// Starts checkpoints of the longest tails, of those that none is on its way for.
    fn checkpoint_longest(&mut self) {
        let idle = self.logs().filter(|log| !log.checkpoints.running);
        let mut tails: Vec<(u64, PartitionId)> = idle
            .map(|log| (log.checkpoints.tail_bytes, log.id))
            .collect();
        tails.sort_unstable();
        while self.points.tails.open_bytes > RELIEVED_TAILS_BYTES
            && let Some((_, id)) = tails.pop()
        {
            self.checkpoint(id);
        }
    }

    pub(super) fn checkpointed(&mut self, done: Checkpointed, now: Now) -> io::Result<()> {
        self.points.tails.covered_bytes -= done.covered_bytes;
        let Ok(log) = self.log_mut(done.id) else {
            // The partition has gone meanwhile; what its disk has to say has not.
            self.job_ended(done.id, now);
            return done.result.or_else(|error| match is_sync_failure(&error) {
                true => Err(error),
                false => Ok(()),
            });
        };
        log.checkpoints.running = false;
        if let Err(failure) = done.result {
            return self.checkpoint_failed(done.id, done.covered_bytes, failure);
        }
        log.checkpoints.recovery_point = done.end;
        log.home = Home::Kept;
        let gone = |offset: &i64| done.obsolete.contains(offset);
        log.checkpoints.snapshots.retain(|offset| !gone(offset));
        if log.checkpoints.snapshots.last() != Some(&done.end) {
            log.checkpoints.snapshots.push(done.end);
        }
        log.set_clean_before(done.end);
        let active = log.segments.len() - 1;
        for (base, stored) in done.stored {
            let slot = log.slot_of(base);
            log.segments[slot].set_stored(stored);
            if slot < active {
                log.segments[slot].forget_index();
            }
        }
        for (base, stored) in done.stored_aborts {
            let slot = log.slot_of(base);
            log.segments[slot].set_stored_aborts(stored);
        }
        let again = log.checkpoints.rolled || log.checkpoints.tail_bytes >= CHECKPOINT_BYTES;
        self.points.tails.settled_bytes += done.covered_bytes;
        self.points_changed(now);
        if again || self.closing {
            self.checkpoint_if_needed(done.id);
        }
        Ok(())
    }

    /// Without space for it a checkpoint is tried again when more has been appended; the start after a
    /// kill has more to read meanwhile. A clean stop cannot be had then.
    fn checkpoint_failed(
        &mut self,
        id: PartitionId,
        covered_bytes: u64,
        failure: io::Error,
    ) -> io::Result<()> {
        if self.closing || !may_be_tried_again(&failure) {
            return Err(failure);
        }
        log::debug!("no checkpoint: {failure}");
        self.points.tails.open_bytes += covered_bytes;
        if let Ok(log) = self.log_mut(id) {
            log.checkpoints.tail_bytes += covered_bytes;
            log.checkpoints.epochs_dirty = true;
        }
        Ok(())
    }

    fn checkpoint_if_needed(&mut self, id: PartitionId) {
        if self.log(id).is_ok_and(needs_checkpoint) {
            self.checkpoint(id);
        }
    }

    /// Some recovery point is not in its file.
    pub(super) fn points_changed(&mut self, now: Now) {
        self.points.dirty = true;
        let wait_ms = if self.closing { 0 } else { POINTS_INTERVAL_MS };
        let due = now.mono.plus_ms(wait_ms);
        self.points.due = Some(self.points.due.map_or(due, |at| at.min(due)));
        if self.closing {
            self.write_points(now);
        }
    }

    fn write_points(&mut self, now: Now) {
        if self.points.running || !self.points.dirty {
            return;
        }
        if self.closing && self.logs().any(|log| log.checkpoints.running) {
            self.points.due = Some(now.mono.plus_ms(POINTS_INTERVAL_MS));
            return;
        }
        self.points.dirty = false;
        self.points.running = true;
        self.points.due = None;
        self.points.tails.sent_bytes = mem::take(&mut self.points.tails.settled_bytes);
        let mut task = WritePoints {
            disk: Arc::clone(&self.disk),
            root: self.root.clone(),
            recovery: Vec::with_capacity(self.slots.len()),
            time_ms: self.retention.clock.believed_instead(),
            cleaned: mem::take(&mut self.points.cleaned_dirty).then(|| self.cleaned_points()),
        };
        self.points.sent.clear();
        self.points.left_out = mem::take(&mut self.points.gone);
        for (id, slot) in &self.slots {
            let point = match &slot.state {
                // A line says that the directory is there, and its first segment (`lifetime`).
                State::Ready(log) if log.home != Home::Kept => None,
                State::Ready(log) => {
                    self.points.sent.push((*id, log.checkpoints.recovery_point));
                    Some(log.checkpoints.recovery_point)
                }
                _ => {
                    let key = (slot.topic.to_string(), id.partition);
                    self.points.recovery.get(&key).copied()
                }
            };
            let line = |offset| (Arc::clone(&slot.topic), id.partition, offset);
            task.recovery.extend(point.map(line));
        }
        self.jobs
            .push(Box::new(move || Done(Outcome::Pointed(task.run()))));
    }

    /// The lines of the third file. It is written after the segments that it speaks of have their names.
    fn cleaned_points(&self) -> Vec<(Arc<str>, i32, i64)> {
        let line = |(id, slot): (&PartitionId, &Slot)| {
            let cleaned = match &slot.state {
                State::Ready(log) => log.cleaned?,
                _ => {
                    let key = (slot.topic.to_string(), id.partition);
                    *self.points.cleaned.get(&key)?
                }
            };
            Some((Arc::clone(&slot.topic), id.partition, cleaned))
        };
        self.slots.iter().filter_map(line).collect()
    }

    pub(super) fn pointed(&mut self, result: io::Result<()>, now: Now) -> io::Result<()> {
        self.points.running = false;
        let sent_bytes = mem::take(&mut self.points.tails.sent_bytes);
        if let Err(failure) = result {
            if self.closing || !may_be_tried_again(&failure) {
                return Err(failure);
            }
            self.points.tails.settled_bytes += sent_bytes;
            self.points.cleaned_dirty = true;
            let left_out = mem::take(&mut self.points.left_out);
            self.points.gone.extend(left_out);
            self.points_changed(now);
            return Ok(());
        }
        self.points.left_out.clear();
        for (id, point) in mem::take(&mut self.points.sent) {
            if let Ok(log) = self.log_mut(id) {
                log.checkpoints.durable_point = point;
                self.remove_unserved(id);
            }
        }
        if self.points.dirty && self.closing {
            self.write_points(now);
        }
        Ok(())
    }

    /// A partition has been loaded.
    pub(super) fn after_load(&mut self, id: PartitionId, now: Now) {
        let Ok(log) = self.log(id) else {
            return;
        };
        let (tail_bytes, has_producers) = (log.checkpoints.tail_bytes, !log.producers.is_empty());
        let left_ms = log.left_ms();
        self.points.tails.open_bytes += tail_bytes;
        left_ms.into_iter().for_each(|ms| self.retention.loaded(ms));
        if has_producers && self.rounds.expiry.is_none() {
            self.rounds.expiry = Some(self.next_expiry(now));
        }
        self.remove_unserved(id);
        if self.closing {
            self.checkpoint_if_needed(id);
        }
    }

    /// Begins a clean stop: nothing must be appended any more. Rounds and jobs go on until `closed`.
    pub fn begin_close(&mut self, now: Now) {
        self.closing = true;
        self.close_cleaner();
        let ids: Vec<PartitionId> = self
            .logs()
            .filter(|log| needs_checkpoint(log))
            .map(|log| log.id)
            .collect();
        for id in ids {
            self.checkpoint(id);
        }
        // Also where nothing has changed: the file's time tells the next start when this process ended.
        self.points_changed(now);
    }

    /// Whether everything that a clean start needs is on disk.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closing
            && self.loading == 0
            && self.jobs.is_empty()
            && self.moving.is_empty()
            && self.cleaner.is_idle()
            && !self.needs_round()
            && !self.points.dirty
            && !self.points.running
            && self.logs().all(|log| {
                !log.checkpoints.running && log.removals_running == 0 && log.flight.is_none()
            })
    }
}

/// Without space for it a checkpoint may come later; a sync that found none is final like any other.
fn may_be_tried_again(error: &io::Error) -> bool {
    is_full(error) && !is_sync_failure(error)
}

/// Whether a start would have something to read, or the directory lacks something.
fn needs_checkpoint(log: &Log) -> bool {
    let checkpoints = &log.checkpoints;
    let is_empty = log.size_bytes() == 0;
    let lacks_snapshot = checkpoints.snapshots.last() != Some(&log.log_end());
    checkpoints.recovery_point < log.log_end()
        || checkpoints.rolled
        || checkpoints.epochs_dirty
        || (lacks_snapshot && !is_empty)
        || log.segments.iter().any(Segment::has_unstored)
}

/// Everything that a checkpoint writes, owned.
struct Checkpoint {
    disk: Arc<dyn Disk>,
    id: PartitionId,
    dir: PathBuf,
    /// Nothing has made the directory durable yet.
    is_new: bool,
    end: i64,
    /// Files that may be dirty, opened in the job where they are not open.
    logs: Vec<(Option<FileRef>, PathBuf)>,
    indexes: Vec<(i64, Unstored)>,
    aborts: Vec<(i64, aborted::Unstored)>,
    epochs: Option<String>,
    snapshot: Vec<u8>,
    obsolete: Vec<i64>,
    covered_bytes: u64,
}

/// What a checkpoint has done.
pub(super) struct Checkpointed {
    id: PartitionId,
    end: i64,
    /// By segment, how many index entries its files hold now.
    stored: Vec<(i64, (usize, usize))>,
    /// The same of the entries about aborted transactions.
    stored_aborts: Vec<(i64, u64)>,
    obsolete: Vec<i64>,
    /// Bytes of log that it was to cover.
    covered_bytes: u64,
    result: io::Result<()>,
}

impl Checkpoint {
    fn of(log: &mut Log, closing: bool) -> Checkpoint {
        let first = log.slot_of(log.checkpoints.recovery_point);
        let place = Place {
            id: log.id,
            dir: &log.dir,
        };
        let (mut logs, mut indexes, mut aborts) = (Vec::new(), Vec::new(), Vec::new());
        for segment in &mut log.segments[first..] {
            segment.seal_times();
            if closing {
                segment.give_back();
            }
            indexes.extend(segment.unstored().map(|entries| (segment.base(), entries)));
            aborts.extend(segment.unstored_aborts().map(|a| (segment.base(), a)));
            let file = segment.open_file();
            if file.is_some() || segment.is_dirty() {
                logs.push((file, segment.path(place, Kind::Log)));
            }
        }
        let bases: Vec<i64> = log.segments.iter().map(Segment::base).collect();
        let durable = log.checkpoints.durable_point;
        let is_obsolete = |offset: &i64| *offset < durable && bases.binary_search(offset).is_err();
        let snapshots = log.checkpoints.snapshots.iter().copied();
        Checkpoint {
            disk: Arc::clone(&log.disk),
            id: log.id,
            dir: log.dir.clone(),
            is_new: log.home == Home::New,
            end: log.log_end(),
            logs,
            indexes,
            aborts,
            epochs: (log.checkpoints.epochs_dirty)
                .then(|| checkpoint::encode_epochs(log.epochs.lines())),
            snapshot: log.producers.encode(),
            obsolete: snapshots.filter(is_obsolete).collect(),
            covered_bytes: log.checkpoints.tail_bytes,
        }
    }

    fn run(self) -> Checkpointed {
        let result = self.write();
        let stored = self
            .indexes
            .iter()
            .map(|(base, entries)| (*base, entries.stored));
        let stored_aborts = self
            .aborts
            .iter()
            .map(|(base, entries)| (*base, entries.stored));
        Checkpointed {
            id: self.id,
            end: self.end,
            stored: stored.collect(),
            stored_aborts: stored_aborts.collect(),
            obsolete: self.obsolete,
            covered_bytes: self.covered_bytes,
            result,
        }
    }

    fn write(&self) -> io::Result<()> {
        if self.is_new {
            let metadata = self.dir.join(names::METADATA);
            self.disk.open(&metadata, Mode::Write)?.sync()?;
            // A snapshot says that the names before it are there.
            self.disk.sync_dir(&self.dir)?;
            self.disk.sync_dir(self.dir.parent().unwrap_or(&self.dir))?;
        }
        for (file, path) in &self.logs {
            let synced = match file {
                Some(file) => file.sync(),
                None => (self.disk.open(path, Mode::Write)).and_then(|file| file.sync()),
            };
            synced?;
        }
        for (base, entries) in &self.indexes {
            let ((offsets_at, offsets), (times_at, times)) = (&entries.offsets, &entries.times);
            self.write_entries(*base, Kind::Index, *offsets_at, offsets)?;
            self.write_entries(*base, Kind::TimeIndex, *times_at, times)?;
        }
        for (base, entries) in &self.aborts {
            self.write_entries(*base, Kind::TxnIndex, entries.position, &entries.bytes)?;
        }
        if let Some(text) = &self.epochs {
            let path = self.dir.join(names::EPOCHS);
            disk::replace(&*self.disk, &path, text.as_bytes())?;
        }
        let path = self.dir.join(names::file(self.end, Kind::Snapshot));
        disk::replace(&*self.disk, &path, &self.snapshot)?;
        for offset in &self.obsolete {
            // What is left here is found again, and left out, at the next start.
            let _ = self
                .disk
                .remove_file(&self.dir.join(names::file(*offset, Kind::Snapshot)));
        }
        Ok(())
    }

    fn write_entries(&self, base: i64, kind: Kind, at: u64, entries: &[u8]) -> io::Result<()> {
        let path = self.dir.join(names::file(base, kind));
        let file = self.disk.open(&path, Mode::Create)?;
        file.write_at(at, &[entries])?;
        file.sync()
    }
}

/// The files of recovery points and, where that has changed, of what was compacted.
struct WritePoints {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    recovery: Vec<(Arc<str>, i32, i64)>,
    cleaned: Option<Vec<(Arc<str>, i32, i64)>>,
    /// The time that the first file is to have instead of that of its writing.
    time_ms: Option<i64>,
}

impl WritePoints {
    fn run(self) -> io::Result<()> {
        let cleaned = self.cleaned.iter();
        let cleaned = cleaned.map(|lines| (names::CLEANER_OFFSETS, lines));
        for (name, lines) in [(names::RECOVERY_POINTS, &self.recovery)]
            .into_iter()
            .chain(cleaned)
        {
            let lines = lines
                .iter()
                .map(|(topic, n, offset)| (&**topic, *n, *offset));
            let text = checkpoint::encode_offsets(lines);
            disk::replace(&*self.disk, &self.root.join(name), text.as_bytes())?;
        }
        if let Some(ms) = self.time_ms {
            let path = self.root.join(names::RECOVERY_POINTS);
            self.disk.open(&path, Mode::Write)?.set_modified(ms)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_too_long_until_enough_of_them_is_on_its_way() {
        let mut tails = Tails {
            open_bytes: MAX_TAILS_BYTES,
            ..Tails::default()
        };
        assert!(!tails.are_too_long(), "just the limit");
        tails.settled_bytes = 1;
        assert!(tails.are_too_long(), "the file does not know of that byte");
        tails.open_bytes = RELIEVED_TAILS_BYTES;
        tails.covered_bytes = MAX_TAILS_BYTES - RELIEVED_TAILS_BYTES;
        assert!(!tails.are_too_long(), "checkpoints are on their way");
    }
}
