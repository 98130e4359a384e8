//! The start of all partitions: the directories are matched against what the journal knows.
//!
//! | directory | journal | what happens |
//! |---|---|---|
//! | there, of this topic id | known | loaded, in the work lane |
//! | renamed to `-delete` | known | renamed back: the record of the deletion was lost, the rename was not |
//! | none | known | an empty partition, or error 56 if a line of a file says that it once was there |
//! | `-delete`, or of a topic that is noted as deleted | not known | removed |
//! | there, without a record in it | not known, be its topic or not | removed at once: more partitions may be asked for again |
//! | there, with files of a partition | not known, or of another topic id | moved to quarantine/, with a warning |
//! | there, with other files | not known | left alone; moved to quarantine/ when a partition needs the name |
//!
//! A directory is made by the first append, so most of the known partitions without one have never held a record. What
//! tells the others is in `lifetime`.

use super::checkpoint::{self, Offsets};
use super::log::{Log, Parts};
use super::names;
use super::recovery::{self, Trouble};
use super::removal::Leftover;
use super::{Done, Known, Outcome, PartitionId, Slot, State, Storage};
use crate::clock::Now;
use crate::config::LogConfig;
use crate::disk;
use crate::proto::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

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
        let mut there = BTreeSet::new();
        for name in present {
            if self.clear_out(&name, &wanted, deleted, now)? {
                there.insert(name);
            }
        }
        self.points.note_strangers(&wanted);
        let mut missing = Vec::new();
        for (name, known) in wanted {
            let id = known.id;
            match (there.contains(&name), self.has_line(known)) {
                (true, _) => self.queue_load(name, known, clean, now),
                (false, false) => missing.push(known),
                (false, true) => {
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

    /// Whether a file of the data directory knows the partition, which it does when that is on the disk.
    fn has_line(&self, known: &Known) -> bool {
        let key = (known.topic_name.to_string(), known.id.partition);
        let has_start = self.starts.of(&known.topic_name, known.id.partition);
        self.points.recovery.contains_key(&key) || has_start.is_some()
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

    /// Removes or puts away a directory that the journal does not know. Answers whether it is that of a partition that
    /// it knows.
    fn clear_out(
        &mut self,
        name: &str,
        wanted: &BTreeMap<String, &Known>,
        deleted: &BTreeSet<Uuid>,
        now: Now,
    ) -> io::Result<bool> {
        let dir = self.root.join(name);
        if names::is_deleted_dir(name) {
            self.removals.insert((now.mono, Leftover::Directory(dir)));
            return Ok(false);
        }
        let Some((topic, partition)) = names::parse_dir(name) else {
            return Ok(false);
        };
        let id = checkpoint::topic_of(&*self.disk, &dir);
        match (id, wanted.get(name)) {
            (Some(id), Some(known)) if known.id.topic == id => return Ok(true),
            (None, None) if !self.is_a_partition(&dir)? => {
                self.strangers.insert(name.to_owned());
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
            }
            _ if self.holds_nothing(&dir)? => {
                log::info!("{name}: nothing in it was ever acknowledged; removed");
                self.rounds.dirs.insert(self.root.clone());
                disk::remove_tree(&*self.disk, &dir)?;
            }
            _ => self.quarantine(name)?,
        }
        Ok(false)
    }

    /// What is left where the first append to a partition was cut off.
    fn holds_nothing(&self, dir: &Path) -> io::Result<bool> {
        let mut entries = self.disk.list(dir)?.into_iter();
        Ok(entries.all(|e| !e.is_dir && (e.len == 0 || e.name == names::METADATA)))
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
    pub(super) fn quarantine(&mut self, name: &str) -> io::Result<()> {
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

    pub(super) fn rename(&mut self, name: &str, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.root.join(name), to)?;
        self.rounds.dirs.insert(self.root.clone());
        Ok(())
    }

    pub(super) fn insert(
        &mut self,
        id: PartitionId,
        topic: &Arc<str>,
        config: &Arc<LogConfig>,
        state: State,
    ) {
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
            has_line: self.has_line(known),
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
}
