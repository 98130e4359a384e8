//! Where logs begin, and how that is kept.
//!
//! What lies before a log's start is deleted, by DeleteRecords or by retention, and must never come back. So a log
//! start is moved like a high watermark, by the end of a sync round: until then the log begins where it did, for
//! everybody.
//!
//! ```text
//! wanted        the text of log-start-offset-checkpoint is written to a new file
//! in a round    the records before the start are synced, and so is that file; then it takes the checkpoint's name,
//!               then the journal is written
//! round is done the log begins later: DeleteRecords is answered, waiting fetches look again
//! then          segments below the start are renamed, and unlinked later (`removal`)
//! ```
//!
//! A start on disk is never beyond the records on disk, and no segment leaves before the start that allows it is on
//! disk. When the disk has no room for the text nothing has changed, and who asked is told so.
//!
//! The checkpoint is in Kafka's format and knows topics by their names. A line of a deleted topic must not hide the
//! records of its namesake, so the round that makes a partition durable whose name has a line brings a text without
//! it. It must stand while the deletion may still be taken back, so there is no namesake before that is durable.

use super::checkpoint::{self, Offsets};
use super::{PartitionId, Slot, State, Storage, names};
use crate::disk::lanes::Round;
use crate::disk::{FileRef, Mode, is_full};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The checkpoint of log starts, and what is on its way there.
#[derive(Default)]
pub(super) struct Starts {
    /// As the file said at the start, for partitions that are not loaded.
    found: Offsets,
    /// Partitions, by their topics' names, with a line in the newest text.
    lined: BTreeSet<(Arc<str>, i32)>,
    /// Wanted in the round that is being gathered.
    wanted: BTreeMap<PartitionId, i64>,
    /// Wanted in the round in flight.
    flying: BTreeMap<PartitionId, i64>,
    /// The text of the round that is being gathered.
    text: Option<(FileRef, PathBuf)>,
    /// Texts since the start of the process.
    count: u64,
    /// A write has failed for good, for nobody who could be told.
    failure: Option<io::Error>,
}

impl Starts {
    /// What the file says at the start.
    pub(super) fn found(found: Offsets) -> Starts {
        let lines = found.keys();
        Starts {
            lined: lines.map(|(t, n)| (t.as_str().into(), *n)).collect(),
            found,
            ..Starts::default()
        }
    }

    /// Where the file said at the start that a partition begins.
    pub(super) fn of(&self, topic: &str, partition: i32) -> Option<i64> {
        self.found.get(&(topic.to_owned(), partition)).copied()
    }

    /// Where a partition is about to begin, if it is.
    pub(super) fn coming(&self, id: PartitionId) -> Option<i64> {
        let coming = [self.wanted.get(&id), self.flying.get(&id)];
        coming.into_iter().flatten().copied().max()
    }

    /// Whether the newest text has a line for a partition.
    pub(super) fn has_line(&self, topic: &Arc<str>, partition: i32) -> bool {
        self.lined.contains(&(Arc::clone(topic), partition))
    }

    /// Whether a round has a text to bring.
    pub(super) fn needs_round(&self) -> bool {
        self.text.is_some() || self.failure.is_some()
    }
}

impl Storage {
    /// Has logs begin later. Each offset must not exceed the log's high watermark; where the log begins there already,
    /// or later, nothing happens. Answers the round that makes all of it so; 0: it is.
    ///
    /// # Errors
    /// What the disk says; then no log will begin later.
    pub fn raise_starts(&mut self, wanted: &[(PartitionId, i64)]) -> io::Result<u64> {
        let before = self.starts.wanted.clone();
        let round = wanted
            .iter()
            .map(|&(id, offset)| self.want_start(id, offset));
        let round = round.max().unwrap_or(0);
        if self.starts.wanted != before
            && let Err(error) = self.write_starts()
        {
            self.starts.wanted = before;
            return Err(error);
        }
        Ok(round)
    }

    /// Notes that a log is to begin at `offset`. Answers the round that will say so, or 0.
    fn want_start(&mut self, id: PartitionId, offset: i64) -> u64 {
        let gathering = self.rounds.gathering;
        let Ok(log) = self.log(id) else {
            return 0;
        };
        assert!(
            offset <= log.high_watermark(),
            "what nobody could read yet is not deleted"
        );
        if offset <= log.log_start() {
            return 0;
        }
        if self.starts.flying.get(&id).is_some_and(|at| offset <= *at) {
            return gathering - 1;
        }
        let lacks_sync = log.synced() < offset;
        let wanted = self.starts.wanted.entry(id).or_insert(offset);
        *wanted = offset.max(*wanted);
        if lacks_sync {
            self.flush(id);
        }
        gathering
    }

