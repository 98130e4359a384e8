//! What a partition remembers of its producers (KIP-98): the epoch and the last five batches of each, by which a
//! retry is told from a loss, and the transaction that each has open.
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
//! for each batch, the oldest first: Kafka's reader takes an id's last entry, ours takes them all. The last
//! entry's timestamp is that of the producer's last batch or marker, as in Kafka.
//!
//! A transaction is open from its first batch to its marker. The marker's epoch becomes the producer's: the same
//! one in version 1, the next one in version 2 (KIP-890), whose sequences begin at 0 again.
//!
//! Expiry counts from the last append as the monotonic clock saw it, or from the start of the process: a
//! producer that writes old timestamps is never forgotten early, one with an open transaction never.
//! Invariants: an id's batches are in order of their offsets, and at most five; `open` has just the open
//! transactions, by first offset. A transaction is of one epoch: nothing of a newer one is appended to a log before
//! the older transaction has its marker there, which is for who appends to see to.

use super::cleaner::LastBatch;
use super::{Marker, Origin};
use crate::clock::Mono;
use crate::proto::batch::{BatchHeader, EndMarker, NO_PRODUCER_EPOCH, NO_TIMESTAMP, add_sequence};
use crate::proto::error::ErrorCode;
use std::collections::BTreeMap;

/// How many batches of a producer may be in flight (KIP-98: max.in.flight.requests.per.connection).
const REMEMBERED: usize = 5;
const NO_TRANSACTION: i64 = -1;
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
    /// Of the last batch or marker, as it says; -1 for none.
    last_timestamp_ms: i64,
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
            transaction_start: NO_TRANSACTION,
            last_timestamp_ms: NO_TIMESTAMP,
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
            (self.count, self.sent) = (0, [Sent::default(); REMEMBERED]);
        }
    }

    fn last_sequence(&self) -> i32 {
        self.batches().last().map_or(-1, |sent| sent.last_sequence)
    }

    fn open_since(&self) -> Option<i64> {
        (self.transaction_start != NO_TRANSACTION).then_some(self.transaction_start)
    }
}

/// What a partition knows of a producer (DescribeProducers, KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerView {
    /// Its id.
    pub producer_id: i64,
    /// The epoch of its last batch or marker.
    pub producer_epoch: i16,
    /// The last sequence number of its last batch, or -1 when the epoch has none.
    pub last_sequence: i32,
    /// The timestamp of its last batch or marker in ms since 1970, or -1.
    pub last_timestamp_ms: i64,
    /// The epoch of the coordinator that wrote its last marker, or -1.
    pub coordinator_epoch: i32,
    /// The first offset of its open transaction.
    pub transaction_start: Option<i64>,
}

/// A transaction whose end the log does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Whose it is.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The first offset of its first batch.
    pub first_offset: i64,
}

/// A transaction that a marker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) producer_id: i64,
    pub(super) first_offset: i64,
    /// The marker's offset.
    pub(super) last_offset: i64,
    pub(super) commits: bool,
    /// Everything before this offset is decided then.
    pub(super) last_stable_offset: i64,
}

/// What a batch that was appended has done to its producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    Nothing,
    /// It is the first of one.
    Began,
    Ended(Ended),
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
    /// It must not be appended, and why.
    Refused(ErrorCode, String),
}

/// What becomes of a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MarkerVerdict {
    /// It is to be written.
    Next,
    /// It has been written before.
    Again,
    /// It must not be written, and why.
    Refused(ErrorCode, String),
}

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Producers {
    known: BTreeMap<i64, Producer>,
    /// First offsets of open transactions, and whose they are.
    open: BTreeMap<i64, i64>,
}

