//! What the suites share that run the real daemon: a broker process, a real Apache Kafka beside it, a directory
//! that goes away, and a socket that speaks raw frames.
//!
//! Every process is ended by its own id, also when a test fails; then the end of the broker's log is shown.

// Each suite is a crate of its own and uses a part of this.
#![allow(dead_code, unreachable_pub, unused_imports, unused_macros)]

pub mod apache;
pub mod ask;
pub mod broker;
pub mod committed;
pub mod conversation;
pub mod dir;
pub mod feeder;
pub mod kafka;
pub mod program;
pub mod raw;
pub mod server;
pub mod stories;
pub mod talk;
pub mod tools;

use std::io::Write;

/// Says that a suite cannot run here and why, and answers whether that is all right: in CI it is not.
///
/// # Panics
/// Under `CI=true`.
pub fn skipped(suite: &str, why: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{suite} cannot be skipped in CI: {why}"
    );
    // The harness swallows what a passing test prints, but not what goes to the descriptor itself.
    let line = format!("SKIPPED {suite}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The project's folder of tests.
pub fn tests_dir() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Where a foreign toolchain of `tests/clients/setup` is installed, or why there is none.
pub fn toolchain(name: &str) -> Result<std::path::PathBuf, String> {
    let dir = tests_dir().join(".cache").join(name);
    if dir.join("installed").exists() {
        Ok(dir)
    } else {
        Err(format!(
            "{name} is not installed; tests/clients/setup does that"
        ))
    }
}

/// Whether the system has a command of this name.
pub fn on_path(command: &str) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join(command).is_file()) {
        Ok(())
    } else {
        Err(format!("there is no {command} on this machine"))
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
