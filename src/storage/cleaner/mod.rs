//! Compaction: of every key the last record stays (`cleanup.policy=compact`; Kafka's LogCleaner).
//!
//! ```text
//! loop                                         work lane, in slices of a few megabytes
//! sweep: which logs may be due       (plan)
//!   the dirtiest first  ------------------->   look: what exactly is dirty            (plan)
//!                                              map: the last offset of every key      (offset_map)
//!                                              rewrite a group of closed segments     (rewrite, transactions)
//!                                              write and sync .cleaned, decide .swap  (target, swap)
//!   serve the new segment  <----------------
//!     (by its open files)   --------------->   old ones .deleted, new ones named      (swap)
//!   it may be closed now   <----------------
//!     file.delete.delay.ms  --------------->   unlink the old ones                    (removal)
//!   cleaner-offset-checkpoint, when all groups have their names
//! ```
//!
//! The order of durability is drawn in `swap`. What holds it together:
//! * Inputs are closed segments behind which the recovery point on disk lies, and before the last stable offset; nobody
//!   writes them any more. A pass owns their names and lengths and nothing else of the log.
//! * A result is taken when the log still has just the segments that it was made of, else it is undone: the log was
//!   deleted or its start was raised meanwhile. The lane runs jobs in their order, so names that one job has given are
//!   there for the next.
//! * Until it has its names, a new segment is *held*: its files stay open and its indexes in memory.
//! * Readers keep the files and maps of old segments until they are done with them.
//! * The checkpoint follows the names: one that a power cut took back makes the next pass do work again.
//!
//! One pass runs at a time, `log.cleaner.io.max.bytes.per.second` spaces its slices, and a log of which something
//! cannot be read or written is left alone until the next start. Age (tombstones, lags) counts only while the clock is
//! believed for it, as in `retention`: when in doubt, records stay.

mod entries;
mod hash;
mod offset_map;
mod pass;
mod plan;
mod rewrite;
mod swap;
mod target;
mod transactions;

use super::log::Log;
use super::segment::Segment;
use super::{Done, Outcome, PartitionId, State, Storage};
use crate::clock::{Mono, Now};
use crate::config::CleanerConfig;
use crate::disk::{is_full, is_sync_failure};
use offset_map::Size;
use pass::{Pass, Source, Step, Task};
use plan::{Bounds, Facts, Lags};
use rewrite::Rules;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;

pub(super) use rewrite::LastBatch;
pub(super) use swap::finish;
pub(super) use target::Replacement;

/// Why a pass ends early.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The disk failed.
    Io(io::Error),
    /// What is there cannot be understood; a sentence.
    Damaged(String),
    /// A segment is not there any more: the log has changed.
    Gone,
    /// There is not enough space for it now.
    NoSpace,
}

impl Trouble {
    fn of(error: io::Error) -> Trouble {
        match error.kind() {
            ErrorKind::NotFound => Trouble::Gone,
            _ if is_full(&error) && !is_sync_failure(&error) => Trouble::NoSpace,
            _ => Trouble::Io(error),
        }
    }
}

/// What a job of the cleaner brings back.
pub(super) enum Job {
    /// A slice of a pass.
    Sliced(Box<Pass>),
    /// The segment at that offset has its names, and those of the segments that it was made of are given up.
    Settled(PartitionId, i64, Vec<i64>, io::Result<()>),
    /// What was written of a segment is gone.
    Undone(PartitionId, io::Result<()>),
}

/// What the loop knows of compaction.
#[derive(Default)]
pub(super) struct Cleaner {
    config: Option<CleanerConfig>,
    secret: u64,
    /// When logs are looked at again.
    sweep_at: Option<Mono>,
    /// Logs that may be due, the dirtiest last.
    queue: Vec<PartitionId>,
    /// The log that is at hand, and how many jobs are on their way for it.
    running: Option<(PartitionId, usize)>,
    /// Its pass, and when its next slice may run.
    parked: Option<(Mono, Box<Pass>)>,
    /// Left alone until the next start.
    given_up: BTreeSet<PartitionId>,
}

