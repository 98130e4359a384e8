//! The names of the simulated disk: those that processes see, those that are durable, and the changes
//! between.
//!
//! A change is one creation, removal or rename, atomic in itself and lost or kept by itself. Syncing a
//! directory keeps what touched it, and before that whatever touched the same names.

use super::Survives;
use super::luck::Luck;
use std::collections::{BTreeMap, BTreeSet};

/// A file or a directory.
pub(super) type Id = u64;
/// A directory and a name in it.
pub(super) type Slot = (Id, String);

/// Names: every directory of the tree in one map.
#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) live: BTreeMap<Slot, Id>,
    pub(super) durable: BTreeMap<Slot, Id>,
    pending: Vec<Vec<(Slot, Option<Id>)>>,
}

impl Names {
    /// Applies an atomic change that is not durable yet: names and what they lead to from now on.
    pub(super) fn change(&mut self, change: Vec<(Slot, Option<Id>)>) {
        apply_names(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Makes durable what touches a directory, and before it whatever touched the same names.
    pub(super) fn sync(&mut self, dir: Id) {
        let mut touched = BTreeSet::new();
        let (mut due, mut kept) = (Vec::new(), Vec::new());
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            let is_due = change
                .iter()
                .any(|(slot, _)| slot.0 == dir || touched.contains(slot));
            if is_due {
                touched.extend(change.iter().map(|(slot, _)| slot.clone()));
            }
            if is_due { &mut due } else { &mut kept }.push(change);
        }
        kept.reverse();
        self.pending = kept;
        for change in due.iter().rev() {
            apply_names(&mut self.durable, change);
        }
    }

    /// Makes everything durable.
    pub(super) fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply_names(&mut self.durable, &change);
        }
    }

    /// Keeps a subset of what is pending.
    pub(super) fn crash(&mut self, luck: &mut Luck, survives: Survives) {
        let pending = std::mem::take(&mut self.pending);
        let kept = luck.choose(pending.len(), survives);
        for (change, _) in pending.iter().zip(kept).filter(|(_, kept)| *kept) {
            apply_names(&mut self.durable, change);
        }
        self.live = self.durable.clone();
    }

    /// The names in a directory as processes see them, sorted.
    pub(super) fn in_dir(&self, dir: Id) -> impl Iterator<Item = (&str, Id)> {
        let (from, to) = ((dir, String::new()), (dir + 1, String::new()));
        let slots = self.live.range(from..to);
        slots.map(|((_, name), id)| (name.as_str(), *id))
    }
}

/// Applies one atomic change. A thing has one name: when an earlier rename of it was lost, a later one
/// takes the old name away all the same.
fn apply_names(names: &mut BTreeMap<Slot, Id>, change: &[(Slot, Option<Id>)]) {
    for (slot, target) in change {
        match target {
            None => {
                names.remove(slot);
            }
            Some(id) => {
                names.retain(|_, named| named != id);
                names.insert(slot.clone(), *id);
            }
        }
    }
}