    /// A partition is being created: a line with its name is of somebody who is gone.
    pub(super) fn drop_start(&mut self, topic: &Arc<str>, partition: i32) -> io::Result<()> {
        self.starts.found.remove(&(topic.to_string(), partition));
        match self.starts.has_line(topic, partition) {
            true => self.write_starts(),
            false => Ok(()),
        }
    }

    /// Writes the text for the round that is being gathered. One that was written for it before goes.
    fn write_starts(&mut self) -> io::Result<()> {
        let lines = self.start_lines();
        self.starts.count += 1;
        let name = format!("{}.{}.tmp", names::LOG_STARTS, self.starts.count);
        let path = self.root.join(name);
        let file = self.write_text(&path, &lines)?;
        if let Some((_, old)) = self.starts.text.replace((file, path)) {
            // One that stays is removed by the next start.
            let _ = self.disk.remove_file(&old);
        }
        let names = lines.into_iter().map(|(topic, n, _)| (topic, n));
        self.starts.lined = names.collect();
        Ok(())
    }

    fn write_text(&self, path: &Path, lines: &[(Arc<str>, i32, i64)]) -> io::Result<FileRef> {
        let lines = lines.iter().map(|(topic, n, at)| (&**topic, *n, *at));
        let text = checkpoint::encode_offsets(lines);
        let file = self.disk.open(path, Mode::Create)?;
        file.set_len(0)?;
        file.write_at(0, &[text.as_bytes()])?;
        Ok(file)
    }

    /// Every partition that does not begin at 0, those whose deletion may still be taken back too.
    fn start_lines(&self) -> Vec<(Arc<str>, i32, i64)> {
        let slots = self.slots.iter();
        let there = slots.map(|(id, slot)| (id, &slot.topic, self.start_to_be(*id, slot)));
        let leaving = self.leaving.iter();
        let leaving = leaving.filter_map(|(id, leaving)| {
            let (topic, start) = leaving.line()?;
            Some((id, topic, start))
        });
        let lines = there.chain(leaving).filter(|(.., start)| *start > 0);
        lines
            .map(|(id, topic, start)| (Arc::clone(topic), id.partition, start))
            .collect()
    }

    /// Where a partition will begin, with what is on its way.
    pub(super) fn start_to_be(&self, id: PartitionId, slot: &Slot) -> i64 {
        let starts = &self.starts;
        let start = match &slot.state {
            State::Ready(log) => log.log_start(),
            _ => starts.of(&slot.topic, id.partition).unwrap_or(0),
        };
        let coming = [starts.wanted.get(&id), starts.flying.get(&id)];
        let coming = coming.into_iter().flatten().copied();
        coming.chain([start]).max().unwrap_or(start)
    }

    /// The same for the storage itself, which tries again where there is no room.
    pub(super) fn raise_own_starts(&mut self, wanted: &[(PartitionId, i64)]) {
        match self.raise_starts(wanted) {
            Err(error) if is_full(&error) => log::debug!("old records stay: {error}"),
            Err(error) => self.starts.failure = Some(error),
            Ok(_) => {}
        }
    }

    /// Adds the newest text to a round.
    ///
    /// # Errors
    /// What a write has failed with that nobody was told of: the process must stop.
    pub(super) fn gather_starts(&mut self, round: &mut Round) -> io::Result<()> {
        if let Some(failure) = self.starts.failure.take() {
            return Err(failure);
        }
        if let Some((file, path)) = self.starts.text.take() {
            round.files.push(file);
            let target = self.root.join(names::LOG_STARTS);
            round.renames.push((path, target));
        }
        self.starts.flying = mem::take(&mut self.starts.wanted);
        Ok(())
    }

    /// The round in flight is durable: its logs begin where they were to begin.
    pub(super) fn starts_landed(&mut self) {
        for (id, offset) in mem::take(&mut self.starts.flying) {
            if let Ok(log) = self.log_mut(id) {
                log.raise_start(offset);
                self.tell_news(id);
                self.remove_unserved(id);
            }
        }
    }

    /// What the checkpoint says at the start. A process that was killed may have given it its name without the sync,
    /// and what is served from now on must not go back. Texts that no round has brought are removed.
    pub(super) fn find_starts(&self) -> io::Result<Starts> {
        let found = self.read_offsets(names::LOG_STARTS)?;
        if !found.is_empty() {
            self.disk.sync_dir(&self.root)?;
        }
        let is_text = |name: &str| {
            let rest = name.strip_prefix(names::LOG_STARTS);
            rest.is_some_and(|rest| rest.ends_with(".tmp"))
        };
        for entry in self.disk.list(&self.root)? {
            if !entry.is_dir && is_text(&entry.name) {
                self.disk.remove_file(&self.root.join(entry.name))?;
            }
        }
        Ok(Starts::found(found))
    }
}
