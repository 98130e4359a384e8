//! The real clients, unchanged, against the real daemon.
//!
//! Each client is one small program beside this file, which answers the lines of `session`. The table in
//! `client` says what every client can do; `story` is what each does alone, and `cross` lets every client
//! read what every other one wrote. The contents of a record are computed from its topic and number
//! (`contents`), so nobody has to be asked what it was that he sent.
//!
//! The toolchains are installed by `tests/clients/setup`. Where one is absent its tests say `SKIPPED` and
//! pass, except in CI. With `CHRONIKD_ORACLE=HOST:PORT` the same suite runs against another broker, which
//! is not killed: so that what is expected here is what Apache Kafka does. For the clients before 0.11 it has to be
//! Kafka 3.9, and it needs `message.max.bytes=6000000`.

#[path = "../common/mod.rs"]
mod common;

mod client;
mod contents;
mod cross;
mod session;
mod story;

common::stories::stories! {
    kcat
    kafka_python_3_0
    kafka_python_2_3
    kafka_python_2_0
    kafka_python_as_for_kafka_0_10
    kafka_python_as_for_kafka_0_9
    confluent_kafka_2
    kafka_clients_4_3
    kafka_clients_3_9
    kafka_clients_2_8
    kafkajs_2
    sarama
    sarama_as_for_kafka_2_8
    kafka_go
    franz_go
}

#[test]
fn every_client_reads_what_every_other_wrote() {
    cross::run();
}
