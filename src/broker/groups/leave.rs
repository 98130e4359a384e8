//! LeaveGroup: members that go, and members that an operator removes.

use super::super::record::Record;
use super::Leaver;
use super::group::Phase;
use super::words::{because, cut, named_members};
use super::work::{LOG, Work};
use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// What became of one member that was to leave; the ids are those of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id.
    pub group_instance_id: Option<Arc<str>>,
    /// Whether it has left.
    pub error: ErrorCode,
}

impl Left {
    fn new(leaver: &Leaver<'_>, error: ErrorCode) -> Left {
        Left {
            member_id: leaver.member_id.into(),
            group_instance_id: leaver.group_instance_id.map(Into::into),
            error,
        }
    }
}

/// The answer of a group that does not exist.
pub(super) fn unknown(leavers: &[Leaver<'_>]) -> Vec<Left> {
    let unknown = |leaver| Left::new(leaver, ErrorCode::UNKNOWN_MEMBER_ID);
    leavers.iter().map(unknown).collect()
}

impl Work<'_> {
    /// Takes the members out, and what became of each goes to `left`. One rebalance follows, also when only an id has
    /// gone whose member had not come yet.
    pub(super) fn leave(&mut self, leavers: &[Leaver<'_>], left: &mut Vec<Left>) -> Option<Record> {
        let mut gone = Vec::new();
        for leaver in leavers {
            let found = self.find_leaver(leaver);
            left.push(Left::new(
                leaver,
                found.as_ref().err().copied().unwrap_or(ErrorCode::NONE),
            ));
            if let Ok(id) = found {
                let why = because(leaver.reason);
                log::debug!(target: LOG, "group {:?}: {:?} leaves{why}", cut(&self.group.id), cut(&id));
                self.remove(&id);
                gone.push(id);
            }
        }
        match self.group.phase {
            _ if gone.is_empty() => None,
            Phase::Empty => None,
            _ => self.rebalance(|| format!("{} left", named_members(&gone))),
        }
    }

    /// The id of the member that is meant. An operator names a static member without its id.
    fn find_leaver(&self, leaver: &Leaver<'_>) -> Result<Arc<str>, ErrorCode> {
        let Leaver {
            member_id,
            group_instance_id,
            ..
        } = *leaver;
        if member_id.is_empty() {
            let named = group_instance_id.and_then(|id| self.group.members.of_instance(id));
            return named.cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !self.group.pending.contains(member_id) {
            self.group.validate(member_id, group_instance_id)?;
        }
        Ok(member_id.into())
    }
}
