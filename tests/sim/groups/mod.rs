//! Groups: members, consumers that are in none, an operator, and what all of them were told.

mod asks;
mod book;
mod member;
mod offsets;
mod others;
mod register;
mod talk;

pub use book::Book;
pub use member::{Character, Member, Place, Versions};

use crate::side::Side;
use chronikd::broker::groups::Phase;
use chronikd::storage::PartitionId;
use others::Outsider;
use std::collections::BTreeSet;

/// Everybody who has to do with groups.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The members of all groups.
    pub members: Vec<Member>,
    outsiders: Vec<Outsider>,
}

impl Default for Crowd {
    fn default() -> Crowd {
        Crowd {
            members: Vec::new(),
            outsiders: vec![Outsider::new(false), Outsider::new(true)],
        }
    }
}

impl Crowd {
    /// That of a seed.
    pub fn any(side: &mut Side<'_>) -> Crowd {
        let count = side.luck.between(2, 8) as u64;
        let members = (0..count).map(|index| Member::any(index, side)).collect();
        Crowd {
            members,
            ..Crowd::default()
        }
    }

    /// The broker is gone.
    pub fn cut_off(&mut self) {
        self.members.iter_mut().for_each(Member::cut_off);
        self.outsiders.iter_mut().for_each(Outsider::cut_off);
    }

    /// Some of them do something.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        for member in &mut self.members {
            if finishing || side.luck.below(4) > 0 {
                member.step(side, finishing);
            }
        }
        for outsider in &mut self.outsiders {
            if finishing || side.luck.once_in(3) {
                outsider.step(side, finishing);
            }
        }
    }

    /// Everything was answered; every member works, and the groups have no others.
    pub fn is_calm(&self, side: &Side<'_>) -> bool {
        self.members.iter().all(Member::is_idle)
            && self.outsiders.iter().all(Outsider::is_idle)
            && self.is_all(side)
    }

    /// Whether the members that work are those that the groups have.
    pub fn is_all(&self, side: &Side<'_>) -> bool {
        let groups = side.machine.broker().groups();
        groups.iter().all(|group| {
            let own = self.members.iter().filter(|m| m.group() == &*group.id);
            let working: BTreeSet<&str> = own
                .filter_map(Member::place)
                .filter(|place| place.generation == group.generation_id)
                .map(|place| &*place.id)
                .collect();
            let is_resting = matches!(group.phase, Phase::Stable | Phase::Empty);
            let has: BTreeSet<&str> = group.members.keys().map(|id| &**id).collect();
            is_resting && has == working
        })
    }

    /// Everybody has been heard in this life of the broker.
    pub fn is_heard(&self) -> bool {
        let mut working = self.members.iter().filter(|m| m.place().is_some());
        working.all(Member::is_heard)
    }

    /// Where everybody is.
    pub fn places(&self) -> Vec<Option<Place>> {
        self.members.iter().map(|m| m.place().cloned()).collect()
    }

    /// Asks what all groups have committed.
    pub fn audit(&mut self, side: &mut Side<'_>) {
        for group in side.ledger.groups.names() {
            self.outsiders[0].audit(side, &group);
        }
    }

    /// Every member that works commits these partitions, and so does who is in no group.
    pub fn commit(&mut self, side: &mut Side<'_>, all: &[PartitionId]) {
        for member in &mut self.members {
            member.commit_all(side, all);
        }
        self.outsiders[0].commit_all(side, all);
    }

    /// Asks for a group's end.
    pub fn delete(&mut self, side: &mut Side<'_>, group: &str) {
        self.outsiders[1].condemn(side, group);
    }

    /// All members are gone, without a word.
    pub fn vanish(&mut self, side: &mut Side<'_>) {
        for mut member in self.members.drain(..) {
            member.vanish(side);
        }
    }
}
