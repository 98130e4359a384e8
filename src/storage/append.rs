//! What a produced batch must be before it is appended, checked without a look at the log.
//!
//! | what | answer |
//! |---|---|
//! | no batch, half a batch, a base offset other than 0, magic 0 or 1, two batches | 87 |
//! | a size no batch can have, an unknown magic, a wrong CRC-32C | 2 |
//! | larger than `max.message.bytes` / than a segment | 10 / 18 |
//! | counts, offset deltas or record sizes that do not agree; a control batch; a producer id without a sequence; a null key where the topic is compacted | 87 |
//! | a timestamp outside the topic's bounds, or one that claims to be the broker's | 32 |
//! | an unknown codec | 76 |
//!
//! Bytes behind the batch that are no whole batch are left out, as Kafka does. Uncompressed records are walked
//! once; compressed ones are opened only where null keys are forbidden. Where the header's greatest
//! timestamp is not that of the records, or the topic's time is the broker's, the header is changed and its
//! checksum with it; the payload never is.

use super::Refused;
use crate::clock::Now;
use crate::config::{LogConfig, TimestampType};
use crate::proto::batch::{self, Batch, BatchError, BatchHeader, RecordSummary, Stamp};
use crate::proto::codec::Codec;
use crate::proto::error::ErrorCode;

/// The greatest a batch may become where it has to be opened.
const MAX_UNCOMPRESSED_BYTES: usize = 128 * 1024 * 1024;
/// 2020-01-01: a broker whose clock stands earlier has no idea of the time.
const PLAUSIBLE_CLOCK_MS: i64 = 1_577_836_800_000;

/// A batch that may be appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked<'a> {
    /// As it will be written, but for base offset and leader epoch, which are outside the checksum.
    pub(super) header: BatchHeader,
    /// Everything behind the header.
    pub(super) payload: &'a [u8],
}

/// Checks what a client has sent for a partition.
pub(super) fn check<'a>(
    records: &'a [u8],
    config: &LogConfig,
    now: Now,
) -> Result<Checked<'a>, Refused> {
    let batch = only_batch(records)?;
    let mut header = *batch.header();
    if header.base_offset != 0 {
        return Err(invalid("the base offset of a produced batch must be 0"));
    }
    check_size(&batch, config)?;
    if batch.check_crc().is_err() {
        return Err(corrupt("the batch does not match its checksum"));
    }
    check_flags(&header)?;
    let summary = summarize(&batch, config.compact)?;
    if let (true, Some(index)) = (config.compact, summary.first_null_key) {
        return Err(bad_record(
            ErrorCode::INVALID_RECORD,
            index,
            "a compacted topic cannot accept a record without a key",
        ));
    }
    stamp(&mut header, &summary, config, now)?;
    Ok(Checked {
        header,
        payload: batch.payload(),
    })
}

/// The one batch that a produce request may carry for a partition.
fn only_batch(records: &[u8]) -> Result<Batch<'_>, Refused> {
    let (batch, rest) = Batch::split_first(records).map_err(refuse_batch)?;
    if !rest.is_empty() {
        match Batch::split_first(rest) {
            Ok(_) => return Err(invalid("only one batch is allowed for a partition")),
            Err(BatchError::Truncated { .. }) => {}
            Err(error) => return Err(refuse_batch(error)),
        }
    }
    Ok(batch)
}

fn refuse_batch(error: BatchError) -> Refused {
    match error {
        BatchError::Truncated { found_bytes: 0, .. } => invalid("there is no record batch"),
        BatchError::Truncated { .. } => invalid("the record batch is not complete"),
        BatchError::Magic(0 | 1) => invalid("message formats 0 and 1 end with Produce version 2"),
        _ => corrupt("this is no record batch"),
    }
}

fn check_size(batch: &Batch<'_>, config: &LogConfig) -> Result<(), Refused> {
    let size = batch.as_bytes().len();
    let refuse = |code, limit: u32, key| {
        let message = format!("the batch has {size} bytes, {key} allows {limit}");
        Err(Refused::new(code, message))
    };
    if size > config.max_message_bytes as usize {
        let limit = config.max_message_bytes;
        return refuse(ErrorCode::MESSAGE_TOO_LARGE, limit, "max.message.bytes");
    }
    if size > config.segment_bytes as usize {
        let limit = config.segment_bytes;
        return refuse(ErrorCode::RECORD_LIST_TOO_LARGE, limit, "segment.bytes");
    }
    Ok(())
}

