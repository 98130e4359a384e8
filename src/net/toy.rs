//! A broker of a few lines, for the tests of this room: enough to produce, to wait, to be owed, to be durable later.
//!
//! ```text
//! P p bytes       appends; the reply "ok" waits for the round, and only then are the bytes visible
//! A p bytes       the same without a reply
//! F p min wait    all visible bytes, as a payload, once there are `min` or `wait` ms have passed
//! G p q min wait  "G", on the same terms, for two partitions together
//! J g             "g" and a digit: the second to join answers both, or 100 ms do
//! B n             n KiB of own bytes
//! V n             n KiB of payload
//! X               closes
//! anything else   itself
//! ```

use super::core::Core;
use crate::api::{Cx, Out, Peer};
use crate::broker::Fatal;
use crate::broker::wait::{ConnId, Key, Outcome, Signal, Ticket, Timers, Wait};
use crate::clock::{Mono, Now};
use crate::disk::View;
use crate::disk::lanes::{Completion, Job, Lanes, Round};
use crate::proto::ApiKey;
use crate::proto::Uuid;
use crate::storage::PartitionId;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(super) struct Toy {
    logs: BTreeMap<u8, Log>,
    joining: BTreeMap<u8, Vec<Ticket>>,
    timers: Timers<u8>,
    signals: Vec<Signal>,
    paid: Vec<(Ticket, Vec<u8>)>,
    patient: bool,
    failure: Option<Fatal>,
    /// Not handed out yet.
    pub(super) jobs: Vec<Job<()>>,
    dirty: bool,
    in_flight: bool,
    /// The newest round that was handed out; what is written belongs to the next one.
    pub(super) started: u64,
    pub(super) synced: u64,
    /// How often a handler was asked.
    pub(super) asked_count: usize,
}

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    /// Appends that are not visible yet: their round and the end that it makes visible.
    pending: VecDeque<(u64, usize)>,
    visible: usize,
}

fn key(p: u8) -> Key {
    let topic = Uuid([p + 1; 16]);
    Key::Partition(PartitionId {
        topic,
        partition: 0,
    })
}

impl Toy {
    /// Signals bytes that are not there.
    pub(super) fn overpromise(&mut self, p: u8, bytes: usize) {
        self.signals.push(Signal { key: key(p), bytes });
    }

    /// A write fails for good.
    pub(super) fn fail(&mut self) {
        self.failure = Some(Fatal(io::Error::other("broken")));
    }

    /// Keeps joins from being answered by their timer.
    pub(super) fn hold_joins(&mut self) {
        self.patient = true;
    }

    fn append(&mut self, p: u8, bytes: &[u8]) -> u64 {
        let round = self.started + 1;
        let log = self.logs.entry(p).or_default();
        log.bytes.extend_from_slice(bytes);
        log.pending.push_back((round, log.bytes.len()));
        self.dirty = true;
        round
    }

    fn visible(&self, p: u8) -> &[u8] {
        self.logs
            .get(&p)
            .map_or(&[], |log| &log.bytes[..log.visible])
    }

    fn park(cx: &Cx<'_>, on: &[u8], missing: usize, wait_ms: u8) -> Outcome {
        Outcome::Retry(Wait {
            until: cx.arrived.plus_ms(wait_ms.into()),
            on: on.iter().map(|&p| key(p)).collect(),
            missing,
        })
    }

    fn fetch(&self, cx: &Cx<'_>, on: &[u8], min: u8, wait: u8, out: &mut Out) -> Outcome {
        let found: usize = on.iter().map(|&p| self.visible(p).len()).sum();
        if found < min.into() && !cx.last_call {
            return Toy::park(cx, on, usize::from(min) - found, wait);
        }
        match on {
            [p] => {
                out.bytes.push(b'F');
                let view = View::owned(self.visible(*p).to_vec());
                out.payloads.push((out.bytes.len(), view));
            }
            _ => out.bytes.push(b'G'),
        }
        Outcome::Done
    }

    fn join(&mut self, cx: &mut Cx<'_>, g: u8) -> Outcome {
        let joining = self.joining.entry(g).or_default();
        joining.push(ticket(cx.peer.conn));
        if joining.len() == 2 {
            self.complete(g);
        } else if !self.patient {
            self.timers.set(g, cx.now.mono.plus_ms(100));
        }
        Outcome::Owed
    }

    fn complete(&mut self, g: u8) {
        self.timers.cancel(&g);
        let joining = self.joining.remove(&g).unwrap_or_default();
        let answer = vec![b'g', b'0' + joining.len() as u8];
        self.paid
            .extend(joining.into_iter().map(|ticket| (ticket, answer.clone())));
    }
}

fn ticket(conn: ConnId) -> Ticket {
    Ticket {
        conn,
        correlation_id: 0,
        api_key: ApiKey::Produce,
        version: 0,
    }
}

impl Core for Toy {
    type Fact = Vec<u8>;
    type Worked = ();

