//! Allocations and time of single requests, without sockets: bytes into `net::Exchange`, bytes out of it. And the
//! journal.
//!
//! Everything below the sockets is real, files too, but nothing is synced. Allocations are exact and do not depend on
//! the machine; times do.

#![allow(unsafe_code)]

#[allow(dead_code, reason = "shared with the table, which uses the rest")]
mod client;
mod journal;
#[allow(dead_code, reason = "shared with the table, which uses the rest")]
mod member;

use chronikd::broker::wait::ConnId;
use chronikd::broker::{Broker, Seeds};
use chronikd::clock::Clock;
use chronikd::config::{BrokerConfig, Origin, Settings};
use chronikd::disk::lanes::Inline;
use chronikd::disk::{Disk, RealDisk, Syncing};
use chronikd::net::{Exchange, Limits};
use chronikd::proto::Uuid;
use client::Shape;
use member::Place;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A broker with one connection that has no socket.
struct Bench {
    exchange: Exchange<Broker>,
    clock: Clock,
    conn: ConnId,
    answer: Vec<u8>,
}

const GROUPS: usize = 10_000;
const PARTITIONS: usize = 10;
/// Every group's generation, and an offset in each partition.
const RECORDS: u64 = (GROUPS * (1 + PARTITIONS)) as u64;

fn main() -> io::Result<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("micro-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    println!(
        "{:<42} {:>16} {:>12}",
        "in process, one connection, no sockets", "allocations/req", "us/req"
    );
    let taken = records(&dir.join("records"))
        .and_then(|()| groups(&dir.join("groups")))
        .and_then(|()| journal::take(&dir.join("journal")));
    std::fs::remove_dir_all(&dir)?;
    taken
}

fn records(dir: &Path) -> io::Result<()> {
    let mut bench = Bench::open(dir)?;
    let (ones, many) = (bench.topic("ones", 1)?, bench.topic("many", 1)?);
    let one = produce(ones, 1);
    bench.line("produce one record of 1 KiB", &one, 1, 20_000)?;
    bench.line("produce the same, 32 in a turn", &one.repeat(32), 32, 1_000)?;
    bench.line("produce a batch of 64 KiB", &produce(many, 64), 1, 2_000)?;
    let small = client::fetch_frame(ones, 0);
    bench.line("fetch 1 MiB of small batches", &small, 1, 5_000)?;
    let large = client::fetch_frame(many, 0);
    bench.line("fetch 1 MiB of batches of 64 KiB", &large, 1, 5_000)?;
    bench.line("metadata, two topics", &client::metadata_frame(), 1, 20_000)
}

fn groups(dir: &Path) -> io::Result<()> {
    let mut bench = Bench::open(dir)?;
    let topic = bench.topic("read", PARTITIONS)?;
    let places = (0..GROUPS).map(|number| bench.join(&format!("group-{number}")));
    let places = places.collect::<io::Result<Vec<Place>>>()?;
    let partitions = 0..PARTITIONS as i32;
    let commit = |place| member::commit_frame(place, topic, partitions.clone(), 17);
    let commits: Vec<Vec<u8>> = places.iter().map(commit).collect();
    bench.line(
        "commit ten offsets, of 10,000 groups",
        &commits.concat(),
        GROUPS as u64,
        1,
    )?;
    let some: Vec<&Place> = places.iter().step_by(GROUPS / 32).take(32).collect();
    let heartbeats: Vec<Vec<u8>> = some
        .iter()
        .map(|place| member::heartbeat_frame(place))
        .collect();
    bench.line("heartbeat", &heartbeats[0], 1, 20_000)?;
    bench.line("heartbeats, 32 in a turn", &heartbeats.concat(), 32, 1_000)?;
    let one = |place| member::commit_frame(place, topic, 0..1, 17);
    let commits: Vec<Vec<u8>> = some.into_iter().map(one).collect();
    bench.line("commit an offset", &commits[0], 1, 5_000)?;
    bench.line("commits, 32 in a turn", &commits.concat(), 32, 200)?;
    drop(bench);
    replay("replay a record of 110,000", dir)
}

/// Opens a broker on what is there.
fn replay(what: &str, dir: &Path) -> io::Result<()> {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let start = Instant::now();
    let bench = Bench::open(dir)?;
    print_line(what, before, start, RECORDS);
    drop(bench);
    Ok(())
}

