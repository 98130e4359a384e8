//! The rows of load: P1 to P5, P7 to P9, and G3.
//!
//! Each run takes one sample of every contender, one after the other, in turning order; before each sample what is
//! dirty is written out, and each has a topic (or file) of its own. The first round is a warm-up and does not count.

use crate::bare::Mode;
use crate::client::{Client, Shape};
use crate::load::{self, Sample, Target};
use crate::process;
use crate::server::{Kind, Server};
use crate::table::{Goal, Line, Runs};
use chronikd::proto::Uuid;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// What a sample does.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// So many requests in flight.
    Closed(usize),
    /// So many commits of offsets in flight.
    Commits(usize),
    /// At this share of the rate that so many requests in flight gave.
    Open(f64, usize),
    /// Reading from the page cache.
    Fetch,
    /// Producer and consumer in turn.
    EndToEnd,
}

/// What chronikd is held against.
#[derive(Clone, Copy, PartialEq)]
enum Baseline {
    Bare(Mode),
    /// The bare loop without disk, two round trips.
    TwoEchoes,
    /// chronikd itself with one partition in a request.
    OnePartition,
    /// The same, and chronikd may sync the whole file system at once.
    OnePartitionWithSyncfs,
}

/// Which figure of a sample is shown.
#[derive(Clone, Copy)]
enum Figure {
    MegabytesPerSecond,
    PerSecond,
    Quantile(f64, &'static str),
}

impl Figure {
    fn of(self, sample: &Sample) -> f64 {
        match self {
            Figure::MegabytesPerSecond => sample.mb_per_second(),
            Figure::PerSecond => sample.per_second(),
            Figure::Quantile(share, _) => sample.latency.quantile_us(share),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Figure::MegabytesPerSecond => "MB/s",
            Figure::PerSecond => "1/s",
            Figure::Quantile(_, unit) => unit,
        }
    }
}

/// A row: what is sent, how, how often, and what should come of it.
struct Load {
    row: &'static str,
    what: &'static str,
    shape: Shape,
    durable: bool,
    work: Work,
    count: u64,
    baseline: Baseline,
    figures: &'static [(Figure, Goal)],
}

const fn shape(records: usize, partitions: usize) -> Shape {
    Shape {
        records,
        record_bytes: 1024,
        partitions,
    }
}

const P50: Figure = Figure::Quantile(0.5, "us p50");
const P99: Figure = Figure::Quantile(0.99, "us p99");
const P999: Figure = Figure::Quantile(0.999, "us p99.9");
const APPEND: Baseline = Baseline::Bare(Mode::Append);
const DURABLE: Baseline = Baseline::Bare(Mode::Durable);
/// Topics of the open loop are numbered from here, beside those that found the rate.
const OPEN_LOOP: usize = 1000;
/// Kafka is far enough away for two runs with a fourth of the requests to show it, and takes minutes for more.
const KAFKA_RUNS: usize = 2;
const KAFKA_SHARE: u64 = 4;
const KAFKA: &str = "Kafka";
/// Batches in the log that P9 reads: a multiple of those in one answer.
const FETCHED_BATCHES: usize = 15 * 256;

#[rustfmt::skip]
const LOADS: &[Load] = &[
    Load { row: "P1", what: "produce 64 KiB batches, 5 in flight", shape: shape(64, 1), durable: false, work: Work::Closed(5), count: 6_000,
        baseline: APPEND, figures: &[(Figure::MegabytesPerSecond, Goal::AtLeast(0.55))] },
    Load { row: "P1d", what: "the same, durable", shape: shape(64, 1), durable: true, work: Work::Closed(5), count: 2_000,
        baseline: DURABLE, figures: &[(Figure::MegabytesPerSecond, Goal::None)] },
    Load { row: "P2", what: "produce 16 KiB batches, 5 in flight", shape: shape(16, 1), durable: false, work: Work::Closed(5), count: 16_000,
        baseline: APPEND, figures: &[(Figure::MegabytesPerSecond, Goal::AtLeast(0.6))] },
    Load { row: "P3", what: "produce one record of 1 KiB, 32 in flight", shape: shape(1, 1), durable: false, work: Work::Closed(32), count: 60_000,
        baseline: APPEND, figures: &[(Figure::PerSecond, Goal::AtLeast(0.55)), (P99, Goal::None)] },
    Load { row: "P3o", what: "the same at half of each one's rate, open loop", shape: shape(1, 1), durable: false, work: Work::Open(0.5, 32), count: 30_000,
        baseline: APPEND, figures: &[(P50, Goal::None), (P999, Goal::None)] },
    Load { row: "P4", what: "produce round trip, to echo", shape: shape(1, 1), durable: false, work: Work::Closed(1), count: 8_000,
        baseline: Baseline::Bare(Mode::Echo), figures: &[(P50, Goal::AtMost(1.6)), (P999, Goal::None)] },
    Load { row: "P5", what: "produce to a waiting consumer, to two echoes", shape: shape(1, 1), durable: false, work: Work::EndToEnd, count: 5_000,
        baseline: Baseline::TwoEchoes, figures: &[(P50, Goal::None), (P999, Goal::None)] },
    Load { row: "P7", what: "durable acks, 32 in flight", shape: shape(1, 1), durable: true, work: Work::Closed(32), count: 20_000,
        baseline: DURABLE, figures: &[(Figure::PerSecond, Goal::AtLeast(0.7)), (P99, Goal::None)] },
    Load { row: "P8", what: "durable round trip", shape: shape(1, 1), durable: true, work: Work::Closed(1), count: 1_500,
        baseline: DURABLE, figures: &[(P50, Goal::AtMost(1.5)), (P99, Goal::None)] },
    Load { row: "P8", what: "64 dirty partitions in a round, to one", shape: shape(1, 64), durable: true, work: Work::Closed(1), count: 200,
        baseline: Baseline::OnePartition, figures: &[(P50, Goal::None)] },
    Load { row: "P8s", what: "the same with syncfs, to one", shape: shape(1, 64), durable: true, work: Work::Closed(1), count: 200,
        baseline: Baseline::OnePartitionWithSyncfs, figures: &[(P50, Goal::AtMost(3.0))] },
    Load { row: "P9", what: "fetch from the page cache, 1 MiB a time", shape: shape(64, 1), durable: false, work: Work::Fetch, count: 16_000,
        baseline: Baseline::Bare(Mode::Fetch), figures: &[(Figure::MegabytesPerSecond, Goal::AtLeast(0.75))] },
    Load { row: "G3", what: "durable commits of offsets, 32 in flight", shape: shape(1, 1), durable: true, work: Work::Commits(32), count: 20_000,
        baseline: DURABLE, figures: &[(Figure::PerSecond, Goal::AtLeast(0.7)), (Figure::PerSecond, Goal::Above(10_000.0)), (P99, Goal::None)] },
];

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Runs that count.
    pub(crate) runs: usize,
    /// Requests in a sample, as a multiple of the short form's.
    pub(crate) scale: u64,
}

