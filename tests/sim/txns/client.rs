//! A transactional producer: one request at a time, each repeated until it is answered.
//!
//! A client of version 1 announces partitions and groups before it writes to them, and keeps its epoch. One of version 2
//! writes at once, and gets the next epoch with the answer to EndTxn. Both are told that they are overtaken only when they
//! may be: somebody else has asked for an epoch, or the time of the transaction was over.

use super::asks::{self, Speaker};
use super::history::FIRST_MARK;
use crate::call::{Author, Reply};
use crate::luck::Luck;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::add_offsets_to_txn::AddOffsetsToTxnResponse;
use chronikd::proto::schema::add_partitions_to_txn::AddPartitionsToTxnResponse;
use chronikd::proto::schema::end_txn::EndTxnResponse;
use chronikd::proto::schema::init_producer_id::InitProducerIdResponse;
use chronikd::proto::schema::produce::ProduceResponse;
use chronikd::proto::schema::txn_offset_commit::TxnOffsetCommitResponse;
use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};

/// Producer id and epoch.
pub type Identity = (i64, i16);

/// What a client speaks.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    pub init: i16,
    pub add: i16,
    pub produce: i16,
    pub offsets: i16,
    pub end: i16,
}

/// The version of transactions that a client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Partitions are announced, and the epoch stays.
    First,
    /// The first write is the announcement, and the epoch moves.
    Second,
}

impl Versions {
    fn newest(style: Style) -> Versions {
        match style {
            Style::First => Versions {
                init: 4,
                add: 3,
                produce: 11,
                offsets: 4,
                end: 4,
            },
            Style::Second => Versions {
                init: 5,
                add: 3,
                produce: 13,
                offsets: 5,
                end: 5,
            },
        }
    }

    fn any(style: Style, luck: &mut Luck) -> Versions {
        let mut of = |low, high| luck.between(low, high) as i16;
        match style {
            Style::First => Versions {
                init: of(0, 5),
                add: of(0, 3),
                produce: of(3, 11),
                offsets: of(0, 4),
                end: of(0, 4),
            },
            Style::Second => Versions {
                init: of(4, 5),
                produce: of(12, 13),
                ..Versions::newest(style)
            },
        }
    }
}

/// A request, as it is repeated.
#[derive(Clone, Debug)]
pub enum Ask {
    /// An epoch, please; as somebody new, or as who has one.
    Init { believes: bool },
    /// The partition joins.
    Add(PartitionId),
    /// A batch.
    Produce {
        at: PartitionId,
        first: u64,
        count: usize,
        bytes: Vec<u8>,
    },
    /// The group joins.
    AddGroup,
    /// An offset.
    Offset(PartitionId, i64),
    /// Commit it, or do not.
    End(bool),
}

/// A transaction from this client's side.
#[derive(Clone, Debug)]
struct Work {
    number: i64,
    began_ms: i64,
    batches_left: usize,
    owes_offset: bool,
    commits: bool,
    partitions: BTreeSet<PartitionId>,
    has_group: bool,
    /// Its first request has left.
    is_begun: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Client {
    number: u64,
    /// It has no whims.
    is_steady: bool,
    /// Other clients have the transactional id too.
    is_shared: bool,
    speaker: Speaker,
    has_identity: bool,
    line: Option<ConnId>,
    /// To be sent, or sent: then with its correlation id.
    ask: Option<(Ask, Option<i32>)>,
    /// An earlier sending of it may have been heard.
    may_have_landed: bool,
    work: Option<Work>,
    sequences: BTreeMap<PartitionId, i32>,
    next_mark: u64,
    /// Steps until it wakes up.
    pause: usize,
    /// How long it rests at most when it was overtaken.
    rest: usize,
    /// Transactions that are still to be begun.
    left: usize,
}

impl Client {
    /// That of a seed.
    pub fn any(number: u64, (id, is_shared): (&'static str, bool), side: &mut Side<'_>) -> Client {
        let style = side.luck.pick(&[Style::First, Style::Second]);
        let scripted = Client::scripted(number, id, style, side.luck.between(3, 20));
        Client {
            is_shared,
            is_steady: false,
            speaker: Speaker {
                versions: Versions::any(style, side.luck),
                timeout_ms: side.luck.pick(&[300, 10_000, 60_000, 600_000]),
                ..scripted.speaker
            },
            rest: side.luck.pick(&[5, 60, 300]),
            ..scripted
        }
    }

    /// One that has no whims, for so many transactions.
    pub fn scripted(number: u64, id: &'static str, style: Style, left: usize) -> Client {
        Client {
            number,
            is_shared: false,
            is_steady: true,
            speaker: Speaker {
                id,
                identity: (-1, -1),
                versions: Versions::newest(style),
                timeout_ms: 60_000,
            },
            has_identity: false,
            line: None,
            ask: None,
            may_have_landed: false,
            work: None,
            sequences: BTreeMap::new(),
            next_mark: FIRST_MARK + (number << 32) + 1,
            pause: 0,
            rest: 5,
            left,
        }
    }

    fn is_second(&self) -> bool {
        self.speaker.versions.end >= 5
    }

    /// Whether nothing is begun.
    pub fn is_idle(&self) -> bool {
        self.work.is_none() && self.ask.is_none()
    }

    /// Whether it has begun everything that it is there for.
    pub fn is_through(&self) -> bool {
        self.left == 0
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        self.line = None;
        if let Some((_, flying)) = &mut self.ask {
            self.may_have_landed |= flying.take().is_some();
        }
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        if !finishing && self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            self.take(side, &reply);
        }
        if !side.machine.is_open(line) {
            assert!(
                side.machine.is_idle(line),
                "the broker has closed a connection"
            );
            return self.hang_up(side, line);
        }
        if !finishing && !self.is_steady && self.has_whim(side, line) {
            return;
        }
        if self.ask.is_none() {
            self.ask = self.next(side, finishing).map(|ask| (ask, None));
            self.may_have_landed = false;
        }
        if let Some((ask, flying)) = &mut self.ask
            && flying.is_none()
        {
            *flying = Some(asks::send(side, line, &self.speaker, ask));
        }
    }

