//! 200 groups that commit to 1,000 partitions while the broker is killed, again and again.
//!
//! Each group has partitions of its own and one member, which joins once: after every kill it goes on in its
//! generation, with the member id that it has. Every commit counts one up, as the offset and as the metadata, so what
//! is there afterwards tells which commit it was:
//!
//! * no acknowledged commit is lost, and none that was fetched is taken back;
//! * nothing is there that nobody has sent, and offset and metadata are of one commit.
//!
//! The journal is merged every few rounds, so that kills meet that, too.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use chronikd::proto::schema::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use chronikd::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use chronikd::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup,
};
use chronikd::proto::schema::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use crate::common::broker::Broker;
use crate::common::kafka::{Kafka, read_body};

const CYCLES: u64 = 20;
const TOPIC: &str = "committed";
const GROUPS: usize = 200;
/// Of each group.
const PARTITIONS: usize = 5;
const CONNECTIONS: usize = 8;
/// Longer than the whole test: nobody heartbeats while a broker is away.
const SESSION_TIMEOUT_MS: i32 = 300_000;
/// Far fewer than a cycle brings.
const SNAPSHOTS: &str = "chronik.journal.snapshot.entries=3000";

/// The whole test.
pub(crate) fn run() {
    let mut broker = Broker::start(&["-o", SNAPSHOTS]);
    let mut control = Kafka::connect(broker.port()).expect("a connection");
    control.create(TOPIC, (GROUPS * PARTITIONS) as i32, &[]);
    let mut groups: Vec<Group> = (0..GROUPS).map(|i| Group::join(&mut control, i)).collect();
    round(&mut control, &mut groups).expect("every partition is committed once");
    for cycle in 0..CYCLES {
        load(&mut broker, &mut groups, cycle);
        broker.restart();
        check(&broker, &mut groups, cycle);
    }
    broker.term();
    broker.restart();
    check(&broker, &mut groups, CYCLES);
    let acked: i64 = groups.iter().map(|group| group.acked[0]).sum();
    assert!(
        acked > CYCLES as i64 * GROUPS as i64,
        "the load was a load: {acked}"
    );
}

/// One group and its only member.
struct Group {
    name: String,
    member_id: String,
    generation: i32,
    partitions: Range<i32>,
    /// The last commit that was sent; it may have been made or not.
    sent: i64,
    /// What must be there at least, in the order of its partitions.
    acked: [i64; PARTITIONS],
}

