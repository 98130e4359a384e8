//! Transactions in the files of a partition: markers in the log, aborted ones in their index, open ones in the
//! snapshot, all read by Kafka's own tool and served by a real Kafka. The files are written by the storage room
//! without a broker around it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chronikd::clock::{Mono, Now};
use chronikd::config::{BrokerConfig, LogConfig, StorageConfig};
use chronikd::disk::lanes::{Completion, Inline, Lanes, Round};
use chronikd::disk::{Disk, RealDisk, Syncing};
use chronikd::proto::batch::{Batch, BatchBuilder};
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use chronikd::proto::{ApiKey, Uuid};
use chronikd::storage::{Done, Marker, NewBatch, Origin, PartitionId, Storage};

use crate::common::apache::{self, Apache, NEWEST};
use crate::common::ask::{ask, decode, frame};
use crate::common::broker::Broker;
use crate::common::dir::Dir;
use crate::common::kafka::Kafka;
use crate::common::raw::Raw;
use crate::common::skipped;
use crate::{make_partition, take_over};

const NOW: Now = Now {
    mono: Mono(1),
    wall_ms: 1_800_000_000_000,
};
const AT: PartitionId = PartitionId {
    topic: Uuid([1; 16]),
    partition: 0,
};

/// Behind the last record that `write` writes and the marker that the broker adds.
const END: i64 = 9;

/// A partition on a real disk.
struct Written {
    storage: Storage,
    lanes: Inline<Done>,
    round: u64,
}

