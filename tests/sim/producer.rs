//! Producers: plain ones, which never repeat themselves, and idempotent ones, which repeat themselves until they
//! are told.
//!
//! A plain producer whose connection goes takes everything unanswered for possibly written. An idempotent
//! one sends it again, in the same order and with the same sequence numbers; it sends several batches at once
//! only after its first one at a partition was acknowledged, because an id without any state may begin anywhere.

use crate::call::{self, Author, Reply};
use crate::ledger::State;
use crate::side::Side;
use crate::txns;
use chronikd::broker::wait::ConnId;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use chronikd::proto::{ApiKey, Records, Uuid};
use chronikd::storage::PartitionId;
use std::collections::VecDeque;

/// Before this version of Produce, topics are named.
pub const FIRST_BY_ID: i16 = 13;
/// Batches that an idempotent producer has on their way at most, and writes at most from its oldest unanswered one on:
/// a broker knows as many of them again.
const FLYING: usize = 5;
/// How long a produce may take.
pub const TIMEOUT_MS: i32 = 30_000;

/// How a producer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never repeats; asks for these acks.
    Plain(i16),
    /// Repeats.
    Idempotent,
}

struct Batch {
    first: u64,
    count: usize,
    bytes: Vec<u8>,
    /// Batches that were still to be written, this one among them.
    left: usize,
    /// The request that carries it now.
    flying: Option<i32>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}+{} in {:?}", self.first, self.count, self.flying)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct Producer {
    kind: Kind,
    version: i16,
    at: Option<PartitionId>,
    line: Option<ConnId>,
    /// Nothing more is sent on the line.
    leaving: bool,
    identity: Option<(i64, i16)>,
    asked_identity: bool,
    next_mark: u64,
    next_sequence: i32,
    /// Something of this identity has been acknowledged here.
    confirmed: bool,
    /// Not acknowledged yet, the oldest first.
    queue: VecDeque<Batch>,
    /// Something failed: when nothing flies any more, everything is sent again.
    broken: bool,
    /// Losses of unsynced data, when this identity began.
    losses: u64,
    /// Batches that are still to be written.
    left: usize,
}

impl Producer {
    /// Producer number `number`, from 1, with so many batches to write.
    pub fn new(number: u64, kind: Kind, version: i16, left: usize) -> Producer {
        Producer {
            kind,
            version,
            at: None,
            line: None,
            leaving: false,
            identity: None,
            asked_identity: false,
            next_mark: number << 32 | 1,
            next_sequence: 0,
            confirmed: false,
            queue: VecDeque::new(),
            broken: false,
            losses: 0,
            left,
        }
    }

