//! Batches in, batches out: what compaction leaves of each (Kafka's rules of 4.3; KIP-87, KIP-98, KIP-534).
//!
//! A record goes when a later one of its key is known, when it has no key, when its transaction was aborted, and, if
//! it is a tombstone, when the delete horizon of its batch has passed. What lies at or behind the end of what the map
//! speaks for stays. A batch that loses nothing is copied as it is; else the records that stay keep their bytes, and
//! so their offsets and their order, and the header keeps its first and last offset, its producer and its sequence.
//!
//! | batch | what is left when no record is |
//! |---|---|
//! | the last of a producer that is remembered | its header: an empty batch |
//! | the last of a group of segments | its header, so that a segment tells how far it reaches |
//! | any other | nothing |
//!
//! The **delete horizon** stands in place of the base timestamp and is marked by attribute bit 6: a batch gets one when
//! it is rewritten while it holds tombstones, or a marker whose transaction has no batch left, and they go in the first
//! walk at or after that time. By a clock that is not believed no batch gets a horizon and none has passed; a horizon
//! further ahead than the retention was set by a clock that ran ahead, and is set anew.
//!
//! Entries of message formats 0 and 1 become batches of format 2, as Kafka does since 4.0. A batch that does not match
//! its checksum ends the walk: rewritten, it would have a new one that hides the damage.

use super::super::aborted::Entry;
use super::offset_map::OffsetMap;
use super::transactions::Transactions;
use crate::proto::batch::{
    self, Attributes, Batch, BatchHeader, Headers, MAGIC, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, Record,
};
use crate::proto::codec::Codec;
use crate::proto::legacy::{self, OldRecord};
use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;

/// The last batch of a producer, as the log remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct LastBatch {
    /// Its last offset; `None` where only a marker of the epoch is known.
    pub(in crate::storage) offset: Option<i64>,
    /// The producer's epoch.
    pub(in crate::storage) epoch: i16,
}

/// What a walk obeys.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The broker's time in ms since 1970, where that may be believed.
    pub(super) now_ms: Option<i64>,
    /// `delete.retention.ms`.
    pub(super) delete_retention_ms: i64,
    /// What a batch may grow to where it must be unpacked.
    pub(super) max_unpacked_bytes: usize,
    /// By producer id.
    pub(super) last_batches: BTreeMap<i64, LastBatch>,
}

/// A walk over a log that leaves out what may go.
pub(super) struct Rewrite {
    rules: Rules,
    map: OffsetMap,
    pub(super) transactions: Transactions,
    /// Lines of the index of aborted transactions whose markers were met and that are still needed.
    pub(super) aborted: Vec<Entry>,
    /// Of the batch at hand: where the records that stay lie.
    kept: Vec<Range<usize>>,
    plain: Vec<u8>,
}

/// What the records of a batch come to.
struct Chosen {
    count: i32,
    max_timestamp: i64,
    has_tombstones: bool,
    all: bool,
}

