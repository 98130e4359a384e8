//! The journal alone: how long a start replays it, and how long the loop is held up by its snapshots.
//!
//! 100,000 entries of the size of a committed offset and 10,000 of the size of a group, written once over, one entry
//! to a group of changes and a thousand to a round. Nothing is synced.

use chronikd::clock::{Clock, Mono};
use chronikd::disk::lanes::Round;
use chronikd::disk::{Disk, RealDisk, Syncing};
use chronikd::journal::{Change, Journal, Limits, Place};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OFFSETS: u64 = 100_000;
const GROUPS: u64 = 10_000;
const A_ROUND: usize = 1000;
const LIMITS: Limits = Limits {
    interval_ms: 3_600_000,
    bytes: 4 << 20,
    entries: 100_000,
};

/// The longest that each of these has taken.
#[derive(Default)]
struct Longest {
    begin: Duration,
    absorb: Duration,
    merge: Duration,
    merges: u32,
}

/// Prints the lines of the journal.
pub(crate) fn take(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(Syncing::Nothing));
    let mut longest = Longest::default();
    let mut journal = open(&disk, dir, &mut |_| {})?;
    let offsets = (0..OFFSETS).map(|key| (key, 60));
    let groups = (OFFSETS..OFFSETS + GROUPS).map(|key| (key, 1024));
    let all: Vec<(u64, usize)> = offsets.chain(groups).collect();
    for (number, round) in (1..).zip(all.chunks(A_ROUND)) {
        write(&mut journal, number, round, &mut longest)?;
    }
    let size = journal.size();
    drop(journal);
    let mut entries = 0;
    let start = Instant::now();
    drop(open(&disk, dir, &mut |changes| entries += changes.len())?);
    let replay = start.elapsed();
    println!(
        "\n{:<42} {:>12}",
        "journal, 100,000 offsets and 10,000 groups", "ms"
    );
    line(&format!("journal replay, {entries} entries"), replay);
    line("longest hold-up when a job begins", longest.begin);
    line("longest hold-up when its result comes", longest.absorb);
    line(
        &format!("longest of {} merges, work lane", longest.merges),
        longest.merge,
    );
    println!(
        "{:<42} {:>12.1}",
        "snapshot, MB",
        size.snapshot_bytes as f64 / 1e6
    );
    Ok(())
}

fn line(what: &str, time: Duration) {
    println!("{what:<42} {:>12.3}", time.as_secs_f64() * 1e3);
}

fn open(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    each: &mut dyn FnMut(&[Change<'_>]),
) -> io::Result<Journal> {
    let place = Place {
        disk: Arc::clone(disk),
        root: dir.to_owned(),
        salt: 1,
    };
    Ok(Journal::open(place, LIMITS, Mono(0), each)?)
}

/// One round and the jobs around it, all here and now.
fn write(
    journal: &mut Journal,
    number: u64,
    entries: &[(u64, usize)],
    longest: &mut Longest,
) -> io::Result<()> {
    for (key, bytes) in entries {
        let key = format!("group-{key:08}/telemetry-of-devices/{:04}", key % 64);
        let value = vec![1; *bytes];
        journal.append(&[Change {
            key: key.as_bytes(),
            value: Some(&value),
        }]);
    }
    while !timed(&mut longest.begin, || journal.make_place())? {
        work(journal, longest)?;
    }
    let mut round = Round {
        number,
        ..Round::default()
    };
    journal.gather(&mut round);
    if let Some(append) = round.then {
        append.file.write_at(append.position, &[&append.bytes])?;
    }
    journal.synced();
    work(journal, longest)
}

fn work(journal: &mut Journal, longest: &mut Longest) -> io::Result<()> {
    let now = Clock::start().mono();
    timed(&mut longest.begin, || journal.tick(now));
    let Some(job) = journal.take_job() else {
        return Ok(());
    };
    let before = journal.size().snapshot_bytes;
    let done = timed(&mut longest.merge, job);
    timed(&mut longest.absorb, || journal.absorb(done, now))?;
    longest.merges += u32::from(journal.size().snapshot_bytes != before);
    Ok(())
}

fn timed<T>(longest: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *longest = start.elapsed().max(*longest);
    result
}
