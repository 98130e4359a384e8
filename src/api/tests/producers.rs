//! DescribeProducers: who is known to a partition, and what is said where nobody can be.

use super::*;
use crate::proto::schema::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, ProducerState, TopicRequest,
};

/// A code, its sentence, and the producers.
type Described = (ErrorCode, Option<String>, Vec<ProducerState>);

fn request<'a>(name: &'a str, partitions: &[i32]) -> DescribeProducersRequest<'a> {
    DescribeProducersRequest {
        topics: vec![TopicRequest {
            name,
            partition_indexes: partitions.to_vec(),
        }],
    }
}

impl Bench {
    fn describe(&mut self, topic: &str, partitions: &[i32]) -> Vec<Described> {
        let asked = self.ask(ApiKey::DescribeProducers, 0, &request(topic, partitions));
        let body = asked.answer();
        let answer: DescribeProducersResponse<'_> =
            proto::decode(&body, 0, true).expect("a response");
        let told = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let row = told.map(|it| {
            let message = it.error_message.as_deref().map(str::to_owned);
            (it.error_code, message, it.active_producers)
        });
        row.collect()
    }

    /// Appends two records of a producer to partition 0.
    fn produce_as(&mut self, id: i64, epoch: i16, sequence: i32) -> ErrorCode {
        let mut batch = BatchBuilder::new(0).producer(id, epoch, sequence);
        batch.push(NOW.wall_ms - 1, None, Some(b"a"));
        batch.push(NOW.wall_ms - 9, None, Some(b"b"));
        let batch = batch.build(None).expect("a small batch");
        produced(&self.produces(9, None, &[(0, &batch)]).answer())
    }
}

#[test]
fn a_producer_is_shown_with_its_last_sequence_and_without_a_transaction() {
    let mut bench = Bench::new();
    bench.create(topic(2));
    bench.run();
    for (id, epoch, sequence) in [(9, 3, 0), (9, 3, 2), (4, 0, 0)] {
        assert_eq!(bench.produce_as(id, epoch, sequence), ErrorCode::NONE);
    }
    let state = |producer_id, producer_epoch, last_sequence| ProducerState {
        producer_id,
        producer_epoch,
        last_sequence,
        last_timestamp: NOW.wall_ms - 1,
        coordinator_epoch: -1,
        current_txn_start_offset: -1,
    };
    let told = bench.describe("t", &[1, 0]);
    assert!(
        bench.round > bench.broker.synced_round(),
        "told only when it lasts"
    );
    assert_eq!(told[0], (ErrorCode::NONE, None, vec![]));
    assert_eq!(told[1].2, [state(4, 0, 1), state(9, 3, 3)]);
    bench.run();
    bench.describe("t", &[0]);
    assert!(bench.round <= bench.broker.synced_round());
}

#[test]
fn what_cannot_be_described_has_a_code_and_a_topic_a_sentence() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(
        bench.describe("t", &[1, -1]),
        [(unknown, None, vec![]), (unknown, None, vec![])]
    );
    let absent = "This server does not host this topic-partition.".to_owned();
    assert_eq!(bench.describe("u", &[0]), [(unknown, Some(absent), vec![])]);
    let [(code, Some(why), _)] = &bench.describe("a b", &[0])[..] else {
        panic!("one partition, with a sentence");
    };
    assert_eq!(*code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert!(
        why.starts_with("Topic name is invalid: 'a b' contains"),
        "{why}"
    );
}

#[test]
fn a_partition_is_described_when_it_is_loaded() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    assert_eq!(bench.produce_as(9, 0, 0), ErrorCode::NONE);
    bench.run();
    let mut bench = bench.restart();
    let wait = bench.ask(ApiKey::DescribeProducers, 0, &request("t", &[0]));
    assert_eq!(wait.wait().on, bench.keys(&[0]));
    bench.run();
    let told = bench.describe("t", &[0]);
    assert_eq!((told[0].0, told[0].2.len()), (ErrorCode::NONE, 1));
}
