//! What transactions were to do, what became of them, and what may therefore be read.
//!
//! A transaction is known by its number, and a record by its mark. Whoever has seen one record of a transaction has seen
//! that it is committed; so the marks alone, without the broker's help, tell whether a commit was lost, a record of an
//! abort read, a transaction torn or a record written twice.

use chronikd::broker::Broker;
use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};

/// Marks from here on are those of transactions.
pub const FIRST_MARK: u64 = 1_000 << 32;

/// What is known of a transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its commit was never asked for, or was refused.
    Dropped,
    /// Its commit was asked for, with an outcome that nobody knows.
    Asked,
    /// Its commit was acknowledged.
    Committed,
}

/// One transaction.
#[derive(Clone, Debug)]
struct Deed {
    id: &'static str,
    marks: BTreeSet<u64>,
    has_offset: bool,
    fate: Fate,
    /// Somebody has read a record of it.
    is_seen: bool,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct History {
    deeds: BTreeMap<i64, Deed>,
    owners: BTreeMap<u64, i64>,
    /// Which client has had which producer id and epoch.
    holders: BTreeMap<(i64, i16), u64>,
    producer_ids: BTreeMap<i64, &'static str>,
    stable: BTreeMap<PartitionId, i64>,
}

impl History {
    /// A client has been given an identity; `true` if nobody has had the producer id before.
    pub fn given(&mut self, id: &'static str, client: u64, identity: (i64, i16)) -> bool {
        let holder = *self.holders.entry(identity).or_insert(client);
        assert_eq!(holder, client, "{identity:?} belongs to two clients");
        let is_new = !self.producer_ids.contains_key(&identity.0);
        let owner = *self.producer_ids.entry(identity.0).or_insert(id);
        assert_eq!(owner, id, "{identity:?} belongs to two transactional ids");
        is_new
    }

    /// A transaction begins. Answers its number.
    pub fn begin(&mut self, id: &'static str) -> i64 {
        let number = self.deeds.len() as i64 + 1;
        let deed = Deed {
            id,
            marks: BTreeSet::new(),
            has_offset: false,
            fate: Fate::Dropped,
            is_seen: false,
        };
        self.deeds.insert(number, deed);
        number
    }

    fn deed(&mut self, number: i64) -> &mut Deed {
        let deed = self.deeds.get_mut(&number);
        deed.expect("a transaction that was begun")
    }

    /// Records of a transaction are on their way.
    pub fn writing(&mut self, number: i64, first: u64, count: usize) {
        for mark in first..first + count as u64 {
            self.owners.insert(mark, number);
            self.deed(number).marks.insert(mark);
        }
    }

    /// An offset of a transaction is on its way: its number.
    pub fn moving(&mut self, number: i64) {
        self.deed(number).has_offset = true;
    }

    /// Its commit is asked for.
    pub fn committing(&mut self, number: i64) {
        self.deed(number).fate = Fate::Asked;
    }

    /// Its commit was acknowledged.
    pub fn committed(&mut self, number: i64) {
        self.deed(number).fate = Fate::Committed;
    }

    /// Its commit was refused, and no other request for it can have been heard.
    pub fn refused(&mut self, number: i64) {
        let deed = self.deed(number);
        assert!(!deed.is_seen, "{deed:?} was refused, and is read");
        deed.fate = Fate::Dropped;
    }

    /// A reader of committed records has read this one.
    pub fn read(&mut self, mark: u64) {
        if mark < FIRST_MARK {
            return;
        }
        let number = *self.owners.get(&mark).expect("a record that was sent");
        let deed = self.deed(number);
        assert_ne!(
            deed.fate,
            Fate::Dropped,
            "{mark:#x} of transaction {number} is read, and was never committed: {deed:?}"
        );
        deed.is_seen = true;
    }

    /// After every turn: the last stable offsets of these partitions only rise, over all lives.
    pub fn turned(&mut self, broker: &Broker, durable: &[PartitionId]) {
        for at in durable {
            let Ok(log) = broker.storage.log(*at) else {
                continue;
            };
            let stable = self.stable.entry(*at).or_default();
            let now = log.last_stable_offset();
            assert!(
                now >= *stable,
                "the last stable offset of {at:?} went back from {stable} to {now}"
            );
            *stable = now;
        }
    }

    /// The last stable offset that a request sent now cannot miss.
    pub fn stable(&self, at: PartitionId) -> i64 {
        self.stable.get(&at).copied().unwrap_or(0)
    }

    /// Everything that is committed, once no transaction is open: each is there as a whole, or not at all.
    pub fn check_records(&mut self, visible: &[u64]) {
        let found: BTreeSet<u64> = visible.iter().copied().collect();
        assert_eq!(found.len(), visible.len(), "a record is there twice");
        for (number, deed) in &mut self.deeds {
            let count = deed.marks.intersection(&found).count();
            let is_whole = count == deed.marks.len();
            let fits = match deed.fate {
                Fate::Dropped => count == 0,
                Fate::Asked if deed.is_seen => is_whole,
                Fate::Asked => count == 0 || is_whole,
                Fate::Committed => is_whole,
            };
            assert!(
                fits,
                "{count} records of transaction {number} are there: {deed:?}"
            );
            deed.fate = match is_whole && count > 0 {
                true => Fate::Committed,
                false => deed.fate,
            };
        }
    }

    /// The offset of an id's group, behind `check_records`: that of the newest transaction that has committed one. What
    /// no reader can tell to be committed may have moved it too.
    pub fn check_offset(&self, id: &str, offset: Option<i64>) {
        let own = self.deeds.iter().filter(|(_, deed)| deed.id == id);
        let moved: Vec<(i64, &Deed)> = own
            .filter(|(_, deed)| deed.has_offset && deed.fate == Fate::Committed)
            .map(|(number, deed)| (*number, deed))
            .collect();
        let newest = moved.last().map(|(number, _)| *number);
        assert_eq!(offset, newest, "the offset of {id:?}; {:?}", moved.last());
    }
}
