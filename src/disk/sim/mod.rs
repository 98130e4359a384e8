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
//!   pages silently: they can be read until the cache is dropped, and syncs through another open file
//!   succeed.
//! * [`SimDisk::set_capacity`] makes the disk small.
//!
//! An operation is whatever changes or syncs something; looking (open, read, list) is counted apart.
//! Files opened before a crash or a kill answer errors. All clones are the same disk; a fork is another.

mod content;
mod lanes;
mod luck;
mod names;
mod world;

pub use lanes::{Pending, SimLanes};

use super::error::at;
use super::verdict::Verdict;
use super::{Disk, Entry, File, FileRef, Mode, View};
use names::Id;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::World;

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

    /// Sets the clock of the machine, in ms since 1970: what is written from now on bears that time.
    pub fn set_clock(&self, wall_ms: i64) {
        self.world().wall_ms = wall_ms;
    }

    /// Limits the bytes of all files together, reserved space included.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// The bytes that the files in a directory take, reserved space included; 0 where there is no such directory.
    #[must_use]
    pub fn bytes_in(&self, dir: &Path) -> u64 {
        self.world().bytes_in(dir).unwrap_or(0)
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
            verdict: Verdict::default(),
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

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.world().total_bytes().map_err(at("stat", dir))
    }
}

struct SimFile {
    world: Arc<Mutex<World>>,
    path: PathBuf,
    id: Id,
    /// The life of the process that opened it.
    boot: u64,
    writable: bool,
    verdict: Verdict,
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

    fn set_modified(&self, ms: i64) -> io::Result<()> {
        self.change("set the time of", |world, id| world.set_modified(id, ms))
    }

