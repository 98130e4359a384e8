//! One connection to each of the two brokers, and what can be heard on it.

use std::fmt::{self, Debug};
use std::io::{self, ErrorKind};
use std::time::Duration;

use chronikd::proto::{self, ApiKey, Wire};

use crate::asks::keep;
use crate::both::{Both, Side};
use crate::common::raw::Raw;
use crate::pair::Pair;
use crate::tree::Tree;

/// What a broker says on a connection.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A frame.
    Frame(Vec<u8>),
    /// It has closed the connection.
    Closed,
    /// Nothing, as long as was waited.
    Nothing,
}

/// Two sockets that bear the same client id.
pub(crate) struct Line {
    client_id: &'static str,
    sockets: Both<Raw>,
}

impl Line {
    /// How long an answer is waited for.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

    /// Connects to both.
    pub(crate) fn connect(client_id: &'static str, pair: &Pair) -> Line {
        let connect = |side| Raw::connect(pair.port(side)).expect("a connection");
        let sockets = Both::each(connect);
        let mut line = Line { client_id, sockets };
        line.patience(Line::PATIENCE);
        line
    }

    /// How long to wait from now on.
    pub(crate) fn patience(&mut self, patience: Duration) {
        for side in [Side::Ours, Side::Theirs] {
            let socket = &self.sockets[side].0;
            socket.set_read_timeout(Some(patience)).expect("not zero");
        }
    }

    /// Sends each its request.
    pub(crate) fn send(&mut self, api: ApiKey, version: i16, id: i32, bodies: &Both<Vec<u8>>) {
        for side in [Side::Ours, Side::Theirs] {
            self.send_one(side, api, version, id, &bodies[side]);
        }
    }

    /// Sends one of them a request.
    pub(crate) fn send_one(&mut self, to: Side, api: ApiKey, version: i16, id: i32, body: &[u8]) {
        let length = i16::try_from(self.client_id.len()).expect("a short name");
        let mut frame = Vec::new();
        frame.extend_from_slice(&(api as i16).to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(self.client_id.as_bytes());
        if api.info().is_flexible(version) {
            frame.push(0);
        }
        frame.extend_from_slice(body);
        // A broker may have closed; then that is heard.
        let _ = self.sockets[to].send(&frame);
    }

    /// Listens to both.
    pub(crate) fn hear(&mut self) -> Both<Heard> {
        Both::each(|side| self.hear_one(side))
    }

    /// Listens to one of them.
    pub(crate) fn hear_one(&mut self, from: Side) -> Heard {
        match self.sockets[from].read() {
            Ok(frame) => Heard::Frame(frame),
            Err(error) if is_silence(&error) => Heard::Nothing,
            Err(_) => Heard::Closed,
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Heard {
    /// The message in the frame.
    ///
    /// # Panics
    /// When there is none, or it answers another request.
    pub(crate) fn answer<A: Wire<'static>>(&self, api: ApiKey, version: i16, id: i32) -> A {
        let Heard::Frame(frame) = self else {
            panic!("no answer: {self:?}");
        };
        assert_eq!(frame[..4], id.to_be_bytes(), "answers in order");
        let flexible = api.info().is_flexible(version);
        let tags = usize::from(flexible && api != ApiKey::ApiVersions);
        let body = keep::<[u8]>(&frame[4 + tags..]);
        proto::decode(body, version, flexible).expect("an answer of its version")
    }

    /// As it is compared where no message is expected.
    pub(crate) fn tree(&self) -> Tree {
        let said = ("broker".to_owned(), Tree::Leaf(format!("{self:?}")));
        Tree::Struct(vec![said])
    }
}

impl Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Frame(frame) => write!(f, "answers {} bytes", frame.len()),
            Heard::Closed => f.write_str("closes"),
            Heard::Nothing => f.write_str("says nothing"),
        }
    }
}
