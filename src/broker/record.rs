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
//! 7     length (2) and      TransactionPartition: no fields; tombstone = its marker is written
//!       transactional id,
//!       topic id (16),
//!       partition (4)
//! 8     length (2) and      TransactionGroup: no fields; tombstone = its offsets are applied or dropped
//!       transactional id,
//!       group id
//! 9     producer id (8),    PendingOffset: an offset that counts when the producer's transaction commits; tombstone =
//!       group id, topic id  applied, dropped or deleted
//!       (16), partition (4)
//! 10    -                   Features: the levels that were settled, by name
//! ```

use super::facts::{Committed, Generation, GenerationMember};
use super::txns::{Standing, State};
use crate::journal::Change;
use crate::proto::wire::wire;
use crate::proto::{self, Malformed, Uuid};
use crate::storage::PartitionId;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// A transactional id stands so.
    Transaction {
        /// The transactional id.
        id: Arc<str>,
        /// Its producer and the state of its transaction.
        standing: Standing,
    },
    /// A transactional id is forgotten.
    TransactionExpired {
        /// The transactional id.
        id: Arc<str>,
    },
    /// A partition is in a transaction.
    TransactionPartition {
        /// The transactional id.
        id: Arc<str>,
        /// The partition.
        at: PartitionId,
    },
    /// A partition has the marker of the transaction's end.
    TransactionPartitionDone {
        /// The transactional id.
        id: Arc<str>,
        /// The partition.
        at: PartitionId,
    },
    /// Offsets of a group are in a transaction.
    TransactionGroup {
        /// The transactional id.
        id: Arc<str>,
        /// The group's id.
        group: Arc<str>,
    },
    /// What the transaction's end means for a group's offsets is journaled.
    TransactionGroupDone {
        /// The transactional id.
        id: Arc<str>,
        /// The group's id.
        group: Arc<str>,
    },
    /// Levels of features have been settled, for the `changes`th time.
    Features {
        /// Every level that was ever settled, by the feature's name.
        levels: BTreeMap<String, i16>,
        /// Counts changes, from 1.
        changes: i64,
    },
}

const OPENED: u8 = 1;
const TOPIC: u8 = 2;
const PRODUCER_IDS: u8 = 3;
const GROUP: u8 = 4;
const OFFSET: u8 = 5;
const TRANSACTION: u8 = 6;
const TRANSACTION_PARTITION: u8 = 7;
const TRANSACTION_GROUP: u8 = 8;
const PENDING_OFFSET: u8 = 9;
const FEATURES: u8 = 10;

/// Stands for a time that is not set.
const NO_TIME: i64 = -1;

/// The version in which values are written now.
const VERSION: i16 = 0;

wire! {
    /// The value of kind 1.
    struct OpenedValue {
        boot: i64,
        leader_epoch: i32,
    }

    /// The value of kind 2.
    struct TopicValue<'a> {
        name: &'a str,
        partition_count: i32,
        settings: Vec<SettingValue<'a>>,
    }

    /// One setting in the value of kind 2.
    struct SettingValue<'a> {
        name: &'a str,
        value: &'a str,
    }

    /// The value of kind 3.
    struct ProducerIdsValue {
        next: i64,
    }

    /// The value of kind 4.
    struct GroupValue<'a> {
        generation: i32,
        protocol_type: Option<&'a str>,
        protocol_name: Option<&'a str>,
        leader: Option<&'a str>,
        since_ms: i64,
        members: Vec<MemberValue<'a>>,
    }

    /// One member in the value of kind 4.
    struct MemberValue<'a> {
        member_id: &'a str,
        group_instance_id: Option<&'a str>,
        client_id: &'a str,
        client_host: &'a str,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32,
        metadata: &'a [u8],
        assignment: &'a [u8],
    }

    /// The value of kinds 5 and 9; `expire_timestamp_ms` may be -1, none.
    struct OffsetValue<'a> {
        offset: i64,
        leader_epoch: i32,
        metadata: &'a str,
        commit_timestamp_ms: i64,
        expire_timestamp_ms: i64,
        ;
        0 => order: i32,
    }

    /// The value of kind 6; the times are milliseconds since 1970.
    struct TransactionValue {
        producer_id: i64,
        producer_epoch: i16,
        previous_producer_id: i64,
        last_producer_epoch: i16,
        next_producer_id: i64,
        timeout_ms: i32,
        state: i8,
        transaction_version: i16,
        started_ms: i64,
        updated_ms: i64,
    }

    /// The value of kinds 7 and 8, whose keys say everything.
    struct NoValue {
    }

    /// The value of kind 10.
    struct FeaturesValue<'a> {
        changes: i64,
        levels: Vec<LevelValue<'a>>,
    }

    /// One level in the value of kind 10.
    struct LevelValue<'a> {
        name: &'a str,
        level: i16,
    }
}

