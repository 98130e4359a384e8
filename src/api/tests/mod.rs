//! Handlers without sockets, on a simulated disk whose lanes stand still until the test lets them run: what waits,
//! on what, and what is answered when partitions are being loaded or the disk is full.

mod cluster;
mod committed;
mod features;
mod offsets;
mod partitions;
mod producers;
mod records;
mod settings;
mod transactions;

use super::*;
use crate::config::BrokerConfig;
use crate::disk::Disk;
use crate::disk::lanes::{Inline, Lanes};
use crate::disk::sim::SimDisk;
use crate::proto::Records;
use crate::proto::batch::BatchBuilder;
use crate::proto::schema::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use crate::proto::schema::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use crate::proto::schema::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use crate::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::proto::schema::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::proto::schema::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "/d";
const NOW: Now = Now {
    mono: Mono(1),
    wall_ms: 1_800_000_000_000,
};

/// A broker, its disk, and a client.
struct Bench {
    disk: SimDisk,
    broker: Broker,
    lanes: Inline<crate::broker::Worked>,
    peer: Peer,
    now: Now,
    last_call: bool,
    /// What the last answer has to wait for.
    round: u64,
}

/// The body of an answer, or what the request waits for.
#[derive(Debug)]
enum Said {
    Answer(Vec<u8>),
    Waits(Wait),
    Closes(&'static str),
    Later,
}

impl Said {
    fn answer(self) -> Vec<u8> {
        match self {
            Said::Answer(body) => body,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn wait(self) -> Wait {
        match self {
            Said::Waits(wait) => wait,
            other => panic!("no wait: {other:?}"),
        }
    }
}

impl Bench {
    /// Nothing has been loaded yet.
    fn start(disk: SimDisk) -> Bench {
        Bench::start_with(disk, BrokerConfig::default())
    }

    fn start_with(disk: SimDisk, config: BrokerConfig) -> Bench {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let config = Arc::new(config);
        let root = Path::new(ROOT);
        let seeds = crate::broker::Seeds {
            ids: 7,
            salt: 8,
            keys: 9,
        };
        let broker = Broker::open(Arc::clone(&shared), root, config, seeds, NOW).expect("it opens");
        let address = SocketAddr::from(([127, 0, 0, 1], 9092));
        Bench {
            disk,
            broker,
            lanes: Inline::new(shared, root),
            peer: Peer {
                conn: ConnId {
                    slot: 0,
                    generation: 0,
                },
                listener: "PLAINTEXT".into(),
                remote: address,
                local: address,
                principal: "User:ANONYMOUS".into(),
                software: None,
            },
            now: NOW,
            last_call: false,
            round: 0,
        }
    }

    fn new() -> Bench {
        let mut bench = Bench::start(SimDisk::new(1, Path::new(ROOT)));
        bench.run();
        bench
    }

    /// Ends without a clean stop and starts again.
    fn restart(self) -> Bench {
        let disk = self.disk;
        drop((self.broker, self.lanes));
        disk.kill();
        Bench::start(disk)
    }

    /// Lets the lanes run until nothing is left to do.
    fn run(&mut self) {
        let now = self.now;
        loop {
            self.broker.tick(now);
            for job in self.broker.take_jobs() {
                self.lanes.work(job);
            }
            if let Some(round) = self.broker.start_round().expect("no failure") {
                self.lanes.sync(round);
            }
            let done = self.lanes.completed();
            if done.is_empty() {
                return;
            }
            for done in done {
                self.broker.absorb(now, done).expect("no failure");
            }
        }
    }

    fn ask<'a, T: Wire<'a>>(&mut self, api: ApiKey, version: i16, request: &T) -> Said {
        let flexible = api.info().is_flexible(version);
        let mut frame = [
            &(api as i16).to_be_bytes()[..],
            &version.to_be_bytes(),
            &[0, 0, 0, 7, 0, 1, b't'],
        ]
        .concat();
        if flexible {
            frame.push(0);
        }
        proto::encode(request, version, flexible, &mut frame).expect("it fits");
        let mut out = Out::default();
        let mut cx = Cx {
            now: self.now,
            arrived: NOW.mono,
            last_call: self.last_call,
            peer: &mut self.peer,
        };
        let outcome = handle(&mut self.broker, &mut cx, &frame, &mut out);
        self.round = out.round;
        match outcome {
            Outcome::Done => {
                let has_tags = flexible && api != ApiKey::ApiVersions;
                Said::Answer(whole(out).split_off(4 + usize::from(has_tags)))
            }
            Outcome::Retry(wait) => Said::Waits(wait),
            Outcome::Close(why) => Said::Closes(why),
            Outcome::Owed => Said::Later,
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, topic: CreatableTopic<'_>) -> (ErrorCode, Option<String>) {
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let body = self.ask(ApiKey::CreateTopics, 7, &request).answer();
        let answer: CreateTopicsResponse<'_> = proto::decode(&body, 7, true).expect("a response");
        let [topic] = &answer.topics[..] else {
            panic!("one topic");
        };
        let message = topic.error_message.as_deref();
        (topic.error_code, message.map(str::to_owned))
    }

    fn produce(&mut self, partition: i32) -> Said {
        let mut batch = BatchBuilder::new(0);
        batch.push(-1, None, Some(&[7; 100]));
        let batch = batch.build(None).expect("a small batch");
        self.produces(9, None, &[(partition, &batch)])
    }

    /// Sends batches for partitions of the topic, with the transactional id of their producer if it has one.
    fn produces(&mut self, version: i16, id: Option<&str>, batches: &[(i32, &[u8])]) -> Said {
        let data = |&(index, bytes)| PartitionProduceData {
            index,
            records: Records::Here(Some(bytes)),
        };
        let request = ProduceRequest {
            transactional_id: id,
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![TopicProduceData {
                name: "t",
                partition_data: batches.iter().map(data).collect(),
                ..Default::default()
            }],
        };
        self.ask(ApiKey::Produce, version, &request)
    }

    fn keys(&self, partitions: &[i32]) -> Vec<Key> {
        let find = |&partition| self.broker.find("t", partition).expect("it is there");
        partitions.iter().map(find).map(Key::Partition).collect()
    }

    /// How many bytes the signals since the last call bring to these keys, and whether one says "look".
    fn woken(&mut self, keys: &[Key]) -> (usize, bool) {
        let signals = self.broker.take_signals();
        let bytes = signals.iter().filter(|s| keys.contains(&s.key));
        bytes.fold((0, false), |(sum, look), signal| match signal.bytes {
            usize::MAX => (sum, true),
            bytes => (sum + bytes, look),
        })
    }
}

/// The response with its payloads where they belong.
fn whole(out: Out) -> Vec<u8> {
    let mut bytes = out.bytes;
    for (at, view) in out.payloads.into_iter().rev() {
        bytes.splice(at..at, view.bytes().iter().copied());
    }
    bytes
}

fn topic(num_partitions: i32) -> CreatableTopic<'static> {
    CreatableTopic {
        name: "t",
        num_partitions,
        replication_factor: 1,
        ..Default::default()
    }
}

fn fetch_request(partitions: &[i32], min_bytes: i32) -> FetchRequest<'static> {
    let partition = |&partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 500,
        min_bytes,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: "t",
            partitions: partitions.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The codes of a fetch's partitions.
fn fetched(body: &[u8]) -> Vec<ErrorCode> {
    let answer: FetchResponse<'_> = proto::decode(body, 12, true).expect("a response");
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.error_code).collect()
}

fn produced(body: &[u8]) -> ErrorCode {
    let answer: ProduceResponse<'_> = proto::decode(body, 9, true).expect("a response");
    answer.responses[0].partition_responses[0].error_code
}

#[test]
fn a_fetch_of_several_partitions_waits_for_the_bytes_that_all_of_them_lack_together() {
    let mut bench = Bench::new();
    bench.create(topic(3));
    bench.run();
    bench.produce(0).answer();
    bench.run();
    let keys = bench.keys(&[0, 2]);
    bench.woken(&keys);
    let request = fetch_request(&[0, 2], 300);
    let wait = bench.ask(ApiKey::Fetch, 12, &request).wait();
    assert_eq!((&wait.on, wait.until), (&keys, NOW.mono.plus_ms(500)));
    assert!((100..300).contains(&wait.missing), "{}", wait.missing);
    bench.produce(2).answer();
    assert_eq!(bench.woken(&keys), (0, false), "not before it is durable");
    bench.run();
    let (bytes, _) = bench.woken(&keys);
    assert!(bytes >= wait.missing, "{bytes}");
    let body = bench.ask(ApiKey::Fetch, 12, &request).answer();
    assert_eq!(fetched(&body), [ErrorCode::NONE; 2]);
}

#[test]
fn a_deletion_wakes_a_parked_fetch_which_is_told_so() {
    let mut bench = Bench::new();
    bench.create(topic(2));
    bench.run();
    let request = fetch_request(&[0, 1], 1);
    let wait = bench.ask(ApiKey::Fetch, 12, &request).wait();
    bench.woken(&wait.on);
    let deletion = DeleteTopicsRequest {
        topic_names: vec!["t"],
        ..Default::default()
    };
    let body = bench.ask(ApiKey::DeleteTopics, 4, &deletion).answer();
    let answer: DeleteTopicsResponse<'_> = proto::decode(&body, 4, true).expect("a response");
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(bench.woken(&wait.on), (0, true));
    bench.now.mono = NOW.mono.plus_ms(1);
    let body = bench.ask(ApiKey::Fetch, 12, &request).answer();
    assert_eq!(fetched(&body), [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION; 2]);
}

#[test]
fn a_partition_that_is_not_there_does_not_end_the_wait_for_others() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    let both = fetch_request(&[0, 9], 1);
    let wait = bench.ask(ApiKey::Fetch, 12, &both).wait();
    assert_eq!(wait.on, bench.keys(&[0]));
    let none = fetch_request(&[9], 1);
    let body = bench.ask(ApiKey::Fetch, 12, &none).answer();
    assert_eq!(fetched(&body), [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
    bench.last_call = true;
    let body = bench.ask(ApiKey::Fetch, 12, &both).answer();
    let absent = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(fetched(&body), [ErrorCode::NONE, absent]);
}

#[test]
fn requests_wait_for_partitions_that_are_being_loaded() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.produce(0).answer();
    bench.run();
    let mut bench = bench.restart();
    let list = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: "t",
            partitions: vec![ListOffsetsPartition::default()],
        }],
        ..Default::default()
    };
    let epoch = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: "t",
            partitions: vec![OffsetForLeaderPartition::default()],
        }],
        ..Default::default()
    };
    let fetch = fetch_request(&[0], 0);
    let keys = bench.keys(&[0]);
    assert_eq!(bench.produce(0).wait().on, keys);
    assert_eq!(bench.ask(ApiKey::Fetch, 12, &fetch).wait().on, keys);
    assert_eq!(bench.ask(ApiKey::ListOffsets, 1, &list).wait().on, keys);
    let asked = bench.ask(ApiKey::OffsetForLeaderEpoch, 3, &epoch);
    assert_eq!(asked.wait().on, keys);
    bench.last_call = true;
    assert_eq!(
        produced(&bench.produce(0).answer()),
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        "who has waited long enough may try again"
    );
    bench.last_call = false;
    bench.run();
    assert!(bench.woken(&keys).1, "loaded");
    assert_eq!(produced(&bench.produce(0).answer()), ErrorCode::NONE);
}

