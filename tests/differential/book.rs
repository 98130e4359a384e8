//! What all runs have had answered, and what it must have been for the suite to be complete.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chronikd::proto::ApiKey;

use crate::scripts::At;
use crate::table::Table;
use crate::tree::Tree;

/// At least so many exchanges must agree.
const EXCHANGES: usize = 300;

/// Offsets of version 0 were kept in ZooKeeper, which no oracle has any more.
const NO_ORACLE: &[(ApiKey, i16)] = &[(ApiKey::OffsetCommit, 0), (ApiKey::OffsetFetch, 0)];

/// What bad input, the life of groups and transactions must have drawn from Kafka.
#[rustfmt::skip]
const ERRORS: &[&str] = &[
    "UNKNOWN_SERVER_ERROR(-1)", "UNKNOWN_TOPIC_OR_PARTITION(3)", "OFFSET_METADATA_TOO_LARGE(12)",
    "ILLEGAL_GENERATION(22)", "INCONSISTENT_GROUP_PROTOCOL(23)", "INVALID_GROUP_ID(24)", "UNKNOWN_MEMBER_ID(25)",
    "INVALID_SESSION_TIMEOUT(26)", "REBALANCE_IN_PROGRESS(27)", "NON_EMPTY_GROUP(68)", "GROUP_ID_NOT_FOUND(69)",
    "MEMBER_ID_REQUIRED(79)", "GROUP_MAX_SIZE_REACHED(81)", "FENCED_INSTANCE_ID(82)",
    "GROUP_SUBSCRIBED_TO_TOPIC(86)", "UNKNOWN_TOPIC_ID(100)",
    "INVALID_PRODUCER_EPOCH(47)", "INVALID_TXN_STATE(48)", "INVALID_PRODUCER_ID_MAPPING(49)",
    "INVALID_TRANSACTION_TIMEOUT(50)", "CONCURRENT_TRANSACTIONS(51)", "TRANSACTION_COORDINATOR_FENCED(52)",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED(53)", "OPERATION_NOT_ATTEMPTED(55)", "UNSTABLE_OFFSET_COMMIT(88)",
    "PRODUCER_FENCED(90)", "TRANSACTIONAL_ID_NOT_FOUND(105)", "TRANSACTION_ABORTABLE(120)",
    "INVALID_REGULAR_EXPRESSION(128)",
];

/// The book of one suite.
pub(crate) struct Book {
    /// What may differ.
    pub(crate) table: Table,
    exchanges: AtomicUsize,
    answered: Mutex<BTreeSet<(ApiKey, i16)>>,
    /// The errors in Kafka's answers.
    errors: Mutex<BTreeSet<String>>,
}

impl Book {
    /// Nothing was said yet.
    pub(crate) fn new() -> Book {
        Book {
            table: Table::new(),
            exchanges: AtomicUsize::new(0),
            answered: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    /// Two answers, or what came instead, were compared.
    pub(crate) fn compared(&self) {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
    }

    /// Kafka has answered so.
    pub(crate) fn answered(&self, api: ApiKey, version: i16, theirs: &Tree) {
        let mut answered = self.answered.lock().expect("nobody panics with it");
        answered.insert((api, version));
        let mut errors = self.errors.lock().expect("nobody panics with it");
        theirs.errors(&mut errors);
    }

    /// How many exchanges were compared.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::Relaxed)
    }

    /// What the scripts should have said or drawn and have not, and the rows of the table that nothing needed.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let mut gaps = self.unasked();
        let errors = self.errors.lock().expect("nobody panics with it");
        let absent = ERRORS.iter().filter(|error| !errors.contains(**error));
        gaps.extend(absent.map(|error| format!("no answer has {error}")));
        let idle = self.table.idle().into_iter();
        gaps.extend(idle.map(|row| format!("nothing needs the row {row}")));
        let exchanges = self.exchanges();
        if exchanges < EXCHANGES {
            gaps.push(format!("only {exchanges} exchanges"));
        }
        gaps
    }

    /// Every API that is served must have been asked at its lowest, its middle and its highest version.
    fn unasked(&self) -> Vec<String> {
        let answered = self.answered.lock().expect("nobody panics with it");
        let mut unasked = Vec::new();
        for api in ApiKey::TABLE {
            for version in At::Three.versions(api.min, api.max) {
                let place = (api.key, version);
                if !answered.contains(&place) && !NO_ORACLE.contains(&place) {
                    unasked.push(format!("{} {version} was not asked", api.name));
                }
            }
        }
        unasked
    }
}
