//! 20 MB/s for a while, with `retention.bytes`, compaction and a budget: the disk stays within it.
//!
//! `SOAK_SECONDS=600 cargo test --test full_disk -- soak --nocapture` is the long form. Latencies are printed for each
//! tenth of the time and held against nothing; a machine that is too slow for the rate writes less.

use std::time::{Duration, Instant};

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;

use crate::budget::segment_bytes;
use crate::common::broker::Broker;
use crate::common::kafka::Kafka;

const SECONDS: u64 = 20;
const BUDGET: u64 = 160 << 20;
const SETTINGS: [&str; 4] = [
    "chronik.disk.max.bytes=160mb",
    "log.retention.check.interval.ms=1000",
    "log.cleaner.backoff.ms=1000",
    "log.segment.bytes=8388608",
];
const VALUE_BYTES: usize = 5_000;
const RECORDS: usize = 20;
/// Batches a second, of 100 KB each.
const RATE: u32 = 200;
/// Of the compacted topic.
const KEYS: u64 = 2_000;
const TENTHS: u32 = 10;

const TOPICS: [(&str, &[(&str, &str)]); 3] = [
    ("plain", &[]),
    ("bytes", &[("retention.bytes", "20000000")]),
    (
        "compacted",
        &[
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.2"),
        ],
    ),
];

/// The whole program.
pub(crate) fn run() {
    let seconds = std::env::var("SOAK_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number"));
    let options: Vec<&str> = SETTINGS
        .iter()
        .flat_map(|setting| ["-o", setting])
        .collect();
    let broker = Broker::start(&options);
    let mut line = Kafka::connect(broker.port()).expect("a connection");
    for (name, configs) in TOPICS {
        line.create(name, 1, configs);
    }
    let tenth = Duration::from_secs(seconds) / TENTHS;
    let mut sent = 0;
    for number in 0..TENTHS {
        let mut round = Round::default();
        round.run(&broker, &mut line, tenth, &mut sent);
        println!("{number}: {round}");
        assert!(
            round.disk_bytes <= BUDGET,
            "{} bytes on the disk",
            round.disk_bytes
        );
        assert!(round.times_us.len() > round.refused, "something was taken");
    }
}

/// What has happened in a tenth of the time.
#[derive(Default)]
struct Round {
    times_us: Vec<u128>,
    refused: usize,
    disk_bytes: u64,
}

impl Round {
    fn run(&mut self, broker: &Broker, line: &mut Kafka, time: Duration, sent: &mut u64) {
        let began = Instant::now();
        let mut due = began;
        while began.elapsed() < time {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due = (due + Duration::from_secs(1) / RATE).max(Instant::now() - time / 10);
            self.write(line, *sent);
            *sent += 1;
            if sent.is_multiple_of(20) {
                self.disk_bytes = self.disk_bytes.max(segment_bytes(&broker.data()));
            }
        }
        self.times_us.sort_unstable();
    }

    fn write(&mut self, line: &mut Kafka, number: u64) {
        // Half of it goes to the plain topic; the compacted one could not give what the others write.
        let topic = [0, 1, 0, 1, 0, 1, 0, 2][(number % 8) as usize];
        let batch = batch(number);
        let began = Instant::now();
        line.produce(TOPICS[topic].0, 0, -1, &batch).expect("sent");
        let acked = line.acked().expect("an answer");
        self.times_us.push(began.elapsed().as_micros());
        match acked.error {
            ErrorCode::NONE => {}
            ErrorCode::KAFKA_STORAGE_ERROR => self.refused += 1,
            other => panic!("{other:?}"),
        }
    }
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: usize| self.times_us[(self.times_us.len() - 1) * share / 1000];
        let megabytes = self.times_us.len() * RECORDS * VALUE_BYTES / 1_000_000;
        write!(
            f,
            "{megabytes} MB, {} us p50, {} us p99, {} us max, {} refused, {} MB on the disk",
            at(500),
            at(990),
            at(1000),
            self.refused,
            self.disk_bytes / 1_000_000
        )
    }
}

fn batch(number: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    for record in 0..RECORDS as u64 {
        let key = (number * RECORDS as u64 + record) % KEYS;
        let value = vec![number as u8; VALUE_BYTES];
        builder.push(
            crate::common::now_ms(),
            Some(&key.to_be_bytes()),
            Some(&value),
        );
    }
    builder.build(None).expect("a batch that fits")
}
