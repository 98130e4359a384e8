//! The client's side of the protocol: frames of requests, what is in responses, one connection.
//!
//! Produce 13, Fetch 18, Metadata 13, CreateTopics 7: the newest of Apache Kafka 4.3, by topic id. All batches of
//! one shape have the same size, so their places in frames and files follow by counting.

use chronikd::proto::batch::{Batch, BatchBuilder};
use chronikd::proto::error::ErrorCode;
use chronikd::proto::frame::Inbox;
use chronikd::proto::schema::{
    api_versions, create_topics, delete_topics, fetch, metadata, produce,
};
use chronikd::proto::{self, ApiKey, Records, Uuid, Wire};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a fetch asks for, in bytes: a consumer's default for a partition.
pub(crate) const FETCH_BYTES: usize = 1 << 20;
/// The size of a read from a socket.
const READ_BYTES: usize = 256 * 1024;
/// Requests that go out together where nothing is timed.
const WINDOW: usize = 256;
/// A response larger than this is not one of ours.
const MAX_RESPONSE_BYTES: usize = 64 << 20;
/// Length, offset, timestamp, null key and header count around the value of a record of about 1 KiB.
const RECORD_OVERHEAD_BYTES: usize = 8;

/// How the records of a row look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Records in a batch.
    pub(crate) records: usize,
    /// Bytes of a record, about.
    pub(crate) record_bytes: usize,
    /// Partitions in a request, each with one batch.
    pub(crate) partitions: usize,
}

impl Shape {
    /// A batch of noise that depends on the seed, as a broker stores it at that offset.
    pub(crate) fn batch(&self, seed: u64, base_offset: i64) -> Vec<u8> {
        self.batch_of(seed, BatchBuilder::new(base_offset))
    }

    /// The same records in a batch that has been begun.
    pub(crate) fn batch_of(&self, seed: u64, mut batch: BatchBuilder) -> Vec<u8> {
        let mut noise = Noise(seed);
        let mut value = vec![0; self.record_bytes - RECORD_OVERHEAD_BYTES];
        for _ in 0..self.records {
            noise.fill(&mut value);
            batch.push(TIMESTAMP_MS, None, Some(&value));
        }
        batch
            .build(None)
            .expect("a small batch fits its length field")
    }

    /// The bytes of one batch.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch(0, 0).len()
    }
}

/// Some moment of 2026: the same for all, so that all batches have one size.
const TIMESTAMP_MS: i64 = 1_790_000_000_000;

/// SplitMix64: bytes that no file system compresses.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_ne_bytes()[..chunk.len()]);
        }
    }
}

/// A request of the newest version with its length in front.
pub(crate) fn request<'a, T: Wire<'a>>(api: ApiKey, body: &T) -> Vec<u8> {
    request_as(api, api.info().max, body)
}

/// The same of an older version, which must be a flexible one.
pub(crate) fn request_as<'a, T: Wire<'a>>(api: ApiKey, version: i16, body: &T) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.extend_from_slice(&(api as i16).to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(b"\0\0\0\0\0\x05bench\0");
    let cuts = proto::encode(body, version, true, &mut frame);
    assert!(cuts.is_ok_and(|cuts| cuts.is_empty()), "requests are whole");
    put_length(&mut frame);
    frame
}

/// Fills in the length in front of a frame.
pub(crate) fn put_length(frame: &mut [u8]) {
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
}

/// Numbers a request.
pub(crate) fn put_correlation(frame: &mut [u8], id: u32) {
    frame[8..12].copy_from_slice(&id.to_be_bytes());
}

/// A Produce request with a batch for each partition of the shape, acks=all.
pub(crate) fn produce_frame(topic: Uuid, shape: &Shape, seed: u64) -> Vec<u8> {
    let batches: Vec<Vec<u8>> = (0..shape.partitions as u64)
        .map(|partition| shape.batch(seed << 8 | partition, 0))
        .collect();
    let batches: Vec<&[u8]> = batches.iter().map(Vec::as_slice).collect();
    batches_frame(topic, &batches)
}

/// A Produce request of one batch for each partition, from the first on.
pub(crate) fn batches_frame(topic: Uuid, batches: &[&[u8]]) -> Vec<u8> {
    let partition_data = |(index, batch)| produce::PartitionProduceData {
        index,
        records: Records::Here(Some(batch)),
    };
    let data = (0..).zip(batches.iter().copied());
    let topic = produce::TopicProduceData {
        topic_id: topic,
        partition_data: data.map(partition_data).collect(),
        ..Default::default()
    };
    let body = produce::ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    request(ApiKey::Produce, &body)
}

/// A Fetch request for partition 0 from that offset on, which waits for the first byte if it has to.
pub(crate) fn fetch_frame(topic: Uuid, offset: i64) -> Vec<u8> {
    fetch_frame_of(Isolation::Uncommitted, topic, offset)
}

/// Which records a reader wants; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    Uncommitted,
    Committed,
}

