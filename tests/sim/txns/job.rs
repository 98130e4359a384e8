//! One transaction, as its client has it in hand: what is to be written, which offsets are to move, how it is to end.

use crate::side::Side;
use chronikd::storage::PartitionId;
use std::collections::VecDeque;

/// One batch that is to be written.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where to.
    pub at: PartitionId,
    /// How many records.
    pub count: usize,
    /// Of copies: which record each of them is one of.
    pub sources: Vec<(PartitionId, i64)>,
}

/// As whom a consumer commits offsets; a generation of -1 names nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The group.
    pub group: &'static str,
    /// The generation that it believes in.
    pub generation: i32,
    /// The member id.
    pub member: String,
    /// The instance id of a static member.
    pub instance: Option<String>,
}

impl Seat {
    /// Nobody's, who just commits to the group.
    pub fn nobody(group: &'static str) -> Seat {
        Seat {
            group,
            generation: -1,
            member: String::new(),
            instance: None,
        }
    }

    /// Whether it is that of a member of the generation that is, or nobody's. What is not, never is again.
    pub fn is_current(&self, side: &Side<'_>) -> bool {
        let group = side.machine.broker().groups().get(self.group);
        let has_it = group.is_some_and(|group| {
            let is_member = group.members.contains_key(&*self.member);
            is_member && group.generation_id == self.generation
        });
        has_it || self.member.is_empty()
    }
}

/// Offsets that move with a transaction.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Who moves them.
    pub seat: Seat,
    /// Where to.
    pub offsets: Vec<(PartitionId, i64)>,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Job {
    /// The transaction's number.
    pub number: i64,
    /// It is to be committed.
    pub commits: bool,
    /// What is left to be written.
    pub writes: VecDeque<Write>,
    /// Offsets that are left to be moved.
    pub moved: Option<Moved>,
    /// The offsets go before this many of the batches.
    pub moves_before: usize,
}

impl Job {
    /// That of a client which writes anywhere, and may commit its transaction's number as the offset of its id's group.
    pub fn any(side: &mut Side<'_>, id: &'static str, reaches_extras: bool) -> Job {
        let number = side.ledger.txns.begin(id);
        let all = usable(side);
        let extras = match reaches_extras && side.luck.once_in(4) {
            true => deletable(side),
            false => Vec::new(),
        };
        let mut writes = VecDeque::new();
        for _ in 0..side.luck.between(1, 6) {
            let is_extra = !extras.is_empty() && side.luck.once_in(3);
            let at = side.luck.pick(if is_extra { &extras } else { &all });
            let count = side.luck.between(1, 4);
            let sources = Vec::new();
            writes.push_back(Write { at, count, sources });
        }
        let moved = side.luck.once_in(2).then(|| Moved {
            seat: Seat::nobody(id),
            offsets: vec![(all[0], number)],
        });
        Job {
            number,
            commits: side.luck.below(3) > 0,
            moves_before: side.luck.below(writes.len() + 1),
            writes,
            moved,
        }
    }

    /// Whether the offsets are to be moved next.
    pub fn is_time_to_move(&self) -> bool {
        self.moved.is_some() && self.writes.len() <= self.moves_before
    }

    /// It is to be aborted, and nothing more is done for it.
    pub fn give_up(&mut self) {
        self.commits = false;
        self.writes.clear();
        self.moved = None;
    }
}

fn named(side: &Side<'_>, fits: impl Fn(&str) -> bool) -> Vec<PartitionId> {
    let mut all = side.ledger.partitions();
    all.retain(|at| fits(&side.ledger.topic(at.topic).name));
    all
}

/// The partitions that anybody's transactions write to; they are not deleted.
pub fn usable(side: &Side<'_>) -> Vec<PartitionId> {
    named(side, |name| !is_extra(name) && !is_output(name))
}

/// Those of them where acknowledgements wait for the disk: what was read there stays.
pub fn lasting(side: &Side<'_>) -> Vec<PartitionId> {
    let mut all = named(side, |name| !is_extra(name));
    all.retain(|at| side.ledger.topic(at.topic).durable);
    all
}

/// The partitions that copies are made of.
pub fn inputs(side: &Side<'_>) -> Vec<PartitionId> {
    let mut all = usable(side);
    all.retain(|at| side.ledger.topic(at.topic).durable);
    all
}

/// Everything that committed records are read of at last.
pub fn readable(side: &Side<'_>) -> Vec<PartitionId> {
    named(side, |name| !is_extra(name))
}

/// The partitions that only copies are written to.
pub fn outputs(side: &Side<'_>) -> Vec<PartitionId> {
    named(side, is_output)
}

fn deletable(side: &Side<'_>) -> Vec<PartitionId> {
    named(side, is_extra)
}

/// Whether the topic may be deleted at any time.
pub fn is_extra(name: &str) -> bool {
    name.starts_with("extra")
}

fn is_output(name: &str) -> bool {
    name.starts_with("output")
}
