//! What many scripts need: topics, batches, and requests of one partition.

use std::sync::OnceLock;

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use chronikd::proto::schema::metadata::{MetadataRequest, MetadataRequestTopic};
use chronikd::proto::schema::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use chronikd::proto::{ApiKey, Records, Uuid};

use crate::asks::keep;
use crate::both::{Both, Side};
use crate::common::now_ms;
use crate::run::{Conn, Run};

/// The special time of a partition's end.
const LATEST: i64 = -1;

/// A topic that both brokers have.
#[derive(Clone, Copy)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) id: Both<Uuid>,
}

/// Settings of a topic.
pub(crate) type Configs = &'static [(&'static str, &'static str)];

/// A topic to create.
pub(crate) fn new_topic(
    name: &'static str,
    partitions: i32,
    configs: Configs,
) -> CreatableTopic<'static> {
    let config = |&(name, value)| CreatableTopicConfig {
        name,
        value: Some(value),
    };
    CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor: 1,
        assignments: Vec::new(),
        configs: configs.iter().map(config).collect(),
    }
}

/// Creates a topic and waits until it is there.
pub(crate) fn topic(run: &mut Run<'_>, conn: Conn, partitions: i32, configs: Configs) -> Topic {
    let name = run.name("topic");
    named_topic(run, conn, name, partitions, configs)
}

/// Creates a topic of that name and waits until it is there.
pub(crate) fn named_topic(
    run: &mut Run<'_>,
    conn: Conn,
    name: &'static str,
    partitions: i32,
    configs: Configs,
) -> Topic {
    let make = |_| CreateTopicsRequest {
        topics: vec![new_topic(name, partitions, configs)],
        ..CreateTopicsRequest::default()
    };
    let made = run.settle(7, conn, make, |_| true);
    let id = made.map(|made| made.topics[0].topic_id);
    await_topic(run, conn, name, partitions);
    Topic { name, id }
}

/// Waits until every partition of a topic is led and served, which takes Kafka a moment.
pub(crate) fn await_topic(run: &mut Run<'_>, conn: Conn, name: &'static str, partitions: i32) {
    let place = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: LATEST,
        ..ListOffsetsPartition::default()
    };
    let ask = |_| ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name,
            partitions: (0..partitions).map(place).collect(),
        }],
        ..ListOffsetsRequest::default()
    };
    run.settle(5, conn, ask, |answer| {
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.all(|it| it.error_code == ErrorCode::NONE)
    });
    let ask = |_| metadata(vec![by_name(name)]);
    let newest = run.range(ApiKey::Metadata).1;
    run.settle(newest, conn, ask, |answer| {
        answer.topics[0].partitions.len() == partitions as usize
    });
}

/// Waits until a topic is gone.
pub(crate) fn await_no_topic(run: &mut Run<'_>, conn: Conn, name: &'static str) {
    let newest = run.range(ApiKey::Metadata).1;
    let ask = |_| metadata(vec![by_name(name)]);
    run.settle(newest, conn, ask, |answer| {
        answer.topics[0].error_code != ErrorCode::NONE
    });
}

/// Asks for topics without creating any.
pub(crate) fn metadata(topics: Vec<MetadataRequestTopic<'static>>) -> MetadataRequest<'static> {
    MetadataRequest {
        topics: Some(topics),
        allow_auto_topic_creation: false,
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
    }
}

/// A topic by its name.
pub(crate) fn by_name(name: &'static str) -> MetadataRequestTopic<'static> {
    MetadataRequestTopic {
        name: Some(name),
        ..MetadataRequestTopic::default()
    }
}

/// The same moment for the whole suite, in milliseconds since 1970.
pub(crate) fn now() -> i64 {
    static NOW: OnceLock<i64> = OnceLock::new();
    *NOW.get_or_init(now_ms)
}

/// A batch of records with these values and keys, a millisecond apart.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    filled(BatchBuilder::new(0), values)
}

/// Builds a batch of records with these values.
pub(crate) fn filled(mut builder: BatchBuilder, values: &[&str]) -> Vec<u8> {
    for (at, value) in (now()..).zip(values) {
        builder.push(at, Some(b"key"), Some(value.as_bytes()));
    }
    builder.build(None).expect("a batch")
}

/// Records for one partition of a topic.
pub(crate) fn produce(
    side: Side,
    topic: &Topic,
    partition: i32,
    acks: i16,
    records: &[u8],
) -> ProduceRequest<'static> {
    let data = PartitionProduceData {
        index: partition,
        records: Records::Here(Some(keep::<[u8]>(records))),
    };
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.name,
            topic_id: topic.id[side],
            partition_data: vec![data],
        }],
    }
}

/// Appends batches, whatever the version of the run.
pub(crate) fn append(run: &mut Run<'_>, conn: Conn, topic: &Topic, batches: &[Vec<u8>]) {
    for records in batches {
        run.ask_each_at(9, conn, |side| produce(side, topic, 0, -1, records));
    }
}
