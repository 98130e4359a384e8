//! The rows of groups: joining (G1), being idle (G2), and what a large journal costs (G4). Commits (G3) are a row of
//! load.

use crate::client::Client;
use crate::histogram::Histogram;
use crate::member::{self, Place};
use crate::process;
use crate::sample::{Life, memory_of, ms};
use crate::server::{Kind, Server, Settings};
use crate::table;
use chronikd::proto::Uuid;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Members that join, one after the other.
const JOINS: usize = 100;
/// Groups that idle, the members of each, and how many connections they share.
const IDLE_GROUPS: usize = 1000;
const MEMBERS: usize = 3;
const CONNECTIONS: usize = 300;
/// Groups that are made at the same time.
const MAKERS: usize = 8;
/// `heartbeat.interval.ms` of the Java consumer.
const HEARTBEATS: Duration = Duration::from_secs(3);
/// What is replayed: groups of one member, and the partitions in which each has committed.
const REPLAYED_GROUPS: usize = 10_000;
const COMMITTED_PARTITIONS: usize = 10;
/// Starts of which the middle one counts.
const STARTS: usize = 5;
/// How often the loop is asked whether it answers.
const PROBES: Duration = Duration::from_millis(1);

const NO_SNAPSHOTS: Settings = &[
    "chronik.journal.snapshot.entries=9223372036854775807",
    "chronik.journal.snapshot.bytes=1gb",
];
/// After every change: one merge follows the other.
const ONLY_SNAPSHOTS: Settings = &["chronik.journal.snapshot.entries=1"];

/// G1: each member has a group of its own, and all share a connection.
pub(crate) fn joins(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let mut client = Client::connect(server.address)?;
    member::wait_for_coordinator(&mut client, Uuid::ZERO)?;
    process::settle();
    let mut times = Histogram::default();
    for number in 0..JOINS {
        let start = Instant::now();
        member::join_alone(&mut client, &format!("alone-{number}"))?;
        times.record(start.elapsed());
    }
    Ok([0.5, 1.0]
        .map(|share| times.quantile_us(share) / 1000.0)
        .into())
}

/// G2: heartbeats and nothing else. The bare loop gets those of members that nobody knows.
pub(crate) fn idleness(life: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let cycles = (life.idle.as_secs() / HEARTBEATS.as_secs()).max(1) as usize;
    if server.is_bare() {
        let places = (0..IDLE_GROUPS).flat_map(unknown_members).collect();
        let mut beats = Beats::new(&server, places)?;
        let together = beats.cpu(&server, cycles, true)?;
        return Ok(vec![together, beats.cpu(&server, cycles, false)?]);
    }
    thread::sleep(Duration::from_secs(1));
    let before = memory_of(&server)?.anonymous;
    let places = make_groups(&server)?;
    thread::sleep(Duration::from_secs(1));
    let memory = memory_of(&server)?.anonymous.saturating_sub(before);
    let mut beats = Beats::new(&server, places)?;
    process::settle();
    let quiet = Quiet::now(&server)?;
    let together = beats.cpu(&server, cycles, true)?;
    let alone = beats.cpu(&server, cycles, false)?;
    let (kib, turns) = quiet.since(&server)?;
    let minutes = (HEARTBEATS * 2 * cycles as u32).as_secs_f64() / 60.0;
    let kib_a_group = memory as f64 / 1024.0 / IDLE_GROUPS as f64;
    Ok(vec![
        together,
        alone,
        kib / minutes,
        turns / minutes,
        kib_a_group,
    ])
}

fn unknown_members(group: usize) -> impl Iterator<Item = Place> {
    (0..MEMBERS).map(move |member| Place {
        group: format!("idle-{group}"),
        member: format!("bench-00000000-0000-0000-0000-00000000000{member}"),
        generation: 2,
    })
}

fn make_groups(server: &Server) -> io::Result<Vec<Place>> {
    let make = |maker: usize| -> io::Result<Vec<Place>> {
        let clients = (0..MEMBERS).map(|_| Client::connect(server.address));
        let mut clients = clients.collect::<io::Result<Vec<_>>>()?;
        let mut places = Vec::new();
        for group in (maker..IDLE_GROUPS).step_by(MAKERS) {
            places.extend(member::join_together(
                &mut clients,
                &format!("idle-{group}"),
            )?);
        }
        Ok(places)
    };
    let made = thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS)
            .map(|maker| scope.spawn(move || make(maker)))
            .collect();
        let joined = makers.into_iter().map(thread::ScopedJoinHandle::join);
        joined.collect::<Result<Vec<_>, _>>()
    });
    let made = made.map_err(|_| io::Error::other("a maker of groups panicked"))?;
    Ok(made.into_iter().collect::<io::Result<Vec<_>>>()?.concat())
}

