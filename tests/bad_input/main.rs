//! Hostile and broken input on a raw socket: one test for each row of what a real broker does with it.
//!
//! "Closes" means that the connection ends after what was answered before, without another byte. After each
//! case another connection is served as if nothing had been.

#[path = "../common/mod.rs"]
mod common;

mod groups;

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::codec::Codec;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use chronikd::proto::schema::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use chronikd::proto::schema::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use chronikd::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use chronikd::proto::{ApiKey, Records, Uuid};
use common::ask::{ask, decode, frame, header};
use common::broker::Broker;
use common::raw::Raw;
use std::io::{Read, Write};

/// The connection is served.
fn assert_served(raw: &mut Raw) {
    let request = frame(ApiKey::ApiVersions, 3, &software("test", "1"));
    let body = ask(raw, ApiKey::ApiVersions, 3, &request);
    let answer: ApiVersionsResponse<'_> = decode(&body, ApiKey::ApiVersions, 3);
    assert_eq!(answer.error_code, ErrorCode::NONE);
}

fn software<'a>(name: &'a str, version: &'a str) -> ApiVersionsRequest<'a> {
    ApiVersionsRequest {
        client_software_name: name,
        client_software_version: version,
    }
}

fn connect(broker: &Broker) -> Raw {
    Raw::connect(broker.port()).expect("a connection")
}

/// Sends raw bytes behind a good request: that one is answered, then the connection closes.
fn assert_closes(broker: &Broker, bytes: &[u8]) {
    let mut raw = connect(broker);
    assert_served(&mut raw);
    raw.0.write_all(bytes).expect("sent");
    assert!(raw.is_closed(), "{bytes:02x?} must close");
    assert_served(&mut connect(broker));
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [
        &i32::try_from(frame.len()).expect("short").to_be_bytes()[..],
        frame,
    ]
    .concat()
}

#[test]
fn a_frame_of_impossible_length_closes_at_once() {
    let broker = Broker::start(&[]);
    for length in [-1, 0, i32::MIN, 104_857_601, i32::MAX] {
        assert_closes(&broker, &length.to_be_bytes());
    }
}

#[test]
fn a_header_that_makes_no_sense_closes() {
    let broker = Broker::start(&[]);
    assert_closes(&broker, &framed(&[0]));
    assert_closes(&broker, &framed(&header(999, 0)));
    assert_closes(&broker, &framed(&header(-1, 0)));
    assert_closes(&broker, &framed(&[0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xfe]));
}

#[test]
fn a_version_that_is_not_served_and_a_controllers_api_close() {
    let broker = Broker::start(&[]);
    for (api, version) in [
        (3, 14),
        (3, -1),
        (0, 99),
        (4, 0),
        (5, 1),
        (6, 7),
        (7, 3),
        (56, 0),
        (1, 19),
    ] {
        assert_closes(&broker, &framed(&header(api, version)));
    }
}

#[test]
fn a_body_that_makes_no_sense_closes() {
    let broker = Broker::start(&[]);
    let bodies: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xfe],
        &[0, 0, 0, 1, 0xff],
        &[0, 0],
    ];
    for body in bodies {
        assert_closes(&broker, &framed(&[&header(3, 1), body].concat()));
    }
}

#[test]
fn bytes_behind_a_body_are_ignored() {
    let broker = Broker::start(&[]);
    let mut raw = connect(&broker);
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let request = [&frame(ApiKey::Metadata, 4, &request)[..], &[1, 2, 3]].concat();
    let body = ask(&mut raw, ApiKey::Metadata, 4, &request);
    let answer: MetadataResponse<'_> = decode(&body, ApiKey::Metadata, 4);
    assert_eq!(answer.brokers.len(), 1);
    assert_served(&mut raw);
}

#[test]
fn an_unsupported_version_of_api_versions_is_answered_in_version_0() {
    let broker = Broker::start(&[]);
    let mut raw = connect(&broker);
    for version in [5, 99, i16::MAX, -1] {
        let tags: &[u8] = if version >= 3 { &[0] } else { &[] };
        let request = [&header(18, version)[..], tags, &[0xde, 0xad, 0xbe, 0xef]].concat();
        let body = ask(&mut raw, ApiKey::ApiVersions, 0, &request);
        assert_eq!(
            body,
            [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4],
            "version {version}"
        );
    }
    assert_served(&mut raw);
}

