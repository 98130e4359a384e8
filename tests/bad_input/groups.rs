//! Strangers, claims about the past, and words that make no sense, as consumer groups answer them.
//!
//! Each is said in every version of its API to a group with one member, which must not notice: behind every case the
//! group lives on.

use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::create_topics::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use chronikd::proto::schema::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use chronikd::proto::schema::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use chronikd::proto::schema::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use chronikd::proto::schema::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use chronikd::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use chronikd::proto::schema::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use chronikd::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
};
use chronikd::proto::schema::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use chronikd::proto::{ApiKey, Uuid, Wire};

use crate::common::ask::{ask, decode, frame};
use crate::common::broker::Broker;
use crate::connect;

const GROUP: &str = "group";
const TOPIC: &str = "t";
/// A consumer's words: version 0, one topic, no user data.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";
/// More than one record of the journal takes.
const LARGE_BYTES: usize = 10 << 20;
/// The last version of JoinGroup that gives a member its id at once.
const JOIN: i16 = 3;

/// Who somebody says he is.
#[derive(Clone)]
struct Claim {
    group: &'static str,
    member_id: String,
    generation: i32,
}

/// A partition, an offset, and a text.
type Place<'a> = (i32, i64, &'a str);

/// A broker, and the member of its group.
struct Room {
    _broker: Broker,
    raw: crate::Raw,
    topic_id: Uuid,
    member: Claim,
}

/// What is said with a claim, in a version, and the error that answers it.
type Say = fn(&mut Room, i16, &Claim) -> ErrorCode;

impl Room {
    fn new() -> Room {
        let broker = Broker::start(&[]);
        let raw = connect(&broker);
        let nobody = Claim {
            group: GROUP,
            member_id: String::new(),
            generation: -1,
        };
        let mut room = Room {
            _broker: broker,
            raw,
            topic_id: Uuid::ZERO,
            member: nobody,
        };
        room.create();
        room.member_joins(SUBSCRIPTION);
        room
    }