/// The same for a reader of that isolation level.
pub(crate) fn fetch_frame_of(isolation: Isolation, topic: Uuid, offset: i64) -> Vec<u8> {
    let partition = fetch::FetchPartition {
        fetch_offset: offset,
        partition_max_bytes: FETCH_BYTES as i32,
        ..Default::default()
    };
    let topic = fetch::FetchTopic {
        topic_id: topic,
        partitions: vec![partition],
        ..Default::default()
    };
    let body = fetch::FetchRequest {
        max_wait_ms: 5_000,
        min_bytes: 1,
        max_bytes: 50 << 20,
        isolation_level: isolation as i8,
        topics: vec![topic],
        ..Default::default()
    };
    request(ApiKey::Fetch, &body)
}

/// A request for everything that there is.
pub(crate) fn metadata_frame() -> Vec<u8> {
    request(ApiKey::Metadata, &metadata::MetadataRequest::default())
}

/// A request that creates a topic whose records are synced before each answer, or never.
pub(crate) fn create_topic_frame(name: &str, partitions: usize, durable: bool) -> Vec<u8> {
    let value = if durable { "1" } else { "9223372036854775807" };
    topic_frame(name, partitions, &[("flush.messages", value)])
}

/// A request that creates a topic with these settings.
pub(crate) fn topic_frame(name: &str, partitions: usize, settings: &[(&str, &str)]) -> Vec<u8> {
    let config = |&(name, value)| create_topics::CreatableTopicConfig {
        name,
        value: Some(value),
    };
    let topic = create_topics::CreatableTopic {
        name,
        num_partitions: partitions as i32,
        replication_factor: 1,
        configs: settings.iter().map(config).collect(),
        ..Default::default()
    };
    let body = create_topics::CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    request(ApiKey::CreateTopics, &body)
}

/// The id of the topic that was created.
pub(crate) fn created_topic(frame: &[u8]) -> io::Result<Uuid> {
    let response: create_topics::CreateTopicsResponse<'_> = body_of(ApiKey::CreateTopics, frame)?;
    let result = response
        .topics
        .first()
        .ok_or_else(|| bad("an empty response"))?;
    check_code(result.error_code)?;
    Ok(result.topic_id)
}

/// A DeleteTopics request.
pub(crate) fn delete_topic_frame(topic: Uuid) -> Vec<u8> {
    let body = delete_topics::DeleteTopicsRequest {
        topics: vec![delete_topics::DeleteTopicState {
            name: None,
            topic_id: topic,
        }],
        timeout_ms: 60_000,
        ..Default::default()
    };
    request(ApiKey::DeleteTopics, &body)
}

/// Whether the topic is gone.
pub(crate) fn deleted_topic(frame: &[u8]) -> io::Result<()> {
    let answer: delete_topics::DeleteTopicsResponse<'_> = body_of(ApiKey::DeleteTopics, frame)?;
    let result = answer.responses.first();
    check_code(result.ok_or_else(|| bad("an empty response"))?.error_code)
}

/// The offset of the first record in a Produce response, of every partition the same.
pub(crate) fn produced_offset(frame: &[u8]) -> io::Result<i64> {
    let response: produce::ProduceResponse<'_> = body_of(ApiKey::Produce, frame)?;
    let mut partitions = response
        .responses
        .iter()
        .flat_map(|t| &t.partition_responses);
    let first = partitions.next().ok_or_else(|| bad("an empty response"))?;
    check_code(first.error_code)?;
    match partitions.all(|p| p.error_code == ErrorCode::NONE && p.base_offset == first.base_offset)
    {
        true => Ok(first.base_offset),
        false => Err(bad("partitions that should be alike differ")),
    }
}

/// Walks the batches of a Fetch response that begins at `offset`: the next offset, and the bytes of the batches.
pub(crate) fn fetched(frame: &[u8], offset: i64, check_crc: bool) -> io::Result<(i64, usize)> {
    let response: fetch::FetchResponse<'_> = body_of(ApiKey::Fetch, frame)?;
    check_code(response.error_code)?;
    let mut partitions = response.responses.iter().flat_map(|t| &t.partitions);
    let Some(partition) = partitions.next() else {
        return Ok((offset, 0));
    };
    check_code(partition.error_code)?;
    let all = partition.records.bytes().unwrap_or(&[]);
    let (mut rest, mut next) = (all, offset);
    // The last batch may be cut short, as with any Kafka.
    while let Ok((batch, tail)) = Batch::split_first(rest) {
        if batch.header().base_offset != next {
            return Err(bad("a batch at another offset than expected"));
        }
        if check_crc && batch.check_crc().is_err() {
            return Err(bad("a damaged batch"));
        }
        next = batch.header().next_offset();
        rest = tail;
    }
    Ok((next, all.len() - rest.len()))
}

/// How many aborted transactions a Fetch response names.
pub(crate) fn aborted(frame: &[u8]) -> io::Result<usize> {
    let response: fetch::FetchResponse<'_> = body_of(ApiKey::Fetch, frame)?;
    let partitions = response.responses.iter().flat_map(|t| &t.partitions);
    let named = partitions.filter_map(|partition| partition.aborted_transactions.as_ref());
    Ok(named.map(Vec::len).sum())
}