    fn sync(&self) -> io::Result<()> {
        let sync = |world: &mut World, id| self.verdict.sync(|| world.sync(id));
        self.with("sync", sync)
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

#[cfg(test)]
mod tests {
    use super::super::{errno, is_full, read_all, replace};
    use super::*;
    use std::collections::BTreeSet;

    const DIR: &str = "/data/chronik";

    fn disk(seed: u64) -> SimDisk {
        SimDisk::new(seed, Path::new(DIR))
    }

    fn path(name: &str) -> PathBuf {
        Path::new(DIR).join(name)
    }

    fn create(disk: &SimDisk, name: &str) -> FileRef {
        disk.open(&path(name), Mode::CreateNew).unwrap()
    }

    /// A file whose name is durable.
    fn durable(disk: &SimDisk, name: &str) -> FileRef {
        let file = create(disk, name);
        disk.sync_dir(Path::new(DIR)).unwrap();
        file
    }

    fn names(disk: &SimDisk) -> Vec<String> {
        let entries = disk.list(Path::new(DIR)).unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    fn read(disk: &SimDisk, name: &str) -> Vec<u8> {
        read_all(disk, &path(name)).unwrap()
    }

    #[test]
    fn bytes_need_a_sync_of_their_file() {
        let disk = disk(1);
        let file = durable(&disk, "f");
        file.write_at(0, &[b"synced"]).unwrap();
        file.sync().unwrap();
        file.write_at(6, &[b" and not"]).unwrap();
        let everything = disk.fork(1);
        everything.crash(Survives::Everything);
        assert_eq!(read(&everything, "f"), b"synced and not");
        disk.crash(Survives::Nothing);
        assert_eq!(read(&disk, "f"), b"synced");
    }

    #[test]
    fn lengths_need_a_sync_of_their_file() {
        let disk = disk(1);
        let file = durable(&disk, "f");
        file.write_at(0, &[b"abcdef"]).unwrap();
        file.sync().unwrap();
        file.set_len(3).unwrap();
        let kept = disk.fork(1);
        kept.crash(Survives::Everything);
        assert_eq!(read(&kept, "f"), b"abc");
        disk.crash(Survives::Nothing);
        assert_eq!(read(&disk, "f"), b"abcdef");
    }

    #[test]
    fn names_need_a_sync_of_their_directory() {
        let disk = disk(1);
        let file = create(&disk, "f");
        file.write_at(0, &[b"x"]).unwrap();
        file.sync().unwrap();
        disk.crash(Survives::Nothing);
        assert!(names(&disk).is_empty());

        drop(durable(&disk, "g"));
        disk.remove_file(&path("g")).unwrap();
        assert!(names(&disk).is_empty());
        disk.crash(Survives::Nothing);
        assert_eq!(names(&disk), ["g"]);
    }

    #[test]
    fn a_directory_needs_a_sync_of_its_parent() {
        let disk = disk(1);
        disk.create_dir(&path("t-0")).unwrap();
        create(&disk, "t-0/f");
        disk.sync_dir(&path("t-0")).unwrap();
        disk.crash(Survives::Nothing);
        assert!(names(&disk).is_empty());
    }

    #[test]
    fn names_are_lost_each_by_itself() {
        let left: BTreeSet<Vec<String>> = (0..200)
            .map(|seed| {
                let disk = disk(seed);
                ["a", "b", "c"]
                    .iter()
                    .for_each(|name| drop(create(&disk, name)));
                disk.crash(Survives::Some);
                names(&disk)
            })
            .collect();
        assert_eq!(left.len(), 8, "every subset of three names");
    }

    #[test]
    fn a_write_is_torn_at_sectors_and_nowhere_else() {
        let mut images = BTreeSet::new();
        for seed in 0..300 {
            let disk = disk(seed);
            durable(&disk, "f").write_at(412, &[&[7; 1_000]]).unwrap();
            disk.crash(Survives::Some);
            let mut image = read(&disk, "f");
            image.resize(1_412, 0);
            let sectors = [&image[412..512], &image[512..1_024], &image[1_024..]];
            for sector in sectors {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}");
            }
            images.insert(sectors.map(|sector| sector[0]));
        }
        assert_eq!(images.len(), 8, "every subset of three sectors");
    }

    #[test]
    fn a_file_may_have_grown_without_its_bytes() {
        let grown = (0..200).filter(|seed| {
            let disk = disk(*seed);
            durable(&disk, "f").write_at(0, &[&[7; 100]]).unwrap();
            disk.crash(Survives::Some);
            read(&disk, "f") == [0; 100]
        });
        assert!(grown.count() > 0);
    }

    #[test]
    fn replace_leaves_the_old_content_or_the_new_wherever_it_is_cut() {
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            for cut in 0.. {
                let disk = disk(seed);
                replace(&disk, &path("f"), b"old").unwrap();
                let start = disk.operations();
                disk.cut_at(start + cut);
                let done = replace(&disk, &path("f"), b"new content").is_ok();
                disk.crash(Survives::Some);
                let content = read(&disk, "f");
                assert!(
                    [&b"old"[..], b"new content"].contains(&&content[..]),
                    "seed {seed} cut {cut}"
                );
                assert!(!done || content == b"new content");
                seen.insert((cut, content));
                if done {
                    assert_eq!(cut, 6, "one cut at every operation of replace");
                    break;
                }
            }
        }
        for content in [&b"old"[..], b"new content"] {
            assert!(
                seen.contains(&(4, content.to_vec())),
                "the rename is the operation that decides"
            );
        }
    }

    #[test]
    fn a_rename_before_the_sync_can_lose_both_contents() {
        let lost = (0..200).filter(|seed| {
            let disk = disk(*seed);
            replace(&disk, &path("f"), b"old").unwrap();
            create(&disk, "g").write_at(0, &[b"new"]).unwrap();
            disk.rename(&path("g"), &path("f")).unwrap();
            disk.crash(Survives::Some);
            !["old", "new"]
                .map(str::as_bytes)
                .contains(&&read(&disk, "f")[..])
        });
        assert!(lost.count() > 0);
    }

    #[test]
    fn a_synced_rename_carries_the_changes_that_it_stands_on() {
        let disk = disk(1);
        disk.create_dir(&path("to")).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        create(&disk, "f");
        disk.rename(&path("f"), &path("to/f")).unwrap();
        disk.sync_dir(&path("to")).unwrap();
        disk.crash(Survives::Everything);
        assert_eq!(names(&disk), ["to"]);
        assert_eq!(read(&disk, "to/f"), b"");
    }

    #[test]
    fn a_failed_sync_forgets_pages_that_are_still_seen() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = disk(seed);
            let file = durable(&disk, "f");
            file.write_at(0, &[b"acknowledged?"]).unwrap();
            disk.fail_at(disk.operations(), Fault::Io, Times::Once);
            assert_eq!(errno(&file.sync().unwrap_err()), Some(5));
            assert_eq!(errno(&file.sync().unwrap_err()), Some(5));
            let another = disk.open(&path("f"), Mode::Write).unwrap();
            another.sync().unwrap();
            assert_eq!(read(&disk, "f"), b"acknowledged?");
            file.drop_cache().unwrap();
            lost += u32::from(read(&disk, "f") != b"acknowledged?");
        }
        assert!(lost > 10);
    }

    #[test]
    fn dropping_the_cache_keeps_what_is_still_to_be_written() {
        let disk = disk(1);
        let file = durable(&disk, "f");
        file.write_at(0, &[b"abc"]).unwrap();
        file.drop_cache().unwrap();
        assert_eq!(read(&disk, "f"), b"abc");
    }

    #[test]
    fn an_operation_fails_once_or_forever() {
        let disk = disk(1);
        let file = durable(&disk, "f");
        disk.fail_at(disk.operations() + 1, Fault::Io, Times::Once);
        let results = [0; 3].map(|_| file.write_at(0, &[b"x"]).is_ok());
        assert_eq!(results, [true, false, true]);
        disk.fail_at(disk.operations() + 1, Fault::Full, Times::Forever);
        let results = [0; 3].map(|_| file.write_at(0, &[b"x"]).is_ok());
        assert_eq!(results, [true, false, false]);
        assert!(is_full(&file.reserve(0, 1).unwrap_err()));
        disk.heal();
        file.write_at(0, &[b"x"]).unwrap();
        disk.fail_read_at(disk.reads(), Fault::Io, Times::Once);
        assert_eq!(errno(&file.read_at(0, &mut [0]).unwrap_err()), Some(5));
        assert_eq!(file.read_at(0, &mut [0]).unwrap(), 1);
    }

    #[test]
    fn a_write_that_fails_may_have_written_a_part() {
        let lens: BTreeSet<u64> = (0..50)
            .map(|seed| {
                let disk = disk(seed);
                let file = durable(&disk, "f");
                disk.fail_at(disk.operations(), Fault::Io, Times::Once);
                file.write_at(0, &[b"abc", b"def"]).unwrap_err();
                file.len().unwrap()
            })
            .collect();
        assert_eq!(lens, (0..6).collect());
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = disk(1);
        disk.set_capacity(Some(100));
        let file = durable(&disk, "f");
        file.write_at(0, &[&[1; 60]]).unwrap();
        assert_eq!(disk.free_bytes(Path::new(DIR)).unwrap(), 40);
        assert_eq!(disk.bytes_in(Path::new(DIR)), 60);
        assert!(is_full(&file.write_at(60, &[&[2; 50]]).unwrap_err()));
        assert_eq!(file.len().unwrap(), 100);
        file.write_at(0, &[&[3; 100]]).unwrap();
        file.set_len(60).unwrap();
        file.reserve(60, 40).unwrap();
        assert!(is_full(
            &create(&disk, "g").write_at(0, &[b"x"]).unwrap_err()
        ));
        file.write_at(60, &[&[2; 40]]).unwrap();
        disk.remove_file(&path("f")).unwrap();
        assert_eq!(disk.free_bytes(Path::new(DIR)).unwrap(), 100);
    }

    #[test]
    fn after_the_cut_everything_fails_until_the_crash() {
        let disk = disk(1);
        let file = durable(&disk, "f");
        disk.cut_at(disk.operations());
        file.write_at(0, &[b"x"]).unwrap_err();
        file.sync().unwrap_err();
        file.read_at(0, &mut [0]).unwrap_err();
        disk.list(Path::new(DIR)).unwrap_err();
        assert!(disk.open(&path("g"), Mode::Create).is_err());
        let kept = disk.fork(2);
        kept.crash(Survives::Everything);
        assert_eq!(
            (names(&kept), read(&kept, "f")),
            (vec!["f".to_owned()], b"x".to_vec())
        );
        disk.crash(Survives::Nothing);
        assert_eq!(read(&disk, "f"), b"");
        assert_eq!(disk.operations(), 0);
        file.write_at(0, &[b"from a dead process"]).unwrap_err();
    }

    #[test]
    fn a_killed_process_leaves_what_it_wrote_to_the_next() {
        let disk = disk(1);
        let file = durable(&disk, "f");
        file.write_at(0, &[b"x"]).unwrap();
        disk.kill();
        file.write_at(0, &[b"y"]).unwrap_err();
        assert_eq!(read(&disk, "f"), b"x");
        disk.crash(Survives::Nothing);
        assert_eq!(read(&disk, "f"), b"");
    }

    #[test]
    fn the_same_seed_has_the_same_luck() {
        let image = |seed| {
            let disk = disk(seed);
            let file = durable(&disk, "f");
            (0..20u8).for_each(|n| file.write_at(u64::from(n) * 300, &[&[n; 700]]).unwrap());
            disk.crash(Survives::Some);
            read(&disk, "f")
        };
        assert!((0..20).all(|seed| image(seed) == image(seed)));
        assert!((0..20).map(image).collect::<BTreeSet<_>>().len() > 10);
    }
}
