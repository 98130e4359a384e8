//! What is said to both brokers. A script makes its own topics and groups, with names that no other run uses.

mod kit;
mod offsets;
mod records;
mod topics;
mod versions;

use chronikd::proto::ApiKey;

use crate::run::Run;

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
    script("the cluster", ApiKey::DescribeCluster, At::Every, topics::the_cluster),
    script("topics are made, shown and deleted", ApiKey::Metadata, At::Every, topics::made_shown_and_deleted),
    script("all topics", ApiKey::Metadata, At::Every, topics::all_topics),
    script("topics by id", ApiKey::Metadata, At::Every, topics::topics_by_id),
    script("topics with odd names", ApiKey::Metadata, At::Three, topics::odd_names),
    script("topics made by asking", ApiKey::Metadata, At::Three, topics::made_by_asking),
    script("ways to create", ApiKey::CreateTopics, At::Every, topics::ways_to_create),
    script("refusals to create", ApiKey::CreateTopics, At::Every, topics::refusals_to_create),
    script("ways to delete", ApiKey::DeleteTopics, At::Every, topics::ways_to_delete),
    script("pages of partitions", ApiKey::DescribeTopicPartitions, At::Every, topics::pages_of_partitions),
    script("acks", ApiKey::Produce, At::Every, records::acks),
    script("bad batches", ApiKey::Produce, At::Every, records::bad_batches),
    script("a compacted topic", ApiKey::Produce, At::Three, records::compacted),
    script("codecs", ApiKey::Produce, At::Every, records::codecs),
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
];
