//! A transactional producer, as both brokers know it.

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::schema::add_offsets_to_txn::AddOffsetsToTxnRequest;
use chronikd::proto::schema::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use chronikd::proto::schema::describe_transactions::DescribeTransactionsRequest;
use chronikd::proto::schema::end_txn::{EndTxnRequest, EndTxnResponse};
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::produce::ProduceRequest;
use chronikd::proto::{ApiKey, error::ErrorCode};

use crate::asks::keep;
use crate::both::{Both, Side};
use crate::run::{Conn, Run};
use crate::scripts::kit::{Topic, filled, produce};

/// Longer than the suite takes: no transaction of a script is to end by itself.
pub(crate) const TIMEOUT_MS: i32 = 800_000;
/// The last versions of those who know nothing of version 2.
pub(crate) const OLD_ADD: i16 = 3;
pub(crate) const OLD_END: i16 = 4;
pub(crate) const OLD_PRODUCE: i16 = 11;

/// Who a client says it is.
#[derive(Clone, Copy)]
pub(crate) struct Producer {
    pub(crate) conn: Conn,
    /// The transactional id.
    pub(crate) name: &'static str,
    pub(crate) id: Both<i64>,
    pub(crate) epoch: i16,
}

/// Begins without an epoch, as clients do at first.
pub(crate) fn init(name: &'static str) -> InitProducerIdRequest<'static> {
    InitProducerIdRequest {
        transactional_id: Some(name),
        transaction_timeout_ms: TIMEOUT_MS,
        ..InitProducerIdRequest::default()
    }
}

/// Whether the script is at a version of its API with which clients use version 2 of transactions.
pub(crate) fn is_second(run: &Run<'_>) -> bool {
    run.version(ApiKey::EndTxn) > OLD_END
}

impl Producer {
    /// A producer of a transactional id that nobody else has.
    pub(crate) fn begins(run: &mut Run<'_>, conn: Conn, what: &str) -> Producer {
        let name = run.name(what);
        let given = run.ask_at(4, conn, init(name));
        Producer::given(conn, name, &given)
    }

    /// The producer that was answered so.
    pub(crate) fn given(
        conn: Conn,
        name: &'static str,
        given: &Both<InitProducerIdResponse>,
    ) -> Producer {
        Producer {
            conn,
            name,
            id: given.map(|given| given.producer_id),
            epoch: given[Side::Theirs].producer_epoch,
        }
    }

    /// The same, so many epochs later.
    pub(crate) fn later(self, epochs: i16) -> Producer {
        Producer {
            epoch: self.epoch + epochs,
            ..self
        }
    }

    /// The same under an id that no broker has given out.
    pub(crate) fn with_id(self, id: i64) -> Producer {
        Producer {
            id: Both::each(|_| id),
            ..self
        }
    }

    /// Those who are not this producer, each in one way.
    pub(crate) fn strangers(self) -> Vec<Producer> {
        vec![
            self.named("stranger"),
            self.named(""),
            self.named(keep::<str>("x".repeat(32_000))),
            self.with_id(987_654_321),
            self.with_id(-1),
            self.later(-1),
            self.later(1),
            self.later(9),
        ]
    }

    /// The same under another transactional id.
    pub(crate) fn named(self, name: &'static str) -> Producer {
        Producer { name, ..self }
    }

    /// As clients add partitions.
    pub(crate) fn add(
        &self,
        side: Side,
        topics: &[(&'static str, &[i32])],
    ) -> AddPartitionsToTxnRequest<'static> {
        AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.name,
            v3_and_below_producer_id: self.id[side],
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: places(topics),
            ..AddPartitionsToTxnRequest::default()
        }
    }

    /// One transaction among those that a broker asks about.
    pub(crate) fn claim(
        &self,
        side: Side,
        verify_only: bool,
        topics: &[(&'static str, &[i32])],
    ) -> AddPartitionsToTxnTransaction<'static> {
        AddPartitionsToTxnTransaction {
            transactional_id: self.name,
            producer_id: self.id[side],
            producer_epoch: self.epoch,
            verify_only,
            topics: places(topics),
        }
    }

    /// Adds partitions of a topic, as clients of version 1 do.
    pub(crate) fn adds(&self, run: &mut Run<'_>, topic: &Topic, partitions: &[i32]) {
        let topics = [(topic.name, partitions)];
        run.ask_each_at(OLD_ADD, self.conn, |side| self.add(side, &topics));
    }

    /// Two records of the open transaction.
    pub(crate) fn records(
        &self,
        side: Side,
        topic: &Topic,
        partition: i32,
        sequence: i32,
    ) -> ProduceRequest<'static> {
        let builder = BatchBuilder::new(0).producer(self.id[side], self.epoch, sequence);
        let records = filled(builder.transactional(), &["a", "b"]);
        ProduceRequest {
            transactional_id: Some(self.name),
            ..produce(side, topic, partition, -1, &records)
        }
    }

    /// The first two records of the producer in each of two partitions, in one request.
    pub(crate) fn records_in(
        &self,
        side: Side,
        topic: &Topic,
        [one, other]: [i32; 2],
    ) -> ProduceRequest<'static> {
        let mut both = self.records(side, topic, one, 0);
        let more = self.records(side, topic, other, 0).topic_data.remove(0);
        both.topic_data[0]
            .partition_data
            .extend(more.partition_data);
        both
    }

    /// Writes two records, in the last version of those who add partitions.
    pub(crate) fn writes(&self, run: &mut Run<'_>, topic: &Topic, partition: i32, sequence: i32) {
        run.ask_each_at(OLD_PRODUCE, self.conn, |side| {
            self.records(side, topic, partition, sequence)
        });
    }

    /// Opens a transaction with two records, as clients of the script's version do.
    pub(crate) fn opens(&self, run: &mut Run<'_>, topic: &Topic, partition: i32, sequence: i32) {
        if !is_second(run) {
            self.adds(run, topic, &[partition]);
            return self.writes(run, topic, partition, sequence);
        }
        let newest = run.range(ApiKey::Produce).1;
        run.ask_each_at(newest, self.conn, |side| {
            self.records(side, topic, partition, sequence)
        });
    }

    /// Says that offsets of a group come, as clients of version 1 do.
    pub(crate) fn adds_group(&self, run: &mut Run<'_>, group: &'static str) {
        run.ask_each(self.conn, |side| AddOffsetsToTxnRequest {
            transactional_id: self.name,
            producer_id: self.id[side],
            producer_epoch: self.epoch,
            group_id: group,
        });
    }

    /// Asks for the end in a version, and waits until markers are written.
    pub(crate) fn ends_at(
        &mut self,
        run: &mut Run<'_>,
        version: i16,
        committed: bool,
    ) -> Both<EndTxnResponse> {
        let answer = run.ask_each_at(version, self.conn, |side| EndTxnRequest {
            transactional_id: self.name,
            producer_id: self.id[side],
            producer_epoch: self.epoch,
            committed,
        });
        self.rests(run);
        let theirs = &answer[Side::Theirs];
        if version > OLD_END && theirs.error_code == ErrorCode::NONE {
            self.id = answer.map(|answer| answer.producer_id);
            self.epoch = theirs.producer_epoch;
        }
        answer
    }

    /// The same in the script's version.
    pub(crate) fn ends(&mut self, run: &mut Run<'_>, committed: bool) -> Both<EndTxnResponse> {
        self.ends_at(run, run.version(ApiKey::EndTxn), committed)
    }

    /// Waits until no marker is owed.
    pub(crate) fn rests(&self, run: &mut Run<'_>) {
        let make = |_| describe(&[self.name]);
        run.settle(0, self.conn, make, |answer| {
            let state = answer.transaction_states[0].transaction_state;
            !state.starts_with("Prepare")
        });
    }

    /// Compares what is known of the transaction.
    pub(crate) fn shown(&self, run: &mut Run<'_>) {
        run.ask(self.conn, describe(&[self.name]));
    }
}

/// Asks about transactional ids.
pub(crate) fn describe(names: &[&'static str]) -> DescribeTransactionsRequest<'static> {
    DescribeTransactionsRequest {
        transactional_ids: names.to_vec(),
    }
}

fn places(topics: &[(&'static str, &[i32])]) -> Vec<AddPartitionsToTxnTopic<'static>> {
    let place = |&(name, partitions): &(&'static str, &[i32])| AddPartitionsToTxnTopic {
        name,
        partitions: partitions.to_vec(),
    };
    topics.iter().map(place).collect()
}
