//! One connection without its socket, and the table of all of them.
//!
//! A slot of the table is used again; its generation never is, so that an answer to a connection that has gone finds
//! nobody. An idle connection owns no inbox, and of its outbox half a KiB.

use super::Limits;
use super::outbox::Outbox;
use crate::api::Peer;
use crate::broker::wait::{ConnId, Key};
use crate::clock::Mono;
use crate::proto::frame::Inbox;

/// What may happen next on a connection.
#[derive(Debug)]
pub(super) enum Phase {
    /// Its next whole frame may be handled.
    Ready,
    /// The frame at the head of its inbox waits for a change or for its deadline.
    Waiting(Parked),
    /// Somebody keeps the ticket of its last request.
    Owed,
    /// Nothing is handled any more; once the outbox is empty the peer is told so.
    Closing,
    /// Our half is closed; what still comes is thrown away until the peer closes too, or loses our patience. Closing at
    /// once would answer unread bytes with a reset, which destroys replies that the peer has not read yet.
    Lingering,
    /// The socket is to be closed now.
    Dead,
}

/// A request that waits in place.
#[derive(Debug)]
pub(super) struct Parked {
    /// When it was first asked.
    pub(super) arrived: Mono,
    /// Its last call, fixed by the first wait.
    pub(super) until: Mono,
    /// The keys it watches.
    pub(super) on: Vec<Key>,
    /// Bytes that must come before it is worth asking again.
    pub(super) missing: usize,
    /// Bytes that have come since it was asked.
    pub(super) brought: usize,
    /// It stands on the list of those that are asked again in this turn.
    pub(super) woken: bool,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) peer: Peer,
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
    pub(super) phase: Phase,
    /// Memory of the inbox, as it is counted in the budget.
    pub(super) charged_bytes: usize,
    /// When the first byte of an incomplete frame came.
    pub(super) begun: Mono,
    /// When bytes last came or left.
    pub(super) active: Mono,
    /// A whole frame has come: the peer speaks our protocol.
    pub(super) greeted: bool,
    /// The peer will send nothing more than what it has sent already.
    pub(super) hung_up: bool,
    /// Everything that the peer sent has been read.
    pub(super) ended: bool,
    /// It stands on the list of those to be run.
    pub(super) queued: bool,
    /// It stands on the list of those to be looked at after the turn.
    pub(super) touched: bool,
    /// It stands on the list of those whose replies wait for a round.
    pub(super) awaiting: bool,
    /// It stands on the list of those that the budget keeps from reading.
    pub(super) starved: bool,
}

impl Conn {
    fn new(peer: Peer, now: Mono, limits: &Limits) -> Conn {
        Conn {
            peer,
            inbox: Inbox::default(),
            outbox: Outbox::new(limits),
            phase: Phase::Ready,
            charged_bytes: 0,
            begun: now,
            active: now,
            greeted: false,
            hung_up: false,
            ended: false,
            queued: false,
            touched: false,
            awaiting: false,
            starved: false,
        }
    }

    /// Whether its next frame, if it has one, may be handled.
    pub(super) fn is_runnable(&self) -> bool {
        matches!(self.phase, Phase::Ready) && !self.outbox.is_full()
    }
}

/// Empty inboxes with memory to read into. Who reads is lent one, still warm, and keeps it only if a good part of it is
/// used: what is less moves to an inbox of its own size, so that a thousand connections with a few bytes each cost
/// a few bytes each.
#[derive(Debug, Default)]
pub(super) struct Spare {
    inboxes: Vec<Inbox>,
}

/// What a fresh inbox makes room for.
pub(super) const READ_BYTES: usize = 64 * 1024;
/// Up to so many waiting bytes are moved, which costs less than memory for another connection to read into.
const MOVED_BYTES: usize = READ_BYTES / 2;
/// Memory that is not worth a move.
const SLACK_BYTES: usize = 512;
/// How many inboxes are kept, and up to which size.
const SPARE_COUNT: usize = 8;
const SPARE_BYTES: usize = 512 * 1024;

impl Spare {
    /// Gives an inbox a spare one's memory, if it has too little to read into.
    pub(super) fn lend(&mut self, inbox: &mut Inbox) {
        if inbox.held_bytes() < READ_BYTES
            && let Some(spare) = self.inboxes.pop()
        {
            inbox.rehouse(spare);
        }
    }

    /// Takes the memory of an inbox in which nothing waits, or little in much.
    pub(super) fn take_back(&mut self, inbox: &mut Inbox) {
        let (held, waiting) = (inbox.held_bytes(), inbox.buffered_bytes());
        let is_fit = waiting > 0 && held <= 2 * waiting + SLACK_BYTES;
        if is_fit || held == 0 || waiting > MOVED_BYTES {
            return;
        }
        let spare = inbox.rehouse(Inbox::default());
        if self.inboxes.len() < SPARE_COUNT && (READ_BYTES..=SPARE_BYTES).contains(&held) {
            self.inboxes.push(spare);
        }
    }
}

/// Every connection, by slot.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    conn: Option<Box<Conn>>,
}

impl Conns {
    /// Adds a connection. `peer` learns the id that it gets.
    pub(super) fn insert(
        &mut self,
        now: Mono,
        limits: &Limits,
        peer: impl FnOnce(ConnId) -> Peer,
    ) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer connections than descriptors")
        });
        let place = &mut self.slots[slot as usize];
        let id = ConnId {
            slot,
            generation: place.generation,
        };
        place.conn = Some(Box::new(Conn::new(peer(id), now, limits)));
        id
    }

    /// Removes a connection; its id finds nobody from now on.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        self.get(id)?;
        let place = &mut self.slots[id.slot as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.slot);
        place.conn.take()
    }

    /// The connection, if it is still there.
    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        let place = self.slots.get(id.slot as usize)?;
        place
            .conn
            .as_deref()
            .filter(|_| place.generation == id.generation)
    }

    /// The connection, if it is still there.
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let place = self.slots.get_mut(id.slot as usize)?;
        place
            .conn
            .as_deref_mut()
            .filter(|_| place.generation == id.generation)
    }

    /// All of them, by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Conn)> {
        self.slots.iter().filter_map(|place| {
            let conn = place.conn.as_deref()?;
            Some((conn.peer.conn, conn))
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
