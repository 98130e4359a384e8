//! The records inside a batch, seen in place and read strictly.
//!
//! ```text
//! record:   size varint | attributes u8 | timestamp delta varlong | offset delta varint
//!           key length varint, key | value length varint, value | header count varint, headers
//! header:   key length varint, key | value length varint, value
//! ```
//!
//! A length of -1 is null (keys and values of records, values of headers); anything below is refused. A record
//! uses exactly the bytes of its size, and the records exactly those of the batch. Reading allocates nothing.

use std::fmt;

use super::header::{BatchHeader, NO_TIMESTAMP};
use super::varint;

/// One record in the bytes that hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// No bit has a meaning yet.
    pub attributes: i8,
    /// Timestamp minus the batch's base timestamp, in ms; see [`BatchHeader::record_timestamp`].
    pub timestamp_delta: i64,
    /// Offset minus the batch's base offset.
    pub offset_delta: i32,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value; null is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: Headers<'a>,
}

/// The headers of a record, already checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    count: i32,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// So many headers in these bytes, which somebody has checked or written.
    pub(super) fn new(count: i32, bytes: &'a [u8]) -> Headers<'a> {
        Headers { count, bytes }
    }

    /// How many there are.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// The headers as they stand in the record, without their count.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Keys and values in order. Keys are text by convention only: nobody has checked it.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || take_header(&mut rest).ok())
    }
}

/// Where and why a batch's records cannot be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The index of the offending record in its batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub fault: RecordFault,
}

/// What can be wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// A number or a length reaches past the bytes there are, or a number is too wide.
    Truncated,
    /// A length below -1, or -1 where null is not allowed.
    Length,
    /// More headers than bytes to hold them, or fewer than none.
    HeaderCount,
    /// The record's parts do not fill its size.
    Size,
    /// The batch says there are no records, or that its offsets are not one per record.
    Count,
    /// The offset delta is not the record's index.
    OffsetDelta,
    /// Bytes are left after the last record.
    Trailing,
}

impl fmt::Display for RecordError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.fault {
            RecordFault::Truncated => "reaches past the end of the batch",
            RecordFault::Length => "has an illegal length",
            RecordFault::HeaderCount => "has an illegal number of headers",
            RecordFault::Size => "does not fill its declared size",
            RecordFault::Count => "is not what the batch's record count and last offset announce",
            RecordFault::OffsetDelta => "does not follow its predecessor's offset",
            RecordFault::Trailing => "is followed by bytes that are no record",
        };
        write!(out, "record {} {text}", self.index)
    }
}

impl std::error::Error for RecordError {}

/// The records of a batch in order. It ends after the header's count or after the first error; bytes left over
/// behind the last record are an error in that record's place.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    index: i32,
    count: i32,
}

impl<'a> Records<'a> {
    /// Reads `count` records from uncompressed bytes that hold nothing else.
    pub fn new(count: i32, bytes: &'a [u8]) -> Records<'a> {
        Records {
            rest: bytes,
            index: 0,
            count: count.max(0),
        }
    }

    /// The bytes behind the records that were read, so that a caller can tell where each lies.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&mut self) -> Result<Record<'a>, RecordFault> {
        let record = take_record(&mut self.rest)?;
        if self.index + 1 == self.count && !self.rest.is_empty() {
            return Err(RecordFault::Trailing);
        }
        Ok(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let index = self.index;
        let result = self.read();
        self.index = if result.is_ok() {
            index + 1
        } else {
            self.count
        };
        Some(result.map_err(|fault| RecordError { index, fault }))
    }
}

/// A timestamp and the index of the record that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The index of the record in its batch, from 0.
    pub index: i32,
    /// Its timestamp in ms since 1970.
    pub timestamp_ms: i64,
}

/// What one walk over the records of a produced batch has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSummary {
    /// The first record that has the least timestamp; records without one do not count.
    pub oldest: Option<Stamp>,
    /// The first record that has the greatest timestamp; records without one do not count.
    pub newest: Option<Stamp>,
    /// The first record whose key is null, which a compacted topic does not accept.
    pub first_null_key: Option<i32>,
}

impl RecordSummary {
    /// What belongs in the header as greatest timestamp: that of the records, or -1.
    pub fn max_timestamp(&self) -> i64 {
        self.newest
            .map_or(NO_TIMESTAMP, |stamp| stamp.timestamp_ms.max(NO_TIMESTAMP))
    }

