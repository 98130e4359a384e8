//! How the process ends when it does not end well: a code of sysexits(3), and one sentence.

use std::fmt::Display;
use std::io::{self, ErrorKind};

/// The command line makes no sense.
pub(crate) const USAGE: u8 = 64;
/// The data are damaged beyond what can be mended without a human.
pub(crate) const DATA: u8 = 65;
/// The address to listen on is taken, or not this machine's.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A mistake of ours.
pub(crate) const SOFTWARE: u8 = 70;
/// The system refused something that it always has.
pub(crate) const SYSTEM: u8 = 71;
/// A file or directory cannot be created.
pub(crate) const CANNOT_CREATE: u8 = 73;
/// A read, write or sync failed.
pub(crate) const IO: u8 = 74;
/// Another chronikd has the data directory.
pub(crate) const LOCKED: u8 = 75;
/// The system does not let us.
pub(crate) const PERMISSION: u8 = 77;
/// The settings make no sense.
pub(crate) const SETTINGS: u8 = 78;
/// A second signal cut the clean stop short: what a shell says of a process that SIGTERM has killed.
pub(crate) const HURRIED: u8 = 143;

/// Why the process ends.
#[derive(Debug)]
pub(crate) struct Exit {
    /// What the parent sees.
    pub(crate) code: u8,
    /// What a human reads.
    pub(crate) text: String,
}

impl Exit {
    /// An end for a reason of our own.
    pub(crate) fn new(code: u8, text: impl Display) -> Exit {
        let text = text.to_string();
        Exit { code, text }
    }

    /// An end because of the system: `code`, unless what it said has a code of its own.
    pub(crate) fn io(code: u8, text: impl Display, error: &io::Error) -> Exit {
        let code = match error.kind() {
            ErrorKind::PermissionDenied => PERMISSION,
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => UNAVAILABLE,
            _ => code,
        };
        Exit::new(code, format!("{text}: {error}"))
    }
}
