//! What may differ between chronikd and Apache Kafka, and why: everything else is a bug of ours.
//!
//! A path is written without indices, and matches from its end: `throttle_time_ms` anywhere, `topics[].name` only
//! there. A row that nothing needed fails the suite, so the list stays short and true.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How two values, or two lists, may differ.
pub(crate) enum May {
    /// Ids that each broker makes for itself: of this kind, one of ours always stands for the same one of theirs.
    Id(&'static str),
    /// Milliseconds since 1970, read at about the same time.
    Clock,
    /// Anything.
    Free,
    /// Anything, where the world may have changed between the two answers, or may not.
    Meanwhile,
    /// Ours is not above theirs.
    Lower,
    /// Sentences, but neither is null.
    Words,
    /// Exactly ours and theirs.
    Be(&'static str, &'static str),
    /// The order of a list of numbers.
    Shuffled,
    /// The order of a list, which is sorted by this field.
    Order(&'static str),
    /// Elements whose names begin so, which are left out of a list.
    Lack(&'static [&'static str]),
    /// Our list is the beginning of theirs.
    Begin,
    /// Elements whose `api_key` chronikd does not serve, which are left out of a list.
    Served,
}

/// One permission.
pub(crate) struct Row {
    /// Only in the script of this name; empty for any.
    script: &'static str,
    /// Only in answers of this API; empty for any.
    api: &'static str,
    /// Where, from the end of the path.
    path: &'static str,
    may: May,
    why: &'static str,
}

const fn row(api: &'static str, path: &'static str, may: May, why: &'static str) -> Row {
    let script = "";
    Row {
        script,
        api,
        path,
        may,
        why,
    }
}

const fn only(
    script: &'static str,
    api: &'static str,
    path: &'static str,
    may: May,
    why: &'static str,
) -> Row {
    Row {
        script,
        api,
        path,
        may,
        why,
    }
}

/// What Kafka has levels of, and chronikd not.
const THEIR_FEATURES: &[&str] = &[
    "eligible.leader.replicas.version",
    "group.version",
    "kraft.version",
    "share.version",
    "streams.version",
];

/// Settings that Kafka has not.
const OUR_SETTINGS: &[&str] = &["chronik."];

const MIN_ISR_OURS: &str = "1 elements: [{name: \"min.insync.replicas\", value: \"1\", source: 5}]";
const MIN_ISR_THEIRS: &str = "2 elements: [{name: \"min.insync.replicas\", value: \"1\", source: 3}, \
     {name: \"min.insync.replicas\", value: \"1\", source: 5}]";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("", "topic_id", May::Id("topic"), "each broker makes the id of a topic"),
    row("", "cluster_id", May::Id("cluster"), "each cluster has its own"),
    row("", "producer_id", May::Id("producer"), "each broker gives out its own"),
    row("Fetch", "session_id", May::Id("fetch session"), "each broker gives out its own"),
    row("", "brokers[].port", May::Free, "each listens on a free port"),
    row("Produce", "log_append_time_ms", May::Clock, "two clocks"),
    only("append time", "Fetch", "records[].max_timestamp", May::Clock, "two clocks, where the broker stamps the records"),
    row("Produce", "batch_index_error_message", May::Words, "a sentence for people"),
    row("Produce", "error_message", May::Words, "a sentence for people, also where Kafka has none"),
    row("CreateTopics", "topics[].error_message", May::Words, "a sentence for people"),

