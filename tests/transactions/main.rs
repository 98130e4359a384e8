//! Transactions of the real clients, unchanged, against the real daemon.
//!
//! Each client is one small program in `programs/` (the Go ones are in `tests/clients/go`) that answers the lines of
//! `client`. The table there says who they are; the table in `story` says what each of them goes through: commits
//! and aborts, a second instance that fences the first, a timeout, offsets that move with the transaction, and a
//! broker that is killed with a transaction open. What was committed is read by the client itself, read_committed,
//! and by our own hands (`reader`).
//! `commands` is Kafka's own tool for transactions, and `copier` its copier under fifty kills.
//!
//! With `CHRONIKD_ORACLE=HOST:PORT` (on this machine) the suite runs against another broker, which is not killed: so
//! that what is expected here is what Apache Kafka does.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod commands;
mod copier;
mod reader;
mod stage;
mod story;

common::stories::stories! {
    kafka_clients_4_3
    kafka_clients_3_9
    confluent_kafka_2
    kafka_python_3_0
    kafkajs_2
    platformatic_kafka_2
    sarama
    franz_go
}

#[test]
fn kafkas_tool_lists_describes_and_aborts_transactions() {
    commands::run();
}

#[test]
fn kafkas_copier_copies_exactly_once_in_fifty_kills() {
    copier::run();
}
