//! Where logs begin, and how that is kept.
//!
//! What lies before a log's start is deleted, by DeleteRecords or by retention, and must never come back. So a log
//! start is moved like a high watermark, by the end of a sync round: until then the log begins where it did, for
//! everybody.
//!
//! ```text
//! wanted        the text of log-start-offset-checkpoint is written to a spare file
//! in a round    the records before the start are synced, and so is that file; then it takes the checkpoint's name,
//!               then the journal is written
//! round is done the log begins later: DeleteRecords is answered, waiting fetches look again
//! then          segments below the start are renamed, and unlinked later (`removal`)
//! ```
//!
//! A start on disk is never beyond the records on disk, and no segment leaves before the start that allows it is on
//! disk.
//!
//! **A full disk** must not keep records from being deleted. So a text goes into a *spare*, a file that has the blocks
//! for a line of every partition. What the checkpoint was before is a spare again. Four are enough: one is in the round
//! in flight, one is for the round that is being gathered, and stands while another text for that is written to a
//! third; and the first round of a new data directory takes one for good.
//!
//! ```text
//! log-start-offset-checkpoint        -> .old          in the round, when the text is synced
//! log-start-offset-checkpoint.1      -> its name      (or .2, .3, .4)
//! log-start-offset-checkpoint.old    -> .1            after the round
//! ```
//!
//! Where a stop leaves no checkpoint but an `.old` one, the round was not over, and that is what holds. A disk that was
//! full before it had spares may have no room for a text: then nothing has changed, and who asked is told so.
//!
//! The checkpoint is in Kafka's format and knows topics by their names. A line of a deleted topic must not hide the
//! records of its namesake, so the round that makes a partition durable whose name has a line brings a text without
//! it. It must stand while the deletion may still be taken back, so there is no namesake before that is durable.

use super::checkpoint::{self, Offsets};
use super::{Log, PartitionId, Slot, State, Storage, names};
use crate::disk::lanes::Round;
use crate::disk::{File, FileRef, Mode, is_full};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

/// The version and the count of lines.
const TEXT_HEAD_BYTES: u64 = 32;
const SPARES: usize = names::SPARE_LOG_STARTS.len();
/// Spares grow by this.
const SPARE_STEP_BYTES: u64 = 16 << 10;

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
    /// The text of the round that is being gathered, and which spare has it.
    text: Option<(FileRef, usize)>,
    /// The spare of the round in flight.
    flying_spare: Option<usize>,
    /// The blocks that each spare is known to have.
    spares: [u64; SPARES],
    /// What a text with a line of every partition takes at most.
    lines_bytes: u64,
    /// The file is there.
    is_there: bool,
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

    /// A partition of this topic may have a line from now on.
    pub(super) fn may_have_line(&mut self, topic: &str) {
        self.lines_bytes += line_bytes(topic);
    }

    /// A partition of this topic has none any more.
    pub(super) fn has_lost_line(&mut self, topic: &str) {
        self.lines_bytes -= line_bytes(topic);
    }

    /// What a spare must have blocks for.
    fn wanted_bytes(&self) -> u64 {
        (TEXT_HEAD_BYTES + self.lines_bytes).next_multiple_of(SPARE_STEP_BYTES)
    }

    /// The spares that no round is about to bring.
    fn idle(&self) -> impl Iterator<Item = usize> + use<> {
        let gathering = self.text.as_ref().map(|(_, spare)| *spare);
        let busy = [gathering, self.flying_spare];
        (0..SPARES).filter(move |spare| !busy.contains(&Some(*spare)))
    }

    /// Whether a round has a text to bring.
    pub(super) fn needs_round(&self) -> bool {
        self.text.is_some() || self.failure.is_some()
    }
}

