//! What the journal knows, in memory: the sum of all records.

use super::facts::TxnFact;
use super::features::Features;
use super::groups::Groups;
use super::producer_ids::ProducerIds;
use super::record::{Opened, Record};
use super::settings::KeptSettings;
use super::topics::{Topic, Topics};
use super::txns::Transactions;
use crate::config::BrokerConfig;
use crate::proto::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The journaled state. Of groups, it holds the transient part too.
pub(super) struct State {
    /// The newest start.
    pub(super) opened: Opened,
    pub(super) topics: Topics,
    pub(super) producer_ids: ProducerIds,
    pub(super) groups: Groups,
    pub(super) transactions: Transactions,
    pub(super) features: Features,
    pub(super) settings: KeptSettings,
    /// What the broker was started with.
    pub(super) started: Arc<BrokerConfig>,
    /// What it obeys: `started`, and what clients have set, as of the last `reconfigure`.
    pub(super) config: Arc<BrokerConfig>,
}

impl State {
    /// That of an empty journal.
    pub(super) fn new(config: &Arc<BrokerConfig>) -> State {
        State {
            opened: Opened::default(),
            topics: Topics::default(),
            producer_ids: ProducerIds::default(),
            groups: Groups::new(Arc::clone(config)),
            transactions: Transactions::default(),
            features: Features::default(),
            settings: KeptSettings::default(),
            started: Arc::clone(config),
            config: Arc::clone(config),
        }
    }

    /// Makes a record of that round true. Answers the topic that is gone by it.
    pub(super) fn apply(&mut self, record: Record, round: u64) -> Option<Topic> {
        match record {
            Record::Opened(opened) => self.opened = opened,
            Record::Topic {
                id,
                name,
                partition_count,
                settings,
            } => {
                let topic = self.topic(id, name, partition_count, settings);
                self.topics.insert(topic);
                self.topics.round = round;
            }
            Record::TopicDeleted { id } => {
                let gone = self.topics.remove(id)?;
                self.topics.round = round;
                return Some(gone);
            }
            Record::ProducerIds { next } => self.producer_ids.reserved(next, round),
            Record::Group { id, generation } => self.groups.settled(&id, generation, round),
            Record::GroupDeleted { id } => self.groups.deleted(&id, round),
            Record::Offset {
                group,
                at,
                committed,
            } => self.groups.committed(&group, at, committed, round),
            Record::OffsetForgotten { group, at } => self.groups.forgotten(&group, at, round),
            Record::PendingOffset {
                producer_id,
                group,
                at,
                committed,
            } => {
                self.groups
                    .offset_pends(&group, producer_id, at, committed, round);
            }
            Record::PendingOffsetDone {
                producer_id,
                group,
                at,
            } => self
                .groups
                .offset_pends_no_more(&group, producer_id, at, round),
            Record::Transaction { id, fact } => {
                if let TxnFact::Stands(standing) = &fact {
                    let ids = standing.producer_ids();
                    ids.for_each(|id| self.producer_ids.taken(id));
                }
                self.transactions.apply(&id, fact, round);
            }
            Record::Touched { producer_id, touch } => {
                self.transactions.touched(producer_id, touch, round);
            }
            Record::Features { levels, changes } => self.features.settled(levels, changes, round),
            Record::Settings { resource, values } => self.settings.apply(resource, values, round),
        }
        None
    }

    /// Takes what clients have set for the broker into account: after a replay, and after each change. Says whether
    /// topics have other settings by that.
    pub(super) fn reconfigure(&mut self) -> bool {
        self.config = self.settings.effective(&self.started);
        self.groups.reconfigure(&self.config);
        self.topics.reconfigure(&self.config)
    }

    fn topic(
        &mut self,
        id: Uuid,
        name: String,
        partition_count: i32,
        settings: BTreeMap<String, String>,
    ) -> Topic {
        Topic {
            id,
            name: name.into(),
            partition_count,
            config: self.topics.log_config(&self.config, &settings),
            settings,
        }
    }
}
