//! The budget of memory for request bytes that all connections hold together.
//!
//! An inbox is charged with its memory as bytes arrive, and released as their frames are handled. At the limit nobody
//! is read from but one connection, the favoured: the one whose incomplete frame is the oldest. So something always
//! becomes complete, and beyond the limit there is at most the inbox of one frame (which doubles as it grows, to less
//! than twice the frame and what came with it) and the few spare ones. A favoured peer that does not complete its frame
//! in time is closed: otherwise a handful of them, silent, would keep everybody waiting.

use super::conn::{Conn, Conns, Phase};
use crate::broker::wait::ConnId;
use crate::clock::Mono;

/// How long the favoured connection may take to complete its frame.
const PATIENCE_MS: i64 = 10_000;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Budget {
    limit_bytes: usize,
    held_bytes: usize,
    favoured: Option<Favour>,
    starved: Vec<ConnId>,
}

/// The right to be read from while nobody else is.
#[derive(Debug)]
struct Favour {
    id: ConnId,
    /// Tells the frame that it was given for from the next one.
    begun: Mono,
    until: Mono,
}

impl Budget {
    pub(super) fn new(limit_bytes: usize) -> Budget {
        Budget {
            limit_bytes,
            held_bytes: 0,
            favoured: None,
            starved: Vec::new(),
        }
    }

    /// Counts what the connection holds now.
    pub(super) fn charge(&mut self, conn: &mut Conn) {
        let holds_bytes = conn.inbox.held_bytes();
        self.held_bytes = self.held_bytes - conn.charged_bytes + holds_bytes;
        conn.charged_bytes = holds_bytes;
    }

    /// Whether the connection may be read from; if not, it stands in line until it may.
    pub(super) fn allows(&mut self, conn: &mut Conn) -> bool {
        let id = conn.peer.conn;
        if !self.is_spent() || self.favoured.as_ref().is_some_and(|favour| favour.id == id) {
            return true;
        }
        if !conn.starved {
            conn.starved = true;
            self.starved.push(id);
        }
        false
    }

    fn is_spent(&self) -> bool {
        self.held_bytes >= self.limit_bytes
    }

    /// Whether somebody who stands in line could be let in by `relieve`, at once.
    pub(super) fn is_late(&self) -> bool {
        !self.starved.is_empty() && (self.favoured.is_none() || !self.is_spent())
    }

    /// Answers who may be read from again: everybody while there is room, else the favoured, newly chosen where the
    /// last one has completed its frame or gone.
    pub(super) fn relieve(&mut self, conns: &mut Conns, now: Mono) -> Vec<ConnId> {
        if !self.is_spent() {
            self.favoured = None;
            return self.release(conns);
        }
        let holds = |favour: &Favour| {
            let conn = conns.get(favour.id);
            conn.is_some_and(|conn| is_incomplete(conn) && conn.begun == favour.begun)
        };
        if self.starved.is_empty() || self.favoured.as_ref().is_some_and(holds) {
            return Vec::new();
        }
        self.starved
            .retain(|&id| conns.get_mut(id).is_some_and(still_starved));
        let oldest = conns
            .iter()
            .filter(|(_, conn)| is_incomplete(conn) && (conn.charged_bytes > 0 || conn.starved))
            .min_by_key(|(_, conn)| (conn.charged_bytes == 0, conn.begun))
            .map(|(id, conn)| Favour {
                id,
                begun: conn.begun,
                until: now.plus_ms(PATIENCE_MS),
            });
        self.favoured = oldest;
        self.favoured.iter().map(|favour| favour.id).collect()
    }

    fn release(&mut self, conns: &mut Conns) -> Vec<ConnId> {
        let released = std::mem::take(&mut self.starved);
        for &id in &released {
            if let Some(conn) = conns.get_mut(id) {
                conn.starved = false;
            }
        }
        released
    }

    /// The favoured connection, if it has held a part of a frame for too long.
    pub(super) fn overdue(&mut self, conns: &Conns, now: Mono) -> Option<ConnId> {
        let favour = self.favoured.take_if(|favour| favour.until <= now)?;
        let conn = conns.get(favour.id)?;
        (conn.begun == favour.begun && conn.charged_bytes > 0).then_some(favour.id)
    }

    /// When `overdue` is wanted next.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.favoured.as_ref().map(|favour| favour.until)
    }

    /// Asserts that the books are right.
    pub(super) fn check(&self, conns: &Conns) {
        let held: usize = conns.iter().map(|(_, conn)| conn.charged_bytes).sum();
        assert_eq!(self.held_bytes, held, "request bytes held");
    }
}

/// Lets those go who wait for something else by now: they stand in line again when that has ended.
fn still_starved(conn: &mut Conn) -> bool {
    conn.starved = is_incomplete(conn);
    conn.starved
}

/// Whether the connection can only go on by being read from.
fn is_incomplete(conn: &Conn) -> bool {
    matches!(conn.phase, Phase::Ready) && !conn.queued && !conn.ended && !conn.outbox.is_full()
}
