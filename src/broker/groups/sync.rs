//! SyncGroup: the leader shares out the work, the others wait for their part of it.

use super::super::record::Record;
use super::super::wait::Ticket;
use super::Sync;
use super::answers::Synced;
use super::group::{Generation, GenerationMember, Group, Phase};
use super::members::Member;
use super::work::{LOG, Paid, Work};
use crate::proto::error::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Work<'_> {
    /// A member asks for its assignment, and brings all of them if it is the leader.
    pub(super) fn sync(&mut self, sync: &Sync<'_>, ticket: Ticket) -> Option<Record> {
        let member_id = sync.claim.member_id;
        if let Err(error) = self.group.check_sync(sync) {
            return self.refuse_sync(ticket, error);
        }
        if matches!(self.group.phase, Phase::PreparingRebalance { .. }) {
            return self.refuse_sync(ticket, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let Some(member) = self.group.members.get_mut(member_id) else {
            return self.refuse_sync(ticket, ErrorCode::UNKNOWN_MEMBER_ID);
        };
        member.is_unsynced = false;
        if self.group.phase == Phase::Stable {
            let assignment = Arc::clone(&member.assignment);
            let answer = self.group.synced(assignment);
            self.pay(ticket, answer);
            self.group.end_sync_wait();
            return None;
        }
        member.deadline = None;
        if let Some(overtaken) = member.syncing.replace(ticket) {
            self.refuse_sync(overtaken, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.group.end_sync_wait();
        match self.group.is_leader(member_id) {
            true => self.share_out(&sync.assignments),
            false => None,
        }
    }

    /// The leader has spoken: its word becomes a record, and whoever waits is answered when that is applied.
    fn share_out(&mut self, assignments: &[(&str, &[u8])]) -> Option<Record> {
        let parts: BTreeMap<&str, &[u8]> = assignments.iter().copied().collect();
        let part_of = |id: &Arc<str>, _: &Member| -> Arc<[u8]> {
            parts.get(&**id).copied().unwrap_or_default().into()
        };
        let generation = self.group.generation(self.now.wall_ms, part_of);
        if self.is_too_large(&generation) {
            self.cancel_syncs(ErrorCode::UNKNOWN_SERVER_ERROR);
            return self.prepare("the assignments are too large to be kept".to_owned());
        }
        for (_, member) in self.group.members.iter_mut() {
            if member.syncing.is_some() {
                member.begin_session(self.now.mono);
            }
        }
        self.tell_stable();
        Some(self.group.record(generation))
    }

    /// The one line that a completed rebalance is worth.
    fn tell_stable(&mut self) {
        let group = &self.group;
        let (since, reason) = match &group.rebalance {
            Some(rebalance) => (rebalance.since, rebalance.reason.as_str()),
            None => (self.now.mono, ""),
        };
        let Some(left_out) = self.logged.admit(self.now.mono) else {
            return;
        };
        let (id, generation, members) = (&group.id, group.generation_id, group.members.len());
        let ms = self.now.mono.since_us(since) / 1000;
        log::info!(
            target: LOG,
            "group {id:?} is stable generation={generation} members={members} ms={ms} reason={reason:?}"
        );
        if left_out > 0 {
            log::info!(target: LOG, "{left_out} rebalances more were completed in the minute before");
        }
    }

    /// Those who have not asked for their assignment in time are out.
    pub(super) fn end_syncs(&mut self) -> Option<Record> {
        let members = self.group.members.iter();
        let unsynced = members.filter(|(_, member)| member.is_unsynced);
        let unsynced: Vec<Arc<str>> = unsynced.map(|(id, _)| Arc::clone(id)).collect();
        self.group.sync_until = None;
        if unsynced.is_empty() {
            return None;
        }
        for id in &unsynced {
            self.remove(id);
        }
        self.prepare(format!(
            "members {unsynced:?} have not asked for their assignments"
        ))
    }
}

impl Group {
    fn check_sync(&self, sync: &Sync<'_>) -> Result<(), ErrorCode> {
        let claim = &sync.claim;
        self.validate(claim.member_id, claim.group_instance_id)?;
        if claim.generation_id != self.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let is_wrong = |said: Option<&str>, is: &Option<Arc<str>>| match (said, is) {
            (Some(said), Some(is)) => *said != **is,
            _ => false,
        };
        match is_wrong(sync.protocol_type, &self.protocol_type)
            || is_wrong(sync.protocol_name, &self.protocol_name)
        {
            true => Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
            false => Ok(()),
        }
    }

    fn synced(&self, assignment: Arc<[u8]>) -> Synced {
        Synced {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        }
    }

    fn end_sync_wait(&mut self) {
        if !self.members.values().any(|member| member.is_unsynced) {
            self.sync_until = None;
        }
    }

    /// Makes a journaled generation true.
    pub(super) fn settle(&mut self, generation: Generation, paid: &mut Vec<Paid>) {
        debug_assert!(
            generation.id >= self.generation_id,
            "generations never fall"
        );
        self.generation_id = generation.id;
        self.protocol_type = generation.protocol_type;
        self.protocol_name = generation.protocol_name;
        self.leader = generation.leader;
        self.since_ms = generation.since_ms;
        self.rebalance = None;
        self.phase = match generation.members.is_empty() {
            true => Phase::Empty,
            false => Phase::Stable,
        };
        let protocol = self.protocol_name.clone().unwrap_or_default();
        let mut living = std::mem::take(&mut self.members);
        for member in generation.members {
            let id = Arc::clone(&member.member_id);
            let mut member = member.settle(living.remove(&id), &protocol);
            if let Some(ticket) = member.syncing.take() {
                paid.push(Paid {
                    ticket,
                    group: Arc::clone(&self.id),
                    answer: self.synced(Arc::clone(&member.assignment)).into(),
                });
            }
            self.members.insert(id, member);
        }
        self.read_subscriptions();
    }
}

impl GenerationMember {
    /// The member. Unless it is replayed, it lives and has said what the record says; then what is transient about it
    /// stays, and what it has said of other protocols.
    fn settle(self, lived: Option<Member>, protocol: &Arc<str>) -> Member {
        let member = Member {
            group_instance_id: self.group_instance_id,
            client_id: self.client_id,
            client_host: self.client_host,
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            protocols: vec![(Arc::clone(protocol), Arc::clone(&self.metadata))],
            assignment: self.assignment,
            deadline: None,
            joining: None,
            syncing: None,
            is_unsynced: false,
        };
        match lived {
            Some(lived) if lived.said_of(protocol) == Some(&self.metadata) => Member {
                protocols: lived.protocols,
                deadline: lived.deadline,
                joining: lived.joining,
                syncing: lived.syncing,
                is_unsynced: lived.is_unsynced,
                ..member
            },
            _ => member,
        }
    }
}