/// Members that do nothing but say that they live, and the connections that they share.
struct Beats {
    clients: Vec<Client>,
    /// By connection.
    frames: Vec<Vec<Vec<u8>>>,
    is_checked: bool,
}

impl Beats {
    fn new(server: &Server, places: Vec<Place>) -> io::Result<Beats> {
        let clients = (0..CONNECTIONS).map(|_| Client::connect(server.address));
        let clients = clients.collect::<io::Result<Vec<_>>>()?;
        let of_connection = |connection| {
            let shared = places.iter().skip(connection).step_by(CONNECTIONS);
            shared.map(member::heartbeat_frame).collect()
        };
        let mut beats = Beats {
            clients,
            frames: (0..CONNECTIONS).map(of_connection).collect(),
            is_checked: !server.is_bare(),
        };
        beats.pace(Duration::ZERO, true)?;
        Ok(beats)
    }

    /// The processor time of the server in so many rounds of heartbeats, in percent of a core.
    fn cpu(&mut self, server: &Server, cycles: usize, together: bool) -> io::Result<f64> {
        let gone = || io::Error::other("/proc cannot be read");
        let before = process::cpu(server.pid()).ok_or_else(gone)?;
        let start = Instant::now();
        for _ in 0..cycles {
            self.pace(HEARTBEATS, together)?;
        }
        let used = process::cpu(server.pid()).ok_or_else(gone)? - before;
        Ok(used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0)
    }

    /// One heartbeat of every member, spread evenly over that time: those of a connection together, or each alone.
    fn pace(&mut self, over: Duration, together: bool) -> io::Result<()> {
        let chunk = |frames: &Vec<Vec<u8>>| if together { frames.len() } else { 1 };
        let bursts = self.frames.iter().zip(&mut self.clients);
        let bursts: Vec<_> = bursts
            .map(|(frames, client)| (frames.chunks(chunk(frames)), client))
            .collect();
        let count: u32 = bursts.iter().map(|(chunks, _)| chunks.len() as u32).sum();
        let start = Instant::now();
        let mut due = start;
        for (chunks, client) in bursts {
            for frames in chunks {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                due += over / count;
                client.ask_many(frames, |_, frame| match self.is_checked {
                    true => member::alive(frame),
                    false => Ok(()),
                })?;
            }
        }
        thread::sleep((start + over).saturating_duration_since(Instant::now()));
        Ok(())
    }
}

/// What a server that has nothing to write does not do.
struct Quiet {
    written_bytes: u64,
    turns: u64,
}

impl Quiet {
    fn now(server: &Server) -> io::Result<Quiet> {
        let gone = || io::Error::other("/proc cannot be read");
        Ok(Quiet {
            written_bytes: process::written_bytes(server.pid()).ok_or_else(gone)?,
            turns: process::turns_of_helpers(server.pid()).ok_or_else(gone)?,
        })
    }

    /// KiB that were written, and turns of the helping threads: no sync and no job goes without one.
    fn since(&self, server: &Server) -> io::Result<(f64, f64)> {
        let now = Quiet::now(server)?;
        let kib = (now.written_bytes - self.written_bytes) as f64 / 1024.0;
        Ok((kib, (now.turns - self.turns) as f64))
    }
}

/// G4: a large state in the journal, and in a snapshot; what it takes from the time of a start, and of the loop.
pub(crate) fn replay(life: &Life<'_>, _: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let empty = Server::start(Kind::Chronikd(&[]), &dir.join("empty"))?;
    let (_, empty_ms) = restart(empty)?;
    let home = dir.join("full");
    let server = Server::start(Kind::Chronikd(NO_SNAPSHOTS), &home)?;
    let (places, topic) = join_many(&server)?;
    let offset_bytes = commit_many(&server, &places, topic)?;
    let (server, journal_ms) = restart(server)?;
    let (server, _) = server.restarted_as(Kind::Chronikd(&[]))?;
    wait_for_snapshot(&home)?;
    let (server, snapshot_ms) = restart(server)?;
    let mut held_up = Vec::new();
    let mut server = server;
    for settings in [NO_SNAPSHOTS, ONLY_SNAPSHOTS] {
        server = server.restarted_as(Kind::Chronikd(settings))?.0;
        held_up.push(worst_heartbeat(&server, &places, topic, life.idle / 2)?);
    }
    let loading = [journal_ms - empty_ms, snapshot_ms - empty_ms, offset_bytes];
    Ok([loading.as_slice(), &held_up].concat())
}