impl Rewrite {
    /// A walk by a map.
    pub(super) fn new(rules: Rules, map: OffsetMap) -> Rewrite {
        Rewrite {
            rules,
            map,
            transactions: Transactions::default(),
            aborted: Vec::new(),
            kept: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Appends what is left of a batch to `out`, if anything, and answers its header. `must_stay`: at least its header.
    ///
    /// # Errors
    /// Why it cannot be looked at; then nothing was written.
    pub(super) fn batch(
        &mut self,
        batch: &Batch<'_>,
        must_stay: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<BatchHeader>, String> {
        batch.check_crc().map_err(|why| why.to_string())?;
        let header = batch.header();
        let is_control = header.attributes.is_control();
        let (may_go, goes) = if is_control {
            let judged = self.transactions.meet_control(batch);
            self.aborted.extend(judged.aborted);
            (judged.may_go, judged.may_go && self.is_over(header))
        } else {
            let aborted = self.transactions.meet(header);
            (false, aborted)
        };
        let must_stay = must_stay || self.is_last_of_producer(header);
        if goes || header.record_count == 0 {
            return Ok(must_stay.then(|| empty(header, out)));
        }
        let plain = batch.decompress(self.rules.max_unpacked_bytes);
        let plain = plain.map_err(|why| why.to_string())?;
        let chosen = self.choose(batch, &plain)?;
        if chosen.count == 0 {
            return Ok(must_stay.then(|| empty(header, out)));
        }
        let horizon = self.new_horizon(header, chosen.has_tombstones || may_go);
        if chosen.all && horizon.is_none() {
            out.extend_from_slice(batch.as_bytes());
            return Ok(Some(*header));
        }
        self.write(batch, &plain, &chosen, horizon, out).map(Some)
    }

    /// Notes which records stay.
    fn choose(&mut self, batch: &Batch<'_>, plain: &[u8]) -> Result<Chosen, String> {
        let header = batch.header();
        let is_control = header.attributes.is_control();
        let mut chosen = Chosen {
            count: 0,
            max_timestamp: NO_TIMESTAMP,
            has_tombstones: false,
            all: true,
        };
        self.kept.clear();
        let mut records = batch.records(plain);
        let mut start = plain.len() - records.rest().len();
        while let Some(record) = records.next() {
            let record = record.map_err(|why| format!("record {} {why}", why.index))?;
            let end = plain.len() - records.rest().len();
            let offset = header.base_offset + i64::from(record.offset_delta);
            let is_tombstone = record.value.is_none();
            if is_control || self.stays(header, offset, record.key, is_tombstone) {
                let timestamp_ms = header.record_timestamp(record.timestamp_delta);
                chosen.count += 1;
                chosen.max_timestamp = chosen.max_timestamp.max(timestamp_ms);
                chosen.has_tombstones |= is_tombstone;
                match self.kept.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => self.kept.push(start..end),
                }
            } else {
                chosen.all = false;
            }
            start = end;
        }
        Ok(chosen)
    }

    fn stays(
        &self,
        header: &BatchHeader,
        offset: i64,
        key: Option<&[u8]>,
        is_tombstone: bool,
    ) -> bool {
        if offset >= self.map.until() {
            return true;
        }
        let Some(key) = key else {
            return false;
        };
        let is_last = self.map.get(key).is_none_or(|last| offset >= last);
        is_last && !(is_tombstone && self.is_over(header))
    }

    /// Whether the delete horizon of a batch has passed.
    fn is_over(&self, header: &BatchHeader) -> bool {
        header.attributes.has_delete_horizon()
            && self
                .rules
                .now_ms
                .is_some_and(|now_ms| now_ms >= header.base_timestamp)
    }

    /// The horizon that a batch gets in this walk, if it gets one.
    fn new_horizon(&self, header: &BatchHeader, is_needed: bool) -> Option<i64> {
        let now_ms = self.rules.now_ms.filter(|_| is_needed)?;
        let horizon_ms = now_ms.saturating_add(self.rules.delete_retention_ms);
        let has_one = header.attributes.has_delete_horizon();
        (!has_one || header.base_timestamp > horizon_ms).then_some(horizon_ms)
    }

    /// Without it the producer's next batch could not be told from a gap, nor an old epoch from the last one.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let Some(last) = self.rules.last_batches.get(&header.producer_id) else {
            return false;
        };
        header.has_producer_id()
            && match last.offset {
                Some(offset) => header.last_offset() == offset,
                None => header.attributes.is_control() && header.producer_epoch == last.epoch,
            }
    }

    /// Writes a batch of the records that stay.
    fn write(
        &mut self,
        batch: &Batch<'_>,
        plain: &[u8],
        chosen: &Chosen,
        horizon: Option<i64>,
        out: &mut Vec<u8>,
    ) -> Result<BatchHeader, String> {
        let old = *batch.header();
        let mut header = old;
        header.record_count = chosen.count;
        header.max_timestamp = chosen.max_timestamp;
        self.plain.clear();
        if let Some(horizon_ms) = horizon {
            header.base_timestamp = horizon_ms;
            header.attributes = header.attributes.with_delete_horizon(true);
        }
        for range in &self.kept {
            let bytes = &plain[range.clone()];
            if horizon.is_none() {
                self.plain.extend_from_slice(bytes);
                continue;
            }
            let mut records = batch::Records::new(i32::MAX, bytes);
            while !records.rest().is_empty()
                && let Some(record) = records.next()
            {
                let record = record.map_err(|why| why.to_string())?;
                let timestamp_ms = old.record_timestamp(record.timestamp_delta);
                let timestamp_delta = timestamp_ms.wrapping_sub(header.base_timestamp);
                Record {
                    timestamp_delta,
                    ..record
                }
                .write(&mut self.plain);
            }
        }
        finish(header, &self.plain, out)
    }

