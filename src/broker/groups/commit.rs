//! Who may commit offsets to a group.

use super::Claim;
use super::group::{Group, Phase};
use super::work::Work;
use crate::proto::error::ErrorCode;

/// From this version on OffsetCommit knows error 69.
const COMMIT_KNOWS_MISSING_GROUPS: i16 = 9;

/// Whether offsets may be committed to a group that does not exist: then it is made, unless the claim names a
/// generation.
pub(super) fn check_first_commit(claim: &Claim<'_>, version: i16) -> Result<(), ErrorCode> {
    check_first_pending_commit(claim).map_err(|code| match version {
        ..COMMIT_KNOWS_MISSING_GROUPS => code,
        _ => ErrorCode::GROUP_ID_NOT_FOUND,
    })
}

/// Whether a transaction may bring offsets for a group that does not exist: then it is made, unless the claim names a
/// generation.
pub(super) fn check_first_pending_commit(claim: &Claim<'_>) -> Result<(), ErrorCode> {
    match claim.generation_id {
        ..0 => Ok(()),
        _ => Err(ErrorCode::ILLEGAL_GENERATION),
    }
}

impl Group {
    /// Whether a transaction may bring offsets under this claim. Whatever the group is doing, a producer may that says
    /// nothing of a member, as before KIP-447. Whoever names one, or a generation, must be of the generation that is.
    pub(super) fn check_pending_commit(&self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        let is_nobody = claim.member_id.is_empty() && claim.group_instance_id.is_none();
        let is_empty = self.phase == Phase::Empty;
        match claim.generation_id {
            ..0 if is_nobody || is_empty => Ok(()),
            _ => self.check_claim(claim),
        }
    }
}

impl Work<'_> {
    /// Whether offsets may be committed under this claim. While the leader shares out the work they may not: a member
    /// that knows the new generation has no partitions in it yet.
    pub(super) fn check_commit(&mut self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        let is_empty = self.group.phase == Phase::Empty;
        if claim.generation_id < 0 && is_empty {
            return Ok(());
        }
        let is_nobody = claim.member_id.is_empty() && claim.group_instance_id.is_none();
        if claim.generation_id < 0 && is_nobody {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        self.group.check_claim(claim)?;
        if self.group.phase == Phase::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.touch(claim.member_id);
        Ok(())
    }
}
