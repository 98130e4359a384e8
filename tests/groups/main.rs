//! Consumer groups of the real clients, unchanged, against the real daemon.
//!
//! Each client is one small program in `members/` that is one member of a group and tells what it does, line by line
//! (`member`). A group of two to five of them reads a topic that is written all the while (`feeder`); members are
//! killed and added, and the broker is killed under them (`story`). A `book` of all lines holds them to the promises
//! of a group: nothing is skipped, nothing is processed again once its commit was acknowledged, and in the end every
//! record was processed and the lag is 0, as Kafka's own tool reports it.
//!
//! With `CHRONIKD_ORACLE=HOST:PORT` (on this machine, with `group.initial.rebalance.delay.ms=0`) the suite runs
//! against another broker, which is not killed: so that what is expected here is what Apache Kafka does.

#[path = "../common/mod.rs"]
mod common;

mod admin;
mod book;
mod client;
mod commands;
mod feeder;
mod group;
mod member;
mod story;
mod verifiable;

common::stories::stories! {
    kafka_python_3_0
    kafka_python_2_3
    kafka_python_2_0
    confluent_kafka_2
    kafka_clients_4_3
    kafka_clients_3_9
    kafka_clients_2_8
    kafkajs_2
    sarama
    kafka_go
    franz_go
}

#[test]
fn clients_of_many_languages_are_one_group() {
    story::mixed();
}

#[test]
fn kafkas_tool_describes_resets_and_deletes_groups() {
    commands::run();
}

#[test]
fn kafkas_verifiable_clients_survive_the_broker() {
    verifiable::run();
}

#[test]
fn the_calls_of_kafkajs_describe_move_and_delete_groups() {
    admin::run("kafkajs_2");
}

#[test]
fn the_calls_of_sarama_describe_move_and_delete_groups() {
    admin::run("sarama");
}

#[test]
fn the_calls_of_kafka_go_describe_move_and_delete_groups() {
    admin::run("kafka_go");
}

#[test]
fn the_calls_of_franz_go_describe_move_and_delete_groups() {
    admin::run("franz_go");
}
