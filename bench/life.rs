//! The table of the rows that are taken with a broker of their own: its life, which stands here (start, crash, memory,
//! size and idleness, P11 to P15), groups (G1, G2, G4), compaction (C1) and administration (A1 to A4).

use crate::admin;
use crate::bare::Mode;
use crate::client::{Client, Shape};
use crate::compaction;
use crate::groups;
use crate::load::{self, Target};
use crate::process::{self, Memory};
use crate::sample::{KIB, Life, memory_of, ms};
use crate::server::{self, Kind, Server};
use crate::table::{Goal, Line, Runs};
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PARTITIONS: usize = 1000;
const CONNECTIONS: usize = 1000;
const MIB: f64 = 1024.0 * 1024.0;
const BATCHES_64K: Shape = Shape {
    records: 64,
    record_bytes: 1024,
    partitions: 1,
};

/// A row that is taken with a broker of its own, once a run: the figures of its lines.
type Take = fn(&Life<'_>, Kind, PathBuf) -> io::Result<Vec<f64>>;

/// One line of such a row: name, unit, goal.
type Title = (&'static str, &'static str, Goal);

/// Who is measured beside chronikd.
#[derive(Clone, Copy)]
enum Beside {
    Kafka,
    Echo,
    Nobody,
}

/// Row, its lines, what takes it, who is beside it, and at most how many runs.
type Row = (&'static str, &'static [Title], Take, Beside, usize);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("P11", &[("start to the first Metadata answer, empty", "ms", Goal::Below(10.0)),
              ("the same with 1,000 partitions", "ms", Goal::Below(40.0))], starts, Beside::Kafka, 5),
    ("P12", &[("SIGKILL to the first Metadata answer, 1 GiB unclean", "ms", Goal::Below(30.0)),
              ("  until the partition is served", "ms", Goal::None)], crash, Beside::Kafka, 1),
    ("P13", &[("anonymous memory, fresh", "MiB", Goal::Below(2.0)),
              ("  resident", "MiB", Goal::None),
              ("anonymous memory of a partition", "KiB", Goal::Below(3.0)),
              ("anonymous memory of an idle connection", "KiB", Goal::Below(2.0))], memory, Beside::Kafka, 1),
    ("P15", &[("idle processor time", "%", Goal::Below(0.05)),
              ("idle disk writes", "KiB/min", Goal::Below(0.0)),
              ("disk bytes for a payload byte, 64 KiB batches", "", Goal::Below(1.02)),
              ("  the same, durable, 5 in flight", "", Goal::None)], idleness, Beside::Kafka, 1),
    ("G1", &[("a member joins an empty group, until it is stable", "ms p50", Goal::Below(20.0)),
             ("", "ms max", Goal::Below(20.0))], groups::joins, Beside::Kafka, 1),
    ("G2", &[("1,000 groups of 3 idle, over 300 connections", "%", Goal::Below(0.5)),
             ("  the same if each heartbeat comes alone", "%", Goal::None),
             ("  disk writes", "KiB/min", Goal::Below(0.0)),
             ("  turns of the threads that sync and work", "1/min", Goal::Below(0.0)),
             ("anonymous memory of a group of 3", "KiB", Goal::Below(8.0))], groups::idleness, Beside::Echo, 1),
    ("C1", &[("compaction of 1 GiB, input for a core", "MB/s", Goal::Above(100.0)),
             ("a producer in quiet", "us p99", Goal::None),
             ("a reader in quiet", "us p99", Goal::None),
             ("the producer while another topic is compacted", "", Goal::Below(1.5)),
             ("  the reader", "", Goal::Below(1.5)),
             ("the producer while one of 1 GiB is deleted", "", Goal::Below(1.5)),
             ("  the reader", "", Goal::Below(1.5))], compaction::compacts, Beside::Nobody, 1),
    ("G4", &[("start with 100,000 offsets and 10,000 groups", "ms", Goal::Below(100.0)),
             ("  the same from a snapshot", "ms", Goal::Below(100.0)),
             ("anonymous memory of a committed offset", "B", Goal::None),
             ("heartbeat in the course of commits", "ms max", Goal::None),
             ("  the same with one snapshot after the other", "ms max", Goal::None)], groups::replay, Beside::Nobody, 1),
    ("A1", &[("a topic of 1,000 partitions is created, durably", "ms", Goal::Below(100.0)),
             ("  and deleted", "ms", Goal::Below(100.0))], admin::topic, Beside::Kafka, 5),
    ("A2", &[("start with 10,000 partitions", "ms", Goal::Below(400.0)),
             ("  until the last of them takes a record", "ms", Goal::None),
             ("anonymous memory of each", "KiB", Goal::Below(3.0))], admin::partitions, Beside::Nobody, 3),
    ("A3", &[("all settings of 1,000 topics", "ms", Goal::Below(100.0)),
             ("  with synonyms and documentation", "ms", Goal::Below(100.0))], admin::configs, Beside::Kafka, 3),
    ("A4", &[("a topic of 10,000 segments is deleted", "ms", Goal::None),
             ("  somebody else's request meanwhile", "ms max", Goal::Below(20.0))], admin::deletion, Beside::Nobody, 1),
];

