//! Transactions: producers of both versions, copiers, readers of committed records, and the history that all are held
//! against.
//!
//! Several clients share each transactional id, so most of them are zombies sooner or later: a client is overtaken by
//! the next one's InitProducerId, or by the timeout of its transaction while it pauses. Clients stop in the middle and
//! begin anew, and repeat every request whose answer was lost. Copiers are zombies of their group, too.

mod aged;
mod asks;
mod client;
mod copier;
mod copies;
mod follow;
mod history;
mod job;
mod member;
mod operator;
mod reader;
mod tally;
mod verdict;
mod versions;

pub use aged::disk as aged_disk;
pub use history::History;
pub use tally::{OF_RECORDS, OF_TRANSACTIONS, Tally};
pub use versions::Style;

use crate::side::Side;
use client::Client;
use copier::Copier;
use history::PREY;
use operator::Operator;
use reader::Reader;
use std::collections::BTreeMap;

/// A compacted topic that only transactions write to. Every record has its own key, so what is committed stays.
pub const KEYED: &str = "keyed";
/// The transactional ids of clients that write anywhere.
const IDS: [&str; 4] = ["copy", "count", "merge", PREY];
/// Those of copiers.
const COPIERS: [&str; 3] = ["mirror0", "mirror1", "mirror2"];
/// Their clients are numbered from here on.
const FIRST_COPIER: u64 = 100;

/// Whether the group is one whose offsets transactions move: of clients, each has the name of its transactional id.
pub fn has_group(name: &str) -> bool {
    IDS.contains(&name) || name == member::GROUP
}

/// Everybody who has to do with transactions.
#[derive(Clone, Debug, Default)]
pub struct Troupe {
    clients: Vec<Client>,
    copiers: Vec<Copier>,
    readers: Vec<Reader>,
    operator: Option<Operator>,
}

impl Troupe {
    /// That of a seed.
    pub fn any(side: &mut Side<'_>) -> Troupe {
        let count = side.luck.between(1, 5) as u64;
        let ids = side.luck.between(1, IDS.len());
        let client = |number: u64| {
            let place = number as usize % ids;
            let has_twin = place + ids < count as usize || number as usize >= ids;
            Client::any(number, (IDS[place], has_twin || IDS[place] == PREY), side)
        };
        let clients = (0..count).map(client).collect();
        let count = side.luck.pick(&[0, 2, 3, 5]);
        let copiers = (0..count).map(|index| copier(index, count, side)).collect();
        let readers = (0..side.luck.between(1, 2)).map(|_| Reader::any(side));
        Troupe {
            clients,
            copiers,
            readers: readers.collect(),
            operator: side.luck.once_in(2).then(Operator::default),
        }
    }

    /// One more client, without whims, for so many transactions. It overtakes who has the transactional id.
    pub fn enter(&mut self, id: &'static str, style: Style, count: usize) {
        let number = self.clients.len() as u64;
        self.clients
            .push(Client::scripted(number, id, style, count));
        let own = self.clients.iter_mut().filter(|it| it.speaker.id == id);
        let all: Vec<&mut Client> = own.collect();
        let is_shared = all.len() > 1;
        all.into_iter().for_each(|it| it.is_shared = is_shared);
    }

    /// From now on nobody of version 1 waits for the announcement of a partition.
    pub fn hurry(&mut self) {
        self.clients.iter_mut().for_each(|it| it.is_hasty = true);
    }

    /// A copier without whims.
    pub fn enter_copier(&mut self, style: Style, side: &mut Side<'_>) {
        let client = Client::scripted(FIRST_COPIER, COPIERS[0], style, 0);
        self.copiers.push(Copier::scripted(client, side));
    }

    /// Whether every copier has just copied something.
    pub fn has_copied(&self) -> bool {
        self.copiers.iter().all(Copier::has_copied)
    }

    /// Everybody is gone, without a word.
    pub fn vanish(&mut self, side: &mut Side<'_>) {
        self.clients.iter_mut().for_each(|it| it.vanish(side));
    }