fn check_flags(header: &BatchHeader) -> Result<(), Refused> {
    if header.attributes.is_control() {
        return Err(invalid("clients must not write control records"));
    }
    if header.has_producer_id() && (header.base_sequence < 0 || header.producer_epoch < 0) {
        return Err(invalid("a producer id needs an epoch and a sequence"));
    }
    if header.attributes.is_transactional() {
        let message = "the batch is part of no transaction";
        return Err(Refused::new(ErrorCode::INVALID_TXN_STATE, message));
    }
    Ok(())
}

/// Walks the records where that is wanted; elsewhere the header must do.
fn summarize(batch: &Batch<'_>, must_open: bool) -> Result<RecordSummary, Refused> {
    let header = batch.header();
    let Some(codec) = header.attributes.codec() else {
        let message = "the codec is not known";
        return Err(Refused::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            message,
        ));
    };
    if codec != Codec::None && !must_open {
        return of_header(header);
    }
    let records = batch
        .decompress(MAX_UNCOMPRESSED_BYTES)
        .map_err(|error| Refused::new(ErrorCode::CORRUPT_MESSAGE, error.to_string()))?;
    batch::check_produced(header, &records).map_err(|error| {
        let message = error.to_string();
        bad_record(ErrorCode::INVALID_RECORD, error.index, message)
    })
}

/// What can be said of compressed records without opening them.
fn of_header(header: &BatchHeader) -> Result<RecordSummary, Refused> {
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return Err(invalid(
            "the record count does not agree with the last offset",
        ));
    }
    let stamp = |index, timestamp_ms| {
        (timestamp_ms != batch::NO_TIMESTAMP).then_some(Stamp {
            index,
            timestamp_ms,
        })
    };
    Ok(RecordSummary {
        oldest: stamp(0, header.base_timestamp),
        newest: stamp(header.last_offset_delta, header.max_timestamp),
        first_null_key: None,
    })
}

/// Gives the header the topic's time, or holds the producer's against the topic's bounds.
fn stamp(
    header: &mut BatchHeader,
    summary: &RecordSummary,
    config: &LogConfig,
    now: Now,
) -> Result<(), Refused> {
    if header.attributes.timestamp_type() == batch::TimestampType::LogAppendTime {
        let message = "producers must not set the timestamp type LogAppendTime";
        return Err(bad_record(ErrorCode::INVALID_TIMESTAMP, 0, message));
    }
    if config.timestamp_type == TimestampType::LogAppendTime {
        header.restamp(batch::TimestampType::LogAppendTime, now.wall_ms);
        return Ok(());
    }
    if now.wall_ms >= PLAUSIBLE_CLOCK_MS {
        check_bounds(summary, config, now.wall_ms)?;
    }
    if header.max_timestamp != summary.max_timestamp() {
        header.restamp(batch::TimestampType::CreateTime, summary.max_timestamp());
    }
    Ok(())
}

fn check_bounds(summary: &RecordSummary, config: &LogConfig, now_ms: i64) -> Result<(), Refused> {
    let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
    let outside = [summary.oldest, summary.newest]
        .into_iter()
        .flatten()
        .find(|stamp| stamp.timestamp_ms < earliest || stamp.timestamp_ms > latest);
    let Some(stamp) = outside else {
        return Ok(());
    };
    let message = format!(
        "timestamp {} is not within [{earliest}, {latest}]",
        stamp.timestamp_ms
    );
    Err(bad_record(
        ErrorCode::INVALID_TIMESTAMP,
        stamp.index,
        message,
    ))
}

fn invalid(message: &'static str) -> Refused {
    Refused::new(ErrorCode::INVALID_RECORD, message)
}

fn corrupt(message: &'static str) -> Refused {
    Refused::new(ErrorCode::CORRUPT_MESSAGE, message)
}

/// One record is to blame.
fn bad_record(code: ErrorCode, index: i32, message: impl Into<String>) -> Refused {
    let summary = match code {
        ErrorCode::INVALID_TIMESTAMP => "a record was rejected for its timestamp",
        _ => "a record was rejected",
    };
    Refused {
        record_errors: vec![(index, Some(message.into()))],
        ..Refused::new(code, summary)
    }
}
