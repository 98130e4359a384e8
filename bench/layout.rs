//! Where things stand in frames: the bare loop decodes nothing, so this is found out once, at its start.

use crate::client::{self, FETCH_BYTES, Shape, put_length};
use chronikd::proto::header::put_response_header;
use chronikd::proto::schema::{fetch, produce};
use chronikd::proto::{self, ApiKey, Records, Uuid, Wire};
use std::ops::Range;

/// The places in the frames of one shape, and the answers to them.
pub(crate) struct Layout {
    head_bytes: usize,
    tail_bytes: usize,
    offset_at: usize,
    batch_bytes: usize,
    records: i64,
    /// The answer to a Produce request.
    pub(crate) produced: Template,
    /// The answer to a Fetch request up to the records, and what follows them.
    pub(crate) fetched: Template,
    pub(crate) fetched_tail: Vec<u8>,
    /// The bytes of records in an answer to a Fetch request: whole batches.
    pub(crate) fetch_bytes: usize,
}

/// A response in which correlation id and offset are filled in.
pub(crate) struct Template {
    bytes: Vec<u8>,
    offset_at: Option<usize>,
}

/// A number that occurs nowhere else in a message.
const MARK: i64 = 0x0123_4567_89ab_cdef;

impl Layout {
    pub(crate) fn of(shape: &Shape) -> Layout {
        let batch = shape.batch(0, 0);
        let frame = client::produce_frame(Uuid::ZERO, shape, 0);
        let head_bytes = find(&frame, &batch);
        let fetch_bytes = FETCH_BYTES / batch.len() * batch.len();
        let (fetched, fetched_tail) = fetched_template(fetch_bytes);
        Layout {
            head_bytes,
            tail_bytes: frame.len() - head_bytes - batch.len(),
            offset_at: find(&client::fetch_frame(Uuid::ZERO, MARK), &MARK.to_be_bytes()),
            batch_bytes: batch.len(),
            records: shape.records as i64,
            produced: produced_template(),
            fetched,
            fetched_tail,
            fetch_bytes,
        }
    }

    /// Where the records stand, given where the frame of a Produce request does.
    pub(crate) fn records_in(&self, frame: Range<usize>) -> Range<usize> {
        frame.start + self.head_bytes..frame.end - self.tail_bytes
    }

    /// The position in the file that a Fetch request asks for.
    pub(crate) fn position_in(&self, frame: &[u8]) -> usize {
        let mut offset = [0; 8];
        offset.copy_from_slice(&frame[self.offset_at..self.offset_at + 8]);
        (i64::from_be_bytes(offset) / self.records) as usize * self.batch_bytes
    }
}

impl Template {
    pub(crate) fn append_to(&self, out: &mut Vec<u8>, correlation: [u8; 4], offset: i64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out[start + 4..start + 8].copy_from_slice(&correlation);
        if let Some(at) = self.offset_at {
            out[start + at..start + at + 8].copy_from_slice(&offset.to_be_bytes());
        }
    }
}

fn response<'a, T: Wire<'a>>(api: ApiKey, body: &T) -> (Vec<u8>, Vec<usize>) {
    let version = api.info().max;
    let mut bytes = vec![0; 4];
    put_response_header(api, version, 0, &mut bytes);
    let cuts = proto::encode(body, version, true, &mut bytes).expect("a small response");
    (bytes, cuts)
}

fn produced_template() -> Template {
    let partition = produce::PartitionProduceResponse {
        base_offset: MARK,
        ..Default::default()
    };
    let topic = produce::TopicProduceResponse {
        partition_responses: vec![partition],
        ..Default::default()
    };
    let body = produce::ProduceResponse {
        responses: vec![topic],
        ..Default::default()
    };
    let (mut bytes, _) = response(ApiKey::Produce, &body);
    put_length(&mut bytes);
    Template {
        offset_at: Some(find(&bytes, &MARK.to_be_bytes())),
        bytes,
    }
}

fn fetched_template(length: usize) -> (Template, Vec<u8>) {
    let partition = fetch::PartitionData {
        records: Records::Elsewhere { length },
        ..Default::default()
    };
    let topic = fetch::FetchableTopicResponse {
        partitions: vec![partition],
        ..Default::default()
    };
    let body = fetch::FetchResponse {
        responses: vec![topic],
        ..Default::default()
    };
    let (mut bytes, cuts) = response(ApiKey::Fetch, &body);
    let whole = (bytes.len() - 4 + length) as u32;
    bytes[..4].copy_from_slice(&whole.to_be_bytes());
    let tail = bytes.split_off(cuts[0]);
    let offset_at = None;
    (Template { bytes, offset_at }, tail)
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut windows = bytes.windows(wanted.len());
    windows
        .position(|window| window == wanted)
        .expect("it was written there")
}
