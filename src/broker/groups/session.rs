//! Sessions: how they go on, and what happens when they end.

use super::super::record::Record;
use super::Claim;
use super::group::{Due, Phase};
use super::words::cut;
use super::work::{LOG, Work};
use crate::proto::error::ErrorCode;

impl Work<'_> {
    /// A member says that it lives. Once the next generation has begun, those who have not heard of it are told 22.
    pub(super) fn heartbeat(&mut self, claim: &Claim<'_>) -> ErrorCode {
        if let Err(error) = self.group.check_claim(claim) {
            return error;
        }
        self.touch(claim.member_id);
        match self.group.phase {
            Phase::PreparingRebalance { .. } => ErrorCode::REBALANCE_IN_PROGRESS,
            _ => ErrorCode::NONE,
        }
    }

    /// Its session goes on.
    pub(super) fn touch(&mut self, member_id: &str) {
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
                    log::debug!(target: LOG, "group {:?}: {:?} has not come back", cut(&self.group.id), cut(&id));
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
        let (group, member) = (cut(&self.group.id), cut(id));
        log::debug!(target: LOG, "group {group:?}: {member:?} was silent for too long");
        self.remove(id);
        match self.group.phase {
            Phase::PreparingRebalance { .. } => self.begin_if_nobody_is_missed(),
            _ => self.prepare(format!("member {:?} was silent for too long", cut(id))),
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
