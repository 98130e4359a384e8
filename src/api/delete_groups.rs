//! DeleteGroups (42), versions 0-2: forget groups without members, with all their offsets, those of open transactions
//! too.
//!
//! * An unknown group is error 69, one with members 68. A group that is named twice is answered once.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use std::collections::BTreeSet;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DeleteGroupsRequest<'_>,
) -> Outcome {
    let named: BTreeSet<&str> = request.groups_names.into_iter().collect();
    let mut results = Vec::with_capacity(named.len());
    for group_id in named {
        let error_code = broker.delete_group(group_id).err();
        call.after(broker.groups().round_of(group_id));
        results.push(DeletableGroupResult {
            group_id,
            error_code: error_code.unwrap_or(ErrorCode::NONE),
        });
    }
    call.reply(&DeleteGroupsResponse {
        results,
        ..Default::default()
    })
}
