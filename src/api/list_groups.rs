//! ListGroups (16), versions 0-5: the groups, in the order of their ids.
//!
//! * v4+ asks for groups in certain states (KIP-518), v5+ of certain types (KIP-848); case does not matter, and what no
//!   group can be matches none.

use super::Call;
use crate::broker::Broker;
use crate::broker::groups::Group;
use crate::broker::wait::Outcome;
use crate::proto::schema::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

/// The one type of group that there is.
const TYPE: &str = "classic";

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ListGroupsRequest<'_>,
) -> Outcome {
    let is_wanted = |group: &&Group| {
        matches(&request.states_filter, group.state()) && matches(&request.types_filter, TYPE)
    };
    let groups = broker.groups().iter().filter(is_wanted).map(row).collect();
    call.after(broker.groups().newest_round());
    call.reply(&ListGroupsResponse {
        groups,
        ..Default::default()
    })
}

fn matches(filter: &[&str], name: &str) -> bool {
    filter.is_empty()
        || filter
            .iter()
            .any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
}

fn row(group: &Group) -> ListedGroup<'_> {
    ListedGroup {
        group_id: &group.id,
        protocol_type: group.protocol_type.as_deref().unwrap_or_default(),
        group_state: group.state(),
        group_type: TYPE,
    }
}
