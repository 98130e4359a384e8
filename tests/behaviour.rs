//! What a client meets beyond good input and plain damage: answers that Apache Kafka was seen to give, version
//! by version, on a raw socket.

mod common;

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use chronikd::proto::schema::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use chronikd::proto::schema::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use chronikd::proto::schema::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use chronikd::proto::schema::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use chronikd::proto::schema::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use chronikd::proto::{ApiKey, Maybe, Records, Uuid, Wire};
use common::ask::{ask, decode, frame};
use common::broker::Broker;
use common::raw::Raw;

const TOPIC_OPERATIONS: i32 = 3576;
const NO_OPERATIONS: i32 = i32::MIN;

/// A broker and one connection to it.
struct Session {
    _broker: Broker,
    raw: Raw,
}

impl Session {
    fn new() -> Session {
        Session::with(&[])
    }

    fn with(options: &[&str]) -> Session {
        let broker = Broker::start(options);
        let raw = Raw::connect(broker.port()).expect("a connection");
        Session {
            _broker: broker,
            raw,
        }
    }

    /// The body of the answer.
    fn ask<'a, T: Wire<'a>>(&mut self, api: ApiKey, version: i16, request: &T) -> Vec<u8> {
        ask(&mut self.raw, api, version, &frame(api, version, request))
    }

    /// Creates a topic and answers its id.
    fn create(&mut self, topic: CreatableTopic<'_>) -> Result<Uuid, (ErrorCode, String)> {
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let body = self.ask(ApiKey::CreateTopics, 7, &request);
        let answer: CreateTopicsResponse<'_> = decode(&body, ApiKey::CreateTopics, 7);
        let topic = &answer.topics[0];
        assert_eq!(
            topic.configs.as_ref().map(Vec::is_empty),
            Some(topic.error_code != ErrorCode::NONE),
            "settings are listed of new topics only, and never null"
        );
        match topic.error_code {
            ErrorCode::NONE => Ok(topic.topic_id),
            code => Err((code, topic.error_message.clone().expect("why").into_owned())),
        }
    }

    fn produce(&mut self, version: i16, request: &ProduceRequest<'_>) -> PartitionAnswer {
        let body = self.ask(ApiKey::Produce, version, request);
        let answer: ProduceResponse<'_> = decode(&body, ApiKey::Produce, version);
        PartitionAnswer::of(&answer.responses[0].partition_responses[0])
    }
}

/// What was answered of one partition.
#[derive(Debug, PartialEq)]
struct PartitionAnswer {
    code: ErrorCode,
    base_offset: i64,
    log_start: i64,
}

impl PartitionAnswer {
    fn of(answer: &PartitionProduceResponse<'_>) -> PartitionAnswer {
        PartitionAnswer {
            code: answer.error_code,
            base_offset: answer.base_offset,
            log_start: answer.log_start_offset,
        }
    }

    fn refused(code: ErrorCode, log_start: i64) -> PartitionAnswer {
        PartitionAnswer {
            code,
            base_offset: -1,
            log_start,
        }
    }
}

fn topic(name: &str, num_partitions: i32) -> CreatableTopic<'_> {
    CreatableTopic {
        name,
        num_partitions,
        replication_factor: 1,
        ..Default::default()
    }
}

fn by_name(name: &str) -> DeleteTopicState<'_> {
    DeleteTopicState {
        name: Some(name),
        ..Default::default()
    }
}

fn by_id<'a>(topic_id: Uuid) -> DeleteTopicState<'a> {
    DeleteTopicState {
        name: None,
        topic_id,
    }
}

fn metadata_of<'a>(topics: Vec<MetadataRequestTopic<'a>>) -> MetadataRequest<'a> {
    MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: false,
        include_topic_authorized_operations: true,
        ..Default::default()
    }
}

fn named(name: &str) -> MetadataRequestTopic<'_> {
    MetadataRequestTopic {
        name: Some(name),
        ..Default::default()
    }
}

