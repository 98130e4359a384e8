//! The loop's side of upkeep: when a job is wanted, what it is given, and what is made of its result.
//!
//! One job at a time. It is begun in `tick`, or by `make_place` for a round that waits. A merge takes the closed
//! files; where the reason is not that these are many, the current file is closed early and goes along, so that
//! the snapshot holds everything and the timer rests until something is added.
//!
//! How much is written twice is the price of how little room all of it takes. A merge rewrites the whole snapshot for
//! `Limits::bytes` of closed files, be it a hundred times as large; but those files have their blocks in both reserves,
//! too, so that they count three times, and a limit that grew with the snapshot would multiply the directory. For the
//! same reason there are not more blanks before a merge: rounds have what is left of the current file and one or two
//! more while it is under way, and wait for its end when they have filled those.

use super::entry::FILE_BYTES;
use super::upkeep::Upkeep;
use super::{Done, Job, Journal, JournalFile, Limits, Mono, Rate, Size};
use std::io;

/// Wiped files that are kept; those beyond are removed.
const BLANKS: u64 = 4;
/// How often a change may be on the disk: in a file and in two snapshots.
const COPIES: u64 = 3;
/// What was refused for want of room is tried again after this time.
const RETRY_MS: i64 = 100;
/// Log lines about snapshots.
const LINES_A_MINUTE: u32 = 6;

/// What has been begun, and what comes next.
pub(super) struct Schedule {
    now: Mono,
    task: Option<Task>,
    /// When a snapshot is due, if there is anything new.
    due: Mono,
    /// Something is to be done that no file count tells.
    pub(super) wanted: bool,
    /// Reserve is lacking. It is looked for again at that time, if anybody wants it.
    short: Option<Mono>,
    /// A round has had no place since a job was begun for that.
    pub(super) pressed: bool,
    /// No job begins any more: the mark of a clean stop is to be the last record.
    pub(super) closing: bool,
    lines: Rate,
}

/// The job that was begun and has not been taken in.
struct Task {
    /// Until it is handed to the work lane.
    job: Option<Job<Done>>,
    since: Mono,
    /// What it was given to merge.
    merging: Size,
}

impl Schedule {
    /// The first job is wanted at once.
    pub(super) fn new(limits: &Limits, now: Mono) -> Schedule {
        Schedule {
            now,
            task: None,
            due: now.plus_ms(limits.interval_ms),
            wanted: true,
            short: None,
            pressed: false,
            closing: false,
            lines: Rate::per_minute(LINES_A_MINUTE),
        }
    }

    pub(super) fn is_working(&self) -> bool {
        self.task.is_some()
    }

    pub(super) fn merging(&self) -> Size {
        let task = self.task.as_ref();
        task.map_or(Size::default(), |task| task.merging)
    }
}

/// What a job merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// The closed files, if there is no other way to a blank.
    IfFull,
    Closed,
    /// The current file, too, which is closed for that.
    Everything,
}

