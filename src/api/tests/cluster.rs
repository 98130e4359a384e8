//! What one broker says of things that need several: elections, moves, directories and quorums.

use super::*;
use crate::proto::schema::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use crate::proto::schema::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use crate::proto::schema::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use crate::proto::schema::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use crate::proto::schema::describe_producers::{DescribeProducersRequest, TopicRequest};
use crate::proto::schema::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, asked::PartitionData, asked::TopicData,
};
use crate::proto::schema::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use crate::proto::schema::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use crate::proto::schema::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use crate::proto::schema::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};

/// A broker that has the topic `t` with two partitions.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.create(topic(2));
    bench.run();
    bench
}

impl Bench {
    /// The code of the request, and those of its partitions.
    fn elect(
        &mut self,
        election_type: i8,
        named: Option<(&str, &[i32])>,
    ) -> (ErrorCode, Vec<ErrorCode>) {
        let topic = |(topic, partitions): (_, &[i32])| TopicPartitions {
            topic,
            partitions: partitions.to_vec(),
        };
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: named.map(|named| vec![topic(named)]),
            ..Default::default()
        };
        let body = self.ask(ApiKey::ElectLeaders, 2, &request).answer();
        let answer: ElectLeadersResponse<'_> = proto::decode(&body, 2, true).expect("a response");
        let results = answer.replica_election_results.iter();
        let rows = results.flat_map(|topic| &topic.partition_result);
        (answer.error_code, rows.map(|row| row.error_code).collect())
    }

    fn reassign(
        &mut self,
        name: &str,
        partition_index: i32,
        replicas: Option<&[i32]>,
    ) -> ErrorCode {
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name,
                partitions: vec![ReassignablePartition {
                    partition_index,
                    replicas: replicas.map(<[i32]>::to_vec),
                }],
            }],
            ..Default::default()
        };
        let body = self
            .ask(ApiKey::AlterPartitionReassignments, 1, &request)
            .answer();
        let answer: AlterPartitionReassignmentsResponse<'_> =
            proto::decode(&body, 1, true).expect("a response");
        answer.responses[0].partitions[0].error_code
    }
}

#[test]
fn no_partition_needs_an_election() {
    let mut bench = bench();
    let (not_needed, unknown) = (
        ErrorCode::ELECTION_NOT_NEEDED,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    );
    for election_type in [0, 1] {
        let named = bench.elect(election_type, Some(("t", &[1, 2])));
        assert_eq!(named, (ErrorCode::NONE, vec![not_needed, unknown]));
        assert_eq!(bench.elect(election_type, None), (ErrorCode::NONE, vec![]));
    }
    let absent = bench.elect(0, Some(("u", &[0])));
    assert_eq!(absent, (ErrorCode::NONE, vec![unknown]));
    let invalid = ErrorCode::INVALID_REQUEST;
    assert_eq!(
        bench.elect(2, Some(("t", &[0, 9]))),
        (invalid, vec![invalid; 2])
    );
    assert_eq!(bench.elect(2, None), (invalid, vec![]));
}

#[test]
fn reasons_that_are_together_larger_than_an_answer_are_not_made() {
    let mut bench = bench();
    let name = "x".repeat(32_767);
    let topic = TopicPartitions {
        topic: &name,
        partitions: (0..100_000).collect(),
    };
    let request = ElectLeadersRequest {
        topic_partitions: Some(vec![topic]),
        timeout_ms: 1000,
        ..Default::default()
    };
    let said = bench.ask(ApiKey::ElectLeaders, 2, &request);
    assert!(matches!(said, Said::Closes(_)));
}

#[test]
fn the_longest_name_is_quoted_in_part() {
    let mut bench = bench();
    let name = "x".repeat(32_767);
    let absent = bench.elect(0, Some((&name, &[0])));
    assert_eq!(absent.1, [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    let request = DescribeGroupsRequest {
        groups: vec![&name],
        ..Default::default()
    };
    let body = bench.ask(ApiKey::DescribeGroups, 6, &request).answer();
    let answer: DescribeGroupsResponse<'_> = proto::decode(&body, 6, true).expect("a response");
    let why = answer.groups[0].error_message.as_deref().expect("a reason");
    assert!(why.starts_with("Group xxx") && why.len() < 2_000);
    let update = FeatureUpdateKey {
        feature: &name,
        max_version_level: 1,
        upgrade_type: 1,
        ..Default::default()
    };
    let request = UpdateFeaturesRequest {
        feature_updates: vec![update],
        ..Default::default()
    };
    bench.ask(ApiKey::UpdateFeatures, 1, &request).answer();
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: &name,
            partition_indexes: vec![0],
        }],
    };
    bench.ask(ApiKey::DescribeProducers, 0, &request).answer();
}

