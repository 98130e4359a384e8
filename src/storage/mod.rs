//! Partitions on disk. Knows batches, not requests.
//!
//! ```text
//! <data directory>/
//!   telemetry-3/                            a partition that was ever appended to (names, lifetime)
//!     partition.metadata                    the id of its topic     (checkpoint)
//!     leader-epoch-checkpoint               which epoch wrote which offsets (epochs)
//!     00000000000000000000.log              a segment: record batches (segment, heads)
//!     00000000000000000000.index            offset -> position         (index)
//!     00000000000000000000.timeindex        time -> offset             (index)
//!     00000000000000000000.txnindex         aborted transactions, if any ended here (aborted)
//!     00000000000000000000.log.deleted      a segment on its way out         (removal, retention)
//!     00000000000000099818.log              the active segment
//!     00000000000000120000.snapshot         the producers before that offset, and their open
//!                                           transactions                (producer_state)
//!   recovery-point-offset-checkpoint        how far each partition is on disk (checkpoint)
//!   log-start-offset-checkpoint             where each begins, if not at 0            (starts)
//!   cleaner-offset-checkpoint               how far each has been compacted           (cleaner)
//!   quarantine/                             cut tails, directories of nobody's (recovery, start)
//! ```
//!
//! All of it is in Apache Kafka's own formats, so Kafka's tools read the directory and another broker can
//! take it along.
//!
//! The offsets of a log, and who moves them:
//!
//! | offset | moved by |
//! |---|---|
//! | log start | the end of a sync round that DeleteRecords or retention have given one, forward only (starts) |
//! | last stable offset | follows the high watermark; a transaction holds it back at its first offset until the high watermark has passed its marker (transactions) |
//! | high watermark | the end of a sync round when acknowledgements are durable, an append when flush is relaxed |
//! | synced | the end of a sync round |
//! | log end | an append, after its write has succeeded |
//!
//! Invariants, asserted by [`Storage::check_invariants`]:
//! * log start <= last stable offset <= high watermark <= log end; synced <= log end;
//! * the last stable offset never goes back, nor does a power cut take back what is decided below it when
//!   acknowledgements are durable;
//! * high watermark = synced when acknowledgements are durable (`flush.messages` = 1), = log end when flush is
//!   relaxed. A topic that changes from relaxed to durable keeps what its readers have seen.
//!
//! [`Storage`] is the face of the room. The loop calls it; `take_jobs` and `gather` hand work to the lanes, and
//! `absorb` and `synced` bring it back. No clock is read here.

mod aborted;
mod budget;
mod checkpoint;
mod cleaner;
mod epochs;
mod flush;
mod heads;
mod index;
mod lifetime;
mod log;
mod names;
mod producer_state;
mod read;
mod recovery;
mod removal;
mod retention;
mod room;
mod scan;
mod segment;
mod shelf;
mod start;
mod starts;
#[cfg(test)]
mod tests;
mod times;
mod transactions;

use self::log::Parts;
use crate::clock::{Mono, Now};
use crate::config::{LogConfig, StorageConfig};
use crate::disk::lanes::Job;
use crate::disk::{Disk, View};
use crate::proto::Uuid;
use crate::proto::batch::{Batch, BatchHeader};
use crate::proto::error::ErrorCode;
use budget::Budget;
use removal::Leftover;
use shelf::Shelf;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::path::{self, PathBuf};
use std::sync::Arc;
use times::Learning;

pub use self::log::Log;
pub use aborted::Aborted;
pub use producer_state::{OpenTransaction, ProducerView};
pub use times::Looks;
pub use transactions::Marker;

/// One partition of one topic, by the topic's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic's id, never zero.
    pub topic: Uuid,
    /// The partition's number, from 0.
    pub partition: i32,
}

/// A partition that the journal knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// Which.
    pub id: PartitionId,
    /// The topic's name, of which its directory's name is made.
    pub topic_name: Arc<str>,
    /// What its log obeys.
    pub config: Arc<LogConfig>,
}

