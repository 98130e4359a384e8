//! A static member that comes back without its id: it takes the place of its predecessor (KIP-345).
//!
//! In a stable group nothing needs to be shared out anew, as long as the protocol stays: the newcomer has the
//! predecessor's assignment, and the group is journaled with its new id. Its client's name and address stay those of the
//! predecessor, as in Kafka.

use super::super::record::Record;
use super::super::wait::Ticket;
use super::Join;
use super::answers::{Joined, Synced};
use super::group::{Group, Phase};
use super::join::if_told;
use super::members::{Member, Protocols};
use super::work::{LOG, Work};
use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// What a static member has said before it was replaced.
struct Former {
    protocols: Protocols,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
}

impl Work<'_> {
    /// Puts the newcomer into the place of `old_id`.
    pub(super) fn replace(
        &mut self,
        join: &Join<'_>,
        old_id: &Arc<str>,
        new_id: Arc<str>,
        ticket: Ticket,
    ) -> Option<Record> {
        log::debug!(target: LOG, "group {:?}: {new_id:?} takes the place of {old_id:?}", self.group.id);
        let old_leader = self.group.leader.clone();
        self.fence(old_id);
        self.group.rename(old_id, &new_id);
        let former = self.group.former(&new_id);
        self.update(&new_id, join, ticket);
        match self.group.phase {
            Phase::PreparingRebalance { .. } => self.begin_if_all_joined(),
            Phase::Stable if self.group.members.vote() == self.group.protocol_name => {
                let old_leader = old_leader.unwrap_or_default();
                let record = self.settle_replaced(join, &new_id, &old_leader);
                if record.is_none() {
                    self.take_back(old_id, &new_id, former);
                }
                record
            }
            _ => self.prepare(format!(
                "static member {new_id:?} has come back: {}",
                if_told(join.reason)
            )),
        }
    }

    /// Whoever still waits under the old id has been replaced.
    fn fence(&mut self, old_id: &str) {
        let Some(member) = self.group.members.get_mut(old_id) else {
            return;
        };
        let error = ErrorCode::FENCED_INSTANCE_ID;
        let (joining, syncing) = (member.joining.take(), member.syncing.take());
        member.begin_session(self.now.mono);
        if let Some(ticket) = joining {
            self.pay(ticket, Joined::refused(error, old_id));
        }
        if let Some(ticket) = syncing {
            self.pay(ticket, Synced::refused(error));
        }
    }

    /// The stable group with its new member, and the answer to it; none if that is too large to be kept.
    ///
    /// A leader that does not know that it may skip the assignment is not told that it is the leader.
    fn settle_replaced(
        &mut self,
        join: &Join<'_>,
        new_id: &str,
        old_leader: &Arc<str>,
    ) -> Option<Record> {
        let current = |_: &Arc<str>, member: &Member| Arc::clone(&member.assignment);
        let generation = self.group.generation(self.group.since_ms, current);
        let member = self.group.members.get_mut(new_id)?;
        let ticket = member.joining.take()?;
        member.begin_session(self.now.mono);
        let mut answer = self.group.joined(new_id);
        if self.is_too_large(&generation) {
            answer.error = ErrorCode::UNKNOWN_SERVER_ERROR;
            answer.member_id = Arc::default();
            answer.members.clear();
            answer.leader = Arc::clone(old_leader);
            self.pay(ticket, answer);
            return None;
        }
        if join.supports_skipping_assignment {
            answer.skip_assignment = self.group.is_leader(new_id);
        } else {
            answer.members.clear();
            answer.leader = Arc::clone(old_leader);
        }
        self.pay(ticket, answer);
        Some(self.group.record(generation))
    }

    /// The newcomer could not be kept: everything is as before.
    fn take_back(&mut self, old_id: &Arc<str>, new_id: &Arc<str>, former: Option<Former>) {
        if let (Some(former), Some(member)) = (former, self.group.members.get_mut(new_id)) {
            member.protocols = former.protocols;
            member.session_timeout_ms = former.session_timeout_ms;
            member.rebalance_timeout_ms = former.rebalance_timeout_ms;
        }
        self.group.rename(new_id, old_id);
    }
}

impl Group {
    fn former(&self, member_id: &str) -> Option<Former> {
        let member = self.members.get(member_id)?;
        Some(Former {
            protocols: member.protocols.clone(),
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
        })
    }

    /// A member gets another id, and stays the leader if it is.
    fn rename(&mut self, from: &Arc<str>, to: &Arc<str>) {
        if let Some(member) = self.members.remove(from) {
            self.members.insert(Arc::clone(to), member);
        }
        if self.is_leader(from) {
            self.leader = Some(Arc::clone(to));
        }
    }
}
