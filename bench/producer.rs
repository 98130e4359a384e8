//! The client's side of transactions: what transactional producers send, request by request, and what is in the
//! answers.
//!
//! Version 2 (KIP-890) is Produce 13, by which the partition joins, and EndTxn 5, which moves the epoch. Version 1 is
//! AddPartitionsToTxn 3, Produce 11 and EndTxn 4. A producer has one request under way.
//!
//! The bare loop knows no transactions. For it a producer sends as many requests as to a broker, one after the other:
//! its records, and a few bytes in the place of each request that a broker journals.

use crate::client::{self, Client, Shape, bad, body_as, body_of, check_code};
use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::{
    add_partitions_to_txn, end_txn, init_producer_id, list_transactions, produce,
};
use chronikd::proto::{ApiKey, Records, Uuid};
use std::io;
use std::ops::Range;

/// Longer than any row takes: nothing is aborted by it.
const TIMEOUT_MS: i32 = 900_000;
/// AddPartitionsToTxn of the clients that know version 1.
const ADD_VERSION: i16 = 3;
/// What a request takes in a journal, about; the least that has the layout of a larger batch.
const NOTE: Shape = Shape {
    records: 1,
    record_bytes: 128,
    partitions: 1,
};
/// Where these fields stand in a batch, and what the checksum covers.
const CRC: Range<usize> = 17..21;
const CHECKED_FROM: usize = 21;
const EPOCH: Range<usize> = 51..53;
const SEQUENCE: Range<usize> = 53..57;

/// One request of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// AddPartitionsToTxn.
    Add,
    /// Produce: all records of the transaction.
    Records,
    /// EndTxn.
    End,
    /// To the bare loop: a few bytes in the place of a request that is journaled.
    Note,
}

/// The requests of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    steps: &'static [Step],
    produce_version: i16,
    end_version: i16,
}

impl Script {
    pub(crate) const V1: Script = Script {
        steps: &[Step::Add, Step::Records, Step::End],
        produce_version: 11,
        end_version: 4,
    };
    pub(crate) const V2: Script = Script {
        steps: &[Step::Records, Step::End],
        ..Script::NEWEST
    };
    /// A transaction of version 2 that is not ended.
    pub(crate) const OPEN: Script = Script {
        steps: &[Step::Records],
        ..Script::NEWEST
    };
    const NEWEST: Script = Script {
        steps: &[],
        produce_version: 13,
        end_version: 5,
    };

    /// What the bare loop is asked in the place of this.
    pub(crate) fn bare(self) -> Script {
        let steps: &[Step] = match self.steps {
            [Step::Add, ..] => &[Step::Note, Step::Records, Step::Note],
            [_, Step::End] => &[Step::Records, Step::Note],
            _ => &[Step::Records],
        };
        Script {
            steps,
            ..Script::NEWEST
        }
    }
}

/// Where records go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

/// A transactional id and whoever has it.
pub(crate) struct Producer {
    name: String,
    topic: Topic,
    script: Script,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
    shape: Shape,
    /// The Produce request, and where its batch stands.
    records: Vec<u8>,
    batch: Range<usize>,
    /// Index of the step that is under way or comes next.
    step: usize,
    /// Transactions that are over.
    pub(crate) ended: u64,
    /// Every so many transactions one is aborted; 0: none.
    aborts_each: u64,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The request has to be sent again.
    Again,
    /// The transaction goes on with the next request.
    GoOn,
    /// The transaction is over.
    Over,
}

impl Producer {
    /// Producers of these transactional ids, initialized.
    pub(crate) fn initialize(
        client: &mut Client,
        names: impl Iterator<Item = String>,
        (topic, shape, script): (&Topic, Shape, Script),
    ) -> io::Result<Vec<Producer>> {
        let names: Vec<String> = names.collect();
        let frames: Vec<Vec<u8>> = names.iter().map(|name| init_frame(name)).collect();
        let ids = client.ask_many(&frames, |_, frame| initialized(frame))?;
        let made = names.into_iter().zip(ids).zip(0..);
        Ok(made
            .map(|((name, ids), seed)| Producer::new(name, ids, seed, (topic, shape, script)))
            .collect())
    }