/// Who appends. Nothing is believed but this: who calls has verified that a transactional batch belongs to a
/// transaction of its producer, and that the transaction has the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A produce request up to v11.
    Client,
    /// A produce request of v12 or later, whose transactions are of version 2 (KIP-890): a producer that is not
    /// known here begins them with sequence 0.
    ClientV2,
}

/// A batch that may be appended: who calls has checked it, and sealed it if it has changed.
#[derive(Clone, Debug)]
pub struct NewBatch<'a> {
    /// As it will be written, but for base offset and leader epoch, which are outside the checksum.
    pub header: BatchHeader,
    /// Everything behind the header.
    pub payload: Cow<'a, [u8]>,
}

impl<'a> From<&Batch<'a>> for NewBatch<'a> {
    /// Appended as it is.
    fn from(batch: &Batch<'a>) -> NewBatch<'a> {
        NewBatch {
            header: *batch.header(),
            payload: Cow::Borrowed(batch.payload()),
        }
    }
}

/// A batch has been appended, now or before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The broker's time where the topic wants that, else -1.
    pub log_append_time_ms: i64,
    /// The first offset that is served.
    pub log_start_offset: i64,
    /// The sync round that the answer must wait for; 0: none.
    pub round: u64,
    /// It is a retry of a batch that was appended before.
    pub duplicate: bool,
}

/// A batch was not appended, and nothing has changed.
#[derive(Debug)]
pub struct Refused {
    /// What the producer is told.
    pub code: ErrorCode,
    /// A sentence for it.
    pub message: Option<Cow<'static, str>>,
    /// Records that are to blame: index in the batch, and why.
    pub record_errors: Vec<(i32, Option<String>)>,
    /// The disk failed in a way that cannot be answered: the process must stop.
    pub failure: Option<io::Error>,
    /// There is no room for it; it would be taken if there were.
    pub lacks_space: bool,
}

impl Refused {
    /// A refusal with a sentence.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Refused {
        Refused {
            message: Some(message.into()),
            ..Refused::from(code)
        }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Refused {
        Refused {
            code,
            message: None,
            record_errors: Vec::new(),
            failure: None,
            lacks_space: false,
        }
    }
}

/// Batches that were read, whole ones only.
#[derive(Debug, Default)]
pub struct Found {
    /// Where they lie, in order.
    pub views: Vec<View>,
    /// All their bytes.
    pub bytes: usize,
    /// Their offsets lie before this one.
    pub until: i64,
}

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    /// Its timestamp in ms since 1970.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// The epoch that wrote it, or -1.
    pub leader_epoch: i32,
}

/// Why a partition's log cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no such partition.
    Unknown,
    /// It is being loaded.
    Loading,
    /// Its directory is gone or cannot be understood; the log line at its loading says why.
    Damaged,
}

