//! The data directory against Apache Kafka: what chronikd wrote is read by Kafka's own tool and served by a real
//! Kafka, and what a real Kafka wrote is served by chronikd.
//!
//! Both sides are filled by the same load: one idempotent producer, batches of every codec, several segments.

#[path = "../common/mod.rs"]
mod common;

mod compaction;
mod load;
mod transactions;

use std::path::{Path, PathBuf};

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;

use common::apache::{self, Apache, NEWEST};
use common::broker::Broker;
use common::kafka::Kafka;
use load::{BATCH, BATCHES, Load, RECORDS, SEGMENT_BYTES, TOPIC};

/// The configuration of the topic, on both sides.
const CONFIGS: &[(&str, &str)] = &[("segment.bytes", SEGMENT_BYTES)];

#[test]
fn kafkas_tool_reads_every_file_that_chronikd_writes() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return common::skipped("formats", &why);
    }
    let mut broker = Broker::start(&[]);
    let mut client = Kafka::connect(broker.port()).expect("a connection");
    client.create(TOPIC, 1, CONFIGS);
    let load = Load::produce(&mut client);
    assert_eq!(broker.term().code(), Some(0));
    let dir = broker.data().join(format!("{TOPIC}-0"));
    logs_are_read(&dir, &load);
    indexes_agree_with_their_logs(&dir);
    producers_are_read(&dir, &load);
    checkpoints_say_where_it_ends(&broker.data(), &dir);
}

fn logs_are_read(dir: &Path, load: &Load) {
    let logs = files(dir, "log");
    assert!(logs.len() >= 3, "several segments: {logs:?}");
    let shown = apache::dump(&logs, &["--deep-iteration", "--print-data-log"]);
    let batches: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("baseOffset: "))
        .collect();
    assert_eq!(batches.len() as u64, BATCHES);
    for batch in batches {
        assert!(batch.ends_with("isvalid: true"), "{batch}");
        let producer = format!("producerId: {} producerEpoch: {} ", load.id, load.epoch);
        assert!(batch.contains(&producer), "{batch}");
    }
    let records = shown.lines().filter(|line| line.starts_with("| offset: "));
    let records: Vec<String> = records.map(str::to_owned).collect();
    let expected: Vec<String> = (0..RECORDS).map(|i| load.as_dumped(i)).collect();
    assert!(
        records == expected,
        "{}",
        first_difference(&records, &expected)
    );
}

fn first_difference(found: &[String], expected: &[String]) -> String {
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    let at = at.unwrap_or(found.len().min(expected.len()));
    format!(
        "record {at} of {}: Kafka shows\n{:?}\nand it should be\n{:?}",
        expected.len(),
        found.get(at),
        expected.get(at)
    )
}

fn indexes_agree_with_their_logs(dir: &Path) {
    let mut indexes = files(dir, "index");
    assert!(
        indexes.iter().any(|index| length(index) > 0),
        "a sparse index"
    );
    indexes.extend(files(dir, "timeindex"));
    // The tool takes an empty index, which is a legal one, for a damaged one.
    indexes.retain(|index| length(index) > 0);
    let shown = apache::dump(&indexes, &["--index-sanity-check"]);
    for index in &indexes {
        let passed = format!("{} passed sanity check.", index.display());
        assert!(shown.contains(&passed), "{passed}\n{shown}");
    }
    let shown = apache::dump(&indexes, &["--verify-index-only"]);
    for complaint in ["ismatch", "out of order", "xception", "not found"] {
        assert!(!shown.contains(complaint), "{shown}");
    }
}

/// Kafka itself writes one entry for a producer, and of several it believes the last one.
fn producers_are_read(dir: &Path, load: &Load) {
    let snapshots = files(dir, "snapshot");
    let newest = snapshots.last().expect("a snapshot");
    let name = newest.file_stem().and_then(|name| name.to_str());
    assert_eq!(name, Some(format!("{RECORDS:020}").as_str()), "at the end");
    let shown = apache::dump(std::slice::from_ref(newest), &[]);
    let batches: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("producerId: "))
        .collect();
    assert_eq!(
        batches.len(),
        5,
        "one entry for each batch that is remembered"
    );
    for (batch, shown) in (1..=5).rev().zip(batches) {
        let last = RECORDS - 1 - (batch - 1) * BATCH;
        for fact in [
            format!("producerId: {} producerEpoch: {} ", load.id, load.epoch),
            format!("lastSequence: {last} lastOffset: {last} "),
        ] {
            assert!(shown.contains(&fact), "{fact}: {shown}");
        }
    }
}