    fn handle(&mut self, cx: &mut Cx<'_>, frame: &[u8], out: &mut Out) -> Outcome {
        self.asked_count += 1;
        match frame {
            [b'P', p, bytes @ ..] => {
                out.round = self.append(*p, bytes);
                out.bytes.extend_from_slice(b"ok");
            }
            [b'A', p, bytes @ ..] => {
                self.append(*p, bytes);
                return Outcome::Silent;
            }
            [b'F', p, min, wait] => return self.fetch(cx, &[*p], *min, *wait, out),
            [b'G', p, q, min, wait] => return self.fetch(cx, &[*p, *q], *min, *wait, out),
            [b'J', g] => return self.join(cx, *g),
            [b'B', n] => out.bytes.extend(vec![b'b'; usize::from(*n) << 10]),
            [b'V', n] => {
                let view = View::owned(vec![b'v'; usize::from(*n) << 10]);
                out.payloads.push((out.bytes.len(), view));
            }
            [b'X'] => return Outcome::Close("it asked for it"),
            other => out.bytes.extend_from_slice(other),
        }
        Outcome::Done
    }

    fn answer(&mut self, _ticket: &Ticket, fact: Vec<u8>, out: &mut Out) {
        out.bytes.extend(fact);
    }

    fn absorb(&mut self, _now: Now, done: Completion<()>) -> Result<(), Fatal> {
        let number = match done {
            Completion::Synced(number) => number,
            Completion::SyncFailed(error) => return Err(Fatal(error)),
            Completion::Worked(()) => return Ok(()),
        };
        (self.synced, self.in_flight) = (number, false);
        for (&p, log) in &mut self.logs {
            let before = log.visible;
            while let Some(&(round, end)) = log.pending.front()
                && round <= number
            {
                log.visible = end;
                log.pending.pop_front();
            }
            if log.visible > before {
                let bytes = log.visible - before;
                self.signals.push(Signal { key: key(p), bytes });
            }
        }
        Ok(())
    }

    fn tick(&mut self, now: Now) {
        while let Some(g) = self.timers.pop(now.mono) {
            self.complete(g);
        }
    }

    fn next_deadline(&self) -> Option<Mono> {
        self.timers.next()
    }

    fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.signals)
    }

    fn take_paid(&mut self) -> Vec<(Ticket, Vec<u8>)> {
        std::mem::take(&mut self.paid)
    }

    fn take_jobs(&mut self) -> Vec<Job<()>> {
        std::mem::take(&mut self.jobs)
    }

    fn start_round(&mut self) -> Result<Option<Round>, Fatal> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if !self.dirty || self.in_flight {
            return Ok(None);
        }
        (self.dirty, self.in_flight) = (false, true);
        self.started += 1;
        Ok(Some(Round {
            number: self.started,
            ..Round::default()
        }))
    }

    fn synced_round(&self) -> u64 {
        self.synced
    }

    fn begin_close(&mut self, _now: Now) {}

    fn closed(&self) -> bool {
        !self.dirty && !self.in_flight
    }
}

/// Lanes whose rounds are done when the test says so.
#[derive(Clone, Default)]
pub(super) struct ToyLanes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Rounds are done as soon as they are asked for, and this is told so.
    instant: Option<Box<dyn Fn() + Send>>,
    waiting: Vec<u64>,
    abandoned: bool,
    done: Vec<Completion<()>>,
}

impl ToyLanes {
    pub(super) fn instant() -> ToyLanes {
        ToyLanes::instant_with(|| {})
    }

    pub(super) fn instant_with(tell: impl Fn() + Send + 'static) -> ToyLanes {
        let lanes = ToyLanes::default();
        lanes.inner.lock().unwrap().instant = Some(Box::new(tell));
        lanes
    }

    /// Completes the round in flight. Answers whether there was one.
    pub(super) fn complete(&self) -> bool {
        let mut inner = self.inner.lock().unwrap();
        let waiting: Vec<_> = inner.waiting.drain(..).map(Completion::Synced).collect();
        inner.done.extend(waiting);
        !inner.done.is_empty()
    }

    /// Whether nothing may begin any more.
    pub(super) fn abandoned(&self) -> bool {
        self.inner.lock().unwrap().abandoned
    }

    /// Lets the next round fail.
    pub(super) fn fail(&self) {
        let failed = Completion::SyncFailed(io::Error::other("broken"));
        self.inner.lock().unwrap().done.push(failed);
    }
}

impl Lanes<()> for ToyLanes {
    fn sync(&mut self, round: Round) {
        let mut inner = self.inner.lock().unwrap();
        assert!(inner.waiting.is_empty(), "one round at a time");
        if let Some(tell) = &inner.instant {
            tell();
            inner.done.push(Completion::Synced(round.number));
        } else {
            inner.waiting.push(round.number);
        }
    }

    fn work(&mut self, job: Job<()>) {
        job();
    }

    fn completed(&mut self) -> Vec<Completion<()>> {
        std::mem::take(&mut self.inner.lock().unwrap().done)
    }

    fn abandon(&mut self) {
        self.inner.lock().unwrap().abandoned = true;
    }
}

/// A peer for a connection that has no socket.
pub(super) fn peer(conn: ConnId) -> Peer {
    Peer {
        conn,
        listener: "PLAINTEXT".into(),
        remote: ([127, 0, 0, 1], 40_000).into(),
        local: ([127, 0, 0, 1], 9092).into(),
        principal: "User:ANONYMOUS".into(),
        software: None,
    }
}

/// A frame with its length.
pub(super) fn frame(body: &[u8]) -> Vec<u8> {
    [&i32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// The bodies of the frames in `bytes`, which must be whole.
pub(super) fn bodies(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (body, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        all.push(body.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a frame");
    all
}
