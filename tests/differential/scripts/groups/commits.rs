//! OffsetCommit, OffsetFetch and OffsetDelete.

use chronikd::proto::schema::delete_groups::DeleteGroupsRequest;
use chronikd::proto::schema::delete_topics::DeleteTopicsRequest;
use chronikd::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use chronikd::proto::schema::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use chronikd::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use chronikd::proto::{ApiKey, Uuid};

use crate::asks::keep;
use crate::both::{Both, Side};
use crate::run::{Conn, Run};
use crate::scripts::groups::member::{Member, Name, consumer, name, subscription};
use crate::scripts::groups::rebalances::couple;
use crate::scripts::kit::{Topic, await_no_topic, named_topic, now, topic};

/// One offset of a partition, and a text.
type Place = (i32, i64, Option<&'static str>);

pub(crate) fn commit(
    side: Side,
    group: &'static str,
    member: Option<&Member>,
    topic: &Topic,
    places: &[Place],
) -> OffsetCommitRequest<'static> {
    let place = |&(partition_index, committed_offset, committed_metadata): &Place| {
        OffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 0,
            commit_timestamp: now(),
            committed_metadata,
        }
    };
    OffsetCommitRequest {
        group_id: group,
        generation_id_or_member_epoch: member.map_or(-1, |member| member.generation),
        member_id: member.map_or("", |member| member.id[side]),
        group_instance_id: member.and_then(|member| member.instance),
        retention_time_ms: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.name,
            topic_id: topic.id[side],
            partitions: places.iter().map(place).collect(),
        }],
    }
}

/// Asks for partitions of topics, or for everything, of one group.
pub(crate) fn fetch(
    side: Side,
    group: &'static str,
    topics: Option<&[(&Topic, &[i32])]>,
) -> OffsetFetchRequest<'static> {
    let old = |(topic, partitions): &(&Topic, &[i32])| OffsetFetchRequestTopic {
        name: topic.name,
        partition_indexes: partitions.to_vec(),
    };
    let new = |(topic, partitions): &(&Topic, &[i32])| OffsetFetchRequestTopics {
        name: topic.name,
        topic_id: topic.id[side],
        partition_indexes: partitions.to_vec(),
    };
    OffsetFetchRequest {
        group_id: group,
        topics: topics.map(|topics| topics.iter().map(old).collect()),
        groups: vec![OffsetFetchRequestGroup {
            group_id: group,
            topics: topics.map(|topics| topics.iter().map(new).collect()),
            ..OffsetFetchRequestGroup::default()
        }],
        require_stable: false,
    }
}

fn absent() -> Topic {
    Topic {
        name: "absent",
        id: Both::each(|_| Uuid([7; 16])),
    }
}

/// A consumer that is no member.
pub(crate) fn simple(run: &mut Run<'_>) {
    let conn = run.connect("simple");
    let topic = topic(run, conn, 3, &[]);
    let group = run.name("group");
    let long = keep::<str>("x".repeat(4097));
    let longest = keep::<str>("x".repeat(4096));
    let all: &[i32] = &[0, 1, 2, 5];
    run.ask_each(conn, |side| fetch(side, group, Some(&[(&topic, all)])));
    for places in [
        &[(0, 5, None)][..],
        &[(0, 7, Some("text")), (1, 0, Some("")), (5, 1, None)],
        &[(2, 9, Some(long)), (1, 3, Some(longest))],
        &[(0, -1, None)],
        &[(0, -2, None)],
        &[],
    ] {
        run.ask_each(conn, |side| commit(side, group, None, &topic, places));
        run.ask_each(conn, |side| fetch(side, group, Some(&[(&topic, all)])));
    }
    run.ask_each(conn, |side| {
        commit(side, group, None, &absent(), &[(0, 1, None)])
    });
    run.ask_each(conn, |side| {
        commit(side, "", None, &topic, &[(0, 77, None)])
    });
    run.ask_each(conn, |side| fetch(side, "", Some(&[(&topic, all)])));
    run.ask_each(conn, |side| {
        let mut request = commit(side, group, None, &topic, &[(0, 88, None)]);
        request.topics.clear();
        request
    });
    shown(run, conn, group, &topic);
}

/// A group that only has offsets, as it is shown.
fn shown(run: &mut Run<'_>, conn: Conn, group: &'static str, topic: &Topic) {
    super::shown::describe(run, &[group]);
    if run.version(ApiKey::OffsetFetch) >= 2 {
        let nobody: &[i32] = &[];
        run.ask_each(conn, |side| fetch(side, group, Some(&[(topic, nobody)])));
        run.ask_each(conn, |side| fetch(side, group, None));
    }
}

