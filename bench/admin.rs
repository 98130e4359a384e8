//! The rows of administration (A1 to A4): many partitions, topics and segments.

use crate::client::{self, Client, Shape};
use crate::histogram::Histogram;
use crate::process;
use crate::sample::{KIB, Life, memory_of, ms};
use crate::server::{Kind, Server};
use chronikd::proto::schema::{describe_configs, produce};
use chronikd::proto::{ApiKey, Uuid};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: usize = 1000;
const MOST_PARTITIONS: usize = 10_000;
const TOPICS: usize = 1000;
const SEGMENTS: u64 = 10_000;
/// Every batch fills an index, and so a segment.
const TINY_SEGMENTS: &[(&str, &str)] = &[
    ("segment.index.bytes", "12"),
    ("index.interval.bytes", "0"),
    ("flush.messages", "9223372036854775807"),
    ("file.delete.delay.ms", "0"),
];
const ONE_RECORD: Shape = Shape {
    records: 1,
    record_bytes: 1024,
    partitions: 1,
};
const TOPIC_RESOURCE: i8 = 2;
/// How often somebody asks whether the loop answers.
const PROBES: Duration = Duration::from_millis(1);
/// What has been deleted is off the disk by then.
const REMOVAL: Duration = Duration::from_secs(3);

/// A1: a topic of 1,000 partitions comes and goes, durably.
pub(crate) fn topic(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let mut client = Client::connect(server.address)?;
    client.create_topic("before", 1, true)?;
    process::settle();
    let start = Instant::now();
    let id = client.create_topic("many", PARTITIONS, true)?;
    let created = start.elapsed();
    process::settle();
    let start = Instant::now();
    client.ask(&client::delete_topic_frame(id), client::deleted_topic)?;
    Ok(vec![ms(created), ms(start.elapsed())])
}

/// A2: a start with 10,000 partitions, until they are served, and their memory.
pub(crate) fn partitions(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let mut server = Server::start(kind, &dir)?;
    let before = memory_of(&server)?.anonymous as f64;
    let mut client = Client::connect(server.address)?;
    let id = client.create_topic("many", MOST_PARTITIONS, true)?;
    drop(client);
    server.stop()?;
    process::settle();
    let start = Instant::now();
    let (server, answered) = server.restarted()?;
    let address = server.address;
    process::wait_for(Duration::from_secs(60), Duration::from_millis(1), || {
        is_served(address, id)
    })?;
    let served = start.elapsed();
    let grown = memory_of(&server)?.anonymous as f64 - before;
    let each = grown / MOST_PARTITIONS as f64 / KIB;
    Ok(vec![ms(answered), ms(served), each])
}

/// Whether the last partition takes a record.
fn is_served(address: std::net::SocketAddr, topic: Uuid) -> bool {
    let batch = ONE_RECORD.batch(0, 0);
    let data = produce::PartitionProduceData {
        index: MOST_PARTITIONS as i32 - 1,
        records: chronikd::proto::Records::Here(Some(&batch)),
    };
    let body = produce::ProduceRequest {
        transactional_id: None,
        acks: 1,
        timeout_ms: 0,
        topic_data: vec![produce::TopicProduceData {
            topic_id: topic,
            partition_data: vec![data],
            ..Default::default()
        }],
    };
    let frame = client::request(ApiKey::Produce, &body);
    let asked =
        Client::connect(address).and_then(|mut client| client.ask(&frame, client::produced_offset));
    asked.is_ok()
}

/// A3: all settings of 1,000 topics, with synonyms and documentation.
pub(crate) fn configs(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let mut client = Client::connect(server.address)?;
    let names: Vec<String> = (0..TOPICS).map(|n| format!("topic-{n:04}")).collect();
    for name in &names {
        client.create_topic(name, 1, true)?;
    }
    let plain = client.timed(&describe_frame(&names, false))?;
    let full = client.timed(&describe_frame(&names, true))?;
    Ok(vec![ms(plain), ms(full)])
}

impl Client {
    fn timed(&mut self, frame: &[u8]) -> io::Result<Duration> {
        let start = Instant::now();
        self.ask(frame, |frame| {
            let answer: describe_configs::DescribeConfigsResponse<'_> =
                client::body_of(ApiKey::DescribeConfigs, frame)?;
            match answer.results.len() == TOPICS {
                true => Ok(start.elapsed()),
                false => Err(client::bad("not all topics")),
            }
        })
    }
}

fn describe_frame(names: &[String], is_full: bool) -> Vec<u8> {
    let resource = |name| describe_configs::DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: name,
        configuration_keys: None,
    };
    let body = describe_configs::DescribeConfigsRequest {
        resources: names.iter().map(|name| resource(name.as_str())).collect(),
        include_synonyms: is_full,
        include_documentation: is_full,
    };
    client::request(ApiKey::DescribeConfigs, &body)
}

/// A4: while a topic of 10,000 segments is deleted, somebody asks every millisecond whether the loop answers.
pub(crate) fn deletion(_: &Life<'_>, kind: Kind, dir: PathBuf) -> io::Result<Vec<f64>> {
    let server = Server::start(kind, &dir)?;
    let mut client = Client::connect(server.address)?;
    let id = client.ask(
        &client::topic_frame("segments", 1, TINY_SEGMENTS),
        client::created_topic,
    )?;
    let batches: Vec<Vec<u8>> = (0..SEGMENTS)
        .map(|seed| client::produce_frame(id, &ONE_RECORD, seed))
        .collect();
    client.ask_many(&batches, |_, frame| client::produced_offset(frame))?;
    process::settle();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let probes = scope.spawn(|| probe(&server, &is_over));
        let start = Instant::now();
        let deleted = client.ask(&client::delete_topic_frame(id), client::deleted_topic);
        let took = start.elapsed();
        thread::sleep(REMOVAL);
        is_over.store(true, Ordering::Relaxed);
        let worst = probes.join();
        let worst = worst.map_err(|_| io::Error::other("the probe panicked"))??;
        deleted?;
        Ok(vec![ms(took), worst])
    })
}

/// The longest answer to ApiVersions, in milliseconds.
fn probe(server: &Server, is_over: &AtomicBool) -> io::Result<f64> {
    let mut client = Client::connect(server.address)?;
    let mut times = Histogram::default();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(PROBES);
        let sent_at = Instant::now();
        client.check_versions()?;
        times.record(sent_at.elapsed());
    }
    Ok(times.quantile_us(1.0) / 1000.0)
}