    /// It hangs up, falls asleep, or dies and begins anew.
    fn has_whim(&mut self, side: &mut Side<'_>, line: ConnId) -> bool {
        match side.luck.below(400) {
            0..=5 => self.hang_up(side, line),
            6..=7 => self.pause = side.luck.between(5, 90),
            8 => {
                self.hang_up(side, line);
                self.give_up();
            }
            _ => return false,
        }
        true
    }

    fn hang_up(&mut self, side: &mut Side<'_>, line: ConnId) {
        side.machine.drop_connection(line);
        self.cut_off();
    }

    /// Whatever it had is over. What it asked for may still come true.
    fn give_up(&mut self) {
        (self.work, self.ask, self.has_identity) = (None, None, false);
        self.sequences.clear();
    }

    /// What it asks next.
    fn next(&mut self, side: &mut Side<'_>, finishing: bool) -> Option<Ask> {
        if self.work.is_none() {
            if finishing || self.left == 0 {
                return None;
            }
            if !self.has_identity {
                return Some(Ask::Init { believes: false });
            }
            if self.speaker.versions.init >= 3 && side.luck.once_in(12) {
                return Some(Ask::Init { believes: true });
            }
            self.begin(side);
        }
        let all = usable(side);
        let is_second = self.is_second();
        let work = self.work.as_mut()?;
        if !work.is_begun {
            work.is_begun = true;
            work.began_ms = side.machine.now.wall_ms;
        }
        if work.owes_offset && side.luck.once_in(2) {
            if !is_second && !work.has_group {
                return Some(Ask::AddGroup);
            }
            side.ledger.txns.moving(work.number);
            return Some(Ask::Offset(all[0], work.number));
        }
        if work.batches_left > 0 {
            let at = side.luck.pick(&all);
            if !is_second && !work.partitions.contains(&at) {
                return Some(Ask::Add(at));
            }
            work.batches_left -= 1;
            return Some(self.write(side, at));
        }
        if work.owes_offset {
            return self.next(side, finishing);
        }
        if work.commits {
            side.ledger.txns.committing(work.number);
        }
        Some(Ask::End(work.commits))
    }

    fn begin(&mut self, side: &mut Side<'_>) {
        self.left -= 1;
        self.work = Some(Work {
            number: side.ledger.txns.begin(self.speaker.id),
            began_ms: 0,
            batches_left: side.luck.between(1, 5),
            owes_offset: side.luck.once_in(2),
            commits: side.luck.below(3) > 0,
            partitions: BTreeSet::new(),
            has_group: false,
            is_begun: false,
        });
    }

    fn write(&mut self, side: &mut Side<'_>, at: PartitionId) -> Ask {
        let count = side.luck.between(1, 4);
        let filler = side.luck.below(200);
        let first = self.next_mark;
        self.next_mark += count as u64;
        let sequence = self.sequences.entry(at).or_default();
        let author = Author {
            id: self.speaker.identity.0,
            epoch: self.speaker.identity.1,
            sequence: *sequence,
        };
        *sequence += count as i32;
        let work = self.work.as_ref().expect("a transaction to write in");
        side.ledger.txns.writing(work.number, first, count);
        side.ledger.sending(at, first, count);
        Ask::Produce {
            at,
            first,
            count,
            bytes: batch(first, count, filler, side.machine.now.wall_ms, author),
        }
    }

    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        let Some((ask, Some(correlation))) = self.ask.take() else {
            panic!("an answer to nothing")
        };
        assert_eq!(correlation, reply.correlation);
        let code = code_of(&ask, reply);
        match code {
            ErrorCode::NONE => self.succeed(side, ask, reply),
            ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::NOT_LEADER_OR_FOLLOWER => self.ask = Some((ask, None)),
            ErrorCode::KAFKA_STORAGE_ERROR if side.ledger.faulty => self.ask = Some((ask, None)),
            _ => self.fail(side, &ask, code),
        }
    }