/// Kafka's text files of a version, a count and entries.
fn checkpoints_say_where_it_ends(data: &Path, dir: &Path) {
    let text = |path: PathBuf| std::fs::read_to_string(path).expect("a checkpoint");
    assert_eq!(text(dir.join("leader-epoch-checkpoint")), "0\n1\n0 0\n");
    assert_eq!(
        text(data.join("recovery-point-offset-checkpoint")),
        format!("0\n1\n{TOPIC} 0 {RECORDS}\n")
    );
    let starts = data.join("log-start-offset-checkpoint");
    assert!(!starts.exists(), "every log begins at 0");
    let metadata = text(dir.join("partition.metadata"));
    let id = metadata.strip_prefix("version: 0\ntopic_id: ");
    assert_eq!(id.map(|id| id.trim_end().len()), Some(22), "{metadata}");
}

#[test]
fn chronikd_serves_what_kafka_wrote_and_goes_on_with_its_producer() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return common::skipped("formats", &why);
    }
    let mut apache = Apache::start(NEWEST, &[]);
    let load = Load::produce(&mut apache.make_topic(TOPIC, CONFIGS));
    let theirs = apache.stop().join(format!("{TOPIC}-0"));
    for clean in [true, false] {
        let mut broker = Broker::start(&[]);
        let mut client = Kafka::connect(broker.port()).expect("a connection");
        make_partition(&mut client, TOPIC, CONFIGS);
        if clean {
            broker.term();
        } else {
            broker.kill9();
        }
        take_over(&theirs, &broker.data().join(format!("{TOPIC}-0")));
        broker.restart();
        let mut client = Kafka::connect(broker.port()).expect("a connection");
        load.check(&client.read_all(TOPIC, 0).expect("a readable log"));
        load.goes_on(&mut client);
    }
}

#[test]
fn kafka_serves_what_chronikd_wrote_and_goes_on_with_its_producer() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return common::skipped("formats", &why);
    }
    let mut broker = Broker::start(&[]);
    let mut client = Kafka::connect(broker.port()).expect("a connection");
    client.create(TOPIC, 1, CONFIGS);
    let load = Load::produce(&mut client);
    broker.term();
    let mut apache = Apache::start(NEWEST, &[]);
    apache.make_topic(TOPIC, CONFIGS);
    let partition = apache.stop().join(format!("{TOPIC}-0"));
    take_over(&broker.data().join(format!("{TOPIC}-0")), &partition);
    apache.restart();
    let mut client = Kafka::connect(apache.port()).expect("a connection");
    load.check(&client.read_all(TOPIC, 0).expect("a readable log"));
    load.goes_on(&mut client);
}

/// A topic of one partition, with a record: before that there is nothing of it on the disk.
fn make_partition(client: &mut Kafka, topic: &str, configs: &[(&str, &str)]) {
    client.create(topic, 1, configs);
    let mut batch = BatchBuilder::new(0);
    batch.push(1, Some(b"key"), Some(b"value"));
    let batch = batch.build(None).expect("a small batch");
    client.produce(topic, 0, 1, &batch).expect("sent");
    assert_eq!(client.acked().expect("an answer").error, ErrorCode::NONE);
}

/// Puts one partition's files in the place of another's, all but the topic's id.
fn take_over(from: &Path, to: &Path) {
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir).expect("a partition").flatten();
        let names = entries.map(|entry| entry.file_name());
        names.filter(|name| name != "partition.metadata")
    };
    for name in names(to) {
        std::fs::remove_file(to.join(name)).expect("removed");
    }
    for name in names(from) {
        std::fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
}

/// The files of a partition with that ending, by offset.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a partition").flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}