/// A record as the journal takes it.
#[derive(Debug, Default)]
pub struct Encoded {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Encoded {
    fn value<'a, T: proto::Wire<'a>>(key: Vec<u8>, fields: &T) -> Encoded {
        let mut bytes = VERSION.to_be_bytes().to_vec();
        proto::encode(fields, VERSION, true, &mut bytes)
            .expect("whatever becomes a record has been checked to fit one");
        let value = Some(bytes);
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
            Record::Transaction { id, standing } => {
                Encoded::value(transaction_key(id), &standing_value(standing))
            }
            Record::TransactionExpired { id } => Encoded::tombstone(transaction_key(id)),
            Record::TransactionPartition { id, at } => {
                Encoded::value(part_key(id, *at), &NoValue {})
            }
            Record::TransactionPartitionDone { id, at } => Encoded::tombstone(part_key(id, *at)),
            Record::TransactionGroup { id, group } => {
                Encoded::value(transaction_group_key(id, group), &NoValue {})
            }
            Record::TransactionGroupDone { id, group } => {
                Encoded::tombstone(transaction_group_key(id, group))
            }
            Record::Features { levels, changes } => {
                Encoded::value(vec![FEATURES], &features_value(levels, *changes))
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
                standing: standing(&fields(bytes)?)?,
            },
            TRANSACTION_PARTITION => {
                let NoValue {} = fields(bytes)?;
                let (id, at) = part_id(key)?;
                Record::TransactionPartition { id, at }
            }
            TRANSACTION_GROUP => {
                let NoValue {} = fields(bytes)?;
                let (id, group) = transaction_group_id(key)?;
                Record::TransactionGroup { id, group }
            }
            FEATURES => features(&fields(bytes)?),
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
            TRANSACTION => Some(Record::TransactionExpired {
                id: text(key)?.into(),
            }),
            TRANSACTION_PARTITION => {
                let (id, at) = part_id(key)?;
                Some(Record::TransactionPartitionDone { id, at })
            }
            TRANSACTION_GROUP => {
                let (id, group) = transaction_group_id(key)?;
                Some(Record::TransactionGroupDone { id, group })
            }
            _ => None,
        })
    }
}

fn topic_value<'a>(
    name: &'a str,
    partition_count: i32,
    settings: &'a BTreeMap<String, String>,
) -> TopicValue<'a> {
    let setting = |(name, value): (&'a String, &'a String)| SettingValue { name, value };
    TopicValue {
        name,
        partition_count,
        settings: settings.iter().map(setting).collect(),
    }
}

fn topic(id: Uuid, value: &TopicValue<'_>) -> Record {
    let setting = |s: &SettingValue<'_>| (s.name.to_owned(), s.value.to_owned());
    Record::Topic {
        id,
        name: value.name.to_owned(),
        partition_count: value.partition_count,
        settings: value.settings.iter().map(setting).collect(),
    }
}

fn group_value(generation: &Generation) -> GroupValue<'_> {
    GroupValue {
        generation: generation.id,
        protocol_type: generation.protocol_type.as_deref(),
        protocol_name: generation.protocol_name.as_deref(),
        leader: generation.leader.as_deref(),
        since_ms: generation.since_ms,
        members: generation.members.iter().map(member_value).collect(),
    }
}

fn generation(value: &GroupValue<'_>) -> Generation {
    Generation {
        id: value.generation,
        protocol_type: value.protocol_type.map(Into::into),
        protocol_name: value.protocol_name.map(Into::into),
        leader: value.leader.map(Into::into),
        since_ms: value.since_ms,
        members: value.members.iter().map(member).collect(),
    }
}

