//! One file for each API. This one dispatches: decode, call, encode.

use crate::broker::wait::{ConnId, Outcome, Ticket};
use crate::broker::{Broker, Fact};
use crate::clock::{Mono, Now};
use crate::disk::View;
use std::net::SocketAddr;

/// What is known of a connection, beside its bytes.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its id.
    pub conn: ConnId,
    /// The listener's name (`PLAINTEXT`).
    pub listener: std::sync::Arc<str>,
    /// The client's address.
    pub remote: SocketAddr,
    /// The address it connected to, which is what we advertise by default.
    pub local: SocketAddr,
    /// `User:ANONYMOUS` until security exists.
    pub principal: std::sync::Arc<str>,
    /// Name and version of the client's software, from ApiVersions v3+.
    pub software: Option<(String, String)>,
}

/// What a handler may know besides the broker.
pub struct Cx<'c> {
    /// This turn's moment.
    pub now: Now,
    /// When the request was first asked; a retried one keeps it.
    pub arrived: Mono,
    /// The wait is over: answer with what there is.
    pub last_call: bool,
    /// Who asks.
    pub peer: &'c mut Peer,
    /// Taken by a handler that answers later (`Outcome::Owed`); filled in by `handle`.
    pub ticket: Option<Ticket>,
}

/// A reply in the making. `bytes` may already hold earlier replies; a handler only appends.
#[derive(Debug, Default)]
pub struct Out {
    /// Response header and body, without the frame's length.
    pub bytes: Vec<u8>,
    /// Pieces of files that stand before the byte of that index, in rising order.
    pub payloads: Vec<(usize, View)>,
    /// The reply may leave when this round is durable; 0 = at once.
    pub round: u64,
}

/// Handles one request: `frame` is a whole frame without its length.
pub fn handle(_broker: &mut Broker, _cx: &mut Cx<'_>, _frame: &[u8], _out: &mut Out) -> Outcome {
    Outcome::Close("not yet")
}

/// Writes a late answer in the ticket's version.
pub fn answer(_ticket: &Ticket, fact: Fact, _out: &mut Out) {
    match fact {}
}
