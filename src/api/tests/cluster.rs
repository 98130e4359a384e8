//! What one broker says of things that need several: elections and moves.

use super::*;
use crate::proto::schema::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use crate::proto::schema::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use crate::proto::schema::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

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