impl Producers {
    /// Judges a batch that carries a producer id, before it is appended.
    pub(super) fn check(&self, batch: &BatchHeader, origin: Origin) -> Verdict {
        let (id, epoch, first) = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
        let out_of_order = |why| Verdict::Refused(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, why);
        let Some(known) = self.known.get(&id) else {
            let begins_at_zero = origin == Origin::ClientV2 && batch.attributes.is_transactional();
            return match first {
                1.. if begins_at_zero => out_of_order(format!(
                    "producer {id} of transactions v2 is not known here and sends sequence {first} \
                     instead of 0"
                )),
                _ => Verdict::Next,
            };
        };
        if epoch < known.epoch {
            let why = format!(
                "the epoch of producer {id} is {epoch}, the last one seen here is {}",
                known.epoch
            );
            return Verdict::Refused(ErrorCode::INVALID_PRODUCER_EPOCH, why);
        }
        if epoch > known.epoch && first != 0 {
            return out_of_order(format!(
                "producer {id} begins epoch {epoch} with sequence {first} instead of 0"
            ));
        }
        if epoch == known.epoch {
            if let Some(verdict) = duplicate_of(known, batch) {
                return verdict;
            }
            let last = known.last_sequence();
            if first != add_sequence(last, 1) {
                return out_of_order(format!("producer {id} sends sequence {first} after {last}"));
            }
        }
        if known.open_since().is_some() && !batch.attributes.is_transactional() {
            let why = format!("producer {id} has an open transaction, the batch is not part of it");
            return Verdict::Refused(ErrorCode::INVALID_TXN_STATE, why);
        }
        Verdict::Next
    }

    /// Judges the end of a transaction, before it is appended. In version 2 its epoch exceeds the producer's,
    /// so a late marker cannot end a newer transaction; an equal one without an open transaction is a retry
    /// (KAFKA-19999). An epoch that cannot be exceeded ends what it began.
    pub(super) fn check_marker(&self, marker: &Marker) -> MarkerVerdict {
        let (id, epoch) = (marker.producer_id, marker.producer_epoch);
        if id < 0 || epoch < 0 {
            let why = format!("a marker of producer {id} and epoch {epoch}");
            return MarkerVerdict::Refused(ErrorCode::UNKNOWN_SERVER_ERROR, why);
        }
        let known = self.known.get(&id);
        let last = known.map_or(NO_PRODUCER_EPOCH, |known| known.epoch);
        let is_v2 = marker.transaction_version >= 2;
        if is_v2 && epoch == last && known.is_none_or(|known| known.open_since().is_none()) {
            return MarkerVerdict::Again;
        }
        if epoch < last || (is_v2 && epoch == last && epoch != i16::MAX) {
            let why = format!(
                "the epoch of the marker of producer {id} is {epoch}, the last one seen here is {last} \
                 (transactions v{})",
                marker.transaction_version
            );
            return MarkerVerdict::Refused(ErrorCode::INVALID_PRODUCER_EPOCH, why);
        }
        let coordinator_epoch = known.map_or(-1, |known| known.coordinator_epoch);
        if marker.coordinator_epoch < coordinator_epoch {
            let why = format!(
                "the marker of producer {id} is of coordinator epoch {}, the last one seen here is \
                 {coordinator_epoch}",
                marker.coordinator_epoch
            );
            return MarkerVerdict::Refused(ErrorCode::TRANSACTION_COORDINATOR_FENCED, why);
        }
        MarkerVerdict::Next
    }

    /// Remembers a batch that has been appended; its header carries the assigned offset, and `marker` is what it
    /// holds if it is a control batch. Also for batches that recovery finds, so nothing is judged here.
    pub(super) fn note(
        &mut self,
        batch: &BatchHeader,
        marker: Option<EndMarker>,
        now: Mono,
    ) -> Noted {
        if batch.attributes.is_control() && marker.is_none() {
            return Noted::Nothing;
        }
        let (id, epoch) = (batch.producer_id, batch.producer_epoch);
        let new = || Producer::new(epoch, now);
        let known = self.known.entry(id).or_insert_with(new);
        known.seen = now;
        known.last_timestamp_ms = batch.max_timestamp;
        known.enter_epoch(epoch);
        if let Some(marker) = marker {
            known.coordinator_epoch = marker.coordinator_epoch;
            let started = known.open_since();
            known.transaction_start = NO_TRANSACTION;
            return started.map_or(Noted::Nothing, |first| self.end(first, batch, marker));
        }
        known.push(Sent {
            last_sequence: batch.last_sequence(),
            delta: batch.last_offset_delta,
            last_offset: batch.last_offset(),
            timestamp_ms: batch.max_timestamp,
        });
        if !batch.attributes.is_transactional() || known.open_since().is_some() {
            return Noted::Nothing;
        }
        known.transaction_start = batch.base_offset;
        self.open.insert(batch.base_offset, id);
        Noted::Began
    }