impl Written {
    fn new(root: &Path) -> Written {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(Syncing::Nothing));
        let mut storage = Storage::new(
            Arc::clone(&disk),
            root.to_owned(),
            0,
            StorageConfig::default(),
        );
        let nobody = BTreeSet::new();
        storage
            .start(Vec::new(), &nobody, true, NOW)
            .expect("an empty directory");
        let config = LogConfig::new(&BrokerConfig::default(), &BTreeMap::new());
        storage
            .create(AT, &"txns".into(), &Arc::new(config), NOW)
            .expect("a partition");
        Written {
            storage,
            lanes: Inline::new(disk, root),
            round: 0,
        }
    }

    /// Appends a record in a transaction.
    fn append(&mut self, producer: i64, epoch: i16, sequence: i32) {
        let mut batch = BatchBuilder::new(0)
            .transactional()
            .producer(producer, epoch, sequence);
        batch.push(NOW.wall_ms, Some(b"key"), Some(b"value"));
        let batch = batch.build(None).expect("a small batch");
        let (batch, _) = Batch::split_first(&batch).expect("a whole batch");
        let batch = NewBatch::from(&batch);
        let appended = self.storage.append(AT, NOW, &batch, Origin::Client);
        appended.expect("appended");
    }

    fn end(&mut self, producer_id: i64, producer_epoch: i16, commits: bool, version: i16) {
        let marker = Marker {
            producer_id,
            producer_epoch,
            coordinator_epoch: 4,
            commits,
            transaction_version: version,
        };
        let ended = self.storage.end_transaction(AT, NOW, marker);
        ended.expect("ended");
    }

    /// Ends cleanly.
    fn close(mut self) {
        self.storage.begin_close(NOW);
        while !self.storage.closed() {
            for job in self.storage.take_jobs() {
                self.lanes.work(job);
            }
            if self.storage.needs_round() {
                self.round += 1;
                let mut round = Round {
                    number: self.round,
                    ..Round::default()
                };
                self.storage.gather(&mut round).expect("open files");
                self.lanes.sync(round);
            }
            for done in self.lanes.completed() {
                match done {
                    Completion::Worked(done) => self.storage.absorb(done, NOW).expect("written"),
                    Completion::Synced(round) => self.storage.synced(round),
                    Completion::SyncFailed(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// Aborted, open, committed, and aborted in version 2.
fn write(root: &Path) -> PathBuf {
    let mut log = Written::new(root);
    log.append(70, 2, 0);
    log.append(70, 2, 1);
    log.end(70, 2, false, 1);
    log.append(71, 0, 0);
    log.append(70, 2, 2);
    log.end(70, 2, true, 1);
    log.append(72, 0, 0);
    log.end(72, 1, false, 2);
    log.close();
    root.join("txns-0")
}

#[test]
fn kafkas_tool_reads_markers_aborted_and_open_transactions() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return skipped("formats", &why);
    }
    let root = Dir::new();
    let dir = write(root.path());
    markers_are_read(&dir);
    aborted_ones_are_read(&dir);
    open_ones_are_read(&dir);
}

fn markers_are_read(dir: &Path) {
    let log = dir.join("00000000000000000000.log");
    let shown = apache::dump(&[log], &["--deep-iteration"]);
    let batches = shown.lines().filter(|l| l.starts_with("baseOffset: "));
    let markers = batches.filter(|line| {
        assert!(line.contains("isTransactional: true"), "{line}");
        assert!(line.ends_with("isvalid: true"), "{line}");
        line.contains("isControl: true")
    });
    assert_eq!(markers.count(), 3);
    let ends = shown
        .lines()
        .filter_map(|line| line.split_once("endTxnMarker: "));
    let ends: Vec<&str> = ends.map(|(_, end)| end.trim()).collect();
    let expected = ["ABORT", "COMMIT", "ABORT"].map(|end| format!("{end} coordinatorEpoch: 4"));
    assert_eq!(ends, expected, "{shown}");
}

fn aborted_ones_are_read(dir: &Path) {
    let index = dir.join("00000000000000000000.txnindex");
    let shown = apache::dump(&[index], &[]);
    let entries: Vec<&str> = shown
        .lines()
        .filter(|l| l.starts_with("version: "))
        .collect();
    let expected = [
        "version: 0 producerId: 70 firstOffset: 0 lastOffset: 2 lastStableOffset: 3",
        "version: 0 producerId: 72 firstOffset: 6 lastOffset: 7 lastStableOffset: 3",
    ];
    assert_eq!(entries, expected, "{shown}");
}

fn open_ones_are_read(dir: &Path) {
    let snapshot = dir.join("00000000000000000008.snapshot");
    let shown = apache::dump(&[snapshot], &[]);
    let last = |producer: i64| {
        let name = format!("producerId: {producer} ");
        let mut lines = shown.lines().filter(|line| line.starts_with(&name));
        lines.next_back().unwrap_or_default().to_owned()
    };
    for (producer, facts) in [
        (
            70,
            "producerEpoch: 2 coordinatorEpoch: 4 currentTxnFirstOffset: OptionalLong.empty",
        ),
        (
            71,
            "producerEpoch: 0 coordinatorEpoch: -1 currentTxnFirstOffset: OptionalLong[3]",
        ),
        (
            72,
            "producerEpoch: 1 coordinatorEpoch: 4 currentTxnFirstOffset: OptionalLong.empty",
        ),
    ] {
        assert!(last(producer).contains(facts), "{facts}: {shown}");
    }
    assert!(
        last(70).contains("lastSequence: 2 lastOffset: 4 "),
        "{shown}"
    );
    assert!(!last(72).contains("lastSequence"), "a new epoch: {shown}");
}

/// What a reader is told.
struct Told {
    records: Vec<u8>,
    /// Everything before this offset is decided.
    decided: i64,
    /// Producers and first offsets to be skipped; `None` where all records are wanted.
    aborted: Option<Vec<(i64, i64)>>,
}

/// What the broker at a port tells from every offset on, with both isolation levels.
fn told(port: u16) -> Vec<Told> {
    let mut raw = Raw::connect(port).expect("a connection");
    let asked = (0..8).flat_map(|offset| [(offset, 0), (offset, 1)]);
    asked
        .map(|(offset, isolation)| fetch(&mut raw, offset, isolation))
        .collect()
}

fn fetch(raw: &mut Raw, fetch_offset: i64, isolation_level: i8) -> Told {
    let partition = FetchPartition {
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let request = FetchRequest {
        isolation_level,
        max_wait_ms: 10_000,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: "txns",
            partitions: vec![partition],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    let request = frame(ApiKey::Fetch, 11, &request);
    let body = ask(raw, ApiKey::Fetch, 11, &request);
    let answer: FetchResponse<'_> = decode(&body, ApiKey::Fetch, 11);
    let found = &answer.responses[0].partitions[0];
    assert_eq!(found.error_code, ErrorCode::NONE, "{fetch_offset}");
    let aborted = found.aborted_transactions.as_ref().map(|aborted| {
        let pairs = aborted.iter().map(|a| (a.producer_id, a.first_offset));
        pairs.collect()
    });
    Told {
        records: found.records.bytes().unwrap_or_default().to_vec(),
        decided: found.last_stable_offset,
        aborted,
    }
}

/// The broker has no coordinator that knows the open transaction, aborts it, and what it then has is served by both.
#[test]
fn readers_of_committed_records_are_told_the_same_by_kafka_and_by_chronikd() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return skipped("formats", &why);
    }
    let root = Dir::new();
    let dir = write(root.path());
    let mut broker = Broker::start(&[]);
    let mut client = Kafka::connect(broker.port()).expect("a connection");
    make_partition(&mut client, "txns", &[]);
    broker.term();
    let partition = broker.data().join("txns-0");
    take_over(&dir, &partition);
    broker.restart();
    await_decided(broker.port(), END);
    let ours = told(broker.port());
    broker.term();

    let mut apache = Apache::start(NEWEST, &[]);
    let mut client = Kafka::connect(apache.port()).expect("a connection");
    client.create("txns", 1, &[]);
    take_over(&partition, &apache.stop().join("txns-0"));
    apache.restart();
    for (number, (ours, theirs)) in ours.iter().zip(told(apache.port())).enumerate() {
        assert!(ours.records == theirs.records, "answer {number}");
        assert_eq!((ours.decided, theirs.decided), (END, END), "{number}");
        // Kafka lists them by their ends; we by their beginnings, which every client can walk through.
        let mut aborted = theirs.aborted;
        aborted
            .iter_mut()
            .for_each(|list| list.sort_by_key(|(_, first)| *first));
        assert_eq!(ours.aborted, aborted, "answer {number}");
    }
    let all = [(70, 0), (71, 3), (72, 6)].to_vec();
    assert_eq!(ours[1].aborted, Some(all));
}

/// Waits until nothing before an offset can change any more.
fn await_decided(port: u16, until: i64) {
    let mut raw = Raw::connect(port).expect("a connection");
    while fetch(&mut raw, 0, 1).decided < until {
        std::thread::sleep(Duration::from_millis(10));
    }
}
