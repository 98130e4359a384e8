//! From a data directory to a running broker.
//!
//! 1. The identity is read, if there is one.
//! 2. The journal is replayed into the state.
//! 3. `Opened` is journaled and made durable, before anything listens: after a stop that was not clean the
//!    leader epoch rises, so that clients notice that records they never had acknowledged may be gone. On the first
//!    start the identity is written behind it: whatever has an identity has a journal.
//! 4. The storage matches directories against topics and queues the loading of every partition; until
//!    one is loaded, requests for it wait, and metadata is answered all the same. Transactions wait for all of them.

use super::appends::RefusedAppends;
use super::fetch_sessions::FetchSessions;
use super::full_disk::FullDisk;
use super::home;
use super::identity::IdSource;
use super::identity::Identity;
use super::ignored;
use super::loggers::Loggers;
use super::record::{Opened, Record};
use super::rounds::Rounds;
use super::state::State;
use super::txn_coordinator::TxnCoordinator;
use super::{Broker, Closing, Fatal};
use crate::clock::{Now, Rate, Steadiness};
use crate::config::BrokerConfig;
use crate::disk::Disk;
use crate::disk::lanes::{Completion, Inline, Lanes, Round};
use crate::journal::{self, Journal};
use crate::proto::{Malformed, Uuid};
use crate::storage::{Known, Storage};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Where a broker's luck comes from: random numbers that do not tell each other.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// For ids. Clients see enough of these to compute it.
    pub ids: u64,
    /// For the journal's checksums: nobody may learn it, or a value could be made to look like a record.
    pub salt: u64,
    /// For the table of keys of a compaction: nobody may learn it, or keys could be made that the table takes for one.
    pub keys: u64,
}

/// Why a data directory cannot be served.
#[derive(Debug)]
pub enum OpenError {
    /// The journal is damaged, newer than this chronikd, or unreadable.
    Journal(journal::OpenError),
    /// A journal record that verifies and yet makes no sense.
    Record(Malformed),
    /// The directory is another program's, or its journal is gone; a sentence.
    Foreign(String),
    /// `meta.properties` belongs to another broker; a sentence.
    Identity(String),
    /// `meta.properties` makes no sense; a sentence.
    Meta(String),
    /// A file operation failed.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Journal(error) => error.fmt(f),
            OpenError::Record(error) => {
                write!(f, "a record of the journal makes no sense: {error}")
            }
            OpenError::Foreign(sentence)
            | OpenError::Identity(sentence)
            | OpenError::Meta(sentence) => f.write_str(sentence),
            OpenError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl Broker {
    /// Opens a data directory, which the caller has examined ([`home::examine`]) and locked.
    ///
    /// # Errors
    /// See `OpenError`; nothing has been changed that would matter to a later start.
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &Path,
        config: Arc<BrokerConfig>,
        seeds: Seeds,
        now: Now,
    ) -> Result<Broker, OpenError> {
        let mut ids = IdSource(seeds.ids);
        let (identity, is_new) = identify(&*disk, root, &config, &mut ids)?;
        let mut state = State::new(&config);
        let mut deleted = BTreeSet::new();
        let place = journal::Place {
            disk: Arc::clone(&disk),
            root: root.to_owned(),
            salt: seeds.salt,
        };
        let journal = replay(
            place,
            journal_limits(&config),
            now,
            &mut state,
            &mut deleted,
        )?;
        if !is_new && !journal.was_clean() {
            log::info!(
                "the process before was not stopped cleanly: logs are read from their recovery points on"
            );
        }
        state.opened = next_start(state.opened, journal.was_clean());
        state.reconfigure();
        ignored::tell(&state);
        let config = Arc::clone(&state.config);
        let mut storage = Storage::new(
            Arc::clone(&disk),
            root.to_owned(),
            state.opened.leader_epoch,
            config.storage,
        );
        storage.start_cleaner(seeds.keys, now);
        let slots = config.max_incremental_fetch_session_cache_slots;
        let mut broker = Broker {
            fetch_sessions: FetchSessions::new(slots, FETCH_SESSION_EVICTION_MS, seeds.ids),
            offsets_check: now.mono.plus_ms(config.offsets_retention_check_interval_ms),
            steadiness: Steadiness::from(now),
            txn_coordinator: TxnCoordinator::new(now.mono, &config),
            identity,
            storage,
            state,
            journal,
            rounds: Rounds::new(),
            deletions: Vec::new(),
            signals: Vec::new(),
            ids,
            closing: Closing::No,
            failure: None,
            complaints: Rate::per_minute(COMPLAINTS_A_MINUTE),
            refused_appends: RefusedAppends::default(),
            full_disk: FullDisk::default(),
            loggers: Loggers::default(),
            has_news: true,
        };
        broker
            .begin(&disk, root, is_new, now)
            .and_then(|()| broker.load(&deleted, now))
            .map_err(OpenError::Io)?;
        Ok(broker)
    }