impl Storage {
    /// Has logs begin later. Each offset must not exceed the log's high watermark; where the log begins there already,
    /// or later, nothing happens. The log of the broker tells `why`. Answers the round that makes all of it so; 0: it
    /// is.
    ///
    /// # Errors
    /// What the disk says; then no log will begin later.
    pub fn raise_starts(&mut self, wanted: &[(PartitionId, i64)], why: &str) -> io::Result<u64> {
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
        for (id, start) in &self.starts.wanted {
            if before.get(id) != Some(start) {
                let (topic, partition) = (self.topic_name(*id), id.partition);
                log::info!("{topic}-{partition}: records before offset {start} go: {why}");
            }
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

    /// Writes the text for the round that is being gathered. One that was written for it before stands until then.
    fn write_starts(&mut self) -> io::Result<()> {
        let lines = self.start_lines();
        let idle = self.starts.idle();
        let best = idle.max_by_key(|spare| self.starts.spares[*spare]);
        let spare = best.expect("at most two of them are in rounds");
        let file = self.write_text(spare, &lines)?;
        self.starts.text = Some((file, spare));
        let names = lines.into_iter().map(|(topic, n, _)| (topic, n));
        self.starts.lined = names.collect();
        Ok(())
    }

    fn write_text(&mut self, spare: usize, lines: &[(Arc<str>, i32, i64)]) -> io::Result<FileRef> {
        let lines = lines.iter().map(|(topic, n, at)| (&**topic, *n, *at));
        let text = checkpoint::encode_offsets(lines);
        let file = self.disk.open(&self.spare_path(spare), Mode::Create)?;
        file.write_at(0, &[text.as_bytes()])?;
        if file.len()? > text.len() as u64 {
            // What was kept behind the text is given back by that, and taken again.
            file.set_len(text.len() as u64)?;
            self.starts.spares[spare] = 0;
            self.keep_blocks(spare, &*file);
        }
        Ok(file)
    }

    fn spare_path(&self, spare: usize) -> PathBuf {
        self.root.join(names::SPARE_LOG_STARTS[spare])
    }

    /// Sees to it that the spares have their blocks, as far as the disk has them.
    pub(super) fn keep_spares(&mut self) {
        for spare in self.starts.idle() {
            if self.starts.spares[spare] < self.starts.wanted_bytes() {
                match self.disk.open(&self.spare_path(spare), Mode::Create) {
                    Ok(file) => self.keep_blocks(spare, &*file),
                    Err(error) => log::debug!("no file is kept for log starts: {error}"),
                }
            }
        }
    }

    fn keep_blocks(&mut self, spare: usize, file: &dyn File) {
        let wanted_bytes = self.starts.wanted_bytes();
        match file.reserve(0, wanted_bytes) {
            Ok(()) => self.starts.spares[spare] = wanted_bytes,
            Err(error) => log::debug!("no room is kept for log starts: {error}"),
        }
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

    /// Where a log will begin, with what is on its way.
    #[must_use]
    pub fn coming_start(&self, log: &Log) -> i64 {
        self.starts
            .coming(log.id())
            .unwrap_or(0)
            .max(log.log_start())
    }

    /// Where a partition will begin, with what is on its way.
    pub(super) fn start_to_be(&self, id: PartitionId, slot: &Slot) -> i64 {
        match &slot.state {
            State::Ready(log) => self.coming_start(log),
            _ => self.starts.of(&slot.topic, id.partition).unwrap_or(0),
        }
    }

    /// The same for the storage itself, which tries again where there is no room. Answers whether it is done.
    pub(super) fn raise_own_starts(&mut self, wanted: &[(PartitionId, i64)], why: &str) -> bool {
        match self.raise_starts(wanted, why) {
            Err(error) if is_full(&error) => log::debug!("old records stay: {error}"),
            Err(error) => self.starts.failure = Some(error),
            Ok(_) => return true,
        }
        false
    }

    /// Adds the newest text to a round.
    ///
    /// # Errors
    /// What a write has failed with that nobody was told of: the process must stop.
    pub(super) fn gather_starts(&mut self, round: &mut Round) -> io::Result<()> {
        if let Some(failure) = self.starts.failure.take() {
            return Err(failure);
        }
        if let Some((file, spare)) = self.starts.text.take() {
            round.files.push(file);
            let target = self.root.join(names::LOG_STARTS);
            if self.starts.is_there {
                let old = self.root.join(names::OLD_LOG_STARTS);
                round.renames.push((target.clone(), old));
            }
            round.renames.push((self.spare_path(spare), target));
            self.starts.flying_spare = Some(spare);
        }
        self.starts.flying = mem::take(&mut self.starts.wanted);
        Ok(())
    }

    /// The round in flight is durable: its logs begin where they were to begin.
    pub(super) fn starts_landed(&mut self) {
        if let Some(spare) = self.starts.flying_spare.take() {
            self.take_back(spare);
        }
        for (id, offset) in mem::take(&mut self.starts.flying) {
            if let Ok(log) = self.log_mut(id) {
                log.raise_start(offset);
                self.tell_news(id);
                self.remove_unserved(id);
            }
        }
    }

    /// What the checkpoint was before the round is a spare again. Where that fails another is made.
    fn take_back(&mut self, spare: usize) {
        if mem::replace(&mut self.starts.is_there, true) {
            let old = self.root.join(names::OLD_LOG_STARTS);
            if let Err(error) = self.disk.rename(&old, &self.spare_path(spare)) {
                log::debug!("{error}");
            }
        }
        self.starts.spares[spare] = 0;
        self.keep_spares();
    }

    /// What the checkpoint says at the start. A process that was killed may have given it its name without the sync,
    /// and what is served from now on must not go back.
    pub(super) fn find_starts(&self) -> io::Result<Starts> {
        let entries = self.disk.list(&self.root)?.into_iter();
        let files: BTreeSet<String> = entries.filter(|e| !e.is_dir).map(|e| e.name).collect();
        let (path, old) = (
            self.root.join(names::LOG_STARTS),
            self.root.join(names::OLD_LOG_STARTS),
        );
        let is_there = files.contains(names::LOG_STARTS);
        match files.contains(names::OLD_LOG_STARTS) {
            true if is_there => self.disk.remove_file(&old)?,
            true => self.disk.rename(&old, &path)?,
            false => {}
        }
        // Nothing else knows what clients have deleted: it must not come back because nobody can read this.
        let found = self.parse_offsets(names::LOG_STARTS)?.map_err(|why| {
            let why = format!("{}: {why}", self.root.join(names::LOG_STARTS).display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        })?;
        if !found.is_empty() {
            self.disk.sync_dir(&self.root)?;
        }
        Ok(Starts {
            is_there: is_there || files.contains(names::OLD_LOG_STARTS),
            ..Starts::found(found)
        })
    }
}

/// What the line of a partition takes at most: two numbers, two spaces and an end.
fn line_bytes(topic: &str) -> u64 {
    const NUMBERS_BYTES: u64 = 10 + 19 + 3;
    topic.len() as u64 + NUMBERS_BYTES
}
