//! What the process asks of the system: descriptors, seeds, who it runs as.

use super::exit::{Exit, SYSTEM};
use chronikd::broker::Seeds;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, PanicHookInfo};

/// Descriptors that are neither for connections nor for segments: the storage opens more of these while a round is
/// about to sync them; the rest is for the journal, the work lane's own files, listeners, the log and the loop.
const DESCRIPTORS_FOR_FILES: u64 = 256;

/// How many connections may be open: `wanted`, or fewer where the system gives fewer descriptors, beside so many open
/// segments. The soft limit is raised to the hard one, which is what it is for.
pub(crate) fn connection_limit(wanted: usize, segments: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if setrlimit(Resource::Nofile, limit).is_err() {
        limit = getrlimit(Resource::Nofile);
    }
    let descriptors = limit.current.unwrap_or(u64::MAX);
    let for_files = DESCRIPTORS_FOR_FILES + segments as u64;
    let left = descriptors.saturating_sub(for_files).max(1);
    let possible = usize::try_from(left).unwrap_or(usize::MAX);
    if possible < wanted {
        log::warn!("at most {possible} connections: the system gives {descriptors} descriptors");
    }
    wanted.min(possible)
}

/// Random numbers from the system: the one source of randomness of this process.
pub(crate) fn seeds() -> Result<Seeds, Exit> {
    let draw = |random: &mut File| {
        let mut bytes = [0; 8];
        random
            .read_exact(&mut bytes)
            .map(|()| u64::from_ne_bytes(bytes))
    };
    let drawn = File::open("/dev/urandom").and_then(|mut random| {
        Ok(Seeds {
            ids: draw(&mut random)?,
            salt: draw(&mut random)?,
            keys: draw(&mut random)?,
        })
    });
    drawn.map_err(|error| Exit::io(SYSTEM, "cannot read /dev/urandom", &error))
}

/// Says so when nothing protects the machine from us.
pub(crate) fn warn_as_root() {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        log::warn!("running as root, which nothing in here needs");
    }
}

/// A panic anywhere ends the process with one log line: what is on the disk is safer than what we think.
pub(crate) fn stop_at_panics(code: u8) {
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        log::error!("a mistake of chronikd's own, please report it: {panic}");
        std::process::exit(code.into());
    }));
}
