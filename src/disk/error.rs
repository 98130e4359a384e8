//! Errors of the disk: what was tried, on which path, and what the system said.
//!
//! An `io::Error` of this room wraps a [`PathError`], so that every message names the file and the errno
//! without anybody above adding it. Its `kind()` is the system's; its errno is asked with [`errno`],
//! because `raw_os_error()` of a wrapped error is `None`.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What failed, where.
#[derive(Debug)]
pub struct PathError {
    /// The operation, in the infinitive: "open", "sync".
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PathError {
            action,
            path,
            source,
        } = self;
        write!(f, "cannot {action} {}: {source}", path.display())
    }
}

impl std::error::Error for PathError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Adds the operation and the path to an error; made for `map_err`.
pub(super) fn at(action: &'static str, path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |source| {
        let path = path.to_owned();
        io::Error::new(
            source.kind(),
            PathError {
                action,
                path,
                source,
            },
        )
    }
}

/// The system's error number, also behind a [`PathError`].
#[must_use]
pub fn errno(error: &io::Error) -> Option<i32> {
    error
        .raw_os_error()
        .or_else(|| wrapped(error).and_then(|inner| inner.source.raw_os_error()))
}

/// Whether it was a sync that failed: nobody knows then what the disk holds, and the process must stop.
#[must_use]
pub fn is_sync_failure(error: &io::Error) -> bool {
    wrapped(error).is_some_and(|inner| inner.action.starts_with("sync"))
}

fn wrapped(error: &io::Error) -> Option<&PathError> {
    error.get_ref()?.downcast_ref()
}

/// Whether a write failed for want of space (ENOSPC, EDQUOT), which is an answer to a client and no
/// reason to stop.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_path_and_keeps_kind_and_errno() {
        let error = at("sync", Path::new("/d/0.log"))(io::Error::from_raw_os_error(28));
        assert_eq!(
            error.to_string(),
            "cannot sync /d/0.log: No space left on device (os error 28)"
        );
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(error.raw_os_error(), None);
        assert_eq!(errno(&error), Some(28));
        assert!(is_full(&error) && is_sync_failure(&error));
    }

    #[test]
    fn an_error_without_a_number_has_none() {
        let error = at("read", Path::new("x"))(ErrorKind::UnexpectedEof.into());
        assert_eq!(errno(&error), None);
        assert!(!is_full(&error) && !is_sync_failure(&error));
    }
}
