//! A producer with up to five batches on their way, over one connection a cycle.
//!
//! A plain writer gives up what has no answer when the broker dies: such a record may be there or not. An
//! idempotent one sends it again, with the same sequence numbers, before anything new.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::error::ErrorCode;

use crate::PARTITIONS;
use crate::common::kafka::Kafka;
use crate::ledger::Observed;

/// As many as a broker remembers of an idempotent producer.
const DEPTH: usize = 5;

/// What a writer relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain { acks: i16 },
    Idempotent { id: i64, epoch: i16 },
}

/// One writer, over all cycles.
pub(crate) struct Writer {
    pub(crate) name: u32,
    pub(crate) kind: Kind,
    pub(crate) partition: i32,
    /// The number of the next record; it counts over all cycles.
    next: u64,
    /// Batches without an answer, oldest first, as (first number, record count).
    pending: VecDeque<(u64, u64)>,
    acked: Vec<Observed>,
}

impl Writer {
    /// The writer of that name; names are counted from 0, and partitions are shared.
    pub(crate) fn new(name: u32, kind: Kind) -> Writer {
        Writer {
            name,
            kind,
            partition: name as i32 % PARTITIONS,
            next: 0,
            pending: VecDeque::new(),
            acked: Vec::new(),
        }
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self.kind, Kind::Idempotent { .. })
    }

    /// What was acknowledged since this was last asked.
    pub(crate) fn take_acked(&mut self) -> Vec<Observed> {
        std::mem::take(&mut self.acked)
    }

    /// Writes until the broker is gone, which must be because the test ended it.
    pub(crate) fn run(&mut self, port: u16, topic: &str, over: &AtomicBool) {
        let Ok(mut connection) = Kafka::connect(port) else {
            return;
        };
        if !self.is_idempotent() {
            self.pending.clear();
        }
        let again = self.pending.clone();
        let sent = again
            .into_iter()
            .try_for_each(|batch| self.send(&mut connection, topic, batch));
        if sent
            .and_then(|()| self.stream(&mut connection, topic))
            .is_err()
        {
            let ended = over.load(Ordering::Acquire);
            assert!(ended, "writer {} was cut off", self.name);
        }
    }

    fn stream(&mut self, connection: &mut Kafka, topic: &str) -> std::io::Result<()> {
        loop {
            while self.pending.len() < DEPTH {
                let batch = (self.next, 1 + self.next % 4);
                self.next += batch.1;
                self.pending.push_back(batch);
                self.send(connection, topic, batch)?;
            }
            let acked = connection.acked()?;
            assert_eq!(
                acked.error,
                ErrorCode::NONE,
                "writer {}: {acked:?}",
                self.name
            );
            let (first, count) = self.pending.pop_front().expect("a batch was sent");
            self.acked.extend((0..count).map(|i| Observed {
                offset: acked.base_offset + i as i64,
                writer: self.name,
                number: first + i,
            }));
        }
    }

    fn send(&self, connection: &mut Kafka, topic: &str, batch: (u64, u64)) -> std::io::Result<()> {
        let (first, count) = batch;
        let mut builder = BatchBuilder::new(0);
        let mut acks = -1;
        match self.kind {
            Kind::Plain { acks: own } => acks = own,
            Kind::Idempotent { id, epoch } => builder = builder.producer(id, epoch, first as i32),
        }
        for number in first..first + count {
            let value = Observed::value(self.name, number);
            builder.push(crate::common::now_ms(), None, Some(&value));
        }
        let bytes = builder.build(None).expect("a small batch");
        connection.produce(topic, self.partition, acks, &bytes)
    }
}
