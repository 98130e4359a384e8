//! DeleteRecords, and what is seen of it by those who fetch and ask for offsets.

use chronikd::proto::schema::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::both::Side;
use crate::run::Run;
use crate::scripts::kit::{Configs, Topic, append, batch, named_topic, topic};
use crate::scripts::records::{at, fetch};

/// Partitions of one topic, each with the offset where it is to begin.
fn of_topic(name: &'static str, offsets: &[(i32, i64)]) -> DeleteRecordsTopic<'static> {
    let partition = |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index,
        offset,
    };
    DeleteRecordsTopic {
        name,
        partitions: offsets.iter().map(partition).collect(),
    }
}

fn request(topics: Vec<DeleteRecordsTopic<'static>>) -> DeleteRecordsRequest<'static> {
    DeleteRecordsRequest {
        topics,
        timeout_ms: 10_000,
    }
}

fn offset_at(topic: &Topic, timestamp: i64) -> ListOffsetsRequest<'static> {
    let partition = ListOffsetsPartition {
        timestamp,
        ..ListOffsetsPartition::default()
    };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic.name,
            partitions: vec![partition],
        }],
        ..ListOffsetsRequest::default()
    }
}

/// A log of five records in three batches begins later and later.
pub(crate) fn deleted(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 2, &[]);
    append(
        run,
        conn,
        &topic,
        &[batch(&["a", "b"]), batch(&["c", "d"]), batch(&["e"])],
    );
    for offset in [0, 1, 3, 2, 4, -1, 5] {
        run.ask(conn, request(vec![of_topic(topic.name, &[(0, offset)])]));
        for timestamp in [-2, -1, 0] {
            run.ask_at(7, conn, offset_at(&topic, timestamp));
        }
        for place in [0, 1, 3, 4, 5] {
            run.ask_each_at(11, conn, |side: Side| fetch(side, &topic, &[at(place)]));
        }
    }
    append(run, conn, &topic, &[batch(&["f"])]);
    run.ask_each_at(11, conn, |side| fetch(side, &topic, &[at(5)]));
    run.ask(conn, request(vec![of_topic(topic.name, &[(1, -1)])]));
    run.ask(conn, request(Vec::new()));
    run.ask(conn, request(vec![of_topic(topic.name, &[])]));
}

/// What is not deleted, and why.
pub(crate) fn refused(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let plain = topic(run, conn, 2, &[]);
    append(run, conn, &plain, &[batch(&["a", "b"])]);
    for offset in [3, -2, i64::MIN, i64::MAX] {
        run.ask(conn, request(vec![of_topic(plain.name, &[(0, offset)])]));
    }
    for (name, partition) in [(plain.name, 2), (plain.name, -1), ("absent", 0), ("", 0)] {
        run.ask(conn, request(vec![of_topic(name, &[(partition, 0)])]));
    }
    let twice = vec![
        of_topic(plain.name, &[(0, 2), (0, 1)]),
        of_topic(plain.name, &[(1, 9)]),
    ];
    run.ask(conn, request(twice));
    const POLICIES: [(&str, Configs); 3] = [
        ("compact", &[("cleanup.policy", "compact")]),
        ("both", &[("cleanup.policy", "compact,delete")]),
        ("neither", &[("cleanup.policy", "")]),
    ];
    for (name, policy) in POLICIES {
        let name = run.name(name);
        let other = named_topic(run, conn, name, 1, policy);
        for offset in [0, -1, 7] {
            run.ask(conn, request(vec![of_topic(other.name, &[(0, offset)])]));
        }
    }
}