/// Starts anew several times; how long the middle one took, in milliseconds.
fn restart(mut server: Server) -> io::Result<(Server, f64)> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        process::settle();
        let (again, time) = server.restarted()?;
        server = again;
        times.push(ms(time));
    }
    Ok((server, table::median(&times).unwrap_or(f64::NAN)))
}

fn join_many(server: &Server) -> io::Result<(Vec<Place>, Uuid)> {
    let mut client = Client::connect(server.address)?;
    let topic = client.create_topic("read", COMMITTED_PARTITIONS, true)?;
    let groups: Vec<String> = (0..REPLAYED_GROUPS)
        .map(|n| format!("replayed-{n}"))
        .collect();
    let joined = |index: usize, frame: &[u8]| member::joined(&groups[index], frame);
    let first = groups.iter().map(|group| member::join_frame(group, ""));
    let ids = client.ask_many(&first.collect::<Vec<_>>(), joined)?;
    let second = ids
        .iter()
        .map(|id| member::join_frame(&id.place.group, &id.place.member));
    let joined = client.ask_many(&second.collect::<Vec<_>>(), joined)?;
    let syncs = joined
        .iter()
        .map(|joined| member::sync_frame(&joined.place, &joined.members));
    client.ask_many(&syncs.collect::<Vec<_>>(), |_, frame| member::synced(frame))?;
    Ok((
        joined.into_iter().map(|joined| joined.place).collect(),
        topic,
    ))
}

/// Every group commits in all its partitions; the memory that an offset takes, in bytes.
fn commit_many(server: &Server, places: &[Place], topic: Uuid) -> io::Result<f64> {
    let partitions = 0..COMMITTED_PARTITIONS as i32;
    let commit = |place| member::commit_frame(place, topic, partitions.clone(), 17);
    let commits: Vec<Vec<u8>> = places.iter().map(commit).collect();
    let before = memory_of(server)?.anonymous as f64;
    let mut client = Client::connect(server.address)?;
    client.ask_many(&commits, |_, frame| member::committed(frame))?;
    let offsets = places.len() * COMMITTED_PARTITIONS;
    Ok((memory_of(server)?.anonymous as f64 - before) / offsets as f64)
}

fn wait_for_snapshot(home: &Path) -> io::Result<()> {
    let journal = home.join("journal");
    let limit = Duration::from_secs(60);
    process::wait_for(limit, Duration::from_millis(10), || {
        let mut names = std::fs::read_dir(&journal).into_iter().flatten().flatten();
        names.any(|name| {
            name.path()
                .extension()
                .is_some_and(|kind| kind == "snapshot")
        })
    })
}

/// One group commits as fast as it can, another one says at a steady pace that it lives: its longest wait, in
/// milliseconds.
fn worst_heartbeat(
    server: &Server,
    places: &[Place],
    topic: Uuid,
    over: Duration,
) -> io::Result<f64> {
    let mut committing = Client::connect(server.address)?;
    let mut living = Client::connect(server.address)?;
    let commit = member::commit_frame(&places[0], topic, 0..1, 17);
    let heartbeat = member::heartbeat_frame(&places[1]);
    let is_over = AtomicBool::new(false);
    let mut times = Histogram::default();
    thread::scope(|scope| {
        let commits = scope.spawn(|| -> io::Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                committing.ask(&commit, member::committed)?;
            }
            Ok(())
        });
        let start = Instant::now();
        let mut asked = Ok(());
        while asked.is_ok() && start.elapsed() < over {
            thread::sleep(PROBES);
            let sent_at = Instant::now();
            asked = living.ask(&heartbeat, member::alive);
            times.record(sent_at.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
        let commits = commits
            .join()
            .map_err(|_| io::Error::other("the committer panicked"))?;
        asked.and(commits)
    })?;
    Ok(times.quantile_us(1.0) / 1000.0)
}
