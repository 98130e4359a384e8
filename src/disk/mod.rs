//! The few file operations that everything durable is made of. Nobody outside this room opens a file.
//!
//! What the trait promises, and nothing more:
//! * bytes written are durable only after `sync` of their file has returned, and in any order until then;
//! * a name (created, renamed, removed) is durable only after `sync_dir` of its directory has returned;
//! * a failed `sync` is final: the caller must stop, and never retry it; through the same open file it fails
//!   ever after, in whichever thread;
//! * `write_at` has written everything or answers an error; after an error the file may hold a part,
//!   which the caller truncates away.
//!
//! `real` is the operating system, `sim` a disk that forgets, tears and fails as a test's seed says.

#[cfg(test)]
mod conformance;
mod error;
pub mod lanes;
mod map;
mod real;
pub mod sim;
mod threads;
mod verdict;

pub use error::{PathError, errno, is_full, is_sync_failure};
pub use real::{FileSystem, Lock, LockError, RealDisk, Syncing};
pub use threads::{Threads, Wake};

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Must exist; reading only.
    Read,
    /// Must exist; reading and writing.
    Write,
    /// Created if absent; reading and writing.
    Create,
    /// Must not exist; reading and writing.
    CreateNew,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last component. Names that are not UTF-8 are left out of a listing.
    pub name: String,
    /// A directory, not a file.
    pub is_dir: bool,
    /// The file's length in bytes; 0 for a directory.
    pub len: u64,
    /// When the file was last written to, in ms since 1970 as the clock of the machine showed it then; 0 for a
    /// directory. A power cut may take a little of it back.
    pub modified_ms: i64,
}

/// A file system, or what a test puts in its place.
pub trait Disk: Send + Sync {
    /// Opens or creates a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<FileRef>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Creates a directory (mode 0750); an existing one is fine. Parents must exist.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or a directory, replacing a file of the target's name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name. Open descriptors and views stay valid; of a file that only views hold the rest may go.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the whole file system that holds `dir` durable, errors included (Linux >= 5.8), or
    /// answers `Unsupported` where that is not safe.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that this process may still write below `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Bytes of the whole file system that holds `dir`, used ones too.
    fn total_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file, shared between the loop and the lanes.
pub type FileRef = Arc<dyn File>;

/// An open file. Positions are bytes from its start.
pub trait File: Send + Sync {
    /// Reads up to `buf.len()` bytes; 0 means the end. Retries interruptions and short reads.
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes all the parts, one behind the other, as one operation where the system can.
    fn write_at(&self, position: u64, parts: &[&[u8]]) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends (with zeros); what was reserved behind the length is given back. A length below
    /// the end of what was viewed through this file is refused (`InvalidInput`), because a window may
    /// be mapped there: write a new file and rename it instead.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Sets when the file was last written to, in ms since 1970.
    fn set_modified(&self, ms: i64) -> io::Result<()>;
    /// Makes the bytes and the length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// Reserves space without changing the length (`FALLOC_FL_KEEP_SIZE`); a file system without that
    /// is fine.
    fn reserve(&self, position: u64, len: u64) -> io::Result<()>;
    /// Forgets the clean cached pages, so that the next read asks the disk.
    fn drop_cache(&self) -> io::Result<()>;
    /// Bytes for a socket, without copying where the system can. The range must lie inside the file
    /// (`InvalidInput` otherwise) and must not be written again. The lengths of the parts add up to `len`.
    fn view(&self, position: u64, len: usize) -> io::Result<Vec<View>>;
}

/// A piece of a file (or of memory) on its way to a socket.
#[derive(Clone)]
pub struct View {
    source: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
}

impl View {
    /// A part of something that holds bytes.
    ///
    /// # Panics
    /// When the range does not lie inside.
    #[must_use]
    pub fn new(source: Arc<dyn AsRef<[u8]> + Send + Sync>, start: usize, len: usize) -> View {
        assert!(
            start
                .checked_add(len)
                .is_some_and(|end| end <= (*source).as_ref().len())
        );
        View { source, start, len }
    }

    /// Bytes of our own.
    #[must_use]
    pub fn owned(bytes: Vec<u8>) -> View {
        let len = bytes.len();
        View {
            source: Arc::new(bytes),
            start: 0,
            len,
        }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, to be handed to a socket and to nothing else: behind a map, reading them in user
    /// space would turn a bad sector into a signal.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &(*self.source).as_ref()[self.start..self.start + self.len]
    }
}

/// Reads a small file whole.
///
/// # Errors
/// Those of the disk; `NotFound` when there is no such file.
pub fn read_all(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Mode::Read)?;
    let len = usize::try_from(file.len()?)
        .map_err(|_| error::at("read", path)(ErrorKind::FileTooLarge.into()))?;
    let mut bytes = vec![0; len];
    let count = file.read_at(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Gives a small file new content that is durable on return. Whenever the machine stops, the file has
/// the old content or the new one; at worst a `.tmp` file is left beside it.
///
/// # Errors
/// Those of the disk; then the old content stands.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let tmp = PathBuf::from(name);
    let file = disk.open(&tmp, Mode::Create)?;
    file.set_len(0)?;
    file.write_at(0, &[bytes])?;
    file.sync()?;
    disk.rename(&tmp, path)?;
    let dir = path.parent().filter(|dir| *dir != Path::new(""));
    disk.sync_dir(dir.unwrap_or(Path::new(".")))
}

/// The longest name that the file systems we support take.
const MAX_NAME_BYTES: usize = 255;

/// A name that begins like `stem` and ends with `end`, in full where it is not too long.
#[must_use]
pub fn fitted_name(stem: &str, end: &str) -> String {
    let mut room = stem.len().min(MAX_NAME_BYTES.saturating_sub(end.len()));
    while !stem.is_char_boundary(room) {
        room -= 1;
    }
    [&stem[..room], end].concat()
}

/// A path in `dir` that nothing has: a name of `stem` and `end`, and a number where that is taken.
///
/// # Errors
/// When the directory cannot be listed.
pub fn unused_path(disk: &dyn Disk, dir: &Path, stem: &str, end: &str) -> io::Result<PathBuf> {
    let taken = disk.list(dir)?;
    let mut name = fitted_name(stem, end);
    let mut attempt = 0;
    while taken.iter().any(|entry| entry.name == name) {
        attempt += 1;
        name = fitted_name(stem, &format!("{end}.{attempt}"));
    }
    Ok(dir.join(name))
}

/// Removes a directory with everything in it. Nothing is made durable.
///
/// # Errors
/// Those of the disk; then a part is left.
pub fn remove_tree(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for entry in disk.list(dir)? {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            remove_tree(disk, &path)?;
        } else {
            disk.remove_file(&path)?;
        }
    }
    disk.remove_dir(dir)
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::sim::SimDisk;
    use super::*;

    #[test]
    fn a_name_is_shortened_only_where_it_is_too_long_and_never_within_a_letter() {
        assert_eq!(fitted_name("t-0", ".torn"), "t-0.torn");
        let name = fitted_name(&"é".repeat(200), ".torn");
        assert_eq!((name.len(), name.ends_with("é.torn")), (255, true));
    }

    #[test]
    fn a_path_is_numbered_until_nothing_has_it() {
        let dir = Path::new("/d");
        let disk = SimDisk::new(1, dir);
        for name in ["a.torn", "a.torn.1", "a.torn.2"] {
            let path = unused_path(&disk, dir, "a", ".torn").unwrap();
            assert_eq!(path, dir.join(name));
            disk.open(&path, Mode::CreateNew).unwrap();
        }
    }
}
