//! Writes a batch from records: for conversion, for the broker's own markers and for tests.
//!
//! The first record's timestamp becomes the base; offset deltas count up unless the caller sets them (the cleaner
//! keeps gaps). The checksum is written last, over what is really there.

use std::fmt;

use super::header::{
    Attributes, BatchHeader, HEADER_BYTES, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, NO_TIMESTAMP, TimestampType,
};
use super::record::{Headers, Record};
use super::{MAGIC, varint};
use crate::proto::codec::{Codec, CodecError};

/// Why no batch came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The batch would be longer than its length field can say (2 GiB).
    TooLarge,
    /// The records could not be compressed.
    Codec(CodecError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::TooLarge => write!(out, "a batch of more than 2 GiB"),
            BuildError::Codec(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<CodecError> for BuildError {
    fn from(error: CodecError) -> BuildError {
        BuildError::Codec(error)
    }
}

/// A batch in the making.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// An uncompressed batch without producer whose first record will have this offset.
    pub fn new(base_offset: i64) -> BatchBuilder {
        BatchBuilder {
            header: BatchHeader {
                base_offset,
                batch_length: 0,
                partition_leader_epoch: NO_LEADER_EPOCH,
                magic: MAGIC,
                crc: 0,
                attributes: Attributes::default(),
                last_offset_delta: -1,
                base_timestamp: NO_TIMESTAMP,
                max_timestamp: NO_TIMESTAMP,
                producer_id: NO_PRODUCER_ID,
                producer_epoch: NO_PRODUCER_EPOCH,
                base_sequence: NO_SEQUENCE,
                record_count: 0,
            },
            records: Vec::new(),
        }
    }

    /// Compresses the records.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> BatchBuilder {
        self.header.attributes = self.header.attributes.with_codec(codec);
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> BatchBuilder {
        self.header.attributes = self.header.attributes.with_transactional(true);
        self
    }

    /// Marks the batch as the broker's own.
    #[must_use]
    pub fn control(mut self) -> BatchBuilder {
        self.header.attributes = self.header.attributes.with_control(true);
        self
    }

    /// Says which producer wrote the batch, and with which sequence number it begins.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> BatchBuilder {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    /// Sets the epoch of the leader that appends the batch.
    #[must_use]
    pub fn leader_epoch(mut self, epoch: i32) -> BatchBuilder {
        self.header.partition_leader_epoch = epoch;
        self
    }

    /// Adds a record without headers at the next offset.
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push_record(timestamp_ms, key, value, Headers::default());
    }

    /// Adds a record with headers at the next offset.
    pub fn push_with_headers(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let mut bytes = Vec::new();
        for (key, value) in headers {
            write_nullable(&mut bytes, Some(key.as_bytes()));
            write_nullable(&mut bytes, *value);
        }
        let headers = Headers::new(headers.len() as i32, &bytes);
        self.push_record(timestamp_ms, key, value, headers);
    }

    /// Adds a record at the next offset with headers taken from another.
    pub fn push_record(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) {
        if self.header.record_count == 0 {
            self.header.base_timestamp = timestamp_ms;
        }
        let delta = timestamp_ms.wrapping_sub(self.header.base_timestamp);
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp_ms);
        self.header.last_offset_delta += 1;
        self.header.record_count += 1;
        self.write_record(delta, key, value, headers);
    }

    /// Leaves a gap of so many offsets before the next record.
    pub fn skip_offsets(&mut self, count: i32) {
        self.header.last_offset_delta = self.header.last_offset_delta.saturating_add(count);
    }

    /// How many records there are.
    pub fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// The bytes of the batch so far, before compression.
    pub fn size_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// The batch. With an append time it is the timestamp of all records.
    pub fn build(mut self, append_time_ms: Option<i64>) -> Result<Vec<u8>, BuildError> {
        if let Some(append_time_ms) = append_time_ms {
            let attributes = self.header.attributes;
            self.header.attributes = attributes.with_timestamp_type(TimestampType::LogAppendTime);
            self.header.max_timestamp = append_time_ms;
        }
        if i32::try_from(self.records.len()).is_err() {
            return Err(BuildError::TooLarge);
        }
        let codec = self.header.attributes.codec().unwrap_or(Codec::None);
        let payload = codec.compress(&self.records, MAGIC)?;
        self.header.seal(&payload)?;
        Ok([&self.header.to_bytes()[..], &payload].concat())
    }

    fn write_record(
        &mut self,
        timestamp_delta: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) {
        let record = Record {
            attributes: 0,
            timestamp_delta,
            offset_delta: self.header.last_offset_delta,
            key,
            value,
            headers,
        };
        record.write(&mut self.records);
    }
}

impl Record<'_> {
    /// Appends the record's bytes, as they stand in a batch.
    pub fn write(&self, out: &mut Vec<u8>) {
        let offset_delta = i64::from(self.offset_delta);
        let header_count = i64::from(self.headers.count());
        let size = 1
            + varint::size_bytes(self.timestamp_delta)
            + varint::size_bytes(offset_delta)
            + nullable_size_bytes(self.key)
            + nullable_size_bytes(self.value)
            + varint::size_bytes(header_count)
            + self.headers.as_bytes().len();
        varint::write(out, size as i64);
        out.extend(self.attributes.to_be_bytes());
        varint::write(out, self.timestamp_delta);
        varint::write(out, offset_delta);
        write_nullable(out, self.key);
        write_nullable(out, self.value);
        varint::write(out, header_count);
        out.extend_from_slice(self.headers.as_bytes());
    }
}

fn nullable_size_bytes(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| {
        varint::size_bytes(bytes.len() as i64) + bytes.len()
    })
}

fn write_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    let Some(bytes) = field else {
        varint::write(out, -1);
        return;
    };
    varint::write(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::Batch;

    #[test]
    fn flags_producer_and_append_time_stand_in_the_header() {
        let mut builder = BatchBuilder::new(8)
            .transactional()
            .control()
            .producer(5, 6, 7)
            .leader_epoch(9);
        builder.push(100, None, None);
        builder.skip_offsets(4);
        builder.push(50, None, None);
        assert_eq!(builder.record_count(), 2);
        let size_bytes = builder.size_bytes();
        let bytes = builder.build(Some(777)).unwrap();
        assert_eq!(bytes.len(), size_bytes);
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        let header = batch.header();
        assert_eq!(header.attributes, Attributes(0x38));
        assert_eq!((header.base_timestamp, header.max_timestamp), (100, 777));
        assert_eq!((header.producer_id, header.producer_epoch), (5, 6));
        assert_eq!(
            (header.base_sequence, header.partition_leader_epoch),
            (7, 9)
        );
        assert_eq!((header.last_offset(), header.record_count), (13, 2));
        assert_eq!(batch.check_crc(), Ok(()));
        let last = batch.records(batch.payload()).last().unwrap().unwrap();
        assert_eq!((last.offset_delta, last.timestamp_delta), (5, -50));
    }

    #[test]
    fn a_batch_without_records_is_a_header() {
        let bytes = BatchBuilder::new(3).build(None).unwrap();
        let (batch, _) = Batch::split_first(&bytes).unwrap();
        assert_eq!(batch.header().next_offset(), 3);
        assert_eq!(bytes.len(), HEADER_BYTES);
    }
}
