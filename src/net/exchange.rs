//! Connections without sockets: bytes in, bytes out, and the order of things in between.
//!
//! One turn, in this order (see [`Part`]):
//!
//! ```text
//! Absorb   what the lanes have finished; replies that waited for a round may leave
//! Run      ready connections in turn, each up to its allowance; who has more stays in line, last
//! Expire   waits whose deadline has come (last call), idle and overdue connections
//! Tick     the broker's own timers
//! Settle   woken waits and paid tickets, until there are none
//! Sync     a round, if anything needs one and none is in flight; jobs go to the work lane
//! ```
//!
//! Afterwards whoever owns the sockets looks at each of `take_touched`: it flushes (`gather`, `sent`), reads on (`may_read`,
//! `space`, `filled`) and closes (`fate`).
//!
//! Invariants: requests of a connection are handled in order, at most one of them waits or is owed, and its replies leave in
//! that order. A ready connection with a whole frame and room in its outbox stands on `ready`, and no other does: whatever
//! else stops a connection brings it back when it ends. Nothing is asked of a connection that has been closed.

use super::budget::Budget;
use super::conn::{Conn, Conns, Parked, Phase, Spare};
use super::core::Core;
use super::pace::Complaints;
use super::park::Parking;
use super::{Limits, stranger};
use crate::api::{Cx, Out, Peer};
use crate::broker::Fatal;
use crate::broker::wait::{ConnId, Outcome, Ticket, Timers};
use crate::clock::{Mono, Now};
use crate::disk::lanes::Lanes;
use crate::proto::frame::Inbox;
use std::collections::VecDeque;
use std::io::IoSlice;

/// How long a peer may take to close its half after we have closed ours.
const LINGER_MS: i64 = 1_000;
/// What an inbox holds at first.
const READ_BYTES: usize = 64 * 1024;
/// Bytes that are read ahead while there are whole frames to be handled.
const AHEAD_BYTES: usize = 192 * 1024;
/// The least that one read makes room for.
const LEAST_READ_BYTES: usize = 16 * 1024;

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

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.conns.len()
    }

    /// One whole turn. An error means that the process must stop at once.
    pub fn turn(&mut self, now: Now) -> Result<(), Fatal> {
        Part::ALL
            .into_iter()
            .try_for_each(|part| self.step(part, now))
    }

    /// One part of a turn.
    pub fn step(&mut self, part: Part, now: Now) -> Result<(), Fatal> {
        match part {
            Part::Absorb => self.absorb(now)?,
            Part::Run => self.run_ready(now),
            Part::Expire => self.expire(now),
            Part::Tick => self.core.tick(now)?,
            Part::Settle => self.settle(now),
            Part::Sync => self.sync(),
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
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            if let Some(conn) = self.conns.get_mut(id) {
                conn.queued = false;
                self.run(now, id, self.limits.turn_requests, false);
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
            self.complain(
                id,
                now.mono,
                "its request did not become complete while memory was short",
            );
            self.finish(id);
        }
        for id in self.budget.relieve(&mut self.conns, now.mono) {
            self.touch(id);
        }
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
                self.pay(&ticket, fact);
            }
        }
        if self.stop == Stop::Asked {
            self.stop = Stop::Begun;
            self.core.begin_close(now);
        }
    }

    fn sync(&mut self) {
        if let Some(round) = self.core.start_round() {
            self.lanes.sync(round);
        }
        for job in self.core.take_jobs() {
            self.lanes.work(job);
        }
    }
}

