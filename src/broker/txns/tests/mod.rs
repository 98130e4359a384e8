//! The coordinator under a simulated clock. Logs are lists of markers; those that keep what Kafka's producer state
//! keeps are in `random`. Rounds end when the test says so. Everything that is decided is applied as the broker does
//! it, and read back from what the journal would have; the invariants are checked after every step.

mod ending;
mod fencing;
mod initializing;
mod joining;
mod random;
mod restarting;

use super::*;
use crate::broker::facts::{Producer, TxnVersion};
use crate::clock::Mono;
use crate::journal::Change;
use crate::proto::Uuid;
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::storage::PartitionId;

const ID: &str = "orders";
const TIMEOUT_MS: i32 = 60_000;
const V1: TxnVersion = TxnVersion::V1;
const V2: TxnVersion = TxnVersion::V2;

/// A producer id and epoch, as tests write them.
type Who = (i64, i16);

/// What InitProducerId and EndTxn answer.
type Answer = Result<Who, ErrorCode>;

/// The transactions, the clock, the journal and the logs.
struct Desk {
    txns: Transactions,
    now: Now,
    /// What is written now belongs to this round.
    gathering: u64,
    synced: u64,
    /// What `transaction.version` is finalized at.
    finalized: TxnVersion,
    next_id: i64,
    /// Records, and the round that each belongs to.
    journal: Vec<(u64, Record)>,
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

fn producer((id, epoch): Who) -> Producer {
    Producer { id, epoch }
}

fn pair(Producer { id, epoch }: Producer) -> Who {
    (id, epoch)
}

fn claim(who: Who) -> Claim<'static> {
    Claim {
        transactional_id: ID,
        producer: producer(who),
    }
}

impl Desk {
    /// InitProducerId. An answer that is not 51 is durable when it is given.
    fn init(&mut self, believed: Option<Who>) -> Answer {
        let answer = self.init_at_once(ID, believed);
        self.sync();
        answer
    }

