//! Consumer groups of the classic protocol, and the offsets that groups commit.
//!
//! A group's last settled **generation** (members and their assignments) and its committed offsets are journaled; they
//! change only by `apply`, which live operation and replay share. A rebalance under way is transient: who has joined,
//! who waits for an answer, and every deadline. A broker that stops in the middle of one comes back with the
//! generation before it, and members that had heard of the newer one are told to join again.
//!
//! ```text
//!            join                 all have joined, or time is up          the leader's SyncGroup, applied
//!   Empty ----------> PreparingRebalance ----------> CompletingRebalance ----------> Stable
//!     ^                 |  ^         ^                     |                           |
//!     +---- nobody -----+  |         +-- join, leave, -----+                           |
//!           joined         |             expiry                                        |
//!                          +------------- join, leave, expiry -------------------------+
//! ```
//!
//! Whatever a call wants to be journaled it returns as a record, at most one for a group, which the broker commits and
//! applies at once. Answers that are owed are paid while a call runs or a record is applied; each carries the round
//! that its group's newest record has when the answers are taken.
//!
//! The rules are those of Kafka 4.3's coordinator (`GroupMetadataManager`, `ClassicGroup`), with these exceptions: a
//! group that nothing was ever journaled of goes as soon as nobody is left to come back to it; a request that another
//! one of the same member overtakes is answered (27) and not left hanging; a member that is removed while it waits for
//! its assignment is told so (25); and who would take more memory than there is for groups (`memory`), or more of a
//! full disk, is told to come again (15).

mod answers;
mod commit;
mod generation;
mod group;
mod join;
mod leave;
mod members;
mod memory;
pub mod offsets;
mod pending;
mod pending_offsets;
mod rebalance;
mod replace;
mod requests;
mod session;
pub mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod words;
mod work;

pub use answers::{Answer, Fact, Joined, JoinedMember, Synced};
pub use group::{Group, Initial, Phase};
pub use leave::Left;
pub use members::{Member, Members};
pub use pending_offsets::PendingOffsets;
pub use requests::{Claim, Join, Leaver, Sync};

use super::facts::Generation;
use super::record::Record;
use super::wait::{Ticket, Timers};
use crate::clock::{Mono, Now, Rate};
use crate::config::BrokerConfig;
use crate::proto::error::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use work::{Paid, Work};

/// Rebalances that are logged each minute.
const LOGGED_A_MINUTE: u32 = 30;

/// All groups.
#[derive(Debug)]
pub struct Groups {
    by_id: BTreeMap<Arc<str>, Group>,
    /// When a group is to be looked at next. A heartbeat only moves its member's own deadline, so a group may be
    /// looked at earlier than anything is due, and never later.
    timers: Timers<Arc<str>>,
    paid: Vec<Paid>,
    /// The newest round of a group that is gone.
    gone_round: u64,
    /// What the members of all groups take in memory.
    bytes: usize,
    /// The disk is full.
    is_short: bool,
    config: Arc<BrokerConfig>,
    logged: Rate,
}

impl Groups {
    /// No groups yet.
    #[must_use]
    pub fn new(config: Arc<BrokerConfig>) -> Groups {
        Groups {
            by_id: BTreeMap::new(),
            timers: Timers::default(),
            paid: Vec::new(),
            gone_round: 0,
            bytes: 0,
            is_short: false,
            config,
            logged: Rate::per_minute(LOGGED_A_MINUTE),
        }
    }

    /// The broker's settings have changed.
    pub(super) fn reconfigure(&mut self, config: &Arc<BrokerConfig>) {
        self.config = Arc::clone(config);
    }

