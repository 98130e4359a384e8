//! Answers that come later: tickets, waits, and the timers of every room that has deadlines.

use crate::clock::Mono;
use crate::proto::ApiKey;
use crate::storage::PartitionId;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

/// A connection slot and its generation: an answer to a closed connection finds nobody and is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Index into the table of connections; used again.
    pub slot: u32,
    /// Counts connections; never used again.
    pub generation: u32,
}

/// The right, and the duty, to answer one request. Not `Clone`: it is spent by answering.
#[derive(Debug)]
pub struct Ticket {
    /// Who asked.
    pub conn: ConnId,
    /// The request's correlation id.
    pub correlation_id: i32,
    /// The request's API.
    pub api_key: ApiKey,
    /// The request's version.
    pub version: i16,
}

/// Something that a parked request watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A partition's high watermark, last stable offset, log start, deletion, loading or config.
    Partition(PartitionId),
    /// Whether transactions may go on after a start.
    Transactions,
}

/// A watched thing has changed.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// What changed.
    pub key: Key,
    /// How many more bytes can be fetched; `usize::MAX` for a change that every watcher must see.
    pub bytes: usize,
}

/// What a parked request waits for: its handler is asked again when a watched key has brought `missing`
/// bytes, or at `until`, which is its last call.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The last call. Only the first wait of a request sets it; later ones keep the first deadline.
    pub until: Mono,
    /// Watched keys.
    pub on: Vec<Key>,
    /// Bytes that are still missing for an answer.
    pub missing: usize,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The response is written.
    Done,
    /// This request gets no response (Produce with acks=0).
    Silent,
    /// Nothing to say yet, and nothing was changed: leave the frame in the inbox and ask again.
    Retry(Wait),
    /// Somebody kept the ticket and will answer it.
    Owed,
    /// Close the connection, after what was answered before has left; the sentence goes to the log.
    Close(&'static str),
}

/// Deadlines by key: one for each, the earliest first.
#[derive(Debug)]
pub struct Timers<K> {
    due: BTreeSet<(Mono, K)>,
    at: BTreeMap<K, Mono>,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Timers {
            due: BTreeSet::new(),
            at: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets or moves the key's deadline.
    pub fn set(&mut self, key: K, at: Mono) {
        self.cancel(&key);
        self.due.insert((at, key.clone()));
        self.at.insert(key, at);
    }

    /// Forgets the key's deadline.
    pub fn cancel<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some((key, at)) = self.at.remove_entry(key) {
            self.due.remove(&(at, key));
        }
    }

    /// The key's deadline.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Mono>
    where
        K: Borrow<Q>,
    {
        self.at.get(key).copied()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Mono> {
        self.first().map(|(at, _)| at)
    }

    /// The earliest deadline and its key.
    #[must_use]
    pub fn first(&self) -> Option<(Mono, &K)> {
        self.due.first().map(|(at, key)| (*at, key))
    }

    /// Takes one key whose deadline has come.
    pub fn pop(&mut self, now: Mono) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }
}
