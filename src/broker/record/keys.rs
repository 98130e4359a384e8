//! The keys of records: one byte of kind, and what tells the records of a kind apart.

use crate::broker::settings::{Resource, ResourceType};
use crate::proto::{Malformed, Uuid};
use crate::storage::PartitionId;
use std::sync::Arc;

pub(super) const OPENED: u8 = 1;
pub(super) const TOPIC: u8 = 2;
pub(super) const PRODUCER_IDS: u8 = 3;
pub(super) const GROUP: u8 = 4;
pub(super) const OFFSET: u8 = 5;
pub(super) const TRANSACTION: u8 = 6;
pub(super) const TRANSACTION_PARTITION: u8 = 7;
pub(super) const TRANSACTION_GROUP: u8 = 8;
pub(super) const PENDING_OFFSET: u8 = 9;
pub(super) const FEATURES: u8 = 10;
pub(super) const SETTINGS: u8 = 11;

pub(super) fn topic_key(id: Uuid) -> Vec<u8> {
    [&[TOPIC], id.0.as_slice()].concat()
}

pub(super) fn topic_id(key: &[u8]) -> Result<Uuid, Malformed> {
    key.try_into()
        .map(Uuid)
        .map_err(|_| Malformed("journal key of a topic is not an id"))
}

pub(super) fn group_key(id: &str) -> Vec<u8> {
    [&[GROUP], id.as_bytes()].concat()
}

pub(super) fn offset_key(group: &str, at: PartitionId) -> Vec<u8> {
    [&[OFFSET], group.as_bytes(), &place(at)].concat()
}

/// What follows the group's id is of fixed length.
pub(super) fn offset_id(key: &[u8]) -> Result<(Arc<str>, PartitionId), Malformed> {
    let (group, place) = key.split_last_chunk().ok_or(SHORT_KEY)?;
    Ok((text(group)?.into(), at(place)))
}

pub(super) fn pending_key(producer_id: i64, group: &str, at: PartitionId) -> Vec<u8> {
    let producer_id = producer_id.to_be_bytes();
    [
        &[PENDING_OFFSET],
        producer_id.as_slice(),
        group.as_bytes(),
        &place(at),
    ]
    .concat()
}

pub(super) fn pending_id(key: &[u8]) -> Result<(i64, Arc<str>, PartitionId), Malformed> {
    let (producer_id, rest) = producer(key)?;
    let (group, at) = offset_id(rest)?;
    Ok((producer_id, group, at))
}

pub(super) fn transaction_key(id: &str) -> Vec<u8> {
    [&[TRANSACTION], id.as_bytes()].concat()
}

pub(super) fn transaction_partition_key(producer_id: i64, at: PartitionId) -> Vec<u8> {
    let producer_id = producer_id.to_be_bytes();
    [&[TRANSACTION_PARTITION], producer_id.as_slice(), &place(at)].concat()
}

pub(super) fn transaction_partition_id(key: &[u8]) -> Result<(i64, PartitionId), Malformed> {
    let (producer_id, rest) = producer(key)?;
    let place = rest.try_into().map_err(|_| SHORT_KEY)?;
    Ok((producer_id, at(place)))
}

pub(super) fn transaction_group_key(producer_id: i64, group: &str) -> Vec<u8> {
    let producer_id = producer_id.to_be_bytes();
    [
        &[TRANSACTION_GROUP],
        producer_id.as_slice(),
        group.as_bytes(),
    ]
    .concat()
}

pub(super) fn transaction_group_id(key: &[u8]) -> Result<(i64, Arc<str>), Malformed> {
    let (producer_id, rest) = producer(key)?;
    Ok((producer_id, text(rest)?.into()))
}

pub(super) fn settings_key(resource: &Resource) -> Vec<u8> {
    let kind = (resource.kind as i8).to_be_bytes();
    [&[SETTINGS], kind.as_slice(), resource.name.as_bytes()].concat()
}

pub(super) fn resource(key: &[u8]) -> Result<Resource, Malformed> {
    let (kind, name) = key.split_first_chunk().ok_or(SHORT_KEY)?;
    let kind = ResourceType::of_number(i8::from_be_bytes(*kind));
    let kind = kind.ok_or(Malformed("journal key of an unknown type of resource"))?;
    Ok(Resource::new(kind, text(name)?))
}

/// A producer id, and what follows it.
fn producer(key: &[u8]) -> Result<(i64, &[u8]), Malformed> {
    let (producer_id, rest) = key.split_first_chunk().ok_or(SHORT_KEY)?;
    Ok((i64::from_be_bytes(*producer_id), rest))
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

pub(super) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("journal key is not text"))
}
