//! What a group has committed.
//!
//! Every commit has an offset that no other has, so an offset tells which commit it is: who sent it, with what text,
//! and whether it was refused. A committed offset is a [`Register`]: an acknowledged one never goes back, and what was
//! once shown stays. It goes for one of four reasons: its topic, its group, a request, or its age.

use super::register::Register;
use crate::ledger::State;
use chronikd::broker::groups::Group;
use chronikd::clock::Now;
use chronikd::proto::Uuid;
use chronikd::storage::PartitionId;
use std::collections::BTreeMap;

/// One commit of one offset.
#[derive(Clone, Debug)]
struct Sent {
    at: PartitionId,
    leader_epoch: i32,
    /// The wall clock from which on it may go by its age.
    expires_ms: i64,
    is_refused: bool,
    /// Memory has had it, or a client was shown it.
    is_seen: bool,
}

/// An offset as a client is shown it, or as memory has it; -1 is none.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The offset.
    pub offset: i64,
    /// The leader epoch, where it is shown.
    pub leader_epoch: Option<i32>,
    /// The text.
    pub metadata: &'a str,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    registers: BTreeMap<PartitionId, Register<i64>>,
    sent: BTreeMap<i64, Sent>,
    /// How often somebody has asked in this life to forget it, and has had no answer.
    doomed: BTreeMap<PartitionId, usize>,
    is_condemned: bool,
}

const NONE: i64 = -1;

/// The text that goes with an offset.
pub fn text_of(offset: i64) -> String {
    format!("up to {offset}")
}

impl Offsets {
    fn register(&mut self, at: PartitionId) -> &mut Register<i64> {
        let fresh = || Register::new(NONE);
        self.registers.entry(at).or_insert_with(fresh)
    }

    /// A commit is on its way. From `expires_ms` of the wall clock on it may go by its age.
    pub fn committing(&mut self, at: PartitionId, offset: i64, leader_epoch: i32, expires_ms: i64) {
        self.register(at);
        let sent = Sent {
            at,
            leader_epoch,
            expires_ms,
            is_refused: false,
            is_seen: false,
        };
        self.sent.insert(offset, sent);
    }

    /// The commit was acknowledged.
    pub fn committed(&mut self, offset: i64) {
        let at = self.sent[&offset].at;
        let register = self.register(at);
        // Another one may have followed in the same turn.
        if let Some(place) = register.find(0, |known| *known == offset) {
            register.promised(place);
        }
    }

    /// The commit was refused: it may never be seen.
    pub fn refused(&mut self, offset: i64) {
        let sent = self.sent.get_mut(&offset).expect("a commit that was sent");
        assert!(!sent.is_seen, "{offset} was refused, and is committed");
        sent.is_refused = true;
    }

    /// The partitions that the group has offsets of.
    pub fn present(&self) -> Vec<PartitionId> {
        let present = self.registers.iter();
        let present = present.filter(|(_, register)| *register.newest() != NONE);
        present.map(|(at, _)| *at).collect()
    }

    /// The place of what is committed now.
    pub fn mark(&mut self, at: PartitionId) -> usize {
        self.register(at).mark()
    }

    /// A client that asked at this mark was shown this.
    pub fn shown(&mut self, at: PartitionId, mark: usize, shown: Shown<'_>) {
        self.check_known(at, shown);
        self.saw(shown.offset);
        // Between two turns there may have been a deletion and another commit.
        let may_be_gone = self.is_condemned || self.doomed.contains_key(&at);
        let register = self.register(at);
        match register.find(mark, |known| *known == shown.offset) {
            Some(place) => register.promised(place),
            None if shown.offset == NONE => assert!(may_be_gone, "{at:?} is shown as lost"),
            None => assert!(
                !register.knew(&shown.offset),
                "{at:?} is shown at {}, which is old: {register:?} from {mark}",
                shown.offset
            ),
        }
    }

