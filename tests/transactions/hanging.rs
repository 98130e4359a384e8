//! A transaction that is open in a log and that no coordinator knows: in Kafka it hangs until `kafka-transactions
//! find-hanging` tells of it and `abort` ends it. Here a start ends it.
//!
//! A running broker cannot have one, for the log takes no batch that is not in its transaction, and a transaction ends
//! in all its partitions. So the data directory is given a journal of the time before the transactional id came.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::broker::Broker;
use crate::common::dir::Dir;
use crate::common::server::Server;
use crate::common::skipped;
use crate::common::tools::Row;
use crate::stage::{END, Stage};
use crate::workbench::Workbench;

/// The whole test.
pub(crate) fn run() {
    let Some(mut bench) = Workbench::start("hanging transactions") else {
        return;
    };
    let stage = &mut bench.stage;
    let topic = stage.topic("hanging");
    stage.play(&[&format!("init as=known id={topic}-known")]);
    stage.commit("known", &topic, 0, "first");
    let kept = Dir::new();
    if !on_the_dead(stage, |broker| copy(&journal(broker), kept.path())) {
        return skipped("hanging transactions", "an oracle is left as it is");
    }
    stage.play(&[
        &format!("init as=forgotten id={topic}-forgotten"),
        "begin as=forgotten",
        &format!("send as=forgotten topic={topic} partition=0 values=lost"),
    ]);
    on_the_dead(stage, |broker| {
        fs::remove_dir_all(journal(broker)).expect("the journal of a broker");
        fs::create_dir(journal(broker)).expect("room for a journal");
        copy(kept.path(), &journal(broker));
    });
    stage.commit("known", &topic, 0, END);
    assert_eq!(stage.values(&topic, 0), ["first"]);
    let every = "find-hanging --broker-id 1 --max-transaction-timeout 0";
    assert_eq!(bench.rows(every), []);
    let rows = bench.rows(&format!("describe-producers --topic {topic} --partition 0"));
    let start = |row: &Row| row.text("CurrentTransactionStartOffset").to_owned();
    let starts: Vec<String> = rows.iter().map(start).collect();
    assert_eq!(starts, ["None", "None"]);
    if let Server::Ours(broker) = &bench.stage.server {
        assert!(broker.log().contains("belongs to no transactional id"));
    }
}

/// Does something to a broker that is killed for that and started again behind it, unless it is an oracle.
fn on_the_dead(stage: &mut Stage, work: impl FnOnce(&Broker)) -> bool {
    let Server::Ours(broker) = &mut stage.server else {
        return false;
    };
    broker.kill9();
    work(broker);
    broker.restart();
    true
}

fn journal(broker: &Broker) -> PathBuf {
    broker.data().join("journal")
}

fn copy(from: &Path, into: &Path) {
    for file in fs::read_dir(from).expect("a directory") {
        let file = file.expect("an entry");
        fs::copy(file.path(), into.join(file.file_name())).expect("a file like it");
    }
}
