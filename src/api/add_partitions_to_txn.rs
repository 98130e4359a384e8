//! AddPartitionsToTxn (24), versions 0-5: partitions become part of a transaction, which begins if none is open.
//!
//! * Versions 0-3 are one client's transaction; 4 and 5 several, with results by transaction, meant for brokers but
//!   sent by some clients. What is said of one transaction holds for each.
//! * All or nothing: if a partition does not exist it is error 3, and the others are 55, whatever the transaction's
//!   state is.
//! * Then one code for all partitions: an empty transactional id is 42; an unknown one, or another producer id than its
//!   own, 49; another epoch than its own 90, which versions 0 and 1 know as 47; 51 while the last transaction is still
//!   being ended.
//! * Partitions that are in the open transaction already are accepted, and nothing is written.
//! * `verify_only` adds nothing: the same codes for all, else 0 for a partition that is in the transaction and 120 for
//!   one that is not.

use super::Call;
use crate::broker::Broker;
use crate::broker::facts::Producer;
use crate::broker::txns::Claim;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};
use crate::storage::PartitionId;

/// From this version on a request is about several transactions, of version 2.
const BATCHED: i16 = 4;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: AddPartitionsToTxnRequest<'_>,
) -> Outcome {
    if call.version() >= BATCHED {
        let transactions = request.transactions.iter();
        let results = transactions.map(|transaction| AddPartitionsToTxnResult {
            transactional_id: transaction.transactional_id,
            topic_results: add(broker, call, transaction),
        });
        let response = AddPartitionsToTxnResponse {
            results_by_transaction: results.collect(),
            ..Default::default()
        };
        return call.reply(&response);
    }
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    let results = add(broker, call, &transaction);
    call.reply(&AddPartitionsToTxnResponse {
        results_by_topic_v3_and_below: results,
        ..Default::default()
    })
}

/// What becomes of each partition of one transaction.
fn add<'a>(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    transaction: &AddPartitionsToTxnTransaction<'a>,
) -> Vec<AddPartitionsToTxnTopicResult<'a>> {
    let topics = transaction.topics.iter();
    let named = topics.flat_map(|topic| topic.partitions.iter().map(|&index| (topic.name, index)));
    let found: Vec<_> = named
        .map(|(name, index)| broker.find(name, index).ok())
        .collect();
    let codes = judge(broker, call, transaction, &found);
    results(&transaction.topics, codes)
}

/// One code for each partition, in their order.
fn judge(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    transaction: &AddPartitionsToTxnTransaction<'_>,
    found: &[Option<PartitionId>],
) -> Vec<ErrorCode> {
    let Some(partitions) = found.iter().copied().collect::<Option<Vec<_>>>() else {
        let code = |at: &Option<PartitionId>| match at {
            None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Some(_) => ErrorCode::OPERATION_NOT_ATTEMPTED,
        };
        return found.iter().map(code).collect();
    };
    let claim = Claim {
        transactional_id: transaction.transactional_id,
        producer: Producer {
            id: transaction.producer_id,
            epoch: transaction.producer_epoch,
        },
    };
    if transaction.verify_only {
        let code = |&at: &PartitionId| call.told(broker.verify_partition(&claim, at)).err();
        let codes = partitions.iter().map(code);
        return codes.map(|code| code.unwrap_or(ErrorCode::NONE)).collect();
    }
    let version = call.txn_version(BATCHED);
    let added = broker.add_partitions(&claim, &partitions, version, call.cx.now);
    let code = call.told(added).err().unwrap_or(ErrorCode::NONE);
    vec![code; partitions.len()]
}

fn results<'a>(
    topics: &[AddPartitionsToTxnTopic<'a>],
    codes: Vec<ErrorCode>,
) -> Vec<AddPartitionsToTxnTopicResult<'a>> {
    let mut codes = codes.into_iter();
    let result = |topic: &AddPartitionsToTxnTopic<'a>| AddPartitionsToTxnTopicResult {
        name: topic.name,
        results_by_partition: topic
            .partitions
            .iter()
            .zip(&mut codes)
            .map(
                |(&partition_index, partition_error_code)| AddPartitionsToTxnPartitionResult {
                    partition_index,
                    partition_error_code,
                },
            )
            .collect(),
    };
    topics.iter().map(result).collect()
}
