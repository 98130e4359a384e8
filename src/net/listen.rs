//! Listening sockets, and when not to accept.
//!
//! At the connection limit, and when the system has no descriptor or memory for another connection, accepting pauses:
//! one log line a minute, and peers wait in the backlog. It resumes when a connection closes, and for the system's sake
//! after a second too. A listener with peers in its backlog is remembered, since its edge is not reported again.

use super::transport::canonical;
use crate::clock::{Mono, Rate};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// Connections that the system keeps for us until we accept them.
const BACKLOG: i32 = 1024;
/// How long accepting pauses when the system refused.
const PAUSE_MS: i64 = 1_000;
/// Connections accepted in one turn.
const TURN_COUNT: usize = 64;
/// The first listener's token; the bell and the signals stand before it.
const FIRST_TOKEN: usize = 2;
/// Where the tokens of connections begin.
pub(super) const TOKENS_END: usize = 64;

/// What to listen on.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The listener's name, as in `listeners` (`PLAINTEXT`).
    pub name: Arc<str>,
    /// `[::]` takes IPv4 too, and becomes `0.0.0.0` where there is no IPv6. Port 0 takes any free one.
    pub address: SocketAddr,
}

impl Listen {
    /// The listener of that name on a host, which may be a name, an address, or nothing for every address.
    ///
    /// # Errors
    /// When the host's name leads nowhere.
    pub fn resolve(name: &str, host: &str, port: u16) -> io::Result<Listen> {
        let host = if host.is_empty() { "::" } else { host };
        let address = (host, port).to_socket_addrs()?.next();
        Ok(Listen {
            name: name.into(),
            address: address.ok_or(io::ErrorKind::AddrNotAvailable)?,
        })
    }
}

/// Why a listener could not be opened.
#[derive(Debug)]
pub struct BindError {
    /// Which one.
    pub listen: Listen,
    /// What the system said.
    pub error: io::Error,
}

/// Addresses that are ours, on which nobody is answered yet: taken before the data directory is changed,
/// listened on after it has been.
pub struct Bound(Vec<(Listen, Socket)>);

impl Bound {
    /// Takes all of the addresses, or none.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub fn take(listens: Vec<Listen>) -> Result<Bound, BindError> {
        assert!(
            listens.len() <= TOKENS_END - FIRST_TOKEN,
            "settings allow fewer listeners"
        );
        let take = |listen: Listen| match bind(&listen) {
            Ok(socket) => Ok((listen, socket)),
            Err(error) => Err(BindError { listen, error }),
        };
        listens
            .into_iter()
            .map(take)
            .collect::<Result<_, _>>()
            .map(Bound)
    }
}

struct Listener {
    name: Arc<str>,
    address: SocketAddr,
    socket: TcpListener,
    /// There may be peers in its backlog.
    pending: bool,
}

/// A peer that has been accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) remote: SocketAddr,
    pub(super) listener: Arc<str>,
}

/// See the head of this file.
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Nothing is accepted before this moment, or before a connection closes.
    paused_until: Option<Mono>,
    rate: Rate,
}

impl Listeners {
    /// Listens on the addresses.
    pub(super) fn open(bound: Bound, registry: &Registry) -> Result<Listeners, BindError> {
        let all = bound
            .0
            .into_iter()
            .enumerate()
            .map(|(index, (listen, socket))| {
                let token = Token(FIRST_TOKEN + index);
                open(&listen.name, socket, registry, token)
                    .map_err(|error| BindError { listen, error })
            });
        Ok(Listeners {
            all: all.collect::<Result<_, _>>()?,
            paused_until: None,
            rate: Rate::per_minute(1),
        })
    }

    /// Names and real addresses.
    pub(super) fn bound(&self) -> impl Iterator<Item = (&Arc<str>, SocketAddr)> {
        self.all
            .iter()
            .map(|listener| (&listener.name, listener.address))
    }

    /// Notes an event, if the token is one of ours.
    pub(super) fn note(&mut self, token: Token) {
        if let Some(listener) = token
            .0
            .checked_sub(FIRST_TOKEN)
            .and_then(|index| self.all.get_mut(index))
        {
            listener.pending = true;
        }
    }

