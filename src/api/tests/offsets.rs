//! Committed offsets: what is answered, what is durable then, and when they go.

use super::*;
use crate::proto::Uuid;
use crate::proto::schema::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use crate::proto::schema::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use crate::proto::schema::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use crate::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};

/// What a commit says, and the answer to it.
type Row = (i32, i64, ErrorCode);

const HOUR_MS: i64 = 3_600_000;

impl Bench {
    fn with_topic() -> Bench {
        let mut bench = Bench::new();
        bench.create(topic(4));
        bench.run();
        bench
    }

    fn topic_id(&self) -> Uuid {
        self.broker.topics().by_name("t").expect("it is there").id
    }

    fn commit(&mut self, version: i16, request: OffsetCommitRequest<'_>) -> Vec<ErrorCode> {
        let body = self.ask(ApiKey::OffsetCommit, version, &request).answer();
        let flexible = ApiKey::OffsetCommit.info().is_flexible(version);
        let answer: OffsetCommitResponse<'_> =
            proto::decode(&body, version, flexible).expect("a response");
        let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.error_code).collect()
    }

    /// Everything that the group has, by partition.
    fn committed(&mut self, group_id: &str) -> Vec<(i32, i64, String)> {
        let group = OffsetFetchRequestGroup {
            group_id,
            ..Default::default()
        };
        let request = OffsetFetchRequest {
            groups: vec![group],
            ..Default::default()
        };
        let body = self.ask(ApiKey::OffsetFetch, 10, &request).answer();
        let answer: OffsetFetchResponse<'_> = proto::decode(&body, 10, true).expect("a response");
        let topics = answer.groups[0].topics.iter();
        let rows = topics.flat_map(|topic| &topic.partitions).map(|row| {
            let text = row.metadata.unwrap_or_default().to_owned();
            (row.partition_index, row.committed_offset, text)
        });
        rows.collect()
    }

    /// Lets that many milliseconds pass, on both clocks.
    fn pass(&mut self, ms: i64) {
        self.now.mono = self.now.mono.plus_ms(ms);
        self.now.wall_ms += ms;
        self.broker.tick(self.now);
        self.run();
    }
}

