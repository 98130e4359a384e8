//! What members say, as requests.

use super::book;
use super::member::{Character, Place};
use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use chronikd::proto::schema::heartbeat::HeartbeatRequest;
use chronikd::proto::schema::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponseMember,
};
use chronikd::proto::schema::leave_group::{LeaveGroupRequest, MemberIdentity};
use chronikd::proto::schema::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use std::collections::BTreeMap;

/// Every member knows the first; many know others too, and like them better or less.
const PROTOCOLS: [&str; 3] = ["range", "sticky", "own"];
/// The first version of FindCoordinator that asks for several keys.
const FIND_MANY: i16 = 4;

/// Who coordinates the group?
pub fn find(side: &mut Side<'_>, line: ConnId, group: &str) {
    let version = side.luck.between(0, 6) as i16;
    let request = FindCoordinatorRequest {
        key: if version < FIND_MANY { group } else { "" },
        coordinator_keys: match version {
            ..FIND_MANY => Vec::new(),
            _ => vec![group],
        },
        ..Default::default()
    };
    side.machine
        .ask(line, ApiKey::FindCoordinator, version, &request, true);
}

/// It is this broker.
pub fn found(reply: &Reply) {
    let response: FindCoordinatorResponse<'_> = reply.read();
    let (code, port) = match response.coordinators.first() {
        Some(one) => (one.error_code, one.port),
        None => (response.error_code, response.port),
    };
    assert_eq!((code, port), (ErrorCode::NONE, 9092));
}

/// I live.
pub fn heartbeat(side: &mut Side<'_>, line: ConnId, who: &Character, place: &Place) {
    let request = HeartbeatRequest {
        group_id: who.group,
        generation_id: place.generation,
        member_id: &place.id,
        group_instance_id: who.instance.as_deref(),
    };
    let version = who.versions.heartbeat;
    side.machine
        .ask(line, ApiKey::Heartbeat, version, &request, true);
}

/// What a member says of itself in a protocol. Consumers name the topics that they read, and then whatever they like;
/// every seventh says nothing that anybody could read, and so do all who are no consumers.
fn metadata(who: &Character, protocol: &str) -> Vec<u8> {
    let blob = format!("{}/{}/{protocol}", who.number, who.word).into_bytes();
    if who.kind != "consumer" || who.number % 7 == 6 {
        return blob;
    }
    let topics = ["main0", "main1", "extra.a"];
    let count = 1 + (who.number + who.word) as usize % topics.len();
    let mut said = vec![0, 0];
    said.extend_from_slice(&(count as i32).to_be_bytes());
    for topic in &topics[..count] {
        said.extend_from_slice(&(topic.len() as i16).to_be_bytes());
        said.extend_from_slice(topic.as_bytes());
    }
    said.extend_from_slice(&(blob.len() as i32).to_be_bytes());
    said.extend_from_slice(&blob);
    said
}

/// The protocols that a member knows, its favourite first.
pub fn protocols(who: &Character) -> Vec<(&'static str, Vec<u8>)> {
    let known = 1 + (who.number % 3) as usize;
    let mut names = PROTOCOLS[..known].to_vec();
    if (who.number + who.word) % 2 == 1 {
        names.reverse();
    }
    let of = |name: &'static str| (name, metadata(who, name));
    names.into_iter().map(of).collect()
}

/// Let me in.
pub fn join(side: &mut Side<'_>, line: ConnId, who: &Character, place: &Place) {
    let said = protocols(who);
    for (name, metadata) in &said {
        side.ledger.groups.saying(name, metadata);
    }
    let request = JoinGroupRequest {
        group_id: who.group,
        session_timeout_ms: who.session_ms,
        rebalance_timeout_ms: who.rebalance_ms,
        member_id: &place.id,
        group_instance_id: who.instance.as_deref(),
        protocol_type: who.kind,
        protocols: said
            .iter()
            .map(|(name, metadata)| JoinGroupRequestProtocol { name, metadata })
            .collect(),
        reason: Some("it is simulated"),
    };
    let version = who.versions.join;
    side.machine
        .ask(line, ApiKey::JoinGroup, version, &request, true);
}

/// The seats of the members that a leader was told of, by member id.
pub fn seats(
    side: &Side<'_>,
    protocol: &str,
    members: &[JoinGroupResponseMember<'_>],
) -> Vec<(String, String)> {
    let seat_of = |member: &JoinGroupResponseMember<'_>| {
        let was_said = side.ledger.groups.was_said(protocol, member.metadata);
        assert!(was_said, "{} never said that", member.member_id);
        let seat = book::seat_of(member.member_id);
        // Before v5 a leader is not told of instance ids.
        let instance = member.group_instance_id;
        assert!(instance.is_none_or(|instance| instance == seat));
        (member.member_id.to_owned(), seat.to_owned())
    };
    members.iter().map(seat_of).collect()
}

/// What is my part? The leader says what everybody's is, and leaves somebody out now and then.
pub fn sync(
    side: &mut Side<'_>,
    line: ConnId,
    who: &Character,
    place: &Place,
    seats: &[(String, String)],
) {
    let mut sizes = Vec::new();
    for (_, seat) in seats {
        let size = side.luck.between(0, 40);
        let is_left_out = side.luck.once_in(9);
        sizes.push((seat.clone(), (!is_left_out).then_some(size)));
    }
    let parts = match seats {
        [] => BTreeMap::new(),
        _ => {
            let book = &mut side.ledger.groups;
            book.plan(who.group, place.generation, &sizes)
        }
    };
    let mut assignments = Vec::new();
    for (member_id, seat) in seats {
        if let Some(assignment) = parts.get(seat) {
            assignments.push(SyncGroupRequestAssignment {
                member_id,
                assignment,
            });
        }
    }
    let request = SyncGroupRequest {
        group_id: who.group,
        generation_id: place.generation,
        member_id: &place.id,
        group_instance_id: who.instance.as_deref(),
        protocol_type: Some(who.kind),
        protocol_name: Some(&place.protocol),
        assignments,
    };
    let version = who.versions.sync;
    side.machine
        .ask(line, ApiKey::SyncGroup, version, &request, true);
}

/// I go.
pub fn leave(side: &mut Side<'_>, line: ConnId, who: &Character, place: &Place) {
    let version = who.versions.leave;
    let member = MemberIdentity {
        member_id: &place.id,
        group_instance_id: who.instance.as_deref(),
        reason: Some("it has seen enough"),
    };
    let request = LeaveGroupRequest {
        group_id: who.group,
        member_id: if version < 3 { &place.id } else { "" },
        members: if version < 3 {
            Vec::new()
        } else {
            vec![member]
        },
    };
    side.machine
        .ask(line, ApiKey::LeaveGroup, version, &request, true);
}
