//! The operating system's disk.
//!
//! Directories are created with mode 0750 and files with 0600. Every error carries its path. Views are
//! windows of `map`, in one cache that all files of a disk share.
//!
//! `syncfs` makes a whole file system durable in one call, and reports a failed write-back since Linux
//! 5.8, but only to a descriptor that was open when it happened. The lock's descriptor is opened before
//! anything is written, so it is the one that is asked; without a lock there is no `sync_all`.

use super::error::at;
use super::verdict::Verdict;
use super::{Disk, Entry, File, FileRef, Mode, View, map};
use rustix::fs::{Advice, FallocateFlags, FlockOperation, Timespec, Timestamps, UTIME_OMIT};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// How much a sync of a [`RealDisk`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncing {
    /// Many files may be synced with one `syncfs` if the data directory is its own mount.
    #[default]
    OwnMount,
    /// Many files may be synced with one `syncfs`: a setting says that nobody else's writes matter.
    Whole,
    /// Always file by file.
    Each,
    /// Not at all: the data are not meant to outlive the process.
    Nothing,
}

/// Where files live, as far as it matters for the worth of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// On a disk of this machine, or so it says.
    Local,
    /// In memory: gone with the power.
    Memory,
    /// On another machine: as good as its promises.
    Network,
}

/// `f_type` of statfs(2) for what is not local.
const NOT_LOCAL: [(u32, FileSystem); 9] = [
    (0x0102_1994, FileSystem::Memory),  // tmpfs
    (0x8584_58F6, FileSystem::Memory),  // ramfs
    (0x0000_6969, FileSystem::Network), // NFS
    (0x0000_517B, FileSystem::Network), // SMB
    (0xFF53_4D42, FileSystem::Network), // CIFS
    (0xFE53_4D42, FileSystem::Network), // SMB 2
    (0x0102_1997, FileSystem::Network), // 9P
    (0x00C3_6400, FileSystem::Network), // Ceph
    (0x5346_414F, FileSystem::Network), // AFS
];

/// The operating system.
pub struct RealDisk {
    syncing: Syncing,
    /// What `sync_all` serves, once something is locked; `None` if it serves nothing.
    whole: OnceLock<Option<Whole>>,
    /// Whether a file on another file system was opened (through a symbolic link, say), which a sync
    /// of the whole would miss.
    strays: AtomicBool,
    /// Of all directories.
    dirs: Verdict,
    windows: Arc<map::Cache>,
}

/// A file system that may be synced with one call.
struct Whole {
    dir: PathBuf,
    /// The lock's descriptor.
    file: Arc<fs::File>,
    device: u64,
}

impl RealDisk {
    /// A disk without files.
    #[must_use]
    pub fn new(syncing: Syncing) -> RealDisk {
        RealDisk {
            syncing,
            whole: OnceLock::new(),
            strays: AtomicBool::new(false),
            dirs: Verdict::default(),
            windows: Arc::new(map::Cache::new(map::WINDOW_COUNT)),
        }
    }

    /// The same with at most so many file windows mapped at once, and never more than the address space
    /// of this machine has room for.
    #[must_use]
    pub fn with_windows(self, count: usize) -> RealDisk {
        let windows = Arc::new(map::Cache::new(map::room_for(count)));
        RealDisk { windows, ..self }
    }

