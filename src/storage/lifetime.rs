//! Partitions come and go while the broker runs.
//!
//! ```text
//! created        the journal's record says so: a log in memory, and nothing on the disk
//! first append   makes the directory, the first segment and `partition.metadata`, all in the round of the records
//! deleted        it is served no more, and goes when the record is durable: the directory is renamed to `-delete`, and
//!                its files are removed after `file.delete.delay.ms` (`removal`)
//! ```
//!
//! So a creation costs its record, whatever the number of partitions, and an empty partition takes no room on the disk.
//!
//! **What a power cut leaves.** The round of the first records syncs three names before anybody is told of them: that
//! of the directory, and those of `partition.metadata` and of the segment at 0. Until then the disk may have kept any
//! of the names in the directory, and of other segments that have been begun meanwhile, without the rest. So something
//! may be missing for two reasons, and a start must tell them apart. A partition is **known to be on disk** by any of
//! these, of which each is written when those names are durable, and not before:
//!
//! * a line in the file of recovery points, even of 0 ([`Home::Kept`]);
//! * a line in the file of log starts (a round brings it when its directories are synced);
//! * a `.snapshot` (a checkpoint syncs the names first).
//!
//! | missing | known to be on disk | not known |
//! |---|---|---|
//! | the directory | damage: error 56 | an empty partition |
//! | all segments | damage: error 56 | an empty partition |
//! | the segment at 0, others are there | the log begins at its first segment | those go to quarantine/, and the log begins at 0 |
//! | `partition.metadata` | the directory goes to quarantine/; error 56 | to quarantine/ if it holds a byte; an empty partition |
//!
//! Nothing is lost by the right column: what a round has synced has all three names. What it cannot see is a file that
//! somebody takes away between an acknowledgement and the first of these lines.
//!
//! The two files know topics by their names. The creation of a namesake takes the line from the file of log starts in
//! its own round (`starts`). Until the file of recovery points has lost it, a namesake gets its directory with its
//! creation.
//!
//! A turn renames [`MOVES`] directories at most, however many partitions were deleted at once.

use super::checkpoint;
use super::epochs::Epochs;
use super::log::{Log, Parts};
use super::names::{self, Kind};
use super::producer_state::Producers;
use super::removal::Leftover;
use super::segment::Segment;
use super::{PartitionId, State, Storage};
use crate::clock::{Mono, Now};
use crate::config::LogConfig;
use crate::disk::{self, FileRef, Mode};
use std::io;
use std::sync::Arc;

/// How many directories of deleted partitions a turn renames.
pub(super) const MOVES: usize = 64;

/// A partition that is gone, while its directory is not.
pub(super) struct Leaving {
    topic: Arc<str>,
    /// Where it begins.
    start: i64,
    /// How many jobs still work in the directory.
    jobs: usize,
    /// How long the files stay then.
    delay_ms: i64,
    /// The deletion is durable: the directory may be renamed.
    durable: bool,
}

impl Leaving {
    /// Its topic and where it begins, while its deletion may still be taken back.
    pub(super) fn line(&self) -> Option<(&Arc<str>, i64)> {
        (!self.durable).then_some((&self.topic, self.start))
    }
}

/// A log's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// There is none: nothing was ever appended.
    Absent,
    /// A start has found it, and nothing in it: it may be what a crash has left, and not durable.
    Found,
    /// It was made, and no round or checkpoint has made it durable.
    New,
    /// It is there for good.
    Kept,
}

impl Parts {
    /// Those of a log that begins.
    fn empty(now_ms: i64) -> Parts {
        Parts {
            segments: vec![Segment::fresh(0, now_ms)],
            producers: Producers::default(),
            epochs: Epochs::default(),
            epochs_dirty: false,
            log_start: 0,
            log_end: 0,
            recovery_point: 0,
            tail_bytes: 0,
            snapshots: Vec::new(),
            cleaned: None,
            home: Home::Absent,
        }
    }
}