/// A commit of a consumer that is no member, for topic `t`.
fn simple(rows: &[(i32, i64)]) -> OffsetCommitRequest<'static> {
    OffsetCommitRequest {
        group_id: "g",
        topics: vec![OffsetCommitRequestTopic {
            name: "t",
            partitions: rows.iter().map(|&(at, offset)| place(at, offset)).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn place(partition_index: i32, committed_offset: i64) -> OffsetCommitRequestPartition<'static> {
    OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: Some("here"),
        ..Default::default()
    }
}

#[test]
fn what_a_commit_was_acknowledged_for_is_there_after_a_kill() {
    for version in 0..=9 {
        let mut bench = Bench::with_topic();
        let codes = bench.commit(version, simple(&[(0, 5), (3, 7)]));
        assert_eq!(codes, [ErrorCode::NONE; 2], "version {version}");
        bench.run();
        let mut bench = bench.restart();
        let expected = [(0, 5, "here".to_owned()), (3, 7, "here".to_owned())];
        assert_eq!(bench.committed("g"), expected, "version {version}");
        assert_eq!(bench.committed("another"), []);
    }
}

#[test]
fn a_commit_is_neither_acknowledged_nor_shown_before_it_is_durable() {
    let mut bench = Bench::with_topic();
    let durable = bench.broker.synced_round();
    bench.commit(9, simple(&[(0, 5)]));
    assert!(bench.round > durable);
    bench.committed("g");
    assert!(bench.round > durable);
    bench.run();
    bench.committed("g");
    assert!(bench.round <= bench.broker.synced_round());
}

#[test]
fn each_partition_is_judged_for_itself() {
    let mut bench = Bench::with_topic();
    let long = "x".repeat(4097);
    let mut request = simple(&[(0, 1), (4, 2), (-1, 3), (1, 4)]);
    request.topics[0].partitions[3].committed_metadata = Some(&long);
    let unknown = OffsetCommitRequestTopic {
        name: "nowhere",
        partitions: vec![place(0, 1)],
        ..Default::default()
    };
    request.topics.push(unknown);
    let codes = bench.commit(9, request);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let long = ErrorCode::OFFSET_METADATA_TOO_LARGE;
    assert_eq!(codes, [ErrorCode::NONE, unknown, unknown, long, unknown]);
    assert_eq!(bench.committed("g"), [(0, 1, "here".to_owned())]);
}

#[test]
fn version_10_knows_topics_by_their_ids_alone() {
    let mut bench = Bench::with_topic();
    let mut request = simple(&[(0, 1)]);
    request.topics[0].topic_id = bench.topic_id();
    request.topics[0].name = "";
    assert_eq!(bench.commit(10, request.clone()), [ErrorCode::NONE]);
    request.topics[0].topic_id = Uuid([9; 16]);
    assert_eq!(bench.commit(10, request), [ErrorCode::UNKNOWN_TOPIC_ID]);
    let topics = [bench.topic_id(), Uuid([9; 16])].map(|topic_id| OffsetFetchRequestTopics {
        topic_id,
        partition_indexes: vec![0, 1],
        ..Default::default()
    });
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g",
            topics: Some(topics.to_vec()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let body = bench.ask(ApiKey::OffsetFetch, 10, &request).answer();
    let answer: OffsetFetchResponse<'_> = proto::decode(&body, 10, true).expect("a response");
    let partitions = answer.groups[0]
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions);
    let rows: Vec<Row> = partitions
        .map(|row| (row.partition_index, row.committed_offset, row.error_code))
        .collect();
    let unknown = ErrorCode::UNKNOWN_TOPIC_ID;
    let none = ErrorCode::NONE;
    assert_eq!(
        rows,
        [
            (0, 1, none),
            (1, -1, none),
            (0, -1, unknown),
            (1, -1, unknown)
        ]
    );
}

#[test]
fn where_nothing_is_committed_the_offset_is_minus_one_and_an_error_only_in_version_0() {
    let mut bench = Bench::with_topic();
    for version in 0..=7 {
        let topic = |name| OffsetFetchRequestTopic {
            name,
            partition_indexes: vec![2],
        };
        let request = OffsetFetchRequest {
            group_id: "g",
            topics: Some(vec![topic("t"), topic("nowhere")]),
            ..Default::default()
        };
        let body = bench.ask(ApiKey::OffsetFetch, version, &request).answer();
        let flexible = ApiKey::OffsetFetch.info().is_flexible(version);
        let answer: OffsetFetchResponse<'_> =
            proto::decode(&body, version, flexible).expect("a response");
        let expected = match version {
            0 => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            _ => ErrorCode::NONE,
        };
        for topic in &answer.topics {
            let row = &topic.partitions[0];
            assert_eq!((row.committed_offset, row.error_code), (-1, expected));
        }
        assert_eq!(answer.topics.len(), 2);
    }
}

#[test]
fn offsets_go_with_their_topic_and_a_new_topic_of_its_name_has_none() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    let request = DeleteTopicsRequest {
        topic_names: vec!["t"],
        ..Default::default()
    };
    bench.ask(ApiKey::DeleteTopics, 5, &request).answer();
    assert_eq!(bench.committed("g"), []);
    bench.create(topic(4));
    assert_eq!(bench.committed("g"), []);
    bench.run();
    let mut bench = bench.restart();
    assert_eq!(bench.committed("g"), []);
    assert!(
        bench
            .broker
            .groups()
            .iter()
            .all(|group| group.offsets.is_empty())
    );
}

#[test]
fn offsets_of_a_topic_whose_deletion_was_cut_off_are_not_kept() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    let at = PartitionId {
        topic: Uuid([9; 16]),
        partition: 0,
    };
    let committed = bench.broker.groups().get("g").expect("it is there");
    let committed = committed
        .offsets
        .values()
        .next()
        .expect("an offset")
        .clone();
    bench
        .broker
        .commit_offsets("g", std::collections::BTreeMap::from([(at, committed)]));
    bench.run();
    let bench = bench.restart();
    let group = bench.broker.groups().get("g").expect("it is there");
    assert_eq!(group.offsets.len(), 1);
    assert!(!group.offsets.contains_key(&at));
}

#[test]
fn offsets_of_a_group_that_only_commits_go_a_week_after_their_commit_and_the_group_with_the_last() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    bench.pass(100 * HOUR_MS);
    bench.commit(9, simple(&[(1, 6)]));
    bench.pass(68 * HOUR_MS - 1);
    assert_eq!(bench.committed("g").len(), 2);
    bench.pass(HOUR_MS);
    assert_eq!(bench.committed("g"), [(1, 6, "here".to_owned())]);
    bench.pass(100 * HOUR_MS);
    assert!(bench.broker.groups().get("g").is_none());
    let bench = bench.restart();
    assert!(bench.broker.groups().get("g").is_none());
}

