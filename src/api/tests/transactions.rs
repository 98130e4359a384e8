//! Transactions through handlers, coordinator and logs on a simulated disk: whole lives of both versions, kills
//! between the steps, codes by version, and what is told about them.

mod large;
mod offsets;

use super::*;
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::proto::schema::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};
use crate::proto::schema::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest,
};
use crate::proto::schema::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse,
};
use crate::proto::schema::end_txn::{EndTxnRequest, EndTxnResponse};
use crate::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use crate::proto::schema::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use crate::proto::schema::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::storage::{NewBatch, Origin};
use ErrorCode as E;

const ID: &str = "orders";
const TIMEOUT_MS: i32 = 60_000;
/// Versions of Produce and EndTxn with transactions of version 1 and 2.
const V1: (i16, i16) = (9, 3);
const V2: (i16, i16) = (12, 5);

/// A producer id and an epoch.
type Producer = (i64, i16);

fn decoded<'a, T: Wire<'a>>(api: ApiKey, version: i16, body: &'a [u8]) -> T {
    proto::decode(body, version, api.info().is_flexible(version)).expect("a response")
}

fn batch((id, epoch): Producer, sequence: i32) -> Vec<u8> {
    let builder = BatchBuilder::new(0).producer(id, epoch, sequence);
    let mut builder = builder.transactional();
    builder.push(-1, None, Some(b"value"));
    builder.build(None).expect("a small batch")
}

impl Bench {
    /// A broker with a topic of three partitions.
    fn for_transactions() -> Bench {
        let mut bench = Bench::new();
        bench.create(topic(3));
        bench.run();
        bench
    }

    fn init(&mut self, version: i16, believed: Option<Producer>) -> Result<Producer, E> {
        let (producer_id, producer_epoch) = believed.unwrap_or((NO_PRODUCER_ID, NO_PRODUCER_EPOCH));
        let request = InitProducerIdRequest {
            transactional_id: Some(ID),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id,
            producer_epoch,
        };
        let body = self.ask(ApiKey::InitProducerId, version, &request).answer();
        let told: InitProducerIdResponse = decoded(ApiKey::InitProducerId, version, &body);
        match told.error_code {
            E::NONE => Ok((told.producer_id, told.producer_epoch)),
            code => Err(code),
        }
    }

    /// A producer whose id and epoch are durable.
    fn producer(&mut self) -> Producer {
        let who = self.init(5, None).expect("a new id");
        self.run();
        who
    }

