//! A small client of our own over a raw socket, at versions that name topics: what the suites drive that
//! must see every answer and every batch, and may not depend on a foreign client.

use std::io;

use chronikd::proto::batch::Batch;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use chronikd::proto::schema::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use chronikd::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use chronikd::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use chronikd::proto::{ApiKey, Records, Wire, decode, encode};

use super::raw::Raw;

/// More than any batch here, so that a record of it never gets too large.
const INFLATED_BYTES: usize = 64 << 20;
const FETCH_BYTES: i32 = 8 << 20;

/// One connection.
pub struct Kafka {
    raw: Raw,
    /// Of the last request; answers come in order and carry it.
    correlation_id: i32,
    answered: i32,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Whether it was appended.
    pub error: ErrorCode,
    /// The offset of its first record.
    pub base_offset: i64,
}

/// One record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// What a fetch has brought.
#[derive(Debug)]
pub struct Fetched {
    /// Whether it could be read.
    pub error: ErrorCode,
    /// The end of what may be read.
    pub high_watermark: i64,
    /// From the offset that was asked for on, also when a batch begins before it.
    pub records: Vec<Read>,
}

impl Kafka {
    /// Connects to a port of the loopback interface.
    pub fn connect(port: u16) -> io::Result<Kafka> {
        Ok(Kafka {
            raw: Raw::connect(port)?,
            correlation_id: 0,
            answered: 0,
        })
    }

