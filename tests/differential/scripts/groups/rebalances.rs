//! Several members, on a connection each.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::join_group::JoinGroupRequest;

use crate::run::{Conn, Run};
use crate::scripts::groups::member::{Member, consumer, leave, protocol};
use crate::scripts::groups::shown::describe;

/// How long it is listened for what must not come yet.
const SILENCE_MS: u64 = 80;

/// Two members in one stable generation, the first its leader.
pub(crate) fn couple(run: &mut Run<'_>, group: &'static str) -> [Member; 2] {
    let conns = [run.connect("first"), run.connect("second")];
    let mut first = Member::settles(run, conns[0], &consumer(group, "first"));
    let second = joins_beside(run, conns[1], &consumer(group, "second"), &mut first);
    [first, second]
}

pub(crate) fn two(run: &mut Run<'_>) {
    let group = run.name("group");
    let [first, mut second] = couple(run, group);
    describe(run, &[group]);
    first.beats(run);
    second.beats(run);
    // A follower that says the same again is told the same again.
    let again = second.join(run, &consumer(group, "second"));
    second.joined(run, again);
    first.beats(run);
    let part = second.sync(run, &[]);
    run.read(part);
    second.leaves(run);
    first.beats(run);
    describe(run, &[group]);
}

pub(crate) fn a_follower_changes_its_words(run: &mut Run<'_>) {
    let group = run.name("group");
    let [mut first, mut second] = couple(run, group);
    let again = second.join(run, &consumer(group, "second thoughts"));
    run.silent(second.conn, SILENCE_MS);
    describe(run, &[group]);
    first.beats(run);
    first.leads(run, &[&first]);
    let leads = first.join(run, &consumer(group, "first"));
    first.joined(run, leads);
    second.joined(run, again);
    // Joining again before the parts are shared out.
    let same = second.join(run, &consumer(group, "second thoughts"));
    second.joined(run, same);
    describe(run, &[group]);
    first.leads(run, &[&first, &second]);
    let part = second.sync(run, &[]);
    run.read(part);
}

pub(crate) fn the_leader_goes(run: &mut Run<'_>) {
    let group = run.name("group");
    let [first, mut second] = couple(run, group);
    first.leaves(run);
    second.beats(run);
    let again = second.join(run, &consumer(group, "second"));
    second.joined(run, again);
    second.leads(run, &[&second]);
    let conn = run.connect("third");
    let mut third = joins_beside(run, conn, &consumer(group, "third"), &mut second);
    describe(run, &[group]);
    first.beats(run);
    second.leaves(run);
    third.beats(run);
    let again = third.join(run, &consumer(group, "third"));
    third.joined(run, again);
    third.leads(run, &[&third]);
    describe(run, &[group]);
}

/// A member comes into a group whose only other member leads it; both are stable then.
fn joins_beside(
    run: &mut Run<'_>,
    conn: Conn,
    join: &JoinGroupRequest<'static>,
    leader: &mut Member,
) -> Member {
    let (mut member, owed) = Member::enter(run, conn, join);
    run.silent(conn, SILENCE_MS);
    leader.beats(run);
    let again = leader.join(run, &consumer(leader.group, "first"));
    leader.joined(run, again);
    member.joined(run, owed);
    let part = member.sync(run, &[]);
    run.silent(conn, SILENCE_MS);
    leader.leads(run, &[leader, &member]);
    run.read(part);
    member
}

pub(crate) fn the_leader_goes_before_it_has_spoken(run: &mut Run<'_>) {
    let group = run.name("group");
    let [mut first, mut second] = couple(run, group);
    let again = first.join(run, &consumer(group, "first"));
    run.silent(first.conn, SILENCE_MS);
    second.beats(run);
    let also = second.join(run, &consumer(group, "second"));
    first.joined(run, again);
    second.joined(run, also);
    let part = second.sync(run, &[]);
    run.silent(second.conn, SILENCE_MS);
    first.leaves(run);
    run.read(part);
    second.beats(run);
    let again = second.join(run, &consumer(group, "second"));
    second.joined(run, again);
    second.leads(run, &[&second]);
}

