//! From a data directory to a running broker.
//!
//! 1. The identity is read, or written on the first start.
//! 2. The journal is replayed into `apply`.
//! 3. `Opened` is journaled and made durable, before anything listens: after a stop that was not clean the
//!    leader epoch rises, so that clients notice that records they never had acknowledged may be gone.
//! 4. The storage matches directories against topics and queues the loading of every partition; until
//!    one is loaded, requests for it wait, and metadata is answered all the same.

use super::fetch_sessions::FetchSessions;
use super::identity::Identity;
use super::producer_ids::ProducerIds;
use super::record::Record;
use super::topics::Topics;
use super::{Broker, Closing, IdSource, Rounds};
use crate::clock::Now;
use crate::config::BrokerConfig;
use crate::disk::Disk;
use crate::disk::lanes::{Completion, Inline, Lanes, Round};
use crate::journal::{self, Journal};
use crate::storage::{Known, Storage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a data directory cannot be served.
#[derive(Debug)]
pub enum OpenError {
    /// The journal is damaged, newer than this chronikd, or unreadable.
    Journal(journal::OpenError),
    /// A journal record that verifies and yet makes no sense.
    Record(&'static str),
    /// `meta.properties` belongs to another broker, or makes no sense; a sentence.
    Identity(String),
    /// A file operation failed.
    Io(PathBuf, io::Error),
}

impl Broker {
    /// Opens a data directory, which must exist and be locked by the caller.
    ///
    /// # Errors
    /// See `OpenError`; nothing has been changed that would matter to a later start.
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &Path,
        config: Arc<BrokerConfig>,
        seed: u64,
        now: Now,
    ) -> Result<Broker, OpenError> {
        let mut ids = IdSource(seed);
        let identity = establish(&*disk, root, &config, &mut ids)?;
        let mut replayed = Vec::new();
        let mut refused = None;
        let salt = ids.step();
        let journal = Journal::open(Arc::clone(&disk), root, salt, &mut |changes| {
            for change in changes {
                match Record::decode(change) {
                    Ok(record) => replayed.extend(record),
                    Err(e) => refused = Some(e.0),
                }
            }
        })
        .map_err(OpenError::Journal)?;
        if let Some(why) = refused {
            return Err(OpenError::Record(why));
        }
        let storage = Storage::new(
            Arc::clone(&disk),
            root.to_owned(),
            0,
            config.producer_id_expiration_ms,
        );
        let slots = config.max_incremental_fetch_session_cache_slots;
        let mut broker = Broker {
            fetch_sessions: FetchSessions::new(slots, FETCH_SESSION_EVICTION_MS, seed),
            config,
            identity,
            storage,
            topics: Topics::default(),
            producer_ids: ProducerIds::default(),
            journal,
            opened: (0, -1),
            rounds: Rounds {
                gathering: 1,
                in_flight: None,
                synced: 0,
            },
            deletions: Vec::new(),
            signals: Vec::new(),
            ids,
            closing: Closing::No,
            failure: None,
        };
        for record in replayed {
            broker.apply(record, 0);
        }
        broker.begin(&disk, root, now)?;
        Ok(broker)
    }

    /// Steps 3 and 4.
    fn begin(&mut self, disk: &Arc<dyn Disk>, root: &Path, now: Now) -> Result<(), OpenError> {
        let clean = self.journal.was_clean();
        let (boot, leader_epoch) = self.opened;
        let leader_epoch = if clean && boot > 0 {
            leader_epoch
        } else {
            leader_epoch + 1
        };
        self.commit(&[Record::Opened {
            boot: boot + 1,
            leader_epoch,
        }]);
        if let Some(round) = self.start_round() {
            let number = round.number;
            run(disk, root, round)?;
            self.synced(number, now);
        }
        self.deletions.clear();
        let known = self.topics.iter().flat_map(|topic| {
            topic.partitions().map(|id| Known {
                id,
                topic_name: Arc::clone(&topic.name),
                config: Arc::clone(&topic.config),
            })
        });
        let known = known.collect();
        let io = |e| OpenError::Io(root.to_owned(), e);
        self.storage.start(known, clean, now).map_err(io)
    }
}

/// Runs one round here and now.
fn run(disk: &Arc<dyn Disk>, root: &Path, round: Round) -> Result<(), OpenError> {
    let mut lanes = Inline::<()>::new(Arc::clone(disk), root);
    lanes.sync(round);
    match lanes.completed().pop() {
        Some(Completion::SyncFailed(path, error)) => Err(OpenError::Io(path, error)),
        _ => Ok(()),
    }
}

/// `min.incremental.fetch.session.eviction.ms`, which Kafka has as a constant too.
const FETCH_SESSION_EVICTION_MS: i64 = 120_000;

fn establish(
    disk: &dyn Disk,
    root: &Path,
    config: &BrokerConfig,
    ids: &mut IdSource,
) -> Result<Identity, OpenError> {
    let load = |e: io::Error| match e.kind() {
        io::ErrorKind::InvalidData => OpenError::Identity(e.to_string()),
        _ => OpenError::Io(root.to_owned(), e),
    };
    if let Some(identity) = Identity::load(disk, root).map_err(load)? {
        if identity.node_id != config.node_id {
            return Err(OpenError::Identity(format!(
                "the data directory belongs to node.id {}, but the settings say {}",
                identity.node_id, config.node_id
            )));
        }
        return Ok(identity);
    }
    let identity = Identity {
        cluster_id: ids.next().to_string(),
        node_id: config.node_id,
        directory_id: ids.next(),
    };
    identity
        .store(disk, root)
        .map_err(|e| OpenError::Io(root.to_owned(), e))?;
    Ok(identity)
}