fn print_line(what: &str, allocations_before: u64, start: Instant, count: u64) {
    let time_us = start.elapsed().as_secs_f64() * 1e6 / count as f64;
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocations_before;
    let allocations = allocations as f64 / count as f64;
    println!("{what:<42} {allocations:>16.2} {time_us:>12.2}");
}

fn produce(topic: Uuid, records: usize) -> Vec<u8> {
    let shape = Shape {
        records,
        record_bytes: 1024,
        partitions: 1,
    };
    client::produce_frame(topic, &shape, 1)
}

impl Bench {
    fn open(dir: &Path) -> io::Result<Bench> {
        std::fs::create_dir_all(dir)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(Syncing::Nothing));
        let mut settings = Settings::default();
        for name in [
            "chronik.journal.snapshot.bytes",
            "chronik.journal.snapshot.entries",
        ] {
            settings.set(name, "1073741824", Origin::CommandLine);
        }
        let config = BrokerConfig::new(settings);
        let config = Arc::new(config.map_err(|_| io::Error::other("the defaults are illegal"))?);
        let clock = Clock::start();
        let seeds = Seeds {
            ids: 1,
            salt: 1,
            keys: 1,
        };
        let broker = Broker::open(Arc::clone(&disk), dir, config, seeds, clock.now());
        let broker = broker.map_err(|error| io::Error::other(format!("{error:?}")))?;
        let lanes = Box::new(Inline::new(disk, dir));
        let mut exchange = Exchange::new(broker, lanes, Limits::default());
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        let conn = exchange.open(clock.mono(), |conn| chronikd::api::Peer {
            conn,
            listener: "PLAINTEXT".into(),
            remote: address,
            local: address,
            principal: "User:ANONYMOUS".into(),
            software: None,
        });
        Ok(Bench {
            exchange,
            clock,
            conn,
            answer: Vec::new(),
        })
    }

    /// One line: what a request costs after some that warm up.
    fn line(&mut self, what: &str, frames: &[u8], in_a_turn: u64, turns: u64) -> io::Result<()> {
        for _ in 0..turns.min(50) {
            self.pass(frames)?;
        }
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let start = Instant::now();
        for _ in 0..turns {
            self.pass(frames)?;
        }
        print_line(what, before, start, turns * in_a_turn);
        Ok(())
    }

    fn topic(&mut self, name: &str, partitions: usize) -> io::Result<Uuid> {
        client::created_topic(self.ask(&client::create_topic_frame(name, partitions, false))?)
    }

    /// A member that is alone in its group.
    fn join(&mut self, group: &str) -> io::Result<Place> {
        let told = member::joined(group, self.ask(&member::join_frame(group, ""))?)?;
        let again = member::join_frame(group, &told.place.member);
        let joined = member::joined(group, self.ask(&again)?)?;
        member::synced(self.ask(&member::sync_frame(&joined.place, &joined.members))?)?;
        Ok(joined.place)
    }

    /// The first answer to a request, without its length.
    fn ask(&mut self, frame: &[u8]) -> io::Result<&[u8]> {
        self.pass(frame)?;
        Ok(&self.answer[4..])
    }

    /// Brings frames in, lets the exchange take turns, and takes all answers away.
    fn pass(&mut self, mut frames: &[u8]) -> io::Result<()> {
        self.answer.clear();
        while !frames.is_empty() {
            let space = self.exchange.space(self.conn);
            let count = space.len().min(frames.len());
            space[..count].copy_from_slice(&frames[..count]);
            self.exchange.filled(self.clock.mono(), self.conn, count);
            frames = &frames[count..];
            self.turn()?;
        }
        while self.exchange.has_ready() {
            self.turn()?;
        }
        // What waits for a round, or for a timer, comes in the next ones.
        for _ in 0..3 {
            self.turn()?;
        }
        match self.answer.is_empty() {
            true => Err(io::Error::other("there is no answer")),
            false => Ok(()),
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        let turned = self.exchange.turn(now);
        turned.map_err(|fatal| io::Error::other(format!("{fatal:?}")))?;
        loop {
            let mut slices = [IoSlice::new(&[]); 64];
            let (count, bytes) = self.exchange.gather(self.conn, usize::MAX, &mut slices);
            if bytes == 0 {
                return Ok(());
            }
            // Payload is not copied here, as it is not when it goes to a socket; the first answer is kept.
            let kept = &slices[..count.min(1)];
            kept.iter()
                .for_each(|slice| self.answer.extend_from_slice(slice));
            self.exchange.sent(now.mono, self.conn, bytes);
        }
    }
}
