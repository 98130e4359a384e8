//! The requests about offsets, which members and others send alike, and what their answers must be.

use super::offsets::{Shown, text_of};
use crate::call::Reply;
use crate::ledger::State;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use chronikd::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use chronikd::proto::{ApiKey, Uuid};
use chronikd::storage::PartitionId;
use std::collections::BTreeMap;

/// From this version on topics are named by their ids.
const BY_ID: i16 = 10;
/// From this version on several groups are asked for at once.
const GROUPS: i16 = 8;
/// The first version that can ask for everything.
const ALL: i16 = 2;
/// These versions say how long an offset is kept.
const RETENTION: std::ops::RangeInclusive<i16> = 2..=4;
/// The first version that brings a leader epoch.
const COMMIT_EPOCH: i16 = 6;
/// The first version that shows one.
const FETCH_EPOCH: i16 = 5;
/// The leader epoch of every commit; the broker only keeps it.
const EPOCH: i32 = 7;

/// Who commits: group, generation, member id, instance id.
pub type Claim<'a> = (&'a str, i32, &'a str, Option<&'a str>);

/// Offsets on their way, by partition.
pub type Commit = BTreeMap<PartitionId, i64>;

/// Partitions that offsets can be committed of in this version. Before v10 only topics whose names stay.
pub fn usable(side: &mut Side<'_>, version: i16) -> Vec<PartitionId> {
    let mut all = side.ledger.partitions();
    let is_lasting = |id: Uuid, side: &Side<'_>| side.ledger.topic(id).name.starts_with("main");
    all.retain(|at| version >= BY_ID || is_lasting(at.topic, side));
    all
}

/// Commits new offsets of these partitions.
pub fn commit(
    side: &mut Side<'_>,
    line: ConnId,
    version: i16,
    claim: Claim<'_>,
    all: &[PartitionId],
) -> Commit {
    let (group, generation, member_id, instance) = claim;
    let keeps = RETENTION.contains(&version) && side.luck.once_in(4);
    let retention_ms = if keeps { 20_000 } else { -1 };
    let expires_ms = match keeps {
        true => side.machine.now.wall_ms + retention_ms,
        false => i64::MAX,
    };
    let mut commit = Commit::new();
    for at in all {
        let offset = side.ledger.groups.fresh() as i64;
        let sent_epoch = if version >= COMMIT_EPOCH { EPOCH } else { -1 };
        let offsets = side.ledger.groups.offsets(group);
        offsets.committing(*at, offset, sent_epoch, expires_ms);
        commit.insert(*at, offset);
    }
    let named = |(at, offset): (&PartitionId, &i64)| (name_of(side, at), text_of(*offset));
    let texts: Vec<(String, String)> = commit.iter().map(named).collect();
    let sent = commit.iter().zip(&texts);
    let topics = sent
        .map(|((at, offset), (name, text))| topic_of(version, at, name, *offset, text))
        .collect();
    let request = OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: generation,
        member_id,
        group_instance_id: instance,
        retention_time_ms: retention_ms,
        topics,
    };
    side.machine
        .ask(line, ApiKey::OffsetCommit, version, &request, true);
    commit
}

fn topic_of<'a>(
    version: i16,
    at: &PartitionId,
    name: &'a str,
    offset: i64,
    text: &'a str,
) -> OffsetCommitRequestTopic<'a> {
    OffsetCommitRequestTopic {
        name: if version >= BY_ID { "" } else { name },
        topic_id: if version >= BY_ID {
            at.topic
        } else {
            Uuid::ZERO
        },
        partitions: vec![OffsetCommitRequestPartition {
            partition_index: at.partition,
            committed_offset: offset,
            committed_leader_epoch: EPOCH,
            committed_metadata: Some(text),
            ..Default::default()
        }],
    }
}

fn name_of(side: &Side<'_>, at: &PartitionId) -> String {
    side.ledger.topic(at.topic).name.clone()
}

/// Takes in what became of a commit. Answers the one verdict about the member, if it was asked for.
pub fn committed(
    side: &mut Side<'_>,
    group: &str,
    commit: &Commit,
    reply: &Reply,
) -> Option<ErrorCode> {
    let response: OffsetCommitResponse<'_> = reply.read();
    assert_eq!(response.topics.len(), commit.len());
    let mut verdict = None;
    // Topics come back in the order in which they were named.
    for ((at, offset), topic) in commit.iter().zip(&response.topics) {
        let partition = &topic.partitions[0];
        assert_eq!(partition.partition_index, at.partition);
        let offsets = side.ledger.groups.offsets(group);
        match partition.error_code {
            ErrorCode::NONE => offsets.committed(*offset),
            _ => offsets.refused(*offset),
        }
        match partition.error_code {
            ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                let topic = side.ledger.topic(at.topic);
                assert_ne!(topic.state, State::Exists, "{} is not found", topic.name);
            }
            code => {
                let said = *verdict.get_or_insert(code);
                assert_eq!(said, code, "one verdict for the whole request");
            }
        }
    }
    verdict
}

/// A question for committed offsets, and what was there when it left.
#[derive(Clone, Debug)]
pub struct Question {
    marks: BTreeMap<String, BTreeMap<PartitionId, usize>>,
}

