//! The 61 bytes before the records of a batch, as one value that can be read, changed and written back.
//!
//! Base offset, batch length and leader epoch stand before the checksum and are the broker's to set. Everything
//! from the attributes on is covered by it; the broker changes only the timestamp type and the greatest
//! timestamp there, and [`BatchHeader::restamp`] carries the checksum along.

use std::ops::Range;

use super::builder::BuildError;
use crate::proto::codec::Codec;

const BASE_OFFSET: Range<usize> = 0..8;
const BATCH_LENGTH: Range<usize> = BASE_OFFSET.end..BASE_OFFSET.end + 4;
const LEADER_EPOCH: Range<usize> = BATCH_LENGTH.end..BATCH_LENGTH.end + 4;
const MAGIC: Range<usize> = LEADER_EPOCH.end..LEADER_EPOCH.end + 1;
const CRC: Range<usize> = MAGIC.end..MAGIC.end + 4;
const ATTRIBUTES: Range<usize> = CRC.end..CRC.end + 2;
const LAST_OFFSET_DELTA: Range<usize> = ATTRIBUTES.end..ATTRIBUTES.end + 4;
const BASE_TIMESTAMP: Range<usize> = LAST_OFFSET_DELTA.end..LAST_OFFSET_DELTA.end + 8;
const MAX_TIMESTAMP: Range<usize> = BASE_TIMESTAMP.end..BASE_TIMESTAMP.end + 8;
const PRODUCER_ID: Range<usize> = MAX_TIMESTAMP.end..MAX_TIMESTAMP.end + 8;
const PRODUCER_EPOCH: Range<usize> = PRODUCER_ID.end..PRODUCER_ID.end + 2;
const BASE_SEQUENCE: Range<usize> = PRODUCER_EPOCH.end..PRODUCER_EPOCH.end + 4;
const RECORD_COUNT: Range<usize> = BASE_SEQUENCE.end..BASE_SEQUENCE.end + 4;

/// The bytes before the first record.
pub const HEADER_BYTES: usize = RECORD_COUNT.end;

/// The bytes of base offset and length, which the length itself does not count. The same in every format.
pub const LENGTH_PREFIX_BYTES: usize = BATCH_LENGTH.end;

/// The bytes that show which format an entry of a log or of a produce request has.
pub const MAGIC_PREFIX_BYTES: usize = MAGIC.end;

/// The position of the format number: the same in all three formats.
pub(in crate::proto) const MAGIC_POSITION: usize = MAGIC.start;

/// The position of the first byte that the checksum covers.
pub(super) const CHECKED_FROM: usize = ATTRIBUTES.start;

/// "No timestamp", in every field that holds one.
pub const NO_TIMESTAMP: i64 = -1;

/// "Not an idempotent producer": the producer id of a plain batch.
pub const NO_PRODUCER_ID: i64 = -1;

/// The producer epoch of a plain batch.
pub const NO_PRODUCER_EPOCH: i16 = -1;

/// The base sequence of a plain batch.
pub const NO_SEQUENCE: i32 = -1;

/// The partition leader epoch of a batch that no broker has appended yet.
pub const NO_LEADER_EPOCH: i32 = -1;