    /// Whatever is shown was sent so, and not refused.
    fn check_known(&self, at: PartitionId, shown: Shown<'_>) {
        if shown.offset == NONE {
            assert_eq!(shown.metadata, "");
            return;
        }
        let sent = self.sent.get(&shown.offset);
        let sent = sent.expect("a commit that somebody sent");
        assert_eq!(sent.at, at, "{} belongs elsewhere", shown.offset);
        assert!(!sent.is_refused, "{} was refused", shown.offset);
        assert_eq!(shown.metadata, text_of(shown.offset));
        let epoch = shown.leader_epoch.unwrap_or(sent.leader_epoch);
        assert_eq!(epoch, sent.leader_epoch);
    }

    fn saw(&mut self, offset: i64) {
        if let Some(sent) = self.sent.get_mut(&offset) {
            sent.is_seen = true;
        }
    }

    /// Somebody asks to forget the offset.
    pub fn dooming(&mut self, at: PartitionId) {
        *self.doomed.entry(at).or_default() += 1;
    }

    /// That was answered.
    pub fn judged(&mut self, at: PartitionId) {
        if let Some(count) = self.doomed.get_mut(&at) {
            *count -= 1;
        }
    }

    /// That was acknowledged.
    pub fn forgotten(&mut self, at: PartitionId, mark: usize) {
        let register = self.register(at);
        let place = register.find(mark, |known| *known == NONE);
        register.promised(place.unwrap_or(mark));
    }

    /// Somebody asks to delete the group.
    pub fn condemn(&mut self) {
        self.is_condemned = true;
    }

    /// That was acknowledged: what the group had is gone. What was committed since is not.
    pub fn deleted(&mut self, marks: &BTreeMap<PartitionId, usize>) {
        for (at, mark) in marks {
            self.forgotten(*at, *mark);
        }
    }

    /// Everything that memory has is durable.
    pub fn promised_all(&mut self) {
        let all = self.registers.values_mut();
        all.for_each(Register::promised_all);
    }

    /// A life begins.
    pub fn reopen(
        &mut self,
        name: &str,
        group: Option<&Group>,
        is_blind: bool,
        state: &impl Fn(Uuid) -> State,
    ) {
        (self.is_condemned, self.doomed) = (false, BTreeMap::new());
        self.check_group(group);
        let mut seen = Vec::new();
        for (at, register) in &mut self.registers {
            let offset = offset_of(group, at);
            let was_unseen = self.sent.get(&offset).is_some_and(|sent| !sent.is_seen);
            let is_gone = offset == NONE && state(at.topic) != State::Exists;
            // A turn that was cut off may have done anything that was asked for.
            let may_be_unseen = is_gone || was_unseen || (is_blind && offset == NONE);
            let title = format!("the offset of {at:?} in {name:?}");
            register.reopen(&title, offset, may_be_unseen);
            seen.push(offset);
        }
        seen.into_iter().for_each(|offset| self.saw(offset));
    }

    /// After every turn.
    pub fn turned(
        &mut self,
        name: &str,
        group: Option<&Group>,
        now: Now,
        state: &impl Fn(Uuid) -> State,
    ) {
        self.check_group(group);
        let mut seen = Vec::new();
        for (at, register) in &mut self.registers {
            let offset = offset_of(group, at);
            let before = *register.newest();
            if !register.see(offset) || offset != NONE {
                seen.push(offset);
                continue;
            }
            let has_expired = now.wall_ms >= self.sent[&before].expires_ms;
            let was_asked =
                self.is_condemned || self.doomed.get(at).is_some_and(|count| *count > 0);
            let is_topicless = state(at.topic) != State::Exists;
            assert!(
                has_expired || was_asked || is_topicless,
                "{name:?} has lost {before} of {at:?}"
            );
        }
        seen.into_iter().for_each(|offset| self.saw(offset));
    }

    /// Every offset of the group is one that somebody has sent.
    fn check_group(&self, group: Option<&Group>) {
        for (at, committed) in group.iter().flat_map(|group| &group.offsets) {
            let shown = Shown {
                offset: committed.offset,
                leader_epoch: Some(committed.leader_epoch),
                metadata: &committed.metadata,
            };
            self.check_known(*at, shown);
        }
    }
}

fn offset_of(group: Option<&Group>, at: &PartitionId) -> i64 {
    let committed = group.and_then(|group| group.offsets.get(at));
    committed.map_or(NONE, |committed| committed.offset)
}
