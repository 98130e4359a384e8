//! ListGroups (16), versions 0-5: the groups, in the order of their ids.
//!
//! * v4+ asks for groups in certain states (KIP-518), v5+ of certain types (KIP-848); case does not matter, and what no
//!   group can be matches none.

use super::Call;
use crate::broker::Broker;
use crate::broker::groups::Group;
use crate::broker::wait::Outcome;
use crate::proto::schema::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use std::collections::BTreeSet;

/// The one type of group that there is.
const TYPE: &str = "classic";

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ListGroupsRequest<'_>,
) -> Outcome {
    let states = Filter::new(&request.states_filter);
    let types = Filter::new(&request.types_filter);
    let is_wanted = |group: &&Group| states.admits(group.state()) && types.admits(TYPE);
    let groups = broker.groups().iter().filter(is_wanted).map(row).collect();
    call.after(broker.groups().newest_round());
    call.reply(&ListGroupsResponse {
        groups,
        ..Default::default()
    })
}

/// The names that are asked for, in lower case; none asks for all.
struct Filter(BTreeSet<String>);

impl Filter {
    fn new(names: &[&str]) -> Filter {
        let lower = |name: &&str| name.trim().to_ascii_lowercase();
        Filter(names.iter().map(lower).collect())
    }

    fn admits(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.contains(&name.to_ascii_lowercase())
    }
}

fn row(group: &Group) -> ListedGroup<'_> {
    ListedGroup {
        group_id: &group.id,
        protocol_type: group.protocol_type.as_deref().unwrap_or_default(),
        group_state: group.state(),
        group_type: TYPE,
    }
}
