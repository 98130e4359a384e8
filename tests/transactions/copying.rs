//! The copiers of the table at work, all at once, while the broker is killed fifty times.
//!
//! They copy a topic that grows, each into a topic of its own. After each kill what is committed there is the beginning
//! of what was to be copied, no record missing, none twice and each at its place, and none of it is ever taken back; in
//! the end it is all there.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use chronikd::proto::batch::BatchBuilder;

use crate::common::kafka::Kafka;
use crate::common::server::Server;
use crate::common::{now_ms, skipped};
use crate::copier::{COPIERS, Copier};
use crate::reader::committed;

const CYCLES: u64 = 50;
/// Records that each partition grows by before each kill: more than a copier is ready with.
const GROWTH: usize = 80;
const PATIENCE: Duration = Duration::from_secs(120);

/// The whole test.
pub(crate) fn run() {
    let mut server = Server::start(&[]);
    let mut input = Input::new(&server);
    input.grow(&server);
    let copiers = COPIERS.iter().filter(|copier| is_here(copier));
    let mut copyings: Vec<Copying> = copiers
        .map(|copier| Copying::start(copier, &server, &input))
        .collect();
    for copying in &mut copyings {
        copying.wait(|copied| !copied.contains(&0), &server, &input);
    }
    for cycle in 0..CYCLES {
        // Between 150 and 646 ms, another one each time.
        std::thread::sleep(Duration::from_millis(150 + cycle * 37 % 497));
        server.crash();
        for copying in &mut copyings {
            copying.check(&server, &input);
        }
        input.grow(&server);
    }
    for copying in &mut copyings {
        let count: usize = copying.copied.iter().sum();
        let name = copying.copier.name;
        assert!(
            count > CYCLES as usize,
            "{name} has copied {count} under kills"
        );
        let all = input.written[0].len();
        copying.wait(
            |copied| copied.iter().all(|count| *count == all),
            &server,
            &input,
        );
    }
}

fn is_here(copier: &Copier) -> bool {
    let found = copier.command("", "", "");
    found.map_err(|why| skipped(copier.name, &why)).is_ok()
}

fn control(server: &Server) -> Kafka {
    Kafka::connect(server.port()).expect("a connection")
}

/// What is to be copied.
struct Input {
    topic: String,
    /// The values of each partition; each says its partition and its offset.
    written: [Vec<String>; 2],
}

impl Input {
    fn new(server: &Server) -> Input {
        let topic = server.topic("input");
        control(server).create(&topic, 2, &[]);
        server.settle();
        Input {
            topic,
            written: [Vec::new(), Vec::new()],
        }
    }

    fn grow(&mut self, server: &Server) {
        let mut control = control(server);
        for (partition, written) in (0..).zip(&mut self.written) {
            let from = written.len();
            written.extend((from..from + GROWTH).map(|number| format!("{partition}/{number}")));
            let mut builder = BatchBuilder::new(0);
            for value in &written[from..] {
                builder.push(now_ms(), None, Some(value.as_bytes()));
            }
            let batch = builder.build(None).expect("a small batch");
            append(&mut control, &self.topic, partition, &batch, from);
        }
    }
}

/// Appends a batch at its offset, when the partition is loaded.
fn append(control: &mut Kafka, topic: &str, partition: i32, batch: &[u8], at: usize) {
    loop {
        control.produce(topic, partition, -1, batch).expect("sent");
        let acked = control.acked().expect("an answer");
        if acked.error.0 == 0 {
            assert_eq!(acked.base_offset, at as i64);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A copier at work, which is started again whenever it ends.
struct Copying {
    copier: &'static Copier,
    process: Child,
    output: String,
    /// How much of each of its partitions was there at the last look.
    copied: Vec<usize>,
}

impl Copying {
    fn start(copier: &'static Copier, server: &Server, input: &Input) -> Copying {
        let output = server.topic(copier.name);
        control(server).create(&output, 2, &[]);
        server.settle();
        let command = copier.command(&server.address(), &input.topic, &output);
        Copying {
            copier,
            process: spawn(command),
            output,
            copied: vec![0; copier.partitions.len()],
        }
    }

    /// Nothing may be missing, twice, out of its order, or no longer there.
    fn check(&mut self, server: &Server, input: &Input) {
        let mut control = control(server);
        for (partition, before) in self.copier.partitions.iter().zip(&mut self.copied) {
            let read = committed(&mut control, &self.output, *partition);
            assert!(*before <= read.len(), "{}: taken back", self.output);
            let written = &input.written[*partition as usize];
            for ((_, copy), value) in read.iter().zip(written) {
                let expected = format!("{}{value}", self.copier.mark);
                assert_eq!(*copy, expected, "{}-{partition}", self.output);
            }
            assert!(read.len() <= written.len(), "{}: too many", self.output);
            *before = read.len();
        }
        let ended = self.process.try_wait().expect("a child of this test");
        if ended.is_some() {
            let command = self
                .copier
                .command(&server.address(), &input.topic, &self.output);
            self.process = spawn(command);
        }
    }

    /// Waits until so much of each of its partitions is copied.
    fn wait(&mut self, is_so: impl Fn(&[usize]) -> bool, server: &Server, input: &Input) {
        let began = Instant::now();
        while !is_so(&self.copied) {
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "{:?} of {}", self.copied, self.output);
            std::thread::sleep(Duration::from_millis(200));
            self.check(server, input);
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(command: Result<Command, String>) -> Child {
    let mut command = command.expect("what was found before");
    command.spawn().expect("an installed program")
}
