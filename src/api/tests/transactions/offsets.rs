//! Offsets in transactions, through handlers, coordinator and journal: what is told before the end and behind it, by
//! version, what goes with a group or a topic, and kills between the steps.

use super::*;
use crate::proto::schema::delete_groups::DeleteGroupsRequest;
use crate::proto::schema::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::proto::schema::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::proto::schema::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use crate::proto::schema::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
};

const GROUP: &str = "readers";
/// Partition, offset, code.
type Row = (i32, i64, E);

/// What a producer says without a member, for topic `t`.
fn brings(who: Producer, rows: &[(i32, i64)]) -> TxnOffsetCommitRequest<'static> {
    let partition = |&(partition_index, committed_offset)| TxnOffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: Some("here"),
        ..Default::default()
    };
    TxnOffsetCommitRequest {
        transactional_id: ID,
        group_id: GROUP,
        producer_id: who.0,
        producer_epoch: who.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t",
            partitions: rows.iter().map(partition).collect(),
        }],
        ..Default::default()
    }
}

impl Bench {
    fn add_group(&mut self, who: Producer) -> E {
        let request = AddOffsetsToTxnRequest {
            transactional_id: ID,
            producer_id: who.0,
            producer_epoch: who.1,
            group_id: GROUP,
        };
        let body = self.ask(ApiKey::AddOffsetsToTxn, 4, &request).answer();
        let told: AddOffsetsToTxnResponse = decoded(ApiKey::AddOffsetsToTxn, 4, &body);
        told.error_code
    }

    fn bring(&mut self, version: i16, request: &TxnOffsetCommitRequest<'_>) -> Vec<E> {
        let body = self.ask(ApiKey::TxnOffsetCommit, version, request);
        let body = body.answer();
        let told: TxnOffsetCommitResponse<'_> = decoded(ApiKey::TxnOffsetCommit, version, &body);
        let rows = told.topics.iter().flat_map(|topic| &topic.partitions);
        rows.map(|row| row.error_code).collect()
    }

    /// Everything that the group has.
    fn all(&mut self, require_stable: bool) -> Vec<Row> {
        let group = OffsetFetchRequestGroup {
            group_id: GROUP,
            ..Default::default()
        };
        let request = OffsetFetchRequest {
            groups: vec![group],
            require_stable,
            ..Default::default()
        };
        let body = self.ask(ApiKey::OffsetFetch, 9, &request).answer();
        let told: OffsetFetchResponse<'_> = decoded(ApiKey::OffsetFetch, 9, &body);
        let rows = told.groups[0].topics.iter().flat_map(|it| &it.partitions);
        rows.map(|it| (it.partition_index, it.committed_offset, it.error_code))
            .collect()
    }

