//! What is true now, in memory; every change that must last goes through the journal.
//!
//! The broker is pure: it is given the moment (`Now`), the disk and seeds, and it hands out what is to be
//! done beside it: rounds for the sync lane, jobs for the work lane, signals for parked requests.
//!
//! **Journaled** state (`state`) changes only in its `apply`, which live operation and replay share. **Transient**
//! state (fetch sessions, waits) is never replayed.
//!
//! What is written becomes durable in *rounds* (`rounds`), and a reply leaves when its round has. This file is the
//! broker's face: what others ask it, what they take from it, and its beginning and end of turns. The rest of `Broker`
//! stands in the file of its subject.

mod appends;
pub mod facts;
pub mod features;
pub mod fetch_sessions;
mod full_disk;
mod group_coordinator;
pub mod groups;
pub mod home;
pub mod identity;
mod ignored;
pub mod loggers;
pub mod producer_ids;
pub mod record;
mod rounds;
pub mod settings;
mod start;
mod state;
#[cfg(test)]
mod tests;
pub mod topics;
mod txn_coordinator;
pub mod txns;
pub mod wait;

use crate::clock::{Mono, Now, Rate, Steadiness};
use crate::config::BrokerConfig;
use crate::disk::lanes::{Completion, Job};
use crate::journal::{self, Journal};
use crate::proto::Uuid;
use crate::storage::{self, Log, PartitionId, Storage, Unavailable};
use appends::RefusedAppends;
use fetch_sessions::FetchSessions;
use full_disk::FullDisk;
pub use groups::Fact;
use identity::{IdSource, Identity};
use loggers::Loggers;
use record::Record;
use rounds::Rounds;
pub use start::{OpenError, Seeds};
use state::State;
use std::fmt;
use std::io;
use topics::Topics;
pub use txn_coordinator::Told;
use txn_coordinator::TxnCoordinator;
use wait::{Key, Signal, Ticket};

/// What a job of the work lane brings back.
pub enum Worked {
    /// For the storage room.
    Storage(storage::Done),
    /// For the journal.
    Journal(journal::Done),
}

/// Why the process must stop at once: a write or sync that cannot be taken back or tried again.
#[derive(Debug)]
pub struct Fatal(pub io::Error);

/// Everything the broker knows and does.
pub struct Broker {
    /// Who it is.
    pub identity: Identity,
    /// The partitions' logs.
    pub storage: Storage,
    /// Fetch sessions.
    pub fetch_sessions: FetchSessions,
    state: State,
    /// When offsets that have been kept long enough are looked for again.
    offsets_check: Mono,
    steadiness: Steadiness,
    txn_coordinator: TxnCoordinator,
    journal: Journal,
    rounds: Rounds,
    /// Partitions of deleted topics, whose files go when that round is durable.
    deletions: Vec<(u64, Vec<PartitionId>)>,
    signals: Vec<Signal>,
    ids: IdSource,
    closing: Closing,
    failure: Option<Fatal>,
    complaints: Rate,
    refused_appends: RefusedAppends,
    full_disk: FullDisk,
    loggers: Loggers,
    /// Settings or levels of loggers have changed, and nobody has taken notice.
    has_news: bool,
}

/// How far a clean stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// The storage writes its last checkpoints.
    Storage,
    /// The journal's closing record is in this round.
    Journal(u64),
    Closed,
}

impl Broker {
    /// The settings it obeys now: what it was started with, and what clients have set since.
    #[must_use]
    pub fn config(&self) -> &BrokerConfig {
        &self.state.config
    }

