//! Kafka's own `VerifiableProducer` and `VerifiableConsumer`, while the broker is killed.
//!
//! Both print JSON, one event a line. The consumer's events are what a member of ours says in its lines, so the
//! same book is kept of them; here only the words that are needed are picked out of the text.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::book::Book;
use crate::common::dir::Dir;
use crate::common::feeder::Acked;
use crate::common::kafka::Kafka;
use crate::common::server::Server;
use crate::common::talk::Talk;
use crate::common::{on_path, skipped, toolchain};
use crate::member::Line;
use crate::story::{assert_contains, read_log};

const TOOLCHAIN: &str = "kafka-4.3";
const PARTITIONS: usize = 3;
const CONSUMERS: usize = 2;
const CRASHES: usize = 3;
/// Records a second.
const THROUGHPUT: &str = "500";
/// Records that are acknowledged between two crashes, and behind the last one.
const BETWEEN: usize = 500;
const RECORDS: usize = (CRASHES + 1) * BETWEEN;
/// A file's name, and what stands in it.
type Settings = (&'static str, &'static str);
const CONSUMER: Settings = (
    "consumer",
    "heartbeat.interval.ms=500\nreconnect.backoff.max.ms=200\n",
);
/// Left alone, this tool never sends anything again.
const PRODUCER: Settings = (
    "producer",
    "retries=2147483647\nreconnect.backoff.max.ms=200\n",
);
const PATIENCE: Duration = Duration::from_secs(60);

/// The whole test.
pub(crate) fn run() {
    if let Err(why) = on_path("java").and(toolchain(TOOLCHAIN).map(drop)) {
        return skipped("Kafka's verifiable clients", &why);
    }
    let mut stage = Stage::new();
    stage.wait("the consumers share the partitions", |stage| {
        stage.book.is_shared_by(&[0, 1], PARTITIONS)
    });
    stage.produce();
    for crash in 1..=CRASHES {
        stage.wait("records are acknowledged", |stage| {
            stage.acked_count() >= crash * BETWEEN
        });
        stage.server.crash();
    }
    stage.every_acknowledged_record_is_consumed();
}

struct Stage {
    // In this order: who talks to the broker ends before it does.
    _consumers: Vec<Talk>,
    producer: Option<Talk>,
    sender: Sender<Event>,
    heard: Receiver<Event>,
    book: Book,
    acked: Acked,
    produced: bool,
    topic: String,
    server: Server,
    settings: Dir,
}

/// What one of the programs has printed.
enum Event {
    /// A consumer, by number.
    Consumer(usize, Line),
    /// A record that was acknowledged, as partition, offset and value.
    Acked(usize, i64, String),
    /// What the producer has given up.
    Failed(String),
    /// The producer has ended.
    Produced,
}

impl Stage {
    fn new() -> Stage {
        let server = Server::start(&[]);
        let topic = server.topic("verifiable");
        let mut control = Kafka::connect(server.port()).expect("a connection");
        control.create(&topic, PARTITIONS as i32, &[]);
        server.settle();
        let settings = Dir::new();
        let (sender, heard) = channel();
        let consumer = |number| {
            let mut command = java("VerifiableConsumer", &server, &topic);
            command.args([
                "--verbose",
                "--session-timeout",
                "6000",
                "--group-id",
                &topic,
            ]);
            configure(&mut command, &settings, CONSUMER);
            let sender = sender.clone();
            let talk = Talk::start(&mut command, move |text| {
                let line = consumer_line(text);
                line.is_none_or(|line| sender.send(Event::Consumer(number, line)).is_ok())
            });
            talk.expect("java runs")
        };
        let consumers = (0..CONSUMERS).map(consumer).collect();
        Stage {
            _consumers: consumers,
            producer: None,
            sender,
            heard,
            book: Book::default(),
            acked: vec![BTreeMap::new(); PARTITIONS],
            produced: false,
            topic,
            server,
            settings,
        }
    }

    fn produce(&mut self) {
        let mut command = java("VerifiableProducer", &self.server, &self.topic);
        command.args(["--throughput", THROUGHPUT]);
        command.args(["--max-messages", &RECORDS.to_string()]);
        configure(&mut command, &self.settings, PRODUCER);
        let sender = self.sender.clone();
        let producer = Talk::start(&mut command, move |text| {
            producer_event(text).is_none_or(|event| sender.send(event).is_ok())
        });
        self.producer = Some(producer.expect("java runs"));
    }

    fn acked_count(&self) -> usize {
        self.acked.iter().map(BTreeMap::len).sum()
    }

    /// Listens until something is so.
    fn wait(&mut self, what: &str, is_so: impl Fn(&Stage) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            match self.heard.recv_timeout(left) {
                Ok(Event::Consumer(number, line)) => {
                    assert!(
                        !matches!(line, Line::Ended(_)),
                        "consumer {number}: {line:?}"
                    );
                    self.book.enter(number, line);
                }
                Ok(Event::Acked(partition, offset, value)) => {
                    self.acked[partition].insert(offset, value);
                }
                Ok(Event::Failed(text)) => panic!("the producer gives up: {text}"),
                Ok(Event::Produced) => self.produced = true,
                Err(_) => panic!("waiting until {what}\n{}", self.book),
            }
        }
    }

    /// The producer is idempotent: the log has every number once, from 0 on, and every acknowledged one where it said.
    fn every_acknowledged_record_is_consumed(mut self) {
        self.wait("the producer has ended", |stage| stage.produced);
        let log = read_log(&self.server, &self.topic, PARTITIONS);
        assert_contains(&log, &self.acked);
        assert_each_number_once(&log);
        assert_eq!(self.acked_count(), RECORDS);
        let ends: Vec<i64> = log.iter().map(|records| records.len() as i64).collect();
        self.wait("everything is committed", |stage| {
            stage.book.is_committed(&ends)
        });
        for (partition, records) in (0..).zip(&log) {
            assert_eq!(
                &self.book.processed(partition),
                records,
                "partition {partition}"
            );
        }
    }
}

