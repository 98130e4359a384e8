//! JoinGroup (11), versions 0-9: become a member of a group, or of its next generation.
//!
//! * The answer is owed: it comes when everybody has joined, or the rebalance timeout is over. What is checked in
//!   which order is in `broker::groups`.
//! * v0 has no rebalance timeout of its own; v4+ asks members without an id to come again with the one that error 79
//!   brings (KIP-394); v5+ knows static members (KIP-345); v9+ can tell the leader not to share out anew (KIP-814).
//! * An answer that tells the leader more of the members than an answer can hold is error -1.
//! * Before v7 the protocol's name cannot be null and is empty instead; since then an empty one is null.

use super::{Call, Out, put};
use crate::broker::Broker;
use crate::broker::groups::{Join, Joined, JoinedMember};
use crate::broker::wait::{Outcome, Ticket};
use crate::proto::error::ErrorCode;
use crate::proto::schema::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use std::net::IpAddr;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: JoinGroupRequest<'_>,
) -> Outcome {
    let version = call.version();
    let join = Join {
        group_id: request.group_id,
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
        client_id: call.header.client_id.unwrap_or_default(),
        client_host: host(call.cx.peer.remote.ip()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        protocol_type: request.protocol_type,
        protocols: request
            .protocols
            .iter()
            .map(|p| (p.name, p.metadata))
            .collect(),
        requires_known_member_id: version >= 4,
        supports_skipping_assignment: version >= 9,
        reason: request.reason,
        fresh_id: broker.new_id(),
    };
    broker.join_group(join, call.ticket(), call.cx.now);
    Outcome::Owed
}

pub(super) fn answer(ticket: &Ticket, joined: &Joined, out: &mut Out) {
    let protocol_name = joined.protocol_name.as_deref().unwrap_or_default();
    let response = JoinGroupResponse {
        error_code: joined.error,
        generation_id: joined.generation_id,
        protocol_type: joined.protocol_type.as_deref(),
        protocol_name: match ticket.version {
            ..7 => Some(protocol_name),
            _ => Some(protocol_name).filter(|name| !name.is_empty()),
        },
        leader: &joined.leader,
        skip_assignment: joined.skip_assignment,
        member_id: &joined.member_id,
        members: joined.members.iter().map(member).collect(),
        ..Default::default()
    };
    if put(ticket, &response, &mut out.bytes).is_err() {
        let too_large = JoinGroupResponse {
            error_code: ErrorCode::UNKNOWN_SERVER_ERROR,
            ..Default::default()
        };
        let written = put(ticket, &too_large, &mut out.bytes);
        written.expect("an answer of nothing fits");
    }
}

/// A client's address as Java prints one.
fn host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:x}"));
            format!("/{}", groups.join(":"))
        }
    }
}

fn member(member: &JoinedMember) -> JoinGroupResponseMember<'_> {
    JoinGroupResponseMember {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        metadata: &member.metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::wait::ConnId;
    use crate::proto::{self, ApiKey};

    #[test]
    fn a_host_is_shown_as_java_shows_it() {
        for (address, shown) in [
            ("127.0.0.1", "/127.0.0.1"),
            ("::ffff:10.1.2.3", "/10.1.2.3"),
            ("::1", "/0:0:0:0:0:0:0:1"),
            ("2001:db8::a:0", "/2001:db8:0:0:0:0:a:0"),
        ] {
            assert_eq!(host(address.parse().unwrap()), shown);
        }
    }

    #[test]
    fn an_empty_protocol_name_is_null_where_it_can_be() {
        for (version, name) in [(6, Some("")), (7, None)] {
            let conn = ConnId {
                slot: 0,
                generation: 0,
            };
            let ticket = Ticket {
                conn,
                correlation_id: 1,
                api_key: ApiKey::JoinGroup,
                version,
            };
            let joined = Joined {
                protocol_name: Some("".into()),
                ..Joined::refused(ErrorCode::NONE, "m")
            };
            let mut out = Out::default();
            answer(&ticket, &joined, &mut out);
            let is_flexible = ApiKey::JoinGroup.info().is_flexible(version);
            let body = &out.bytes[4 + usize::from(is_flexible)..];
            let told: JoinGroupResponse<'_> =
                proto::decode(body, version, is_flexible).expect("a response");
            assert_eq!(told.protocol_name, name, "version {version}");
        }
    }
}
