//! The row of compaction (C1): its processor time, and what clients of other topics notice of it, and of a deletion.

use crate::client::{self, Client, Shape};
use crate::histogram::Histogram;
use crate::load::{self, Target};
use crate::process;
use crate::sample::Life;
use crate::server::{Kind, Server};
use chronikd::proto::Uuid;
use chronikd::proto::batch::BatchBuilder;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What is compacted, about.
const INPUT_BYTES: u64 = 1 << 30;
const SEGMENT_BYTES: u64 = 64 << 20;
const RECORDS: usize = 64;
const VALUE_BYTES: usize = 1000;
/// Every key is written five times.
const KEYS: u64 = INPUT_BYTES / VALUE_BYTES as u64 / 5;
/// Filling takes less.
const SETTINGS: &[&str] = &["log.cleaner.backoff.ms=15000"];
/// The files of a deleted topic leave the disk while somebody watches.
const CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("file.delete.delay.ms", "200"),
    ("segment.bytes", "67108864"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("flush.messages", "9223372036854775807"),
];
/// Requests a second of the producer beside it.
const RATE: f64 = 2_000.0;
const REQUESTS: u64 = 4_000;
/// The pause between two requests of the reader.
const READS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(180);
const ONE_RECORD: Shape = Shape {
    records: 1,
    record_bytes: 1024,
    partitions: 1,
};

/// What clients of other topics see.
#[derive(Default)]
struct Seen {
    produce: Histogram,
    fetch: Histogram,
}

impl Seen {
    fn add(&mut self, other: &Seen) {
        self.produce.add(&other.produce);
        self.fetch.add(&other.fetch);
    }

    fn p99_us(&self) -> [f64; 2] {
        [&self.produce, &self.fetch].map(|times| times.quantile_us(0.99))
    }
}

/// The rate of input for a core; the p99 of a producer and a reader in quiet; and for their times in quiet, those while
/// another topic is compacted, and while one is deleted.
pub(crate) fn compacts(_: &Life<'_>, _: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(Kind::Chronikd(SETTINGS), &dir)?;
    let (_, bytes) = fill(&server, "alone")?;
    process::settle();
    let before = cpu(&server)?;
    wait_until_compacted(&dir, "alone")?;
    let spent = cpu(&server)?.saturating_sub(before);
    let quiet = watch(&server, "quiet")?.p99_us();
    let (beside, _) = fill(&server, "beside")?;
    process::settle();
    process::wait_for(LIMIT, Duration::from_millis(5), || {
        is_being_compacted(&dir, "beside")
    })?;
    let mut compacting = Seen::default();
    let mut runs = 0;
    while !is_compacted(&dir, "beside") {
        compacting.add(&watch(&server, &format!("busy{runs}"))?);
        runs += 1;
    }
    let mut client = Client::connect(server.address)?;
    client.ask(&client::delete_topic_frame(beside), client::deleted_topic)?;
    let (removed, _) = fill(&server, "removed")?;
    process::settle();
    client.ask(&client::delete_topic_frame(removed), client::deleted_topic)?;
    let deleting = watch(&server, "deleting")?;
    // The last segment is being written and stays.
    let input = bytes / SEGMENT_BYTES * SEGMENT_BYTES;
    let rate = input as f64 / 1e6 / spent.as_secs_f64();
    let beside = [compacting, deleting].map(|seen| seen.p99_us());
    let ratios = beside.map(|[produce, fetch]| [produce / quiet[0], fetch / quiet[1]]);
    Ok([&[rate][..], &quiet, ratios.as_flattened()].concat())
}

/// A producer at a fixed rate, and a reader beside it until that has ended.
fn watch(server: &Server, name: &str) -> io::Result<Seen> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(server, &format!("{name}-read"), &is_over));
        let produced = produce(server, name);
        is_over.store(true, Ordering::Relaxed);
        let fetch = reader.join();
        Ok(Seen {
            produce: produced?,
            fetch: fetch.map_err(|_| io::Error::other("the reader panicked"))??,
        })
    })
}

/// A reader of one record, again and again.
fn read(server: &Server, name: &str, is_over: &AtomicBool) -> io::Result<Histogram> {
    let mut client = Client::connect(server.address)?;
    let topic = client.create_topic(name, 1, false)?;
    let record = client::produce_frame(topic, &ONE_RECORD, 0);
    client.ask(&record, client::produced_offset)?;
    let (frame, mut times) = (client::fetch_frame(topic, 0), Histogram::default());
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(READS);
        let sent_at = Instant::now();
        client.ask(&frame, |frame| client::fetched(frame, 0, false))?;
        times.record(sent_at.elapsed());
    }
    Ok(times)
}

fn cpu(server: &Server) -> io::Result<Duration> {
    process::cpu(server.pid()).ok_or_else(|| io::Error::other("schedstat cannot be read"))
}

/// A producer at a fixed rate, on a topic of its own.
fn produce(server: &Server, name: &str) -> io::Result<Histogram> {
    let topic = Client::connect(server.address)?.create_topic(name, 1, false)?;
    let target = Target {
        address: server.address,
        topic,
        shape: ONE_RECORD,
    };
    Ok(load::open_loop(&target, RATE, REQUESTS)?.latency)
}

/// A compacted topic with its records. Answers its id, and how many bytes of batches it has.
fn fill(server: &Server, name: &str) -> io::Result<(Uuid, u64)> {
    let mut client = Client::connect(server.address)?;
    let topic = client.ask(
        &client::topic_frame(name, 1, CONFIGS),
        client::created_topic,
    )?;
    let (mut number, mut bytes) = (0u64, 0);
    while bytes < INPUT_BYTES {
        let mut batch = BatchBuilder::new(0);
        for _ in 0..RECORDS {
            number += 1;
            let key = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS).to_be_bytes();
            batch.push(
                1_790_000_000_000,
                Some(&key),
                Some(&[number as u8; VALUE_BYTES]),
            );
        }
        let batch = batch.build(None).map_err(io::Error::other)?;
        bytes += batch.len() as u64;
        client.ask(
            &client::batches_frame(topic, &[&batch]),
            client::produced_offset,
        )?;
    }
    Ok((topic, bytes))
}

fn wait_until_compacted(dir: &Path, topic: &str) -> io::Result<()> {
    process::wait_for(LIMIT, Duration::from_millis(20), || {
        is_compacted(dir, topic)
    })
}

fn is_compacted(dir: &Path, topic: &str) -> bool {
    let text = fs::read_to_string(dir.join("cleaner-offset-checkpoint")).unwrap_or_default();
    text.lines()
        .any(|line| line.starts_with(&format!("{topic} ")))
}

fn is_being_compacted(dir: &Path, topic: &str) -> bool {
    let entries = fs::read_dir(dir.join(format!("{topic}-0")));
    let mut names = entries.into_iter().flatten().flatten();
    names.any(|entry| entry.path().extension().is_some_and(|it| it == "cleaned"))
}