/// Requests.
impl<C: Core> Exchange<C> {
    /// Handles frames of one connection until the allowance is spent, none is whole, or one must wait. A parked request
    /// is asked again first, whatever the outbox holds.
    fn run(&mut self, now: Now, id: ConnId, requests: usize, last_call: bool) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let mut parked = self.parking.release(conn);
        let mut bytes = 0;
        for _ in 0..requests {
            let runnable = self.conns.get(id).is_some_and(Conn::is_runnable);
            if parked.is_none() && (!runnable || bytes >= self.limits.turn_bytes) {
                break;
            }
            match self.ask(now, id, parked.take(), last_call) {
                Some(frame_bytes) => bytes += frame_bytes,
                None => break,
            }
        }
        self.place(id);
    }

    /// Asks the handler for the connection's first frame. Answers the frame's length if the next one may follow at once.
    fn ask(
        &mut self,
        now: Now,
        id: ConnId,
        parked: Option<Parked>,
        last_call: bool,
    ) -> Option<usize> {
        let conn = self.conns.get_mut(id)?;
        let frame = match conn.inbox.frame(self.limits.request_bytes) {
            Ok(frame) => frame?,
            Err(_) => {
                self.refuse(id, now.mono);
                return None;
            }
        };
        let frame_bytes = frame.len();
        let start = conn.outbox.open(&mut self.out);
        let mut cx = Cx {
            now,
            arrived: parked.as_ref().map_or(now.mono, |parked| parked.arrived),
            // Who will not send any more, or is about to be cut off, is not kept waiting.
            last_call: last_call || conn.hung_up || self.stop != Stop::No,
            peer: &mut conn.peer,
            ticket: None,
        };
        let outcome = self.core.handle(&mut cx, frame, &mut self.out);
        let Cx {
            arrived,
            last_call,
            ticket,
            ..
        } = cx;
        match outcome {
            Outcome::Done => conn.outbox.seal(start, &mut self.out),
            _ => conn.outbox.discard(start, &mut self.out),
        }
        match outcome {
            Outcome::Done | Outcome::Silent => {}
            Outcome::Retry(wait) => {
                assert!(!last_call, "a handler answers its last call");
                self.parking
                    .park(conn, arrived, parked.map(|parked| parked.until), wait);
                return None;
            }
            Outcome::Owed => {
                assert!(ticket.is_none(), "owed, yet nobody kept the ticket");
                conn.phase = Phase::Owed;
            }
            Outcome::Close(reason) => {
                self.complain(id, now.mono, reason);
                self.finish(id);
                return None;
            }
        }
        conn.inbox.consume();
        (conn.greeted, conn.begun) = (true, now.mono);
        matches!(conn.phase, Phase::Ready).then_some(frame_bytes)
    }

    /// Writes a late answer, unless its connection has gone.
    fn pay(&mut self, ticket: &Ticket, fact: C::Fact) {
        let Some(conn) = self.conns.get_mut(ticket.conn) else {
            return;
        };
        if !matches!(conn.phase, Phase::Owed) {
            return;
        }
        let start = conn.outbox.open(&mut self.out);
        self.core.answer(ticket, fact, &mut self.out);
        conn.outbox.seal(start, &mut self.out);
        conn.phase = Phase::Ready;
        self.place(ticket.conn);
    }

    /// The bytes at hand are no frame: says what they may be instead, and closes.
    fn refuse(&mut self, id: ConnId, now: Mono) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let first = conn.inbox.peek_first_four().filter(|_| !conn.greeted);
        let stranger = first.and_then(stranger::recognise);
        let reason = match stranger {
            Some(stranger) => {
                conn.outbox.push_raw(stranger.farewell());
                stranger.sentence()
            }
            None => "a frame's length is not positive, or above socket.request.max.bytes",
        };
        self.complain(id, now, reason);
        self.finish(id);
    }

    fn complain(&mut self, id: ConnId, now: Mono, reason: &str) {
        if let Some(conn) = self.conns.get(id) {
            self.complaints.log(now, &conn.peer, reason);
        }
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
        self.budget.charge(conn);
        self.spare.take_back(&mut conn.inbox);
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
            Phase::Waiting(_) | Phase::Owed => now.plus_ms(self.limits.idle_ms),
            _ => conn.active.plus_ms(self.limits.idle_ms),
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
            assert_eq!(conn.charged_bytes, conn.inbox.buffered_bytes());
            let awaits = conn.outbox.awaits_round(self.core.synced_round());
            assert!(
                !awaits || self.awaiting.contains(&id),
                "{id:?} waits for a round"
            );
        }
    }
}

/// What the owner of the sockets calls.
impl<C: Core> Exchange<C> {
    /// A new connection. `peer` learns its id.
    pub fn open(&mut self, now: Mono, peer: impl FnOnce(ConnId) -> Peer) -> ConnId {
        let id = self.conns.insert(now, peer);
        self.deadlines.set(id, now.plus_ms(self.limits.idle_ms));
        id
    }