    fn add(&mut self, version: i16, who: Producer, partitions: &[i32]) -> Vec<E> {
        let topics = vec![AddPartitionsToTxnTopic {
            name: "t",
            partitions: partitions.to_vec(),
        }];
        let request = match version {
            ..4 => AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: ID,
                v3_and_below_producer_id: who.0,
                v3_and_below_producer_epoch: who.1,
                v3_and_below_topics: topics,
                ..Default::default()
            },
            _ => AddPartitionsToTxnRequest {
                transactions: vec![AddPartitionsToTxnTransaction {
                    transactional_id: ID,
                    producer_id: who.0,
                    producer_epoch: who.1,
                    verify_only: version == 5,
                    topics,
                }],
                ..Default::default()
            },
        };
        let body = self.ask(ApiKey::AddPartitionsToTxn, version, &request);
        let body = body.answer();
        let told: AddPartitionsToTxnResponse<'_> =
            decoded(ApiKey::AddPartitionsToTxn, version, &body);
        let results: &[AddPartitionsToTxnTopicResult<'_>] = match version {
            ..4 => &told.results_by_topic_v3_and_below,
            _ => &told.results_by_transaction[0].topic_results,
        };
        let results = results.iter().flat_map(|topic| &topic.results_by_partition);
        results.map(|result| result.partition_error_code).collect()
    }

    /// The code and the message of each batch of a produce.
    fn send_all(
        &mut self,
        version: i16,
        id: Option<&str>,
        batches: &[(i32, &[u8])],
    ) -> Vec<(E, Option<String>)> {
        let body = self.produces(version, id, batches).answer();
        let told: ProduceResponse<'_> = decoded(ApiKey::Produce, version, &body);
        let told = told.responses[0].partition_responses.iter();
        told.map(|it| {
            (
                it.error_code,
                it.error_message.as_deref().map(str::to_owned),
            )
        })
        .collect()
    }

    fn send(&mut self, version: i16, who: Producer, partition: i32, sequence: i32) -> E {
        let batch = batch(who, sequence);
        self.send_all(version, Some(ID), &[(partition, &batch)])[0].0
    }

    fn end_txn(&mut self, version: i16, who: Producer, committed: bool) -> Result<Producer, E> {
        let request = EndTxnRequest {
            transactional_id: ID,
            producer_id: who.0,
            producer_epoch: who.1,
            committed,
        };
        let body = self.ask(ApiKey::EndTxn, version, &request).answer();
        let told: EndTxnResponse = decoded(ApiKey::EndTxn, version, &body);
        match told.error_code {
            E::NONE => Ok((told.producer_id, told.producer_epoch)),
            code => Err(code),
        }
    }

    /// State, epoch and partitions, or the error.
    fn described(&mut self, id: &str) -> Result<(String, i16, Vec<i32>), E> {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![id],
        };
        let body = self.ask(ApiKey::DescribeTransactions, 0, &request);
        let body = body.answer();
        let told: DescribeTransactionsResponse<'_> =
            decoded(ApiKey::DescribeTransactions, 0, &body);
        let it = &told.transaction_states[0];
        assert_eq!(it.transactional_id, id);
        let partitions = it.topics.iter().flat_map(|topic| &topic.partitions);
        match it.error_code {
            E::NONE => Ok((
                it.transaction_state.to_owned(),
                it.producer_epoch,
                partitions.copied().collect(),
            )),
            code => Err(code),
        }
    }

    fn state(&mut self) -> String {
        self.described(ID).expect("it is known").0
    }

    /// The end of a partition's log, and what readers of committed records see of it.
    fn ends(&self, partition: i32) -> (i64, i64) {
        let log = self.broker.log("t", partition).expect("it is there");
        (log.log_end(), log.last_stable_offset())
    }

    /// The first offsets of the aborted transactions of a partition.
    fn aborted(&mut self, partition: i32) -> Vec<i64> {
        let at = self.broker.find("t", partition).expect("it is there");
        let (_, until) = self.ends(partition);
        let found = self.broker.storage.aborted(at, 0, until);
        let found = found.expect("an index").into_iter();
        found.map(|aborted| aborted.first_offset).collect()
    }

    /// One round reaches the disk, and the process dies before it hears of it.
    fn sync_and_die(mut self) -> Bench {
        let round = self.broker.start_round().expect("no failure");
        self.lanes.sync(round.expect("something to sync"));
        self.restart()
    }

    /// One round reaches the disk, and nothing else happens.
    fn sync(&mut self) {
        let round = self.broker.start_round().expect("no failure");
        self.lanes.sync(round.expect("something to sync"));
        for done in self.lanes.completed() {
            self.broker.absorb(self.now, done).expect("no failure");
        }
        self.broker.check_invariants();
    }

    /// Everything that is left to do is done, and all of it is as it should be.
    fn quiet(&mut self) {
        self.run();
        self.broker.check_invariants();
    }
}

/// Kills the broker at once and starts it; loads everything, and carries on what was left.
fn killed(bench: Bench) -> Bench {
    let mut bench = bench.restart();
    bench.quiet();
    bench
}

/// Version 1, up to the EndTxn.
fn ongoing(bench: &mut Bench, version: (i16, i16)) -> Producer {
    let who = bench.producer();
    if version == V1 {
        assert_eq!(bench.add(3, who, &[0]), [E::NONE]);
        bench.run();
    }
    assert_eq!(bench.send(version.0, who, 0, 0), E::NONE);
    bench.run();
    who
}

#[test]
fn a_transaction_is_seen_when_it_has_ended_and_an_aborted_one_is_in_the_index() {
    for (version, commits) in [(V1, true), (V1, false), (V2, true), (V2, false)] {
        let mut bench = Bench::for_transactions();
        let who = ongoing(&mut bench, version);
        assert_eq!(bench.ends(0), (1, 0), "held back while it is open");
        let ended = bench.end_txn(version.1, who, commits);
        let next = if version == V2 {
            (who.0, who.1 + 1)
        } else {
            (-1, -1)
        };
        assert_eq!(ended, Ok(next));
        assert!(
            bench.round > bench.broker.synced_round(),
            "the answer waits"
        );
        bench.sync();
        assert!(bench.round <= bench.broker.synced_round(), "for one round");
        assert_eq!(bench.ends(0), (2, 0), "the marker is there and not durable");
        let state = bench.state();
        assert!(state.starts_with("Complete"), "{state}");
        bench.quiet();
        assert_eq!(bench.ends(0), (2, 2));
        assert_eq!(bench.aborted(0).len(), usize::from(!commits));
    }
}