    row("DescribeConfigs", "configs", May::Order("name"), "Kafka's order is that of a hash map"),
    row("DescribeConfigs", "configs", May::Lack(OUR_SETTINGS), "settings of our own"),
    row("DescribeConfigs", "configs[].is_default", May::Be("true", "false"), "Kafka 3 has left this out at the version that is all about it"),
    row("DescribeConfigs", "configs[].value", May::Be("\"1\"", "\"9223372036854775807\""), "flush.messages: an acknowledgement waits for the disk"),
    row("DescribeConfigs", "synonyms[].value", May::Be("\"1\"", "\"9223372036854775807\""), "flush.messages: an acknowledgement waits for the disk"),
    row("DescribeConfigs", "configs[].config_source", May::Be("5", "3"), "Kafka 4 sets its own default of min.insync.replicas for the cluster"),
    row("DescribeConfigs", "configs[].synonyms", May::Be(MIN_ISR_OURS, MIN_ISR_THEIRS), "Kafka 4 sets its own default of min.insync.replicas for the cluster"),
    only("names of settings of brokers", "DescribeConfigs", "configs[].value", May::Free, "compared in another script"),
    only("names of settings of brokers", "DescribeConfigs", "configs[].read_only", May::Be("true", "false"), "listeners stay as they are while the broker runs"),
    only("names of settings of brokers", "DescribeConfigs", "configs[].config_source", May::Free, "compared in another script"),
    only("refusals with a frame", "IncrementalAlterConfigs", "responses[].error_message", May::Words, "the reason is told without the sentence about an exception"),
    only("what one refuses and the other takes", "IncrementalAlterConfigs", "responses[].error_code", May::Be("INVALID_REQUEST(42)", "NONE(0)"), "a broker has one name, and lags that keep every topic from being made are refused"),
    only("what one refuses and the other takes", "IncrementalAlterConfigs", "responses[].error_code", May::Be("NONE(0)", "INVALID_REQUEST(42)"), "Java classes and directories are not looked for"),
    only("what one refuses and the other takes", "IncrementalAlterConfigs", "responses[].error_code", May::Be("NONE(0)", "INVALID_CONFIG(40)"), "eligible leader replicas are no feature here"),
    only("what one refuses and the other takes", "IncrementalAlterConfigs", "responses[].error_code", May::Be("INVALID_REQUEST(42)", "UNKNOWN_SERVER_ERROR(-1)"), "Kafka fails for a number that is no operation"),
    only("what one refuses and the other takes", "IncrementalAlterConfigs", "responses[].error_message", May::Free, "whoever refuses says why"),
    only("settings of brokers are replaced", "AlterConfigs", "responses[].error_code", May::Be("NONE(0)", "INVALID_CONFIG(40)"), "eligible leader replicas are no feature here"),
    only("settings of brokers are replaced", "AlterConfigs", "responses[].error_message", May::Free, "eligible leader replicas are no feature here"),
    row("ListConfigResources", "config_resources", May::Lack(&["sub-", "__consumer_offsets", "__transaction_state"]), "other scripts come and go, and Kafka keeps its own state in topics"),
    row("ListConfigResources", "config_resources", May::Order("resource_name"), "Kafka's order is that of a hash map"),
    row("ListConfigResources", "config_resources", May::Order("resource_type"), "Kafka's order is its own"),

    row("Metadata", "topics", May::Order("name"), "Kafka's order is that of a hash map"),
    row("Metadata", "topics[].partitions", May::Order("partition_index"), "Kafka's order is that of a hash map"),
    row("CreatePartitions", "results", May::Order("name"), "Kafka's order is that of a hash set"),
    row("DeleteRecords", "topics[].partitions", May::Order("partition_index"), "Kafka's order is that of a hash map"),
    row("ElectLeaders", "replica_election_results", May::Lack(&["__consumer_offsets", "__transaction_state"]), "Kafka keeps its own state in topics"),
    row("ElectLeaders", "replica_election_results", May::Order("topic"), "Kafka's order is that of a hash map"),
    row("DescribeLogDirs", "results[].log_dir", May::Free, "each has a directory of its own"),
    row("DescribeLogDirs", "results[].usable_bytes", May::Meanwhile, "others write to the file system, too"),
    row("DescribeLogDirs", "results[].topics[].partitions", May::Order("partition_index"), "Kafka's order is that of a hash map"),
    row("DescribeLogDirs", "results[].topics", May::Order("name"), "Kafka's order is that of a hash map"),
    row("AlterReplicaLogDirs", "results", May::Order("topic_name"), "Kafka's order is that of a hash map"),
    row("AlterReplicaLogDirs", "results[].partitions", May::Order("partition_index"), "Kafka's order is that of a hash map"),
    row("DescribeQuorum", "leader_epoch", May::Free, "each counts its own starts"),
    row("DescribeQuorum", "high_watermark", May::Free, "each counts its own changes"),
    row("DescribeQuorum", "log_end_offset", May::Free, "each counts its own changes"),
    row("DescribeQuorum", "replica_directory_id", May::Free, "each has a directory of its own"),
    row("DescribeQuorum", "last_fetch_timestamp", May::Clock, "two clocks"),
    row("DescribeQuorum", "last_caught_up_timestamp", May::Clock, "two clocks"),
    row("DescribeQuorum", "listeners[].name", May::Free, "there is no listener for controllers"),
    row("DescribeQuorum", "listeners[].port", May::Free, "there is no listener for controllers"),
    row("DeleteTopics", "responses", May::Order("name"), "Kafka's order is that of a hash map"),
    row("CreateTopics", "topics[].configs[].value", May::Be("\"1\"", "\"9223372036854775807\""), "flush.messages: an acknowledgement waits for the disk"),
    row("CreateTopics", "topics[].configs[].config_source", May::Be("5", "3"), "Kafka 4 sets its own default of min.insync.replicas for the cluster"),