#[test]
fn metadata_tells_of_absent_topics_what_may_be_done_and_whether_they_are_internal() {
    let mut session = Session::new();
    let request = metadata_of(vec![named("__consumer_offsets"), named("absent")]);
    for version in [8, 13] {
        let body = session.ask(ApiKey::Metadata, version, &request);
        let answer: MetadataResponse<'_> = decode(&body, ApiKey::Metadata, version);
        let told = answer.topics.iter().map(|topic| {
            assert_eq!(topic.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            (topic.is_internal, topic.topic_authorized_operations)
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told, [(true, TOPIC_OPERATIONS), (false, TOPIC_OPERATIONS)]);
    }
    let unknown = MetadataRequestTopic {
        topic_id: Uuid([9; 16]),
        name: None,
    };
    let body = session.ask(ApiKey::Metadata, 13, &metadata_of(vec![unknown]));
    let answer: MetadataResponse<'_> = decode(&body, ApiKey::Metadata, 13);
    assert_eq!(answer.topics[0].topic_authorized_operations, NO_OPERATIONS);
}

#[test]
fn metadata_refuses_entries_that_name_nothing_and_ids_before_their_version() {
    let mut session = Session::new();
    let topic_id = session.create(topic("t", 1)).expect("created");
    let nothing = MetadataRequestTopic::default();
    let with_id = MetadataRequestTopic {
        topic_id,
        name: Some("t"),
    };
    let nameless = MetadataRequestTopic {
        name: None,
        ..nothing
    };
    for (version, bad) in [(10, with_id), (11, nameless.clone()), (12, nameless)] {
        let body = session.ask(
            ApiKey::Metadata,
            version,
            &metadata_of(vec![named("t"), bad]),
        );
        let answer: MetadataResponse<'_> = decode(&body, ApiKey::Metadata, version);
        assert!(answer.brokers.is_empty() && answer.controller_id == -1);
        let codes = answer.topics.iter().map(|topic| topic.error_code);
        assert!(
            codes.eq([ErrorCode::INVALID_REQUEST; 2]),
            "version {version}"
        );
    }
}

#[test]
fn a_name_is_judged_before_settings_and_counts() {
    let mut session = Session::new();
    let null = |name| CreatableTopicConfig {
        name,
        ..Default::default()
    };
    let bad_settings = |name| CreatableTopic {
        configs: vec![null("retention.ms")],
        ..topic(name, 0)
    };
    let (code, message) = session.create(bad_settings("..")).expect_err("a bad name");
    assert_eq!(code, ErrorCode::INVALID_TOPIC_EXCEPTION);
    assert_eq!(message, "Topic name is invalid: '..' is not allowed");
    let (code, _) = session.create(bad_settings("t")).expect_err("a null value");
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    session.create(topic("t", 1)).expect("created");
    let (code, _) = session.create(bad_settings("t")).expect_err("it exists");
    assert_eq!(code, ErrorCode::TOPIC_ALREADY_EXISTS);
}

#[test]
fn a_topic_that_is_named_twice_is_not_deleted_and_answered_once() {
    let mut session = Session::new();
    let id = session.create(topic("t", 1)).expect("created");
    let other = Uuid([9; 16]);
    let cases: [(Vec<DeleteTopicState<'_>>, _, _); 4] = [
        (
            vec![by_name("t"), by_name("t")],
            "Duplicate topic name.",
            Uuid::ZERO,
        ),
        (
            vec![by_name("no"), by_name("no")],
            "Duplicate topic name.",
            Uuid::ZERO,
        ),
        (
            vec![by_id(other), by_id(other)],
            "Duplicate topic id.",
            other,
        ),
        (
            vec![by_id(id), by_name("t")],
            "The provided topic name maps to an ID that was already supplied.",
            id,
        ),
    ];
    for (topics, message, topic_id) in cases {
        let request = DeleteTopicsRequest {
            topics,
            ..Default::default()
        };
        let body = session.ask(ApiKey::DeleteTopics, 6, &request);
        let answer: DeleteTopicsResponse<'_> = decode(&body, ApiKey::DeleteTopics, 6);
        let [only] = &answer.responses[..] else {
            panic!("{message}: {} answers", answer.responses.len());
        };
        assert_eq!(only.error_code, ErrorCode::INVALID_REQUEST);
        assert_eq!(only.error_message.as_deref(), Some(message));
        assert_eq!(only.topic_id, topic_id);
    }
}

#[test]
fn a_deletion_by_id_answers_the_name() {
    let mut session = Session::new();
    let id = session.create(topic("t", 1)).expect("created");
    let request = DeleteTopicsRequest {
        topics: vec![by_id(id)],
        ..Default::default()
    };
    let body = session.ask(ApiKey::DeleteTopics, 6, &request);
    let answer: DeleteTopicsResponse<'_> = decode(&body, ApiKey::DeleteTopics, 6);
    let only = &answer.responses[0];
    assert_eq!(
        (only.error_code, only.name, only.topic_id),
        (ErrorCode::NONE, Some("t"), id)
    );
}

#[test]
fn a_full_page_ends_before_the_next_topic_be_it_there_or_not() {
    let mut session = Session::new();
    session.create(topic("a", 3)).expect("created");
    session.create(topic("c", 2)).expect("created");
    let mut page = |limit, cursor: Option<(&str, i32)>| {
        let cursor = cursor.map(|(topic_name, partition_index)| Cursor {
            topic_name,
            partition_index,
        });
        let topic = |name| TopicRequest { name };
        let request = DescribeTopicPartitionsRequest {
            topics: ["c", "b", "a"].map(topic).to_vec(),
            response_partition_limit: limit,
            cursor: Maybe(cursor),
        };
        let body = session.ask(ApiKey::DescribeTopicPartitions, 0, &request);
        let answer: DescribeTopicPartitionsResponse<'_> =
            decode(&body, ApiKey::DescribeTopicPartitions, 0);
        let topics = answer.topics.iter();
        let topics: Vec<_> = topics
            .map(|t| {
                let name = t.name.unwrap_or_default().to_owned();
                (
                    name,
                    t.error_code.0,
                    t.partitions.len(),
                    t.topic_authorized_operations,
                )
            })
            .collect();
        let next = answer.next_cursor.0;
        (
            topics,
            next.map(|c| (c.topic_name.to_owned(), c.partition_index)),
        )
    };
    let row =
        |name: &str, code, partitions, operations| (name.to_owned(), code, partitions, operations);
    let cursor = |name: &str, partition| Some((name.to_owned(), partition));
    let a = row("a", 0, 3, TOPIC_OPERATIONS);
    let b = row("b", 3, 0, TOPIC_OPERATIONS);
    assert_eq!(page(3, None), (vec![a.clone()], cursor("b", 0)));
    let c = row("c", 0, 1, TOPIC_OPERATIONS);
    assert_eq!(page(4, None), (vec![a, b.clone(), c], cursor("c", 1)));
    let rest = row("c", 0, 1, TOPIC_OPERATIONS);
    assert_eq!(page(4, Some(("c", 1))), (vec![rest], None));
    let refused = ["c", "b", "a"].map(|name| row(name, 42, 0, NO_OPERATIONS));
    assert_eq!(page(4, Some(("a", -1))), (refused.to_vec(), None));
}

/// A produce request of one batch for partition 0 of topic "t".
fn producing(topic_id: Uuid, batch: &[u8]) -> ProduceRequest<'_> {
    ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: "t",
            topic_id,
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Records::Here(Some(batch)),
            }],
        }],
        ..Default::default()
    }
}