impl Log {
    /// Makes the directory if there is none that is known to be durable; one that is there is fine. The caller has the
    /// next round make it durable (`Storage::note_names`). An attempt that fails leaves nothing, for nobody would look
    /// for it when the partition is deleted.
    pub(super) fn settle_in(&mut self) -> io::Result<()> {
        if matches!(self.home, Home::Absent | Home::Found) {
            let made = self.make_files();
            if made.is_err() && self.home == Home::Absent {
                self.take_back_files();
            }
            self.metadata = Some(made?);
            self.home = Home::New;
            self.dir_dirty = true;
        }
        Ok(())
    }

    fn make_files(&self) -> io::Result<FileRef> {
        self.disk.create_dir(&self.dir)?;
        let path = self.dir.join(names::file(0, Kind::Log));
        self.disk.open(&path, Mode::Create)?;
        let metadata = self
            .disk
            .open(&self.dir.join(names::METADATA), Mode::Create)?;
        let text = checkpoint::encode_metadata(self.id.topic);
        metadata.write_at(0, &[text.as_bytes()])?;
        Ok(metadata)
    }

    fn take_back_files(&self) {
        for name in [names::METADATA.to_owned(), names::file(0, Kind::Log)] {
            let _ = self.disk.remove_file(&self.dir.join(name));
        }
        let _ = self.disk.remove_dir(&self.dir);
    }
}

impl Storage {
    /// Makes a partition, in memory alone where its name is free on the disk.
    ///
    /// # Errors
    /// What the disk says; `ResourceBusy` while files of a deleted partition of that name are in use. `undo_create`
    /// takes away what is there of it.
    pub fn create(
        &mut self,
        id: PartitionId,
        topic: &Arc<str>,
        config: &Arc<LogConfig>,
        now: Now,
    ) -> io::Result<()> {
        let name = names::dir(topic, id.partition);
        self.make_room(&name, now)?;
        if self.strangers.remove(&name) {
            self.quarantine(&name)?;
        }
        let place = (id, self.root.join(&name));
        let settings = (Arc::clone(config), self.leader_epoch);
        let parts = Parts::empty(now.wall_ms);
        let log = Log::new(place, Arc::clone(&self.disk), settings, parts);
        self.insert(id, topic, config, State::Ready(Box::new(log)));
        self.drop_start(topic, id.partition)?;
        if self.points.may_list(topic, id.partition) {
            self.log_mut(id).map_or(Ok(()), Log::settle_in)?;
            self.note_names(id);
        }
        self.keep_spares();
        Ok(())
    }

