//! What a partition remembers of its idempotent producers (KIP-98): the epoch and the last five batches of
//! each, by which a retry is told from a loss.
//!
//! On disk, in Apache Kafka's format, `<offset>.snapshot` says how it stood before that offset:
//!
//! ```text
//! version i16 = 1 | CRC-32C of all that follows u32 | count i32 | entries
//! entry: producer id i64 | epoch i16 | last sequence i32 | last offset i64 | offset delta i32
//!        | greatest timestamp i64 | coordinator epoch i32 | first offset of the open transaction i64
//! ```
//!
//! Kafka writes one entry for each producer, and so forgets four of five batches at a restart. Ours has one
//! for each batch, the oldest first: Kafka's reader takes an id's last entry, ours takes them all.
//!
//! Expiry counts from the last append as the monotonic clock saw it, or from the start of the process: a
//! producer that writes old timestamps is never forgotten early. Invariant: an id's batches are in
//! order of their offsets, and at most five.

use crate::clock::Mono;
use crate::proto::batch::{BatchHeader, add_sequence};
use std::collections::BTreeMap;

/// How many batches of a producer may be in flight (KIP-98: max.in.flight.requests.per.connection).
const REMEMBERED: usize = 5;
const VERSION: i16 = 1;
/// Version and checksum.
const PREFIX_BYTES: usize = 6;
const ENTRY_BYTES: usize = 46;

/// One batch that was appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    last_sequence: i32,
    /// Records in the batch, minus one.
    delta: i32,
    last_offset: i64,
    timestamp_ms: i64,
}

impl Sent {
    fn first_sequence(self) -> i32 {
        self.last_sequence.wrapping_sub(self.delta) & i32::MAX
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    coordinator_epoch: i32,
    /// First offset of the open transaction, or -1.
    transaction_start: i64,
    seen: Mono,
    count: usize,
    /// The first `count` are meant, the oldest first.
    sent: [Sent; REMEMBERED],
}

impl Producer {
    fn new(epoch: i16, seen: Mono) -> Producer {
        Producer {
            epoch,
            coordinator_epoch: -1,
            transaction_start: -1,
            seen,
            count: 0,
            sent: [Sent::default(); REMEMBERED],
        }
    }

    fn batches(&self) -> &[Sent] {
        &self.sent[..self.count]
    }

    fn push(&mut self, sent: Sent) {
        if self.count == REMEMBERED {
            self.sent.rotate_left(1);
            self.count -= 1;
        }
        self.sent[self.count] = sent;
        self.count += 1;
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.count = 0;
        }
    }
}

/// What becomes of a produced batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one, or the producer is new here.
    Next,
    /// It has been appended before, at these offsets.
    Duplicate {
        /// Of the batch as it was appended first.
        first_offset: i64,
        /// Of the batch as it was appended first.
        last_offset: i64,
        /// The greatest timestamp, as it was appended first.
        timestamp_ms: i64,
    },
    /// Its sequence leaves a gap, or begins a new epoch with something else than 0: error 45.
    OutOfOrder(String),
    /// Its epoch is an old one: error 47.
    Fenced(String),
}

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Producers(BTreeMap<i64, Producer>);

impl Producers {
    /// Judges a batch that carries a producer id, before it is appended.
    pub(super) fn check(&self, batch: &BatchHeader) -> Verdict {
        let Some(known) = self.0.get(&batch.producer_id) else {
            return Verdict::Next;
        };
        let (id, epoch, first) = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
        if epoch < known.epoch {
            return Verdict::Fenced(format!(
                "the epoch of producer {id} is {epoch}, the last one seen here is {}",
                known.epoch
            ));
        }
        if epoch > known.epoch {
            return match first {
                0 => Verdict::Next,
                _ => Verdict::OutOfOrder(format!(
                    "producer {id} begins epoch {epoch} with sequence {first} instead of 0"
                )),
            };
        }
        if let Some(verdict) = duplicate_of(known, batch) {
            return verdict;
        }
        let last = known.batches().last().map_or(-1, |sent| sent.last_sequence);
        if first == add_sequence(last, 1) {
            return Verdict::Next;
        }
        Verdict::OutOfOrder(format!("producer {id} sends sequence {first} after {last}"))
    }

    /// Remembers a batch that has been appended; its header carries the assigned offset. Also for
    /// batches that recovery finds, so nothing is judged here.
    pub(super) fn note(&mut self, batch: &BatchHeader, now: Mono) {
        let known = self
            .0
            .entry(batch.producer_id)
            .or_insert_with(|| Producer::new(batch.producer_epoch, now));
        known.seen = now;
        known.enter_epoch(batch.producer_epoch);
        if batch.attributes.is_control() {
            known.transaction_start = -1;
            return;
        }
        if batch.attributes.is_transactional() && known.transaction_start < 0 {
            known.transaction_start = batch.base_offset;
        }
        known.push(Sent {
            last_sequence: batch.last_sequence(),
            delta: batch.last_offset_delta,
            last_offset: batch.last_offset(),
            timestamp_ms: batch.max_timestamp,
        });
    }

