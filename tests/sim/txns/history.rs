//! What transactions were to do, what became of them, and what may therefore be read.
//!
//! A transaction is known by its number, and a record by its mark. Whoever has seen one record of a transaction has
//! seen that it is committed; so the marks alone, without the broker's help, tell whether a commit was lost, a record
//! of an abort read, a transaction torn or a record written twice.
//!
//! Not held to be whole are: records of topics that may be deleted, and whatever is written under the transactional id
//! that an operator meddles with.

use super::copies::Copies;
use super::tally::Tally;
use crate::call::FIRST_MARK;
use chronikd::broker::Broker;
use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};

/// The transactional id whose markers an operator writes by hand.
pub const PREY: &str = "prey";

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
    /// Those that are there all together or not at all.
    marks: BTreeSet<u64>,
    has_offset: bool,
    /// The group of its offset may have been deleted since.
    may_be_forgotten: bool,
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
    /// Groups whose deletion was asked for, without an answer.
    condemned: BTreeSet<&'static str>,
    copies: Copies,
    /// Somebody has asked for another level of a feature.
    pub has_features: bool,
    /// How often what has happened.
    pub tally: Tally,
}

impl History {
    /// A client has been given an identity; `true` if nobody has had the producer id before.
    pub fn given(&mut self, id: &'static str, client: u64, identity: (i64, i16)) -> bool {
        let holder = *self.holders.entry(identity).or_insert(client);
        assert_eq!(holder, client, "{identity:?} belongs to two clients");
        let is_new = !self.producer_ids.contains_key(&identity.0);
        let is_second = self.producer_ids.values().any(|known| *known == id);
        if is_new && is_second {
            self.tally.note("further producer ids");
        }
        let owner = *self.producer_ids.entry(identity.0).or_insert(id);
        assert_eq!(owner, id, "{identity:?} belongs to two transactional ids");
        is_new
    }

    /// The newest producer id of that transactional id, and its newest epoch, that a client knows.
    pub fn newest_of(&self, id: &str) -> Option<(i64, i16)> {
        let mut all = self.holders.keys().rev();
        all.find(|(producer_id, _)| self.producer_ids.get(producer_id) == Some(&id))
            .copied()
    }

    /// A transaction begins. Answers its number.
    pub fn begin(&mut self, id: &'static str) -> i64 {
        let number = self.deeds.len() as i64 + 1;
        let deed = Deed {
            id,
            marks: BTreeSet::new(),
            has_offset: false,
            may_be_forgotten: false,
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

    /// Records of a transaction are on their way, maybe to a topic that may be deleted (`is_extra`).
    pub fn writing(&mut self, number: i64, first: u64, count: usize, is_extra: bool) {
        for mark in first..first + count as u64 {
            self.owners.insert(mark, number);
            let deed = self.deed(number);
            if !is_extra && deed.id != PREY {
                deed.marks.insert(mark);
            }
        }
    }

    /// The records from `first` on are copies of these.
    pub fn copying(&mut self, first: u64, sources: &[(PartitionId, i64)]) {
        self.copies.begin(first, sources);
    }

    /// An offset of a transaction is on its way: its number.
    pub fn moving(&mut self, number: i64) {
        let id = self.deed(number).id;
        let is_condemned = self.condemned.contains(id);
        let deed = self.deed(number);
        deed.has_offset = true;
        deed.may_be_forgotten |= is_condemned;
    }

    /// The group of that id is to be deleted.
    pub fn condemning(&mut self, id: &'static str) {
        self.condemned.insert(id);
        let own = self.deeds.values_mut().filter(|deed| deed.id == id);
        own.for_each(|deed| deed.may_be_forgotten |= deed.has_offset);
    }

    /// That was answered, or nobody will answer any more.
    pub fn judged(&mut self, id: &'static str) {
        self.condemned.remove(id);
    }

    /// Its commit is asked for.
    pub fn committing(&mut self, number: i64) {
        self.deed(number).fate = Fate::Asked;
    }

    /// Its end was acknowledged.
    pub fn ended(&mut self, number: i64, commits: bool) {
        let deed = self.deed(number);
        if commits {
            deed.fate = Fate::Committed;
        }
        let what = if commits { "commits" } else { "aborts" };
        self.tally.note(what);
    }

    /// Its commit was refused, and no other request for it can have been heard.
    pub fn refused(&mut self, number: i64) {
        let deed = self.deed(number);
        // A commit by the operator's hand shows what its producer is refused.
        assert!(
            !deed.is_seen || deed.id == PREY,
            "{deed:?} was refused, and is read"
        );
        deed.fate = Fate::Dropped;
    }

    /// The broker does not run any more: nobody is going to answer.
    pub fn stopped(&mut self) {
        self.condemned.clear();
    }

    /// A reader of committed records has read this one.
    pub fn read(&mut self, mark: u64) {
        if mark < FIRST_MARK {
            return;
        }
        let number = *self.owners.get(&mark).expect("a record that was sent");
        let deed = self.deed(number);
        assert!(
            deed.fate != Fate::Dropped || deed.id == PREY,
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
}

/// The audit.
impl History {
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
        let may_be_forgotten = moved.last().is_some_and(|(_, deed)| deed.may_be_forgotten);
        let is_forgotten = may_be_forgotten && offset.is_none();
        let is_unknown =
            |deed: &Deed| deed.has_offset && deed.fate == Fate::Asked && deed.marks.is_empty();
        let of = offset.and_then(|number| self.deeds.get(&number));
        let is_newer = offset > newest && of.is_some_and(is_unknown);
        assert!(
            offset == newest || is_forgotten || is_newer,
            "the offset of {id:?} is {offset:?}; {:?}",
            moved.last()
        );
    }

    /// Behind them: what copiers have made of these records up to these offsets. Answers how many copies there are.
    pub fn check_copies(
        &self,
        visible: &[u64],
        inputs: &BTreeMap<PartitionId, Vec<i64>>,
        offsets: &BTreeMap<PartitionId, i64>,
    ) -> u64 {
        self.copies.check(visible, inputs, offsets)
    }
}
