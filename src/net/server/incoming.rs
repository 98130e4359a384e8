//! What comes in: events, signals, connections, bytes.

use super::super::core::Core;
use super::super::exchange::Exchange;
use super::super::listen::{Accepted, TOKENS_END};
use super::super::signals::{self, Notice, Request, SIGNALS};
use super::super::transport::{Transport, canonical};
use super::super::wake::BELL;
use super::{Server, Socket, find};
use crate::api::Peer;
use crate::broker::wait::ConnId;
use crate::clock::Mono;
use mio::event::Event;
use mio::{Events, Token};
use std::io;
use std::sync::Arc;

/// Bytes that one connection may bring in one turn.
const TURN_READ_BYTES: usize = 1 << 20;
/// The space for bytes that are thrown away.
const DISCARD_BYTES: usize = 16 * 1024;

impl<C: Core> Server<C> {
    /// Notes what the poll has reported. Answers whether there are signals.
    pub(super) fn note_events(&mut self, now: Mono) -> bool {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let mut signals = false;
        for event in &events {
            match event.token() {
                BELL => {}
                SIGNALS => signals = true,
                Token(index) if index < TOKENS_END => self.listeners.note(event.token()),
                Token(index) => self.note(index - TOKENS_END, event, now),
            }
        }
        self.events = events;
        signals
    }

    fn note(&mut self, slot: usize, event: &Event, now: Mono) {
        let Some(Some(socket)) = self.sockets.get_mut(slot) else {
            return;
        };
        let id = socket.id;
        if !socket.writable && (event.is_writable() || event.is_error()) {
            socket.writable = true;
            self.attending.push(id);
        }
        if event.is_read_closed() || event.is_error() {
            socket.hung_up = true;
            self.exchange.hung_up(now, id);
        }
        if event.is_readable() || socket.hung_up {
            socket.readable = true;
            self.list(id);
        }
    }

    /// Answers whether the process is to stop at once.
    pub(super) fn heed_signals(
        &mut self,
        now: Mono,
        notice: &mut dyn FnMut(Notice, &mut Exchange<C>),
    ) -> bool {
        let requests = self
            .signals
            .as_mut()
            .map(signals::pending)
            .unwrap_or_default();
        for request in requests {
            match request {
                Request::Stop => {
                    if self.asked_to_stop(now) {
                        return true;
                    }
                }
                Request::Notice(what) => {
                    if what == Notice::Report {
                        let connections = self.exchange.connection_count();
                        let slow = self.laps.slow_count();
                        log::info!("status connections={connections} slow_parts={slow}");
                    }
                    notice(what, &mut self.exchange);
                }
            }
        }
        false
    }

    pub(super) fn accept(&mut self, now: Mono) {
        let limit = self.exchange.limits().connections;
        let room = limit.saturating_sub(self.exchange.connection_count());
        let mut accepted = std::mem::take(&mut self.accepted);
        self.listeners.accept(now, room, &mut accepted);
        for peer in accepted.drain(..) {
            if let Err(error) = self.admit(now, peer) {
                log::debug!("a connection died while it was accepted: {error}");
            }
        }
        self.accepted = accepted;
    }

    fn admit(&mut self, now: Mono, accepted: Accepted) -> io::Result<()> {
        let local = canonical(accepted.stream.local_addr()?);
        let (remote, listener, principal) = (
            accepted.remote,
            accepted.listener,
            Arc::clone(&self.principal),
        );
        let id = self.exchange.open(now, |conn| Peer {
            conn,
            listener,
            remote,
            local,
            principal,
            software: None,
        });
        let token = Token(TOKENS_END + id.slot as usize);
        let transport = match Transport::new(accepted.stream, self.poller.registry(), token) {
            Ok(transport) => transport,
            Err(error) => {
                self.exchange.close(id);
                return Err(error);
            }
        };
        let slot = id.slot as usize;
        if slot >= self.sockets.len() {
            self.sockets.resize_with(slot + 1, || None);
        }
        self.sockets[slot] = Some(Socket {
            id,
            transport,
            readable: false,
            writable: true,
            hung_up: false,
            listed: false,
        });
        Ok(())
    }

    /// Puts the connection on the list of those to be read from, if there may be anything.
    pub(super) fn list(&mut self, id: ConnId) {
        if let Some(socket) = find(&mut self.sockets, id)
            && socket.readable
            && !socket.listed
        {
            socket.listed = true;
            self.reading.push(id);
        }
    }

    pub(super) fn read(&mut self, now: Mono) {
        let mut reading = std::mem::take(&mut self.reading);
        for id in reading.drain(..) {
            let Some(socket) = find(&mut self.sockets, id) else {
                continue;
            };
            socket.listed = false;
            match drain(socket, &mut self.exchange, &mut self.scratch, now) {
                Ok(()) => self.attending.push(id),
                Err(error) => self.lose(id, &error),
            }
        }
        self.reading = reading;
    }
}

/// Reads until the socket would block, the exchange has enough, or the turn's share is spent. A read that does not fill
/// its space has emptied the socket, unless the peer's end is still to come.
fn drain<C: Core>(
    socket: &mut Socket,
    exchange: &mut Exchange<C>,
    scratch: &mut Vec<u8>,
    now: Mono,
) -> io::Result<()> {
    let (id, mut total) = (socket.id, 0);
    while socket.readable && total < TURN_READ_BYTES && exchange.may_read(id) {
        let discards = exchange.discards(id);
        let space = if discards {
            scratch.resize(DISCARD_BYTES, 0);
            &mut scratch[..]
        } else {
            exchange.space(id)
        };
        let space_bytes = space.len();
        let read = socket.transport.read(space);
        let bytes = *read.as_ref().unwrap_or(&0);
        if !discards {
            exchange.filled(now, id, bytes);
        }
        total += bytes;
        match read {
            Ok(0) => {
                socket.readable = false;
                exchange.ended(now, id);
            }
            Ok(_) => socket.readable = bytes == space_bytes || socket.hung_up,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.readable = false,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
