//! Partitions come and go: the start, creation and deletion.
//!
//! At the start the directories are matched against what the journal knows:
//!
//! | directory | journal | what happens |
//! |---|---|---|
//! | there, of this topic id | known | loaded, in the work lane |
//! | renamed to `-delete` | known | renamed back: the record of the deletion was lost, the rename was not |
//! | gone | known | created, or error 56 if a checkpoint says that it once was there |
//! | `-delete`, or of a topic that is noted as deleted | not known | removed |
//! | there, without a record | not known, be its topic or not | removed at once: more partitions may be asked for again |
//! | there, with files of a partition | not known, or of another topic id | moved to quarantine/, with a warning |
//! | there, with other files | not known | left alone; moved to quarantine/ when a partition needs the name |
//!
//! A creation makes the directory, its first segment and `partition.metadata`, all in the round that holds
//! the record too, and before it. A deletion stops the partition at once; when its record is durable
//! the directory is renamed, and after `file.delete.delay.ms` its files go (`removal`).

use super::checkpoint::{self, Offsets};
use super::epochs::Epochs;
use super::log::{Log, Parts};
use super::names::{self, Kind};
use super::producer_state::Producers;
use super::recovery::{self, Trouble};
use super::removal::Leftover;
use super::segment::Segment;
use super::{Done, Known, Outcome, PartitionId, Slot, State, Storage};
use crate::clock::Now;
use crate::config::LogConfig;
use crate::disk::{self, Mode};
use crate::proto::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

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

impl Storage {
    /// Matches the directory against what the journal knows, and queues the loading of every partition.
    /// `deleted` are the ids of topics of which the journal knows that they were deleted: their directories
    /// are removed instead of kept.
    ///
    /// # Errors
    /// When the directory cannot be read or changed.
    pub fn start(
        &mut self,
        known: Vec<Known>,
        deleted: &BTreeSet<Uuid>,
        clean: bool,
        now: Now,
    ) -> io::Result<()> {
        self.leaving.clear();
        self.left_names.clear();
        self.strangers.clear();
        self.points.recovery = self.read_offsets(names::RECOVERY_POINTS)?;
        self.points.cleaned = self.read_offsets(names::CLEANER_OFFSETS)?;
        self.starts = self.find_starts()?;
        let entries = self.disk.list(&self.root)?;
        let points = entries.iter().find(|e| e.name == names::RECOVERY_POINTS);
        let interval_ms = self.config.retention_check_interval_ms;
        let told_ms = points.map(|entry| entry.modified_ms);
        self.retention.begin(told_ms, interval_ms, now);
        let mut present: BTreeSet<String> = entries
            .into_iter()
            .filter(|e| e.is_dir)
            .map(|e| e.name)
            .collect();
        let wanted: BTreeMap<String, &Known> = known
            .iter()
            .map(|k| (names::dir(&k.topic_name, k.id.partition), k))
            .collect();
        for (name, known) in &wanted {
            self.bring_back(name, known, &mut present)?;
        }
        for name in &present {
            self.clear_out(name, &wanted, deleted, now)?;
        }
        let mut missing = Vec::new();
        for (name, known) in wanted {
            let id = known.id;
            let there = checkpoint::topic_of(&*self.disk, &self.root.join(&name)) == Some(id.topic);
            let key = (known.topic_name.to_string(), id.partition);
            match (there, self.points.recovery.get(&key)) {
                (true, _) => self.queue_load(name, known, clean, now),
                (false, None) => missing.push(known),
                (false, Some(_)) => {
                    log::error!("{name}: its directory is gone");
                    self.insert(id, &known.topic_name, &known.config, State::Damaged);
                }
            }
        }
        // A creation may write the log starts, and must know all of them.
        missing
            .into_iter()
            .try_for_each(|known| self.create(known.id, &known.topic_name, &known.config, now))?;
        self.keep_spares();
        Ok(())
    }

    /// An offset checkpoint that is not the only witness: one that cannot be understood is left out.
    fn read_offsets(&self, name: &str) -> io::Result<Offsets> {
        Ok(self.parse_offsets(name)?.unwrap_or_else(|why| {
            log::warn!("{} is left out: {why}", self.root.join(name).display());
            Offsets::new()
        }))
    }

    /// An offset checkpoint, or why it cannot be understood.
    pub(super) fn parse_offsets(&self, name: &str) -> io::Result<Result<Offsets, String>> {
        let text = checkpoint::read_text(&*self.disk, &self.root.join(name))?;
        Ok(checkpoint::decode_offsets(&text.unwrap_or_default()))
    }

