//! AddOffsetsToTxn and TxnOffsetCommit.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::delete_groups::DeleteGroupsRequest;
use chronikd::proto::schema::offset_fetch::OffsetFetchRequest;
use chronikd::proto::schema::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::asks::keep;
use crate::both::Side;
use crate::run::{Conn, Run};
use crate::scripts::groups::commits::{commit, fetch, forget};
use crate::scripts::groups::member::{Member, consumer, name};
use crate::scripts::groups::shown;
use crate::scripts::kit::{Topic, topic};
use crate::scripts::txns::producer::{OLD_END, Producer};

/// Offsets of a group in a transaction.
fn of(
    side: Side,
    producer: &Producer,
    group: &'static str,
    topic: &'static str,
    places: &[(i32, i64, Option<&'static str>)],
) -> TxnOffsetCommitRequest<'static> {
    let place = |&(partition_index, committed_offset, committed_metadata): &_| {
        TxnOffsetCommitRequestPartition {
            partition_index,
            committed_offset,
            committed_leader_epoch: 0,
            committed_metadata,
        }
    };
    TxnOffsetCommitRequest {
        transactional_id: producer.name,
        group_id: group,
        producer_id: producer.id[side],
        producer_epoch: producer.epoch,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: topic,
            partitions: places.iter().map(place).collect(),
        }],
        ..TxnOffsetCommitRequest::default()
    }
}

/// Compares what is committed, to those who wait for ends and to those who do not.
fn kept(run: &mut Run<'_>, conn: Conn, group: &'static str, topic: &Topic) {
    let newest = run.range(ApiKey::OffsetFetch).1;
    for require_stable in [false, true] {
        for topics in [None, Some(&[(topic, &[0, 1, 2][..])][..])] {
            run.ask_each_at(newest, conn, |side| OffsetFetchRequest {
                require_stable,
                ..fetch(side, group, topics)
            });
        }
    }
}

pub(crate) fn groups(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let mut producer = Producer::begins(run, conn, "producer");
    let group = run.name("group");
    let long = keep::<str>("x".repeat(32_000));
    for stranger in producer.strangers() {
        stranger.adds_group(run, group);
    }
    producer.adds_group(run, "");
    for _ in 0..2 {
        producer.adds_group(run, group);
        producer.adds_group(run, group);
        producer.adds_group(run, long);
        producer.shown(run);
        producer.ends_at(run, OLD_END, false);
        producer.shown(run);
    }
}

/// Whether offsets add their group.
fn is_implicit(run: &Run<'_>) -> bool {
    run.version(ApiKey::TxnOffsetCommit) >= 5
}

/// Of a consumer that is no member.
pub(crate) fn offsets(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = &topic(run, conn, 3, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    let group = run.name("group");
    let long = keep::<str>("x".repeat(4097));
    for stranger in producer.strangers() {
        run.ask_each(conn, |side| {
            of(side, &stranger, group, topic.name, &[(0, 5, None)])
        });
    }
    for committed in [true, false] {
        if !is_implicit(run) {
            run.ask_each(conn, |side| {
                of(side, &producer, group, topic.name, &[(0, 5, None)])
            });
            producer.adds_group(run, group);
        }
        for (name, places) in [
            (topic.name, &[(0, 5, None), (1, 6, Some("text"))][..]),
            (topic.name, &[(0, 7, None), (7, 7, None)]),
            (topic.name, &[(2, 1, Some(long)), (1, 9, None)]),
            (topic.name, &[(2, -1, None)]),
            (topic.name, &[]),
            ("absent", &[(0, 1, None)]),
        ] {
            run.ask_each(conn, |side| of(side, &producer, group, name, places));
            kept(run, conn, group, topic);
        }
        run.ask_each(conn, |side| {
            of(side, &producer, "", topic.name, &[(0, 5, None)])
        });
        producer.shown(run);
        shown::describe(run, &[group]);
        run.ask_each_at(8, conn, |side| {
            commit(side, group, None, topic, &[(1, 77, None)])
        });
        kept(run, conn, group, topic);
        let end = if is_implicit(run) { 5 } else { OLD_END };
        producer.ends_at(run, end, committed);
        settled(run, conn, group, topic);
        kept(run, conn, group, topic);
    }
}

/// Waits until nothing of the group is pending.
fn settled(run: &mut Run<'_>, conn: Conn, group: &'static str, topic: &Topic) {
    let version = run.range(ApiKey::OffsetFetch).1;
    let all: &[i32] = &[0, 1, 2];
    let make = |side| OffsetFetchRequest {
        require_stable: true,
        ..fetch(side, group, Some(&[(topic, all)]))
    };
    run.settle(version, conn, make, |answer| {
        let mut places = answer.groups[0].topics.iter().flat_map(|it| &it.partitions);
        places.all(|it| it.error_code == chronikd::proto::error::ErrorCode::NONE)
    });
}

/// Of members, and of those who say they are.
pub(crate) fn members(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 1, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    let group = run.name("group");
    if !is_implicit(run) {
        producer.adds_group(run, group);
    }
    let asks = |run: &mut Run<'_>, member: &Member| {
        run.ask_each(conn, |side| TxnOffsetCommitRequest {
            generation_id: member.generation,
            member_id: member.id[side],
            group_instance_id: member.instance,
            ..of(side, &producer, group, topic.name, &[(0, 5, None)])
        });
    };
    asks(run, &Member::stranger(conn, group, "nobody"));
    asks(run, &Member::stranger(conn, group, ""));
    let mut join = consumer(group, "member");
    join.group_instance_id = Some("instance");
    let mut member = Member::joins(run, conn, &join);
    for _ in 0..2 {
        for (generation, id, instance) in [
            (0, member.id, member.instance),
            (0, member.id, None),
            (1, member.id, member.instance),
            (-1, member.id, None),
            (0, name("nobody"), None),
            (0, name("nobody"), member.instance),
            (0, member.id, Some("other")),
            (0, name(""), None),
            (-1 - member.generation, name(""), None),
            (-1 - member.generation, name("nobody"), None),
        ] {
            let generation = member.generation + generation;
            asks(
                run,
                &Member {
                    generation,
                    id,
                    instance,
                    ..member
                },
            );
        }
        member.leads(run, &[&member]);
    }
    let owed = member.join(run, &join);
    let old = member;
    member.joined(run, owed);
    asks(run, &old);
    asks(run, &member);
    producer.ends_at(run, if is_implicit(run) { 5 } else { OLD_END }, true);
    settled(run, conn, group, &topic);
    shown::describe(run, &[group]);
}

pub(crate) fn gone(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 3, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    let group = run.name("group");
    for deletes in [true, false] {
        if !is_implicit(run) {
            producer.adds_group(run, group);
        }
        let places = [(0, 5, None), (1, 6, None)];
        run.ask_each(conn, |side| of(side, &producer, group, topic.name, &places));
        shown::describe(run, &[group]);
        if deletes {
            let groups_names = vec![group];
            run.ask(conn, DeleteGroupsRequest { groups_names });
        } else {
            run.ask(conn, forget(group, &[(topic.name, &[0])]));
        }
        kept(run, conn, group, &topic);
        producer.ends_at(run, if is_implicit(run) { 5 } else { OLD_END }, true);
        settled(run, conn, group, &topic);
        kept(run, conn, group, &topic);
        shown::describe(run, &[group]);
    }
}
