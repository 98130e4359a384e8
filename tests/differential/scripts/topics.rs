//! Metadata, CreateTopics, DeleteTopics, DescribeCluster and DescribeTopicPartitions.

use chronikd::proto::schema::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use chronikd::proto::schema::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use chronikd::proto::schema::describe_cluster::DescribeClusterRequest;
use chronikd::proto::schema::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use chronikd::proto::schema::metadata::{MetadataRequest, MetadataRequestTopic};
use chronikd::proto::{ApiKey, Maybe, Uuid};

use crate::run::Run;
use crate::scripts::kit::{
    Topic, await_no_topic, await_topic, by_name, metadata, new_topic, topic,
};

pub(crate) fn made_shown_and_deleted(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let [one, two] = [run.name("one"), run.name("two")];
    let topics = vec![
        new_topic(
            one,
            1,
            &[("cleanup.policy", "compact"), ("retention.ms", "-1")],
        ),
        new_topic(two, 3, &[]),
    ];
    run.ask(conn, create(topics));
    await_topic(run, conn, one, 1);
    await_topic(run, conn, two, 3);
    run.ask(conn, metadata(vec![by_name(two), by_name(one)]));
    run.ask(conn, metadata(vec![by_name(two), by_name(two)]));
    run.ask(
        conn,
        MetadataRequest {
            topics: Some(Vec::new()),
            ..MetadataRequest::default()
        },
    );
    delete(run, two);
    await_no_topic(run, conn, two);
    if run.version(ApiKey::Metadata) >= 4 {
        run.ask(
            conn,
            metadata(vec![by_name(two), by_name(one), by_name("absent")]),
        );
    }
}

fn delete(run: &mut Run<'_>, name: &'static str) {
    let conn = run.connect("deletes");
    run.ask(conn, delete_by_name(&[name]));
}

fn create(topics: Vec<CreatableTopic<'static>>) -> CreateTopicsRequest<'static> {
    CreateTopicsRequest {
        topics,
        ..CreateTopicsRequest::default()
    }
}

fn delete_by_name(names: &[&'static str]) -> DeleteTopicsRequest<'static> {
    let by_name = |&name| DeleteTopicState {
        name: Some(name),
        ..DeleteTopicState::default()
    };
    DeleteTopicsRequest {
        topics: names.iter().map(by_name).collect(),
        topic_names: names.to_vec(),
        timeout_ms: 10_000,
    }
}

pub(crate) fn all_topics(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    topic(run, conn, 1, &[]);
    let topics = if run.version(ApiKey::Metadata) == 0 {
        Some(Vec::new())
    } else {
        None
    };
    run.ask(
        conn,
        MetadataRequest {
            topics,
            ..MetadataRequest::default()
        },
    );
}

pub(crate) fn topics_by_id(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 2, &[]);
    if run.version(ApiKey::Metadata) < 10 {
        return;
    }
    let by_id = |topic_id| MetadataRequestTopic {
        topic_id,
        name: None,
    };
    let unknown = Uuid([7; 16]);
    run.ask_each(conn, |side| {
        metadata(vec![by_id(topic.id[side]), by_id(unknown)])
    });
    let both = |side| MetadataRequestTopic {
        topic_id: topic.id[side],
        name: Some(topic.name),
    };
    run.ask_each(conn, |side| metadata(vec![both(side)]));
}

pub(crate) fn odd_names(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let long = crate::asks::keep::<str>("x".repeat(250));
    for name in [".", "..", "a b", "", long, "ü"] {
        run.ask(conn, metadata(vec![by_name(name)]));
        run.ask(conn, create(vec![new_topic(name, 1, &[])]));
        run.ask(conn, delete_by_name(&[name]));
    }
}

pub(crate) fn made_by_asking(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let name = run.name("asked-for");
    let request = || MetadataRequest {
        topics: Some(vec![by_name(name), by_name("not a name")]),
        ..MetadataRequest::default()
    };
    run.ask(conn, request());
    await_topic(run, conn, name, 1);
    run.ask(conn, request());
}

pub(crate) fn refusals_to_create(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let there = topic(run, conn, 1, &[]);
    let fresh = run.name("fresh");
    let with = |change: fn(&mut CreatableTopic<'static>)| {
        let mut topic = new_topic(fresh, 1, &[]);
        change(&mut topic);
        topic
    };
    let bad = vec![
        new_topic(there.name, 1, &[]),
        with(|it| it.num_partitions = 0),
        with(|it| it.num_partitions = -2),
        with(|it| it.replication_factor = 0),
        with(|it| it.replication_factor = 2),
        with(|it| it.assignments = assigned(&[&[1, 1]])),
        with(|it| it.assignments = assigned(&[&[1]])),
        with(|it| assign(it, &[&[99]])),
        with(|it| assign(it, &[&[]])),
        with(|it| assign(it, &[&[1, 1]])),
        with(|it| configure(it, "no.such.setting", Some("1"))),
        with(|it| configure(it, "retention.ms", Some("soon"))),
        with(|it| configure(it, "retention.ms", Some("-2"))),
        with(|it| configure(it, "cleanup.policy", Some("compost"))),
        with(|it| configure(it, "compression.type", Some("rar"))),
        with(|it| configure(it, "retention.ms", None)),
    ];
    for topic in bad {
        run.ask(conn, create(vec![topic]));
    }
    // Versions 0 and 1 are compared with a Kafka that takes any size.
    if run.version(ApiKey::CreateTopics) >= 2 {
        let small = with(|it| configure(it, "segment.bytes", Some("1000")));
        run.ask(conn, create(vec![small]));
    }
}

fn configure(topic: &mut CreatableTopic<'static>, name: &'static str, value: Option<&'static str>) {
    topic.configs = vec![CreatableTopicConfig { name, value }];
}

fn assign(topic: &mut CreatableTopic<'static>, replicas: &[&[i32]]) {
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    topic.assignments = assigned(replicas);
}

fn assigned(replicas: &[&[i32]]) -> Vec<CreatableReplicaAssignment> {
    let assignment = |(index, brokers): (i32, &&[i32])| CreatableReplicaAssignment {
        partition_index: index,
        broker_ids: brokers.to_vec(),
    };
    (0..).zip(replicas).map(assignment).collect()
}

pub(crate) fn ways_to_create(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| run.name(name));
    let mut defaults = new_topic(a, -1, &[]);
    defaults.replication_factor = -1;
    run.ask(conn, create(vec![defaults]));
    let mut assigned = new_topic(b, -1, &[]);
    assign(&mut assigned, &[&[1], &[1]]);
    run.ask(conn, create(vec![assigned]));
    let twice = vec![
        new_topic(c, 1, &[]),
        new_topic(d, 1, &[]),
        new_topic(c, 1, &[]),
    ];
    run.ask(conn, create(twice));
    run.ask(conn, create(Vec::new()));
    let only_checked = |name| CreateTopicsRequest {
        topics: vec![new_topic(name, 5, &[("max.message.bytes", "2000")])],
        validate_only: true,
        ..CreateTopicsRequest::default()
    };
    if run.version(ApiKey::CreateTopics) > 0 {
        run.ask(conn, only_checked(c));
        run.ask(conn, only_checked(a));
    }
    for (name, partitions) in [(a, 1), (b, 2), (d, 1)] {
        await_topic(run, conn, name, partitions);
    }
    run.ask_at(8, conn, metadata([a, b, c, d].map(by_name).to_vec()));
}

pub(crate) fn ways_to_delete(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let name = run.name("gone");
    run.ask(conn, create(vec![new_topic(name, 1, &[])]));
    await_topic(run, conn, name, 1);
    run.ask(conn, delete_by_name(&["absent", name]));
    await_no_topic(run, conn, name);
    run.ask(conn, delete_by_name(&[name]));
    run.ask(conn, delete_by_name(&["absent", "absent", "other"]));
    run.ask(conn, delete_by_name(&[]));
    if run.version(ApiKey::DeleteTopics) >= 6 {
        deletes_by_id(run);
    }
}

fn deletes_by_id(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let Topic { name, id } = topic(run, conn, 1, &[]);
    let unknown = Uuid([7; 16]);
    let of = |name, topic_id| DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name, topic_id }],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    run.ask(conn, of(None, unknown));
    run.ask(conn, of(None, Uuid::ZERO));
    run.ask_each(conn, |side| of(Some(name), id[side]));
    run.ask_each(conn, |side| of(None, id[side]));
    await_no_topic(run, conn, name);
    run.ask_each(conn, |side| of(None, id[side]));
}

