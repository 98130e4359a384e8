//! Why a sync that failed is not forgotten.
//!
//! Linux reports a failed write-back once to each open file description, so of two syncs of one file the
//! second may answer success for bytes that are lost. A round and a checkpoint may meet like that: whichever
//! comes second must fail as well, and so syncs of one file wait for each other and a failure stays.

use std::io::{self, ErrorKind};
use std::sync::{Mutex, PoisonError};

/// The first failure of a file's syncs, or of a disk's syncs of directories.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    failed: Mutex<Option<Failed>>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    kind: ErrorKind,
    errno: Option<i32>,
}

impl Failed {
    fn error(self) -> io::Error {
        let error = self.errno.map(io::Error::from_raw_os_error);
        error.unwrap_or_else(|| self.kind.into())
    }
}

impl Verdict {
    /// Syncs once no other sync is under way, if none has ever failed.
    pub(super) fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = *failed {
            return Err(failed.error());
        }
        sync().inspect_err(|error| {
            *failed = Some(Failed {
                kind: error.kind(),
                errno: error.raw_os_error(),
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sync_succeeds_after_one_that_failed() {
        let verdict = Verdict::default();
        verdict.sync(|| Ok(())).unwrap();
        let failed = verdict.sync(|| Err(io::Error::from_raw_os_error(5)));
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(5));
        let later = verdict.sync(|| panic!("the system is not asked again"));
        assert_eq!(later.unwrap_err().raw_os_error(), Some(5));
    }
}
