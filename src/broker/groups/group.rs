//! One group: its members, its generation, and what it is doing.

use super::super::wait::Ticket;
use super::offsets::Offsets;
use crate::clock::Mono;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the journal knows of a group: the generation that was settled last. Applying it makes the group `Stable`, or
/// `Empty` when it has no members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Counts rebalances, from 1; 0 before the first.
    pub id: i32,
    /// `consumer`, `connect` ...; none of a group that only commits offsets.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for.
    pub protocol_name: Option<Arc<str>>,
    /// The member that shares out the work.
    pub leader: Option<Arc<str>>,
    /// Since when, in milliseconds since 1970: an empty group's offsets are kept from then on.
    pub since_ms: i64,
    /// The members and their parts of the work.
    pub members: Vec<GenerationMember>,
}

/// A member of a settled generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id, when it is a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The client's name for itself.
    pub client_id: Arc<str>,
    /// Where it comes from.
    pub client_host: Arc<str>,
    /// Silent for longer, it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// What it says about itself in the protocol that was chosen.
    pub metadata: Arc<[u8]>,
    /// Its part of the work, as the leader has written it.
    pub assignment: Arc<[u8]>,
}

/// What a group is doing. All but `Empty` and `Stable` is transient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No members; offsets at most.
    Empty,
    /// Members are asked to join the next generation.
    PreparingRebalance {
        /// Who has not joined by then is out.
        until: Mono,
        /// The group was empty before: it waits for more members even when all are there (`group.initial.rebalance.delay.ms`);
        /// the last moment that this may be put off to.
        initial: Option<Mono>,
    },
    /// The generation has begun; its leader shares out the work.
    CompletingRebalance {
        /// Who has not asked for its assignment by then is out.
        until: Mono,
    },
    /// Everybody has its part.
    Stable,
}

/// A member, as a living group knows it.
#[derive(Debug)]
pub struct Member {
    /// Its instance id, when it is a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The client's name for itself.
    pub client_id: Arc<str>,
    /// Where it comes from.
    pub client_host: Arc<str>,
    /// Silent for longer, it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// Names and metadata, its favourite first.
    pub protocols: Vec<(Arc<str>, Arc<[u8]>)>,
    /// Its part of the work.
    pub assignment: Arc<[u8]>,
    /// When its session ends; none while it waits for an answer of ours.
    pub(super) deadline: Option<Mono>,
    /// Its JoinGroup, until the generation begins.
    pub(super) joining: Option<Ticket>,
    /// Its SyncGroup, until the leader has shared out the work.
    pub(super) syncing: Option<Ticket>,
}

/// A group.
#[derive(Debug)]
pub struct Group {
    /// Its id.
    pub id: Arc<str>,
    /// What it is doing.
    pub phase: Phase,
    /// The generation that is, or was last; a rebalance under way will begin the next.
    pub generation_id: i32,
    /// `consumer`, `connect` ...; none of a group that only commits offsets.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for.
    pub protocol_name: Option<Arc<str>>,
    /// The member that shares out the work.
    pub leader: Option<Arc<str>>,
    /// Since when it is `Stable` or `Empty`, in milliseconds since 1970.
    pub since_ms: i64,
    /// The members by id.
    pub members: BTreeMap<Arc<str>, Member>,
    /// Member ids that were given with error 79 and have not come back yet, and until when they may.
    pub(super) pending: BTreeMap<Arc<str>, Mono>,
    /// Committed offsets.
    pub offsets: Offsets,
    /// The sync round of its newest record: who reads of this group answers no earlier.
    pub round: u64,
}