fn batch(builder: BatchBuilder) -> Vec<u8> {
    let mut builder = builder;
    builder.push(-1, Some(b"k"), Some(b"v"));
    builder.build(None).expect("a small batch")
}

#[test]
fn a_refusal_tells_the_log_start_where_records_or_producers_are_to_blame() {
    let mut session = Session::new();
    let id = session.create(topic("t", 1)).expect("created");
    let plain = batch(BatchBuilder::new(0));
    let idempotent = |epoch, sequence| batch(BatchBuilder::new(0).producer(7, epoch, sequence));
    for (version, batch, code, log_start) in [
        (
            9,
            batch(BatchBuilder::new(0).control()),
            ErrorCode::INVALID_RECORD,
            0,
        ),
        (9, flipped(&plain), ErrorCode::CORRUPT_MESSAGE, -1),
        (13, flipped(&plain), ErrorCode::CORRUPT_MESSAGE, -1),
    ] {
        assert_eq!(
            session.produce(version, &producing(id, &batch)),
            PartitionAnswer::refused(code, log_start)
        );
    }
    assert_eq!(
        session.produce(13, &producing(id, &idempotent(1, 0))).code,
        ErrorCode::NONE
    );
    for (epoch, sequence, code) in [
        (1, 5, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
        (0, 1, ErrorCode::INVALID_PRODUCER_EPOCH),
    ] {
        assert_eq!(
            session.produce(13, &producing(id, &idempotent(epoch, sequence))),
            PartitionAnswer::refused(code, 0)
        );
    }
}

fn flipped(batch: &[u8]) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    *bytes.last_mut().expect("a batch has bytes") ^= 1;
    bytes
}