#[test]
fn a_commit_of_versions_2_to_4_is_kept_as_long_as_it_says() {
    let mut bench = Bench::with_topic();
    for (version, partition) in [(2, 0), (4, 1), (5, 2)] {
        let mut request = simple(&[(partition, 5)]);
        request.retention_time_ms = HOUR_MS;
        bench.commit(version, request);
    }
    bench.pass(HOUR_MS - 1);
    assert_eq!(bench.committed("g").len(), 3);
    bench.pass(HOUR_MS);
    assert_eq!(bench.committed("g"), [(2, 5, "here".to_owned())]);
}

#[test]
fn nothing_goes_by_age_while_the_clock_is_not_set() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    bench.now.wall_ms = 0;
    bench.pass(1000 * HOUR_MS);
    assert_eq!(bench.committed("g").len(), 1);
}

#[test]
fn a_clock_that_is_wrong_for_a_while_deletes_nothing() {
    const YEARS_MS: i64 = 40 * 365 * 24 * HOUR_MS;
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    for _ in 0..3 {
        bench.now.wall_ms += YEARS_MS;
        bench.pass(HOUR_MS / 2);
        bench.commit(9, simple(&[(1, 6)]));
        bench.now.wall_ms -= YEARS_MS;
        bench.pass(HOUR_MS / 2);
        assert_eq!(bench.committed("g").len(), 2);
    }
    bench.pass(HOUR_MS);
    bench.pass(166 * HOUR_MS);
    let left = [(1, 6, "here".to_owned())];
    assert_eq!(
        bench.committed("g"),
        left,
        "its age counts from when the clock was right"
    );
    bench.pass(2 * HOUR_MS);
    assert_eq!(bench.committed("g"), [], "nothing is kept for ever");
}

#[test]
fn what_was_committed_before_the_clock_was_set_is_kept_from_then() {
    let mut bench = Bench::with_topic();
    let right_ms = bench.now.wall_ms;
    bench.now.wall_ms = 0;
    bench.pass(HOUR_MS);
    bench.commit(9, simple(&[(0, 5)]));
    let mut request = simple(&[(1, 6)]);
    request.retention_time_ms = HOUR_MS;
    bench.commit(3, request);
    bench.now.wall_ms = right_ms;
    bench.pass(HOUR_MS);
    bench.pass(HOUR_MS);
    assert_eq!(bench.committed("g").len(), 2);
    bench.pass(HOUR_MS);
    assert_eq!(bench.committed("g"), [(0, 5, "here".to_owned())]);
    bench.pass(167 * HOUR_MS);
    assert_eq!(bench.committed("g"), []);
}

#[test]
fn a_commit_that_is_larger_than_a_batch_may_be_is_refused_whole() {
    let mut bench = Bench::with_topic();
    let most = bench.broker.config().message_max_bytes;
    let group = "g".repeat(30_000);
    let rows: Vec<_> = (0..most / 30_000 + 1).map(|_| (1, 5)).collect();
    let mut request = simple(&rows);
    request.group_id = &group;
    let codes = bench.commit(9, request);
    assert!(
        codes
            .iter()
            .all(|&code| code == ErrorCode::UNKNOWN_SERVER_ERROR)
    );
    assert_eq!(bench.committed(&group), []);
}

#[test]
fn a_partition_that_is_named_twice_is_kept_as_it_was_named_last() {
    let mut bench = Bench::with_topic();
    assert_eq!(
        bench.commit(9, simple(&[(0, 5), (0, 4)])),
        [ErrorCode::NONE; 2]
    );
    assert_eq!(bench.committed("g"), [(0, 4, "here".to_owned())]);
}

#[test]
fn a_request_that_names_a_group_again_and_again_gets_no_answer() {
    let mut bench = Bench::new();
    bench.create(topic(40));
    bench.run();
    let rows: Vec<_> = (0..40).map(|partition| (partition, 5)).collect();
    bench.commit(9, simple(&rows));
    let group = OffsetFetchRequestGroup {
        group_id: "g",
        ..Default::default()
    };
    let mut ask = |count| {
        let request = OffsetFetchRequest {
            groups: vec![group.clone(); count],
            ..Default::default()
        };
        bench.ask(ApiKey::OffsetFetch, 8, &request)
    };
    assert!(matches!(ask(1000), Said::Answer(_)));
    assert!(matches!(
        ask(50_000),
        Said::Closes("an answer above 64 MiB")
    ));
}

