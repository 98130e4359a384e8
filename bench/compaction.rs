//! The row of compaction (C1): its processor time, and what producers of another topic notice of it.

use crate::client::{self, Client, Shape};
use crate::histogram::Histogram;
use crate::load::{self, Target};
use crate::process;
use crate::sample::Life;
use crate::server::{Kind, Server};
use chronikd::proto::batch::BatchBuilder;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is compacted, about.
const INPUT_BYTES: u64 = 512 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;
const RECORDS: usize = 64;
const VALUE_BYTES: usize = 1000;
/// Every key is written five times.
const KEYS: u64 = INPUT_BYTES / VALUE_BYTES as u64 / 5;
/// Filling takes less.
const SETTINGS: &[&str] = &["log.cleaner.backoff.ms=15000"];
const CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "67108864"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("flush.messages", "9223372036854775807"),
];
/// Requests a second of the producer beside it.
const RATE: f64 = 2_000.0;
const REQUESTS: u64 = 4_000;
const LIMIT: Duration = Duration::from_secs(180);
const ONE_RECORD: Shape = Shape {
    records: 1,
    record_bytes: 1024,
    partitions: 1,
};

/// The rate of input for a core, and the p99 of a producer in quiet and beside it, with their ratio.
pub(crate) fn compacts(_: &Life<'_>, _: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(Kind::Chronikd(SETTINGS), &dir)?;
    let bytes = fill(&server, "alone")?;
    process::settle();
    let before = cpu(&server)?;
    wait_until_compacted(&dir, "alone")?;
    let spent = cpu(&server)?.saturating_sub(before);
    let quiet = produce(&server, "quiet")?.quantile_us(0.99);
    fill(&server, "beside")?;
    process::settle();
    process::wait_for(LIMIT, Duration::from_millis(5), || {
        is_being_compacted(&dir, "beside")
    })?;
    let mut beside = Histogram::default();
    let mut runs = 0;
    while !is_compacted(&dir, "beside") {
        beside.add(&produce(&server, &format!("busy{runs}"))?);
        runs += 1;
    }
    let beside = beside.quantile_us(0.99);
    // The last segment is being written and stays.
    let input = bytes / SEGMENT_BYTES * SEGMENT_BYTES;
    let rate = input as f64 / 1e6 / spent.as_secs_f64();
    Ok(vec![rate, quiet, beside, beside / quiet])
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

/// A compacted topic with its records. Answers how many bytes of batches it has.
fn fill(server: &Server, name: &str) -> io::Result<u64> {
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
    Ok(bytes)
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
