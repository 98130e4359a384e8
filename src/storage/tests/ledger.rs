//! An oracle of transactions: every batch and marker that was appended, and what follows from them.

use super::*;
use std::collections::BTreeSet;

/// One batch of a transactional producer, or one marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    offset: i64,
    count: i32,
    producer: i64,
    epoch: i16,
    sequence: i32,
    /// Of a marker, whether it commits.
    end: Option<bool>,
}

impl Event {
    fn next_offset(&self) -> i64 {
        self.offset + i64::from(self.count)
    }
}

/// A transaction, as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transaction {
    producer: i64,
    epoch: i16,
    first: i64,
    /// The marker's offset, and whether it commits.
    end: Option<(i64, bool)>,
}

/// What a producer may send next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    epoch: i16,
    next_sequence: i32,
    open: Option<i64>,
}

/// What transactional producers have written, in order.
#[derive(Default)]
pub(super) struct Ledger {
    events: Vec<Event>,
    /// The greatest last stable offset that was seen: it never goes back.
    stable: i64,
}

/// A batch of so many records in a transaction.
pub(super) fn in_transaction(
    (producer, epoch, sequence): (i64, i16, i32),
    count: i32,
    value: &[u8],
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0)
        .producer(producer, epoch, sequence)
        .transactional();
    for _ in 0..count {
        builder.push(WALL_MS, Some(b"k"), Some(value));
    }
    builder.build(None).unwrap()
}

impl Ledger {
    /// Takes a cut of the log's end into account.
    pub(super) fn cut(&mut self, end: i64) {
        self.events.retain(|event| event.offset < end);
    }

    fn standing(&self, producer: i64) -> Option<Standing> {
        let mut standing = None;
        for event in self.events.iter().filter(|e| e.producer == producer) {
            let known: &mut Standing = standing.get_or_insert_default();
            if known.epoch != event.epoch {
                (known.epoch, known.next_sequence) = (event.epoch, 0);
            }
            match event.end {
                Some(_) => known.open = None,
                None => {
                    known.next_sequence = event.sequence + event.count;
                    known.open.get_or_insert(event.offset);
                }
            }
        }
        standing
    }

    fn transactions(&self) -> Vec<Transaction> {
        let mut all: Vec<Transaction> = Vec::new();
        for event in &self.events {
            let open = |t: &&mut Transaction| t.producer == event.producer && t.end.is_none();
            match (all.iter_mut().find(open), event.end) {
                (Some(open), Some(commits)) => open.end = Some((event.offset, commits)),
                (None, None) => all.push(Transaction {
                    producer: event.producer,
                    epoch: event.epoch,
                    first: event.offset,
                    end: None,
                }),
                _ => {}
            }
        }
        all
    }

    /// One step of a transactional producer: a batch, or an end. Answers the values that the log has got.
    pub(super) fn act(&mut self, room: &mut Room, step: u32) -> Vec<Vec<u8>> {
        let producer = 20 + room.disk.draw(4) as i64;
        let standing = self.standing(producer);
        let ends = room.disk.draw(3) == 0;
        match standing {
            Some(standing) if ends => self.end(room, producer, standing),
            _ => self.begin_or_go_on(room, producer, standing.unwrap_or_default(), step),
        }
    }

    fn begin_or_go_on(
        &mut self,
        room: &mut Room,
        producer: i64,
        standing: Standing,
        step: u32,
    ) -> Vec<Vec<u8>> {
        let (epoch, sequence) = (standing.epoch, standing.next_sequence);
        if standing.open.is_some() && room.disk.draw(8) == 0 {
            let mut plain = BatchBuilder::new(0).producer(producer, epoch, sequence);
            plain.push(WALL_MS, Some(b"k"), Some(b"plain"));
            let refused = room.append(0, &plain.build(None).unwrap()).unwrap_err();
            assert_eq!(refused.code, ErrorCode::INVALID_TXN_STATE);
        }
        let count = 1 + room.disk.draw(3) as i32;
        let value = step.to_be_bytes().repeat(1 + room.disk.draw(60) as usize);
        let batch = in_transaction((producer, epoch, sequence), count, &value);
        let appended = room.append(0, &batch).unwrap();
        assert!(!appended.duplicate);
        let again = room.append(0, &batch).unwrap();
        assert!(again.duplicate && again.base_offset == appended.base_offset);
        self.events.push(Event {
            offset: appended.base_offset,
            count,
            producer,
            epoch,
            sequence,
            end: None,
        });
        vec![value; count as usize]
    }

    /// Even producers are of version 1, odd ones of version 2.
    fn end(&mut self, room: &mut Room, producer: i64, standing: Standing) -> Vec<Vec<u8>> {
        let version = 1 + (producer % 2) as i16;
        let commits = room.disk.draw(2) == 0;
        let bumped = standing.epoch + i16::from(version == 2 && standing.open.is_some());
        let marker = Marker {
            producer_id: producer,
            producer_epoch: bumped,
            coordinator_epoch: 3,
            commits,
            transaction_version: version,
        };
        let appended = room.end(0, marker).unwrap();
        let is_retry = version == 2 && standing.open.is_none();
        assert_eq!(appended.duplicate, is_retry);
        if is_retry {
            return Vec::new();
        }
        self.events.push(Event {
            offset: appended.base_offset,
            count: 1,
            producer,
            epoch: bumped,
            sequence: -1,
            end: Some(commits),
        });
        vec![vec![0, 0, 0, 0, 0, 3]]
    }

