//! What the broker has promised: every record that was acknowledged or shown, and the checks of it.

use std::collections::BTreeMap;

use crate::common::kafka::Read;
use crate::writer::Writer;

/// A record at its place: which writer's, and its number in that writer's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) offset: i64,
    pub(crate) writer: u32,
    pub(crate) number: u64,
}

impl Observed {
    /// The value that says so, of 30 to 1,000 bytes.
    pub(crate) fn value(writer: u32, number: u64) -> Vec<u8> {
        let mut value = format!("{writer} {number} ").into_bytes();
        let size = 30 + (number * 131 % 970) as usize;
        value.resize(size.max(value.len()), b'.');
        value
    }
}

impl From<Read> for Observed {
    fn from(record: Read) -> Observed {
        let value = record.value.unwrap_or_default();
        let text = String::from_utf8_lossy(&value);
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(writer), Some(number)) = (number(), number()) else {
            panic!("offset {} holds {text:?}", record.offset);
        };
        let writer = writer as u32;
        assert_eq!(
            value,
            Observed::value(writer, number),
            "whole and unchanged"
        );
        Observed {
            offset: record.offset,
            writer,
            number,
        }
    }
}

/// All promises, by partition and offset.
pub(crate) struct Ledger {
    promised: Vec<BTreeMap<i64, Observed>>,
    acked: usize,
}

impl Ledger {
    pub(crate) fn new(partitions: i32) -> Ledger {
        Ledger {
            promised: (0..partitions).map(|_| BTreeMap::new()).collect(),
            acked: 0,
        }
    }

    /// Records that were acknowledged in all.
    pub(crate) fn acked_count(&self) -> usize {
        self.acked
    }

    /// The offset behind the last promise.
    pub(crate) fn end(&self, partition: i32) -> i64 {
        let last = self.promised[partition as usize].last_key_value();
        last.map_or(0, |(offset, _)| offset + 1)
    }

    /// These were acknowledged, at these offsets.
    pub(crate) fn acked(&mut self, partition: i32, records: Vec<Observed>) {
        self.acked += records.len();
        self.seen(partition, records);
    }

    /// These were shown to a reader.
    pub(crate) fn seen(&mut self, partition: i32, records: Vec<Observed>) {
        for record in records {
            self.promise(partition, record);
        }
    }

    fn promise(&mut self, partition: i32, record: Observed) {
        let before = self.promised[partition as usize].insert(record.offset, record);
        assert!(
            before.is_none_or(|before| before == record),
            "partition {partition}: one offset, two records: {before:?} and {record:?}"
        );
    }

    /// Compares a partition as it is now with all promises about it. What it shows is promised from now on.
    pub(crate) fn check(
        &mut self,
        partition: i32,
        log: Vec<Observed>,
        writers: &[Writer],
        cycle: u64,
    ) {
        let place = format!("cycle {cycle}, partition {partition}");
        for (expected, record) in (0..).zip(&log) {
            assert_eq!(record.offset, expected, "{place}: a gap in the offsets");
        }
        for (offset, promised) in &self.promised[partition as usize] {
            let found = usize::try_from(*offset).ok().and_then(|at| log.get(at));
            assert_eq!(found, Some(promised), "{place}: a promise is broken");
        }
        for writer in writers
            .iter()
            .filter(|writer| writer.partition == partition)
        {
            check_stream(&log, writer, &place);
        }
        self.seen(partition, log);
    }
}

fn check_stream(log: &[Observed], writer: &Writer, place: &str) {
    let mut next = 0;
    for record in log.iter().filter(|record| record.writer == writer.name) {
        let (name, number) = (writer.name, record.number);
        assert!(
            number >= next,
            "{place}: writer {name}: {number} again or late"
        );
        assert!(
            number == next || !writer.is_idempotent(),
            "{place}: writer {name}: {number} where {next} should be"
        );
        next = number + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::Kind;

    fn record(offset: i64, number: u64) -> Observed {
        Observed {
            offset,
            writer: 0,
            number,
        }
    }

    /// Checks a log against the promise that number 1 is at offset 1.
    fn check(log: &[(i64, u64)], kind: Kind) {
        let mut ledger = Ledger::new(1);
        ledger.acked(0, vec![record(1, 1)]);
        let log = log.iter().map(|&(offset, number)| record(offset, number));
        ledger.check(0, log.collect(), &[Writer::new(0, kind)], 0);
    }

    const PLAIN: Kind = Kind::Plain { acks: -1 };
    const IDEMPOTENT: Kind = Kind::Idempotent { id: 7, epoch: 0 };

    #[test]
    fn a_log_that_keeps_its_promises_passes() {
        check(&[(0, 0), (1, 1), (2, 5)], PLAIN);
        check(&[(0, 0), (1, 1), (2, 2)], IDEMPOTENT);
    }

    #[test]
    #[should_panic(expected = "a promise is broken")]
    fn a_lost_record_is_seen() {
        check(&[(0, 0)], PLAIN);
    }

    #[test]
    #[should_panic(expected = "a gap in the offsets")]
    fn a_missing_offset_is_seen() {
        check(&[(0, 0), (2, 1)], PLAIN);
    }

    #[test]
    #[should_panic(expected = "again or late")]
    fn a_duplicate_is_seen() {
        check(&[(0, 0), (1, 1), (2, 1)], PLAIN);
    }

    #[test]
    #[should_panic(expected = "where 2 should be")]
    fn a_gap_in_an_idempotent_stream_is_seen() {
        check(&[(0, 0), (1, 1), (2, 3)], IDEMPOTENT);
    }
}