fn member_value(member: &GenerationMember) -> MemberValue<'_> {
    MemberValue {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        metadata: &member.metadata,
        assignment: &member.assignment,
    }
}

fn member(value: &MemberValue<'_>) -> GenerationMember {
    GenerationMember {
        member_id: value.member_id.into(),
        group_instance_id: value.group_instance_id.map(Into::into),
        client_id: value.client_id.into(),
        client_host: value.client_host.into(),
        session_timeout_ms: value.session_timeout_ms,
        rebalance_timeout_ms: value.rebalance_timeout_ms,
        metadata: value.metadata.into(),
        assignment: value.assignment.into(),
    }
}

fn offset_value(committed: &Committed) -> OffsetValue<'_> {
    OffsetValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: &committed.metadata,
        commit_timestamp_ms: committed.commit_timestamp_ms,
        expire_timestamp_ms: committed.expire_timestamp_ms.unwrap_or(NO_TIME),
        order: committed.order,
    }
}

fn committed(value: &OffsetValue<'_>) -> Committed {
    Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.into(),
        commit_timestamp_ms: value.commit_timestamp_ms,
        expire_timestamp_ms: Some(value.expire_timestamp_ms).filter(|&ms| ms != NO_TIME),
        order: value.order,
    }
}

fn standing_value(standing: &Standing) -> TransactionValue {
    TransactionValue {
        producer_id: standing.producer_id,
        producer_epoch: standing.epoch,
        previous_producer_id: standing.previous_producer_id,
        last_producer_epoch: standing.last_epoch,
        next_producer_id: standing.next_producer_id,
        timeout_ms: standing.timeout_ms,
        state: standing.state.number(),
        transaction_version: standing.version,
        started_ms: standing.started_ms,
        updated_ms: standing.updated_ms,
    }
}

fn standing(value: &TransactionValue) -> Result<Standing, Malformed> {
    let state = State::of_number(value.state);
    Ok(Standing {
        producer_id: value.producer_id,
        epoch: value.producer_epoch,
        previous_producer_id: value.previous_producer_id,
        last_epoch: value.last_producer_epoch,
        next_producer_id: value.next_producer_id,
        timeout_ms: value.timeout_ms,
        state: state.ok_or(Malformed(
            "journal value of a transaction in an unknown state",
        ))?,
        version: value.transaction_version,
        started_ms: value.started_ms,
        updated_ms: value.updated_ms,
    })
}

fn features_value<'a>(levels: &'a BTreeMap<String, i16>, changes: i64) -> FeaturesValue<'a> {
    let level = |(name, &level): (&'a String, &i16)| LevelValue { name, level };
    FeaturesValue {
        changes,
        levels: levels.iter().map(level).collect(),
    }
}

fn features(value: &FeaturesValue<'_>) -> Record {
    let level = |it: &LevelValue<'_>| (it.name.to_owned(), it.level);
    Record::Features {
        levels: value.levels.iter().map(level).collect(),
        changes: value.changes,
    }
}

fn topic_key(id: Uuid) -> Vec<u8> {
    [&[TOPIC], id.0.as_slice()].concat()
}

fn topic_id(key: &[u8]) -> Result<Uuid, Malformed> {
    key.try_into()
        .map(Uuid)
        .map_err(|_| Malformed("journal key of a topic is not an id"))
}

fn group_key(id: &str) -> Vec<u8> {
    [&[GROUP], id.as_bytes()].concat()
}

fn offset_key(group: &str, at: PartitionId) -> Vec<u8> {
    [&[OFFSET], group.as_bytes(), &place(at)].concat()
}

/// What follows the group's id is of fixed length.
fn offset_id(key: &[u8]) -> Result<(Arc<str>, PartitionId), Malformed> {
    let (group, place) = key.split_last_chunk().ok_or(SHORT_KEY)?;
    Ok((text(group)?.into(), at(place)))
}

fn pending_key(producer_id: i64, group: &str, at: PartitionId) -> Vec<u8> {
    let producer_id = producer_id.to_be_bytes();
    [
        &[PENDING_OFFSET],
        producer_id.as_slice(),
        group.as_bytes(),
        &place(at),
    ]
    .concat()
}