    /// Holds the log against everything that must follow from the events. `values` are all records of the log.
    pub(super) fn check(&mut self, room: &mut Room, values: &[Vec<u8>]) {
        let log = room.storage.log(id(0)).unwrap();
        let transactions = self.transactions();
        let open = transactions.iter().filter(|t| t.end.is_none());
        let open = open.map(|t| OpenTransaction {
            producer_id: t.producer,
            producer_epoch: self.standing(t.producer).unwrap().epoch,
            first_offset: t.first,
        });
        assert!(log.open_transactions().eq(open), "open transactions");
        for producer in 20..24 {
            let known = log.producer(producer).map(|view| Standing {
                epoch: view.producer_epoch,
                next_sequence: view.last_sequence + 1,
                open: view.transaction_start,
            });
            assert_eq!(known, self.standing(producer), "producer {producer}");
        }
        let watermark = log.high_watermark();
        let is_decided = |t: &Transaction| t.end.is_some_and(|(marker, _)| marker < watermark);
        let undecided = transactions.iter().find(|t| !is_decided(t));
        let stable = undecided.map_or(watermark, |t| t.first.min(watermark));
        let (start, stable) = (log.log_start(), stable.max(log.log_start()));
        assert_eq!(log.last_stable_offset(), stable);
        assert!(stable >= self.stable, "it never goes back");
        self.stable = stable;
        check_aborted(room, &transactions, (start, stable));
        let mut committed = self.committed(values, stable);
        committed.retain(|(offset, _)| *offset >= start);
        assert_eq!(room.committed(0), committed);
    }

    /// What a reader of committed records must get.
    fn committed(&self, values: &[Vec<u8>], stable: i64) -> Vec<(i64, Vec<u8>)> {
        let transactions = self.transactions();
        let is_aborted = |event: &Event| {
            transactions.iter().any(|t| {
                let inside = t.first <= event.offset
                    && matches!(t.end, Some((end, false)) if event.offset < end);
                inside && t.producer == event.producer
            })
        };
        let unseen = self
            .events
            .iter()
            .filter(|e| e.end.is_some() || is_aborted(e));
        let unseen: BTreeSet<i64> = unseen.flat_map(|e| e.offset..e.next_offset()).collect();
        let all = (0..stable).zip(values.iter().cloned());
        all.filter(|(offset, _)| !unseen.contains(offset)).collect()
    }
}

fn check_aborted(room: &mut Room, transactions: &[Transaction], (start, stable): (i64, i64)) {
    for _ in 0..4 {
        let from = start + room.disk.draw((stable - start) as u64 + 1) as i64;
        let until = from + room.disk.draw((stable - from) as u64 + 1) as i64;
        let touching = transactions.iter().filter(|t| {
            let aborted = matches!(t.end, Some((end, false)) if end >= from);
            aborted && t.first < until
        });
        let expected = touching.map(|t| Aborted {
            producer_id: t.producer,
            first_offset: t.first,
        });
        let found = room.storage.aborted(id(0), from, until).unwrap();
        assert_eq!(found, expected.collect::<Vec<_>>(), "{from} to {until}");
    }
}

impl Room {
    pub(super) fn end(&mut self, partition: i32, marker: Marker) -> Result<Appended, Refused> {
        let ended = self
            .storage
            .end_transaction(id(partition), self.now, marker);
        self.storage.check_invariants();
        ended
    }

    /// What a consumer of committed records shows, which fetches a little at a time.
    pub(super) fn committed(&mut self, partition: i32) -> Vec<(i64, Vec<u8>)> {
        let log = self.storage.log(id(partition)).unwrap();
        let (mut from, until) = (log.log_start(), log.last_stable_offset());
        let mut shown = Vec::new();
        while from < until {
            assert!(
                self.storage
                    .log(id(partition))
                    .unwrap()
                    .available(from, until)
                    > 0
            );
            let found = self.storage.read(id(partition), from, until, 700, true);
            let found = found.unwrap();
            let bytes: Vec<u8> = found
                .views
                .iter()
                .flat_map(|v| v.bytes().to_vec())
                .collect();
            let aborted = self.storage.aborted(id(partition), from, found.until);
            let next = show(&bytes, from, &aborted.unwrap(), &mut shown);
            assert_eq!(next, found.until, "no further than what was read");
            from = next;
        }
        shown
    }
}

/// Reads one answer as the Java client does, and says where it goes on.
fn show(mut bytes: &[u8], from: i64, aborted: &[Aborted], shown: &mut Vec<(i64, Vec<u8>)>) -> i64 {
    let (mut waiting, mut next) = (aborted.iter().peekable(), from);
    let mut skipped = BTreeSet::new();
    while !bytes.is_empty() {
        let (batch, rest) = Batch::split_first(bytes).unwrap();
        let header = *batch.header();
        while let Some(aborted) = waiting.next_if(|a| a.first_offset <= header.last_offset()) {
            skipped.insert(aborted.producer_id);
        }
        let skips = header.attributes.is_transactional() && skipped.contains(&header.producer_id);
        if header.attributes.is_control() {
            skipped.remove(&header.producer_id);
        } else if !skips {
            let batch = &bytes[..header.size_bytes()];
            shown.extend(
                records(batch)
                    .into_iter()
                    .filter(|(offset, _)| *offset >= from),
            );
        }
        (bytes, next) = (rest, header.next_offset());
    }
    next
}
