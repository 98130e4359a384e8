//! The lanes of the daemon: one thread each.
//!
//! An idle lane waits on a channel and costs nothing. A lane that has finished something calls the wake
//! closure after the result can be taken. A panic in a lane goes on in the loop, at `completed`, unless a hook ends the
//! process where it happens, as the daemon's does.
//!
//! Both lanes stop for good when a round has failed, before anybody is told of it, and when they are abandoned: what is
//! queued then never begins. So no checkpoint is written after a failed sync.

use super::Disk;
use super::lanes::{Completion, Job, Lanes, Round, SYNC_STACK_BYTES, run};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Called after every completion, from a lane's thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Jobs compress and parse; only the pages that are touched count.
const WORK_STACK_BYTES: usize = 2 * 1024 * 1024;

/// What a lane's thread sends back: a completion, or the panic that took its place.
type Done<T> = thread::Result<Completion<T>>;

/// One thread and the queue before it. Dropping it lets the queue run empty and waits for the thread; a stopped lane is
/// not waited for.
struct Lane<J> {
    queue: Option<Sender<J>>,
    thread: Option<thread::JoinHandle<()>>,
    stopped: Stopped,
}

/// Whether the lanes may begin nothing more.
#[derive(Clone, Default)]
struct Stopped(Arc<AtomicBool>);

impl Stopped {
    fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl<J: Send + 'static> Lane<J> {
    fn start<T: Send + 'static>(
        thread: thread::Builder,
        (done, wake): (Sender<Done<T>>, Wake),
        stopped: &Stopped,
        run: impl Fn(J) -> Completion<T> + Send + 'static,
    ) -> io::Result<Lane<J>> {
        let (queue, jobs) = channel();
        let stop = stopped.clone();
        let thread = thread.spawn(move || {
            for job in jobs {
                if stop.is_set() {
                    return;
                }
                // A loop that is gone needs no results.
                let _ = done.send(catch_unwind(AssertUnwindSafe(|| run(job))));
                wake();
            }
        })?;
        Ok(Lane {
            queue: Some(queue),
            thread: Some(thread),
            stopped: stopped.clone(),
        })
    }

    fn push(&self, job: J) {
        let sent = self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.send(job).is_ok());
        assert!(
            sent || self.stopped.is_set(),
            "a lane ends only after its queue, or stopped"
        );
    }
}

impl<J> Drop for Lane<J> {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && !self.stopped.is_set()
        {
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
    stopped: Stopped,
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
        let stopped = Stopped::default();
        let failed = stopped.clone();
        let sync = Lane::start(
            thread("chronik-sync", SYNC_STACK_BYTES),
            (sender.clone(), Arc::clone(wake)),
            &stopped,
            move |round| {
                let done = run(&*disk, &root, round);
                if matches!(done, Completion::SyncFailed(..)) {
                    failed.set();
                }
                done
            },
        )?;
        let work = Lane::start(
            thread("chronik-work", WORK_STACK_BYTES),
            (sender, Arc::clone(wake)),
            &stopped,
            |job: Job<T>| Completion::Worked(job()),
        )?;
        Ok(Threads {
            sync,
            work,
            done,
            stopped,
        })
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

    fn abandon(&mut self) {
        self.stopped.set();
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Append;
    use super::super::sim::{Fault, SimDisk, Survives, Times};
    use super::super::{Mode, read_all};
    use super::*;
    use std::sync::mpsc::sync_channel;

    const DIR: &str = "/d";

    fn sim() -> (SimDisk, Arc<dyn Disk>) {
        let disk = SimDisk::new(1, Path::new(DIR));
        (disk.clone(), Arc::new(disk))
    }

    fn round(disk: &dyn Disk) -> Round {
        let path = Path::new(DIR).join("journal");
        let file = disk.open(&path, Mode::Create).unwrap();
        let then = Some(Append {
            file,
            position: 0,
            bytes: b"entry".to_vec(),
        });
        Round {
            number: 7,
            dirs: vec![DIR.into()],
            then,
            ..Round::default()
        }
    }

    fn only<T>(mut done: Vec<Completion<T>>) -> Completion<T> {
        assert_eq!(done.len(), 1);
        done.remove(0)
    }

    /// Waits for the wake of real threads.
    fn threads(disk: Arc<dyn Disk>) -> (Threads<u32>, impl Fn()) {
        let (sender, woken) = sync_channel(16);
        let wake: Wake = Arc::new(move || sender.send(()).unwrap());
        let threads = Threads::start(disk, Path::new(DIR), &wake).unwrap();
        (threads, move || woken.recv().unwrap())
    }

    #[test]
    fn threads_finish_rounds_and_jobs_and_wake_the_loop() {
        let (_, disk) = sim();
        let (mut lanes, wait) = threads(Arc::clone(&disk));
        lanes.sync(round(&*disk));
        wait();
        assert!(matches!(only(lanes.completed()), Completion::Synced(7)));
        lanes.work(Box::new(|| 1));
        lanes.work(Box::new(|| 2));
        wait();
        wait();
        let results: Vec<u32> = lanes
            .completed()
            .into_iter()
            .map(|done| match done {
                Completion::Worked(result) => result,
                _ => panic!("no round was given"),
            })
            .collect();
        assert_eq!(results, [1, 2]);
    }

    #[test]
    fn a_panic_in_a_job_goes_on_in_the_loop() {
        let (_, disk) = sim();
        let (mut lanes, wait) = threads(disk);
        lanes.work(Box::new(|| panic!("from the job")));
        wait();
        let panic = catch_unwind(AssertUnwindSafe(|| lanes.completed()))
            .err()
            .unwrap();
        assert_eq!(panic.downcast_ref(), Some(&"from the job"));
    }

    /// Keeps the work lane busy until something is sent, with a job behind it. The receiver hears of that job only if
    /// it runs.
    fn busy(lanes: &mut Threads<u32>) -> (Sender<()>, Receiver<()>) {
        let ((go, gone), (tell, told)) = (channel(), channel());
        let begun = tell.clone();
        lanes.work(Box::new(move || {
            begun.send(()).unwrap();
            drop(begun);
            gone.recv().map_or(0, |()| 1)
        }));
        told.recv().unwrap();
        lanes.work(Box::new(move || tell.send(()).map_or(0, |()| 2)));
        (go, told)
    }

    #[test]
    fn abandoned_threads_begin_nothing_more_and_nobody_waits_for_them() {
        let (_, disk) = sim();
        let (mut lanes, _wait) = threads(disk);
        let (go, told) = busy(&mut lanes);
        lanes.abandon();
        drop(lanes);
        go.send(()).unwrap();
        assert!(told.recv().is_err());
    }

    #[test]
    fn after_a_failed_round_no_job_begins() {
        let (sim, disk) = sim();
        let (mut lanes, wait) = threads(Arc::clone(&disk));
        let (go, told) = busy(&mut lanes);
        let round = round(&*disk);
        sim.fail_at(sim.operations(), Fault::Io, Times::Once);
        lanes.sync(round);
        wait();
        assert!(matches!(
            only(lanes.completed()),
            Completion::SyncFailed(..)
        ));
        go.send(()).unwrap();
        assert!(told.recv().is_err());
    }

    #[test]
    fn dropping_the_threads_finishes_what_was_queued() {
        let (sim, disk) = sim();
        let (mut lanes, _wait) = threads(Arc::clone(&disk));
        lanes.sync(round(&*disk));
        drop(lanes);
        sim.crash(Survives::Nothing);
        assert_eq!(
            read_all(&sim, &Path::new(DIR).join("journal")).unwrap(),
            b"entry"
        );
    }
}