    /// Creates a topic.
    ///
    /// # Panics
    /// When the broker refuses.
    pub fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |&(name, value)| CreatableTopicConfig {
            name,
            value: Some(value),
        };
        let topic = CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: configs.iter().map(config).collect(),
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            validate_only: false,
        };
        self.send(ApiKey::CreateTopics, 5, &request).expect("sent");
        let body = self.receive(ApiKey::CreateTopics, 5).expect("an answer");
        let answer: CreateTopicsResponse = read_body(&body, ApiKey::CreateTopics, 5);
        assert_eq!(answer.topics[0].error_code, ErrorCode::NONE, "{name}");
    }

    /// Whether the broker gives out producer ids; one that is still starting answers an error.
    pub fn answers(&mut self) -> io::Result<()> {
        self.ask_producer_id()
            .and_then(|answer| match answer.error_code {
                ErrorCode::NONE => Ok(()),
                error => Err(io::Error::other(format!("{error:?}"))),
            })
    }

    /// A producer id that is nobody else's.
    pub fn producer_id(&mut self) -> io::Result<(i64, i16)> {
        let answer = self.ask_producer_id()?;
        assert_eq!(answer.error_code, ErrorCode::NONE);
        Ok((answer.producer_id, answer.producer_epoch))
    }

    fn ask_producer_id(&mut self) -> io::Result<InitProducerIdResponse> {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        self.send(ApiKey::InitProducerId, 4, &request)?;
        let body = self.receive(ApiKey::InitProducerId, 4)?;
        Ok(read_body(&body, ApiKey::InitProducerId, 4))
    }

    /// Sends a batch and does not wait for what becomes of it: `acked` reads that.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        acks: i16,
        batch: &[u8],
    ) -> io::Result<()> {
        let data = PartitionProduceData {
            index: partition,
            records: Records::Here(Some(batch)),
        };
        let topic = TopicProduceData {
            name: topic,
            partition_data: vec![data],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            transactional_id: None,
            acks,
            timeout_ms: 30_000,
            topic_data: vec![topic],
        };
        self.send(ApiKey::Produce, 9, &request)
    }

    /// What became of the oldest batch that has no answer yet.
    pub fn acked(&mut self) -> io::Result<Acked> {
        let body = self.receive(ApiKey::Produce, 9)?;
        let answer: ProduceResponse = read_body(&body, ApiKey::Produce, 9);
        let partition = &answer.responses[0].partition_responses[0];
        Ok(Acked {
            error: partition.error_code,
            base_offset: partition.base_offset,
        })
    }

    /// What lies behind an offset; waits up to `max_wait_ms` when there is nothing yet.
    pub fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        max_wait_ms: i32,
    ) -> io::Result<Fetched> {
        let wanted = FetchPartition {
            partition,
            fetch_offset: offset,
            partition_max_bytes: FETCH_BYTES,
            ..FetchPartition::default()
        };
        let request = FetchRequest {
            max_wait_ms,
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            topics: vec![FetchTopic {
                topic,
                partitions: vec![wanted],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        self.send(ApiKey::Fetch, 11, &request)?;
        let body = self.receive(ApiKey::Fetch, 11)?;
        let answer: FetchResponse = read_body(&body, ApiKey::Fetch, 11);
        let found = &answer.responses[0].partitions[0];
        Ok(Fetched {
            error: found.error_code,
            high_watermark: found.high_watermark,
            records: records_from(offset, found.records.bytes().unwrap_or_default()),
        })
    }

    /// A whole partition, waiting for it while it is being loaded.
    pub fn read_all(&mut self, topic: &str, partition: i32) -> io::Result<Vec<Read>> {
        let mut records: Vec<Read> = Vec::new();
        loop {
            let next = records.last().map_or(0, |record| record.offset + 1);
            let found = self.fetch(topic, partition, next, 0)?;
            if found.error == ErrorCode::NOT_LEADER_OR_FOLLOWER {
                std::thread::sleep(std::time::Duration::from_millis(5));
                continue;
            }
            assert_eq!(
                found.error,
                ErrorCode::NONE,
                "{topic}-{partition} at {next}"
            );
            assert!(
                !found.records.is_empty() || next == found.high_watermark,
                "{topic}-{partition} shows nothing at {next}, below {}",
                found.high_watermark
            );
            if next == found.high_watermark {
                return Ok(records);
            }
            records.extend(found.records);
        }
    }

    /// Sends a request and does not wait for its answer: `receive` reads that.
    pub fn send<'a, T: Wire<'a>>(&mut self, api: ApiKey, version: i16, body: &T) -> io::Result<()> {
        self.correlation_id += 1;
        let mut frame = Vec::new();
        frame.extend_from_slice(&(api as i16).to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&self.correlation_id.to_be_bytes());
        frame.extend_from_slice(&[0, 4]);
        frame.extend_from_slice(b"test");
        let flexible = api.info().is_flexible(version);
        if flexible {
            frame.push(0);
        }
        encode(body, version, flexible, &mut frame).expect("a message that fits");
        self.raw.send(&frame)
    }

    /// The body of the next answer, which must be the next one in order.
    pub fn receive(&mut self, api: ApiKey, version: i16) -> io::Result<Vec<u8>> {
        let frame = self.raw.read()?;
        self.answered += 1;
        assert_eq!(frame[..4], self.answered.to_be_bytes(), "answers in order");
        let header = 4 + usize::from(api.info().is_flexible(version));
        Ok(frame[header..].to_vec())
    }
}

/// An answer out of its body.
pub fn read_body<'a, T: Wire<'a>>(body: &'a [u8], api: ApiKey, version: i16) -> T {
    let flexible = api.info().is_flexible(version);
    decode(body, version, flexible).expect("an answer of its version")
}

/// The records of whole batches, without those before `offset`; a batch that is cut off at the end is left out.
fn records_from(offset: i64, mut bytes: &[u8]) -> Vec<Read> {
    let mut records = Vec::new();
    while let Ok((batch, rest)) = Batch::split_first(bytes) {
        bytes = rest;
        batch.check_crc().expect("the checksum");
        let header = batch.header();
        let inflated = batch.decompress(INFLATED_BYTES).expect("readable records");
        for record in batch.records(&inflated) {
            let record = record.expect("a readable record");
            let at = header.base_offset + i64::from(record.offset_delta);
            if at >= offset {
                records.push(Read {
                    offset: at,
                    timestamp_ms: header.record_timestamp(record.timestamp_delta),
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                });
            }
        }
    }
    records
}
