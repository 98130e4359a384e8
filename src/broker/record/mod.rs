//! The facts that the broker keeps in its journal, and how they are written.
//!
//! A record is absolute, never a delta: the newest record of a key is the whole truth about it, and a
//! tombstone says that there is nothing more to know. A key is one byte of kind and what tells records
//! of a kind apart; a value is a two-byte version and the fields of that version, flexible, so that a
//! later version may add tagged fields which an older chronikd skips.
//!
//! ```text
//! kind  key                 value
//! 1     -                   Opened: boot, leader epoch
//! 2     topic id (16)       Topic: name, partitions, settings; tombstone = deleted
//! 3     -                   ProducerIds: the first producer id that has not been given away in a block
//! 4     group id            Group: its generation; tombstone = deleted
//! 5     group id, topic id  Offset: one committed offset; tombstone = expired or deleted
//!       (16), partition (4)
//! 6     transactional id    Transaction: where it stands; tombstone = expired
//! 7     producer id (8),    TransactionPartition: no fields; tombstone = its marker is written
//!       topic id (16),
//!       partition (4)
//! 8     producer id (8),    TransactionGroup: no fields; tombstone = its offsets are applied or dropped
//!       group id
//! 9     producer id (8),    PendingOffset: an offset that counts when the producer's transaction commits; tombstone =
//!       group id, topic id  applied, dropped or deleted
//!       (16), partition (4)
//! 10    -                   Features: the levels that were settled, by name
//! 11    resource type (1),  Settings: what clients have set for a broker, a group or a subscription to metrics;
//!       name                tombstone = nothing any more
//! ```

mod keys;
#[cfg(test)]
mod tests;
#[expect(unreachable_pub, reason = "what wire! declares is public")]
mod values;

use super::facts::{Committed, Generation, TxnFact, TxnTouch};
use super::settings::Resource;
use crate::config::Values;
use crate::journal::Change;
use crate::proto::{self, Malformed, Uuid};
use crate::storage::PartitionId;
use keys::{
    FEATURES, GROUP, OFFSET, OPENED, PENDING_OFFSET, PRODUCER_IDS, SETTINGS, TOPIC, TRANSACTION,
    TRANSACTION_GROUP, TRANSACTION_PARTITION, group_key, offset_id, offset_key, pending_id,
    pending_key, resource, settings_key, text, topic_id, topic_key, transaction_group_id,
    transaction_group_key, transaction_key, transaction_partition_id, transaction_partition_key,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use values::{
    NoValue, OpenedValue, ProducerIdsValue, bytes, committed, features, features_value, fields,
    generation, group_value, kept_settings, offset_value, settings_value, standing, standing_value,
    topic, topic_value,
};

/// A start of the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Counts starts, from 1; 0 before the first.
    pub boot: i64,
    /// Counts starts after a stop that was not clean: the leader epoch of every partition.
    pub leader_epoch: i32,
}

/// One journaled fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The broker has started.
    Opened(Opened),
    /// A topic exists, as described.
    Topic {
        /// Its id, never zero.
        id: Uuid,
        /// Its name.
        name: String,
        /// How many partitions, numbered from 0.
        partition_count: i32,
        /// The settings of its own.
        settings: BTreeMap<String, String>,
    },
    /// A topic does not exist any more.
    TopicDeleted {
        /// The id that it had.
        id: Uuid,
    },
    /// Producer ids below `next` may have been given away.
    ProducerIds {
        /// The first id of the next block.
        next: i64,
    },
    /// A generation of a group is settled.
    Group {
        /// The group's id.
        id: Arc<str>,
        /// Its members and their parts of the work.
        generation: Generation,
    },
    /// A group does not exist any more.
    GroupDeleted {
        /// The id that it had.
        id: Arc<str>,
    },
    /// A group has committed an offset.
    Offset {
        /// The group's id.
        group: Arc<str>,
        /// The partition.
        at: PartitionId,
        /// The offset.
        committed: Committed,
    },
    /// A group has no offset of a partition any more.
    OffsetForgotten {
        /// The group's id.
        group: Arc<str>,
        /// The partition.
        at: PartitionId,
    },
    /// A group has an offset when a transaction commits.
    PendingOffset {
        /// The producer of the transaction.
        producer_id: i64,
        /// The group's id.
        group: Arc<str>,
        /// The partition.
        at: PartitionId,
        /// The offset.
        committed: Committed,
    },
    /// A transaction does not bring an offset of a partition any more.
    PendingOffsetDone {
        /// The producer of the transaction.
        producer_id: i64,
        /// The group's id.
        group: Arc<str>,
        /// The partition.
        at: PartitionId,
    },
    /// What is so of a transactional id.
    Transaction {
        /// The transactional id.
        id: Arc<str>,
        /// What is so.
        fact: TxnFact,
    },
    /// What a producer's transaction touches.
    Touched {
        /// The producer id that goes with the transactional id now.
        producer_id: i64,
        /// What it is.
        touch: TxnTouch,
    },
    /// Levels of features have been settled, for the `changes`th time.
    Features {
        /// Every level that was ever settled, by the feature's name.
        levels: BTreeMap<String, i16>,
        /// Counts changes, from 1.
        changes: i64,
    },
    /// Clients have set these, and nothing else, for something that is no topic.
    Settings {
        /// What they are for.
        resource: Resource,
        /// The settings; none says that there is nothing to keep.
        values: Values,
    },
}

