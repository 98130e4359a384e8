//! The data directory: found or created, and ours alone while we run.

use super::exit::{CANNOT_CREATE, Exit, IO, LOCKED};
use super::options::Options;
use super::serve;
use chronikd::broker::home;
use chronikd::config::{BrokerConfig, SyncAll};
use chronikd::disk::Disk;
use chronikd::disk::{Lock, LockError, RealDisk, Syncing};
use std::io::{self, ErrorKind};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, process};

/// A locked data directory and the disk that it is on. When this is dropped, an ephemeral one is
/// removed.
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) disk: Arc<RealDisk>,
    ephemeral: bool,
    /// Goes with the process and not before: after an end that is not clean a lane may still be writing.
    _lock: ManuallyDrop<Lock>,
}

impl DataDir {
    /// Creates the directory if need be, and locks it. One that is not ours is not even locked.
    pub(crate) fn open(
        options: &Options,
        config: &BrokerConfig,
        seed: u64,
    ) -> Result<DataDir, Exit> {
        let ephemeral = options.ephemeral;
        let (path, syncing) = match ephemeral {
            true => (temporary(seed), Syncing::Nothing),
            false => (
                options.data_dir.clone(),
                syncing(config.chronik_sync_filesystem),
            ),
        };
        let disk = Arc::new(RealDisk::new(syncing).with_windows(config.chronik_map_windows));
        create(&*disk, &path)
            .map_err(|error| Exit::io(CANNOT_CREATE, "cannot create the data directory", &error))?;
        home::examine(&*disk, &path, &own_files(options, &path))
            .map_err(|error| serve::refused(&error))?;
        let lock = disk.lock(&path).map_err(|error| refused(&path, &error))?;
        Ok(DataDir {
            path,
            disk,
            ephemeral,
            _lock: ManuallyDrop::new(lock),
        })
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if self.ephemeral
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn syncing(setting: SyncAll) -> Syncing {
    match setting {
        SyncAll::Auto => Syncing::OwnMount,
        SyncAll::Always => Syncing::Whole,
        SyncAll::Never => Syncing::Each,
    }
}

/// A name that nobody has: process ids are used again, seeds are not.
fn temporary(seed: u64) -> PathBuf {
    env::temp_dir().join(format!("chronikd-{}-{seed:016x}", process::id()))
}

/// Creates a directory and its parents. Each name is made durable, or a power cut could take the whole
/// directory back.
fn create(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent(dir);
    create(disk, parent)?;
    disk.create_dir(dir)?;
    disk.sync_dir(parent)
}

/// The names of files that this process was told to keep in the directory: they may be there before anything else is.
pub(crate) fn own_files(options: &Options, dir: &Path) -> Vec<String> {
    let Options {
        config_file,
        log_file,
        pid_file,
        ports_file,
        ..
    } = options;
    let dir = fs::canonicalize(dir).ok();
    let is_here = |path: &&PathBuf| {
        let parent = std::path::absolute(path)
            .ok()
            .and_then(|path| fs::canonicalize(path.parent()?).ok());
        parent.is_some() && parent == dir
    };
    let paths = [config_file, log_file, pid_file, ports_file];
    let names = paths.into_iter().flatten().filter(is_here);
    names
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect()
}

/// The directory that holds a directory.
pub(crate) fn parent(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn refused(dir: &Path, error: &LockError) -> Exit {
    match error {
        LockError::Held { .. } => Exit::new(LOCKED, format!("{} is {error}", dir.display())),
        LockError::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
            Exit::io(IO, "cannot use the data directory", error)
        }
        LockError::Io(error) => Exit::io(CANNOT_CREATE, "cannot use the data directory", error),
    }
}
