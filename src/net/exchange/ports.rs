//! What the owner of the sockets calls: bytes in, bytes out, and what becomes of a connection.

use super::super::conn::{Phase, READ_BYTES};
use super::super::core::Core;
use super::{Exchange, Fate, Stop};
use crate::api::Peer;
use crate::broker::wait::ConnId;
use crate::clock::Mono;
use crate::proto::frame::Inbox;
use std::io::IoSlice;

/// How long a peer may take to close its half after we have closed ours.
pub(super) const LINGER_MS: i64 = 1_000;
/// Bytes that are read ahead while there are whole frames to be handled.
const AHEAD_BYTES: usize = 192 * 1024;
/// The least that one read makes room for.
const LEAST_READ_BYTES: usize = 16 * 1024;

impl<C: Core> Exchange<C> {
    /// A new connection. `peer` learns its id.
    pub fn open(&mut self, now: Mono, peer: impl FnOnce(ConnId) -> Peer) -> ConnId {
        let id = self.conns.insert(now, &self.limits, peer);
        self.deadlines.set(id, self.limits.idle_from(now));
        id
    }

    /// Forgets a connection whose socket is closed.
    pub fn close(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id) {
            self.parking.release(conn);
            conn.inbox = Inbox::default();
            self.budget.charge(conn);
            self.deadlines.cancel(&id);
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

    /// Where arriving bytes are to be put; empty for a connection that is not there. Every call is followed by
    /// `filled`.
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

    /// Starts the clean stop: requests that have not been handled never will be, parked ones get their last call in the
    /// next turn, then the core closes.
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

    /// Lets the lanes begin nothing more: the process is about to end as it is.
    pub fn abandon(&mut self) {
        self.lanes.abandon();
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
