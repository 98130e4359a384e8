//! The two lanes beside the loop: `sync` for rounds and nothing else, `work` for everything that may take
//! long. In the simulator both are queues of events that the seed orders.

use super::FileRef;
use std::io;
use std::path::PathBuf;

/// Bytes that may reach a file only after the round's other syncs (the journal's withheld entries).
pub struct Append {
    /// Where they go.
    pub file: FileRef,
    /// For messages.
    pub path: PathBuf,
    /// Byte position.
    pub position: u64,
    /// What is written.
    pub bytes: Vec<u8>,
}

/// One sync round: everything in `files` and `dirs` is made durable, **then** the appends are
/// written, then their files are synced.
#[derive(Default)]
pub struct Round {
    /// Rounds are counted from 1 and run one at a time.
    pub number: u64,
    /// Dirty files, each with its path for messages.
    pub files: Vec<(FileRef, PathBuf)>,
    /// Directories whose names changed.
    pub dirs: Vec<PathBuf>,
    /// Written and synced last.
    pub then: Vec<Append>,
}

/// Something long, done beside the loop on inputs that it owns.
pub type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// What a lane has finished.
pub enum Completion<T> {
    /// A round is durable.
    Synced(u64),
    /// A round failed on this path; the process must stop (exit 74).
    SyncFailed(PathBuf, io::Error),
    /// A job's result.
    Worked(T),
}

/// The loop's view of both lanes.
pub trait Lanes<T> {
    /// Hands a round to the sync lane. At most one is in flight.
    fn sync(&mut self, round: Round);
    /// Queues a job for the work lane; jobs run in the order given.
    fn work(&mut self, job: Job<T>);
    /// Takes everything finished since the last call, in order of completion.
    fn completed(&mut self) -> Vec<Completion<T>>;
}
