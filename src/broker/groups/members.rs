//! The members of a group, and what is counted of them, so that no request has to look at all that all members say.
//!
//! What is counted changes only with `insert`, `remove`, `say` and `take_assignments`; the rest of a member changes in
//! place.

use super::super::wait::Ticket;
use crate::clock::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

/// Names of protocols and what a member says of itself in them, its favourite first. A name may come twice.
pub(super) type Protocols = Vec<(Arc<str>, Arc<[u8]>)>;

/// A member, as a living group knows it.
#[derive(Debug)]
pub struct Member {
    /// Its instance id, when it is a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The client's name for itself.
    pub client_id: Arc<str>,
    /// Where it comes from.
    pub client_host: Arc<str>,
    /// Silent for longer, it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    pub(super) protocols: Protocols,
    /// Its part of the work.
    pub assignment: Arc<[u8]>,
    /// When it is out. None while it waits for an answer of ours: it cannot say that it lives; but one that has never
    /// had an answer may be a client that is gone and has come again under another id, and is not waited for for ever.
    pub(super) deadline: Option<Mono>,
    /// Its JoinGroup, until the generation begins.
    pub(super) joining: Option<Ticket>,
    /// Its SyncGroup, until the leader has shared out the work.
    pub(super) syncing: Option<Ticket>,
    /// It has not asked for its assignment of this generation.
    pub(super) is_unsynced: bool,
}

impl Member {
    /// What it says about itself in that protocol; nothing, if it does not know it.
    #[must_use]
    pub fn metadata(&self, protocol: &str) -> &[u8] {
        self.said_of(protocol).map_or(&[], |metadata| metadata)
    }

    pub(super) fn said_of(&self, protocol: &str) -> Option<&Arc<[u8]>> {
        let mut protocols = self.protocols.iter();
        let (_, metadata) = protocols.find(|(name, _)| **name == *protocol)?;
        Some(metadata)
    }

    /// Whether it says the same as before, in the same order.
    pub(super) fn says(&self, protocols: &[(&str, &[u8])]) -> bool {
        let said = self.protocols.iter().map(|(name, data)| (&**name, &**data));
        said.eq(protocols.iter().copied())
    }

    /// The session goes on from now. A member that waits for an answer has none that could end.
    pub(super) fn touch(&mut self, now: Mono) {
        let deadline = now.plus_ms(self.session_timeout_ms.into());
        self.deadline = self.deadline.map(|before| before.max(deadline));
    }

    /// An answer has left: the session begins.
    pub(super) fn begin_session(&mut self, now: Mono) {
        self.deadline = Some(now.plus_ms(self.session_timeout_ms.into()));
    }

    /// The protocols that it knows, each once.
    fn knows(&self) -> BTreeSet<Arc<str>> {
        let names = self.protocols.iter().map(|(name, _)| Arc::clone(name));
        names.collect()
    }
}

/// The members of a group by id: a map to read.
#[derive(Debug, Default)]
pub struct Members {
    by_id: BTreeMap<Arc<str>, Member>,
    /// The ids of static members.
    by_instance: BTreeMap<Arc<str>, Arc<str>>,
    /// How many members know a protocol.
    known: BTreeMap<Arc<str>, usize>,
    /// What all of them take in memory, about.
    bytes: usize,
}

impl Deref for Members {
    type Target = BTreeMap<Arc<str>, Member>;

    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

impl Members {
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Member)> {
        self.by_id.iter_mut()
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_id.get_mut(id)
    }

    /// The id of the member that has that instance id.
    pub(super) fn of_instance(&self, instance: &str) -> Option<&Arc<str>> {
        self.by_instance.get(instance)
    }

    /// Takes in a member that is not there yet.
    pub(super) fn insert(&mut self, id: Arc<str>, member: Member) {
        for name in member.knows() {
            *self.known.entry(name).or_default() += 1;
        }
        if let Some(instance) = &member.group_instance_id {
            self.by_instance
                .insert(Arc::clone(instance), Arc::clone(&id));
        }
        self.bytes += member.bytes(&id);
        self.by_id.insert(id, member);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Member> {
        self.take(id).map(|(_, member)| member)
    }

    /// A member says something else about itself. Answers what it said before.
    pub(super) fn say(&mut self, id: &str, protocols: Protocols) -> Protocols {
        let Some((id, mut member)) = self.take(id) else {
            return Protocols::new();
        };
        let former = std::mem::replace(&mut member.protocols, protocols);
        self.insert(id, member);
        former
    }

    fn take(&mut self, id: &str) -> Option<(Arc<str>, Member)> {
        let (id, member) = self.by_id.remove_entry(id)?;
        for name in member.knows() {
            match self.known.get_mut(&name) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.known.remove(&name)),
            }
        }
        if let Some(instance) = &member.group_instance_id {
            self.by_instance.remove(instance);
        }
        self.bytes -= member.bytes(&id);
        Some((id, member))
    }

    /// Nobody has a part of the work any more.
    pub(super) fn take_assignments(&mut self) {
        for member in self.by_id.values_mut() {
            self.bytes -= member.assignment.len();
            member.assignment = Arc::default();
        }
    }

    /// What all of them take in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether every member knows the protocol.
    pub(super) fn all_know(&self, protocol: &str) -> bool {
        self.known.get(protocol).copied().unwrap_or_default() == self.len()
    }

    /// The protocol that most members like best among those that all know; of equals, the first by name.
    pub(super) fn vote(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name);
            let favourite = names.find(|name| self.all_know(name))?;
            *votes.entry(favourite).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        let (winner, _) = votes.into_iter().find(|&(_, count)| count == most)?;
        Some(Arc::clone(winner))
    }

    /// What must hold between turns: everything is counted once.
    pub(super) fn check_invariants(&self) {
        let mut again = BTreeMap::new();
        for name in self.values().flat_map(Member::knows) {
            *again.entry(name).or_default() += 1;
        }
        assert_eq!(self.known, again);
        let mut instances = BTreeMap::new();
        for (id, member) in self.iter() {
            if let Some(instance) = &member.group_instance_id {
                let former = instances.insert(Arc::clone(instance), Arc::clone(id));
                assert_eq!(former, None, "one member for an instance");
            }
        }
        assert_eq!(self.by_instance, instances);
        let bytes: usize = self.iter().map(|(id, member)| member.bytes(id)).sum();
        assert_eq!(self.bytes, bytes);
    }
}
