//! Sessions: heartbeats, commits that count as such, and what happens when they end.

use super::super::record::Record;
use super::Claim;
use super::group::{Due, Phase};
use super::work::{LOG, Work};
use crate::proto::error::ErrorCode;

/// From this version on OffsetCommit knows error 69.
const COMMIT_KNOWS_MISSING_GROUPS: i16 = 9;

/// Whether offsets may be committed to a group that does not exist: then it is made, unless the claim names a generation.
pub(super) fn check_first_commit(claim: &Claim<'_>, version: i16) -> Result<(), ErrorCode> {
    match claim.generation_id {
        ..0 => Ok(()),
        _ if version >= COMMIT_KNOWS_MISSING_GROUPS => Err(ErrorCode::GROUP_ID_NOT_FOUND),
        _ => Err(ErrorCode::ILLEGAL_GENERATION),
    }
}

impl Work<'_> {
    /// A member says that it lives. Once the next generation has begun, those who have not heard of it are told 22.
    pub(super) fn heartbeat(&mut self, claim: &Claim<'_>) -> ErrorCode {
        if let Err(error) = self.check_claim(claim) {
            return error;
        }
        self.touch(claim.member_id);
        match self.group.phase {
            Phase::PreparingRebalance { .. } => ErrorCode::REBALANCE_IN_PROGRESS,
            _ => ErrorCode::NONE,
        }
    }

    /// Whether offsets may be committed under this claim. While the leader shares out the work they may not: a member that
    /// knows the new generation has no partitions in it yet.
    pub(super) fn check_commit(&mut self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        let is_empty = self.group.phase == Phase::Empty;
        if claim.generation_id < 0 && is_empty {
            return Ok(());
        }
        let is_nobody = claim.member_id.is_empty() && claim.group_instance_id.is_none();
        if claim.generation_id < 0 && is_nobody {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.check_claim(claim)?;
        if self.group.phase == Phase::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.touch(claim.member_id);
        Ok(())
    }

    fn check_claim(&self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        let group = &self.group;
        group.validate(claim.member_id, claim.group_instance_id)?;
        match claim.generation_id == group.generation_id {
            true => Ok(()),
            false => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    fn touch(&mut self, member_id: &str) {
        if let Some(member) = self.group.members.get_mut(member_id) {
            member.touch(self.now.mono);
        }
    }

    /// Ends what is due, until nothing is or a record has to be applied first.
    pub(super) fn expire(&mut self) -> Option<Record> {
        while let Some(due) = self.group.overdue(self.now.mono) {
            let record = match due {
                Due::Member(id) => self.lose(&id),
                Due::Pending(id) => {
                    log::debug!(target: LOG, "group {:?}: {id:?} has not come back", self.group.id);
                    self.remove(&id);
                    self.begin_if_nobody_is_missed()
                }
                Due::Syncs => self.end_syncs(),
                Due::Joins => self.end_joins(),
            };
            if record.is_some() {
                return record;
            }
        }
        None
    }

    /// A member has been silent for too long.
    fn lose(&mut self, id: &str) -> Option<Record> {
        log::debug!(target: LOG, "group {:?}: {id:?} was silent for too long", self.group.id);
        self.remove(id);
        match self.group.phase {
            Phase::PreparingRebalance { .. } => self.begin_if_nobody_is_missed(),
            _ => self.prepare(format!("member {id:?} was silent for too long")),
        }
    }

    /// After a restart: the members have their whole session to be heard again.
    pub(super) fn resume(&mut self) {
        for (_, member) in self.group.members.iter_mut() {
            member.begin_session(self.now.mono);
        }
        let (count, most) = (self.group.members.len(), self.config.group_max_size);
        if count > most {
            // Nobody has joined yet, so that no generation can begin and there is nothing to journal.
            self.prepare(format!(
                "{count} members are more than group.max.size allows"
            ));
        }
    }
}