    /// Forgets the ids that have not appended for `expiration_ms` and have no open transaction.
    pub(super) fn expire(&mut self, now: Mono, expiration_ms: i64) {
        self.0
            .retain(|_, p| p.transaction_start >= 0 || p.seen.plus_ms(expiration_ms) > now);
    }

    /// Whether nobody is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ids are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes of a snapshot.
    pub(super) fn encode(&self) -> Vec<u8> {
        let entries: usize = self.0.values().map(|p| p.count.max(1)).sum();
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + 4 + entries * ENTRY_BYTES);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(entries as u32).to_be_bytes());
        for (id, producer) in &self.0 {
            for sent in producer.batches() {
                encode_entry(&mut bytes, *id, producer, *sent);
            }
            if producer.count == 0 {
                encode_entry(&mut bytes, *id, producer, NO_BATCH);
            }
        }
        let crc = crc32c::crc32c(&bytes[PREFIX_BYTES..]);
        bytes[2..PREFIX_BYTES].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads a snapshot; `None` when it is not whole or of an unknown version.
    pub(super) fn decode(bytes: &[u8], now: Mono) -> Option<Producers> {
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
        let [a, b, crc @ ..] = *prefix;
        let whole = i16::from_be_bytes([a, b]) == VERSION
            && u32::from_be_bytes(crc) == crc32c::crc32c(rest);
        let (count, entries) = rest.split_first_chunk::<4>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        let complete = rest.is_empty() && entries.len() == u32::from_be_bytes(*count) as usize;
        if !whole || !complete {
            return None;
        }
        let mut producers = Producers::default();
        for entry in entries {
            producers.take_entry(&mut &entry[..], now)?;
        }
        Some(producers)
    }

    fn take_entry(&mut self, entry: &mut &[u8], now: Mono) -> Option<()> {
        let id = i64::from_be_bytes(take(entry)?);
        let epoch = i16::from_be_bytes(take(entry)?);
        let last_sequence = i32::from_be_bytes(take(entry)?);
        let last_offset = i64::from_be_bytes(take(entry)?);
        let delta = i32::from_be_bytes(take(entry)?);
        let timestamp_ms = i64::from_be_bytes(take(entry)?);
        let known = self
            .0
            .entry(id)
            .or_insert_with(|| Producer::new(epoch, now));
        known.enter_epoch(epoch);
        known.coordinator_epoch = i32::from_be_bytes(take(entry)?);
        known.transaction_start = i64::from_be_bytes(take(entry)?);
        if last_offset >= 0 {
            known.push(Sent {
                last_sequence,
                delta,
                last_offset,
                timestamp_ms,
            });
        }
        Some(())
    }
}

/// What Kafka writes for a producer of which only a transaction's end is known.
const NO_BATCH: Sent = Sent {
    last_sequence: -1,
    delta: 0,
    last_offset: -1,
    timestamp_ms: -1,
};

fn encode_entry(out: &mut Vec<u8>, id: i64, producer: &Producer, sent: Sent) {
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&producer.epoch.to_be_bytes());
    out.extend_from_slice(&sent.last_sequence.to_be_bytes());
    out.extend_from_slice(&sent.last_offset.to_be_bytes());
    out.extend_from_slice(&sent.delta.to_be_bytes());
    out.extend_from_slice(&sent.timestamp_ms.to_be_bytes());
    out.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
    out.extend_from_slice(&producer.transaction_start.to_be_bytes());
}

