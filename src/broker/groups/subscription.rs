//! What consumers subscribe to: the one thing that the broker reads of what members say to their leader.
//!
//! Whoever is no member of a group can put anything into it, so garbage only means that nothing is known.

use super::group::Group;
use crate::proto;
use crate::proto::wire::wire;
use std::collections::BTreeSet;

wire! {
    /// The oldest version of a consumer's metadata, with which all others begin.
    struct Subscription<'a> {
        version: i16,
        topics: Vec<&'a str>,
        user_data: Option<&'a [u8]>,
    }
}

impl Group {
    /// The topics that consumers of this group subscribe to; none when that cannot be known, because they are no
    /// consumers, have not agreed on a protocol yet, or do not say it as consumers do.
    #[must_use]
    pub fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            let subscription = read(member.said_of(protocol)?)?;
            topics.extend(subscription.topics.into_iter().map(str::to_owned));
        }
        Some(topics)
    }

    /// Whether the group reads that topic, as far as can be known: consumers whose subscription is unknown may.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match self.subscribed_topics() {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }
}

fn read(metadata: &[u8]) -> Option<Subscription<'_>> {
    let subscription: Subscription<'_> = proto::decode(metadata, 0, false).ok()?;
    (subscription.version >= 0).then_some(subscription)
}