    fn ask<'q>(&mut self, api: ApiKey, version: i16, request: &impl Wire<'q>) -> Vec<u8> {
        ask(&mut self.raw, api, version, &frame(api, version, request))
    }

    fn create(&mut self) {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: TOPIC,
                num_partitions: 2,
                replication_factor: 1,
                ..CreatableTopic::default()
            }],
            ..CreateTopicsRequest::default()
        };
        let body = self.ask(ApiKey::CreateTopics, 7, &request);
        let answer: CreateTopicsResponse<'_> = decode(&body, ApiKey::CreateTopics, 7);
        assert_eq!(answer.topics[0].error_code, ErrorCode::NONE);
        self.topic_id = answer.topics[0].topic_id;
    }

    /// The member says these words, alone in its group, and takes the work.
    fn member_joins(&mut self, words: &[u8]) {
        let (error, joined) = self.join(JOIN, &self.member.clone(), 10_000, words);
        assert_eq!(error, ErrorCode::NONE);
        self.member = joined;
        assert_eq!(sync(self, 0, &self.member.clone()), ErrorCode::NONE);
    }

    fn join(
        &mut self,
        version: i16,
        claim: &Claim,
        session_ms: i32,
        words: &[u8],
    ) -> (ErrorCode, Claim) {
        let request = JoinGroupRequest {
            group_id: claim.group,
            session_timeout_ms: session_ms,
            rebalance_timeout_ms: 10_000,
            member_id: &claim.member_id,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol {
                name: "range",
                metadata: words,
            }],
            ..JoinGroupRequest::default()
        };
        let body = self.ask(ApiKey::JoinGroup, version, &request);
        let answer: JoinGroupResponse<'_> = decode(&body, ApiKey::JoinGroup, version);
        let joined = Claim {
            group: claim.group,
            member_id: answer.member_id.to_owned(),
            generation: answer.generation_id,
        };
        (answer.error_code, joined)
    }

    fn sync(&mut self, version: i16, claim: &Claim, assignment: &[u8]) -> ErrorCode {
        let request = SyncGroupRequest {
            group_id: claim.group,
            generation_id: claim.generation,
            member_id: &claim.member_id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: &claim.member_id,
                assignment,
            }],
            ..SyncGroupRequest::default()
        };
        let body = self.ask(ApiKey::SyncGroup, version, &request);
        decode::<SyncGroupResponse<'_>>(&body, ApiKey::SyncGroup, version).error_code
    }

    /// The errors of the partitions, in their order.
    fn commit(
        &mut self,
        version: i16,
        claim: &Claim,
        topic: (&str, Uuid),
        places: &[Place<'_>],
    ) -> Vec<ErrorCode> {
        let place = |&(partition_index, committed_offset, text)| OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_metadata: Some(text),
            ..OffsetCommitRequestPartition::default()
        };
        let request = OffsetCommitRequest {
            group_id: claim.group,
            generation_id_or_member_epoch: claim.generation,
            member_id: &claim.member_id,
            topics: vec![OffsetCommitRequestTopic {
                name: topic.0,
                topic_id: topic.1,
                partitions: places.iter().map(place).collect(),
            }],
            ..OffsetCommitRequest::default()
        };
        let body = self.ask(ApiKey::OffsetCommit, version, &request);
        let answer: OffsetCommitResponse<'_> = decode(&body, ApiKey::OffsetCommit, version);
        let partitions = answer.topics[0].partitions.iter();
        partitions.map(|partition| partition.error_code).collect()
    }

    /// What the group has committed of the first partition, and the error.
    fn committed(&mut self, group: &str) -> (ErrorCode, i64) {
        let request = OffsetFetchRequest {
            group_id: group,
            topics: Some(vec![OffsetFetchRequestTopic {
                name: TOPIC,
                partition_indexes: vec![0],
            }]),
            ..OffsetFetchRequest::default()
        };
        let body = self.ask(ApiKey::OffsetFetch, 7, &request);
        let answer: OffsetFetchResponse<'_> = decode(&body, ApiKey::OffsetFetch, 7);
        let offset = answer.topics[0].partitions[0].committed_offset;
        (answer.error_code, offset)
    }

    /// Both errors of an attempt to delete an offset: the group's and the partition's.
    fn forget(&mut self, group: &str) -> (ErrorCode, Option<ErrorCode>) {
        let request = OffsetDeleteRequest {
            group_id: group,
            topics: vec![OffsetDeleteRequestTopic {
                name: TOPIC,
                partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
            }],
        };
        let body = self.ask(ApiKey::OffsetDelete, 0, &request);
        let answer: OffsetDeleteResponse<'_> = decode(&body, ApiKey::OffsetDelete, 0);
        let partition = answer.topics.first().map(|topic| &topic.partitions[0]);
        (
            answer.error_code,
            partition.map(|partition| partition.error_code),
        )
    }

    fn dissolve(&mut self, group: &str) -> ErrorCode {
        let request = DeleteGroupsRequest {
            groups_names: vec![group],
        };
        let body = self.ask(ApiKey::DeleteGroups, 2, &request);
        let answer: DeleteGroupsResponse<'_> = decode(&body, ApiKey::DeleteGroups, 2);
        answer.results[0].error_code
    }

    fn topic(&self) -> (&'static str, Uuid) {
        (TOPIC, self.topic_id)
    }

    /// The member is what it was, in its generation.
    fn lives_on(&mut self) {
        let member = self.member.clone();
        assert_eq!(heartbeat(self, 4, &member), ErrorCode::NONE);
        assert_eq!(commit(self, 9, &member), ErrorCode::NONE);
    }
}

fn heartbeat(room: &mut Room, version: i16, claim: &Claim) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: claim.group,
        generation_id: claim.generation,
        member_id: &claim.member_id,
        group_instance_id: None,
    };
    let body = room.ask(ApiKey::Heartbeat, version, &request);
    decode::<HeartbeatResponse>(&body, ApiKey::Heartbeat, version).error_code
}

fn sync(room: &mut Room, version: i16, claim: &Claim) -> ErrorCode {
    room.sync(version, claim, b"everything")
}

