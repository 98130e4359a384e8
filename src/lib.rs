//! chronikd: a small broker that speaks the Apache Kafka protocol.
//!
//! One poll loop owns every socket, calls plain synchronous handlers, makes what they did durable, and
//! only then lets the replies out. The rooms, from the top:
//!
//! ```text
//! main -> net -> api -> broker -> {storage, journal} -> {proto, disk} -> std
//!                 \______\___________\__________________________> clock, config
//! ```
//!
//! Arrows point down only; `tests/tidy.rs` holds the tree to that.

pub mod api;
pub mod broker;
pub mod clock;
pub mod config;
pub mod disk;
pub mod journal;
pub mod net;
pub mod proto;
pub mod storage;