#[test]
fn a_producer_of_version_two_needs_no_request_but_produce_and_the_end() {
    let mut bench = Bench::for_transactions();
    let mut who = bench.producer();
    for round in 0..4 {
        for partition in 0..3 {
            assert_eq!(bench.send(12, who, partition, 0), E::NONE);
        }
        who = bench.end_txn(5, who, round % 2 == 0).expect("it ends");
        bench.sync();
    }
    bench.quiet();
    assert_eq!(who.1, 4);
    for partition in 0..3 {
        assert_eq!(bench.ends(partition), (8, 8));
        assert_eq!(bench.aborted(partition), [2, 6]);
    }
}

#[test]
fn the_records_of_a_relaxed_topic_are_safe_before_the_decision() {
    let mut bench = Bench::new();
    let relaxed = CreatableTopic {
        configs: vec![CreatableTopicConfig {
            name: "flush.messages",
            value: Some("9223372036854775807"),
        }],
        ..topic(1)
    };
    bench.create(relaxed);
    bench.run();
    let who = ongoing(&mut bench, V2);
    let synced = |bench: &Bench| bench.broker.log("t", 0).expect("it is there").synced();
    assert_eq!(synced(&bench), 1, "no decision is asked for");
    bench.end_txn(5, who, true).expect("it ends");
    bench.quiet();
    assert_eq!((synced(&bench), bench.ends(0)), (2, (2, 2)));
}

#[test]
fn a_decision_that_is_durable_is_carried_out_after_a_kill() {
    for (version, commits) in [(V1, true), (V1, false), (V2, true), (V2, false)] {
        let mut bench = Bench::for_transactions();
        let who = ongoing(&mut bench, version);
        let ended = bench.end_txn(version.1, who, commits);
        let mut bench = bench.sync_and_die();
        bench.quiet();
        assert_eq!(bench.ends(0), (2, 2));
        assert_eq!(bench.aborted(0).len(), usize::from(!commits));
        assert_eq!(
            bench.end_txn(version.1, who, commits),
            ended,
            "a lost answer"
        );
    }
}

#[test]
fn a_decision_that_is_not_durable_was_never_made() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V2);
    bench.end_txn(5, who, true).expect("it ends");
    let mut bench = killed(bench);
    assert_eq!(bench.described(ID), Ok(("Ongoing".to_owned(), 0, vec![0])));
    assert_eq!(bench.ends(0), (1, 0));
    assert_eq!(bench.end_txn(5, who, false), Ok((who.0, 1)));
    bench.quiet();
    assert_eq!(bench.aborted(0), [0]);
}

#[test]
fn a_marker_whose_record_was_lost_is_written_again_in_version_one_alone() {
    for (version, end) in [(V1, 3), (V2, 2)] {
        let mut bench = Bench::for_transactions();
        let who = ongoing(&mut bench, version);
        bench.end_txn(version.1, who, true).expect("it ends");
        bench.sync();
        assert_eq!(bench.ends(0).0, 2, "the marker is in the log");
        let mut bench = killed(bench);
        assert_eq!(bench.state(), "CompleteCommit");
        assert_eq!(bench.ends(0), (end, end));
        assert_eq!(bench.aborted(0), [] as [i64; 0]);
    }
}

#[test]
fn records_that_the_journal_does_not_know_are_their_producers_again() {
    let mut bench = Bench::for_transactions();
    let who = bench.producer();
    assert_eq!(bench.send(12, who, 1, 0), E::NONE);
    let mut bench = bench.restart();
    assert_eq!(bench.init(5, None), Err(E::COORDINATOR_LOAD_IN_PROGRESS));
    let said = bench.produces(12, Some(ID), &[(1, &batch(who, 1))]);
    assert!(said.wait().on.contains(&Key::Transactions));
    bench.quiet();
    assert_eq!(bench.described(ID), Ok(("Ongoing".to_owned(), 0, vec![1])));
    assert_eq!(bench.send(12, who, 1, 0), E::NONE, "a retry is known");
    assert_eq!(bench.end_txn(5, who, true), Ok((who.0, 1)));
    bench.quiet();
    assert_eq!(bench.ends(1), (2, 2));
}