    fn end(&mut self, first_offset: i64, batch: &BatchHeader, marker: EndMarker) -> Noted {
        self.open.remove(&first_offset);
        Noted::Ended(Ended {
            producer_id: batch.producer_id,
            first_offset,
            last_offset: batch.last_offset(),
            commits: marker.commits,
            last_stable_offset: self.first_open().unwrap_or(batch.next_offset()),
        })
    }

    /// Forgets the ids that have not appended for `expiration_ms` and have no open transaction.
    pub(super) fn expire(&mut self, now: Mono, expiration_ms: i64) {
        self.known
            .retain(|_, p| p.open_since().is_some() || p.seen.plus_ms(expiration_ms) > now);
    }

    /// Whether nobody is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many ids are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The first offset of the first open transaction.
    fn first_open(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// What is known of a producer.
    pub(super) fn view(&self, producer_id: i64) -> Option<ProducerView> {
        let known = self.known.get(&producer_id)?;
        Some(view(producer_id, known))
    }

    /// What is known of all producers, by their ids.
    pub(super) fn views(&self) -> impl Iterator<Item = ProducerView> {
        self.known.iter().map(|(id, known)| view(*id, known))
    }

    /// The last batch of every producer, by id: what compaction must leave of them.
    pub(super) fn last_batches(&self) -> BTreeMap<i64, LastBatch> {
        let last = |known: &Producer| LastBatch {
            offset: known.batches().last().map(|sent| sent.last_offset),
            epoch: known.epoch,
        };
        self.known
            .iter()
            .map(|(id, known)| (*id, last(known)))
            .collect()
    }

    /// The open transactions, by first offset.
    pub(super) fn open(&self) -> impl Iterator<Item = OpenTransaction> {
        self.open.iter().map(|(first_offset, id)| OpenTransaction {
            producer_id: *id,
            producer_epoch: self.known.get(id).map_or(NO_PRODUCER_EPOCH, |p| p.epoch),
            first_offset: *first_offset,
        })
    }

    /// What must always hold.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.open, by_first_offset(&self.known));
        for known in self.known.values() {
            assert!(known.count <= REMEMBERED);
            let batches = known.batches();
            assert!(batches.is_sorted_by(|a, b| a.last_offset < b.last_offset));
        }
    }