/// Has a tool read these settings from a file.
fn configure(command: &mut Command, dir: &Dir, settings: Settings) {
    let (name, text) = settings;
    let file = dir.join(name);
    std::fs::write(&file, text).expect("a file of settings");
    command.arg("--command-config").arg(file);
}

/// The producer counts its records.
fn assert_each_number_once(log: &Acked) {
    let values = log.iter().flat_map(BTreeMap::values);
    let mut numbers: Vec<usize> = values
        .map(|value| value.parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    for (expected, number) in numbers.into_iter().enumerate() {
        assert_eq!(number, expected, "a record is missing, or there twice");
    }
}

fn java(tool: &str, server: &Server, topic: &str) -> Command {
    let jars = toolchain(TOOLCHAIN)
        .expect("what run() has found")
        .join("jars/*");
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(jars);
    command.arg(format!("org.apache.kafka.tools.{tool}"));
    command.args(["--bootstrap-server", &server.address(), "--topic", topic]);
    command.stderr(Stdio::null());
    command
}

/// The consumer says `revoked` before a rebalance, of all that it has, and `assigned` behind it.
fn consumer_line(text: Option<&str>) -> Option<Line> {
    let Some(text) = text else {
        return Some(Line::Ended("its output ended".to_owned()));
    };
    match field(text, "name")? {
        "partitions_assigned" => Some(Line::Assigned(partitions(text))),
        "partitions_revoked" => Some(Line::Assigned(BTreeSet::new())),
        "record_data" => Some(Line::Got {
            partition: field(text, "partition")?.parse().ok()?,
            offset: field(text, "offset")?.parse().ok()?,
            value: field(text, "value")?.to_owned(),
        }),
        "offsets_committed" if field(text, "success")? == "true" => {
            Some(Line::Committed(offsets(text)))
        }
        "offsets_committed" => Some(Line::Refused(text.to_owned())),
        _ => None,
    }
}

fn producer_event(text: Option<&str>) -> Option<Event> {
    let Some(text) = text else {
        return Some(Event::Produced);
    };
    match field(text, "name")? {
        "producer_send_success" => {}
        "producer_send_error" => return Some(Event::Failed(text.to_owned())),
        _ => return None,
    }
    let partition = field(text, "partition")?.parse().ok()?;
    let offset = field(text, "offset")?.parse().ok()?;
    Some(Event::Acked(
        partition,
        offset,
        field(text, "value")?.to_owned(),
    ))
}

/// The value of a name, without quotes, at its first place in a JSON text of numbers and simple strings.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
    let end = rest.find([',', '}', ']'])?;
    Some(rest[..end].trim_matches('"'))
}

/// The partitions of a list of objects.
fn partitions(text: &str) -> BTreeSet<i32> {
    let objects = text
        .split('{')
        .filter_map(|object| field(object, "partition"));
    objects.filter_map(|number| number.parse().ok()).collect()
}

fn offsets(text: &str) -> Vec<(i32, i64)> {
    let pair = |object: &str| {
        let partition = field(object, "partition")?.parse().ok()?;
        Some((partition, field(object, "offset")?.parse().ok()?))
    };
    text.split('{').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSIGNED: &str = r#"{"timestamp":1,"name":"partitions_assigned","partitions":[{"topic":"t","partition":0},{"topic":"t","partition":2}]}"#;
    const RECORD: &str = r#"{"timestamp":1,"name":"record_data","key":null,"value":"17","topic":"t","partition":2,"offset":5}"#;
    const COMMITTED: &str = r#"{"timestamp":1,"name":"offsets_committed","offsets":[{"topic":"t","partition":0,"offset":7},{"topic":"t","partition":1,"offset":9}],"success":true}"#;
    const SENT: &str = r#"{"timestamp":1,"name":"producer_send_success","key":null,"value":"3","offset":1,"topic":"t","partition":2}"#;

    #[test]
    fn events_are_read_from_their_json() {
        let got = Line::Got {
            partition: 2,
            offset: 5,
            value: "17".to_owned(),
        };
        let lines = [ASSIGNED, RECORD, COMMITTED].map(|text| consumer_line(Some(text)));
        let assigned = Line::Assigned(BTreeSet::from([0, 2]));
        let committed = Line::Committed(vec![(0, 7), (1, 9)]);
        assert_eq!(lines, [assigned, got, committed].map(Some));
        let sent = producer_event(Some(SENT));
        assert!(matches!(sent, Some(Event::Acked(2, 1, value)) if value == "3"));
        assert!(consumer_line(Some(SENT)).is_none() && producer_event(Some(RECORD)).is_none());
    }
}
