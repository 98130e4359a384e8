//! Connections without sockets: bytes in, bytes out, and the order of things in between.
//!
//! One turn, in this order (see [`Part`]):
//!
//! ```text
//! Absorb   what the lanes have finished; replies that waited for a round may leave
//! Run      ready connections in turn, each up to its allowance, all up to that of the turn; who has more stays in
//!          line, last, and who was not come to stays first
//! Expire   waits whose deadline has come (last call), idle and overdue connections
//! Tick     the broker's own timers
//! Settle   woken waits and paid tickets, until there are none
//! Sync     a failure of the turn ends it here; a round, if anything needs one and none is in flight; jobs
//! ```
//!
//! Afterwards whoever owns the sockets looks at each of `take_touched`: it flushes (`gather`, `sent`), reads on
//! (`may_read`, `space`, `filled`) and closes (`fate`).
//!
//! Invariants: requests of a connection are handled in order, at most one of them waits or is owed, and its replies
//! leave in that order. A ready connection with a whole frame and room in its outbox stands on `ready`, and no other
//! does: whatever else stops a connection brings it back when it ends. Nothing is asked of a connection that has been
//! closed.

mod ports;
mod requests;
#[cfg(test)]
mod tests;

use super::Limits;
use super::budget::Budget;
use super::conn::{Conns, Phase, Spare};
use super::core::Core;
use super::pace::Complaints;
use super::park::Parking;
use crate::api::Out;
use crate::broker::Fatal;
use crate::broker::wait::{ConnId, Timers};
use crate::clock::{Mono, Now};
use crate::disk::lanes::Lanes;
use crate::proto::frame::Inbox;
use std::collections::VecDeque;

/// The parts of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Takes in what the lanes have finished.
    Absorb,
    /// Runs ready connections.
    Run,
    /// Last calls and other deadlines of connections.
    Expire,
    /// The broker's timers.
    Tick,
    /// Woken waits and late answers.
    Settle,
    /// Hands a round and jobs to the lanes.
    Sync,
}

impl Part {
    /// All of them, in the order of a turn.
    pub const ALL: [Part; 6] = [
        Part::Absorb,
        Part::Run,
        Part::Expire,
        Part::Tick,
        Part::Settle,
        Part::Sync,
    ];
}

/// What the owner of the socket has to do, once nothing more can be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Stay,
    /// Everything has been said: close our half, then call `fin_sent`.
    Finish,
    /// Close the socket, then call `close`.
    Close,
}

/// Requests that one turn begins, and their bytes, whoever asks: replies leave at its end, so it must come.
const TURN_REQUESTS: usize = 2_048;
const TURN_BYTES: usize = 16 << 20;

/// What was handled of an allowance.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    requests: usize,
    bytes: usize,
}

/// How far the clean stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// Parked requests get their last call in the next turn.
    Asked,
    /// The core is closing.
    Begun,
}

/// See the head of this file.
pub struct Exchange<C: Core> {
    /// The broker behind the connections.
    pub core: C,
    lanes: Box<dyn Lanes<C::Worked>>,
    limits: Limits,
    conns: Conns,
    parking: Parking,
    budget: Budget,
    /// Idle limits and the ends of lingering, one for each connection.
    deadlines: Timers<ConnId>,
    ready: VecDeque<ConnId>,
    touched: Vec<ConnId>,
    awaiting: Vec<ConnId>,
    spare: Spare,
    complaints: Complaints,
    stop: Stop,
    out: Out,
}

impl<C: Core> Exchange<C> {
    /// An exchange without connections.
    pub fn new(core: C, lanes: Box<dyn Lanes<C::Worked>>, limits: Limits) -> Exchange<C> {
        Exchange {
            core,
            lanes,
            conns: Conns::default(),
            parking: Parking::default(),
            budget: Budget::new(limits.held_bytes),
            deadlines: Timers::default(),
            ready: VecDeque::new(),
            touched: Vec::new(),
            awaiting: Vec::new(),
            spare: Spare::default(),
            complaints: Complaints::default(),
            stop: Stop::No,
            out: Out::default(),
            limits,
        }
    }

    /// The limits it obeys.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Obeys another limit from now on; who is connected beyond it stays.
    pub fn limit_connections(&mut self, connections: usize) {
        self.limits.connections = connections;
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.conns.len()
    }

    /// One whole turn.
    ///
    /// # Errors
    /// When the process must stop at once: nothing of this turn may be told to anybody.
    pub fn turn(&mut self, now: Now) -> Result<(), Fatal> {
        Part::ALL
            .into_iter()
            .try_for_each(|part| self.step(part, now))
    }

    /// One part of a turn.
    ///
    /// # Errors
    /// As for [`Exchange::turn`].
    pub fn step(&mut self, part: Part, now: Now) -> Result<(), Fatal> {
        match part {
            Part::Absorb => self.absorb(now)?,
            Part::Run => self.run_ready(now),
            Part::Expire => self.expire(now),
            Part::Tick => self.tick(now),
            Part::Settle => self.settle(now),
            Part::Sync => self.sync()?,
        }
        Ok(())
    }

