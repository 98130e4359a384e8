//! The load generator. It cannot tell a bare loop from a broker: the same requests, the same checks.
//!
//! *Closed loop*: a window of requests is in flight, and an answer makes room for the next. *Open loop*: requests are
//! due at fixed moments, and a latency counts from when a request was due, not from when it could be sent: a broker
//! that stalls cannot hide the requests that had to wait.
//!
//! Requests are made beforehand, a few hundred different ones that take turns; only the correlation id is patched in.
//! Every answer is decoded, and the offset that it bears must be the one that counting gives.

use crate::client::{self, Client, Isolation, Shape};
use crate::histogram::Histogram;
use crate::member::{self, Place};
use chronikd::proto::Uuid;
use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Requests made beforehand take up to so many bytes; more would measure the cache misses of the generator.
const POOL_BYTES: usize = 4 << 20;
const POOL_MAX: usize = 512;
/// Groups that commit offsets in turn.
const COMMITTING_GROUPS: usize = 32;
/// One vectored write takes at most so many requests.
const MAX_SLICES: usize = 64;

/// What one run gave.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    /// Bytes of record batches.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram,
}

impl Sample {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn mb_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }
}

/// Where a run goes: an address, a topic that nobody else writes to, and the records.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) topic: Uuid,
    pub(crate) shape: Shape,
}

/// Requests that take turns.
struct Pool {
    frames: Vec<Vec<u8>>,
    payload_bytes: u64,
    sent: u64,
}

impl Pool {
    fn new(target: &Target, at_least: usize) -> Pool {
        let frame = |seed| client::produce_frame(target.topic, &target.shape, seed);
        let count = (POOL_BYTES / frame(0).len()).clamp(at_least, POOL_MAX.max(at_least));
        Pool {
            frames: (0..count as u64).map(frame).collect(),
            payload_bytes: (target.shape.batch_bytes() * target.shape.partitions) as u64,
            sent: 0,
        }
    }

    /// Sends the next requests with as few calls as it takes.
    fn send(&mut self, stream: &mut impl Write, count: usize) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let start = self.sent as usize % self.frames.len();
            let end = self.frames.len().min(start + left.min(MAX_SLICES));
            for (id, frame) in (self.sent as u32..).zip(&mut self.frames[start..end]) {
                client::put_correlation(frame, id);
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            for (slice, frame) in slices.iter_mut().zip(&self.frames[start..end]) {
                *slice = IoSlice::new(frame);
            }
            write_all_vectored(stream, &mut slices[..end - start])?;
            self.sent += (end - start) as u64;
            left -= end - start;
        }
        Ok(())
    }
}

fn write_all_vectored(stream: &mut impl Write, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        let count = stream.write_vectored(slices)?;
        IoSlice::advance_slices(&mut slices, count);
    }
    Ok(())
}

/// Checks the answers of one producer, which come in order.
struct Answers {
    received: u64,
    records: u64,
}

impl Answers {
    fn new(target: &Target) -> Answers {
        Answers {
            received: 0,
            records: target.shape.records as u64,
        }
    }

    fn take(&mut self, frame: &[u8]) -> io::Result<()> {
        let id = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
        let offset = client::produced_offset(frame)?;
        if (id, offset) != (self.received as u32, (self.received * self.records) as i64) {
            let text = format!(
                "answer {} is number {id} with offset {offset}",
                self.received
            );
            return Err(io::Error::other(text));
        }
        self.received += 1;
        Ok(())
    }
}

/// Produces `count` requests with `in_flight` of them under way.
pub(crate) fn closed_loop(target: &Target, in_flight: usize, count: u64) -> io::Result<Sample> {
    let connection = Client::connect(target.address)?;
    let mut answers = Answers::new(target);
    let pool = Pool::new(target, in_flight);
    pipeline(connection, pool, in_flight, count, |frame| {
        answers.take(frame)
    })
}

/// Commits `count` times an offset with `in_flight` commits under way, as members of several groups in turn.
pub(crate) fn commits(target: &Target, in_flight: usize, count: u64) -> io::Result<Sample> {
    let mut connection = Client::connect(target.address)?;
    member::wait_for_coordinator(&mut connection, target.topic)?;
    let group = |number| format!("{}-{number}", target.topic);
    let join = |number| member::join_alone(&mut connection, &group(number));
    let places: Vec<Place> = (0..COMMITTING_GROUPS)
        .map(join)
        .collect::<io::Result<_>>()?;
    let frame = |(offset, place)| member::commit_frame(place, target.topic, 0..1, offset);
    let frames = (0..).zip(places.iter().cycle()).map(frame);
    let pool = Pool {
        frames: frames.take(POOL_MAX).collect(),
        payload_bytes: 0,
        sent: 0,
    };
    pipeline(connection, pool, in_flight, count, member::committed)
}

