//! The rows of transactions: their rate (T1), their end (T2), what many ids cost (T3), reading (T4) and recovery (T5).

use crate::bare::Mode;
use crate::client::{self, Client, Isolation, Shape};
use crate::conversation;
use crate::histogram::Histogram;
use crate::load::{self, Sample, Target};
use crate::process;
use crate::producer::{self, Producer, Script, Topic};
use crate::sample::{Life, memory_of, ms};
use crate::server::{Kind, Server};
use crate::table::{Goal, Line};
use chronikd::proto::Uuid;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Transactional ids that are at work at the same time.
const PRODUCERS: usize = 32;
/// A transaction of T1, T2 and T4.
const TEN_RECORDS: Shape = shape(10, 1024);
/// One of T3 and T5.
const SMALL: Shape = shape(1, 128);
/// What T2 is held against.
const ONE_RECORD: Shape = shape(1, 1024);
/// Transactions in a sample of T1, and of T2.
const RATED: u64 = 2_000;
const ENDED: u64 = 300;
/// A sync takes ten times as long from one second to the next: there are many short samples in turn instead of a few.
const SAMPLES_A_RUN: usize = 3;
/// Transactional ids of T3, and open transactions of T5.
const MANY: usize = 10_000;
const OPEN: usize = 1_000;
/// Transactions of the log that T4 reads, of which one in so many is aborted, and the bytes of a sample.
const READ: u64 = 8_000;
const ABORTED_EACH: u64 = 10;
const READ_BYTES: u64 = 128 << 20;
/// How often transactional ids are listed, and the broker of T5 is killed.
const TIMES: usize = 5;

const fn shape(records: usize, record_bytes: usize) -> Shape {
    Shape {
        records,
        record_bytes,
        partitions: 1,
    }
}