impl Cleaner {
    /// When [`Storage::tick`] is wanted for it.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let parked = self.parked.as_ref().map(|(at, _)| *at);
        let sweep = match self.queue.is_empty() {
            true => self.sweep_at,
            false => Some(Mono(0)),
        };
        let sweep = sweep.filter(|_| self.running.is_none());
        [parked, sweep].into_iter().flatten().min()
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// A log is not served any more. Answers how many jobs still work in its directory.
    pub(super) fn leave(&mut self, id: PartitionId) -> usize {
        self.given_up.remove(&id);
        self.queue.retain(|queued| *queued != id);
        let Some((_, jobs)) = self.running.filter(|(running, _)| *running == id) else {
            return 0;
        };
        self.parked = None;
        if jobs == 0 {
            self.running = None;
        }
        jobs
    }

    /// A job of the log at hand has ended. Answers whether it was the last one.
    fn job_ended(&mut self) -> bool {
        let Some((_, jobs)) = &mut self.running else {
            return false;
        };
        *jobs -= 1;
        *jobs == 0
    }
}

impl Storage {
    /// Begins to compact logs. `secret` is nobody else's to know.
    pub fn start_cleaner(&mut self, config: CleanerConfig, secret: u64, now: Now) {
        self.set_cleaner(config);
        self.cleaner.secret = secret;
        self.cleaner.sweep_at = config.enable.then(|| now.mono.plus_ms(config.backoff_ms));
    }

    /// How logs are compacted from now on, if they are.
    pub fn set_cleaner(&mut self, config: CleanerConfig) {
        self.cleaner.config = Some(config);
    }

    /// Runs what is due.
    pub(super) fn tick_cleaner(&mut self, now: Now) {
        if self
            .cleaner
            .parked
            .as_ref()
            .is_some_and(|(at, _)| *at <= now.mono)
            && let Some((_, pass)) = self.cleaner.parked.take()
        {
            self.run_slice(pass);
        }
        if self.cleaner.running.is_some() {
            return;
        }
        if self.cleaner.sweep_at.is_some_and(|at| at <= now.mono) {
            self.sweep(now);
        }
        self.begin_pass(now);
    }

    /// Nothing new begins; what runs ends with its slice.
    pub(super) fn close_cleaner(&mut self) {
        self.cleaner.sweep_at = None;
        self.cleaner.queue.clear();
        if let Some((_, pass)) = self.cleaner.parked.take() {
            self.abandon(*pass);
        }
    }

    /// Lists the logs that may be due, and when to look again.
    fn sweep(&mut self, now: Now) {
        let mut found: Vec<(u64, PartitionId)> = self
            .logs()
            .filter(|log| log.config().compact && !self.cleaner.given_up.contains(&log.id()))
            .filter_map(|log| Some((log.dirty_permille()?, log.id())))
            .collect();
        found.sort_unstable();
        self.cleaner.queue = found.into_iter().map(|(_, id)| id).collect();
        let backoff_ms = self.cleaner.config.map_or(1, |c| c.backoff_ms.max(1));
        self.cleaner.sweep_at = Some(now.mono.plus_ms(backoff_ms));
    }

    /// Begins with the dirtiest log that waits.
    fn begin_pass(&mut self, now: Now) {
        let Some(config) = self.cleaner.config else {
            return;
        };
        let size = Size {
            bytes: config.dedupe_buffer_bytes,
            load: config.load_factor,
            secret: self.cleaner.secret,
        };
        while let Some(id) = self.cleaner.queue.pop() {
            let Some(State::Ready(log)) = self.slots.get(&id).map(|slot| &slot.state) else {
                continue;
            };
            if !log.config().compact {
                continue;
            }
            let limits = log.config().compaction;
            let time_for = |age_ms| self.retention.believed_ms(age_ms, now);
            let rules = log.rules(time_for(limits.delete_retention_ms));
            let task = log.task(rules, time_for(limits.min_lag_ms), size);
            self.cleaner.running = Some((id, 0));
            self.run_slice(Box::new(Pass::new(task)));
            return;
        }
    }

    fn run_slice(&mut self, mut pass: Box<Pass>) {
        self.push_job(move || {
            pass.run();
            Job::Sliced(pass)
        });
    }

    fn push_job(&mut self, job: impl FnOnce() -> Job + Send + 'static) {
        if let Some((_, jobs)) = &mut self.cleaner.running {
            *jobs += 1;
        }
        self.jobs
            .push(Box::new(move || Done(Outcome::Cleaner(job()))));
    }

