//! DescribeTransactions (65): the state of transactional ids (KIP-664). Flexible from version 0 on.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// What is the state of these transactional ids?
    struct DescribeTransactionsRequest<'a> {
        transactional_ids: Vec<&'a str>,
    }

    /// The state of each.
    struct DescribeTransactionsResponse<'a> {
        throttle_time_ms:   i32,
        transaction_states: Vec<TransactionState<'a>>,
    }

    /// One transactional id, and the partitions whose end is not yet written.
    struct TransactionState<'a> {
        error_code:                ErrorCode,
        transactional_id:          &'a str,
        transaction_state:         &'a str,
        transaction_timeout_ms:    i32,
        transaction_start_time_ms: i64,
        producer_id:               i64,
        producer_epoch:            i16,
        topics:                    Vec<TopicData<'a>>,
    }

    /// Partitions of one topic.
    struct TopicData<'a> {
        topic:      &'a str,
        partitions: Vec<i32>,
    }
}
