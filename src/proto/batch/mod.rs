//! A record batch of format 2 (magic 2, KIP-98), seen in the bytes that hold it.
//!
//! ```text
//!  0 base offset i64 | 8 batch length i32 | 12 partition leader epoch i32 | 16 magic i8 | 17 crc u32
//! 21 attributes i16 | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
//! 43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32 | 57 record count i32 | 61 records
//! ```
//!
//! The length counts what follows it; the checksum (CRC-32C) covers everything from the attributes on. Records are
//! compressed all together or not at all. Everything here borrows: bytes that came over a socket or stand in a
//! mapped file are never copied to be looked at, and hostile ones give an error, never a panic.

mod builder;
mod control;
mod header;
#[cfg(test)]
mod oracle;
mod record;
mod varint;

use std::borrow::Cow;
use std::fmt;

pub use builder::{BatchBuilder, BuildError};
pub use control::EndMarker;
pub(in crate::proto) use header::MAGIC_POSITION;
pub use header::{
    Attributes, BatchHeader, HEADER_BYTES, LENGTH_PREFIX_BYTES, MAGIC_PREFIX_BYTES,
    NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, TimestampType,
    add_sequence,
};
pub use record::{
    Headers, Record, RecordError, RecordFault, RecordSummary, Records, Stamp, check_produced,
};

use crate::proto::codec::CodecError;

/// The only format that batches have in a log.
pub const MAGIC: i8 = 2;

/// The least length that any format can have: a message of format 0 with null key and value.
const MIN_LENGTH: i32 = 14;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The batch claims to be longer than the bytes there are, or they end before the format number.
    Truncated {
        /// The bytes that a whole batch would take, as far as they tell.
        needed_bytes: usize,
        /// The bytes there are.
        found_bytes: usize,
    },
    /// The length is less than any batch has; zeros in a log look like this.
    TooSmall {
        /// The length field.
        length: i32,
    },
    /// Another format: 0 and 1 are message sets, and nobody knows the others.
    Magic(i8),
    /// The bytes are not those that were written.
    Crc {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Truncated {
                needed_bytes,
                found_bytes,
            } => write!(
                out,
                "a batch of {needed_bytes} bytes in {found_bytes} bytes"
            ),
            BatchError::TooSmall { length } => write!(out, "no batch has a length of {length}"),
            BatchError::Magic(magic) => write!(out, "magic {magic} is not a batch's"),
            BatchError::Crc { stored, computed } => {
                write!(out, "checksum is {computed:#010x}, not {stored:#010x}")
            }
        }
    }
}

impl std::error::Error for BatchError {}

/// One whole batch in the bytes that hold it: at least a header, and as long as the header says.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Takes the first batch off `bytes`. Format and length are checked, the checksum is not: see
    /// [`Batch::check_crc`]. An empty input is [`BatchError::Truncated`].
    pub fn split_first(bytes: &'a [u8]) -> Result<(Batch<'a>, &'a [u8]), BatchError> {
        let size_bytes = batch_size(bytes)?;
        let truncated = BatchError::Truncated {
            needed_bytes: size_bytes,
            found_bytes: bytes.len(),
        };
        let (bytes, rest) = bytes.split_at_checked(size_bytes).ok_or(truncated)?;
        let header = bytes.first_chunk().ok_or(truncated)?;
        let header = BatchHeader::from_bytes(header);
        Ok((Batch { header, bytes }, rest))
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Everything behind the header: records, or what their compression left of them.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Compares the checksum with the bytes.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c::crc32c(&self.bytes[header::CHECKED_FROM..]);
        let stored = self.header.crc;
        if computed == stored {
            return Ok(());
        }
        Err(BatchError::Crc { stored, computed })
    }

    /// The records' bytes: the payload itself, or at most `cap_bytes` of it decompressed. A cap that is too low, a
    /// codec that is unknown or not built in and damaged data are errors.
    pub fn decompress(&self, cap_bytes: usize) -> Result<Cow<'a, [u8]>, CodecError> {
        let codec = self.header.attributes.codec();
        let codec = codec.ok_or(CodecError::Unknown)?;
        codec.decompress(self.payload(), cap_bytes, MAGIC)
    }

    /// The records in `uncompressed`, which [`Batch::decompress`] gave.
    pub fn records<'r>(&self, uncompressed: &'r [u8]) -> Records<'r> {
        Records::new(self.header.record_count, uncompressed)
    }
}

