//! Settings that are changed while the broker runs: they hold from the next request on, and are kept over a kill.

use std::path::PathBuf;
use std::time::Duration;

use chronikd::proto::ApiKey;
use chronikd::proto::batch::{Batch, BatchBuilder};
use chronikd::proto::codec::Codec;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::api_versions::ApiVersionsRequest;
use chronikd::proto::schema::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use chronikd::proto::schema::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use crate::common::ask::frame;
use crate::common::broker::Broker;
use crate::common::kafka::{Kafka, read_body};
use crate::common::now_ms;
use crate::common::raw::Raw;

/// A resource: its type, as clients number types, and its name.
type Resource = (i8, &'static str);

const TOPIC: Resource = (2, "topic");
const THIS_BROKER: Resource = (4, "1");
const EVERY_BROKER: Resource = (4, "");
const LOGGERS: Resource = (8, "1");

/// Sources of values, as clients number them.
const OF_TOPIC: i8 = 1;
const OF_THIS_BROKER: i8 = 2;
const OF_EVERY_BROKER: i8 = 3;
const DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;

const HOUR_MS: i64 = 3_600_000;
/// Who is not answered for so long is waiting.
const A_WHILE: Duration = Duration::from_millis(200);

/// A topic's own settings.
pub(crate) fn topics() {
    let mut live = Live::start();
    live.batches_are_measured();
    live.times_are_judged_and_given();
    live.segments_are_closed();
}

/// Settings of brokers, and levels of loggers.
pub(crate) fn brokers() {
    let mut live = Live::start();
    live.the_nearest_layer_counts();
    live.loggers_say_more_until_the_broker_stops();
    live.connections_are_counted();
}

/// Every codec in the place of every other.
pub(crate) fn codecs() {
    let mut live = Live::start();
    let mut expected = Vec::new();
    for stored in Codec::ALL {
        let name = match stored {
            Codec::None => "uncompressed",
            _ => stored.name(),
        };
        live.set(TOPIC, "compression.type", name);
        for sent in Codec::ALL {
            live.send(batch(&["a", "b"], sent)).expect("room");
            expected.push(stored);
        }
    }
    live.crash();
    live.set(TOPIC, "compression.type", "producer");
    live.send(batch(&["a", "b"], Codec::Snappy)).expect("room");
    expected.push(Codec::Snappy);
    assert_eq!(live.codecs_on_disk(), expected);
    let values: Vec<_> = live.values();
    assert_eq!(values, ["a", "b"].repeat(expected.len()));
}

struct Live {
    // In this order: who talks to the broker ends before it does.
    control: Kafka,
    broker: Broker,
}

impl Live {
    fn start() -> Live {
        let broker = Broker::start(&[]);
        let mut control = Kafka::connect(broker.port()).expect("a connection");
        control.create(TOPIC.1, 1, &[]);
        Live { control, broker }
    }

    fn crash(&mut self) {
        self.broker.kill9();
        self.broker.restart();
        self.control = Kafka::connect(self.broker.port()).expect("a connection");
    }

    fn set(&mut self, resource: Resource, key: &str, value: &str) {
        self.change(resource, key, SET, Some(value));
    }

    fn unset(&mut self, resource: Resource, key: &str) {
        self.change(resource, key, DELETE, None);
    }

    fn change(&mut self, (kind, name): Resource, key: &str, op: i8, value: Option<&str>) {
        let change = AlterableConfig {
            name: key,
            config_operation: op,
            value,
        };
        let resource = AlterConfigsResource {
            resource_type: kind,
            resource_name: name,
            configs: vec![change],
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
        let api = ApiKey::IncrementalAlterConfigs;
        self.control.send(api, 1, &request).expect("sent");
        let body = self.control.receive(api, 1).expect("an answer");
        let answer: IncrementalAlterConfigsResponse<'_> = read_body(&body, api, 1);
        let told = &answer.responses[0];
        assert_eq!(told.error_code, ErrorCode::NONE, "{:?}", told.error_message);
    }

    /// A value and its source.
    fn shown(&mut self, (kind, name): Resource, key: &'static str) -> (String, i8) {
        let resource = DescribeConfigsResource {
            resource_type: kind,
            resource_name: name,
            configuration_keys: Some(vec![key]),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            ..DescribeConfigsRequest::default()
        };
        let api = ApiKey::DescribeConfigs;
        self.control.send(api, 4, &request).expect("sent");
        let body = self.control.receive(api, 4).expect("an answer");
        let answer: DescribeConfigsResponse<'_> = read_body(&body, api, 4);
        let row = &answer.results[0].configs[0];
        let value = row.value.as_deref().unwrap_or_default();
        (value.to_owned(), row.config_source)
    }

    /// Whether a batch is taken.
    fn send(&mut self, batch: Vec<u8>) -> Result<(), ErrorCode> {
        self.control.produce(TOPIC.1, 0, -1, &batch).expect("sent");
        match self.control.acked().expect("an answer").error {
            ErrorCode::NONE => Ok(()),
            error => Err(error),
        }
    }

    fn values(&mut self) -> Vec<String> {
        let records = self.control.read_all(TOPIC.1, 0).expect("a readable log");
        let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default());
        let values = records.into_iter().map(|record| text(record.value));
        values.map(|value| value.expect("text")).collect()
    }

    /// The closed and the open segments.
    fn segments(&self) -> Vec<PathBuf> {
        let dir = self.broker.data().join(format!("{}-0", TOPIC.1));
        let entries = std::fs::read_dir(dir).expect("the topic's directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut logs: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .collect();
        logs.sort();
        logs
    }

    fn codecs_on_disk(&self) -> Vec<Codec> {
        let bytes = std::fs::read(&self.segments()[0]).expect("a segment");
        let mut rest = &bytes[..];
        let mut codecs = Vec::new();
        while let Ok((batch, tail)) = Batch::split_first(rest) {
            batch.check_crc().expect("the checksum");
            codecs.push(batch.header().attributes.codec().expect("a codec"));
            rest = tail;
        }
        codecs
    }

    fn batches_are_measured(&mut self) {
        let large = || batch(&[&"x".repeat(300)], Codec::None);
        assert_eq!(self.send(large()), Ok(()));
        self.set(TOPIC, "max.message.bytes", "200");
        assert_eq!(self.send(large()), Err(ErrorCode::MESSAGE_TOO_LARGE));
        self.crash();
        assert_eq!(self.send(large()), Err(ErrorCode::MESSAGE_TOO_LARGE));
        let shown = self.shown(TOPIC, "max.message.bytes");
        assert_eq!(shown, ("200".to_owned(), OF_TOPIC));
        self.unset(TOPIC, "max.message.bytes");
        assert_eq!(self.send(large()), Ok(()));
        assert_eq!(self.shown(TOPIC, "max.message.bytes").1, DEFAULT);
    }

    fn times_are_judged_and_given(&mut self) {
        let tomorrow = now_ms() + 24 * HOUR_MS;
        let of_tomorrow = || {
            let mut builder = BatchBuilder::new(0);
            builder.push(tomorrow, None, Some(b"tomorrow"));
            builder.build(None).expect("a batch")
        };
        assert_eq!(self.send(of_tomorrow()), Err(ErrorCode::INVALID_TIMESTAMP));
        let most = i64::MAX.to_string();
        self.set(TOPIC, "message.timestamp.after.max.ms", &most);
        assert_eq!(self.send(of_tomorrow()), Ok(()));
        self.set(TOPIC, "message.timestamp.type", "LogAppendTime");
        assert_eq!(self.send(of_tomorrow()), Ok(()));
        self.crash();
        assert_eq!(self.send(of_tomorrow()), Ok(()));
        let records = self.control.read_all(TOPIC.1, 0).expect("a readable log");
        let times: Vec<bool> = records
            .iter()
            .rev()
            .take(3)
            .map(|record| record.timestamp_ms == tomorrow)
            .collect();
        assert_eq!(times, [false, false, true]);
        self.unset(TOPIC, "message.timestamp.type");
    }

    fn segments_are_closed(&mut self) {
        let half = || batch(&[&"x".repeat(600_000)], Codec::None);
        for _ in 0..4 {
            self.send(half()).expect("room");
        }
        assert_eq!(self.segments().len(), 1);
        self.set(TOPIC, "segment.bytes", "1048576");
        for _ in 0..3 {
            self.send(half()).expect("room");
        }
        assert_eq!(self.segments().len(), 4);
        self.crash();
        self.send(half()).expect("room");
        assert_eq!(self.segments().len(), 5);
    }

    fn the_nearest_layer_counts(&mut self) {
        let (key, of_topic) = ("message.max.bytes", "max.message.bytes");
        let large = || batch(&[&"x".repeat(300)], Codec::None);
        self.set(EVERY_BROKER, key, "200");
        assert_eq!(self.send(large()), Err(ErrorCode::MESSAGE_TOO_LARGE));
        assert_eq!(
            self.shown(TOPIC, of_topic),
            ("200".to_owned(), OF_EVERY_BROKER)
        );
        self.set(THIS_BROKER, key, "5000");
        assert_eq!(self.send(large()), Ok(()));
        self.crash();
        assert_eq!(
            self.shown(TOPIC, of_topic),
            ("5000".to_owned(), OF_THIS_BROKER)
        );
        assert_eq!(
            self.shown(EVERY_BROKER, key),
            ("200".to_owned(), OF_EVERY_BROKER)
        );
        self.set(TOPIC, of_topic, "100");
        assert_eq!(self.send(large()), Err(ErrorCode::MESSAGE_TOO_LARGE));
        self.unset(TOPIC, of_topic);
        self.unset(THIS_BROKER, key);
        assert_eq!(self.send(large()), Err(ErrorCode::MESSAGE_TOO_LARGE));
        self.unset(EVERY_BROKER, key);
        self.crash();
        assert_eq!(self.send(large()), Ok(()));
        assert_eq!(self.shown(TOPIC, of_topic).1, DEFAULT);
    }

    fn loggers_say_more_until_the_broker_stops(&mut self) {
        assert!(!self.broker.log().contains(" DEBUG "));
        self.set(LOGGERS, "root", "DEBUG");
        assert_eq!(self.shown(LOGGERS, "root").0, "DEBUG");
        assert!(self.broker.log().contains(" DEBUG "));
        self.crash();
        assert_eq!(self.shown(LOGGERS, "root").0, "INFO");
    }

    /// Who comes when there are enough waits until somebody goes.
    fn connections_are_counted(&mut self) {
        self.set(THIS_BROKER, "max.connections", "2");
        self.crash();
        let shown = self.shown(THIS_BROKER, "max.connections");
        assert_eq!(shown, ("2".to_owned(), OF_THIS_BROKER));
        let mut second = Kafka::connect(self.broker.port()).expect("a connection");
        second.answers().expect("an answer");
        let mut third = Raw::connect(self.broker.port()).expect("what the system accepts");
        let request = frame(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default());
        third.send(&request).expect("sent");
        third.0.set_read_timeout(Some(A_WHILE)).expect("a socket");
        assert!(third.read().is_err(), "it is served beyond the limit");
        drop(second);
        third.0.set_read_timeout(None).expect("a socket");
        third.read().expect("an answer");
    }
}

fn batch(values: &[&str], codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0).codec(codec);
    for value in values {
        builder.push(now_ms(), None, Some(value.as_bytes()));
    }
    builder.build(None).expect("a batch")
}