    fn succeed(&mut self, side: &mut Side<'_>, ask: Ask, reply: &Reply) {
        match ask {
            Ask::Init { .. } => {
                let response: InitProducerIdResponse = reply.read();
                self.adopt(side, (response.producer_id, response.producer_epoch));
            }
            Ask::Add(at) => {
                self.working().partitions.insert(at);
            }
            Ask::AddGroup => self.working().has_group = true,
            Ask::Offset(..) => self.working().owes_offset = false,
            Ask::Produce {
                at, first, count, ..
            } => {
                let response: ProduceResponse<'_> = reply.read();
                let partition = &response.responses[0].partition_responses[0];
                side.ledger.acked(at, partition.base_offset, first, count);
            }
            Ask::End(commits) => {
                let number = self.working().number;
                self.work = None;
                if commits {
                    side.ledger.txns.committed(number);
                }
                if self.is_second() {
                    let response: EndTxnResponse = reply.read();
                    self.adopt(side, (response.producer_id, response.producer_epoch));
                }
            }
        }
    }

    fn working(&mut self) -> &mut Work {
        self.work.as_mut().expect("a transaction")
    }

    fn adopt(&mut self, side: &mut Side<'_>, identity: Identity) {
        let is_new = side
            .ledger
            .txns
            .given(self.speaker.id, self.number, identity);
        if is_new {
            side.ledger.given(identity.0);
        }
        (self.speaker.identity, self.has_identity) = (identity, true);
        self.sequences.clear();
    }

    /// Somebody has overtaken this client, or its time is over.
    fn fail(&mut self, side: &mut Side<'_>, ask: &Ask, code: ErrorCode) {
        let is_overtaken = matches!(
            code,
            ErrorCode::PRODUCER_FENCED
                | ErrorCode::INVALID_PRODUCER_EPOCH
                | ErrorCode::INVALID_PRODUCER_ID_MAPPING
                | ErrorCode::INVALID_TXN_STATE
                | ErrorCode::TRANSACTION_ABORTABLE
                | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        );
        assert!(
            is_overtaken && self.may_be_overtaken(side),
            "{} to {ask:?} of {self:?}",
            code.0
        );
        if let (Some(work), Ask::End(true), false) = (&self.work, ask, self.may_have_landed) {
            side.ledger.txns.refused(work.number);
        }
        self.give_up();
        self.pause = side.luck.below(self.rest);
    }

    fn may_be_overtaken(&self, side: &Side<'_>) -> bool {
        let timeout_ms = i64::from(self.speaker.timeout_ms);
        let now_ms = side.machine.now.wall_ms;
        let is_late = |work: &Work| now_ms - work.began_ms >= timeout_ms;
        self.work.as_ref().is_some_and(is_late) || self.is_shared
    }
}

/// The partitions that transactions write to: those where acknowledgements wait for the disk, and that are not deleted.
pub fn usable(side: &Side<'_>) -> Vec<PartitionId> {
    let all = side.ledger.partitions().into_iter();
    let usable = all.filter(|at| {
        let topic = side.ledger.topic(at.topic);
        topic.durable && !topic.name.starts_with("extra")
    });
    usable.collect()
}

fn batch(first: u64, count: usize, filler: usize, time_ms: i64, author: Author) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0)
        .producer(author.id, author.epoch, author.sequence)
        .transactional();
    for mark in first..first + count as u64 {
        let mut value = mark.to_be_bytes().to_vec();
        value.resize(8 + filler, mark as u8);
        builder.push(time_ms, None, Some(&value));
    }
    builder.build(None).expect("a batch")
}

fn code_of(ask: &Ask, reply: &Reply) -> ErrorCode {
    match ask {
        Ask::Init { .. } => reply.read::<InitProducerIdResponse>().error_code,
        Ask::Add(_) => {
            let response: AddPartitionsToTxnResponse<'_> = reply.read();
            let topic = &response.results_by_topic_v3_and_below[0];
            topic.results_by_partition[0].partition_error_code
        }
        Ask::Produce { .. } => {
            let response: ProduceResponse<'_> = reply.read();
            response.responses[0].partition_responses[0].error_code
        }
        Ask::AddGroup => reply.read::<AddOffsetsToTxnResponse>().error_code,
        Ask::Offset(..) => {
            let response: TxnOffsetCommitResponse<'_> = reply.read();
            response.topics[0].partitions[0].error_code
        }
        Ask::End(_) => reply.read::<EndTxnResponse>().error_code,
    }
}