#[test]
fn an_illegal_software_name_is_answered_42() {
    let broker = Broker::start(&[]);
    let mut raw = connect(&broker);
    for (name, version) in [("", "1"), ("a b", "1"), ("a", "-1"), ("a", "")] {
        let request = frame(ApiKey::ApiVersions, 4, &software(name, version));
        let body = ask(&mut raw, ApiKey::ApiVersions, 4, &request);
        let answer: ApiVersionsResponse<'_> = decode(&body, ApiKey::ApiVersions, 4);
        assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
        assert!(answer.api_keys.is_empty());
    }
    assert_served(&mut raw);
}

#[test]
fn an_unknown_topic_id_is_answered_100_with_the_id() {
    let broker = Broker::start(&[]);
    let mut raw = connect(&broker);
    let topic_id = Uuid([9; 16]);
    let topics = Some(vec![MetadataRequestTopic {
        topic_id,
        name: None,
    }]);
    let request = MetadataRequest {
        topics,
        ..Default::default()
    };
    let body = ask(
        &mut raw,
        ApiKey::Metadata,
        13,
        &frame(ApiKey::Metadata, 13, &request),
    );
    let answer: MetadataResponse<'_> = decode(&body, ApiKey::Metadata, 13);
    let topic = &answer.topics[0];
    assert_eq!(
        (topic.error_code, topic.name, topic.topic_id),
        (ErrorCode::UNKNOWN_TOPIC_ID, None, topic_id)
    );
}

/// A topic made for one test, and what is produced to it.
struct Producing {
    _broker: Broker,
    raw: Raw,
}

impl Producing {
    fn new(settings: &[(&str, &str)]) -> Producing {
        let broker = Broker::start(&[]);
        let mut raw = connect(&broker);
        let configs = settings.iter().map(|&(name, value)| CreatableTopicConfig {
            name,
            value: Some(value),
        });
        let topic = CreatableTopic {
            name: "t",
            num_partitions: 1,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let body = ask(
            &mut raw,
            ApiKey::CreateTopics,
            7,
            &frame(ApiKey::CreateTopics, 7, &request),
        );
        let answer: CreateTopicsResponse<'_> = decode(&body, ApiKey::CreateTopics, 7);
        assert_eq!(answer.topics[0].error_code, ErrorCode::NONE);
        Producing {
            _broker: broker,
            raw,
        }
    }

    fn request(version: i16, acks: i16, partition: i32, records: Option<&[u8]>) -> Vec<u8> {
        let partition_data = vec![PartitionProduceData {
            index: partition,
            records: Records::Here(records),
        }];
        let topic_data = vec![TopicProduceData {
            name: "t",
            partition_data,
            ..Default::default()
        }];
        let request = ProduceRequest {
            acks,
            timeout_ms: 10_000,
            topic_data,
            ..Default::default()
        };
        frame(ApiKey::Produce, version, &request)
    }

    fn code(&mut self, version: i16, acks: i16, records: Option<&[u8]>) -> ErrorCode {
        let request = Producing::request(version, acks, 0, records);
        let body = ask(&mut self.raw, ApiKey::Produce, version, &request);
        let answer: ProduceResponse<'_> = decode(&body, ApiKey::Produce, version);
        answer.responses[0].partition_responses[0].error_code
    }
}

fn batch(build: impl FnOnce(BatchBuilder) -> BatchBuilder) -> Vec<u8> {
    let mut builder = build(BatchBuilder::new(0));
    builder.push(-1, Some(b"key"), Some(b"value"));
    builder.build(None).expect("a small batch")
}

#[test]
fn damaged_and_illegal_batches_have_their_codes() {
    let mut producing = Producing::new(&[]);
    let good = batch(|b| b);
    let flipped = |position: usize| {
        let mut bytes = good.clone();
        bytes[position] ^= 1;
        bytes
    };
    let two = [&good[..], &good].concat();
    let trailing = [&good[..], &[1, 2, 3]].concat();
    let cases: [(&str, &[u8], ErrorCode); 10] = [
        ("a good batch", &good, ErrorCode::NONE),
        ("trailing bytes", &trailing, ErrorCode::NONE),
        (
            "a wrong checksum",
            &flipped(good.len() - 1),
            ErrorCode::CORRUPT_MESSAGE,
        ),
        ("zeros", &[0; 100], ErrorCode::CORRUPT_MESSAGE),
        (
            "a batch cut short",
            &good[..good.len() - 1],
            ErrorCode::INVALID_RECORD,
        ),
        ("a base offset", &flipped(7), ErrorCode::INVALID_RECORD),
        ("no records", &[], ErrorCode::INVALID_RECORD),
        ("two batches", &two, ErrorCode::INVALID_RECORD),
        (
            "magic 1",
            &flipped_magic(&good, 1),
            ErrorCode::INVALID_RECORD,
        ),
        (
            "a control batch",
            &batch(BatchBuilder::control),
            ErrorCode::INVALID_RECORD,
        ),
    ];
    for (what, records, code) in cases {
        assert_eq!(producing.code(9, -1, Some(records)), code, "{what}");
    }
    assert_eq!(
        producing.code(9, 1, None),
        ErrorCode::INVALID_RECORD,
        "null records"
    );
}

fn flipped_magic(batch: &[u8], magic: u8) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    bytes[16] = magic;
    bytes
}

