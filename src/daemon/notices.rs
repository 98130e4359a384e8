//! What others are told about the process: by stdout, its id, its addresses, that it is ready.

use super::exit::{CANNOT_CREATE, Exit};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

/// Prints to stdout. A reader that has gone away is no reason to fail.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A file that tells others something about this process, removed when this is dropped.
pub(crate) struct Notice(PathBuf);

impl Notice {
    /// Writes it.
    pub(crate) fn write(path: &Path, text: &str) -> Result<Notice, Exit> {
        publish(path, text)?;
        Ok(Notice(path.to_owned()))
    }

    /// The file with the process id.
    pub(crate) fn of_pid(path: &Path) -> Result<Notice, Exit> {
        Notice::write(path, &format!("{}\n", process::id()))
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            log::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Removes what an earlier process has left, so that nobody takes it for ours.
pub(crate) fn forget(path: &Path) {
    let _ = fs::remove_file(path);
}

/// Puts a text into a file that appears whole or not at all.
fn publish(path: &Path, text: &str) -> Result<(), Exit> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| {
            Exit::io(
                CANNOT_CREATE,
                format!("cannot write {}", path.display()),
                &error,
            )
        })
}

/// Writes a newline to a descriptor that the parent has left open. `/dev/fd` opens it a second time,
/// which pipes and files allow.
pub(crate) fn ready(fd: u32) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .open(format!("/dev/fd/{fd}"))?
        .write_all(b"\n")
}