    /// Takes in what a job has done.
    pub(super) fn cleaner_done(&mut self, done: Job, now: Now) -> io::Result<()> {
        let was_last = self.cleaner.job_ended();
        let id = match &done {
            Job::Sliced(pass) => pass.id(),
            Job::Settled(id, ..) | Job::Undone(id, _) => *id,
        };
        let is_there = self.log(id).is_ok();
        let result = match done {
            Job::Sliced(pass) => self.sliced(pass, is_there, now),
            Job::Settled(_, base, old, result) => self.settled(id, (base, &old), result, now),
            Job::Undone(_, result) => self.give_up_if_failed(id, result),
        };
        if !is_there {
            self.job_ended(id, now);
        }
        let waits =
            self.cleaner.parked.is_some() || self.cleaner.running.is_some_and(|(_, jobs)| jobs > 0);
        if was_last && !waits {
            self.cleaner.running = None;
        }
        result
    }

    fn sliced(&mut self, mut pass: Box<Pass>, is_there: bool, now: Now) -> io::Result<()> {
        if !is_there {
            return match pass.step {
                Step::Failed(Trouble::Io(error)) if is_sync_failure(&error) => Err(error),
                _ => Ok(()),
            };
        }
        let id = pass.id();
        match std::mem::replace(&mut pass.step, Step::More) {
            Step::More => self.go_on(pass, now),
            Step::Swap(new) => {
                if self.swap(id, *new) {
                    self.go_on(pass, now);
                }
            }
            Step::Nothing => {}
            Step::Done(until) => self.pass_done(&pass, until, now),
            Step::Failed(trouble) => return self.pass_failed(*pass, trouble),
        }
        Ok(())
    }

    /// The next slice runs when the limit of input and output allows it, unless the log is not to be compacted any
    /// more.
    fn go_on(&mut self, pass: Box<Pass>, now: Now) {
        let is_wanted = |log: &Log| log.config().compact;
        if self.closing || !self.log(pass.id()).is_ok_and(is_wanted) {
            return self.abandon(*pass);
        }
        let rate = self
            .cleaner
            .config
            .map_or(f64::MAX, |c| c.io_bytes_per_second);
        let pause_ms = (pass.io_bytes as f64 * 1000.0 / rate.max(1.0)) as i64;
        if pause_ms == 0 {
            return self.run_slice(pass);
        }
        self.cleaner.parked = Some((now.mono.plus_ms(pause_ms), pass));
    }

    /// Serves a new segment in the place of old ones, and has it named. `false` if the log has others by now.
    fn swap(&mut self, id: PartitionId, new: Replacement) -> bool {
        let (base, old) = (new.base, new.old.clone());
        let Ok(log) = self.log_mut(id) else {
            return false;
        };
        let bytes = old.iter().map(|&base| (base, log.bytes_of(base)));
        let leaving: Vec<(i64, u64)> = bytes.collect();
        let (dir, is_taken) = (log.dir.clone(), log.replace(new));
        if is_taken {
            self.count_leaving(id, &dir, &leaving);
        }
        let disk = Arc::clone(&self.disk);
        self.push_job(move || match is_taken {
            true => {
                let result = swap::settle(&*disk, &dir, base, &old);
                Job::Settled(id, base, old, result)
            }
            false => Job::Undone(id, swap::undo(&*disk, &dir, base)),
        });
        is_taken
    }

    fn settled(
        &mut self,
        id: PartitionId,
        (base, old): (i64, &[i64]),
        result: io::Result<()>,
        now: Now,
    ) -> io::Result<()> {
        if result.is_err() {
            return self.give_up_if_failed(id, result);
        }
        if let Ok(log) = self.log_mut(id) {
            let slot = log.slot_of(base);
            if log.segments[slot].base() == base {
                log.segments[slot].release();
            }
        }
        self.unlink_later(id, old, now);
        Ok(())
    }

    fn pass_done(&mut self, pass: &Pass, until: i64, now: Now) {
        // Others may be due, or this one again if the table was full.
        self.cleaner.sweep_at = self.cleaner.sweep_at.map(|_| now.mono);
        if let Ok(log) = self.log_mut(pass.id()) {
            log.cleaned = Some(until);
            let (read, dir) = (pass.read_bytes, log.dir.display());
            log::info!("{dir}: compacted before offset {until} ({read} bytes read)");
        }
        self.points.cleaned_dirty = true;
        self.points_changed(now);
    }

