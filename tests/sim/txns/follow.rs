//! One partition, followed by a reader of committed records (`committed`).

use crate::call::{self, Read};
use crate::committed::Committed;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use chronikd::storage::PartitionId;

/// Before it, partitions are named.
const FIRST_BY_ID: i16 = 13;
const READ_COMMITTED: i8 = 1;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The partition.
    pub at: PartitionId,
    /// Where it has begun.
    pub from: i64,
    /// Where it goes on.
    pub position: i64,
    /// The last stable offset when the request left.
    floor: i64,
    /// Offsets and marks that count.
    pub counted: Vec<(i64, u64)>,
}

/// Asks for more of all of them.
pub fn fetch(side: &mut Side<'_>, line: ConnId, version: i16, follows: &mut [Follow]) {
    let by_id = version >= FIRST_BY_ID;
    let name_of = |follow: &Follow| side.ledger.topic(follow.at.topic).name.clone();
    let names: Vec<String> = follows.iter().map(name_of).collect();
    let mut topics = Vec::new();
    for (follow, name) in follows.iter_mut().zip(&names) {
        follow.floor = side.ledger.txns.stable(follow.at);
        topics.push(FetchTopic {
            topic: if by_id { "" } else { name },
            topic_id: match by_id {
                true => follow.at.topic,
                false => Default::default(),
            },
            partitions: vec![FetchPartition {
                partition: follow.at.partition,
                fetch_offset: follow.position,
                partition_max_bytes: side.luck.between(1, 4_000) as i32,
                ..Default::default()
            }],
        });
    }
    let request = FetchRequest {
        max_wait_ms: side.luck.pick(&[0, 1, 100, 400]),
        min_bytes: side.luck.pick(&[0, 1, 500]),
        max_bytes: i32::MAX,
        isolation_level: READ_COMMITTED,
        session_epoch: -1,
        topics,
        ..Default::default()
    };
    side.machine
        .ask(line, ApiKey::Fetch, version, &request, true);
}

/// Takes an answer in.
pub fn take(side: &mut Side<'_>, response: &FetchResponse<'_>, follows: &mut [Follow]) {
    assert_eq!(response.error_code, ErrorCode::NONE);
    for topic in &response.responses {
        for data in &topic.partitions {
            let fits = |follow: &&mut Follow| {
                let name = &side.ledger.topic(follow.at.topic).name;
                let same = follow.at.topic == topic.topic_id || name == topic.topic;
                same && follow.at.partition == data.partition_index
            };
            let found = follows.iter_mut().find(fits);
            let found = found.expect("a partition that was asked for");
            found.take(side, data);
        }
    }
}

impl Follow {
    /// From that offset on.
    pub fn new(at: PartitionId, from: i64) -> Follow {
        Follow {
            at,
            from,
            position: from,
            floor: 0,
            counted: Vec::new(),
        }
    }

    fn take(&mut self, side: &mut Side<'_>, data: &PartitionData<'_>) {
        if data.error_code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
            return;
        }
        assert_eq!(data.error_code, ErrorCode::NONE);
        let stable = data.last_stable_offset;
        assert!(stable >= self.floor, "the last stable offset went back");
        assert!(stable <= data.high_watermark);
        let aborted = data.aborted_transactions.as_deref();
        let aborted = aborted.expect("a list, for it was asked for");
        assert!(aborted.is_sorted_by_key(|it| it.first_offset));
        let mut committed = Committed::new(aborted);
        for batch in call::batches(data.records.bytes().unwrap_or_default()) {
            let next = batch.header.next_offset();
            assert!(next <= stable, "read beyond the last stable offset");
            side.ledger.saw(self.at, &batch, self.position);
            if committed.counts(&batch.header, batch.marker) {
                self.count(side, &batch);
            }
            self.position = next;
        }
    }

    fn count(&mut self, side: &mut Side<'_>, batch: &Read) {
        for &(offset, mark) in &batch.records {
            if offset >= self.position {
                side.ledger.txns.read(mark);
                self.counted.push((offset, mark));
            }
        }
    }
}
