//! What is true now, in memory.

pub mod wait;

use crate::clock::{Mono, Now};
use crate::disk::lanes::{Completion, Job, Round};
use std::io;
use std::path::PathBuf;
use wait::{Signal, Ticket};

/// What a job of the work lane brings back.
pub enum Worked {
    /// For the storage room.
    Storage(crate::storage::Done),
    /// For the journal.
    Journal(crate::journal::Done),
}

/// Why the process must stop at once: a write or sync that cannot be taken back or tried again.
#[derive(Debug)]
pub struct Fatal {
    /// The file, directory or file system.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// A late answer: an owned fact, which `api::answer` turns into bytes of the ticket's version.
pub enum Fact {}

/// Everything the broker knows and does. Pure: no clock, no socket, no randomness.
pub struct Broker {}

impl Broker {
    /// Takes in what a lane has finished.
    pub fn absorb(&mut self, _now: Now, _done: Completion<Worked>) -> Result<(), Fatal> {
        Ok(())
    }
    /// Fires what is due.
    pub fn tick(&mut self, _now: Now) -> Result<(), Fatal> {
        Ok(())
    }
    /// When `tick` is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        None
    }
    /// Changes that parked requests may be waiting for, since the last call.
    pub fn take_signals(&mut self) -> Vec<Signal> {
        Vec::new()
    }
    /// Late answers, since the last call.
    pub fn take_paid(&mut self) -> Vec<(Ticket, Fact)> {
        Vec::new()
    }
    /// Jobs for the work lane, since the last call.
    pub fn take_jobs(&mut self) -> Vec<Job<Worked>> {
        Vec::new()
    }
    /// The next sync round, if anything needs one and none is in flight.
    pub fn start_round(&mut self) -> Option<Round> {
        None
    }
    /// The newest round that is durable: replies tagged with a higher one must wait.
    #[must_use]
    pub fn synced_round(&self) -> u64 {
        0
    }
}