/// Asks for everything that these groups have, or for what is at `usable` partitions.
pub fn fetch(side: &mut Side<'_>, line: ConnId, version: i16, groups: &[String]) -> Question {
    let groups = if version >= GROUPS {
        groups
    } else {
        &groups[..1]
    };
    let asks_all = version >= ALL && side.luck.once_in(2);
    let mut marks: BTreeMap<String, BTreeMap<PartitionId, usize>> = BTreeMap::new();
    for group in groups {
        let asked = match asks_all {
            true => known(side, group, version),
            false => usable(side, version),
        };
        let offsets = side.ledger.groups.offsets(group);
        let marked = asked.into_iter().map(|at| (at, offsets.mark(at)));
        marks.insert(group.clone(), marked.collect());
    }
    let question = Question { marks };
    send(side, line, version, &question, asks_all);
    question
}

fn known(side: &mut Side<'_>, group: &str, version: i16) -> Vec<PartitionId> {
    let mut all = side.ledger.groups.offsets(group).present();
    let is_lasting = |id: Uuid, side: &Side<'_>| side.ledger.topic(id).name.starts_with("main");
    all.retain(|at| version >= BY_ID || is_lasting(at.topic, side));
    all
}

fn send(side: &mut Side<'_>, line: ConnId, version: i16, question: &Question, asks_all: bool) {
    let names: BTreeMap<Uuid, String> = question
        .marks
        .values()
        .flat_map(|marks| marks.keys())
        .map(|at| (at.topic, name_of(side, at)))
        .collect();
    let newer = |at: &PartitionId| OffsetFetchRequestTopics {
        name: if version >= BY_ID {
            ""
        } else {
            &names[&at.topic]
        },
        topic_id: if version >= BY_ID {
            at.topic
        } else {
            Uuid::ZERO
        },
        partition_indexes: vec![at.partition],
    };
    let older = |at: &PartitionId| OffsetFetchRequestTopic {
        name: &names[&at.topic],
        partition_indexes: vec![at.partition],
    };
    let first = question.marks.first_key_value().expect("a group");
    let is_new = version >= GROUPS;
    let of_group = |(group, marks): (_, &BTreeMap<PartitionId, usize>)| {
        let group: &String = group;
        OffsetFetchRequestGroup {
            group_id: group,
            topics: (!asks_all).then(|| marks.keys().map(newer).collect()),
            ..Default::default()
        }
    };
    let request = OffsetFetchRequest {
        group_id: if is_new { "" } else { first.0 },
        topics: match asks_all || is_new {
            true => None,
            false => Some(first.1.keys().map(older).collect()),
        },
        groups: match is_new {
            true => question.marks.iter().map(of_group).collect(),
            false => Vec::new(),
        },
        ..Default::default()
    };
    side.machine
        .ask(line, ApiKey::OffsetFetch, version, &request, true);
}

/// One offset of an answer: topic by name or id, partition, what is shown, error.
type Row<'a> = (&'a str, Uuid, i32, Shown<'a>, ErrorCode);

/// Holds the answer against what was known when the question left.
pub fn fetched(side: &mut Side<'_>, question: &Question, reply: &Reply) {
    let response: OffsetFetchResponse<'_> = reply.read();
    let shows_epoch = reply.version >= FETCH_EPOCH;
    if reply.version < GROUPS {
        assert_eq!(response.error_code, ErrorCode::NONE);
        let (group, marks) = question.marks.first_key_value().expect("a group");
        let topics = response.topics.iter();
        let rows = topics.flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                let shown = Shown {
                    offset: p.committed_offset,
                    leader_epoch: shows_epoch.then_some(p.committed_leader_epoch),
                    metadata: p.metadata.unwrap_or_default(),
                };
                (
                    topic.name,
                    Uuid::ZERO,
                    p.partition_index,
                    shown,
                    p.error_code,
                )
            })
        });
        check(side, group, marks, rows.collect());
        return;
    }
    assert_eq!(response.groups.len(), question.marks.len());
    for answered in &response.groups {
        assert_eq!(answered.error_code, ErrorCode::NONE);
        let rows = answered.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| {
                let shown = Shown {
                    offset: p.committed_offset,
                    leader_epoch: Some(p.committed_leader_epoch),
                    metadata: p.metadata.unwrap_or_default(),
                };
                (
                    topic.name,
                    topic.topic_id,
                    p.partition_index,
                    shown,
                    p.error_code,
                )
            })
        });
        let marks = &question.marks[answered.group_id];
        check(side, answered.group_id, marks, rows.collect());
    }
}

fn check(
    side: &mut Side<'_>,
    group: &str,
    marks: &BTreeMap<PartitionId, usize>,
    rows: Vec<Row<'_>>,
) {
    let nothing = Shown {
        offset: -1,
        leader_epoch: None,
        metadata: "",
    };
    for (at, mark) in marks {
        let name = name_of(side, at);
        let is_it = |row: &&Row<'_>| (row.0 == name || row.1 == at.topic) && row.2 == at.partition;
        let row = rows.iter().find(is_it);
        let (shown, code) = row.map_or((nothing, ErrorCode::NONE), |row| (row.3, row.4));
        if code == ErrorCode::UNKNOWN_TOPIC_ID {
            assert_ne!(side.ledger.topic(at.topic).state, State::Exists);
            continue;
        }
        assert_eq!(code, ErrorCode::NONE);
        side.ledger.groups.offsets(group).shown(*at, *mark, shown);
    }
}