/// The contenders that stay for all rows; the bare loop is started for each.
pub(crate) struct Contenders<'a> {
    pub(crate) chronikd: &'a Server,
    /// chronikd with `chronik.sync.filesystem=always`.
    pub(crate) syncfs: &'a Server,
    pub(crate) kafka: Option<&'a Server>,
}

/// Takes and prints the rows that are wanted.
pub(crate) fn take(
    wanted: &dyn Fn(&str) -> bool,
    contenders: &Contenders<'_>,
    effort: Effort,
    dir: &Path,
) {
    for (number, load) in LOADS
        .iter()
        .enumerate()
        .filter(|(_, load)| wanted(load.row))
    {
        let dir = dir.join(format!("bare-{number}"));
        match take_row(load, contenders, effort, &dir) {
            Ok(()) => {}
            Err(error) => println!("{:<4} {:<47} FAILED: {error}", load.row, load.what),
        }
        let _ = std::fs::remove_dir_all(dir);
    }
}

/// One contender in one row: its server, and what each run gave.
struct Seat<'a> {
    server: &'a Server,
    name: &'static str,
    load: Load,
    echoes: f64,
    fetched: Option<Target>,
    samples: Vec<Sample>,
    cpu: Vec<Duration>,
}

fn take_row(
    load: &Load,
    contenders: &Contenders<'_>,
    effort: Effort,
    dir: &Path,
) -> io::Result<()> {
    let bare = start_bare(load, dir)?;
    let chronikd = match load.baseline {
        Baseline::OnePartitionWithSyncfs => contenders.syncfs,
        _ => contenders.chronikd,
    };
    let baseline = bare.as_ref().unwrap_or(chronikd);
    let mut seats = vec![
        Seat::new(baseline, "baseline", baseline_load(load)),
        Seat::new(chronikd, "chronikd", load.again()),
    ];
    if load.baseline == Baseline::TwoEchoes {
        seats[0].echoes = 2.0;
    }
    seats.extend(
        contenders
            .kafka
            .map(|server| Seat::new(server, KAFKA, load.again())),
    );
    for run in 0..=effort.runs {
        let count = seats.len();
        for turn in 0..count {
            // The first run warms up with fewer requests; afterwards each one goes first in turn.
            let requests = if run == 0 {
                load.count / 4
            } else {
                load.count * effort.scale
            };
            let seat = &mut seats[(turn + run) % count];
            match (seat.name, run) {
                (KAFKA, ..=KAFKA_RUNS) => seat.sample(run, requests.div_ceil(KAFKA_SHARE))?,
                (KAFKA, _) => {}
                _ => seat.sample(run, requests)?,
            }
        }
    }
    print_lines(load, &seats);
    Ok(())
}