    /// Takes back a creation of this turn, of which nobody has heard. A directory that it may have made holds nothing
    /// and goes at once: under a name that ends with `-delete` it would be in the way of the next attempt, which has
    /// the same topic id where a topic is given more partitions. What the disk does not let go of is found there by
    /// that attempt, or by a start.
    pub fn undo_create(&mut self, id: PartitionId) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        self.starts.has_lost_line(&slot.topic);
        let dir = self.root.join(names::dir(&slot.topic, id.partition));
        self.rounds.dirs.remove(&dir);
        match disk::remove_tree(&*self.disk, &dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("a partition that was not created is left over: {error}");
            }
            _ => {}
        }
    }

    /// Has the next round make names durable that a log has given to files, and its own.
    pub(super) fn note_names(&mut self, id: PartitionId) {
        let Ok(log) = self.log_mut(id) else {
            return;
        };
        if !std::mem::take(&mut log.dir_dirty) {
            return;
        }
        let (dir, metadata) = (log.dir.clone(), log.metadata.take());
        if metadata.is_some() {
            self.rounds.dirs.insert(self.root.clone());
        }
        self.rounds.files.extend(metadata);
        self.rounds.dirs.insert(dir);
    }

    /// A partition of the same name that has just been deleted gives its name up, even before its deletion is durable:
    /// the start takes the rename back if that record is lost. Only one that does not begin at 0 keeps it until then.
    fn make_room(&mut self, name: &str, now: Now) -> io::Result<()> {
        let Some(&id) = self.left_names.get(name) else {
            return Ok(());
        };
        let is_busy = |leaving: &Leaving| {
            // Its line must stand until its end does, or what it has deleted would come back with it.
            let is_needed = self.starts.has_line(&leaving.topic, id.partition);
            leaving.jobs > 0 || (is_needed && !leaving.durable)
        };
        match self.leaving.get(&id).is_some_and(is_busy) {
            true => Err(io::ErrorKind::ResourceBusy.into()),
            false => self.move_away(id, now),
        }
    }

    /// Stops serving a partition. Its files stay until `delete_files`.
    pub fn forget(&mut self, id: PartitionId) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        self.starts.has_lost_line(&slot.topic);
        let start = self.start_to_be(id, &slot);
        let key = (slot.topic.to_string(), id.partition);
        let was_cleaned = self.points.cleaned.remove(&key).is_some();
        let is_cleaned = matches!(&slot.state, State::Ready(log) if log.cleaned.is_some());
        // The line goes with the topic, or a later one of its name would count as compacted.
        self.points.cleaned_dirty |= was_cleaned || is_cleaned;
        let jobs = match &slot.state {
            State::Loading => {
                self.loading -= 1;
                1
            }
            State::Ready(log) if log.home == Home::Absent => return,
            State::Ready(log) => {
                let tail_bytes = log.checkpoints.tail_bytes;
                self.points.tails.open_bytes -= tail_bytes;
                let away = self.root.join(names::deleted_dir(&slot.topic, id));
                let away = Leftover::Directory(away);
                self.budget.forgotten(&log.dir, log.counted_bytes, away);
                usize::from(log.checkpoints.running) + log.removals_running
            }
            State::Damaged => 0,
        };
        let jobs = jobs + self.cleaner.leave(id);
        let name = names::dir(&slot.topic, id.partition);
        self.left_names.insert(name, id);
        let leaving = Leaving {
            topic: slot.topic,
            start,
            jobs,
            delay_ms: slot.config.file_delete_delay_ms,
            durable: false,
        };
        self.leaving.insert(id, leaving);
    }

    /// The deletion of a forgotten partition is durable: its files go with one of the next turns.
    pub fn delete_files(&mut self, id: PartitionId) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.durable = true;
            self.moving.push_back(id);
        }
    }

    /// Renames the directories of some deleted partitions.
    pub(super) fn tick_moves(&mut self, now: Now) {
        for _ in 0..MOVES {
            let Some(id) = self.moving.pop_front() else {
                return;
            };
            self.move_if_durable(id, now);
        }
    }

    /// At once, while there are directories to be renamed.
    pub(super) fn moves_deadline(&self) -> Option<Mono> {
        (!self.moving.is_empty()).then_some(Mono(0))
    }

    /// A job of a forgotten partition has ended.
    pub(super) fn job_ended(&mut self, id: PartitionId, now: Now) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.jobs -= 1;
            self.move_if_durable(id, now);
        }
    }

    fn move_if_durable(&mut self, id: PartitionId, now: Now) {
        let ready = |leaving: &Leaving| leaving.durable && leaving.jobs == 0;
        if self.leaving.get(&id).is_some_and(ready)
            && let Err(error) = self.move_away(id, now)
        {
            log::warn!("a deleted partition is left over: {error}");
        }
    }

    /// Renames a forgotten partition's directory, and has it removed later.
    fn move_away(&mut self, id: PartitionId, now: Now) -> io::Result<()> {
        let Some(leaving) = self.leaving.remove(&id) else {
            return Ok(());
        };
        let name = names::dir(&leaving.topic, id.partition);
        self.left_names.remove(&name);
        let away = self.root.join(names::deleted_dir(&leaving.topic, id));
        // What a round was to sync under the old name is promised to nobody any more.
        self.rounds.dirs.remove(&self.root.join(&name));
        self.points.forget(leaving.topic, id.partition);
        self.points_changed(now);
        self.rename(&name, &away)?;
        let at = now.mono.plus_ms(leaving.delay_ms);
        self.removals.insert((at, Leftover::Directory(away)));
        Ok(())
    }
}
