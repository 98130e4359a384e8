//! A disk for tests that forgets, tears and fails, the same way for the same seed.
//!
//! It holds a tree in memory, twice: what the processes see (the page cache) and what is durable, with
//! the changes in between in order. `world` is that model; this file gives it the face of a [`Disk`] and
//! the handles of a test:
//!
//! * [`SimDisk::crash`] is a power cut: any subset of what was not synced is left, writes torn at 512 bytes,
//!   names lost or kept each by itself; [`SimDisk::kill`] ends the process and leaves the page cache.
//! * [`SimDisk::cut_at`] stops the machine at the i-th operation, so that a test can try every one.
//! * [`SimDisk::fail_at`] and [`SimDisk::fail_read_at`] make the i-th operation fail. A failed sync loses
//!   pages silently: they can be read until the cache is dropped, and later syncs succeed.
//! * [`SimDisk::set_capacity`] makes the disk small.
//!
//! An operation is whatever changes or syncs something; looking (open, read, list) is counted apart.
//! Files opened before a crash or a kill answer errors. All clones are the same disk; a fork is another.

mod lanes;
mod world;

pub use lanes::{Pending, SimLanes};

use super::error::at;
use super::{Disk, Entry, File, FileRef, Mode, View};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::{Id, World};

/// What an injected failure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// EIO.
    Io,
    /// ENOSPC.
    Full,
}

/// How often an injected failure strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Only that operation.
    Once,
    /// That operation and all later ones of its kind.
    Forever,
}

/// What a power cut leaves of the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// Any subset, drawn from the seed.
    Some,
}

/// The simulated disk.
#[derive(Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// A disk that holds one durable, empty directory.
    #[must_use]
    pub fn new(seed: u64, dir: &Path) -> SimDisk {
        SimDisk::of(World::new(seed, dir))
    }

    fn of(world: World) -> SimDisk {
        SimDisk {
            world: Arc::new(Mutex::new(world)),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that failed while it held the lock is reported as such, not as a poisoned disk.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk in the same state, whose luck is drawn from another seed. Open files stay behind.
    #[must_use]
    pub fn fork(&self, seed: u64) -> SimDisk {
        SimDisk::of(self.world().fork(seed))
    }

    /// The power fails and comes back: see [`Survives`]. Faults and cuts are over and operations are
    /// counted from 0 again.
    pub fn crash(&self, survives: Survives) {
        self.world().crash(survives);
    }

    /// The process dies and the machine goes on: nothing that was written is lost, yet. Faults, cuts and
    /// counters as in [`SimDisk::crash`].
    pub fn kill(&self) {
        self.world().reopen();
    }

    /// How many operations have changed or synced something, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().changes.count
    }

    /// How many operations have only looked.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.world().looks.count
    }

    /// Stops the machine at an operation (counted from 0): what it writes may be kept or lost like
    /// anything before it, a sync does nothing, and everything after it fails until the crash.
    pub fn cut_at(&self, operation: u64) {
        self.world().cut = Some(operation);
    }

    /// Makes an operation (counted from 0) fail. A write that fails may have written a part.
    pub fn fail_at(&self, operation: u64, fault: Fault, times: Times) {
        self.world().changes.fault = Some((operation, fault, times));
    }

    /// Makes a look (counted from 0) fail.
    pub fn fail_read_at(&self, read: u64, fault: Fault, times: Times) {
        self.world().looks.fault = Some((read, fault, times));
    }

    /// Takes back `fail_at` and `fail_read_at`.
    pub fn heal(&self) {
        self.world().heal();
    }

    /// Limits the bytes of all files together, reserved space included.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// A number below `bound`, drawn from the disk's seed; 0 when `bound` is 0.
    #[must_use]
    pub fn draw(&self, bound: u64) -> u64 {
        self.world().luck.below(bound)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<FileRef> {
        let mut world = self.world();
        let id = world.open(path, mode).map_err(at("open", path))?;
        Ok(Arc::new(SimFile {
            world: Arc::clone(&self.world),
            path: path.to_owned(),
            boot: world.boot,
            writable: mode != Mode::Read,
            id,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.world().list(dir).map_err(at("list", dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().create_dir(dir).map_err(at("create", dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world().rename(from, to).map_err(at("rename", from))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.world().remove_file(path).map_err(at("remove", path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().remove_dir(dir).map_err(at("remove", dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().sync_dir(dir).map_err(at("sync", dir))
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.world()
            .sync_all()
            .map_err(at("sync the file system of", dir))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.world().free_bytes().map_err(at("stat", dir))
    }
}

struct SimFile {
    world: Arc<Mutex<World>>,
    path: PathBuf,
    id: Id,
    /// The life of the process that opened it.
    boot: u64,
    writable: bool,
}

impl SimFile {
    /// Runs an operation on the file, if its process is still alive.
    fn with<R>(
        &self,
        action: &'static str,
        operation: impl FnOnce(&mut World, Id) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let result = if world.boot == self.boot {
            operation(&mut world, self.id)
        } else {
            Err(world::gone())
        };
        result.map_err(at(action, &self.path))
    }

    fn change<R>(
        &self,
        action: &'static str,
        operation: impl FnOnce(&mut World, Id) -> io::Result<R>,
    ) -> io::Result<R> {
        self.with(action, |world, id| {
            if self.writable {
                operation(world, id)
            } else {
                Err(io::Error::from_raw_os_error(world::EBADF))
            }
        })
    }
}

impl File for SimFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with("read", |world, id| world.read(id, position, buf))
    }

    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.change("write", |world, id| {
            world.write(id, position, parts.concat())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with("stat", World::len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change("cut", |world, id| world.set_len(id, len))
    }

    fn sync(&self) -> io::Result<()> {
        self.with("sync", World::sync)
    }

    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        self.change("reserve space for", |world, id| {
            world.reserve(id, position, len)
        })
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.with("drop the cache of", World::drop_cache)
    }

    fn view(&self, position: u64, len: usize) -> io::Result<Vec<View>> {
        self.with("view", |world, id| world.view(id, position, len))
            .map(|bytes| vec![View::owned(bytes)])
    }
}