    /// Forgets a connection whose socket is closed.
    pub fn close(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            self.parking.release(conn);
            conn.inbox = Inbox::default();
            self.budget.charge(conn);
            self.deadlines.cancel(id);
            self.conns.remove(id);
        }
    }

    /// Whether bytes of this connection are wanted now. If not, it will stand among `take_touched` when they are.
    pub fn may_read(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else {
            return false;
        };
        match conn.phase {
            Phase::Ready if self.stop == Stop::No && !conn.ended => {
                let enough = conn.queued && conn.inbox.buffered_bytes() >= AHEAD_BYTES;
                !enough && !conn.outbox.is_full() && self.budget.allows(conn)
            }
            Phase::Lingering => !conn.ended,
            _ => false,
        }
    }

    /// Whether bytes of this connection are only read to be thrown away.
    pub fn discards(&self, id: ConnId) -> bool {
        self.conns
            .get(id)
            .is_none_or(|conn| matches!(conn.phase, Phase::Lingering))
    }

    /// Where arriving bytes are to be put; empty for a connection that is not there. Every call is followed by `filled`.
    pub fn space(&mut self, id: ConnId) -> &mut [u8] {
        let Some(conn) = self.conns.get_mut(id) else {
            return &mut [];
        };
        self.spare.lend(&mut conn.inbox);
        let waiting = conn.inbox.buffered_bytes();
        conn.inbox
            .space(READ_BYTES.saturating_sub(waiting).max(LEAST_READ_BYTES))
    }

    /// So many bytes have arrived in the space; none is fine.
    pub fn filled(&mut self, now: Mono, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if bytes > 0 {
            conn.active = now;
            if conn.inbox.buffered_bytes() == 0 {
                conn.begun = now;
            }
            conn.inbox.filled(bytes);
        }
        self.place(id);
    }

    /// The peer has closed its half, or the whole connection, which may be known before its last bytes have been read.
    pub fn hung_up(&mut self, now: Mono, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.hung_up = true;
            self.parking.expire(conn, now);
            self.place(id);
        }
    }

    /// Everything that the peer sent has been read, and nothing more will come.
    pub fn ended(&mut self, now: Mono, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.ended = true;
            if matches!(conn.phase, Phase::Lingering) {
                conn.phase = Phase::Dead;
            }
            self.hung_up(now, id);
        }
    }

    /// Those to be looked at: something to flush, to read again, or to close.
    pub fn take_touched(&mut self, into: &mut Vec<ConnId>) {
        into.clear();
        std::mem::swap(into, &mut self.touched);
        for &id in &*into {
            if let Some(conn) = self.conns.get_mut(id) {
                conn.touched = false;
            }
        }
    }

    /// What may leave now, up to about `limit` bytes: the number of slices filled, and of bytes.
    pub fn gather<'a>(
        &'a self,
        id: ConnId,
        limit: usize,
        slices: &mut [IoSlice<'a>],
    ) -> (usize, usize) {
        let synced = self.core.synced_round();
        self.conns
            .get(id)
            .map_or((0, 0), |conn| conn.outbox.gather(synced, limit, slices))
    }

    /// Whether `gather` would find anything.
    pub fn is_flushable(&self, id: ConnId) -> bool {
        let synced = self.core.synced_round();
        self.conns
            .get(id)
            .is_some_and(|conn| conn.outbox.is_flushable(synced))
    }

    /// So many bytes of what was gathered have left.
    pub fn sent(&mut self, now: Mono, id: ConnId, bytes: usize) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.active = now;
            let was_full = conn.outbox.is_full();
            conn.outbox.sent(bytes);
            if was_full || conn.outbox.awaits_round(self.core.synced_round()) {
                self.place(id);
            }
        }
    }

    /// What becomes of the socket.
    pub fn fate(&self, id: ConnId) -> Fate {
        let Some(conn) = self.conns.get(id) else {
            return Fate::Close;
        };
        match conn.phase {
            Phase::Dead => Fate::Close,
            Phase::Closing if !conn.outbox.is_empty() => Fate::Stay,
            Phase::Closing if conn.ended => Fate::Close,
            Phase::Closing => Fate::Finish,
            _ => Fate::Stay,
        }
    }

    /// Our half of the connection is closed; the peer has a moment to close its own.
    pub fn fin_sent(&mut self, now: Mono, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.phase = Phase::Lingering;
            self.deadlines.set(id, now.plus_ms(LINGER_MS));
        }
    }

    /// Starts the clean stop: requests that have not been handled never will be, parked ones get their last call in the next turn,
    /// then the core closes.
    pub fn begin_stop(&mut self, now: Mono) {
        if self.stop == Stop::No {
            self.stop = Stop::Asked;
            for (_, conn) in self.conns.iter() {
                self.parking.expire(conn, now);
            }
        }
    }

    /// Whether the clean stop is complete but for the replies that are still to leave.
    pub fn is_stopped(&self) -> bool {
        self.stop == Stop::Begun && self.core.closed()
    }

    /// Lets every connection finish.
    pub fn finish_all(&mut self) {
        let all: Vec<ConnId> = self.conns.iter().map(|(id, _)| id).collect();
        for id in all {
            if self
                .conns
                .get(id)
                .is_some_and(|conn| !matches!(conn.phase, Phase::Lingering | Phase::Dead))
            {
                self.finish(id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