    fn init_at_once(&mut self, id: &str, believed: Option<Who>) -> Answer {
        let ask = Init {
            transactional_id: id,
            timeout_ms: TIMEOUT_MS,
            believed: believed.map(producer),
        };
        let fresh = self.next_id;
        match self.txns.init(&ask, self.finalized, fresh, self.now)? {
            Initialized::Ready(standing) => {
                self.stands(id, standing);
                Ok(pair(standing.producer))
            }
            Initialized::Fencing(standing) => {
                self.decide(id, standing);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        }
    }

    /// The first producer of the id.
    fn producer(&mut self) -> Who {
        self.init(None).expect("a new id")
    }

    fn add(&mut self, who: Who, partitions: &[i32]) -> Result<(), ErrorCode> {
        let partitions: Vec<_> = partitions.iter().map(|&partition| at(partition)).collect();
        self.add_by(&claim(who), &partitions)
    }

    fn add_by(&mut self, claim: &Claim<'_>, to: &[PartitionId]) -> Result<(), ErrorCode> {
        let records = self.txns.add_partitions(claim, to, V1, self.now)?;
        self.keep(records);
        Ok(())
    }

    fn add_group(&mut self, who: Who, group: &str) -> Result<(), ErrorCode> {
        let records = self.txns.add_group(&claim(who), group, V1, self.now)?;
        self.keep(records);
        Ok(())
    }

    fn write(&mut self, who: Who, partition: i32, version: TxnVersion) -> Result<(), ErrorCode> {
        let (claim, synced) = (claim(who), self.synced);
        let records = self
            .txns
            .admit(&claim, at(partition), version, synced, self.now)?;
        self.keep(records);
        Ok(())
    }

    fn end(&mut self, who: Who, commits: bool, version: TxnVersion) -> Answer {
        self.end_by(&claim(who), commits, version)
    }

    fn end_by(&mut self, claim: &Claim<'_>, commits: bool, version: TxnVersion) -> Answer {
        let fresh = self.next_id;
        match self.txns.end(claim, commits, version, fresh, self.now)? {
            Ended::Before(producer) => Ok(pair(producer)),
            Ended::Decided(standing) => {
                self.decide(claim.transactional_id, standing);
                Ok(pair(standing.after_end()))
            }
        }
    }

    /// The decided transaction, and one round, and its markers, and another round.
    fn ended(&mut self, who: Who, commits: bool, version: TxnVersion) -> Who {
        let answer = self.end(who, commits, version).expect("it may end");
        self.sync();
        self.sync();
        answer
    }

    fn decide(&mut self, id: &str, standing: Standing) {
        let txn = self.txns.get(id).expect("it is there");
        let step = txn.record(TxnFact::Stands(standing));
        let records = [step].into_iter().chain(txn.groups_done()).collect();
        self.keep(records);
    }

    /// An id that may be new stands so.
    fn stands(&mut self, id: &str, standing: Standing) {
        let (id, fact) = (id.into(), TxnFact::Stands(standing));
        self.keep(vec![Record::Transaction { id, fact }]);
    }

    /// The round being gathered becomes durable, and ends that have waited for it are written.
    fn sync(&mut self) {
        self.end_round();
        self.finish();
    }

    fn end_round(&mut self) {
        self.synced = self.gathering;
        self.gathering += 1;
    }

    fn finish(&mut self) {
        while let Some(id) = self.txns.take_end(self.synced) {
            let txn = &self.txns.get(&id).expect("it is there");
            assert!(txn.settled_round <= self.synced, "the decision is durable");
            let standing = txn.standing;
            let commits = standing.state.commits();
            let all: Vec<_> = txn.partitions.iter().copied().collect();
            if self.full && !all.is_empty() {
                self.txns.put_off(id, self.now.mono.plus_ms(500));
                continue;
            }
            let (id_of, epoch) = pair(standing.producer);
            let markers = all.iter().map(|&at| (at, id_of, epoch, commits));
            self.markers.extend(markers);
            let records = txn.marked(&all, self.now);
            self.keep(records);
        }
    }

    /// Lets time pass, and everything happen at its moment.
    fn wait(&mut self, ms: i64) {
        let until = self.now.mono.plus_ms(ms);
        while let Some(due) = self.txns.next_deadline().filter(|&due| due <= until) {
            self.move_to(due.max(self.now.mono));
            while let Some(id) = self.txns.overdue(self.now.mono) {
                self.time_out(&id);
            }
            self.finish();
        }
        self.move_to(until);
    }

    fn time_out(&mut self, id: &str) {
        let standing = self.txns.get(id).expect("it is there").standing;
        let fenced = standing.fenced(self.finalized, self.next_id, self.now.wall_ms);
        self.decide(id, fenced);
    }

    fn move_to(&mut self, at: Mono) {
        self.now.wall_ms += i64::try_from(at.since_us(self.now.mono) / 1000).unwrap();
        self.now.mono = at;
    }

    /// The broker stops and starts.
    fn restart(&mut self) {
        self.txns = Transactions::default();
        (self.gathering, self.synced) = (0, 0);
        for (_, record) in std::mem::take(&mut self.journal) {
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
            self.apply(record.clone());
            if let Record::Transaction { id, .. } = record {
                self.txns.wind(&id, self.now);
            }
        }
        self.txns.check_invariants();
    }

    fn apply(&mut self, record: Record) {
        match record.clone() {
            Record::Transaction { id, fact } => {
                if let TxnFact::Stands(standing) = &fact
                    && standing.producer_ids().any(|id| id == self.next_id)
                {
                    self.next_id += 1;
                }
                self.txns.apply(&id, fact, self.gathering);
            }
            Record::Touched { producer_id, touch } => {
                self.txns.touched(producer_id, touch, self.gathering);
            }
            _ => panic!("not of this room"),
        }
        self.journal.push((self.gathering, record));
    }

    fn txn(&self) -> &Txn {
        self.txns.get(ID).expect("the transactional id")
    }

    fn state(&self) -> TxnState {
        self.txn().state()
    }
}
