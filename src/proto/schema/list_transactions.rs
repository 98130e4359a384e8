//! ListTransactions (66): the transactional ids, by state, producer id, duration (KIP-994) and pattern (KIP-1152).
//! Flexible from version 0 on.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Which transactional ids are there? Empty filters and negative durations let everything through.
    struct ListTransactionsRequest<'a> {
        state_filters:            Vec<&'a str>,
        producer_id_filters:      Vec<i64>,
        duration_filter:          i64             [1..] = -1,
        transactional_id_pattern: Option<&'a str> [2..],
    }

    /// Those that pass all filters, and names of states that do not exist.
    struct ListTransactionsResponse<'a> {
        throttle_time_ms:      i32,
        error_code:            ErrorCode,
        unknown_state_filters: Vec<&'a str>,
        transaction_states:    Vec<TransactionState<'a>>,
    }

    /// One transactional id.
    struct TransactionState<'a> {
        transactional_id:  &'a str,
        producer_id:       i64,
        transaction_state: &'a str,
    }
}
