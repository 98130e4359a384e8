//! SyncGroup (14): the leader brings the assignments of a generation, every member takes its own.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// What is my part? The leader's request holds everybody's.
    struct SyncGroupRequest<'a> {
        group_id:          &'a str,
        generation_id:     i32,
        member_id:         &'a str,
        group_instance_id: Option<&'a str> [3..],
        protocol_type:     Option<&'a str> [5..],
        protocol_name:     Option<&'a str> [5..],
        assignments:       Vec<SyncGroupRequestAssignment<'a>>,
    }

    /// One member's part of the work.
    struct SyncGroupRequestAssignment<'a> {
        member_id:  &'a str,
        assignment: &'a [u8],
    }

    /// The member's part of the work.
    struct SyncGroupResponse<'a> {
        throttle_time_ms: i32             [1..],
        error_code:       ErrorCode,
        protocol_type:    Option<&'a str> [5..],
        protocol_name:    Option<&'a str> [5..],
        assignment:       &'a [u8],
    }
}
