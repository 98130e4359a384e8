//! CreatePartitions, and what one broker can say of elections, of moves and of its quorum.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use chronikd::proto::schema::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use chronikd::proto::schema::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use chronikd::proto::schema::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use chronikd::proto::schema::describe_quorum::{
    DescribeQuorumRequest, asked::PartitionData, asked::TopicData,
};
use chronikd::proto::schema::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use chronikd::proto::schema::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use chronikd::proto::schema::unregister_broker::UnregisterBrokerRequest;

use crate::run::Run;
use crate::scripts::kit::{append, await_topic, batch, by_name, metadata, named_topic, topic};

/// A topic, how many partitions it shall have, and the brokers of the new ones.
fn wish(
    name: &'static str,
    count: i32,
    brokers: Option<&[&[i32]]>,
) -> CreatePartitionsTopic<'static> {
    let assignment = |ids: &&[i32]| CreatePartitionsAssignment {
        broker_ids: ids.to_vec(),
    };
    CreatePartitionsTopic {
        name,
        count,
        assignments: brokers.map(|brokers| brokers.iter().map(assignment).collect()),
    }
}

fn request(topics: Vec<CreatePartitionsTopic<'static>>) -> CreatePartitionsRequest<'static> {
    CreatePartitionsRequest {
        topics,
        timeout_ms: 10_000,
        validate_only: false,
    }
}

pub(crate) fn more_partitions(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let (one, two) = (topic(run, conn, 1, &[]), run.name("two"));
    let two = named_topic(run, conn, two, 2, &[]);
    let validate = CreatePartitionsRequest {
        validate_only: true,
        ..request(vec![wish(one.name, 7, None)])
    };
    run.ask(conn, validate);
    run.ask_at(8, conn, metadata(vec![by_name(one.name)]));
    run.ask(
        conn,
        request(vec![
            wish(one.name, 3, None),
            wish(two.name, 4, Some(&[&[1], &[1]])),
        ]),
    );
    await_topic(run, conn, one.name, 3);
    await_topic(run, conn, two.name, 4);
    run.ask_at(
        8,
        conn,
        metadata(vec![by_name(one.name), by_name(two.name)]),
    );
    append(run, conn, &one, &[batch(&["a", "b"])]);
    run.ask(conn, request(Vec::new()));
}

pub(crate) fn refusals_of_partitions(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let name = topic(run, conn, 2, &[]).name;
    for refused in [
        wish("absent", 3, None),
        wish("", 3, None),
        wish("not a name", 3, None),
        wish(name, 2, None),
        wish(name, 1, None),
        wish(name, 0, None),
        wish(name, -1, None),
        wish(name, 2, Some(&[])),
        wish(name, 3, Some(&[])),
        wish(name, 4, Some(&[&[1]])),
        wish(name, 3, Some(&[&[1], &[1]])),
        wish(name, 3, Some(&[&[]])),
        wish(name, 3, Some(&[&[9]])),
        wish(name, 3, Some(&[&[1, 1]])),
        wish(name, 3, Some(&[&[1, 9]])),
        wish(name, 3, Some(&[&[0, 1, 1]])),
        wish(name, 4, Some(&[&[1], &[]])),
    ] {
        run.ask(conn, request(vec![refused]));
    }
    let twice = vec![
        wish(name, 3, None),
        wish("absent", 3, None),
        wish(name, 4, None),
    ];
    run.ask(conn, request(twice));
    run.ask_at(8, conn, metadata(vec![by_name(name)]));
}

/// An election in partitions of topics; `None` means all there are.
fn election(
    election_type: i8,
    topics: Option<&[(&'static str, &[i32])]>,
) -> ElectLeadersRequest<'static> {
    let of = |&(topic, partitions): &(_, &[i32])| TopicPartitions {
        topic,
        partitions: partitions.to_vec(),
    };
    ElectLeadersRequest {
        election_type,
        topic_partitions: topics.map(|topics| topics.iter().map(of).collect()),
        timeout_ms: 10_000,
    }
}

pub(crate) fn elections(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let name = topic(run, conn, 2, &[]).name;
    // Version 0 has no type but the first.
    let types: &[i8] = match run.version(ApiKey::ElectLeaders) {
        0 => &[0],
        _ => &[0, 1, 2, -1],
    };
    for &election_type in types {
        run.ask(conn, election(election_type, Some(&[(name, &[0, 1])])));
        run.ask(
            conn,
            election(
                election_type,
                Some(&[(name, &[2, 0, -1]), ("absent", &[0]), ("", &[])]),
            ),
        );
        run.ask(conn, election(election_type, Some(&[])));
        run.ask(conn, election(election_type, None));
    }
}

/// Moves of partitions of one topic, each to brokers.
fn moves_of(
    name: &'static str,
    moves: &[(i32, Option<&[i32]>)],
) -> AlterPartitionReassignmentsRequest<'static> {
    let partition = |&(partition_index, replicas): &(_, Option<&[i32]>)| ReassignablePartition {
        partition_index,
        replicas: replicas.map(<[i32]>::to_vec),
    };
    AlterPartitionReassignmentsRequest {
        timeout_ms: 10_000,
        topics: vec![ReassignableTopic {
            name,
            partitions: moves.iter().map(partition).collect(),
        }],
        ..AlterPartitionReassignmentsRequest::default()
    }
}

pub(crate) fn moves(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let name = topic(run, conn, 2, &[]).name;
    run.ask(conn, moves_of(name, &[(0, Some(&[1])), (1, Some(&[1]))]));
    run.ask(
        conn,
        moves_of(name, &[(0, None), (7, None), (-1, Some(&[1]))]),
    );
    let bad: [&[i32]; 5] = [&[], &[2], &[1, 1], &[1, 2], &[-1, 1]];
    for replicas in bad {
        run.ask(conn, moves_of(name, &[(0, Some(replicas))]));
    }
    run.ask(
        conn,
        moves_of(name, &[(0, Some(&[1])), (0, Some(&[2])), (0, None)]),
    );
    run.ask(conn, moves_of("absent", &[(0, Some(&[1]))]));
    run.ask(conn, moves_of(name, &[]));
    let nothing = |allow_replication_factor_change| AlterPartitionReassignmentsRequest {
        allow_replication_factor_change,
        ..AlterPartitionReassignmentsRequest::default()
    };
    run.ask(conn, nothing(true));
    if run.version(ApiKey::AlterPartitionReassignments) > 0 {
        run.ask(conn, nothing(false));
        for replicas in [&[1][..], &[1, 2], &[]] {
            let fixed = AlterPartitionReassignmentsRequest {
                allow_replication_factor_change: false,
                ..moves_of(name, &[(0, Some(replicas))])
            };
            run.ask(conn, fixed);
        }
    }
    await_topic(run, conn, name, 2);
    run.ask_at(8, conn, metadata(vec![by_name(name)]));
}

pub(crate) fn being_moved(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let name = topic(run, conn, 2, &[]).name;
    let of = |name, partitions: &[i32]| ListPartitionReassignmentsTopics {
        name,
        partition_indexes: partitions.to_vec(),
    };
    for topics in [
        None,
        Some(Vec::new()),
        Some(vec![of(name, &[0, 1])]),
        Some(vec![of(name, &[7]), of("absent", &[0]), of(name, &[])]),
    ] {
        run.ask(
            conn,
            ListPartitionReassignmentsRequest {
                timeout_ms: 10_000,
                topics,
            },
        );
    }
}

/// Partitions of topics; of all topics where there is none.
fn dirs_of(topics: &[(&'static str, &[i32])]) -> DescribeLogDirsRequest<'static> {
    let of = |&(topic, partitions): &(_, &[i32])| DescribableLogDirTopic {
        topic,
        partitions: partitions.to_vec(),
    };
    DescribeLogDirsRequest {
        topics: Some(topics.iter().map(of).collect()),
    }
}

pub(crate) fn log_dirs(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let it = topic(run, conn, 3, &[]);
    append(run, conn, &it, &[batch(&["a", "b"]), batch(&["c"])]);
    let (other, absent) = (run.name("other"), run.name("absent"));
    named_topic(run, conn, other, 1, &[]);
    run.ask(conn, dirs_of(&[(it.name, &[0, 1, 2])]));
    run.ask(conn, dirs_of(&[(other, &[0]), (it.name, &[2, 0, 0])]));
    run.ask(
        conn,
        dirs_of(&[(it.name, &[7, -1]), (absent, &[0]), ("", &[0])]),
    );
    run.ask(conn, dirs_of(&[(it.name, &[])]));
    run.ask(conn, dirs_of(&[]));
}

/// Where partitions shall lie.
fn placed(dirs: Vec<(&'static str, &'static str, &[i32])>) -> AlterReplicaLogDirsRequest<'static> {
    let dir = |(path, name, partitions): (_, _, &[i32])| AlterReplicaLogDir {
        path,
        topics: vec![AlterReplicaLogDirTopic {
            name,
            partitions: partitions.to_vec(),
        }],
    };
    AlterReplicaLogDirsRequest {
        dirs: dirs.into_iter().map(dir).collect(),
    }
}

pub(crate) fn to_directories(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let it = topic(run, conn, 2, &[]);
    let newest = run.range(ApiKey::DescribeLogDirs).1;
    let told = run.ask_at(newest, conn, dirs_of(&[(it.name, &[0])]));
    let ours = told.map(|told| told.results[0].log_dir);
    let absent = run.name("absent");
    run.ask_each(conn, |side| placed(vec![(ours[side], it.name, &[0, 1])]));
    run.ask_each(conn, |side| {
        placed(vec![
            (ours[side], absent, &[0]),
            ("/nowhere", it.name, &[1, 0]),
        ])
    });
    run.ask_each(conn, |side| {
        placed(vec![(ours[side], it.name, &[5, 0, 0, -1])])
    });
    run.ask_each(conn, |side| {
        placed(vec![
            ("/nowhere", it.name, &[0]),
            (ours[side], it.name, &[0]),
        ])
    });
    run.ask(
        conn,
        placed(vec![("/nowhere", absent, &[0]), ("", it.name, &[0])]),
    );
    run.ask(conn, placed(vec![("/nowhere", it.name, &[])]));
    run.ask(conn, placed(Vec::new()));
    run.ask_at(newest, conn, dirs_of(&[(it.name, &[0, 1])]));
}

pub(crate) fn quorum(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    const METADATA: &str = "__cluster_metadata";
    let cases: [&[(&str, &[i32])]; 8] = [
        &[(METADATA, &[0])],
        &[(METADATA, &[1])],
        &[(METADATA, &[0, 1])],
        &[(METADATA, &[])],
        &[("absent", &[0, 7])],
        &[(METADATA, &[0]), ("absent", &[0])],
        &[(METADATA, &[0]), (METADATA, &[0])],
        &[],
    ];
    for topics in cases {
        let partition = |&partition_index: &i32| PartitionData { partition_index };
        let of = |&(topic_name, partitions): &(&'static str, &[i32])| TopicData {
            topic_name,
            partitions: partitions.iter().map(partition).collect(),
        };
        run.ask(
            conn,
            DescribeQuorumRequest {
                topics: topics.iter().map(of).collect(),
            },
        );
    }
}

pub(crate) fn forgotten(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    // Not their own id: Kafka would forget itself.
    for broker_id in [2, 0, -1, i32::MAX] {
        run.ask(conn, UnregisterBrokerRequest { broker_id });
    }
}