/// Decodes the answer to a request of the newest version.
pub(crate) fn body_of<'a, T: Wire<'a>>(api: ApiKey, frame: &'a [u8]) -> io::Result<T> {
    body_as(api, api.info().max, frame)
}

/// The same of an older version, which must be a flexible one.
pub(crate) fn body_as<'a, T: Wire<'a>>(
    api: ApiKey,
    version: i16,
    frame: &'a [u8],
) -> io::Result<T> {
    let head_bytes = if api == ApiKey::ApiVersions { 4 } else { 5 };
    let body = frame
        .get(head_bytes..)
        .ok_or_else(|| bad("a short response"))?;
    proto::decode(body, version, true).map_err(|error| bad(error.0))
}

pub(crate) fn check_code(code: ErrorCode) -> io::Result<()> {
    match code {
        ErrorCode::NONE => Ok(()),
        code => Err(io::Error::other(format!("the broker answers {code}"))),
    }
}

pub(crate) fn bad(why: &'static str) -> io::Error {
    io::Error::other(why)
}

/// One connection: raw frames out, frames in.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    inbox: Inbox,
    last: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client {
            stream,
            inbox: Inbox::default(),
            last: Vec::new(),
        })
    }

    /// Calls `each` with the responses that have arrived, waiting for one if there is none.
    pub(crate) fn receive(
        &mut self,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut some = false;
        while !some {
            let count = self.stream.read(self.inbox.space(READ_BYTES))?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.inbox.filled(count);
            while let Some(frame) = self
                .inbox
                .frame(MAX_RESPONSE_BYTES)
                .map_err(|_| bad("a bad frame"))?
            {
                each(frame)?;
                some = true;
                self.inbox.consume();
            }
        }
        Ok(())
    }

    /// Sends one request and reads its response.
    pub(crate) fn ask<T>(
        &mut self,
        frame: &[u8],
        read: impl Fn(&[u8]) -> io::Result<T>,
    ) -> io::Result<T> {
        self.stream.write_all(frame)?;
        self.answer(read)
    }

    /// Sends requests, a window of them at a time, and reads the responses, each with the index of its request.
    pub(crate) fn ask_many<T>(
        &mut self,
        frames: &[Vec<u8>],
        read: impl Fn(usize, &[u8]) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let mut answers = Vec::with_capacity(frames.len());
        for window in frames.chunks(WINDOW) {
            self.stream.write_all(&window.concat())?;
            let wanted = answers.len() + window.len();
            while answers.len() < wanted {
                self.receive(|frame| {
                    answers.push(read(answers.len(), frame)?);
                    Ok(())
                })?;
            }
        }
        Ok(answers)
    }

    /// Reads the response to the one request that is under way.
    pub(crate) fn answer<T>(&mut self, read: impl Fn(&[u8]) -> io::Result<T>) -> io::Result<T> {
        let mut answer = Err(bad("no response"));
        self.receive(|frame| {
            answer = read(frame);
            Ok(())
        })?;
        answer
    }

    /// Sends one request and decodes its response.
    fn call_frame<'c, R: Wire<'c>>(&'c mut self, api: ApiKey, frame: &[u8]) -> io::Result<R> {
        self.stream.write_all(frame)?;
        let mut last = Vec::new();
        self.receive(|frame| {
            last = frame.to_vec();
            Ok(())
        })?;
        self.last = last;
        body_of(api, &self.last)
    }

    /// Fails unless the broker serves the versions spoken here.
    pub(crate) fn check_versions(&mut self) -> io::Result<()> {
        let body = api_versions::ApiVersionsRequest {
            client_software_name: "bench",
            client_software_version: "0",
        };
        let frame = request(ApiKey::ApiVersions, &body);
        let response: api_versions::ApiVersionsResponse<'_> =
            self.call_frame(ApiKey::ApiVersions, &frame)?;
        check_code(response.error_code)?;
        for api in [
            ApiKey::Produce,
            ApiKey::Fetch,
            ApiKey::Metadata,
            ApiKey::CreateTopics,
        ] {
            let served = |row: &api_versions::ApiVersion| {
                row.api_key == api as i16 && row.max_version >= api.info().max
            };
            if !response.api_keys.iter().any(served) {
                return Err(bad("the broker does not serve the versions of Kafka 4.3"));
            }
        }
        Ok(())
    }

    /// Asks for all topics; their number.
    pub(crate) fn metadata(&mut self) -> io::Result<usize> {
        let frame = metadata_frame();
        let response: metadata::MetadataResponse<'_> = self.call_frame(ApiKey::Metadata, &frame)?;
        check_code(response.error_code)?;
        Ok(response.topics.len())
    }

    /// Creates a topic; its id.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: usize,
        durable: bool,
    ) -> io::Result<Uuid> {
        let frame = create_topic_frame(name, partitions, durable);
        self.ask(&frame, created_topic)
    }
}
