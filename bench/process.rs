//! What the kernel says about a process and a disk. A figure that is not to be had is `None`, never a guess.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The processor time of all threads that live, from the scheduler's own count (nanoseconds).
pub(crate) fn cpu(pid: u32) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let total = tasks.flatten().filter_map(of_task).sum();
    Some(Duration::from_nanos(total))
}

/// How often threads other than the first have been given a processor.
pub(crate) fn turns_of_helpers(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let helpers = tasks.filter(|task| task.file_name() != *pid.to_string());
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(2)?.parse::<u64>().ok()
    };
    helpers.map(of_task).sum()
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All that is resident, mapped files too.
    pub(crate) resident: u64,
    /// What belongs to the process alone and to no file.
    pub(crate) anonymous: u64,
}

/// Reads `smaps_rollup`.
pub(crate) fn memory(pid: u32) -> Option<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Memory {
        resident: field("Rss:")?,
        anonymous: field("Anonymous:")?,
    })
}

/// The memory that the process's control group is charged with, if it has one of its own below the root.
pub(crate) fn cgroup_memory(pid: u32) -> Option<u64> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let file = Path::new("/sys/fs/cgroup")
        .join(path)
        .join("memory.current");
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Bytes that the process has caused to be written to disks.
pub(crate) fn written_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?;
    line.parse().ok()
}

/// The kind of file system that holds a directory, from the mount with the longest matching path.
pub(crate) fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let of_line = |line: &str| {
        let mut words = line.split(' ').skip(1).map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    let holding = mounts
        .lines()
        .filter_map(of_line)
        .filter(|(at, _)| dir.starts_with(at));
    holding.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind)
}

/// The median time of fdatasync after an append of 1 KiB.
pub(crate) fn raw_sync(dir: &Path) -> io::Result<Duration> {
    let path = dir.join("raw-sync");
    let mut file = File::create(&path)?;
    let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(&file, flags, 0, 1 << 20) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    let mut times = Vec::new();
    for _ in 0..300 {
        file.write_all(&[7; 1024])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times[times.len() / 2])
}

/// Writes out what is dirty everywhere, so that no sample pays for the one before.
pub(crate) fn settle() {
    rustix::fs::sync();
}

/// Touches memory once, because a virtual machine may have to get it back from its host first.
pub(crate) fn touch_memory() {
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text
            .lines()
            .find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    });
    let bytes = (available.unwrap_or(0) * 1024 / 4).min(3 << 30);
    let mut memory = vec![0u8; bytes];
    memory.chunks_mut(4096).for_each(|page| page[0] = 1);
    std::hint::black_box(&memory);
}

/// Asks again and again until `ready` says yes, for at most that long.
pub(crate) fn wait_for(
    limit: Duration,
    pause: Duration,
    mut ready: impl FnMut() -> bool,
) -> io::Result<()> {
    let start = Instant::now();
    while !ready() {
        if start.elapsed() > limit {
            return Err(ErrorKind::TimedOut.into());
        }
        std::thread::sleep(pause);
    }
    Ok(())
}
