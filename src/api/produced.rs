//! What a produced batch must be before it is appended, checked without a look at the log; and what becomes of it where
//! its client or its topic has another format than the log.
//!
//! Up to v2 of Produce it comes as a message set of format 0 or 1, which is converted to one batch.
//!
//! | what | answer |
//! |---|---|
//! | no batch, half a batch, a base offset other than 0, magic 0 or 1, two batches | 87 |
//! | a size no batch can have, an unknown magic, a wrong CRC-32C | 2 |
//! | larger than `max.message.bytes` / than a segment | 10 / 18 |
//! | counts, offset deltas or record sizes that do not agree; a control batch; a producer id without a sequence; a null key where the topic is compacted | 87 |
//! | a timestamp outside the topic's bounds, or one that claims to be the broker's where it is not the producer's to give | 32 |
//! | an unknown codec, zstd below v7, a codec that this program was built without and that would be needed | 76 |
//!
//! Whether a transactional batch belongs to a transaction is not looked at: who appends has verified it.
//! Bytes behind the batch that are no whole batch are left out, as Kafka does. Uncompressed records are walked
//! once; compressed ones are opened only where null keys are forbidden or the topic has a codec of its own. Where the
//! header's greatest timestamp is not that of the records, or the topic's time is the broker's, the header is changed
//! and its checksum with it.
//!
//! `compression.type` other than `producer` is the codec of the log: a batch of another one is opened, checked as an
//! uncompressed one is, and packed anew around the same records; so offsets, times, producer and sequences stay. What
//! has the codec already is kept as it is, whatever its level. Both sizes are held against `max.message.bytes`, that
//! which came and that which is stored.

use super::common::legacy_code;
use crate::clock::Now;
use crate::config::{LogConfig, TimestampType};
use crate::proto::batch::{self, Batch, BatchError, BatchHeader, RecordSummary, Stamp};
use crate::proto::codec::{Codec, CodecError};
use crate::proto::error::ErrorCode;
use crate::proto::legacy;
use crate::storage::{NewBatch, Refused};
use std::borrow::Cow;

/// Records that a refusal names.
const MAX_BLAMED: usize = 100;

/// The records that a request of this version has for a partition, as one batch of format 2: converted where an old
/// client sent them, and what came elsewhere.
pub(super) fn in_todays_format(
    records: Option<&[u8]>,
    version: i16,
    cap_bytes: usize,
) -> Result<Cow<'_, [u8]>, Refused> {
    let records = records.ok_or(invalid("The request has no records for the partition."))?;
    if version < 3 && matches!(batch::magic_of(records), Some(0 | 1)) {
        let batch = legacy::to_batch(records, cap_bytes);
        return batch.map(Cow::Owned).map_err(|e| legacy_code(&e).into());
    }
    let is_zstd = |batch: &Batch<'_>| batch.header().attributes.codec() == Some(Codec::Zstd);
    if version < 7 && Batch::split_first(records).is_ok_and(|(first, _)| is_zstd(&first)) {
        return Err(Refused::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            "Produce requests with version 6 or below are not allowed to use ZStandard compression",
        ));
    }
    Ok(Cow::Borrowed(records))
}

/// Checks what a client has sent for a partition. The topic's bounds hold where `has_bounds`: while the clock itself is
/// in doubt, no producer's time is.
pub(super) fn check<'a>(
    records: &'a [u8],
    config: &LogConfig,
    (now, has_bounds): (Now, bool),
) -> Result<NewBatch<'a>, Refused> {
    let batch = only_batch(records)?;
    let mut header = *batch.header();
    if header.base_offset != 0 {
        return Err(invalid("the base offset of a produced batch must be 0"));
    }
    check_size(batch.as_bytes().len(), config)?;
    if batch.check_crc().is_err() {
        return Err(corrupt("the batch does not match its checksum"));
    }
    check_flags(&header)?;
    let codec = codec_of(&header)?;
    let stored = stored_codec(codec, config);
    let opened = match codec == Codec::None || config.compact || stored != codec {
        true => Some(open(&batch, config)?),
        false => None,
    };
    let summary = match &opened {
        Some(records) => walk(&header, records)?,
        None => of_header(&header)?,
    };
    if config.compact && summary.first_null_key.is_some() {
        return Err(blame(
            &batch,
            config.convert_max_bytes,
            ErrorCode::INVALID_RECORD,
            |record| {
                let message = "Compacted topic cannot accept message without key";
                record.key.is_none().then(|| message.to_owned())
            },
        ));
    }
    stamp(&batch, &mut header, &summary, config, (now, has_bounds))?;
    let payload = match opened {
        Some(records) if stored != codec => pack(&mut header, &records, stored, config)?,
        _ => Cow::Borrowed(batch.payload()),
    };
    Ok(NewBatch { header, payload })
}

