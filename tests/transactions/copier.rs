//! Kafka's own `TransactionalMessageCopier`, which aborts at random, while the broker is killed fifty times.
//!
//! Two of them copy a topic that grows, one as the member of a group and one with a partition that it is given, each
//! into a topic of its own. After each kill what is committed there is the beginning of what was to be copied, no
//! record missing and none twice, and none of it is ever taken back; in the end it is all there.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chronikd::proto::batch::BatchBuilder;

use crate::common::kafka::Kafka;
use crate::common::server::Server;
use crate::common::{now_ms, on_path, skipped, toolchain};
use crate::reader::committed;

const TOOLCHAIN: &str = "kafka-4.3";
const CYCLES: u64 = 50;
/// Records that each partition grows by before each kill: more than a copier is ready with.
const GROWTH: usize = 80;
const PATIENCE: Duration = Duration::from_secs(120);

/// The whole test.
pub(crate) fn run() {
    if let Err(why) = on_path("java").and(toolchain(TOOLCHAIN).map(drop)) {
        return skipped("TransactionalMessageCopier", &why);
    }
    let mut server = Server::start(&[]);
    let input = server.topic("input");
    control(&server).create(&input, 2, &[]);
    server.settle();
    let mut written = [Vec::new(), Vec::new()];
    write(&server, &input, &mut written);
    let modes: [(&[&str], &[i32]); 2] = [
        (&["--group-mode", "--use-group-metadata"], &[0, 1]),
        (&["--input-partition", "1"], &[1]),
    ];
    let mut copiers = modes.map(|(mode, of)| Copier::start(&server, &input, mode, of));
    for copier in &mut copiers {
        copier.wait(|copied| !copied.contains(&0), &server, &written);
    }
    for cycle in 0..CYCLES {
        // Between 150 and 646 ms, another one each time.
        std::thread::sleep(Duration::from_millis(150 + cycle * 37 % 497));
        server.crash();
        for copier in &mut copiers {
            copier.check(&server, &written);
        }
        write(&server, &input, &mut written);
    }
    for copier in &mut copiers {
        let count: usize = copier.copied.iter().sum();
        assert!(count > CYCLES as usize, "{count} were copied under kills");
        let all = written[0].len();
        copier.wait(
            |copied| copied.iter().all(|count| *count == all),
            &server,
            &written,
        );
    }
}

fn control(server: &Server) -> Kafka {
    Kafka::connect(server.port()).expect("a connection")
}

/// Lets both partitions grow by records that say their offset.
fn write(server: &Server, topic: &str, written: &mut [Vec<String>; 2]) {
    let mut control = control(server);
    for (partition, written) in (0..).zip(written) {
        let from = written.len();
        written.extend((from..from + GROWTH).map(|number| format!("{partition}/{number}")));
        let mut builder = BatchBuilder::new(0);
        for value in &written[from..] {
            builder.push(now_ms(), None, Some(value.as_bytes()));
        }
        let batch = builder.build(None).expect("a small batch");
        loop {
            control.produce(topic, partition, -1, &batch).expect("sent");
            let acked = control.acked().expect("an answer");
            if acked.error.0 == 0 {
                assert_eq!(acked.base_offset, from as i64);
                break;
            }
            // It is being loaded.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One copier, which is started again whenever it is ready with what there was.
struct Copier {
    process: Child,
    address: String,
    input: String,
    output: String,
    mode: &'static [&'static str],
    partitions: &'static [i32],
    /// How much of each of its partitions was there at the last look.
    copied: Vec<usize>,
}

impl Copier {
    fn start(
        server: &Server,
        input: &str,
        mode: &'static [&'static str],
        partitions: &'static [i32],
    ) -> Copier {
        let output = server.topic(&format!("output-of-{}", partitions.len()));
        control(server).create(&output, 2, &[]);
        server.settle();
        Copier {
            process: spawn(&server.address(), input, &output, mode),
            address: server.address(),
            input: input.to_owned(),
            output,
            mode,
            partitions,
            copied: vec![0; partitions.len()],
        }
    }

    /// Nothing may be missing, twice, or no longer there.
    fn check(&mut self, server: &Server, written: &[Vec<String>; 2]) {
        let mut control = control(server);
        for (partition, before) in self.partitions.iter().zip(&mut self.copied) {
            let read = committed(&mut control, &self.output, *partition);
            let read: Vec<String> = read.into_iter().map(|(_, value)| value).collect();
            let written = &written[*partition as usize];
            assert!(*before <= read.len(), "{}: taken back", self.output);
            assert_eq!(read, written[..read.len()], "{}", self.output);
            *before = read.len();
        }
        if self
            .process
            .try_wait()
            .expect("a child of this test")
            .is_some()
        {
            self.process = spawn(&self.address, &self.input, &self.output, self.mode);
        }
    }

    /// Waits until so much of each of its partitions is copied.
    fn wait(
        &mut self,
        is_so: impl Fn(&[usize]) -> bool,
        server: &Server,
        written: &[Vec<String>; 2],
    ) {
        let began = Instant::now();
        while !is_so(&self.copied) {
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "{:?} of {}", self.copied, self.output);
            std::thread::sleep(Duration::from_millis(200));
            self.check(server, written);
        }
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(address: &str, input: &str, output: &str, mode: &[&str]) -> Child {
    let jars = toolchain(TOOLCHAIN)
        .expect("what run() has found")
        .join("jars/*");
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(jars)
        .arg("org.apache.kafka.tools.TransactionalMessageCopier")
        .args(["--broker-list", address, "--input-topic", input])
        .args(["--output-topic", output, "--consumer-group", output])
        .args(["--transactional-id", output, "--transaction-size", "7"])
        .arg("--enable-random-aborts")
        .args(mode);
    if !mode.contains(&"--input-partition") {
        // It has to be there, and means nothing to the member of a group.
        command.args(["--input-partition", "-1"]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("java runs")
}