fn start_bare(load: &Load, dir: &Path) -> io::Result<Option<Server>> {
    let mode = match load.baseline {
        Baseline::Bare(mode) => mode,
        Baseline::TwoEchoes => Mode::Echo,
        Baseline::OnePartition | Baseline::OnePartitionWithSyncfs => return Ok(None),
    };
    std::fs::create_dir_all(dir)?;
    if mode == Mode::Fetch {
        let mut content = BufWriter::new(File::create(dir.join("content"))?);
        for number in 0..FETCHED_BATCHES {
            let offset = (number * load.shape.records) as i64;
            content.write_all(&load.shape.batch(number as u64, offset))?;
        }
        content.into_inner()?.sync_all()?;
    }
    Server::start(Kind::Bare(mode, load.shape), dir).map(Some)
}

/// What the baseline does in a row.
fn baseline_load(load: &Load) -> Load {
    let mut own = load.again();
    match load.baseline {
        // The group-commit loop is the same for whatever becomes durable.
        Baseline::Bare(_) => {
            if let Work::Commits(in_flight) = load.work {
                own.work = Work::Closed(in_flight);
            }
        }
        Baseline::TwoEchoes => own.work = Work::Closed(1),
        Baseline::OnePartition | Baseline::OnePartitionWithSyncfs => own.shape.partitions = 1,
    }
    own
}

impl Load {
    fn again(&self) -> Load {
        Load { ..*self }
    }
}

