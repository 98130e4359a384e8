//! One partition: its segments, and how far each promise about them reaches.
//!
//! The four offsets and who moves them are described in `mod.rs`. Everything here runs in the loop; what
//! takes long is handed to the work lane as owned inputs (see `flush`).

use super::epochs::Epochs;
use super::lifetime::Home;
use super::names::Kind;
use super::producer_state::{Noted, Producers, Verdict};
use super::segment::{Place, RollLimits, Segment, Unwritten};
use super::shelf::Shelf;
use super::transactions::Unstable;
use super::{Appended, NewBatch, Origin, PartitionId, Refused};
use crate::clock::Now;
use crate::config::{LogConfig, TimestampType};
use crate::disk::{Disk, FileRef, Mode, is_full};
use crate::proto::batch::{BatchHeader, EndMarker};
use crate::proto::error::ErrorCode;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

/// How many of the last offsets where readers may wait are remembered with their positions, for `available`.
const MARKS: usize = 8;

/// What a log is made of when it comes from the disk.
pub(super) struct Parts {
    pub(super) segments: Vec<Segment>,
    pub(super) producers: Producers,
    pub(super) epochs: Epochs,
    /// The epoch file says something else.
    pub(super) epochs_dirty: bool,
    pub(super) log_start: i64,
    pub(super) log_end: i64,
    pub(super) recovery_point: i64,
    /// Bytes behind the recovery point.
    pub(super) tail_bytes: u64,
    /// Offsets of the `.snapshot` files.
    pub(super) snapshots: Vec<i64>,
    /// Compacted before this offset.
    pub(super) cleaned: Option<i64>,
    pub(super) home: Home,
}

/// A part of the log that a round in flight makes durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) round: u64,
    pub(super) end: i64,
    pub(super) bytes: u64,
}

/// How far checkpoints have come.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// Recovery need not look before this offset.
    pub(super) recovery_point: i64,
    /// The same, as far as the file in the data directory says so.
    pub(super) durable_point: i64,
    /// Bytes behind the recovery point.
    pub(super) tail_bytes: u64,
    /// Offsets of the `.snapshot` files.
    pub(super) snapshots: Vec<i64>,
    /// A job is on its way.
    pub(super) running: bool,
    /// A segment has ended since the last one.
    pub(super) rolled: bool,
    /// The epoch file lacks a line, or has one too many.
    pub(super) epochs_dirty: bool,
}

/// One partition's log.
pub struct Log {
    pub(super) id: PartitionId,
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    config: Arc<LogConfig>,
    leader_epoch: i32,
    /// Ascending, never empty; the last one is appended to.
    pub(super) segments: Vec<Segment>,
    pub(super) producers: Producers,
    pub(super) unstable: Unstable,
    pub(super) epochs: Epochs,
    log_start: i64,
    high_watermark: i64,
    synced: i64,
    log_end: i64,
    /// Readers saw this far while flush was relaxed, and it is not taken back.
    exposed: i64,
    /// Counted from the start of the process.
    appended_bytes: u64,
    watermark_bytes: u64,
    marks: VecDeque<(i64, u64)>,
    /// Bytes that have become readable since somebody asked.
    news: usize,
    /// The round that will hold what is in no round yet.
    next_round: u64,
    pub(super) flight: Option<Flight>,
    /// Records that no round holds yet.
    pub(super) unflushed: i64,
    /// Listed for the next round.
    pub(super) queued: bool,
    /// A timer will list it.
    pub(super) timed: bool,
    pub(super) home: Home,
    /// A file was created since the last round.
    pub(super) dir_dirty: bool,
    /// `partition.metadata`, where it was made since the last round.
    pub(super) metadata: Option<FileRef>,
    /// What the budget has counted of it.
    pub(super) counted_bytes: u64,
    pub(super) checkpoints: Checkpoints,
    /// Compacted before this offset.
    pub(super) cleaned: Option<i64>,
    /// Jobs that rename segments.
    pub(super) removals_running: usize,
}

