//! The two lanes beside the loop: `sync` for rounds and nothing else, `work` for everything that may take
//! long. In the simulator both are queues of events that the seed orders (`sim`), in the daemon they are
//! `threads`.
//!
//! The order inside a round is the law that everything above stands on: the kernel may write pages in any
//! order, so a decision (an append) may not even be in the page cache before what it decides about is
//! safe. A round that fails at any step is over: nothing more of it is written.

use super::{Disk, FileRef};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes that may reach a file only after the round's other syncs (the journal's withheld entries).
pub struct Append {
    /// Where they go.
    pub file: FileRef,
    /// Byte position.
    pub position: u64,
    /// What is written.
    pub bytes: Vec<u8>,
}

/// One sync round: everything in `files` and `dirs` is made durable, then files take their names and the directories of
/// these are synced, **then** the append is written, then its file is synced.
#[derive(Default)]
pub struct Round {
    /// Rounds are counted from 1 and run one at a time.
    pub number: u64,
    /// Dirty files.
    pub files: Vec<FileRef>,
    /// Directories whose names changed.
    pub dirs: Vec<PathBuf>,
    /// Names that files take when they are durable, from and to, in this order.
    pub renames: Vec<(PathBuf, PathBuf)>,
    /// Written and synced last.
    pub then: Option<Append>,
}

/// Something long, done beside the loop on inputs that it owns.
pub type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// What a lane has finished.
pub enum Completion<T> {
    /// A round is durable.
    Synced(u64),
    /// A round failed, on a path that the error names; the process must stop (exit 74).
    SyncFailed(io::Error),
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
    /// The process is about to end without a clean stop: nothing that is queued begins any more, and nobody waits for
    /// what is running.
    fn abandon(&mut self) {}
}

/// One operation of a round.
pub(super) enum Step {
    SyncFile(FileRef),
    SyncDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Write(Append),
}

impl Step {
    /// Does it.
    pub(super) fn run(&self, disk: &dyn Disk) -> io::Result<()> {
        match self {
            Step::SyncFile(file) => file.sync(),
            Step::SyncDir(path) => disk.sync_dir(path),
            Step::Rename(from, to) => disk.rename(from, to),
            Step::Write(append) => append.file.write_at(append.position, &[&append.bytes]),
        }
    }
}

impl Round {
    /// What comes first, in any order, and what comes after all of that, in this order.
    pub(super) fn steps(self) -> (Vec<Step>, Vec<Step>) {
        let files = self.files.into_iter().map(Step::SyncFile);
        let dirs = self.dirs.into_iter().map(Step::SyncDir);
        let dir_of = |(_, to): &(PathBuf, PathBuf)| to.parent().map(Path::to_owned);
        let renamed: BTreeSet<PathBuf> = self.renames.iter().filter_map(dir_of).collect();
        let renames = self.renames.into_iter();
        let renames = renames.map(|(from, to)| Step::Rename(from, to));
        let renames = renames.chain(renamed.into_iter().map(Step::SyncDir));
        let then = self.then.map(|append| {
            let file = Arc::clone(&append.file);
            [Step::Write(append), Step::SyncFile(file)]
        });
        let last = renames.chain(then.into_iter().flatten());
        (files.chain(dirs).collect(), last.collect())
    }
}

/// From this many syncs in a round on, they are done together.
const MANY: usize = 9;
/// Threads that share the syncs of a round where the whole file system cannot be synced.
const SYNC_THREADS: usize = 4;
/// Enough for a few frames and a system call.
pub(super) const SYNC_STACK_BYTES: usize = 64 * 1024;

/// Makes a round durable.
pub(super) fn run<T>(disk: &dyn Disk, root: &Path, round: Round) -> Completion<T> {
    let number = round.number;
    let (first, last) = round.steps();
    let result = sync_all_of(disk, root, &first)
        .and_then(|()| last.iter().try_for_each(|step| step.run(disk)));
    match result {
        Ok(()) => Completion::Synced(number),
        Err(error) => Completion::SyncFailed(error),
    }
}

fn sync_all_of(disk: &dyn Disk, root: &Path, steps: &[Step]) -> io::Result<()> {
    if steps.len() < MANY {
        return steps.iter().try_for_each(|step| step.run(disk));
    }
    match disk.sync_all(root) {
        Err(error) if error.kind() == ErrorKind::Unsupported => sync_side_by_side(disk, steps),
        result => result,
    }
}

