//! The settings as the rooms obey them: numbers and flags with names.

use super::rules::{self, Broken};
use super::settings::{Problem, Settings};
use super::topic::resolve;
use super::{Listener, Value, listeners};
use std::collections::BTreeMap;
use std::path::Path;

/// The broker's settings that are honoured, checked. A field is named after its key and says nothing but
/// what the key does not: sizes are bytes, spans milliseconds.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// `node.id`, else `broker.id`.
    pub node_id: i32,
    /// `broker.rack`.
    pub broker_rack: Option<String>,
    /// `listeners`, without those of `controller.listener.names`; at least one.
    pub listeners: Vec<Listener>,
    /// `advertised.listeners`; a listener that is not among them is advertised as the address that each
    /// client connected to.
    advertised_listeners: Vec<Listener>,
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: usize,
    /// `connections.max.idle.ms`; `i64::MAX` is never.
    pub connections_max_idle_ms: i64,
    /// `max.connections`.
    pub max_connections: usize,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub max_incremental_fetch_session_cache_slots: usize,
    /// `max.request.partition.size.limit`.
    pub max_request_partition_size_limit: i32,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: i32,
    /// `offsets.retention.minutes`.
    pub offsets_retention_minutes: i32,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `message.max.bytes`: also what a group's members and assignments may take together.
    pub message_max_bytes: usize,
    /// `group.initial.rebalance.delay.ms`; below zero counts as zero.
    pub group_initial_rebalance_delay_ms: i64,
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout_ms: i32,
    /// `group.max.size`.
    pub group_max_size: usize,
    /// `transaction.max.timeout.ms`.
    pub transaction_max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub transaction_remove_expired_transaction_cleanup_interval_ms: i64,
    /// `queued.max.request.bytes`; `usize::MAX` is without a limit.
    pub queued_max_request_bytes: usize,
    /// `chronik.outbox.bytes`.
    pub chronik_outbox_bytes: usize,
    /// `chronik.outbox.pinned.bytes`.
    pub chronik_outbox_pinned_bytes: usize,
    /// `chronik.map.windows`.
    pub chronik_map_windows: usize,
    /// `chronik.turn.requests`.
    pub chronik_turn_requests: usize,
    /// `chronik.turn.bytes`.
    pub chronik_turn_bytes: usize,
    /// `chronik.max.partitions`.
    pub chronik_max_partitions: i32,
    /// `chronik.convert.max.bytes`.
    pub chronik_convert_max_bytes: usize,
    /// `chronik.groups.bytes`.
    pub chronik_groups_bytes: usize,
    /// `chronik.settings.bytes`.
    pub chronik_settings_bytes: usize,
    /// `chronik.client.settings.enable`.
    pub chronik_client_settings_enable: bool,
    /// `chronik.journal.snapshot.interval.ms`.
    pub chronik_journal_snapshot_interval_ms: i64,
    /// `chronik.journal.snapshot.bytes`.
    pub chronik_journal_snapshot_bytes: u64,
    /// `chronik.journal.snapshot.entries`.
    pub chronik_journal_snapshot_entries: u64,
    /// `chronik.sync.filesystem`.
    pub chronik_sync_filesystem: SyncAll,
    /// What all logs share.
    pub storage: StorageConfig,
    /// What all this was read from, and what topics fall back to.
    pub settings: Settings,
}

/// Bytes, or a part of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the file system, used ones too.
    Percent(u64),
}

impl Amount {
    /// The bytes, on a file system that has so many, if that is known.
    #[must_use]
    pub fn of(self, total_bytes: Option<u64>) -> Option<u64> {
        match self {
            Amount::Bytes(bytes) => Some(bytes),
            Amount::Percent(percent) => total_bytes.map(|total| total / 100 * percent),
        }
    }
}

/// Whether a sync round may sync the whole file system instead of many files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncAll {
    /// Where that is safe and cheaper.
    #[default]
    Auto,
    /// Yes: the user vouches for the file system.
    Always,
    /// No.
    Never,
}

impl Default for BrokerConfig {
    /// The defaults of the table.
    fn default() -> Self {
        BrokerConfig::new(Settings::default()).expect("the table's defaults are legal")
    }
}

