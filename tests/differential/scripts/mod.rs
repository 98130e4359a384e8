//! What is said to both brokers. A script makes its own topics and groups, with names that no other run uses.

mod admin;
mod configs;
mod deletions;
mod features;
mod groups;
mod kit;
mod offsets;
mod producers;
mod records;
mod settings;
mod topics;
mod txns;
mod versions;

use chronikd::proto::ApiKey;

use crate::run::Run;
use groups::{commits, joins, rebalances, sessions, shown, statics, syncs};
use txns::{ends, inits, partitions, pending, reads, seen, timeouts, writes};

/// At which versions of its API a script is played.
#[derive(Clone, Copy)]
pub(crate) enum At {
    /// All of them.
    Every,
    /// The lowest, the middle and the highest.
    Three,
    /// The highest.
    Newest,
}

impl At {
    /// Those between these two, inclusive.
    pub(crate) fn versions(self, min: i16, max: i16) -> Vec<i16> {
        let mut versions = match self {
            _ if min > max => Vec::new(),
            At::Every => (min..=max).collect(),
            At::Three => vec![min, min + (max - min) / 2, max],
            At::Newest => vec![max],
        };
        versions.dedup();
        versions
    }
}

/// A script.
pub(crate) struct Script {
    /// A sentence.
    pub(crate) name: &'static str,
    /// The API that it is about.
    pub(crate) api: ApiKey,
    pub(crate) at: At,
    pub(crate) play: fn(&mut Run<'_>),
}

const fn script(name: &'static str, api: ApiKey, at: At, play: fn(&mut Run<'_>)) -> Script {
    Script {
        name,
        api,
        at,
        play,
    }
}

