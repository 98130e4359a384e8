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
//! Kafka Streams with exactly_once_v2 runs as programs that are killed (`app`): a word count of ours (`word_count`),
//! and Kafka's own test programs (`streams`, `smoke`, `eos`). `flink` is what Flink's sink and source ask, and
//! `ksql` what ksqlDB asks.
//!
//! With `CHRONIKD_ORACLE=HOST:PORT` (on this machine) the suite runs against another broker, which is not killed: so
//! that what is expected here is what Apache Kafka does.

#[path = "../common/mod.rs"]
mod common;

mod app;
mod client;
mod commands;
mod copier;
mod copying;
mod eos;
mod flink;
mod hanging;
mod ksql;
mod levels;
mod reader;
mod smoke;
mod stage;
mod story;
mod streams;
mod word_count;
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

#[test]
fn streams_count_words_exactly_once_under_kills() {
    word_count::run();
}

#[test]
fn kafkas_smoke_test_of_streams_succeeds_under_kills() {
    smoke::run();
}

#[test]
fn kafkas_exactly_once_test_of_streams_succeeds_under_kills() {
    eos::run();
}

#[test]
fn flink_resumes_and_cleans_up_transactions_of_version_2() {
    flink::run(&flink::NEW);
}

#[test]
fn flink_resumes_and_cleans_up_transactions_of_version_1() {
    flink::run(&flink::OLD);
}

#[test]
fn the_calls_of_ksqldb_state_and_restore() {
    ksql::run();
}
