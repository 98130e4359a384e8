//! FindCoordinator (10): which broker coordinates a group, a transactional id or a share partition.
//!
//! Version 4 asks for several keys at once (KIP-699).

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Who coordinates these keys? `key_type` 0 is a group, 1 a transactional id, 2 a share partition.
    struct FindCoordinatorRequest<'a> {
        key:              &'a str      [..=3],
        key_type:         i8           [1..],
        coordinator_keys: Vec<&'a str> [4..],
    }

    /// The coordinator of the one key, or of each.
    struct FindCoordinatorResponse<'a> {
        throttle_time_ms: i32                  [1..],
        error_code:       ErrorCode            [..=3],
        error_message:    Option<Text<'a>>     [1..=3],
        node_id:          i32                  [..=3],
        host:             &'a str              [..=3],
        port:             i32                  [..=3],
        coordinators:     Vec<Coordinator<'a>> [4..],
    }

    /// The coordinator of one key, or why there is none.
    struct Coordinator<'a> {
        key:           &'a str,
        node_id:       i32,
        host:          &'a str,
        port:          i32,
        error_code:    ErrorCode,
        error_message: Option<Text<'a>>,
    }
}