fn pending_id(key: &[u8]) -> Result<(i64, Arc<str>, PartitionId), Malformed> {
    let (producer_id, rest) = key.split_first_chunk().ok_or(SHORT_KEY)?;
    let (group, at) = offset_id(rest)?;
    Ok((i64::from_be_bytes(*producer_id), group, at))
}

fn transaction_key(id: &str) -> Vec<u8> {
    [&[TRANSACTION], id.as_bytes()].concat()
}

fn part_key(id: &str, at: PartitionId) -> Vec<u8> {
    let start = transaction_start(TRANSACTION_PARTITION, id);
    [start.as_slice(), &place(at)].concat()
}

fn part_id(key: &[u8]) -> Result<(Arc<str>, PartitionId), Malformed> {
    let (id, rest) = split_transaction(key)?;
    let place = rest.try_into().map_err(|_| SHORT_KEY)?;
    Ok((id, at(place)))
}

fn transaction_group_key(id: &str, group: &str) -> Vec<u8> {
    let start = transaction_start(TRANSACTION_GROUP, id);
    [start.as_slice(), group.as_bytes()].concat()
}

fn transaction_group_id(key: &[u8]) -> Result<(Arc<str>, Arc<str>), Malformed> {
    let (id, group) = split_transaction(key)?;
    Ok((id, text(group)?.into()))
}

/// Kind, length and id: what stands before what a transaction has touched.
fn transaction_start(kind: u8, id: &str) -> Vec<u8> {
    let length =
        u16::try_from(id.len()).expect("a string of the protocol has at most 32,767 bytes");
    [&[kind], length.to_be_bytes().as_slice(), id.as_bytes()].concat()
}

fn split_transaction(key: &[u8]) -> Result<(Arc<str>, &[u8]), Malformed> {
    let (length, rest) = key.split_first_chunk().ok_or(SHORT_KEY)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, rest) = rest.split_at_checked(length).ok_or(SHORT_KEY)?;
    Ok((text(id)?.into(), rest))
}

const SHORT_KEY: Malformed = Malformed("journal key ends early");

/// A partition in a key: its topic's id and its number.
const PLACE_BYTES: usize = 20;

fn place(at: PartitionId) -> [u8; PLACE_BYTES] {
    let mut bytes = [0; PLACE_BYTES];
    bytes[..16].copy_from_slice(&at.topic.0);
    bytes[16..].copy_from_slice(&at.partition.to_be_bytes());
    bytes
}

fn at(place: &[u8; PLACE_BYTES]) -> PartitionId {
    let [topic @ .., a, b, c, d] = *place;
    PartitionId {
        topic: Uuid(topic),
        partition: i32::from_be_bytes([a, b, c, d]),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("journal key is not text"))
}

