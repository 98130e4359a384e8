//! Kafka's primitive encodings, and the one macro that declares a message.
//!
//! A message is a run of fields. Two dialects of the same primitives exist, and a message version speaks
//! one of them throughout ("flexible", KIP-482):
//!
//! ```text
//!                 classic                     flexible
//! string, null    i16 length, -1              uvarint length + 1, 0
//! bytes, array    i32 length, -1              uvarint length + 1, 0
//! struct          fields                      fields, uvarint count of tags, (uvarint tag, uvarint size, value)*
//! null struct     i8 -1, else i8 1 and the struct (KIP-893), in both
//! ```
//!
//! What holds for the reader, because its input comes from strangers:
//!
//! 1. Nothing is read past the end, and no length or count is believed: a count must fit into the bytes
//!    that are left, each element taking at least its type's `MIN_SIZE`.
//! 2. A type that could take no bytes at all cannot be an array's element; it does not compile.
//! 3. An array first reserves at most 16 KiB; it grows beyond that with elements that were read.
//!    Messages nest at most four arrays deep, so claims alone never cost more than 64 KiB.
//! 4. All arrays of a message together take at most 16 MiB of memory: an element may be many times larger here than its
//!    bytes there.
//! 5. Strings are UTF-8 and at most 32,767 bytes long, in either dialect, as in Apache Kafka.
//!
//! The writer checks what it writes by the same bounds, and so never emits a length that wrapped. It stops at
//! [`MOST_OWN_BYTES`]: an answer that could not be sent is never built.

mod reader;
mod values;
mod writer;

pub(crate) use reader::Reader;
pub use values::{Maybe, Records, Text};
pub(crate) use writer::Writer;

use std::fmt;

/// The most bytes of a message, without records that lie elsewhere.
pub const MOST_OWN_BYTES: usize = 64 << 20;

/// The longest string, in bytes.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

const ENDS_EARLY: Malformed = Malformed("message ends early");
const LONG_STRING: Malformed = Malformed("string above 32767 bytes");

/// The bytes are not the message they claim to be, or a message does not fit its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// The result of reading.
pub(crate) type Result<T> = std::result::Result<T, Malformed>;

/// Reads a message of that version. Bytes behind it are ignored, as Apache Kafka ignores them.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode<'a, T: Wire<'a>>(bytes: &'a [u8], version: i16, flexible: bool) -> Result<T> {
    T::read(&mut Reader::new(bytes, version, flexible))
}

/// Appends a message in that version and returns the cuts: for each [`Records::Elsewhere`], in order, the
/// index in `out` before which those bytes belong. Fields that the version lacks are left out.
///
/// # Errors
/// When a string, an array or the whole message is too long to be written; `out` is then as it was.
pub fn encode<'a, T: Wire<'a>>(
    message: &T,
    version: i16,
    flexible: bool,
    out: &mut Vec<u8>,
) -> Result<Vec<usize>> {
    let start = out.len();
    let mut writer = Writer::new(out, version, flexible);
    message.write(&mut writer);
    writer.finish().inspect_err(|_| out.truncate(start))
}

/// Appends a message whose fields are `head` and an array, and which has no tags. The items are made one after the
/// other, so that never more than one of them takes memory beside its bytes.
///
/// # Errors
/// As [`encode`].
pub fn encode_made<'a, H: Wire<'a>, T: Wire<'a>>(
    head: &H,
    items: impl ExactSizeIterator<Item = T>,
    version: i16,
    flexible: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    let mut writer = Writer::new(out, version, flexible);
    head.write(&mut writer);
    writer.made(items);
    writer.open_tags();
    let written = writer.finish().map(drop);
    written.inspect_err(|_| out.truncate(start))
}

