//! Why a journal is not opened, and what is said of damage.

use super::entry::VERSION;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const NO_HEADER: &str = "the file's header does not verify";
pub(super) const NO_SENSE: &str = "the record verifies but makes no sense";
pub(super) const MISSING: &str = "the file is missing";
/// Of a snapshot, or of a closed file that was whole when it was written.
pub(super) const BROKEN: &str = "the record that belongs here does not verify";
pub(super) const GAP: &str =
    "the record that belongs here does not verify, and a later one shows that it had been durable";

pub(super) fn damaged(path: &Path, position: usize, why: &'static str) -> OpenError {
    OpenError::Damaged {
        path: path.to_path_buf(),
        position: position as u64,
        why,
    }
}

/// Why a journal was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// The system refused an operation; the error names the file.
    Io(io::Error),
    /// Something that had been durable does not verify.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Byte position in the file.
        position: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// Written by a newer chronikd.
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        version: u16,
    },
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(error) => error.fmt(f),
            OpenError::Damaged {
                path,
                position,
                why,
            } => write!(
                f,
                "{} is damaged at byte {position}: {why}; nothing was changed",
                path.display()
            ),
            OpenError::Newer { path, version } => write!(
                f,
                "{} has format version {version}, written by a newer chronikd; this one reads up to version \
                 {}; nothing was changed",
                path.display(),
                VERSION
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> io::Error {
        match error {
            OpenError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