impl Log {
    pub(super) fn new(
        (id, dir): (PartitionId, PathBuf),
        disk: Arc<dyn Disk>,
        (config, leader_epoch): (Arc<LogConfig>, i32),
        parts: Parts,
    ) -> Log {
        let end = parts.log_end;
        Log {
            id,
            dir,
            disk,
            config,
            leader_epoch,
            segments: parts.segments,
            unstable: Unstable::of(parts.producers.open()),
            producers: parts.producers,
            epochs: parts.epochs,
            log_start: parts.log_start,
            high_watermark: end,
            synced: end,
            log_end: end,
            exposed: 0,
            appended_bytes: 0,
            watermark_bytes: 0,
            marks: VecDeque::new(),
            news: 0,
            next_round: 0,
            flight: None,
            unflushed: 0,
            queued: false,
            timed: false,
            home: parts.home,
            dir_dirty: false,
            metadata: None,
            counted_bytes: 0,
            cleaned: parts.cleaned,
            checkpoints: Checkpoints {
                recovery_point: parts.recovery_point,
                durable_point: parts.recovery_point,
                tail_bytes: parts.tail_bytes,
                snapshots: parts.snapshots,
                epochs_dirty: parts.epochs_dirty,
                ..Checkpoints::default()
            },
            removals_running: 0,
        }
    }

    /// Whose log it is.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The first offset that is served.
    #[must_use]
    pub fn log_start(&self) -> i64 {
        self.log_start
    }

    /// Readers see what lies before this offset.
    #[must_use]
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The offset of the next record.
    #[must_use]
    pub fn log_end(&self) -> i64 {
        self.log_end
    }

    /// Everything before this offset is on disk.
    #[must_use]
    pub fn synced(&self) -> i64 {
        self.synced
    }

    /// The epoch of this broker, which the next batch will carry.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The settings that the log obeys.
    #[must_use]
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Bytes that were appended since the start of the process.
    pub(super) fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// The epoch that wrote `offset`; the broker's own where that is not known or nothing is there yet.
    #[must_use]
    pub fn epoch_of(&self, offset: i64) -> i32 {
        let known = self.epochs.at(offset).filter(|_| offset < self.log_end);
        known.unwrap_or(self.leader_epoch)
    }

    /// Where `epoch` ends: the greatest epoch not above it, and the first offset behind that epoch;
    /// (-1, -1) when it is not known (OffsetForLeaderEpoch, KIP-320).
    #[must_use]
    pub fn end_of_epoch(&self, epoch: i32) -> (i32, i64) {
        self.epochs.end_of(epoch, self.leader_epoch, self.log_end)
    }

