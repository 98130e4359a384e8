//! What every [`Disk`] must do, run against the real one and the simulated one.

use super::sim::SimDisk;
use super::{
    Disk, File, FileSystem, LockError, Mode, RealDisk, Syncing, View, errno, read_all, remove_tree,
    replace,
};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of the real disk that is removed at the end of a test.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chronikd-disk-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        RealDisk::new(Syncing::Each).create_dir(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_tree(&RealDisk::new(Syncing::Nothing), &self.0);
    }
}

fn on_both(check: impl Fn(&dyn Disk, &Path)) {
    let dir = Path::new("/d");
    check(&SimDisk::new(1, dir), dir);
    let scratch = Scratch::new();
    check(&RealDisk::new(Syncing::Each), &scratch.0);
}

fn names(disk: &dyn Disk, dir: &Path) -> Vec<String> {
    let entries = disk.list(dir).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().unwrap().kind()
}

fn joined(views: &[View]) -> Vec<u8> {
    views
        .iter()
        .flat_map(|view| view.bytes().to_vec())
        .collect()
}

fn content(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; 100_000];
    let count = file.read_at(0, &mut bytes).unwrap();
    bytes.truncate(count);
    bytes
}

#[test]
fn open_honours_its_mode() {
    on_both(|disk, dir| {
        let path = dir.join("f");
        assert_eq!(kind(disk.open(&path, Mode::Read)), ErrorKind::NotFound);
        assert_eq!(kind(disk.open(&path, Mode::Write)), ErrorKind::NotFound);
        let file = disk.open(&path, Mode::CreateNew).unwrap();
        file.write_at(0, &[b"abc"]).unwrap();
        assert_eq!(
            kind(disk.open(&path, Mode::CreateNew)),
            ErrorKind::AlreadyExists
        );
        let again = disk.open(&path, Mode::Create).unwrap();
        assert_eq!(content(&*again), b"abc");
        disk.open(&path, Mode::Write)
            .unwrap()
            .write_at(3, &[b"d"])
            .unwrap();
        let reader = disk.open(&path, Mode::Read).unwrap();
        assert_eq!(content(&*reader), b"abcd");
        assert!(reader.write_at(0, &[b"x"]).is_err());
        assert!(reader.set_len(0).is_err());
    });
}

#[test]
fn a_file_tells_when_it_was_written_to_and_can_be_told_so() {
    on_both(|disk, dir| {
        let told = || disk.list(dir).unwrap()[0].modified_ms;
        let file = disk.open(&dir.join("f"), Mode::Create).unwrap();
        for ms in [1_600_000_000_123, 0, 1] {
            file.set_modified(ms).unwrap();
            assert_eq!(told(), ms);
        }
        file.set_modified(5).unwrap();
        file.write_at(0, &[b"a"]).unwrap();
        assert_ne!(told(), 5);
        file.set_modified(5).unwrap();
        file.sync().unwrap();
        assert_eq!(told(), 5, "a sync is no write");
    });
}

#[test]
fn parts_are_written_one_behind_the_other() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), Mode::Create).unwrap();
        file.write_at(0, &[]).unwrap();
        file.write_at(0, &[b"", b""]).unwrap();
        assert!(file.is_empty().unwrap());
        file.write_at(0, &[b"", b"ab", b"", b"cde", b""]).unwrap();
        assert_eq!(content(&*file), b"abcde");
        let many: Vec<[u8; 3]> = (0..200u8).map(|n| [n, n, n]).collect();
        let parts: Vec<&[u8]> = many.iter().map(<[u8; 3]>::as_slice).collect();
        file.write_at(2, &parts).unwrap();
        assert_eq!(file.len().unwrap(), 602);
        assert_eq!(content(&*file), [&b"ab"[..], &many.concat()].concat());
    });
}

#[test]
fn reading_stops_at_the_end() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), Mode::Create).unwrap();
        file.write_at(4, &[b"xyz"]).unwrap();
        let mut buf = [9; 10];
        assert_eq!(file.read_at(3, &mut buf).unwrap(), 4);
        assert_eq!(&buf[..5], b"\0xyz\x09");
        assert_eq!(file.read_at(7, &mut buf).unwrap(), 0);
        assert_eq!(file.read_at(1 << 40, &mut buf).unwrap(), 0);
    });
}

#[test]
fn set_len_cuts_and_extends_with_zeros() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), Mode::Create).unwrap();
        file.write_at(0, &[b"abcdef"]).unwrap();
        file.set_len(2).unwrap();
        file.set_len(4).unwrap();
        assert_eq!(content(&*file), b"ab\0\0");
    });
}

#[test]
fn reserved_space_is_not_length() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), Mode::Create).unwrap();
        file.reserve(0, 1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_at(0, &[b"abc"]).unwrap();
        assert_eq!(file.len().unwrap(), 3);
        file.sync().unwrap();
        file.drop_cache().unwrap();
        assert_eq!(content(&*file), b"abc");
    });
}

