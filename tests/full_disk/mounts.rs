//! A small file system that is there for one test.
//!
//! The test starts itself again in a mount namespace of its own, and mounts there: nobody else sees the mount, and it
//! is gone with the last process, however that ends. Root needs no more for that. Others have it in a user namespace,
//! or with sudo where it asks for no password; a file as a block device takes the latter.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::dir::Dir;
use crate::common::skipped;

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// tmpfs.
    Memory,
    /// ext4 in a file.
    Loop,
}

const MIB: u64 = 64;
/// Not one of the broker's, whose names begin with its own.
const VARIABLE: &str = "TEST_HAS_MOUNTS";
/// Ways into a mount namespace.
const WAYS: [&[&str]; 3] = [
    &["unshare", "--mount"],
    &["unshare", "--user", "--map-root-user", "--mount"],
    &["sudo", "-n", "unshare", "--mount"],
];
/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test of this name, whose only statement this is, on such a file system.
pub(crate) fn inside(test: &str, kind: FileSystem, run: fn(Dir)) {
    if std::env::var_os(VARIABLE).is_some() {
        run(mount(kind));
        return;
    }
    let Some(way) = WAYS.into_iter().find(|way| allows(way, kind)) else {
        skipped(test, &format!("{kind:?} cannot be mounted here"));
        return;
    };
    // What is mounted hides from those who clean up inside; the mount is gone when this directory goes.
    let outside = Dir::new();
    let itself = std::env::current_exe().expect("the path of this test");
    let mut command = Command::new(way[0]);
    command.args(&way[1..]);
    command.args(["env", &format!("{VARIABLE}=1")]);
    command.arg(format!("TMPDIR={}", outside.path().display()));
    let status = command
        .arg(itself)
        .args(["--exact", test, "--nocapture"])
        .status();
    assert!(status.expect("unshare").success(), "{test}");
}

/// Whether that way leads to a place where this can be mounted.
fn allows(way: &[&str], kind: FileSystem) -> bool {
    let tried = match kind {
        FileSystem::Memory => "mount -t tmpfs none /mnt",
        FileSystem::Loop => "command -v mkfs.ext4 && losetup -f && test -w $(losetup -f)",
    };
    let mut command = Command::new(way[0]);
    command.args(&way[1..]).args(["sh", "-c", tried]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// A directory with the file system mounted at `data`.
fn mount(kind: FileSystem) -> Dir {
    let dir = Dir::new();
    let data = dir.join("data");
    std::fs::create_dir(&data).expect("a new directory");
    match kind {
        FileSystem::Memory => {
            let size = format!("size={MIB}m");
            run("mount", &["-t", "tmpfs", "-o", &size, "none"], &data);
        }
        FileSystem::Loop => {
            let image = dir.join("image");
            let file = std::fs::File::create(&image).expect("a new file");
            file.set_len(MIB << 20).expect("a sparse file");
            run("mkfs.ext4", &["-q", "-m", "0"], &image);
            let image = image.to_str().expect("a plain path");
            run("mount", &["-o", "loop", image], &data);
        }
    }
    dir
}

fn run(command: &str, options: &[&str], last: &Path) {
    let status = Command::new(command).args(options).arg(last).status();
    assert!(status.expect(command).success(), "{command} {options:?}");
}

/// Waits until the file system has more than 1 MiB free, which is more than any batch here.
pub(crate) fn wait_for_room(dir: &Path) {
    wait_until(|| {
        let found = rustix::fs::statvfs(dir).expect("a mounted file system");
        (found.f_bavail * found.f_frsize > 1 << 20).then_some(())
    });
}

/// Waits until something is there.
pub(crate) fn wait_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
