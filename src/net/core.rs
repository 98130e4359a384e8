//! What the exchange asks of the broker, as a trait: the exchange is tested against a toy of a few lines, and serves
//! the real thing through the one implementation at the foot of this file.
//!
//! A core is pure: it sees no socket and no clock, and whatever it owes to others (signals, late answers, jobs,
//! rounds) it holds until it is asked. The exchange asks in the order of a turn, see [`super::exchange`].

use crate::api::{self, Cx, Out};
use crate::broker::wait::{Outcome, Signal, Ticket};
use crate::broker::{Broker, Fact, Fatal, Worked};
use crate::clock::{Mono, Now};
use crate::disk::lanes::{Completion, Job, Round};

/// A broker, as seen from the connections.
pub trait Core {
    /// A late answer that has not been written yet.
    type Fact;
    /// What a job of the work lane brings back.
    type Worked;

    /// Handles one frame (without its length). A handler changes nothing before it answers anything but
    /// [`Outcome::Retry`], and appends to `out.bytes` only.
    fn handle(&mut self, cx: &mut Cx<'_>, frame: &[u8], out: &mut Out) -> Outcome;
    /// Writes a late answer in the ticket's version.
    fn answer(&mut self, ticket: &Ticket, fact: Self::Fact, out: &mut Out);
    /// Takes in what a lane has finished.
    fn absorb(&mut self, now: Now, done: Completion<Self::Worked>) -> Result<(), Fatal>;
    /// Fires what is due.
    fn tick(&mut self, now: Now);
    /// When `tick` is wanted next.
    fn next_deadline(&self) -> Option<Mono>;
    /// Changes that parked requests may be waiting for, since the last call.
    fn take_signals(&mut self) -> Vec<Signal>;
    /// Late answers, since the last call.
    fn take_paid(&mut self) -> Vec<(Ticket, Self::Fact)>;
    /// Jobs for the work lane, since the last call.
    fn take_jobs(&mut self) -> Vec<Job<Self::Worked>>;
    /// The next sync round, if anything needs one and none is in flight. This is asked after everything else, so it is
    /// here that a failure of the turn comes to light: then nothing of the turn may be told to anybody.
    fn start_round(&mut self) -> Result<Option<Round>, Fatal>;
    /// The newest durable round: replies tagged with a higher one must wait.
    fn synced_round(&self) -> u64;
    /// Whether settings have changed since the last call, which those outside obey.
    fn take_reconfigured(&mut self) -> bool {
        false
    }
    /// Starts the clean close: last checkpoints, last round, the journal's closing record.
    fn begin_close(&mut self, now: Now);
    /// Whether the clean close is complete. Asked only after `begin_close`.
    fn closed(&self) -> bool;
}

impl Core for Broker {
    type Fact = Fact;
    type Worked = Worked;

    fn handle(&mut self, cx: &mut Cx<'_>, frame: &[u8], out: &mut Out) -> Outcome {
        api::handle(self, cx, frame, out)
    }
    fn answer(&mut self, ticket: &Ticket, fact: Fact, out: &mut Out) {
        api::answer(ticket, fact, out);
    }
    fn absorb(&mut self, now: Now, done: Completion<Worked>) -> Result<(), Fatal> {
        Broker::absorb(self, now, done)
    }
    fn tick(&mut self, now: Now) {
        Broker::tick(self, now);
    }
    fn next_deadline(&self) -> Option<Mono> {
        Broker::next_deadline(self)
    }
    fn take_signals(&mut self) -> Vec<Signal> {
        Broker::take_signals(self)
    }
    fn take_paid(&mut self) -> Vec<(Ticket, Fact)> {
        Broker::take_paid(self)
    }
    fn take_jobs(&mut self) -> Vec<Job<Worked>> {
        Broker::take_jobs(self)
    }
    fn start_round(&mut self) -> Result<Option<Round>, Fatal> {
        Broker::start_round(self)
    }
    fn synced_round(&self) -> u64 {
        Broker::synced_round(self)
    }
    fn take_reconfigured(&mut self) -> bool {
        Broker::take_reconfigured(self)
    }
    fn begin_close(&mut self, now: Now) {
        Broker::begin_close(self, now);
    }
    fn closed(&self) -> bool {
        Broker::closed(self)
    }
}
