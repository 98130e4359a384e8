//! Static members (KIP-345), whose clients bring an id of their own.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::join_group::JoinGroupRequest;

use crate::run::Run;
use crate::scripts::groups::member::{Member, consumer, leave, name};
use crate::scripts::groups::shown::describe;

fn as_instance(
    group: &'static str,
    instance: &'static str,
    words: &str,
) -> JoinGroupRequest<'static> {
    JoinGroupRequest {
        group_instance_id: Some(instance),
        ..consumer(group, words)
    }
}

fn knows_statics(run: &Run<'_>) -> bool {
    run.version(ApiKey::JoinGroup) >= 5
        && run.version(ApiKey::SyncGroup) >= 3
        && run.version(ApiKey::LeaveGroup) >= 3
}

pub(crate) fn replaced(run: &mut Run<'_>) {
    if !knows_statics(run) {
        return;
    }
    let conn = run.connect("static");
    let group = run.name("group");
    let old = Member::settles(run, conn, &as_instance(group, "one", "words"));
    describe(run, &[group]);
    let again = run.connect("static");
    let new = Member::joins(run, again, &as_instance(group, "one", "words"));
    old.beats(run);
    old.leads(run, &[]);
    new.beats(run);
    new.leads(run, &[]);
    describe(run, &[group]);
    let owed = old.join(run, &as_instance(group, "one", "words"));
    run.read(owed);
    leave(run, conn, group, &[(old.id, Some("one"))]);
    leave(run, conn, group, &[(old.id, None)]);
    leave(run, conn, group, &[(new.id, Some("two"))]);
    new.beats(run);
    // With other words the group begins anew.
    let newer = Member::joins(run, conn, &as_instance(group, "one", "other words"));
    new.beats(run);
    newer.beats(run);
    newer.leads(run, &[&newer]);
    leave(run, conn, group, &[(name(""), Some("one"))]);
    newer.beats(run);
    describe(run, &[group]);
}

pub(crate) fn a_follower_is_replaced(run: &mut Run<'_>) {
    if !knows_statics(run) {
        return;
    }
    let group = run.name("group");
    let conns = [
        run.connect("first"),
        run.connect("second"),
        run.connect("third"),
    ];
    let mut first = Member::settles(run, conns[0], &as_instance(group, "one", "first"));
    let (mut second, owed) = Member::enter(run, conns[1], &as_instance(group, "two", "second"));
    run.silent(conns[1], 80);
    let again = first.join(run, &as_instance(group, "one", "first"));
    first.joined(run, again);
    second.joined(run, owed);
    let part = second.sync(run, &[]);
    first.leads(run, &[&first, &second]);
    run.read(part);
    describe(run, &[group]);
    let third = Member::joins(run, conns[2], &as_instance(group, "two", "second"));
    let part = third.sync(run, &[]);
    run.read(part);
    first.beats(run);
    second.beats(run);
    describe(run, &[group]);
    // The leader is replaced: it is told that it leads, and (v9) to leave the parts as they are.
    let mut leader = Member::joins(run, conns[0], &as_instance(group, "one", "first"));
    leader.leads(run, &[]);
    leader.beats(run);
    third.beats(run);
    describe(run, &[group]);
    let again = leader.join(run, &as_instance(group, "one", "first"));
    run.silent(conns[0], 80);
    third.beats(run);
    leave(
        run,
        conns[1],
        group,
        &[(name(""), Some("two")), (name(""), Some("nobody"))],
    );
    leader.joined(run, again);
}

/// The new client comes while the old one waits for its answer.
pub(crate) fn replaced_while_it_waits(run: &mut Run<'_>) {
    if !knows_statics(run) {
        return;
    }
    let group = run.name("group");
    let conns = [run.connect("first"), run.connect("old"), run.connect("new")];
    let mut first = Member::settles(run, conns[0], &consumer(group, "first"));
    let (_, owed) = Member::enter(run, conns[1], &as_instance(group, "one", "static"));
    run.silent(conns[1], 80);
    let (mut new, answer) = Member::enter(run, conns[2], &as_instance(group, "one", "static"));
    run.read(owed);
    run.silent(conns[2], 80);
    let again = first.join(run, &consumer(group, "first"));
    first.joined(run, again);
    new.joined(run, answer);
    let part = new.sync(run, &[]);
    run.silent(conns[2], 80);
    let last = run.connect("last");
    let (mut newest, answer) = Member::enter(run, last, &as_instance(group, "one", "static"));
    run.read(part);
    run.silent(last, 80);
    let again = first.join(run, &consumer(group, "first"));
    first.joined(run, again);
    newest.joined(run, answer);
    describe(run, &[group]);
}

pub(crate) fn strangers(run: &mut Run<'_>) {
    if !knows_statics(run) {
        return;
    }
    let conn = run.connect("static");
    let group = run.name("group");
    run.ask(
        conn,
        JoinGroupRequest {
            member_id: "nobody",
            ..as_instance(group, "one", "words")
        },
    );
    let member = Member::settles(run, conn, &as_instance(group, "one", "words"));
    run.ask(
        conn,
        JoinGroupRequest {
            member_id: "nobody",
            ..as_instance(group, "one", "words")
        },
    );
    run.ask(
        conn,
        JoinGroupRequest {
            member_id: "nobody",
            ..as_instance(group, "two", "words")
        },
    );
    let nameless = Member {
        instance: None,
        ..member
    };
    nameless.beats(run);
    let other = Member {
        instance: Some("two"),
        ..member
    };
    other.beats(run);
    other.leads(run, &[]);
    let owed = nameless.join(run, &consumer(group, "words"));
    run.read(owed);
    describe(run, &[group]);
}
