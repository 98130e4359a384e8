//! A static member that comes back without its id: it takes the place of its predecessor (KIP-345).
//!
//! In a stable group nothing needs to be shared out anew, as long as the protocol stays: the newcomer has the
//! predecessor's assignment, and the group is journaled with its new id. Its client's name and address stay those of
//! the predecessor, as in Kafka.

use super::super::facts::Generation;
use super::super::record::Record;
use super::super::wait::Ticket;
use super::Join;
use super::answers::{Joined, Synced};
use super::group::{Group, Phase, Rebalance};
use super::join::owned;
use super::members::Member;
use super::words::{because, cut};
use super::work::{LOG, Work};
use crate::proto::error::ErrorCode;
use std::sync::Arc;

impl Work<'_> {
    /// Puts the newcomer into the place of `old_id`.
    pub(super) fn replace(
        &mut self,
        join: &Join<'_>,
        old_id: &Arc<str>,
        new_id: &Arc<str>,
        ticket: Ticket,
    ) -> Option<Record> {
        let (old, new) = (cut(old_id), cut(new_id));
        log::debug!(target: LOG, "group {:?}: {new:?} takes the place of {old:?}", cut(&self.group.id));
        self.fence(old_id);
        if self.group.phase == Phase::Stable {
            let former = self.group.members.say(old_id, owned(&join.protocols));
            if self.group.members.vote() == self.group.protocol_name {
                let generation = self.group.replaced(join, old_id, new_id);
                if let Err(error) = self.check_kept(&generation) {
                    self.group.members.say(old_id, former);
                    let answer = self.group.joined("");
                    self.pay(ticket, Joined { error, ..answer });
                    return None;
                }
                self.take_place(join, old_id, new_id, ticket);
                return self.keep(generation);
            }
        }
        self.group.rename(old_id, new_id);
        self.update(new_id, join, ticket);
        self.rebalance(|| came_back(new_id, join))
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

    /// The newcomer is in the stable group and is told so. A leader that does not know that it may skip the assignment
    /// is not told that it is the leader.
    fn take_place(
        &mut self,
        join: &Join<'_>,
        old_id: &Arc<str>,
        new_id: &Arc<str>,
        ticket: Ticket,
    ) {
        let old_leader = self.group.leader.clone().unwrap_or_default();
        self.group.rename(old_id, new_id);
        if let Some(member) = self.group.members.get_mut(new_id) {
            member.session_timeout_ms = join.session_timeout_ms;
            member.begin_session(self.now.mono);
        }
        let mut answer = self.group.joined(new_id);
        if join.supports_skipping_assignment {
            answer.skip_assignment = self.group.is_leader(new_id);
        } else {
            answer.members.clear();
            answer.leader = old_leader;
        }
        self.pay(ticket, answer);
        let (since, reason) = (self.now.mono, came_back(new_id, join));
        self.group.rebalance = Some(Box::new(Rebalance { since, reason }));
    }
}

fn came_back(id: &str, join: &Join<'_>) -> String {
    let (id, why) = (cut(id), because(join.reason));
    format!("static member {id:?} has come back{why}")
}

impl Group {
    /// The generation that is, with the newcomer in the place of `old_id`.
    fn replaced(&self, join: &Join<'_>, old_id: &Arc<str>, new_id: &Arc<str>) -> Generation {
        let current = |_: &Arc<str>, member: &Member| Arc::clone(&member.assignment);
        let mut generation = self.generation(self.since_ms, current);
        if let Some(leader) = generation.leader.as_mut().filter(|id| *id == old_id) {
            *leader = Arc::clone(new_id);
        }
        let members = generation.members.iter_mut();
        for member in members.filter(|member| member.member_id == *old_id) {
            member.member_id = Arc::clone(new_id);
            member.session_timeout_ms = join.session_timeout_ms;
            member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        }
        generation
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
