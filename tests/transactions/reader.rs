//! What is committed in a partition, read by our own hands as every client has to: to the last stable offset, without
//! the records of the transactions that Fetch lists as aborted, and with what that list promises checked. And what a
//! group has committed.

use std::time::Duration;

use chronikd::proto::batch::{Batch, EndMarker};
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use chronikd::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
};
use chronikd::proto::{ApiKey, Records};

use crate::common::committed::Committed;
use crate::common::kafka::{Kafka, read_body};
use crate::common::server::Server;

const VERSION: i16 = 11;
const READ_COMMITTED: i8 = 1;
const FETCH_BYTES: i32 = 8 << 20;
const INFLATED_BYTES: usize = 64 << 20;
/// How often a stable offset is asked for.
const UNSTABLE_LIMIT: usize = 500;

/// Offsets and values of the committed records up to the last stable offset.
///
/// # Panics
/// When the partition cannot be read, or the answer breaks a promise.
pub(crate) fn committed(control: &mut Kafka, topic: &str, partition: i32) -> Vec<(i64, String)> {
    let mut read = Vec::new();
    let mut next = 0;
    loop {
        let request = request(topic, partition, next);
        control
            .send(ApiKey::Fetch, VERSION, &request)
            .expect("sent");
        let body = control.receive(ApiKey::Fetch, VERSION).expect("an answer");
        let answer: FetchResponse = read_body(&body, ApiKey::Fetch, VERSION);
        let found = &answer.responses[0].partitions[0];
        if found.error_code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
            // It is being loaded.
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        assert_eq!(
            found.error_code,
            ErrorCode::NONE,
            "{topic}-{partition} at {next}"
        );
        let before = next;
        read.extend(kept(found, &mut next));
        if next >= found.last_stable_offset {
            assert_eq!(
                next,
                found.last_stable_offset.max(before),
                "nothing beyond it"
            );
            return read;
        }
        assert!(next > before, "{topic}-{partition} shows nothing at {next}");
    }
}

fn request(topic: &str, partition: i32, offset: i64) -> FetchRequest<'_> {
    let wanted = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: FETCH_BYTES,
        ..FetchPartition::default()
    };
    FetchRequest {
        max_bytes: FETCH_BYTES,
        isolation_level: READ_COMMITTED,
        topics: vec![FetchTopic {
            topic,
            partitions: vec![wanted],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

/// The records from `next` on that no aborted transaction has written; `next` moves behind the last batch.
fn kept(found: &PartitionData<'_>, next: &mut i64) -> Vec<(i64, String)> {
    let Records::Here(Some(mut bytes)) = found.records else {
        return Vec::new();
    };
    let from = *next;
    let aborted = found.aborted_transactions.clone().expect("a list");
    // Apache Kafka has them in the order of their ends.
    assert!(
        aborted.is_sorted_by_key(|one| one.first_offset) || Server::is_oracle(),
        "by offset"
    );
    let mut committed = Committed::new(&aborted);
    let mut kept = Vec::new();
    while let Ok((batch, rest)) = Batch::split_first(bytes) {
        bytes = rest;
        *next = batch.header().next_offset();
        if committed.counts(batch.header(), EndMarker::of(&batch)) {
            kept.extend(values(&batch).into_iter().filter(|(at, _)| *at >= from));
        }
    }
    kept
}

fn values(batch: &Batch<'_>) -> Vec<(i64, String)> {
    batch.check_crc().expect("the checksum");
    let inflated = batch.decompress(INFLATED_BYTES).expect("readable records");
    let value = |record: chronikd::proto::batch::Record<'_>| {
        let at = batch.header().base_offset + i64::from(record.offset_delta);
        let text = String::from_utf8(record.value.unwrap_or_default().to_vec());
        (at, text.expect("text"))
    };
    let records = batch.records(&inflated);
    records
        .map(|record| value(record.expect("a readable record")))
        .collect()
}

/// What a group has committed of partition 0, when no transaction may change it any more; -1 is nothing.
///
/// # Panics
/// When that never is so.
pub(crate) fn stable_offset(control: &mut Kafka, group: &str, topic: &str) -> i64 {
    let topic = OffsetFetchRequestTopic {
        name: topic,
        partition_indexes: vec![0],
    };
    let request = OffsetFetchRequest {
        group_id: group,
        topics: Some(vec![topic]),
        require_stable: true,
        ..OffsetFetchRequest::default()
    };
    for _ in 0..UNSTABLE_LIMIT {
        let sent = control.send(ApiKey::OffsetFetch, 7, &request);
        let body = sent.and_then(|()| control.receive(ApiKey::OffsetFetch, 7));
        let body = body.expect("an answer");
        let answer: OffsetFetchResponse = read_body(&body, ApiKey::OffsetFetch, 7);
        let partition = &answer.topics[0].partitions[0];
        if partition.error_code == ErrorCode::NONE {
            return partition.committed_offset;
        }
        // An oracle answers the end of a transaction before its offsets are settled.
        assert_eq!(partition.error_code, ErrorCode::UNSTABLE_OFFSET_COMMIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{group} never has a stable offset")
}
