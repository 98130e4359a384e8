//! The records of these tests: computed from their number, written by one idempotent producer.

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::codec::Codec;
use chronikd::proto::error::ErrorCode;

use crate::common::kafka::{Acked, Kafka, Read};
use crate::common::now_ms;

/// The topic, which has one partition.
pub(crate) const TOPIC: &str = "formats";
/// The smallest that Kafka takes.
pub(crate) const SEGMENT_BYTES: &str = "1048576";
/// Batches of the load.
pub(crate) const BATCHES: u64 = 150;
/// Records of all batches.
pub(crate) const RECORDS: u64 = BATCHES * BATCH;
/// Records of one batch.
pub(crate) const BATCH: u64 = 20;

/// What was written, and who wrote it.
pub(crate) struct Load {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    base_ms: i64,
}

impl Load {
    /// Writes it all, one batch after the other.
    pub(crate) fn produce(client: &mut Kafka) -> Load {
        let (id, epoch) = client.producer_id().expect("a producer id");
        let load = Load {
            id,
            epoch,
            base_ms: now_ms() - 600_000,
        };
        for batch in 0..BATCHES {
            let acked = load.send(client, batch);
            let base_offset = (batch * BATCH) as i64;
            let expected = Acked {
                error: ErrorCode::NONE,
                base_offset,
            };
            assert_eq!(acked, expected, "batch {batch}");
        }
        load
    }

    /// The last batch again is known, and the next one follows: the producer's state has come along. (Kafka's
    /// snapshots hold only the last batch of a producer.)
    pub(crate) fn goes_on(&self, client: &mut Kafka) {
        for batch in [BATCHES - 1, BATCHES, BATCHES] {
            let acked = self.send(client, batch);
            assert_eq!(acked.error, ErrorCode::NONE, "batch {batch}");
            let first = i64::try_from(batch * BATCH).ok();
            assert_eq!(Some(acked.base_offset), first, "batch {batch}");
        }
        let acked = self.send(client, BATCHES + 7);
        assert_eq!(acked.error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    }

    fn send(&self, client: &mut Kafka, batch: u64) -> Acked {
        let bytes = self.batch(batch);
        client.produce(TOPIC, 0, -1, &bytes).expect("sent");
        client.acked().expect("an answer")
    }

    fn batch(&self, batch: u64) -> Vec<u8> {
        let first = batch * BATCH;
        let codec = Codec::ALL[(batch % 5) as usize];
        let mut builder =
            BatchBuilder::new(0)
                .codec(codec)
                .producer(self.id, self.epoch, first as i32);
        for i in first..first + BATCH {
            let (key, value) = (key(i), value(i));
            let headers = [("number", Some(b"7".as_slice())), ("null", None)];
            builder.push_with_headers(
                self.stamp(i),
                key.as_deref().map(str::as_bytes),
                value.as_deref().map(str::as_bytes),
                &headers,
            );
        }
        builder.build(None).expect("a batch")
    }

    fn stamp(&self, i: u64) -> i64 {
        self.base_ms + i as i64
    }

    /// The line that DumpLogSegments shows of a record.
    pub(crate) fn as_dumped(&self, i: u64) -> String {
        let (key, value) = (key(i), value(i));
        let size = |field: &Option<String>| match field {
            Some(field) => field.len().to_string(),
            None => "-1".to_owned(),
        };
        let mut line = format!(
            "| offset: {i} CreateTime: {} keySize: {} valueSize: {} sequence: {i} headerKeys: [number,null]",
            self.stamp(i),
            size(&key),
            size(&value)
        );
        if let Some(key) = key {
            line += &format!(" key: {key}");
        }
        if let Some(value) = value {
            line += &format!(" payload: {value}");
        }
        line
    }

    /// Compares a whole partition with what was written.
    pub(crate) fn check(&self, found: &[Read]) {
        assert_eq!(found.len() as u64, RECORDS);
        for (i, record) in (0..).zip(found) {
            let expected = Read {
                offset: i as i64,
                timestamp_ms: self.stamp(i),
                key: key(i).map(String::into_bytes),
                value: value(i).map(String::into_bytes),
            };
            assert!(*record == expected, "record {i} differs");
        }
    }
}

fn key(i: u64) -> Option<String> {
    (i % 5 != 4).then(|| format!("key-{i}"))
}

/// Text that does not compress well, so that the segments fill.
fn value(i: u64) -> Option<String> {
    let mut state = i + 1;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + (state >> 33) as u8 % 26)
    };
    let size = 1 + i * 37 % 2000;
    (i % 7 != 6).then(|| (0..size).map(|_| letter()).collect())
}
