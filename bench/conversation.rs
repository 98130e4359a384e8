//! Producers of transactions at work: each has one request under way and runs one transaction after the other.
//!
//! Half of them share a connection, so that what they wait for are syncs and not a wake-up each; and two connections
//! are two files of the bare loop, which so syncs as many files in a round as a broker: there these are log and
//! journal.

use crate::client::{Client, bad};
use crate::histogram::Histogram;
use crate::load::Sample;
use crate::producer::{Heard, Producer};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Has the producers run `count` transactions over two connections, each of them at least one. The latency is that of a
/// whole transaction.
pub(crate) fn converse(
    address: SocketAddr,
    producers: &mut [Producer],
    count: u64,
) -> io::Result<Sample> {
    let batch_bytes = producers.first().map_or(0, Producer::batch_bytes);
    let begun = AtomicU64::new(producers.len() as u64);
    let talk = |producers| Talk::new(producers, &begun, count).run(Client::connect(address)?);
    let (one, other) = producers.split_at_mut(producers.len().div_ceil(2));
    let start = Instant::now();
    let latencies = thread::scope(|scope| {
        let beside = scope.spawn(|| talk(one));
        let here = talk(other);
        let beside = beside.join();
        let beside = beside.map_err(|_| bad("a connection panicked"))?;
        io::Result::Ok([here?, beside?])
    })?;
    let mut latency = Histogram::default();
    latencies.iter().for_each(|part| latency.add(part));
    Ok(Sample {
        requests: count,
        bytes: count * batch_bytes,
        elapsed: start.elapsed(),
        latency,
    })
}

/// One transaction of one producer. Answers when its last request was sent, and fails where one has to be sent again.
pub(crate) fn one(client: &mut Client, producer: &mut Producer) -> io::Result<Instant> {
    let mut frame = Vec::new();
    loop {
        frame.clear();
        producer.say(&mut frame);
        let sent_at = Instant::now();
        client.stream.write_all(&frame)?;
        let mut heard = Heard::Again;
        client.receive(|frame| {
            heard = producer.hear(frame)?;
            Ok(())
        })?;
        match heard {
            Heard::Over => return Ok(sent_at),
            Heard::GoOn => {}
            Heard::Again => return Err(bad("the last transaction was still being ended")),
        }
    }
}

/// The producers that share a connection.
struct Talk<'a> {
    producers: &'a mut [Producer],
    /// Transactions that have begun, on all connections, and how many are wanted.
    begun: &'a AtomicU64,
    count: u64,
    /// When the producers' transactions began.
    began_at: Vec<Instant>,
    /// Who waits for an answer, in the order of the requests.
    asked: VecDeque<usize>,
    /// Requests that are to be sent.
    out: Vec<u8>,
    latency: Histogram,
}

impl<'a> Talk<'a> {
    fn new(producers: &'a mut [Producer], begun: &'a AtomicU64, count: u64) -> Talk<'a> {
        Talk {
            began_at: vec![Instant::now(); producers.len()],
            producers,
            begun,
            count,
            asked: VecDeque::new(),
            out: Vec::new(),
            latency: Histogram::default(),
        }
    }

    fn run(mut self, mut client: Client) -> io::Result<Histogram> {
        (0..self.producers.len()).for_each(|who| self.say(who));
        while !self.asked.is_empty() {
            client.stream.write_all(&self.out)?;
            self.out.clear();
            client.receive(|frame| self.hear(frame))?;
        }
        Ok(self.latency)
    }

    fn hear(&mut self, frame: &[u8]) -> io::Result<()> {
        let who = self.asked.pop_front();
        let who = who.ok_or_else(|| bad("an answer too many"))?;
        match self.producers[who].hear(frame)? {
            Heard::Again | Heard::GoOn => self.say(who),
            Heard::Over => {
                self.latency.record(self.began_at[who].elapsed());
                self.begin_next(who);
            }
        }
        Ok(())
    }

    /// Begins another transaction, unless there have been enough.
    fn begin_next(&mut self, who: usize) {
        if self.begun.fetch_add(1, Ordering::Relaxed) < self.count {
            self.began_at[who] = Instant::now();
            self.say(who);
        }
    }

    fn say(&mut self, who: usize) {
        self.producers[who].say(&mut self.out);
        self.asked.push_back(who);
    }
}
