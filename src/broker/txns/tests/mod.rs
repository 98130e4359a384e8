//! The coordinator under a simulated clock. Logs are models that keep what Kafka's producer state keeps; rounds end when
//! the test says so. Everything that is decided is journaled as the broker does it and read back, and the
//! invariants are checked after every step.

mod ending;
mod fencing;
mod initializing;
mod joining;
mod random;
mod restarting;

use super::*;
use crate::clock::{Mono, Now};
use crate::journal::Change;
use crate::proto::Uuid;
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

const ID: &str = "orders";
const TIMEOUT_MS: i32 = 60_000;
const V1: i16 = 0;
const V2: i16 = BUMPING_VERSION;

/// What EndTxn answers.
type Answer = Result<(i64, i16), ErrorCode>;

/// The transactions, the clock, the journal and the logs.
struct Desk {
    txns: Transactions,
    now: Now,
    /// What is written now belongs to this round.
    gathering: u64,
    synced: u64,
    /// What `transaction.version` is finalized at.
    finalized: i16,
    next_id: i64,
    journal: Vec<Record>,
    /// Markers as they were written: where, by whom, in which epoch, and whether they commit.
    markers: Vec<(PartitionId, i64, i16, bool)>,
    /// The disk takes no markers.
    full: bool,
}

fn desk() -> Desk {
    Desk {
        txns: Transactions::default(),
        now: Now {
            mono: Mono(0).plus_ms(1_000_000),
            wall_ms: 1_700_000_000_000,
        },
        gathering: 1,
        synced: 0,
        finalized: V2,
        next_id: 1000,
        journal: Vec::new(),
        markers: Vec::new(),
        full: false,
    }
}

fn at(partition: i32) -> PartitionId {
    let topic = Uuid([7; 16]);
    PartitionId { topic, partition }
}

fn claim((producer_id, epoch): (i64, i16)) -> Claim<'static> {
    Claim {
        transactional_id: ID,
        producer_id,
        epoch,
    }
}

impl Desk {
    /// InitProducerId. An answer that is not 51 is durable when it is given.
    fn init(&mut self, believed: Option<(i64, i16)>) -> Answer {
        let answer = self.init_at_once(ID, believed);
        self.sync();
        answer
    }

