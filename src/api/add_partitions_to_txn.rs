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
use crate::broker::wait::Outcome;
use crate::proto::schema::add_partitions_to_txn::AddPartitionsToTxnRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: AddPartitionsToTxnRequest<'_>,
) -> Outcome {
    Outcome::Close("AddPartitionsToTxn is not served yet")
}