pub(crate) fn fetches(run: &mut Run<'_>) {
    let conn = run.connect("simple");
    let [one, two] = [topic(run, conn, 2, &[]), {
        let name = run.name("other");
        named_topic(run, conn, name, 2, &[])
    }];
    let group = run.name("group");
    for (topic, offset) in [(&one, 5), (&two, 50)] {
        let places = [(0, offset, None), (1, 6, Some("m"))];
        run.ask_each(conn, |side| commit(side, group, None, topic, &places));
    }
    let all: &[i32] = &[0, 1];
    let twice: &[i32] = &[1, 1, 9];
    let gone = absent();
    for topics in [
        &[(&two, all), (&one, twice)][..],
        &[(&gone, all), (&one, all)],
        &[(&one, all), (&one, twice)],
        &[],
    ] {
        run.ask_each(conn, |side| fetch(side, group, Some(topics)));
        run.ask_each(conn, |side| fetch(side, "absent", Some(topics)));
    }
    let version = run.version(ApiKey::OffsetFetch);
    if version >= 2 {
        run.ask_each(conn, |side| fetch(side, group, None));
        run.ask_each(conn, |side| fetch(side, "absent", None));
    }
    if version >= 7 {
        run.ask_each(conn, |side| OffsetFetchRequest {
            require_stable: true,
            ..fetch(side, group, None)
        });
    }
    if version >= 8 {
        several_groups(run, conn, group, &one);
    }
}

fn several_groups(run: &mut Run<'_>, conn: Conn, group: &'static str, topic: &Topic) {
    let all: &[i32] = &[0, 1];
    run.ask_each(conn, |side| {
        let mut request = fetch(side, group, Some(&[(topic, all)]));
        for (other, topics) in [
            ("absent", Some(&[(topic, all)][..])),
            ("", None),
            (group, None),
        ] {
            request
                .groups
                .append(&mut fetch(side, other, topics).groups);
        }
        request
    });
    run.ask_each(conn, |side| OffsetFetchRequest {
        groups: Vec::new(),
        ..fetch(side, group, None)
    });
    if run.version(ApiKey::OffsetFetch) >= 9 {
        for (member, epoch) in [("nobody", 0), ("nobody", -1), ("", 5)] {
            run.ask_each(conn, |side| {
                let mut request = fetch(side, group, None);
                request.groups[0].member_id = Some(member);
                request.groups[0].member_epoch = epoch;
                request
            });
        }
    }
}

/// Commits of members, and of those who say they are.
pub(crate) fn members(run: &mut Run<'_>) {
    let conn = run.connect("member");
    let topic = topic(run, conn, 2, &[]);
    let group = run.name("group");
    let commits = |run: &mut Run<'_>, member: Option<&Member>| {
        run.ask_each(conn, |side| {
            commit(side, group, member, &topic, &[(0, 5, None), (7, 1, None)])
        });
    };
    commits(run, Some(&Member::stranger(conn, group, "nobody")));
    commits(run, Some(&Member::stranger(conn, group, "")));
    let mut member = Member::joins(run, conn, &consumer(group, "member"));
    let with = |member: Member, generation: i32, id: Name| Member {
        generation,
        id,
        ..member
    };
    for _ in 0..2 {
        commits(run, Some(&member));
        commits(run, Some(&with(member, member.generation + 1, member.id)));
        commits(run, Some(&with(member, member.generation - 1, member.id)));
        commits(run, Some(&with(member, -1, member.id)));
        commits(run, Some(&with(member, member.generation, name("nobody"))));
        commits(run, Some(&with(member, member.generation, name(""))));
        commits(run, Some(&with(member, -1, name("nobody"))));
        commits(run, None);
        member.leads(run, &[&member]);
    }
    let owed = member.join(run, &consumer(group, "member"));
    let old = member;
    member.joined(run, owed);
    commits(run, Some(&old));
    member.leads(run, &[&member]);
    commits(run, Some(&old));
    commits(run, Some(&member));
    member.leaves(run);
    commits(run, Some(&member));
    commits(run, None);
    run.ask_each(conn, |side| fetch(side, group, Some(&[(&topic, &[0])])));
}

