//! A scripted run: one request after the other, each until its answer is there. No chance but the disk's.
//!
//! What is refused because the disk is full, or has failed, is tried again; from the third time on the disk is
//! whole again, so a script comes to its end unless the broker stops.

mod changes;
mod deletions;
mod groups;
mod txns;

use crate::admin::{Admin, Flavour};
use crate::call::{self, Author};
use crate::fetcher::Fetcher;
use crate::groups::Crowd;
use crate::ledger::{End, Ledger};
use crate::luck::Luck;
use crate::machine::{Machine, Stopped};
use crate::producer;
use crate::side::Side;
use crate::txns::Troupe;
use chronikd::broker::wait::ConnId;
use chronikd::config::BrokerConfig;
use chronikd::disk::sim::Survives;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::produce::ProduceResponse;
use chronikd::proto::{ApiKey, Uuid};
use chronikd::storage::PartitionId;
use std::collections::VecDeque;

/// What a step of a script answers.
pub type Step = Result<(), Stopped>;

/// Turns until an answer must be there.
const PATIENCE: usize = 2_000;
/// How often a request is tried before the disk is whole again.
const TRIES: usize = 3;
const PRODUCE: i16 = 13;

/// A batch on its way.
#[derive(Clone, Debug)]
struct Unanswered {
    at: PartitionId,
    first: u64,
    count: usize,
    bytes: Vec<u8>,
    repeats: bool,
}

/// See the head of this file.
pub struct Script {
    /// The machine that it runs on.
    pub machine: Machine,
    /// What was promised.
    pub ledger: Ledger,
    luck: Luck,
    line: Option<ConnId>,
    next_mark: u64,
    author: Option<Author>,
    unanswered: VecDeque<Unanswered>,
    crowd: Crowd,
    troupe: Troupe,
    /// The lanes take one step in a turn.
    is_slow: bool,
}

impl Script {
    /// An empty disk, and no broker.
    pub fn new(config: BrokerConfig) -> Script {
        Script::on(Machine::new(1, config), Ledger::new())
    }

    fn on(machine: Machine, mut ledger: Ledger) -> Script {
        ledger.has_budget = machine.budget_bytes() > 0;
        Script {
            machine,
            ledger,
            luck: Luck::new(1),
            line: None,
            next_mark: 1 << 32 | 1,
            author: None,
            unanswered: VecDeque::new(),
            crowd: Crowd::default(),
            troupe: Troupe::default(),
            is_slow: false,
        }
    }

    /// A copy of the disk and of what was promised; no broker runs in it.
    pub fn fork(&self, seed: u64) -> Script {
        let mut fork = Script::on(self.machine.fork(seed), self.ledger.clone());
        (fork.next_mark, fork.author) = (self.next_mark, self.author);
        fork.unanswered.clone_from(&self.unanswered);
        fork.crowd = self.crowd.clone();
        fork.crowd.cut_off();
        fork.troupe = self.troupe.clone();
        fork.troupe.cut_off();
        fork
    }

