//! Every client reads what every other wrote, before and after the broker is killed.
//!
//! A writer has one topic with all the compressions that every client knows, and one with zstd, which
//! clients before Kafka 2.1 cannot read: those must be told so (error 76) and not be handed the bytes.

use crate::client::{CLIENTS, Client};
use crate::common::server::Server;
use crate::common::{now_ms, skipped};
use crate::contents::Records;
use crate::session::Session;

/// Records in each compression.
const RUN: u64 = 8;

struct Written {
    topic: String,
    writer: &'static Client,
    base_ms: i64,
    count: u64,
    zstd: bool,
}

/// Runs the matrix of those clients that this machine has.
pub(crate) fn run() {
    let mut server = Server::start(&[]);
    let mut sessions = Vec::new();
    for client in CLIENTS {
        match Session::start(client, &server.address()) {
            Ok(session) => sessions.push(session),
            Err(why) => skipped(client.name, &why),
        }
    }
    let mut written = Vec::new();
    for writer in &mut sessions {
        written.push(write(writer, &server, false));
        if writer.client.knows_zstd() {
            written.push(write(writer, &server, true));
        }
    }
    read_all(&mut sessions, &written);
    server.crash();
    read_all(&mut sessions, &written);
}

fn write(session: &mut Session, server: &Server, zstd: bool) -> Written {
    let writer = session.client;
    let kind = if zstd { "zstd" } else { "plain" };
    let topic = server.topic(&format!("{}-{kind}", writer.name));
    let base_ms = now_ms() - 600_000;
    let records = records(&topic, writer, base_ms);
    let mut count = 0;
    for codec in writer.codecs {
        if (*codec == "zstd") == zstd {
            let words = records.words(count, RUN);
            session.ask(&format!("produce {words} codec={codec} acks=all"));
            count += RUN;
        }
    }
    Written {
        topic,
        writer,
        base_ms,
        count,
        zstd,
    }
}

fn records<'a>(topic: &'a str, writer: &'a Client, base_ms: i64) -> Records<'a> {
    Records {
        topic,
        partition: 0,
        writer,
        base_ms,
        size: None,
    }
}

/// All readers at once, as they mostly wait.
fn read_all(sessions: &mut [Session], written: &[Written]) {
    std::thread::scope(|scope| {
        for reader in sessions {
            scope.spawn(|| {
                for from in written {
                    read(reader, from);
                }
            });
        }
    });
}

fn read(session: &mut Session, from: &Written) {
    let reader = session.client;
    let line = format!(
        "consume topic={} from=earliest count={}",
        from.topic, from.count
    );
    if from.zstd && !reader.knows_zstd() {
        // It asks again and again until its patience ends, so one topic stands for all.
        if from.writer.name == "kcat" {
            let refused = session.attempt(&format!("{line} patience=2"));
            assert!(refused.is_err(), "{} read zstd", reader.name);
        }
        return;
    }
    let told = session.ask(&line);
    records(&from.topic, from.writer, from.base_ms).check(reader, 0, from.count, &told);
}
