//! What readers of committed records get: how far, what they are told to skip, and what wakes them.

use super::*;
use crate::proto::batch::Batch;
use crate::proto::schema::list_offsets::ListOffsetsResponse;
use crate::storage::{Marker, NewBatch, Origin, PartitionId};

impl Bench {
    fn partition(&self) -> PartitionId {
        self.broker.find("t", 0).expect("it is there")
    }

    /// One record, in a transaction if the producer is above 100.
    fn append(&mut self, producer: i64, sequence: i32, timestamp_ms: i64) {
        let mut batch = BatchBuilder::new(0).producer(producer, 0, sequence);
        if producer > 100 {
            batch = batch.transactional();
        }
        batch.push(timestamp_ms, None, Some(&[7; 100]));
        let batch = batch.build(None).expect("a small batch");
        let at = self.partition();
        let appended =
            self.broker
                .storage
                .append(at, NOW, &NewBatch::whole(&batch), Origin::Client);
        appended.expect("appended");
        self.run();
    }

    fn end(&mut self, producer_id: i64, commits: bool) {
        let at = self.partition();
        let marker = Marker {
            producer_id,
            producer_epoch: 0,
            coordinator_epoch: 0,
            commits,
            transaction_version: 1,
        };
        let ended = self.broker.storage.end_transaction(at, NOW, marker);
        ended.expect("ended");
        self.run();
    }

