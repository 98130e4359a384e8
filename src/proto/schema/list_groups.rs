//! ListGroups (16): the groups, by state (KIP-518) and type (KIP-848) if asked so.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Which groups are there? Empty filters let everything through.
    struct ListGroupsRequest<'a> {
        states_filter: Vec<&'a str> [4..],
        types_filter:  Vec<&'a str> [5..],
    }

    /// The groups.
    struct ListGroupsResponse<'a> {
        throttle_time_ms: i32 [1..],
        error_code:       ErrorCode,
        groups:           Vec<ListedGroup<'a>>,
    }

    /// One group.
    struct ListedGroup<'a> {
        group_id:      &'a str,
        protocol_type: &'a str,
        group_state:   &'a str [4..],
        group_type:    &'a str [5..],
    }
}
