//! Records are deleted: who sees it when, what is refused, and what a full disk makes of it.

use super::*;
use crate::proto::schema::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};

/// The low watermark and the code.
type Row = (i64, ErrorCode);

const OUTSIDE: Row = (-1, ErrorCode::OFFSET_OUT_OF_RANGE);

fn request<'a>(name: &'a str, offsets: &[(i32, i64)]) -> DeleteRecordsRequest<'a> {
    let partition = |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index,
        offset,
    };
    DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name,
            partitions: offsets.iter().map(partition).collect(),
        }],
        timeout_ms: 1000,
    }
}

impl Bench {
    fn delete(&mut self, name: &str, offsets: &[(i32, i64)]) -> Vec<Row> {
        let asked = self.ask(ApiKey::DeleteRecords, 2, &request(name, offsets));
        let body = asked.answer();
        let answer: DeleteRecordsResponse<'_> = proto::decode(&body, 2, true).expect("a response");
        let rows = answer.topics.iter().flat_map(|topic| &topic.partitions);
        rows.map(|row| (row.low_watermark, row.error_code))
            .collect()
    }

    /// A topic `t` whose first partition has four records, all of them durable.
    fn with_four() -> Bench {
        let mut bench = Bench::new();
        bench.create(topic(2));
        bench.run();
        (0..4).for_each(|_| drop(bench.produce(0).answer()));
        bench.run();
        bench
    }

    fn fetch_from(&mut self, offset: i64) -> Said {
        let mut request = fetch_request(&[0], 1);
        request.topics[0].partitions[0].fetch_offset = offset;
        self.ask(ApiKey::Fetch, 12, &request)
    }

    fn starts_at(&self) -> i64 {
        self.broker.log("t", 0).expect("it is there").log_start()
    }
}

#[test]
fn what_is_deleted_is_gone_when_the_answer_leaves_and_after_every_start() {
    let mut bench = Bench::with_four();
    assert_eq!(bench.delete("t", &[(0, 3)]), [(3, ErrorCode::NONE)]);
    assert!(bench.round > bench.broker.synced_round());
    assert_eq!(fetched(&bench.fetch_from(0).answer()), [ErrorCode::NONE]);
    bench.run();
    let outside = [ErrorCode::OFFSET_OUT_OF_RANGE];
    assert_eq!(fetched(&bench.fetch_from(2).answer()), outside);
    assert_eq!(bench.delete("t", &[(0, 1)]), [(3, ErrorCode::NONE)]);
    assert_eq!(bench.round, bench.broker.topics().round(), "nothing is new");
    let mut bench = bench.restart();
    bench.run();
    assert_eq!(fetched(&bench.fetch_from(2).answer()), outside);
    assert_eq!(fetched(&bench.fetch_from(3).answer()), [ErrorCode::NONE]);
}

#[test]
fn a_fetch_that_waits_below_the_new_beginning_is_told() {
    let mut bench = Bench::with_four();
    let wait = bench.fetch_from(4).wait();
    bench.woken(&wait.on);
    assert_eq!(bench.delete("t", &[(0, -1)]), [(4, ErrorCode::NONE)]);
    assert_eq!(
        bench.woken(&wait.on),
        (0, false),
        "not before it is durable"
    );
    bench.run();
    assert_eq!(bench.woken(&wait.on), (0, true));
    assert_eq!(bench.starts_at(), 4);
}

#[test]
fn offsets_outside_the_log_and_what_may_not_be_deleted_are_refused() {
    let mut bench = Bench::with_four();
    let unknown = (-1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for (offset, expected) in [(5, OUTSIDE), (-2, OUTSIDE), (i64::MIN, OUTSIDE)] {
        assert_eq!(bench.delete("t", &[(0, offset)]), [expected], "{offset}");
    }
    assert_eq!(bench.delete("t", &[(2, 0)]), [unknown]);
    assert_eq!(bench.delete("u", &[(0, 0)]), [unknown]);
    assert_eq!(bench.delete("t", &[(1, -1)]), [(0, ErrorCode::NONE)]);
    let policy = |value| CreatableTopicConfig {
        name: "cleanup.policy",
        value: Some(value),
    };
    for (name, value, code) in [
        ("c", "compact", ErrorCode::POLICY_VIOLATION),
        ("b", "compact,delete", ErrorCode::NONE),
        ("n", "", ErrorCode::NONE),
        (
            "__consumer_offsets",
            "delete",
            ErrorCode::INVALID_TOPIC_EXCEPTION,
        ),
    ] {
        let created = bench.create(CreatableTopic {
            name,
            configs: vec![policy(value)],
            ..topic(1)
        });
        assert_eq!(created.0, ErrorCode::NONE, "{name}");
        assert_eq!(bench.delete(name, &[(0, 0)])[0].1, code, "{name}");
    }
    bench.run();
    assert_eq!(bench.starts_at(), 0);
}

#[test]
fn the_last_offset_of_a_partition_counts_and_one_refusal_is_no_other_s() {
    let mut bench = Bench::with_four();
    let rows = bench.delete("t", &[(0, 4), (9, 1), (1, 7), (0, 2)]);
    let unknown = (-1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(rows, [(2, ErrorCode::NONE), OUTSIDE, unknown]);
    bench.run();
    assert_eq!(bench.starts_at(), 2);
}

#[test]
fn a_partition_that_is_being_loaded_is_waited_for() {
    let mut bench = Bench::with_four().restart();
    let asked = bench.ask(ApiKey::DeleteRecords, 1, &request("t", &[(0, 1)]));
    assert_eq!(asked.wait().on, bench.keys(&[0]));
    bench.last_call = true;
    let unavailable = (-1, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(bench.delete("t", &[(0, 1)]), [unavailable]);
}

#[test]
fn a_full_disk_lets_records_go() {
    let mut bench = Bench::with_four();
    bench.disk.set_capacity(Some(0));
    assert_eq!(
        bench.delete("t", &[(0, 3), (1, 5)]),
        [(3, ErrorCode::NONE), OUTSIDE]
    );
    bench.run();
    assert_eq!(bench.starts_at(), 3);
}
