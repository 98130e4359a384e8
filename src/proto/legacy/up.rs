//! From a message set to a batch, for what old producers send.

use super::LegacyError;
use super::message::Message;
use crate::proto::batch::{BatchBuilder, TimestampType};
use crate::proto::codec::Codec;

/// Converts a whole message set into one batch of format 2 with base offset 0, as a broker does on Produce 0-2.
///
/// All messages have the same format, and a wrapper stands alone; its codec is kept. `cap_bytes` bounds what a
/// wrapper may decompress to. Records of format 0
/// have no timestamp (-1); a wrapper with log-append time gives its own to its records, and the batch counts as
/// one with the producer's timestamps. A message cut off at the end of the set is ignored, as in Kafka.
pub fn to_batch(set: &[u8], cap_bytes: usize) -> Result<Vec<u8>, LegacyError> {
    let Some((first, rest)) = Message::split_first(set)? else {
        return Err(LegacyError::Invalid("a message set without a message"));
    };
    let codec = first.codec()?;
    let mut builder = BatchBuilder::new(0).codec(codec);
    if codec == Codec::None {
        push_plain(&mut builder, set, first.magic)?;
    } else if Message::split_first(rest)?.is_some() {
        return Err(LegacyError::Invalid("more than one compressed message set"));
    } else {
        push_wrapped(&mut builder, &first, cap_bytes)?;
    }
    Ok(builder.build(None)?)
}

fn push_plain(builder: &mut BatchBuilder, set: &[u8], magic: i8) -> Result<(), LegacyError> {
    let mut rest = set;
    while let Some((message, next)) = Message::split_first(rest)? {
        check_plain(&message, magic)?;
        builder.push(message.timestamp, message.key, message.value);
        rest = next;
    }
    Ok(())
}

fn push_wrapped(
    builder: &mut BatchBuilder,
    wrapper: &Message<'_>,
    cap_bytes: usize,
) -> Result<(), LegacyError> {
    let set = wrapper.unwrap_set(cap_bytes)?;
    let mut rest = &set[..];
    let mut last_offset = None;
    while let Some((message, next)) = Message::split_first(rest)? {
        check_plain(&message, wrapper.magic)?;
        let timestamp = match wrapper.timestamp_type() {
            TimestampType::CreateTime => message.timestamp,
            TimestampType::LogAppendTime => wrapper.timestamp,
        };
        builder.push(timestamp, message.key, message.value);
        last_offset = Some(message.offset);
        rest = next;
    }
    if !rest.is_empty() {
        return Err(LegacyError::Invalid("a message cut off inside its wrapper"));
    }
    check_wrapper_offset(wrapper, last_offset)
}

fn check_plain(message: &Message<'_>, magic: i8) -> Result<(), LegacyError> {
    if message.magic != magic {
        return Err(LegacyError::Invalid(
            "messages of different formats in one set",
        ));
    }
    match message.codec()? {
        Codec::None => Ok(()),
        _ => Err(LegacyError::Invalid("a compressed message among others")),
    }
}

