//! The two brokers that scripts talk to, and the versions that both speak.

use std::collections::BTreeMap;

use chronikd::proto::ApiKey;
use chronikd::proto::schema::api_versions::{ApiVersionsRequest, ApiVersionsResponse};

use crate::both::{Both, Side};
use crate::common::apache::{Apache, NEWEST};
use crate::common::ask::{ask, decode, frame};
use crate::common::broker::Broker;
use crate::common::raw::Raw;

/// What Kafka is told beyond the needs of one node: the smallest internal topics, no pause before a group's first
/// rebalance (chronikd's default), and sessions short enough to see them end.
const THEIR_SETTINGS: &[&str] = &[
    "offsets.topic.num.partitions=1",
    "share.coordinator.state.topic.num.partitions=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "transaction.state.log.num.partitions=1",
    "group.initial.rebalance.delay.ms=0",
];

/// Kafka 4 lists Produce 0 to 2 for the sake of old librdkafka, and closes the connection when they come.
const LISTED_BUT_REFUSED: (ApiKey, i16) = (ApiKey::Produce, 3);

/// First and last version of an API, by its key.
type Versions = BTreeMap<i16, (i16, i16)>;

/// A broker of either kind; it ends when this goes.
enum Server {
    Ours(Broker),
    Theirs(Apache),
}

/// Two brokers.
pub(crate) struct Pair {
    servers: Both<Server>,
    versions: Both<Versions>,
    /// Which Kafka it is.
    pub(crate) release: &'static str,
}

impl Pair {
    /// A chronikd and a Kafka of that toolchain.
    pub(crate) fn start(release: &'static str) -> Pair {
        Pair::of(release, |side| match side {
            Side::Ours => Server::Ours(Broker::start(&[])),
            Side::Theirs => Server::Theirs(Apache::start(release, THEIR_SETTINGS)),
        })
    }

    /// Twice the same Kafka: scripts must find that it agrees with itself.
    pub(crate) fn of_twins(release: &'static str) -> Pair {
        Pair::of(release, |_| {
            Server::Theirs(Apache::start(release, THEIR_SETTINGS))
        })
    }

    fn of(release: &'static str, start: impl FnMut(Side) -> Server) -> Pair {
        let servers = Both::each(start);
        let versions = servers.map(|server| versions_of(server.port()));
        Pair {
            servers,
            versions,
            release,
        }
    }

    /// Where the broker of a side listens.
    pub(crate) fn port(&self, side: Side) -> u16 {
        self.servers[side].port()
    }

    /// First and last version that both speak.
    pub(crate) fn range(&self, api: ApiKey) -> Option<(i16, i16)> {
        let of = |side: Side| self.versions[side].get(&(api as i16));
        let (ours, theirs) = (of(Side::Ours)?, of(Side::Theirs)?);
        let (min, max) = (ours.0.max(theirs.0), ours.1.min(theirs.1));
        // A twin of Kafka speaks what chronikd's messages do not.
        let (min, max) = (min.max(api.info().min), max.min(api.info().max));
        let min = match (LISTED_BUT_REFUSED, self.release) {
            ((refused, served), NEWEST) if refused == api => min.max(served),
            _ => min,
        };
        (min <= max).then_some((min, max))
    }
}

impl Server {
    fn port(&self) -> u16 {
        match self {
            Server::Ours(broker) => broker.port(),
            Server::Theirs(apache) => apache.port(),
        }
    }
}

fn versions_of(port: u16) -> Versions {
    let mut raw = Raw::connect(port).expect("a connection");
    let request = frame(ApiKey::ApiVersions, 0, &ApiVersionsRequest::default());
    let body = ask(&mut raw, ApiKey::ApiVersions, 0, &request);
    let answer: ApiVersionsResponse<'_> = decode(&body, ApiKey::ApiVersions, 0);
    let row = answer.api_keys.iter();
    row.map(|row| (row.api_key, (row.min_version, row.max_version)))
        .collect()
}
