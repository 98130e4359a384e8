//! Something that both brokers have, each its own.

use std::ops::{Index, IndexMut};

/// Which of the two brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// chronikd.
    Ours,
    /// Apache Kafka.
    Theirs,
}

/// A value for each broker; an index picks one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Both<T> {
    ours: T,
    theirs: T,
}

impl<T> Both<T> {
    /// Makes one for each, ours first.
    pub(crate) fn each(mut make: impl FnMut(Side) -> T) -> Both<T> {
        Both {
            ours: make(Side::Ours),
            theirs: make(Side::Theirs),
        }
    }

    /// Picks something out of each.
    pub(crate) fn map<U>(&self, pick: impl Fn(&T) -> U) -> Both<U> {
        Both::each(|side| pick(&self[side]))
    }
}

impl<T> Index<Side> for Both<T> {
    type Output = T;
    fn index(&self, side: Side) -> &T {
        match side {
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }
}

impl<T> IndexMut<Side> for Both<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }
}
