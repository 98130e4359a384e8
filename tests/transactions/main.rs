//! Transactions of the real clients, unchanged, against the real daemon.
//!
//! Each client is one small program in `programs/` (the Go ones are in `tests/clients/go`) that answers the lines of
//! `client`. The table there says who they are; the table in `story` says what each of them goes through: commits
//! and aborts, a second instance that fences the first, a timeout, offsets that move with the transaction, those of a
//! member that is none any more, and a broker that is killed with a transaction open. What was committed is read by the
//! client itself, read_committed, and by our own hands (`reader`).
//! `commands` is Kafka's own tool for transactions, and `hanging` what that cannot find; `levels` has the version of
//! transactions changed below a producer. `copying` has the copiers of `copier` at work under fifty kills.
//!
//! With `CHRONIKD_ORACLE=HOST:PORT` (on this machine) the suite runs against another broker, which is not killed: so
//! that what is expected here is what Apache Kafka does.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod commands;
mod copier;
mod copying;
mod hanging;
mod levels;
mod reader;
mod stage;
mod story;
mod workbench;

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
fn a_producer_goes_on_at_every_level_of_transactions() {
    levels::run();
}

#[test]
fn a_transaction_that_nobody_knows_is_ended_by_a_start() {
    hanging::run();
}

#[test]
fn copiers_copy_exactly_once_in_fifty_kills() {
    copying::run();
}
