//! Requests into frames, and frames into responses.

use chronikd::proto::batch::{Batch, BatchBuilder, BatchHeader, EndMarker, Record};
use chronikd::proto::{self, ApiKey, Wire};

/// How many keys the records outside of transactions have, so that compaction finds something to drop.
const KEYS: u64 = 8;
/// Marks of records in transactions begin here.
pub const FIRST_MARK: u64 = 1_000 << 32;

/// What every client calls itself.
pub const CLIENT: &str = "sim";

/// One response, and the request that it answers.
#[derive(Debug)]
pub struct Reply {
    /// The request's number on its connection.
    pub correlation: i32,
    /// What was asked.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    /// Everything behind the response's header.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as a message.
    pub fn read<'a, T: Wire<'a>>(&'a self) -> T {
        let flexible = self.api.info().is_flexible(self.version);
        proto::decode(&self.body, self.version, flexible).expect("a response that makes sense")
    }
}

/// A whole frame, its length included.
pub fn frame<'a, T: Wire<'a>>(api: ApiKey, version: i16, correlation: i32, body: &T) -> Vec<u8> {
    let flexible = api.info().is_flexible(version);
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&(api as i16).to_be_bytes());
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(&correlation.to_be_bytes());
    bytes.extend_from_slice(&(CLIENT.len() as i16).to_be_bytes());
    bytes.extend_from_slice(CLIENT.as_bytes());
    if flexible {
        bytes.push(0);
    }
    proto::encode(body, version, flexible, &mut bytes).expect("a request that can be written");
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Splits the frame of a response into correlation id and body.
pub fn split_response(api: ApiKey, version: i16, frame: &[u8]) -> (i32, Vec<u8>) {
    let (correlation, rest) = frame.split_first_chunk().expect("a response header");
    let has_tags = api != ApiKey::ApiVersions && api.info().is_flexible(version);
    let body = if has_tags {
        assert_eq!(rest.first(), Some(&0), "a response header has no tags");
        &rest[1..]
    } else {
        rest
    };
    (i32::from_be_bytes(*correlation), body.to_vec())
}

/// Who writes a batch, and which of its records comes first.
#[derive(Clone, Copy, Debug)]
pub struct Author {
    /// Producer id.
    pub id: i64,
    /// Producer epoch.
    pub epoch: i16,
    /// Sequence of the batch's first record.
    pub sequence: i32,
}

/// The key of a record. In a transaction every record has its own, because all of them are counted.
pub fn key_of(mark: u64) -> u64 {
    match mark < FIRST_MARK {
        true => mark % KEYS,
        false => mark,
    }
}

/// A batch of `count` records, marked `first`, `first + 1`, ...; `filler` bytes in each.
pub fn batch(
    first: u64,
    count: usize,
    filler: usize,
    time_ms: i64,
    author: Option<Author>,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0);
    if let Some(author) = author {
        builder = builder.producer(author.id, author.epoch, author.sequence);
    }
    for mark in first..first + count as u64 {
        let mut value = mark.to_be_bytes().to_vec();
        value.resize(8 + filler, mark as u8);
        builder.push(time_ms, Some(&key_of(mark).to_be_bytes()), Some(&value));
    }
    builder.build(None).expect("a batch")
}

/// A batch as a fetcher gets it.
#[derive(Clone, Debug)]
pub struct Read {
    /// Its header.
    pub header: BatchHeader,
    /// The offsets and marks of its records, in order; none in the end of a transaction.
    pub records: Vec<(i64, u64)>,
    /// The end of a transaction, if it is one.
    pub marker: Option<EndMarker>,
}

/// The batches of a fetch, each of which must be whole and right.
pub fn batches(mut bytes: &[u8]) -> Vec<Read> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (batch, rest) = Batch::split_first(bytes).expect("whole batches");
        batch.check_crc().expect("the checksum of a batch");
        let marker = EndMarker::of(&batch);
        let records = batch.records(batch.payload());
        let records = records.filter(|_| marker.is_none());
        let base = batch.header().base_offset;
        let marks = records.map(|record| {
            let record = record.expect("a record");
            (base + i64::from(record.offset_delta), mark(&record))
        });
        found.push(Read {
            header: *batch.header(),
            records: marks.collect(),
            marker,
        });
        bytes = rest;
    }
    found
}

fn mark(record: &Record<'_>) -> u64 {
    let value = record.value.expect("a value");
    let (mark, filler) = value.split_first_chunk().expect("a mark");
    let mark = u64::from_be_bytes(*mark);
    assert!(
        filler.iter().all(|byte| *byte == mark as u8),
        "the filler of record {mark:#x}"
    );
    let key = record.key.expect("a key");
    assert_eq!(
        key,
        key_of(mark).to_be_bytes(),
        "the key of record {mark:#x}"
    );
    mark
}