#[test]
fn illegal_acks_are_answered_21() {
    let mut producing = Producing::new(&[]);
    for acks in [2, -2, i16::MAX] {
        assert_eq!(
            producing.code(9, acks, Some(&batch(|b| b))),
            ErrorCode::INVALID_REQUIRED_ACKS
        );
    }
}

#[test]
fn a_compacted_topic_wants_keys() {
    let mut producing = Producing::new(&[("cleanup.policy", "compact")]);
    let mut keyless = BatchBuilder::new(0);
    keyless.push(-1, None, Some(b"value"));
    let keyless = keyless.build(None).expect("a small batch");
    assert_eq!(
        producing.code(9, -1, Some(&keyless)),
        ErrorCode::INVALID_RECORD
    );
    assert_eq!(producing.code(9, -1, Some(&batch(|b| b))), ErrorCode::NONE);
}

#[test]
fn absurd_times_and_large_batches_are_refused() {
    let mut producing = Producing::new(&[("max.message.bytes", "1000")]);
    let mut late = BatchBuilder::new(0);
    late.push(i64::MAX / 2, Some(b"k"), Some(b"v"));
    let late = late.build(None).expect("a small batch");
    assert_eq!(
        producing.code(9, -1, Some(&late)),
        ErrorCode::INVALID_TIMESTAMP
    );
    let mut large = BatchBuilder::new(0);
    large.push(-1, Some(b"k"), Some(&[0; 1000]));
    let large = large.build(None).expect("a small batch");
    assert_eq!(
        producing.code(9, -1, Some(&large)),
        ErrorCode::MESSAGE_TOO_LARGE
    );
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_needs_produce_7() {
    let mut producing = Producing::new(&[]);
    let records = batch(|b| b.codec(Codec::Zstd));
    assert_eq!(
        producing.code(6, -1, Some(&records)),
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
    );
    assert_eq!(producing.code(7, -1, Some(&records)), ErrorCode::NONE);
}

#[test]
fn a_failed_produce_without_acks_closes_and_a_good_one_is_silent() {
    let mut producing = Producing::new(&[]);
    let good = batch(|b| b);
    producing
        .raw
        .send(&Producing::request(9, 0, 0, Some(&good)))
        .expect("sent");
    assert_served(&mut producing.raw);
    producing
        .raw
        .send(&Producing::request(9, 0, 99, Some(&good)))
        .expect("sent");
    assert!(producing.raw.is_closed());
}

#[test]
fn http_and_tls_are_told_apart_from_kafka() {
    let broker = Broker::start(&[]);
    let mut raw = connect(&broker);
    raw.0
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    raw.0.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let mut raw = connect(&broker);
    raw.0
        .write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
        .expect("sent");
    assert!(raw.is_closed());
    let log = broker.log();
    assert!(log.contains("HTTP") && log.contains("TLS"), "{log}");
}

#[test]
fn ten_thousand_requests_in_one_write_are_answered_in_order() {
    let broker = Broker::start(&[]);
    let mut raw = connect(&broker);
    let request = |id: i32| {
        let mut frame = frame(ApiKey::ApiVersions, 0, &software("", ""));
        frame[4..8].copy_from_slice(&id.to_be_bytes());
        framed(&frame)
    };
    let all: Vec<u8> = (0..10_000).flat_map(request).collect();
    let mut writer = Raw(raw.0.try_clone().expect("a second handle"));
    let writing = std::thread::spawn(move || writer.0.write_all(&all));
    assert_served(&mut connect(&broker));
    for id in 0..10_000i32 {
        assert_eq!(raw.read().expect("an answer")[..4], id.to_be_bytes());
    }
    writing.join().expect("no panic").expect("written");
}
