//! Heartbeat (12), versions 0-4: a member lives, and hears of a rebalance (27) or that it is out (22, 25, 82).
//!
//! * v3+ may name a static member (KIP-345).

use super::Call;
use crate::broker::Broker;
use crate::broker::groups::Claim;
use crate::broker::wait::Outcome;
use crate::proto::schema::heartbeat::{HeartbeatRequest, HeartbeatResponse};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: HeartbeatRequest<'_>,
) -> Outcome {
    let claim = Claim {
        group_id: request.group_id,
        generation_id: request.generation_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
    };
    let error_code = broker.heartbeat(claim, call.cx.now);
    call.after(broker.groups().round_of(request.group_id));
    call.reply(&HeartbeatResponse {
        error_code,
        ..Default::default()
    })
}