pub(crate) fn three(run: &mut Run<'_>) {
    let group = run.name("group");
    let [mut first, mut second] = couple(run, group);
    let conn = run.connect("third");
    let (mut third, owed) = Member::enter(run, conn, &consumer(group, "third"));
    run.silent(conn, SILENCE_MS);
    first.beats(run);
    let again = second.join(run, &consumer(group, "second"));
    run.silent(second.conn, SILENCE_MS);
    let leads = first.join(run, &consumer(group, "first"));
    first.joined(run, leads);
    second.joined(run, again);
    third.joined(run, owed);
    describe(run, &[group]);
    let parts = [second.sync(run, &[]), third.sync(run, &[])];
    first.leads(run, &[&third, &first, &second]);
    for part in parts {
        run.read(part);
    }
    describe(run, &[group]);
    // The leader asks to share out anew, though nothing has changed.
    let anew = first.join(run, &consumer(group, "first"));
    run.silent(first.conn, SILENCE_MS);
    second.beats(run);
    third.leaves(run);
    let again = second.join(run, &consumer(group, "second"));
    first.joined(run, anew);
    second.joined(run, again);
}

/// What the group speaks is what most members like best among what all know.
pub(crate) fn votes(run: &mut Run<'_>) {
    let group = run.name("group");
    let conns = [
        run.connect("first"),
        run.connect("second"),
        run.connect("third"),
    ];
    let knows = |words: &str, protocols: &[&'static str]| JoinGroupRequest {
        protocols: protocols.iter().map(|&it| protocol(it, words)).collect(),
        ..consumer(group, words)
    };
    let first_knows = knows("first", &["sticky", "range", "round"]);
    let mut first = Member::joins(run, conns[0], &first_knows);
    let (mut second, owed) = Member::enter(run, conns[1], &knows("second", &["range", "round"]));
    run.silent(conns[1], SILENCE_MS);
    let again = first.join(run, &first_knows);
    first.joined(run, again);
    second.joined(run, owed);
    let third_knows = knows("third", &["round", "range"]);
    let (mut third, owed) = Member::enter(run, conns[2], &third_knows);
    run.silent(conns[2], SILENCE_MS);
    let again = second.join(run, &knows("second", &["round", "range"]));
    let leads = first.join(run, &first_knows);
    first.joined(run, leads);
    second.joined(run, again);
    third.joined(run, owed);
    describe(run, &[group]);
    let stranger = run.connect("stranger");
    run.ask(stranger, knows("stranger", &["sticky"]));
}

pub(crate) fn a_second_join_overtakes(run: &mut Run<'_>) {
    let group = run.name("group");
    let [mut first, mut second] = couple(run, group);
    let early = second.join(run, &consumer(group, "early"));
    run.silent(second.conn, SILENCE_MS);
    let other: Conn = run.connect("second");
    let late = Member {
        conn: other,
        ..second
    };
    let owed = late.join(run, &consumer(group, "late"));
    run.silent(other, SILENCE_MS);
    let leads = first.join(run, &consumer(group, "first"));
    first.joined(run, leads);
    second.joined(run, owed);
    let _ = early;
    describe(run, &[group]);
}

/// Of a group that takes four those are in who ask first, and one that was there already comes too late.
pub(crate) fn a_full_group(run: &mut Run<'_>) {
    let group = run.name("group");
    let [mut first, second] = couple(run, group);
    let enter = |run: &mut Run<'_>, words| {
        let conn = run.connect(words);
        let entered = Member::enter(run, conn, &consumer(group, words));
        run.silent(conn, SILENCE_MS);
        entered
    };
    let (mut third, third_owed) = enter(run, "third");
    let again = first.join(run, &consumer(group, "first"));
    run.silent(first.conn, SILENCE_MS);
    let (mut fourth, fourth_owed) = enter(run, "fourth");
    let (fifth, fifth_owed) = enter(run, "fifth");
    let late = run.connect("sixth");
    run.ask(late, consumer(group, "sixth"));
    let refused = second.join(run, &consumer(group, "second"));
    run.read(refused);
    second.beats(run);
    // Before that, those who wait have not been told their ids.
    if run.version(ApiKey::JoinGroup) < 4 {
        return;
    }
    leave(run, late, group, &[(fifth.id, None)]);
    run.read(fifth_owed);
    first.joined(run, again);
    third.joined(run, third_owed);
    fourth.joined(run, fourth_owed);
    describe(run, &[group]);
}

pub(crate) fn versions_mixed(run: &mut Run<'_>) {
    let group = run.name("group");
    let [first, _] = couple(run, group);
    let (min, max) = run.range(ApiKey::JoinGroup);
    let conn = run.connect("old");
    for version in [min, max] {
        run.ask_at(
            version,
            conn,
            JoinGroupRequest {
                member_id: "nobody",
                ..consumer(group, "old")
            },
        );
    }
    first.beats(run);
}
