//! InitProducerId (22): give an idempotent or transactional producer its id and epoch.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// A producer id, please; with a transactional id, the one that belongs to it, all older holders fenced.
    struct InitProducerIdRequest<'a> {
        transactional_id:       Option<&'a str>,
        transaction_timeout_ms: i32,
        producer_id:            i64 [3..] = -1,
        producer_epoch:         i16 [3..] = -1,
    }

    /// The id and epoch to use.
    struct InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
        producer_id:      i64 = -1,
        producer_epoch:   i16,
    }
}
