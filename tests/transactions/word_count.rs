//! Kafka Streams with exactly_once_v2: two instances count words while both, and the broker, are killed.
//!
//! A feeder writes lines all the while. Every count that is committed is one record; after each kill the counts of
//! every word are 1, 2, 3 and so on, none missing, none twice, and none taken back. In the end they are the counts of
//! what the input holds.
//!
//! What Streams has read of its repartition topic it deletes (DeleteRecords), so that this topic begins later and
//! later.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronikd::proto::error::ErrorCode;

use crate::app::App;
use crate::common::dir::Dir;
use crate::common::feeder::{Acked, Feeder};
use crate::common::kafka::{Kafka, Read};
use crate::common::program::Program;
use crate::common::server::Server;
use crate::common::{skipped, tests_dir};
use crate::reader::committed;

const PROGRAM: Program = Program::Java("WordCount", "kafka-streams-4.3");
const PARTITIONS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(120);
/// So many more words are counted before the next kill, with both instances in their places.
const PROGRESS: u64 = 200;

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// An instance that comes back with its state, and with the same transactional ids.
    Instance(usize),
    /// One that loses its state directory: it reads its changelog, once its last transaction has timed out.
    StateToo(usize),
    Broker,
    /// Both instances, and the broker while they are gone.
    All,
}

const KILLS: &[Kill] = &[
    Kill::Broker,
    Kill::Instance(0),
    Kill::Broker,
    Kill::StateToo(1),
    Kill::All,
    Kill::Broker,
    Kill::Instance(1),
];

/// The whole test.
pub(crate) fn run() {
    if let Err(why) = PROGRAM.command(&folder()) {
        return skipped("Kafka Streams", &why);
    }
    let mut stage = Stage::start();
    let feeder = Feeder::start(stage.server.port(), &stage.input, PARTITIONS, line);
    for kill in KILLS {
        stage.progress();
        stage.suffer(*kill);
    }
    stage.progress();
    stage.all_is_counted(feeder.stop());
    stage.what_was_read_is_deleted();
}

fn folder() -> PathBuf {
    tests_dir().join("transactions/programs")
}

struct Stage {
    // In this order: who talks to the broker ends before it does.
    instances: [App; 2],
    server: Server,
    dir: Dir,
    input: String,
    output: String,
    /// Words that were counted at the last look.
    counted: u64,
}

impl Stage {
    fn start() -> Stage {
        let server = Server::start(&[]);
        let dir = Dir::new();
        let [input, output] = ["lines", "counts"].map(|name| server.topic(name));
        for topic in [&input, &output] {
            connect(&server).create(topic, PARTITIONS as i32, &[]);
        }
        server.settle();
        let instance = |number| start(&dir, &server, number, &input, &output);
        Stage {
            instances: [0, 1].map(instance),
            server,
            dir,
            input,
            output,
            counted: 0,
        }
    }

    fn suffer(&mut self, kill: Kill) {
        match kill {
            Kill::Broker => self.server.crash(),
            Kill::Instance(number) => self.restart(number),
            Kill::StateToo(number) => {
                self.instances[number].kill9();
                std::fs::remove_dir_all(self.dir.join(STATES[number])).expect("its state");
                self.restart(number);
            }
            Kill::All => {
                self.instances.iter_mut().for_each(App::kill9);
                self.server.crash();
                (0..2).for_each(|number| self.restart(number));
            }
        }
    }

    fn restart(&mut self, number: usize) {
        self.instances[number].kill9();
        let (input, output) = (&self.input, &self.output);
        self.instances[number] = start(&self.dir, &self.server, number, input, output);
        self.look();
    }

    /// Waits until both instances are in their places and some more words are counted.
    fn progress(&mut self) {
        for instance in &mut self.instances {
            instance.wait("state RUNNING");
        }
        let enough = self.look() + PROGRESS;
        self.wait(enough);
    }

    fn wait(&mut self, enough: u64) {
        let began = Instant::now();
        while self.look() < enough {
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "{} of {enough} words are counted", self.counted);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Counts may not be missing, twice, or no longer there; answers how many there are.
    fn look(&mut self) -> u64 {
        self.instances.iter_mut().for_each(App::check);
        let counts = self.counts();
        let counted = counts.values().sum();
        assert!(self.counted <= counted, "taken back");
        self.counted = counted;
        counted
    }

    /// The last count of every word.
    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        let mut control = connect(&self.server);
        for partition in 0..PARTITIONS as i32 {
            for (offset, value) in committed(&mut control, &self.output, partition) {
                let (word, count) = value.split_once(' ').expect("a word and its count");
                let before: &mut u64 = counts.entry(word.to_owned()).or_default();
                *before += 1;
                assert_eq!(count, before.to_string(), "{word} at {partition}/{offset}");
            }
        }
        counts
    }

    fn all_is_counted(&mut self, acked: Acked) {
        let mut control = connect(&self.server);
        let mut expected = BTreeMap::new();
        for (partition, acked) in (0..).zip(acked) {
            let log = control.read_all(&self.input, partition).expect("the input");
            let line = |read: Read| String::from_utf8(read.value.expect("a line")).expect("text");
            let log: BTreeMap<i64, String> = log
                .into_iter()
                .map(|read| (read.offset, line(read)))
                .collect();
            let kept = |(at, line): (&i64, &String)| log.get(at) == Some(line);
            assert!(acked.iter().all(kept), "acknowledged records are missing");
            for line in log.values() {
                for word in line.split(' ') {
                    *expected.entry(word.to_owned()).or_default() += 1;
                }
            }
        }
        self.wait(expected.values().sum());
        assert_eq!(self.counts(), expected);
    }

    /// Streams does that now and then, and says nothing of it.
    fn what_was_read_is_deleted(&self) {
        let topic = format!("word-count-of-{}-words-repartition", self.input);
        let mut control = connect(&self.server);
        let mut begins_later = |partition| {
            let first = control.fetch(&topic, partition, 0, 0).expect("an answer");
            first.error == ErrorCode::OFFSET_OUT_OF_RANGE
        };
        let began = Instant::now();
        while !(0..PARTITIONS as i32).all(&mut begins_later) {
            assert!(began.elapsed() < PATIENCE, "{topic} is never trimmed");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Where each instance has its state.
const STATES: [&str; 2] = ["first", "second"];

/// Some words that are often there, and some that are not.
fn line(partition: usize, number: u64) -> String {
    format!("all of-{partition} seventh-{} {}", number % 7, number % 101)
}

fn connect(server: &Server) -> Kafka {
    Kafka::connect(server.port()).expect("a connection")
}

fn start(dir: &Dir, server: &Server, number: usize, input: &str, output: &str) -> App {
    let mut command = PROGRAM.command(&folder()).expect("what run() has found");
    command.arg(server.address()).arg(dir.join(STATES[number]));
    command.args([input, output]);
    App::start(dir, STATES[number], command)
}
