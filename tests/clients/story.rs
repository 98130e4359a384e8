//! What one client does alone with a broker that is killed on the way.

use std::time::{Duration, Instant};

use crate::client::{Client, Stamps};
use crate::common::server::Server;
use crate::common::{now_ms, skipped};
use crate::contents::Records;
use crate::session::Session;

/// Records of one `produce` line: with the null key and the null value among them.
const RUN: u64 = 12;
/// The limit that the topics of the story are given.
const LARGEST_BYTES: usize = 6_000_000;

/// Runs the whole story of one client.
pub(crate) fn run(client: &'static Client) {
    if let Err(why) = client.command("") {
        return skipped(client.name, &why);
    }
    // Who cannot configure a topic has the broker's own limit raised.
    let limit = format!("message.max.bytes={LARGEST_BYTES}");
    let options: &[&str] = if client.admin { &[] } else { &["-o", &limit] };
    let mut server = Server::start(options);
    let mut session = Session::start(client, &server.address()).expect("what command() found");
    if client.admin || client.name == "kcat" {
        sees_the_cluster(&mut session);
    }
    every_codec_and_acks_then_a_crash(&mut session, &mut server);
    small_and_large(&mut session, &mut server);
    if client.name != "kcat" {
        one_producer_over_a_crash(&mut session, &mut server);
    }
    if client.admin {
        topics_come_and_go(&mut session, &server);
    }
}

fn sees_the_cluster(session: &mut Session) {
    let facts = session.ask("cluster");
    let words: Vec<&str> = facts[0].split(' ').collect();
    assert_eq!(words.len(), 3, "{facts:?}");
    assert!(words[1].len() == 22 || words[1] == "-", "a cluster id");
    assert!(words[1] != "-" || session.client.name == "kcat", "an id");
    assert_eq!(words[2], "1", "one broker");
}

/// Makes a topic with partitions 0, 1 and 2, or leaves that to the first produce, which makes one.
fn create(session: &mut Session, server: &Server, topic: &str) {
    if session.client.admin {
        session.ask(&format!(
            "create topic={topic} partitions=3 config=max.message.bytes:{LARGEST_BYTES}"
        ));
        server.settle();
        let facts = session.ask(&format!("describe topic={topic}"));
        assert_eq!(facts, ["partition 0", "partition 1", "partition 2"]);
    }
}

/// Sends some records with further words, and checks the offsets that the client is told.
fn produce(session: &mut Session, records: &Records, first: u64, count: u64, further: &str) {
    let words = records.words(first, count);
    let facts = session.ask(&format!("produce {words} {further}"));
    if further.contains("acks=0") {
        wait_for_end(session, records, first + count);
    } else if session.client.tells_offsets {
        let expected: Vec<String> = (first..first + count)
            .map(|i| format!("sent {i} {i}"))
            .collect();
        assert_eq!(facts, expected, "{}: {further}", session.client.name);
    }
}

/// With acks=0 nobody says when the records are there.
fn wait_for_end(session: &mut Session, records: &Records, end: u64) {
    let line = format!(
        "offsets topic={} partition={}",
        records.topic, records.partition
    );
    let expected = format!("offsets 0 {end}");
    let began = Instant::now();
    while session.ask(&line) != [expected.as_str()] {
        let name = session.client.name;
        assert!(began.elapsed() < Duration::from_secs(10), "{name}: acks=0");
    }
}

fn every_codec_and_acks_then_a_crash(session: &mut Session, server: &mut Server) {
    let topic = server.topic("every-codec");
    create(session, server, &topic);
    let records = Records {
        topic: &topic,
        partition: if session.client.admin { 1 } else { 0 },
        writer: session.client,
        base_ms: now_ms() - 600_000,
        size: None,
    };
    let mut end = 0;
    for codec in session.client.codecs {
        for acks in session.client.acks {
            let further = format!("codec={codec} acks={acks}");
            produce(session, &records, end, RUN, &further);
            end += RUN;
        }
        if session.client.idempotent {
            let further = format!("codec={codec} acks=all idempotent=1");
            produce(session, &records, end, RUN, &further);
            end += RUN;
        }
    }
    reads_from_everywhere(session, &records, end);
    server.crash();
    reads_from_everywhere(session, &records, end);
}

