//! What Flink's exactly-once sink and its source ask, by Flink's own classes.
//!
//! At a checkpoint the sink keeps the transactional id, the producer id and the epoch of what it has written; whoever
//! comes next ends that transaction with nothing else in hand: a producer on a connection of its own, which has never
//! asked for a producer id, sends the end alone, and more than once. What nobody has kept is found and aborted, either
//! through DescribeProducers and ListTransactions (LISTING) or by trying one id after the other until one of them is
//! new (PROBING).
//!
//! The program knows these lines:
//!
//! ```text
//! open as=NAME id=TRANSACTIONAL_ID [timeout=MS]        a writer, or one from the pool under another id; begins
//! send as=NAME topic= partition= values=A,B,..         sends, and waits until all are acknowledged
//! checkpoint as=NAME                                   -> id=ID producer=PRODUCER_ID epoch=EPOCH
//! commit as=NAME                                       by the writer itself
//! recover id= producer= epoch= end=commit|abort        by somebody else, from what the checkpoint has kept
//! clean strategy= topic= prefix= from= keep=           -> aborted ID EPOCH, for each that it shuts out; LISTING leaves
//!                                                      one id alone, PROBING begins at a number
//! offsets group= topic= offset=                        commits an offset of partition 0 for a group without members
//! ```
//!
//! The newest Flink does not run with kafka-clients 4.3 yet (a method that it calls is gone there); 4.2 speaks the same
//! versions of all requests.

use std::time::Duration;

use crate::common::conversation::Conversation;
use crate::common::kafka::Kafka;
use crate::common::program::Program;
use crate::common::server::Server;
use crate::common::{skipped, tests_dir};
use crate::reader::{committed, stable_offset};

/// A Flink, and how its client speaks.
pub(crate) struct Flink {
    name: &'static str,
    program: Program,
    /// Every end by the writer itself moves the epoch.
    moves_epochs: bool,
}

/// Its kafka-clients 4.2 writes transactions of version 2. What it recovers it ends by version 1.
pub(crate) const NEW: Flink = Flink {
    name: "flink-5",
    program: Program::Java("Flink", "flink-kafka-5"),
    moves_epochs: true,
};

/// Its kafka-clients 3.9 knows version 1 only.
pub(crate) const OLD: Flink = Flink {
    name: "flink-4",
    program: Program::Java("Flink", "flink-kafka-4"),
    moves_epochs: false,
};

type Story = fn(&mut Job);

const STORIES: &[(&str, Story)] = &[
    ("committed", what_a_checkpoint_kept_is_committed_by_another),
    ("aborted", what_a_checkpoint_kept_is_aborted_by_another),
    ("writer", what_the_writer_has_committed_stays),
    ("pooled", a_writer_goes_on_under_another_id),
    ("taken", what_was_kept_ends_no_later_transaction),
    ("listed", open_transactions_are_found_by_their_producers),
    ("probed", used_ids_are_found_by_their_epochs),
    ("timeout", a_timeout_above_the_limit_is_refused),
    ("source", a_group_without_members_commits_offsets),
];

const INVALID_STATE: &str = "InvalidTxnStateException";
const FENCED: &str = "ProducerFencedException";
/// Apache Kafka answers the end of a transaction before its markers are written.
const LOOKS: usize = 200;

/// All stories of one Flink.
pub(crate) fn run(flink: &'static Flink) {
    if let Err(why) = flink
        .program
        .command(&tests_dir().join("transactions/programs"))
    {
        return skipped(flink.name, &why);
    }
    let mut job = Job::start(flink);
    for (name, story) in STORIES {
        job.begin(name);
        story(&mut job);
    }
}

struct Job {
    // In this order: who talks to the broker ends before it does.
    program: Conversation,
    server: Server,
    flink: &'static Flink,
    /// Of the story: the topic, the group, and what all ids begin with.
    topic: String,
}

