//! A transactional producer: it carries out one job after the other, and repeats each request until it is answered.
//!
//! A client of version 1 announces partitions and groups before it writes to them, and keeps its epoch. One of version
//! 2 writes at once, and gets the next epoch with the answer to EndTxn. Batches fly side by side, everything else
//! alone. Both are told that they are overtaken only when they may be: somebody else has asked for an epoch, the time
//! of the transaction was over, or the transactional id is forgotten.
//!
//! When a connection is lost, whatever was not answered is sent again on the next one. What flew on the old one may be
//! heard long after that: it is a **ghost**. Only those of version 2 leave any, for in version 1 nothing tells a
//! ghost's EndTxn from that of the next transaction.

mod plan;

use super::asks::{self, Ask, Identity, Speaker};
use super::job::Job;
use super::verdict::{self, Verdict};
use super::versions::{Style, Versions};
use crate::call::{FIRST_MARK, Reply};
use crate::ledger::State;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::end_txn::EndTxnResponse;
use chronikd::proto::schema::init_producer_id::InitProducerIdResponse;
use chronikd::proto::schema::produce::ProduceResponse;
use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Batches that fly side by side at most: as many as a log remembers of a producer.
const FLYING: usize = 5;

/// A transaction from this client's side.
#[derive(Clone, Debug)]
pub struct Work {
    /// What is left of it.
    pub job: Job,
    /// When it was begun.
    pub began_ms: i64,
    partitions: BTreeSet<PartitionId>,
    has_group: bool,
    /// Its partitions were looked at.
    is_verified: bool,
    /// A partition that it had announced was deleted.
    shuns_extras: bool,
    /// Something of it is with the broker, as far as the client was told.
    has_begun: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Client {
    number: u64,
    /// It has no whims.
    is_steady: bool,
    /// Other clients have the transactional id too, or somebody meddles with it.
    pub is_shared: bool,
    /// Of version 1: its first batch flies beside the announcement of the partition.
    pub is_hasty: bool,
    /// Its jobs are given to it.
    is_employed: bool,
    /// Who it is.
    pub speaker: Speaker,
    has_identity: bool,
    line: Option<ConnId>,
    /// To be sent, the oldest first.
    outbox: VecDeque<Ask>,
    /// Sent, and not answered.
    flying: VecDeque<(Ask, i32)>,
    /// Refused for the moment: to be sent again when nothing flies.
    again: VecDeque<Ask>,
    /// An earlier sending of its EndTxn may have been heard.
    may_have_landed: bool,
    /// What it is doing.
    pub work: Option<Work>,
    /// Whether its last job was acknowledged as committed.
    pub has_committed: bool,
    sequences: BTreeMap<PartitionId, i32>,
    /// Where a batch of this identity was acknowledged.
    confirmed: BTreeSet<PartitionId>,
    next_mark: u64,
    /// Steps until it wakes up.
    pause: usize,
    /// How long it rests at most when it was overtaken.
    rest: usize,
    /// When the first request left of those that fly, and of those that were heard last.
    flight_ms: i64,
    /// See there.
    pub touched_ms: i64,
    /// Whether the member whose offsets fly was one when they left.
    pub was_seated: bool,
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
            is_hasty: style == Style::First && side.luck.once_in(2),
            speaker: Speaker {
                versions: Versions::any(style, side.luck),
                timeout_ms: side.luck.pick(&[300, 10_000, 60_000, 120_000]),
                ..scripted.speaker
            },
            rest: side.luck.pick(&[5, 60, 300]),
            ..scripted
        }
    }

    /// One that waits for the jobs it is given, and speaks of members.
    pub fn employed(mut self) -> Client {
        const KNOWS_MEMBERS: i16 = 3;
        (self.left, self.is_employed) = (0, true);
        self.speaker.timeout_ms = self.speaker.timeout_ms.max(60_000);
        let versions = &mut self.speaker.versions;
        versions.offsets = versions.offsets.max(KNOWS_MEMBERS);
        self
    }

    /// One that has no whims, for so many transactions.
    pub fn scripted(number: u64, id: &'static str, style: Style, left: usize) -> Client {
        Client {
            number,
            is_shared: false,
            is_steady: true,
            is_hasty: false,
            is_employed: false,
            speaker: Speaker {
                id,
                identity: (-1, -1),
                versions: Versions::newest(style),
                timeout_ms: 60_000,
            },
            has_identity: false,
            line: None,
            outbox: VecDeque::new(),
            flying: VecDeque::new(),
            again: VecDeque::new(),
            may_have_landed: false,
            work: None,
            has_committed: false,
            sequences: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            next_mark: FIRST_MARK + (number << 32) + 1,
            pause: 0,
            rest: 5,
            flight_ms: 0,
            touched_ms: 0,
            was_seated: false,
            left,
        }
    }

    fn is_second(&self) -> bool {
        self.speaker.versions.end >= 5
    }

    /// Whether nothing is begun.
    pub fn is_idle(&self) -> bool {
        let is_silent = self.outbox.is_empty() && self.flying.is_empty() && self.again.is_empty();
        self.work.is_none() && is_silent
    }

    /// Whether it has an identity and nothing to do.
    pub fn is_ready(&self) -> bool {
        self.has_identity && self.is_idle()
    }

    /// Whether it has begun everything that it is there for.
    pub fn is_through(&self) -> bool {
        self.left == 0
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        self.line = None;
        let is_end = |(ask, _): &(Ask, i32)| matches!(ask, Ask::End(_));
        self.may_have_landed |= self.flying.iter().any(is_end);
        let flown = self.flying.drain(..).map(|(ask, _)| ask);
        self.again.extend(flown);
        self.send_again();
    }

    fn send_again(&mut self) {
        while let Some(ask) = self.again.pop_back() {
            self.outbox.push_front(ask);
        }
    }

    /// Does a few things.
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
            if self.line.is_none() {
                return side.machine.drop_connection(line);
            }
        }
        if !side.machine.is_open(line) {
            let is_idle = side.machine.is_idle(line);
            assert!(is_idle, "the broker has closed a connection");
            side.machine.drop_connection(line);
            return self.cut_off();
        }
        if !finishing && !self.is_steady && self.has_whim(side, line) {
            return;
        }
        for _ in 0..side.luck.between(1, 3) {
            self.say(side, line, finishing);
        }
    }

    /// Says the next thing, if it is time for that.
    fn say(&mut self, side: &mut Side<'_>, line: ConnId, finishing: bool) {
        if !self.again.is_empty() {
            return;
        }
        if self.outbox.is_empty() {
            let planned = self.plan(side, finishing);
            self.outbox.extend(planned);
            if self.flying.is_empty() {
                self.flight_ms = side.machine.now.wall_ms;
            }
        }
        if self.outbox.front().is_some_and(|ask| self.may_fly(ask))
            && let Some(ask) = self.outbox.pop_front()
        {
            if let Ask::Offset(moved) = &ask {
                self.was_seated = moved.seat.is_current(side);
            }
            let correlation = asks::send(side, line, &self.speaker, &ask);
            self.flying.push_back((ask, correlation));
        }
    }

    /// Whether it may be sent beside what flies. A log that has no batch of a producer takes any for the first one, of
    /// version 1.
    fn may_fly(&self, ask: &Ask) -> bool {
        let Ask::Produce { at, .. } = ask else {
            return self.flying.is_empty();
        };
        let goes_with = |(before, _): &(Ask, i32)| match before {
            Ask::Produce { at: there, .. } => {
                self.is_second() || there != at || self.confirmed.contains(at)
            }
            Ask::Add(_) => self.is_hasty,
            _ => false,
        };
        self.flying.len() < FLYING && self.flying.iter().all(goes_with)
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
        if !self.flying.is_empty() {
            side.ledger.txns.tally.note("lost answers");
        }
        let mut flying = self.flying.iter();
        let is_bound = |(ask, _): &(Ask, i32)| {
            matches!(ask, Ask::Produce { .. } | Ask::Offset(_) | Ask::End(_))
        };
        if !self.flying.is_empty() && self.is_second() && flying.all(is_bound) {
            side.ledger.txns.tally.note("ghosts");
            side.machine.finish(line);
        } else {
            side.machine.drop_connection(line);
        }
        self.cut_off();
    }

    /// Whatever it had is over. What it asked for may still come true.
    fn give_up(&mut self) {
        (self.work, self.has_identity, self.has_committed) = (None, false, false);
        self.outbox.clear();
        self.sequences.clear();
        self.confirmed.clear();
        (self.line, self.flying, self.again) = Default::default();
    }

    /// It dies for good.
    pub fn vanish(&mut self, side: &mut Side<'_>) {
        if let Some(line) = self.line {
            side.machine.drop_connection(line);
        }
        self.give_up();
        self.left = 0;
    }

    /// Gives it a job.
    pub fn employ(&mut self, job: Job, side: &Side<'_>) {
        self.work = Some(Work {
            job,
            began_ms: side.machine.now.wall_ms,
            partitions: BTreeSet::new(),
            has_group: false,
            is_verified: false,
            shuns_extras: false,
            has_begun: false,
        });
        (self.may_have_landed, self.has_committed) = (false, false);
    }
}