impl BrokerConfig {
    /// Checks the settings; the errors are those that keep the broker from starting.
    pub fn new(settings: Settings) -> Result<BrokerConfig, Vec<Problem>> {
        let mut errors = settings.problems();
        errors.retain(|problem| problem.level == log::Level::Error);
        if !errors.is_empty() {
            return Err(errors);
        }
        if let Some(Broken { names, why }) = rules::broken(&settings) {
            let is_set = |name: &&String| settings.explicit(name).is_some();
            let name = names.iter().find(is_set).unwrap_or(&names[0]);
            return Err(vec![settings.told(name, why)]);
        }
        BrokerConfig::read(settings).map_err(|text| {
            let level = log::Level::Error;
            vec![Problem { level, text }]
        })
    }

    /// Settings that are legal, and yet surely not what was meant: a sentence for each. Apache Kafka accepts them, too.
    #[must_use]
    pub fn oddities(&self, data_dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let (min, max) = (
            self.group_min_session_timeout_ms,
            self.group_max_session_timeout_ms,
        );
        if max < min {
            found.push(format!(
                "group.max.session.timeout.ms={max} is below group.min.session.timeout.ms={min}: nobody can join a group"
            ));
        }
        for name in ["log.dirs", "log.dir"] {
            if let Some(dirs) = self.settings.explicit(name)
                && Path::new(dirs.trim()) != data_dir
            {
                let data_dir = data_dir.display();
                found.push(format!(
                    "{name}={dirs} is not used: the data directory is {data_dir}, which the option -d names"
                ));
            }
        }
        found
    }

    /// What to tell clients of this listener instead of the address that they connected to: a host, and a
    /// port unless it is the bound one.
    #[must_use]
    pub fn advertised(&self, listener: &str) -> Option<(&str, Option<u16>)> {
        let mut all = self.advertised_listeners.iter();
        let told = all.find(|told| told.name == listener)?;
        Some((&told.host, Some(told.port).filter(|&port| port != 0)))
    }

    /// The fields, from settings whose values are legal one by one.
    fn read(settings: Settings) -> Result<BrokerConfig, String> {
        let of = |name| settings.value(name).expect("the row has a default");
        let listeners = bound(&settings)?;
        Ok(BrokerConfig {
            node_id: node_id(&settings),
            broker_rack: settings.value("broker.rack").map(Value::text),
            advertised_listeners: advertised(&settings, &listeners)?,
            listeners,
            socket_request_max_bytes: of("socket.request.max.bytes").number(),
            connections_max_idle_ms: unless_negative(of("connections.max.idle.ms"))
                .unwrap_or(i64::MAX),
            max_connections: of("max.connections").number(),
            num_partitions: of("num.partitions").number(),
            auto_create_topics_enable: of("auto.create.topics.enable").flag(),
            delete_topic_enable: of("delete.topic.enable").flag(),
            fetch_max_bytes: of("fetch.max.bytes").number(),
            max_incremental_fetch_session_cache_slots: of(
                "max.incremental.fetch.session.cache.slots",
            )
            .number(),
            max_request_partition_size_limit: of("max.request.partition.size.limit").number(),
            offset_metadata_max_bytes: of("offset.metadata.max.bytes").number(),
            offsets_retention_minutes: of("offsets.retention.minutes").number(),
            offsets_retention_check_interval_ms: of("offsets.retention.check.interval.ms").number(),
            message_max_bytes: of("message.max.bytes").number(),
            group_initial_rebalance_delay_ms: of("group.initial.rebalance.delay.ms").number(),
            group_min_session_timeout_ms: of("group.min.session.timeout.ms").number(),
            group_max_session_timeout_ms: of("group.max.session.timeout.ms").number(),
            group_max_size: of("group.max.size").number(),
            transaction_max_timeout_ms: of("transaction.max.timeout.ms").number(),
            transactional_id_expiration_ms: of("transactional.id.expiration.ms").number(),
            transaction_remove_expired_transaction_cleanup_interval_ms: of(
                "transaction.remove.expired.transaction.cleanup.interval.ms",
            )
            .number(),
            queued_max_request_bytes: unless_negative(of("queued.max.request.bytes"))
                .unwrap_or(usize::MAX),
            chronik_outbox_bytes: of("chronik.outbox.bytes").number(),
            chronik_outbox_pinned_bytes: of("chronik.outbox.pinned.bytes").number(),
            chronik_map_windows: of("chronik.map.windows").number(),
            chronik_turn_requests: of("chronik.turn.requests").number(),
            chronik_turn_bytes: of("chronik.turn.bytes").number(),
            chronik_max_partitions: of("chronik.max.partitions").number(),
            chronik_convert_max_bytes: of("chronik.convert.max.bytes").number(),
            chronik_groups_bytes: of("chronik.groups.bytes").number(),
            chronik_settings_bytes: of("chronik.settings.bytes").number(),
            chronik_client_settings_enable: of("chronik.client.settings.enable").flag(),
            chronik_journal_snapshot_interval_ms: of("chronik.journal.snapshot.interval.ms")
                .number(),
            chronik_journal_snapshot_bytes: of("chronik.journal.snapshot.bytes").number(),
            chronik_journal_snapshot_entries: of("chronik.journal.snapshot.entries").number(),
            storage: StorageConfig::read(&settings),
            chronik_sync_filesystem: match of("chronik.sync.filesystem").text().as_str() {
                "always" => SyncAll::Always,
                "never" => SyncAll::Never,
                _ => SyncAll::Auto,
            },
            settings,
        })
    }
}