    fn note(&mut self, index: i32, timestamp_ms: i64, has_key: bool) {
        if !has_key && self.first_null_key.is_none() {
            self.first_null_key = Some(index);
        }
        if timestamp_ms == NO_TIMESTAMP {
            return;
        }
        let stamp = Stamp {
            index,
            timestamp_ms,
        };
        if self
            .oldest
            .is_none_or(|old| timestamp_ms < old.timestamp_ms)
        {
            self.oldest = Some(stamp);
        }
        if self
            .newest
            .is_none_or(|new| timestamp_ms > new.timestamp_ms)
        {
            self.newest = Some(stamp);
        }
    }
}

/// Walks the records that a client produced, given uncompressed, as Kafka's LogValidator does: at least one
/// record, one offset per record, every record well formed, none missing and nothing behind them.
///
/// Kafka renumbers compressed records whose offset deltas are not 0, 1, 2 ... and stores uncompressed ones as
/// they are; here both are refused, or two records could share an offset. Whether timestamps, null keys, flags
/// and producer fields are acceptable is for the caller to say: it depends on the topic.
pub fn check_produced(header: &BatchHeader, records: &[u8]) -> Result<RecordSummary, RecordError> {
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return Err(RecordError {
            index: 0,
            fault: RecordFault::Count,
        });
    }
    let mut summary = RecordSummary::default();
    for (index, record) in (0..).zip(Records::new(header.record_count, records)) {
        let record = record?;
        if record.offset_delta != index {
            return Err(RecordError {
                index,
                fault: RecordFault::OffsetDelta,
            });
        }
        let timestamp_ms = header.record_timestamp(record.timestamp_delta);
        summary.note(index, timestamp_ms, record.key.is_some());
    }
    Ok(summary)
}

fn take_record<'a>(input: &mut &'a [u8]) -> Result<Record<'a>, RecordFault> {
    let size = take_i32(input)?;
    let mut body = take(input, usize::try_from(size).or(Err(RecordFault::Length))?)?;
    let [attributes] = take_array(&mut body)?;
    let timestamp_delta = varint::read_i64(&mut body).ok_or(RecordFault::Truncated)?;
    let offset_delta = take_i32(&mut body)?;
    let key = take_nullable(&mut body)?;
    let value = take_nullable(&mut body)?;
    let headers = take_headers(&mut body)?;
    Ok(Record {
        attributes: i8::from_be_bytes([attributes]),
        timestamp_delta,
        offset_delta,
        key,
        value,
        headers,
    })
}

/// Takes the headers, which are the rest of a record.
fn take_headers<'a>(body: &mut &'a [u8]) -> Result<Headers<'a>, RecordFault> {
    let count = take_i32(body)?;
    let bytes = *body;
    if usize::try_from(count).map_or(true, |count| count > bytes.len()) {
        return Err(RecordFault::HeaderCount);
    }
    for _ in 0..count {
        take_header(body)?;
    }
    match body {
        [] => Ok(Headers::new(count, bytes)),
        _ => Err(RecordFault::Size),
    }
}

fn take_header<'a>(input: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), RecordFault> {
    let key = take_nullable(input)?.ok_or(RecordFault::Length)?;
    Ok((key, take_nullable(input)?))
}

fn take_nullable<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    match take_i32(input)? {
        -1 => Ok(None),
        length => take(input, usize::try_from(length).or(Err(RecordFault::Length))?).map(Some),
    }
}