/// A wrapper of format 1 has the offset of its last message, or 0 from some producers, although the offsets
/// inside are relative. They do not matter further: all records are numbered anew.
fn check_wrapper_offset(
    wrapper: &Message<'_>,
    last_offset: Option<i64>,
) -> Result<(), LegacyError> {
    match last_offset {
        None => Err(LegacyError::Invalid(
            "a compressed message set without a message",
        )),
        Some(last) if wrapper.magic > 0 && wrapper.offset != 0 && wrapper.offset < last => Err(
            LegacyError::Invalid("a wrapper's offset is less than its last message's"),
        ),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::{Batch, TimestampType, check_produced};
    use crate::proto::legacy::message::Style;
    use crate::proto::samples::{Random, sample, samples};

    const CAP_BYTES: usize = 1 << 16;

    /// A record as tests look at it: timestamp, key, value.
    type Seen = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

    fn records_of(batch: &[u8]) -> Vec<Seen> {
        let (batch, rest) = Batch::split_first(batch).unwrap();
        assert!(rest.is_empty() && batch.check_crc().is_ok());
        let plain = batch.decompress(CAP_BYTES).unwrap();
        check_produced(batch.header(), &plain).unwrap();
        let records = batch.records(&plain).map(Result::unwrap);
        let seen = records.map(|record| {
            let timestamp = batch.header().record_timestamp(record.timestamp_delta);
            (
                timestamp,
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
            )
        });
        seen.collect()
    }

    fn plain(magic: i8) -> Style {
        Style {
            magic,
            codec: Codec::None,
            timestamp_type: TimestampType::CreateTime,
        }
    }

    fn wrapper(magic: i8, codec: Codec, offset: i64, inner: &[u8]) -> Vec<u8> {
        let style = Style {
            codec,
            ..plain(magic)
        };
        let value = codec.compress(inner, magic).unwrap();
        let mut set = Vec::new();
        style
            .write(&mut set, offset, 9, None, Some(&value))
            .unwrap();
        set
    }

    fn set_of(magic: i8, count: i64) -> Vec<u8> {
        let mut set = Vec::new();
        for offset in 0..count {
            plain(magic)
                .write(&mut set, offset, offset, Some(b"k"), None)
                .unwrap();
        }
        set
    }

    fn is_invalid(set: &[u8]) -> bool {
        matches!(to_batch(set, CAP_BYTES), Err(LegacyError::Invalid(_)))
    }

    #[test]
    fn sets_of_real_clients_become_batches() {
        let samples = [samples("java-set"), samples("python-set")].concat();
        assert_eq!(samples.len(), 15);
        for (name, set) in samples {
            let batch = match to_batch(&set, CAP_BYTES) {
                Err(LegacyError::UnsupportedCodec) => continue,
                batch => batch.unwrap(),
            };
            let codec = Batch::split_first(&batch)
                .unwrap()
                .0
                .header()
                .attributes
                .codec();
            assert!(name.contains(codec.unwrap().name()), "{name}");
            let stamps = match name {
                _ if name.contains("set0") => [-1; 3],
                _ if name.contains("append") => [1_700_000_000_777; 3],
                _ => [1_700_000_000_100, 1_700_000_000_300, 1_700_000_000_200],
            };
            let value = b"value value value value".to_vec();
            let expected = [
                (stamps[0], Some(b"key".to_vec()), Some(value)),
                (stamps[1], None, Some(Vec::new())),
                (stamps[2], Some(Vec::new()), None),
            ];
            assert_eq!(records_of(&batch), expected, "{name}");
        }
    }

    #[test]
    fn a_tail_that_was_cut_off_is_ignored_and_nothing_at_all_is_invalid() {
        let set = set_of(1, 3);
        let one_bytes = set.len() / 3;
        for cut in 0..set.len() {
            let result = to_batch(&set[..cut], CAP_BYTES);
            match cut / one_bytes {
                0 => assert!(matches!(result, Err(LegacyError::Invalid(_)))),
                whole => assert_eq!(records_of(&result.unwrap()).len(), whole),
            }
        }
    }

    #[test]
    fn mixtures_that_no_broker_accepts_are_invalid() {
        assert!(is_invalid(&[set_of(1, 1), set_of(0, 1)].concat()));
        let mut then_batch = set_of(1, 1);
        then_batch.extend(sample("java-batch-none"));
        assert!(is_invalid(&then_batch));
        assert!(is_invalid(&sample("java-batch-none")));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn wrappers_that_no_broker_accepts_are_invalid() {
        let inner = set_of(1, 2);
        let good = wrapper(1, Codec::Gzip, 1, &inner);
        assert_eq!(records_of(&to_batch(&good, CAP_BYTES).unwrap()).len(), 2);
        assert!(is_invalid(&good.repeat(2)), "two wrappers");
        assert!(
            is_invalid(&[&good[..], &inner].concat()),
            "a wrapper and messages"
        );
        assert!(
            is_invalid(&[&inner[..], &good].concat()),
            "messages and a wrapper"
        );
        assert!(
            is_invalid(&wrapper(1, Codec::Gzip, 1, &good)),
            "a wrapper in a wrapper"
        );
        assert!(
            is_invalid(&wrapper(1, Codec::Gzip, 1, b"")),
            "an empty wrapper"
        );
        assert!(is_invalid(&wrapper(
            1,
            Codec::Gzip,
            1,
            &inner[..inner.len() - 1]
        )));
        assert!(
            is_invalid(&wrapper(0, Codec::Gzip, 1, &inner)),
            "other magic"
        );
        assert!(
            is_invalid(&wrapper(1, Codec::Gzip, 9, &set_of(1, 11))),
            "wrapper offset"
        );
        assert!(!is_invalid(&wrapper(1, Codec::Gzip, 0, &set_of(1, 11))));
        assert!(!is_invalid(&wrapper(0, Codec::Gzip, 1, &set_of(0, 11))));
        let mut null = Vec::new();
        let style = Style {
            codec: Codec::Gzip,
            ..plain(1)
        };
        style.write(&mut null, 0, 0, None, None).unwrap();
        assert!(is_invalid(&null), "no value");
        let tight = to_batch(&good, inner.len() - 1);
        assert_eq!(tight, Err(LegacyError::TooLarge));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn a_wrapper_with_append_time_gives_it_to_its_messages() {
        let style = Style {
            codec: Codec::Gzip,
            timestamp_type: TimestampType::LogAppendTime,
            ..plain(1)
        };
        let inner = set_of(1, 2);
        let value = Codec::Gzip.compress(&inner, 1).unwrap();
        let mut set = Vec::new();
        style.write(&mut set, 1, 5000, None, Some(&value)).unwrap();
        let records = records_of(&to_batch(&set, CAP_BYTES).unwrap());
        let timestamps: Vec<_> = records.iter().map(|record| record.0).collect();
        assert_eq!(timestamps, [5000, 5000]);
    }

    #[test]
    fn zstd_is_no_codec_of_message_sets() {
        let mut set = Vec::new();
        let style = Style {
            codec: Codec::Zstd,
            ..plain(1)
        };
        style.write(&mut set, 0, 0, None, Some(b"x")).unwrap();
        assert!(is_invalid(&set));
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn damage_is_corrupt_wherever_it_is() {
        let set = sample("java-set1-gzip");
        for position in 16..set.len() {
            let mut damaged = set.clone();
            damaged[position] ^= 0x40;
            let result = to_batch(&damaged, CAP_BYTES);
            assert!(matches!(result, Err(LegacyError::Corrupt(_))), "{position}");
        }
        let mut inner = set_of(1, 1);
        inner[20] ^= 1;
        let result = to_batch(&wrapper(1, Codec::Gzip, 0, &inner), CAP_BYTES);
        assert!(matches!(result, Err(LegacyError::Corrupt(_))));
        let garbage = {
            let mut set = Vec::new();
            let style = Style {
                codec: Codec::Gzip,
                ..plain(1)
            };
            style.write(&mut set, 0, 0, None, Some(b"no gzip")).unwrap();
            set
        };
        let result = to_batch(&garbage, CAP_BYTES);
        assert!(matches!(result, Err(LegacyError::Corrupt(_))));
    }

    #[test]
    fn random_sets_keep_their_records_and_random_bytes_never_panic() {
        let mut random = Random::new(5);
        let built: Vec<_> = Codec::ALL
            .into_iter()
            .filter(|codec| codec.is_built())
            .collect();
        for round in 0..500 {
            let magic = (round % 2) as i8;
            let mut expected = Vec::new();
            let mut inner = Vec::new();
            for offset in 0..1 + random.below(6) as i64 {
                let timestamp = random.next() as i64 >> 8;
                let key = (random.below(3) > 0).then(|| random.bytes_below(20));
                let value = (random.below(3) > 0).then(|| random.bytes_below(200));
                let style = plain(magic);
                style
                    .write(
                        &mut inner,
                        offset,
                        timestamp,
                        key.as_deref(),
                        value.as_deref(),
                    )
                    .unwrap();
                expected.push((if magic == 0 { -1 } else { timestamp }, key, value));
            }
            let set = match built[random.below(built.len())] {
                Codec::None | Codec::Zstd => inner,
                codec => wrapper(magic, codec, 0, &inner),
            };
            assert_eq!(records_of(&to_batch(&set, CAP_BYTES).unwrap()), expected);
            let mut damaged = set;
            let position = random.below(damaged.len());
            damaged[position] = random.next() as u8;
            let _ = to_batch(&damaged, CAP_BYTES);
        }
    }
}