    /// Whether everybody has begun everything.
    pub fn is_through(&self) -> bool {
        self.clients.iter().all(Client::is_through)
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.copiers.is_empty()
    }

    /// The broker is gone.
    pub fn cut_off(&mut self) {
        self.clients.iter_mut().for_each(Client::cut_off);
        self.copiers.iter_mut().for_each(Copier::cut_off);
        self.readers.iter_mut().for_each(Reader::cut_off);
        self.operator.iter_mut().for_each(Operator::cut_off);
    }

    /// Some of them do something.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        for client in &mut self.clients {
            if finishing || side.luck.below(4) > 0 {
                client.step(side, finishing);
            }
        }
        for copier in &mut self.copiers {
            if finishing || side.luck.below(4) > 0 {
                copier.step(side, finishing);
            }
        }
        for reader in &mut self.readers {
            if finishing || side.luck.once_in(2) {
                reader.step(side, finishing);
            }
        }
        if let Some(operator) = &mut self.operator
            && (finishing || side.luck.once_in(3))
        {
            operator.step(side, finishing);
        }
    }

    /// Every transaction is over, and everything that is committed has been read.
    pub fn is_calm(&self, side: &mut Side<'_>) -> bool {
        let transactions = side.machine.broker().transactions();
        let is_over = transactions.iter().all(|txn| txn.state().is_idle());
        is_over
            && self.clients.iter().all(Client::is_idle)
            && self.copiers.iter().all(Copier::is_idle)
            && self.operator.iter().all(Operator::is_idle)
            && self.readers.iter().all(|reader| reader.is_idle(side))
    }

    /// One more reader reads everything from the beginning; another one that was begun is given up.
    pub fn audit(&mut self, side: &mut Side<'_>) {
        self.readers.retain(|reader| !reader.is_auditor());
        self.readers.push(Reader::auditor(side));
    }

    /// What the auditor has read is what the history says, and what all others have read.
    pub fn check(&self, side: &mut Side<'_>) {
        let auditor = self.readers.iter().find(|reader| reader.is_auditor());
        let auditor = auditor.expect("somebody who has read everything");
        for reader in &self.readers {
            reader.agrees_with(auditor);
        }
        side.ledger.txns.check_records(&auditor.marks());
        let broker = side.machine.broker();
        for id in IDS.into_iter().filter(|id| *id != PREY) {
            let group = broker.groups().get(id);
            let offsets = group.iter().flat_map(|group| group.offsets.values());
            let offset = offsets.map(|committed| committed.offset).max();
            side.ledger.txns.check_offset(id, offset);
        }
        check_copies(auditor, side);
    }
}

/// One of so many copiers. From the fourth on they share transactional ids; two neighbours may share an instance id.
fn copier(index: usize, count: usize, side: &mut Side<'_>) -> Copier {
    let place = index % COPIERS.len();
    let is_shared = index >= COPIERS.len() || place + COPIERS.len() < count;
    let number = FIRST_COPIER + index as u64;
    let client = Client::any(number, (COPIERS[place], is_shared), side);
    let is_static = side.luck.once_in(3);
    let instance = is_static.then(|| format!("static{}", index / 2));
    Copier::any(client, instance, side)
}

fn check_copies(auditor: &Reader, side: &mut Side<'_>) {
    let mut inputs = auditor.offsets();
    let usable = job::inputs(side);
    inputs.retain(|at, _| usable.contains(at));
    let group = side.machine.broker().groups().get(member::GROUP);
    let committed = group.into_iter().flat_map(|group| &group.offsets);
    let offsets: BTreeMap<_, _> = committed.map(|(at, it)| (*at, it.offset)).collect();
    let txns = &mut side.ledger.txns;
    let count = txns.check_copies(&auditor.marks(), &inputs, &offsets);
    for _ in 0..count {
        txns.tally.note("copies");
    }
}