fn take_i32(input: &mut &[u8]) -> Result<i32, RecordFault> {
    varint::read_i32(input).ok_or(RecordFault::Truncated)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], RecordFault> {
    let (head, rest) = input.split_first_chunk().ok_or(RecordFault::Truncated)?;
    *input = rest;
    Ok(*head)
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], RecordFault> {
    let (head, rest) = input
        .split_at_checked(length)
        .ok_or(RecordFault::Truncated)?;
    *input = rest;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::{Batch, BatchBuilder};
    use crate::proto::samples::Random;

    /// One record by hand: 11 bytes, 2 ms, offset delta 0, key "k", null value, header "h" = "v".
    const RECORD: [u8; 12] = [22, 0, 4, 0, 2, b'k', 1, 2, 2, b'h', 2, b'v'];

    fn fault(count: i32, bytes: &[u8]) -> Option<RecordFault> {
        let error = Records::new(count, bytes).find_map(Result::err);
        error.map(|error| error.fault)
    }

    fn header_of(batch: &[u8]) -> BatchHeader {
        *Batch::split_first(batch).unwrap().0.header()
    }

    #[test]
    fn a_record_made_by_hand_is_read() {
        let records: Vec<_> = Records::new(1, &RECORD).map(Result::unwrap).collect();
        let [record] = records[..] else {
            panic!("one record")
        };
        assert_eq!((record.timestamp_delta, record.offset_delta), (2, 0));
        assert_eq!((record.key, record.value), (Some(&b"k"[..]), None));
        assert_eq!(record.headers.count(), 1);
        let headers: Vec<_> = record.headers.iter().collect();
        assert_eq!(headers, [(&b"h"[..], Some(&b"v"[..]))]);
    }

    #[test]
    fn each_wrong_byte_gets_its_own_fault() {
        let cases: [(usize, u8, RecordFault); 9] = [
            (0, 23, RecordFault::Length),
            (0, 24, RecordFault::Truncated),
            (0, 20, RecordFault::Truncated),
            (4, 3, RecordFault::Length),
            (6, 3, RecordFault::Length),
            (7, 0, RecordFault::Size),
            (7, 1, RecordFault::HeaderCount),
            (7, 20, RecordFault::HeaderCount),
            (8, 1, RecordFault::Length),
        ];
        for (position, byte, expected) in cases {
            let mut bytes = RECORD;
            bytes[position] = byte;
            assert_eq!(fault(1, &bytes), Some(expected), "{position} = {byte}");
        }
        let mut looser = [&RECORD[..], &[0]].concat();
        assert_eq!(fault(1, &looser), Some(RecordFault::Trailing));
        looser[0] = 24;
        assert_eq!(fault(1, &looser), Some(RecordFault::Size));
        assert_eq!(fault(2, &RECORD), Some(RecordFault::Truncated));
    }

    #[test]
    fn a_record_cut_anywhere_is_refused() {
        for cut in 0..RECORD.len() {
            assert_eq!(fault(1, &RECORD[..cut]), Some(RecordFault::Truncated));
            let mut fitted = RECORD[..cut].to_vec();
            if let Some(size) = fitted.first_mut() {
                *size = (cut as u8 - 1) * 2;
            }
            assert!(fault(1, &fitted).is_some(), "{cut}");
        }
    }

    #[test]
    fn a_walk_reports_extremes_and_null_keys() {
        let mut builder = BatchBuilder::new(0);
        builder.push(50, Some(b"a"), None);
        builder.push(-1, None, Some(b"b"));
        builder.push(20, None, None);
        builder.push(90, Some(b""), None);
        builder.push(90, Some(b""), None);
        let bytes = builder.build(None).unwrap();
        let summary = check_produced(&header_of(&bytes), &bytes[61..]).unwrap();
        let stamp = |index, timestamp_ms| {
            Some(Stamp {
                index,
                timestamp_ms,
            })
        };
        assert_eq!(summary.oldest, stamp(2, 20));
        assert_eq!(summary.newest, stamp(3, 90));
        assert_eq!(summary.first_null_key, Some(1));
        assert_eq!(summary.max_timestamp(), 90);
        assert_eq!(RecordSummary::default().max_timestamp(), NO_TIMESTAMP);
    }

    #[test]
    fn counts_and_offsets_must_agree() {
        let mut builder = BatchBuilder::new(0);
        builder.push(1, None, None);
        builder.push(1, None, None);
        let bytes = builder.clone().build(None).unwrap();
        let header = header_of(&bytes);
        let index_and_fault = |header: &BatchHeader, records: &[u8]| {
            let error = check_produced(header, records).unwrap_err();
            (error.index, error.fault)
        };
        for (record_count, last_offset_delta) in [(0, -1), (-1, -2), (2, 2), (i32::MIN, i32::MAX)] {
            let wrong = BatchHeader {
                record_count,
                last_offset_delta,
                ..header
            };
            let found = index_and_fault(&wrong, &bytes[61..]);
            assert_eq!(found, (0, RecordFault::Count));
        }
        let fewer = BatchHeader {
            record_count: 1,
            last_offset_delta: 0,
            ..header
        };
        let found = index_and_fault(&fewer, &bytes[61..]);
        assert_eq!(found, (0, RecordFault::Trailing));
        let mut twice = bytes[61..].to_vec();
        twice.copy_within(0..7, 7);
        assert_eq!(
            index_and_fault(&header, &twice),
            (1, RecordFault::OffsetDelta)
        );
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let bytes = random.bytes_below(40);
            let count = random.below(5) as i32;
            for record in Records::new(count, &bytes).flatten() {
                assert_eq!(record.headers.iter().count() as i32, record.headers.count());
            }
        }
    }
}