    only("topics by id", "Metadata", "cluster_id", May::Free, "never null here, for some clients take that for a failure, also beside an error"),
    only("topics made by asking", "Metadata", "topics[].error_code", May::Be("NONE(0)", "UNKNOWN_TOPIC_OR_PARTITION(3)"), "a topic is in the answer that makes it"),
    only("topics made by asking", "Metadata", "topics[].topic_id", May::Free, "a topic is in the answer that makes it"),
    only("topics made by asking", "Metadata", "topics[].partitions", May::Free, "a topic is in the answer that makes it"),
    only("sequences", "Produce", "log_append_time_ms", May::Free, "a batch sent before is answered as others are"),

    row("Produce", "partition_responses", May::Order("index"), "Kafka's order is that of a hash map"),
    only("limits of fetches of old messages", "Fetch", "records", May::Begin, "of a batch above the limit an old client gets the first message, not all"),
    only("sets of old messages", "Produce", "error_code", May::Be("INVALID_RECORD(87)", "NONE(0)"), "a request without a whole message is refused"),
    row("", "member_id", May::Id("member"), "each broker makes the ids of members"),
    row("JoinGroup", "leader", May::Id("member"), "each broker makes the ids of members"),
    row("JoinGroup", "members", May::Order("metadata"), "Kafka's order is that of a hash map"),
    row("DescribeGroups", "groups[].members", May::Order("client_id"), "Kafka's order is that of a hash map"),
    row("ListGroups", "groups", May::Order("group_id"), "Kafka's order is that of a hash map"),
    row("DeleteGroups", "results", May::Order("group_id"), "Kafka's order is that of a hash map"),
    row("OffsetCommit", "partitions", May::Order("partition_index"), "Kafka puts the unknown ones first"),
    row("OffsetDelete", "partitions", May::Order("partition_index"), "Kafka puts the unknown ones first"),
    row("OffsetFetch", "partitions", May::Order("partition_index"), "Kafka puts the unknown ones first"),
    row("OffsetFetch", "topics", May::Order("partitions"), "Kafka's order is that of a hash map"),
    row("OffsetFetch", "topics", May::Order("name"), "Kafka's order is that of a hash map"),
    row("FindCoordinator", "error_message", May::Words, "a sentence for people"),
    row("FindCoordinator", "coordinators[].error_code", May::Be("INVALID_REQUEST(42)", "COORDINATOR_NOT_AVAILABLE(15)"), "there are no share groups"),
    only("refusals to join", "DescribeGroups", "groups[]", May::Free, "a group that nobody was let into is none"),
    row("ListGroups", "groups", May::Lack(&["refused-"]), "a group that nobody was let into is none"),
    row("FindCoordinator", "port", May::Free, "each listens on a free port"),
    row("Metadata", "topics", May::Lack(&["__consumer_offsets", "__transaction_state"]), "Kafka keeps its own state in topics"),
    row("ApiVersions", "api_keys", May::Order("api_key"), "Kafka's order is its own"),
    row("ApiVersions", "api_keys", May::Served, "not everything is spoken yet"),
    row("ApiVersions", "api_keys[].min_version", May::Lower, "versions that Kafka 4 dropped are served"),
    row("ApiVersions", "supported_features", May::Lack(THEIR_FEATURES), "not everything is there yet, and controllers and replicas never"),
    row("ApiVersions", "finalized_features", May::Lack(THEIR_FEATURES), "not everything is there yet, and controllers and replicas never"),
    row("ApiVersions", "supported_features", May::Order("name"), "Kafka's order is that of a hash map"),
    row("ApiVersions", "finalized_features", May::Order("name"), "Kafka's order is that of a hash map"),
    row("ApiVersions", "supported_features[].min_version", May::Be("30", "7"), "there is no older metadata to go back to"),
    row("ApiVersions", "finalized_features_epoch", May::Free, "each counts its own changes"),
    row("AddPartitionsToTxn", "partition_error_code", May::Be("UNKNOWN_TOPIC_OR_PARTITION(3)", "TOPIC_AUTHORIZATION_FAILED(29)"), "Kafka keeps its own state in topics"),
    row("DescribeTransactions", "topics", May::Lack(&["__consumer_offsets"]), "Kafka keeps its own state in topics"),
    row("DescribeTransactions", "topics", May::Order("topic"), "Kafka's order is that of a hash map"),
    row("DescribeTransactions", "topics[].partitions", May::Shuffled, "Kafka's order is that of a hash map"),
    only("batches of transactions", "Produce", "log_append_time_ms", May::Free, "a batch sent before is answered as others are"),
    row("DescribeTransactions", "transaction_start_time_ms", May::Clock, "two clocks"),
    row("DescribeProducers", "last_timestamp", May::Clock, "two clocks, where the broker has written a marker"),
    only("ends by isolation", "ListOffsets", "timestamp", May::Clock, "two clocks, where the broker has written a marker"),
    only("a part of transactions is read", "Fetch", "aborted_transactions", May::Begin, "Kafka tells of more, up to the next entry of its index"),
    only("a part of transactions is read", "Fetch", "records[].base_timestamp", May::Clock, "two clocks, where the broker has written a marker"),
    only("a part of transactions is read", "Fetch", "records[].max_timestamp", May::Clock, "two clocks, where the broker has written a marker"),
    only("transactions are read", "Fetch", "records[].base_timestamp", May::Clock, "two clocks, where the broker has written a marker"),
    only("transactions are read", "Fetch", "records[].max_timestamp", May::Clock, "two clocks, where the broker has written a marker"),
    row("ListTransactions", "transaction_states", May::Order("transactional_id"), "Kafka's order is that of a hash map"),
    only("batches out of their time", "Produce", "log_append_time_ms", May::Free, "a batch sent before is answered as others are"),
    row("WriteTxnMarkers", "topics[].partitions", May::Order("partition_index"), "Kafka's order is that of a hash map"),
    row("WriteTxnMarkers", "markers[].topics", May::Order("name"), "Kafka's order is that of a hash map"),
    row("WriteTxnMarkers", "markers", May::Order("topics"), "Kafka's order is that of a hash map"),
    row("TxnOffsetCommit", "partitions", May::Order("partition_index"), "Kafka puts the unknown ones first"),
    row("AddPartitionsToTxn", "results_by_transaction", May::Order("transactional_id"), "Kafka's order is that of a hash map"),
    row("AddPartitionsToTxn", "topic_results", May::Order("name"), "Kafka's order is that of a hash map"),
    row("AddPartitionsToTxn", "results_by_topic_v3_and_below", May::Order("name"), "Kafka's order is that of a hash map"),
    row("AddPartitionsToTxn", "results_by_partition", May::Order("partition_index"), "Kafka's order is that of a hash map"),
    row("Fetch", "records", May::Lack(&["a part of a message"]), "a fetch ends with a whole batch"),
];

