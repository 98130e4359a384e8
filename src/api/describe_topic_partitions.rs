//! DescribeTopicPartitions (75), version 0: topics and partitions in pages (KIP-966).
//!
//! * No topics named means all. Topics come in the order of their names, from the cursor on.
//! * A page ends at the smaller of the request's limit and `max.request.partition.size.limit`; the next
//!   cursor then names the first partition that did not fit, or the first topic, be it there or not.
//! * A cursor with a negative partition, or on a topic that is not asked for, is error 42; the response has
//!   no field for it, so every topic carries it, as in Kafka.

use super::Call;
use super::common::TOPIC_OPERATIONS;
use super::topic_creation::absent_code;
use crate::broker::Broker;
use crate::broker::topics::is_internal;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use crate::proto::wire::Maybe;
use std::collections::BTreeSet;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeTopicPartitionsRequest<'_>,
) -> Outcome {
    let cursor = request.cursor.0.as_ref();
    let (from_name, from_partition) = cursor.map_or(("", 0), |c| (c.topic_name, c.partition_index));
    let named: BTreeSet<&str> = request.topics.iter().map(|t| t.name).collect();
    let names_cursor = named.is_empty() || cursor.is_none() || named.contains(from_name);
    if from_partition < 0 || !names_cursor {
        let topics = request.topics.iter().map(refused).collect();
        return call.reply(&DescribeTopicPartitionsResponse {
            topics,
            ..Default::default()
        });
    }
    let limit = request
        .response_partition_limit
        .min(broker.config().max_request_partition_size_limit)
        .max(1);
    let mut page = Page {
        left: limit,
        topics: Vec::new(),
        next: None,
    };
    let first = |name: &str| if name == from_name { from_partition } else { 0 };
    if named.is_empty() {
        for topic in broker.topics().from_name(from_name) {
            page.add(broker, &topic.name, first(&topic.name));
        }
    } else {
        for name in named.range(from_name..) {
            page.add(broker, name, first(name));
        }
    }
    let next_cursor = Maybe(page.next);
    call.reply(&DescribeTopicPartitionsResponse {
        topics: page.topics,
        next_cursor,
        ..Default::default()
    })
}

/// One answer in the making.
struct Page<'a> {
    left: i32,
    topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
    next: Option<Cursor<'a>>,
}

impl<'a> Page<'a> {
    /// Adds a topic from that partition on, or as much as fits. Nothing is added behind a full page.
    fn add(&mut self, broker: &Broker, name: &'a str, from: i32) {
        if self.next.is_some() {
            return;
        }
        if self.left == 0 {
            self.next = Some(Cursor {
                topic_name: name,
                partition_index: from,
            });
            return;
        }
        let Some(known) = broker.topics().by_name(name) else {
            self.topics.push(topic(name, absent_code(name)));
            return;
        };
        let end = known.partition_count.min(from.saturating_add(self.left));
        self.left -= (end - from).max(0);
        if end < known.partition_count {
            self.next = Some(Cursor {
                topic_name: name,
                partition_index: end,
            });
        }
        self.topics.push(DescribeTopicPartitionsResponseTopic {
            topic_id: known.id,
            partitions: (from..end).map(|index| partition(broker, index)).collect(),
            ..topic(name, ErrorCode::NONE)
        });
    }
}

fn topic(name: &str, error_code: ErrorCode) -> DescribeTopicPartitionsResponseTopic<'_> {
    DescribeTopicPartitionsResponseTopic {
        name: Some(name),
        error_code,
        is_internal: is_internal(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

/// What every topic carries when the request makes no sense.
fn refused<'a>(asked: &TopicRequest<'a>) -> DescribeTopicPartitionsResponseTopic<'a> {
    DescribeTopicPartitionsResponseTopic {
        name: Some(asked.name),
        error_code: ErrorCode::INVALID_REQUEST,
        ..Default::default()
    }
}

fn partition(broker: &Broker, partition_index: i32) -> DescribeTopicPartitionsResponsePartition {
    let node = broker.identity.node_id;
    DescribeTopicPartitionsResponsePartition {
        partition_index,
        leader_id: node,
        leader_epoch: broker.leader_epoch(),
        replica_nodes: vec![node],
        isr_nodes: vec![node],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}
