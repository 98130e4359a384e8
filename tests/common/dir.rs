//! A temporary directory that is removed at the end of its test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Lives as long as the test that made it.
pub struct Dir(PathBuf);

impl Dir {
    /// A new, empty directory.
    pub fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "chronikd-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new temporary directory");
        Dir(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