/// Shares the steps among a few threads that live as long as this call. A system that gives no thread
/// makes it slower and nothing else.
fn sync_side_by_side(disk: &dyn Disk, steps: &[Step]) -> io::Result<()> {
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

/// Lanes without threads: everything is done when it is handed over. For `-t`, and for tests that are
/// not about order.
pub struct Inline<T> {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    done: Vec<Completion<T>>,
}

impl<T> Inline<T> {
    /// Lanes over a disk; `root` as in `Threads::start`.
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

#[cfg(test)]
mod tests {
    use super::super::sim::{Fault, SimDisk, Survives, Times};
    use super::super::{Mode, read_all, replace};
    use super::*;

    const DIR: &str = "/d";

    fn sim() -> (SimDisk, Arc<dyn Disk>) {
        let disk = SimDisk::new(1, Path::new(DIR));
        (disk.clone(), Arc::new(disk))
    }

    /// A round over `count` files that hold one byte each, and one append.
    fn round(disk: &dyn Disk, count: usize) -> Round {
        let open = |path: &Path| disk.open(path, Mode::Create).unwrap();
        let paths = (0..count).map(|index| Path::new(DIR).join(format!("f{index}")));
        let files = paths.map(|path| open(&path)).collect::<Vec<_>>();
        files
            .iter()
            .for_each(|file| file.write_at(0, &[b"x"]).unwrap());
        let path = Path::new(DIR).join("journal");
        let append = Append {
            file: open(&path),
            position: 0,
            bytes: b"entry".to_vec(),
        };
        Round {
            number: 7,
            files,
            dirs: vec![DIR.into()],
            then: Some(append),
            ..Round::default()
        }
    }

    fn only<T>(mut done: Vec<Completion<T>>) -> Completion<T> {
        assert_eq!(done.len(), 1);
        done.remove(0)
    }

    #[test]
    fn a_round_makes_everything_durable() {
        for count in [2, 40] {
            let (sim, disk) = sim();
            let mut lanes = Inline::<()>::new(Arc::clone(&disk), Path::new(DIR));
            lanes.sync(round(&*disk, count));
            assert!(matches!(only(lanes.completed()), Completion::Synced(7)));
            assert!(lanes.completed().is_empty());
            sim.crash(Survives::Nothing);
            assert_eq!(sim.list(Path::new(DIR)).unwrap().len(), count + 1);
            assert_eq!(
                read_all(&sim, &Path::new(DIR).join("journal")).unwrap(),
                b"entry"
            );
            assert_eq!(read_all(&sim, &Path::new(DIR).join("f1")).unwrap(), b"x");
        }
    }

    #[test]
    fn many_files_cost_one_sync() {
        let (sim, disk) = sim();
        let round = round(&*disk, 40);
        let before = sim.operations();
        assert!(matches!(
            run::<()>(&*disk, Path::new(DIR), round),
            Completion::Synced(7)
        ));
        assert_eq!(sim.operations() - before, 3);
    }

    #[test]
    fn an_append_is_not_written_after_a_failed_sync() {
        for count in [2, 40] {
            let (sim, disk) = sim();
            let round = round(&*disk, count);
            sim.fail_at(sim.operations(), Fault::Io, Times::Once);
            let Completion::SyncFailed(error) = run::<()>(&*disk, Path::new(DIR), round) else {
                panic!("the sync failed");
            };
            assert!(error.to_string().contains(DIR));
            assert_eq!(super::super::errno(&error), Some(5));
            assert!(
                read_all(&sim, &Path::new(DIR).join("journal"))
                    .unwrap()
                    .is_empty()
            );
        }
    }

    #[test]
    fn a_file_takes_its_name_when_it_is_durable_and_before_the_append() {
        let path = |name: &str| Path::new(DIR).join(name);
        for cut in 0.. {
            let (sim, disk) = sim();
            replace(&*disk, &path("text"), b"old").unwrap();
            let mut round = round(&*disk, 1);
            let new = disk.open(&path("text.1"), Mode::CreateNew).unwrap();
            new.write_at(0, &[b"new"]).unwrap();
            round.files.push(new);
            round.renames.push((path("text.1"), path("text")));
            let before = sim.operations();
            sim.cut_at(before + cut);
            let done = run::<()>(&*disk, Path::new(DIR), round);
            let is_over = matches!(done, Completion::Synced(7));
            sim.crash(Survives::Some);
            let text = read_all(&sim, &path("text")).unwrap();
            assert!(text == b"old" || text == b"new", "{text:?}");
            let has_entry = read_all(&sim, &path("journal")).is_ok_and(|it| !it.is_empty());
            assert!(text == b"new" || !(has_entry || is_over), "cut at {cut}");
            if is_over {
                return;
            }
        }
    }

    #[test]
    fn files_are_synced_side_by_side_where_the_whole_cannot_be() {
        let (sim, disk) = sim();
        let (first, _) = round(&*disk, 40).steps();
        sync_side_by_side(&*disk, &first).unwrap();
        sim.crash(Survives::Nothing);
        assert_eq!(sim.list(Path::new(DIR)).unwrap().len(), 41);
    }

    #[test]
    fn a_failure_side_by_side_is_reported_with_its_path() {
        let (sim, disk) = sim();
        let (first, _) = round(&*disk, 40).steps();
        sim.fail_at(sim.operations() + 20, Fault::Io, Times::Once);
        let error = sync_side_by_side(&*disk, &first).unwrap_err();
        assert!(error.to_string().contains(DIR));
    }
}