impl Job {
    fn start(flink: &'static Flink) -> Job {
        let server = Server::start(&[]);
        Job {
            program: program(flink, &server),
            server,
            flink,
            topic: String::new(),
        }
    }

    fn begin(&mut self, story: &str) {
        self.topic = self.server.topic(&format!("{story}-{}", self.flink.name));
        self.control().create(&self.topic, 2, &[]);
        self.server.settle();
    }

    fn control(&self) -> Kafka {
        Kafka::connect(self.server.port()).expect("a connection")
    }

    /// A writer of that name opens a transaction and sends a value; answers what a checkpoint keeps of it.
    fn write(&mut self, name: &str, id: &str, value: &str) -> String {
        let topic = &self.topic;
        for line in [
            format!("open as={name} id={topic}-{id}"),
            format!("send as={name} topic={topic} partition=0 values={value}"),
        ] {
            self.program.ask(&line);
        }
        let kept = self.program.ask(&format!("checkpoint as={name}"));
        kept.concat()
    }

    fn commit(&mut self, name: &str) {
        self.program.ask(&format!("commit as={name}"));
    }

    fn recover(&mut self, kept: &str, end: &str) {
        self.program.ask(&format!("recover {kept} end={end}"));
    }

    fn clean(&mut self, strategy: &str, from: i64, keep: &str) -> Vec<String> {
        let topic = &self.topic;
        let prefix = format!("prefix={topic} from={from} keep={topic}-{keep}");
        let line = format!("clean strategy={strategy} topic={topic} {prefix}");
        let mut aborted = self.program.ask(&line);
        aborted.sort();
        aborted
    }

    fn refused(&mut self, line: &str, by: &str) {
        match self.program.attempt(line) {
            Ok(facts) => panic!("{line}: {facts:?}"),
            Err(sentence) => assert!(sentence.contains(by), "{line}: {sentence}"),
        }
    }