/// Kafka's -1 for "without".
fn unless_negative<T: TryFrom<i64>>(value: Value) -> Option<T> {
    let number: i64 = value.number();
    T::try_from(number).ok().filter(|_| number >= 0)
}

/// `node.id`, or `broker.id` where only that is set.
fn node_id(settings: &Settings) -> i32 {
    let number = |name| settings.value(name).map_or(-1, Value::number);
    let old: i32 = number("broker.id");
    if settings.explicit("node.id").is_none() && old >= 0 {
        return old;
    }
    number("node.id")
}

fn bound(settings: &Settings) -> Result<Vec<Listener>, String> {
    let protocols = settings.value("listener.security.protocol.map");
    let protocols = protocols.map(Value::text).unwrap_or_default();
    let bound = clients(settings, "listeners")?;
    listeners::check_bound(&bound, &protocols).map_err(|why| format!("listeners: {why}"))?;
    Ok(bound)
}

fn advertised(settings: &Settings, bound: &[Listener]) -> Result<Vec<Listener>, String> {
    let name = "advertised.listeners";
    let advertised = clients(settings, name)?;
    listeners::check_advertised(&advertised, bound).map_err(|why| format!("{name}: {why}"))?;
    Ok(advertised)
}

/// The listeners of a setting, without those for controllers.
fn clients(settings: &Settings, name: &str) -> Result<Vec<Listener>, String> {
    let words = |name| settings.value(name).map(Value::list).unwrap_or_default();
    let controllers = words("controller.listener.names");
    let mut found = listeners::parse(&words(name)).map_err(|why| format!("{name}: {why}"))?;
    found.retain(|listener| !controllers.contains(&listener.name));
    Ok(found)
}

/// What the logs of all topics share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StorageConfig {
    /// `chronik.disk.max.bytes`; 0 is without a limit.
    pub disk_max_bytes: Amount,
    /// `chronik.disk.min.free`.
    pub disk_min_free: Amount,
    /// `chronik.max.open.segments`.
    pub max_open_segments: usize,
    /// `log.retention.check.interval.ms`: how often old segments are looked for.
    pub retention_check_interval_ms: i64,
    /// `producer.id.expiration.ms`: how long an idle producer is remembered.
    pub producer_id_expiration_ms: i64,
    /// How logs are compacted.
    pub cleaner: CleanerConfig,
}

impl StorageConfig {
    fn read(settings: &Settings) -> StorageConfig {
        let of = |name| settings.value(name).expect("the row has a default");
        StorageConfig {
            disk_max_bytes: of("chronik.disk.max.bytes").amount(),
            disk_min_free: of("chronik.disk.min.free").amount(),
            max_open_segments: of("chronik.max.open.segments").number(),
            retention_check_interval_ms: of("log.retention.check.interval.ms").number(),
            producer_id_expiration_ms: of("producer.id.expiration.ms").number(),
            cleaner: CleanerConfig::read(settings),
        }
    }
}

