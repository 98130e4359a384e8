//! The client's side of groups: what consumers send to their coordinator, and what is in its answers.
//!
//! FindCoordinator 6, JoinGroup 9, SyncGroup 5, Heartbeat 4, OffsetCommit 10: the newest of Apache Kafka 4.3. Members
//! speak as the Java consumer does with its defaults: two protocols, and about 150 bytes of metadata and of assignment.

use crate::client::{self, Client, bad, body_of, check_code};
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::{find_coordinator, heartbeat, join_group, offset_commit, sync_group};
use chronikd::proto::{ApiKey, Uuid};
use std::io::{self, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

const PROTOCOL_TYPE: &str = "consumer";
/// `partition.assignment.strategy` of the Java consumer; the first is chosen.
const PROTOCOLS: [&str; 2] = ["range", "cooperative-sticky"];
const SESSION_TIMEOUT_MS: i32 = 45_000;
const REBALANCE_TIMEOUT_MS: i32 = 300_000;
/// Topics in a subscription and in an assignment.
const TOPICS: usize = 6;
/// A coordinator that has never been asked may have to make its topic first.
const COORDINATOR_LIMIT: Duration = Duration::from_secs(60);

/// A member's place in a generation of its group.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) member: String,
    pub(crate) generation: i32,
}

/// What a JoinGroup response says.
pub(crate) struct Joined {
    pub(crate) place: Place,
    /// All members, if this one is their leader.
    pub(crate) members: Vec<String>,
    /// This is an id to join with, and nothing else yet.
    pub(crate) is_only_an_id: bool,
}

pub(crate) fn find_coordinator_frame(group: &str) -> Vec<u8> {
    let body = find_coordinator::FindCoordinatorRequest {
        coordinator_keys: vec![group],
        ..Default::default()
    };
    client::request(ApiKey::FindCoordinator, &body)
}

/// The first request of a member has no id yet.
pub(crate) fn join_frame(group: &str, member: &str) -> Vec<u8> {
    let metadata = metadata();
    let protocol = |name| join_group::JoinGroupRequestProtocol {
        name,
        metadata: &metadata,
    };
    let body = join_group::JoinGroupRequest {
        group_id: group,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        member_id: member,
        protocol_type: PROTOCOL_TYPE,
        protocols: PROTOCOLS.map(protocol).into(),
        ..Default::default()
    };
    client::request(ApiKey::JoinGroup, &body)
}

/// The leader names all members; the others none.
pub(crate) fn sync_frame(place: &Place, members: &[String]) -> Vec<u8> {
    let assignment = assignment();
    let assign = |member_id| sync_group::SyncGroupRequestAssignment {
        member_id,
        assignment: &assignment,
    };
    let body = sync_group::SyncGroupRequest {
        group_id: &place.group,
        generation_id: place.generation,
        member_id: &place.member,
        protocol_type: Some(PROTOCOL_TYPE),
        protocol_name: Some(PROTOCOLS[0]),
        assignments: members.iter().map(String::as_str).map(assign).collect(),
        ..Default::default()
    };
    client::request(ApiKey::SyncGroup, &body)
}

pub(crate) fn heartbeat_frame(place: &Place) -> Vec<u8> {
    let body = heartbeat::HeartbeatRequest {
        group_id: &place.group,
        generation_id: place.generation,
        member_id: &place.member,
        ..Default::default()
    };
    client::request(ApiKey::Heartbeat, &body)
}

/// A commit of the same offset in these partitions.
pub(crate) fn commit_frame(
    place: &Place,
    topic: Uuid,
    partitions: Range<i32>,
    offset: i64,
) -> Vec<u8> {
    let partition = |partition_index| offset_commit::OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_metadata: Some(""),
        ..Default::default()
    };
    let topic = offset_commit::OffsetCommitRequestTopic {
        topic_id: topic,
        partitions: partitions.map(partition).collect(),
        ..Default::default()
    };
    let body = offset_commit::OffsetCommitRequest {
        group_id: &place.group,
        generation_id_or_member_epoch: place.generation,
        member_id: &place.member,
        topics: vec![topic],
        ..Default::default()
    };
    client::request(ApiKey::OffsetCommit, &body)
}

/// Fails unless the coordinator is there.
pub(crate) fn found(frame: &[u8]) -> io::Result<()> {
    let response: find_coordinator::FindCoordinatorResponse<'_> =
        body_of(ApiKey::FindCoordinator, frame)?;
    let first = response.coordinators.first();
    check_code(first.ok_or_else(|| bad("an empty response"))?.error_code)
}

pub(crate) fn joined(group: &str, frame: &[u8]) -> io::Result<Joined> {
    let response: join_group::JoinGroupResponse<'_> = body_of(ApiKey::JoinGroup, frame)?;
    let is_only_an_id = response.error_code == ErrorCode::MEMBER_ID_REQUIRED;
    if !is_only_an_id {
        check_code(response.error_code)?;
    }
    let members = response.members.iter();
    Ok(Joined {
        place: Place {
            group: group.to_owned(),
            member: response.member_id.to_owned(),
            generation: response.generation_id,
        },
        members: members.map(|member| member.member_id.to_owned()).collect(),
        is_only_an_id,
    })
}