#[test]
fn a_deleted_group_stays_deleted() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    let request = DeleteGroupsRequest {
        groups_names: vec!["g", "nobody", "g"],
    };
    let body = bench.ask(ApiKey::DeleteGroups, 2, &request).answer();
    let answer: DeleteGroupsResponse<'_> = proto::decode(&body, 2, true).expect("a response");
    let rows = answer
        .results
        .iter()
        .map(|row| (row.group_id, row.error_code));
    let expected = [
        ("g", ErrorCode::NONE),
        ("nobody", ErrorCode::GROUP_ID_NOT_FOUND),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    assert_eq!(bench.committed("g"), []);
    bench.run();
    assert_eq!(bench.restart().committed("g"), []);
}

#[test]
fn an_offset_is_forgotten_on_request() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5), (1, 6)]));
    let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
    let mut request = OffsetDeleteRequest {
        group_id: "g",
        topics: vec![OffsetDeleteRequestTopic {
            name: "t",
            partitions: vec![partition(0), partition(2), partition(9)],
        }],
    };
    let body = bench.ask(ApiKey::OffsetDelete, 0, &request).answer();
    let answer: OffsetDeleteResponse<'_> = proto::decode(&body, 0, false).expect("a response");
    let codes = answer.topics[0].partitions.iter().map(|row| row.error_code);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [ErrorCode::NONE, ErrorCode::NONE, unknown]
    );
    assert_eq!(bench.committed("g"), [(1, 6, "here".to_owned())]);
    for (group_id, expected) in [
        ("", ErrorCode::INVALID_GROUP_ID),
        ("nobody", ErrorCode::GROUP_ID_NOT_FOUND),
    ] {
        request.group_id = group_id;
        let body = bench.ask(ApiKey::OffsetDelete, 0, &request).answer();
        let answer: OffsetDeleteResponse<'_> = proto::decode(&body, 0, false).expect("a response");
        assert_eq!((answer.error_code, answer.topics.len()), (expected, 0));
    }
}

#[test]
fn who_joins_a_group_that_was_just_deleted_waits_for_the_end_of_the_old_one() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    bench.run();
    let durable = bench.broker.synced_round();
    let request = DeleteGroupsRequest {
        groups_names: vec!["g"],
    };
    bench.ask(ApiKey::DeleteGroups, 2, &request).answer();
    let newcomer = JoinGroupRequest {
        group_id: "g",
        session_timeout_ms: 10_000,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol::default()],
        ..Default::default()
    };
    assert!(matches!(
        bench.ask(ApiKey::JoinGroup, 4, &newcomer),
        Said::Later
    ));
    let told = bench.broker.take_paid();
    assert!(told.iter().all(|(_, fact)| fact.round > durable) && told.len() == 1);
    assert_eq!(bench.committed("g"), []);
    assert!(bench.round > durable, "a power cut could bring it back");
}

#[test]
fn on_a_full_disk_offsets_are_replaced_and_no_new_ones_are_taken() {
    let mut bench = Bench::with_topic();
    bench.commit(9, simple(&[(0, 5)]));
    bench.run();
    let root = Path::new(ROOT);
    bench.disk.set_capacity(Some(1 << 30));
    let used = (1 << 30) - bench.disk.free_bytes(root).expect("a disk that is whole");
    bench.disk.set_capacity(Some(used));
    let text = "x".repeat(4000);
    let ids: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    let refused = ids.iter().position(|group_id| {
        let mut request = simple(&[(0, 7)]);
        request.group_id = group_id;
        request.topics[0].partitions[0].committed_metadata = Some(&text);
        let codes = bench.commit(9, request);
        bench.run();
        codes != [ErrorCode::NONE]
    });
    assert!(refused.is_some_and(|taken| taken > 100), "{refused:?}");
    let full = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    for offset in 6..2000 {
        let codes = bench.commit(9, simple(&[(0, offset), (1, 1)]));
        assert_eq!(codes, [ErrorCode::NONE, full]);
        bench.run();
    }
    assert_eq!(bench.committed("g"), [(0, 1999, "here".to_owned())]);
    bench.disk.set_capacity(None);
    bench.commit(9, simple(&[(1, 1)]));
    bench.now.mono = bench.now.mono.plus_ms(100);
    bench.run();
    assert_eq!(bench.commit(9, simple(&[(1, 1)])), [ErrorCode::NONE]);
}
