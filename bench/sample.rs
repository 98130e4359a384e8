//! What every row of a broker's life is taken with: the contenders and their directory, and units.

use crate::process::{self, Memory};
use crate::rows::Effort;
use crate::server::{Kind, Server};
use std::io;
use std::path::Path;
use std::time::Duration;

pub(crate) const KIB: f64 = 1024.0;

/// What these rows need: which brokers, how much, and a directory.
pub(crate) struct Life<'a> {
    pub(crate) kafka: Option<Kind>,
    pub(crate) effort: Effort,
    /// How long a broker is watched doing nothing.
    pub(crate) idle: Duration,
    pub(crate) dir: &'a Path,
}

/// As milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// What a broker takes now.
pub(crate) fn memory_of(server: &Server) -> io::Result<Memory> {
    process::memory(server.pid()).ok_or_else(|| io::Error::other("smaps_rollup cannot be read"))
}
