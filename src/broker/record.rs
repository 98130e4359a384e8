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
//! ```

use super::facts::{Committed, Generation, GenerationMember};
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
}

const OPENED: u8 = 1;
const TOPIC: u8 = 2;
const PRODUCER_IDS: u8 = 3;
const GROUP: u8 = 4;
const OFFSET: u8 = 5;

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

    /// The value of kind 5; `expire_timestamp_ms` may be -1, none.
    struct OffsetValue<'a> {
        offset: i64,
        leader_epoch: i32,
        metadata: &'a str,
        commit_timestamp_ms: i64,
        expire_timestamp_ms: i64,
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
    }
}

fn committed(value: &OffsetValue<'_>) -> Committed {
    Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.into(),
        commit_timestamp_ms: value.commit_timestamp_ms,
        expire_timestamp_ms: Some(value.expire_timestamp_ms).filter(|&ms| ms != NO_TIME),
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
    [
        &[OFFSET],
        group.as_bytes(),
        &at.topic.0,
        &at.partition.to_be_bytes(),
    ]
    .concat()
}

/// What follows the group's id is of fixed length.
fn offset_id(key: &[u8]) -> Result<(Arc<str>, PartitionId), Malformed> {
    let short = Malformed("journal key of an offset is too short");
    let (rest, partition) = key.split_last_chunk().ok_or(short)?;
    let (group, topic) = rest.split_last_chunk().ok_or(short)?;
    let at = PartitionId {
        topic: Uuid(*topic),
        partition: i32::from_be_bytes(*partition),
    };
    Ok((text(group)?.into(), at))
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("journal key of a group is not text"))
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
