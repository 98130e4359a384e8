//! DescribeGroups (15): state, members and assignments of classic groups.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Describe these groups.
    struct DescribeGroupsRequest<'a> {
        groups:                        Vec<&'a str>,
        include_authorized_operations: bool [3..],
    }

    /// The groups, in the order asked for.
    struct DescribeGroupsResponse<'a> {
        throttle_time_ms: i32 [1..],
        groups:           Vec<DescribedGroup<'a>>,
    }

    /// One group; an unknown one is Dead, and from version 6 on an error.
    struct DescribedGroup<'a> {
        error_code:            ErrorCode,
        error_message:         Option<Text<'a>> [6..],
        group_id:              &'a str,
        group_state:           &'a str,
        protocol_type:         &'a str,
        protocol_data:         &'a str,
        members:               Vec<DescribedGroupMember<'a>>,
        authorized_operations: i32              [3..] = i32::MIN,
    }

    /// One member, what it said when it joined, and its part of the work.
    struct DescribedGroupMember<'a> {
        member_id:         &'a str,
        group_instance_id: Option<&'a str> [4..],
        client_id:         &'a str,
        client_host:       &'a str,
        member_metadata:   &'a [u8],
        member_assignment: &'a [u8],
    }
}