fn codec_of(header: &BatchHeader) -> Result<Codec, Refused> {
    let unknown = Refused::new(
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        "the codec is not known",
    );
    header.attributes.codec().ok_or(unknown)
}

/// The codec that a batch of this one has in the log.
fn stored_codec(codec: Codec, config: &LogConfig) -> Codec {
    match config.compression_type.as_str() {
        "uncompressed" => Codec::None,
        name => Codec::from_name(name).unwrap_or(codec),
    }
}

/// Packs records anew, and changes the header accordingly.
fn pack(
    header: &mut BatchHeader,
    records: &[u8],
    codec: Codec,
    config: &LogConfig,
) -> Result<Cow<'static, [u8]>, Refused> {
    let level = match codec {
        Codec::Gzip => Some(config.gzip_level).filter(|level| *level > 0),
        Codec::Zstd => Some(config.zstd_level),
        _ => None,
    };
    let payload = codec.compress_at(level, records, batch::MAGIC);
    let payload = payload.map_err(refuse_codec)?.into_owned();
    header.attributes = header.attributes.with_codec(codec);
    let sealed = header.seal(&payload);
    sealed.map_err(|_| Refused::from(ErrorCode::MESSAGE_TOO_LARGE))?;
    check_size(header.size_bytes(), config)?;
    Ok(Cow::Owned(payload))
}

fn refuse_codec(error: CodecError) -> Refused {
    let code = match error {
        CodecError::Unknown | CodecError::NotBuilt => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        CodecError::CapExceeded | CodecError::Corrupt => ErrorCode::CORRUPT_MESSAGE,
    };
    Refused::new(code, error.to_string())
}

/// The one batch that a produce request may carry for a partition.
fn only_batch(records: &[u8]) -> Result<Batch<'_>, Refused> {
    let (batch, rest) = Batch::split_first(records).map_err(refuse_batch)?;
    if !rest.is_empty() {
        match Batch::split_first(rest) {
            Ok(_) => return Err(invalid("only one batch is allowed for a partition")),
            Err(BatchError::Truncated { .. }) => {}
            Err(BatchError::Magic(0 | 1)) if is_cut_short(rest) => {}
            Err(error) => return Err(refuse_batch(error)),
        }
    }
    Ok(batch)
}

/// Whether an entry of an old format claims more bytes than there are.
fn is_cut_short(entry: &[u8]) -> bool {
    let length = entry.get(8..12).and_then(|bytes| bytes.try_into().ok());
    let length = length.map_or(0, i32::from_be_bytes);
    usize::try_from(length).is_ok_and(|length| length + batch::LENGTH_PREFIX_BYTES > entry.len())
}

fn refuse_batch(error: BatchError) -> Refused {
    match error {
        BatchError::Truncated { found_bytes: 0, .. } => invalid("there is no record batch"),
        BatchError::Truncated { .. } => invalid("the record batch is not complete"),
        BatchError::Magic(0 | 1) => invalid("message formats 0 and 1 end with Produce version 2"),
        _ => corrupt("this is no record batch"),
    }
}

fn check_size(size: usize, config: &LogConfig) -> Result<(), Refused> {
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
    Ok(())
}