    /// The topics.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.state.topics
    }

    /// The log of a partition, by its topic's name.
    ///
    /// # Errors
    /// Why there is none, or none now.
    pub fn log(&self, topic: &str, partition: i32) -> Result<&Log, Unavailable> {
        self.storage.log(self.find(topic, partition)?)
    }

    /// A partition, by its topic's name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, topic: &str, partition: i32) -> Result<PartitionId, Unavailable> {
        let topic = self.state.topics.by_name(topic);
        topic
            .and_then(|topic| topic.partition(partition))
            .ok_or(Unavailable::Unknown)
    }

    /// Those of the named partitions that are still being loaded.
    pub fn loading<'a>(&self, named: impl Iterator<Item = (&'a str, i32)>) -> Vec<PartitionId> {
        self.loading_of(named.filter_map(|(topic, partition)| self.find(topic, partition).ok()))
    }

    /// Those of the partitions that are still being loaded. While none is, which is nearly always, nothing is
    /// looked up.
    pub fn loading_of(&self, partitions: impl Iterator<Item = PartitionId>) -> Vec<PartitionId> {
        if self.storage.loading() == 0 {
            return Vec::new();
        }
        partitions
            .filter(|&id| self.storage.is_loading(id))
            .collect()
    }

    /// The leader epoch of every partition.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.state.opened.leader_epoch
    }

    /// An id that nothing has had before.
    pub fn new_id(&mut self) -> Uuid {
        self.ids.next()
    }

    /// A producer id that nobody has had, and the round that the answer has to wait for.
    pub fn new_producer_id(&mut self) -> (i64, u64) {
        let id = self.fresh_producer_id();
        self.state.producer_ids.taken(id);
        (id, self.state.producer_ids.round())
    }

    /// A producer id that nobody has. It stays so until a record says otherwise.
    fn fresh_producer_id(&mut self) -> i64 {
        loop {
            match self.state.producer_ids.fresh() {
                Ok(id) => return id,
                Err(next) => self.commit(vec![Record::ProducerIds { next }]),
            };
        }
    }

    /// Takes in what a lane has finished.
    ///
    /// # Errors
    /// When a sync or a write has failed for good: the process must stop.
    pub fn absorb(&mut self, now: Now, done: Completion<Worked>) -> Result<(), Fatal> {
        match done {
            Completion::Synced(round) => {
                self.synced(round, now);
                Ok(())
            }
            Completion::SyncFailed(error) => Err(Fatal(error)),
            Completion::Worked(Worked::Storage(done)) => {
                self.storage.absorb(done, now).map_err(Fatal)
            }
            Completion::Worked(Worked::Journal(done)) => {
                self.journal.absorb(done, now.mono).map_err(Fatal)?;
                self.note_short_journal(now.mono);
                Ok(())
            }
        }
    }

    /// Fires what is due, and carries a clean stop on.
    pub fn tick(&mut self, now: Now) {
        self.steadiness.look(now);
        self.storage.tick(now);
        self.tick_full_disk(now);
        if self.groups_work() {
            self.tick_groups(now);
        }
        if self.closing == Closing::No {
            self.tick_transactions(now);
        }
        self.journal.tick(now.mono);
        self.advance_close();
    }

    /// When `tick` is wanted next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.failure.is_some() {
            return Some(Mono(0));
        }
        let rooms = [
            self.storage.next_deadline(),
            self.journal.next_deadline(),
            self.full_disk.next_deadline(),
            self.next_group_deadline().filter(|_| self.groups_work()),
            self.next_transaction_deadline(),
        ];
        rooms.into_iter().flatten().min()
    }

    /// Nothing may follow the journal's closing record: whose session would end now has a new one after the start.
    fn groups_work(&self) -> bool {
        matches!(self.closing, Closing::No | Closing::Storage)
    }

    /// A failure that cannot be answered: `start_round`, the last thing that is asked in a turn, ends the process.
    pub fn fail(&mut self, error: io::Error) {
        self.failure.get_or_insert(Fatal(error));
    }

    /// Logs what went wrong with a request and is no failure of the broker, a few lines a minute: a client
    /// can cause it again and again.
    pub fn complain(&mut self, now: Mono, what: fmt::Arguments<'_>) {
        if let Some(left_out) = self.complaints.admit(now) {
            log::warn!("{what}");
            if left_out > 0 {
                log::warn!("{left_out} warnings like this were left out in the minute before");
            }
        }
    }

    /// A partition as log lines name it.
    #[must_use]
    pub fn place(&self, at: PartitionId) -> String {
        let topic = self.state.topics.by_id(at.topic);
        format!(
            "{}-{}",
            topic.map_or("?", |topic| &topic.name),
            at.partition
        )
    }

    /// Changes that parked requests may be waiting for, since the last call.
    pub fn take_signals(&mut self) -> Vec<Signal> {
        let mut signals = std::mem::take(&mut self.signals);
        let changed = self.storage.take_signals().into_iter();
        signals.extend(changed.map(|(at, bytes)| Signal {
            key: Key::Partition(at),
            bytes,
        }));
        signals
    }

    /// Late answers, since the last call.
    pub fn take_paid(&mut self) -> Vec<(Ticket, Fact)> {
        self.state.groups.take_paid()
    }

    /// Jobs for the work lane, since the last call.
    pub fn take_jobs(&mut self) -> Vec<Job<Worked>> {
        let stored =
            |job: Job<storage::Done>| -> Job<Worked> { Box::new(move || Worked::Storage(job())) };
        let journaled =
            |job: Job<journal::Done>| -> Job<Worked> { Box::new(move || Worked::Journal(job())) };
        let of_storage = self.storage.take_jobs().into_iter().map(stored);
        of_storage
            .chain(self.journal.take_job().map(journaled))
            .collect()
    }

    /// Begins a clean stop. Requests must not be handled any more; turns go on until `closed`.
    pub fn begin_close(&mut self, now: Now) {
        if self.closing == Closing::No {
            self.storage.begin_close(now);
            self.closing = Closing::Storage;
        }
    }

    /// Everything is on disk, the closing record too.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closing == Closing::Closed
    }

    fn advance_close(&mut self) {
        match self.closing {
            Closing::Storage if self.storage.closed() && self.rounds.in_flight.is_none() => {
                self.journal.close();
                self.closing = Closing::Journal(self.rounds.gathering);
            }
            Closing::Journal(round) if self.rounds.synced >= round => {
                self.closing = Closing::Closed;
            }
            _ => {}
        }
    }

    /// What an operator who asks for a report is told, as one line of facts.
    #[must_use]
    pub fn report(&self) -> String {
        let topics = self.state.topics.iter().count();
        let partitions = self.state.topics.partition_count();
        let journal = self.journal.size();
        let groups = self.state.groups.iter().count();
        let transactions = &self.state.transactions;
        let transactional_ids = transactions.iter().count();
        let open = transactions
            .iter()
            .filter(|txn| !txn.state().is_idle())
            .count();
        format!(
            "report topics={topics} partitions={partitions} groups={groups} \
             transactional_ids={transactional_ids} open_transactions={open} loading={} leader_epoch={} synced_round={} \
             log_bytes={} max_log_bytes={} free_bytes={} disk_is_full={} refused_appends={} journal_bytes={} journal_entries={} snapshot_bytes={} snapshot_entries={}",
            self.storage.loading(),
            self.leader_epoch(),
            self.rounds.synced,
            self.storage.used_bytes(),
            self.storage.max_bytes().unwrap_or(0),
            self.free_bytes(),
            self.full_disk.is_full(),
            self.refused_appends.count,
            journal.bytes,
            journal.entries,
            journal.snapshot_bytes,
            journal.snapshot_entries
        )
    }

    /// What must hold between turns.
    ///
    /// # Panics
    /// When it does not.
    pub fn check_invariants(&self) {
        self.storage.check_invariants();
        self.check_group_invariants();
        self.check_transaction_invariants();
        assert!(self.rounds.synced < self.rounds.gathering);
        assert!(self.state.topics.round() <= self.rounds.gathering);
    }
}