fn leave(room: &mut Room, version: i16, claim: &Claim) -> ErrorCode {
    let request = LeaveGroupRequest {
        group_id: claim.group,
        member_id: &claim.member_id,
        members: vec![MemberIdentity {
            member_id: &claim.member_id,
            ..MemberIdentity::default()
        }],
    };
    let body = room.ask(ApiKey::LeaveGroup, version, &request);
    let answer: LeaveGroupResponse<'_> = decode(&body, ApiKey::LeaveGroup, version);
    let members = answer.members.first();
    members.map_or(answer.error_code, |member| member.error_code)
}

fn commit(room: &mut Room, version: i16, claim: &Claim) -> ErrorCode {
    room.commit(version, claim, room.topic(), &[(0, 1, "")])[0]
}

fn join(room: &mut Room, version: i16, claim: &Claim) -> ErrorCode {
    room.join(version, claim, 10_000, SUBSCRIPTION).0
}

fn versions(api: ApiKey) -> std::ops::RangeInclusive<i16> {
    api.info().min..=api.info().max
}

#[test]
fn strangers_are_answered_25() {
    let mut room = Room::new();
    let stranger = Claim {
        member_id: "nobody".to_owned(),
        ..room.member.clone()
    };
    let says: [(ApiKey, Say); 5] = [
        (ApiKey::JoinGroup, join),
        (ApiKey::SyncGroup, sync),
        (ApiKey::Heartbeat, heartbeat),
        (ApiKey::LeaveGroup, leave),
        (ApiKey::OffsetCommit, commit),
    ];
    for (api, say) in says {
        for version in versions(api) {
            let error = say(&mut room, version, &stranger);
            assert_eq!(error, ErrorCode::UNKNOWN_MEMBER_ID, "{api:?} {version}");
        }
        room.lives_on();
    }
    assert_eq!(room.committed(GROUP), (ErrorCode::NONE, 1));
}

#[test]
fn other_generations_are_answered_22() {
    let mut room = Room::new();
    let says: [(ApiKey, i16, Say); 3] = [
        (ApiKey::SyncGroup, 0, sync),
        (ApiKey::Heartbeat, 0, heartbeat),
        // Before that a commit had no generation.
        (ApiKey::OffsetCommit, 1, commit),
    ];
    for (api, first, say) in says {
        for version in versions(api).filter(|version| *version >= first) {
            for generation in [-1, 0, 2, i32::MIN, i32::MAX] {
                let claim = Claim {
                    generation,
                    ..room.member.clone()
                };
                let error = say(&mut room, version, &claim);
                let place = format!("{api:?} {version}, generation {generation}");
                assert_eq!(error, ErrorCode::ILLEGAL_GENERATION, "{place}");
            }
        }
        room.lives_on();
    }
}

#[test]
fn an_empty_group_id_is_answered_24_and_has_offsets() {
    let mut room = Room::new();
    let nameless = Claim {
        group: "",
        ..room.member.clone()
    };
    let says: [(ApiKey, Say); 4] = [
        (ApiKey::JoinGroup, join),
        (ApiKey::SyncGroup, sync),
        (ApiKey::Heartbeat, heartbeat),
        (ApiKey::LeaveGroup, leave),
    ];
    for (api, say) in says {
        for version in versions(api) {
            let error = say(&mut room, version, &nameless);
            assert_eq!(error, ErrorCode::INVALID_GROUP_ID, "{api:?} {version}");
        }
    }
    assert_eq!(room.forget(""), (ErrorCode::INVALID_GROUP_ID, None));
    let simple = Claim {
        member_id: String::new(),
        generation: -1,
        ..nameless
    };
    for version in versions(ApiKey::OffsetCommit) {
        assert_eq!(commit(&mut room, version, &simple), ErrorCode::NONE);
    }
    assert_eq!(room.committed(""), (ErrorCode::NONE, 1));
    // Kafka keeps that way open for those who have such offsets.
    assert_eq!(room.dissolve(""), ErrorCode::NONE);
    assert_eq!(room.committed(""), (ErrorCode::NONE, -1));
    room.lives_on();
}