#[test]
fn records_behind_a_marker_whose_record_was_lost_are_the_next_transaction() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V2);
    let next = bench.end_txn(5, who, true).expect("it ends");
    bench.sync();
    assert_eq!(bench.send(12, next, 0, 0), E::NONE);
    assert_eq!(bench.ends(0).0, 3);
    let mut bench = killed(bench);
    assert_eq!(
        bench.ends(0),
        (3, 2),
        "one marker, and what lies behind it is open"
    );
    assert_eq!(bench.described(ID), Ok(("Ongoing".to_owned(), 1, vec![0])));
    bench.end_txn(5, next, false).expect("it ends");
    bench.quiet();
    assert_eq!((bench.ends(0), bench.aborted(0)), ((4, 4), vec![2]));
}

#[test]
fn records_of_the_next_transaction_of_version_one_wait_for_the_last_one() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V1);
    bench.end_txn(3, who, true).expect("it ends");
    bench.sync();
    assert_eq!(bench.add(3, who, &[0]), [E::NONE]);
    assert_eq!(bench.send(9, who, 0, 1), E::NOT_ENOUGH_REPLICAS);
    assert_eq!(bench.send(12, who, 0, 1), E::CONCURRENT_TRANSACTIONS);
    bench.run();
    assert_eq!(bench.send(9, who, 0, 1), E::NONE);
}

#[test]
fn what_is_open_in_a_log_and_belongs_to_nobody_is_aborted_by_a_start() {
    let mut bench = Bench::for_transactions();
    let at = bench.broker.find("t", 0).expect("it is there");
    let nobodys = batch((4711, 3), 0);
    let appended = bench
        .broker
        .storage
        .append(at, NOW, &NewBatch::whole(&nobodys), Origin::Client);
    assert_eq!(appended.expect("the log asks nobody").base_offset, 0);
    bench.run();
    let mut bench = killed(bench);
    assert_eq!((bench.ends(0), bench.aborted(0)), ((2, 2), vec![0]));
}

#[test]
fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V2);
    bench.now.mono = NOW.mono.plus_ms(i64::from(TIMEOUT_MS) - 1);
    bench.quiet();
    assert_eq!(bench.state(), "Ongoing");
    assert_eq!(
        bench.broker.next_deadline(),
        Some(bench.now.mono.plus_ms(1))
    );
    bench.now.mono = bench.now.mono.plus_ms(1);
    bench.quiet();
    assert_eq!(
        bench.described(ID),
        Ok(("CompleteAbort".to_owned(), 1, vec![]))
    );
    assert_eq!((bench.ends(0), bench.aborted(0)), ((2, 2), vec![0]));
    assert_eq!(bench.send(12, who, 0, 1), E::INVALID_PRODUCER_EPOCH);
    assert_eq!(bench.end_txn(5, who, true), Err(E::INVALID_TXN_STATE));
}

#[test]
fn an_idle_transactional_id_is_forgotten() {
    let mut bench = Bench::for_transactions();
    bench.producer();
    let hour_ms = 3_600_000;
    bench.now.mono = NOW.mono.plus_ms(hour_ms);
    bench.now.wall_ms += 604_800_000;
    bench.broker.tick(bench.now);
    assert_eq!(bench.state(), "Empty", "the clock has jumped");
    bench.now.mono = bench.now.mono.plus_ms(hour_ms);
    bench.now.wall_ms += hour_ms;
    bench.broker.tick(bench.now);
    bench.broker.check_invariants();
    assert_eq!(bench.described(ID), Err(E::TRANSACTIONAL_ID_NOT_FOUND));
}

