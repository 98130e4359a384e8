//! CreatePartitions, and what is asked about where partitions lie and who leads them.

use chronikd::proto::schema::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
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
