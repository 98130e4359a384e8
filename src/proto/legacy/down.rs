//! From batches to a message set, for what old consumers fetch.

use super::LegacyError;
use super::message::Style;
use crate::proto::batch::{Batch, BatchError, BatchHeader, NO_TIMESTAMP, Record, RecordError};
use crate::proto::codec::Codec;

/// What an old fetch wants.
#[derive(Clone, Copy, Debug)]
pub struct DownConversion {
    /// 0 for Fetch 0-1, 1 for Fetch 2-3.
    pub magic: i8,
    /// The offset asked for. Uncompressed records below it are left out, because a message set has no batch that
    /// would carry them and some librdkafka hand every message on; wrappers stay whole.
    pub first_offset: i64,
    /// No further message or wrapper is added that would make the set larger than this; the first one always is.
    pub limit_bytes: usize,
    /// What one batch may decompress to.
    pub cap_bytes: usize,
}

/// A message set and how far it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The messages; empty if there were only control batches.
    pub bytes: Vec<u8>,
    /// The offset after the last record that was converted or left out: where to read on. It is the offset asked
    /// for if there was no whole batch.
    pub next_offset: i64,
}

/// Converts batches of format 2, in order, until the limit or the last whole batch. Offsets are kept, headers
/// are dropped and control batches are skipped.
///
/// Zstandard does not exist in the old formats: that is [`LegacyError::UnsupportedCodec`], unless something was
/// converted before it, which is then the answer.
pub fn to_message_set(batches: &[u8], wanted: &DownConversion) -> Result<Converted, LegacyError> {
    let mut converted = Converted {
        bytes: Vec::new(),
        next_offset: wanted.first_offset,
    };
    let mut rest = batches;
    loop {
        let (batch, next) = match Batch::split_first(rest) {
            Ok(split) => split,
            Err(BatchError::Truncated { .. }) => return Ok(converted),
            Err(_) => return Err(LegacyError::Corrupt("a damaged batch in the log")),
        };
        match add_batch(&mut converted, &batch, wanted) {
            Ok(Progress::All) => rest = next,
            Ok(Progress::Full) => return Ok(converted),
            Err(LegacyError::UnsupportedCodec) if !converted.bytes.is_empty() => {
                return Ok(converted);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether a batch was dealt with, or the set had no room for all of it.
enum Progress {
    All,
    Full,
}

fn add_batch(
    converted: &mut Converted,
    batch: &Batch<'_>,
    wanted: &DownConversion,
) -> Result<Progress, LegacyError> {
    let header = batch.header();
    let progress = if header.attributes.is_control() {
        Progress::All
    } else if header.attributes.codec() == Some(Codec::None) {
        add_messages(converted, batch, wanted)?
    } else {
        add_wrapper(converted, batch, wanted)?
    };
    if let Progress::All = progress {
        converted.next_offset = header.next_offset();
    }
    Ok(progress)
}

fn add_messages(
    converted: &mut Converted,
    batch: &Batch<'_>,
    wanted: &DownConversion,
) -> Result<Progress, LegacyError> {
    let header = batch.header();
    let style = style_of(header, wanted.magic, Codec::None);
    for record in batch.records(batch.payload()) {
        let record = record.map_err(damaged)?;
        let offset = offset_of(header, &record);
        if offset < wanted.first_offset {
            continue;
        }
        let size_bytes = style.size_bytes(record.key, record.value);
        if !has_room(converted, size_bytes, wanted.limit_bytes) {
            return Ok(Progress::Full);
        }
        let timestamp = header.record_timestamp(record.timestamp_delta);
        let set = &mut converted.bytes;
        style.write(set, offset, timestamp, record.key, record.value)?;
        converted.next_offset = offset.saturating_add(1);
    }
    Ok(Progress::All)
}

fn add_wrapper(
    converted: &mut Converted,
    batch: &Batch<'_>,
    wanted: &DownConversion,
) -> Result<Progress, LegacyError> {
    let header = batch.header();
    let codec = match header.attributes.codec() {
        Some(Codec::Zstd) => return Err(LegacyError::UnsupportedCodec),
        codec => codec.ok_or(LegacyError::Corrupt("a batch with an unknown codec"))?,
    };
    let style = style_of(header, wanted.magic, codec);
    let records = batch.decompress(wanted.cap_bytes)?;
    let Some(inner) = inner_set(batch, &records, wanted.magic)? else {
        return Ok(Progress::All);
    };
    let value = codec.compress(&inner.set, wanted.magic)?;
    if !has_room(
        converted,
        style.size_bytes(None, Some(&value)),
        wanted.limit_bytes,
    ) {
        return Ok(Progress::Full);
    }
    let set = &mut converted.bytes;
    style.write(
        set,
        inner.last_offset,
        inner.max_timestamp,
        None,
        Some(&value),
    )?;
    Ok(Progress::All)
}

/// What a wrapper holds and what its own fields say of it.
struct InnerSet {
    set: Vec<u8>,
    last_offset: i64,
    max_timestamp: i64,
}

/// Writes the messages of a wrapper: offsets count from the first record in format 1 and are absolute in format
/// 0. `None` if compaction has left no record.
fn inner_set(
    batch: &Batch<'_>,
    records: &[u8],
    magic: i8,
) -> Result<Option<InnerSet>, LegacyError> {
    let header = batch.header();
    let style = style_of(header, magic, Codec::None);
    let mut first_offset = None;
    let mut inner = InnerSet {
        set: Vec::new(),
        last_offset: header.base_offset,
        max_timestamp: NO_TIMESTAMP,
    };
    for record in batch.records(records) {
        let record = record.map_err(damaged)?;
        let offset = offset_of(header, &record);
        let base_offset = if magic > 0 {
            *first_offset.get_or_insert(offset)
        } else {
            0
        };
        let timestamp = header.record_timestamp(record.timestamp_delta);
        let set = &mut inner.set;
        style.write(
            set,
            offset.wrapping_sub(base_offset),
            timestamp,
            record.key,
            record.value,
        )?;
        inner.last_offset = offset;
        inner.max_timestamp = inner.max_timestamp.max(timestamp);
    }
    Ok((!inner.set.is_empty()).then_some(inner))
}

fn style_of(header: &BatchHeader, magic: i8, codec: Codec) -> Style {
    Style {
        magic,
        codec,
        timestamp_type: header.attributes.timestamp_type(),
    }
}

fn offset_of(header: &BatchHeader, record: &Record<'_>) -> i64 {
    header
        .base_offset
        .saturating_add(i64::from(record.offset_delta))
}

fn has_room(converted: &Converted, size_bytes: usize, limit_bytes: usize) -> bool {
    converted.bytes.is_empty() || size_bytes <= limit_bytes.saturating_sub(converted.bytes.len())
}

fn damaged(_: RecordError) -> LegacyError {
    LegacyError::Corrupt("a damaged record in the log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::BatchBuilder;
    use crate::proto::legacy::message::Message;
    use crate::proto::samples::{Random, sample};

    fn all(magic: i8) -> DownConversion {
        DownConversion {
            magic,
            first_offset: 0,
            limit_bytes: usize::MAX,
            cap_bytes: 1 << 16,
        }
    }

    /// Offset, timestamp, key and value of a message.
    type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

    fn seen(message: &Message<'_>, base_offset: i64) -> Seen {
        (
            message.offset + base_offset,
            message.timestamp,
            message.key.map(<[u8]>::to_vec),
            message.value.map(<[u8]>::to_vec),
        )
    }

    /// Reads a set as an old consumer does.
    fn read(set: &[u8]) -> Vec<Seen> {
        let mut out = Vec::new();
        let mut rest = set;
        while let Some((message, next)) = Message::split_first(rest).unwrap() {
            rest = next;
            if message.codec() == Ok(Codec::None) {
                out.push(seen(&message, 0));
                continue;
            }
            let inner = message.unwrap_set(1 << 20).unwrap();
            let mut entries = Vec::new();
            let mut inner_rest = &inner[..];
            while let Some((entry, next)) = Message::split_first(inner_rest).unwrap() {
                entries.push(entry);
                inner_rest = next;
            }
            let last = entries.last().unwrap().offset;
            let base_offset = if message.magic > 0 {
                message.offset - last
            } else {
                0
            };
            assert_eq!(last + base_offset, message.offset);
            out.extend(entries.iter().map(|entry| seen(entry, base_offset)));
        }
        assert!(rest.is_empty());
        out
    }

    fn offsets(converted: &Converted) -> Vec<i64> {
        read(&converted.bytes).iter().map(|seen| seen.0).collect()
    }

    /// Offsets 10, 11, 12.
    fn three(builder: BatchBuilder) -> Vec<u8> {
        let mut builder = builder;
        for timestamp in [5, 7, 6] {
            builder.push(timestamp, Some(b"k"), Some(b"v"));
        }
        builder.build(None).unwrap()
    }

    #[test]
    fn plain_batches_become_the_sets_that_kafka_makes_of_them() {
        for (batch, set, first_offset) in [
            ("java-batch-none", "java-down0-none", 1001),
            ("java-batch-none", "java-down1-none", 1001),
            ("java-batch-append", "java-down1-append", 0),
        ] {
            let wanted = DownConversion {
                first_offset,
                ..all(i8::from(set.contains('1')))
            };
            let converted = to_message_set(&sample(batch), &wanted).unwrap();
            assert_eq!(converted.bytes, sample(set), "{set}");
            assert_eq!(converted.next_offset, 1005);
        }
    }

    #[test]
    fn compressed_batches_become_wrappers_with_the_contents_that_kafka_gives_them() {
        let codecs = [Codec::Gzip, Codec::Snappy, Codec::Lz4];
        for codec in codecs.into_iter().filter(|codec| codec.is_built()) {
            for magic in [0, 1] {
                let batch = sample(&format!("java-batch-{}", codec.name()));
                let expected = sample(&format!("java-down{magic}-{}", codec.name()));
                let wanted = DownConversion {
                    first_offset: 1001,
                    ..all(magic)
                };
                let converted = to_message_set(&batch, &wanted).unwrap();
                let open = |set: &[u8]| {
                    let (wrapper, rest) = Message::split_first(set).unwrap().unwrap();
                    assert!(rest.is_empty());
                    let inner = wrapper.unwrap_set(1 << 10).unwrap().into_owned();
                    (wrapper.offset, wrapper.timestamp, wrapper.codec(), inner)
                };
                assert_eq!(open(&converted.bytes), open(&expected), "{codec:?} {magic}");
            }
        }
    }

    #[cfg(feature = "lz4")]
    #[test]
    fn the_append_time_of_a_batch_stands_in_wrapper_and_messages() {
        let mut builder = BatchBuilder::new(1000).codec(Codec::Lz4);
        builder.push(1, Some(b"key"), Some(b"value value value value"));
        builder.push(2, None, Some(b""));
        builder.skip_offsets(2);
        builder.push(3, Some(b""), None);
        let batch = builder.build(Some(1_700_000_000_777)).unwrap();
        let converted = to_message_set(&batch, &all(1)).unwrap();
        assert_eq!(
            read(&converted.bytes),
            read(&sample("java-down1-lz4-append"))
        );
        let (wrapper, _) = Message::split_first(&converted.bytes).unwrap().unwrap();
        assert_eq!(wrapper.timestamp, 1_700_000_000_777);
        assert_eq!(converted.bytes[17] & 0x0f, 0x0b);
    }

    #[test]
    fn control_batches_are_skipped_and_read_past() {
        let control = three(BatchBuilder::new(10).control());
        let data = three(BatchBuilder::new(13));
        let only = to_message_set(&control, &all(1)).unwrap();
        assert_eq!((only.bytes.len(), only.next_offset), (0, 13));
        let both = to_message_set(&[control, data].concat(), &all(1)).unwrap();
        assert_eq!(offsets(&both), [13, 14, 15]);
    }

    #[test]
    fn the_limit_stops_between_messages_but_lets_the_first_through() {
        let batches = [three(BatchBuilder::new(10)), three(BatchBuilder::new(13))].concat();
        let whole = to_message_set(&batches, &all(1)).unwrap();
        let one_bytes = whole.bytes.len() / 6;
        for limit_bytes in 0..=whole.bytes.len() {
            let wanted = DownConversion {
                limit_bytes,
                first_offset: 10,
                ..all(1)
            };
            let converted = to_message_set(&batches, &wanted).unwrap();
            let count = (limit_bytes / one_bytes).max(1);
            assert_eq!(converted.bytes, whole.bytes[..count * one_bytes]);
            assert_eq!(converted.next_offset, 10 + count as i64);
        }
    }

    #[cfg(feature = "snappy")]
    #[test]
    fn the_limit_stops_between_wrappers() {
        let compressed = |base_offset| three(BatchBuilder::new(base_offset).codec(Codec::Snappy));
        let batches = [compressed(10), compressed(13)].concat();
        let wanted = DownConversion {
            limit_bytes: 150,
            first_offset: 12,
            ..all(0)
        };
        let converted = to_message_set(&batches, &wanted).unwrap();
        assert_eq!(offsets(&converted), [10, 11, 12]);
        assert_eq!(converted.next_offset, 13);
        let capped = DownConversion {
            cap_bytes: 20,
            ..wanted
        };
        assert_eq!(
            to_message_set(&batches, &capped),
            Err(LegacyError::TooLarge)
        );
    }

    #[test]
    fn zstd_ends_the_set_or_is_unsupported() {
        let zstd = sample("java-batch-zstd");
        let alone = to_message_set(&zstd, &all(1));
        assert_eq!(alone, Err(LegacyError::UnsupportedCodec));
        let after = [three(BatchBuilder::new(10)), zstd].concat();
        let converted = to_message_set(&after, &all(1)).unwrap();
        assert_eq!(offsets(&converted), [10, 11, 12]);
        assert_eq!(converted.next_offset, 13);
    }

    #[test]
    fn a_batch_cut_anywhere_ends_the_set_and_damage_is_corrupt() {
        let first = three(BatchBuilder::new(10));
        let both = [first.clone(), three(BatchBuilder::new(13))].concat();
        for cut in 0..both.len() {
            let converted = to_message_set(&both[..cut], &all(0)).unwrap();
            assert_eq!(offsets(&converted).len(), cut / first.len() * 3);
        }
        let mut damaged = first.clone();
        damaged[61] = 200;
        let result = to_message_set(&damaged, &all(0));
        assert!(matches!(result, Err(LegacyError::Corrupt(_))));
        damaged[16] = 3;
        let result = to_message_set(&damaged, &all(0));
        assert!(matches!(result, Err(LegacyError::Corrupt(_))));
    }

    #[test]
    fn random_batches_keep_their_records_and_damaged_ones_never_panic() {
        let mut random = Random::new(6);
        let codecs = Codec::ALL.into_iter().filter(|codec| *codec != Codec::Zstd);
        let built: Vec<_> = codecs.filter(|codec| codec.is_built()).collect();
        for round in 0..500 {
            let magic = (round % 2) as i8;
            let base_offset = random.below(1 << 40) as i64;
            let mut builder =
                BatchBuilder::new(base_offset).codec(built[random.below(built.len())]);
            let mut expected = Vec::new();
            let mut offset = base_offset;
            for _ in 0..1 + random.below(6) {
                let gap = random.below(3) as i32;
                builder.skip_offsets(gap);
                offset += i64::from(gap);
                let timestamp = random.below(1 << 50) as i64;
                let key = (random.below(3) > 0).then(|| random.bytes_below(20));
                let value = (random.below(3) > 0).then(|| random.bytes_below(200));
                builder.push_with_headers(
                    timestamp,
                    key.as_deref(),
                    value.as_deref(),
                    &[("h", None)],
                );
                expected.push((offset, if magic == 0 { -1 } else { timestamp }, key, value));
                offset += 1;
            }
            let batch = builder.build(None).unwrap();
            let converted = to_message_set(&batch, &all(magic)).unwrap();
            assert_eq!(read(&converted.bytes), expected);
            assert_eq!(converted.next_offset, offset);
            let mut damaged = batch;
            let position = random.below(damaged.len());
            damaged[position] = random.next() as u8;
            let _ = to_message_set(&damaged, &all(magic));
        }
    }
}
