//! What the broker does for groups: asks `groups`, and journals at once what it wants to be journaled.

use super::Broker;
use super::groups::offsets::{self, Offsets};
use super::groups::{Claim, Group, Groups, Join, Leaver, Left, Sync};
use super::record::Record;
use super::wait::Ticket;
use crate::clock::{Mono, Now};
use crate::proto::error::ErrorCode;
use crate::storage::PartitionId;
use std::sync::Arc;

/// What an offset takes in the journal besides the group's id: key, value and text, about.
const OFFSET_BYTES: usize = 200;

impl Broker {
    /// The groups, to read.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.state.groups
    }

    /// A member joins; the ticket is answered with `Answer::Joined`.
    pub fn join_group(&mut self, join: Join<'_>, ticket: Ticket, now: Now) {
        let is_short = !self.may_grow(0);
        self.state.groups.set_short(is_short);
        let record = self.state.groups.join(join, ticket, now);
        self.commit_each(record);
    }

    /// A member asks for its assignment; the ticket is answered with `Answer::Synced`.
    pub fn sync_group(&mut self, sync: Sync<'_>, ticket: Ticket, now: Now) {
        let parts = sync.assignments.iter();
        let is_short = !self.may_grow(parts.map(|(id, part)| id.len() + part.len()).sum());
        self.state.groups.set_short(is_short);
        let record = self.state.groups.sync(sync, ticket, now);
        self.commit_each(record);
    }

    /// A member says that it lives.
    pub fn heartbeat(&mut self, claim: Claim<'_>, now: Now) -> ErrorCode {
        self.state.groups.heartbeat(claim, now)
    }

    /// Members leave: what became of each, in their order.
    ///
    /// # Errors
    /// When nothing can be said of any of them.
    pub fn leave_group(
        &mut self,
        group_id: &str,
        leavers: &[Leaver<'_>],
        now: Now,
    ) -> Result<Vec<Left>, ErrorCode> {
        let (left, record) = self.state.groups.leave(group_id, leavers, now);
        self.commit_each(record);
        left
    }

    /// Whether the member, or a consumer that is none, may commit offsets; a member's session goes on by it.
    ///
    /// # Errors
    /// Why not, for the whole request.
    pub fn check_commit(
        &mut self,
        claim: Claim<'_>,
        version: i16,
        now: Now,
    ) -> Result<(), ErrorCode> {
        self.state.groups.check_commit(claim, version, now)
    }

    /// Whether the group may have an offset of that partition, and so many others of the same request: while the disk
    /// is full, only one that takes the place of another (else 15).
    ///
    /// # Errors
    /// Why not.
    pub fn check_place(
        &mut self,
        group_id: &str,
        at: &PartitionId,
        others: usize,
    ) -> Result<(), ErrorCode> {
        let has_one = |group: &Group| group.offsets.contains_key(at);
        let bytes = (others + 1) * (group_id.len() + OFFSET_BYTES);
        match self.groups().get(group_id).is_some_and(has_one) || self.may_grow(bytes) {
            true => Ok(()),
            false => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    /// Keeps offsets of a group. Answers the round that they belong to. They are independent of each other: who hears
    /// nothing because of a cut commits them again.
    pub fn commit_offsets(&mut self, group_id: &str, all: Offsets) -> u64 {
        let records = self.state.groups.commit(group_id, all);
        self.commit_in_parts(records)
    }

    /// Whether a transaction may bring so many offsets of the group under that claim.
    ///
    /// # Errors
    /// 22, 25, 82 of the claim, 15 while the journal is short; for the whole request.
    pub fn check_pending_commit(
        &mut self,
        claim: &Claim<'_>,
        count: usize,
    ) -> Result<(), ErrorCode> {
        self.state.groups.check_pending_commit(claim)?;
        match self.may_grow(count * (claim.group_id.len() + OFFSET_BYTES)) {
            true => Ok(()),
            false => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    /// Keeps offsets that a producer's transaction brings for a group that is in it. Answers the round that they belong
    /// to. Who hears nothing because of a cut sends them again, or aborts.
    pub fn commit_pending_offsets(
        &mut self,
        producer_id: i64,
        group_id: &str,
        all: Offsets,
    ) -> u64 {
        let records = self.state.groups.commit_pending(producer_id, group_id, all);
        self.commit_in_parts(records)
    }

    /// Forgets offsets of a group, pending ones too. Answers the round that this belongs to. Who hears nothing because
    /// of a cut asks again.
    pub fn forget_offsets(&mut self, group_id: &str, all: Vec<PartitionId>) -> u64 {
        let known = self.groups().get(group_id);
        let doomed = known.map(|group| offsets::tombstones(group, all).collect());
        self.commit_in_parts(doomed.unwrap_or_default())
    }

    /// Deletes a group without members, and all its offsets. Answers the round that this belongs to. A cut may leave
    /// the group, with fewer offsets: it is deleted when that is asked again.
    ///
    /// # Errors
    /// 69 when there is no such group, 68 when it has members.
    pub fn delete_group(&mut self, group_id: &str) -> Result<u64, ErrorCode> {
        let group = self.state.groups.removable(group_id)?;
        let records = offsets::all_of(group);
        Ok(self.commit_in_parts(records))
    }

    /// After the replay: sessions begin anew, and offsets of topics that are not there any more go. A deletion of a
    /// topic that was cut off leaves such offsets.
    pub(super) fn resume_groups(&mut self, now: Now) {
        let topics = &self.state.topics;
        let orphans = self.state.groups.offsets_where(|at| !topics.has(at.topic));
        // The next start finds what a cut leaves of them.
        self.commit_in_parts(orphans);
        self.state.groups.resume(now);
    }

    pub(super) fn tick_groups(&mut self, now: Now) {
        let records = self.state.groups.tick(now);
        self.commit_each(records);
        if self.offsets_check <= now.mono {
            let every_ms = self.state.config.offsets_retention_check_interval_ms;
            self.offsets_check = now.mono.plus_ms(every_ms);
            let aged = self.aged_offsets(now);
            // The next check finds what a cut leaves of them.
            self.commit_in_parts(aged);
        }
    }

    pub(super) fn next_group_deadline(&self) -> Option<Mono> {
        let sessions = self.state.groups.next_deadline().into_iter();
        sessions.chain([self.offsets_check]).min()
    }

    /// What must hold between turns: whoever brings an offset has a transaction that will decide about it.
    pub(super) fn check_group_invariants(&self) {
        self.state.groups.check_invariants();
        for group in self.state.groups.iter() {
            for producer_id in group.pending_offsets.producers() {
                let txn = self.state.transactions.of_producer(producer_id);
                let knows = txn.is_some_and(|txn| txn.groups.contains(&group.id));
                assert!(
                    knows,
                    "{producer_id} brings offsets of {:?} for nothing",
                    group.id
                );
            }
        }
    }

    /// What age makes of the groups and their offsets.
    fn aged_offsets(&mut self, now: Now) -> Vec<Record> {
        let retention_ms = i64::from(self.state.config.offsets_retention_minutes) * 60_000;
        if !self.steadiness.is_steady_for(retention_ms) {
            return Vec::new();
        }
        let topics = &self.state.topics;
        let name_of = |id| topics.by_id(id).map(|topic| Arc::clone(&topic.name));
        let groups = self.state.groups.iter();
        groups
            .flat_map(|group| offsets::aged(group, now.wall_ms, retention_ms, name_of))
            .collect()
    }

    /// Journals what different groups want, one by one: together they may be too large.
    fn commit_each(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.commit(vec![record]);
        }
    }
}
