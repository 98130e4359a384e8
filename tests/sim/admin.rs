//! An administrator: creates and deletes topics, looks at them, asks for offsets and producer ids.

use crate::call::Reply;
use crate::errand::Errand;
use crate::ledger::State;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use chronikd::proto::schema::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use chronikd::proto::schema::metadata::{MetadataRequest, MetadataResponse};
use chronikd::proto::{ApiKey, Uuid};
use chronikd::storage::PartitionId;
use std::collections::BTreeMap;

const EXTRAS: [&str; 3] = ["extra.a", "extra-b", "extra.c"];
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// What was asked, and what was known then.
#[derive(Debug)]
enum Asked {
    Create(String),
    Delete(Uuid, State),
    Metadata(BTreeMap<Uuid, State>),
    Offsets(PartitionId, i64, i64),
    Identity,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Admin {
    errand: Errand<Asked>,
}

/// A topic that is cut to its size again and again.
pub const SHORT: Flavour = &[
    ("segment.index.bytes", "64"),
    ("index.interval.bytes", "0"),
    ("retention.bytes", "4000"),
    ("file.delete.delay.ms", "2000"),
];

/// How a topic differs from the default.
pub type Flavour = &'static [(&'static str, &'static str)];

/// Topics of which acknowledgements wait for the disk, and two kinds of which they do not.
pub const FLAVOURS: [Flavour; 5] = [
    &[],
    &[("segment.ms", "40")],
    &[("segment.index.bytes", "64"), ("index.interval.bytes", "0")],
    &[
        ("flush.messages", "9223372036854775807"),
        ("segment.ms", "300"),
    ],
    &[
        ("flush.messages", "4"),
        ("flush.ms", "30"),
        ("segment.index.bytes", "100"),
        ("index.interval.bytes", "10"),
    ],
];

/// A topic that is compacted all the time.
pub const COMPACTED: Flavour = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0"),
    ("segment.ms", "40"),
    ("file.delete.delay.ms", "500"),
];

impl Admin {
    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        self.errand.cut_off();
    }

    /// Whether nothing is unanswered.
    pub fn is_idle(&self) -> bool {
        self.errand.is_idle()
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        if !self.errand.step(side, take) || finishing {
            return;
        }
        let line = self.errand.line(side);
        let asked = match side.luck.below(12) {
            0 => {
                self.errand.hang_up(side);
                None
            }
            1..=3 => {
                let name = side.luck.pick(&EXTRAS);
                let flavour = side.luck.pick(&FLAVOURS);
                let partitions = side.luck.between(1, 2) as i32;
                Some(create(side, line, name, partitions, flavour))
            }
            4 | 5 => delete(side, line),
            6 | 7 => Some(metadata(side, line)),
            8 | 9 => offsets(side, line),
            _ => Some(identity(side, line)),
        };
        asked.into_iter().for_each(|asked| self.errand.asked(asked));
    }

    /// Asks for a topic.
    pub fn create(&mut self, side: &mut Side<'_>, name: &str, partitions: i32, flavour: Flavour) {
        let line = self.errand.line(side);
        let asked = create(side, line, name, partitions, flavour);
        self.errand.asked(asked);
    }

    /// Asks for a topic's end.
    pub fn delete(&mut self, side: &mut Side<'_>, id: Uuid) {
        let line = self.errand.line(side);
        let asked = delete_by_id(side, line, id);
        self.errand.asked(asked);
    }

    /// Goes away.
    pub fn hang_up(&mut self, side: &mut Side<'_>) {
        self.errand.hang_up(side);
    }
}

fn create(
    side: &mut Side<'_>,
    line: ConnId,
    name: &str,
    partitions: i32,
    flavour: Flavour,
) -> Asked {
    let setting = |(name, value): &(&'static str, &'static str)| CreatableTopicConfig {
        name,
        value: Some(*value),
    };
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            configs: flavour.iter().map(setting).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    side.ledger.creating(name);
    side.machine
        .ask(line, ApiKey::CreateTopics, 7, &request, true);
    Asked::Create(name.to_owned())
}

fn delete(side: &mut Side<'_>, line: ConnId) -> Option<Asked> {
    let extras = side
        .ledger
        .existing()
        .filter(|topic| topic.name.starts_with("extra"));
    let extras: Vec<Uuid> = extras.map(|topic| topic.id).collect();
    if extras.is_empty() {
        return None;
    }
    let id = side.luck.pick(&extras);
    Some(delete_by_id(side, line, id))
}

