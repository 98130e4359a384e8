//! ListOffsets, OffsetForLeaderEpoch and InitProducerId.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::init_producer_id::InitProducerIdRequest;
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use chronikd::proto::schema::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::run::Run;
use crate::scripts::kit::{append, batch, now, topic};

pub(crate) fn times(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let topic = topic(run, conn, 2, &[]);
    let ask = |place: ListOffsetsPartition| ListOffsetsRequest {
        replica_id: -1,
        isolation_level: 1,
        topics: vec![ListOffsetsTopic {
            name: topic.name,
            partitions: vec![place],
        }],
        timeout_ms: 1000,
    };
    let at = |timestamp| ListOffsetsPartition {
        timestamp,
        ..ListOffsetsPartition::default()
    };
    append(run, conn, &topic, &[batch(&["a", "b", "c"]), batch(&["d"])]);
    for timestamp in [
        -1,
        -2,
        -3,
        -4,
        -5,
        -6,
        -7,
        0,
        now() - 1,
        now(),
        now() + 1,
        now() + 2,
        now() + 3,
    ] {
        run.ask(conn, ask(at(timestamp)));
        let empty = ListOffsetsPartition {
            partition_index: 1,
            ..at(timestamp)
        };
        run.ask(conn, ask(empty));
    }
    let unknown = ListOffsetsPartition {
        partition_index: 9,
        ..at(-1)
    };
    run.ask(conn, ask(unknown));
    for current_leader_epoch in [0, 7] {
        let place = ListOffsetsPartition {
            current_leader_epoch,
            ..at(-1)
        };
        run.ask(conn, ask(place));
    }
    for max_num_offsets in [0, 1, 5] {
        let place = ListOffsetsPartition {
            max_num_offsets,
            ..at(-1)
        };
        run.ask(conn, ask(place));
    }
    let mut absent = ask(at(-1));
    absent.topics[0].name = "absent";
    run.ask(conn, absent);
    let mut twice = ask(at(-1));
    twice.topics[0].partitions.push(at(-2));
    run.ask(conn, twice);
}

pub(crate) fn epochs(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let topic = topic(run, conn, 2, &[]);
    append(run, conn, &topic, &[batch(&["a", "b"])]);
    let ask = |name, partition, current_leader_epoch, leader_epoch| OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: name,
            partitions: vec![OffsetForLeaderPartition {
                partition,
                current_leader_epoch,
                leader_epoch,
            }],
        }],
    };
    for (partition, current, epoch) in [
        (0, -1, 0),
        (0, 0, 0),
        (0, -1, 1),
        (0, -1, -1),
        (0, 3, 0),
        (1, -1, 0),
        (7, -1, 0),
    ] {
        run.ask(conn, ask(topic.name, partition, current, epoch));
    }
    run.ask(conn, ask("absent", 0, -1, 0));
}

pub(crate) fn producer_ids(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let ask = |timeout, id, epoch| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: timeout,
        producer_id: id,
        producer_epoch: epoch,
    };
    for (timeout, id, epoch) in [
        (1000, -1, -1),
        (0, -1, -1),
        (-1, -1, -1),
        (i32::MAX, -1, -1),
    ] {
        run.ask(conn, ask(timeout, id, epoch));
    }
    let given = run.ask(conn, ask(1000, -1, -1));
    if run.version(ApiKey::InitProducerId) >= 3 {
        run.ask_each(conn, |side| {
            ask(1000, given[side].producer_id, given[side].producer_epoch)
        });
        run.ask(conn, ask(1000, 5, -1));
        run.ask(conn, ask(1000, -1, 3));
    }
}