    /// The offset and time that ListOffsets answers for readers of committed records, or of all.
    fn listed(&mut self, timestamp: i64, committed: bool) -> (i64, i64) {
        let request = ListOffsetsRequest {
            isolation_level: i8::from(committed),
            topics: vec![ListOffsetsTopic {
                name: "t",
                partitions: vec![ListOffsetsPartition {
                    timestamp,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let body = self.ask(ApiKey::ListOffsets, 7, &request).answer();
        let answer: ListOffsetsResponse<'_> = proto::decode(&body, 7, true).expect("a response");
        let found = &answer.topics[0].partitions[0];
        assert_eq!(found.error_code, ErrorCode::NONE);
        (found.offset, found.timestamp - NOW.wall_ms)
    }
}

/// Producer 101 has aborted 0 (the marker is at 1), producer 1 has written 2, and 102 has 3 open; behind it is 4 by 1.
/// Record n has time n.
fn sample() -> Bench {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    bench.append(101, 0, NOW.wall_ms);
    bench.end(101, false);
    bench.append(1, 0, NOW.wall_ms + 2);
    bench.append(102, 0, NOW.wall_ms + 3);
    bench.append(1, 1, NOW.wall_ms + 4);
    bench
}

fn committed(offset: i64, min_bytes: i32) -> FetchRequest<'static> {
    let mut request = fetch_request(&[0], min_bytes);
    request.isolation_level = 1;
    request.topics[0].partitions[0].fetch_offset = offset;
    request
}

/// Of a fetch: how many batches, the last stable offset, and the aborted transactions.
fn told(body: &[u8]) -> (usize, i64, Option<Vec<(i64, i64)>>) {
    let answer: FetchResponse<'_> = proto::decode(body, 12, true).expect("a response");
    let found = &answer.responses[0].partitions[0];
    assert_eq!(found.error_code, ErrorCode::NONE);
    let mut batches = found.records.bytes().unwrap_or_default();
    let mut count = 0;
    while let Ok((_, rest)) = Batch::split_first(batches) {
        (batches, count) = (rest, count + 1);
    }
    let listed = found.aborted_transactions.as_ref().map(|aborted| {
        let pairs = aborted.iter().map(|a| (a.producer_id, a.first_offset));
        pairs.collect()
    });
    (count, found.last_stable_offset, listed)
}

#[test]
fn readers_of_committed_records_end_at_the_last_stable_offset_and_know_what_to_skip() {
    let mut bench = sample();
    let mut fetch =
        |request: FetchRequest<'_>| told(&bench.ask(ApiKey::Fetch, 12, &request).answer());
    assert_eq!(fetch(committed(0, 0)), (3, 3, Some(vec![(101, 0)])));
    assert_eq!(fetch(committed(1, 0)), (2, 3, Some(vec![(101, 0)])));
    assert_eq!(fetch(committed(2, 0)), (1, 3, Some(vec![])));
    assert_eq!(fetch(committed(3, 0)), (0, 3, Some(vec![])));
    assert_eq!(fetch(fetch_request(&[0], 0)), (5, 3, None));
    let mut one = committed(2, 0);
    one.max_bytes = 1;
    assert_eq!(
        fetch(one),
        (1, 3, Some(vec![])),
        "just what touches the answer"
    );
}

#[test]
fn a_reader_that_waits_at_an_open_transaction_is_woken_by_its_end() {
    let mut bench = sample();
    let wait = bench.ask(ApiKey::Fetch, 12, &committed(3, 200)).wait();
    bench.woken(&wait.on);
    bench.append(1, 2, NOW.wall_ms);
    assert!(!bench.woken(&wait.on).1, "nothing for this reader");
    let again = bench.ask(ApiKey::Fetch, 12, &committed(3, 200)).wait();
    assert_eq!(again.missing, 200);
    bench.end(102, true);
    assert!(bench.woken(&wait.on).1);
    let body = bench.ask(ApiKey::Fetch, 12, &committed(3, 200)).answer();
    assert_eq!(told(&body), (4, 7, Some(vec![])));
}

#[test]
fn an_index_that_cannot_be_read_shows_nothing() {
    let mut bench = sample();
    let mut bench = {
        bench.broker.begin_close(NOW);
        bench.run();
        let mut bench = bench.restart();
        bench.run();
        bench
    };
    let path = Path::new(ROOT).join("t-0/00000000000000000000.txnindex");
    bench.disk.remove_file(&path).expect("there is one");
    let body = bench.ask(ApiKey::Fetch, 12, &committed(0, 0)).answer();
    assert_eq!(fetched(&body), [ErrorCode::KAFKA_STORAGE_ERROR]);
    let body = bench
        .ask(ApiKey::Fetch, 12, &fetch_request(&[0], 0))
        .answer();
    assert_eq!(fetched(&body), [ErrorCode::NONE]);
}

#[test]
fn offsets_are_listed_below_what_is_decided() {
    let mut bench = sample();
    let none = (-1, -1 - NOW.wall_ms);
    let end = |offset| (offset, -1 - NOW.wall_ms);
    assert_eq!(bench.listed(-1, true), end(3));
    assert_eq!(bench.listed(-1, false), end(5));
    assert_eq!(bench.listed(-2, true), end(0));
    for (time, all, decided) in [(0, (0, 0), (0, 0)), (1, (2, 2), (2, 2)), (3, (3, 3), none)] {
        assert_eq!(bench.listed(NOW.wall_ms + time, false), all, "{time}");
        assert_eq!(bench.listed(NOW.wall_ms + time, true), decided, "{time}");
    }
    assert_eq!(bench.listed(-3, false), (4, 4));
    assert_eq!(bench.listed(-3, true), none, "the newest is not decided");
    bench.end(102, false);
    assert_eq!(bench.listed(-1, true), end(6));
    assert_eq!(bench.listed(-3, true), (4, 4));
}

#[test]
fn an_isolation_that_nobody_knows_is_an_error_of_everything_that_is_read() {
    let mut bench = sample();
    let mut request = committed(0, 0);
    request.isolation_level = 2;
    let body = bench.ask(ApiKey::Fetch, 12, &request).answer();
    let answer: FetchResponse<'_> = proto::decode(&body, 12, true).expect("a response");
    assert_eq!(answer.error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(fetched(&body), [ErrorCode::UNKNOWN_SERVER_ERROR]);
    request.topics[0].partitions[0].partition = 7;
    let body = bench.ask(ApiKey::Fetch, 12, &request).answer();
    assert_eq!(fetched(&body), [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    request.topics[0].topic_id = bench.broker.topics().by_name("t").expect("there").id;
    request.topics[0].partitions[0].partition = 0;
    let body = bench.ask(ApiKey::Fetch, 13, &request).answer();
    let answer: FetchResponse<'_> = proto::decode(&body, 13, true).expect("a response");
    assert_eq!(answer.error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert!(answer.responses.is_empty());
    let request = ListOffsetsRequest {
        isolation_level: -1,
        topics: vec![ListOffsetsTopic {
            name: "t",
            partitions: vec![ListOffsetsPartition::default()],
        }],
        ..Default::default()
    };
    let body = bench.ask(ApiKey::ListOffsets, 7, &request).answer();
    let answer: ListOffsetsResponse<'_> = proto::decode(&body, 7, true).expect("a response");
    let found = &answer.topics[0].partitions[0];
    assert_eq!(found.error_code, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(found.offset, -1);
}
