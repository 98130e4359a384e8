//! LeaveGroup (13): members leave; from version 3 on several at once, also by their instance ids (KIP-345).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// These members leave.
    struct LeaveGroupRequest<'a> {
        group_id:  &'a str,
        member_id: &'a str                 [..=2],
        members:   Vec<MemberIdentity<'a>> [3..],
    }

    /// A member by its id, or a static one by its instance id with an empty member id.
    struct MemberIdentity<'a> {
        member_id:         &'a str,
        group_instance_id: Option<&'a str>,
        reason:            Option<&'a str> [5..],
    }

    /// What became of each member.
    struct LeaveGroupResponse<'a> {
        throttle_time_ms: i32                     [1..],
        error_code:       ErrorCode,
        members:          Vec<MemberResponse<'a>> [3..],
    }

    /// One member, and whether it was there to leave.
    struct MemberResponse<'a> {
        member_id:         &'a str,
        group_instance_id: Option<&'a str>,
        error_code:        ErrorCode,
    }
}
