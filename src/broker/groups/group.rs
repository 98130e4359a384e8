//! One group: its members, its generation, what it is doing, and what can be asked of it.

use super::Claim;
use super::answers::JoinedMember;
use super::members::{Member, Members};
use super::offsets::Offsets;
use super::pending::Pending;
use super::pending_offsets::PendingOffsets;
use super::subscription::TopicNames;
use crate::clock::Mono;
use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// What a group is doing. All but `Empty` and `Stable` is transient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No members; offsets at most.
    Empty,
    /// Members are asked to join the next generation.
    PreparingRebalance {
        /// Who has not joined by then is out.
        until: Mono,
        /// The group was empty before, and waits for more members even when all are there.
        initial: Option<Initial>,
    },
    /// The generation has begun; its leader shares out the work.
    CompletingRebalance,
    /// Everybody has its part.
    Stable,
}

/// The wait of a group that was empty (`group.initial.rebalance.delay.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initial {
    /// It is not put off beyond this.
    pub at_most: Mono,
    /// Members have come since it was put off last, so it is worth to be put off again.
    pub has_grown: bool,
}

/// Why and since when a group rebalances, for the log.
#[derive(Debug)]
pub(super) struct Rebalance {
    pub(super) since: Mono,
    pub(super) reason: String,
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
    /// The members.
    pub members: Members,
    /// Member ids that were given with error 79 and have not come back yet.
    pub(super) pending: Pending,
    /// Who has not asked for its assignment by then is out; none when all have.
    pub(super) sync_until: Option<Mono>,
    /// What consumers of the last generation subscribe to.
    pub(super) subscribed: Option<TopicNames>,
    /// The rebalance under way.
    pub(super) rebalance: Option<Box<Rebalance>>,
    /// Committed offsets.
    pub offsets: Offsets,
    /// Offsets that transactions bring.
    pub pending_offsets: PendingOffsets,
    /// The sync round of its newest record: who reads of this group answers no earlier.
    pub round: u64,
    /// The size of the generation that is in the journal, 0 before the first.
    pub(super) kept_bytes: usize,
    /// What of its memory is in the sum of all groups.
    pub(super) counted_bytes: usize,
}

/// What is due in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A member's session.
    Member(Arc<str>),
    /// The time in which a member may come back with its new id.
    Pending(Arc<str>),
    /// The wait for members that have not asked for their assignment.
    Syncs,
    /// The wait for members to join.
    Joins,
}

impl Group {
    /// An empty group that nothing is known of; what is told of it waits for that round.
    pub(super) fn new(id: Arc<str>, round: u64) -> Group {
        Group {
            id,
            phase: Phase::Empty,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            since_ms: 0,
            members: Members::default(),
            pending: Pending::default(),
            sync_until: None,
            subscribed: None,
            rebalance: None,
            offsets: Offsets::new(),
            pending_offsets: PendingOffsets::default(),
            round,
            kept_bytes: 0,
            counted_bytes: 0,
        }
    }

    /// The state's name, as Kafka writes it.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.phase {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance { .. } => "PreparingRebalance",
            Phase::CompletingRebalance => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }

    /// Whether its members are ordinary consumers, whose metadata the broker can read.
    #[must_use]
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// Whether nothing was ever journaled of it and nobody can come back to it. The first record of a group has
    /// generation 1.
    pub(super) fn is_void(&self) -> bool {
        let has_nobody = self.phase == Phase::Empty && self.pending.is_empty();
        let has_offsets = !self.offsets.is_empty() || !self.pending_offsets.is_empty();
        has_nobody && self.generation_id == 0 && !has_offsets
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Whether a member is who it claims to be.
    pub(super) fn validate(
        &self,
        member_id: &str,
        instance: Option<&str>,
    ) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id);
        let Some(instance) = instance else {
            return member.map(|_| ()).ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        if member.is_some_and(|member| member.group_instance_id.as_deref() == Some(instance)) {
            return Ok(());
        }
        match self.members.of_instance(instance) {
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(_) => Err(ErrorCode::FENCED_INSTANCE_ID),
        }
    }

    /// Whether the member is who it claims to be, and of the generation that is.
    pub(super) fn check_claim(&self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        self.validate(claim.member_id, claim.group_instance_id)?;
        match claim.generation_id == self.generation_id {
            true => Ok(()),
            false => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    /// Whether somebody of these protocols may join: it needs the group's type, and one protocol that all know.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[(&str, &[u8])]) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let is_common = |&(name, _): &(&str, &[u8])| self.members.all_know(name);
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(is_common)
    }

    /// How long a rebalance waits: as long as the most patient member asks for.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts = self.members.values().map(|m| m.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0).max(0).into()
    }

    /// Whether nobody is missing any more in a rebalance.
    pub(super) fn has_all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    /// The members, as their leader is told them.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let told = |(id, member): (&Arc<str>, &Member)| JoinedMember {
            member_id: Arc::clone(id),
            group_instance_id: member.group_instance_id.clone(),
            metadata: member.said_of(protocol).cloned().unwrap_or_default(),
        };
        self.members.iter().map(told).collect()
    }

    /// When something is due next, if anything ever is.
    pub(super) fn due(&self) -> Option<Mono> {
        let sessions = self.members.values().filter_map(|member| member.deadline);
        let pending = self.pending.first().map(|(at, _)| at);
        let joins = match self.phase {
            Phase::PreparingRebalance { until, .. } => Some(until),
            _ => None,
        };
        sessions
            .chain(pending)
            .chain(self.sync_until)
            .chain(joins)
            .min()
    }

    /// One thing that is due.
    pub(super) fn overdue(&self, now: Mono) -> Option<Due> {
        let is_out = |member: &Member| member.deadline.is_some_and(|at| at <= now);
        if let Some((id, _)) = self.members.iter().find(|(_, member)| is_out(member)) {
            return Some(Due::Member(Arc::clone(id)));
        }
        if let Some((_, id)) = self.pending.first().filter(|&(at, _)| at <= now) {
            return Some(Due::Pending(Arc::clone(id)));
        }
        match self.phase {
            _ if self.sync_until.is_some_and(|at| at <= now) => Some(Due::Syncs),
            Phase::PreparingRebalance { until, .. } if until <= now => Some(Due::Joins),
            _ => None,
        }
    }

    /// What must hold between turns.
    pub(super) fn check_invariants(&self) {
        self.members.check_invariants();
        self.pending_offsets.check_invariants();
        let is_preparing = matches!(self.phase, Phase::PreparingRebalance { .. });
        for (id, member) in self.members.iter() {
            let is_waiting = member.joining.is_some() || member.syncing.is_some();
            assert!(!self.pending.contains(id), "a member is not pending");
            assert!(is_waiting || member.deadline.is_some(), "a session ends");
            assert!(member.joining.is_none() || is_preparing);
            assert!(member.syncing.is_none() || self.phase == Phase::CompletingRebalance);
            assert!(!member.is_unsynced || self.sync_until.is_some());
        }
        match self.phase {
            Phase::Empty => assert!(self.members.is_empty()),
            Phase::PreparingRebalance { .. } => assert!(self.sync_until.is_none()),
            _ => assert!(!self.members.is_empty()),
        }
        match &self.leader {
            None => assert!(self.members.is_empty(), "members have a leader"),
            Some(leader) => assert!(self.members.contains_key(leader), "a leader is a member"),
        }
        assert!(self.members.is_empty() || self.members.vote().is_some());
        assert!(self.members.is_empty() || self.protocol_type.is_some());
    }
}
