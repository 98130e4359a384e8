//! Who writes to the full disk, reads, commits and deletes: one connection, one request after the other.

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use chronikd::proto::schema::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use chronikd::proto::schema::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use chronikd::proto::schema::end_txn::{EndTxnRequest, EndTxnResponse};
use chronikd::proto::schema::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use chronikd::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use chronikd::proto::{ApiKey, Records, Wire};

use crate::common::kafka::{Kafka, Read, read_body};

const TOPIC: &str = "load";
/// Goes to make room.
const BALLAST: &str = "ballast";
const SEGMENTS: &[(&str, &str)] = &[("segment.bytes", "4194304")];
/// For each time that the disk is full: less than the time before has made room for, and a segment that is closed.
const BALLAST_BATCHES: [usize; 4] = [40, 20, 12, 9];
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
const BATCH_BYTES: usize = 500_000;
const TRANSACTION: &str = "ends";
const GROUP: &str = "commits";

/// See the head of this file.
pub(crate) struct User {
    line: Kafka,
    /// Values that were acknowledged, by offset.
    acked: Vec<u64>,
    /// The budget takes the oldest of them.
    has_budget: bool,
    sent: u64,
    committed: i64,
    producer: (i64, i16),
    sequence: i32,
}

impl User {
    /// Connects.
    pub(crate) fn connect(port: u16) -> User {
        User {
            line: Kafka::connect(port).expect("a connection"),
            acked: Vec::new(),
            has_budget: false,
            sent: 0,
            committed: 0,
            producer: (-1, -1),
            sequence: 0,
        }
    }

    /// The same user after the broker has been killed.
    pub(crate) fn connect_again(self, port: u16) -> User {
        let line = Kafka::connect(port).expect("a connection");
        User { line, ..self }
    }

    /// What must be there before the disk is full: topics, a commit, and a transaction that is open.
    pub(crate) fn prepare(&mut self) {
        self.line.create(TOPIC, 1, SEGMENTS);
        self.line.create("transactions", 1, &[]);
        self.commit_offset();
        let request = InitProducerIdRequest {
            transactional_id: Some(TRANSACTION),
            transaction_timeout_ms: 600_000,
            ..InitProducerIdRequest::default()
        };
        let body = self.ask(ApiKey::InitProducerId, 4, &request);
        let answer: InitProducerIdResponse = read_body(&body, ApiKey::InitProducerId, 4);
        assert_eq!(answer.error_code, ErrorCode::NONE);
        self.producer = (answer.producer_id, answer.producer_epoch);
        self.begin_transaction();
    }

    fn ask<'a, T: Wire<'a>>(&mut self, api: ApiKey, version: i16, request: &T) -> Vec<u8> {
        self.line.send(api, version, request).expect("a connection");
        self.line.receive(api, version).expect("an answer")
    }