#[test]
fn commits_to_what_is_not_there_are_answered_3_and_unknown_ids_100() {
    let mut room = Room::new();
    let member = room.member.clone();
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    for version in versions(ApiKey::OffsetCommit).skip(1) {
        let places = [(0, 1, ""), (2, 1, ""), (-1, 1, ""), (i32::MAX, 1, "")];
        let errors = room.commit(version, &member, room.topic(), &places);
        let expected = [ErrorCode::NONE, unknown, unknown, unknown];
        assert_eq!(errors, expected, "version {version}");
        let absent = ("absent", Uuid([9; 16]));
        let errors = room.commit(version, &member, absent, &[(0, 1, "")]);
        let expected = match version {
            10.. => ErrorCode::UNKNOWN_TOPIC_ID,
            _ => unknown,
        };
        assert_eq!(errors, [expected], "version {version}");
    }
    room.lives_on();
}

#[test]
fn metadata_above_the_limit_is_answered_12_and_its_neighbour_is_committed() {
    let mut room = Room::new();
    let member = room.member.clone();
    let (longest, long) = ("m".repeat(4096), "m".repeat(4097));
    for version in versions(ApiKey::OffsetCommit).skip(1) {
        let offset = 100 + i64::from(version);
        let places = [(0, offset, &*longest), (1, offset, &*long)];
        let errors = room.commit(version, &member, room.topic(), &places);
        let expected = [ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE];
        assert_eq!(errors, expected, "version {version}");
        assert_eq!(room.committed(GROUP).1, offset);
    }
    room.lives_on();
}

#[test]
fn session_timeouts_out_of_range_are_answered_26() {
    let mut room = Room::new();
    let newcomer = Claim {
        member_id: String::new(),
        ..room.member.clone()
    };
    for version in versions(ApiKey::JoinGroup) {
        for session_ms in [i32::MIN, -1, 0, 5999, 1_800_001, i32::MAX] {
            let (error, _) = room.join(version, &newcomer, session_ms, SUBSCRIPTION);
            let place = format!("version {version}, {session_ms} ms");
            assert_eq!(error, ErrorCode::INVALID_SESSION_TIMEOUT, "{place}");
        }
    }
    room.lives_on();
}

#[test]
fn an_assignment_that_is_too_large_is_answered_with_minus_1_and_the_group_begins_anew() {
    let mut room = Room::new();
    let large = vec![7; LARGE_BYTES];
    for version in [0, 5] {
        let (_, member) = room.join(JOIN, &room.member.clone(), 10_000, SUBSCRIPTION);
        let error = room.sync(version, &member, &large);
        assert_eq!(error, ErrorCode::UNKNOWN_SERVER_ERROR, "version {version}");
        room.member_joins(SUBSCRIPTION);
        room.lives_on();
    }
}

#[test]
fn words_that_are_too_large_are_found_when_the_work_is_shared_out() {
    let mut room = Room::new();
    let large = vec![7; LARGE_BYTES];
    let (error, member) = room.join(JOIN, &room.member.clone(), 10_000, &large);
    assert_eq!(error, ErrorCode::NONE);
    assert_eq!(sync(&mut room, 5, &member), ErrorCode::UNKNOWN_SERVER_ERROR);
    room.member_joins(SUBSCRIPTION);
    room.lives_on();
}

/// Who deletes an offset has the broker read what the members subscribe to: the topic may be among what cannot be read.
#[test]
fn garbage_for_words_hurts_nobody() {
    let mut room = Room::new();
    let mut state = 1u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let noise = (0..100).map(|length| (0..length).map(|_| byte()).collect());
    let cut = (0..SUBSCRIPTION.len()).map(|length| SUBSCRIPTION[..length].to_vec());
    let counts = [[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0x80, 0, 0, 0]];
    let counts = counts.map(|count| [&[0, 0][..], &count].concat());
    for words in cut.chain(counts).chain(noise) {
        room.member_joins(&words);
        room.lives_on();
        let subscribed = Some(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
        let forgotten = room.forget(GROUP);
        assert_eq!(forgotten, (ErrorCode::NONE, subscribed), "{words:02x?}");
        room.lives_on();
    }
}
