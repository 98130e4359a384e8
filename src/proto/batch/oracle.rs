//! A second reader of records, slow and plain, that the real one is held against.
//!
//! It copies everything, works with one position in one slice and numbers that cannot overflow, and shares no
//! line with the reader it judges.

use super::{BatchBuilder, Records};
use crate::proto::samples::Random;

/// Attributes, timestamp delta, offset delta, key, value, headers.
type Plain = (
    i8,
    i64,
    i32,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.bytes.get(self.at - 1).copied()
    }

    fn number(&mut self, bits: u32) -> Option<i128> {
        let mut raw = 0u128;
        for group in 0..bits.div_ceil(7) {
            let byte = self.byte()?;
            raw += u128::from(byte % 128) << (7 * group);
            if byte < 128 {
                let magnitude = (raw / 2) as i128;
                let value = if raw & 1 == 0 {
                    magnitude
                } else {
                    -magnitude - 1
                };
                return (raw < 1 << bits).then_some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<Option<Vec<u8>>> {
        let length = self.number(32)?;
        if length == -1 {
            return Some(None);
        }
        if length < 0 {
            return None;
        }
        let mut out = Vec::new();
        for _ in 0..length {
            out.push(self.byte()?);
        }
        Some(Some(out))
    }

    fn record(&mut self) -> Option<Plain> {
        let size = self.number(32)?;
        let end = self.at as i128 + size;
        let attributes = self.byte()? as i8;
        let timestamp_delta = self.number(64)? as i64;
        let offset_delta = self.number(32)? as i32;
        let (key, value) = (self.field()?, self.field()?);
        let count = self.number(32)?;
        if count < 0 {
            return None;
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((self.field()??, self.field()?));
        }
        let record = (
            attributes,
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers,
        );
        (self.at as i128 == end && self.at <= self.bytes.len()).then_some(record)
    }
}

fn oracle(count: i32, bytes: &[u8]) -> Option<Vec<Plain>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let records: Option<Vec<_>> = (0..count).map(|_| cursor.record()).collect();
    records.filter(|_| count == 0 || cursor.at == bytes.len())
}

fn reader(count: i32, bytes: &[u8]) -> Option<Vec<Plain>> {
    let records: Result<Vec<_>, _> = Records::new(count, bytes).collect();
    let copy = |field: Option<&[u8]>| field.map(<[u8]>::to_vec);
    let plain = records.ok()?.into_iter().map(|record| {
        let headers = record
            .headers
            .iter()
            .map(|(key, value)| (key.to_vec(), copy(value)));
        (
            record.attributes,
            record.timestamp_delta,
            record.offset_delta,
            copy(record.key),
            copy(record.value),
            headers.collect(),
        )
    });
    Some(plain.collect())
}

fn random_records(random: &mut Random) -> (i32, Vec<u8>) {
    let mut builder = BatchBuilder::new(0);
    for _ in 0..random.below(4) {
        let key = (random.below(2) == 0).then(|| random.bytes_below(4));
        let value = (random.below(2) == 0).then(|| random.bytes_below(80));
        let headers = [("", None), ("h", Some(&b"value"[..]))];
        let headers = &headers[..random.below(3)];
        let timestamp = random.next() as i64 >> random.below(64);
        builder.push_with_headers(timestamp, key.as_deref(), value.as_deref(), headers);
    }
    (
        builder.record_count(),
        builder.build(None).unwrap()[61..].to_vec(),
    )
}

#[test]
fn both_readers_see_the_same_in_good_damaged_and_cut_records() {
    let mut random = Random::new(7);
    let mut accepted = [0; 2];
    for round in 0..30_000 {
        let (count, mut bytes) = random_records(&mut random);
        if round % 3 > 0 && !bytes.is_empty() {
            let position = random.below(bytes.len());
            bytes[position] = random.next() as u8;
            bytes.truncate(bytes.len() - random.below(2) * random.below(bytes.len()));
        }
        let seen = reader(count, &bytes);
        accepted[usize::from(seen.is_some())] += 1;
        assert_eq!(seen, oracle(count, &bytes), "{count} records in {bytes:x?}");
    }
    assert!(
        accepted.iter().all(|&rounds| rounds > 3_000),
        "{accepted:?}"
    );
}
