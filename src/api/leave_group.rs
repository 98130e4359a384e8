//! LeaveGroup (13), versions 0-5: members leave, and the others hear of it at once.
//!
//! * v0-2 name one member, whose error stands at the top; v3+ several, each with its own, also by the instance ids of
//!   static members (KIP-345). v5+ says why (KIP-800).
//! * An unknown member is error 25; a static member with the id of its predecessor 82.

use super::Call;
use crate::broker::Broker;
use crate::broker::groups::{Leaver, Left};
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: LeaveGroupRequest<'_>,
) -> Outcome {
    let leavers: Vec<Leaver<'_>> = match call.version() {
        ..3 => vec![Leaver {
            member_id: request.member_id,
            group_instance_id: None,
            reason: None,
        }],
        _ => request.members.iter().map(leaver).collect(),
    };
    let left = broker.leave_group(request.group_id, &leavers, call.cx.now);
    call.after(broker.groups().round_of(request.group_id));
    let (error_code, left) = match left {
        Err(error) => (error, Vec::new()),
        Ok(left) if call.version() < 3 => (left[0].error, Vec::new()),
        Ok(left) => (ErrorCode::NONE, left),
    };
    call.reply(&LeaveGroupResponse {
        error_code,
        members: left.iter().map(row).collect(),
        ..Default::default()
    })
}

fn leaver<'a>(member: &MemberIdentity<'a>) -> Leaver<'a> {
    Leaver {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        reason: member.reason,
    }
}

fn row(left: &Left) -> MemberResponse<'_> {
    MemberResponse {
        member_id: &left.member_id,
        group_instance_id: left.group_instance_id.as_deref(),
        error_code: left.error,
    }
}
