//! Heartbeat (12): a member says that it lives, and hears of a rebalance.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// I live, and believe to be in that generation.
    struct HeartbeatRequest<'a> {
        group_id:          &'a str,
        generation_id:     i32,
        member_id:         &'a str,
        group_instance_id: Option<&'a str> [3..],
    }

    /// All is well, or why not; 27 asks the member to join again.
    struct HeartbeatResponse {
        throttle_time_ms: i32 [1..],
        error_code:       ErrorCode,
    }
}
