//! What is true now, in memory; every change that must last goes through the journal.
//!
//! The broker is pure: it is given the moment (`Now`), the disk and seeds, and it hands out what is to be
//! done beside it: rounds for the sync lane, jobs for the work lane, signals for parked requests.
//!
//! **Journaled** state (`state`) changes only in its `apply`, which live operation and replay share. **Transient**
//! state (fetch sessions, waits) is never replayed.
//!
//! A *round* is one group commit. Everything written between two starts of rounds belongs to the round
//! being gathered; a reply is tagged with the highest round among what it wrote and what it read, and leaves
//! when that round is durable.

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
use crate::config::{BrokerConfig, LogConfig};
use crate::disk::is_full;
use crate::disk::lanes::{Completion, Job, Round};
use crate::journal::{self, Journal};
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use crate::storage::{
    self, Appended, Log, NewBatch, Origin, PartitionId, Refused, Storage, Unavailable,
};
use fetch_sessions::FetchSessions;
use full_disk::FullDisk;
pub use groups::Fact;
use identity::Identity;
use loggers::Loggers;
use record::{Encoded, Record};
use settings::settings_bytes;
pub use start::{OpenError, Seeds};
use state::State;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use topics::{Topic, Topics};
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
    /// The settings it obeys now: what it was started with, and what clients have set since.
    pub config: Arc<BrokerConfig>,
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

/// Appends that a damaged partition did not take, since the start.
#[derive(Debug)]
struct RefusedAppends {
    count: u64,
    told: Rate,
}

impl Default for RefusedAppends {
    fn default() -> Self {
        RefusedAppends {
            count: 0,
            told: Rate::per_minute(1),
        }
    }
}

/// The counter of sync rounds.
#[derive(Debug)]
struct Rounds {
    /// What is written now becomes durable with this round.
    gathering: u64,
    /// The round that the sync lane has, or a part of it.
    in_flight: Option<u64>,
    /// The newest durable round. The next has begun if it is not the one being gathered.
    synced: u64,
    /// The one of the newest fact.
    journaled: u64,
}

impl Rounds {
    /// Those of a start.
    fn new() -> Rounds {
        Rounds {
            gathering: 1,
            in_flight: None,
            synced: 0,
            journaled: 0,
        }
    }
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

    /// The newest round that is durable: replies tagged with a higher one must wait.
    #[must_use]
    pub fn synced_round(&self) -> u64 {
        self.rounds.synced
    }

    /// The number of the journal's newest entry, and the round that makes it durable.
    #[must_use]
    pub fn journaled(&self) -> (u64, u64) {
        (self.journal.last_sequence(), self.rounds.journaled)
    }

    /// An id that nothing has had before.
    pub fn new_id(&mut self) -> Uuid {
        self.ids.next()
    }