/// Fails unless the member has got its assignment.
pub(crate) fn synced(frame: &[u8]) -> io::Result<()> {
    let response: sync_group::SyncGroupResponse<'_> = body_of(ApiKey::SyncGroup, frame)?;
    check_code(response.error_code)?;
    match response.assignment.is_empty() {
        true => Err(bad("an empty assignment")),
        false => Ok(()),
    }
}

/// Fails unless the generation goes on.
pub(crate) fn alive(frame: &[u8]) -> io::Result<()> {
    let response: heartbeat::HeartbeatResponse = body_of(ApiKey::Heartbeat, frame)?;
    check_code(response.error_code)
}

/// Fails unless every offset has been kept.
pub(crate) fn committed(frame: &[u8]) -> io::Result<()> {
    let response: offset_commit::OffsetCommitResponse<'_> = body_of(ApiKey::OffsetCommit, frame)?;
    let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.try_for_each(|partition| check_code(partition.error_code))
}

/// A member that is alone in its group: from FindCoordinator to its assignment, in four round trips.
pub(crate) fn join_alone(client: &mut Client, group: &str) -> io::Result<Place> {
    client.ask(&find_coordinator_frame(group), found)?;
    let told = client.ask(&join_frame(group, ""), |frame| joined(group, frame))?;
    let joined = match told.is_only_an_id {
        true => client.ask(&join_frame(group, &told.place.member), |frame| {
            joined(group, frame)
        })?,
        false => told,
    };
    client.ask(&sync_frame(&joined.place, &joined.members), synced)?;
    Ok(joined.place)
}

/// Joins groups of names that nobody else has, again and again until there is a coordinator.
pub(crate) fn wait_for_coordinator(client: &mut Client, unique: Uuid) -> io::Result<()> {
    let start = Instant::now();
    let mut attempt = 0;
    loop {
        attempt += 1;
        match join_alone(client, &format!("{unique}-attempt-{attempt}")) {
            Err(error) if start.elapsed() > COORDINATOR_LIMIT => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
            Ok(_) => return Ok(()),
        }
    }
}

/// A group of as many members as there are connections. A request that waits for others holds its connection up, so
/// each member needs one until the generation is settled.
pub(crate) fn join_together(clients: &mut [Client], group: &str) -> io::Result<Vec<Place>> {
    let leader = join_alone(&mut clients[0], group)?;
    let mut ids = vec![leader.member];
    for client in &mut clients[1..] {
        let told = client.ask(&join_frame(group, ""), |frame| joined(group, frame))?;
        ids.push(told.place.member);
    }
    // The leader's wish to join again begins the rebalance, which waits for those that have been given ids.
    let frames = ids.iter().map(|id| join_frame(group, id)).collect();
    let told = ask_all(clients, frames, |frame| joined(group, frame))?;
    let members = told.iter().flat_map(|joined| joined.members.clone());
    let members: Vec<String> = members.collect();
    if members.len() != clients.len() {
        return Err(bad("a generation that lacks members"));
    }
    let share = |joined: &Joined| match joined.members.is_empty() {
        true => sync_frame(&joined.place, &[]),
        false => sync_frame(&joined.place, &members),
    };
    ask_all(clients, told.iter().map(share).collect(), synced)?;
    Ok(told.into_iter().map(|joined| joined.place).collect())
}

/// One request on each connection at the same time.
fn ask_all<T>(
    clients: &mut [Client],
    frames: Vec<Vec<u8>>,
    read: impl Fn(&[u8]) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    for (client, frame) in clients.iter_mut().zip(&frames) {
        client.stream.write_all(frame)?;
    }
    clients
        .iter_mut()
        .map(|client| client.answer(&read))
        .collect()
}

/// A subscription of version 1: topics, no data of the user's, no partitions owned.
fn metadata() -> Vec<u8> {
    let mut bytes = 1i16.to_be_bytes().to_vec();
    put_topics(&mut bytes, &[]);
    bytes.extend((-1i32).to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    bytes
}

/// An assignment of version 1: one partition of each topic, no data of the user's.
fn assignment() -> Vec<u8> {
    let mut bytes = 1i16.to_be_bytes().to_vec();
    put_topics(&mut bytes, &[0, 0, 0, 1, 0, 0, 0, 3]);
    bytes.extend((-1i32).to_be_bytes());
    bytes
}

fn put_topics(bytes: &mut Vec<u8>, behind_each: &[u8]) {
    bytes.extend((TOPICS as i32).to_be_bytes());
    for number in 0..TOPICS {
        let name = format!("a-topic-of-events-{number}");
        bytes.extend((name.len() as i16).to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(behind_each);
    }
}