    fn new(
        name: String,
        (producer_id, epoch): (i64, i16),
        seed: u64,
        (topic, shape, script): (&Topic, Shape, Script),
    ) -> Producer {
        let batch = BatchBuilder::new(0).transactional();
        let batch = shape.batch_of(seed, batch.producer(producer_id, epoch, 0));
        let records = produce_frame(script.produce_version, topic, &name, &batch);
        Producer {
            name,
            topic: topic.clone(),
            producer_id,
            epoch,
            ..Producer::sending(records, &batch, (shape, script))
        }
    }

    /// As many that the bare loop takes for producers.
    pub(crate) fn bare(count: usize, shape: Shape, script: Script) -> Vec<Producer> {
        let producer = |seed| {
            let records = client::produce_frame(Uuid::ZERO, &shape, seed);
            let batch = shape.batch(seed << 8, 0);
            Producer::sending(records, &batch, (shape, script.bare()))
        };
        (0..count as u64).map(producer).collect()
    }

    fn sending(records: Vec<u8>, batch: &[u8], (shape, script): (Shape, Script)) -> Producer {
        let mut windows = records.windows(batch.len());
        let at = windows.position(|window| window == batch);
        let at = at.expect("the batch is in its request");
        Producer {
            name: String::new(),
            topic: Topic::default(),
            script,
            producer_id: -1,
            epoch: -1,
            sequence: 0,
            shape,
            batch: at..at + batch.len(),
            records,
            step: 0,
            ended: 0,
            aborts_each: 0,
        }
    }

    /// Aborts one of so many transactions, as if it had ended so many already.
    pub(crate) fn aborting_each(self, aborts_each: u64, ended: u64) -> Producer {
        Producer {
            aborts_each,
            ended,
            ..self
        }
    }

    /// The bytes of its records.
    pub(crate) fn batch_bytes(&self) -> u64 {
        self.batch.len() as u64
    }

    /// Where its records go.
    pub(crate) fn topic(&self) -> Uuid {
        self.topic.id
    }

    /// The same with other requests from the next transaction on.
    pub(crate) fn follow(&mut self, script: Script) {
        self.script = script;
        self.step = 0;
    }

    /// The same in the middle of a transaction: it is to be ended next.
    pub(crate) fn end_next(&mut self) {
        self.script = Script::V2;
        self.step = 1;
    }

    /// Appends the next request.
    pub(crate) fn say(&mut self, out: &mut Vec<u8>) {
        match self.script.steps[self.step] {
            Step::Add => out.extend(self.add_frame()),
            Step::Records => {
                self.seal();
                out.extend_from_slice(&self.records);
            }
            Step::End => out.extend(self.end_frame()),
            Step::Note => out.extend(client::produce_frame(Uuid::ZERO, &NOTE, self.ended)),
        }
    }

    /// Takes the answer to what was said last.
    pub(crate) fn hear(&mut self, frame: &[u8]) -> io::Result<Heard> {
        let code = match self.script.steps[self.step] {
            Step::Add => added(frame)?,
            Step::Records => self.produced(frame, self.script.produce_version)?,
            Step::Note => self.produced(frame, self.script.produce_version)?,
            Step::End => self.heard_end(frame)?,
        };
        if is_passing(code) {
            return Ok(Heard::Again);
        }
        check_code(code)?;
        self.step += 1;
        if self.step < self.script.steps.len() {
            return Ok(Heard::GoOn);
        }
        self.step = 0;
        self.ended += 1;
        Ok(Heard::Over)
    }

    /// Writes epoch and sequence into the batch.
    fn seal(&mut self) {
        let batch = &mut self.records[self.batch.clone()];
        batch[EPOCH].copy_from_slice(&self.epoch.to_be_bytes());
        batch[SEQUENCE].copy_from_slice(&self.sequence.to_be_bytes());
        let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
        batch[CRC].copy_from_slice(&crc.to_be_bytes());
    }