    /// The same for an entry of message format 0 or 1; what is left of it is a batch of format 2. Tombstones get their
    /// horizon when that batch is met again.
    ///
    /// # Errors
    /// Why it cannot be looked at; then nothing was written.
    pub(super) fn old_entry(
        &mut self,
        entry: &[u8],
        must_stay: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<BatchHeader>, String> {
        let offset = entry.first_chunk().map_or(0, |o| i64::from_be_bytes(*o));
        let mut header = plain_header(offset);
        let mut plain = mem::take(&mut self.plain);
        plain.clear();
        let max_bytes = self.rules.max_unpacked_bytes;
        let opened = legacy::open_entry(entry, max_bytes, |record| {
            if self.stays(&header, record.offset, record.key, record.value.is_none()) {
                push_old(&mut header, &record, &mut plain);
            }
        });
        self.plain = plain;
        let opened = opened.map_err(|why| why.to_string())?;
        if header.record_count == 0 {
            return Ok(must_stay.then(|| empty(&header, out)));
        }
        header.attributes = Attributes::default()
            .with_codec(opened.codec)
            .with_timestamp_type(opened.timestamp_type);
        finish(header, &self.plain, out).map(Some)
    }
}

/// Adds a record of an old format to a batch.
fn push_old(header: &mut BatchHeader, record: &OldRecord<'_>, plain: &mut Vec<u8>) {
    if header.record_count == 0 {
        header.base_offset = record.offset;
        header.base_timestamp = record.timestamp_ms;
    }
    let offset_delta = record.offset - header.base_offset;
    header.record_count += 1;
    header.last_offset_delta = i32::try_from(offset_delta).unwrap_or(i32::MAX);
    header.max_timestamp = header.max_timestamp.max(record.timestamp_ms);
    Record {
        attributes: 0,
        timestamp_delta: record.timestamp_ms.wrapping_sub(header.base_timestamp),
        offset_delta: header.last_offset_delta,
        key: record.key,
        value: record.value,
        headers: Headers::default(),
    }
    .write(plain);
}

/// The header of an uncompressed batch without producer and records that holds one offset.
fn plain_header(offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset: offset,
        batch_length: 0,
        partition_leader_epoch: NO_LEADER_EPOCH,
        magic: MAGIC,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: 0,
        base_timestamp: NO_TIMESTAMP,
        max_timestamp: NO_TIMESTAMP,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        base_sequence: NO_SEQUENCE,
        record_count: 0,
    }
}

/// Writes a batch of a header alone. It keeps offsets, producer, flags and the greatest timestamp.
fn empty(old: &BatchHeader, out: &mut Vec<u8>) -> BatchHeader {
    let attributes = old.attributes.with_codec(Codec::None);
    let header = BatchHeader {
        attributes: attributes.with_delete_horizon(false),
        base_timestamp: NO_TIMESTAMP,
        record_count: 0,
        ..*old
    };
    finish(header, &[], out).expect("a header alone is a batch")
}