fn duplicate_of(known: &Producer, batch: &BatchHeader) -> Option<Verdict> {
    let same = |sent: &&Sent| {
        sent.first_sequence() == batch.base_sequence && sent.last_sequence == batch.last_sequence()
    };
    known
        .batches()
        .iter()
        .find(same)
        .map(|s| Verdict::Duplicate {
            first_offset: s.last_offset - i64::from(s.delta),
            last_offset: s.last_offset,
            timestamp_ms: s.timestamp_ms,
        })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::{BatchBuilder, HEADER_BYTES};

    fn batch(id: i64, epoch: i16, first_sequence: i32, count: i32, offset: i64) -> BatchHeader {
        let mut builder = BatchBuilder::new(offset).producer(id, epoch, first_sequence);
        for _ in 0..count {
            builder.push(5, None, None);
        }
        let bytes = builder.build(None).unwrap();
        BatchHeader::from_bytes(bytes[..HEADER_BYTES].try_into().unwrap())
    }

    /// Producer 1 has sent batches of two records: sequences 0..=13 at offsets 100..=113.
    fn sample() -> Producers {
        let mut producers = Producers::default();
        for n in 0..7 {
            let next = batch(1, 3, n * 2, 2, 100 + i64::from(n) * 2);
            assert_eq!(producers.check(&next), Verdict::Next);
            producers.note(&next, Mono(10));
        }
        producers
    }

    fn duplicate(first_offset: i64) -> Verdict {
        Verdict::Duplicate {
            first_offset,
            last_offset: first_offset + 1,
            timestamp_ms: 5,
        }
    }

    #[test]
    fn any_of_the_last_five_batches_is_known_again_and_an_older_one_is_not() {
        let producers = sample();
        for n in 2..7 {
            let again = producers.check(&batch(1, 3, n * 2, 2, 0));
            assert_eq!(again, duplicate(100 + i64::from(n) * 2));
        }
        let old = producers.check(&batch(1, 3, 2, 2, 0));
        assert!(matches!(old, Verdict::OutOfOrder(_)), "{old:?}");
    }

    #[test]
    fn a_gap_or_another_cut_of_a_known_batch_is_out_of_order() {
        let producers = sample();
        assert_eq!(producers.check(&batch(1, 3, 14, 1, 0)), Verdict::Next);
        for (first, count) in [(15, 1), (12, 1), (13, 2), (0, 2)] {
            let verdict = producers.check(&batch(1, 3, first, count, 0));
            assert!(matches!(verdict, Verdict::OutOfOrder(_)), "{first}");
        }
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_an_old_one_is_fenced() {
        let mut producers = sample();
        assert!(matches!(
            producers.check(&batch(1, 4, 14, 1, 0)),
            Verdict::OutOfOrder(_)
        ));
        assert_eq!(producers.check(&batch(1, 4, 0, 1, 0)), Verdict::Next);
        assert!(matches!(
            producers.check(&batch(1, 2, 14, 1, 0)),
            Verdict::Fenced(_)
        ));
        producers.note(&batch(1, 4, 0, 1, 200), Mono(0));
        let before = producers.check(&batch(1, 3, 12, 2, 0));
        assert!(
            matches!(before, Verdict::Fenced(_)),
            "no duplicate from an old epoch"
        );
    }

    #[test]
    fn an_unknown_id_may_start_anywhere() {
        assert_eq!(sample().check(&batch(2, 9, 77, 1, 0)), Verdict::Next);
    }

    #[test]
    fn sequences_wrap_within_and_between_batches() {
        let mut producers = Producers::default();
        producers.note(&batch(1, 0, i32::MAX - 1, 4, 50), Mono(0));
        let again = producers.check(&batch(1, 0, i32::MAX - 1, 4, 0));
        assert!(matches!(
            again,
            Verdict::Duplicate {
                first_offset: 50,
                ..
            }
        ));
        assert_eq!(producers.check(&batch(1, 0, 2, 1, 0)), Verdict::Next);
        producers.note(&batch(2, 0, i32::MAX, 1, 60), Mono(0));
        assert_eq!(producers.check(&batch(2, 0, 0, 1, 0)), Verdict::Next);
    }

    #[test]
    fn a_snapshot_brings_all_five_batches_back() {
        let mut producers = sample();
        producers.note(&batch(i64::MAX, 0, 4, 1, 300), Mono(10));
        let bytes = producers.encode();
        assert_eq!(bytes.len(), PREFIX_BYTES + 4 + 6 * ENTRY_BYTES);
        assert_eq!(Producers::decode(&bytes, Mono(10)), Some(producers));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_of_a_snapshot_is_noticed() {
        let bytes = sample().encode();
        for len in 0..bytes.len() {
            assert_eq!(Producers::decode(&bytes[..len], Mono(0)), None, "{len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Producers::decode(&bad, Mono(0)), None, "{bit}");
        }
    }

    #[test]
    fn an_idle_id_goes_after_its_time_and_not_before() {
        let mut producers = sample();
        producers.expire(Mono(1_000_009), 1000);
        assert_eq!(producers.len(), 1);
        producers.expire(Mono(1_000_010), 1000);
        assert!(producers.is_empty());
    }

    #[test]
    fn a_control_batch_ends_the_transaction_and_leaves_the_sequences() {
        let mut producers = sample();
        let mut open = batch(1, 3, 14, 1, 114);
        open.attributes = open.attributes.with_transactional(true);
        producers.note(&open, Mono(0));
        producers.expire(Mono(u64::MAX), 1);
        assert_eq!(producers.len(), 1, "an open transaction is not idle");
        let mut end = batch(1, 3, -1, 1, 115);
        end.attributes = open.attributes.with_control(true);
        producers.note(&end, Mono(0));
        assert_eq!(producers.0[&1].transaction_start, -1);
        assert_eq!(producers.check(&batch(1, 3, 15, 1, 0)), Verdict::Next);
    }
}
