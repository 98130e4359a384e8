//! ListTransactions (66), versions 0-2: the transactional ids that pass all filters (KIP-664).
//!
//! * A state that does not exist passes nothing, and is named in `unknown_state_filters`; names are taken letter by
//!   letter.
//! * v1+ `duration_filter`: only what began longer ago than so many milliseconds; an id whose transaction has never
//!   begun began long ago. Negative is no filter.
//! * v2+ `transactional_id_pattern`: a regular expression for the whole id; one that does not parse is error 128. Null
//!   and empty are no filter.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::list_transactions::ListTransactionsRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: ListTransactionsRequest<'_>,
) -> Outcome {
    Outcome::Close("ListTransactions is not served yet")
}