/// The rows, and how often each was needed.
pub(crate) struct Table {
    fired: Vec<AtomicUsize>,
}

impl Table {
    /// Nothing was needed yet.
    pub(crate) fn new() -> Table {
        let fired = ROWS.iter().map(|_| AtomicUsize::new(0)).collect();
        Table { fired }
    }

    /// The rows that may excuse a value at a path, with their indices.
    pub(crate) fn excusing(
        &self,
        script: &str,
        api: &str,
        path: &str,
    ) -> impl Iterator<Item = (usize, &'static May)> {
        let rows = ROWS.iter().enumerate();
        let fitting = rows.filter(move |(_, row)| row.fits(script, api, path));
        fitting
            .map(|(i, row)| (i, &row.may))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The rows that put the list at a path in another order or take something out of it. To be looked at is to be
    /// needed: whether two lists are in the same order by luck says nothing.
    pub(crate) fn rearranging(&self, script: &str, api: &str, path: &str) -> Vec<&'static May> {
        let rows = self.excusing(script, api, path);
        let rows =
            rows.filter(|(_, may)| matches!(may, May::Order(_) | May::Lack(_) | May::Served));
        rows.inspect(|(row, _)| self.fire(*row))
            .map(|(_, may)| may)
            .collect()
    }

    /// A row was needed.
    pub(crate) fn fire(&self, row: usize) {
        self.fired[row].fetch_add(1, Ordering::Relaxed);
    }

    /// The rows that nothing needed.
    pub(crate) fn idle(&self) -> Vec<String> {
        let rows = ROWS.iter().zip(&self.fired);
        let needed = rows.filter(|(row, _)| !matches!(row.may, May::Meanwhile));
        let idle = needed.filter(|(_, fired)| fired.load(Ordering::Relaxed) == 0);
        idle.map(|(row, _)| format!("{} {} ({})", row.api, row.path, row.why))
            .collect()
    }
}

impl Row {
    fn fits(&self, script: &str, api: &str, path: &str) -> bool {
        let of = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        if !of(self.script, script) || !of(self.api, api) {
            return false;
        }
        let path = without_indices(path);
        match path.strip_suffix(self.path) {
            Some(before) => before.is_empty() || before.ends_with('.'),
            None => false,
        }
    }
}

/// `topics[].name` of `topics[7].name`.
fn without_indices(path: &str) -> String {
    let mut inside = false;
    let keep = |c: &char| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => return !inside,
        }
        true
    };
    path.chars().filter(keep).collect()
}
