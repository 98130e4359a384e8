//! `chronik.disk.max.bytes` on the real disk, with a reader that asks for old records and then does not read.

use std::path::Path;

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use chronikd::proto::{ApiKey, decode};

use crate::common::broker::Broker;
use crate::common::kafka::Kafka;

const BUDGET: u64 = 32 << 20;
const SETTING: &str = "chronik.disk.max.bytes=32mb";
const LARGE: &str = "large";
const SMALL: &str = "small";
const BATCH_BYTES: usize = 500_000;
/// Three times the budget.
const BATCHES: usize = 192;
const FETCHED_BYTES: i32 = 8 << 20;
/// What one connection may pin, and a window more at each end.
const PINNED_BYTES: u64 = (16 + 8) << 20;
const FETCH_VERSION: i16 = 11;

/// The whole test.
pub(crate) fn run() {
    let mut broker = Broker::start(&["-o", SETTING]);
    let mut line = Kafka::connect(broker.port()).expect("a connection");
    line.create(LARGE, 1, &[]);
    line.create(SMALL, 1, &[]);
    write(&mut line, SMALL, 20);
    write(&mut line, LARGE, 20);
    let mut slow = Kafka::connect(broker.port()).expect("a connection");
    let request = fetch_request(0);
    let asked = slow.send(ApiKey::Fetch, FETCH_VERSION, &request);
    asked.expect("a connection");
    for _ in 0..BATCHES / 16 {
        write(&mut line, LARGE, 16);
        let named = segment_bytes(&broker.data());
        assert!(named <= BUDGET, "{named} bytes have names");
        let pinned = pinned_bytes(broker.id());
        assert!(pinned <= PINNED_BYTES, "{pinned} bytes are held");
    }
    check(&mut line);
    let answer = slow.receive(ApiKey::Fetch, FETCH_VERSION);
    let (error, bytes) = fetched(&answer.expect("the whole answer"));
    assert_eq!(error, ErrorCode::NONE);
    assert!(bytes > 4 << 20, "the slow one has got {bytes} bytes");
    let told = "go before their retention is over";
    let log = broker.log();
    assert_eq!(
        log.lines().filter(|line| line.contains(told)).count(),
        1,
        "{log}"
    );
    broker.kill9();
    broker.restart();
    let mut line = Kafka::connect(broker.port()).expect("a connection");
    line.read_all(SMALL, 0).expect("a partition that is loaded");
    crate::mounts::wait_until(|| {
        (error_at(&mut line, 0) == ErrorCode::OFFSET_OUT_OF_RANGE).then_some(())
    });
    check(&mut line);
    write(&mut line, LARGE, 40);
    assert!(segment_bytes(&broker.data()) <= BUDGET);
}

/// The large topic has lost its oldest records, and the small one nothing.
fn check(line: &mut Kafka) {
    assert_eq!(error_at(line, 0), ErrorCode::OFFSET_OUT_OF_RANGE);
    let small = line.read_all(SMALL, 0).expect("a readable log");
    assert_eq!(small.len(), 20);
}

/// Writes so many batches. Where what goes has not left the disk in time, it tries again, as producers do.
fn write(line: &mut Kafka, topic: &str, count: usize) {
    for _ in 0..count {
        let mut builder = BatchBuilder::new(0);
        builder.push(crate::common::now_ms(), None, Some(&vec![7; BATCH_BYTES]));
        let batch = builder.build(None).expect("a batch that fits");
        crate::mounts::wait_until(|| {
            line.produce(topic, 0, -1, &batch).expect("a connection");
            match line.acked().expect("an answer").error {
                ErrorCode::NONE => Some(()),
                ErrorCode::KAFKA_STORAGE_ERROR => None,
                other => panic!("{other:?}"),
            }
        });
    }
}

fn fetch_request(offset: i64) -> FetchRequest<'static> {
    let wanted = FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: FETCHED_BYTES,
        ..FetchPartition::default()
    };
    FetchRequest {
        min_bytes: 1,
        max_bytes: FETCHED_BYTES,
        topics: vec![FetchTopic {
            topic: LARGE,
            partitions: vec![wanted],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

fn error_at(line: &mut Kafka, offset: i64) -> ErrorCode {
    let request = fetch_request(offset);
    let asked = line.send(ApiKey::Fetch, FETCH_VERSION, &request);
    asked.expect("a connection");
    fetched(
        &line
            .receive(ApiKey::Fetch, FETCH_VERSION)
            .expect("an answer"),
    )
    .0
}

/// The error of the one partition, and how many bytes of records it has brought.
fn fetched(body: &[u8]) -> (ErrorCode, usize) {
    let answer: FetchResponse = decode(body, FETCH_VERSION, false).expect("an answer");
    let found = &answer.responses[0].partitions[0];
    let bytes = found.records.bytes().unwrap_or_default();
    (found.error_code, bytes.len())
}

/// All bytes of segments below a data directory, of deleted ones too.
pub(crate) fn segment_bytes(data: &Path) -> u64 {
    let entries = |dir: &Path| {
        let listed = std::fs::read_dir(dir).into_iter().flatten();
        listed.flatten().map(|entry| entry.path())
    };
    let partitions = entries(data).filter(|path| path.is_dir());
    let files = partitions.flat_map(|dir| entries(&dir).collect::<Vec<_>>());
    let is_segment = |path: &Path| path.to_string_lossy().contains(".log");
    let lengths = files.filter(|path| is_segment(path)).map(|path| {
        // What goes meanwhile is not there any more.
        path.metadata().map_or(0, |found| found.len())
    });
    lengths.sum()
}

/// Bytes of files without a name that a process has mapped.
fn pinned_bytes(id: u32) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).expect("a running process");
    let range = |line: &str| {
        let (from, until) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(number(until)? - number(from)?)
    };
    let deleted = maps.lines().filter(|line| line.ends_with("(deleted)"));
    deleted.filter_map(range).sum()
}
