//! DescribeGroups, ListGroups, DeleteGroups and FindCoordinator.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::delete_groups::DeleteGroupsRequest;
use chronikd::proto::schema::describe_groups::DescribeGroupsRequest;
use chronikd::proto::schema::find_coordinator::FindCoordinatorRequest;
use chronikd::proto::schema::list_groups::ListGroupsRequest;

use crate::run::Run;
use crate::scripts::groups::member::{Member, consumer};

/// Asks what these groups are, with operations.
pub(crate) fn describe(run: &mut Run<'_>, groups: &[&'static str]) {
    let conn = run.connect("admin");
    run.ask(
        conn,
        DescribeGroupsRequest {
            groups: groups.to_vec(),
            include_authorized_operations: true,
        },
    );
}

/// Waits until a group has come to a state.
pub(crate) fn describe_until(run: &mut Run<'_>, group: &'static str, state: &str) {
    let conn = run.connect("admin");
    let ask = |_| DescribeGroupsRequest {
        groups: vec![group],
        include_authorized_operations: false,
    };
    run.settle(5, conn, ask, |answer| answer.groups[0].group_state == state);
}

pub(crate) fn every_state(run: &mut Run<'_>) {
    let conn = run.connect("member");
    let [empty, sharing, stable, preparing] =
        ["empty", "sharing", "stable", "preparing"].map(|it| run.name(it));
    Member::settles(run, conn, &consumer(empty, "empty")).leaves(run);
    Member::joins(run, conn, &consumer(sharing, "sharing"));
    Member::settles(run, conn, &consumer(stable, "stable"));
    let member = Member::settles(run, conn, &consumer(preparing, "preparing"));
    let second = run.connect("second");
    let (_, owed) = Member::enter(run, second, &consumer(preparing, "second"));
    run.silent(second, 50);
    let all = [stable, "absent", empty, sharing, preparing, stable, ""];
    let admin = run.connect("admin");
    for include_authorized_operations in [false, true] {
        run.ask(
            admin,
            DescribeGroupsRequest {
                groups: all.to_vec(),
                include_authorized_operations,
            },
        );
    }
    describe(run, &[]);
    list_every_way(run);
    member.leaves(run);
    run.read(owed);
}

fn list_every_way(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let list = |states: &[&'static str], types: &[&'static str]| ListGroupsRequest {
        states_filter: states.to_vec(),
        types_filter: types.to_vec(),
    };
    run.ask(conn, list(&[], &[]));
    let version = run.version(ApiKey::ListGroups);
    if version >= 4 {
        for states in [
            &["Stable"][..],
            &["Empty", "PreparingRebalance"],
            &["completingrebalance"],
            &["Dead"],
            &["Imaginary"],
            &["Stable", "Imaginary"],
            &["Assigning"],
            &[""],
        ] {
            run.ask(conn, list(states, &[]));
        }
    }
    if version >= 5 {
        for types in [
            &["classic"][..],
            &["CLASSIC"],
            &["consumer"],
            &["share"],
            &["unknown"],
            &["x"],
            &["classic", "x"],
        ] {
            run.ask(conn, list(&[], types));
        }
        run.ask(conn, list(&["Stable"], &["Classic"]));
    }
}

pub(crate) fn lists(run: &mut Run<'_>) {
    let conn = run.connect("member");
    let group = run.name("group");
    let mut join = consumer(group, "member");
    join.protocol_type = "connect";
    let member = Member::joins(run, conn, &join);
    list_every_way(run);
    member.leaves(run);
    list_every_way(run);
}

pub(crate) fn deletions(run: &mut Run<'_>) {
    let conn = run.connect("member");
    let [full, empty] = ["full", "empty"].map(|it| run.name(it));
    Member::settles(run, conn, &consumer(full, "full"));
    Member::settles(run, conn, &consumer(empty, "empty")).leaves(run);
    for names in [
        &[full, empty, "absent", ""][..],
        &[empty],
        &["absent", "absent"],
        &[],
    ] {
        run.ask(
            conn,
            DeleteGroupsRequest {
                groups_names: names.to_vec(),
            },
        );
    }
    describe(run, &[full, empty]);
    Member::settles(run, conn, &consumer(empty, "again")).leaves(run);
}

pub(crate) fn coordinators(run: &mut Run<'_>) {
    let conn = run.connect("client");
    for (key_type, keys) in [
        (0, &["group"][..]),
        (0, &["a", "b", "a", ""]),
        (0, &[""]),
        (1, &["transaction"]),
        (1, &[""]),
        (2, &["group:AAAAAAAAAAAAAAAAAAAAAQ:0"]),
        (3, &["x"]),
        (-1, &["x"]),
        (0, &[]),
    ] {
        run.ask(
            conn,
            FindCoordinatorRequest {
                key: keys.first().unwrap_or(&""),
                key_type,
                coordinator_keys: keys.to_vec(),
            },
        );
    }
}
