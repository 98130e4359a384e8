//! SyncGroup.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::asks::keep;
use crate::both::Side;
use crate::run::Run;
use crate::scripts::groups::member::{Member, consumer};
use crate::scripts::groups::shown::describe;

/// More than a record of a group may have.
const LARGE_BYTES: usize = 10 << 20;

pub(crate) fn refusals(run: &mut Run<'_>) {
    let conn = run.connect("syncs");
    let group = run.name("group");
    let stranger = Member::stranger(conn, group, "nobody");
    stranger.leads(run, &[]);
    Member::stranger(conn, "", "nobody").leads(run, &[]);
    let member = Member::joins(run, conn, &consumer(group, "syncs"));
    for _ in 0..2 {
        stranger.leads(run, &[]);
        let with = |change: fn(&mut SyncGroupRequest<'static>)| {
            move |side: Side| {
                let mut request = member.sync_request(side, &[]);
                change(&mut request);
                request
            }
        };
        run.ask_each(conn, with(|it| it.generation_id += 1));
        run.ask_each(conn, with(|it| it.generation_id = -1));
        run.ask_each(conn, with(|it| it.group_id = ""));
        if run.version(ApiKey::SyncGroup) >= 3 {
            run.ask_each(conn, with(|it| it.group_instance_id = Some("nobody")));
        }
        if run.version(ApiKey::SyncGroup) >= 5 {
            run.ask_each(conn, with(|it| it.protocol_type = Some("connect")));
            run.ask_each(conn, with(|it| it.protocol_name = Some("other")));
            run.ask_each(
                conn,
                with(|it| (it.protocol_type, it.protocol_name) = (None, None)),
            );
        }
        member.leads(run, &[&member]);
    }
    member.leads(run, &[]);
    member.leaves(run);
    member.leads(run, &[]);
}

pub(crate) fn parts(run: &mut Run<'_>) {
    let conn = run.connect("leader");
    for assignments in [0, 1, 2] {
        let group = run.name(["none", "one", "two"][assignments]);
        let member = Member::joins(run, conn, &consumer(group, "leader"));
        let twice = [&member; 2];
        member.leads(run, &twice[..assignments]);
        describe(run, &[group]);
    }
}

pub(crate) fn large(run: &mut Run<'_>) {
    let conn = run.connect("leader");
    let group = run.name("group");
    let mut member = Member::joins(run, conn, &consumer(group, "leader"));
    let assignment = keep::<[u8]>(vec![7; LARGE_BYTES]);
    run.ask_each(conn, |side| {
        let mut request = member.sync_request(side, &[]);
        request.assignments = vec![SyncGroupRequestAssignment {
            member_id: member.id[side],
            assignment,
        }];
        request
    });
    member.beats(run);
    describe(run, &[group]);
    let owed = member.join(run, &consumer(group, "leader"));
    member.joined(run, owed);
    member.leads(run, &[&member]);
    describe(run, &[group]);
}

/// What a member says when it joins may be as large.
pub(crate) fn large_words(run: &mut Run<'_>) {
    let conn = run.connect("leader");
    let group = run.name("group");
    let mut join = consumer(group, "leader");
    join.protocols[0].metadata = keep::<[u8]>(vec![0; LARGE_BYTES]);
    let member = Member::joins(run, conn, &join);
    member.leads(run, &[&member]);
    member.beats(run);
    describe(run, &[group]);
}