/// A record as the journal takes it.
#[derive(Debug, Default)]
pub struct Encoded {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Encoded {
    fn value<'a, T: proto::Wire<'a>>(key: Vec<u8>, fields: &T) -> Encoded {
        let value = Some(bytes(fields));
        Encoded { key, value }
    }

    fn tombstone(key: Vec<u8>) -> Encoded {
        Encoded { key, value: None }
    }

    /// Bytes of key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }

    /// The journal's view of it.
    #[must_use]
    pub fn change(&self) -> Change<'_> {
        Change {
            key: &self.key,
            value: self.value.as_deref(),
        }
    }
}

impl Record {
    /// Key and value, ready for the journal.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        match self {
            Record::Opened(opened) => Encoded::value(
                vec![OPENED],
                &OpenedValue {
                    boot: opened.boot,
                    leader_epoch: opened.leader_epoch,
                },
            ),
            Record::Topic {
                id,
                name,
                partition_count,
                settings,
            } => Encoded::value(
                topic_key(*id),
                &topic_value(name, *partition_count, settings),
            ),
            Record::TopicDeleted { id } => Encoded::tombstone(topic_key(*id)),
            Record::ProducerIds { next } => {
                Encoded::value(vec![PRODUCER_IDS], &ProducerIdsValue { next: *next })
            }
            Record::Group { id, generation } => {
                Encoded::value(group_key(id), &group_value(generation))
            }
            Record::GroupDeleted { id } => Encoded::tombstone(group_key(id)),
            Record::Offset {
                group,
                at,
                committed,
            } => Encoded::value(offset_key(group, *at), &offset_value(committed)),
            Record::OffsetForgotten { group, at } => Encoded::tombstone(offset_key(group, *at)),
            Record::PendingOffset {
                producer_id,
                group,
                at,
                committed,
            } => Encoded::value(
                pending_key(*producer_id, group, *at),
                &offset_value(committed),
            ),
            Record::PendingOffsetDone {
                producer_id,
                group,
                at,
            } => Encoded::tombstone(pending_key(*producer_id, group, *at)),
            Record::Transaction { id, fact } => encode_of_transaction(id, fact),
            Record::Touched { producer_id, touch } => encode_of_touch(*producer_id, touch),
            Record::Features { levels, changes } => {
                Encoded::value(vec![FEATURES], &features_value(levels, *changes))
            }
            Record::Settings { resource, values } if values.is_empty() => {
                Encoded::tombstone(settings_key(resource))
            }
            Record::Settings { resource, values } => {
                Encoded::value(settings_key(resource), &settings_value(values))
            }
        }
    }

    /// Reads what `encode` wrote; `None` for a tombstone of a kind that is only ever replaced.
    ///
    /// # Errors
    /// When the bytes are of no kind or version that this chronikd knows.
    pub fn decode(change: &Change<'_>) -> Result<Option<Record>, Malformed> {
        let (kind, key) = change
            .key
            .split_first()
            .ok_or(Malformed("journal key is empty"))?;
        let Some(bytes) = change.value else {
            return Record::gone(*kind, key);
        };
        let record = match *kind {
            OPENED => {
                let OpenedValue { boot, leader_epoch } = fields(bytes)?;
                Record::Opened(Opened { boot, leader_epoch })
            }
            TOPIC => topic(topic_id(key)?, &fields(bytes)?),
            PRODUCER_IDS => {
                let ProducerIdsValue { next } = fields(bytes)?;
                Record::ProducerIds { next }
            }
            GROUP => Record::Group {
                id: text(key)?.into(),
                generation: generation(&fields(bytes)?),
            },
            OFFSET => {
                let (group, at) = offset_id(key)?;
                let committed = committed(&fields(bytes)?);
                Record::Offset {
                    group,
                    at,
                    committed,
                }
            }
            PENDING_OFFSET => {
                let (producer_id, group, at) = pending_id(key)?;
                let committed = committed(&fields(bytes)?);
                Record::PendingOffset {
                    producer_id,
                    group,
                    at,
                    committed,
                }
            }
            TRANSACTION => Record::Transaction {
                id: text(key)?.into(),
                fact: TxnFact::Stands(standing(&fields(bytes)?)?),
            },
            TRANSACTION_PARTITION => {
                let NoValue {} = fields(bytes)?;
                let (producer_id, at) = transaction_partition_id(key)?;
                let touch = TxnTouch::Partition(at);
                Record::Touched { producer_id, touch }
            }
            TRANSACTION_GROUP => {
                let NoValue {} = fields(bytes)?;
                let (producer_id, group) = transaction_group_id(key)?;
                let touch = TxnTouch::Group(group);
                Record::Touched { producer_id, touch }
            }
            FEATURES => features(&fields(bytes)?),
            SETTINGS => kept_settings(resource(key)?, &fields(bytes)?),
            _ => return Err(Malformed("journal record of an unknown kind")),
        };
        Ok(Some(record))
    }

    fn gone(kind: u8, key: &[u8]) -> Result<Option<Record>, Malformed> {
        Ok(match kind {
            TOPIC => Some(Record::TopicDeleted { id: topic_id(key)? }),
            GROUP => Some(Record::GroupDeleted {
                id: text(key)?.into(),
            }),
            OFFSET => {
                let (group, at) = offset_id(key)?;
                Some(Record::OffsetForgotten { group, at })
            }
            PENDING_OFFSET => {
                let (producer_id, group, at) = pending_id(key)?;
                Some(Record::PendingOffsetDone {
                    producer_id,
                    group,
                    at,
                })
            }
            TRANSACTION => Some(Record::Transaction {
                id: text(key)?.into(),
                fact: TxnFact::Expired,
            }),
            TRANSACTION_PARTITION => {
                let (producer_id, at) = transaction_partition_id(key)?;
                let touch = TxnTouch::PartitionDone(at);
                Some(Record::Touched { producer_id, touch })
            }
            TRANSACTION_GROUP => {
                let (producer_id, group) = transaction_group_id(key)?;
                let touch = TxnTouch::GroupDone(group);
                Some(Record::Touched { producer_id, touch })
            }
            SETTINGS => Some(Record::Settings {
                resource: resource(key)?,
                values: Values::new(),
            }),
            _ => None,
        })
    }
}

fn encode_of_transaction(id: &str, fact: &TxnFact) -> Encoded {
    let key = transaction_key(id);
    match fact {
        TxnFact::Stands(standing) => Encoded::value(key, &standing_value(standing)),
        TxnFact::Expired => Encoded::tombstone(key),
    }
}

fn encode_of_touch(producer_id: i64, touch: &TxnTouch) -> Encoded {
    let partition = |at| transaction_partition_key(producer_id, at);
    let group = |group: &str| transaction_group_key(producer_id, group);
    match touch {
        TxnTouch::Partition(at) => Encoded::value(partition(*at), &NoValue {}),
        TxnTouch::PartitionDone(at) => Encoded::tombstone(partition(*at)),
        TxnTouch::Group(id) => Encoded::value(group(id), &NoValue {}),
        TxnTouch::GroupDone(id) => Encoded::tombstone(group(id)),
    }
}
