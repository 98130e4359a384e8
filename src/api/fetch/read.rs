//! Reading the partitions of one fetch, within its limits.
//!
//! * The first partition with data is read even when its first batch exceeds the limits (KIP-74), so that a
//!   consumer always gets on; up to v2 the limit is hard, and the set is cut there: such clients tell from
//!   the torn message that their limit is too low.
//! * v0-v3 get message sets: batches are read through the descriptor and converted, control batches are left
//!   out, and where nothing remains of what was read, reading goes on behind it. Data that zstd compressed,
//!   which such clients cannot have, is error 76; below v10 so is a topic that asks for zstd.
//! * v4+ with isolation 1 read up to the last stable offset and are told which transactions that touch what was
//!   read were aborted, by first offset. Where that cannot be told, nothing is shown.
//! * Up to v5 clients do not know error 56 and get 6.

use crate::api::Call;
use crate::api::common::{check_epoch, legacy_code};
use crate::broker::Broker;
use crate::broker::fetch_sessions::Wanted;
use crate::clock::Mono;
use crate::disk::View;
use crate::proto::error::ErrorCode;
use crate::proto::legacy::{self, DownConversion};
use crate::proto::schema::fetch::{EpochEndOffset, FetchRequest};
use crate::storage::{Aborted, Found, Log, PartitionId, ReadError, Unavailable};

/// What holds for all partitions of a fetch.
pub(super) struct Limits {
    version: i16,
    /// Of the whole answer.
    pub(super) max_bytes: usize,
    read_committed: bool,
    now: Mono,
}

impl Limits {
    pub(super) fn new(broker: &Broker, call: &Call<'_, '_>, request: &FetchRequest<'_>) -> Limits {
        let version = call.version();
        let max_bytes = request.max_bytes.min(broker.config().fetch_max_bytes);
        let max_bytes = usize::try_from(max_bytes).unwrap_or(0);
        Limits {
            version,
            // No answer is larger than what a connection may have waiting, so a slow reader holds no more.
            max_bytes: max_bytes.min(broker.config().chronik_outbox_pinned_bytes),
            read_committed: version >= 4 && request.isolation_level == 1,
            now: call.cx.now.mono,
        }
    }

    /// The magic of the message sets that old clients get.
    fn old_magic(&self) -> Option<i8> {
        match self.version {
            ..=1 => Some(0),
            2 | 3 => Some(1),
            _ => None,
        }
    }

    /// Readers see what lies below this offset.
    fn end(&self, log: &Log) -> i64 {
        if self.read_committed {
            log.last_stable_offset()
        } else {
            log.high_watermark()
        }
    }
}

/// What was read of one partition.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) error_code: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start: i64,
    pub(super) diverging: Option<EpochEndOffset>,
    /// What of the records to skip; `None` where all are asked for.
    pub(super) aborted: Option<Vec<Aborted>>,
    pub(super) bytes: usize,
    pub(super) views: Vec<View>,
}

impl Read {
    fn failed(error_code: ErrorCode) -> Read {
        Read {
            error_code,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start: -1,
            diverging: None,
            aborted: None,
            bytes: 0,
            views: Vec::new(),
        }
    }

    /// There is no such partition, or none is read. Apache Kafka lists aborted transactions here whatever the
    /// isolation.
    pub(super) fn absent(error_code: ErrorCode) -> Read {
        Read {
            aborted: Some(Vec::new()),
            ..Read::failed(error_code)
        }
    }
}

/// How many bytes the partition could give, or `None` when it has something to say at once: an error, or
/// that the log has gone another way.
pub(super) fn available(
    broker: &Broker,
    id: PartitionId,
    wanted: &Wanted,
    limits: &Limits,
) -> Option<usize> {
    let log = broker.storage.log(id).ok()?;
    check(broker, log, wanted, limits)
        .ok()
        .filter(Option::is_none)?;
    let found = log.available(wanted.fetch_offset, limits.end(log));
    Some(found.min(usize::try_from(wanted.max_bytes).unwrap_or(0).max(1)))
}

/// Reads every partition in turn, until the limit of the answer is reached.
pub(super) fn all(
    broker: &mut Broker,
    wanted: &[Wanted],
    at: &[Result<PartitionId, ErrorCode>],
    limits: &Limits,
) -> Vec<Read> {
    let (mut left, mut at_least_one) = (limits.max_bytes, limits.version >= 3);
    let mut reads = Vec::with_capacity(wanted.len());
    for (wanted, at) in wanted.iter().zip(at) {
        let read = match *at {
            Ok(id) => one(broker, id, wanted, limits, left, at_least_one)
                .unwrap_or_else(|code| Read::failed(for_version(code, limits.version))),
            Err(code) => Read::absent(code),
        };
        left = left.saturating_sub(read.bytes);
        at_least_one &= read.bytes == 0;
        reads.push(read);
    }
    reads
}

