//! SyncGroup: the leader shares out the work, the others wait for their part of it.

use super::super::record::Record;
use super::super::wait::Ticket;
use super::Sync;
use super::group::{Group, Phase};
use super::members::Member;
use super::words::named_members;
use super::work::Work;
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
        if let Err(error) = self.check_kept(&generation) {
            self.cancel_syncs(error);
            return self.prepare("the assignments could not be kept".to_owned());
        }
        for (_, member) in self.group.members.iter_mut() {
            if member.syncing.is_some() {
                member.begin_session(self.now.mono);
            }
        }
        self.keep(generation)
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
            "{} did not ask for what was assigned",
            named_members(&unsynced)
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

    fn end_sync_wait(&mut self) {
        if !self.members.values().any(|member| member.is_unsynced) {
            self.sync_until = None;
        }
    }
}