    /// Takes `dir/.lock` for this process and writes the process id into it. The first directory that
    /// is locked is the one that [`Disk::sync_all`] serves.
    ///
    /// # Errors
    /// `Held` when another process has it.
    pub fn lock(&self, dir: &Path) -> Result<Lock, LockError> {
        let path = dir.join(".lock");
        let mut options = fs::OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(&path).map_err(at("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    pid: holder(&mut file),
                });
            }
            Err(error) => return Err(LockError::Io(at("lock", &path)(error.into()))),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(at("write", &path))?;
        let file = Arc::new(file);
        let device = file.metadata().map_err(at("stat", &path))?.dev();
        let whole = self.whole_is_safe(dir)?.then(|| Whole {
            dir: dir.to_owned(),
            file: Arc::clone(&file),
            device,
        });
        self.whole.get_or_init(|| whole);
        Ok(Lock { _file: file })
    }

    /// Who has locked `dir`, if anybody has. Nothing is created, and the lock is free again at once if it was free.
    ///
    /// # Errors
    /// When the lock cannot be looked at.
    pub fn locked_by(&self, dir: &Path) -> io::Result<Option<LockError>> {
        let path = dir.join(".lock");
        let mut file = match fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(at("open", &path))?,
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(LockError::Held {
                pid: holder(&mut file),
            })),
            Err(error) => Err(at("lock", &path)(error.into())),
        }
    }

    /// What holds `dir`, for a warning at start.
    ///
    /// # Errors
    /// Those of statfs(2).
    pub fn file_system(&self, dir: &Path) -> io::Result<FileSystem> {
        let found = rustix::fs::statfs(dir).map_err(|error| at("stat", dir)(error.into()))?;
        // The magic numbers have 32 bits; the type of the field differs between machines.
        let magic = found.f_type as u32;
        let known = NOT_LOCAL.iter().find(|(number, _)| *number == magic);
        Ok(known.map_or(FileSystem::Local, |(_, kind)| *kind))
    }

    /// Notes a file that a sync of the whole would miss.
    fn watch_for_strays(&self, found: &fs::Metadata) {
        if let Some(Some(whole)) = self.whole.get()
            && found.dev() != whole.device
        {
            self.strays.store(true, Ordering::Relaxed);
        }
    }

    fn whole_is_safe(&self, dir: &Path) -> io::Result<bool> {
        Ok(match self.syncing {
            Syncing::Nothing => true,
            Syncing::Each => false,
            Syncing::Whole => syncfs_reports_errors(),
            Syncing::OwnMount => syncfs_reports_errors() && is_mount(dir)?,
        })
    }
}

/// The process id that the holder of a lock wrote, if it had come that far.
fn holder(file: &mut fs::File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A directory that is ours until this and the disk that gave it are dropped.
#[derive(Debug)]
pub struct Lock {
    _file: Arc<fs::File>,
}

/// Why a directory could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it.
    Held {
        /// Which, if it has said so.
        pid: Option<u32>,
    },
    /// The system refused.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> LockError {
        LockError::Io(error)
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { pid: Some(pid) } => write!(f, "locked by process {pid}"),
            LockError::Held { pid: None } => write!(f, "locked by another process"),
            LockError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LockError {}

/// Since Linux 5.8 `syncfs` answers with a failed write-back; before, it answers success.
fn syncfs_reports_errors() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(8))
}

