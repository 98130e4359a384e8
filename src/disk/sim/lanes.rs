//! Lanes in which nothing happens until the test says so.
//!
//! Both are queues. The syncs of a round that may come in any order are drawn from the disk's seed, and a
//! round can be run one operation at a time, so that the loop's own writes, a failure or a power cut can come
//! between any two of them. After a crash a test makes new lanes: what was queued is gone with the old.

use super::SimDisk;
use crate::disk::lanes::{Completion, Job, Lanes, Round, Step};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What waits to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Operations left of the round in flight, the end of the round being one; 0 without a round.
    pub sync_steps: usize,
    /// Jobs of the work lane.
    pub jobs: usize,
}

/// The simulated lanes. All clones are the same lanes: one for the core, one for the test.
pub struct SimLanes<T> {
    disk: SimDisk,
    queues: Arc<Mutex<Queues<T>>>,
}

impl<T> Clone for SimLanes<T> {
    fn clone(&self) -> SimLanes<T> {
        SimLanes {
            disk: self.disk.clone(),
            queues: Arc::clone(&self.queues),
        }
    }
}

struct Queues<T> {
    round: Option<InFlight>,
    jobs: VecDeque<Job<T>>,
    done: Vec<Completion<T>>,
}

struct InFlight {
    number: u64,
    first: Vec<Step>,
    last: VecDeque<Step>,
}

impl<T> SimLanes<T> {
    /// Idle lanes over a disk.
    #[must_use]
    pub fn new(disk: &SimDisk) -> SimLanes<T> {
        let queues = Queues {
            round: None,
            jobs: VecDeque::new(),
            done: Vec::new(),
        };
        SimLanes {
            disk: disk.clone(),
            queues: Arc::new(Mutex::new(queues)),
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues<T>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let queues = self.queues();
        let left = |round: &InFlight| round.first.len() + round.last.len() + 1;
        Pending {
            sync_steps: queues.round.as_ref().map_or(0, left),
            jobs: queues.jobs.len(),
        }
    }

    /// Runs the round in flight to its end; `false` if there is none.
    pub fn run_sync(&self) -> bool {
        let any = self.step_sync();
        while self.step_sync() {}
        any
    }

    /// Runs one operation of the round in flight; `false` if there is none.
    pub fn step_sync(&self) -> bool {
        let mut queues = self.queues();
        let Some(round) = &mut queues.round else {
            return false;
        };
        let step = match round.first.len() as u64 {
            0 => round.last.pop_front(),
            count => Some(round.first.swap_remove(self.disk.draw(count) as usize)),
        };
        let completion = match step.map(|step| step.run(&self.disk)) {
            Some(Ok(())) => return true,
            Some(Err(error)) => Completion::SyncFailed(error),
            None => Completion::Synced(round.number),
        };
        queues.round = None;
        queues.done.push(completion);
        true
    }

    /// Runs the next job; `false` if there is none.
    pub fn run_work(&self) -> bool {
        let Some(job) = self.queues().jobs.pop_front() else {
            return false;
        };
        let result = job();
        self.queues().done.push(Completion::Worked(result));
        true
    }
}

impl<T> Lanes<T> for SimLanes<T> {
    fn sync(&mut self, round: Round) {
        let number = round.number;
        let (first, last) = round.steps();
        let mut queues = self.queues();
        assert!(queues.round.is_none(), "one round at a time");
        queues.round = Some(InFlight {
            number,
            first,
            last: last.into(),
        });
    }

    fn work(&mut self, job: Job<T>) {
        self.queues().jobs.push_back(job);
    }

    fn completed(&mut self) -> Vec<Completion<T>> {
        std::mem::take(&mut self.queues().done)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, Survives, Times};
    use super::*;
    use crate::disk::lanes::Append;
    use crate::disk::{Disk, Mode, read_all};
    use std::path::Path;

    fn path(name: &str) -> std::path::PathBuf {
        Path::new("/d").join(name)
    }

    /// Two dirty files and an append, handed over.
    fn started(seed: u64) -> (SimDisk, SimLanes<&'static str>) {
        let disk = SimDisk::new(seed, Path::new("/d"));
        let open = |name: &str| disk.open(&path(name), Mode::Create).unwrap();
        let (files, file) = (vec![open("a"), open("b")], open("journal"));
        disk.sync_dir(Path::new("/d")).unwrap();
        files
            .iter()
            .for_each(|file| file.write_at(0, &[b"x"]).unwrap());
        let then = Some(Append {
            file,
            position: 0,
            bytes: b"entry".to_vec(),
        });
        let mut lanes = SimLanes::new(&disk);
        lanes.sync(Round {
            number: 3,
            files,
            then,
            ..Round::default()
        });
        (disk, lanes)
    }

    #[test]
    fn nothing_happens_until_it_is_run() {
        let (_, mut lanes) = started(1);
        lanes.work(Box::new(|| "first"));
        lanes.work(Box::new(|| "second"));
        assert!(lanes.completed().is_empty());
        assert_eq!(
            lanes.pending(),
            Pending {
                sync_steps: 5,
                jobs: 2
            }
        );
        assert!(lanes.run_work());
        assert!(matches!(
            lanes.completed()[..],
            [Completion::Worked("first")]
        ));
        assert!(lanes.run_sync() && lanes.run_work());
        let done = lanes.completed();
        assert!(matches!(
            done[..],
            [Completion::Synced(3), Completion::Worked("second")]
        ));
        assert!(!lanes.run_sync() && !lanes.run_work());
        assert_eq!(
            lanes.pending(),
            Pending {
                sync_steps: 0,
                jobs: 0
            }
        );
    }

    #[test]
    fn no_append_survives_without_what_it_stands_on() {
        for seed in 0..300 {
            let (disk, lanes) = started(seed);
            (0..disk.draw(6)).for_each(|_| assert!(lanes.step_sync()));
            disk.crash(Survives::Some);
            let read = |name: &str| read_all(&disk, &path(name)).unwrap();
            if !read("journal").is_empty() {
                assert_eq!(
                    (read("a"), read("b")),
                    (b"x".to_vec(), b"x".to_vec()),
                    "seed {seed}"
                );
            }
        }
    }

    #[test]
    fn files_of_a_round_are_synced_in_any_order() {
        let first_synced = |seed| {
            let (disk, lanes) = started(seed);
            lanes.step_sync();
            disk.crash(Survives::Nothing);
            read_all(&disk, &path("a")).unwrap().len()
        };
        let orders: std::collections::BTreeSet<usize> = (0..20).map(first_synced).collect();
        assert_eq!(orders.len(), 2);
    }

    #[test]
    fn a_failed_step_ends_the_round() {
        let (disk, mut lanes) = started(1);
        disk.fail_at(disk.operations() + 1, Fault::Io, Times::Once);
        assert!(lanes.run_sync());
        assert!(matches!(
            lanes.completed()[..],
            [Completion::SyncFailed(..)]
        ));
        assert!(read_all(&disk, &path("journal")).unwrap().is_empty());
        assert_eq!(lanes.pending().sync_steps, 0);
    }
}