    /// Accepts some of those who wait, at most `room` of them.
    pub(super) fn accept(&mut self, now: Mono, room: usize, into: &mut Vec<Accepted>) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.paused_until = None;
        let Listeners {
            all,
            paused_until,
            rate,
        } = self;
        for listener in all.iter_mut() {
            while listener.pending && into.len() < TURN_COUNT {
                if into.len() >= room {
                    *paused_until = Some(Mono::NEVER);
                    warn(
                        rate,
                        now,
                        "as many are open as max.connections or the system's descriptors allow",
                    );
                    return;
                }
                match listener.accept() {
                    Ok(accepted) => into.push(accepted),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.pending = false;
                    }
                    Err(error) if is_about_the_peer(&error) => {}
                    Err(error) => {
                        *paused_until = Some(now.plus_ms(PAUSE_MS));
                        return warn(rate, now, &error.to_string());
                    }
                }
            }
        }
    }

    /// A connection has closed: there is room again.
    pub(super) fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Whether `accept` would find somebody at once.
    pub(super) fn is_pending(&self) -> bool {
        self.paused_until.is_none() && self.all.iter().any(|listener| listener.pending)
    }

    /// When `accept` is wanted next, if not at once.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.paused_until.filter(|&until| until != Mono::NEVER)
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        self.all.clear();
        self.paused_until = None;
    }
}

impl Listener {
    fn accept(&self) -> io::Result<Accepted> {
        let (stream, remote) = self.socket.accept()?;
        Ok(Accepted {
            stream,
            remote: canonical(remote),
            listener: Arc::clone(&self.name),
        })
    }
}

fn open(
    name: &Arc<str>,
    socket: Socket,
    registry: &Registry,
    token: Token,
) -> io::Result<Listener> {
    socket.listen(BACKLOG)?;
    let mut socket = TcpListener::from_std(socket.into());
    registry.register(&mut socket, token, Interest::READABLE)?;
    Ok(Listener {
        name: Arc::clone(name),
        address: socket.local_addr()?,
        socket,
        pending: false,
    })
}

fn bind(listen: &Listen) -> io::Result<Socket> {
    match bind_to(listen.address) {
        // A kernel without IPv6 has no `[::]`, and no address either when IPv6 is switched off.
        Err(_) if listen.address.is_ipv6() && listen.address.ip().is_unspecified() => {
            bind_to((Ipv4Addr::UNSPECIFIED, listen.address.port()).into())
        }
        other => other,
    }
}

fn bind_to(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the last run's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Errors of a connection that died in the backlog; accept(2) names the network's among them.
fn is_about_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkDown, NetworkUnreachable, PermissionDenied, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    )
}

fn warn(rate: &mut Rate, now: Mono, reason: &str) {
    if rate.admit(now).is_some() {
        log::warn!("not accepting connections for now: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::net::TcpStream as Client;

    fn listeners(address: &str) -> (Poll, Listeners) {
        let poll = Poll::new().unwrap();
        let listen = Listen {
            name: "PLAINTEXT".into(),
            address: address.parse().unwrap(),
        };
        let listeners = Bound::take(vec![listen])
            .and_then(|bound| Listeners::open(bound, poll.registry()))
            .unwrap();
        (poll, listeners)
    }

    fn port(listeners: &Listeners) -> u16 {
        listeners.bound().next().unwrap().1.port()
    }

    #[test]
    fn all_addresses_take_ipv4_clients_and_see_them_as_such() {
        let (_poll, mut listeners) = listeners("[::]:0");
        let _client = Client::connect((Ipv4Addr::LOCALHOST, port(&listeners))).unwrap();
        listeners.note(Token(FIRST_TOKEN));
        let mut accepted = Vec::new();
        listeners.accept(Mono(0), 9, &mut accepted);
        assert_eq!(accepted[0].remote.ip(), Ipv4Addr::LOCALHOST);
        assert!(!listeners.is_pending());
    }

    #[test]
    fn a_full_house_pauses_until_a_connection_closes() {
        let (_poll, mut listeners) = listeners("127.0.0.1:0");
        let _clients: Vec<_> = (0..3)
            .map(|_| Client::connect((Ipv4Addr::LOCALHOST, port(&listeners))).unwrap())
            .collect();
        listeners.note(Token(FIRST_TOKEN));
        let mut accepted = Vec::new();
        listeners.accept(Mono(0), 2, &mut accepted);
        assert_eq!(
            (accepted.len(), listeners.is_pending()),
            (2, false),
            "paused, and no spin"
        );
        assert_eq!(listeners.next_deadline(), None);
        listeners.resume();
        assert!(listeners.is_pending());
        accepted.clear();
        listeners.accept(Mono(0), 1, &mut accepted);
        assert_eq!(accepted.len(), 1);
    }

    #[test]
    fn a_port_in_use_is_an_error_that_names_the_listener() {
        let (poll, taken) = listeners("127.0.0.1:0");
        let listen = Listen {
            name: "SECOND".into(),
            address: taken.bound().next().unwrap().1,
        };
        let error = Bound::take(vec![listen])
            .and_then(|bound| Listeners::open(bound, poll.registry()))
            .err()
            .unwrap();
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(&*error.listen.name, "SECOND");
    }
}
