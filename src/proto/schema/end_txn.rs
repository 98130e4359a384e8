//! EndTxn (26): commit or abort a transaction.
//!
//! From version 5 on each end raises the producer's epoch, and the answer brings it (KIP-890).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// The transaction is over: its records and offsets count, or they do not.
    struct EndTxnRequest<'a> {
        transactional_id: &'a str,
        producer_id:      i64,
        producer_epoch:   i16,
        committed:        bool,
    }

    /// It is decided; the next transaction has this producer id and epoch.
    struct EndTxnResponse {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
        producer_id:      i64 [5..] = -1,
        producer_epoch:   i16 [5..] = -1,
    }
}
