//! The values of records, field by field, and the way between them and the facts in memory.

use super::Record;
use crate::broker::facts::{
    Committed, Generation, GenerationMember, Producer, Standing, TxnState, TxnVersion,
};
use crate::broker::settings::Resource;
use crate::config::Values;
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::proto::wire::wire;
use crate::proto::{self, Malformed, Uuid};
use std::collections::BTreeMap;

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

    /// The value of kind 11.
    struct SettingsValue<'a> {
        values: Vec<SettingValue<'a>>,
    }

    /// One setting in the value of kinds 2 and 11.
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

    /// The value of kind 6; the times are milliseconds since 1970. Of the other ids, the last epoch and the start -1 is
    /// none; the version of transactions is 0 or 2.
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

pub(super) fn topic_value<'a>(
    name: &'a str,
    partition_count: i32,
    settings: &'a BTreeMap<String, String>,
) -> TopicValue<'a> {
    TopicValue {
        name,
        partition_count,
        settings: setting_values(settings),
    }
}

fn setting_values(values: &Values) -> Vec<SettingValue<'_>> {
    let values = values.iter();
    values
        .map(|(name, value)| SettingValue { name, value })
        .collect()
}

fn settings(values: &[SettingValue<'_>]) -> Values {
    let values = values.iter();
    values
        .map(|it| (it.name.to_owned(), it.value.to_owned()))
        .collect()
}

pub(super) fn settings_value(values: &Values) -> SettingsValue<'_> {
    SettingsValue {
        values: setting_values(values),
    }
}

pub(super) fn kept_settings(resource: Resource, value: &SettingsValue<'_>) -> Record {
    Record::Settings {
        resource,
        values: settings(&value.values),
    }
}

pub(super) fn topic(id: Uuid, value: &TopicValue<'_>) -> Record {
    Record::Topic {
        id,
        name: value.name.to_owned(),
        partition_count: value.partition_count,
        settings: settings(&value.settings),
    }
}

pub(super) fn group_value(generation: &Generation) -> GroupValue<'_> {
    GroupValue {
        generation: generation.id,
        protocol_type: generation.protocol_type.as_deref(),
        protocol_name: generation.protocol_name.as_deref(),
        leader: generation.leader.as_deref(),
        since_ms: generation.since_ms,
        members: generation.members.iter().map(member_value).collect(),
    }
}

pub(super) fn generation(value: &GroupValue<'_>) -> Generation {
    Generation {
        id: value.generation,
        protocol_type: value.protocol_type.map(Into::into),
        protocol_name: value.protocol_name.map(Into::into),
        leader: value.leader.map(Into::into),
        since_ms: value.since_ms,
        members: value.members.iter().map(member).collect(),
    }
}

pub(super) fn member_value(member: &GenerationMember) -> MemberValue<'_> {
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

pub(super) fn member(value: &MemberValue<'_>) -> GenerationMember {
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

pub(super) fn offset_value(committed: &Committed) -> OffsetValue<'_> {
    OffsetValue {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: &committed.metadata,
        commit_timestamp_ms: committed.commit_timestamp_ms,
        expire_timestamp_ms: committed.expire_timestamp_ms.unwrap_or(NO_TIME),
        order: committed.order,
    }
}

pub(super) fn committed(value: &OffsetValue<'_>) -> Committed {
    Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: value.metadata.into(),
        commit_timestamp_ms: value.commit_timestamp_ms,
        expire_timestamp_ms: Some(value.expire_timestamp_ms).filter(|&ms| ms != NO_TIME),
        order: value.order,
    }
}

pub(super) fn standing_value(standing: &Standing) -> TransactionValue {
    TransactionValue {
        producer_id: standing.producer.id,
        producer_epoch: standing.producer.epoch,
        previous_producer_id: standing.previous_producer_id.unwrap_or(NO_PRODUCER_ID),
        last_producer_epoch: standing.last_epoch.unwrap_or(NO_PRODUCER_EPOCH),
        next_producer_id: standing.next_producer_id.unwrap_or(NO_PRODUCER_ID),
        timeout_ms: standing.timeout_ms,
        state: standing.state.number(),
        transaction_version: standing.version.level(),
        started_ms: standing.started_ms.unwrap_or(NO_TIME),
        updated_ms: standing.updated_ms,
    }
}

pub(super) fn standing(value: &TransactionValue) -> Result<Standing, Malformed> {
    let state = TxnState::of_number(value.state);
    Ok(Standing {
        producer: Producer {
            id: value.producer_id,
            epoch: value.producer_epoch,
        },
        previous_producer_id: some_id(value.previous_producer_id),
        last_epoch: Some(value.last_producer_epoch).filter(|&epoch| epoch != NO_PRODUCER_EPOCH),
        next_producer_id: some_id(value.next_producer_id),
        timeout_ms: value.timeout_ms,
        state: state.ok_or(Malformed(
            "journal value of a transaction in an unknown state",
        ))?,
        version: TxnVersion::of_level(value.transaction_version),
        started_ms: Some(value.started_ms).filter(|&ms| ms != NO_TIME),
        updated_ms: value.updated_ms,
    })
}

fn some_id(id: i64) -> Option<i64> {
    Some(id).filter(|&id| id != NO_PRODUCER_ID)
}

pub(super) fn features_value<'a>(
    levels: &'a BTreeMap<String, i16>,
    changes: i64,
) -> FeaturesValue<'a> {
    let level = |(name, &level): (&'a String, &i16)| LevelValue { name, level };
    FeaturesValue {
        changes,
        levels: levels.iter().map(level).collect(),
    }
}

pub(super) fn features(value: &FeaturesValue<'_>) -> Record {
    let level = |it: &LevelValue<'_>| (it.name.to_owned(), it.level);
    Record::Features {
        levels: value.levels.iter().map(level).collect(),
        changes: value.changes,
    }
}

/// Version and fields, as they are journaled.
pub(super) fn bytes<'a, T: proto::Wire<'a>>(fields: &T) -> Vec<u8> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    proto::encode(fields, VERSION, true, &mut bytes)
        .expect("whatever becomes a record has been checked to fit one");
    bytes
}

/// The fields that `bytes` wrote.
pub(super) fn fields<'a, T: proto::Wire<'a>>(value: &'a [u8]) -> Result<T, Malformed> {
    let (version, body) = value
        .split_first_chunk()
        .ok_or(Malformed("journal value is empty"))?;
    match i16::from_be_bytes(*version) {
        VERSION => proto::decode(body, VERSION, true),
        _ => Err(Malformed("journal value of an unknown version")),
    }
}