impl Journal {
    /// Whether room is lacking, as on a full disk: what makes the state grow should be refused now. What holds then is
    /// said at the head of `journal`.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.schedule.short.is_some()
    }

    /// Whether the state may grow by so many bytes of changes. What is withheld and all of that have to fit into the
    /// files there are, whose contents the reserved blocks have room for, or the disk has to have free bytes for them:
    /// in files, and in a snapshot and its successor. Where the answer is no, a short journal looks for room again.
    pub fn may_grow(&mut self, bytes: usize) -> bool {
        if self.is_short() {
            self.look_for_room();
            return false;
        }
        let needed = (self.withheld_bytes() + bytes) as u64;
        let has_free = || {
            let free = self.disk.free_bytes(&self.dir);
            free.is_ok_and(|free| free / COPIES >= needed)
        };
        needed <= self.spare_bytes() || has_free()
    }

    /// Something is about to be added. The timer runs from the first change; and a short journal looks for room
    /// again, because its state may have shrunk.
    pub(super) fn note_change(&mut self) {
        if self.entries() == 0 {
            self.schedule.due = self.schedule.now.plus_ms(self.limits.interval_ms);
        }
        self.look_for_room();
    }

    /// A short journal looks for room again.
    pub fn look_for_room(&mut self) {
        self.schedule.wanted |= self.is_short();
    }

    /// Begins what is due.
    pub fn tick(&mut self, now: Mono) {
        self.schedule.now = now;
        if self.may_begin()
            && let Some(merge) = self.due()
        {
            self.begin(merge);
        }
    }

    /// When `tick` is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let schedule = &self.schedule;
        // What is waited for wakes the loop.
        if schedule.is_working() || self.in_flight {
            return None;
        }
        if schedule.closing {
            return schedule.short.filter(|_| schedule.pressed);
        }
        match schedule.short {
            Some(again) => schedule.wanted.then_some(again),
            None => (self.entries() > 0).then_some(schedule.due),
        }
    }

    /// The job that was begun since the last call.
    pub fn take_job(&mut self) -> Option<Job<Done>> {
        self.schedule.task.as_mut()?.job.take()
    }

    /// Takes in what the job has done.
    ///
    /// # Errors
    /// When it failed for another reason than a full disk: the process must stop.
    pub fn absorb(&mut self, done: Done, now: Mono) -> io::Result<()> {
        let Done(upkeep) = done;
        let since = self.schedule.task.take().map_or(now, |task| task.since);
        self.closed.splice(..0, upkeep.closed);
        self.snapshot = upkeep.snapshot;
        self.reserves = upkeep.reserves;
        self.stale = upkeep.stale;
        self.blanks.extend(upkeep.blanks);
        if upkeep.merged_count > 0 {
            self.schedule.due = now.plus_ms(self.limits.interval_ms);
            self.tell(now.since_us(since), upkeep.merged_count, now);
        }
        match upkeep.failure {
            None => {
                self.schedule.short = None;
                Ok(())
            }
            Some(failure) if Upkeep::is_full(&failure) => {
                log::debug!("the journal lacks room for its next files: {failure}");
                self.schedule.short = Some(now.plus_ms(RETRY_MS));
                Ok(())
            }
            Some(failure) => Err(failure),
        }
    }

    fn tell(&mut self, elapsed_us: u64, merged_count: usize, now: Mono) {
        let Size {
            snapshot_bytes,
            snapshot_entries,
            ..
        } = self.size();
        if self.schedule.lines.admit(now).is_some() {
            log::info!(
                "snapshot of the journal entries={snapshot_entries} bytes={snapshot_bytes} ms={} files={merged_count}",
                elapsed_us / 1000
            );
        }
    }

    fn may_begin(&self) -> bool {
        let schedule = &self.schedule;
        let waits = match schedule.short {
            Some(again) => !schedule.wanted || schedule.now < again,
            None => false,
        };
        !schedule.is_working() && !schedule.closing && !waits
    }

    /// What is to be done now.
    fn due(&self) -> Option<Merge> {
        let entries = self.entries();
        let is_time = entries > 0 && self.schedule.now >= self.schedule.due;
        if !self.in_flight && (is_time || entries >= self.limits.entries) {
            return Some(Merge::Everything);
        }
        let closed_bytes: u64 = self.closed.iter().map(|file| file.len).sum();
        if closed_bytes >= self.limits.bytes {
            return Some(Merge::Closed);
        }
        let wanted = self.schedule.wanted || self.blanks.is_empty();
        wanted.then_some(Merge::IfFull)
    }

    /// Changes in files that no snapshot covers.
    fn entries(&self) -> u64 {
        let files = self.closed.iter().chain(&self.current);
        files.map(|file| file.changes).sum()
    }

    /// A round has no place. The work lane is asked for one at once, and if that did not help, now and then: what has
    /// been promised does not depend on it, and a full disk ends nothing.
    pub(super) fn press(&mut self) {
        let schedule = &mut self.schedule;
        if schedule.is_working() {
            return;
        }
        if schedule.pressed {
            let later = schedule.now.plus_ms(RETRY_MS);
            let again = *schedule.short.get_or_insert(later);
            schedule.wanted = true;
            if schedule.now < again {
                return;
            }
        }
        schedule.pressed = true;
        self.begin(Merge::Everything);
    }

    /// Begins a job. The loop keeps what it needs to go on.
    pub(super) fn begin(&mut self, merge: Merge) {
        if merge == Merge::Everything {
            self.closed
                .extend(self.current.take_if(|file| file.groups > 0));
        }
        let closed = std::mem::take(&mut self.closed);
        let files_bytes = self.size().bytes;
        let blank_limit = self.limits.bytes.div_ceil(FILE_BYTES).min(BLANKS);
        let upkeep = Upkeep {
            disk: self.disk.clone(),
            dir: self.dir.clone(),
            salt: self.salt,
            snapshot: self.snapshot.clone(),
            reserves: std::mem::take(&mut self.reserves),
            stale: std::mem::take(&mut self.stale),
            blank_count: self.blanks.len(),
            blank_limit: blank_limit as usize,
            files_bytes,
            blanks: Vec::new(),
            merged_count: 0,
            failure: None,
            is_due: merge != Merge::IfFull,
            closed,
        };
        self.schedule.wanted = false;
        self.schedule.task = Some(Task {
            since: self.schedule.now,
            merging: size_of(&upkeep.closed),
            job: Some(Box::new(move || Done(upkeep.run()))),
        });
    }

    /// A start has no lanes yet: what is lacking for the first round is done here and now.
    pub(super) fn make_first_place(&mut self) -> io::Result<()> {
        for merge in [Merge::IfFull, Merge::Everything] {
            if self.has_first_place() {
                return Ok(());
            }
            self.begin(merge);
            if let Some(job) = self.take_job() {
                self.absorb(job(), self.schedule.now)?;
            }
        }
        match self.has_first_place() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

/// What these files hold.
pub(super) fn size_of<'a>(files: impl IntoIterator<Item = &'a JournalFile>) -> Size {
    files.into_iter().fold(Size::default(), |size, file| Size {
        files: size.files + 1,
        bytes: size.bytes + file.len,
        groups: size.groups + file.groups,
        entries: size.entries + file.changes,
        ..size
    })
}
