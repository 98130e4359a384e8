//! A member of a group, as both brokers know it, and what members say.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::heartbeat::HeartbeatRequest;
use chronikd::proto::schema::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use chronikd::proto::schema::leave_group::{LeaveGroupRequest, MemberIdentity};
use chronikd::proto::schema::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use crate::asks::keep;
use crate::both::{Both, Side};
use crate::run::{Conn, Owed, Run};

/// The member ids that the two brokers gave out, or one id for both.
pub(crate) type Name = Both<&'static str>;

/// The same id for both.
pub(crate) fn name(id: &'static str) -> Name {
    Both::each(|_| id)
}

/// Who a client says it is.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) conn: Conn,
    pub(crate) group: &'static str,
    pub(crate) id: Name,
    pub(crate) instance: Option<&'static str>,
    pub(crate) generation: i32,
}

/// A plain consumer that wants to join; it has time.
pub(crate) fn consumer(group: &'static str, words: &str) -> JoinGroupRequest<'static> {
    JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 300_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer",
        protocols: vec![protocol("range", words)],
        ..JoinGroupRequest::default()
    }
}

/// A protocol, under which a consumer of `topic` says some words to the leader.
pub(crate) fn protocol(name: &'static str, words: &str) -> JoinGroupRequestProtocol<'static> {
    let metadata = keep::<[u8]>(subscription(&["topic"], words));
    JoinGroupRequestProtocol { name, metadata }
}

/// What a consumer says under a protocol: version 0, topics, user data.
pub(crate) fn subscription(topics: &[&str], words: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend_from_slice(&(topics.len() as u32).to_be_bytes());
    for topic in topics {
        bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        bytes.extend_from_slice(topic.as_bytes());
    }
    bytes.extend_from_slice(&(words.len() as u32).to_be_bytes());
    bytes.extend_from_slice(words.as_bytes());
    bytes
}

impl Member {
    /// Somebody who was never let in.
    pub(crate) fn stranger(conn: Conn, group: &'static str, id: &'static str) -> Member {
        Member {
            conn,
            group,
            id: name(id),
            instance: None,
            generation: 0,
        }
    }

    /// Joins for the first time, with the round that error 79 asks for; the answer comes when the group is ready.
    pub(crate) fn enter(
        run: &mut Run<'_>,
        conn: Conn,
        join: &JoinGroupRequest<'static>,
    ) -> (Member, Owed<JoinGroupResponse<'static>>) {
        let mut member = Member {
            instance: join.group_instance_id,
            ..Member::stranger(conn, join.group_id, "")
        };
        if run.version(ApiKey::JoinGroup) >= 4 && join.group_instance_id.is_none() {
            let told = run.ask(conn, join.clone());
            member.id = told.map(|told| told.member_id);
        }
        let owed = member.join(run, join);
        (member, owed)
    }

    /// Joins a group that is ready at once, and remembers id and generation.
    pub(crate) fn joins(run: &mut Run<'_>, conn: Conn, join: &JoinGroupRequest<'static>) -> Member {
        let (mut member, owed) = Member::enter(run, conn, join);
        member.joined(run, owed);
        member
    }

    /// Joins alone and takes the work.
    pub(crate) fn settles(
        run: &mut Run<'_>,
        conn: Conn,
        join: &JoinGroupRequest<'static>,
    ) -> Member {
        let member = Member::joins(run, conn, join);
        member.leads(run, &[&member]);
        member
    }

    /// Asks to join, under the id that it has.
    pub(crate) fn join(
        &self,
        run: &mut Run<'_>,
        join: &JoinGroupRequest<'static>,
    ) -> Owed<JoinGroupResponse<'static>> {
        run.send_each(self.conn, |side| JoinGroupRequest {
            member_id: self.id[side],
            ..join.clone()
        })
    }

    /// Reads the answer to a join, and remembers id and generation.
    pub(crate) fn joined(
        &mut self,
        run: &mut Run<'_>,
        owed: Owed<JoinGroupResponse<'static>>,
    ) -> Both<JoinGroupResponse<'static>> {
        let joined = run.read(owed);
        self.id = joined.map(|joined| joined.member_id);
        self.generation = joined[Side::Theirs].generation_id;
        joined
    }

    /// Asks for its part, and gives each of these members theirs.
    pub(crate) fn sync(
        &self,
        run: &mut Run<'_>,
        members: &[&Member],
    ) -> Owed<SyncGroupResponse<'static>> {
        run.send_each(self.conn, |side| self.sync_request(side, members))
    }

    /// The same, of a leader that is answered at once.
    pub(crate) fn leads(&self, run: &mut Run<'_>, members: &[&Member]) {
        run.ask_each(self.conn, |side| self.sync_request(side, members));
    }

    /// What it says when it asks for its part.
    pub(crate) fn sync_request(
        &self,
        side: Side,
        members: &[&Member],
    ) -> SyncGroupRequest<'static> {
        let part = |(i, member): (usize, &&Member)| SyncGroupRequestAssignment {
            member_id: member.id[side],
            assignment: keep::<[u8]>(format!("part {i}").into_bytes()),
        };
        SyncGroupRequest {
            group_id: self.group,
            generation_id: self.generation,
            member_id: self.id[side],
            group_instance_id: self.instance,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: members.iter().enumerate().map(part).collect(),
        }
    }

    /// Says that it lives.
    pub(crate) fn beats(&self, run: &mut Run<'_>) {
        run.ask_each(self.conn, |side| HeartbeatRequest {
            group_id: self.group,
            generation_id: self.generation,
            member_id: self.id[side],
            group_instance_id: self.instance,
        });
    }

    /// Leaves by its id.
    pub(crate) fn leaves(&self, run: &mut Run<'_>) {
        leave(run, self.conn, self.group, &[(self.id, self.instance)]);
    }
}

/// Members leave together, or one at a time where that is all the version knows.
pub(crate) fn leave(
    run: &mut Run<'_>,
    conn: Conn,
    group: &'static str,
    members: &[(Name, Option<&'static str>)],
) {
    run.ask_each(conn, |side| {
        let identity = |(id, instance): &(Name, Option<&'static str>)| MemberIdentity {
            member_id: id[side],
            group_instance_id: *instance,
            reason: Some("enough"),
        };
        LeaveGroupRequest {
            group_id: group,
            member_id: members.first().map_or("", |(id, _)| id[side]),
            members: members.iter().map(identity).collect(),
        }
    });
}