#[test]
fn a_partition_moves_nowhere_but_to_where_it_is() {
    let mut bench = bench();
    for (replicas, expected) in [
        (Some(&[1][..]), ErrorCode::NONE),
        (Some(&[2]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (Some(&[]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (None, ErrorCode::NO_REASSIGNMENT_IN_PROGRESS),
    ] {
        assert_eq!(bench.reassign("t", 1, replicas), expected);
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        assert_eq!(bench.reassign("t", 2, replicas), unknown);
        assert_eq!(bench.reassign("u", 0, replicas), unknown);
    }
    let request = ListPartitionReassignmentsRequest::default();
    let body = bench
        .ask(ApiKey::ListPartitionReassignments, 0, &request)
        .answer();
    let answer: ListPartitionReassignmentsResponse<'_> =
        proto::decode(&body, 0, true).expect("a response");
    assert_eq!(
        (answer.error_code, answer.topics.len()),
        (ErrorCode::NONE, 0)
    );
}

/// Number and size of the partitions that are described, and the whole and the free room.
fn described(body: &[u8]) -> (Vec<(i32, i64)>, i64, i64) {
    let answer: DescribeLogDirsResponse<'_> = proto::decode(body, 5, true).expect("a response");
    let [dir] = &answer.results[..] else {
        panic!("one directory");
    };
    assert_eq!((dir.error_code, dir.log_dir), (ErrorCode::NONE, ROOT));
    let partitions = dir.topics.iter().flat_map(|topic| &topic.partitions);
    let sizes = partitions.map(|it| (it.partition_index, it.partition_size));
    (sizes.collect(), dir.total_bytes, dir.usable_bytes)
}

#[test]
fn a_directory_is_described_with_its_partitions_and_its_file_system() {
    let mut bench = bench();
    bench.disk.set_capacity(Some(1 << 30));
    bench.produce(1).answer();
    let all = DescribeLogDirsRequest { topics: None };
    let (sizes, total, usable) = described(&bench.ask(ApiKey::DescribeLogDirs, 5, &all).answer());
    let [(0, 0), (1, size)] = sizes[..] else {
        panic!("{sizes:?}");
    };
    assert!((100..300).contains(&size), "{size}");
    assert_eq!(total, 1 << 30);
    assert!((1..total).contains(&usable), "{usable}");
    let named = DescribeLogDirsRequest {
        topics: Some(vec![
            DescribableLogDirTopic {
                topic: "t",
                partitions: vec![1, 7, 1],
            },
            DescribableLogDirTopic {
                topic: "u",
                partitions: vec![0],
            },
        ]),
    };
    let body = bench.ask(ApiKey::DescribeLogDirs, 5, &named).answer();
    assert_eq!(described(&body).0, [(1, size)]);
    bench.run();
    let mut bench = bench.restart();
    let keys = bench.keys(&[1]);
    assert_eq!(bench.ask(ApiKey::DescribeLogDirs, 5, &all).wait().on, keys);
    bench.run();
    let body = bench.ask(ApiKey::DescribeLogDirs, 5, &all).answer();
    assert_eq!(described(&body).0, [(0, 0), (1, size)]);
}

#[test]
fn a_partition_goes_to_the_only_directory_and_to_no_other() {
    let mut bench = bench();
    let dir = |path, name, partition| AlterReplicaLogDir {
        path,
        topics: vec![AlterReplicaLogDirTopic {
            name,
            partitions: vec![partition],
        }],
    };
    let request = AlterReplicaLogDirsRequest {
        dirs: vec![
            dir("/elsewhere", "t", 1),
            dir(ROOT, "t", 0),
            dir(ROOT, "t", 7),
            dir("/elsewhere", "u", 0),
            dir(ROOT, "t", 1),
            dir("/d/", "t", 2),
        ],
    };
    let body = bench.ask(ApiKey::AlterReplicaLogDirs, 2, &request).answer();
    let answer: AlterReplicaLogDirsResponse<'_> =
        proto::decode(&body, 2, true).expect("a response");
    let rows = answer.results.iter().flat_map(|topic| {
        let rows = topic.partitions.iter();
        rows.map(|row| (topic.topic_name, row.partition_index, row.error_code))
    });
    let expected = [
        ("t", 0, ErrorCode::NONE),
        ("t", 1, ErrorCode::NONE),
        ("t", 2, ErrorCode::LOG_DIR_NOT_FOUND),
        ("t", 7, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("u", 0, ErrorCode::LOG_DIR_NOT_FOUND),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn the_quorum_is_this_broker_and_tells_of_what_lasts() {
    let mut bench = bench();
    let asked = |topic_name| DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name,
            partitions: vec![PartitionData { partition_index: 0 }],
        }],
    };
    let mut ends = Vec::new();
    for _ in 0..2 {
        let request = asked("__cluster_metadata");
        let body = bench.ask(ApiKey::DescribeQuorum, 2, &request).answer();
        let answer: DescribeQuorumResponse<'_> = proto::decode(&body, 2, true).expect("a response");
        let quorum = &answer.topics[0].partitions[0];
        let [voter] = &quorum.current_voters[..] else {
            panic!("one voter");
        };
        assert_eq!((quorum.leader_id, voter.replica_id), (1, 1));
        assert_eq!(quorum.high_watermark, voter.log_end_offset);
        assert_eq!(answer.nodes[0].listeners[0].port, 9092);
        ends.push((
            quorum.high_watermark,
            bench.round > bench.broker.synced_round(),
        ));
        bench.create(CreatableTopic {
            name: "u",
            ..topic(1)
        });
    }
    let (first, is_early) = ends[0];
    assert!(!is_early);
    assert_eq!(ends[1], (first + 1, true), "told only when it lasts");
    let body = bench.ask(ApiKey::DescribeQuorum, 2, &asked("t")).answer();
    let answer: DescribeQuorumResponse<'_> = proto::decode(&body, 2, true).expect("a response");
    let refused = &answer.topics[0].partitions[0];
    assert_eq!(refused.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn no_broker_is_forgotten() {
    let mut bench = Bench::new();
    for (broker_id, expected) in [
        (1, ErrorCode::INVALID_REQUEST),
        (2, ErrorCode::BROKER_ID_NOT_REGISTERED),
    ] {
        let request = UnregisterBrokerRequest { broker_id };
        let body = bench.ask(ApiKey::UnregisterBroker, 0, &request).answer();
        let answer: UnregisterBrokerResponse<'_> =
            proto::decode(&body, 0, true).expect("a response");
        assert_eq!(answer.error_code, expected);
    }
}