impl Unavailable {
    /// What a client is told.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Unavailable::Unknown => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Unavailable::Loading => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            Unavailable::Damaged => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}

/// Why nothing could be read. Nothing has changed, and other offsets may well be readable.
#[derive(Debug)]
pub enum ReadError {
    /// There is no log.
    Unavailable(Unavailable),
    /// The offset lies outside the log.
    OutOfRange,
    /// There is no batch where one should be.
    Damaged,
    /// There are records of message format 0 or 1, which an old Kafka wrote.
    OldFormat,
    /// The disk did not answer.
    Io(io::Error),
}

impl ReadError {
    /// What a client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ReadError::Unavailable(why) => why.code(),
            ReadError::OutOfRange => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Damaged | ReadError::OldFormat | ReadError::Io(_) => {
                ErrorCode::KAFKA_STORAGE_ERROR
            }
        }
    }

    fn into_io(self) -> io::Error {
        match self {
            ReadError::Io(error) => error,
            other => io::Error::other(other),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Unavailable(why) => write!(f, "the log is not available ({why:?})"),
            ReadError::OutOfRange => write!(f, "the offset lies outside the log"),
            ReadError::Damaged => write!(
                f,
                "the log, or its list of aborted transactions, is damaged there"
            ),
            ReadError::OldFormat => write!(f, "the log has message format 0 or 1 there"),
            ReadError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<Unavailable> for ReadError {
    fn from(why: Unavailable) -> ReadError {
        ReadError::Unavailable(why)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

/// The room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All there are.
    pub total_bytes: u64,
    /// Those that this process may still write.
    pub free_bytes: u64,
}

/// What a job of the work lane brings back to the storage.
pub struct Done(Outcome);

enum Outcome {
    Loaded(PartitionId, Result<Parts, recovery::Trouble>),
    Checkpointed(flush::Checkpointed),
    Pointed(io::Result<()>),
    PutAway(removal::PutAway),
    Removed(removal::Removed),
    Cleaner(cleaner::Job),
}

/// A partition, as far as it is there.
struct Slot {
    topic: Arc<str>,
    config: Arc<LogConfig>,
    state: State,
}

enum State {
    Loading,
    Ready(Box<Log>),
    Damaged,
}

/// All partitions of a data directory.
pub struct Storage {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    leader_epoch: i32,
    config: StorageConfig,
    slots: BTreeMap<PartitionId, Slot>,
    loading: usize,
    shelf: Shelf,
    rounds: flush::Rounds,
    points: flush::Points,
    starts: starts::Starts,
    retention: retention::Retention,
    leaving: BTreeMap<PartitionId, lifetime::Leaving>,
    /// Those whose deletion is durable and whose directories are to be renamed.
    moving: VecDeque<PartitionId>,
    /// Whose directories still have these names.
    left_names: BTreeMap<String, PartitionId>,
    /// Directories of nobody's that have the name of a partition.
    strangers: BTreeSet<String>,
    removals: BTreeSet<(Mono, Leftover)>,
    /// Jobs that unlink and are on their way.
    unlinking: usize,
    budget: Budget,
    cleaner: cleaner::Cleaner,
    jobs: Vec<Job<Done>>,
    signals: Vec<(PartitionId, usize)>,
    learning: Learning,
    closing: bool,
}

impl Storage {
    /// A storage that has not looked at its directory yet. `leader_epoch` is the broker's, which all that
    /// is appended will carry.
    #[must_use]
    pub fn new(
        disk: Arc<dyn Disk>,
        root: PathBuf,
        leader_epoch: i32,
        config: StorageConfig,
    ) -> Storage {
        let mut storage = Storage {
            shelf: Shelf::new(Arc::clone(&disk)),
            disk,
            root,
            leader_epoch,
            config,
            slots: BTreeMap::new(),
            loading: 0,
            rounds: flush::Rounds::default(),
            points: flush::Points::default(),
            starts: starts::Starts::default(),
            retention: retention::Retention::default(),
            leaving: BTreeMap::new(),
            moving: VecDeque::new(),
            left_names: BTreeMap::new(),
            strangers: BTreeSet::new(),
            removals: BTreeSet::new(),
            unlinking: 0,
            budget: Budget::new(),
            cleaner: cleaner::Cleaner::default(),
            jobs: Vec::new(),
            signals: Vec::new(),
            learning: Learning::default(),
            closing: false,
        };
        storage.obey(config);
        storage
    }

    /// For lines of the log.
    fn topic_name(&self, id: PartitionId) -> &str {
        self.slots.get(&id).map_or("?", |slot| &slot.topic)
    }

    /// What all logs share holds from now on.
    pub fn obey(&mut self, config: StorageConfig) {
        self.config = config;
        self.shelf.max_open = config.max_open_segments;
        self.limit_disk();
    }

    /// The absolute path of the data directory, as tools name it.
    #[must_use]
    pub fn dir(&self) -> String {
        let dir = path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let plain: PathBuf = dir.components().collect();
        plain.to_string_lossy().into_owned()
    }

    /// The room on the data directory's file system.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn space(&self) -> io::Result<Space> {
        Ok(Space {
            total_bytes: self.disk.total_bytes(&self.root)?,
            free_bytes: self.disk.free_bytes(&self.root)?,
        })
    }

    /// A partition's log.
    ///
    /// # Errors
    /// When it is not there, or not yet.
    pub fn log(&self, id: PartitionId) -> Result<&Log, Unavailable> {
        match &self.slots.get(&id).ok_or(Unavailable::Unknown)?.state {
            State::Loading => Err(Unavailable::Loading),
            State::Ready(log) => Ok(log),
            State::Damaged => Err(Unavailable::Damaged),
        }
    }

    fn log_mut(&mut self, id: PartitionId) -> Result<&mut Log, Unavailable> {
        match &mut self.slots.get_mut(&id).ok_or(Unavailable::Unknown)?.state {
            State::Loading => Err(Unavailable::Loading),
            State::Ready(log) => Ok(log),
            State::Damaged => Err(Unavailable::Damaged),
        }
    }

    /// Whether producers' times may be held against the clock: it shows a plausible time, not a day before the last of
    /// the process before, and has not jumped in the last hour.
    pub fn trusts(&mut self, now: Now) -> bool {
        self.retention.trusts(now)
    }

    /// Whether the partition is being loaded. When it is done, its key is signalled.
    #[must_use]
    pub fn is_loading(&self, id: PartitionId) -> bool {
        matches!(self.log(id), Err(Unavailable::Loading))
    }

    /// How many partitions are being loaded.
    #[must_use]
    pub fn loading(&self) -> usize {
        self.loading
    }

    /// The logs that are there, in the order of their ids.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.slots.values().filter_map(|slot| match &slot.state {
            State::Ready(log) => Some(&**log),
            _ => None,
        })
    }

    /// Appends one batch, or finds that it was appended before. One of a transaction is in the next round, whatever
    /// the flush settings.
    ///
    /// # Errors
    /// Nothing has changed: the log is not there, its producer's sequence is another, or the disk has no room or fails.
    pub fn append(
        &mut self,
        id: PartitionId,
        now: Now,
        batch: &NewBatch<'_>,
        origin: Origin,
    ) -> Result<Appended, Refused> {
        let size_bytes = batch.header.size_bytes();
        self.check_room(id, size_bytes, now)?;
        let (log, shelf, round) = self.writable(id)?;
        let appended = log.append(shelf, now, (batch, origin), round)?;
        if !appended.duplicate {
            self.after_append(id, size_bytes, now);
        }
        if batch.header.attributes.is_transactional() {
            self.flush(id);
        }
        Ok(appended)
    }

    /// What an append needs: the log, the open files, and the round that it will be in.
    fn writable(&mut self, id: PartitionId) -> Result<(&mut Log, &mut Shelf, u64), ErrorCode> {
        let unavailable = match self.slots.get_mut(&id).map(|slot| &mut slot.state) {
            Some(State::Ready(log)) => {
                return Ok((log, &mut self.shelf, self.rounds.gathering));
            }
            Some(State::Loading) => Unavailable::Loading,
            Some(State::Damaged) => Unavailable::Damaged,
            None => Unavailable::Unknown,
        };
        Err(unavailable.code())
    }

    /// Whole batches from the one that holds `from`, each ending before `until`, within `max_bytes`; the
    /// first one whatever its size if `at_least_one` (KIP-74).
    ///
    /// # Errors
    /// When nothing can be read there.
    pub fn read(
        &mut self,
        id: PartitionId,
        from: i64,
        until: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Found, ReadError> {
        self.with_log(id, |log, shelf| {
            log.read(shelf, (from, until), (max_bytes, at_least_one))
        })
    }

    /// The same as [`Storage::read`], as bytes that may be looked at.
    ///
    /// # Errors
    /// When nothing can be read there.
    pub fn read_raw(
        &mut self,
        id: PartitionId,
        from: i64,
        until: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Vec<u8>, ReadError> {
        self.with_log(id, |log, shelf| {
            log.read_raw(shelf, (from, until), (max_bytes, at_least_one))
        })
    }

    /// The first record at or after `timestamp_ms`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn offset_for_time(
        &mut self,
        id: PartitionId,
        timestamp_ms: i64,
    ) -> Result<Option<TimedOffset>, ReadError> {
        self.with_log(id, |log, shelf| log.offset_for_time(shelf, timestamp_ms))
    }

    /// The first record that has the greatest timestamp (ListOffsets -3).
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn max_timestamp(&mut self, id: PartitionId) -> Result<Option<TimedOffset>, ReadError> {
        self.with_log(id, Log::max_timestamp)
    }

    fn with_log<R>(
        &mut self,
        id: PartitionId,
        read: impl FnOnce(&mut Log, &mut Shelf) -> Result<R, ReadError>,
    ) -> Result<R, ReadError> {
        let found = match self.slots.get_mut(&id).map(|slot| &mut slot.state) {
            Some(State::Ready(log)) => read(log, &mut self.shelf),
            Some(State::Loading) => Err(Unavailable::Loading.into()),
            Some(State::Damaged) => Err(Unavailable::Damaged.into()),
            None => Err(Unavailable::Unknown.into()),
        };
        self.trim_shelf();
        found
    }

    /// Closes files while there are too many.
    fn trim_shelf(&mut self) {
        let slots = &mut self.slots;
        self.shelf.trim(|id, base| {
            let Some(State::Ready(log)) = slots.get_mut(&id).map(|slot| &mut slot.state) else {
                return true;
            };
            let (slot, is_durable) = (log.slot_of(base), log.is_durable());
            log.segments[slot].base() != base || log.segments[slot].close_if_idle(is_durable)
        });
        while let Some((id, base)) = self.shelf.next_index() {
            if let Ok(log) = self.log_mut(id) {
                let slot = log.slot_of(base);
                log.segments[slot].forget_index();
            }
        }
    }

    /// Partitions with news for waiting requests since the last call, and how many bytes each.
    pub fn take_signals(&mut self) -> Vec<(PartitionId, usize)> {
        std::mem::take(&mut self.signals)
    }

    /// Signals what has become readable of a partition.
    fn tell_news(&mut self, id: PartitionId) {
        let bytes = self.log_mut(id).map_or(0, Log::take_news);
        if bytes > 0 {
            self.signals.push((id, bytes));
        }
    }

    /// Jobs for the work lane since the last call; they must run in this order.
    pub fn take_jobs(&mut self) -> Vec<Job<Done>> {
        std::mem::take(&mut self.jobs)
    }

    /// Gives a partition the settings that its topic has now.
    pub fn set_config(&mut self, id: PartitionId, config: &Arc<LogConfig>) {
        let round = self.rounds.gathering;
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.config = Arc::clone(config);
        if let State::Ready(log) = &mut slot.state {
            let must_sync = log.set_config(Arc::clone(config), round);
            self.tell_news(id);
            if must_sync {
                self.flush(id);
            }
        }
    }

    /// What must hold between turns.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self) {
        self.logs().for_each(Log::check_invariants);
        let bytes = self.logs().map(Log::size_bytes);
        assert_eq!(bytes.sum::<u64>(), self.budget.log_bytes());
        let tails = self.logs().map(|log| log.checkpoints.tail_bytes);
        assert_eq!(tails.sum::<u64>(), self.points.tails.open_bytes);
        let loading = self.slots.values();
        let loading = loading.filter(|slot| matches!(slot.state, State::Loading));
        assert_eq!(loading.count(), self.loading);
    }
}