fn for_version(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::KAFKA_STORAGE_ERROR if version <= 5 => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        code => code,
    }
}

fn one(
    broker: &mut Broker,
    id: PartitionId,
    wanted: &Wanted,
    limits: &Limits,
    left: usize,
    at_least_one: bool,
) -> Result<Read, ErrorCode> {
    let log = broker.storage.log(id).map_err(Unavailable::code)?;
    let diverging = check(broker, log, wanted, limits)?;
    let mut read = Read {
        error_code: ErrorCode::NONE,
        high_watermark: log.high_watermark(),
        last_stable_offset: log.last_stable_offset(),
        log_start: log.log_start(),
        diverging,
        aborted: limits.read_committed.then(Vec::new),
        bytes: 0,
        views: Vec::new(),
    };
    if read.diverging.is_some() {
        return Ok(read);
    }
    let span = Span {
        id,
        from: wanted.fetch_offset,
        until: limits.end(log),
        max_bytes: usize::try_from(wanted.max_bytes).unwrap_or(0).min(left),
        at_least_one,
    };
    if let Some(magic) = limits.old_magic() {
        read.views = message_set(broker, limits.now, &span, magic)?;
        read.bytes = read.views.iter().map(View::len).sum();
        return Ok(read);
    }
    let found = batches(broker, limits.now, &span)?;
    if found.bytes > 0
        && let Some(aborted) = &mut read.aborted
    {
        *aborted = broker
            .storage
            .aborted(id, span.from, found.until)
            .map_err(|e| read_failure(broker, limits.now, id, &e))?;
    }
    (read.bytes, read.views) = (found.bytes, found.views);
    Ok(read)
}

/// The checks before a read. Answers where the log and the client's have parted, if they have.
fn check(
    broker: &Broker,
    log: &Log,
    wanted: &Wanted,
    limits: &Limits,
) -> Result<Option<EpochEndOffset>, ErrorCode> {
    check_epoch(wanted.current_leader_epoch, broker.leader_epoch())?;
    if limits.version < 10 && log.config().compression_type == "zstd" {
        return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
    if !(log.log_start()..=log.log_end()).contains(&wanted.fetch_offset)
        && wanted.last_fetched_epoch < 0
    {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    if wanted.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let (epoch, end_offset) = log.end_of_epoch(wanted.last_fetched_epoch);
    if epoch < 0 || end_offset < 0 || wanted.fetch_offset < log.log_start() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    if epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset {
        return Ok(Some(EpochEndOffset { epoch, end_offset }));
    }
    if wanted.fetch_offset > log.log_end() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok(None)
}

/// What is read of one partition.
struct Span {
    id: PartitionId,
    from: i64,
    /// Exclusive.
    until: i64,
    max_bytes: usize,
    /// The first batch is read even when it is larger.
    at_least_one: bool,
}

fn batches(broker: &mut Broker, now: Mono, span: &Span) -> Result<Found, ErrorCode> {
    let Span {
        id,
        from,
        until,
        max_bytes,
        at_least_one,
    } = *span;
    let found = broker
        .storage
        .read(id, from, until, max_bytes, at_least_one);
    found.map_err(|e| read_failure(broker, now, id, &e))
}

/// A message set for an old client: whole batches, converted. It may exceed `max_bytes` by one batch where
/// at least one is wanted, and is cut there where not.
fn message_set(
    broker: &mut Broker,
    now: Mono,
    span: &Span,
    magic: i8,
) -> Result<Vec<View>, ErrorCode> {
    let Span {
        id,
        mut from,
        until,
        max_bytes,
        at_least_one,
    } = *span;
    while from < until {
        let batches = broker.storage.read_raw(id, from, until, max_bytes, true);
        let batches = batches.map_err(|e| read_failure(broker, now, id, &e))?;
        if batches.is_empty() {
            break;
        }
        let cap_bytes = broker.config().chronik_convert_max_bytes;
        let wanted = DownConversion {
            magic,
            first_offset: from,
            limit_bytes: max_bytes,
            cap_bytes,
        };
        let converted = legacy::to_message_set(&batches, &wanted).map_err(|e| legacy_code(&e))?;
        let mut set = converted.bytes;
        if !set.is_empty() {
            set.truncate(if at_least_one { set.len() } else { max_bytes });
            // Of no bytes there is no view: an answer has no place for it.
            let views = (!set.is_empty()).then(|| View::owned(set));
            return Ok(views.into_iter().collect());
        }
        if converted.next_offset <= from {
            break;
        }
        from = converted.next_offset;
    }
    Ok(Vec::new())
}

fn read_failure(broker: &mut Broker, now: Mono, id: PartitionId, error: &ReadError) -> ErrorCode {
    let place = broker.place(id);
    broker.complain(now, format_args!("{place} could not be read: {error}"));
    error.code()
}
