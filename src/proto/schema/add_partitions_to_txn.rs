//! AddPartitionsToTxn (24): partitions become part of a transaction, before they are written to.
//!
//! Clients send versions 0 to 3, about one transaction. Versions 4 and 5, about several, are meant for brokers
//! (KIP-890), yet some clients send them too.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// These partitions become part of the transaction, or of each of several.
    struct AddPartitionsToTxnRequest<'a> {
        transactions:                  Vec<AddPartitionsToTxnTransaction<'a>> [4..],
        v3_and_below_transactional_id: &'a str                                [..=3],
        v3_and_below_producer_id:      i64                                    [..=3],
        v3_and_below_producer_epoch:   i16                                    [..=3],
        v3_and_below_topics:           Vec<AddPartitionsToTxnTopic<'a>>       [..=3],
    }

    /// One transaction; `verify_only` asks whether its partitions are in it, and adds none.
    struct AddPartitionsToTxnTransaction<'a> {
        transactional_id: &'a str,
        producer_id:      i64,
        producer_epoch:   i16,
        verify_only:      bool,
        topics:           Vec<AddPartitionsToTxnTopic<'a>>,
    }

    /// Partitions of one topic.
    struct AddPartitionsToTxnTopic<'a> {
        name:       &'a str,
        partitions: Vec<i32>,
    }

    /// What became of each partition.
    struct AddPartitionsToTxnResponse<'a> {
        throttle_time_ms:              i32,
        error_code:                    ErrorCode                              [4..],
        results_by_transaction:        Vec<AddPartitionsToTxnResult<'a>>      [4..],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>> [..=3],
    }

    /// One transaction of the answer.
    struct AddPartitionsToTxnResult<'a> {
        transactional_id: &'a str,
        topic_results:    Vec<AddPartitionsToTxnTopicResult<'a>>,
    }

    /// One topic of the answer.
    struct AddPartitionsToTxnTopicResult<'a> {
        name:                 &'a str,
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    /// One partition of the answer.
    struct AddPartitionsToTxnPartitionResult {
        partition_index:      i32,
        partition_error_code: ErrorCode,
    }
}