    fn init_at_once(&mut self, id: &str, believed: Option<(i64, i16)>) -> Answer {
        let ask = Init {
            transactional_id: id,
            timeout_ms: TIMEOUT_MS,
            believed,
        };
        let fresh = self.next_id;
        match self.txns.init(&ask, self.finalized, fresh, self.now)? {
            Initialized::Ready(standing) => {
                self.take_id(standing);
                let id = id.into();
                self.keep(vec![Record::Transaction { id, standing }]);
                Ok((standing.producer_id, standing.epoch))
            }
            Initialized::Fencing(standing) => {
                self.decide(id, standing);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        }
    }

    /// The first producer of the id.
    fn producer(&mut self) -> (i64, i16) {
        self.init(None).expect("a new id")
    }

    fn add(&mut self, who: (i64, i16), partitions: &[i32]) -> Result<(), ErrorCode> {
        let partitions: Vec<_> = partitions.iter().map(|&partition| at(partition)).collect();
        let records = self
            .txns
            .add_partitions(&claim(who), &partitions, V1, self.now)?;
        self.keep(records);
        Ok(())
    }

    fn add_group(&mut self, who: (i64, i16), group: &str) -> Result<(), ErrorCode> {
        let records = self.txns.add_group(&claim(who), group, V1, self.now)?;
        self.keep(records);
        Ok(())
    }

    fn write(
        &mut self,
        who: (i64, i16),
        partition: i32,
        joining: Joining,
    ) -> Result<(), ErrorCode> {
        let (claim, synced) = (claim(who), self.synced);
        let records = self
            .txns
            .admit(&claim, at(partition), joining, synced, self.now)?;
        self.keep(records);
        Ok(())
    }

    fn end(&mut self, who: (i64, i16), commits: bool, version: i16) -> Answer {
        let claim = claim(who);
        let fresh = self.next_id;
        match self.txns.end(&claim, commits, version, fresh, self.now)? {
            Ended::Before(id, epoch) => Ok((id, epoch)),
            Ended::Decided(standing) => {
                self.decide(ID, standing);
                Ok(standing.after_end())
            }
        }
    }

    /// The decided transaction, and one round, and its markers, and another round.
    fn ended(&mut self, who: (i64, i16), commits: bool, version: i16) -> (i64, i16) {
        let answer = self.end(who, commits, version).expect("it may end");
        self.sync();
        self.sync();
        answer
    }

    fn decide(&mut self, id: &str, standing: Standing) {
        self.take_id(standing);
        let records = self.txns.decision(&id.into(), standing, Vec::new());
        self.keep(records);
    }

    fn take_id(&mut self, standing: Standing) {
        if [standing.producer_id, standing.next_producer_id].contains(&self.next_id) {
            self.next_id += 1;
        }
    }

    /// The round being gathered becomes durable, and ends that have waited for it are written.
    fn sync(&mut self) {
        self.synced = self.gathering;
        self.gathering += 1;
        self.finish();
    }

    fn finish(&mut self) {
        while let Some(id) = self.txns.take_end(self.synced) {
            let txn = &self.txns.get(&id).expect("it is there");
            assert!(txn.settled_round <= self.synced, "the decision is durable");
            let standing = txn.standing;
            let commits = standing.state == TxnState::PrepareCommit;
            let all: Vec<_> = txn.partitions.iter().copied().collect();
            if self.full && !all.is_empty() {
                self.txns.put_off(id, self.now.mono.plus_ms(500));
                continue;
            }
            let (id_of, epoch) = (standing.producer_id, standing.epoch);
            let markers = all.iter().map(|&at| (at, id_of, epoch, commits));
            self.markers.extend(markers);
            let records = self.txns.marked(&id, &all, self.now);
            self.keep(records);
        }
    }

    /// Lets time pass, and everything happen at its moment.
    fn wait(&mut self, ms: i64) {
        let until = self.now.mono.plus_ms(ms);
        while let Some(due) = self.txns.next_deadline().filter(|&due| due <= until) {
            self.move_to(due.max(self.now.mono));
            while let Some(id) = self.txns.overdue(self.now.mono) {
                let standing = self.txns.get(&id).expect("it is there").standing;
                let fenced = standing.fenced(self.finalized, self.next_id, self.now.wall_ms);
                self.decide(&id, fenced);
            }
            self.finish();
        }
        self.move_to(until);
    }

    fn move_to(&mut self, at: Mono) {
        self.now.wall_ms += i64::try_from(at.since_us(self.now.mono) / 1000).unwrap();
        self.now.mono = at;
    }

    /// The broker stops and starts.
    fn restart(&mut self) {
        self.txns = Transactions::default();
        (self.gathering, self.synced) = (0, 0);
        for record in std::mem::take(&mut self.journal) {
            self.apply(record);
        }
        self.gathering = 1;
        self.txns.resume(self.now);
        self.txns.check_invariants();
    }

    /// What the broker does after every call.
    fn keep(&mut self, records: Vec<Record>) {
        for record in records {
            let encoded = record.encode();
            let Change { key, value } = encoded.change();
            let read = Record::decode(&Change { key, value }).unwrap();
            assert_eq!(read, Some(record.clone()));
            self.apply(record);
        }
        self.txns.check_invariants();
    }

    fn apply(&mut self, record: Record) {
        let round = self.gathering;
        match record.clone() {
            Record::Transaction { id, standing } => self.txns.stepped(&id, standing, round),
            Record::TransactionExpired { id } => self.txns.expired(&id, round),
            Record::TransactionPartition { id, at } => {
                self.txns.partitions_mut(&id, round).unwrap().insert(at);
            }
            Record::TransactionPartitionDone { id, at } => {
                assert!(self.txns.partitions_mut(&id, round).unwrap().remove(&at));
            }
            Record::TransactionGroup { id, group } => {
                self.txns.groups_mut(&id, round).unwrap().insert(group);
            }
            Record::TransactionGroupDone { id, group } => {
                assert!(self.txns.groups_mut(&id, round).unwrap().remove(&group));
            }
            _ => panic!("not of this room"),
        }
        self.journal.push(record);
    }

    fn txn(&self) -> &Txn {
        self.txns.get(ID).expect("the transactional id")
    }

    fn state(&self) -> TxnState {
        self.txn().state()
    }
}