#[test]
fn a_full_disk_is_an_answer_and_no_end() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    bench.disk.set_capacity(Some(0));
    assert_eq!(
        produced(&bench.produce(0).answer()),
        ErrorCode::KAFKA_STORAGE_ERROR
    );
    bench.run();
    bench.disk.set_capacity(None);
    assert_eq!(produced(&bench.produce(0).answer()), ErrorCode::NONE);
    let report = bench.broker.report();
    assert!(report.contains(" refused_appends=1 "), "{report}");
}

#[test]
fn a_short_journal_refuses_topics_and_recovers_by_itself() {
    let mut bench = Bench::new();
    let root = Path::new(ROOT);
    bench.disk.set_capacity(Some(1 << 30));
    let used = (1 << 30) - bench.disk.free_bytes(root).expect("a disk that is whole");
    // Room for directories and their small files, and not for another file of the journal.
    bench.disk.set_capacity(Some(used + 100_000));
    let replicas = vec!["0:1"; 8000].join(",");
    let setting = |name| CreatableTopicConfig {
        name,
        value: Some(&replicas),
    };
    let mut refused = None;
    for number in 0..40 {
        let large = CreatableTopic {
            name: &number.to_string(),
            configs: vec![
                setting("leader.replication.throttled.replicas"),
                setting("follower.replication.throttled.replicas"),
            ],
            ..topic(1)
        };
        let (code, message) = bench.create(large);
        if code != ErrorCode::NONE {
            refused = Some((number, code, message));
            break;
        }
        bench.run();
    }
    let (number, code, message) = refused.expect("the journal gets short");
    assert!(number > 10, "{number}");
    assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(message.as_deref(), Some("The disk is full."));
    bench.disk.set_capacity(None);
    bench.now.mono = bench.now.mono.plus_ms(100);
    bench.run();
    assert_eq!(bench.create(topic(1)).0, ErrorCode::NONE);
}