/// Compresses, seals and appends a batch.
fn finish(mut header: BatchHeader, plain: &[u8], out: &mut Vec<u8>) -> Result<BatchHeader, String> {
    let codec = header.attributes.codec().unwrap_or_default();
    let payload = codec
        .compress(plain, MAGIC)
        .map_err(|why| why.to_string())?;
    header.seal(&payload).map_err(|why| why.to_string())?;
    out.extend_from_slice(&header.to_bytes());
    out.extend_from_slice(&payload);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::super::offset_map::Size;
    use super::*;
    use crate::proto::batch::{BatchBuilder, EndMarker, HEADER_BYTES, TimestampType};

    const NOW_MS: i64 = 1_800_000_000_000;
    const DAY_MS: i64 = 86_400_000;

    /// A walk at a time, by a map in which key "k" was last seen at that offset and which speaks for 1,000 offsets.
    fn walk(now_ms: i64, last: i64) -> Rewrite {
        let size = Size {
            bytes: 1 << 12,
            load: 0.9,
            secret: 1,
        };
        let mut map = OffsetMap::new(size, 10, 0);
        map.put(b"k", last);
        map.set_until(1_000);
        let rules = Rules {
            now_ms: Some(now_ms),
            delete_retention_ms: DAY_MS,
            max_unpacked_bytes: 1 << 16,
            last_batches: BTreeMap::new(),
        };
        Rewrite::new(rules, map)
    }

    fn tombstone(offset: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new(offset);
        builder.push(5, Some(b"k"), None);
        builder.build(None).unwrap()
    }

    fn pass(walk: &mut Rewrite, bytes: &[u8], must_stay: bool) -> Result<Vec<u8>, String> {
        let (batch, _) = Batch::split_first(bytes).unwrap();
        let mut out = Vec::new();
        let written = walk.batch(&batch, must_stay, &mut out)?;
        assert_eq!(written.is_some(), !out.is_empty());
        Ok(out)
    }

    fn header(bytes: &[u8]) -> BatchHeader {
        let (batch, rest) = Batch::split_first(bytes).unwrap();
        assert!(rest.is_empty() && batch.check_crc().is_ok());
        *batch.header()
    }

    #[test]
    fn a_batch_that_loses_nothing_is_copied_and_a_damaged_one_ends_the_walk() {
        let mut builder = BatchBuilder::new(7);
        builder.push(5, Some(b"k"), Some(b"v"));
        let mut bytes = builder.build(None).unwrap();
        assert_eq!(pass(&mut walk(NOW_MS, 7), &bytes, false), Ok(bytes.clone()));
        assert_eq!(pass(&mut walk(NOW_MS, 8), &bytes, false), Ok(Vec::new()));
        let left = pass(&mut walk(NOW_MS, 8), &bytes, true).unwrap();
        assert_eq!((left.len(), header(&left).last_offset()), (HEADER_BYTES, 7));
        bytes[HEADER_BYTES + 3] ^= 1;
        assert!(pass(&mut walk(NOW_MS, 8), &bytes, true).is_err());
    }

    #[test]
    fn records_without_a_key_go_and_those_behind_the_map_stay() {
        let keyless = |offset| {
            let mut builder = BatchBuilder::new(offset);
            builder.push(5, None, Some(b"v"));
            builder.build(None).unwrap()
        };
        assert!(
            pass(&mut walk(NOW_MS, 0), &keyless(999), false)
                .unwrap()
                .is_empty()
        );
        let left = pass(&mut walk(NOW_MS, 0), &keyless(1_000), false);
        assert_eq!(left, Ok(keyless(1_000)));
    }

    #[test]
    fn a_horizon_is_set_once_kept_until_it_has_passed_and_set_anew_if_it_is_absurd() {
        let first = pass(&mut walk(NOW_MS, 7), &tombstone(7), false).unwrap();
        assert!(header(&first).attributes.has_delete_horizon());
        assert_eq!(header(&first).base_timestamp, NOW_MS + DAY_MS);
        let (batch, _) = Batch::split_first(&first).unwrap();
        let record = batch.records(batch.payload()).next().unwrap().unwrap();
        assert_eq!(header(&first).record_timestamp(record.timestamp_delta), 5);
        let later = |ms| pass(&mut walk(ms, 7), &first, false).unwrap();
        assert_eq!(later(NOW_MS + DAY_MS - 1), first);
        assert!(later(NOW_MS + DAY_MS).is_empty());
        let anew = later(NOW_MS - 10 * DAY_MS);
        assert_eq!(header(&anew).base_timestamp, NOW_MS - 9 * DAY_MS);
        let mut in_doubt = walk(NOW_MS + 9 * DAY_MS, 7);
        in_doubt.rules.now_ms = None;
        assert_eq!(pass(&mut in_doubt, &first, false), Ok(first.clone()));
        assert_eq!(pass(&mut in_doubt, &tombstone(7), false), Ok(tombstone(7)));
    }

    #[test]
    fn the_last_batch_of_a_producer_keeps_its_header() {
        let mut builder = BatchBuilder::new(3).producer(9, 2, 40);
        (0..4).for_each(|_| builder.push(5, Some(b"k"), Some(b"v")));
        let bytes = builder.build(None).unwrap();
        let mut walk = walk(NOW_MS, 100);
        let last = |offset| LastBatch { offset, epoch: 2 };
        walk.rules.last_batches.insert(9, last(Some(7)));
        assert!(pass(&mut walk, &bytes, false).unwrap().is_empty());
        walk.rules.last_batches.insert(9, last(Some(6)));
        let left = header(&pass(&mut walk, &bytes, false).unwrap());
        assert_eq!((left.producer_id, left.producer_epoch), (9, 2));
        assert_eq!((left.last_sequence(), left.record_count), (43, 0));
    }

    /// The marker of producer 9's transaction.
    fn marker(offset: i64, commits: bool) -> Vec<u8> {
        let marker = EndMarker {
            commits,
            coordinator_epoch: 0,
        };
        let mut bytes = marker.batch((9, 0), (NOW_MS, false));
        bytes[..8].copy_from_slice(&offset.to_be_bytes());
        bytes
    }

    #[test]
    fn records_of_an_aborted_transaction_go_and_its_line_stays_as_long_as_its_batch() {
        let mut builder = BatchBuilder::new(3).producer(9, 0, 0).transactional();
        builder.push(5, Some(b"k"), Some(b"v"));
        let (batch, end) = (builder.build(None).unwrap(), marker(4, false));
        let entry = Entry {
            producer_id: 9,
            first_offset: 3,
            last_offset: 4,
            last_stable_offset: 5,
        };
        for must_stay in [false, true] {
            let mut walk = walk(NOW_MS, 3);
            walk.transactions.expect([entry]);
            let left = pass(&mut walk, &batch, must_stay).unwrap();
            assert_eq!(left.len(), if must_stay { HEADER_BYTES } else { 0 });
            assert_eq!(pass(&mut walk, &end, false), Ok(end.clone()));
            assert_eq!(walk.aborted, [entry]);
        }
    }

    #[test]
    fn a_marker_without_a_batch_goes_when_its_horizon_has_passed() {
        for commits in [false, true] {
            let dated = pass(&mut walk(NOW_MS, 0), &marker(4, commits), false).unwrap();
            assert!(header(&dated).attributes.has_delete_horizon());
            let later = |ms| pass(&mut walk(ms, 0), &dated, false).unwrap();
            assert_eq!(later(NOW_MS + DAY_MS - 1), dated);
            assert!(later(NOW_MS + DAY_MS).is_empty());
        }
    }

    /// A message of format 1 without compression.
    fn message(offset: i64, key: &[u8]) -> Vec<u8> {
        let mut body = vec![1, 0];
        body.extend(77i64.to_be_bytes());
        for field in [key, b"old"] {
            body.extend((field.len() as i32).to_be_bytes());
            body.extend(field);
        }
        let mut bytes = offset.to_be_bytes().to_vec();
        bytes.extend((body.len() as i32 + 4).to_be_bytes());
        bytes.extend(crc32fast::hash(&body).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn an_entry_of_an_old_format_becomes_a_batch() {
        let mut out = Vec::new();
        let mut walk = walk(NOW_MS, 8);
        walk.old_entry(&message(8, b"k"), false, &mut out).unwrap();
        let left = header(&out);
        assert_eq!(
            (left.base_offset, left.last_offset(), left.record_count),
            (8, 8, 1)
        );
        assert_eq!(left.max_timestamp, 77);
        assert_eq!(left.attributes.timestamp_type(), TimestampType::CreateTime);
        let (batch, _) = Batch::split_first(&out).unwrap();
        let record = batch.records(batch.payload()).next().unwrap().unwrap();
        assert_eq!(
            (record.key, record.value),
            (Some(&b"k"[..]), Some(&b"old"[..]))
        );
        let mut out = Vec::new();
        assert_eq!(walk.old_entry(&message(5, b"k"), false, &mut out), Ok(None));
        walk.old_entry(&message(5, b"k"), true, &mut out).unwrap();
        assert_eq!(
            (header(&out).last_offset(), header(&out).record_count),
            (5, 0)
        );
        assert!(
            walk.old_entry(&message(5, b"k")[..30], true, &mut out)
                .is_err()
        );
    }
}
