//! What transactional producers say, as requests, and the code of each answer.

use super::job::Moved;
use super::versions::Versions;
use crate::call::Reply;
use crate::producer;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::add_offsets_to_txn::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse,
};
use chronikd::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
};
use chronikd::proto::schema::end_txn::{EndTxnRequest, EndTxnResponse};
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use chronikd::proto::schema::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};
use chronikd::proto::{ApiKey, Records, Uuid};
use chronikd::storage::PartitionId;

/// Producer id and epoch.
pub type Identity = (i64, i16);

/// From this version on partitions are added for several transactions at once.
pub const BATCHED: i16 = 4;
/// A transactional id that nobody has.
const STRANGER: &str = "stranger";

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

/// A request, as it is repeated.
#[derive(Clone, Debug)]
pub enum Ask {
    /// An epoch, please; as somebody new, or as who has one.
    Init { believes: bool },
    /// The partitions join.
    Add(Vec<PartitionId>),
    /// Whether the partition is in the transaction.
    Verify(PartitionId, bool),
    /// A batch.
    Produce {
        at: PartitionId,
        first: u64,
        count: usize,
        bytes: Vec<u8>,
    },
    /// The group joins.
    AddGroup(&'static str),
    /// Offsets.
    Offset(Moved),
    /// Commit it, or do not.
    End(bool),
}

/// Sends it; answers the correlation id.
pub fn send(side: &mut Side<'_>, line: ConnId, who: &Speaker, ask: &Ask) -> i32 {
    match ask {
        Ask::Init { believes } => init(side, line, who, *believes),
        Ask::Add(all) => add(side, line, who, (all, false)),
        Ask::Verify(at, _) => add(side, line, who, (&[*at], true)),
        Ask::Produce { at, bytes, .. } => produce(side, line, who, (*at, bytes)),
        Ask::AddGroup(group) => add_group(side, line, who, group),
        Ask::Offset(moved) => commit_offsets(side, line, who, moved),
        Ask::End(commits) => end(side, line, who, *commits),
    }
}

fn name_of(side: &Side<'_>, at: &PartitionId) -> String {
    side.ledger.topic(at.topic).name.clone()
}

fn add(
    side: &mut Side<'_>,
    line: ConnId,
    who: &Speaker,
    (all, verify_only): (&[PartitionId], bool),
) -> i32 {
    let names: Vec<String> = all.iter().map(|at| name_of(side, at)).collect();
    let topics = all.iter().zip(&names).map(|(at, name)| {
        let partitions = vec![at.partition];
        AddPartitionsToTxnTopic { name, partitions }
    });
    let topics: Vec<_> = topics.collect();
    let (api, version) = (ApiKey::AddPartitionsToTxn, who.versions.add);
    let own = AddPartitionsToTxnTransaction {
        transactional_id: who.id,
        producer_id: who.identity.0,
        producer_epoch: who.identity.1,
        verify_only,
        topics: topics.clone(),
    };
    let stranger = AddPartitionsToTxnTransaction {
        transactional_id: STRANGER,
        topics: topics.clone(),
        ..own.clone()
    };
    let is_batched = version >= BATCHED;
    let request = AddPartitionsToTxnRequest {
        transactions: match is_batched {
            true => vec![stranger, own],
            false => Vec::new(),
        },
        v3_and_below_transactional_id: who.id,
        v3_and_below_producer_id: who.identity.0,
        v3_and_below_producer_epoch: who.identity.1,
        v3_and_below_topics: topics,
    };
    side.machine.ask(line, api, version, &request, true)
}

fn produce(
    side: &mut Side<'_>,
    line: ConnId,
    who: &Speaker,
    (at, bytes): (PartitionId, &[u8]),
) -> i32 {
    let (api, version) = (ApiKey::Produce, who.versions.produce);
    let name = name_of(side, &at);
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

fn add_group(side: &mut Side<'_>, line: ConnId, who: &Speaker, group_id: &str) -> i32 {
    let request = AddOffsetsToTxnRequest {
        transactional_id: who.id,
        producer_id: who.identity.0,
        producer_epoch: who.identity.1,
        group_id,
    };
    let (api, version) = (ApiKey::AddOffsetsToTxn, who.versions.add.min(BATCHED));
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

fn commit_offsets(side: &mut Side<'_>, line: ConnId, who: &Speaker, moved: &Moved) -> i32 {
    let named = moved.offsets.iter();
    let names: Vec<String> = named.map(|(at, _)| name_of(side, at)).collect();
    let offsets = moved.offsets.iter().zip(&names);
    let topics = offsets.map(|((at, offset), name)| TxnOffsetCommitRequestTopic {
        name,
        partitions: vec![TxnOffsetCommitRequestPartition {
            partition_index: at.partition,
            committed_offset: *offset,
            ..Default::default()
        }],
    });
    let seat = &moved.seat;
    let request = TxnOffsetCommitRequest {
        transactional_id: who.id,
        group_id: seat.group,
        producer_id: who.identity.0,
        producer_epoch: who.identity.1,
        generation_id: seat.generation,
        member_id: &seat.member,
        group_instance_id: seat.instance.as_deref(),
        topics: topics.collect(),
    };
    let (api, version) = (ApiKey::TxnOffsetCommit, who.versions.offsets);
    side.machine.ask(line, api, version, &request, true)
}

/// The one code of an answer.
pub fn code_of(ask: &Ask, reply: &Reply) -> ErrorCode {
    match ask {
        Ask::Init { .. } => reply.read::<InitProducerIdResponse>().error_code,
        Ask::Add(_) | Ask::Verify(..) => code_of_add(&reply.read(), reply.version),
        Ask::Produce { .. } => {
            let response: ProduceResponse<'_> = reply.read();
            response.responses[0].partition_responses[0].error_code
        }
        Ask::AddGroup(_) => reply.read::<AddOffsetsToTxnResponse>().error_code,
        Ask::Offset(_) => {
            let response: TxnOffsetCommitResponse<'_> = reply.read();
            let topics = response.topics.iter();
            same(topics.map(|topic| topic.partitions[0].error_code))
        }
        Ask::End(_) => reply.read::<EndTxnResponse>().error_code,
    }
}

/// What is said of a stranger's transaction is said of it alone.
fn code_of_add(response: &AddPartitionsToTxnResponse<'_>, version: i16) -> ErrorCode {
    let topics = match version {
        ..BATCHED => &response.results_by_topic_v3_and_below,
        _ => {
            let all = &response.results_by_transaction;
            assert_eq!((all.len(), all[0].transactional_id), (2, STRANGER));
            &all[1].topic_results
        }
    };
    let codes = topics.iter().flat_map(|topic| &topic.results_by_partition);
    let codes: Vec<ErrorCode> = codes.map(|one| one.partition_error_code).collect();
    let is_missing = |code: &&ErrorCode| **code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    match codes.iter().find(is_missing) {
        Some(missing) => *missing,
        None => same(codes.into_iter()),
    }
}

fn same(mut codes: impl Iterator<Item = ErrorCode>) -> ErrorCode {
    let first = codes.next().expect("an answer about something");
    assert!(codes.all(|code| code == first), "one verdict for all");
    first
}
