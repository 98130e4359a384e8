//! FindCoordinator (10), versions 0-6: who coordinates a group or a transactional id.
//!
//! * There is one broker, and it coordinates everything: the answer is where this client reaches us.
//! * v0-3 ask for one key and are answered at the top, v4+ for several (KIP-699). v0 means a group.
//! * Where there is no error the message says so: `NONE` at the top, nothing beside each of several.
//! * Share partitions (key type 2, v6+): error 42, for there are no share groups; so is any other type.

use super::Call;
use super::common::endpoint;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

/// A consumer group, and a transactional id.
const COORDINATED: [i8; 2] = [0, 1];

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: FindCoordinatorRequest<'_>,
) -> Outcome {
    let (host, port) = endpoint(broker, call.cx.peer);
    let found = match COORDINATED.contains(&request.key_type) {
        true => Coordinator {
            node_id: broker.identity.node_id,
            host: &host,
            port,
            error_message: Some("".into()),
            ..Default::default()
        },
        false => Coordinator {
            node_id: -1,
            port: -1,
            error_code: ErrorCode::INVALID_REQUEST,
            error_message: Some("There is no coordinator of keys of this type.".into()),
            ..Default::default()
        },
    };
    let keys = request.coordinator_keys.into_iter();
    let of_key = |key| Coordinator {
        key,
        ..found.clone()
    };
    call.reply(&FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: match found.error_code {
            ErrorCode::NONE => Some("NONE".into()),
            _ => found.error_message.clone(),
        },
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        coordinators: keys.map(of_key).collect(),
        ..Default::default()
    })
}
