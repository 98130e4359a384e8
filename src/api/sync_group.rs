//! SyncGroup (14), versions 0-5: the leader shares out the work, every member asks for its part.
//!
//! * The answer is owed: it comes when the leader has spoken and its word is durable. What is checked in which order is
//!   in `broker::groups`.
//! * v3+ may name a static member; v5+ says which protocol the member believes in, and error 23 contradicts, also who
//!   does not say.

use super::{Call, Out, put};
use crate::broker::Broker;
use crate::broker::groups::{Claim, Sync, Synced};
use crate::broker::wait::{Outcome, Ticket};
use crate::proto::error::ErrorCode;
use crate::proto::schema::sync_group::{SyncGroupRequest, SyncGroupResponse};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: SyncGroupRequest<'_>,
) -> Outcome {
    let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version() >= 5 && !says_protocol {
        return call.reply(&SyncGroupResponse {
            error_code: ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
            ..Default::default()
        });
    }
    let assignments = request.assignments.iter();
    let sync = Sync {
        claim: Claim {
            group_id: request.group_id,
            generation_id: request.generation_id,
            member_id: request.member_id,
            group_instance_id: request.group_instance_id,
        },
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignments: assignments.map(|a| (a.member_id, a.assignment)).collect(),
    };
    broker.sync_group(sync, call.ticket(), call.cx.now);
    Outcome::Owed
}

pub(super) fn answer(ticket: &Ticket, synced: &Synced, out: &mut Out) {
    let response = SyncGroupResponse {
        error_code: synced.error,
        protocol_type: synced.protocol_type.as_deref(),
        protocol_name: synced.protocol_name.as_deref(),
        assignment: &synced.assignment,
        ..Default::default()
    };
    let written = put(ticket, &response, &mut out.bytes);
    written.expect("what the leader has sent fits an answer");
}