#[test]
fn from_version_13_on_a_produce_without_an_id_is_answered_100() {
    let mut session = Session::new();
    session.create(topic("t", 1)).expect("created");
    let batch = batch(BatchBuilder::new(0));
    let request = producing(Uuid::ZERO, &batch);
    assert_eq!(
        session.produce(13, &request),
        PartitionAnswer::refused(ErrorCode::UNKNOWN_TOPIC_ID, -1)
    );
    assert_eq!(session.produce(12, &request).code, ErrorCode::NONE);
}

#[test]
fn a_transactional_id_without_a_transactional_batch_says_nothing() {
    let mut session = Session::new();
    let id = session.create(topic("t", 1)).expect("created");
    let batch = batch(BatchBuilder::new(0));
    let request = ProduceRequest {
        transactional_id: Some("tx"),
        ..producing(id, &batch)
    };
    assert_eq!(session.produce(13, &request).code, ErrorCode::NONE);
}

#[test]
fn a_fetch_lists_aborted_transactions_of_what_is_not_there_and_knows_no_negative_epochs() {
    let mut session = Session::new();
    session.create(topic("t", 1)).expect("created");
    let partition = |partition| FetchPartition {
        partition,
        current_leader_epoch: -2,
        partition_max_bytes: 1000,
        ..Default::default()
    };
    let request = FetchRequest {
        topics: vec![FetchTopic {
            topic: "t",
            partitions: vec![partition(0), partition(9)],
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in [9, 12] {
        let body = session.ask(ApiKey::Fetch, version, &request);
        let answer: FetchResponse<'_> = decode(&body, ApiKey::Fetch, version);
        let told = answer.responses[0].partitions.iter();
        let told = told.map(|p| (p.error_code, p.aborted_transactions.as_ref().map(Vec::len)));
        assert!(told.eq([
            (ErrorCode::NONE, None),
            (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Some(0))
        ]));
    }
}

#[test]
fn an_answer_is_never_larger_than_what_a_connection_may_have_waiting() {
    let mut session = Session::with(&["-o", "chronik.outbox.pinned.bytes=4096"]);
    let topic_id = session.create(topic("t", 1)).expect("created");
    let mut large = BatchBuilder::new(0);
    large.push(-1, None, Some(&[0; 1500]));
    let large = batch(large);
    for _ in 0..5 {
        let answer = session.produce(13, &producing(topic_id, &large));
        assert_eq!(answer.code, ErrorCode::NONE);
    }
    let partition = FetchPartition {
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let request = FetchRequest {
        topics: vec![FetchTopic {
            topic: "t",
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = session.ask(ApiKey::Fetch, 12, &request);
    let answer: FetchResponse<'_> = decode(&body, ApiKey::Fetch, 12);
    let records = answer.responses[0].partitions[0].records.bytes();
    assert_eq!(records.map(<[u8]>::len), Some(2 * large.len()));
}

#[test]
fn a_partition_may_be_listed_twice_in_version_0_only() {
    let mut session = Session::new();
    session.create(topic("t", 1)).expect("created");
    let latest = ListOffsetsPartition {
        timestamp: -1,
        max_num_offsets: 1,
        ..Default::default()
    };
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "t",
            partitions: vec![latest.clone(), latest],
        }],
        ..Default::default()
    };
    let twice = [ErrorCode::NONE; 2];
    for (version, expected) in [(0, &twice[..]), (1, &[ErrorCode::INVALID_REQUEST])] {
        let body = session.ask(ApiKey::ListOffsets, version, &request);
        let answer: ListOffsetsResponse<'_> = decode(&body, ApiKey::ListOffsets, version);
        let codes = answer.topics[0].partitions.iter().map(|p| p.error_code);
        assert!(codes.eq(expected.iter().copied()), "version {version}");
    }
}

#[test]
fn a_limit_of_nothing_brings_nothing_in_the_old_formats() {
    let mut session = Session::new();
    let id = session.create(topic("t", 1)).expect("created");
    let batch = batch(BatchBuilder::new(0));
    session.produce(13, &producing(id, &batch));
    let request = FetchRequest {
        topics: vec![FetchTopic {
            topic: "t",
            partitions: vec![FetchPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    for version in [0, 2, 4] {
        let body = session.ask(ApiKey::Fetch, version, &request);
        let answer: FetchResponse<'_> = decode(&body, ApiKey::Fetch, version);
        let found = &answer.responses[0].partitions[0];
        assert_eq!(found.error_code, ErrorCode::NONE, "version {version}");
        let bytes = found.records.bytes().map(<[u8]>::len);
        assert_eq!(bytes, Some(if version == 4 { batch.len() } else { 0 }));
    }
}
