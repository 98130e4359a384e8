//! What consumers subscribe to: the one thing that the broker reads of what members say to their leader.
//!
//! It is read once for a generation, when that begins, and holds until the next one does, whatever members say
//! meanwhile. Whoever is no member of a group can put anything into it, so garbage only means that nothing is known.

use super::group::Group;
use crate::proto;
use crate::proto::wire::wire;
use std::ops::Range;

wire! {
    /// The oldest version of a consumer's metadata, with which all others begin.
    struct Subscription<'a> {
        version: i16,
        topics: Vec<&'a str>,
        user_data: Option<&'a [u8]>,
    }
}

/// Names of topics, in ascending order and in one piece: whoever sends many short ones must not make a group large.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TopicNames {
    text: Box<str>,
    places: Box<[Range<u32>]>,
}

impl TopicNames {
    fn new(mut names: Vec<&str>) -> Option<TopicNames> {
        names.sort_unstable();
        names.dedup();
        let mut text = String::new();
        let mut places = Vec::with_capacity(names.len());
        for name in names {
            let start = u32::try_from(text.len()).ok()?;
            text.push_str(name);
            places.push(start..u32::try_from(text.len()).ok()?);
        }
        Some(TopicNames {
            text: text.into(),
            places: places.into(),
        })
    }

    /// Whether the topic is one of them.
    #[must_use]
    pub fn contains(&self, topic: &str) -> bool {
        let order = |place: &Range<u32>| self.name_at(place).cmp(topic);
        self.places.binary_search_by(order).is_ok()
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| self.name_at(place))
    }

    fn name_at(&self, place: &Range<u32>) -> &str {
        &self.text[place.start as usize..place.end as usize]
    }
}

impl Group {
    /// The topics that consumers of the last generation subscribe to; none when that cannot be known, because they are
    /// no consumers, have had no generation yet, or do not say it as consumers do.
    #[must_use]
    pub fn subscribed_topics(&self) -> Option<&TopicNames> {
        self.subscribed.as_ref()
    }

    /// Whether the group reads that topic, as far as can be known: consumers whose subscription is unknown may.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match self.subscribed_topics() {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// Reads what the members of a generation subscribe to.
    pub(super) fn read_subscriptions(&mut self) {
        self.subscribed = self.subscriptions();
    }

    fn subscriptions(&self) -> Option<TopicNames> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(TopicNames::default());
        }
        let protocol = self.protocol_name.as_deref()?;
        let mut topics = Vec::new();
        for member in self.members.values() {
            topics.extend(read(member.said_of(protocol)?)?.topics);
        }
        TopicNames::new(topics)
    }
}

fn read(metadata: &[u8]) -> Option<Subscription<'_>> {
    let subscription: Subscription<'_> = proto::decode(metadata, 0, false).ok()?;
    (subscription.version >= 0).then_some(subscription)
}