impl Life<'_> {
    /// Takes and prints the rows that are wanted.
    pub(crate) fn take(&self, wanted: &dyn Fn(&str) -> bool) {
        for row in ROWS.iter().filter(|(row, ..)| wanted(row)) {
            match self.row(row) {
                Ok(lines) => lines.iter().for_each(Line::print),
                Err(error) => println!("{:<4} {:<47} FAILED: {error}", row.0, row.1[0].0),
            }
        }
        if wanted("P11") {
            exec_line().print();
        }
        if wanted("P14") {
            size_line().print();
        }
    }

    fn row(&self, &(row, titles, take, beside, most): &Row) -> io::Result<Vec<Line>> {
        let line = |(what, unit, goal): &Title| Line::absolute(row, *what, unit, *goal);
        let mut lines: Vec<Line> = titles.iter().map(line).collect();
        for run in 0..self.effort.runs.min(most) {
            let dir = |name: &str| self.dir.join(format!("{row}-{name}-{run}"));
            if let Beside::Echo = beside {
                let figures = take(self, Kind::Bare(Mode::Echo, BATCHES_64K), dir("echo"))?;
                push(&mut lines, figures, |line| &mut line.baseline);
            }
            let figures = take(self, Kind::Chronikd(&[]), dir("chronikd"))?;
            push(&mut lines, figures, |line| &mut line.chronikd);
        }
        if let (Beside::Kafka, Some(kafka)) = (beside, &self.kafka) {
            let figures = take(self, kafka.clone(), self.dir.join(format!("{row}-kafka")))?;
            push(&mut lines, figures, |line| &mut line.kafka);
        }
        Ok(lines)
    }
}

fn push(lines: &mut [Line], figures: Vec<f64>, column: fn(&mut Line) -> &mut Runs) {
    for (line, figure) in lines.iter_mut().zip(figures) {
        column(line).push(figure);
    }
}

/// P11: an empty directory, and one with many partitions after a clean stop.
fn starts(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    process::settle();
    let start = Instant::now();
    let mut server = Server::start(kind, &dir)?;
    let empty = start.elapsed();
    Client::connect(server.address)?.create_topic("many", PARTITIONS, true)?;
    server.stop()?;
    process::settle();
    let (_server, full) = server.restarted()?;
    Ok(vec![ms(empty), ms(full)])
}

/// P12: 1 GiB without a sync, a kill, and the way back.
fn crash(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let target = topic(&server, "unclean", false)?;
    let batches = (1 << 30) / BATCHES_64K.batch_bytes() as u64;
    load::closed_loop(&target, 5, batches)?;
    let start = Instant::now();
    let (server, answered) = server.restarted()?;
    let address = server.address;
    process::wait_for(Duration::from_secs(120), Duration::from_micros(500), || {
        load::fetch(&Target { address, ..target }, 1, 1, true).is_ok()
    })?;
    Ok(vec![ms(answered), ms(start.elapsed())])
}