    fn add_frame(&self) -> Vec<u8> {
        let topic = add_partitions_to_txn::AddPartitionsToTxnTopic {
            name: &self.topic.name,
            partitions: vec![0],
        };
        let body = add_partitions_to_txn::AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: &self.name,
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        client::request_as(ApiKey::AddPartitionsToTxn, ADD_VERSION, &body)
    }

    fn end_frame(&self) -> Vec<u8> {
        let aborts = self.aborts_each > 0 && (self.ended + 1).is_multiple_of(self.aborts_each);
        let body = end_txn::EndTxnRequest {
            transactional_id: &self.name,
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed: !aborts,
        };
        client::request_as(ApiKey::EndTxn, self.script.end_version, &body)
    }

    fn produced(&mut self, frame: &[u8], version: i16) -> io::Result<ErrorCode> {
        let response: produce::ProduceResponse<'_> = body_as(ApiKey::Produce, version, frame)?;
        let mut partitions = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        let first = partitions.next().ok_or_else(|| bad("an empty response"))?;
        if first.error_code == ErrorCode::NONE {
            self.sequence += self.shape.records as i32;
        }
        Ok(first.error_code)
    }

    fn heard_end(&mut self, frame: &[u8]) -> io::Result<ErrorCode> {
        let version = self.script.end_version;
        let response: end_txn::EndTxnResponse = body_as(ApiKey::EndTxn, version, frame)?;
        let moves = response.error_code == ErrorCode::NONE && response.producer_epoch >= 0;
        if moves
            && (response.producer_id, response.producer_epoch) != (self.producer_id, self.epoch)
        {
            (self.producer_id, self.epoch) = (response.producer_id, response.producer_epoch);
            self.sequence = 0;
        }
        Ok(response.error_code)
    }
}

/// Whether the same request is to be sent again.
fn is_passing(code: ErrorCode) -> bool {
    [
        ErrorCode::CONCURRENT_TRANSACTIONS,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::NOT_ENOUGH_REPLICAS,
    ]
    .contains(&code)
}

fn init_frame(name: &str) -> Vec<u8> {
    let body = init_producer_id::InitProducerIdRequest {
        transactional_id: Some(name),
        transaction_timeout_ms: TIMEOUT_MS,
        ..Default::default()
    };
    client::request(ApiKey::InitProducerId, &body)
}

fn initialized(frame: &[u8]) -> io::Result<(i64, i16)> {
    let response: init_producer_id::InitProducerIdResponse =
        body_of(ApiKey::InitProducerId, frame)?;
    check_code(response.error_code)?;
    Ok((response.producer_id, response.producer_epoch))
}

fn produce_frame(version: i16, topic: &Topic, transactional_id: &str, batch: &[u8]) -> Vec<u8> {
    let data = produce::PartitionProduceData {
        index: 0,
        records: Records::Here(Some(batch)),
    };
    let topic = produce::TopicProduceData {
        name: &topic.name,
        topic_id: topic.id,
        partition_data: vec![data],
    };
    let body = produce::ProduceRequest {
        transactional_id: Some(transactional_id),
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
    };
    client::request_as(ApiKey::Produce, version, &body)
}

fn added(frame: &[u8]) -> io::Result<ErrorCode> {
    let response: add_partitions_to_txn::AddPartitionsToTxnResponse<'_> =
        body_as(ApiKey::AddPartitionsToTxn, ADD_VERSION, frame)?;
    let topics = response.results_by_topic_v3_and_below.iter();
    let mut partitions = topics.flat_map(|topic| &topic.results_by_partition);
    let first = partitions.next().ok_or_else(|| bad("an empty response"))?;
    Ok(first.partition_error_code)
}

/// Asks for all transactional ids; their number.
pub(crate) fn list(client: &mut Client) -> io::Result<usize> {
    let body = list_transactions::ListTransactionsRequest {
        duration_filter: -1,
        ..Default::default()
    };
    let frame = client::request(ApiKey::ListTransactions, &body);
    client.ask(&frame, |frame| {
        let response: list_transactions::ListTransactionsResponse<'_> =
            body_of(ApiKey::ListTransactions, frame)?;
        check_code(response.error_code)?;
        Ok(response.transaction_states.len())
    })
}