/// All of them.
#[rustfmt::skip]
pub(crate) const SCRIPTS: &[Script] = &[
    script("what is spoken", ApiKey::ApiVersions, At::Every, versions::what_is_spoken),
    script("what is not spoken", ApiKey::ApiVersions, At::Newest, versions::what_is_not),
    script("levels of features", ApiKey::UpdateFeatures, At::Every, features::levels),
    script("levels that are refused", ApiKey::UpdateFeatures, At::Every, features::refusals),
    script("settings of topics", ApiKey::DescribeConfigs, At::Every, configs::of_topics),
    script("settings of brokers", ApiKey::DescribeConfigs, At::Every, configs::of_brokers),
    script("names of settings of brokers", ApiKey::DescribeConfigs, At::Newest, configs::names_of_brokers),
    script("settings of groups and metrics", ApiKey::DescribeConfigs, At::Newest, configs::of_others),
    script("settings of topics are changed", ApiKey::IncrementalAlterConfigs, At::Every, configs::changes_of_topics),
    script("settings of brokers are changed", ApiKey::IncrementalAlterConfigs, At::Every, configs::changes_of_brokers),
    script("levels of loggers", ApiKey::IncrementalAlterConfigs, At::Every, configs::changes_of_loggers),
    script("settings of groups and metrics are changed", ApiKey::IncrementalAlterConfigs, At::Every, configs::changes_of_others),
    script("settings are replaced", ApiKey::AlterConfigs, At::Every, configs::replacements),
    script("what no broker may have", ApiKey::IncrementalAlterConfigs, At::Newest, settings::refusals),
    script("refusals with a frame", ApiKey::IncrementalAlterConfigs, At::Newest, settings::framed),
    script("what one refuses and the other takes", ApiKey::IncrementalAlterConfigs, At::Newest, settings::disputed),
    script("two faults at once", ApiKey::IncrementalAlterConfigs, At::Newest, settings::two_faults),
    script("lists of replicas", ApiKey::IncrementalAlterConfigs, At::Newest, settings::replicas),
    script("lists that are added to", ApiKey::IncrementalAlterConfigs, At::Newest, settings::lists),
    script("layers of settings", ApiKey::IncrementalAlterConfigs, At::Newest, settings::layers),
    script("settings of brokers are replaced", ApiKey::AlterConfigs, At::Newest, settings::replacements),
    script("changed settings of groups and metrics", ApiKey::IncrementalAlterConfigs, At::Newest, settings::of_groups),
    script("words of levels", ApiKey::IncrementalAlterConfigs, At::Newest, settings::levels),
    script("resources with settings", ApiKey::ListConfigResources, At::Every, configs::lists),
    script("who writes", ApiKey::DescribeProducers, At::Every, producers::who_writes),
    script("the cluster", ApiKey::DescribeCluster, At::Every, topics::the_cluster),
    script("topics are made, shown and deleted", ApiKey::Metadata, At::Every, topics::made_shown_and_deleted),
    script("all topics", ApiKey::Metadata, At::Every, topics::all_topics),
    script("topics by id", ApiKey::Metadata, At::Every, topics::topics_by_id),
    script("topics with odd names", ApiKey::Metadata, At::Three, topics::odd_names),
    script("topics made by asking", ApiKey::Metadata, At::Three, topics::made_by_asking),
    script("ways to create", ApiKey::CreateTopics, At::Every, topics::ways_to_create),
    script("refusals to create", ApiKey::CreateTopics, At::Every, topics::refusals_to_create),
    script("ways to delete", ApiKey::DeleteTopics, At::Every, topics::ways_to_delete),
    script("more partitions", ApiKey::CreatePartitions, At::Every, admin::more_partitions),
    script("refusals of more partitions", ApiKey::CreatePartitions, At::Every, admin::refusals_of_partitions),
    script("records are deleted", ApiKey::DeleteRecords, At::Every, deletions::deleted),
    script("deletions of records that are refused", ApiKey::DeleteRecords, At::Every, deletions::refused),
    script("elections", ApiKey::ElectLeaders, At::Every, admin::elections),
    script("partitions are moved", ApiKey::AlterPartitionReassignments, At::Every, admin::moves),
    script("partitions that are being moved", ApiKey::ListPartitionReassignments, At::Every, admin::being_moved),
    script("log directories", ApiKey::DescribeLogDirs, At::Every, admin::log_dirs),
    script("partitions go to directories", ApiKey::AlterReplicaLogDirs, At::Every, admin::to_directories),
    script("the quorum", ApiKey::DescribeQuorum, At::Every, admin::quorum),
    script("brokers are forgotten", ApiKey::UnregisterBroker, At::Every, admin::forgotten),
    script("pages of partitions", ApiKey::DescribeTopicPartitions, At::Every, topics::pages_of_partitions),
    script("acks", ApiKey::Produce, At::Every, records::acks),
    script("bad batches", ApiKey::Produce, At::Every, records::bad_batches),
    script("a compacted topic", ApiKey::Produce, At::Three, records::compacted),
    script("codecs", ApiKey::Produce, At::Every, records::codecs),
    script("codecs of topics", ApiKey::Produce, At::Newest, records::codecs_of_topics),
    script("append time", ApiKey::Produce, At::Three, records::append_time),
    script("sequences", ApiKey::Produce, At::Three, records::sequences),
    script("many partitions", ApiKey::Produce, At::Three, records::many_partitions),
    script("sets of old messages", ApiKey::Produce, At::Every, records::old_sets),
    script("places to fetch from", ApiKey::Fetch, At::Every, records::places),
    script("limits of fetches", ApiKey::Fetch, At::Every, records::limits),
    script("limits of fetches of old messages", ApiKey::Fetch, At::Every, records::limits_of_sets),
    script("isolation and epochs", ApiKey::Fetch, At::Every, records::isolation_and_epochs),
    script("fetch sessions", ApiKey::Fetch, At::Every, records::sessions),
    script("offsets by time", ApiKey::ListOffsets, At::Every, offsets::times),
    script("ends of epochs", ApiKey::OffsetForLeaderEpoch, At::Every, offsets::epochs),
    script("producer ids", ApiKey::InitProducerId, At::Every, offsets::producer_ids),
    script("coordinators", ApiKey::FindCoordinator, At::Every, shown::coordinators),
    script("a member alone", ApiKey::JoinGroup, At::Every, joins::alone),
    script("refusals to join", ApiKey::JoinGroup, At::Every, joins::refusals),
    script("heartbeats", ApiKey::Heartbeat, At::Every, joins::heartbeats),
    script("departures", ApiKey::LeaveGroup, At::Every, joins::departures),
    script("told and gone", ApiKey::JoinGroup, At::Three, joins::told_and_gone),
    script("other types", ApiKey::JoinGroup, At::Three, joins::other_types),
    script("refusals to sync", ApiKey::SyncGroup, At::Every, syncs::refusals),
    script("parts", ApiKey::SyncGroup, At::Every, syncs::parts),
    script("a large part", ApiKey::SyncGroup, At::Three, syncs::large),
    script("large words", ApiKey::SyncGroup, At::Newest, syncs::large_words),
    script("two members", ApiKey::JoinGroup, At::Every, rebalances::two),
    script("a follower changes its words", ApiKey::JoinGroup, At::Three, rebalances::a_follower_changes_its_words),
    script("the leader goes", ApiKey::JoinGroup, At::Three, rebalances::the_leader_goes),
    script("the leader goes before it has spoken", ApiKey::JoinGroup, At::Three, rebalances::the_leader_goes_before_it_has_spoken),
    script("three members", ApiKey::JoinGroup, At::Three, rebalances::three),
    script("votes", ApiKey::JoinGroup, At::Three, rebalances::votes),
    script("a second join overtakes", ApiKey::JoinGroup, At::Newest, rebalances::a_second_join_overtakes),
    script("a full group", ApiKey::JoinGroup, At::Three, rebalances::a_full_group),
    script("versions mixed", ApiKey::JoinGroup, At::Three, rebalances::versions_mixed),
    script("a session ends", ApiKey::JoinGroup, At::Three, sessions::a_session_ends),
    script("a leader falls silent", ApiKey::JoinGroup, At::Newest, sessions::a_leader_falls_silent),
    script("a rebalance does not wait", ApiKey::JoinGroup, At::Newest, sessions::a_rebalance_does_not_wait),
    script("a part is not fetched", ApiKey::JoinGroup, At::Newest, sessions::a_part_is_not_fetched),
    script("a static member is replaced", ApiKey::JoinGroup, At::Every, statics::replaced),
    script("a static follower is replaced", ApiKey::JoinGroup, At::Every, statics::a_follower_is_replaced),
    script("a static member is replaced while it waits", ApiKey::JoinGroup, At::Three, statics::replaced_while_it_waits),
    script("static strangers", ApiKey::JoinGroup, At::Every, statics::strangers),
    script("groups in every state", ApiKey::DescribeGroups, At::Every, shown::every_state),
    script("lists of groups", ApiKey::ListGroups, At::Every, shown::lists),
    script("groups are deleted", ApiKey::DeleteGroups, At::Every, shown::deletions),
    script("simple commits", ApiKey::OffsetCommit, At::Every, commits::simple),
    script("commits of members", ApiKey::OffsetCommit, At::Every, commits::members),
    script("commits in a rebalance", ApiKey::OffsetCommit, At::Three, commits::in_a_rebalance),
    script("committed offsets", ApiKey::OffsetFetch, At::Every, commits::fetches),
    script("offsets are forgotten", ApiKey::OffsetDelete, At::Every, commits::forgotten),
    script("offsets go with their group", ApiKey::DeleteGroups, At::Three, commits::gone),
    script("offsets go with their topic", ApiKey::OffsetFetch, At::Every, commits::gone_with_their_topic),
    script("a producer of transactions begins", ApiKey::InitProducerId, At::Every, inits::begins),
    script("transactional ids that are too long", ApiKey::InitProducerId, At::Three, inits::too_long),
    script("a producer of transactions begins again", ApiKey::InitProducerId, At::Every, inits::begins_again),
    script("a second producer shuts out the first", ApiKey::InitProducerId, At::Three, inits::shuts_out),
    script("partitions of transactions", ApiKey::AddPartitionsToTxn, At::Every, partitions::of_clients),
    script("partitions of transactions, asked by brokers", ApiKey::AddPartitionsToTxn, At::Every, partitions::of_brokers),
    script("the group of a transaction", ApiKey::AddOffsetsToTxn, At::Every, pending::groups),
    script("every end", ApiKey::EndTxn, At::Every, ends::every),
    script("ends of strangers", ApiKey::EndTxn, At::Every, ends::strangers),
    script("ends at a lower level", ApiKey::EndTxn, At::Every, ends::at_a_lower_level),
    script("markers from outside", ApiKey::WriteTxnMarkers, At::Every, ends::markers),
    script("transactions that have had their time", ApiKey::EndTxn, At::Three, timeouts::expires),
    script("batches of transactions", ApiKey::Produce, At::Every, writes::batches),
    script("batches out of their time", ApiKey::Produce, At::Every, writes::out_of_time),
    script("batches of version 2", ApiKey::Produce, At::Every, writes::unasked),
    script("transactions are read", ApiKey::Fetch, At::Every, reads::fetches),
    script("a part of transactions is read", ApiKey::Fetch, At::Newest, reads::parts),
    script("transactions are read by old clients", ApiKey::Fetch, At::Every, reads::old_fetches),
    script("ends by isolation", ApiKey::ListOffsets, At::Every, reads::ends),
    script("transactions are described", ApiKey::DescribeTransactions, At::Every, seen::described),
    script("transactions are listed", ApiKey::ListTransactions, At::Every, seen::listed),
    script("writers of transactions", ApiKey::DescribeProducers, At::Every, seen::writers),
    script("offsets of transactions", ApiKey::TxnOffsetCommit, At::Every, pending::offsets),
    script("offsets of members in transactions", ApiKey::TxnOffsetCommit, At::Every, pending::members),
    script("pending offsets go with their group", ApiKey::TxnOffsetCommit, At::Three, pending::gone),
];
