//! AddOffsetsToTxn (25): the offsets of a group become part of a transaction, before TxnOffsetCommit brings them.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// The transaction will bring offsets of this group.
    struct AddOffsetsToTxnRequest<'a> {
        transactional_id: &'a str,
        producer_id:      i64,
        producer_epoch:   i16,
        group_id:         &'a str,
    }

    /// It may, or why not.
    struct AddOffsetsToTxnResponse {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
    }
}
