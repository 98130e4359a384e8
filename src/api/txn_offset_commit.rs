//! TxnOffsetCommit (28), versions 0-5: offsets of a group that count when the transaction commits.
//!
//! * A topic or partition that does not exist is error 3, by itself; the others go on. An empty group id is 24.
//! * The transaction is looked at first: an unknown transactional id, or another producer id than its own, is 49;
//!   another epoch 47; 51 while the last one is being ended. A group that was not added: v0-3 48, v4 120; v5 adds it,
//!   and begins a transaction if none is open.
//! * Then the group, as for OffsetCommit: v3+ bring generation and member, and 22, 25 and 82 fence a consumer that was
//!   replaced. A generation of -1 without a member is taken whatever the group's state is. An absent group is made if
//!   the generation is negative, else 22.
//! * Text beside an offset above `offset.metadata.max.bytes` is 12, by itself.
//! * v0 and v1 know 14 (still loading) as 15.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::txn_offset_commit::TxnOffsetCommitRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: TxnOffsetCommitRequest<'_>,
) -> Outcome {
    Outcome::Close("TxnOffsetCommit is not served yet")
}