#[test]
fn a_view_holds_what_the_file_held() {
    on_both(|disk, dir| {
        let path = dir.join("f");
        let file = disk.open(&path, Mode::Create).unwrap();
        let bytes: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
        file.write_at(0, &[&bytes]).unwrap();
        for (position, len) in [
            (0, 50_000),
            (1, 49_999),
            (4_095, 8_193),
            (49_999, 1),
            (50_000, 0),
        ] {
            let views = file.view(position as u64, len).unwrap();
            assert_eq!(views.iter().map(View::len).sum::<usize>(), len);
            assert_eq!(joined(&views), bytes[position..position + len]);
        }
        assert_eq!(kind(file.view(49_999, 2)), ErrorKind::InvalidInput);
        assert_eq!(kind(file.view(u64::MAX, 2)), ErrorKind::InvalidInput);
        let views = file.view(0, 50_000).unwrap();
        drop(file);
        disk.remove_file(&path).unwrap();
        assert_eq!(joined(&views), bytes);
    });
}

#[test]
fn a_file_is_not_cut_below_what_was_viewed() {
    on_both(|disk, dir| {
        let file = disk.open(&dir.join("f"), Mode::Create).unwrap();
        file.write_at(0, &[&[7; 20_000]]).unwrap();
        drop(file.view(5_000, 5_000).unwrap());
        file.set_len(10_000).unwrap();
        assert_eq!(kind(file.set_len(9_999)), ErrorKind::InvalidInput);
        assert_eq!(file.len().unwrap(), 10_000);
    });
}