#[test]
fn an_end_on_a_full_disk_is_decided_and_written_when_there_is_room() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V2);
    bench.disk.set_capacity(Some(0));
    // What the segment has reserved is used up, by ever smaller records.
    let (mut sequence, mut size_bytes) = (1, 1 << 20);
    while size_bytes > 0 {
        let mut large = BatchBuilder::new(0)
            .producer(who.0, who.1, sequence)
            .transactional();
        large.push(-1, None, Some(&vec![0; size_bytes - 1]));
        let large = large.build(None).expect("a batch");
        match bench.send_all(12, Some(ID), &[(0, &large)])[0].0 {
            E::NONE => sequence += 1,
            _ => size_bytes /= 2,
        }
    }
    let next = bench.end_txn(5, who, true).expect("it is decided");
    bench.quiet();
    assert_eq!(bench.state(), "PrepareCommit", "no marker fits");
    assert_eq!(bench.send(12, next, 0, 0), E::CONCURRENT_TRANSACTIONS);
    bench.disk.set_capacity(None);
    bench.now.mono = bench.now.mono.plus_ms(499);
    bench.quiet();
    assert_eq!(bench.state(), "PrepareCommit");
    bench.now.mono = bench.now.mono.plus_ms(1);
    bench.quiet();
    assert_eq!(bench.state(), "CompleteCommit");
    assert_eq!(bench.ends(0).0, bench.ends(0).1);
}

#[test]
fn a_topic_that_is_deleted_leaves_its_transactions() {
    for after_decision in [false, true] {
        let mut bench = Bench::for_transactions();
        let who = ongoing(&mut bench, V2);
        if after_decision {
            bench.end_txn(5, who, true).expect("it ends");
        }
        let id = bench.broker.topics().by_name("t").expect("it is there").id;
        bench.broker.delete_topic(id);
        let (_, _, partitions) = bench.described(ID).expect("it is known");
        assert!(partitions.is_empty());
        if !after_decision {
            bench.end_txn(5, who, true).expect("it ends");
        }
        bench.quiet();
        assert_eq!(bench.state(), "CompleteCommit");
    }
}

#[test]
fn a_batch_that_is_not_in_its_transaction_is_refused_by_version() {
    let mut bench = Bench::for_transactions();
    let who = bench.producer();
    let one = batch(who, 0);
    let add = "Partition was not added to the transaction";
    let told = bench.send_all(9, Some(ID), &[(0, &one)]);
    assert_eq!(told, [(E::INVALID_TXN_STATE, Some(add.to_owned()))]);
    let told = bench.send_all(11, Some(ID), &[(0, &one)]);
    assert_eq!(told, [(E::TRANSACTION_ABORTABLE, None)]);
    assert_eq!(bench.state(), "Empty");
    let older = (who.0, who.1 - 1);
    let other = (who.0 + 1, who.1);
    for version in [9, 11, 12] {
        assert_eq!(bench.send(version, older, 0, 0), E::INVALID_PRODUCER_EPOCH);
        assert_eq!(
            bench.send(version, other, 0, 0),
            E::INVALID_PRODUCER_ID_MAPPING
        );
        let nobody = bench.send_all(version, Some(""), &[(0, &one)]);
        assert_eq!(nobody[0].0, E::INVALID_REQUEST);
    }
    let none = E::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    let told = bench.send_all(12, None, &[(0, &one), (9, &one)]);
    assert_eq!(told, [(none, None), (none, None)]);
    let two = batch(other, 0);
    let told = bench.send_all(12, Some(ID), &[(0, &one), (1, &two)]);
    let mixed = (E::INVALID_PRODUCER_ID_MAPPING, None);
    assert_eq!(told, [mixed.clone(), mixed]);
    assert_eq!(bench.state(), "Empty", "nothing has joined");
    let told = bench.send_all(12, Some(ID), &[(0, &one), (9, &two)]);
    let unknown = E::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(
        told.iter().map(|it| it.0).collect::<Vec<_>>(),
        [E::NONE, unknown]
    );
}

#[test]
fn a_batch_waits_while_its_end_is_being_written() {
    let told_19 =
        "Unable to verify the partition has been added to the transaction. Underlying error: ";
    for (version, next_code) in [
        (V1, E::NOT_ENOUGH_REPLICAS),
        (V2, E::CONCURRENT_TRANSACTIONS),
    ] {
        let mut bench = Bench::for_transactions();
        let who = ongoing(&mut bench, version);
        let next = match bench.end_txn(version.1, who, true).expect("it ends") {
            (NO_PRODUCER_ID, _) => who,
            next => next,
        };
        let late = batch(next, 1);
        let told = bench.send_all(version.0, Some(ID), &[(0, &late)]);
        assert_eq!(told[0].0, next_code, "its log has the transaction open");
        if version == V1 {
            let message = format!("{told_19}CONCURRENT_TRANSACTIONS");
            assert_eq!(told[0].1.as_deref(), Some(&*message));
        }
        assert_eq!(bench.add(3, next, &[0]), [E::CONCURRENT_TRANSACTIONS]);
        assert_eq!(bench.init(5, None), Err(E::CONCURRENT_TRANSACTIONS));
        assert_eq!(bench.ends(0).0, 1);
    }
}

