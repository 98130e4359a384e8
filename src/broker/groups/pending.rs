//! Member ids that were given with error 79 (KIP-394) to clients that have not come back with them yet.

use super::super::wait::Timers;
use crate::clock::Mono;
use std::sync::Arc;

/// Beside its text, an id takes about this in memory.
const ID_BYTES: usize = 256;

/// The ids, and until when they may come.
#[derive(Debug, Default)]
pub(super) struct Pending {
    until: Timers<Arc<str>>,
    bytes: usize,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.until.next().is_none()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.until.get(id).is_some()
    }

    /// Gives away a new id.
    pub(super) fn insert(&mut self, id: Arc<str>, until: Mono) {
        self.remove(&id);
        self.bytes += id.len() + ID_BYTES;
        self.until.set(id, until);
    }

    pub(super) fn remove(&mut self, id: &str) {
        if self.contains(id) {
            self.until.cancel(id);
            self.bytes -= id.len() + ID_BYTES;
        }
    }

    /// The id whose time is over first, and when that is.
    pub(super) fn first(&self) -> Option<(Mono, &Arc<str>)> {
        self.until.first()
    }

    /// What all of them take in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