    fn side(&mut self) -> Side<'_> {
        Side {
            machine: &mut self.machine,
            ledger: &mut self.ledger,
            luck: &mut self.luck,
        }
    }

    /// Power failure.
    pub fn crash(&mut self, survives: Survives) {
        self.machine.crash(survives);
        self.ledger.ended(End::Power);
        self.cut_off();
    }

    /// The process dies.
    pub fn kill(&mut self) {
        self.machine.kill();
        self.ledger.ended(End::Kill);
        self.cut_off();
    }

    fn cut_off(&mut self) {
        self.line = None;
        self.crowd.cut_off();
        self.troupe.cut_off();
    }

    /// Starts the broker, and waits until everything is loaded.
    pub fn open(&mut self) -> Step {
        self.machine.start(&mut self.ledger)?;
        self.until(|script| script.machine.broker().storage.loading() == 0)
    }

    /// Turns, and everything that they set going, until something holds.
    fn until(&mut self, mut done: impl FnMut(&mut Script) -> bool) -> Step {
        for _ in 0..PATIENCE {
            for id in self.machine.connections() {
                self.machine.deliver(id, usize::MAX);
            }
            self.machine.turn(&mut self.ledger)?;
            // What the lanes have still to do must not be needed for what was answered.
            if done(self) {
                return Ok(());
            }
            while self.machine.step_sync()? && !self.is_slow {}
            while self.machine.run_work()? && !self.is_slow {}
            self.machine.pass_ms(1);
        }
        panic!("nothing comes of it");
    }

    /// Lets the lanes come to rest.
    pub fn rest(&mut self) -> Step {
        let mut calm = 0;
        self.until(|script| {
            calm = if script.machine.has_work() {
                0
            } else {
                calm + 1
            };
            calm > 3
        })
    }

    /// Time passes, and what is due happens.
    pub fn pass_ms(&mut self, ms: i64) -> Step {
        self.machine.pass_ms(ms);
        self.rest()
    }

    fn line(&mut self) -> ConnId {
        let machine = &mut self.machine;
        *self.line.get_or_insert_with(|| machine.connect())
    }

    /// The topic of that name; it must exist.
    pub fn topic(&self, name: &str) -> Uuid {
        let named = self.ledger.existing().find(|topic| topic.name == name);
        named.expect("a topic that exists").id
    }

    /// Runs a question of an administrator to its answer.
    fn administer(&mut self, ask: impl Fn(&mut Admin, &mut Side<'_>)) -> Step {
        let mut admin = Admin::default();
        ask(&mut admin, &mut self.side());
        self.until(|script| {
            admin.step(&mut script.side(), true);
            admin.is_idle()
        })?;
        admin.hang_up(&mut self.side());
        Ok(())
    }

    /// Creates a topic.
    pub fn create(&mut self, name: &str, partitions: i32, flavour: Flavour) -> Step {
        for attempt in 1.. {
            self.administer(|admin, side| admin.create(side, name, partitions, flavour))?;
            if !self.ledger.named(name).is_empty() {
                break;
            }
            self.heal_after(attempt);
        }
        Ok(())
    }

    /// Deletes a topic.
    pub fn delete(&mut self, name: &str) -> Step {
        let id = self.topic(name);
        self.administer(|admin, side| admin.delete(side, id))
    }

    fn heal_after(&mut self, attempt: usize) {
        assert!(
            self.ledger.faulty,
            "the disk is whole, and yet something was refused"
        );
        if attempt == TRIES {
            self.machine.disk.heal();
            self.machine.disk.set_capacity(None);
        }
        assert!(
            attempt <= TRIES,
            "the disk is whole again, and yet something was refused"
        );
    }

    /// Gets a producer id.
    pub fn identify(&mut self) -> Step {
        let line = self.line();
        let request = InitProducerIdRequest::default();
        self.machine
            .ask(line, ApiKey::InitProducerId, 4, &request, true);
        let reply = self.reply(line)?;
        let response: InitProducerIdResponse = reply.read();
        assert_eq!(response.error_code, ErrorCode::NONE);
        self.ledger.given(response.producer_id);
        self.author = Some(Author {
            id: response.producer_id,
            epoch: response.producer_epoch,
            sequence: 0,
        });
        Ok(())
    }

    fn reply(&mut self, line: ConnId) -> Result<call::Reply, Stopped> {
        let mut replies = Vec::new();
        self.until(|script| {
            replies = script.machine.take_replies(line);
            !replies.is_empty()
        })?;
        Ok(replies.remove(0))
    }

    /// Writes a batch and waits for its acknowledgement.
    pub fn produce(&mut self, name: &str, partition: i32, count: usize, filler: usize) -> Step {
        self.send(name, partition, count, filler);
        self.answers()
    }

    /// Sends a batch.
    pub fn send(&mut self, name: &str, partition: i32, count: usize, filler: usize) {
        let at = PartitionId {
            topic: self.topic(name),
            partition,
        };
        let first = self.next_mark;
        self.next_mark += count as u64;
        self.ledger.sending(at, first, count);
        let time_ms = self.machine.now.wall_ms;
        let bytes = call::batch(first, count, filler, time_ms, self.author);
        if let Some(author) = &mut self.author {
            author.sequence += count as i32;
        }
        let unanswered = Unanswered {
            at,
            first,
            count,
            bytes,
            repeats: self.author.is_some(),
        };
        self.transmit(&unanswered);
        self.unanswered.push_back(unanswered);
    }

    fn transmit(&mut self, batch: &Unanswered) {
        let line = self.line();
        producer::produce(
            &mut self.side(),
            line,
            PRODUCE,
            (batch.at, -1),
            &batch.bytes,
        );
    }

    /// Waits for the answers to everything that was sent. What was refused is sent again.
    pub fn answers(&mut self) -> Step {
        let mut attempt = 0;
        while !self.unanswered.is_empty() {
            let sent = std::mem::take(&mut self.unanswered);
            self.unanswered.clone_from(&sent);
            let mut refused = VecDeque::new();
            let mut replies = Vec::new();
            let line = self.line();
            self.until(|script| {
                replies.extend(script.machine.take_replies(line));
                replies.len() == sent.len()
            })?;
            for (batch, reply) in sent.into_iter().zip(replies) {
                if !self.take(&batch, &reply) {
                    refused.push_back(batch);
                }
            }
            self.unanswered.clone_from(&refused);
            if !refused.is_empty() {
                attempt += 1;
                self.heal_after(attempt);
            }
            refused.iter().for_each(|batch| self.transmit(batch));
        }
        Ok(())
    }

    fn take(&mut self, batch: &Unanswered, reply: &call::Reply) -> bool {
        let response: ProduceResponse<'_> = reply.read();
        let partition = &response.responses[0].partition_responses[0];
        match partition.error_code {
            ErrorCode::NONE => {
                self.ledger
                    .acked(batch.at, partition.base_offset, batch.first, batch.count);
                true
            }
            ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                if self.ledger.faulty =>
            {
                false
            }
            code => panic!("produce failed with {}", code.0),
        }
    }

    /// Reads every partition, and holds it against what was promised.
    pub fn audit(&mut self) -> Step {
        let all = self.ledger.partitions();
        let mut auditor = Fetcher::auditor(&all, &mut self.side());
        self.until(|script| {
            auditor.step(&mut script.side(), true);
            auditor.is_idle(&mut script.side())
        })?;
        for (at, batches) in auditor.into_kept() {
            self.ledger.audit(self.machine.broker(), at, &batches);
        }
        Ok(())
    }

    /// The clean stop.
    pub fn close(&mut self) -> Step {
        self.machine.begin_stop();
        self.ledger.stopping = true;
        self.until(|script| script.machine.is_stopped())
    }

    /// There is room again: the next record of every partition is taken, at the first attempt, and nothing is torn.
    pub fn check_goes_on(&mut self) -> Step {
        self.ledger.faulty = false;
        for at in self.ledger.partitions() {
            let name = self.ledger.topic(at.topic).name.clone();
            self.author = None;
            self.produce(&name, at.partition, 2, 50)?;
        }
        self.audit()
    }

    /// After a crash: everything promised is there, the broker works on, and stops cleanly.
    pub fn check_recovery(&mut self) -> Step {
        self.ledger.faulty = false;
        self.open()?;
        self.audit()?;
        self.check_transactions()?;
        self.repeat()?;
        for at in self.ledger.partitions() {
            let name = self.ledger.topic(at.topic).name.clone();
            self.author = None;
            self.produce(&name, at.partition, 2, 50)?;
        }
        self.check_groups()?;
        let places = self.crowd.places();
        self.close()?;
        self.machine.crash(Survives::Nothing);
        self.ledger.ended(End::Clean);
        self.cut_off();
        self.open()?;
        self.audit()?;
        self.check_transactions()?;
        self.gather()?;
        assert_eq!(self.crowd.places(), places, "a restart has moved somebody");
        Ok(())
    }

    /// Idempotent batches that were not answered are sent again.
    fn repeat(&mut self) -> Step {
        let exists = self.ledger.partitions();
        self.unanswered
            .retain(|batch| batch.repeats && exists.contains(&batch.at));
        let all: Vec<Unanswered> = self.unanswered.iter().cloned().collect();
        all.iter().for_each(|batch| self.transmit(batch));
        self.answers()
    }
}
