//! Rebalances: how they begin, how long they wait, and how the next generation begins.

use super::super::record::Record;
use super::group::{Initial, Phase, Rebalance};
use super::words::{cut, named_members};
use super::work::{LOG, Work};
use crate::proto::error::ErrorCode;
use std::sync::Arc;

impl Work<'_> {
    /// Something has changed: a rebalance begins, or the one that is being prepared may now be complete.
    pub(super) fn rebalance(&mut self, reason: impl FnOnce() -> String) -> Option<Record> {
        match self.group.phase {
            Phase::PreparingRebalance { .. } => self.begin_if_all_joined(),
            _ => self.prepare(reason()),
        }
    }

    /// Asks all members to join again. Members hear of it by their heartbeats, or in answer to the SyncGroup that is
    /// owed to them.
    pub(super) fn prepare(&mut self, reason: String) -> Option<Record> {
        if self.group.phase == Phase::CompletingRebalance {
            self.cancel_syncs(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let (id, generation) = (cut(&self.group.id), self.group.generation_id);
        log::debug!(target: LOG, "group {id:?} prepares a rebalance generation={generation} reason={reason:?}");
        self.forget_syncs();
        let since = self.now.mono;
        let rebalance = Box::new(Rebalance { since, reason });
        self.group.rebalance.get_or_insert(rebalance);
        let timeout_ms = self.group.rebalance_timeout_ms();
        if self.group.phase == Phase::Empty {
            let delay_ms = self.config.group_initial_rebalance_delay_ms.max(0);
            let initial = Initial {
                at_most: since.plus_ms(timeout_ms.max(delay_ms)),
                has_grown: false,
            };
            self.group.phase = Phase::PreparingRebalance {
                until: since.plus_ms(delay_ms),
                initial: Some(initial),
            };
            return None;
        }
        self.group.phase = Phase::PreparingRebalance {
            until: since.plus_ms(timeout_ms),
            initial: None,
        };
        self.begin_if_all_joined()
    }

    /// A group that was empty before waits in any case.
    pub(super) fn begin_if_all_joined(&mut self) -> Option<Record> {
        match self.group.phase {
            Phase::PreparingRebalance { initial: None, .. } => self.begin_if_nobody_is_missed(),
            _ => None,
        }
    }

    /// Somebody has gone: even a group that was empty before does not wait for more, if all others have joined.
    pub(super) fn begin_if_nobody_is_missed(&mut self) -> Option<Record> {
        match self.group.phase {
            Phase::PreparingRebalance { .. } if self.group.has_all_joined() => self.begin(),
            _ => None,
        }
    }

    /// The time to join is over, unless the group is new and members are still coming.
    pub(super) fn end_joins(&mut self) -> Option<Record> {
        let now = self.now.mono;
        if let Phase::PreparingRebalance {
            until,
            initial: Some(initial),
        } = &mut self.group.phase
            && initial.has_grown
            && *until < initial.at_most
        {
            let delay_ms = self.config.group_initial_rebalance_delay_ms;
            initial.has_grown = false;
            *until = now.plus_ms(delay_ms).min(initial.at_most);
            return None;
        }
        self.begin()
    }

    /// Begins the next generation with those who have joined. Static members are waited for as long as their session
    /// lasts, and stay; but if only such are left, there is nobody to begin with.
    fn begin(&mut self) -> Option<Record> {
        self.drop_the_missing();
        if self.group.members.is_empty() {
            let nobody = self.group.generation_of_nobody(self.now.wall_ms);
            return self.keep(nobody);
        }
        if !self.has_joined_leader() {
            self.wait_on();
            return None;
        }
        let group = &mut *self.group;
        group.generation_id += 1;
        group.protocol_name = group.members.vote();
        group.read_subscriptions();
        group.phase = Phase::CompletingRebalance;
        group.sync_until = Some(self.now.mono.plus_ms(group.rebalance_timeout_ms()));
        let mut waiting = Vec::new();
        for (id, member) in group.members.iter_mut() {
            member.is_unsynced = true;
            member.begin_session(self.now.mono);
            waiting.extend(member.joining.take().map(|ticket| (Arc::clone(id), ticket)));
        }
        for (id, ticket) in waiting {
            let answer = self.group.joined(&id);
            self.pay(ticket, answer);
        }
        None
    }

    fn drop_the_missing(&mut self) {
        let members = self.group.members.iter();
        let is_missing = members
            .filter(|(_, member)| member.joining.is_none() && member.group_instance_id.is_none());
        let missing: Vec<Arc<str>> = is_missing.map(|(id, _)| Arc::clone(id)).collect();
        if !missing.is_empty() {
            log::debug!(target: LOG, "group {:?} goes on without {}", cut(&self.group.id), named_members(&missing));
        }
        for id in missing {
            self.remove(&id);
        }
    }

    /// Whether the leader has joined, or somebody who can be the leader instead.
    fn has_joined_leader(&mut self) -> bool {
        let members = &self.group.members;
        let leader = self.group.leader.as_ref().and_then(|id| members.get(id));
        if leader.is_some_and(|leader| leader.joining.is_some()) {
            return true;
        }
        let mut joined = members
            .iter()
            .filter(|(_, member)| member.joining.is_some());
        let Some((id, _)) = joined.next() else {
            return false;
        };
        self.group.leader = Some(Arc::clone(id));
        true
    }

    /// The sessions of those who have not come will end the wait, or somebody comes.
    fn wait_on(&mut self) {
        let again_ms = self.group.rebalance_timeout_ms().max(1);
        if let Phase::PreparingRebalance { until, .. } = &mut self.group.phase {
            *until = self.now.mono.plus_ms(again_ms);
        }
    }

    /// Nobody is expected to ask for an assignment any more.
    fn forget_syncs(&mut self) {
        self.group.sync_until = None;
        for (_, member) in self.group.members.iter_mut() {
            member.is_unsynced = false;
        }
    }
}
