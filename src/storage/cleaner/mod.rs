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
//! * A result takes the place of those of its segments that the log still has: the first of them may have gone by a
//!   raised log start, below which the new segment begins then, too. When all have gone, it is undone and the pass goes
//!   on; it ends with its log. The lane runs jobs in their order, so names that one job has given are there for the
//!   next.
//! * Until it has its names, a new segment is *held*: its files stay open and its indexes in memory.
//! * Readers keep the files and maps of old segments until they are done with them.
//! * The checkpoint follows the names: one that a power cut took back makes the next pass do work again.
//!
//! One pass runs at a time, and `log.cleaner.io.max.bytes.per.second` spaces its slices. A log that only a lag keeps
//! from being due is let rest until the lag is over, or an hour: an idle disk sleeps. One whose files cannot be opened
//! or written is tried again after ten minutes; one that is damaged, or whose segments could not be given their names,
//! is left alone until the next start. Age (tombstones, lags) counts only while the clock is believed for it, as in
//! `retention`: when in doubt, records stay.

mod entries;
mod hash;
mod logs;
mod offset_map;
mod pass;
mod plan;
mod rewrite;
mod swap;
mod target;
mod transactions;

use super::log::Log;
use super::{Done, Outcome, PartitionId, State, Storage};
use crate::clock::{Mono, Now};
use crate::config::LogConfig;
use crate::disk::{is_full, is_sync_failure};
use offset_map::Size;
use pass::{Pass, Step};
use plan::Bounds;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::Arc;

pub(super) use rewrite::LastBatch;
pub(super) use swap::finish;
pub(super) use target::Replacement;

/// A log is looked at again after so much time at the latest, whatever its lags are: clocks are set.
const LONGEST_REST_MS: i64 = 3_600_000;
/// After a failure that may pass.
const FAILED_REST_MS: i64 = 600_000;

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
    Sliced(Box<Pass>, Step),
    /// The segment at that offset has its names, and those of the segments that it was made of are given up.
    Settled(PartitionId, i64, Vec<i64>, io::Result<()>),
    /// What was written of a segment is gone.
    Undone(PartitionId, io::Result<()>),
}

/// What the loop knows of compaction.
#[derive(Default)]
pub(super) struct Cleaner {
    secret: u64,
    /// When logs are looked at again.
    sweep_at: Option<Mono>,
    /// Logs that may be due, the dirtiest last.
    queue: Vec<PartitionId>,
    running: Option<Running>,
    /// Logs of which a look has found that they are not due.
    resting: BTreeMap<PartitionId, Rest>,
    /// Left alone until the next start.
    given_up: BTreeSet<PartitionId>,
}

/// How a log stood when it was looked at: as long as it stands so, nothing is due before `until`.
struct Rest {
    config: Arc<LogConfig>,
    bounds: Bounds,
    until: Mono,
}

impl Rest {
    /// What a pass has seen: the log may be another by now.
    fn after(pass: &Pass, ms: i64, now: Now) -> Rest {
        let (config, bounds) = pass.seen();
        Rest {
            config: Arc::clone(config),
            bounds: bounds.settled(),
            until: now.mono.plus_ms(ms),
        }
    }

    fn holds(&self, log: &Log, now: Now) -> bool {
        now.mono < self.until
            && Arc::ptr_eq(&self.config, log.config())
            && self.bounds == log.bounds().settled()
    }
}

/// The log at hand: there is one until it has neither jobs nor a pass.
struct Running {
    id: PartitionId,
    /// How many jobs are on their way for it.
    jobs: usize,
    /// Its pass between two slices, and when the next one may run.
    parked: Option<(Mono, Box<Pass>)>,
}

