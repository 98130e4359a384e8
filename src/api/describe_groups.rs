//! DescribeGroups (15), versions 0-6: state, members and assignments of groups.
//!
//! * An unknown group is `Dead` without an error; from v6 on it is error 69 (KIP-1043).
//! * What members said is shown only while the group is stable, for it belongs to a generation; what they got last is
//!   shown always.
//! * v3+ may ask for the operations that the client is allowed.

use super::Call;
use super::common::{Allowance, GROUP_OPERATIONS, NO_OPERATIONS};
use super::refusal::Refusal;
use crate::broker::Broker;
use crate::broker::groups::{Group, Member, Phase};
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeGroupsRequest<'_>,
) -> Outcome {
    let authorized_operations = match request.include_authorized_operations {
        true => GROUP_OPERATIONS,
        false => NO_OPERATIONS,
    };
    let (mut groups, mut allowance) = (Vec::with_capacity(request.groups.len()), Allowance::new());
    for id in request.groups {
        call.after(broker.groups().round_of(id));
        let group = broker.groups().get(id);
        let members = group.map_or(0, |group| group.members.len());
        if let Err(outcome) = allowance.take::<DescribedGroupMember<'_>>(members) {
            return outcome;
        }
        groups.push(match group {
            Some(group) => DescribedGroup {
                authorized_operations,
                ..row(group)
            },
            None if call.version() >= 6 => not_found(id),
            None => DescribedGroup {
                authorized_operations,
                ..dead(id)
            },
        });
    }
    call.reply(&DescribeGroupsResponse {
        groups,
        ..Default::default()
    })
}

fn row(group: &Group) -> DescribedGroup<'_> {
    let is_stable = group.phase == Phase::Stable;
    let protocol = group.protocol_name.as_deref().filter(|_| is_stable);
    let members = group.members.iter();
    DescribedGroup {
        group_id: &group.id,
        group_state: group.state(),
        protocol_type: group.protocol_type.as_deref().unwrap_or_default(),
        protocol_data: protocol.unwrap_or_default(),
        members: members.map(|(id, of)| member(id, of, protocol)).collect(),
        ..Default::default()
    }
}

/// A member, with what it said under the protocol of the generation if there is one. Its part of the work may still be
/// that of the generation before.
fn member<'a>(id: &'a str, of: &'a Member, protocol: Option<&str>) -> DescribedGroupMember<'a> {
    let shown = DescribedGroupMember {
        member_id: id,
        group_instance_id: of.group_instance_id.as_deref(),
        client_id: &of.client_id,
        client_host: &of.client_host,
        member_assignment: &of.assignment,
        ..Default::default()
    };
    match protocol {
        None => shown,
        Some(protocol) => DescribedGroupMember {
            member_metadata: of.metadata(protocol),
            ..shown
        },
    }
}

fn dead(group_id: &str) -> DescribedGroup<'_> {
    DescribedGroup {
        group_id,
        group_state: "Dead",
        ..Default::default()
    }
}

fn not_found(id: &str) -> DescribedGroup<'_> {
    let why = format!("Group {id} not found.");
    let Refusal { code, message } = Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, why);
    DescribedGroup {
        error_code: code,
        error_message: message,
        ..dead(id)
    }
}