/// From the start, from inside (of a batch, too), by time; and the offsets at the ends.
fn reads_from_everywhere(session: &mut Session, records: &Records, end: u64) {
    let from = format!("topic={} partition={}", records.topic, records.partition);
    let reader = session.client;
    assert_eq!(
        session.ask(&format!("offsets {from}")),
        [format!("offsets 0 {end}")]
    );
    let told = session.ask(&format!("consume {from} from=earliest count={end}"));
    records.check(reader, 0, end, &told);
    for first in [1, RUN - 1, RUN, end / 2, end - 1] {
        let told = session.ask(&format!("consume {from} from={first} count=1"));
        records.check(reader, first, 1, &told);
    }
    if reader.finds_times {
        finds_times(session, records, &from, end);
    }
}

fn finds_times(session: &mut Session, records: &Records, from: &str, end: u64) {
    let mut find = |at: i64| session.ask(&format!("offsets {from} at={at}"));
    assert_eq!(find(now_ms() + 1_000_000), ["found -1"]);
    assert_eq!(find(1), ["found 0"]);
    if records.writer.stamps == Stamps::Given {
        for i in [0, 5, RUN, end - 1] {
            assert_eq!(find(records.base_ms + i as i64), [format!("found {i}")]);
        }
        let half = end / 2;
        let at = records.base_ms + half as i64;
        let told = session.ask(&format!("consume {from} from=@{at} count=2"));
        records.check(session.client, half, 2, &told);
    }
}

/// Records of 1 byte to 5 MB, uncompressed, and one that is larger than the topic takes.
fn small_and_large(session: &mut Session, server: &mut Server) {
    for (i, size) in [1, 100_000, 1_000_000, 5_000_000].into_iter().enumerate() {
        let topic = server.topic(&format!("size-{i}"));
        create(session, server, &topic);
        let records = Records {
            topic: &topic,
            partition: 0,
            writer: session.client,
            base_ms: now_ms(),
            size: Some(size),
        };
        produce(session, &records, 0, 3, "acks=all");
        let told = session.ask(&format!("consume topic={topic} from=earliest count=3"));
        records.check(session.client, 0, 3, &told);
        let over = Records {
            size: Some(LARGEST_BYTES + 1000),
            ..records
        };
        let line = format!("produce {} acks=all", over.words(3, 1));
        let refused = session.attempt(&line).expect_err("too large");
        assert!(says_too_large(&refused), "{refused}");
    }
}

/// Each client has its own name for error 10.
fn says_too_large(sentence: &str) -> bool {
    let sentence = sentence.to_lowercase().replace([' ', '_'], "");
    sentence.contains("toolarge") || sentence.contains("sizetoolarge")
}

/// A producer that lives on while the broker dies: its sequence goes on where it was.
fn one_producer_over_a_crash(session: &mut Session, server: &mut Server) {
    let topic = server.topic("one-producer");
    create(session, server, &topic);
    let records = Records {
        topic: &topic,
        partition: 0,
        writer: session.client,
        base_ms: now_ms() - 600_000,
        size: None,
    };
    let idempotent = u8::from(session.client.idempotent);
    let further = format!("codec=gzip acks=all idempotent={idempotent} keep=1");
    for round in 0..3 {
        produce(session, &records, round * RUN, RUN, &further);
        server.crash();
    }
    let end = 3 * RUN;
    let told = session.ask(&format!("consume topic={topic} from=earliest count={end}"));
    records.check(session.client, 0, end, &told);
}

/// Deleted is gone at once, and a name that comes back comes back empty.
fn topics_come_and_go(session: &mut Session, server: &Server) {
    let topic = server.topic("passing");
    for _ in 0..2 {
        create(session, server, &topic);
        let offsets = session.ask(&format!("offsets topic={topic} partition=2"));
        assert_eq!(offsets, ["offsets 0 0"]);
        let refused = session.attempt(&format!("create topic={topic} partitions=3"));
        let refused = refused.expect_err("the name is taken").to_lowercase();
        assert!(refused.contains("exists"), "{refused}");
        session.ask(&format!(
            "produce topic={topic} partition=2 first=0 count=3 acks=all"
        ));
        session.ask(&format!("delete topic={topic}"));
    }
}