    /// Takes a rename to `-delete` back when the journal does not know of the deletion. A directory that
    /// has the name meanwhile is of a topic whose creation was lost as well.
    fn bring_back(
        &mut self,
        name: &str,
        known: &Known,
        present: &mut BTreeSet<String>,
    ) -> io::Result<()> {
        let away = names::deleted_dir(&known.topic_name, known.id);
        if !present.contains(&away) {
            return Ok(());
        }
        if present.remove(name) {
            self.quarantine(name)?;
        }
        present.remove(&away);
        present.insert(name.to_owned());
        self.rename(&away, &self.root.join(name))
    }

    /// Removes or puts away a directory that the journal does not know.
    fn clear_out(
        &mut self,
        name: &str,
        wanted: &BTreeMap<String, &Known>,
        deleted: &BTreeSet<Uuid>,
        now: Now,
    ) -> io::Result<()> {
        let dir = self.root.join(name);
        if names::is_deleted_dir(name) {
            self.removals.insert((now.mono, Leftover::Directory(dir)));
            return Ok(());
        }
        let Some((topic, partition)) = names::parse_dir(name) else {
            return Ok(());
        };
        let id = checkpoint::topic_of(&*self.disk, &dir);
        match (id, wanted.get(name)) {
            (Some(id), Some(known)) if known.id.topic == id => Ok(()),
            // Its creation was cut off before anything in it was durable.
            (None, Some(_)) if self.holds_nothing(&dir)? => Ok(()),
            (None, None) if !self.is_a_partition(&dir)? => {
                self.strangers.insert(name.to_owned());
                Ok(())
            }
            (Some(id), _) if deleted.contains(&id) => {
                let away = self.root.join(names::deleted_dir(
                    topic,
                    PartitionId {
                        topic: id,
                        partition,
                    },
                ));
                log::info!("{name}: its deletion was acknowledged; removed");
                self.rename(name, &away)?;
                self.removals.insert((now.mono, Leftover::Directory(away)));
                Ok(())
            }
            (Some(_), _) if self.holds_nothing(&dir)? => {
                log::info!("{name}: its creation was never acknowledged; removed");
                self.rounds.dirs.insert(self.root.clone());
                disk::remove_tree(&*self.disk, &dir)
            }
            _ => self.quarantine(name),
        }
    }

    /// What a creation leaves whose record was lost.
    fn holds_nothing(&self, dir: &Path) -> io::Result<bool> {
        let mut entries = self.disk.list(dir)?.into_iter();
        Ok(entries.all(|entry| entry.len == 0 || entry.name == names::METADATA))
    }

    /// Whether anything in a directory has a name that only partitions have.
    fn is_a_partition(&self, dir: &Path) -> io::Result<bool> {
        let ours = |name: &str| {
            [names::METADATA, names::EPOCHS].contains(&name) || names::parse_file(name).is_some()
        };
        let mut entries = self.disk.list(dir)?.into_iter();
        Ok(entries.any(|entry| ours(&entry.name)))
    }

    /// Moves a directory of nobody's out of the way.
    fn quarantine(&mut self, name: &str) -> io::Result<()> {
        let quarantine = self.root.join(names::QUARANTINE);
        self.disk.create_dir(&quarantine)?;
        let to = disk::unused_path(&*self.disk, &quarantine, name, "")?;
        log::warn!(
            "{name} belongs to no topic that is known; moved to {}",
            to.display()
        );
        self.rename(name, &to)?;
        // What has come must be safe before what has gone, which is in the next round.
        self.disk.sync_dir(&quarantine)
    }

