//! Joining, heartbeats and leaving.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::join_group::JoinGroupRequest;

use crate::run::Run;
use crate::scripts::groups::commits::forget;
use crate::scripts::groups::member::{Member, consumer, leave, name, protocol};
use crate::scripts::groups::shown::describe;
use crate::scripts::kit::topic;

pub(crate) fn alone(run: &mut Run<'_>) {
    let conn = run.connect("alone");
    let group = run.name("group");
    let mut member = Member::joins(run, conn, &consumer(group, "alone"));
    member.beats(run);
    member.leads(run, &[&member]);
    member.beats(run);
    describe(run, &[group]);
    let owed = member.join(run, &consumer(group, "alone"));
    member.joined(run, owed);
    member.leads(run, &[&member]);
    member.leaves(run);
    member.beats(run);
    describe(run, &[group]);
    member.leaves(run);
    Member::settles(run, conn, &consumer(group, "again")).leaves(run);
}

pub(crate) fn refusals(run: &mut Run<'_>) {
    let conn = run.connect("refused");
    let group = run.name("refused");
    let with = |change: fn(&mut JoinGroupRequest<'static>)| {
        let mut join = consumer(group, "refused");
        change(&mut join);
        join
    };
    let bad = [
        with(|it| it.group_id = ""),
        with(|it| it.session_timeout_ms = 99),
        with(|it| it.session_timeout_ms = 1_800_001),
        with(|it| it.session_timeout_ms = -1),
        with(|it| it.member_id = "nobody"),
        with(|it| it.protocols.clear()),
        with(|it| it.protocol_type = ""),
        with(|it| it.member_id = "nobody-else"),
    ];
    for join in bad {
        run.ask(conn, join);
    }
    describe(run, &[group]);
    let group = run.name("group");
    let with = |change: fn(&mut JoinGroupRequest<'static>)| {
        let mut join = consumer(group, "refused");
        change(&mut join);
        join
    };
    let member = Member::settles(run, conn, &consumer(group, "first"));
    let other = run.connect("other");
    let worse = [
        with(|it| it.protocol_type = "connect"),
        with(|it| it.protocols = vec![protocol("other", "o")]),
        with(|it| it.protocols.clear()),
        with(|it| it.protocol_type = ""),
        with(|it| it.member_id = "nobody"),
        with(|it| it.session_timeout_ms = 1),
        with(|it| it.group_id = ""),
    ];
    for join in worse {
        run.ask(other, join);
    }
    member.beats(run);
    let owed = member.join(run, &with(|it| it.protocol_type = "connect"));
    run.read(owed);
    let owed = member.join(run, &with(|it| it.protocols.clear()));
    run.read(owed);
    member.beats(run);
}

pub(crate) fn heartbeats(run: &mut Run<'_>) {
    let conn = run.connect("beats");
    let group = run.name("group");
    Member::stranger(conn, group, "nobody").beats(run);
    Member::stranger(conn, "", "nobody").beats(run);
    Member::stranger(conn, group, "").beats(run);
    let member = Member::joins(run, conn, &consumer(group, "beats"));
    let with = |change: fn(&mut Member)| {
        let mut other = member;
        change(&mut other);
        other
    };
    for _ in 0..2 {
        member.beats(run);
        with(|it| it.generation += 1).beats(run);
        with(|it| it.generation -= 1).beats(run);
        with(|it| it.generation = -1).beats(run);
        with(|it| it.id = name("nobody")).beats(run);
        with(|it| it.id = name("")).beats(run);
        if run.version(ApiKey::Heartbeat) >= 3 {
            with(|it| it.instance = Some("nobody")).beats(run);
        }
        member.leads(run, &[&member]);
    }
}

pub(crate) fn departures(run: &mut Run<'_>) {
    let conn = run.connect("leaves");
    let group = run.name("group");
    let nobody = (name("nobody"), None);
    leave(run, conn, group, &[nobody]);
    leave(run, conn, "", &[nobody]);
    let member = Member::settles(run, conn, &consumer(group, "leaves"));
    leave(run, conn, group, &[(name(""), None)]);
    leave(run, conn, group, &[nobody]);
    if run.version(ApiKey::LeaveGroup) >= 3 {
        leave(run, conn, group, &[]);
        leave(run, conn, group, &[(name(""), Some("nobody")), nobody]);
        leave(
            run,
            conn,
            group,
            &[nobody, (member.id, None), (member.id, None)],
        );
    } else {
        member.leaves(run);
    }
    member.beats(run);
    describe(run, &[group]);
}

/// The others wait for a member that was told its id and has not come back, until it leaves.
pub(crate) fn told_and_gone(run: &mut Run<'_>) {
    if run.version(ApiKey::JoinGroup) < 4 {
        return;
    }
    let conns = [
        run.connect("told"),
        run.connect("first"),
        run.connect("other"),
    ];
    let group = run.name("group");
    let mut first = Member::settles(run, conns[1], &consumer(group, "first"));
    let told = run.ask(conns[0], consumer(group, "told"));
    let told = Member {
        id: told.map(|told| told.member_id),
        ..Member::stranger(conns[0], group, "")
    };
    describe(run, &[group]);
    told.beats(run);
    first.beats(run);
    let (mut other, owed) = Member::enter(run, conns[2], &consumer(group, "other"));
    run.silent(conns[2], 80);
    let again = first.join(run, &consumer(group, "first"));
    run.silent(conns[1], 80);
    told.leaves(run);
    first.joined(run, again);
    other.joined(run, owed);
    told.leaves(run);
    let owed = told.join(run, &consumer(group, "told"));
    run.read(owed);
    describe(run, &[group]);
}

/// Types that are no consumers, metadata that is no subscription, and what a leader says about strangers.
pub(crate) fn other_types(run: &mut Run<'_>) {
    let conn = run.connect("worker");
    let read = topic(run, conn, 1, &[]);
    for (kind, type_name, metadata) in [
        ("connect", "connect", &b"\0\x01\0\x03url"[..]),
        ("sr", "sr", b"{\"host\":\"x\"}"),
        ("short", "consumer", b"\0"),
        ("nothing", "consumer", b""),
        ("negative", "consumer", b"\xff\xff\0\0\0\0"),
    ] {
        let group = run.name(kind);
        let mut join = consumer(group, "");
        join.protocol_type = type_name;
        join.protocols[0].metadata = metadata;
        let member = Member::joins(run, conn, &join);
        let stranger = Member::stranger(conn, group, "stranger");
        run.ask_each(conn, |side| {
            let mut request = member.sync_request(side, &[&stranger, &member]);
            request.protocol_type = Some(type_name);
            request
        });
        member.beats(run);
        describe(run, &[group]);
        // Which topics it reads cannot be told from that, so none may be forgotten, unless it is no consumer.
        run.ask(conn, forget(group, &[(read.name, &[0])]));
        member.beats(run);
    }
}