    /// The three partitions, as a consumer asks before it begins to read.
    fn stable(&mut self, version: i16) -> Vec<(i64, E)> {
        let (name, partition_indexes) = ("t", vec![0, 1, 2]);
        let request = match version {
            ..8 => OffsetFetchRequest {
                group_id: GROUP,
                topics: Some(vec![OffsetFetchRequestTopic {
                    name,
                    partition_indexes,
                }]),
                require_stable: version >= 7,
                ..Default::default()
            },
            _ => OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup {
                    group_id: GROUP,
                    topics: Some(vec![OffsetFetchRequestTopics {
                        name,
                        topic_id: self.broker.topics().by_name("t").expect("it is there").id,
                        partition_indexes,
                    }]),
                    ..Default::default()
                }],
                require_stable: true,
                ..Default::default()
            },
        };
        let body = self.ask(ApiKey::OffsetFetch, version, &request).answer();
        let told: OffsetFetchResponse<'_> = decoded(ApiKey::OffsetFetch, version, &body);
        let old = told.topics.iter().flat_map(|it| &it.partitions);
        let old = old.map(|it| (it.committed_offset, it.error_code));
        let new = told.groups.iter().flat_map(|group| &group.topics);
        let new = new.flat_map(|topic| &topic.partitions);
        old.chain(new.map(|it| (it.committed_offset, it.error_code)))
            .collect()
    }

    /// OffsetCommit of a consumer that is no member.
    fn plain(&mut self, partition_index: i32, committed_offset: i64) {
        let request = OffsetCommitRequest {
            group_id: GROUP,
            topics: vec![OffsetCommitRequestTopic {
                name: "t",
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.ask(ApiKey::OffsetCommit, 9, &request).answer();
    }

    fn drop_topic(&mut self) {
        let request = DeleteTopicsRequest {
            topic_names: vec!["t"],
            ..Default::default()
        };
        self.ask(ApiKey::DeleteTopics, 5, &request).answer();
    }
}

/// A transaction of that version which brings these offsets, durably.
fn bringing(bench: &mut Bench, version: (i16, i16), rows: &[(i32, i64)]) -> Producer {
    let who = bench.producer();
    if version == V1 {
        assert_eq!(bench.add_group(who), E::NONE);
    }
    let own = if version == V1 { 3 } else { 5 };
    let told = bench.bring(own, &brings(who, rows));
    assert!(told.iter().all(|&code| code == E::NONE), "{told:?}");
    bench.quiet();
    who
}

#[test]
fn offsets_count_from_the_commit_on_and_never_after_an_abort() {
    for (version, commits) in [(V1, true), (V1, false), (V2, true), (V2, false)] {
        let mut bench = Bench::for_transactions();
        bench.plain(0, 1);
        bench.plain(2, 1);
        let who = bringing(&mut bench, version, &[(0, 5), (1, 6)]);
        for own in 7..=10 {
            let unstable = (-1, E::UNSTABLE_OFFSET_COMMIT);
            assert_eq!(bench.stable(own), [unstable, unstable, (1, E::NONE)]);
        }
        let old = [(1, E::NONE), (-1, E::NONE), (1, E::NONE)];
        assert_eq!(bench.stable(6), old, "older consumers cannot ask");
        let own = [(0, 1, E::NONE), (2, 1, E::NONE)];
        assert_eq!(bench.all(false), own);
        let shown = [(0, -1, E::UNSTABLE_OFFSET_COMMIT), (2, 1, E::NONE)];
        assert_eq!(bench.all(true), shown, "what is pending alone is not named");
        bench.end_txn(version.1, who, commits).expect("it ends");
        let expected = match commits {
            true => vec![(0, 5, E::NONE), (1, 6, E::NONE), (2, 1, E::NONE)],
            false => own.to_vec(),
        };
        assert_eq!(bench.all(true), expected, "at once");
        assert!(
            bench.round > bench.broker.synced_round(),
            "and told when it is durable"
        );
        bench.quiet();
        bench.all(true);
        assert!(bench.round <= bench.broker.synced_round());
        let mut bench = killed(bench);
        assert_eq!(bench.all(true), expected);
    }
}

#[test]
fn what_was_acknowledged_is_pending_after_a_kill_and_what_was_not_may_be_gone() {
    for version in [V1, V2] {
        let mut bench = Bench::for_transactions();
        let who = bringing(&mut bench, version, &[(0, 5)]);
        let own = if version == V1 { 3 } else { 5 };
        bench.bring(own, &brings(who, &[(1, 6)]));
        assert!(
            bench.round > bench.broker.synced_round(),
            "the answer waits"
        );
        let mut bench = killed(bench);
        let unstable = (-1, E::UNSTABLE_OFFSET_COMMIT);
        let none = (-1, E::NONE);
        assert_eq!(bench.stable(9), [unstable, none, none]);
        bench.end_txn(version.1, who, true).expect("it ends");
        assert_eq!(bench.all(true), [(0, 5, E::NONE)]);
    }
}

#[test]
fn a_decision_and_its_offsets_live_or_die_together() {
    for (version, commits) in [(V1, true), (V1, false), (V2, true), (V2, false)] {
        let mut bench = Bench::for_transactions();
        let who = bringing(&mut bench, version, &[(0, 5)]);
        bench.end_txn(version.1, who, commits).expect("it ends");
        let mut bench = killed(bench);
        let unstable = (-1, E::UNSTABLE_OFFSET_COMMIT);
        assert_eq!(bench.stable(9)[0], unstable, "it was never made");
        assert_eq!(bench.state(), "Ongoing");
        bench.end_txn(version.1, who, commits).expect("it ends");
        let mut bench = bench.sync_and_die();
        bench.quiet();
        let expected = if commits { 5 } else { -1 };
        assert_eq!(bench.stable(9)[0], (expected, E::NONE));
    }
}

#[test]
fn the_transaction_is_judged_by_version_before_the_group() {
    let mut bench = Bench::for_transactions();
    let who = bench.producer();
    let of_nobody = TxnOffsetCommitRequest {
        generation_id: 3,
        member_id: "nobody",
        ..brings(who, &[(0, 5), (9, 5)])
    };
    let unknown = E::UNKNOWN_TOPIC_OR_PARTITION;
    for (version, code) in [(0, 48), (1, 48), (2, 48), (3, 48), (4, 120), (5, 22)] {
        let mut request = of_nobody.clone();
        if version < 3 {
            (request.generation_id, request.member_id) = (-1, "");
        }
        let told = bench.bring(version, &request);
        assert_eq!(told, [E(code), unknown], "version {version}");
    }
    assert_eq!(
        bench.state(),
        "Ongoing",
        "the group has joined all the same"
    );
    bench.bring(5, &of_nobody);
    assert!(
        bench.round > bench.broker.synced_round(),
        "a refusal waits for what came before it"
    );
    let other = |who| brings(who, &[(0, 5)]);
    for version in 0..=5 {
        let strange = other((who.0 + 1, who.1));
        let mapping = E::INVALID_PRODUCER_ID_MAPPING;
        assert_eq!(bench.bring(version, &strange), [mapping]);
        for epoch in [who.1 - 1, who.1 + 1] {
            let told = bench.bring(version, &other((who.0, epoch)));
            assert_eq!(told, [E::INVALID_PRODUCER_EPOCH]);
        }
        let nameless = TxnOffsetCommitRequest {
            transactional_id: "",
            ..other(who)
        };
        assert_eq!(bench.bring(version, &nameless), [E::INVALID_REQUEST]);
        let no_group = TxnOffsetCommitRequest {
            group_id: "",
            ..nameless
        };
        assert_eq!(bench.bring(version, &no_group), [E::INVALID_GROUP_ID]);
        assert_eq!(bench.bring(version, &other(who)), [E::NONE]);
    }
    let next = bench.end_txn(5, who, true).expect("it ends");
    for version in 0..=5 {
        let told = bench.bring(version, &other(next));
        assert_eq!(told, [E::CONCURRENT_TRANSACTIONS]);
    }
}

#[test]
fn a_start_is_waited_for_and_old_producers_hear_of_it_in_their_words() {
    let mut bench = Bench::for_transactions();
    bench.produce(0).answer();
    let who = bringing(&mut bench, V2, &[(0, 5)]);
    let mut bench = bench.restart();
    for (version, code) in [(0, 15), (1, 15), (2, 14), (5, 14)] {
        assert_eq!(bench.bring(version, &brings(who, &[(0, 5)])), [E(code)]);
    }
}

#[test]
fn each_partition_is_judged_for_itself_and_known_ones_alone_matter() {
    let mut bench = Bench::for_transactions();
    let who = bench.producer();
    let long = "x".repeat(4097);
    let mut request = brings(who, &[(0, 1), (9, 2), (1, 3), (0, 4)]);
    request.topics[0].partitions[2].committed_metadata = Some(&long);
    for (name, partitions) in [("nowhere", vec![Default::default()]), ("t", vec![])] {
        request
            .topics
            .push(TxnOffsetCommitRequestTopic { name, partitions });
    }
    let unknown = E::UNKNOWN_TOPIC_OR_PARTITION;
    let told = bench.bring(5, &request);
    let long = E::OFFSET_METADATA_TOO_LARGE;
    assert_eq!(told, [E::NONE, unknown, long, E::NONE, unknown]);
    bench.end_txn(5, who, true).expect("it ends");
    assert_eq!(bench.all(true), [(0, 4, E::NONE)]);
    let strange = brings((4711, 3), &[(9, 2)]);
    assert_eq!(bench.bring(5, &strange), [unknown], "nothing else is asked");
}

#[test]
fn what_is_larger_than_a_batch_may_be_is_refused_whole() {
    let mut bench = Bench::for_transactions();
    let who = bench.producer();
    let most = bench.broker.config().message_max_bytes;
    let group = "g".repeat(30_000);
    let rows: Vec<_> = (0..most / 30_000 + 1).map(|_| (1, 5)).collect();
    let request = TxnOffsetCommitRequest {
        group_id: &group,
        ..brings(who, &rows)
    };
    let told = bench.bring(5, &request);
    assert!(told.iter().all(|&code| code == E::UNKNOWN_SERVER_ERROR));
    assert!(bench.broker.groups().get(&group).is_none());
}

#[test]
fn a_full_disk_takes_no_offsets_and_lets_transactions_end() {
    let mut bench = Bench::for_transactions();
    let who = bringing(&mut bench, V2, &[(0, 5)]);
    bench.disk.set_capacity(Some(0));
    let mut offset = 5;
    let told = loop {
        let told = bench.bring(5, &brings(who, &[(0, offset + 1)]));
        if told != [E::NONE] {
            break told;
        }
        offset += 1;
        assert!(offset < 1_000_000, "the journal does not grow for ever");
    };
    assert_eq!(told, [E::COORDINATOR_NOT_AVAILABLE]);
    bench.end_txn(5, who, true).expect("it is decided");
    bench.quiet();
    assert_eq!(bench.all(true), [(0, offset, E::NONE)]);
}

#[test]
fn a_consumer_that_was_replaced_is_shut_out_and_its_transaction_aborted() {
    let mut bench = Bench::for_transactions();
    let join = |member_id| JoinGroupRequest {
        group_id: GROUP,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id,
        protocol_type: "consumer",
        protocols: vec![JoinGroupRequestProtocol {
            name: "range",
            metadata: &[0, 1],
        }],
        ..Default::default()
    };
    assert!(matches!(
        bench.ask(ApiKey::JoinGroup, 3, &join("")),
        Said::Later
    ));
    bench.now.mono = bench.now.mono.plus_ms(3000);
    bench.quiet();
    let group = bench.broker.groups().get(GROUP).expect("it is there");
    let (member, _) = group.members.iter().next().expect("it has joined");
    let (member_id, generation_id) = (member.to_string(), group.generation_id);
    let who = bench.producer();
    let as_member = |generation_id| TxnOffsetCommitRequest {
        generation_id,
        member_id: &member_id,
        ..brings(who, &[(0, 5)])
    };
    assert_eq!(bench.bring(5, &as_member(generation_id)), [E::NONE]);
    let late = as_member(generation_id - 1);
    assert_eq!(bench.bring(5, &late), [E::ILLEGAL_GENERATION]);
    let strange = TxnOffsetCommitRequest {
        member_id: "x",
        ..as_member(generation_id)
    };
    assert_eq!(bench.bring(5, &strange), [E::UNKNOWN_MEMBER_ID]);
    bench.end_txn(5, who, false).expect("it ends");
    bench.quiet();
    assert_eq!(bench.stable(9)[0], (-1, E::NONE));
}

#[test]
fn offsets_go_with_their_group_their_topic_and_on_request() {
    for what in 0..3 {
        let mut bench = Bench::for_transactions();
        bench.plain(0, 1);
        let who = bringing(&mut bench, V2, &[(0, 5), (1, 6)]);
        match what {
            0 => {
                let request = DeleteGroupsRequest {
                    groups_names: vec![GROUP],
                };
                bench.ask(ApiKey::DeleteGroups, 2, &request).answer();
            }
            1 => bench.drop_topic(),
            _ => {
                let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
                let request = OffsetDeleteRequest {
                    group_id: GROUP,
                    topics: vec![OffsetDeleteRequestTopic {
                        name: "t",
                        partitions: vec![partition(0), partition(1)],
                    }],
                };
                bench.ask(ApiKey::OffsetDelete, 0, &request).answer();
            }
        }
        assert!(
            bench.round > bench.broker.synced_round(),
            "the answer waits"
        );
        bench.quiet();
        assert_eq!(bench.broker.groups().iter().count(), 0);
        let mut bench = killed(bench);
        bench.end_txn(5, who, true).expect("it ends");
        bench.quiet();
        assert_eq!(bench.broker.groups().iter().count(), 0, "{what}");
    }
}

#[test]
fn a_commit_that_comes_later_stays_the_newest_after_the_end_and_over_kills() {
    for kills in [false, true] {
        let mut bench = Bench::for_transactions();
        let who = bringing(&mut bench, V2, &[(0, 5), (1, 5)]);
        bench.plain(0, 8);
        bench.quiet();
        if kills {
            bench = killed(bench);
        }
        bench.end_txn(5, who, true).expect("it ends");
        assert_eq!(bench.all(true), [(0, 8, E::NONE), (1, 5, E::NONE)]);
    }
}

#[test]
fn offsets_of_a_transaction_that_nobody_ends_go_by_its_timeout_or_the_next_producer() {
    for times_out in [false, true] {
        let mut bench = Bench::for_transactions();
        let old = bringing(&mut bench, V2, &[(0, 5)]);
        match times_out {
            true => bench.now.mono = NOW.mono.plus_ms(i64::from(TIMEOUT_MS)),
            false => assert_eq!(bench.init(5, None), Err(E::CONCURRENT_TRANSACTIONS)),
        }
        bench.quiet();
        assert_eq!(bench.stable(9)[0], (-1, E::NONE));
        let told = bench.bring(5, &brings(old, &[(0, 6)]));
        assert_eq!(told, [E::INVALID_PRODUCER_EPOCH]);
    }
}

#[test]
fn an_end_with_more_offsets_than_fit_into_a_part_of_the_journal_is_whole_wherever_the_power_fails()
{
    const GROUPS: usize = 8;
    let groups: Vec<String> = (0..GROUPS).map(|i| format!("{i:04000}")).collect();
    let rows: Vec<(i32, i64)> = (0..12).map(|partition| (partition, 5)).collect();
    let mut outcomes = [0; 2];
    for seed in 0..60 {
        let mut bench = Bench::start(SimDisk::new(seed, Path::new(ROOT)));
        bench.run();
        bench.create(topic(12));
        bench.run();
        let who = bench.producer();
        for group_id in &groups {
            let request = TxnOffsetCommitRequest {
                group_id,
                ..brings(who, &rows)
            };
            assert_eq!(bench.bring(5, &request), [E::NONE; 12]);
        }
        bench.quiet();
        bench.end_txn(5, who, true).expect("it ends");
        let round = bench.broker.start_round().expect("no failure");
        let ahead = bench.disk.draw(4);
        bench.disk.cut_at(bench.disk.operations() + ahead);
        bench.lanes.sync(round.expect("something to sync"));
        let disk = bench.disk.clone();
        drop(bench);
        disk.crash(crate::disk::sim::Survives::Some);
        let mut bench = Bench::start(disk);
        bench.quiet();
        let commits = match &*bench.state() {
            "Ongoing" => false,
            "CompleteCommit" => true,
            state => panic!("{state}"),
        };
        outcomes[usize::from(commits)] += 1;
        for group_id in &groups {
            let group = bench.broker.groups().get(group_id).expect("it is there");
            let committed = if commits { 12 } else { 0 };
            assert_eq!(group.offsets.len(), committed, "seed {seed}");
            assert_eq!(group.pending_offsets.is_empty(), commits, "seed {seed}");
        }
    }
    assert!(outcomes.iter().all(|&count| count > 5), "{outcomes:?}");
}