    fn pass_failed(&mut self, pass: Pass, trouble: Trouble) -> io::Result<()> {
        let id = pass.id();
        self.abandon(pass);
        match trouble {
            Trouble::Io(error) => self.give_up_if_failed(id, Err(error)),
            Trouble::Damaged(why) => {
                log::warn!("{why}; that log is not compacted until the next start");
                self.cleaner.given_up.insert(id);
                Ok(())
            }
            Trouble::NoSpace => {
                log::debug!("no space to compact a log now");
                Ok(())
            }
            Trouble::Gone => Ok(()),
        }
    }

    /// Ends a pass, and takes back what it has begun.
    fn abandon(&mut self, pass: Pass) {
        let id = pass.id();
        let Some((dir, base)) = pass.unfinished() else {
            if self.cleaner.running == Some((id, 0)) {
                self.cleaner.running = None;
            }
            return;
        };
        let disk = Arc::clone(&self.disk);
        self.push_job(move || Job::Undone(id, swap::undo(&*disk, &dir, base)));
    }

    /// A failed sync ends the process; after another failure a log is left alone.
    fn give_up_if_failed(&mut self, id: PartitionId, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if is_sync_failure(&error) => Err(error),
            Err(error) if self.log(id).is_ok() => {
                log::warn!("{error}; that log is not compacted until the next start");
                self.cleaner.given_up.insert(id);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Log {
    /// How dirty it is, if a look at its segments may find it due.
    fn dirty_permille(&self) -> Option<u64> {
        let closed = self.segments.split_last()?.1;
        let facts = closed.iter().map(|segment| Facts {
            base: segment.base(),
            len: segment.len(),
            ..Facts::default()
        });
        let facts: Vec<Facts> = facts.collect();
        let lags = Lags {
            min_ms: 0,
            max_ms: i64::MAX,
            now_ms: None,
        };
        let dirty = plan::dirty(&facts, &self.bounds(), &lags);
        let ratio = plan::dirty_ratio(&facts, &dirty);
        let limits = self.config().compaction;
        let may_be_due = ratio > limits.min_dirty_ratio || limits.max_lag_ms < i64::MAX;
        (may_be_due && ratio > 0.0).then_some((ratio * 1000.0) as u64)
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            log_start: self.log_start(),
            log_end: self.log_end(),
            active: self.segments.last().map_or(0, Segment::base),
            decided: self
                .last_stable_offset()
                .min(self.checkpoints.durable_point),
            cleaned: self.cleaned,
        }
    }

    fn rules(&self, now_ms: Option<i64>) -> Rules {
        Rules {
            now_ms,
            delete_retention_ms: self.config().compaction.delete_retention_ms,
            max_unpacked_bytes: self.config().convert_max_bytes,
            last_batches: self.producers.last_batches(),
        }
    }

    fn task(&self, rules: Rules, now_ms: Option<i64>, size: Size) -> Task {
        let sources = self.segments.iter().map(|segment| Source {
            base: segment.base(),
            len: segment.len(),
            modified_ms: segment.modified_ms(),
            aborts: segment.copy_aborts(),
        });
        Task {
            disk: Arc::clone(&self.disk),
            id: self.id,
            dir: self.dir.clone(),
            config: Arc::clone(self.config()),
            sources: sources.collect(),
            bounds: self.bounds(),
            now_ms,
            rules,
            size,
        }
    }

    /// Puts a segment in the place of those that it was made of; `false` if they are not all there.
    fn replace(&mut self, new: Replacement) -> bool {
        let first = self.segments.partition_point(|s| s.base() < new.base);
        let end = first + new.old.len();
        let (Some(old), true) = (self.segments.get(first..end), end < self.segments.len()) else {
            return false;
        };
        let bytes: u64 = old.iter().map(Segment::len).sum();
        if !old.iter().map(Segment::base).eq(new.old.iter().copied()) || bytes != new.old_bytes {
            return false;
        }
        let Some(last) = old.last() else {
            return false;
        };
        let segment = Segment::replacing(new, last);
        self.segments.splice(first..end, [segment]);
        true
    }
}