/// Who wrote the timestamps of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer: every record has its own.
    #[default]
    CreateTime,
    /// The broker: the greatest timestamp of the batch is that of all its records.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// How the records are compressed; `None` for the numbers 5 to 7, which nobody has defined.
    pub fn codec(self) -> Option<Codec> {
        Codec::from_id((self.0 & Self::CODEC) as u8)
    }

    /// Whose the timestamps are.
    pub fn timestamp_type(self) -> TimestampType {
        match self.0 & Self::LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// The batch belongs to a transaction (KIP-98).
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// The batch holds markers of the broker, which no client sees as records.
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The base timestamp is the time at which the cleaner may drop the tombstones of the batch (KIP-534).
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same with another codec.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Attributes {
        Attributes(self.0 & !Self::CODEC | i16::from(codec.id()))
    }

    /// The same with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Attributes {
        self.with(
            Self::LOG_APPEND_TIME,
            timestamp_type == TimestampType::LogAppendTime,
        )
    }

    /// The same, belonging to a transaction or not.
    #[must_use]
    pub fn with_transactional(self, transactional: bool) -> Attributes {
        self.with(Self::TRANSACTIONAL, transactional)
    }

    /// The same, holding control records or not.
    #[must_use]
    pub fn with_control(self, control: bool) -> Attributes {
        self.with(Self::CONTROL, control)
    }

    /// The same, its base timestamp a delete horizon or not.
    #[must_use]
    pub fn with_delete_horizon(self, delete_horizon: bool) -> Attributes {
        self.with(Self::DELETE_HORIZON, delete_horizon)
    }

    fn with(self, bit: i16, on: bool) -> Attributes {
        Attributes(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// The header of a batch of format 2, field by field in the order of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record that the batch was made with; compaction may have removed it since.
    pub base_offset: i64,
    /// Bytes after this field. A header seen through [`super::Batch`] has at least 49 here.
    pub batch_length: i32,
    /// The epoch of the leader that appended the batch, -1 before.
    pub partition_leader_epoch: i32,
    /// The format: 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes to the end of the batch.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Last offset minus base offset; compaction keeps it.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, or the delete horizon, in ms since 1970.
    pub base_timestamp: i64,
    /// The greatest timestamp of the records, or the append time; -1 for none.
    pub max_timestamp: i64,
    /// The idempotent producer, or -1.
    pub producer_id: i64,
    /// The producer's epoch, or -1.
    pub producer_epoch: i16,
    /// The sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// How many records follow; compaction may leave none.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads all fields. Nothing is checked: see [`super::Batch::split_first`].
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> BatchHeader {
        BatchHeader {
            base_offset: i64::from_be_bytes(field(bytes, BASE_OFFSET)),
            batch_length: i32::from_be_bytes(field(bytes, BATCH_LENGTH)),
            partition_leader_epoch: i32::from_be_bytes(field(bytes, LEADER_EPOCH)),
            magic: i8::from_be_bytes(field(bytes, MAGIC)),
            crc: u32::from_be_bytes(field(bytes, CRC)),
            attributes: Attributes(i16::from_be_bytes(field(bytes, ATTRIBUTES))),
            last_offset_delta: i32::from_be_bytes(field(bytes, LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(field(bytes, BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(field(bytes, MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(field(bytes, PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(field(bytes, PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(field(bytes, BASE_SEQUENCE)),
            record_count: i32::from_be_bytes(field(bytes, RECORD_COUNT)),
        }
    }

    /// The header as it stands in a log; the opposite of [`BatchHeader::from_bytes`].
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[BASE_OFFSET].copy_from_slice(&self.base_offset.to_be_bytes());
        out[BATCH_LENGTH].copy_from_slice(&self.batch_length.to_be_bytes());
        out[LEADER_EPOCH].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[MAGIC].copy_from_slice(&self.magic.to_be_bytes());
        out[CRC].copy_from_slice(&self.crc.to_be_bytes());
        out[ATTRIBUTES].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[LAST_OFFSET_DELTA].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[BASE_TIMESTAMP].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[MAX_TIMESTAMP].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[PRODUCER_ID].copy_from_slice(&self.producer_id.to_be_bytes());
        out[PRODUCER_EPOCH].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[BASE_SEQUENCE].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[RECORD_COUNT].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// The offset of the last record; held at the ends of i64 for hostile values.
    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The bytes of the whole batch, with offset and length fields.
    pub fn size_bytes(&self) -> usize {
        LENGTH_PREFIX_BYTES + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The sequence number of the last record, or -1; after 2147483647 comes 0.
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence {
            NO_SEQUENCE => NO_SEQUENCE,
            base => add_sequence(base, self.last_offset_delta),
        }
    }

    /// The timestamp of a record with this delta, in ms since 1970.
    pub fn record_timestamp(&self, timestamp_delta: i64) -> i64 {
        match self.attributes.timestamp_type() {
            TimestampType::CreateTime => self.base_timestamp.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => self.max_timestamp,
        }
    }

    /// Sets length and checksum to those of a batch with this payload.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] when the length field cannot say so much.
    pub fn seal(&mut self, payload: &[u8]) -> Result<(), BuildError> {
        let length = HEADER_BYTES - LENGTH_PREFIX_BYTES + payload.len();
        self.batch_length = i32::try_from(length).or(Err(BuildError::TooLarge))?;
        let crc = crc32c::crc32c(&self.to_bytes()[CHECKED_FROM..]);
        self.crc = crc32c::crc32c_append(crc, payload);
        Ok(())
    }

    /// Sets timestamp type and greatest timestamp, and the checksum that goes with them.
    ///
    /// A CRC is linear, so the new one follows from the old one and the change in these 40 bytes: the records
    /// are not read again, and damage that the old checksum would have shown is still shown by the new one.
    pub fn restamp(&mut self, timestamp_type: TimestampType, max_timestamp: i64) {
        let before = crc32c::crc32c(&self.to_bytes()[CHECKED_FROM..]);
        self.attributes = self.attributes.with_timestamp_type(timestamp_type);
        self.max_timestamp = max_timestamp;
        let after = crc32c::crc32c(&self.to_bytes()[CHECKED_FROM..]);
        let records_bytes = self.size_bytes().saturating_sub(HEADER_BYTES);
        self.crc ^= crc32c::crc32c_combine(before ^ after, 0, records_bytes);
    }
}

/// The sequence number `increment` after `sequence`; after 2147483647 comes 0.
pub fn add_sequence(sequence: i32, increment: i32) -> i32 {
    sequence.wrapping_add(increment) & i32::MAX
}

fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: Range<usize>) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BatchHeader {
        BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: 100,
            partition_leader_epoch: 7,
            magic: 2,
            crc: 0xdead_beef,
            attributes: Attributes(0x31),
            last_offset_delta: 4,
            base_timestamp: 1000,
            max_timestamp: 2000,
            producer_id: 9,
            producer_epoch: 3,
            base_sequence: i32::MAX - 1,
            record_count: 5,
        }
    }

    #[test]
    fn a_header_comes_back_from_its_bytes() {
        assert_eq!(HEADER_BYTES, 61);
        let header = sample();
        assert_eq!(BatchHeader::from_bytes(&header.to_bytes()), header);
        let mut bytes = [0; HEADER_BYTES];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = index as u8;
        }
        assert_eq!(BatchHeader::from_bytes(&bytes).to_bytes(), bytes);
    }

    #[test]
    fn offsets_and_sizes_follow_from_the_fields() {
        let header = sample();
        assert_eq!(header.last_offset(), 0x0102_0304_0506_070c);
        assert_eq!(header.next_offset(), 0x0102_0304_0506_070d);
        assert_eq!(header.size_bytes(), 112);
        let extreme = BatchHeader {
            base_offset: i64::MAX,
            batch_length: -1,
            ..header
        };
        assert_eq!(extreme.next_offset(), i64::MAX);
        assert_eq!(extreme.size_bytes(), 12);
    }

    #[test]
    fn sequences_wrap_to_zero_after_the_greatest() {
        assert_eq!(sample().last_sequence(), 2);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(5, 6), 11);
        let plain = BatchHeader {
            base_sequence: NO_SEQUENCE,
            ..sample()
        };
        assert_eq!(plain.last_sequence(), NO_SEQUENCE);
    }

    #[test]
    fn attributes_are_independent_bits() {
        let attributes = Attributes::default()
            .with_codec(Codec::Zstd)
            .with_timestamp_type(TimestampType::LogAppendTime)
            .with_transactional(true)
            .with_control(true);
        assert_eq!(attributes, Attributes(0x3c));
        assert_eq!(attributes.codec(), Some(Codec::Zstd));
        assert!(attributes.is_transactional() && attributes.is_control());
        assert!(!attributes.has_delete_horizon());
        assert_eq!(
            attributes.with_control(false).with_codec(Codec::None),
            Attributes(0x18)
        );
        assert_eq!(Attributes(0x47).codec(), None);
        assert!(Attributes(0x40).has_delete_horizon());
    }

    #[test]
    fn restamping_gives_the_checksum_of_the_changed_bytes() {
        for records in [&b""[..], b"x", b"some records of no particular shape"] {
            let mut header = sample();
            header.batch_length = (HEADER_BYTES - LENGTH_PREFIX_BYTES + records.len()) as i32;
            header.crc = crc_of(&header, records);
            header.restamp(TimestampType::LogAppendTime, 123_456_789);
            assert_eq!(header.max_timestamp, 123_456_789);
            assert_eq!(header.record_timestamp(17), 123_456_789);
            assert_eq!(header.crc, crc_of(&header, records));
        }
    }

    fn crc_of(header: &BatchHeader, records: &[u8]) -> u32 {
        crc32c::crc32c(&[&header.to_bytes()[CHECKED_FROM..], records].concat())
    }
}
