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
//! 5     group id length     Offset: one committed offset; tombstone = expired or deleted
//!       (u16), group id,
//!       topic id (16),
//!       partition (i32)
//! ```

use crate::journal::Change;
use crate::proto::wire::wire;
use crate::proto::{self, Malformed, Uuid};
use std::collections::BTreeMap;

/// One journaled fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// The broker has started: `boot` counts starts, `leader_epoch` those after an unclean stop.
    Opened {
        /// Counts starts, from 1.
        boot: i64,
        /// The leader epoch of every partition from now on.
        leader_epoch: i32,
    },
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
}

const OPENED: u8 = 1;
const TOPIC: u8 = 2;
const PRODUCER_IDS: u8 = 3;

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
}

/// A record as the journal takes it.
#[derive(Debug, Default)]
pub struct Encoded {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Encoded {
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
            Record::Opened { boot, leader_epoch } => {
                let value = value(&OpenedValue {
                    boot: *boot,
                    leader_epoch: *leader_epoch,
                });
                Encoded {
                    key: vec![OPENED],
                    value,
                }
            }
            Record::Topic {
                id,
                name,
                partition_count,
                settings,
            } => {
                let settings = settings
                    .iter()
                    .map(|(name, value)| SettingValue { name, value })
                    .collect();
                let value = value(&TopicValue {
                    name,
                    partition_count: *partition_count,
                    settings,
                });
                Encoded {
                    key: topic_key(*id),
                    value,
                }
            }
            Record::TopicDeleted { id } => Encoded {
                key: topic_key(*id),
                value: None,
            },
            Record::ProducerIds { next } => Encoded {
                key: vec![PRODUCER_IDS],
                value: value(&ProducerIdsValue { next: *next }),
            },
        }
    }

    /// Reads what `encode` wrote; `None` for a tombstone of a kind that is only ever replaced.
    ///
    /// # Errors
    /// When the bytes are of no kind or version that this chronikd knows.
    pub fn decode(change: &Change<'_>) -> Result<Option<Record>, Malformed> {
        let (kind, id) = change
            .key
            .split_first()
            .ok_or(Malformed("journal key is empty"))?;
        let record = match (*kind, change.value) {
            (TOPIC, None) => Record::TopicDeleted { id: topic_id(id)? },
            (_, None) => return Ok(None),
            (OPENED, Some(bytes)) => {
                let OpenedValue { boot, leader_epoch } = fields(bytes)?;
                Record::Opened { boot, leader_epoch }
            }
            (TOPIC, Some(bytes)) => {
                let TopicValue {
                    name,
                    partition_count,
                    settings,
                } = fields(bytes)?;
                let settings = settings
                    .iter()
                    .map(|s| (s.name.to_owned(), s.value.to_owned()))
                    .collect();
                Record::Topic {
                    id: topic_id(id)?,
                    name: name.to_owned(),
                    partition_count,
                    settings,
                }
            }
            (PRODUCER_IDS, Some(bytes)) => {
                let ProducerIdsValue { next } = fields(bytes)?;
                Record::ProducerIds { next }
            }
            _ => return Err(Malformed("journal record of an unknown kind")),
        };
        Ok(Some(record))
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

fn value<'a, T: proto::Wire<'a>>(fields: &T) -> Option<Vec<u8>> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    proto::encode(fields, VERSION, true, &mut bytes)
        .expect("names and settings are shorter than a string may be");
    Some(bytes)
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

    #[test]
    fn every_record_is_read_as_it_was_written() {
        let settings = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
        let id = Uuid([7; 16]);
        for record in [
            Record::Opened {
                boot: 3,
                leader_epoch: 1,
            },
            Record::Topic {
                id,
                name: "telemetry".to_owned(),
                partition_count: 12,
                settings,
            },
            Record::TopicDeleted { id },
            Record::ProducerIds { next: 2000 },
        ] {
            assert_eq!(Record::decode(&record.encode().change()), Ok(Some(record)));
        }
    }

    #[test]
    fn a_record_that_ends_early_or_is_unknown_is_refused() {
        let whole = Record::Opened {
            boot: 3,
            leader_epoch: 1,
        }
        .encode();
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