pub(crate) fn the_cluster(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    for (operations, endpoint_type, fenced) in [
        (false, 1, false),
        (true, 1, true),
        (false, 2, false),
        (false, 7, false),
    ] {
        if endpoint_type != 1 && run.version(ApiKey::DescribeCluster) == 0 {
            continue;
        }
        run.ask(
            conn,
            DescribeClusterRequest {
                include_cluster_authorized_operations: operations,
                endpoint_type,
                include_fenced_brokers: fenced,
            },
        );
    }
}

pub(crate) fn pages_of_partitions(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let [a, b] = [run.name("a"), run.name("b")];
    run.ask(
        conn,
        create(vec![new_topic(a, 3, &[]), new_topic(b, 4, &[])]),
    );
    await_topic(run, conn, a, 3);
    await_topic(run, conn, b, 4);
    let page = |names: &[&'static str], limit, cursor: Option<(&'static str, i32)>| {
        let cursor = cursor.map(|(topic_name, partition_index)| Cursor {
            topic_name,
            partition_index,
        });
        DescribeTopicPartitionsRequest {
            topics: names.iter().map(|&name| TopicRequest { name }).collect(),
            response_partition_limit: limit,
            cursor: Maybe(cursor),
        }
    };
    let both = [b, a];
    for (limit, cursor) in [
        (2000, None),
        (2, None),
        (2, Some((a, 2))),
        (5, Some((b, 1))),
        (3, None),
        (1, Some((b, 3))),
        (100, Some((b, 4))),
        (100, Some((b, 9))),
        (0, None),
        (-1, None),
        (10, Some((a, -1))),
        (10, Some(("aa", 0))),
        (10, Some(("zzz", 0))),
    ] {
        run.ask(conn, page(&both, limit, cursor));
    }
    run.ask(conn, page(&["absent", a, a], 100, None));
    run.ask(conn, page(&["absent", "not a name"], 100, None));
}
