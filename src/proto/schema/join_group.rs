//! JoinGroup (11): become a member of a classic group, or stay one in its next generation.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Let me in; an empty member id asks for a new one. Without a rebalance timeout (version 0) the session timeout
    /// counts.
    struct JoinGroupRequest<'a> {
        group_id:             &'a str,
        session_timeout_ms:   i32,
        rebalance_timeout_ms: i32             [1..] = -1,
        member_id:            &'a str,
        group_instance_id:    Option<&'a str> [5..],
        protocol_type:        &'a str,
        protocols:            Vec<JoinGroupRequestProtocol<'a>>,
        reason:               Option<&'a str> [8..],
    }

    /// One way of sharing out the work that the member knows, in order of its preference, and what it says to the
    /// leader.
    struct JoinGroupRequestProtocol<'a> {
        name:     &'a str,
        metadata: &'a [u8],
    }

    /// The generation that has begun. Only its leader is told the members.
    struct JoinGroupResponse<'a> {
        throttle_time_ms: i32             [2..],
        error_code:       ErrorCode,
        generation_id:    i32 = -1,
        protocol_type:    Option<&'a str> [7..],
        protocol_name:    Option<&'a str>,
        leader:           &'a str,
        skip_assignment:  bool            [9..],
        member_id:        &'a str,
        members:          Vec<JoinGroupResponseMember<'a>>,
    }

    /// One member, and what it says to the leader.
    struct JoinGroupResponseMember<'a> {
        member_id:         &'a str,
        group_instance_id: Option<&'a str> [5..],
        metadata:          &'a [u8],
    }
}