    /// When the next turn is wanted, if nothing happens before; `has_ready` wants one at once.
    pub fn next_deadline(&self) -> Option<Mono> {
        let all = [
            self.parking.next_deadline(),
            self.deadlines.next(),
            self.budget.next_deadline(),
            self.core.next_deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// Whether the next turn is wanted at once: a connection has requests that this turn did not come to,
    /// or a stop has just been asked for.
    pub fn has_ready(&self) -> bool {
        match self.stop {
            Stop::No => !self.ready.is_empty() || self.budget.is_late(),
            Stop::Asked => true,
            Stop::Begun => false,
        }
    }
}

/// The parts of a turn.
impl<C: Core> Exchange<C> {
    fn absorb(&mut self, now: Now) -> Result<(), Fatal> {
        let before = self.core.synced_round();
        for done in self.lanes.completed() {
            self.core.absorb(now, done)?;
        }
        if self.core.synced_round() != before {
            for id in std::mem::take(&mut self.awaiting) {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.awaiting = false;
                    self.place(id);
                }
            }
        }
        Ok(())
    }

    fn run_ready(&mut self, now: Now) {
        if self.stop != Stop::No {
            return;
        }
        let mut all = Spent::default();
        for _ in 0..self.ready.len() {
            if all.requests >= TURN_REQUESTS || all.bytes >= TURN_BYTES {
                return;
            }
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            if let Some(conn) = self.conns.get_mut(id) {
                conn.queued = false;
                let spent = self.run(now, id, self.limits.turn_requests, false);
                all.requests += spent.requests;
                all.bytes += spent.bytes;
            }
        }
    }

    fn expire(&mut self, now: Now) {
        while let Some(id) = self.parking.expired(now.mono) {
            self.run(now, id, 1, true);
        }
        while let Some(id) = self.deadlines.pop(now.mono) {
            self.deadline(id, now.mono);
        }
        while let Some(id) = self.budget.overdue(&self.conns, now.mono) {
            self.give_up(
                id,
                now.mono,
                "its request did not become complete while memory was short",
            );
        }
        for id in self.budget.relieve(&mut self.conns, now.mono) {
            self.touch(id);
        }
    }

    fn tick(&mut self, now: Now) {
        // Parked requests have just had their last call.
        if self.stop == Stop::Asked {
            self.stop = Stop::Begun;
            self.core.begin_close(now);
        }
        self.core.tick(now);
    }

    fn settle(&mut self, now: Now) {
        loop {
            for signal in self.core.take_signals() {
                self.parking.signal(&mut self.conns, signal);
            }
            let (woken, paid) = (self.parking.take_woken(), self.core.take_paid());
            if woken.is_empty() && paid.is_empty() {
                break;
            }
            for id in woken {
                self.run(now, id, 1, false);
            }
            for (ticket, fact) in paid {
                self.pay(now.mono, &ticket, fact);
            }
        }
    }

    fn sync(&mut self) -> Result<(), Fatal> {
        if let Some(round) = self.core.start_round()? {
            self.lanes.sync(round);
        }
        for job in self.core.take_jobs() {
            self.lanes.work(job);
        }
        Ok(())
    }
}

/// The lists that connections stand on.
impl<C: Core> Exchange<C> {
    /// Puts a connection on the lists where it belongs, after anything has happened to it.
    fn place(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let has_frame = conn.inbox.frame(self.limits.request_bytes) != Ok(None);
        match conn.phase {
            Phase::Ready if conn.ended && !has_frame => conn.phase = Phase::Closing,
            Phase::Owed if conn.hung_up => conn.phase = Phase::Dead,
            _ => {}
        }
        if has_frame && !conn.queued && conn.is_runnable() {
            conn.queued = true;
            self.ready.push_back(id);
        }
        if matches!(conn.phase, Phase::Closing | Phase::Lingering | Phase::Dead) {
            conn.inbox = Inbox::default();
        }
        self.spare.take_back(&mut conn.inbox);
        self.budget.charge(conn);
        if !conn.awaiting && conn.outbox.awaits_round(self.core.synced_round()) {
            conn.awaiting = true;
            self.awaiting.push(id);
        }
        self.touch(id);
    }

    fn touch(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if !conn.touched {
            conn.touched = true;
            self.touched.push(id);
        }
    }

    /// Handles nothing more of this connection; what was answered still leaves.
    fn finish(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            self.parking.release(conn);
            conn.phase = Phase::Closing;
            self.place(id);
        }
    }

    /// A connection's deadline has come: the end of its lingering, or maybe it has been idle for too long.
    fn deadline(&mut self, id: ConnId, now: Mono) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let idle_until = match conn.phase {
            Phase::Lingering => now,
            Phase::Waiting(_) | Phase::Owed => self.limits.idle_from(now),
            _ => self.limits.idle_from(conn.active),
        };
        if idle_until > now {
            self.deadlines.set(id, idle_until);
        } else {
            conn.phase = Phase::Dead;
            self.place(id);
        }
    }
}

impl<C: Core> Exchange<C> {
    /// What must hold between turns.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self, now: Mono) {
        self.parking.check(&self.conns);
        self.budget.check(&self.conns);
        let overdue = self.next_deadline().is_some_and(|at| at <= now);
        assert!(!overdue, "a turn left something overdue");
        let limit = self.limits.request_bytes;
        for (id, conn) in self.conns.iter() {
            let places = self.ready.iter().filter(|&&ready| ready == id).count();
            assert_eq!(places, usize::from(conn.queued), "{id:?} on the ready list");
            let may_run = conn.is_runnable() && conn.inbox.frame(limit) != Ok(None);
            assert!(conn.queued || !may_run, "{id:?} was forgotten");
            assert_eq!(conn.charged_bytes, conn.inbox.held_bytes());
            let awaits = conn.outbox.awaits_round(self.core.synced_round());
            assert!(
                !awaits || self.awaiting.contains(&id),
                "{id:?} waits for a round"
            );
        }
    }
}