/// What it is told.
impl Client {
    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        let (ask, correlation) = self.flying.pop_front().expect("an answer to something");
        assert_eq!(correlation, reply.correlation);
        let code = asks::code_of(&ask, reply);
        match verdict::on(side, self, &ask, code) {
            Verdict::Done => {
                // An EndTxn may repeat what a timeout has done before.
                if !matches!(ask, Ask::End(_)) {
                    self.touched_ms = self.flight_ms;
                }
                self.succeed(side, ask, reply);
            }
            Verdict::Expected => {}
            Verdict::Again => self.again.push_back(ask),
            Verdict::Gone => self.go_without(side, ask),
            Verdict::Replaced => self.working().job.give_up(),
            Verdict::Overtaken => return self.fail(side, &ask),
        }
        if self.flying.is_empty() {
            self.send_again();
        }
    }

    /// Announces the others again. A batch of a topic that is deleted is no loss.
    fn go_without(&mut self, side: &Side<'_>, ask: Ask) {
        self.working().shuns_extras = true;
        if let Ask::Add(mut all) = ask {
            all.retain(|at| side.ledger.topic(at.topic).state == State::Exists);
            self.again.push_back(Ask::Add(all));
        }
    }

    /// Whether something before this batch was refused that it cannot be taken without, and that will come again.
    pub fn follows_refused(&self, ask: &Ask, code: ErrorCode) -> bool {
        let Ask::Produce { at, .. } = ask else {
            return false;
        };
        let is_needed = |before: &Ask| match before {
            Ask::Produce { at: there, .. } => {
                there == at && code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            }
            Ask::Add(_) => matches!(
                code,
                ErrorCode::INVALID_TXN_STATE | ErrorCode::TRANSACTION_ABORTABLE
            ),
            _ => false,
        };
        self.again.iter().any(is_needed)
    }

    fn succeed(&mut self, side: &mut Side<'_>, ask: Ask, reply: &Reply) {
        match ask {
            Ask::Init { .. } => {
                let response: InitProducerIdResponse = reply.read();
                self.adopt(side, (response.producer_id, response.producer_epoch));
            }
            Ask::Add(all) => self.working().partitions.extend(all),
            Ask::Verify(at, is_in) => assert!(is_in, "{at:?} was never added"),
            Ask::AddGroup(_) => self.working().has_group = true,
            Ask::Offset(_) => {
                (self.working().job.moved, self.working().has_begun) = (None, true);
                if self.is_employed && !self.is_steady && side.luck.once_in(3) {
                    self.pause = side.luck.between(20, 150);
                }
            }
            Ask::Produce {
                at, first, count, ..
            } => {
                let response: ProduceResponse<'_> = reply.read();
                let partition = &response.responses[0].partition_responses[0];
                side.ledger.acked(at, partition.base_offset, first, count);
                self.confirmed.insert(at);
                self.working().has_begun = true;
            }
            Ask::End(commits) => {
                let number = self.working().job.number;
                (self.work, self.has_committed) = (None, commits);
                side.ledger.txns.ended(number, commits);
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
        let id = self.speaker.id;
        if side.ledger.txns.given(id, self.number, identity) {
            side.ledger.given(identity.0);
        }
        (self.speaker.identity, self.has_identity) = (identity, true);
        self.sequences.clear();
        self.confirmed.clear();
    }

    /// Somebody has overtaken this client, or its time is over.
    fn fail(&mut self, side: &mut Side<'_>, ask: &Ask) {
        if let (Some(work), Ask::End(true), false) = (&self.work, ask, self.may_have_landed) {
            side.ledger.txns.refused(work.job.number);
        }
        self.give_up();
        self.pause = side.luck.below(self.rest);
    }

    /// What has happened, for a panic.
    pub fn describe(&self, ask: &Ask, code: ErrorCode) -> String {
        format!("{} to {ask:?} of {self:?}", code.0)
    }
}