    /// Everything that was written has been answered, as far as it will be.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.asked_identity
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        (self.line, self.leaving, self.asked_identity) = (None, false, false);
        if self.kind == Kind::Idempotent {
            self.queue.iter_mut().for_each(|batch| batch.flying = None);
            self.broken = true;
        } else {
            self.queue.clear();
        }
    }

    /// Does one thing. A producer that is `finishing` writes nothing new.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            self.take(side, &reply);
        }
        if !side.machine.is_open(line) {
            let may_close =
                self.leaving || self.kind == Kind::Plain(0) || side.machine.is_idle(line);
            assert!(may_close, "the broker has closed a connection");
            side.machine.drop_connection(line);
            self.cut_off();
            return;
        }
        if self.leaving {
            return;
        }
        if !finishing && side.luck.once_in(60) {
            self.leave(side, line);
            return;
        }
        self.send(side, line, finishing);
    }

    /// Hangs up, one way or the other.
    fn leave(&mut self, side: &mut Side<'_>, line: ConnId) {
        if side.luck.once_in(2) {
            side.machine.drop_connection(line);
            self.cut_off();
        } else {
            side.machine.finish(line);
            self.leaving = true;
        }
    }

    fn send(&mut self, side: &mut Side<'_>, line: ConnId, finishing: bool) {
        if self.kind == Kind::Idempotent && self.identity.is_none() {
            if !self.asked_identity && (!finishing || !self.queue.is_empty()) {
                self.ask_identity(side, line);
            }
            return;
        }
        let flying = self
            .queue
            .iter()
            .filter(|batch| batch.flying.is_some())
            .count();
        if self.broken {
            self.broken = flying > 0;
            return;
        }
        let allowed = if self.confirmed { FLYING } else { 1 };
        if flying >= allowed {
            return;
        }
        if flying == self.queue.len() {
            let oldest_left = self.queue.front().map_or(self.left, |oldest| oldest.left);
            let is_far_ahead = oldest_left - self.left >= FLYING;
            if finishing || self.left == 0 || is_far_ahead || !self.choose(side) {
                return;
            }
            self.write(side);
        }
        let at = self.at.expect("a partition, for there are batches");
        let next = self.queue.iter_mut().find(|batch| batch.flying.is_none());
        let batch = next.expect("a batch that does not fly");
        let is_answered = self.kind != Kind::Plain(0);
        let acks = match self.kind {
            Kind::Plain(acks) => acks,
            Kind::Idempotent => -1,
        };
        let correlation = produce(side, line, self.version, (at, acks), &batch.bytes);
        batch.flying = Some(correlation);
        if !is_answered {
            self.queue.clear();
        }
    }

    fn ask_identity(&mut self, side: &mut Side<'_>, line: ConnId) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: -1,
            ..Default::default()
        };
        let version = side.luck.between(0, 5) as i16;
        side.machine
            .ask(line, ApiKey::InitProducerId, version, &request, true);
        self.asked_identity = true;
        self.losses = side.ledger.losses;
    }

    /// Chooses a partition, if there is none; `false` if there is none to be had.
    fn choose(&mut self, side: &mut Side<'_>) -> bool {
        if self.at.is_none() {
            let all = side.ledger.partitions();
            let by_id = self.version >= 13;
            let usable = |at: &&PartitionId| {
                let topic = side.ledger.topic(at.topic);
                (by_id || topic.keeps_name()) && topic.name != txns::KEYED
            };
            let usable: Vec<PartitionId> = all.iter().filter(usable).copied().collect();
            if usable.is_empty() {
                return false;
            }
            self.at = Some(side.luck.pick(&usable));
        }
        true
    }

    /// Writes a new batch.
    fn write(&mut self, side: &mut Side<'_>) {
        let count = side.luck.between(1, 4);
        let filler = match side.luck.below(8) {
            0 => side.luck.below(3000),
            _ => side.luck.below(200),
        };
        let author = self.identity.map(|(id, epoch)| Author {
            id,
            epoch,
            sequence: self.next_sequence,
        });
        let time_ms = side.machine.now.wall_ms;
        let at = self.at.expect("a partition was chosen");
        side.ledger.sending(at, self.next_mark, count);
        self.queue.push_back(Batch {
            first: self.next_mark,
            count,
            bytes: call::batch(self.next_mark, count, filler, time_ms, author),
            left: self.left,
            flying: None,
        });
        self.next_mark += count as u64;
        self.next_sequence += count as i32;
        self.left -= 1;
    }

    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        if reply.api == ApiKey::InitProducerId {
            let response: InitProducerIdResponse = reply.read();
            assert_eq!(response.error_code, ErrorCode::NONE);
            side.ledger.given(response.producer_id);
            self.asked_identity = false;
            if self.identity.is_none() {
                self.identity = Some((response.producer_id, response.producer_epoch));
                (self.next_sequence, self.confirmed) = (0, false);
            }
            return;
        }
        let response: ProduceResponse<'_> = reply.read();
        let partition = &response.responses[0].partition_responses[0];
        let flies = |batch: &Batch| batch.flying == Some(reply.correlation);
        let Some(place) = self.queue.iter().position(flies) else {
            return;
        };
        match partition.error_code {
            ErrorCode::NONE => {
                self.confirmed = true;
                if let Some(batch) = self.queue.remove(place) {
                    let at = self.at.expect("a partition, for a batch was sent");
                    side.ledger
                        .acked(at, partition.base_offset, batch.first, batch.count);
                }
            }
            code => self.failed(side, place, code),
        }
    }

    fn failed(&mut self, side: &mut Side<'_>, place: usize, code: ErrorCode) {
        let at = self.at.expect("a partition, for a batch was sent");
        let topic = side.ledger.topic(at.topic);
        let may_retry = match code {
            ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                assert_ne!(topic.state, State::Exists, "{} is not found", topic.name);
                return self.abandon();
            }
            // A batch before this one has failed.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if place > 0 || self.broken => true,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => {
                let excused = !topic.durable && side.ledger.losses > self.losses;
                assert!(excused, "{} at {at:?}: {:?}", code.0, self.queue[place]);
                return self.abandon();
            }
            ErrorCode::NOT_LEADER_OR_FOLLOWER => true,
            ErrorCode::KAFKA_STORAGE_ERROR if side.machine.budget_bytes() > 0 => {
                side.ledger.txns.tally.note("refused for space");
                if self.kind == Kind::Idempotent {
                    return self.abandon();
                }
                true
            }
            ErrorCode::KAFKA_STORAGE_ERROR => side.ledger.faulty,
            _ => false,
        };
        assert!(
            may_retry,
            "produce failed with {} at {at:?}: {:?}",
            code.0, self.queue[place]
        );
        if self.kind == Kind::Idempotent {
            self.queue[place].flying = None;
            self.broken = true;
        } else if let Some(batch) = self.queue.remove(place) {
            side.ledger.refused(batch.first, batch.count);
        }
    }

    /// Begins anew elsewhere: what is unanswered may be written or not.
    fn abandon(&mut self) {
        self.queue.clear();
        (self.at, self.identity, self.broken, self.confirmed) = (None, None, false, false);
    }
}

/// Sends one batch to one partition; answers the correlation id.
pub fn produce(
    side: &mut Side<'_>,
    line: ConnId,
    version: i16,
    (at, acks): (PartitionId, i16),
    bytes: &[u8],
) -> i32 {
    let name = side.ledger.topic(at.topic).name.clone();
    let by_id = version >= FIRST_BY_ID;
    let request = ProduceRequest {
        acks,
        timeout_ms: TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: if by_id { "" } else { &name },
            topic_id: if by_id { at.topic } else { Uuid::ZERO },
            partition_data: vec![PartitionProduceData {
                index: at.partition,
                records: Records::Here(Some(bytes)),
            }],
        }],
        ..Default::default()
    };
    side.machine
        .ask(line, ApiKey::Produce, version, &request, acks != 0)
}