/// The format number of the first entry, which stands at the same place in all formats; `None` if the bytes end
/// before it.
pub fn magic_of(records: &[u8]) -> Option<i8> {
    let start = records.first_chunk::<MAGIC_PREFIX_BYTES>()?;
    Some(i8::from_be_bytes([start[MAGIC_POSITION]]))
}

/// The bytes of the first batch, from its first 17.
fn batch_size(bytes: &[u8]) -> Result<usize, BatchError> {
    let Some(start) = bytes.first_chunk::<MAGIC_PREFIX_BYTES>() else {
        return Err(BatchError::Truncated {
            needed_bytes: HEADER_BYTES,
            found_bytes: bytes.len(),
        });
    };
    let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *start;
    let length = i32::from_be_bytes([a, b, c, d]);
    if length < MIN_LENGTH {
        return Err(BatchError::TooSmall { length });
    }
    let magic = i8::from_be_bytes([start[MAGIC_POSITION]]);
    if magic != MAGIC {
        return Err(BatchError::Magic(magic));
    }
    let size_bytes = LENGTH_PREFIX_BYTES + length.unsigned_abs() as usize;
    if size_bytes < HEADER_BYTES {
        return Err(BatchError::TooSmall { length });
    }
    Ok(size_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples::{Random, sample, samples};

    fn two_batches() -> Vec<u8> {
        let mut first = BatchBuilder::new(100).leader_epoch(3).producer(7, 1, 40);
        first.push(1_000, Some(b"key"), Some(b"value"));
        first.push_with_headers(1_005, None, Some(b""), &[("h", None), ("", Some(b"x"))]);
        first.push(990, Some(b""), None);
        let mut second = BatchBuilder::new(103);
        second.push(5, None, Some(b"alone"));
        let mut bytes = first.build(None).unwrap();
        bytes.extend(second.build(None).unwrap());
        bytes
    }

    #[test]
    fn batches_are_split_and_their_records_read() {
        let bytes = two_batches();
        let (first, rest) = Batch::split_first(&bytes).unwrap();
        let (second, rest) = Batch::split_first(rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(first.header().next_offset(), second.header().base_offset);
        assert_eq!(first.header().last_sequence(), 42);
        assert_eq!(first.header().max_timestamp, 1_005);
        assert_eq!(first.check_crc(), Ok(()));
        let plain = first.decompress(usize::MAX).unwrap();
        let records: Vec<_> = first.records(&plain).map(Result::unwrap).collect();
        let stamps = records
            .iter()
            .map(|record| first.header().record_timestamp(record.timestamp_delta));
        assert_eq!(stamps.collect::<Vec<_>>(), [1_000, 1_005, 990]);
        let headers: Vec<_> = records[1].headers.iter().collect();
        assert_eq!(headers, [(&b"h"[..], None), (&b""[..], Some(&b"x"[..]))]);
        assert_eq!((records[2].key, records[2].value), (Some(&b""[..]), None));
        assert_eq!(
            check_produced(first.header(), &plain)
                .unwrap()
                .first_null_key,
            Some(1)
        );
        assert_eq!(first.decompress(3), Err(CodecError::CapExceeded));
    }

    #[test]
    fn batches_of_real_clients_are_read() {
        let samples = [samples("java-batch-"), samples("python-batch-")].concat();
        assert_eq!(samples.len(), 7);
        for (name, bytes) in samples {
            let (batch, rest) = Batch::split_first(&bytes).unwrap();
            assert!(rest.is_empty() && batch.check_crc().is_ok(), "{name}");
            let Ok(plain) = batch.decompress(1 << 10) else {
                let codec = batch.header().attributes.codec();
                assert!(codec.is_some_and(|codec| !codec.is_built()), "{name}");
                continue;
            };
            let records: Vec<_> = batch.records(&plain).map(Result::unwrap).collect();
            let fields: Vec<_> = records
                .iter()
                .map(|record| (record.key, record.value))
                .collect();
            let value = Some(&b"value value value value"[..]);
            let expected = [
                (Some(&b"key"[..]), value),
                (None, Some(b"")),
                (Some(b""), None),
            ];
            assert_eq!(fields, expected, "{name}");
            let headers: Vec<_> = records[0].headers.iter().collect();
            assert_eq!(headers, [(&b"h"[..], Some(&b"x"[..])), (b"n", None)]);
            assert_eq!(
                batch.header().next_offset() % 1000,
                if name.starts_with('j') { 5 } else { 3 }
            );
        }
    }

    #[test]
    fn an_uncompressed_batch_is_built_as_real_clients_build_it() {
        for name in ["java-batch-none", "java-batch-append"] {
            let mut builder = BatchBuilder::new(1000);
            let headers = [("h", Some(&b"x"[..])), ("n", None)];
            let value = Some(&b"value value value value"[..]);
            builder.push_with_headers(1_700_000_000_100, Some(b"key"), value, &headers);
            builder.push(1_700_000_000_300, None, Some(b""));
            builder.skip_offsets(2);
            builder.push(1_700_000_000_200, Some(b""), None);
            let append_time_ms = name.ends_with("append").then_some(1_700_000_000_777);
            assert_eq!(
                builder.build(append_time_ms).unwrap(),
                sample(name),
                "{name}"
            );
        }
    }

    #[test]
    fn a_cut_anywhere_is_truncated() {
        let bytes = two_batches();
        let whole = Batch::split_first(&bytes).unwrap().0.as_bytes();
        for cut in 0..whole.len() {
            let error = Batch::split_first(&whole[..cut]).unwrap_err();
            let BatchError::Truncated {
                needed_bytes,
                found_bytes,
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!(found_bytes, cut);
            let known = cut >= MAGIC_PREFIX_BYTES;
            assert_eq!(needed_bytes, if known { whole.len() } else { HEADER_BYTES });
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_where_it_must_be() {
        let bytes = two_batches();
        let whole = Batch::split_first(&bytes).unwrap().0.as_bytes();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let outside_the_crc = bit / 8 < 8 || (12..16).contains(&(bit / 8));
            let accepted = Batch::split_first(&damaged)
                .is_ok_and(|(batch, rest)| rest.is_empty() && batch.check_crc().is_ok());
            assert_eq!(accepted, outside_the_crc, "bit {bit}");
        }
    }

    #[test]
    fn each_wrong_start_has_its_own_error() {
        let bytes = two_batches();
        assert_eq!(
            Batch::split_first(&[0; 100]).unwrap_err(),
            BatchError::TooSmall { length: 0 }
        );
        let mut patched = bytes.clone();
        for magic in [0, 1, 3, -1] {
            patched[MAGIC_POSITION] = i8::to_be_bytes(magic)[0];
            assert_eq!(magic_of(&patched[..17]), Some(magic));
            assert_eq!(magic_of(&patched[..16]), None);
            assert_eq!(
                Batch::split_first(&patched).unwrap_err(),
                BatchError::Magic(magic)
            );
        }
        for length in [-1, 13, 14, 48, i32::MIN] {
            let mut patched = bytes.clone();
            patched[8..12].copy_from_slice(&i32::to_be_bytes(length));
            assert_eq!(
                Batch::split_first(&patched).unwrap_err(),
                BatchError::TooSmall { length }
            );
        }
        let mut patched = bytes.clone();
        patched[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        let error = Batch::split_first(&patched).unwrap_err();
        assert!(matches!(
            error,
            BatchError::Truncated {
                needed_bytes: 0x8000_000b,
                ..
            }
        ));
        patched[8..12].copy_from_slice(&49i32.to_be_bytes());
        assert!(Batch::split_first(&patched).unwrap().0.payload().is_empty());
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = Random::new(2);
        let template = two_batches();
        for _ in 0..20_000 {
            let mut bytes = template.clone();
            for _ in 0..1 + random.below(4) {
                let position = random.below(bytes.len());
                bytes[position] = random.below(256) as u8;
            }
            let Ok((batch, _)) = Batch::split_first(&bytes) else {
                continue;
            };
            if let Ok(plain) = batch.decompress(1 << 20) {
                let _ = check_produced(batch.header(), &plain);
            }
        }
    }
}
