//! The only room with sockets.
//!
//! ```text
//!            server    the poll loop: accepts, reads, one turn, flushes
//!  listen  signals  wake  transport        what it polls
//!            exchange  connections without sockets: requests in order, replies in order, one turn
//!  conn  outbox  park  budget  stranger    what a connection is made of, and the lists that it stands on
//!            core      what the exchange asks of the broker
//! ```

mod budget;
mod conn;
mod core;
pub mod exchange;
mod listen;
mod outbox;
mod pace;
mod park;
pub mod server;
mod signals;
mod stranger;
#[cfg(test)]
mod toy;
mod transport;
mod wake;

pub use self::core::Core;
pub use exchange::Exchange;
pub use listen::{BindError, Bound, Listen};
pub use server::{Exit, Server};
pub use signals::Notice;
pub use wake::{Bell, Poller};

use crate::clock::Mono;

/// What connections may take. Each is a key of chronikd.conf(5).
#[derive(Clone, Debug)]
pub struct Limits {
    /// `max.connections`: at most so many; further ones wait to be accepted. The caller keeps it below the limit of
    /// descriptors.
    pub connections: usize,
    /// `connections.max.idle.ms`: a connection on which nothing moves for so long is closed; never, if negative.
    pub idle_ms: i64,
    /// `socket.request.max.bytes`: a frame of more bytes closes its connection.
    pub request_bytes: usize,
    /// `queued.max.request.bytes`: memory for request bytes that all connections hold together.
    pub held_bytes: usize,
    /// `chronik.outbox.bytes`: with so many bytes of replies waiting, a connection is not read from.
    pub outbox_bytes: usize,
    /// `chronik.outbox.pinned.bytes`: the same for bytes of files.
    pub outbox_pinned_bytes: usize,
    /// `chronik.turn.requests`: requests of one connection in one turn.
    pub turn_requests: usize,
    /// `chronik.turn.bytes`: request bytes of one connection in one turn; no further request begins beyond it.
    pub turn_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            idle_ms: 600_000,
            request_bytes: 100 << 20,
            held_bytes: 64 << 20,
            outbox_bytes: 1 << 20,
            outbox_pinned_bytes: 16 << 20,
            turn_requests: 64,
            turn_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// When a connection that is quiet since `active` is to be closed.
    fn idle_from(&self, active: Mono) -> Mono {
        match self.idle_ms {
            ..0 => Mono::NEVER,
            idle_ms => active.plus_ms(idle_ms.max(1)),
        }
    }
}
