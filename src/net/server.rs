//! The poll loop: one thread that owns every socket.
//!
//! ```text
//! poll -> note events -> signals -> accept -> read -> one turn of the exchange -> attend (flush, read again, close)
//! ```
//!
//! mio is edge-triggered: what a socket once reported is remembered in its [`Socket`] until a call has found the contrary. A
//! socket that is readable but not wanted now is no reason to poll without sleeping; the exchange names it again when
//! it is. Events are only noted while they are walked through, so that no slot changes its owner among them.

use super::core::Core;
use super::exchange::{Exchange, Fate, Part};
use super::listen::{Accepted, BindError, Listen, Listeners, TOKENS_END};
use super::pace::Laps;
use super::signals::{self, Notice, Request, SIGNALS};
use super::transport::{Transport, canonical};
use super::wake::{BELL, Poller};
use crate::api::Peer;
use crate::broker::Fatal;
use crate::broker::wait::ConnId;
use crate::clock::{Clock, Mono, Now};
use mio::event::Event;
use mio::{Events, Token};
use signal_hook_mio::v1_0::Signals;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Events taken from one poll.
const EVENT_COUNT: usize = 1024;
/// Bytes in one write, and pieces.
const WRITE_BYTES: usize = 1 << 20;
const WRITE_PIECES: usize = 64;
/// Bytes that one connection may bring in one turn.
const TURN_READ_BYTES: usize = 1 << 20;
/// How long peers may take to close after a clean stop.
const FAREWELL_MS: i64 = 1_000;

/// Why the loop ended.
#[derive(Debug)]
pub enum Exit {
    /// Everything was answered, synced and closed.
    Clean,
    /// A second signal asked for it.
    Hurried,
    /// A write or sync failed.
    Fatal(Fatal),
    /// The poll itself failed.
    Poll(io::Error),
}

/// The socket side of one connection.
struct Socket {
    id: ConnId,
    transport: Transport,
    /// There may be something to read.
    readable: bool,
    /// There may be room to write.
    writable: bool,
    /// The peer will send nothing more: reading goes on to the very end.
    hung_up: bool,
    /// It stands on the list of those to be read from.
    listed: bool,
}

/// See the head of this file.
pub struct Server<C: Core> {
    poller: Poller,
    events: Events,
    listeners: Listeners,
    signals: Option<Signals>,
    exchange: Exchange<C>,
    principal: Arc<str>,
    sockets: Vec<Option<Socket>>,
    /// To be read from in the next turn.
    reading: Vec<ConnId>,
    /// To be flushed, read again or closed at the end of this turn.
    attending: Vec<ConnId>,
    accepted: Vec<Accepted>,
    scratch: Vec<u8>,
    laps: Laps,
    stopping: bool,
    farewell: Option<Mono>,
}

impl<C: Core> Server<C> {
    /// Opens the listeners. Nothing is accepted before the loop runs.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn bind(
        poller: Poller,
        listens: &[Listen],
        exchange: Exchange<C>,
    ) -> Result<Server<C>, BindError> {
        let listeners = Listeners::bind(listens, poller.registry())?;
        Ok(Server {
            poller,
            events: Events::with_capacity(EVENT_COUNT),
            listeners,
            signals: None,
            exchange,
            principal: "User:ANONYMOUS".into(),
            sockets: Vec::new(),
            reading: Vec::new(),
            attending: Vec::new(),
            accepted: Vec::new(),
            scratch: Vec::new(),
            laps: Laps::new(),
            stopping: false,
            farewell: None,
        })
    }

    /// Takes TERM, INT, HUP, USR1 and USR2 over from their defaults, for the whole process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch_signals(&mut self) -> io::Result<()> {
        self.signals = Some(signals::watch(self.poller.registry())?);
        Ok(())
    }

    /// Names and real addresses of the listeners.
    pub fn bound(&self) -> impl Iterator<Item = (&Arc<str>, SocketAddr)> {
        self.listeners.bound()
    }

    /// The connections behind the sockets.
    pub fn exchange(&mut self) -> &mut Exchange<C> {
        &mut self.exchange
    }

    /// Runs until something ends it. `notice` is told of signals that are not about stopping.
    pub fn run(mut self, clock: &Clock, notice: &mut dyn FnMut(Notice, &mut C)) -> Exit {
        loop {
            if let Some(exit) = self.step(clock, notice) {
                return exit;
            }
        }
    }

    /// Sleeps once, and runs one turn.
    pub fn step(&mut self, clock: &Clock, notice: &mut dyn FnMut(Notice, &mut C)) -> Option<Exit> {
        let timeout = self.timeout(clock.mono());
        if let Err(error) = self.poller.wait(&mut self.events, timeout) {
            return Some(Exit::Poll(error));
        }
        let now = clock.now();
        self.laps.start(now.mono);
        if self.note_events(now.mono) && self.heed_signals(now.mono, notice) {
            return Some(Exit::Hurried);
        }
        self.accept(now.mono);
        self.read(now.mono);
        self.laps.end(&"Read", clock.mono());
        if let Err(fatal) = self.turn(now, clock) {
            return Some(Exit::Fatal(fatal));
        }
        self.attend(now.mono);
        self.laps.end(&"Attend", clock.mono());
        self.is_over(now.mono).then_some(Exit::Clean)
    }

    /// Starts the clean stop, as TERM does.
    pub fn stop(&mut self, now: Mono) {
        self.stopping = true;
        self.listeners.close();
        self.exchange.begin_stop(now);
    }

    fn turn(&mut self, now: Now, clock: &Clock) -> Result<(), Fatal> {
        for part in Part::ALL {
            self.exchange.step(part, now)?;
            self.laps.end(&part, clock.mono());
        }
        Ok(())
    }

    fn timeout(&self, now: Mono) -> Option<Duration> {
        let at_once = self.exchange.has_ready()
            || !self.reading.is_empty()
            || !self.attending.is_empty()
            || self.listeners.is_pending();
        if at_once {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.exchange.next_deadline(),
            self.listeners.next_deadline(),
            self.farewell,
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_micros(next.since_us(now)))
    }

    /// Whether the clean stop is complete. Peers get a moment to read their last answers and to close.
    fn is_over(&mut self, now: Mono) -> bool {
        if !self.stopping || !self.exchange.is_stopped() {
            return false;
        }
        let Some(until) = self.farewell else {
            self.farewell = Some(now.plus_ms(FAREWELL_MS));
            self.exchange.finish_all();
            self.attend(now);
            return self.exchange.connection_count() == 0;
        };
        self.exchange.connection_count() == 0 || now >= until
    }
}