/// While the others join again a member may still commit.
pub(crate) fn in_a_rebalance(run: &mut Run<'_>) {
    let conn = run.connect("member");
    let topic = topic(run, conn, 2, &[]);
    let group = run.name("group");
    let [mut first, mut second] = couple(run, group);
    let again = second.join(run, &consumer(group, "changed"));
    run.silent(second.conn, 50);
    let commits = |run: &mut Run<'_>, member: &Member| {
        run.ask_each(conn, |side| {
            commit(side, group, Some(member), &topic, &[(0, 5, None)])
        });
    };
    commits(run, &first);
    commits(run, &second);
    let old = [first, second];
    let leads = first.join(run, &consumer(group, "first"));
    first.joined(run, leads);
    second.joined(run, again);
    for member in [first, second, old[0], old[1]] {
        commits(run, &member);
    }
    first.leads(run, &[&first, &second]);
    for member in [first, second, old[0], old[1]] {
        commits(run, &member);
    }
    run.ask_each(conn, |side| fetch(side, group, Some(&[(&topic, &[0])])));
}

pub(crate) fn forget(
    group: &'static str,
    topics: &[(&'static str, &[i32])],
) -> OffsetDeleteRequest<'static> {
    let of_topic = |&(name, partitions): &(&'static str, &[i32])| OffsetDeleteRequestTopic {
        name,
        partitions: partitions
            .iter()
            .map(|&partition_index| OffsetDeleteRequestPartition { partition_index })
            .collect(),
    };
    OffsetDeleteRequest {
        group_id: group,
        topics: topics.iter().map(of_topic).collect(),
    }
}

pub(crate) fn forgotten(run: &mut Run<'_>) {
    let conn = run.connect("member");
    let [read, idle] = [topic(run, conn, 2, &[]), {
        let name = run.name("idle");
        named_topic(run, conn, name, 2, &[])
    }];
    let group = run.name("group");
    for group in ["", "absent"] {
        run.ask(conn, forget(group, &[(read.name, &[0])]));
    }
    for topic in [&read, &idle] {
        run.ask_each(conn, |side| {
            commit(side, group, None, topic, &[(0, 5, None), (1, 6, None)])
        });
    }
    run.ask(
        conn,
        forget(group, &[(read.name, &[1, 1, 9]), ("absent", &[0])]),
    );
    run.ask(conn, forget(group, &[]));
    let mut join = consumer(group, "member");
    join.protocols[0].metadata = keep::<[u8]>(subscription(&[read.name], ""));
    let member = Member::settles(run, conn, &join);
    run.ask(conn, forget(group, &[(read.name, &[0]), (idle.name, &[0])]));
    run.ask_each_at(8, conn, |side| fetch(side, group, None));
    member.leaves(run);
    run.ask(conn, forget(group, &[(read.name, &[0]), (idle.name, &[1])]));
    run.ask_each_at(8, conn, |side| fetch(side, group, None));
    super::shown::describe(run, &[group]);
    let mut join = consumer(group, "worker");
    join.protocol_type = "connect";
    Member::joins(run, conn, &join);
    run.ask(conn, forget(group, &[(read.name, &[0])]));
}

/// Offsets go with their group.
pub(crate) fn gone(run: &mut Run<'_>) {
    let conn = run.connect("simple");
    let topic = topic(run, conn, 1, &[]);
    let group = run.name("group");
    run.ask_each(conn, |side| {
        commit(side, group, None, &topic, &[(0, 5, None)])
    });
    let dissolve = || DeleteGroupsRequest {
        groups_names: vec![group],
    };
    run.ask(conn, dissolve());
    run.ask_each_at(8, conn, |side| fetch(side, group, None));
    super::shown::describe(run, &[group]);
    run.ask(conn, dissolve());
}

/// Offsets go with their topic. (A group that has nothing else Kafka forgets some minutes later.)
pub(crate) fn gone_with_their_topic(run: &mut Run<'_>) {
    let conn = run.connect("simple");
    let stays = topic(run, conn, 1, &[]);
    let goes = run.name("goes");
    let goes = named_topic(run, conn, goes, 1, &[]);
    let [both, one] = ["both", "one"].map(|it| run.name(it));
    for (group, topic) in [(both, &stays), (both, &goes), (one, &goes)] {
        run.ask_each(conn, |side| {
            commit(side, group, None, topic, &[(0, 5, None)])
        });
    }
    run.ask_each_at(5, conn, |_| DeleteTopicsRequest {
        topic_names: vec![goes.name],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    });
    await_no_topic(run, conn, goes.name);
    for group in [both, one] {
        let all = |side| fetch(side, group, None);
        run.settle(8, conn, all, |answer| {
            let mut topics = answer.groups[0].topics.iter();
            topics.all(|topic| topic.name != goes.name)
        });
        run.ask_each_at(8, conn, all);
        run.ask_each(conn, |side| {
            fetch(side, group, Some(&[(&goes, &[0]), (&stays, &[0])]))
        });
    }
    super::shown::describe(run, &[both]);
}