impl Cleaner {
    /// When [`Storage::tick`] is wanted for it.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        match &self.running {
            Some(running) => running.parked.as_ref().map(|(at, _)| *at),
            None if self.queue.is_empty() => self.sweep_at,
            None => Some(Mono(0)),
        }
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// A log is not served any more. Answers how many jobs still work in its directory.
    pub(super) fn leave(&mut self, id: PartitionId) -> usize {
        self.given_up.remove(&id);
        self.resting.remove(&id);
        self.queue.retain(|queued| *queued != id);
        let Some(running) = self.running.as_mut().filter(|running| running.id == id) else {
            return 0;
        };
        running.parked = None;
        let jobs = running.jobs;
        self.rest();
        jobs
    }

    fn leaves_alone(&self, log: &Log, now: Now) -> bool {
        let rests = |rest: &Rest| rest.holds(log, now);
        self.given_up.contains(&log.id()) || self.resting.get(&log.id()).is_some_and(rests)
    }

    /// The pass whose next slice may run at `until` or before.
    fn take_parked(&mut self, until: Mono) -> Option<Box<Pass>> {
        let parked = &mut self.running.as_mut()?.parked;
        Some(parked.take_if(|(at, _)| *at <= until)?.1)
    }

    /// Another log may be at hand, if nothing is left to be done for this one.
    fn rest(&mut self) {
        self.running
            .take_if(|running| running.jobs == 0 && running.parked.is_none());
    }
}

impl Storage {
    /// Begins to compact logs, if they are to be. `secret` is nobody else's to know.
    pub fn start_cleaner(&mut self, secret: u64, now: Now) {
        let config = self.config.cleaner;
        self.cleaner.secret = secret;
        self.cleaner.sweep_at = config.enable.then(|| now.mono.plus_ms(config.backoff_ms));
    }

    /// Runs what is due.
    pub(super) fn tick_cleaner(&mut self, now: Now) {
        if let Some(pass) = self.cleaner.take_parked(now.mono) {
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
        if let Some(pass) = self.cleaner.take_parked(Mono::NEVER) {
            self.abandon(*pass);
        }
        self.cleaner.rest();
    }

    /// Lists the logs that may be due, and when to look again.
    fn sweep(&mut self, now: Now) {
        let mut found: Vec<(u64, PartitionId)> = self
            .logs()
            .filter(|log| log.config().compact && !self.cleaner.leaves_alone(log, now))
            .filter_map(|log| Some((log.dirty_permille()?, log.id())))
            .collect();
        found.sort_unstable();
        self.cleaner.queue = found.into_iter().map(|(_, id)| id).collect();
        let backoff_ms = self.config.cleaner.backoff_ms.max(1);
        self.cleaner.sweep_at = Some(now.mono.plus_ms(backoff_ms));
    }

    /// Begins with the dirtiest log that waits.
    fn begin_pass(&mut self, now: Now) {
        let config = self.config.cleaner;
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
            let mut task = log.task(rules, time_for(limits.min_lag_ms), size);
            task.segment_bytes = task.segment_bytes.min(self.shelf.roll_bytes);
            self.cleaner.running = Some(Running {
                id,
                jobs: 0,
                parked: None,
            });
            self.run_slice(Box::new(Pass::new(task)));
            return;
        }
    }

    fn run_slice(&mut self, mut pass: Box<Pass>) {
        self.push_job(move || {
            let step = pass.run();
            Job::Sliced(pass, step)
        });
    }

    fn push_job(&mut self, job: impl FnOnce() -> Job + Send + 'static) {
        if let Some(running) = &mut self.cleaner.running {
            running.jobs += 1;
        }
        self.jobs
            .push(Box::new(move || Done(Outcome::Cleaner(job()))));
    }

    /// Takes in what a job has done.
    pub(super) fn cleaner_done(&mut self, done: Job, now: Now) -> io::Result<()> {
        if let Some(running) = &mut self.cleaner.running {
            running.jobs -= 1;
        }
        let id = match &done {
            Job::Sliced(pass, _) => pass.id(),
            Job::Settled(id, ..) | Job::Undone(id, _) => *id,
        };
        let is_there = self.log(id).is_ok();
        let result = match done {
            Job::Sliced(pass, step) => self.sliced(pass, step, is_there, now),
            Job::Settled(_, base, old, result) => self.settled(id, (base, &old), result, now),
            Job::Undone(_, result) => self.give_up_if_failed(id, result),
        };
        if !is_there {
            self.job_ended(id, now);
        }
        self.cleaner.rest();
        result
    }

