//! The two lanes beside the loop: `sync` for rounds and nothing else, `work` for everything that may take
//! long. In the simulator both are queues of events that the seed orders (`sim_lanes`).
//!
//! The order inside a round is the law that everything above stands on: the kernel may write pages in any
//! order, so a decision (an append) may not even be in the page cache before what it decides about is
//! safe. A round that fails at any step is over: no later step of it is tried.
//!
//! An idle lane waits on a channel and costs nothing. A lane that has finished something calls the wake
//! closure after the result can be taken. A panic in a lane goes on in the loop, at `completed`.

use super::{Disk, FileRef};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

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

/// Called after every completion, from a lane's thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A path that could not be made durable, and why.
pub(super) type Failure = (PathBuf, io::Error);

/// One operation of a round.
pub(super) enum Step {
    SyncFile(FileRef, PathBuf),
    SyncDir(PathBuf),
    Write(Append),
}

impl Step {
    /// Does it.
    pub(super) fn run(&self, disk: &dyn Disk) -> Result<(), Failure> {
        let (path, result) = match self {
            Step::SyncFile(file, path) => (path, file.sync()),
            Step::SyncDir(path) => (path, disk.sync_dir(path)),
            Step::Write(append) => (
                &append.path,
                append.file.write_at(append.position, &[&append.bytes]),
            ),
        };
        result.map_err(|error| (path.clone(), error))
    }
}

impl Round {
    /// What comes first, in any order, and what comes after all of that, in this order.
    pub(super) fn steps(self) -> (Vec<Step>, Vec<Step>) {
        let files = self
            .files
            .into_iter()
            .map(|(file, path)| Step::SyncFile(file, path));
        let first = files
            .chain(self.dirs.into_iter().map(Step::SyncDir))
            .collect();
        let mut written: Vec<(FileRef, PathBuf)> = Vec::new();
        for append in &self.then {
            if !written.iter().any(|(_, path)| *path == append.path) {
                written.push((Arc::clone(&append.file), append.path.clone()));
            }
        }
        let syncs = written
            .into_iter()
            .map(|(file, path)| Step::SyncFile(file, path));
        (
            first,
            self.then
                .into_iter()
                .map(Step::Write)
                .chain(syncs)
                .collect(),
        )
    }
}

/// From this many syncs in a round on, they are done together.
const MANY: usize = 9;
/// Threads that share the syncs of a round where the whole file system cannot be synced.
const SYNC_THREADS: usize = 4;
/// Enough for a few frames and a system call.
const SYNC_STACK_BYTES: usize = 64 * 1024;
/// Jobs compress and parse; only the pages that are touched count.
const WORK_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Makes a round durable.
fn run<T>(disk: &dyn Disk, root: &Path, round: Round) -> Completion<T> {
    let number = round.number;
    let (first, last) = round.steps();
    let result = sync_all_of(disk, root, &first)
        .and_then(|()| last.iter().try_for_each(|step| step.run(disk)));
    match result {
        Ok(()) => Completion::Synced(number),
        Err((path, error)) => Completion::SyncFailed(path, error),
    }
}

fn sync_all_of(disk: &dyn Disk, root: &Path, steps: &[Step]) -> Result<(), Failure> {
    if steps.len() < MANY {
        return steps.iter().try_for_each(|step| step.run(disk));
    }
    match disk.sync_all(root) {
        Err(error) if error.kind() == ErrorKind::Unsupported => sync_side_by_side(disk, steps),
        result => result.map_err(|error| (root.to_owned(), error)),
    }
}

/// Shares the steps among a few threads that live as long as this call. A system that gives no thread
/// makes it slower and nothing else.
fn sync_side_by_side(disk: &dyn Disk, steps: &[Step]) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let share = || {
        while let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = step.run(disk) {
                next.store(steps.len(), Ordering::Relaxed);
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(failure);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..SYNC_THREADS {
            let helper = thread::Builder::new()
                .name("chronik-sync".into())
                .stack_size(SYNC_STACK_BYTES);
            let _ = helper.spawn_scoped(scope, share);
        }
        share();
    });
    failed
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

/// What a lane's thread sends back: a completion, or the panic that took its place.
type Done<T> = thread::Result<Completion<T>>;

/// One thread and the queue before it. Dropping it lets the queue run empty and waits for the thread.
struct Lane<J> {
    queue: Option<Sender<J>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<J: Send + 'static> Lane<J> {
    fn start<T: Send + 'static>(
        thread: thread::Builder,
        done: Sender<Done<T>>,
        wake: Wake,
        run: impl Fn(J) -> Completion<T> + Send + 'static,
    ) -> io::Result<Lane<J>> {
        let (queue, jobs) = channel();
        let thread = thread.spawn(move || {
            for job in jobs {
                // A loop that is gone needs no results.
                let _ = done.send(catch_unwind(AssertUnwindSafe(|| run(job))));
                wake();
            }
        })?;
        Ok(Lane {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    fn push(&self, job: J) {
        let sent = self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.send(job).is_ok());
        assert!(sent, "a lane ends only after its queue");
    }
}

impl<J> Drop for Lane<J> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // Panics of jobs were caught; there is nobody to tell of another.
            let _ = thread.join();
        }
    }
}

/// The lanes of the daemon: the threads `chronik-sync` and `chronik-work`.
pub struct Threads<T> {
    sync: Lane<Round>,
    work: Lane<Job<T>>,
    done: Receiver<Done<T>>,
}

impl<T: Send + 'static> Threads<T> {
    /// Starts both. `root` is the data directory, which is synced as a whole when a round has many files
    /// and the disk allows it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(disk: Arc<dyn Disk>, root: &Path, wake: &Wake) -> io::Result<Threads<T>> {
        let (sender, done) = channel();
        let thread = |name: &str, stack| thread::Builder::new().name(name.into()).stack_size(stack);
        let root = root.to_owned();
        let sync = Lane::start(
            thread("chronik-sync", SYNC_STACK_BYTES),
            sender.clone(),
            Arc::clone(wake),
            move |round| run(&*disk, &root, round),
        )?;
        let work = Lane::start(
            thread("chronik-work", WORK_STACK_BYTES),
            sender,
            Arc::clone(wake),
            |job: Job<T>| Completion::Worked(job()),
        )?;
        Ok(Threads { sync, work, done })
    }
}

impl<T: Send + 'static> Lanes<T> for Threads<T> {
    fn sync(&mut self, round: Round) {
        self.sync.push(round);
    }

    fn work(&mut self, job: Job<T>) {
        self.work.push(job);
    }

    fn completed(&mut self) -> Vec<Completion<T>> {
        self.done
            .try_iter()
            .map(|done| done.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    }
}

/// Lanes without threads: everything is done when it is handed over. For `-t`, and for tests that are
/// not about order.
pub struct Inline<T> {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    done: Vec<Completion<T>>,
}

impl<T> Inline<T> {
    /// Lanes over a disk; `root` as in [`Threads::start`].
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Inline<T> {
        Inline {
            disk,
            root: root.to_owned(),
            done: Vec::new(),
        }
    }
}

impl<T> Lanes<T> for Inline<T> {
    fn sync(&mut self, round: Round) {
        self.done.push(run(&*self.disk, &self.root, round));
    }

    fn work(&mut self, job: Job<T>) {
        self.done.push(Completion::Worked(job()));
    }

    fn completed(&mut self) -> Vec<Completion<T>> {
        std::mem::take(&mut self.done)
    }
}
