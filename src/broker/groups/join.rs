//! JoinGroup: who may join, and as whom.

use super::super::record::Record;
use super::super::wait::Ticket;
use super::Join;
use super::answers::Joined;
use super::group::{Group, Phase};
use super::members::{Member, Protocols};
use super::words::{because, cut};
use super::work::{LOG, Work};
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use std::fmt::Write;
use std::sync::Arc;

/// A member that has never had an answer is out after this long (Kafka's `group.new.member.join.timeout.ms`).
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// A string on the wire has at most so many bytes.
const MAX_ID_BYTES: usize = i16::MAX as usize;

impl Work<'_> {
    /// A member joins: by the id that it has, or as somebody new.
    pub(super) fn join(&mut self, join: &Join<'_>, ticket: Ticket) -> Option<Record> {
        if !self.has_room_for(join.member_id) {
            self.remove(join.member_id);
            return self.refuse_join(ticket, ErrorCode::GROUP_MAX_SIZE_REACHED, "");
        }
        if !self.group.supports(join.protocol_type, &join.protocols) {
            let error = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
            return self.refuse_join(ticket, error, join.member_id);
        }
        if !join.member_id.is_empty() {
            return self.rejoin(join, ticket);
        }
        let new_id = new_member_id(join);
        let Some(instance) = join.group_instance_id else {
            return self.join_anew(join, new_id, ticket);
        };
        match self.group.members.of_instance(instance).cloned() {
            Some(old_id) => self.replace(join, &old_id, &new_id, ticket),
            None => self.add(join, new_id, ticket),
        }
    }

    /// While a rebalance is prepared, those count that have joined: so a group that is too large shrinks by those that
    /// come back last.
    fn has_room_for(&self, member_id: &str) -> bool {
        let members = &self.group.members;
        let member = members.get(member_id);
        match self.group.phase {
            Phase::Empty => true,
            Phase::PreparingRebalance { .. } => {
                let waiting = members.values().filter(|member| member.joining.is_some());
                member.is_some_and(|member| member.joining.is_some())
                    || waiting.count() < self.config.group_max_size
            }
            Phase::CompletingRebalance | Phase::Stable => {
                member.is_some() || members.len() < self.config.group_max_size
            }
        }
    }

    /// A client that does not know its id yet, and is told it first if it can come again (KIP-394): otherwise every
    /// request that it gives up would leave a member behind.
    fn join_anew(&mut self, join: &Join<'_>, new_id: Arc<str>, ticket: Ticket) -> Option<Record> {
        if !join.requires_known_member_id {
            return self.add(join, new_id, ticket);
        }
        let until = self.now.mono.plus_ms(join.session_timeout_ms.into());
        let refused = self.refuse_join(ticket, ErrorCode::MEMBER_ID_REQUIRED, &new_id);
        self.group.pending.insert(new_id, until);
        refused
    }

    /// A client that knows its id.
    fn rejoin(&mut self, join: &Join<'_>, ticket: Ticket) -> Option<Record> {
        let member_id = join.member_id;
        if self.group.pending.contains(member_id) {
            if join.group_instance_id.is_some() {
                return self.refuse_join(ticket, ErrorCode::UNKNOWN_SERVER_ERROR, "");
            }
            return self.add(join, member_id.into(), ticket);
        }
        if let Err(error) = self.group.validate(member_id, join.group_instance_id) {
            self.pay(ticket, Joined::refused(error, member_id));
            return None;
        }
        if self.has_nothing_new(join) {
            let answer = self.group.joined(member_id);
            self.pay(ticket, answer);
            return None;
        }
        self.update(member_id, join, ticket);
        self.rebalance(|| {
            let (id, why) = (cut(member_id), because(join.reason));
            format!("member {id:?} joins again{why}")
        })
    }

    /// Whether the member only has to be told the generation again. A leader that joins a stable group wants a
    /// rebalance: it knows of changes that its metadata does not show.
    fn has_nothing_new(&self, join: &Join<'_>) -> bool {
        let member = self.group.members.get(join.member_id);
        let says_the_same = member.is_some_and(|member| member.says(&join.protocols));
        match self.group.phase {
            Phase::CompletingRebalance => says_the_same,
            Phase::Stable => says_the_same && !self.group.is_leader(join.member_id),
            Phase::Empty | Phase::PreparingRebalance { .. } => false,
        }
    }

    /// A member that the group has not had before.
    fn add(&mut self, join: &Join<'_>, id: Arc<str>, ticket: Ticket) -> Option<Record> {
        let group = &mut *self.group;
        if let Phase::PreparingRebalance {
            initial: Some(initial),
            ..
        } = &mut group.phase
        {
            initial.has_grown = true;
        }
        if group.members.is_empty() {
            group.protocol_type = Some(join.protocol_type.into());
        }
        group.leader.get_or_insert_with(|| Arc::clone(&id));
        group.pending.remove(&id);
        let member = Member {
            group_instance_id: join.group_instance_id.map(Into::into),
            client_id: join.client_id.into(),
            client_host: join.client_host.as_str().into(),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: owned(&join.protocols),
            assignment: Arc::default(),
            deadline: Some(self.now.mono.plus_ms(NEW_MEMBER_JOIN_TIMEOUT_MS)),
            joining: Some(ticket),
            syncing: None,
            is_unsynced: false,
        };
        group.members.insert(Arc::clone(&id), member);
        self.rebalance(|| format!("member {:?} is new{}", cut(&id), because(join.reason)))
    }

    /// A member says anew what it is, and waits for the next generation. A request of its that waits already has been
    /// overtaken.
    pub(super) fn update(&mut self, member_id: &str, join: &Join<'_>, ticket: Ticket) {
        self.group.members.say(member_id, owned(&join.protocols));
        let Some(member) = self.group.members.get_mut(member_id) else {
            return;
        };
        member.session_timeout_ms = join.session_timeout_ms;
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        match member.joining.replace(ticket) {
            Some(overtaken) => {
                let error = ErrorCode::REBALANCE_IN_PROGRESS;
                self.refuse_join(overtaken, error, member_id);
            }
            None => member.deadline = None,
        }
    }
}

impl Group {
    /// What a member is told of the generation.
    pub(super) fn joined(&self, member_id: &str) -> Joined {
        let members = match self.is_leader(member_id) {
            true => self.joined_members(),
            false => Vec::new(),
        };
        Joined {
            error: ErrorCode::NONE,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: member_id.into(),
            members,
        }
    }
}

/// What a member says, to be kept.
pub(super) fn owned(protocols: &[(&str, &[u8])]) -> Protocols {
    let own = |&(name, metadata): &(&str, &[u8])| (name.into(), metadata.into());
    protocols.iter().map(own).collect()
}

/// An id that nobody has: the instance's id or the client's name, and a UUID.
fn new_member_id(join: &Join<'_>) -> Arc<str> {
    const UUID_CHARS: usize = 36;
    let name = join.group_instance_id.unwrap_or(join.client_id);
    let mut room = name.len().min(MAX_ID_BYTES - UUID_CHARS - 1);
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    let mut id = format!("{}-", &name[..room]);
    let Uuid(bytes) = join.fresh_id;
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        // A String takes whatever is written to it.
        let _ = write!(id, "{byte:02x}");
    }
    log::debug!(target: LOG, "group {:?} knows a new member id {:?}", cut(join.group_id), cut(&id));
    id.into()
}