/// What comes in.
impl<C: Core> Server<C> {
    /// Notes what the poll has reported. Answers whether there are signals.
    fn note_events(&mut self, now: Mono) -> bool {
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
    fn heed_signals(&mut self, now: Mono, notice: &mut dyn FnMut(Notice, &mut C)) -> bool {
        let requests = self
            .signals
            .as_mut()
            .map(signals::pending)
            .unwrap_or_default();
        for request in requests {
            match request {
                Request::Stop if self.stopping => return true,
                Request::Stop => {
                    log::info!("stopping");
                    self.stop(now);
                }
                Request::Notice(what) => {
                    if what == Notice::Report {
                        let connections = self.exchange.connection_count();
                        let slow = self.laps.slow_count();
                        log::info!("status connections={connections} slow_parts={slow}");
                    }
                    notice(what, &mut self.exchange.core);
                }
            }
        }
        false
    }

    fn accept(&mut self, now: Mono) {
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
    fn list(&mut self, id: ConnId) {
        if let Some(socket) = find(&mut self.sockets, id)
            && socket.readable
            && !socket.listed
        {
            socket.listed = true;
            self.reading.push(id);
        }
    }

    fn read(&mut self, now: Mono) {
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

/// What goes out.
impl<C: Core> Server<C> {
    /// Looks at every connection to which anything has happened.
    fn attend(&mut self, now: Mono) {
        let mut ids = std::mem::take(&mut self.attending);
        loop {
            for &id in &ids {
                self.attend_one(now, id);
            }
            self.exchange.take_touched(&mut ids);
            if ids.is_empty() {
                break;
            }
        }
        ids.append(&mut self.attending);
        self.attending = ids;
    }

    fn attend_one(&mut self, now: Mono, id: ConnId) {
        if let Err(error) = self.flush(now, id) {
            return self.lose(id, &error);
        }
        match self.exchange.fate(id) {
            Fate::Stay => {}
            Fate::Close => return self.close(id),
            Fate::Finish => self.finish(now, id),
        }
        if self.exchange.may_read(id) {
            self.list(id);
        }
    }

    /// One write for each connection and turn; what is left over is for the next turn, or for the socket's next edge.
    fn flush(&mut self, now: Mono, id: ConnId) -> io::Result<()> {
        let Some(socket) = find(&mut self.sockets, id).filter(|socket| socket.writable) else {
            return Ok(());
        };
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let (count, bytes) = self.exchange.gather(id, WRITE_BYTES, &mut slices);
        if count == 0 {
            return Ok(());
        }
        let written = match socket.transport.write(&slices[..count]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        socket.writable = written == bytes;
        self.exchange.sent(now, id, written);
        if socket.writable && self.exchange.is_flushable(id) {
            self.attending.push(id);
        }
        Ok(())
    }

    fn finish(&mut self, now: Mono, id: ConnId) {
        let Some(socket) = find(&mut self.sockets, id) else {
            return;
        };
        // An error means that the peer has gone; reading will find that out.
        if let Err(error) = socket.transport.finish() {
            log::debug!("closing our half: {error}");
        }
        self.exchange.fin_sent(now, id);
    }

    /// The connection broke: nobody is there to be told.
    fn lose(&mut self, id: ConnId, error: &io::Error) {
        log::debug!("a connection broke: {error}");
        self.close(id);
    }

    fn close(&mut self, id: ConnId) {
        self.exchange.close(id);
        if find(&mut self.sockets, id).is_some() {
            self.sockets[id.slot as usize] = None;
            self.listeners.resume();
        }
    }
}

fn find(sockets: &mut [Option<Socket>], id: ConnId) -> Option<&mut Socket> {
    let socket = sockets.get_mut(id.slot as usize)?.as_mut();
    socket.filter(|socket| socket.id == id)
}

/// Reads until the socket would block, the exchange has enough, or the turn's share is spent. A read that does not fill its space has emptied the socket, unless the peer's end is still to come.
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
            scratch.resize(16 * 1024, 0);
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

#[cfg(test)]
mod tests;