    /// Whether an acknowledgement waits for the disk.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.config.flush_messages <= 1
    }

    /// The round that an answer must wait for which tells of offsets before `end`; 0: none.
    #[must_use]
    pub fn round_before(&self, end: i64) -> u64 {
        match self.is_durable() {
            true => self.syncing_round(end),
            false => 0,
        }
    }

    /// The round that makes everything before `end` durable, if the log is in one; 0: it is.
    fn syncing_round(&self, end: i64) -> u64 {
        if end <= self.synced {
            return 0;
        }
        match self.flight {
            Some(flight) if end <= flight.end => flight.round,
            _ => self.next_round,
        }
    }

    /// The round that an answer must wait for which tells of the log's end; 0: none.
    #[must_use]
    pub fn round_of_unsynced(&self) -> u64 {
        self.round_before(self.log_end)
    }

    /// Appends a checked batch, or finds that it was appended before.
    pub(super) fn append(
        &mut self,
        shelf: &mut Shelf,
        now: Now,
        (batch, origin): (&NewBatch<'_>, Origin),
        round: u64,
    ) -> Result<Appended, Refused> {
        if batch.header.has_producer_id() {
            match self.producers.check(&batch.header, origin) {
                Verdict::Next => {}
                Verdict::Duplicate {
                    first_offset,
                    last_offset,
                    timestamp_ms,
                } => {
                    let offsets = (first_offset, last_offset);
                    return Ok(self.duplicate(&batch.header, offsets, timestamp_ms));
                }
                Verdict::Refused(code, why) => return Err(Refused::new(code, why)),
            }
        }
        self.write(shelf, now, (batch.header, &batch.payload), None, round)
    }

    /// Writes a batch at the log's end; `marker` is what it holds if it is a control batch.
    pub(super) fn write(
        &mut self,
        shelf: &mut Shelf,
        now: Now,
        (mut header, payload): (BatchHeader, &[u8]),
        marker: Option<EndMarker>,
        round: u64,
    ) -> Result<Appended, Refused> {
        header.base_offset = self.log_end;
        header.partition_leader_epoch = self.leader_epoch;
        self.settle_in()
            .map_err(|failure| refuse(Unwritten::Untouched(failure)))?;
        self.roll_if_due(shelf, &header, now)?;
        let times = (u64::from(self.config.index_interval_bytes), now);
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        active(&mut self.segments)
            .append((shelf, place), &header, payload, times)
            .map_err(refuse)?;
        if header.has_producer_id() {
            self.note_producer(&header, marker, now);
        }
        Ok(self.appended(&header, round))
    }

    fn note_producer(&mut self, header: &BatchHeader, marker: Option<EndMarker>, now: Now) {
        if marker.is_none() && header.attributes.is_transactional() {
            let known = self.producer(header.producer_id);
            let fits = known.is_none_or(|known| {
                known.transaction_start.is_none() || known.producer_epoch == header.producer_epoch
            });
            assert!(fits, "an open transaction goes on in its own epoch");
        }
        match self.producers.note(header, marker, now.mono) {
            Noted::Nothing => {}
            Noted::Began => self.unstable.began(header.base_offset, self.appended_bytes),
            Noted::Ended(ended) => {
                self.unstable.ended(ended.first_offset, ended.last_offset);
                if !ended.commits {
                    active(&mut self.segments).note_aborted(ended.into());
                }
            }
        }
    }

    /// Moves everything that an append moves.
    fn appended(&mut self, header: &BatchHeader, round: u64) -> Appended {
        if self
            .epochs
            .note(header.partition_leader_epoch, header.base_offset)
        {
            self.checkpoints.epochs_dirty = true;
        }
        let size_bytes = header.size_bytes() as u64;
        self.log_end = header.next_offset();
        self.appended_bytes += size_bytes;
        self.checkpoints.tail_bytes += size_bytes;
        self.unflushed += i64::from(header.record_count);
        self.next_round = round;
        if !self.is_durable() {
            self.raise_watermark(self.log_end, self.appended_bytes);
        }
        Appended {
            base_offset: header.base_offset,
            log_append_time_ms: self.append_time(header.max_timestamp),
            log_start_offset: self.log_start,
            round: self.promised_round(header, self.log_end),
            duplicate: false,
        }
    }

    /// The round that the answer to a batch waits for which lies before `end`. That of a transaction waits however
    /// relaxed the flush is: its end may be decided as soon as it is acknowledged, and the journal never forgets.
    fn promised_round(&self, header: &BatchHeader, end: i64) -> u64 {
        match header.attributes.is_transactional() {
            true => self.syncing_round(end),
            false => self.round_before(end),
        }
    }

    fn duplicate(
        &self,
        header: &BatchHeader,
        (first_offset, last_offset): (i64, i64),
        timestamp_ms: i64,
    ) -> Appended {
        Appended {
            base_offset: first_offset,
            log_append_time_ms: self.append_time(timestamp_ms),
            log_start_offset: self.log_start,
            round: self.promised_round(header, last_offset + 1),
            duplicate: true,
        }
    }

    fn append_time(&self, timestamp_ms: i64) -> i64 {
        match self.config.timestamp_type {
            TimestampType::LogAppendTime => timestamp_ms,
            TimestampType::CreateTime => -1,
        }
    }

    fn roll_if_due(
        &mut self,
        shelf: &mut Shelf,
        header: &BatchHeader,
        now: Now,
    ) -> Result<(), Refused> {
        let limits = RollLimits {
            segment_bytes: u64::from(self.config.segment_bytes).min(shelf.roll_bytes),
            index_bytes: u64::from(self.config.segment_index_bytes),
            age_ms: self.longest_ms().saturating_sub(self.jitter_ms()),
            now_ms: now.wall_ms,
        };
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let due = active(&mut self.segments).must_roll((shelf, place), header, limits);
        due.and_then(|due| if due { self.roll(shelf, now) } else { Ok(()) })
            .map_err(|failure| refuse(Unwritten::Untouched(failure)))
    }

    /// How long a segment may be active. What must be compacted by a certain age must be in a closed one by then
    /// (KIP-354).
    fn longest_ms(&self) -> i64 {
        match self.config.compact {
            true => (self.config.segment_ms).min(self.config.compaction.max_lag_ms.max(1)),
            false => self.config.segment_ms,
        }
    }

    /// When it was written to for the last time before it was loaded, as its files say.
    pub(super) fn left_ms(&self) -> Option<i64> {
        let mut written = self.segments.iter().rev().filter(|s| s.len() > 0);
        written.next().and_then(Segment::written_ms)
    }

    /// Ends the active segment and begins another at the log's end.
    pub(super) fn roll(&mut self, shelf: &mut Shelf, now: Now) -> io::Result<()> {
        let mut segment = Segment::fresh(self.log_end, now.wall_ms);
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let path = segment.path(place, Kind::Log);
        segment.set_file(shelf.open((self.id, self.log_end), &path, Mode::CreateNew)?);
        let ended = active(&mut self.segments);
        ended.seal_times();
        ended.give_back();
        self.segments.push(segment);
        self.checkpoints.rolled = true;
        self.dir_dirty = true;
        Ok(())
    }

    /// `segment.jitter.ms` spreads the ends of segments; a partition has its own share of it.
    fn jitter_ms(&self) -> i64 {
        if self.config.segment_jitter_ms <= 0 {
            return 0;
        }
        let [a, b, c, d, ..] = self.id.topic.0;
        let seed =
            i64::from(u32::from_be_bytes([a, b, c, d])) + i64::from(self.id.partition) * 7919;
        seed % self.config.segment_jitter_ms
    }

    /// Moves the high watermark, and with it the last stable offset, and takes note of what became readable.
    fn raise_watermark(&mut self, offset: i64, bytes: u64) {
        let more = usize::try_from(bytes - self.watermark_bytes).unwrap_or(usize::MAX);
        self.mark(self.high_watermark, self.watermark_bytes);
        (self.high_watermark, self.watermark_bytes) = (offset, bytes);
        let frees = self.settle();
        // Those who wait for decided records get more at once than the high watermark has moved.
        let more = if frees { usize::MAX } else { more };
        self.news = self.news.saturating_add(more);
    }

    /// Remembers how many bytes lie before an offset where readers may wait.
    fn mark(&mut self, offset: i64, bytes: u64) {
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back((offset, bytes));
    }

    /// Transactions are decided whose markers the high watermark has passed. Says whether the first of all is.
    fn settle(&mut self) -> bool {
        let Some((first, bytes)) = self.unstable.first() else {
            return false;
        };
        self.unstable.settle(self.high_watermark);
        let frees = self.unstable.first().is_none_or(|(next, _)| next > first);
        if frees && let Some(bytes) = bytes {
            self.mark(first, bytes);
        }
        frees
    }

    /// How many bytes have become readable since the last call; `usize::MAX` when a transaction has been decided.
    pub(super) fn take_news(&mut self) -> usize {
        mem::take(&mut self.news)
    }

    /// Hands the dirty files to round `round`. Where the last segment was begun without an append it is clean, and the
    /// one before it is not.
    pub(super) fn gather(
        &mut self,
        shelf: &mut Shelf,
        round: u64,
        files: &mut Vec<FileRef>,
    ) -> io::Result<()> {
        let first = self.slot_of(self.synced);
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        for segment in self.segments[first..].iter_mut().filter(|s| s.is_dirty()) {
            files.push(segment.file(shelf, place)?);
            segment.set_clean();
        }
        self.queued = false;
        self.unflushed = 0;
        self.flight = Some(Flight {
            round,
            end: self.log_end,
            bytes: self.appended_bytes,
        });
        Ok(())
    }

    /// Round `round` is durable.
    pub(super) fn landed(&mut self, round: u64) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        assert_eq!(flight.round, round, "rounds end in order");
        self.synced = self.synced.max(flight.end);
        if self.home == Home::New && flight.end > 0 {
            // Its names were noted when the first records of this round, or of one before, were appended.
            self.home = Home::Kept;
        }
        if self.is_durable() && flight.end > self.high_watermark {
            self.raise_watermark(flight.end, flight.bytes);
        }
    }

    /// A checkpoint has synced everything before `end`.
    pub(super) fn set_clean_before(&mut self, end: i64) {
        let ends = self.segments.iter().skip(1).map(Segment::base);
        let covered = ends
            .chain([self.log_end])
            .take_while(|next| *next <= end)
            .count();
        for segment in &mut self.segments[..covered] {
            segment.set_clean();
        }
    }

    /// What lies before `offset` is deleted, and the file of log starts says so on disk. The high watermark has passed
    /// it. Readers who wait must look again.
    pub(super) fn raise_start(&mut self, offset: i64) {
        if offset > self.log_start {
            self.log_start = offset;
            self.checkpoints.epochs_dirty |= self.epochs.begin_at(offset);
            self.news = usize::MAX;
        }
    }

    /// Takes out the segments that lie before the log start and before the recovery point on disk: no reader may ask
    /// for them, and no start looks for producers there. Answers where they begin and their bytes, and the snapshots
    /// that go with them.
    pub(super) fn take_unserved(&mut self) -> (Vec<(i64, u64)>, Vec<i64>) {
        let needed = self.log_start.min(self.checkpoints.durable_point);
        let ends = self.segments.iter().skip(1).map(Segment::base);
        let count = ends.take_while(|end| *end <= needed).count();
        let gone = self.segments.drain(..count);
        let gone: Vec<(i64, u64)> = gone.map(|s| (s.base(), s.len())).collect();
        let (first, snapshots) = (self.segments[0].base(), &mut self.checkpoints.snapshots);
        let is_known_later = |offset: &i64| (first..=needed).contains(offset);
        if gone.is_empty() || !snapshots.iter().any(is_known_later) {
            return (gone, Vec::new());
        }
        let before = snapshots.partition_point(|offset| *offset < first);
        (gone, snapshots.drain(..before).collect())
    }

    /// Whether a segment lies before the log start that only lacks a checkpoint to go.
    pub(super) fn waits_for_checkpoint(&self) -> bool {
        let end = self.segments.get(1).map(Segment::base);
        end.is_some_and(|end| end <= self.log_start && end > self.checkpoints.recovery_point)
    }

    /// The topic's settings have changed. Says whether the log must be in the next round.
    pub(super) fn set_config(&mut self, config: Arc<LogConfig>, round: u64) -> bool {
        let was_durable = self.is_durable();
        self.config = config;
        match (was_durable, self.is_durable()) {
            (false, true) => {
                self.exposed = self.high_watermark;
                self.next_round = round;
                self.synced < self.log_end
            }
            (true, false) if self.high_watermark < self.log_end => {
                self.raise_watermark(self.log_end, self.appended_bytes);
                false
            }
            _ => false,
        }
    }

    /// About how many bytes lie between two offsets; what is there counts as one byte at least. Needs no
    /// look at the disk, and says too much rather than too little.
    #[must_use]
    pub fn available(&self, from: i64, until: i64) -> usize {
        let until = until.min(self.high_watermark);
        if from >= until {
            return 0;
        }
        let behind = match self.counted_before(until) {
            Some(bytes) => self.appended_bytes - bytes,
            None => self.bytes_behind(until),
        };
        let bytes = match self.counted_before(from) {
            Some(bytes) => self.appended_bytes - bytes,
            None => self.bytes_from(from),
        };
        usize::try_from(bytes.saturating_sub(behind).max(1)).unwrap_or(usize::MAX)
    }

    /// How many bytes were appended before `offset`, if that was counted there.
    fn counted_before(&self, offset: i64) -> Option<u64> {
        if offset == self.high_watermark {
            return Some(self.watermark_bytes);
        }
        match self.unstable.first() {
            Some((first, bytes)) if first == offset => bytes,
            _ => {
                let marked = self.marks.iter().find(|(marked, _)| *marked == offset);
                marked.map(|(_, bytes)| *bytes)
            }
        }
    }

    /// At most this many bytes lie between `from` and the log's end.
    fn bytes_from(&self, from: i64) -> u64 {
        let slot = self.slot_of(from);
        let bytes: u64 = self.segments[slot..].iter().map(Segment::len).sum();
        bytes - self.segments[slot].position_before(from)
    }

    /// At least this many bytes lie between `until`, where a batch begins, and the log's end.
    fn bytes_behind(&self, until: i64) -> u64 {
        let slot = self.slot_of(until);
        let bytes: u64 = self.segments[slot..].iter().map(Segment::len).sum();
        bytes - self.segments[slot].position_behind(until)
    }

    /// The segment that holds `offset`, or would.
    pub(super) fn slot_of(&self, offset: i64) -> usize {
        self.segments
            .partition_point(|segment| segment.base() <= offset)
            .saturating_sub(1)
    }

    /// What must always hold.
    pub(super) fn check_invariants(&self) {
        self.producers.check_invariants();
        let open = self.producers.open();
        self.unstable.check_invariants(open, self.high_watermark);
        assert!(self.segments[0].base() <= self.log_start);
        assert!(self.log_start <= self.last_stable_offset());
        assert!(self.last_stable_offset() <= self.high_watermark);
        assert!(self.high_watermark <= self.log_end);
        assert!(self.synced <= self.log_end);
        assert!(self.checkpoints.recovery_point <= self.log_end);
        if self.is_durable() {
            assert_eq!(self.high_watermark, self.synced.max(self.exposed));
        } else {
            assert_eq!(self.high_watermark, self.log_end);
        }
        assert!(self.segments.is_sorted_by(|a, b| a.base() < b.base()));
        assert!(
            self.segments
                .last()
                .is_some_and(|s| s.base() <= self.log_end)
        );
    }
}

/// The segment that is appended to.
fn active(segments: &mut [Segment]) -> &mut Segment {
    segments.last_mut().expect("a log has a segment")
}

/// What a producer is told of an append that failed. A full disk is an answer, and so is a file that could
/// not be opened; a write that failed otherwise, or could not be taken back, is the end of the process.
fn refuse(why: Unwritten) -> Refused {
    const CODE: ErrorCode = ErrorCode::KAFKA_STORAGE_ERROR;
    match why {
        Unwritten::Untouched(failure) | Unwritten::CutBack(failure) if is_full(&failure) => {
            Refused {
                lacks_space: true,
                ..Refused::new(CODE, "the disk is full")
            }
        }
        Unwritten::Untouched(failure) => Refused::new(CODE, failure.to_string()),
        Unwritten::CutBack(failure) | Unwritten::Torn(failure) => Refused {
            failure: Some(failure),
            ..Refused::new(CODE, "the disk failed")
        },
    }
}