impl Default for StorageConfig {
    /// The defaults of the table.
    fn default() -> Self {
        BrokerConfig::default().storage
    }
}

/// How the broker compacts logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enable: bool,
    /// `log.cleaner.backoff.ms`: the pause when there was nothing to do.
    pub backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`: memory for the keys of a log.
    pub dedupe_buffer_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`: how much of that is used.
    pub load_factor: f64,
    /// `log.cleaner.io.max.bytes.per.second`, read and written.
    pub io_bytes_per_second: f64,
}

impl CleanerConfig {
    fn read(settings: &Settings) -> CleanerConfig {
        let of = |name| settings.value(name).expect("the row has a default");
        CleanerConfig {
            enable: of("log.cleaner.enable").flag(),
            backoff_ms: of("log.cleaner.backoff.ms").number(),
            dedupe_buffer_bytes: of("log.cleaner.dedupe.buffer.size")
                .number::<i64>()
                .max(0)
                .unsigned_abs(),
            load_factor: of("log.cleaner.io.buffer.load.factor").real(),
            io_bytes_per_second: of("log.cleaner.io.max.bytes.per.second").real(),
        }
    }
}

/// Which time a record carries (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at append.
    LogAppendTime,
}

/// The settings of one topic as its logs obey them: the topic's own where set, else the broker's.
/// Sizes are bytes, spans milliseconds; the names are Kafka's topic settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is closed at this age (by record time).
    pub segment_ms: i64,
    /// `segment.jitter.ms`: taken off `segment_ms` at random.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`: one index entry for so many bytes of log.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: the largest index file; a full one closes the segment.
    pub segment_index_bytes: u32,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: u32,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// When and how it is compacted.
    pub compaction: Compaction,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`: a codec's name, or `producer` for what each producer chose.
    pub compression_type: String,
    /// `compression.gzip.level`; -1 is the codec's own.
    pub gzip_level: i32,
    /// `compression.zstd.level`.
    pub zstd_level: i32,
    /// `flush.messages`: 1 means that an acknowledgement waits for the disk.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `retention.ms`: how long records are kept; below 0 for ever.
    pub retention_ms: i64,
    /// `retention.bytes`: what a partition is cut to; below 0 it is not.
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`: how long what was deleted stays on the disk.
    pub file_delete_delay_ms: i64,
    /// `chronik.convert.max.bytes`, which is the broker's: what a batch may grow to where it must be unpacked.
    pub convert_max_bytes: usize,
}