fn fields<'a, T: proto::Wire<'a>>(value: &'a [u8]) -> Result<T, Malformed> {
    let (version, body) = value
        .split_first_chunk()
        .ok_or(Malformed("journal value is empty"))?;
    match i16::from_be_bytes(*version) {
        VERSION => proto::decode(body, VERSION, true),
        _ => Err(Malformed("journal value of an unknown version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(expire_timestamp_ms: Option<i64>) -> Committed {
        Committed {
            offset: 17,
            leader_epoch: -1,
            metadata: "where I was".into(),
            commit_timestamp_ms: 1_700_000_000_000,
            expire_timestamp_ms,
            order: expire_timestamp_ms.map_or(0, |_| i32::MAX),
        }
    }

    fn generation_of_two() -> Generation {
        let member = |id: &str, group_instance_id: Option<&str>| GenerationMember {
            member_id: id.into(),
            group_instance_id: group_instance_id.map(Into::into),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            metadata: [0, 1, 255].as_slice().into(),
            assignment: [].as_slice().into(),
        };
        Generation {
            id: 3,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            leader: Some("a".into()),
            since_ms: 1_700_000_000_000,
            members: vec![member("a", None), member("b", Some("one"))],
        }
    }

    const STARTED: Opened = Opened {
        boot: 3,
        leader_epoch: 1,
    };

    fn standing_of_an_end() -> Standing {
        Standing {
            producer_id: 1000,
            epoch: i16::MAX,
            previous_producer_id: 999,
            last_epoch: i16::MAX - 1,
            next_producer_id: 1001,
            timeout_ms: 60_000,
            state: State::PrepareAbort,
            version: 2,
            started_ms: 1_700_000_000_000,
            updated_ms: 1_700_000_000_001,
        }
    }

    #[test]
    fn the_keys_of_a_transaction_end_nowhere_but_at_their_end() {
        let at = PartitionId {
            topic: Uuid([7; 16]),
            partition: 5,
        };
        let keys = [part_key("tx", at), transaction_group_key("tx", "g")];
        for (key, whole) in keys.iter().zip([true, false]) {
            let bare = |end: usize| Change {
                key: &key[..end],
                value: None,
            };
            let shortest = if whole { key.len() } else { 5 };
            for end in 1..shortest {
                assert!(Record::decode(&bare(end)).is_err(), "{end}");
            }
            assert!(Record::decode(&bare(key.len())).is_ok());
        }
        let pending = pending_key(7, "", at);
        for end in 1..=pending.len() {
            let key = &pending[..end];
            let read = Record::decode(&Change { key, value: None });
            assert_eq!(read.is_ok(), end == pending.len(), "{end}");
        }
    }

    #[test]
    fn every_record_of_a_transaction_is_read_as_it_was_written() {
        let at = PartitionId {
            topic: Uuid([7; 16]),
            partition: 5,
        };
        for record in [
            Record::PendingOffset {
                producer_id: 1000,
                group: "g".into(),
                at,
                committed: committed(Some(0)),
            },
            Record::PendingOffsetDone {
                producer_id: i64::MAX,
                group: "".into(),
                at,
            },
            Record::Transaction {
                id: "tx".into(),
                standing: standing_of_an_end(),
            },
            Record::TransactionExpired { id: "tx".into() },
            Record::TransactionPartition {
                id: "x".repeat(32_767).into(),
                at,
            },
            Record::TransactionPartitionDone { id: "".into(), at },
            Record::TransactionGroup {
                id: "tx".into(),
                group: "".into(),
            },
            Record::TransactionGroupDone {
                id: "tx".into(),
                group: "g".into(),
            },
        ] {
            assert_eq!(Record::decode(&record.encode().change()), Ok(Some(record)));
        }
    }

    #[test]
    fn every_record_is_read_as_it_was_written() {
        let settings = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
        let id = Uuid([7; 16]);
        let at = PartitionId {
            topic: id,
            partition: 5,
        };
        for record in [
            Record::Opened(STARTED),
            Record::Topic {
                id,
                name: "telemetry".to_owned(),
                partition_count: 12,
                settings,
            },
            Record::TopicDeleted { id },
            Record::ProducerIds { next: 2000 },
            Record::Group {
                id: "g".into(),
                generation: generation_of_two(),
            },
            Record::GroupDeleted { id: "g".into() },
            Record::Offset {
                group: "".into(),
                at,
                committed: committed(None),
            },
            Record::Offset {
                group: "g".into(),
                at,
                committed: committed(Some(0)),
            },
            Record::OffsetForgotten {
                group: "g".into(),
                at,
            },
            Record::Features {
                levels: BTreeMap::from([("transaction.version".to_owned(), 1)]),
                changes: 3,
            },
        ] {
            assert_eq!(Record::decode(&record.encode().change()), Ok(Some(record)));
        }
    }

    #[test]
    fn a_record_that_ends_early_or_is_unknown_is_refused() {
        let whole = Record::Opened(STARTED).encode();
        let value = whole.value.as_deref().unwrap();
        for end in 0..value.len() {
            assert!(
                Record::decode(&Change {
                    key: &[OPENED],
                    value: Some(&value[..end])
                })
                .is_err()
            );
        }
        assert!(
            Record::decode(&Change {
                key: &[200],
                value: Some(value)
            })
            .is_err()
        );
        assert!(
            Record::decode(&Change {
                key: &[],
                value: None
            })
            .is_err()
        );
        let newer = [&[0, 9], &value[2..]].concat();
        assert!(
            Record::decode(&Change {
                key: &[OPENED],
                value: Some(&newer)
            })
            .is_err()
        );
    }
}
