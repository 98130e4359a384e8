//! Transactions of both versions. Kafka ends a transaction some time after it has said so: a script waits for that
//! before it goes on, so what is answered meanwhile (51) is not compared here.

pub(super) mod ends;
pub(super) mod inits;
pub(super) mod partitions;
pub(super) mod pending;
mod producer;
pub(super) mod reads;
pub(super) mod seen;
pub(super) mod timeouts;
pub(super) mod writes;
