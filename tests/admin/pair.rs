//! chronikd and a real Kafka with the same topics, as far as scripts and clients need them before they begin.

use chronikd::proto::batch::BatchBuilder;

use crate::common::apache::{Apache, NEWEST};
use crate::common::broker::Broker;
use crate::common::kafka::Kafka;

/// What Kafka is told beyond the needs of one node: small topics of its own, no pause before a rebalance, and not to
/// think that it is gone itself on a busy machine.
const THEIR_SETTINGS: &[&str] = &[
    "offsets.topic.num.partitions=1",
    "transaction.state.log.num.partitions=1",
    "group.initial.rebalance.delay.ms=0",
    "broker.session.timeout.ms=120000",
];
/// A topic that has records.
const FILLED: &str = "filled";
/// When its records were made, in milliseconds since 1970: 2020-01-01T00:00:00Z and a minute apart.
const THEN_MS: i64 = 1_577_836_800_000;
const APART_MS: i64 = 60_000;

/// Both. They end when this goes.
pub(crate) struct Pair {
    pub(crate) ours: Broker,
    theirs: Apache,
}

impl Pair {
    /// Starts both, and makes a topic with records in both.
    pub(crate) fn start() -> Pair {
        let theirs = std::thread::spawn(|| Apache::start(NEWEST, THEIR_SETTINGS));
        let pair = Pair {
            ours: Broker::start(&["-o", "node.id=1"]),
            theirs: theirs.join().expect("Kafka starts"),
        };
        let configs = &[("retention.ms", "-1")];
        let mut ours = Kafka::connect(pair.ours.port()).expect("a connection");
        ours.create(FILLED, 1, configs);
        fill(&mut ours);
        fill(&mut pair.theirs.make_topic(FILLED, configs));
        pair
    }

    /// Ours and theirs, as `host:port`.
    pub(crate) fn addresses(&self) -> [String; 2] {
        [self.ours.port(), self.theirs.port()].map(|port| format!("127.0.0.1:{port}"))
    }
}

/// Two batches; the newest record is not the last.
fn fill(client: &mut Kafka) {
    for minutes in [[0, 1, 2], [5, 4, 3]] {
        let mut builder = BatchBuilder::new(0);
        for minute in minutes {
            let value = format!("minute {minute}");
            builder.push(THEN_MS + minute * APART_MS, None, Some(value.as_bytes()));
        }
        let batch = builder.build(None).expect("a small batch");
        client.produce(FILLED, 0, -1, &batch).expect("sent");
        assert_eq!(client.acked().expect("an answer").error.0, 0);
    }
}
