//! DescribeTransactions (65), version 0: the state of transactional ids (KIP-664).
//!
//! * An empty transactional id is error 42, an unknown one 105, and soon after a start every one 14; the other fields
//!   are then 0 and empty.
//! * The answers come in the order of the ids, a repeated one as often as it was asked for.
//! * `topics` are the partitions of the open transaction; while it is being ended, those whose marker is not yet
//!   written, without those of deleted topics. Groups that bring offsets are not shown: Kafka shows the partitions of
//!   `__consumer_offsets` that it keeps them in, of which there are none here.
//! * `transaction_start_time_ms` is -1 after each InitProducerId, until the next transaction.

use super::Call;
use super::common::Allowance;
use crate::broker::Broker;
use crate::broker::topics::Topics;
use crate::broker::txns::Txn;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
};

/// Stands for a time that is not set.
const NO_TIME: i64 = -1;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeTransactionsRequest<'_>,
) -> Outcome {
    let mut allowance = Allowance::new();
    let mut transaction_states = Vec::with_capacity(request.transactional_ids.len());
    for &transactional_id in &request.transactional_ids {
        call.after(broker.transactions().round_of(transactional_id));
        let txn = broker.transactions().get(transactional_id);
        if let Err(outcome) =
            allowance.take::<TopicData<'_>>(txn.map_or(0, |txn| txn.partitions.len()))
        {
            return outcome;
        }
        let described = find(broker, transactional_id)
            .map(|txn| describe(broker.topics(), txn))
            .unwrap_or_else(|error_code| TransactionState {
                error_code,
                ..Default::default()
            });
        transaction_states.push(TransactionState {
            transactional_id,
            ..described
        });
    }
    call.reply(&DescribeTransactionsResponse {
        transaction_states,
        ..Default::default()
    })
}

fn find<'b>(broker: &'b Broker, id: &str) -> Result<&'b Txn, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    broker.check_transactions()?;
    let found = broker.transactions().get(id);
    found.ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND)
}

fn describe<'b>(topics: &'b Topics, txn: &'b Txn) -> TransactionState<'b> {
    let standing = &txn.standing;
    TransactionState {
        transaction_state: standing.state.name(),
        transaction_timeout_ms: standing.timeout_ms,
        transaction_start_time_ms: standing.started_ms.unwrap_or(NO_TIME),
        producer_id: standing.producer.id,
        producer_epoch: standing.producer.epoch,
        topics: partitions(topics, txn),
        ..Default::default()
    }
}

/// The partitions of topics that are still there, which are in the order of topics.
fn partitions<'b>(topics: &'b Topics, txn: &Txn) -> Vec<TopicData<'b>> {
    let mut told: Vec<TopicData<'b>> = Vec::new();
    let mut current = None;
    for at in &txn.partitions {
        let Some(topic) = topics.by_id(at.topic) else {
            continue;
        };
        if current != Some(at.topic) {
            current = Some(at.topic);
            told.push(TopicData {
                topic: &topic.name,
                partitions: Vec::new(),
            });
        }
        if let Some(last) = told.last_mut() {
            last.partitions.push(at.partition);
        }
    }
    told
}