fn delete_by_id(side: &mut Side<'_>, line: ConnId, id: Uuid) -> Asked {
    let was = side.ledger.topic(id).state;
    side.ledger.deleting(id);
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: None,
            topic_id: id,
        }],
        timeout_ms: 1000,
        ..Default::default()
    };
    side.machine
        .ask(line, ApiKey::DeleteTopics, 6, &request, true);
    Asked::Delete(id, was)
}

fn metadata(side: &mut Side<'_>, line: ConnId) -> Asked {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    side.machine.ask(line, ApiKey::Metadata, 12, &request, true);
    Asked::Metadata(side.ledger.states())
}

fn offsets(side: &mut Side<'_>, line: ConnId) -> Option<Asked> {
    let mut main = side.ledger.partitions();
    main.retain(|at| side.ledger.topic(at.topic).name.starts_with("main"));
    if main.is_empty() {
        return None;
    }
    let at = side.luck.pick(&main);
    let timestamp = side.luck.pick(&[LATEST, EARLIEST]);
    let name = side.ledger.topic(at.topic).name.clone();
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: &name,
            partitions: vec![ListOffsetsPartition {
                partition_index: at.partition,
                timestamp,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let version = side.luck.between(1, 10) as i16;
    side.machine
        .ask(line, ApiKey::ListOffsets, version, &request, true);
    let floor = match timestamp {
        LATEST => side.ledger.high_watermark(at),
        _ => side.ledger.log_start(at),
    };
    Some(Asked::Offsets(at, timestamp, floor))
}

fn identity(side: &mut Side<'_>, line: ConnId) -> Asked {
    let request = InitProducerIdRequest::default();
    side.machine
        .ask(line, ApiKey::InitProducerId, 4, &request, true);
    Asked::Identity
}

fn take(side: &mut Side<'_>, asked: Asked, reply: &Reply) {
    match asked {
        Asked::Create(name) => {
            let response: CreateTopicsResponse<'_> = reply.read();
            let topic = &response.topics[0];
            match topic.error_code {
                ErrorCode::NONE => {
                    side.ledger
                        .told(side.machine.broker(), &name, topic.topic_id, None);
                }
                code => side.ledger.not_created(&name, code.0),
            }
        }
        Asked::Delete(id, was) => {
            let response: DeleteTopicsResponse<'_> = reply.read();
            match response.responses[0].error_code {
                ErrorCode::NONE => side.ledger.deleted(id),
                code => assert_ne!(was, State::Exists, "deletion failed with {}", code.0),
            }
        }
        Asked::Metadata(states) => {
            let response: MetadataResponse<'_> = reply.read();
            for topic in &response.topics {
                let (name, id) = (topic.name.expect("a name"), topic.topic_id);
                let was = states.get(&id).copied();
                side.ledger.told(side.machine.broker(), name, id, was);
                for partition in &topic.partitions {
                    assert_eq!(partition.leader_epoch, side.ledger.leader_epoch());
                }
            }
            let shown = |id: &Uuid| response.topics.iter().any(|topic| topic.topic_id == *id);
            for (id, was) in &states {
                let is_still = side.ledger.topic(*id).state == State::Exists;
                assert!(
                    *was != State::Exists || !is_still || shown(id),
                    "metadata lacks a topic"
                );
            }
        }
        Asked::Offsets(at, timestamp, floor) => {
            let response: ListOffsetsResponse<'_> = reply.read();
            let partition = &response.topics[0].partitions[0];
            match partition.error_code {
                ErrorCode::NONE if timestamp == LATEST => assert!(partition.offset >= floor),
                ErrorCode::NONE => {
                    let now = side.ledger.log_start(at);
                    assert!((floor..=now).contains(&partition.offset));
                }
                ErrorCode::NOT_LEADER_OR_FOLLOWER => {}
                code => panic!("ListOffsets failed with {}", code.0),
            }
        }
        Asked::Identity => {
            let response: InitProducerIdResponse = reply.read();
            assert_eq!(response.error_code, ErrorCode::NONE);
            side.ledger.given(response.producer_id);
        }
    }
}
