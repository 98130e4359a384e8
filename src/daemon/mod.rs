//! What surrounds the broker in a process: the command line, the log, the data directory, small files.
//!
//! This belongs to `main.rs`, not to the library: nothing in here is seen by the broker.

pub(crate) mod check;
pub(crate) mod data_dir;
pub(crate) mod exit;
pub(crate) mod logger;
pub(crate) mod notices;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod serve;
pub(crate) mod settings;
