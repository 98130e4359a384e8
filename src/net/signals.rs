//! The process's signals as events of the loop.

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;
use std::io;

/// The token of the signals' event.
pub(super) const SIGNALS: Token = Token(1);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// TERM, INT: stop cleanly; a later one stops at once.
    Stop,
    /// Something for main.
    Notice(Notice),
}

/// What a signal asks of the process, beside stopping, and what else there is to tell main.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// HUP: reload the settings, reopen the log.
    Reload,
    /// USR1: reopen the log.
    Reopen,
    /// USR2: report the state to the log.
    Report,
    /// No signal: clients have changed settings.
    Reconfigured,
}

const TABLE: [(i32, Request); 5] = [
    (SIGTERM, Request::Stop),
    (SIGINT, Request::Stop),
    (SIGHUP, Request::Notice(Notice::Reload)),
    (SIGUSR1, Request::Notice(Notice::Reopen)),
    (SIGUSR2, Request::Notice(Notice::Report)),
];

/// Takes the signals over from their defaults, for the whole process.
pub(super) fn watch(registry: &Registry) -> io::Result<Signals> {
    let mut signals = Signals::new(TABLE.map(|(signal, _)| signal))?;
    registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
    Ok(signals)
}

/// What has been asked since the last call.
pub(super) fn pending(signals: &mut Signals) -> Vec<Request> {
    let request = |signal| TABLE.iter().find(|row| row.0 == signal).map(|row| row.1);
    signals.pending().filter_map(request).collect()
}
