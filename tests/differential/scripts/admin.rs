//! CreatePartitions, and what one broker can say of elections, of moves and of its quorum.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use chronikd::proto::schema::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use chronikd::proto::schema::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use chronikd::proto::schema::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};

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
