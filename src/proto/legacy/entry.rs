//! An entry of a log that an old Kafka wrote, opened: one message, or a wrapper of several.
//!
//! A log gives every message its offset: a wrapper has that of its last message, and in format 1 those inside count
//! from their wrapper's first (KIP-31).

use super::LegacyError;
use super::message::Message;
use crate::proto::batch::TimestampType;
use crate::proto::codec::Codec;

/// What all records of an entry share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldEntry {
    /// How they are compressed.
    pub codec: Codec,
    /// Whose their timestamps are.
    pub timestamp_type: TimestampType,
}

/// A record of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldRecord<'a> {
    /// Its offset in the log.
    pub offset: i64,
    /// In ms since 1970, or -1.
    pub timestamp_ms: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

/// Shows the records of the whole entry that `bytes` hold, in order. `cap_bytes` bounds what a wrapper may decompress
/// to.
///
/// # Errors
/// When it is no whole entry, does not match its checksum, or cannot be opened. Some records may have been shown.
pub fn open_entry(
    bytes: &[u8],
    cap_bytes: usize,
    mut show: impl FnMut(OldRecord<'_>),
) -> Result<OldEntry, LegacyError> {
    let (outer, rest) =
        Message::split_first(bytes)?.ok_or(LegacyError::Corrupt("an entry is cut off"))?;
    if !rest.is_empty() {
        return Err(LegacyError::Corrupt("there is more than one entry"));
    }
    let entry = OldEntry {
        codec: outer.codec()?,
        timestamp_type: outer.timestamp_type(),
    };
    if entry.codec == Codec::None {
        show(record(&outer, &outer, 0));
        return Ok(entry);
    }
    let set = outer.unwrap_set(cap_bytes)?;
    let mut last = 0;
    each(&set, |inner| last = inner.offset)?;
    let first = match outer.magic {
        0 => 0,
        _ => outer.offset - last,
    };
    each(&set, |inner| show(record(&outer, &inner, first)))?;
    Ok(entry)
}

fn each(set: &[u8], mut show: impl FnMut(Message<'_>)) -> Result<(), LegacyError> {
    let mut rest = set;
    while let Some((message, next)) = Message::split_first(rest)? {
        show(message);
        rest = next;
    }
    match rest {
        [] => Ok(()),
        _ => Err(LegacyError::Corrupt("a message cut off inside its wrapper")),
    }
}

fn record<'a>(outer: &Message<'_>, inner: &Message<'a>, first: i64) -> OldRecord<'a> {
    let timestamp_ms = match outer.timestamp_type() {
        TimestampType::CreateTime => inner.timestamp,
        TimestampType::LogAppendTime => outer.timestamp,
    };
    OldRecord {
        offset: first + inner.offset,
        timestamp_ms,
        key: inner.key,
        value: inner.value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::legacy::message::Style;

    fn style(magic: i8, codec: Codec) -> Style {
        Style {
            magic,
            codec,
            timestamp_type: TimestampType::CreateTime,
        }
    }

    fn offsets(bytes: &[u8]) -> Result<Vec<i64>, LegacyError> {
        let mut found = Vec::new();
        open_entry(bytes, 1 << 16, |record| found.push(record.offset)).map(|_| found)
    }

    #[test]
    fn a_plain_message_is_its_own_record() {
        for magic in [0, 1] {
            let mut bytes = Vec::new();
            style(magic, Codec::None)
                .write(&mut bytes, 77, 5, Some(b"k"), None)
                .unwrap();
            let mut found = Vec::new();
            let entry = open_entry(&bytes, 100, |r| {
                assert_eq!((r.key, r.value), (Some(&b"k"[..]), None));
                found.push((r.offset, r.timestamp_ms));
            });
            assert_eq!(entry.unwrap().codec, Codec::None);
            assert_eq!(found, [(77, if magic == 0 { -1 } else { 5 })]);
            assert!(offsets(&bytes[..20]).is_err() && offsets(&bytes.repeat(2)).is_err());
        }
    }

    #[cfg(feature = "gzip")]
    #[test]
    fn a_wrapper_s_records_have_offsets_of_the_log_gaps_included() {
        for (magic, inner, expected) in [
            (0, [100, 101, 105], [100, 101, 105]),
            (1, [0, 1, 5], [100, 101, 105]),
        ] {
            let mut set = Vec::new();
            for offset in inner {
                style(magic, Codec::None)
                    .write(&mut set, offset, 9, None, Some(b"v"))
                    .unwrap();
            }
            let value = Codec::Gzip.compress(&set, magic).unwrap();
            let mut bytes = Vec::new();
            style(magic, Codec::Gzip)
                .write(&mut bytes, 105, 9, None, Some(&value))
                .unwrap();
            assert_eq!(offsets(&bytes).unwrap(), expected);
        }
    }
}
