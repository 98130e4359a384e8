//! chronikd: a small broker that speaks the Apache Kafka protocol.
//!
//! # One turn
//!
//! One thread owns every socket. It goes round and round, and everything that the broker promises hangs on
//! the order of these steps (`net::exchange`):
//!
//! ```text
//! absorb   what the two lanes have finished: a durable round moves high watermarks and frees replies
//! run      the requests that have arrived, connection by connection, each up to its share
//! expire   parked requests whose time is up get their last call
//! tick     timers of the broker
//! settle   parked requests that something has woken are asked again, until all is quiet
//! sync     what was written becomes one round for the sync lane, if none is in flight
//! flush    replies leave, up to the first that waits for a round
//! poll     until something arrives or the next timer
//! ```
//!
//! Durability is thus a step of the loop, not a state of each request: whatever was written while a round
//! was in flight shares the next one.
//!
//! # The way of a request
//!
//! `proto::frame::Inbox` finds a frame in the bytes of a connection; `api::handle` reads the header, decodes the
//! body into the structs of `proto::schema` (borrowed from the frame) and calls the handler in the file of that
//! API; the handler asks and changes the `broker`, appends to `storage` and `journal`, and writes its
//! response behind those before it. Records are copied once, from the inbox to the page cache, and fetched
//! ones not at all: the response has a slot where `net` interleaves views of the segment files.
//!
//! # The rooms, and who may enter whom
//!
//! ```text
//! main -> net -> api -> broker -> {storage, journal} -> {proto, disk} -> std
//!                 \______\___________\__________________________> clock, config
//! ```
//!
//! | room | knows | never knows |
//! |---|---|---|
//! | `net` | sockets, fairness, the turn | what a request means |
//! | `api` | one file for each API: versions, checks, answers | sockets, files |
//! | `broker` | what is true now; all that lasts goes through the journal | bytes of requests |
//! | `storage` | partitions: segments, indexes, producer state, recovery, retention, compaction, the disk's budget | requests, topics' names beyond directories |
//! | `journal` | groups of keys and values that outlive a crash | what they mean |
//! | `proto` | the language: messages, batches, codecs | brokers, disks, sockets |
//! | `disk` | files, maps, the two lanes; real and simulated | what the bytes are |
//! | `clock`, `config` | the only clock; the table of settings | |
//!
//! Arrows point down only. Everything from `net::exchange` down is pure: the moment, the disk and the seed are
//! passed in, so a test runs the whole broker under a simulated clock, and `tests/tidy.rs` holds the tree to
//! these rules.

pub mod api;
pub mod broker;
pub mod clock;
pub mod config;
pub mod disk;
pub mod journal;
pub mod net;
pub mod proto;
pub mod storage;
