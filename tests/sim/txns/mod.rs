//! Transactions: producers of both versions, readers of committed records, and the history that both are held against.
//!
//! Several clients share each transactional id, so most of them are zombies sooner or later: a client is overtaken by the
//! next one's InitProducerId, or by the timeout of its transaction while it pauses. Clients stop in the middle and begin
//! anew, and repeat every request whose answer was lost.

mod asks;
mod client;
mod history;
mod reader;

pub use client::Style;
pub use history::History;

use crate::side::Side;
use client::Client;
use reader::Reader;

/// The transactional ids.
const IDS: [&str; 3] = ["copy", "count", "merge"];

/// Whether the group is one whose offsets transactions move: each has the name of its transactional id.
pub fn has_group(name: &str) -> bool {
    IDS.contains(&name)
}

/// Everybody who has to do with transactions.
#[derive(Clone, Debug, Default)]
pub struct Troupe {
    clients: Vec<Client>,
    readers: Vec<Reader>,
}

impl Troupe {
    /// That of a seed.
    pub fn any(side: &mut Side<'_>) -> Troupe {
        let count = side.luck.between(1, 5) as u64;
        let ids = side.luck.between(1, IDS.len());
        let client = |number: u64| {
            let place = number as usize % ids;
            let is_shared = place + ids < count as usize || number as usize >= ids;
            Client::any(number, (IDS[place], is_shared), side)
        };
        let clients = (0..count).map(client).collect();
        let readers = (0..side.luck.between(1, 2)).map(|_| Reader::any(side));
        Troupe {
            clients,
            readers: readers.collect(),
        }
    }

    /// One more client, without whims, for so many transactions.
    pub fn enter(&mut self, id: &'static str, style: Style, count: usize) {
        let number = self.clients.len() as u64;
        let client = Client::scripted(number, id, style, count);
        self.clients.push(client);
    }

    /// Whether everybody has begun everything.
    pub fn is_through(&self) -> bool {
        self.clients.iter().all(Client::is_through)
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The broker is gone.
    pub fn cut_off(&mut self) {
        self.clients.iter_mut().for_each(Client::cut_off);
        self.readers.iter_mut().for_each(Reader::cut_off);
    }

    /// Some of them do something.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        for client in &mut self.clients {
            if finishing || side.luck.below(4) > 0 {
                client.step(side, finishing);
            }
        }
        for reader in &mut self.readers {
            if finishing || side.luck.once_in(2) {
                reader.step(side, finishing);
            }
        }
    }

    /// Every transaction is over, and everything that is committed has been read.
    pub fn is_calm(&self, side: &mut Side<'_>) -> bool {
        let transactions = side.machine.broker().transactions();
        let is_over = transactions.iter().all(|txn| txn.state().is_idle());
        is_over
            && self.clients.iter().all(Client::is_idle)
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
        for id in IDS {
            let group = broker.groups().get(id);
            let offsets = group.iter().flat_map(|group| group.offsets.values());
            let offset = offsets.map(|committed| committed.offset).max();
            side.ledger.txns.check_offset(id, offset);
        }
    }
}