#[test]
fn partitions_are_added_all_or_none_and_verified_one_by_one() {
    let mut bench = Bench::for_transactions();
    let who = bench.producer();
    let unknown = E::UNKNOWN_TOPIC_OR_PARTITION;
    for version in [3, 4] {
        let told = bench.add(version, who, &[0, 9, 1]);
        assert_eq!(
            told,
            [
                E::OPERATION_NOT_ATTEMPTED,
                unknown,
                E::OPERATION_NOT_ATTEMPTED
            ]
        );
    }
    assert_eq!(bench.state(), "Empty");
    assert_eq!(bench.add(5, who, &[0, 1]), [E::TRANSACTION_ABORTABLE; 2]);
    assert_eq!(bench.add(4, who, &[0]), [E::NONE]);
    assert_eq!(
        bench.add(5, who, &[0, 1]),
        [E::NONE, E::TRANSACTION_ABORTABLE]
    );
    let newer = (who.0, who.1 + 1);
    for (version, code) in [(0, 47), (1, 47), (2, 90), (3, 90), (4, 90), (5, 90)] {
        assert_eq!(bench.add(version, newer, &[0]), [E(code)]);
    }
    assert!(bench.round > 0);
}

#[test]
fn who_is_shut_out_is_told_so_by_version() {
    let mut bench = Bench::for_transactions();
    let old = ongoing(&mut bench, V2);
    assert_eq!(bench.init(5, None), Err(E::CONCURRENT_TRANSACTIONS));
    bench.quiet();
    let new = bench.init(5, None).expect("the abort is written");
    assert_eq!(new, (old.0, old.1 + 2));
    bench.quiet();
    for (version, code) in [(3, 47), (4, 90), (5, 90)] {
        assert_eq!(bench.init(version, Some(old)), Err(E(code)));
    }
    for (version, code) in [(0, 47), (1, 47), (2, 90), (4, 90), (5, 90)] {
        assert_eq!(bench.end_txn(version, old, true), Err(E(code)));
    }
    for (version, code) in [(0, 47), (1, 47), (2, 90), (4, 90)] {
        let request = AddOffsetsToTxnRequest {
            transactional_id: ID,
            producer_id: old.0,
            producer_epoch: old.1,
            group_id: "g",
        };
        let body = bench.ask(ApiKey::AddOffsetsToTxn, version, &request);
        let body = body.answer();
        let told: AddOffsetsToTxnResponse = decoded(ApiKey::AddOffsetsToTxn, version, &body);
        assert_eq!(told.error_code, E(code));
    }
    assert_eq!(bench.aborted(0), [0]);
}

#[test]
fn an_init_with_half_of_what_a_producer_had_is_refused() {
    let mut bench = Bench::for_transactions();
    for half in [(5, NO_PRODUCER_EPOCH), (NO_PRODUCER_ID, 0)] {
        assert_eq!(bench.init(3, Some(half)), Err(E::INVALID_REQUEST));
    }
    assert_eq!(bench.described(ID), Err(E::TRANSACTIONAL_ID_NOT_FOUND));
    assert_eq!(bench.described(""), Err(E::INVALID_REQUEST));
}

#[test]
fn a_marker_of_a_client_ends_what_is_open_in_the_log() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V2);
    let marker = |epoch| WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: who.0,
            producer_epoch: epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: "t",
                partition_indexes: vec![0, 9, 0],
            }],
            coordinator_epoch: 77,
            transaction_version: 0,
        }],
    };
    let write = |bench: &mut Bench, epoch| {
        let body = bench
            .ask(ApiKey::WriteTxnMarkers, 1, &marker(epoch))
            .answer();
        let told: WriteTxnMarkersResponse<'_> = decoded(ApiKey::WriteTxnMarkers, 1, &body);
        let partitions = told.markers[0].topics[0].partitions.iter();
        partitions.map(|it| it.error_code).collect::<Vec<_>>()
    };
    let unknown = E::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(write(&mut bench, -1), [E::UNKNOWN_SERVER_ERROR, unknown]);
    assert_eq!(write(&mut bench, who.1), [E::NONE, unknown]);
    assert!(
        bench.round > bench.broker.synced_round(),
        "acknowledged when it is safe"
    );
    bench.quiet();
    assert_eq!((bench.ends(0), bench.aborted(0)), ((2, 2), vec![0]));
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: "t",
            partition_indexes: vec![0],
        }],
    };
    let body = bench.ask(ApiKey::DescribeProducers, 0, &request).answer();
    let told: DescribeProducersResponse<'_> = decoded(ApiKey::DescribeProducers, 0, &body);
    let known = &told.topics[0].partitions[0].active_producers[0];
    assert_eq!((known.producer_id, known.coordinator_epoch), (who.0, 77));
    assert_eq!(known.current_txn_start_offset, -1);
    bench
        .end_txn(5, who, true)
        .expect("the coordinator's own end still comes");
    bench.quiet();
    assert_eq!(bench.state(), "CompleteCommit");
    assert_eq!(bench.ends(0), (3, 3));
}