/// Sends `count` requests with `in_flight` of them under way, and checks every answer.
fn pipeline(
    mut connection: Client,
    mut pool: Pool,
    in_flight: usize,
    count: u64,
    mut check: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Sample> {
    let mut stream = connection.stream.try_clone()?;
    let mut received = 0;
    let mut sent_at = vec![Instant::now(); in_flight];
    let mut latency = Histogram::default();
    let start = Instant::now();
    while received < count {
        let room = in_flight as u64 - (pool.sent - received);
        let next = room.min(count - pool.sent);
        let now = Instant::now();
        for id in pool.sent..pool.sent + next {
            sent_at[id as usize % in_flight] = now;
        }
        pool.send(&mut stream, next as usize)?;
        connection.receive(|frame| {
            latency.record(sent_at[received as usize % in_flight].elapsed());
            check(frame)?;
            received += 1;
            Ok(())
        })?;
    }
    Ok(Sample {
        requests: count,
        bytes: count * pool.payload_bytes,
        elapsed: start.elapsed(),
        latency,
    })
}

/// Produces `count` requests, `rate` of them a second, whether answers come or not.
pub(crate) fn open_loop(target: &Target, rate: f64, count: u64) -> io::Result<Sample> {
    let mut connection = Client::connect(target.address)?;
    let mut stream = connection.stream.try_clone()?;
    let mut pool = Pool::new(target, POOL_MAX);
    let mut answers = Answers::new(target);
    let mut latency = Histogram::default();
    let payload_bytes = pool.payload_bytes;
    let start = Instant::now() + Duration::from_millis(10);
    let due = move |id: u64| start + Duration::from_secs_f64(id as f64 / rate);
    let sender = thread::spawn(move || -> io::Result<()> {
        while pool.sent < count {
            let now = Instant::now();
            let wait = due(pool.sent).saturating_duration_since(now);
            if !wait.is_zero() {
                thread::sleep(wait);
                continue;
            }
            let ripe = (pool.sent + 1..count)
                .take_while(|id| due(*id) <= now)
                .count();
            pool.send(&mut stream, 1 + ripe)?;
        }
        Ok(())
    });
    while answers.received < count {
        connection.receive(|frame| {
            latency.record(due(answers.received).elapsed());
            answers.take(frame)
        })?;
    }
    let sent = sender
        .join()
        .map_err(|_| io::Error::other("the sender panicked"))?;
    sent.map(|()| Sample {
        requests: count,
        bytes: count * payload_bytes,
        elapsed: start.elapsed(),
        latency,
    })
}

/// Reads the first `records` records of partition 0, from the beginning again and again until `bytes` have come.
pub(crate) fn fetch(
    target: &Target,
    records: i64,
    bytes: u64,
    check_crc: bool,
) -> io::Result<Sample> {
    fetch_of(Isolation::Uncommitted, target, (records, bytes), check_crc)
}

/// The same as a reader of that isolation level.
pub(crate) fn fetch_of(
    isolation: Isolation,
    target: &Target,
    (records, bytes): (i64, u64),
    check_crc: bool,
) -> io::Result<Sample> {
    let mut connection = Client::connect(target.address)?;
    let mut stream = connection.stream.try_clone()?;
    let mut sample = Sample::default();
    let mut offset = 0;
    let start = Instant::now();
    while sample.bytes < bytes {
        let sent_at = Instant::now();
        let ask = client::fetch_frame_of(isolation, target.topic, offset);
        stream.write_all(&ask)?;
        connection.receive(|frame| {
            let (next, count) = client::fetched(frame, offset, check_crc)?;
            if count == 0 {
                return Err(io::Error::other("a fetch came back empty"));
            }
            offset = if next >= records { 0 } else { next };
            sample.bytes += count as u64;
            Ok(())
        })?;
        sample.latency.record(sent_at.elapsed());
        sample.requests += 1;
    }
    sample.elapsed = start.elapsed();
    Ok(sample)
}

/// One record at a time to a consumer whose fetch waits for it: the time from sending to having it.
pub(crate) fn end_to_end(target: &Target, count: u64) -> io::Result<Sample> {
    let (mut producer, mut consumer) = (
        Client::connect(target.address)?,
        Client::connect(target.address)?,
    );
    let mut out = producer.stream.try_clone()?;
    let mut ask = consumer.stream.try_clone()?;
    let mut pool = Pool::new(target, 1);
    let mut answers = Answers::new(target);
    let mut sample = Sample::default();
    let start = Instant::now();
    let mut offset = 0;
    while answers.received < count {
        ask.write_all(&client::fetch_frame(target.topic, offset))?;
        let sent_at = Instant::now();
        pool.send(&mut out, 1)?;
        let expected = offset + target.shape.records as i64;
        while offset < expected {
            let before = offset;
            consumer.receive(|frame| {
                (offset, _) = client::fetched(frame, offset, false)?;
                Ok(())
            })?;
            // A long poll may end with nothing; the consumer asks again.
            if offset == before {
                ask.write_all(&client::fetch_frame(target.topic, offset))?;
            }
        }
        sample.latency.record(sent_at.elapsed());
        producer.receive(|frame| answers.take(frame))?;
    }
    sample.requests = count;
    sample.elapsed = start.elapsed();
    Ok(sample)
}
