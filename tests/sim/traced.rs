//! The simulated disk with a memory: what its operation of a number was, for messages and for expectations.
//!
//! The syncs of directories that belong to rounds go past this, straight to the simulated disk.

use chronikd::disk::sim::SimDisk;
use chronikd::disk::{Disk, Entry, File, FileRef, Mode, View};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

type Memory = Arc<Mutex<BTreeMap<u64, String>>>;

/// See the head of this file.
pub struct Traced {
    disk: SimDisk,
    memory: Memory,
}

impl Traced {
    /// Remembers nothing yet.
    pub fn new(disk: SimDisk) -> Traced {
        Traced {
            disk,
            memory: Memory::default(),
        }
    }

    /// Forgets everything: operations are counted from 0 again.
    pub fn clear(&self) {
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// What the operation was: a word, and the path.
    pub fn describe(&self, operation: u64) -> String {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory
            .get(&operation)
            .cloned()
            .unwrap_or_else(|| "sync-dir of a round".to_owned())
    }

    fn note<R>(&self, what: &str, path: &Path, run: impl FnOnce() -> R) -> R {
        note(&self.disk, &self.memory, what, path, run)
    }
}

fn note<R>(disk: &SimDisk, memory: &Memory, what: &str, path: &Path, run: impl FnOnce() -> R) -> R {
    let before = disk.operations();
    let result = run();
    if disk.operations() > before {
        let text = format!("{what} {}", path.display());
        memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(before, text);
    }
    result
}

impl Disk for Traced {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<FileRef> {
        let file = self.note("create", path, || self.disk.open(path, mode))?;
        Ok(Arc::new(TracedFile {
            file,
            path: path.to_owned(),
            disk: self.disk.clone(),
            memory: Arc::clone(&self.memory),
        }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.note("create-dir", dir, || self.disk.create_dir(dir))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note("rename", to, || self.disk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.note("remove", path, || self.disk.remove_file(path))
    }
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.note("remove-dir", dir, || self.disk.remove_dir(dir))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.note("sync-dir", dir, || self.disk.sync_dir(dir))
    }
    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.note("sync-all", dir, || self.disk.sync_all(dir))
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.total_bytes(dir)
    }
}

struct TracedFile {
    file: FileRef,
    path: PathBuf,
    disk: SimDisk,
    memory: Memory,
}

impl TracedFile {
    fn note<R>(&self, what: &str, run: impl FnOnce() -> R) -> R {
        note(&self.disk, &self.memory, what, &self.path, run)
    }
}

impl File for TracedFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(position, buf)
    }
    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.note("write", || self.file.write_at(position, parts))
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note("set-len", || self.file.set_len(len))
    }
    fn set_modified(&self, ms: i64) -> io::Result<()> {
        self.note("set-time", || self.file.set_modified(ms))
    }
    fn sync(&self) -> io::Result<()> {
        self.note("sync", || self.file.sync())
    }
    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        self.note("reserve", || self.file.reserve(position, len))
    }
    fn drop_cache(&self) -> io::Result<()> {
        self.file.drop_cache()
    }
    fn view(&self, position: u64, len: usize) -> io::Result<Vec<View>> {
        self.file.view(position, len)
    }
}
