//! Requests of one connection: asked in order, answered in order.

use super::super::conn::{Conn, Parked, Phase};
use super::super::core::Core;
use super::super::stranger;
use super::{Exchange, Spent, Stop};
use crate::api::Cx;
use crate::broker::wait::{ConnId, Outcome, Ticket};
use crate::clock::{Mono, Now};

const TOO_LARGE: &str = "the answer to its request is too large for any peer";

impl<C: Core> Exchange<C> {
    /// Handles frames of one connection until the allowance is spent, none is whole, or one must wait. A parked request
    /// is asked again first, whatever the outbox holds.
    pub(super) fn run(&mut self, now: Now, id: ConnId, requests: usize, last_call: bool) -> Spent {
        let mut spent = Spent::default();
        let Some(conn) = self.conns.get_mut(id) else {
            return spent;
        };
        let mut parked = self.parking.release(conn);
        while spent.requests < requests {
            let runnable = self.conns.get(id).is_some_and(Conn::is_runnable);
            if parked.is_none() && (!runnable || spent.bytes >= self.limits.turn_bytes) {
                break;
            }
            spent.requests += 1;
            match self.ask(now, id, parked.take(), last_call) {
                Some(frame_bytes) => spent.bytes += frame_bytes,
                None => break,
            }
        }
        self.place(id);
        spent
    }

    /// Asks the handler for the connection's first frame. Answers the frame's length if the next one may follow at
    /// once.
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
        };
        let outcome = self.core.handle(&mut cx, frame, &mut self.out);
        let Cx {
            arrived, last_call, ..
        } = cx;
        let sealed = match outcome {
            Outcome::Done => conn.outbox.seal(start, &mut self.out),
            _ => {
                conn.outbox.discard(start, &mut self.out);
                Ok(())
            }
        };
        match outcome {
            Outcome::Done if sealed.is_err() => {
                self.give_up(id, now.mono, TOO_LARGE);
                return None;
            }
            Outcome::Done | Outcome::Silent => {}
            Outcome::Retry(wait) => {
                assert!(!last_call, "a handler answers its last call");
                let before = parked.map(|parked| parked.until);
                self.parking.park(conn, arrived, before, wait);
                return None;
            }
            Outcome::Owed => conn.phase = Phase::Owed,
            Outcome::Close(reason) => {
                self.give_up(id, now.mono, reason);
                return None;
            }
        }
        conn.inbox.consume();
        (conn.greeted, conn.begun) = (true, now.mono);
        matches!(conn.phase, Phase::Ready).then_some(frame_bytes)
    }

    /// Writes a late answer, unless its connection has gone.
    pub(super) fn pay(&mut self, now: Mono, ticket: &Ticket, fact: C::Fact) {
        let Some(conn) = self.conns.get_mut(ticket.conn) else {
            return;
        };
        if !matches!(conn.phase, Phase::Owed) {
            let is_over = !matches!(conn.phase, Phase::Ready | Phase::Waiting(_));
            debug_assert!(is_over, "a ticket is spent once");
            return;
        }
        let start = conn.outbox.open(&mut self.out);
        self.core.answer(ticket, fact, &mut self.out);
        let sealed = conn.outbox.seal(start, &mut self.out);
        conn.phase = Phase::Ready;
        if sealed.is_err() {
            return self.give_up(ticket.conn, now, TOO_LARGE);
        }
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
        self.give_up(id, now, reason);
    }

    /// Handles nothing more of this connection, and says why.
    pub(super) fn give_up(&mut self, id: ConnId, now: Mono, reason: &str) {
        if let Some(conn) = self.conns.get(id) {
            self.complaints.log(now, &conn.peer, reason);
        }
        self.finish(id);
    }
}