    /// Step 3; `is_new` says that the identity has to be written.
    fn begin(
        &mut self,
        disk: &Arc<dyn Disk>,
        root: &Path,
        is_new: bool,
        now: Now,
    ) -> io::Result<()> {
        self.commit(vec![Record::Opened(self.state.opened)]);
        self.resume_groups(now);
        self.resume_transactions(now);
        self.first_round(disk, root, now)?;
        match self.failure.take() {
            Some(Fatal(error)) => Err(error),
            None if is_new => self.identity.store(&**disk, root),
            // A start that was cut off may have left the name of the identity's file in memory only.
            None => disk.sync_dir(root),
        }
    }

    /// Step 4, where these topics have been deleted.
    fn load(&mut self, deleted: &BTreeSet<Uuid>, now: Now) -> io::Result<()> {
        let known = self.state.topics.iter().flat_map(|topic| {
            topic.partitions().map(|id| Known {
                id,
                topic_name: Arc::clone(&topic.name),
                config: Arc::clone(&topic.config),
            })
        });
        let known = known.collect();
        let clean = self.journal.was_clean();
        self.storage.start(known, deleted, clean, now)?;
        self.leave_loading();
        self.finish_transactions(now);
        Ok(())
    }

    /// The round with `Opened`, in as many parts as it takes. Where the journal has no place for one, room is made here
    /// and now.
    fn first_round(&mut self, disk: &Arc<dyn Disk>, root: &Path, now: Now) -> io::Result<()> {
        while self.rounds.synced == 0 {
            if let Some(round) = self.start_round().map_err(|Fatal(error)| error)? {
                let number = round.number;
                run(disk, root, round)?;
                self.synced(number, now);
            } else {
                let job = self.journal.take_job().ok_or(io::ErrorKind::StorageFull)?;
                self.journal.absorb(job(), now.mono)?;
            }
        }
        Ok(())
    }
}

/// Opens the journal and makes everything true that it says. Topics that it says are gone are added to `deleted`.
fn replay(
    place: journal::Place,
    limits: journal::Limits,
    now: Now,
    state: &mut State,
    deleted: &mut BTreeSet<Uuid>,
) -> Result<Journal, OpenError> {
    let mut refused = None;
    let journal = Journal::open(place, limits, now.mono, &mut |changes| {
        for change in changes {
            match Record::decode(change) {
                Ok(Some(record)) => {
                    deleted.extend(state.apply(record, 0).map(|topic| topic.id));
                }
                Ok(None) => {}
                Err(e) => refused = Some(e),
            }
        }
    })
    .map_err(OpenError::Journal)?;
    match refused {
        Some(why) => Err(OpenError::Record(why)),
        None => Ok(journal),
    }
}

fn journal_limits(config: &BrokerConfig) -> journal::Limits {
    journal::Limits {
        interval_ms: config.chronik_journal_snapshot_interval_ms,
        bytes: config.chronik_journal_snapshot_bytes,
        entries: config.chronik_journal_snapshot_entries,
    }
}

/// The start that follows the last one: the epoch rises after a stop that was not clean.
fn next_start(last: Opened, clean: bool) -> Opened {
    let is_first = last.boot == 0;
    Opened {
        boot: last.boot + 1,
        leader_epoch: last.leader_epoch + i32::from(!clean && !is_first),
    }
}

/// Runs one round here and now.
fn run(disk: &Arc<dyn Disk>, root: &Path, round: Round) -> io::Result<()> {
    let mut lanes = Inline::<()>::new(Arc::clone(disk), root);
    lanes.sync(round);
    match lanes.completed().pop() {
        Some(Completion::SyncFailed(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Log lines about requests that went wrong.
const COMPLAINTS_A_MINUTE: u32 = 10;

/// `min.incremental.fetch.session.eviction.ms`, which Kafka has as a constant too.
const FETCH_SESSION_EVICTION_MS: i64 = 120_000;

/// The identity of the directory, or one for a new directory, and whether it is that.
fn identify(
    disk: &dyn Disk,
    root: &Path,
    config: &BrokerConfig,
    ids: &mut IdSource,
) -> Result<(Identity, bool), OpenError> {
    match home::identity(disk, root)? {
        Some(identity) if identity.node_id != config.node_id => Err(OpenError::Identity(format!(
            "the data directory belongs to node.id {}, but the settings say {}",
            identity.node_id, config.node_id
        ))),
        Some(identity) => Ok((identity, false)),
        None => {
            let identity = Identity {
                cluster_id: ids.next().to_string(),
                node_id: config.node_id,
                directory_id: ids.next(),
            };
            Ok((identity, true))
        }
    }
}
