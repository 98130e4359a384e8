//! The poll loop: one thread that owns every socket.
//!
//! ```text
//! poll -> note events -> signals -> accept -> read -> one turn of the exchange -> attend (flush, read again, close)
//! ```
//!
//! mio is edge-triggered: what a socket once reported is remembered in its [`Socket`] until a call has found the
//! contrary. A socket that is readable but not wanted now is no reason to poll without sleeping; the exchange names it
//! again when it is. Events are only noted while they are walked through, so that no slot changes its owner among them.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use super::core::Core;
use super::exchange::{Exchange, Part};
use super::listen::{Accepted, BindError, Bound, Listeners};
use super::pace::Laps;
use super::signals::{self, Notice};
use super::transport::Transport;
use super::wake::Poller;
use crate::broker::Fatal;
use crate::broker::wait::ConnId;
use crate::clock::{Clock, Mono, Now};
use mio::Events;
use signal_hook_mio::v1_0::Signals;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Events taken from one poll.
const EVENT_COUNT: usize = 1024;
/// How long peers may take to close after a clean stop.
const FAREWELL_MS: i64 = 1_000;
/// A signal to stop that follows another within this time is the same wish: terminals and supervisors send two.
const SAME_WISH_MS: i64 = 1_000;

/// Why the loop ended.
#[derive(Debug)]
pub enum Exit {
    /// Everything was answered, synced and closed.
    Clean,
    /// A second signal cut the clean stop short.
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
    /// No turn has run yet: what the broker owed when it was opened (the loading of its partitions) is not handed out.
    fresh: bool,
    /// Since when the clean stop is under way.
    stopping: Option<Mono>,
    farewell: Option<Mono>,
}

impl<C: Core> Server<C> {
    /// Listens on the addresses. Nothing is accepted before the loop runs.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn open(
        poller: Poller,
        bound: Bound,
        exchange: Exchange<C>,
    ) -> Result<Server<C>, BindError> {
        let listeners = Listeners::open(bound, poller.registry())?;
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
            fresh: true,
            stopping: None,
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

    /// Runs until something ends it. `notice` is told of signals that are not about stopping, and of changed settings.
    /// After an end that is not clean, the lanes begin nothing more and may still be at work: the process is to end.
    pub fn run(mut self, clock: &Clock, notice: &mut dyn FnMut(Notice, &mut Exchange<C>)) -> Exit {
        let exit = loop {
            if let Some(exit) = self.step(clock, notice) {
                break exit;
            }
        };
        if !matches!(exit, Exit::Clean) {
            self.exchange.abandon();
        }
        exit
    }

    /// Sleeps once, and runs one turn; the first time without the sleep.
    pub fn step(
        &mut self,
        clock: &Clock,
        notice: &mut dyn FnMut(Notice, &mut Exchange<C>),
    ) -> Option<Exit> {
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
        if self.exchange.core.take_reconfigured() {
            notice(Notice::Reconfigured, &mut self.exchange);
            self.listeners.resume();
        }
        self.attend(now.mono);
        self.laps.end(&"Attend", clock.mono());
        self.is_over(now.mono).then_some(Exit::Clean)
    }

    /// TERM or INT. Answers whether the process is to stop at once: asked again, it does not wait for what the clean
    /// stop still has to do. If that is done, and only peers have not closed yet, the stop is clean all the same.
    fn asked_to_stop(&mut self, now: Mono) -> bool {
        match self.stopping {
            None => {
                log::info!("stopping");
                self.stop(now);
                false
            }
            Some(since) if now < since.plus_ms(SAME_WISH_MS) => false,
            Some(_) if self.exchange.is_stopped() => {
                self.farewell = Some(now);
                false
            }
            Some(_) => true,
        }
    }

    /// Starts the clean stop, as TERM does.
    pub fn stop(&mut self, now: Mono) {
        self.stopping.get_or_insert(now);
        self.listeners.close();
        self.exchange.begin_stop(now);
    }

    fn turn(&mut self, now: Now, clock: &Clock) -> Result<(), Fatal> {
        self.fresh = false;
        for part in Part::ALL {
            self.exchange.step(part, now)?;
            self.laps.end(&part, clock.mono());
        }
        Ok(())
    }

    fn timeout(&self, now: Mono) -> Option<Duration> {
        let at_once = self.fresh
            || self.exchange.has_ready()
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
        if self.stopping.is_none() || !self.exchange.is_stopped() {
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

fn find(sockets: &mut [Option<Socket>], id: ConnId) -> Option<&mut Socket> {
    let socket = sockets.get_mut(id.slot as usize)?.as_mut();
    socket.filter(|socket| socket.id == id)
}