    fn rename(&mut self, name: &str, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.root.join(name), to)?;
        self.rounds.dirs.insert(self.root.clone());
        Ok(())
    }

    fn insert(&mut self, id: PartitionId, topic: &Arc<str>, config: &Arc<LogConfig>, state: State) {
        let slot = Slot {
            topic: Arc::clone(topic),
            config: Arc::clone(config),
            state,
        };
        if self.slots.insert(id, slot).is_none() {
            self.starts.may_have_line(topic);
        }
    }

    fn queue_load(&mut self, name: String, known: &Known, clean: bool, now: Now) {
        let key = (known.topic_name.to_string(), known.id.partition);
        let task = recovery::Task {
            disk: Arc::clone(&self.disk),
            root: self.root.clone(),
            id: known.id,
            name,
            config: Arc::clone(&known.config),
            recovery_point: self.points.recovery.get(&key).copied().unwrap_or(0),
            log_start: self
                .starts
                .of(&known.topic_name, known.id.partition)
                .unwrap_or(0),
            cleaned: self.points.cleaned.get(&key).copied(),
            clean,
            now,
        };
        self.insert(known.id, &known.topic_name, &known.config, State::Loading);
        self.loading += 1;
        self.jobs.push(Box::new(move || {
            Done(Outcome::Loaded(task.id, recovery::run(&task)))
        }));
    }

    /// Takes in what a job has done.
    ///
    /// # Errors
    /// When a write or sync failed for good: the process must stop.
    pub fn absorb(&mut self, done: Done, now: Now) -> io::Result<()> {
        match done.0 {
            Outcome::Loaded(id, result) => self.loaded(id, result, now),
            Outcome::Checkpointed(done) => self.checkpointed(done, now),
            Outcome::Pointed(result) => self.pointed(result, now),
            Outcome::Cleaner(done) => self.cleaner_done(done, now),
            Outcome::PutAway(done) => self.absorb_put_away(done, now),
            Outcome::Removed(done) => self.removed(done, now),
        }
    }

    fn loaded(
        &mut self,
        id: PartitionId,
        result: Result<Parts, Trouble>,
        now: Now,
    ) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(&id) else {
            self.job_ended(id, now);
            return match result {
                Err(Trouble::Failed(error)) => Err(error),
                _ => Ok(()),
            };
        };
        self.loading -= 1;
        let name = names::dir(&slot.topic, id.partition);
        match result {
            Ok(parts) => {
                let place = (id, self.root.join(name));
                let config = (Arc::clone(&slot.config), self.leader_epoch);
                let log = Log::new(place, Arc::clone(&self.disk), config, parts);
                slot.state = State::Ready(Box::new(log));
                self.recount(id);
                self.after_load(id, now);
            }
            Err(Trouble::Damaged(why)) => {
                log::error!("{name}: not served: {why}");
                slot.state = State::Damaged;
            }
            Err(Trouble::Failed(failure)) => return Err(failure),
        }
        self.signals.push((id, usize::MAX));
        Ok(())
    }

    /// Makes a partition: its directory, its first segment, and whose it is. All of it is in the next
    /// round.
    ///
    /// # Errors
    /// What the disk says. `undo_create` takes away what is there of it.
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
        let dir = self.root.join(&name);
        self.insert(id, topic, config, State::Damaged);
        self.drop_start(topic, id.partition)?;
        self.disk.create_dir(&dir)?;
        self.rounds.dirs.insert(self.root.clone());
        self.rounds.dirs.insert(dir.clone());
        self.disk
            .open(&dir.join(names::file(0, Kind::Log)), Mode::Create)?;
        let path = dir.join(names::METADATA);
        let metadata = self.disk.open(&path, Mode::Create)?;
        metadata.write_at(0, &[checkpoint::encode_metadata(id.topic).as_bytes()])?;
        self.rounds.files.push(metadata);
        let parts = Parts {
            segments: vec![Segment::fresh(0, now.wall_ms)],
            producers: Producers::default(),
            epochs: Epochs::default(),
            epochs_dirty: false,
            log_start: 0,
            log_end: 0,
            recovery_point: 0,
            tail_bytes: 0,
            snapshots: Vec::new(),
            cleaned: None,
        };
        let place = (id, dir);
        let config = (Arc::clone(config), self.leader_epoch);
        let log = Log::new(place, Arc::clone(&self.disk), config, parts);
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.state = State::Ready(Box::new(log));
        }
        self.keep_spares();
        Ok(())
    }

    /// Takes back a creation of this turn, of which nobody has heard: its files hold nothing and go at once. A name
    /// that ends with `-delete` would be in the way of the next attempt, which has the same topic id where a topic is
    /// given more partitions. What the disk does not let go of is found there by that attempt, or by a start.
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

    /// The deletion of a forgotten partition is durable: its files may go.
    pub fn delete_files(&mut self, id: PartitionId, now: Now) {
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.durable = true;
            self.move_if_durable(id, now);
        }
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
        self.rename(&name, &away)?;
        let at = now.mono.plus_ms(leaving.delay_ms);
        self.removals.insert((at, Leftover::Directory(away)));
        self.points_changed(now);
        Ok(())
    }
}