    /// The group of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Group> {
        self.by_id.get(id)
    }

    /// All groups, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values()
    }

    /// The round of the newest record of that group; where there is no such group, of the newest one of any that is
    /// gone.
    #[must_use]
    pub fn round_of(&self, id: &str) -> u64 {
        self.get(id).map_or(self.gone_round, |group| group.round)
    }

    /// The round of the newest record of any group.
    #[must_use]
    pub fn newest_round(&self) -> u64 {
        let rounds = self.iter().map(|group| group.round);
        rounds.max().unwrap_or(0).max(self.gone_round)
    }

    /// The group, if it may be deleted.
    ///
    /// # Errors
    /// 69 when there is none, 68 when it has members.
    pub fn removable(&self, id: &str) -> Result<&Group, ErrorCode> {
        let group = self.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        match group.phase {
            Phase::Empty => Ok(group),
            _ => Err(ErrorCode::NON_EMPTY_GROUP),
        }
    }

    /// Applies a generation: the group is stable, or empty. Members that live on keep what is transient about them, and
    /// those that wait for their assignment get it.
    pub fn settled(&mut self, id: &Arc<str>, generation: Generation, round: u64) {
        let group = self.entry(id);
        group.round = round;
        let paid = group.settle(generation);
        self.paid.extend(paid);
        self.note(id);
    }

    /// Applies a deletion.
    pub fn deleted(&mut self, id: &Arc<str>, round: u64) {
        if let Some(gone) = self.by_id.remove(id) {
            self.bytes -= gone.counted_bytes;
        }
        self.timers.cancel(&**id);
        self.gone_round = self.gone_round.max(round);
    }

    /// The group, to apply a record about its offsets to. Who only commits offsets makes a group by it.
    fn touched(&mut self, id: &Arc<str>, round: u64) -> &mut Group {
        let group = self.entry(id);
        group.round = round;
        group
    }

    /// After the replay: every session begins anew, and a group that is larger than is allowed now rebalances.
    pub fn resume(&mut self, now: Now) {
        let ids: Vec<Arc<str>> = self.by_id.keys().cloned().collect();
        for id in ids {
            if let Some(mut work) = self.work(&id, now) {
                work.resume();
            }
            self.leave_alone(&id);
        }
    }

    /// Whether the disk is full. Then nobody begins a group that is not in the journal, and a generation is replaced
    /// only by one that takes no more there.
    pub fn set_short(&mut self, is_short: bool) {
        self.is_short = is_short;
    }

    /// A member joins. The ticket is paid with `Answer::Joined`, now or when the next generation begins.
    #[must_use]
    pub fn join(&mut self, join: Join<'_>, ticket: Ticket, now: Now) -> Option<Record> {
        if let Err(error) = self.admit(&join).and_then(|()| self.check_memory(&join)) {
            let answer = Joined::refused(error, join.member_id);
            return self.turn_away(join.group_id, ticket, answer.into());
        }
        let id = match self.by_id.get(join.group_id) {
            Some(group) => Arc::clone(&group.id),
            None => Arc::from(join.group_id),
        };
        self.entry(&id);
        self.with(&id, now, |work| work.join(&join, ticket))
    }

    /// A member asks for its assignment. The ticket is paid with `Answer::Synced`, now or when the leader has shared
    /// out the work.
    #[must_use]
    pub fn sync(&mut self, sync: Sync<'_>, ticket: Ticket, now: Now) -> Option<Record> {
        match self.known(sync.claim.group_id) {
            Ok(id) => self.with(&id, now, |work| work.sync(&sync, ticket)),
            Err(error) => {
                let answer = Synced::refused(error);
                self.turn_away(sync.claim.group_id, ticket, answer.into())
            }
        }
    }

    /// A member says that it lives, and hears whether it is to join again (27) or is out (22, 25, 82).
    pub fn heartbeat(&mut self, claim: Claim<'_>, now: Now) -> ErrorCode {
        if claim.group_id.is_empty() {
            return ErrorCode::INVALID_GROUP_ID;
        }
        match self.work(claim.group_id, now) {
            None => ErrorCode::UNKNOWN_MEMBER_ID,
            Some(mut work) => work.heartbeat(&claim),
        }
    }

    /// Members leave, or an operator removes them: what became of each, in their order.
    pub fn leave(
        &mut self,
        group_id: &str,
        leavers: &[Leaver<'_>],
        now: Now,
    ) -> (Result<Vec<Left>, ErrorCode>, Option<Record>) {
        match self.known(group_id) {
            Err(ErrorCode::UNKNOWN_MEMBER_ID) => (Ok(leave::unknown(leavers)), None),
            Err(error) => (Err(error), None),
            Ok(id) => {
                let mut left = Vec::new();
                let record = self.with(&id, now, |work| work.leave(leavers, &mut left));
                (Ok(left), record)
            }
        }
    }

    /// Whether offsets may be committed under that claim by OffsetCommit of that version; a member's session goes on by
    /// it. Generation -1 without a member is a consumer that is in no group: it may, while the group has no members.
    ///
    /// # Errors
    /// Why not, for the whole request.
    pub fn check_commit(
        &mut self,
        claim: Claim<'_>,
        version: i16,
        now: Now,
    ) -> Result<(), ErrorCode> {
        match self.work(claim.group_id, now) {
            None => commit::check_first_commit(&claim, version),
            Some(mut work) => work.check_commit(&claim),
        }
    }

    /// Whether a transaction may bring offsets under that claim. No session goes on by it.
    ///
    /// # Errors
    /// 22, 25, 82: why not, for the whole request.
    pub fn check_pending_commit(&self, claim: &Claim<'_>) -> Result<(), ErrorCode> {
        match self.get(claim.group_id) {
            None => commit::check_first_pending_commit(claim),
            Some(group) => group.check_pending_commit(claim),
        }
    }

    /// Ends what is due: sessions, rebalances that have waited long enough.
    #[must_use]
    pub fn tick(&mut self, now: Now) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(id) = self.timers.pop(now.mono) {
            let record = self.work(&id, now).and_then(|mut work| work.expire());
            records.extend(self.after(&id, record));
        }
        records
    }

    /// When `tick` is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// Answers that were paid since the last call.
    pub fn take_paid(&mut self) -> Vec<(Ticket, Fact)> {
        let paid = std::mem::take(&mut self.paid);
        let fact = |Paid {
                        ticket,
                        group,
                        answer,
                    }| {
            let round = self.round_of(&group);
            (ticket, Fact { round, answer })
        };
        paid.into_iter().map(fact).collect()
    }

    /// What must hold between turns.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self) {
        for (id, group) in &self.by_id {
            group.check_invariants();
            assert_eq!(*id, group.id);
            assert!(!group.is_void(), "a group of nothing is forgotten");
            let due = group.due().unwrap_or(Mono::NEVER);
            let at = self.timers.get(&**id).unwrap_or(Mono::NEVER);
            assert!(at <= due, "a group is looked at before anything is due");
            assert_eq!(group.counted_bytes, group.bytes());
        }
        let bytes = self.iter().map(|group| group.counted_bytes).sum();
        assert_eq!(self.bytes, bytes, "every group counts once");
    }

    /// What does not depend on the state of a group that exists.
    fn admit(&self, join: &Join<'_>) -> Result<(), ErrorCode> {
        let config = &self.config;
        let timeouts = config.group_min_session_timeout_ms..=config.group_max_session_timeout_ms;
        if join.group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        if !timeouts.contains(&join.session_timeout_ms) {
            return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        let group = self.get(join.group_id);
        if !join.member_id.is_empty() && group.is_none() {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if self.is_short && group.is_none_or(|group| group.kept_bytes == 0) {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        Ok(())
    }

    fn known(&self, id: &str) -> Result<Arc<str>, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        let group = self.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        Ok(Arc::clone(&group.id))
    }

    fn turn_away(&mut self, id: &str, ticket: Ticket, answer: Answer) -> Option<Record> {
        let group = id.into();
        self.paid.push(Paid {
            ticket,
            group,
            answer,
        });
        None
    }

    /// The group, made if it is not there. It may have been deleted a moment ago: who hears of the new one has to wait
    /// until the end of the old one is durable.
    fn entry(&mut self, id: &Arc<str>) -> &mut Group {
        let fresh = || Group::new(Arc::clone(id), self.gone_round);
        self.by_id.entry(Arc::clone(id)).or_insert_with(fresh)
    }

    fn work(&mut self, id: &str, now: Now) -> Option<Work<'_>> {
        Some(Work {
            spare_bytes: self.spare_bytes(),
            is_short: self.is_short,
            group: self.by_id.get_mut(id)?,
            paid: &mut self.paid,
            logged: &mut self.logged,
            config: &self.config,
            now,
        })
    }

    fn with(
        &mut self,
        id: &Arc<str>,
        now: Now,
        what: impl FnOnce(&mut Work<'_>) -> Option<Record>,
    ) -> Option<Record> {
        let record = self.work(id, now).and_then(|mut work| what(&mut work));
        self.after(id, record)
    }

    /// After a group has worked. While a record is on its way the group is not touched: applying it sets the timer.
    fn after(&mut self, id: &Arc<str>, record: Option<Record>) -> Option<Record> {
        if record.is_none() {
            self.leave_alone(id);
        }
        record
    }

    /// Forgets the group if there is nothing to it, or notes what it has become.
    fn leave_alone(&mut self, id: &Arc<str>) {
        if self.get(id).is_some_and(Group::is_void) {
            self.deleted(id, self.round_of(id));
        }
        self.note(id);
    }

    /// Sets the group's timer, and counts what it takes.
    fn note(&mut self, id: &Arc<str>) {
        let Some(group) = self.by_id.get_mut(id) else {
            return;
        };
        self.bytes -= group.counted_bytes;
        group.counted_bytes = group.bytes();
        self.bytes += group.counted_bytes;
        match group.due() {
            Some(at) => self.timers.set(Arc::clone(id), at),
            None => self.timers.cancel(&**id),
        }
    }
}
