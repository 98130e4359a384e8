//! Members that fall silent. Times are short, and what is listened for is far from both ends of them.

use chronikd::proto::schema::join_group::JoinGroupRequest;

use crate::run::Run;
use crate::scripts::groups::member::{Member, consumer};
use crate::scripts::groups::shown::{describe, describe_until};

fn hasty(group: &'static str, words: &str) -> JoinGroupRequest<'static> {
    JoinGroupRequest {
        session_timeout_ms: 600,
        ..consumer(group, words)
    }
}

pub(crate) fn a_session_ends(run: &mut Run<'_>) {
    let conn = run.connect("silent");
    let group = run.name("group");
    let member = Member::settles(run, conn, &hasty(group, "silent"));
    describe(run, &[group]);
    describe_until(run, group, "Empty");
    describe(run, &[group]);
    member.beats(run);
    member.leads(run, &[]);
}

pub(crate) fn a_leader_falls_silent(run: &mut Run<'_>) {
    let group = run.name("group");
    let conns = [run.connect("leader"), run.connect("other")];
    let mut leader = Member::settles(run, conns[0], &hasty(group, "leader"));
    let (mut other, owed) = Member::enter(run, conns[1], &consumer(group, "other"));
    run.silent(conns[1], 50);
    let again = leader.join(run, &hasty(group, "leader"));
    leader.joined(run, again);
    other.joined(run, owed);
    let part = other.sync(run, &[]);
    leader.leads(run, &[&leader, &other]);
    run.read(part);
    describe_until(run, group, "PreparingRebalance");
    leader.beats(run);
    other.beats(run);
    let again = other.join(run, &consumer(group, "other"));
    other.joined(run, again);
    other.leads(run, &[&other]);
    describe(run, &[group]);
}

/// Who does not join again in time is left behind, though its session has not ended.
pub(crate) fn a_rebalance_does_not_wait(run: &mut Run<'_>) {
    let group = run.name("group");
    let conns = [run.connect("slow"), run.connect("other")];
    let slow_join = JoinGroupRequest {
        rebalance_timeout_ms: 700,
        ..consumer(group, "slow")
    };
    let other_join = JoinGroupRequest {
        rebalance_timeout_ms: 500,
        ..consumer(group, "other")
    };
    let slow = Member::settles(run, conns[0], &slow_join);
    let (mut other, owed) = Member::enter(run, conns[1], &other_join);
    run.silent(conns[1], 200);
    slow.beats(run);
    other.joined(run, owed);
    slow.beats(run);
    other.leads(run, &[&other]);
    describe(run, &[group]);
}

/// Who does not ask for its part in time is left behind, too.
pub(crate) fn a_part_is_not_fetched(run: &mut Run<'_>) {
    let group = run.name("group");
    let conn = run.connect("idle");
    let join = JoinGroupRequest {
        rebalance_timeout_ms: 400,
        ..consumer(group, "idle")
    };
    let member = Member::joins(run, conn, &join);
    describe(run, &[group]);
    describe_until(run, group, "Empty");
    member.beats(run);
    member.leads(run, &[]);
}