/// Whether another file system begins at `dir`.
fn is_mount(dir: &Path) -> io::Result<bool> {
    let device = |path: &Path| {
        fs::metadata(path)
            .map(|found| found.dev())
            .map_err(at("stat", path))
    };
    Ok(device(dir)? != device(&dir.join(".."))?)
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<FileRef> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != Mode::Read).mode(0o600);
        options
            .create(mode == Mode::Create)
            .create_new(mode == Mode::CreateNew);
        let file = options.open(path).map_err(at("open", path))?;
        let found = file.metadata().map_err(at("stat", path))?;
        self.watch_for_strays(&found);
        Ok(Arc::new(RealFile {
            path: path.to_owned(),
            windows: map::Windows::new(&self.windows, map::identity(&found)),
            syncs: self.syncing != Syncing::Nothing,
            verdict: Verdict::default(),
            file,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in fs::read_dir(dir).map_err(at("list", dir))? {
            let found = found.map_err(at("list", dir))?;
            let Ok(name) = found.file_name().into_string() else {
                continue;
            };
            match entry(&found, name) {
                Ok(entry) => entries.push(entry),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(at("stat", &found.path())(error)),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o750).create(dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            result => result.map_err(at("create", dir)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(at("rename", from))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.windows.give_back(path);
        fs::remove_file(path).map_err(at("remove", path))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir).map_err(at("remove", dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.syncing == Syncing::Nothing {
            return Ok(());
        }
        let sync = || fs::File::open(dir)?.sync_all();
        self.dirs.sync(sync).map_err(at("sync", dir))
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        match self.whole.get() {
            Some(Some(whole)) if whole.dir == dir && !self.strays.load(Ordering::Relaxed) => {
                match self.syncing {
                    Syncing::Nothing => Ok(()),
                    _ => rustix::fs::syncfs(&whole.file)
                        .map_err(|error| at("sync the file system of", dir)(error.into())),
                }
            }
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir).map_err(|error| at("stat", dir)(error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn total_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir).map_err(|error| at("stat", dir)(error.into()))?;
        Ok(found.f_blocks.saturating_mul(found.f_frsize))
    }
}

/// Symbolic links are followed: a partition may have been moved to another disk by hand.
fn entry(found: &fs::DirEntry, name: String) -> io::Result<Entry> {
    if found.file_type()?.is_dir() {
        return Ok(Entry {
            name,
            is_dir: true,
            len: 0,
            modified_ms: 0,
        });
    }
    let target = fs::metadata(found.path())?;
    let is_dir = target.is_dir();
    Ok(Entry {
        name,
        is_dir,
        len: if is_dir { 0 } else { target.len() },
        modified_ms: if is_dir { 0 } else { modified_ms(&target) },
    })
}

fn modified_ms(found: &fs::Metadata) -> i64 {
    let whole = found.mtime().saturating_mul(1000);
    whole.saturating_add(found.mtime_nsec() / 1_000_000)
}

struct RealFile {
    file: fs::File,
    path: PathBuf,
    windows: map::Windows,
    syncs: bool,
    verdict: Verdict,
}

impl RealFile {
    fn at(&self, action: &'static str) -> impl Fn(io::Error) -> io::Error {
        at(action, &self.path)
    }
}

/// Parts handed to the system in one call; the kernel's own limit is 1024.
const PARTS_PER_CALL: usize = 8;

impl File for RealFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.file.read_at(&mut buf[done..], position + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.at("read")(error)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, mut position: u64, parts: &[&[u8]]) -> io::Result<()> {
        for parts in parts.chunks(PARTS_PER_CALL) {
            let mut slices = [IoSlice::new(&[]); PARTS_PER_CALL];
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
            }
            let slices = &mut slices[..parts.len()];
            position = write_slices(&self.file, position, slices).map_err(self.at("write"))?;
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.file
            .metadata()
            .map(|found| found.len())
            .map_err(self.at("stat"))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.windows.check_cut(len).map_err(self.at("cut"))?;
        self.file.set_len(len).map_err(self.at("cut"))
    }

    fn set_modified(&self, ms: i64) -> io::Result<()> {
        let at = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: at(0, UTIME_OMIT),
            last_modification: at(ms.div_euclid(1000), ms.rem_euclid(1000) * 1_000_000),
        };
        rustix::fs::futimens(&self.file, &times)
            .map_err(|error| self.at("set the time of")(error.into()))
    }

    fn sync(&self) -> io::Result<()> {
        if !self.syncs {
            return Ok(());
        }
        let synced = self.verdict.sync(|| self.file.sync_data());
        synced.map_err(self.at("sync"))
    }

    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, position, len) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(self.at("reserve space for")(error.into())),
        }
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.windows.forget();
        rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)
            .map_err(|error| self.at("drop the cache of")(error.into()))
    }

    fn view(&self, position: u64, len: usize) -> io::Result<Vec<View>> {
        self.windows
            .view(&self.file, position, len)
            .map_err(self.at("view"))
    }
}

/// Writes everything from `position` on and answers where it ended.
fn write_slices(
    file: &fs::File,
    mut position: u64,
    mut slices: &mut [IoSlice<'_>],
) -> io::Result<u64> {
    // Leading empty parts would make a call that writes nothing look like a full disk.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match rustix::io::pwritev(file, slices, position) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                position += count as u64;
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(position)
}
