//! Requests that wait in place: who watches which key, and until when.
//!
//! Invariants: a connection is in phase `Waiting` exactly while it has a deadline here; it stands under `watchers` for
//! each key it waits on and for no other; a request keeps the deadline of its first wait however often it is asked
//! again.

use super::conn::{Conn, Conns, Parked, Phase};
use crate::broker::wait::{ConnId, Key, Signal, Timers, Wait};
use crate::clock::Mono;
use std::collections::BTreeSet;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Parking {
    waits: Timers<ConnId>,
    watchers: BTreeSet<(Key, ConnId)>,
    woken: Vec<ConnId>,
}

/// The ends of all ids, so that a key's watchers are a range.
const FIRST: ConnId = ConnId {
    slot: 0,
    generation: 0,
};
const LAST: ConnId = ConnId {
    slot: u32::MAX,
    generation: u32::MAX,
};

impl Parking {
    /// Parks the connection's first frame. `before` is its earlier wait, when it has been asked again in vain.
    pub(super) fn park(
        &mut self,
        conn: &mut Conn,
        arrived: Mono,
        before: Option<Mono>,
        wait: Wait,
    ) {
        let id = conn.peer.conn;
        let until = before.unwrap_or(wait.until);
        self.waits.set(id, until);
        self.watchers.extend(wait.on.iter().map(|&key| (key, id)));
        conn.phase = Phase::Waiting(Parked {
            arrived,
            until,
            on: wait.on,
            missing: wait.missing,
            brought: 0,
            woken: false,
        });
    }

    /// Ends the connection's wait, if it has one, and leaves it ready.
    pub(super) fn release(&mut self, conn: &mut Conn) -> Option<Parked> {
        if !matches!(conn.phase, Phase::Waiting(_)) {
            return None;
        }
        let Phase::Waiting(parked) = std::mem::replace(&mut conn.phase, Phase::Ready) else {
            return None;
        };
        let id = conn.peer.conn;
        self.waits.cancel(&id);
        for &key in &parked.on {
            self.watchers.remove(&(key, id));
        }
        Some(parked)
    }

    /// Counts what a change brings to each of its watchers, and wakes those that have enough.
    pub(super) fn signal(&mut self, conns: &mut Conns, signal: Signal) {
        let watching = self
            .watchers
            .range((signal.key, FIRST)..=(signal.key, LAST));
        for &(_, id) in watching {
            let Some(Phase::Waiting(parked)) = conns.get_mut(id).map(|conn| &mut conn.phase) else {
                continue;
            };
            parked.brought = parked.brought.saturating_add(signal.bytes);
            if parked.brought >= parked.missing && !parked.woken {
                parked.woken = true;
                self.woken.push(id);
            }
        }
    }

    /// Those that were woken since the last call.
    pub(super) fn take_woken(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.woken)
    }

    /// Takes one whose deadline has come.
    pub(super) fn expired(&mut self, now: Mono) -> Option<ConnId> {
        self.waits.pop(now)
    }

    /// Makes the connection's deadline come now, if it waits.
    pub(super) fn expire(&mut self, conn: &Conn, now: Mono) {
        if matches!(conn.phase, Phase::Waiting(_)) {
            self.waits.set(conn.peer.conn, now);
        }
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.waits.next()
    }

    /// Asserts the invariants at the head of this file.
    pub(super) fn check(&self, conns: &Conns) {
        let mut watching = BTreeSet::new();
        for (id, conn) in conns.iter() {
            if let Phase::Waiting(parked) = &conn.phase {
                watching.extend(parked.on.iter().map(|&key| (key, id)));
                let mut one = Timers::default();
                one.set(id, parked.until);
                assert!(self.waits.next().is_some_and(|next| next <= parked.until));
            }
        }
        assert_eq!(
            self.watchers, watching,
            "watched by those that wait, and by nobody else"
        );
        let waiting = conns
            .iter()
            .filter(|(_, conn)| matches!(conn.phase, Phase::Waiting(_)));
        assert_eq!(
            self.waits.next().is_some(),
            waiting.count() > 0,
            "a deadline without a wait"
        );
        assert!(
            self.woken.is_empty(),
            "a turn is over only when it is quiet"
        );
    }
}