    fn sliced(&mut self, pass: Box<Pass>, step: Step, is_there: bool, now: Now) -> io::Result<()> {
        if !is_there {
            return match step {
                Step::Failed(Trouble::Io(error)) if is_sync_failure(&error) => Err(error),
                _ => Ok(()),
            };
        }
        let id = pass.id();
        match step {
            Step::More => self.go_on(pass, now),
            Step::Swap(new) => {
                if self.swap(id, *new) {
                    self.go_on(pass, now);
                }
            }
            Step::NotYet(wait_ms) => {
                let rest = Rest::after(&pass, wait_ms.min(LONGEST_REST_MS), now);
                self.cleaner.resting.insert(id, rest);
            }
            Step::Done(until) => self.pass_done(&pass, until, now),
            Step::Failed(trouble) => return self.pass_failed(*pass, trouble, now),
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
        let rate = self.config.cleaner.io_bytes_per_second;
        let pause_ms = (pass.io_bytes as f64 * 1000.0 / rate.max(1.0)) as i64;
        if pause_ms == 0 {
            return self.run_slice(pass);
        }
        if let Some(running) = &mut self.cleaner.running {
            running.parked = Some((now.mono.plus_ms(pause_ms), pass));
        }
    }

    /// Serves a new segment in the place of old ones, and has it named. `false` if the log has others by now.
    fn swap(&mut self, id: PartitionId, new: Replacement) -> bool {
        let base = new.base;
        let Ok(log) = self.log_mut(id) else {
            return false;
        };
        let (dir, replaced) = (log.dir.clone(), log.replace(new));
        let goes_on = replaced.is_some();
        let old = replaced.unwrap_or_default();
        let disk = Arc::clone(&self.disk);
        if old.is_empty() {
            self.push_job(move || Job::Undone(id, swap::undo(&*disk, &dir, base)));
            return goes_on;
        }
        self.count_leaving(id, &dir, &old);
        let old: Vec<i64> = old.into_iter().map(|(base, _)| base).collect();
        self.push_job(move || {
            let result = swap::settle(&*disk, &dir, base, &old);
            Job::Settled(id, base, old, result)
        });
        goes_on
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
        // Both the new segment and the old ones are counted until those have left.
        if self.budget.is_tight() {
            self.hurry_removals(now);
        }
        Ok(())
    }

    fn pass_done(&mut self, pass: &Pass, until: i64, now: Now) {
        let mut is_due_again = false;
        if let Ok(log) = self.log_mut(pass.id()) {
            log.cleaned = Some(until);
            is_due_again = log.dirty_permille().is_some();
            let (read, dir) = (pass.read_bytes, log.dir.display());
            log::info!("{dir}: compacted before offset {until} ({read} bytes read)");
        }
        if is_due_again && !self.closing {
            // The table was full. Those that wait come first.
            self.cleaner.queue.insert(0, pass.id());
        }
        self.points.cleaned_dirty = true;
        self.points_changed(now);
    }

    fn pass_failed(&mut self, pass: Pass, trouble: Trouble, now: Now) -> io::Result<()> {
        let id = pass.id();
        let later = Rest::after(&pass, FAILED_REST_MS, now);
        self.abandon(pass);
        match trouble {
            Trouble::Io(error) if is_sync_failure(&error) => Err(error),
            Trouble::Io(error) => {
                log::warn!("{error}; compaction of that log is tried again in ten minutes");
                self.cleaner.resting.insert(id, later);
                Ok(())
            }
            Trouble::Damaged(why) => {
                log::warn!("{why}; that log is not compacted until the next start");
                self.cleaner.given_up.insert(id);
                Ok(())
            }
            Trouble::NoSpace => {
                log::debug!("no space to compact a log now");
                self.hurry_removals(now);
                Ok(())
            }
            Trouble::Gone => Ok(()),
        }
    }

    /// Ends a pass, and takes back what it has begun.
    fn abandon(&mut self, pass: Pass) {
        let id = pass.id();
        let Some((dir, base)) = pass.unfinished() else {
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