impl<'a> Seat<'a> {
    fn new(server: &'a Server, name: &'static str, load: Load) -> Seat<'a> {
        Seat {
            server,
            name,
            load,
            echoes: 1.0,
            fetched: None,
            samples: Vec::new(),
            cpu: Vec::new(),
        }
    }

    fn sample(&mut self, run: usize, count: u64) -> io::Result<()> {
        let named = |error| io::Error::other(format!("{}: {error}", self.name));
        let target = match self.fetched {
            Some(target) => target,
            None => self.target(run).map_err(named)?,
        };
        if self.load.work == Work::Fetch && self.fetched.is_none() {
            self.fill(&target).map_err(named)?;
            self.fetched = Some(target);
        }
        process::settle();
        let before = process::cpu(self.server.pid());
        let sample = self.work(&target, run, count).map_err(named)?;
        let after = process::cpu(self.server.pid());
        if run > 0 {
            let used = before
                .zip(after)
                .map(|(before, after)| after.saturating_sub(before));
            self.cpu
                .extend(used.map(|used| used / sample.requests as u32));
            self.samples.push(sample);
        }
        Ok(())
    }

    fn work(&self, target: &Target, run: usize, count: u64) -> io::Result<Sample> {
        match self.load.work {
            Work::Closed(in_flight) => load::closed_loop(target, in_flight, count),
            Work::Commits(in_flight) => load::commits(target, in_flight, count),
            Work::EndToEnd => load::end_to_end(target, count),
            Work::Open(share, in_flight) => {
                let most = load::closed_loop(target, in_flight, count / 2)?;
                let fresh = self.target(OPEN_LOOP + run)?;
                load::open_loop(&fresh, most.per_second() * share, count)
            }
            Work::Fetch => {
                let records = (FETCHED_BATCHES * self.load.shape.records) as i64;
                let bytes = count * self.load.shape.batch_bytes() as u64;
                load::fetch(target, records, bytes, false)
            }
        }
    }

    /// Writes the log that P9 reads, and reads it once with all checksums.
    fn fill(&self, target: &Target) -> io::Result<()> {
        let batches = FETCHED_BATCHES as u64;
        if !self.server.is_bare() {
            load::closed_loop(target, 5, batches)?;
        }
        let bytes = (batches - 1) * self.load.shape.batch_bytes() as u64;
        let records = (FETCHED_BATCHES * self.load.shape.records) as i64;
        load::fetch(target, records, bytes, !self.server.is_bare()).map(drop)
    }

    /// A topic for the next sample; P9 fills one and keeps it.
    fn target(&self, run: usize) -> io::Result<Target> {
        let load = &self.load;
        let mut target = Target {
            address: self.server.address,
            topic: Uuid::ZERO,
            shape: load.shape,
        };
        if self.server.is_bare() {
            return Ok(target);
        }
        let mut client = Client::connect(self.server.address)?;
        let name = format!("{}-{}-{}-{run}", load.row, load.shape.partitions, self.name);
        target.topic = client.create_topic(&name, load.shape.partitions, load.durable)?;
        if self.server.is_slow_to_lead() {
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(target)
    }
}

fn print_lines(load: &Load, seats: &[Seat<'_>]) {
    let runs_of = |name: &str, figure: &dyn Fn(&Seat<'_>) -> Runs| {
        let seat = seats.iter().find(|seat| seat.name == name);
        seat.map(figure).unwrap_or_default()
    };
    let line = |what: &str, unit, goal, figure: &dyn Fn(&Seat<'_>) -> Runs| Line {
        row: load.row,
        what: what.into(),
        unit,
        baseline: runs_of("baseline", figure),
        chronikd: runs_of("chronikd", figure),
        kafka: runs_of(KAFKA, figure),
        goal,
    };
    for (figure, goal) in load.figures {
        let of_seat = |seat: &Seat<'_>| {
            seat.samples
                .iter()
                .map(|s| figure.of(s) * seat.echoes)
                .collect()
        };
        line(load.what, figure.unit(), *goal, &of_seat).print();
    }
    let cpu = |seat: &Seat<'_>| {
        seat.cpu
            .iter()
            .map(|cpu| cpu.as_secs_f64() * 1e6 * seat.echoes)
            .collect()
    };
    line("  processor time of the server", "us/req", Goal::None, &cpu).print();
}
