//! One message of format 0 or 1: seen in place, and written.

use std::borrow::Cow;

use super::LegacyError;
use crate::proto::batch::{LENGTH_PREFIX_BYTES, NO_TIMESTAMP, TimestampType};
use crate::proto::codec::Codec;

const CODEC: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;

/// The bytes of offset, size, checksum, magic and attributes.
const HEADER_BYTES: usize = LENGTH_PREFIX_BYTES + 6;

/// The position of the first byte that the checksum covers, from the checksum on.
const CHECKED_FROM: usize = 4;

/// The bytes of a message without key, value and timestamp: its least size with both lengths, before the size field.
const MIN_SIZE: i32 = 14;

/// A message in the bytes that hold it, its checksum and structure verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// The message's own offset, or relative to its wrapper's first.
    pub(super) offset: i64,
    /// 0 or 1.
    pub(super) magic: i8,
    attributes: u8,
    /// In ms since 1970; -1 in format 0.
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Takes the first message off a set; `None` if the bytes end before it does.
    pub(super) fn split_first(
        set: &'a [u8],
    ) -> Result<Option<(Message<'a>, &'a [u8])>, LegacyError> {
        let Some((prefix, rest)) = set.split_first_chunk::<LENGTH_PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [a, b, c, d, e, f, g, h, size @ ..] = *prefix;
        let offset = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let size = i32::from_be_bytes(size);
        if size < MIN_SIZE {
            return Err(LegacyError::Corrupt("a message is smaller than any can be"));
        }
        match rest.split_at_checked(size.unsigned_abs() as usize) {
            Some((body, rest)) => Ok(Some((Message::read(offset, body)?, rest))),
            None => Ok(None),
        }
    }

    fn read(offset: i64, body: &'a [u8]) -> Result<Message<'a>, LegacyError> {
        let mut rest = body;
        let crc = u32::from_be_bytes(take_array(&mut rest)?);
        let [magic, attributes] = take_array(&mut rest)?;
        let magic = i8::from_be_bytes([magic]);
        if !(0..=1).contains(&magic) {
            return Err(wrong_magic(magic));
        }
        if crc != crc32fast::hash(&body[CHECKED_FROM..]) {
            return Err(LegacyError::Corrupt("a message's checksum is wrong"));
        }
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            _ => i64::from_be_bytes(take_array(&mut rest)?),
        };
        let message = Message {
            offset,
            magic,
            attributes,
            timestamp,
            key: take_nullable(&mut rest)?,
            value: take_nullable(&mut rest)?,
        };
        match rest {
            [] => Ok(message),
            _ => Err(LegacyError::Invalid("a message does not fill its size")),
        }
    }

    /// How the value is compressed, if the message is a wrapper.
    pub(super) fn codec(&self) -> Result<Codec, LegacyError> {
        match Codec::from_id(self.attributes & CODEC) {
            Some(Codec::Zstd) | None => Err(LegacyError::Invalid(
                "the message format has no such compression",
            )),
            Some(codec) => Ok(codec),
        }
    }

    /// Whose the timestamp is; messages of format 0 have none.
    pub(super) fn timestamp_type(&self) -> TimestampType {
        if self.magic > 0 && self.attributes & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// The message set inside a wrapper, at most `cap_bytes` of it.
    pub(super) fn unwrap_set(&self, cap_bytes: usize) -> Result<Cow<'a, [u8]>, LegacyError> {
        let value = self.value.ok_or(LegacyError::Invalid(
            "a compressed message set without a value",
        ))?;
        Ok(self.codec()?.decompress(value, cap_bytes, self.magic)?)
    }
}

/// What a message that is to be written says beside its offset and its contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// 0 or 1.
    pub(super) magic: i8,
    /// Not `None` in wrappers only.
    pub(super) codec: Codec,
    /// Ignored in format 0.
    pub(super) timestamp_type: TimestampType,
}

impl Style {
    fn attributes(self) -> u8 {
        match self.timestamp_type {
            TimestampType::LogAppendTime if self.magic > 0 => self.codec.id() | LOG_APPEND_TIME,
            _ => self.codec.id(),
        }
    }

    /// The bytes that [`Style::write`] appends for these contents.
    pub(super) fn size_bytes(self, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let timestamp_bytes = if self.magic > 0 { 8 } else { 0 };
        let content_bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        HEADER_BYTES + timestamp_bytes + 8 + content_bytes
    }