/// Something with an encoding in Kafka's protocol.
pub trait Wire<'a>: Sized {
    /// A lower bound, in bytes, of the encoding in any version and dialect.
    const MIN_SIZE: usize;
    /// Reads one value.
    ///
    /// # Errors
    /// When the bytes are no such value.
    fn read(r: &mut Reader<'a>) -> Result<Self>;
    /// Appends the value.
    fn write(&self, w: &mut Writer<'_>);
}

/// Declares messages and the structs inside them. A field is `name: Type [versions] = default,`: the versions are a
/// Rust range, the default any expression, and both may be left out. Fields behind a `;` are tagged:
/// `tag => name: Type [versions] = default,`. Names are those of Kafka's message definitions, in snake case.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        struct $name:ident $(<$lt:lifetime>)? {
            $( $field:ident : $type:ty $([ $in:expr ])? $(= $default:expr)? ,)*
            $(; $( $tag:literal => $tagged:ident : $tag_type:ty $([ $tag_in:expr ])? $(= $tag_default:expr)? ,)+ )?
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name $(<$lt>)? {
            $( #[allow(missing_docs)] pub $field: $type, )*
            $($( #[allow(missing_docs)] pub $tagged: $tag_type, )+)?
        }
        impl $(<$lt>)? Default for $name $(<$lt>)? {
            fn default() -> Self {
                Self {
                    $( $field: wire!(@default $type $(, $default)?), )*
                    $($( $tagged: wire!(@default $tag_type $(, $tag_default)?), )+)?
                }
            }
        }
        impl<'a> $crate::proto::wire::Wire<'a> for $name $(<$lt>)? {
            const MIN_SIZE: usize = 0 $( + wire!(@min $type $(, $in)?) )*;
            fn read(r: &mut $crate::proto::wire::Reader<'a>) -> $crate::proto::wire::Result<Self> {
                #[allow(unused_mut)]
                let mut it = Self::default();
                $( if wire!(@in r $(, $in)?) { it.$field = $crate::proto::wire::Wire::read(r)?; } )*
                r.tags(|_tag, _r| {
                    $($( if _tag == $tag && wire!(@in _r $(, $tag_in)?) {
                        it.$tagged = $crate::proto::wire::Wire::read(_r)?;
                    } )+)?
                    Ok(())
                })?;
                Ok(it)
            }
            fn write(&self, w: &mut $crate::proto::wire::Writer<'_>) {
                $( if wire!(@in w $(, $in)?) { self.$field.write(w); } )*
                if let Some(_count_at) = w.open_tags() {
                    $($( if wire!(@in w $(, $tag_in)?) && self.$tagged != wire!(@default $tag_type $(, $tag_default)?) {
                        w.tag(_count_at, $tag, &self.$tagged);
                    } )+)?
                }
            }
        }
    )* };
    (@default $type:ty) => { <$type>::default() };
    (@default $type:ty, $default:expr) => { $default };
    (@in $cursor:ident) => { true };
    (@in $cursor:ident, $in:expr) => { ($in).contains(&$cursor.version) };
    (@min $type:ty) => { <$type as $crate::proto::wire::Wire>::MIN_SIZE };
    (@min $type:ty, $in:expr) => { 0 };
}

pub(crate) use wire;

#[cfg(test)]
#[expect(unreachable_pub, reason = "what wire! declares is public")]
mod tests {
    use super::*;

    wire! {
        /// A struct with everything in it.
        struct Sample<'a> {
            number:  i32                    = 7,
            name:    Option<&'a str>        [1..],
            old:     i16                    [..=1],
            inners:  Option<Vec<Inner<'a>>>,
            maybe:   Maybe<Inner<'a>>       [2..],
            records: Records<'a>            [2..],
            ;
            0 => tagged: i64            [2..] = -1,
            5 => note:   Option<&'a str> [3..],
        }

        /// A struct inside.
        struct Inner<'a> {
            text: Text<'a>,
        }
    }

    fn inner(text: &str) -> Inner<'_> {
        Inner { text: text.into() }
    }

    fn bytes_of(sample: &Sample<'_>, version: i16) -> Vec<u8> {
        let mut out = Vec::new();
        encode(sample, version, version >= 2, &mut out).unwrap();
        out
    }

    fn sample_of(bytes: &[u8], version: i16) -> Result<Sample<'_>> {
        decode(bytes, version, version >= 2)
    }

    #[test]
    fn the_classic_dialect_has_wide_lengths_and_no_tags() {
        let sample = Sample {
            name: Some("ab"),
            old: 3,
            inners: Some(vec![inner("c")]),
            tagged: 9,
            ..Sample::default()
        };
        let bytes = bytes_of(&sample, 1);
        assert_eq!(bytes, b"\0\0\0\x07\0\x02ab\0\x03\0\0\0\x01\0\x01c");
        assert_eq!(
            sample_of(&bytes, 1),
            Ok(Sample {
                tagged: -1,
                ..sample
            })
        );
    }

    #[test]
    fn the_flexible_dialect_has_short_lengths_and_tags_that_differ_from_their_defaults() {
        let sample = Sample {
            maybe: Maybe(Some(inner("m"))),
            records: Records::Here(Some(b"rr")),
            tagged: 9,
            note: Some("n"),
            ..Sample::default()
        };
        let bytes = bytes_of(&sample, 3);
        let expected = [
            &b"\0\0\0\x07\0\0\x01\x02m\0\x03rr"[..],
            b"\x02\0\x08\0\0\0\0\0\0\0\x09\x05\x02\x02n",
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(sample_of(&bytes, 3), Ok(sample));
    }

    #[test]
    fn unknown_tags_and_bytes_behind_the_message_are_passed_over() {
        let bytes = b"\0\0\0\x07\0\0\xff\0\x01\x63\x02zz and more";
        assert_eq!(sample_of(bytes, 2), Ok(Sample::default()));
    }

    #[test]
    fn records_that_are_elsewhere_leave_their_length_and_a_cut() {
        let sample = Sample {
            records: Records::Elsewhere { length: 300 },
            ..Sample::default()
        };
        let mut out = b"before".to_vec();
        let cuts = encode(&sample, 2, true, &mut out).unwrap();
        assert_eq!(&out[6..], b"\0\0\0\x07\0\0\xff\xad\x02\0");
        assert_eq!(cuts, [6 + 9]);
    }

    #[test]
    fn a_message_whose_items_are_made_one_by_one_is_the_same() {
        wire! {
            /// A list.
            struct List<'a> {
                head:  i32,
                items: Vec<Inner<'a>>,
            }
        }
        let items = ["a", "", "bc"].map(inner).to_vec();
        for flexible in [false, true] {
            let (mut whole, mut made) = (b"before".to_vec(), b"before".to_vec());
            encode_made(&7, items.iter().cloned(), 0, flexible, &mut made).unwrap();
            let list = List {
                head: 7,
                items: items.clone(),
            };
            encode(&list, 0, flexible, &mut whole).unwrap();
            assert_eq!(made, whole);
        }
        let (text, mut count, mut out) = ("x".repeat(MAX_STRING_BYTES), 0, b"before".to_vec());
        let endless = (0..i32::MAX).map(|_| {
            count += 1;
            inner(&text)
        });
        assert!(encode_made(&7, endless, 0, true, &mut out).is_err());
        assert_eq!(out, b"before");
        assert!(count <= MOST_OWN_BYTES / MAX_STRING_BYTES + 1, "{count}");
    }

    #[test]
    fn a_tag_longer_than_127_bytes_has_its_size_before_it() {
        let note = "n".repeat(200);
        let sample = Sample {
            note: Some(&note),
            ..Sample::default()
        };
        let bytes = bytes_of(&sample, 3);
        assert_eq!(&bytes[8..14], b"\x01\x05\xca\x01\xc9\x01");
        assert_eq!(sample_of(&bytes, 3), Ok(sample));
    }

    #[test]
    fn nothing_that_is_too_long_is_written() {
        let long = "x".repeat(MAX_STRING_BYTES + 1);
        for version in [1, 2] {
            let mut out = b"before".to_vec();
            let sample = Sample {
                name: Some(&long),
                ..Sample::default()
            };
            assert_eq!(
                encode(&sample, version, version >= 2, &mut out),
                Err(LONG_STRING)
            );
            assert_eq!(out, b"before");
        }
        let sample = Sample {
            name: Some(&long[1..]),
            ..Sample::default()
        };
        assert_eq!(sample_of(&bytes_of(&sample, 1), 1), Ok(sample.clone()));
        let sample = Sample {
            records: Records::Elsewhere { length: 1 << 31 },
            ..Sample::default()
        };
        assert!(encode(&sample, 2, true, &mut Vec::new()).is_err());
    }

    #[test]
    fn nothing_is_written_beyond_what_could_be_sent() {
        let text = "x".repeat(MAX_STRING_BYTES);
        let fits = MOST_OWN_BYTES / (MAX_STRING_BYTES + 2);
        let written = |count| {
            let mut out = b"before".to_vec();
            let result = encode(&vec![&*text; count], 0, false, &mut out);
            (result.is_ok(), out.len() <= MOST_OWN_BYTES + 6)
        };
        assert_eq!(written(fits), (true, true));
        assert_eq!(written(100 * fits), (false, true));
        let numbers = vec![7i64; MOST_OWN_BYTES / 8];
        assert!(encode(&numbers, 0, false, &mut Vec::new()).is_err());
    }

    #[test]
    fn arrays_that_take_more_memory_than_a_message_is_worth_are_refused() {
        let names = |count: usize| {
            let mut bytes = (count as i32).to_be_bytes().to_vec();
            bytes.resize(4 + 2 * count, 0);
            decode::<Vec<&str>>(&bytes, 0, false).map(|names| names.len())
        };
        assert_eq!(names(1 << 20), Ok(1 << 20));
        let why = Malformed("arrays of more than 16 MiB of memory");
        assert_eq!(names((1 << 20) + 1), Err(why));
    }

    #[test]
    fn lengths_that_make_no_sense_are_refused() {
        let read = |bytes: &[u8], flexible| decode::<Vec<i32>>(bytes, 0, flexible).unwrap_err();
        assert_eq!(read(b"\xff\xff\xff\xff", false), Malformed("null array"));
        assert_eq!(
            read(b"\xff\xff\xff\xfe", false),
            Malformed("negative length")
        );
        assert_eq!(
            read(b"\0\0\0\x02\0\0\0\0\0\0\0", false),
            Malformed("array is longer than its message")
        );
        assert_eq!(
            read(b"\x80\x80\x80\x80\x10", true),
            Malformed("varint above 32 bits")
        );
        assert_eq!(
            read(b"\x80\x80\x80\x80\x80\x00", true),
            Malformed("varint of more than five bytes")
        );
        let long = [&b"\x81\x80\x02"[..], &[b'x'; MAX_STRING_BYTES + 1]].concat();
        assert_eq!(decode::<&str>(&long, 0, true), Err(LONG_STRING));
        assert_eq!(
            decode::<&str>(b"\x03\xff\xfe", 0, true),
            Err(Malformed("string is not UTF-8"))
        );
    }

    #[test]
    fn a_lower_bound_counts_only_what_every_version_has() {
        assert_eq!(Inner::MIN_SIZE, 1);
        assert_eq!(Sample::MIN_SIZE, 4 + 1);
    }
}