    /// The bytes of a snapshot.
    pub(super) fn encode(&self) -> Vec<u8> {
        let entries: usize = self.known.values().map(|p| p.count.max(1)).sum();
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + 4 + entries * ENTRY_BYTES);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(entries as u32).to_be_bytes());
        for (id, producer) in &self.known {
            let (last, earlier) = match producer.batches().split_last() {
                Some((last, earlier)) => (*last, earlier),
                None => (NO_BATCH, &[][..]),
            };
            for sent in earlier {
                encode_entry(&mut bytes, *id, producer, *sent);
            }
            let timestamp_ms = producer.last_timestamp_ms;
            let last = Sent {
                timestamp_ms,
                ..last
            };
            encode_entry(&mut bytes, *id, producer, last);
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
        producers.open = by_first_offset(&producers.known);
        Some(producers)
    }

    fn take_entry(&mut self, entry: &mut &[u8], now: Mono) -> Option<()> {
        let id = i64::from_be_bytes(take(entry)?);
        let epoch = i16::from_be_bytes(take(entry)?);
        let last_sequence = i32::from_be_bytes(take(entry)?);
        let last_offset = i64::from_be_bytes(take(entry)?);
        let delta = i32::from_be_bytes(take(entry)?);
        let timestamp_ms = i64::from_be_bytes(take(entry)?);
        let new = || Producer::new(epoch, now);
        let known = self.known.entry(id).or_insert_with(new);
        known.enter_epoch(epoch);
        known.last_timestamp_ms = timestamp_ms;
        known.coordinator_epoch = i32::from_be_bytes(take(entry)?);
        known.transaction_start = i64::from_be_bytes(take(entry)?).max(NO_TRANSACTION);
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

fn view(producer_id: i64, known: &Producer) -> ProducerView {
    ProducerView {
        producer_id,
        producer_epoch: known.epoch,
        last_sequence: known.last_sequence(),
        last_timestamp_ms: known.last_timestamp_ms,
        coordinator_epoch: known.coordinator_epoch,
        transaction_start: known.open_since(),
    }
}

fn by_first_offset(known: &BTreeMap<i64, Producer>) -> BTreeMap<i64, i64> {
    let open = |(id, known): (&i64, &Producer)| Some((known.open_since()?, *id));
    known.iter().filter_map(open).collect()
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
            assert_eq!(producers.checked(&next), Verdict::Next);
            producers.note(&next, None, Mono(10));
        }
        producers
    }

    impl Producers {
        fn checked(&self, batch: &BatchHeader) -> Verdict {
            self.check(batch, Origin::Client)
        }
    }

    fn is_refused(verdict: &Verdict, code: i16) -> bool {
        matches!(verdict, Verdict::Refused(found, _) if found.0 == code)
    }

    fn transactional(id: i64, epoch: i16, first_sequence: i32, offset: i64) -> BatchHeader {
        let mut header = batch(id, epoch, first_sequence, 1, offset);
        header.attributes = header.attributes.with_transactional(true);
        header
    }

    /// The header of a marker, and what it says.
    fn end(
        (id, epoch): (i64, i16),
        offset: i64,
        coordinator_epoch: i32,
    ) -> (BatchHeader, Option<EndMarker>) {
        let mut header = transactional(id, epoch, -1, offset);
        header.attributes = header.attributes.with_control(true);
        header.max_timestamp = 9;
        let marker = EndMarker {
            commits: false,
            coordinator_epoch,
        };
        (header, Some(marker))
    }

    /// What becomes of a marker of producer 1: 0 when it is to be written, 1 when it was, or the error.
    fn judged(producers: &Producers, version: i16, epoch: i16, coordinator_epoch: i32) -> i16 {
        let verdict = producers.check_marker(&Marker {
            producer_id: 1,
            producer_epoch: epoch,
            coordinator_epoch,
            commits: true,
            transaction_version: version,
        });
        match verdict {
            MarkerVerdict::Next => 0,
            MarkerVerdict::Again => 1,
            MarkerVerdict::Refused(code, _) => code.0,
        }
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
            let again = producers.checked(&batch(1, 3, n * 2, 2, 0));
            assert_eq!(again, duplicate(100 + i64::from(n) * 2));
        }
        let old = producers.checked(&batch(1, 3, 2, 2, 0));
        assert!(is_refused(&old, 45), "{old:?}");
    }

    #[test]
    fn a_gap_or_another_cut_of_a_known_batch_is_out_of_order() {
        let producers = sample();
        assert_eq!(producers.checked(&batch(1, 3, 14, 1, 0)), Verdict::Next);
        for (first, count) in [(15, 1), (12, 1), (13, 2), (0, 2)] {
            let verdict = producers.checked(&batch(1, 3, first, count, 0));
            assert!(is_refused(&verdict, 45), "{first}");
        }
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_an_old_one_is_fenced() {
        let mut producers = sample();
        assert!(is_refused(&producers.checked(&batch(1, 4, 14, 1, 0)), 45));
        assert_eq!(producers.checked(&batch(1, 4, 0, 1, 0)), Verdict::Next);
        assert!(is_refused(&producers.checked(&batch(1, 2, 14, 1, 0)), 47));
        producers.note(&batch(1, 4, 0, 1, 200), None, Mono(0));
        let before = producers.checked(&batch(1, 3, 12, 2, 0));
        assert!(is_refused(&before, 47), "no duplicate from an old epoch");
    }

    #[test]
    fn an_unknown_id_may_start_anywhere() {
        assert_eq!(sample().checked(&batch(2, 9, 77, 1, 0)), Verdict::Next);
    }

    #[test]
    fn sequences_wrap_within_and_between_batches() {
        let mut producers = Producers::default();
        producers.note(&batch(1, 0, i32::MAX - 1, 4, 50), None, Mono(0));
        let again = producers.checked(&batch(1, 0, i32::MAX - 1, 4, 0));
        assert!(matches!(
            again,
            Verdict::Duplicate {
                first_offset: 50,
                ..
            }
        ));
        assert_eq!(producers.checked(&batch(1, 0, 2, 1, 0)), Verdict::Next);
        producers.note(&batch(2, 0, i32::MAX, 1, 60), None, Mono(0));
        assert_eq!(producers.checked(&batch(2, 0, 0, 1, 0)), Verdict::Next);
    }

    #[test]
    fn a_snapshot_brings_all_five_batches_back() {
        let mut producers = sample();
        producers.note(&batch(i64::MAX, 0, 4, 1, 300), None, Mono(10));
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
    fn a_marker_of_the_same_epoch_ends_the_transaction_and_leaves_the_sequences() {
        let mut producers = sample();
        assert_eq!(
            producers.note(&transactional(1, 3, 14, 114), None, Mono(0)),
            Noted::Began
        );
        assert_eq!(
            producers.note(&transactional(1, 3, 15, 115), None, Mono(0)),
            Noted::Nothing
        );
        assert_eq!(producers.first_open(), Some(114));
        producers.expire(Mono(u64::MAX), 1);
        assert_eq!(producers.len(), 1, "an open transaction is not idle");
        let (header, marker) = end((1, 3), 116, 7);
        let ended = Ended {
            producer_id: 1,
            first_offset: 114,
            last_offset: 116,
            commits: false,
            last_stable_offset: 117,
        };
        assert_eq!(
            producers.note(&header, marker, Mono(0)),
            Noted::Ended(ended)
        );
        assert_eq!(producers.first_open(), None);
        assert_eq!(producers.checked(&batch(1, 3, 16, 1, 0)), Verdict::Next);
        let view = producers.view(1).unwrap();
        assert_eq!((view.last_sequence, view.last_timestamp_ms), (15, 9));
        assert_eq!((view.coordinator_epoch, view.transaction_start), (7, None));
        producers.check_invariants();
    }

    #[test]
    fn a_marker_of_a_new_epoch_lets_the_sequences_begin_again() {
        let mut producers = Producers::default();
        producers.note(&transactional(1, 3, 40, 0), None, Mono(0));
        let (header, marker) = end((1, 4), 1, 0);
        producers.note(&header, marker, Mono(0));
        assert!(is_refused(
            &producers.checked(&transactional(1, 3, 41, 0)),
            47
        ));
        assert!(is_refused(
            &producers.checked(&transactional(1, 4, 41, 0)),
            45
        ));
        assert_eq!(producers.checked(&transactional(1, 4, 0, 0)), Verdict::Next);
        assert_eq!(producers.view(1).unwrap().last_sequence, -1);
    }

    #[test]
    fn a_plain_batch_has_no_place_in_an_open_transaction() {
        let mut producers = Producers::default();
        producers.note(&transactional(1, 3, 0, 0), None, Mono(0));
        assert_eq!(producers.checked(&transactional(1, 3, 1, 0)), Verdict::Next);
        assert!(is_refused(&producers.checked(&batch(1, 3, 1, 1, 0)), 48));
        assert!(is_refused(&producers.checked(&batch(1, 4, 0, 1, 0)), 48));
        assert!(
            is_refused(&producers.checked(&batch(1, 3, 7, 1, 0)), 45),
            "sequences first"
        );
    }

    #[test]
    fn a_transaction_of_version_2_begins_with_sequence_0_where_its_producer_is_not_known() {
        let producers = sample();
        let check = |batch: &BatchHeader| producers.check(batch, Origin::ClientV2);
        assert!(is_refused(&check(&transactional(2, 0, 1, 0)), 45));
        assert_eq!(check(&transactional(2, 0, 0, 0)), Verdict::Next);
        assert_eq!(
            check(&batch(2, 0, 1, 1, 0)),
            Verdict::Next,
            "no transaction"
        );
        assert_eq!(check(&transactional(1, 3, 14, 0)), Verdict::Next, "known");
        assert_eq!(producers.checked(&transactional(2, 0, 1, 0)), Verdict::Next);
    }

    #[test]
    fn a_marker_of_version_1_has_the_epoch_of_its_transaction_or_a_later_one() {
        let mut producers = Producers::default();
        assert_eq!(
            judged(&producers, 1, 0, 0),
            0,
            "a producer that wrote nothing here"
        );
        for open in [true, false] {
            let (header, marker) = match open {
                true => (transactional(1, 3, 0, 0), None),
                false => end((1, 3), 1, 5),
            };
            producers.note(&header, marker, Mono(0));
            let judged: Vec<_> = [2, 3, 4]
                .map(|epoch| judged(&producers, 1, epoch, 5))
                .into();
            assert_eq!(judged, [47, 0, 0], "{open}");
        }
        assert_eq!(judged(&producers, 1, 3, 4), 52);
    }

    #[test]
    fn a_marker_of_version_2_exceeds_the_epoch_of_its_transaction_or_is_a_retry() {
        let mut producers = Producers::default();
        assert_eq!(
            judged(&producers, 2, 0, 0),
            0,
            "a producer that wrote nothing here"
        );
        producers.note(&transactional(1, 3, 0, 0), None, Mono(0));
        let open: Vec<_> = [2, 3, 4]
            .map(|epoch| judged(&producers, 2, epoch, 5))
            .into();
        assert_eq!(open, [47, 47, 0]);
        let (header, marker) = end((1, 4), 1, 5);
        producers.note(&header, marker, Mono(0));
        let ended: Vec<_> = [3, 4, 5]
            .map(|epoch| judged(&producers, 2, epoch, 5))
            .into();
        assert_eq!(ended, [47, 1, 0]);
        assert_eq!(judged(&producers, 2, 5, 4), 52);
        producers.note(&transactional(1, i16::MAX, 0, 2), None, Mono(0));
        assert_eq!(
            judged(&producers, 2, i16::MAX, 5),
            0,
            "there is no greater one"
        );
        assert_eq!(judged(&producers, 2, -1, 5), -1);
    }

    #[test]
    fn the_end_of_one_transaction_waits_for_those_that_began_before_it() {
        let mut producers = Producers::default();
        producers.note(&transactional(1, 0, 0, 10), None, Mono(0));
        producers.note(&transactional(2, 0, 0, 11), None, Mono(0));
        let mut ends = |id, offset| {
            let (header, marker) = end((id, 0), offset, 0);
            match producers.note(&header, marker, Mono(0)) {
                Noted::Ended(ended) => Some((ended.first_offset, ended.last_stable_offset)),
                _ => None,
            }
        };
        assert_eq!(ends(2, 12), Some((11, 10)));
        assert_eq!(ends(2, 13), None, "nothing was open");
        assert_eq!(ends(1, 14), Some((10, 15)));
    }

    #[test]
    fn open_transactions_and_ended_ones_come_back_from_a_snapshot() {
        let mut producers = sample();
        producers.note(&transactional(1, 3, 14, 114), None, Mono(10));
        producers.note(&transactional(2, 0, 0, 115), None, Mono(10));
        producers.note(&transactional(3, 0, 0, 116), None, Mono(10));
        let (header, marker) = end((3, 1), 117, 2);
        producers.note(&header, marker, Mono(10));
        let back = Producers::decode(&producers.encode(), Mono(10)).unwrap();
        back.check_invariants();
        assert_eq!(back, producers);
        let open: Vec<_> = back
            .open()
            .map(|open| (open.producer_id, open.first_offset))
            .collect();
        assert_eq!(open, [(1, 114), (2, 115)]);
    }

    #[test]
    fn a_control_batch_that_is_no_marker_changes_nothing() {
        let mut producers = sample();
        let before = producers.clone();
        let (header, _) = end((1, 4), 114, 0);
        assert_eq!(producers.note(&header, None, Mono(20)), Noted::Nothing);
        assert_eq!(producers, before);
    }
}
