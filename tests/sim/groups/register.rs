//! One value that the broker keeps: what it was in memory after each turn, and how much of that was promised.
//!
//! ```text
//!   history   v0   v1   v2   v3   v4        in the order in which memory had them, in this life
//!                       ^
//!                     floor                 an answer has left that waited for this one
//! ```
//!
//! An answer leaves when what it shows is durable. So a life may begin with `v2`, `v3` or `v4`, and with nothing
//! before; and whoever asks is shown nothing older than what memory had when the request left.

use std::fmt::Debug;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Register<T> {
    history: Vec<T>,
    floor: usize,
}

impl<T: PartialEq + Clone + Debug> Register<T> {
    /// A life begins with this value.
    pub fn new(value: T) -> Register<T> {
        Register {
            history: vec![value],
            floor: 0,
        }
    }

    /// What it is now.
    pub fn newest(&self) -> &T {
        self.history.last().expect("a history is never empty")
    }

    /// The oldest value that a life may begin with.
    pub fn oldest_promised(&self) -> &T {
        &self.history[self.floor]
    }

    /// The place of the newest value: a request that leaves now cannot be answered with an older one.
    pub fn mark(&self) -> usize {
        self.history.len() - 1
    }

    /// Memory has this value after a turn; `true` if it is another one than before.
    pub fn see(&mut self, value: T) -> bool {
        let changes = *self.newest() != value;
        if changes {
            self.history.push(value);
        }
        changes
    }

    /// An answer has left that waited for everything up to this place.
    pub fn promised(&mut self, mark: usize) {
        self.floor = self.floor.max(mark);
    }

    /// The newest value is durable.
    pub fn promised_all(&mut self) {
        self.floor = self.mark();
    }

    /// The first place from `mark` on whose value is one of these.
    pub fn find(&self, mark: usize, fits: impl Fn(&T) -> bool) -> Option<usize> {
        (mark..self.history.len()).find(|place| fits(&self.history[*place]))
    }

    /// Whether memory was ever seen with this value in this life.
    pub fn knew(&self, value: &T) -> bool {
        self.history.contains(value)
    }

    /// Another life begins, with this value: none that was promised has gone back.
    pub fn reopen(&mut self, title: &str, value: T, may_be_unseen: bool) {
        let is_known = self.history[self.floor..].contains(&value);
        assert!(
            is_known || may_be_unseen,
            "{title} comes back as {value:?}; promised was {:?}, or one of {:?}",
            self.history[self.floor],
            &self.history[self.floor + 1..]
        );
        *self = Register::new(value);
    }
}