    /// What is committed in partition 0.
    fn shows(&self, expected: &[&str]) {
        let mut control = self.control();
        let mut shown = Vec::new();
        for _ in 0..LOOKS {
            let read = committed(&mut control, &self.topic, 0);
            shown = read.into_iter().map(|(_, value)| value).collect();
            if shown == expected {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(shown, expected);
    }

    /// The writer and the broker are gone, and come back.
    fn fail(&mut self) {
        self.program = program(self.flink, &self.server);
        self.server.crash();
    }
}

fn program(flink: &Flink, server: &Server) -> Conversation {
    let command = flink
        .program
        .command(&tests_dir().join("transactions/programs"));
    let mut command = command.expect("what run() has found");
    command.arg(server.address());
    Conversation::start(flink.name, command)
}

fn what_a_checkpoint_kept_is_committed_by_another(job: &mut Job) {
    let kept = job.write("writer", "0-1", "a");
    job.fail();
    job.shows(&[]);
    job.recover(&kept, "commit");
    job.shows(&["a"]);
    job.recover(&kept, "commit");
    job.fail();
    job.recover(&kept, "commit");
    job.refused(&format!("recover {kept} end=abort"), INVALID_STATE);
    job.shows(&["a"]);
}

fn what_a_checkpoint_kept_is_aborted_by_another(job: &mut Job) {
    let kept = job.write("writer", "0-1", "a");
    job.fail();
    job.recover(&kept, "abort");
    job.recover(&kept, "abort");
    job.fail();
    job.recover(&kept, "abort");
    job.refused(&format!("recover {kept} end=commit"), INVALID_STATE);
    job.shows(&[]);
}

/// In version 2 the end has moved the epoch, and Flink takes it that somebody else has the id.
fn what_the_writer_has_committed_stays(job: &mut Job) {
    let kept = job.write("writer", "0-1", "a");
    job.commit("writer");
    let recover = format!("recover {kept} end=");
    if job.flink.moves_epochs {
        job.refused(&format!("{recover}commit"), FENCED);
        job.refused(&format!("{recover}abort"), FENCED);
    } else {
        job.recover(&kept, "commit");
        job.refused(&format!("{recover}abort"), INVALID_STATE);
    }
    job.shows(&["a"]);
}

/// Its transaction was committed for it; it says so once more, takes the next id, and leaves the first one alone. In
/// version 2 it may not say so (the end by version 1 has not moved the epoch), and Flink takes a new one.
fn a_writer_goes_on_under_another_id(job: &mut Job) {
    let first = job.write("writer", "0-1", "a");
    job.recover(&first, "commit");
    let writer = if job.flink.moves_epochs {
        job.refused("commit as=writer", INVALID_STATE);
        "new-writer"
    } else {
        job.commit("writer");
        "writer"
    };
    let second = job.write(writer, "0-2", "b");
    job.recover(&first, "commit");
    job.shows(&["a"]);
    job.recover(&second, "abort");
    job.refused(&format!("commit as={writer}"), INVALID_STATE);
    job.shows(&["a"]);
}

fn what_was_kept_ends_no_later_transaction(job: &mut Job) {
    let kept = job.write("writer", "0-1", "a");
    job.recover(&kept, "commit");
    job.write("next", "0-1", "b");
    for end in ["commit", "abort"] {
        job.refused(&format!("recover {kept} end={end}"), FENCED);
    }
    job.shows(&["a"]);
    job.commit("next");
    job.shows(&["a", "b"]);
}

/// Of those of other jobs, and of those that a checkpoint has kept, none is touched.
fn open_transactions_are_found_by_their_producers(job: &mut Job) {
    let topic = job.topic.clone();
    job.write("ended", "0-1", "a");
    job.commit("ended");
    job.write("lost", "0-2", "b");
    let kept = job.write("kept", "0-3", "c");
    job.write("lost-too", "0-4", "d");
    job.topic = format!("other-{topic}");
    job.control().create(&job.topic, 2, &[]);
    job.server.settle();
    job.write("elsewhere", "0-1", "x");
    job.topic = topic.clone();
    job.fail();
    let aborted = job.clean("LISTING", 0, "0-3");
    // One epoch for the abort, and one for its new owner.
    let expected = ["2", "4"].map(|number| format!("aborted {topic}-0-{number} 2"));
    assert_eq!(aborted, expected);
    assert_eq!(job.clean("LISTING", 0, "0-3"), [""; 0]);
    job.recover(&kept, "commit");
    job.shows(&["a", "c"]);
}

/// An id that nobody has had begins with epoch 0.
fn used_ids_are_found_by_their_epochs(job: &mut Job) {
    for number in 1..=3 {
        job.write(&format!("lost-{number}"), &format!("0-{number}"), "a");
    }
    job.fail();
    let topic = job.topic.clone();
    let aborted = job.clean("PROBING", 2, "none");
    let expected = ["0-2 2", "0-3 2", "0-4 0", "1-2 0"];
    assert_eq!(
        aborted,
        expected.map(|told| format!("aborted {topic}-{told}"))
    );
    job.clean("PROBING", 1, "none");
    job.shows(&[]);
    job.write("writer", "0-5", "b");
    job.commit("writer");
    job.shows(&["b"]);
}

/// Flink's own default is an hour, which is above that of the broker.
fn a_timeout_above_the_limit_is_refused(job: &mut Job) {
    let open = format!("open as=slow id={}-0-1 timeout=3600000", job.topic);
    job.refused(&open, "timeout is larger than the maximum value");
}

fn a_group_without_members_commits_offsets(job: &mut Job) {
    let topic = job.topic.clone();
    for offset in [3, 7, 5] {
        let line = format!("offsets group={topic} topic={topic} offset={offset}");
        job.program.ask(&line);
        assert_eq!(stable_offset(&mut job.control(), &topic, &topic), offset);
    }
    job.fail();
    assert_eq!(stable_offset(&mut job.control(), &topic, &topic), 5);
}
