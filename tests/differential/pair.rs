//! The two brokers that scripts talk to, and the versions that both speak.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use chronikd::proto::schema::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use chronikd::proto::schema::offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};

use crate::both::{Both, Side};
use crate::common::apache::{Apache, NEWEST, OLD};
use crate::common::ask::{ask, decode, frame};
use crate::common::broker::Broker;
use crate::common::raw::Raw;

/// What both are told: sessions may be short enough to see them end, groups are soon full, and what stands behind the
/// settings of clients is not always a default.
const SETTINGS: &[&str] = &[
    "group.min.session.timeout.ms=100",
    "group.max.size=4",
    "group.consumer.session.timeout.ms=50000",
    "group.consumer.max.heartbeat.interval.ms=47000",
    "log.cleaner.backoff.ms=14000",
];
/// What Kafka is told beyond the needs of one node: the smallest internal topics, no pause before a group's first
/// rebalance (chronikd's default), not to think that it is gone itself on a busy machine, and to see soon that a
/// transaction has had its time, where chronikd sees it at once.
const THEIR_SETTINGS: &[&str] = &[
    "offsets.topic.num.partitions=1",
    "share.coordinator.state.topic.num.partitions=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "transaction.state.log.num.partitions=1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=100",
    "group.initial.rebalance.delay.ms=0",
    "broker.session.timeout.ms=120000",
];

/// Versions below these are listed and yet not served: Kafka 4 lists Produce 0 to 2 for the sake of old librdkafka and
/// closes the connection when they come; offsets of version 0 were kept in ZooKeeper, which no oracle has any more.
const SERVED_FROM: &[(&str, ApiKey, i16)] = &[
    (NEWEST, ApiKey::Produce, 3),
    (OLD, ApiKey::OffsetCommit, 1),
    (OLD, ApiKey::OffsetFetch, 1),
];

/// How long Kafka may take to make the topics of its coordinators.
const COORDINATORS_LIMIT: Duration = Duration::from_secs(30);

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
            Side::Ours => {
                let options: Vec<&str> = SETTINGS.iter().flat_map(|it| ["-o", it]).collect();
                Server::Ours(Broker::start(&options))
            }
            Side::Theirs => Pair::theirs(release),
        })
    }

    /// Twice the same Kafka: scripts must find that it agrees with itself.
    pub(crate) fn of_twins(release: &'static str) -> Pair {
        Pair::of(release, |_| Pair::theirs(release))
    }

    fn theirs(release: &'static str) -> Server {
        let settings = [SETTINGS, THEIR_SETTINGS].concat();
        Server::Theirs(Apache::start(release, &settings))
    }

    fn of(release: &'static str, start: impl FnMut(Side) -> Server) -> Pair {
        let servers = Both::each(start);
        let versions = servers.map(|server| versions_of(server.port()));
        for side in [Side::Ours, Side::Theirs] {
            await_coordinators(servers[side].port());
        }
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
        let rows = SERVED_FROM.iter();
        let mut served = rows.filter(|row| (row.0, row.1) == (self.release, api));
        let min = served.next().map_or(min, |row| min.max(row.2));
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

/// Kafka's coordinators need their topics, which the first question creates.
fn await_coordinators(port: u16) {
    let mut raw = Raw::connect(port).expect("a connection");
    let began = Instant::now();
    while [0, 1]
        .iter()
        .any(|&key_type| !has_coordinator(&mut raw, key_type))
        || !has_offsets(&mut raw)
    {
        assert!(began.elapsed() < COORDINATORS_LIMIT, "no coordinator comes");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn has_coordinator(raw: &mut Raw, key_type: i8) -> bool {
    let request = FindCoordinatorRequest {
        key: "any",
        key_type,
        ..FindCoordinatorRequest::default()
    };
    let request = frame(ApiKey::FindCoordinator, 1, &request);
    let body = ask(raw, ApiKey::FindCoordinator, 1, &request);
    let answer: FindCoordinatorResponse<'_> = decode(&body, ApiKey::FindCoordinator, 1);
    answer.error_code == ErrorCode::NONE
}

fn has_offsets(raw: &mut Raw) -> bool {
    let request = OffsetFetchRequest {
        group_id: "any",
        ..OffsetFetchRequest::default()
    };
    let request = frame(ApiKey::OffsetFetch, 2, &request);
    let body = ask(raw, ApiKey::OffsetFetch, 2, &request);
    let answer: OffsetFetchResponse<'_> = decode(&body, ApiKey::OffsetFetch, 2);
    answer.error_code == ErrorCode::NONE
}
