//! The marker that ends a transaction in a partition's log (KIP-98): a control batch of one record.
//!
//! ```text
//! key:   version i16 = 0 | type i16: 0 abort, 1 commit
//! value: version i16 = 0 | coordinator epoch i32
//! ```
//!
//! The batch is transactional and a control batch; it carries the producer's id and epoch and no sequence, and
//! takes one offset. Later versions of either may only add to these fields, so they are read as version 0.

use super::Batch;
use super::builder::BatchBuilder;
use super::header::NO_SEQUENCE;

const VERSION: i16 = 0;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndMarker {
    /// Its records stand; else they are to be skipped by readers of committed records.
    pub commits: bool,
    /// The epoch of the coordinator that wrote the marker.
    pub coordinator_epoch: i32,
}

impl EndMarker {
    /// The marker that a batch holds; `None` of a batch that holds another kind of control record, or none: one
    /// that compaction has emptied.
    #[must_use]
    pub fn of(batch: &Batch<'_>) -> Option<EndMarker> {
        if !batch.header().attributes.is_control() {
            return None;
        }
        let record = batch.records(batch.payload()).next()?.ok()?;
        let commits = match versioned(record.key?)? {
            [a, b, ..] if i16::from_be_bytes([*a, *b]) == ABORT => false,
            [a, b, ..] if i16::from_be_bytes([*a, *b]) == COMMIT => true,
            _ => return None,
        };
        let coordinator_epoch = versioned(record.value?)?.first_chunk()?;
        Some(EndMarker {
            commits,
            coordinator_epoch: i32::from_be_bytes(*coordinator_epoch),
        })
    }

    /// The batch that ends the transaction of a producer (id and epoch). `is_append_time`: the timestamp is
    /// the broker's as the topic wants it, not a producer's.
    #[must_use]
    pub fn batch(
        self,
        (producer_id, epoch): (i64, i16),
        (timestamp_ms, is_append_time): (i64, bool),
    ) -> Vec<u8> {
        let kind = if self.commits { COMMIT } else { ABORT };
        let key = [VERSION.to_be_bytes(), kind.to_be_bytes()].concat();
        let version = VERSION.to_be_bytes();
        let value = [&version[..], &self.coordinator_epoch.to_be_bytes()].concat();
        let mut builder = BatchBuilder::new(0).transactional().control().producer(
            producer_id,
            epoch,
            NO_SEQUENCE,
        );
        builder.push(timestamp_ms, Some(&key), Some(&value));
        builder
            .build(is_append_time.then_some(timestamp_ms))
            .expect("one small record without compression is a batch")
    }
}

/// What follows a version, which must not be negative.
fn versioned(bytes: &[u8]) -> Option<&[u8]> {
    let (version, rest) = bytes.split_first_chunk()?;
    (i16::from_be_bytes(*version) >= 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::batch::TimestampType;

    const MARKER: EndMarker = EndMarker {
        commits: true,
        coordinator_epoch: 7,
    };

    fn built(marker: EndMarker, is_append_time: bool) -> Vec<u8> {
        marker.batch((42, 3), (1_000, is_append_time))
    }

    fn read(bytes: &[u8]) -> Option<EndMarker> {
        EndMarker::of(&Batch::split_first(bytes).unwrap().0)
    }

    fn control(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<EndMarker> {
        let mut builder = BatchBuilder::new(0).control().producer(1, 0, -1);
        builder.push(5, key, value);
        read(&builder.build(None).unwrap())
    }

    #[test]
    fn a_marker_is_one_record_and_comes_back() {
        for commits in [true, false] {
            let marker = EndMarker { commits, ..MARKER };
            let bytes = built(marker, false);
            assert_eq!(bytes.len(), 78, "as long as Kafka's");
            assert_eq!(read(&bytes), Some(marker));
            let (batch, rest) = Batch::split_first(&bytes).unwrap();
            let header = batch.header();
            assert!(rest.is_empty() && batch.check_crc().is_ok());
            assert!(header.attributes.is_control() && header.attributes.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch), (42, 3));
            assert_eq!((header.base_sequence, header.record_count), (-1, 1));
            assert_eq!(header.next_offset(), 1);
            let record = batch.records(batch.payload()).next().unwrap().unwrap();
            assert_eq!(record.key, Some(&[0, 0, 0, u8::from(commits)][..]));
            assert_eq!(record.value, Some(&[0, 0, 0, 0, 0, 7][..]));
        }
    }

    #[test]
    fn the_topics_time_is_the_brokers_where_it_wants_that() {
        for (is_append_time, expected) in [
            (false, TimestampType::CreateTime),
            (true, TimestampType::LogAppendTime),
        ] {
            let bytes = built(MARKER, is_append_time);
            let (batch, _) = Batch::split_first(&bytes).unwrap();
            assert_eq!(batch.header().attributes.timestamp_type(), expected);
            assert_eq!(batch.header().max_timestamp, 1_000);
        }
    }

    #[test]
    fn later_versions_are_read_and_other_control_records_are_not_markers() {
        let value = Some(&[0, 9, 0, 0, 1, 0, 77][..]);
        let later = control(Some(&[0, 9, 0, 0, 1]), value);
        let expected = EndMarker {
            commits: false,
            coordinator_epoch: 256,
        };
        assert_eq!(later, Some(expected));
        for key in [
            &[0, 0, 0, 2][..],
            &[0xff, 0xff, 0, 0],
            &[0, 0, 0],
            &[0, 0, 0xff, 0xff],
        ] {
            assert_eq!(control(Some(key), value), None, "{key:?}");
        }
        assert_eq!(control(None, value), None);
        for value in [None, Some(&[0, 0, 0, 0, 1][..]), Some(&[0xff; 6][..])] {
            assert_eq!(control(Some(&[0, 0, 0, 0]), value), None, "{value:?}");
        }
    }

    #[test]
    fn a_batch_without_the_flag_or_without_records_is_no_marker() {
        let mut bytes = built(MARKER, false);
        bytes[22] &= !0x20;
        assert_eq!(read(&bytes), None);
        let empty = BatchBuilder::new(0).control().producer(1, 0, -1);
        assert_eq!(read(&empty.build(None).unwrap()), None);
    }
}
