//! UnregisterBroker (64): forget a broker that is gone (KIP-631). Flexible from version 0 on.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Forget this broker.
    struct UnregisterBrokerRequest {
        broker_id: i32,
    }

    /// Whether it is forgotten.
    struct UnregisterBrokerResponse<'a> {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
        error_message:    Option<Text<'a>>,
    }
}
