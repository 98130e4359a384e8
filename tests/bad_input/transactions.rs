//! A transaction that is far larger than any sensible one, and others beside it.
//!
//! What else is wrong with requests of transactions is said to a real Kafka too, by the scripts of `tests/differential`.

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use chronikd::proto::schema::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse,
};
use chronikd::proto::schema::end_txn::{EndTxnRequest, EndTxnResponse};
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use chronikd::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use chronikd::proto::{ApiKey, Records, Wire};

use crate::common::broker::Broker;
use crate::common::kafka::{Kafka, read_body};
use crate::{assert_served, connect};

const TOPICS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const PARTITIONS_EACH: i32 = 1000;
const ID: &str = "large";
/// Versions of a client that adds partitions.
const ADD: i16 = 3;
const END: i16 = 4;
const PRODUCE: i16 = 9;

#[test]
fn a_transaction_over_ten_thousand_partitions_ends_and_others_are_served() {
    let mut broker = Broker::start(&[]);
    let mut kafka = Kafka::connect(broker.port()).expect("a connection");
    for topic in TOPICS {
        kafka.create(topic, PARTITIONS_EACH, &[]);
    }
    let mut producer = Producer::begins(kafka);
    for (committed, crashes) in [(true, false), (false, true)] {
        let before = producer.stable_offsets();
        producer.adds_all();
        producer.writes("a", 0);
        producer.writes("j", PARTITIONS_EACH - 1);
        assert_eq!(producer.stable_offsets(), before);
        producer.ends(committed);
        assert_served(&mut connect(&broker));
        if crashes {
            broker.kill9();
            broker.restart();
            producer.kafka = Kafka::connect(broker.port()).expect("a connection");
        }
        let state = if committed {
            "CompleteCommit"
        } else {
            "CompleteAbort"
        };
        producer.comes_to(state, &broker);
        // A marker everywhere, and a record before it where one was written. A marker may come again behind a crash.
        for ((after, before), count) in producer.stable_offsets().iter().zip(before).zip([2, 1, 2])
        {
            let most = count + i64::from(crashes);
            assert!((count..=most).contains(&(after - before)), "{after}");
        }
    }
}

/// A transactional producer of version 1.
struct Producer {
    kafka: Kafka,
    id: i64,
    epoch: i16,
    /// How often it has written to a partition.
    sequence: i32,
}

impl Producer {
    fn begins(mut kafka: Kafka) -> Producer {
        let request = InitProducerIdRequest {
            transactional_id: Some(ID),
            transaction_timeout_ms: 600_000,
            ..InitProducerIdRequest::default()
        };
        let body = said(&mut kafka, ApiKey::InitProducerId, 4, &request);
        let given: InitProducerIdResponse = read_body(&body, ApiKey::InitProducerId, 4);
        assert_eq!(given.error_code, ErrorCode::NONE);
        Producer {
            kafka,
            id: given.producer_id,
            epoch: given.producer_epoch,
            sequence: 0,
        }
    }

    fn adds_all(&mut self) {
        let all = |name| AddPartitionsToTxnTopic {
            name,
            partitions: (0..PARTITIONS_EACH).collect(),
        };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: ID,
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: TOPICS.map(all).to_vec(),
            ..AddPartitionsToTxnRequest::default()
        };
        let body = said(&mut self.kafka, ApiKey::AddPartitionsToTxn, ADD, &request);
        let answer: AddPartitionsToTxnResponse<'_> =
            read_body(&body, ApiKey::AddPartitionsToTxn, ADD);
        let topics = answer.results_by_topic_v3_and_below.iter();
        let codes = topics.flat_map(|topic| &topic.results_by_partition);
        let codes: Vec<_> = codes.map(|it| it.partition_error_code).collect();
        let count = TOPICS.len() * PARTITIONS_EACH as usize;
        assert_eq!(codes, vec![ErrorCode::NONE; count]);
    }

    /// One record.
    fn writes(&mut self, topic: &str, index: i32) {
        let builder = BatchBuilder::new(0).producer(self.id, self.epoch, self.sequence);
        let mut builder = builder.transactional();
        builder.push(0, None, Some(b"value"));
        let batch = builder.build(None).expect("a small batch");
        let data = PartitionProduceData {
            index,
            records: Records::Here(Some(&batch)),
        };
        let request = ProduceRequest {
            transactional_id: Some(ID),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: topic,
                partition_data: vec![data],
                ..TopicProduceData::default()
            }],
        };
        let body = said(&mut self.kafka, ApiKey::Produce, PRODUCE, &request);
        let answer: ProduceResponse<'_> = read_body(&body, ApiKey::Produce, PRODUCE);
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::NONE);
    }

    fn ends(&mut self, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: ID,
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        };
        let body = said(&mut self.kafka, ApiKey::EndTxn, END, &request);
        let answer: EndTxnResponse = read_body(&body, ApiKey::EndTxn, END);
        assert_eq!(answer.error_code, ErrorCode::NONE);
        self.sequence += 1;
    }

    /// Waits for the state; somebody else is served all the while.
    fn comes_to(&mut self, state: &str, broker: &Broker) {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![ID],
        };
        loop {
            let body = said(&mut self.kafka, ApiKey::DescribeTransactions, 0, &request);
            let answer: DescribeTransactionsResponse<'_> =
                read_body(&body, ApiKey::DescribeTransactions, 0);
            let found = &answer.transaction_states[0];
            if found.transaction_state == state {
                return;
            }
            assert_ne!(found.transaction_state, "Ongoing", "that has ended");
            assert_served(&mut connect(broker));
        }
    }

    /// The last stable offsets of three partitions: the first and the last have records, the one between has none.
    fn stable_offsets(&mut self) -> [i64; 3] {
        [("a", 0), ("e", 7), ("j", PARTITIONS_EACH - 1)].map(|(name, partition_index)| {
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: 1,
                topics: vec![ListOffsetsTopic {
                    name,
                    partitions: vec![ListOffsetsPartition {
                        partition_index,
                        timestamp: -1,
                        ..ListOffsetsPartition::default()
                    }],
                }],
                timeout_ms: 10_000,
            };
            let body = said(&mut self.kafka, ApiKey::ListOffsets, 5, &request);
            let answer: ListOffsetsResponse<'_> = read_body(&body, ApiKey::ListOffsets, 5);
            let found = &answer.topics[0].partitions[0];
            assert_eq!(found.error_code, ErrorCode::NONE, "{name}");
            found.offset
        })
    }
}

/// Asks, and answers the body.
fn said<'q>(kafka: &mut Kafka, api: ApiKey, version: i16, request: &impl Wire<'q>) -> Vec<u8> {
    kafka.send(api, version, request).expect("sent");
    kafka.receive(api, version).expect("an answer")
}