    /// Produces one batch. Answers its offset, or the code and the sentence.
    fn produce(&mut self, topic: &str, id: Option<&str>, batch: &[u8]) -> Result<i64, String> {
        let data = PartitionProduceData {
            index: 0,
            records: Records::Here(Some(batch)),
        };
        let request = ProduceRequest {
            transactional_id: id,
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: topic,
                partition_data: vec![data],
                ..TopicProduceData::default()
            }],
        };
        let body = self.ask(ApiKey::Produce, 9, &request);
        let answer: ProduceResponse = read_body(&body, ApiKey::Produce, 9);
        let partition = &answer.responses[0].partition_responses[0];
        match partition.error_code {
            ErrorCode::NONE => Ok(partition.base_offset),
            ErrorCode::KAFKA_STORAGE_ERROR => {
                let message = partition.error_message.as_ref();
                Err(message.expect("a sentence").to_string())
            }
            other => panic!("produce answers {other:?}"),
        }
    }

    /// Writes one record of the load.
    fn write(&mut self) -> Result<(), String> {
        let number = self.sent;
        let value = vec![number as u8; length(number)];
        let offset = self.produce(TOPIC, None, &batch(&value))?;
        assert_eq!(offset, self.acked.len() as i64, "no gap, and none twice");
        self.acked.push(number);
        self.sent += 1;
        Ok(())
    }

    /// Writes a topic that will make room.
    pub(crate) fn write_ballast(&mut self, time: usize) {
        self.line.create(BALLAST, 1, SEGMENTS);
        let value = vec![7; BATCH_BYTES];
        for _ in 0..BALLAST_BATCHES[time - 1] {
            let written = self.produce(BALLAST, None, &batch(&value));
            written.expect("there is room for it");
        }
    }

    /// Writes until it is refused, several times over. Answers the sentence.
    pub(crate) fn write_until_refused(&mut self) -> String {
        let refused = loop {
            if let Err(refused) = self.write() {
                break refused;
            }
        };
        for _ in 0..20 {
            assert!(self.write().is_err(), "it is still full");
        }
        refused
    }

    /// The record that was refused finds room.
    pub(crate) fn write_what_was_refused(&mut self) {
        crate::mounts::wait_until(|| self.write().ok());
    }

    /// Everything that was acknowledged is there, and nothing else.
    pub(crate) fn read_everything(&mut self) {
        let start = match self.has_budget {
            true => self.begin_records_at(TOPIC, 0),
            false => 0,
        };
        let Some(records) = self.read_from(start) else {
            assert!(self.has_budget, "the beginning has gone");
            return self.read_everything();
        };
        let found = records.into_iter().map(|record| {
            let value = record.value.expect("a value");
            (record.offset, value.len(), value[0])
        });
        let expected = self
            .acked
            .iter()
            .enumerate()
            .map(|(offset, number)| (offset as i64, length(*number), *number as u8));
        let expected = expected.skip_while(|(offset, ..)| *offset < start);
        assert!(found.eq(expected), "the log is what was acknowledged");
    }

    /// All records from an offset on, unless that goes meanwhile.
    fn read_from(&mut self, start: i64) -> Option<Vec<Read>> {
        let mut records: Vec<Read> = Vec::new();
        loop {
            let next = records.last().map_or(start, |record| record.offset + 1);
            let found = self.line.fetch(TOPIC, 0, next, 0).expect("a connection");
            match found.error {
                ErrorCode::NONE if next == found.high_watermark => return Some(records),
                ErrorCode::NONE => records.extend(found.records),
                ErrorCode::OFFSET_OUT_OF_RANGE => return None,
                ErrorCode::NOT_LEADER_OR_FOLLOWER => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                other => panic!("a fetch at {next} answers {other:?}"),
            }
        }
    }

    /// Commits one offset more.
    pub(crate) fn commit_offset(&mut self) {
        self.committed += 1;
        let request = OffsetCommitRequest {
            group_id: GROUP,
            topics: vec![OffsetCommitRequestTopic {
                name: TOPIC,
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: 0,
                    committed_offset: self.committed,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let body = self.ask(ApiKey::OffsetCommit, 8, &request);
        let answer: OffsetCommitResponse = read_body(&body, ApiKey::OffsetCommit, 8);
        let code = answer.topics[0].partitions[0].error_code;
        assert_eq!(code, ErrorCode::NONE, "a commit goes on");
    }

    /// Begins a transaction, with a record.
    pub(crate) fn begin_transaction(&mut self) {
        let (id, epoch) = self.producer;
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: TRANSACTION,
            v3_and_below_producer_id: id,
            v3_and_below_producer_epoch: epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: "transactions",
                partitions: vec![0],
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        // The markers of the transaction before may still be on their way.
        crate::mounts::wait_until(|| {
            let body = self.ask(ApiKey::AddPartitionsToTxn, 3, &request);
            let answer: AddPartitionsToTxnResponse =
                read_body(&body, ApiKey::AddPartitionsToTxn, 3);
            let topic = &answer.results_by_topic_v3_and_below[0];
            match topic.results_by_partition[0].partition_error_code {
                ErrorCode::NONE => Some(()),
                ErrorCode::CONCURRENT_TRANSACTIONS => None,
                other => panic!("{other:?}"),
            }
        });
        let builder = BatchBuilder::new(0).producer(id, epoch, self.sequence);
        let mut builder = builder.transactional();
        self.sequence += 1;
        builder.push(crate::common::now_ms(), None, Some(b"in a transaction"));
        let bytes = builder.build(None).expect("a small batch");
        let written = self.produce("transactions", Some(TRANSACTION), &bytes);
        written.expect("there is room for it");
    }

    /// Commits the transaction.
    pub(crate) fn end_transaction(&mut self) {
        let request = EndTxnRequest {
            transactional_id: TRANSACTION,
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            committed: true,
        };
        let body = self.ask(ApiKey::EndTxn, 3, &request);
        let answer: EndTxnResponse = read_body(&body, ApiKey::EndTxn, 3);
        assert_eq!(answer.error_code, ErrorCode::NONE, "an end goes on");
    }

    /// Has a partition begin at an offset, or where it begins if that is later, which is the answer.
    fn begin_records_at(&mut self, name: &str, offset: i64) -> i64 {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name,
                partitions: vec![DeleteRecordsPartition {
                    partition_index: 0,
                    offset,
                }],
            }],
            timeout_ms: 30_000,
        };
        let body = self.ask(ApiKey::DeleteRecords, 2, &request);
        let answer: DeleteRecordsResponse = read_body(&body, ApiKey::DeleteRecords, 2);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(partition.error_code, ErrorCode::NONE, "a deletion goes on");
        partition.low_watermark
    }

    /// Changes a setting.
    fn set(&mut self, (resource_type, resource_name): (i8, &str), name: &str, value: &str) {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type,
                resource_name,
                configs: vec![AlterableConfig {
                    name,
                    config_operation: 0,
                    value: Some(value),
                }],
            }],
            validate_only: false,
        };
        let body = self.ask(ApiKey::IncrementalAlterConfigs, 1, &request);
        let answer: IncrementalAlterConfigsResponse =
            read_body(&body, ApiKey::IncrementalAlterConfigs, 1);
        assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    }

    /// Makes room: record after record goes, and then all of them.
    pub(crate) fn delete_records(&mut self) {
        for offset in 1..5 {
            assert_eq!(self.begin_records_at(BALLAST, offset), offset);
        }
        let all = self.begin_records_at(BALLAST, -1);
        assert_eq!(all, BALLAST_BATCHES[1] as i64);
    }

    /// Makes room.
    pub(crate) fn keep_less(&mut self) {
        self.set((TOPIC_RESOURCE, BALLAST), "retention.bytes", "1");
    }

    /// Makes room.
    pub(crate) fn give_logs_a_budget(&mut self) {
        self.set((BROKER_RESOURCE, ""), "chronik.disk.max.bytes", "40mb");
        self.has_budget = true;
    }

    /// The budget has what is too much.
    pub(crate) fn lose_what_the_budget_takes(&mut self) {
        let start = crate::mounts::wait_until(|| {
            let start = self.begin_records_at(TOPIC, 0);
            (start > 0).then_some(start)
        });
        assert!(start < self.acked.len() as i64);
    }

    /// Makes room.
    pub(crate) fn delete_ballast(&mut self) {
        let request = DeleteTopicsRequest {
            topic_names: vec![BALLAST],
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let body = self.ask(ApiKey::DeleteTopics, 5, &request);
        let answer: DeleteTopicsResponse = read_body(&body, ApiKey::DeleteTopics, 5);
        assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    }
}

/// Of the record with that number, in bytes.
fn length(number: u64) -> usize {
    1 + number as usize * 79_190 % BATCH_BYTES
}

fn batch(value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    builder.push(crate::common::now_ms(), None, Some(value));
    builder.build(None).expect("a batch that fits")
}