/// P13: what a broker takes for being there, for a partition and for a connection.
fn memory(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    std::thread::sleep(Duration::from_secs(1));
    let Memory {
        resident,
        anonymous,
    } = memory_of(&server)?;
    Client::connect(server.address)?.create_topic("many", PARTITIONS, true)?;
    std::thread::sleep(Duration::from_secs(1));
    let with_partitions = memory_of(&server)?.anonymous;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(server.address)?;
        client.check_versions()?;
        clients.push(client);
    }
    std::thread::sleep(Duration::from_secs(1));
    let with_connections = memory_of(&server)?.anonymous;
    let each =
        |after: u64, before: u64, count: usize| (after as f64 - before as f64) / count as f64 / KIB;
    Ok(vec![
        anonymous as f64 / MIB,
        resident as f64 / MIB,
        each(with_partitions, anonymous, PARTITIONS),
        each(with_connections, with_partitions, CONNECTIONS),
    ])
}

/// The main server after all rows of load.
pub(crate) fn memory_after(server: &Server) {
    let Some(memory) = process::memory(server.pid()) else {
        return;
    };
    let line = |what, bytes: u64, goal| {
        let mut line = Line::absolute("P13", what, "MiB", goal);
        line.chronikd.push(bytes as f64 / MIB);
        line.print();
    };
    line(
        "anonymous memory after the rows above",
        memory.anonymous,
        Goal::Below(20.0),
    );
    line("  resident", memory.resident, Goal::None);
    if let Some(bytes) = process::cgroup_memory(server.pid()) {
        line(
            "  its control group, all processes and page cache",
            bytes,
            Goal::None,
        );
    }
}

/// P15: nothing to do, and then the disk's share of what is produced.
fn idleness(life: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let relaxed = topic(&server, "relaxed", false)?;
    let durable = topic(&server, "durable", true)?;
    std::thread::sleep(Duration::from_secs(1));
    process::settle();
    let gone = || io::Error::other("/proc cannot be read");
    let usage = || {
        process::cpu(server.pid())
            .zip(process::written_bytes(server.pid()))
            .ok_or_else(gone)
    };
    let (cpu, written) = usage()?;
    std::thread::sleep(life.idle);
    let (cpu_after, written_after) = usage()?;
    let volume = |target: &Target| {
        let before = usage()?.1;
        let sample = load::closed_loop(target, 5, 3000)?;
        process::settle();
        io::Result::Ok((usage()?.1 - before) as f64 / sample.bytes as f64)
    };
    Ok(vec![
        (cpu_after - cpu).as_secs_f64() / life.idle.as_secs_f64() * 100.0,
        (written_after - written) as f64 / KIB / life.idle.as_secs_f64() * 60.0,
        volume(&relaxed)?,
        volume(&durable)?,
    ])
}

fn topic(server: &Server, name: &str, durable: bool) -> io::Result<Target> {
    let topic = Client::connect(server.address)?.create_topic(name, 1, durable)?;
    if server.is_slow_to_lead() {
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(Target {
        address: server.address,
        topic,
        shape: BATCHES_64K,
    })
}

/// What P11 cannot go below: a process that does nothing.
fn exec_line() -> Line {
    let mut line = Line::absolute(
        "P11",
        "exec and exit of `true`, beside them",
        "ms",
        Goal::None,
    );
    for _ in 0..9 {
        let start = Instant::now();
        if Command::new("true").status().is_ok() {
            line.baseline.push(ms(start.elapsed()));
        }
    }
    line
}

/// P14.
fn size_line() -> Line {
    let mut line = Line::absolute("P14", "stripped release binary", "MB", Goal::Below(4.0));
    if let Ok(file) = std::fs::metadata(server::chronikd_binary()) {
        line.chronikd.push(file.len() as f64 / 1e6);
    }
    line
}
