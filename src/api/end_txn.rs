//! EndTxn (26), versions 0-5: commit or abort the open transaction.
//!
//! * An empty transactional id is error 42; an unknown one, or another producer id than its own, 49.
//! * Versions 0-4: another epoch than its own is 90, which versions 0 and 1 know as 47. A repetition of the end that
//!   was reached is accepted, and 51 while it is being reached; any other end is 48, and so is one before a transaction
//!   has begun. The answer's producer id and epoch, which only v5 has, are -1.
//! * Version 5 raises the epoch and answers the new one; a new producer id when the epochs are used up. The epoch
//!   before the current one is a repetition: it is accepted with the current id and epoch after the same end, else 48,
//!   and 90 where nothing has ended yet. An abort without a transaction is accepted, and raises the epoch; a commit
//!   without one is 48.
//! * The answer leaves when the decision is durable, with the data and offsets it decides about.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::end_txn::EndTxnRequest;

pub(super) fn handle(_: &mut Broker, _: &mut Call<'_, '_>, _: EndTxnRequest<'_>) -> Outcome {
    Outcome::Close("EndTxn is not served yet")
}
