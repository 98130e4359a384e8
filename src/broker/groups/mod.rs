//! Consumer groups of the classic protocol, and the offsets that groups commit.
//!
//! A group's last settled **generation** (members and their assignments) and its committed offsets are journaled; they
//! change only by `apply`, which live operation and replay share. A rebalance under way is transient: who has joined,
//! who waits for an answer, and every deadline. A broker that stops in the middle of one comes back with the
//! generation before it, and members that had heard of the newer one are told to join again.
//!
//! Whatever a call wants to be journaled it returns as records, which the broker commits; answers that are owed are
//! paid while a call runs or a record is applied, and carry the sync round of the group's newest record.

mod group;
pub mod offsets;

pub use group::{Generation, GenerationMember, Group, Member, Phase};

use super::record::Record;
use super::wait::{Ticket, Timers};
use crate::clock::{Mono, Now};
use crate::config::BrokerConfig;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A late answer to a member: what to say, and the sync round that it has to wait for.
#[derive(Debug)]
pub struct Fact {
    /// The answer leaves when this round is durable.
    pub round: u64,
    /// What to say.
    pub answer: Answer,
}

/// What a member is told.
#[derive(Debug)]
pub enum Answer {
    /// To a JoinGroup.
    Joined(Joined),
    /// To a SyncGroup.
    Synced(Synced),
}

/// What a member is told that has asked to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Whether it is in.
    pub error: ErrorCode,
    /// The generation that has begun, or -1.
    pub generation_id: i32,
    /// The group's type of protocol, when there is one.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for.
    pub protocol_name: Option<Arc<str>>,
    /// The member that shares out the work, or nobody.
    pub leader: Arc<str>,
    /// The leader is not to share out anew (KIP-814).
    pub skip_assignment: bool,
    /// The asking member's id, also with error 79.
    pub member_id: Arc<str>,
    /// All members, for the leader.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id, when it is a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// What it says about itself in the protocol that was chosen.
    pub metadata: Arc<[u8]>,
}

/// What a member is told that has asked for its assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Whether it has one.
    pub error: ErrorCode,
    /// The group's type of protocol.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for.
    pub protocol_name: Option<Arc<str>>,
    /// Its part of the work, as the leader has written it.
    pub assignment: Arc<[u8]>,
}

/// What a member says of itself when it joins (JoinGroup).
#[derive(Clone, Debug)]
pub struct Join<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The member's id; empty asks for one.
    pub member_id: &'a str,
    /// The id of a static member.
    pub group_instance_id: Option<&'a str>,
    /// The client's name for itself.
    pub client_id: &'a str,
    /// Where it comes from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
    /// Silent for longer, it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it; at v0 the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, `sr` ...
    pub protocol_type: &'a str,
    /// Names and metadata, the member's favourite first.
    pub protocols: Vec<(&'a str, &'a [u8])>,
    /// The client asks again with the id that error 79 brings (v4+).
    pub requires_known_member_id: bool,
    /// The client knows what `skip_assignment` is (v9+).
    pub supports_skipping_assignment: bool,
    /// Why it joins, for the log (v8+).
    pub reason: Option<&'a str>,
    /// Goes into a new member's id.
    pub fresh_id: Uuid,
}

/// A member that names the generation it believes to be in.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The generation.
    pub generation_id: i32,
    /// The member's id.
    pub member_id: &'a str,
    /// The id of a static member.
    pub group_instance_id: Option<&'a str>,
}

/// A request for an assignment (SyncGroup).
#[derive(Clone, Debug)]
pub struct Sync<'a> {
    /// Who asks.
    pub claim: Claim<'a>,
    /// The type of protocol that the member believes in (v5+).
    pub protocol_type: Option<&'a str>,
    /// The protocol that the member believes in (v5+).
    pub protocol_name: Option<&'a str>,
    /// Assignments by member id, from the leader.
    pub assignments: Vec<(&'a str, &'a [u8])>,
}

/// One member that leaves (LeaveGroup).
#[derive(Clone, Copy, Debug)]
pub struct Leaver<'a> {
    /// Its id; empty or a former one when an instance id names it.
    pub member_id: &'a str,
    /// The id of a static member.
    pub group_instance_id: Option<&'a str>,
    /// Why, for the log (v5+).
    pub reason: Option<&'a str>,
}

/// All groups.
#[derive(Debug)]
pub struct Groups {
    by_id: BTreeMap<Arc<str>, Group>,
    /// When a group is to be looked at next. A heartbeat only moves its member's own deadline, so a group may be
    /// looked at earlier than anything is due, and never later.
    timers: Timers<Arc<str>>,
    paid: Vec<(Ticket, Fact)>,
    config: Arc<BrokerConfig>,
}
