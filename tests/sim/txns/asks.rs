//! What transactional producers say, as requests.

use super::client::{Ask, Identity, Versions};
use crate::producer;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::schema::add_offsets_to_txn::AddOffsetsToTxnRequest;
use chronikd::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use chronikd::proto::schema::end_txn::EndTxnRequest;
use chronikd::proto::schema::init_producer_id::InitProducerIdRequest;
use chronikd::proto::schema::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use chronikd::proto::schema::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use chronikd::proto::{ApiKey, Records, Uuid};
use chronikd::storage::PartitionId;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Speaker {
    /// The transactional id.
    pub id: &'static str,
    /// Producer id and epoch.
    pub identity: Identity,
    /// What is spoken.
    pub versions: Versions,
    /// What is asked for in InitProducerId.
    pub timeout_ms: i32,
}

/// Sends it; answers the correlation id.
pub fn send(side: &mut Side<'_>, line: ConnId, who: &Speaker, ask: &Ask) -> i32 {
    match ask {
        Ask::Init { believes } => init(side, line, who, *believes),
        Ask::Add(at) => add(side, line, who, *at),
        Ask::Produce { at, bytes, .. } => produce(side, line, who, (*at, bytes)),
        Ask::AddGroup => add_group(side, line, who),
        Ask::Offset(at, offset) => commit_offset(side, line, who, (*at, *offset)),
        Ask::End(commits) => end(side, line, who, *commits),
    }
}

fn add(side: &mut Side<'_>, line: ConnId, who: &Speaker, at: PartitionId) -> i32 {
    let name = side.ledger.topic(at.topic).name.clone();
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: who.id,
        v3_and_below_producer_id: who.identity.0,
        v3_and_below_producer_epoch: who.identity.1,
        v3_and_below_topics: vec![AddPartitionsToTxnTopic {
            name: &name,
            partitions: vec![at.partition],
        }],
        ..Default::default()
    };
    let (api, version) = (ApiKey::AddPartitionsToTxn, who.versions.add);
    side.machine.ask(line, api, version, &request, true)
}

fn produce(
    side: &mut Side<'_>,
    line: ConnId,
    who: &Speaker,
    (at, bytes): (PartitionId, &[u8]),
) -> i32 {
    let (api, version) = (ApiKey::Produce, who.versions.produce);
    let name = side.ledger.topic(at.topic).name.clone();
    let by_id = version >= producer::FIRST_BY_ID;
    let request = ProduceRequest {
        transactional_id: Some(who.id),
        acks: -1,
        timeout_ms: producer::TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: if by_id { "" } else { &name },
            topic_id: if by_id { at.topic } else { Uuid::ZERO },
            partition_data: vec![PartitionProduceData {
                index: at.partition,
                records: Records::Here(Some(bytes)),
            }],
        }],
    };
    side.machine.ask(line, api, version, &request, true)
}

fn add_group(side: &mut Side<'_>, line: ConnId, who: &Speaker) -> i32 {
    let request = AddOffsetsToTxnRequest {
        transactional_id: who.id,
        producer_id: who.identity.0,
        producer_epoch: who.identity.1,
        group_id: who.id,
    };
    let (api, version) = (ApiKey::AddOffsetsToTxn, who.versions.add);
    side.machine.ask(line, api, version, &request, true)
}

fn end(side: &mut Side<'_>, line: ConnId, who: &Speaker, committed: bool) -> i32 {
    let request = EndTxnRequest {
        transactional_id: who.id,
        producer_id: who.identity.0,
        producer_epoch: who.identity.1,
        committed,
    };
    let (api, version) = (ApiKey::EndTxn, who.versions.end);
    side.machine.ask(line, api, version, &request, true)
}

fn init(side: &mut Side<'_>, line: ConnId, who: &Speaker, believes: bool) -> i32 {
    let (producer_id, producer_epoch) = if believes { who.identity } else { (-1, -1) };
    let request = InitProducerIdRequest {
        transactional_id: Some(who.id),
        transaction_timeout_ms: who.timeout_ms,
        producer_id,
        producer_epoch,
    };
    let api = ApiKey::InitProducerId;
    side.machine
        .ask(line, api, who.versions.init, &request, true)
}

fn commit_offset(
    side: &mut Side<'_>,
    line: ConnId,
    who: &Speaker,
    (at, offset): (PartitionId, i64),
) -> i32 {
    let name = side.ledger.topic(at.topic).name.clone();
    let request = TxnOffsetCommitRequest {
        transactional_id: who.id,
        group_id: who.id,
        producer_id: who.identity.0,
        producer_epoch: who.identity.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: &name,
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: at.partition,
                committed_offset: offset,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let api = ApiKey::TxnOffsetCommit;
    side.machine
        .ask(line, api, who.versions.offsets, &request, true)
}