/// How the logs of a topic are compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// `min.cleanable.dirty.ratio`.
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`: for how long tombstones are kept once they have been compacted.
    pub delete_retention_ms: i64,
}

impl LogConfig {
    /// The settings of a topic that has `own` set (see `topic::check`).
    #[must_use]
    pub fn new(broker: &BrokerConfig, own: &BTreeMap<String, String>) -> LogConfig {
        let of = |name| resolve(name, broker, own).0;
        let policies = of("cleanup.policy").list();
        LogConfig {
            segment_bytes: of("segment.bytes").number(),
            segment_ms: of("segment.ms").number(),
            segment_jitter_ms: of("segment.jitter.ms").number(),
            index_interval_bytes: of("index.interval.bytes").number(),
            segment_index_bytes: of("segment.index.bytes").number(),
            max_message_bytes: of("max.message.bytes").number(),
            compact: policies.iter().any(|policy| policy == "compact"),
            delete: policies.iter().any(|policy| policy == "delete"),
            compaction: Compaction {
                min_dirty_ratio: of("min.cleanable.dirty.ratio").real(),
                min_lag_ms: of("min.compaction.lag.ms").number(),
                max_lag_ms: of("max.compaction.lag.ms").number(),
                delete_retention_ms: of("delete.retention.ms").number(),
            },
            timestamp_type: match of("message.timestamp.type").text().as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: of("message.timestamp.before.max.ms").number(),
            timestamp_after_max_ms: of("message.timestamp.after.max.ms").number(),
            compression_type: of("compression.type").text(),
            gzip_level: of("compression.gzip.level").number(),
            zstd_level: of("compression.zstd.level").number(),
            flush_messages: of("flush.messages").number(),
            flush_ms: of("flush.ms").number(),
            retention_ms: of("retention.ms").number(),
            retention_bytes: of("retention.bytes").number(),
            file_delete_delay_ms: of("file.delete.delay.ms").number(),
            convert_max_bytes: broker.chronik_convert_max_bytes,
        }
    }
}

impl Default for LogConfig {
    /// The defaults of the table.
    fn default() -> Self {
        LogConfig::new(&BrokerConfig::default(), &BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn broker(file: &str) -> Result<BrokerConfig, Vec<String>> {
        let mut settings = Settings::default();
        settings.add_file("f", file).expect("legal properties");
        BrokerConfig::new(settings)
            .map_err(|problems| problems.into_iter().map(|problem| problem.text).collect())
    }

    #[test]
    fn the_defaults_are_those_of_the_documents() {
        let broker = BrokerConfig::default();
        assert_eq!(broker.socket_request_max_bytes, 104_857_600);
        assert_eq!(broker.queued_max_request_bytes, 64 << 20);
        assert_eq!(broker.connections_max_idle_ms, 600_000);
        assert_eq!(broker.listeners[0].port, 9092);
        assert_eq!(broker.advertised("PLAINTEXT"), None);
        let log = LogConfig::default();
        assert_eq!((log.flush_messages, log.flush_ms), (1, i64::MAX));
        assert_eq!(log.segment_ms, 604_800_000);
        assert!(log.delete && !log.compact);
    }

    #[test]
    fn a_stock_file_of_kafka_works() {
        let broker = broker(
            "process.roles=broker,controller\nnode.id=7\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
             advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
             controller.listener.names=CONTROLLER\nconnections.max.idle.ms=-1\n",
        )
        .expect("legal");
        assert_eq!(broker.node_id, 7);
        assert_eq!(broker.listeners.len(), 1);
        assert_eq!(
            broker.advertised("PLAINTEXT"),
            Some(("localhost", Some(9092)))
        );
        assert_eq!(broker.connections_max_idle_ms, i64::MAX);
    }

    #[test]
    fn the_older_name_of_the_node_id_counts_when_it_is_alone() {
        assert_eq!(broker("broker.id=3").expect("legal").node_id, 3);
        assert_eq!(broker("broker.id=3\nnode.id=4").expect("legal").node_id, 4);
    }

    #[test]
    fn what_keeps_the_broker_from_starting_is_told() {
        assert_eq!(
            broker("\nnum.partitions=0").expect_err("below 1"),
            ["f:2: Invalid value 0 for configuration num.partitions: Value must be at least 1"]
        );
        let faults = broker("listeners=SSL://:9093").expect_err("no TLS yet");
        assert_eq!(faults, ["listeners: SSL: SSL cannot be used yet"]);
        assert!(broker("advertised.listeners=PLAINTEXT://0.0.0.0:1").is_err());
    }

    #[test]
    fn what_was_surely_not_meant_is_told_and_accepted() {
        let odd = |file: &str| {
            let broker = broker(file).expect("legal");
            broker.oddities(Path::new("/data"))
        };
        assert_eq!(odd("log.dirs=/data\nlog.dir = /data "), [""; 0]);
        assert!(
            odd("log.dirs=/a,/b")[0]
                .starts_with("log.dirs=/a,/b is not used: the data directory is /data,")
        );
        assert_eq!(odd("log.dir=/a").len(), 1);
        assert!(odd("group.max.session.timeout.ms=5999")[0].ends_with("nobody can join a group"));
        assert_eq!(odd("group.max.session.timeout.ms=6000"), [""; 0]);
    }

    #[test]
    fn a_topic_obeys_its_own_settings_first() {
        let mut settings = Settings::default();
        settings.set("message.max.bytes", "5000", Origin::CommandLine);
        settings.set("log.roll.hours", "1", Origin::CommandLine);
        let broker = BrokerConfig::new(settings).expect("legal");
        let own = [
            ("cleanup.policy", "compact"),
            ("message.timestamp.type", "LogAppendTime"),
            ("flush.messages", "9223372036854775807"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let log = LogConfig::new(&broker, &BTreeMap::from(own));
        assert_eq!((log.max_message_bytes, log.segment_ms), (5000, 3_600_000));
        assert_eq!((log.compact, log.delete), (true, false));
        assert_eq!(log.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(log.flush_messages, i64::MAX);
    }
}
