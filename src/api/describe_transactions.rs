//! DescribeTransactions (65), version 0: the state of transactional ids (KIP-664).
//!
//! * An empty transactional id is error 42, an unknown one 105; the other fields are then 0 and empty.
//! * The answers come in the order of the ids, a repeated one as often as it was asked for.
//! * `topics` are the partitions of the open transaction; while it is being ended, those whose marker is not yet
//!   written. Groups that bring offsets are shown as the partition of `__consumer_offsets` that Kafka would keep them
//!   in, or not at all.
//! * `transaction_start_time_ms` is -1 before the first transaction.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::describe_transactions::DescribeTransactionsRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: DescribeTransactionsRequest<'_>,
) -> Outcome {
    Outcome::Close("DescribeTransactions is not served yet")
}
