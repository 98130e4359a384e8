//! A producer that writes to all partitions of a topic, little by little, until it is told to stop.
//!
//! What has no answer when the broker dies may be there or not, and is not sent again: what the readers have to
//! process is what the log holds in the end, and that has everything that was acknowledged.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;

use super::kafka::Kafka;
use super::now_ms;

/// Between two rounds of batches, one to each partition.
const PACE: Duration = Duration::from_millis(40);
/// A broker is back by then, and a round acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);

/// The values of all records that were acknowledged, by partition and offset.
pub type Acked = Vec<BTreeMap<i64, String>>;

/// The value of a record, by its partition and its number.
pub type Text = fn(usize, u64) -> String;

/// A running producer.
pub struct Feeder {
    over: Arc<AtomicBool>,
    acked: Arc<Mutex<Acked>>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Begins to write to the partitions `0..partition_count` of a topic.
    pub fn start(port: u16, topic: &str, partition_count: usize, text: Text) -> Feeder {
        let over = Arc::new(AtomicBool::new(false));
        let acked = Arc::new(Mutex::new(vec![BTreeMap::new(); partition_count]));
        let mut writer = Writer {
            port,
            topic: topic.to_owned(),
            number: 0,
            text,
            acked: acked.clone(),
        };
        let seen = over.clone();
        let thread = std::thread::spawn(move || writer.run(&seen));
        Feeder {
            over,
            acked,
            thread: Some(thread),
        }
    }

    /// Waits until every partition has grown, and answers the offsets behind the newest records.
    ///
    /// # Panics
    /// When one does not grow for long.
    pub fn grow(&self) -> Vec<i64> {
        let (before, began) = (self.ends(), Instant::now());
        loop {
            let ends = self.ends();
            if ends.iter().zip(&before).all(|(end, before)| end > before) {
                return ends;
            }
            assert!(began.elapsed() < PATIENCE, "nothing is acknowledged");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ends(&self) -> Vec<i64> {
        let acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        let last = |records: &BTreeMap<i64, String>| records.last_key_value().map(|last| *last.0);
        acked
            .iter()
            .map(|one| last(one).map_or(0, |last| last + 1))
            .collect()
    }

    /// Stops, and answers all that was acknowledged.
    pub fn stop(mut self) -> Acked {
        self.end();
        let acked = self.acked.lock().unwrap_or_else(PoisonError::into_inner);
        acked.clone()
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the producer failed"
            );
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.end();
    }
}

struct Writer {
    port: u16,
    topic: String,
    /// Of the next record; each has another one.
    number: u64,
    text: Text,
    acked: Arc<Mutex<Acked>>,
}

impl Writer {
    fn run(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::Acquire) {
            // An error is the broker's end: the next round is for the one that comes back.
            if let Ok(mut connection) = Kafka::connect(self.port) {
                let _ = self.rounds(&mut connection, over);
            }
            std::thread::sleep(PACE);
        }
    }

    fn rounds(&mut self, connection: &mut Kafka, over: &AtomicBool) -> io::Result<()> {
        while !over.load(Ordering::Acquire) {
            self.round(connection)?;
            std::thread::sleep(PACE);
        }
        Ok(())
    }

    /// One batch to each partition, and what becomes of them.
    fn round(&mut self, connection: &mut Kafka) -> io::Result<()> {
        let mut sent = Vec::new();
        let partition_count = self.lock().len();
        for partition in 0..partition_count {
            let values: Vec<String> = (0..=self.number % 3)
                .map(|i| (self.text)(partition, self.number + i))
                .collect();
            self.number += values.len() as u64;
            connection.produce(&self.topic, partition as i32, -1, &batch(&values))?;
            sent.push(values);
        }
        for (partition, values) in sent.into_iter().enumerate() {
            let acked = connection.acked()?;
            if acked.error == ErrorCode::NONE {
                self.lock()[partition].extend((acked.base_offset..).zip(values));
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Acked> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn batch(values: &[String]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for value in values {
        builder.push(now_ms(), None, Some(value.as_bytes()));
    }
    builder.build(None).expect("a small batch")
}