#[test]
fn listings_are_sorted_and_typed() {
    on_both(|disk, dir| {
        assert!(names(disk, dir).is_empty());
        for name in ["b", "a", "c"] {
            disk.open(&dir.join(name), Mode::Create)
                .unwrap()
                .write_at(0, &[name.as_bytes()])
                .unwrap();
        }
        disk.create_dir(&dir.join("aa")).unwrap();
        disk.create_dir(&dir.join("aa")).unwrap();
        assert_eq!(names(disk, dir), ["a", "aa", "b", "c"]);
        let entries = disk.list(dir).unwrap();
        assert_eq!((entries[0].is_dir, entries[0].len), (false, 1));
        assert_eq!((entries[1].is_dir, entries[1].len), (true, 0));
        assert_eq!(
            kind(disk.create_dir(&dir.join("a"))),
            ErrorKind::AlreadyExists
        );
        assert_eq!(kind(disk.create_dir(&dir.join("x/y"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.list(&dir.join("x"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.list(&dir.join("a"))), ErrorKind::NotADirectory);
    });
}

#[test]
fn rename_replaces_files_and_moves_directories() {
    on_both(|disk, dir| {
        let path = |name: &str| dir.join(name);
        replace(disk, &path("old"), b"old").unwrap();
        replace(disk, &path("new"), b"new").unwrap();
        disk.rename(&path("new"), &path("old")).unwrap();
        assert_eq!(read_all(disk, &path("old")).unwrap(), b"new");
        assert_eq!(
            kind(disk.rename(&path("new"), &path("x"))),
            ErrorKind::NotFound
        );
        disk.create_dir(&path("t-0")).unwrap();
        replace(disk, &path("t-0/f"), b"in").unwrap();
        disk.rename(&path("t-0"), &path("t-0-delete")).unwrap();
        assert_eq!(read_all(disk, &path("t-0-delete/f")).unwrap(), b"in");
        assert_eq!(
            kind(disk.rename(&path("old"), &path("t-0-delete"))),
            ErrorKind::IsADirectory
        );
        assert_eq!(
            kind(disk.rename(&path("t-0-delete"), &path("old"))),
            ErrorKind::NotADirectory
        );
        assert_eq!(names(disk, dir), ["old", "t-0-delete"]);
    });
}

#[test]
fn a_name_has_255_bytes_at_most() {
    on_both(|disk, dir| {
        let longest = dir.join("x".repeat(255));
        disk.open(&longest, Mode::CreateNew).unwrap();
        let longer = dir.join("x".repeat(256));
        assert_eq!(
            kind(disk.rename(&longest, &longer)),
            ErrorKind::InvalidFilename
        );
        assert_eq!(kind(disk.create_dir(&longer)), ErrorKind::InvalidFilename);
    });
}

#[test]
fn removal_takes_names_and_leaves_open_files() {
    on_both(|disk, dir| {
        let path = |name: &str| dir.join(name);
        disk.create_dir(&path("t")).unwrap();
        let file = disk.open(&path("t/f"), Mode::Create).unwrap();
        file.write_at(0, &[b"abc"]).unwrap();
        assert_eq!(
            kind(disk.remove_dir(&path("t"))),
            ErrorKind::DirectoryNotEmpty
        );
        assert_eq!(kind(disk.remove_file(&path("t"))), ErrorKind::IsADirectory);
        assert_eq!(
            kind(disk.remove_dir(&path("t/f"))),
            ErrorKind::NotADirectory
        );
        disk.remove_file(&path("t/f")).unwrap();
        assert_eq!(kind(disk.remove_file(&path("t/f"))), ErrorKind::NotFound);
        assert_eq!(content(&*file), b"abc");
        disk.remove_dir(&path("t")).unwrap();
        disk.sync_dir(dir).unwrap();
        assert!(names(disk, dir).is_empty());
    });
}

#[test]
fn a_tree_is_removed_with_everything_in_it() {
    on_both(|disk, dir| {
        disk.create_dir(&dir.join("a")).unwrap();
        disk.create_dir(&dir.join("a/b")).unwrap();
        replace(disk, &dir.join("a/b/f"), b"x").unwrap();
        replace(disk, &dir.join("a/g"), b"x").unwrap();
        remove_tree(disk, &dir.join("a")).unwrap();
        assert!(names(disk, dir).is_empty());
    });
}

#[test]
fn replace_gives_a_file_exactly_the_new_content() {
    on_both(|disk, dir| {
        let path = dir.join("meta.properties");
        replace(disk, &path, b"a longer text").unwrap();
        replace(
            disk,
            &dir.join("meta.properties.tmp"),
            b"left over from a crash, and longer",
        )
        .unwrap();
        replace(disk, &path, b"short").unwrap();
        assert_eq!(read_all(disk, &path).unwrap(), b"short");
        assert_eq!(names(disk, dir), ["meta.properties"]);
    });
}

#[test]
fn errors_name_the_path() {
    on_both(|disk, dir| {
        let path = dir.join("missing");
        let error = disk.open(&path, Mode::Read).err().unwrap();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        let (free, total) = (
            disk.free_bytes(dir).unwrap(),
            disk.total_bytes(dir).unwrap(),
        );
        assert!((1..=total).contains(&free), "{free} of {total}");
    });
}

#[test]
fn the_real_disk_answers_the_systems_errno() {
    let scratch = Scratch::new();
    let error = RealDisk::new(Syncing::Each)
        .open(&scratch.0.join("x"), Mode::Read)
        .err()
        .unwrap();
    assert_eq!(errno(&error), Some(2));
}

#[test]
fn a_directory_is_locked_once_and_the_holder_is_named() {
    let scratch = Scratch::new();
    let disk = RealDisk::new(Syncing::Each);
    let lock = disk.lock(&scratch.0).unwrap();
    match disk.lock(&scratch.0) {
        Err(LockError::Held { pid }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(lock);
    drop(disk);
    RealDisk::new(Syncing::Each).lock(&scratch.0).unwrap();
}

#[test]
fn the_whole_file_system_is_synced_only_where_that_is_allowed() {
    let scratch = Scratch::new();
    let supported = |syncing| {
        let disk = RealDisk::new(syncing);
        assert_eq!(kind(disk.sync_all(&scratch.0)), ErrorKind::Unsupported);
        let _lock = disk.lock(&scratch.0).unwrap();
        assert_eq!(kind(disk.sync_all(Path::new("/"))), ErrorKind::Unsupported);
        disk.sync_all(&scratch.0).is_ok()
    };
    assert!(!supported(Syncing::Each));
    assert!(!supported(Syncing::OwnMount));
    assert!(supported(Syncing::Nothing));
}

#[test]
fn a_file_elsewhere_ends_syncing_the_whole() {
    let scratch = Scratch::new();
    let disk = RealDisk::new(Syncing::Nothing);
    let _lock = disk.lock(&scratch.0).unwrap();
    disk.open(&scratch.0.join("f"), Mode::Create).unwrap();
    disk.sync_all(&scratch.0).unwrap();
    disk.open(Path::new("/proc/version"), Mode::Read).unwrap();
    assert_eq!(kind(disk.sync_all(&scratch.0)), ErrorKind::Unsupported);
}

#[test]
fn memory_is_told_from_disks() {
    let disk = RealDisk::new(Syncing::Each);
    // Every Linux has devtmpfs or a tmpfs there, and it has the number of tmpfs.
    assert_eq!(
        disk.file_system(Path::new("/dev")).unwrap(),
        FileSystem::Memory
    );
    assert_eq!(
        disk.file_system(Path::new("/proc")).unwrap(),
        FileSystem::Local
    );
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let disk = RealDisk::new(Syncing::Each);
    disk.create_dir(&scratch.0.join("t-0")).unwrap();
    disk.open(&scratch.0.join("t-0/f"), Mode::Create).unwrap();
    let mode = |name: &str| {
        std::fs::metadata(scratch.0.join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    // A umask may take more away.
    assert_eq!((mode("t-0") & 0o027, mode("t-0/f") & 0o177), (0, 0));
}
