//! DescribeProducers (61), version 0: who writes to a partition, and whether a transaction is open there (KIP-664).
//!
//! * Asked with an illegal topic name, a partition is error 17 with a sentence; without such a topic or partition 3.
//! * Every producer that the log remembers is listed, idempotent ones too, until `producer.id.expiration.ms` forgets
//!   it.
//! * `coordinator_epoch` is that of the last marker, -1 before one; `current_txn_start_offset` is -1 without an open
//!   transaction.
//! * The epoch is an i32 here and an i16 everywhere else.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::describe_producers::DescribeProducersRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: DescribeProducersRequest<'_>,
) -> Outcome {
    Outcome::Close("DescribeProducers is not served yet")
}