/// A row with servers of its own: its lines.
type Take = fn(&Life<'_>, PathBuf) -> io::Result<Vec<Line>>;

const ROWS: [(&str, Take); 5] = [
    ("T1", rates),
    ("T2", ends),
    ("T3", many_ids),
    ("T4", reading),
    ("T5", recovery),
];

/// The versions of transactions, and their requests.
const VERSIONS: [(&str, Script); 2] = [("v2", Script::V2), ("v1", Script::V1)];

/// Takes and prints the rows that are wanted.
pub(crate) fn take(life: &Life<'_>, wanted: &dyn Fn(&str) -> bool) {
    for (row, take) in ROWS.iter().filter(|(row, _)| wanted(row)) {
        match take(life, life.dir.join(row)) {
            Ok(lines) => lines.iter().for_each(Line::print),
            Err(error) => println!("{row:<4} {:<47} FAILED: {error}", "transactions"),
        }
    }
}

/// The two that are compared: a bare loop for records of that shape, and chronikd.
struct Pair {
    bare: Server,
    chronikd: Server,
}

impl Pair {
    fn start(shape: Shape, dir: &Path) -> io::Result<Pair> {
        let bare = Kind::Bare(Mode::Durable, shape);
        Ok(Pair {
            bare: Server::start(bare, &dir.join("bare"))?,
            chronikd: Server::start(Kind::Chronikd(&[]), &dir.join("chronikd"))?,
        })
    }
}

/// Takes a sample of each, the first one in turn, and settles before each.
fn in_turn<A, B>(
    run: usize,
    first: impl FnOnce() -> io::Result<A>,
    second: impl FnOnce() -> io::Result<B>,
) -> io::Result<(A, B)> {
    if run.is_multiple_of(2) {
        process::settle();
        let first = first()?;
        process::settle();
        return Ok((first, second()?));
    }
    process::settle();
    let second = second()?;
    process::settle();
    Ok((first()?, second))
}

fn topic(server: &Server, name: &str) -> io::Result<Topic> {
    let mut client = Client::connect(server.address)?;
    Ok(Topic {
        id: client.create_topic(name, 1, true)?,
        name: name.into(),
    })
}

/// T1: as many producers as wish to, each one transaction after the other.
fn rates(life: &Life<'_>, dir: PathBuf) -> io::Result<Vec<Line>> {
    let pair = Pair::start(TEN_RECORDS, &dir)?;
    let mut lines = Vec::new();
    for (version, script) in VERSIONS {
        let line = |what, unit, goal| Line::absolute("T1", what, unit, goal);
        let what = format!("{version}, 10 records of 1 KiB, durable, 32 ids");
        let mut rate = line(what, "1/s", Goal::AtLeast(0.5));
        let mut cpu = line("  processor time of the server".into(), "us", Goal::None);
        for run in 0..=life.effort.runs * SAMPLES_A_RUN {
            let bare = || {
                let producers = Producer::bare(PRODUCERS, TEN_RECORDS, script);
                worked(&pair.bare, producers)
            };
            let chronikd = || {
                let producers = hired(&pair.chronikd, &format!("{version}-{run}"), script)?;
                worked(&pair.chronikd, producers)
            };
            let (bare, chronikd) = in_turn(run, bare, chronikd)?;
            if run > 0 {
                rate.push_beside(bare.0.per_second(), chronikd.0.per_second());
                cpu.push_beside(bare.1, chronikd.1);
            }
        }
        lines.extend([rate, cpu]);
    }
    Ok(lines)
}

/// Producers of a topic of their own.
fn hired(server: &Server, name: &str, script: Script) -> io::Result<Vec<Producer>> {
    let topic = topic(server, name)?;
    let names = (0..PRODUCERS).map(|number| format!("{name}-{number}"));
    let mut client = Client::connect(server.address)?;
    Producer::initialize(&mut client, names, (&topic, TEN_RECORDS, script))
}

/// A sample of T1, and the server's processor time for a transaction.
fn worked(server: &Server, mut producers: Vec<Producer>) -> io::Result<(Sample, f64)> {
    let work = || conversation::converse(server.address, &mut producers, RATED);
    metered(server, work)
}

/// A sample, and the server's processor time for one of what it counts, in microseconds.
fn metered(
    server: &Server,
    sample: impl FnOnce() -> io::Result<Sample>,
) -> io::Result<(Sample, f64)> {
    let gone = || io::Error::other("/proc cannot be read");
    let before = process::cpu(server.pid()).ok_or_else(gone)?;
    let sample = sample()?;
    let used = process::cpu(server.pid()).ok_or_else(gone)? - before;
    let each_us = used.as_secs_f64() * 1e6 / sample.requests as f64;
    Ok((sample, each_us))
}

/// T2: one producer; from sending EndTxn to its answer, and until a reader of committed records has them.
fn ends(life: &Life<'_>, dir: PathBuf) -> io::Result<Vec<Line>> {
    let pair = Pair::start(ONE_RECORD, &dir)?;
    let append = Target {
        address: pair.bare.address,
        topic: Uuid::ZERO,
        shape: ONE_RECORD,
    };
    let mut lines = Vec::new();
    for (version, script) in VERSIONS {
        let line = |what, goal| Line::absolute("T2", what, "us p50", goal);
        let what = format!("{version}, EndTxn answered, to a durable append");
        let mut answered = line(what, Goal::AtMost(2.5));
        let what = format!("  {version}, until a waiting reader has the records");
        let mut visible = line(what, Goal::None);
        for run in 0..=life.effort.runs * SAMPLES_A_RUN {
            let bare = || load::closed_loop(&append, 1, ENDED);
            let chronikd = || commits(&pair.chronikd, &format!("{version}-{run}"), script);
            let (bare, chronikd) = in_turn(run, bare, chronikd)?;
            if run > 0 {
                let bare = bare.latency.quantile_us(0.5);
                answered.push_beside(bare, chronikd.0.quantile_us(0.5));
                visible.push_beside(bare, chronikd.1.quantile_us(0.5));
            }
        }
        lines.extend([answered, visible]);
    }
    Ok(lines)
}

/// How long it takes from EndTxn to its answer, and to the records at a reader whose fetch waits for them.
fn commits(server: &Server, name: &str, script: Script) -> io::Result<(Histogram, Histogram)> {
    let topic = topic(server, name)?;
    let mut asking = Client::connect(server.address)?;
    let mut reading = Client::connect(server.address)?;
    let names = std::iter::once(name.to_owned());
    let mut ids = Producer::initialize(&mut asking, names, (&topic, TEN_RECORDS, script))?;
    let producer = ids.first_mut().ok_or_else(|| client::bad("no producer"))?;
    let (mut answered, mut visible) = (Histogram::default(), Histogram::default());
    let mut offset = 0;
    while producer.ended < ENDED {
        send_fetch(&mut reading, &topic, offset)?;
        let sent_at = conversation::one(&mut asking, producer)?;
        answered.record(sent_at.elapsed());
        offset = read_on(&mut reading, &topic, offset)?;
        visible.record(sent_at.elapsed());
    }
    Ok((answered, visible))
}

fn send_fetch(reading: &mut Client, topic: &Topic, offset: i64) -> io::Result<()> {
    let frame = client::fetch_frame_of(Isolation::Committed, topic.id, offset);
    reading.stream.write_all(&frame)
}

/// Reads a transaction whose records and marker begin at that offset; the offset behind it.
fn read_on(reading: &mut Client, topic: &Topic, offset: i64) -> io::Result<i64> {
    let end = offset + TEN_RECORDS.records as i64 + 1;
    let mut next = offset;
    loop {
        reading.receive(|frame| {
            (next, _) = client::fetched(frame, next, false)?;
            Ok(())
        })?;
        if next == end {
            return Ok(end);
        }
        send_fetch(reading, topic, next)?;
    }
}

/// T3: ids that have nothing to do, and ids that have a transaction open, also beside some that work.
fn many_ids(life: &Life<'_>, dir: PathBuf) -> io::Result<Vec<Line>> {
    let server = Server::start(Kind::Chronikd(&[]), &dir.join("many"))?;
    worked(&server, hired(&server, "first", Script::V2)?)?;
    let before = settled_memory(&server)?;
    let each = |after: u64| after.saturating_sub(before) as f64 / MANY as f64;
    let mut producers = many(&server, MANY)?;
    one_each(&server, &mut producers)?;
    let idle_bytes = each(settled_memory(&server)?);
    let idle_cpu = cpu_of_nothing(&server, life.idle)?;
    let listing = listing(&server)?;
    producers
        .iter_mut()
        .for_each(|producer| producer.follow(Script::OPEN));
    one_each(&server, &mut producers)?;
    let open_bytes = each(settled_memory(&server)?);
    let open_cpu = cpu_of_nothing(&server, life.idle)?;
    let figures = [idle_bytes, idle_cpu, listing, open_bytes, open_cpu];
    let mut lines: Vec<Line> = MANY_LINES
        .iter()
        .zip(figures)
        .map(|((what, unit, goal), figure)| {
            let mut line = Line::absolute("T3", *what, unit, *goal);
            line.chronikd.push(figure);
            line
        })
        .collect();
    lines.push(rate_beside(life, &server, dir)?);
    Ok(lines)
}

/// What is measured of many ids: name, unit, goal.
#[rustfmt::skip]
const MANY_LINES: [(&str, &str, Goal); 5] = [
    ("anonymous memory of a transactional id", "B", Goal::Below(1024.0)),
    ("  idle processor time with 10,000 of them", "%", Goal::Below(0.05)),
    ("  listing all of them", "ms", Goal::None),
    ("anonymous memory of one that is open", "B", Goal::None),
    ("  idle processor time with 10,000 open", "%", Goal::Below(0.05)),
];

/// The rate of T1 where nobody else is, and on that server.
fn rate_beside(life: &Life<'_>, server: &Server, dir: PathBuf) -> io::Result<Line> {
    let empty = Server::start(Kind::Chronikd(&[]), &dir.join("empty"))?;
    let what = "rate of T1 beside them, to that alone";
    let mut line = Line::absolute("T3", what, "1/s", Goal::AtLeast(0.9));
    let rate = |server, run: usize| {
        let producers = hired(server, &format!("rate-{run}"), Script::V2)?;
        worked(server, producers).map(|(sample, _)| sample.per_second())
    };
    for run in 0..life.effort.runs * SAMPLES_A_RUN {
        let (alone, beside) = in_turn(run, || rate(&empty, run), || rate(server, run))?;
        line.push_beside(alone, beside);
    }
    Ok(line)
}

/// Anonymous memory when all that is under way has ended.
fn settled_memory(server: &Server) -> io::Result<u64> {
    thread::sleep(Duration::from_secs(1));
    Ok(memory_of(server)?.anonymous)
}

/// So many producers of one topic.
fn many(server: &Server, count: usize) -> io::Result<Vec<Producer>> {
    let topic = topic(server, "many")?;
    let names = (0..count).map(|number| format!("an-application-{number}"));
    let mut client = Client::connect(server.address)?;
    Producer::initialize(&mut client, names, (&topic, SMALL, Script::V2))
}

/// One transaction of each, some at a time.
fn one_each(server: &Server, producers: &mut [Producer]) -> io::Result<()> {
    for group in producers.chunks_mut(PRODUCERS) {
        let count = group.len() as u64;
        conversation::converse(server.address, group, count)?;
    }
    Ok(())
}

/// The processor time of a server that nobody asks, in percent of a core.
fn cpu_of_nothing(server: &Server, over: Duration) -> io::Result<f64> {
    let gone = || io::Error::other("/proc cannot be read");
    process::settle();
    let before = process::cpu(server.pid()).ok_or_else(gone)?;
    thread::sleep(over);
    let used = process::cpu(server.pid()).ok_or_else(gone)? - before;
    Ok(used.as_secs_f64() / over.as_secs_f64() * 100.0)
}

/// How long ListTransactions takes, in milliseconds.
fn listing(server: &Server) -> io::Result<f64> {
    let mut client = Client::connect(server.address)?;
    let mut times = Histogram::default();
    for _ in 0..TIMES {
        let start = Instant::now();
        if producer::list(&mut client)? < MANY {
            return Err(io::Error::other("a list that lacks transactional ids"));
        }
        times.record(start.elapsed());
    }
    Ok(times.quantile_us(0.5) / 1000.0)
}

/// T4: the same log for both kinds of readers.
fn reading(life: &Life<'_>, dir: PathBuf) -> io::Result<Vec<Line>> {
    let server = Server::start(Kind::Chronikd(&[]), &dir)?;
    let producers = hired(&server, "read", Script::V2)?.into_iter().zip(0..);
    let mut producers: Vec<Producer> = producers
        .map(|(producer, number)| producer.aborting_each(ABORTED_EACH, number))
        .collect();
    conversation::converse(server.address, &mut producers, READ)?;
    let target = Target {
        address: server.address,
        topic: producers[0].topic(),
        shape: TEN_RECORDS,
    };
    let records = READ as i64 * (TEN_RECORDS.records as i64 + 1);
    let mut asking = Client::connect(server.address)?;
    let first = client::fetch_frame_of(Isolation::Committed, target.topic, 0);
    if asking.ask(&first, client::aborted)? == 0 {
        return Err(client::bad("a log in which nothing was aborted"));
    }
    let read = |isolation| {
        let read = || load::fetch_of(isolation, &target, (records, READ_BYTES), false);
        metered(&server, read)
    };
    let line = |what, unit, goal| Line::absolute("T4", what, unit, goal);
    let what = "fetch committed, 1 in 10 aborted, to uncommitted";
    let mut rate = line(what, "MB/s", Goal::AtLeast(0.9));
    let mut cpu = line("  processor time of the server", "us/req", Goal::None);
    for run in 0..=life.effort.runs * SAMPLES_A_RUN {
        let uncommitted = || read(Isolation::Uncommitted);
        let committed = || read(Isolation::Committed);
        let (uncommitted, committed) = in_turn(run, uncommitted, committed)?;
        if run > 0 {
            rate.push_beside(uncommitted.0.mb_per_second(), committed.0.mb_per_second());
            cpu.push_beside(uncommitted.1, committed.1);
        }
    }
    Ok(vec![rate, cpu])
}

/// T5: a kill while transactions are open, and how soon the first of them can be ended.
fn recovery(_: &Life<'_>, dir: PathBuf) -> io::Result<Vec<Line>> {
    let mut server = Server::start(Kind::Chronikd(&[]), &dir)?;
    let mut producers = many(&server, OPEN)?;
    producers
        .iter_mut()
        .for_each(|producer| producer.follow(Script::OPEN));
    one_each(&server, &mut producers)?;
    let line = |what| Line::absolute("T5", what, "ms", Goal::Below(100.0));
    let mut ready = line("SIGKILL with 1,000 open to the first Metadata");
    let mut ended = line("  until the first of them is ended");
    for first in producers.iter_mut().take(TIMES) {
        process::settle();
        let start = Instant::now();
        let (again, answered) = server.restarted()?;
        server = again;
        let first = std::slice::from_mut(first);
        first[0].end_next();
        conversation::converse(server.address, first, 1)?;
        ended.chronikd.push(ms(start.elapsed()));
        ready.chronikd.push(ms(answered));
        first[0].follow(Script::OPEN);
        conversation::converse(server.address, first, 1)?;
    }
    Ok(vec![ready, ended])
}