#[test]
fn ids_are_listed_by_state_producer_duration_and_pattern() {
    let mut bench = Bench::for_transactions();
    let who = ongoing(&mut bench, V2);
    bench.now.wall_ms += 1000;
    let other = InitProducerIdRequest {
        transactional_id: Some("other"),
        transaction_timeout_ms: 1,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
    };
    bench.ask(ApiKey::InitProducerId, 5, &other).answer();
    let mut list = |request: ListTransactionsRequest<'_>| {
        let body = bench.ask(ApiKey::ListTransactions, 2, &request).answer();
        let told: ListTransactionsResponse<'_> = decoded(ApiKey::ListTransactions, 2, &body);
        let ids = told.transaction_states.iter();
        let ids: Vec<String> = ids.map(|it| it.transactional_id.to_owned()).collect();
        (
            told.error_code,
            ids.join(" "),
            told.unknown_state_filters.join(" "),
        )
    };
    let all = || ListTransactionsRequest {
        duration_filter: -1,
        ..Default::default()
    };
    let found = |ids: &str| (E::NONE, ids.to_owned(), String::new());
    assert_eq!(list(all()), found("orders other"));
    let states = |names: &[&'static str]| ListTransactionsRequest {
        state_filters: names.to_vec(),
        ..all()
    };
    assert_eq!(list(states(&["Ongoing"])), found("orders"));
    assert_eq!(list(states(&["Dead", "PrepareEpochFence"])), found(""));
    let unknown = (E::NONE, String::new(), "empty Ended".to_owned());
    assert_eq!(list(states(&["empty", "Ended"])), unknown);
    let ids = |ids: &[i64]| ListTransactionsRequest {
        producer_id_filters: ids.to_vec(),
        ..all()
    };
    assert_eq!(list(ids(&[who.0, who.0, 99])), found("orders"));
    let lasts = |duration_filter| ListTransactionsRequest {
        duration_filter,
        ..all()
    };
    assert_eq!(list(lasts(0)), found("orders other"));
    assert_eq!(
        list(lasts(999)),
        found("orders other"),
        "who never began is old"
    );
    assert_eq!(list(lasts(1000)), found("other"));
    let like = |pattern| ListTransactionsRequest {
        transactional_id_pattern: Some(pattern),
        ..all()
    };
    assert_eq!(list(like("o.*s")), found("orders"));
    assert_eq!(list(like("")), found("orders other"));
    let refused = E::INVALID_REGULAR_EXPRESSION;
    assert_eq!(list(like("(")), (refused, String::new(), String::new()));
}

#[test]
fn a_pattern_that_would_be_too_much_work_is_refused() {
    let mut bench = Bench::for_transactions();
    let costly = format!("{}o+", "a*".repeat(100));
    for (bytes, expected) in [(6, E::NONE), (32_767, E::INVALID_REGULAR_EXPRESSION)] {
        let id = "o".repeat(bytes);
        let request = InitProducerIdRequest {
            transactional_id: Some(&id),
            transaction_timeout_ms: 1,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
        };
        bench.ask(ApiKey::InitProducerId, 5, &request).answer();
        let request = ListTransactionsRequest {
            duration_filter: -1,
            transactional_id_pattern: Some(&costly),
            ..Default::default()
        };
        let body = bench.ask(ApiKey::ListTransactions, 2, &request).answer();
        let told: ListTransactionsResponse<'_> = decoded(ApiKey::ListTransactions, 2, &body);
        assert_eq!(told.error_code, expected);
    }
}