impl Group {
    /// Joins, and gets the assignment that it makes itself.
    fn join(control: &mut Kafka, number: usize) -> Group {
        let name = format!("group-{number}");
        let first = (number * PARTITIONS) as i32;
        let request = JoinGroupRequest {
            group_id: &name,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: SESSION_TIMEOUT_MS,
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol {
                name: "range",
                metadata: b"metadata",
            }],
            ..JoinGroupRequest::default()
        };
        // The last version that gives a member its id at once.
        control.send(ApiKey::JoinGroup, 3, &request).expect("sent");
        let body = control.receive(ApiKey::JoinGroup, 3).expect("an answer");
        let joined: JoinGroupResponse<'_> = read_body(&body, ApiKey::JoinGroup, 3);
        assert_eq!(joined.error_code, ErrorCode::NONE, "{name}");
        let group = Group {
            member_id: joined.member_id.to_owned(),
            generation: joined.generation_id,
            partitions: first..first + PARTITIONS as i32,
            sent: 0,
            acked: [0; PARTITIONS],
            name,
        };
        group.sync(control);
        group
    }

    fn sync(&self, control: &mut Kafka) {
        let request = SyncGroupRequest {
            group_id: &self.name,
            generation_id: self.generation,
            member_id: &self.member_id,
            assignments: vec![SyncGroupRequestAssignment {
                member_id: &self.member_id,
                assignment: b"everything",
            }],
            ..SyncGroupRequest::default()
        };
        control.send(ApiKey::SyncGroup, 2, &request).expect("sent");
        let body = control.receive(ApiKey::SyncGroup, 2).expect("an answer");
        let synced: SyncGroupResponse<'_> = read_body(&body, ApiKey::SyncGroup, 2);
        assert_eq!(synced.error_code, ErrorCode::NONE, "{}", self.name);
    }

    /// Sends the next commit, of all partitions.
    fn commit(&mut self, connection: &mut Kafka) -> std::io::Result<()> {
        self.sent += 1;
        let metadata = self.sent.to_string();
        let partition = |partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: self.sent,
            committed_metadata: Some(&metadata),
            ..OffsetCommitRequestPartition::default()
        };
        let request = OffsetCommitRequest {
            group_id: &self.name,
            generation_id_or_member_epoch: self.generation,
            member_id: &self.member_id,
            topics: vec![OffsetCommitRequestTopic {
                name: TOPIC,
                partitions: self.partitions.clone().map(partition).collect(),
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        connection.send(ApiKey::OffsetCommit, 8, &request)
    }

    /// Reads what has become of a commit.
    fn acked(&mut self, connection: &mut Kafka) -> std::io::Result<()> {
        let body = connection.receive(ApiKey::OffsetCommit, 8)?;
        let answer: OffsetCommitResponse<'_> = read_body(&body, ApiKey::OffsetCommit, 8);
        for partition in &answer.topics[0].partitions {
            assert_eq!(partition.error_code, ErrorCode::NONE, "{}", self.name);
        }
        self.acked = [self.sent; PARTITIONS];
        Ok(())
    }

    /// Compares what was fetched with what was promised. What is shown is promised from now on.
    fn check(&mut self, fetched: &OffsetFetchResponseGroup<'_>, cycle: u64) {
        let place = format!("cycle {cycle}, {}", self.name);
        assert_eq!(
            (fetched.group_id, fetched.error_code),
            (&*self.name, ErrorCode::NONE)
        );
        let partitions = &fetched.topics[0].partitions;
        assert_eq!(partitions.len(), PARTITIONS, "{place}");
        for partition in partitions {
            let (index, found) = (partition.partition_index, partition.committed_offset);
            let acked = &mut self.acked[(index - self.partitions.start) as usize];
            let place = format!("{place}, partition {index}");
            assert_eq!(partition.error_code, ErrorCode::NONE, "{place}");
            assert!(
                found >= *acked,
                "{place}: {acked} was promised, and {found} is there"
            );
            assert!(found <= self.sent, "{place}: nobody has sent {found}");
            assert_eq!(partition.metadata, Some(&*found.to_string()), "{place}");
            *acked = found;
        }
    }

    /// The member is what it was.
    fn heartbeat(&self, connection: &mut Kafka) {
        let request = HeartbeatRequest {
            group_id: &self.name,
            generation_id: self.generation,
            member_id: &self.member_id,
            group_instance_id: None,
        };
        connection
            .send(ApiKey::Heartbeat, 4, &request)
            .expect("sent");
        let body = connection.receive(ApiKey::Heartbeat, 4).expect("an answer");
        let answer: HeartbeatResponse = read_body(&body, ApiKey::Heartbeat, 4);
        assert_eq!(answer.error_code, ErrorCode::NONE, "{}", self.name);
    }
}

/// Everybody commits, once at least, until the broker is killed under them.
fn load(broker: &mut Broker, groups: &mut [Group], cycle: u64) {
    let port = broker.port();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let over = &over;
        let (committed, first_rounds) = mpsc::channel();
        for groups in groups.chunks_mut(GROUPS / CONNECTIONS) {
            let committed = committed.clone();
            scope.spawn(move || {
                let mut connection = Kafka::connect(port).expect("a connection");
                round(&mut connection, groups).expect("a first round");
                committed.send(()).expect("somebody waits for it");
                drop(committed);
                while round(&mut connection, groups).is_ok() {}
                assert!(over.load(Ordering::Acquire), "the commits were cut off");
            });
        }
        drop(committed);
        assert_eq!(first_rounds.iter().count(), CONNECTIONS);
        // Between 50 and 340 ms, another one each time.
        std::thread::sleep(Duration::from_millis(50 + cycle * 37 % 293));
        over.store(true, Ordering::Release);
        broker.kill9();
    });
}

/// One commit of each group, all on their way together.
fn round(connection: &mut Kafka, groups: &mut [Group]) -> std::io::Result<()> {
    for group in &mut *groups {
        group.commit(connection)?;
    }
    groups
        .iter_mut()
        .try_for_each(|group| group.acked(connection))
}

fn check(broker: &Broker, groups: &mut [Group], cycle: u64) {
    let mut connection = Kafka::connect(broker.port()).expect("a connection");
    for group in &mut *groups {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: &group.name,
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: TOPIC,
                    partition_indexes: group.partitions.clone().collect(),
                    ..OffsetFetchRequestTopics::default()
                }]),
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        connection
            .send(ApiKey::OffsetFetch, 8, &request)
            .expect("sent");
        let body = connection
            .receive(ApiKey::OffsetFetch, 8)
            .expect("an answer");
        let answer: OffsetFetchResponse<'_> = read_body(&body, ApiKey::OffsetFetch, 8);
        group.check(&answer.groups[0], cycle);
        group.heartbeat(&mut connection);
    }
}
