//! DeleteGroups (42): forget groups without members, with all that they have committed (KIP-229).

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Forget these groups.
    struct DeleteGroupsRequest<'a> {
        groups_names: Vec<&'a str>,
    }

    /// What became of each group.
    struct DeleteGroupsResponse<'a> {
        throttle_time_ms: i32,
        results:          Vec<DeletableGroupResult<'a>>,
    }

    /// One group, or why it is still there.
    struct DeletableGroupResult<'a> {
        group_id:   &'a str,
        error_code: ErrorCode,
    }
}