    /// Creates a topic: its partitions, and the record that makes it true. Answers its round.
    ///
    /// # Errors
    /// What the disk says; then nothing has been created. `StorageFull` also where the journal has no room for it.
    pub fn create_topic(
        &mut self,
        id: Uuid,
        name: &str,
        partition_count: i32,
        settings: BTreeMap<String, String>,
        now: Now,
    ) -> io::Result<u64> {
        if !self.may_grow(name.len() + settings_bytes(&settings)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let name: Arc<str> = name.into();
        let config = self.state.topics.log_config(&self.config, &settings);
        self.create_partitions(id, &name, &config, 0..partition_count, now)?;
        let name = name.to_string();
        Ok(self.commit(vec![Record::Topic {
            id,
            name,
            partition_count,
            settings,
        }]))
    }

    /// Gives a topic more partitions, so that it has `partition_count`, and journals the topic as it is from now on.
    /// Answers its round.
    ///
    /// # Errors
    /// What the disk says; then nothing has changed. `NotFound` when there is no such topic, `StorageFull` also where
    /// the journal has no room for the record.
    pub fn grow_topic(&mut self, id: Uuid, partition_count: i32, now: Now) -> io::Result<u64> {
        let topic = self.state.topics.by_id(id);
        let topic = topic.ok_or(io::ErrorKind::NotFound)?.clone();
        let bytes = settings_bytes(&topic.settings);
        if !self.may_grow(topic.name.len() + bytes) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let numbers = topic.partition_count..partition_count;
        self.create_partitions(id, &topic.name, &topic.config, numbers, now)?;
        Ok(self.commit(vec![Record::Topic {
            id,
            name: topic.name.to_string(),
            partition_count,
            settings: topic.settings,
        }]))
    }

    /// Makes partitions, all or none.
    fn create_partitions(
        &mut self,
        topic: Uuid,
        name: &Arc<str>,
        config: &Arc<LogConfig>,
        numbers: Range<i32>,
        now: Now,
    ) -> io::Result<()> {
        let at = |partition| PartitionId { topic, partition };
        for partition in numbers.clone() {
            if let Err(e) = self.storage.create(at(partition), name, config, now) {
                for partition in numbers.start..=partition {
                    self.storage.undo_create(at(partition));
                }
                return Err(e);
            }
        }
        Ok(())
    }

    /// Deletes a topic, and the offsets that groups have committed for it. It is gone at once; its files follow when
    /// the record is durable. Answers its round.
    pub fn delete_topic(&mut self, id: Uuid) -> u64 {
        let offsets = self.state.groups.offsets_of_topic(id);
        let round = self.commit(vec![Record::TopicDeleted { id }]);
        // What a cut leaves of them goes with the next start (`resume_groups`).
        self.commit_in_parts(offsets);
        round
    }

    /// Has logs begin later: what lies before each offset, none of which is beyond its high watermark, is deleted.
    /// Answers the round that makes it so; until then everything is there.
    ///
    /// # Errors
    /// 56 where the disk does not take it; then nothing will be deleted.
    pub fn delete_records(&mut self, wanted: &[(PartitionId, i64)]) -> Result<u64, ErrorCode> {
        self.storage.raise_starts(wanted).map_err(|error| {
            if !is_full(&error) {
                self.fail(error);
            }
            ErrorCode::KAFKA_STORAGE_ERROR
        })
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

    /// Whether something new of about so many bytes may be journaled. Where the disk is full, what room is left is kept
    /// for what replaces and deletes, and such a request is refused; the journal looks for more.
    pub fn may_grow(&mut self, bytes: usize) -> bool {
        let has_room = self.journal.may_grow(bytes + FACT_BYTES);
        if has_room {
            self.full_disk.journal_has_room();
        }
        has_room
    }

    /// Whether a small change of what exists may add so many bytes to what is journaled. On a full disk, too, for such
    /// a change may be the way out of it; but all of them together may add only a little until there is room.
    pub fn may_change(&mut self, bytes: usize) -> bool {
        self.may_grow(bytes) || self.full_disk.may_change(bytes)
    }

    /// A change has been made, which puts so many bytes in the place of others.
    pub fn changed(&mut self, old_bytes: usize, new_bytes: usize) {
        self.full_disk.changed(old_bytes, new_bytes);
    }

    /// Journals facts as one atomic group and makes them true. Answers the round that they belong to.
    fn commit(&mut self, records: Vec<Record>) -> u64 {
        self.write(records.into_iter().map(encoded).collect())
    }

    /// Journals facts in their order, in atomic groups of a bounded size. Answers their round. A cut may leave any
    /// beginning of the list: every caller makes sense of that, or finishes it at the next start.
    fn commit_in_parts(&mut self, records: Vec<Record>) -> u64 {
        let (mut part, mut part_bytes) = (Vec::new(), 0);
        for (record, encoded) in records.into_iter().map(encoded) {
            let bytes = encoded.bytes();
            if part_bytes + bytes > PART_BYTES {
                self.write(std::mem::take(&mut part));
                part_bytes = 0;
            }
            part_bytes += bytes;
            part.push((record, encoded));
        }
        self.write(part)
    }

    /// Journals one atomic group.
    fn write(&mut self, group: Vec<(Record, Encoded)>) -> u64 {
        let round = self.rounds.gathering;
        let changes: Vec<_> = group.iter().map(|(_, encoded)| encoded.change()).collect();
        self.journal.append(&changes);
        self.rounds.journaled = round;
        for (record, _) in group {
            if let Some(topic) = self.state.apply(record, round) {
                self.forget_partitions(&topic, round);
            }
        }
        round
    }

    fn forget_partitions(&mut self, topic: &Topic, round: u64) {
        for at in topic.partitions() {
            self.storage.forget(at);
            self.signals.push(Signal {
                key: Key::Partition(at),
                bytes: usize::MAX,
            });
        }
        self.deletions.push((round, topic.partitions().collect()));
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

    fn synced(&mut self, round: u64, now: Now) {
        assert_eq!(
            self.rounds.in_flight,
            Some(round),
            "rounds end one at a time, in order"
        );
        self.rounds.in_flight = None;
        if !self.journal.synced() {
            return;
        }
        self.rounds.synced = round;
        self.storage.synced(round);
        let durable = self.deletions.partition_point(|&(at, _)| at <= round);
        for (_, partitions) in self.deletions.drain(..durable) {
            for at in partitions {
                self.storage.delete_files(at);
            }
        }
        self.finish_transactions(now);
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

    /// Appends a batch that nothing but its log can refuse any more, and notes what the disk has refused.
    ///
    /// # Errors
    /// As `Storage::append`; what the disk failed at for good is told to `failure`, not to the client.
    pub fn append(
        &mut self,
        at: PartitionId,
        batch: &NewBatch<'_>,
        origin: Origin,
        now: Now,
    ) -> Result<Appended, Refused> {
        let size_bytes = batch.header.size_bytes();
        match self.storage.append(at, now, batch, origin) {
            Ok(appended) => {
                self.full_disk.taken(size_bytes);
                Ok(appended)
            }
            Err(mut refused) => {
                let has_failed = self.take_failure(&mut refused);
                if refused.lacks_space {
                    self.note_full_disk(now, at, (size_bytes, &refused));
                } else if !has_failed && refused.code == ErrorCode::KAFKA_STORAGE_ERROR {
                    self.note_refused_append(now.mono, at, &refused);
                }
                Err(refused)
            }
        }
    }

    /// Notes that there was no room for an append. What has been deleted and was to stay on the disk for a while goes
    /// at once.
    fn note_full_disk(&mut self, now: Now, at: PartitionId, (bytes, refused): (usize, &Refused)) {
        self.storage.hurry_removals(now);
        let free_bytes = self.free_bytes();
        if self.full_disk.refused(now.mono, bytes, free_bytes) {
            let place = self.place(at);
            let why = refused.message.as_deref().unwrap_or_default();
            log::warn!(
                "{why}: records are refused until there is room, the first for {place}; free_bytes={free_bytes}"
            );
        }
    }

    /// Notes that the journal has no room for its next files.
    fn note_short_journal(&mut self, now: Mono) {
        if !self.journal.is_short() {
            return;
        }
        let free_bytes = self.free_bytes();
        if self.full_disk.lacks(now, 0, free_bytes) {
            log::warn!(
                "the disk is full: the journal has no room for its next files; free_bytes={free_bytes}"
            );
        }
    }

    /// Says it when there is room again, for which whatever is deleted meanwhile leaves at once. A journal that was
    /// short must have found some.
    fn tick_full_disk(&mut self, now: Now) {
        if !self.full_disk.is_due(now.mono) {
            return;
        }
        self.storage.hurry_removals(now);
        let now = now.mono;
        self.note_short_journal(now);
        if self.journal.is_short() {
            self.journal.may_grow(0);
        }
        let free_bytes = self.free_bytes();
        if let Some(spell) = self.full_disk.end(now, free_bytes) {
            log::info!(
                "the disk has room again: records are taken; refused={} seconds={} free_bytes={free_bytes}",
                spell.refused_count,
                spell.seconds(now)
            );
        }
    }

    /// What the file system says it has room for; 0 where it says nothing.
    fn free_bytes(&self) -> u64 {
        self.storage.space().map_or(0, |space| space.free_bytes)
    }

    /// What the disk failed at for good ends the process. Says whether it has.
    fn take_failure(&mut self, refused: &mut Refused) -> bool {
        let failure = refused.failure.take();
        let has_failed = failure.is_some();
        failure.into_iter().for_each(|failure| self.fail(failure));
        has_failed
    }

    /// Notes that a partition did not take what a client wanted to append for another reason than want of space: one
    /// line a minute, and a count in the report.
    fn note_refused_append(&mut self, now: Mono, at: PartitionId, refusal: &Refused) {
        self.refused_appends.count += 1;
        if let Some(left_out) = self.refused_appends.told.admit(now) {
            let place = self.place(at);
            let why = refusal.message.as_deref();
            let why = why.unwrap_or("the partition is damaged, as the log of the start says");
            log::warn!("records for {place} were refused: {why}; left_out={left_out}");
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

    /// The next sync round, if anything needs one, none is in flight, and the journal has a place for it or nothing
    /// to put there. Where that place takes only a part of the round, the number comes again with the rest: a round is
    /// durable when nothing of it is withheld. Asked last in a turn.
    ///
    /// # Errors
    /// When a write of this turn has failed for good: the process must stop, and nothing of the turn may be told
    /// to anybody.
    pub fn start_round(&mut self) -> Result<Option<Round>, Fatal> {
        if let Some(fatal) = self.failure.take() {
            return Err(fatal);
        }
        let needed = self.storage.needs_round() || self.journal.needs_round();
        if !needed
            || self.rounds.in_flight.is_some()
            || !self.journal.make_place().map_err(Fatal)?
        {
            return Ok(None);
        }
        let number = self.rounds.synced + 1;
        let mut round = Round {
            number,
            ..Round::default()
        };
        if number == self.rounds.gathering {
            // A round that lacks something would free the replies that wait for it.
            self.storage.gather(&mut round).map_err(Fatal)?;
            self.rounds.gathering += 1;
        }
        self.journal.gather(&mut round);
        self.rounds.in_flight = Some(number);
        Ok(Some(round))
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
            self.storage.max_bytes(),
            self.free_bytes(),
            self.full_disk.is_full(),
            self.refused_appends.count + self.full_disk.refused_count(),
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

/// Keys and values of one atomic group, where a request could ask for any number of them: small beside a file of the
/// journal, so that a full disk has a place for each.
const PART_BYTES: usize = 64 << 10;

/// What a fact takes in the journal besides its texts, at most.
const FACT_BYTES: usize = 128;

fn encoded(record: Record) -> (Record, Encoded) {
    let encoded = record.encode();
    (record, encoded)
}

/// Random ids out of one seed: two steps of SplitMix64 each, shaped as version-4 UUIDs.
#[derive(Debug)]
struct IdSource(u64);

impl IdSource {
    fn next(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.step().to_be_bytes());
        bytes[8..].copy_from_slice(&self.step().to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Uuid(bytes)
    }

    fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