    /// Appends a message to a set.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), LegacyError> {
        let size = self.size_bytes(key, value) - LENGTH_PREFIX_BYTES;
        let size = i32::try_from(size).or(Err(LegacyError::TooLarge))?;
        out.extend(offset.to_be_bytes());
        out.extend(size.to_be_bytes());
        let start = out.len();
        out.extend([0; CHECKED_FROM]);
        out.extend([self.magic.to_be_bytes()[0], self.attributes()]);
        if self.magic > 0 {
            out.extend(timestamp.to_be_bytes());
        }
        write_nullable(out, key);
        write_nullable(out, value);
        let crc = crc32fast::hash(&out[start + CHECKED_FROM..]);
        out[start..start + CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }
}

/// Batches of format 2 do not stand among messages; other formats do not exist.
fn wrong_magic(magic: i8) -> LegacyError {
    match magic {
        2 => LegacyError::Invalid("messages of different formats in one set"),
        _ => LegacyError::Corrupt("a message of an unknown format"),
    }
}

fn take_nullable<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, LegacyError> {
    const WRONG: LegacyError = LegacyError::Invalid("a key or value reaches past its message");
    let length = i32::from_be_bytes(take_array(input)?);
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).or(Err(WRONG))?;
    let (field, rest) = input.split_at_checked(length).ok_or(WRONG)?;
    *input = rest;
    Ok(Some(field))
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], LegacyError> {
    let (head, rest) = input
        .split_first_chunk()
        .ok_or(LegacyError::Invalid("a message ends before its last field"))?;
    *input = rest;
    Ok(*head)
}

/// Lengths fit because the size of the whole message does.
fn write_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    let length = field.map_or(-1, |bytes| bytes.len() as i32);
    out.extend(length.to_be_bytes());
    out.extend(field.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(magic: i8, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
        let style = Style {
            magic,
            codec: Codec::None,
            timestamp_type: TimestampType::CreateTime,
        };
        let mut out = Vec::new();
        style.write(&mut out, 77, 1234, key, value).unwrap();
        assert_eq!(out.len(), style.size_bytes(key, value));
        out
    }

    #[test]
    fn a_message_comes_back_as_it_was_written() {
        for magic in [0, 1] {
            let fields = [None, Some(&b""[..]), Some(b"bytes")];
            for (key, value) in fields
                .iter()
                .flat_map(|key| fields.map(|value| (*key, value)))
            {
                let mut set = written(magic, key, value);
                set.extend(b"tail");
                let (message, rest) = Message::split_first(&set).unwrap().unwrap();
                assert_eq!(rest, b"tail");
                assert_eq!((message.offset, message.magic), (77, magic));
                assert_eq!(message.timestamp, if magic == 0 { -1 } else { 1234 });
                assert_eq!((message.key, message.value), (key, value));
                assert_eq!(message.codec(), Ok(Codec::None));
            }
        }
    }

    #[test]
    fn a_cut_is_no_message_and_a_flipped_bit_is_corrupt() {
        let set = written(1, Some(b"k"), Some(b"value"));
        for cut in 0..set.len() {
            assert_eq!(Message::split_first(&set[..cut]), Ok(None));
        }
        for bit in 12 * 8..set.len() * 8 {
            let mut damaged = set.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let result = Message::split_first(&damaged);
            let in_magic = bit / 8 == 16;
            match result {
                Err(LegacyError::Corrupt(_)) => {}
                Err(LegacyError::Invalid(_)) if in_magic => {}
                other => panic!("bit {bit}: {other:?}"),
            }
        }
    }

    #[test]
    fn sizes_and_formats_that_cannot_be_are_refused() {
        assert!(matches!(
            Message::split_first(&[0; 12]),
            Err(LegacyError::Corrupt(_))
        ));
        let mut set = written(0, None, None);
        set[16] = 2;
        assert!(matches!(
            Message::split_first(&set),
            Err(LegacyError::Invalid(_))
        ));
        set[16] = 3;
        assert!(matches!(
            Message::split_first(&set),
            Err(LegacyError::Corrupt(_))
        ));
    }

    #[test]
    fn lengths_that_do_not_fill_the_message_are_invalid() {
        let good = written(1, Some(b"key"), Some(b"value"));
        for (position, value) in [
            (26, 4),
            (26, -2),
            (26, i32::MAX),
            (33, 4),
            (33, 6),
            (33, -1),
        ] {
            let mut wrong = good.clone();
            wrong[position..position + 4].copy_from_slice(&i32::to_be_bytes(value));
            let crc = crc32fast::hash(&wrong[16..]);
            wrong[12..16].copy_from_slice(&crc.to_be_bytes());
            let result = Message::split_first(&wrong);
            assert!(
                matches!(result, Err(LegacyError::Invalid(_))),
                "{position} {value}"
            );
        }
    }
}