fn open<'a>(batch: &Batch<'a>, config: &LogConfig) -> Result<Cow<'a, [u8]>, Refused> {
    batch
        .decompress(config.convert_max_bytes)
        .map_err(refuse_codec)
}

fn walk(header: &BatchHeader, records: &[u8]) -> Result<RecordSummary, Refused> {
    batch::check_produced(header, records).map_err(|error| {
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
    batch: &Batch<'_>,
    header: &mut BatchHeader,
    summary: &RecordSummary,
    config: &LogConfig,
    (now, has_bounds): (Now, bool),
) -> Result<(), Refused> {
    let claims_ours = header.attributes.timestamp_type() == batch::TimestampType::LogAppendTime;
    let is_ours = config.timestamp_type == TimestampType::LogAppendTime;
    if claims_ours && (is_ours || summary.newest.is_none()) {
        let message = "Producer should not set timestamp type to LogAppendTime.";
        return Err(bad_record(ErrorCode::INVALID_TIMESTAMP, 0, message));
    }
    if is_ours {
        header.restamp(batch::TimestampType::LogAppendTime, now.wall_ms);
        return Ok(());
    }
    if has_bounds {
        check_bounds(batch, summary, config, now.wall_ms)?;
    }
    if claims_ours || header.max_timestamp != summary.max_timestamp() {
        header.restamp(batch::TimestampType::CreateTime, summary.max_timestamp());
    }
    Ok(())
}

fn check_bounds(
    batch: &Batch<'_>,
    summary: &RecordSummary,
    config: &LogConfig,
    now_ms: i64,
) -> Result<(), Refused> {
    let earliest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let latest = now_ms.saturating_add(config.timestamp_after_max_ms);
    let is_outside = |stamp: &Stamp| !(earliest..=latest).contains(&stamp.timestamp_ms);
    let message = |stamp: &Stamp| {
        format!(
            "Timestamp {} of message with offset {} is out of range. \
             The timestamp should be within [{earliest}, {latest}]",
            stamp.timestamp_ms, stamp.index
        )
    };
    let Some(first) = [summary.oldest, summary.newest]
        .into_iter()
        .flatten()
        .find(is_outside)
    else {
        return Ok(());
    };
    let code = ErrorCode::INVALID_TIMESTAMP;
    if batch.header().attributes.codec() != Some(Codec::None) {
        return Err(bad_record(code, first.index, message(&first)));
    }
    Err(blame(batch, config.convert_max_bytes, code, |record| {
        let timestamp_ms = batch.header().record_timestamp(record.timestamp_delta);
        let index = record.offset_delta;
        let stamp = Stamp {
            index,
            timestamp_ms,
        };
        (timestamp_ms != batch::NO_TIMESTAMP && is_outside(&stamp)).then(|| message(&stamp))
    }))
}

/// Names the records that are to blame, at most [`MAX_BLAMED`] of them. Only for a batch that is refused: the
/// records are walked a second time.
fn blame(
    batch: &Batch<'_>,
    cap_bytes: usize,
    code: ErrorCode,
    fault: impl Fn(&batch::Record<'_>) -> Option<String>,
) -> Refused {
    let plain = batch.decompress(cap_bytes).unwrap_or_default();
    let records = batch.records(&plain).map_while(Result::ok);
    let blamed = (0..)
        .zip(records)
        .filter_map(|(index, record)| Some((index, Some(fault(&record)?))));
    refuse_records(code, blamed.take(MAX_BLAMED).collect())
}

fn invalid(message: &'static str) -> Refused {
    Refused::new(ErrorCode::INVALID_RECORD, message)
}

fn corrupt(message: &'static str) -> Refused {
    Refused::new(ErrorCode::CORRUPT_MESSAGE, message)
}

/// One record is to blame.
fn bad_record(code: ErrorCode, index: i32, message: impl Into<String>) -> Refused {
    refuse_records(code, vec![(index, Some(message.into()))])
}

fn refuse_records(code: ErrorCode, record_errors: Vec<(i32, Option<String>)>) -> Refused {
    let why = match code {
        ErrorCode::INVALID_TIMESTAMP => "invalid timestamp".to_owned(),
        _ => format!("{} record errors in total", record_errors.len()),
    };
    let message = format!("One or more records have been rejected due to {why}");
    Refused {
        record_errors,
        ..Refused::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Mono;
    use crate::proto::batch::BatchBuilder;

    const NOW: Now = Now {
        mono: Mono(0),
        wall_ms: 1_800_000_000_000,
    };

    fn check<'a>(records: &'a [u8], config: &LogConfig, now: Now) -> Result<NewBatch<'a>, Refused> {
        super::check(records, config, (now, true))
    }

    fn config() -> LogConfig {
        LogConfig {
            segment_bytes: 4000,
            max_message_bytes: 5000,
            timestamp_before_max_ms: 1000,
            timestamp_after_max_ms: 500,
            ..LogConfig::default()
        }
    }

    fn builder(value_bytes: usize) -> BatchBuilder {
        let mut builder = BatchBuilder::new(0);
        builder.push(NOW.wall_ms - 3, Some(b"key"), Some(&vec![1; value_bytes]));
        builder.push(NOW.wall_ms + 7, Some(b"key"), None);
        builder
    }

    fn good() -> Vec<u8> {
        builder(10).build(None).unwrap()
    }

    fn code(records: &[u8]) -> i16 {
        check(records, &config(), NOW).map_or_else(|refused| refused.code.0, |_| 0)
    }

    fn written(checked: &NewBatch<'_>) -> Vec<u8> {
        [&checked.header.to_bytes()[..], &checked.payload].concat()
    }

    /// The batch with its header changed, and the checksum made right.
    fn with_header(change: impl Fn(&mut BatchHeader)) -> Vec<u8> {
        let mut bytes = good();
        let mut header = BatchHeader::from_bytes(bytes.first_chunk().unwrap());
        change(&mut header);
        bytes[..61].copy_from_slice(&header.to_bytes());
        header.crc = crc32c::crc32c(&bytes[21..]);
        bytes[..61].copy_from_slice(&header.to_bytes());
        bytes
    }

    #[test]
    fn a_good_batch_passes_as_it_is() {
        let bytes = good();
        let checked = check(&bytes, &config(), NOW).unwrap();
        assert_eq!(checked.header.to_bytes(), bytes[..61]);
        assert!(matches!(checked.payload, Cow::Borrowed(payload) if payload == &bytes[61..]));
    }

    #[test]
    fn bytes_behind_the_batch_are_trimmed_unless_they_are_another() {
        let bytes = good();
        for len in 1..bytes.len() {
            assert_eq!(code(&[&bytes, &bytes[..len]].concat()), 0, "{len}");
        }
        assert_eq!(code(&[&bytes[..], &bytes].concat()), 87);
        assert_eq!(code(&[&bytes[..], &[0; 80]].concat()), 2);
        assert_eq!(code(&[&bytes[..], &[1; 20]].concat()), 0);
    }

    #[test]
    fn half_batches_are_invalid_and_zeros_are_corrupt() {
        let bytes = good();
        for len in 0..bytes.len() {
            assert_eq!(code(&bytes[..len]), 87, "{len}");
        }
        assert_eq!(code(&[0; 100]), 2);
    }

    #[test]
    fn every_flipped_bit_behind_the_epoch_is_refused() {
        let bytes = good();
        for bit in 16 * 8..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 == 16 && matches!(bad[16], 0 | 1) {
                87
            } else {
                2
            };
            assert_eq!(code(&bad), expected, "{bit}");
        }
    }

    #[test]
    fn flags_counts_and_offsets_that_no_client_may_send_are_refused() {
        let attributes = |set: fn(batch::Attributes) -> batch::Attributes| {
            with_header(move |h| h.attributes = set(h.attributes))
        };
        assert_eq!(code(&with_header(|h| h.base_offset = 1)), 87);
        assert_eq!(code(&attributes(|a| a.with_control(true))), 87);
        assert_eq!(code(&attributes(|a| a.with_transactional(true))), 0);
        assert_eq!(code(&attributes(|_| batch::Attributes(7))), 76);
        assert_eq!(code(&with_header(|h| h.producer_id = 5)), 87);
        for count in [-1, 0, 1, 3] {
            assert_eq!(
                code(&with_header(|h| h.record_count = count)),
                87,
                "{count}"
            );
            let both = with_header(|h| (h.record_count, h.last_offset_delta) = (count, count - 1));
            assert_eq!(code(&both), 87, "{count}");
        }
    }

    #[test]
    fn sizes_are_held_against_the_topic_and_the_segment() {
        assert_eq!(code(&builder(3800).build(None).unwrap()), 0);
        assert_eq!(code(&builder(4000).build(None).unwrap()), 18);
        assert_eq!(code(&builder(5000).build(None).unwrap()), 10);
    }

    #[test]
    fn times_outside_the_bounds_are_refused_with_the_records_to_blame() {
        let cases: [([i64; 2], &[i32]); 3] = [
            ([-1001, 0], &[0]),
            ([0, 501], &[1]),
            ([501, -1001], &[0, 1]),
        ];
        for (times, indexes) in cases {
            let mut builder = BatchBuilder::new(0);
            for time in times {
                builder.push(NOW.wall_ms + time, None, None);
            }
            let bytes = builder.build(None).unwrap();
            let refused = check(&bytes, &config(), NOW).unwrap_err();
            assert_eq!(refused.code, ErrorCode::INVALID_TIMESTAMP);
            let blamed: Vec<i32> = refused.record_errors.iter().map(|e| e.0).collect();
            assert_eq!(blamed, indexes);
            assert!(
                super::check(&bytes, &config(), (NOW, false)).is_ok(),
                "a clock in doubt"
            );
        }
        for time in [NOW.wall_ms - 1000, NOW.wall_ms + 500, -1] {
            let mut builder = BatchBuilder::new(0);
            builder.push(time, None, None);
            assert_eq!(code(&builder.build(None).unwrap()), 0, "{time}");
        }
    }

    #[test]
    fn a_producer_that_claims_the_brokers_time_gets_its_own_or_is_refused() {
        let claims = builder(1).build(Some(NOW.wall_ms)).unwrap();
        let checked = check(&claims, &config(), NOW).unwrap();
        let stored = checked.header.attributes.timestamp_type();
        assert_eq!(stored, batch::TimestampType::CreateTime);
        let stamped = LogConfig {
            timestamp_type: TimestampType::LogAppendTime,
            ..config()
        };
        let refused = check(&claims, &stamped, NOW).unwrap_err();
        assert_eq!(refused.code, ErrorCode::INVALID_TIMESTAMP);
    }

    #[test]
    fn the_broker_s_time_is_written_with_a_right_checksum() {
        let stamped = LogConfig {
            timestamp_type: TimestampType::LogAppendTime,
            ..config()
        };
        let bytes = good();
        let checked = check(&bytes, &stamped, NOW).unwrap();
        assert_eq!(checked.header.max_timestamp, NOW.wall_ms);
        let written = written(&checked);
        let (batch, _) = Batch::split_first(&written).unwrap();
        assert_eq!(batch.check_crc(), Ok(()));
        assert_eq!(batch.header().record_timestamp(12345), NOW.wall_ms);
    }

    #[test]
    fn a_wrong_greatest_time_is_put_right() {
        let bytes = with_header(|h| h.max_timestamp = 0);
        let checked = check(&bytes, &config(), NOW).unwrap();
        assert_eq!(checked.header.max_timestamp, NOW.wall_ms + 7);
        assert_eq!(checked.header.crc, crc32c::crc32c(&written(&checked)[21..]));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn null_keys_are_refused_where_the_topic_is_compacted_also_when_compressed() {
        let compacted = LogConfig {
            compact: true,
            ..config()
        };
        for codec in [Codec::None, Codec::Gzip] {
            let good = builder(10).codec(codec).build(None).unwrap();
            assert!(check(&good, &compacted, NOW).is_ok());
            let mut builder = builder(10).codec(codec);
            builder.push(NOW.wall_ms, None, Some(b"value"));
            let bytes = builder.build(None).unwrap();
            let refused = check(&bytes, &compacted, NOW).unwrap_err();
            assert_eq!(refused.code, ErrorCode::INVALID_RECORD);
            assert_eq!(refused.record_errors[0].0, 2);
            assert!(check(&bytes, &config(), NOW).is_ok());
        }
    }

    fn of_codec(name: &str) -> LogConfig {
        LogConfig {
            compression_type: name.to_owned(),
            ..config()
        }
    }

    #[test]
    fn a_batch_of_another_codec_is_packed_anew_around_the_same_records() {
        let plain = good();
        let records = &plain[61..];
        let built = |codec: &Codec| codec.is_built();
        for from in Codec::ALL.into_iter().filter(built) {
            for to in Codec::ALL.into_iter().filter(built) {
                let builder = builder(10).codec(from).transactional().producer(5, 6, 7);
                let bytes = builder.build(None).unwrap();
                let name = match to {
                    Codec::None => "uncompressed",
                    _ => to.name(),
                };
                let checked = check(&bytes, &of_codec(name), NOW).unwrap();
                let written = written(&checked);
                let (batch, rest) = Batch::split_first(&written).unwrap();
                assert!(rest.is_empty());
                assert_eq!(batch.check_crc(), Ok(()), "{from:?} {to:?}");
                let (before, _) = Batch::split_first(&bytes).unwrap();
                let expected = BatchHeader {
                    attributes: before.header().attributes.with_codec(to),
                    batch_length: batch.header().batch_length,
                    crc: batch.header().crc,
                    ..*before.header()
                };
                assert_eq!(*batch.header(), expected);
                assert_eq!(batch.decompress(1 << 20).unwrap(), records);
                let is_kept = matches!(checked.payload, Cow::Borrowed(_));
                assert_eq!(is_kept, from == to);
            }
        }
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn what_is_packed_anew_is_checked_as_if_it_had_come_plain() {
        let gzip = of_codec("gzip");
        let wrong_time = with_header(|header| header.max_timestamp = 0);
        let checked = check(&wrong_time, &gzip, NOW).unwrap();
        assert_eq!(checked.header.max_timestamp, NOW.wall_ms + 7);
        let mut damaged = good();
        damaged[65] ^= 1;
        let mut header = BatchHeader::from_bytes(damaged.first_chunk().unwrap());
        header.seal(&damaged[61..]).expect("a small batch");
        damaged[..61].copy_from_slice(&header.to_bytes());
        assert_eq!(check(&damaged, &gzip, NOW).unwrap_err().code.0, 87);
        let stamped = LogConfig {
            timestamp_type: TimestampType::LogAppendTime,
            ..gzip
        };
        let plain = good();
        let checked = check(&plain, &stamped, NOW).unwrap();
        let bytes = written(&checked);
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        assert_eq!(batch.check_crc(), Ok(()));
        assert_eq!(batch.header().record_timestamp(0), NOW.wall_ms);
        assert_eq!(batch.header().attributes.codec(), Some(Codec::Gzip));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn both_sizes_of_a_batch_that_is_packed_anew_must_fit() {
        let code = |bytes: &[u8], name: &str| {
            check(bytes, &of_codec(name), NOW).map_or_else(|refused| refused.code.0, |_| 0)
        };
        let large = builder(5000).build(None).unwrap();
        assert_eq!(code(&large, "gzip"), 10);
        let packed = builder(5000).codec(Codec::Gzip).build(None).unwrap();
        assert_eq!(code(&packed, "gzip"), 0);
        assert_eq!(code(&packed, "uncompressed"), 10);
        let packed = builder(3950).codec(Codec::Gzip).build(None).unwrap();
        assert_eq!(code(&packed, "uncompressed"), 18);
    }
}
