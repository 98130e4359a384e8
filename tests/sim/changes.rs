//! Somebody who changes what is there: settings of topics, groups and brokers, and how many partitions a topic has.
//!
//! What was acknowledged, or shown, stands in every later life; what was asked for and not answered either stands or
//! does not, and then no more changes by itself. One client changes, one thing at a time; another only looks, and may
//! be shown what is not acknowledged yet.

use crate::call::Reply;
use crate::errand::Errand;
use crate::ledger::{Facet, Ledger};
use crate::side::Side;
use chronikd::broker::Broker;
use chronikd::broker::settings::{Resource, ResourceType};
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use chronikd::proto::schema::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use chronikd::proto::schema::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use chronikd::proto::{ApiKey, Uuid};
use std::collections::{BTreeMap, BTreeSet};

const SET: i8 = 0;
const DELETE: i8 = 1;
/// As many partitions as a topic ever gets.
const MOST_PARTITIONS: usize = 4;

/// What is set where: nothing that changes what else happens here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A topic.
    Topic(Uuid),
    /// A group, whether it exists or not.
    Group,
    /// Every broker.
    Brokers,
}

impl Place {
    fn key(self) -> &'static str {
        match self {
            Place::Topic(_) => "delete.retention.ms",
            Place::Group => "consumer.session.timeout.ms",
            Place::Brokers => "log.cleaner.backoff.ms",
        }
    }

    fn resource(self, ledger: &Ledger) -> Resource {
        match self {
            Place::Topic(id) => Resource::new(ResourceType::Topic, &ledger.topic(id).name),
            Place::Group => Resource::new(ResourceType::Group, "settings"),
            Place::Brokers => Resource::new(ResourceType::Broker, ""),
        }
    }

    /// What a broker has in force; nothing of a topic that is gone.
    fn value_in(self, broker: &Broker) -> Option<Value> {
        let values = match self {
            Place::Topic(id) => &broker.topics().by_id(id)?.settings,
            Place::Group => broker
                .kept_settings()
                .of(&Resource::new(ResourceType::Group, "settings")),
            Place::Brokers => broker
                .kept_settings()
                .of(&Resource::new(ResourceType::Broker, "")),
        };
        Some(values.get(self.key()).cloned())
    }
}

/// A value, or none.
type Value = Option<String>;

/// What one place may have.
#[derive(Clone, Debug)]
struct Possible {
    values: BTreeSet<Value>,
    /// What was asked for, from the first on.
    asked: Vec<Value>,
}

/// What was possible when somebody began to look, and how much had been asked for.
type View = (BTreeSet<Value>, usize);

/// What each place may have.
#[derive(Clone, Debug, Default)]
pub struct Known(BTreeMap<Place, Possible>);

impl Known {
    fn at(&mut self, place: Place) -> &mut Possible {
        self.0.entry(place).or_insert_with(|| Possible {
            values: BTreeSet::from([None]),
            asked: vec![None],
        })
    }

    fn asked(&mut self, place: Place, value: Value) {
        let possible = self.at(place);
        possible.values.insert(value.clone());
        possible.asked.push(value);
    }

    /// The value was acknowledged.
    fn acked(&mut self, place: Place, value: Value) {
        self.at(place).values = BTreeSet::from([value]);
    }

    fn view(&mut self, place: Place) -> View {
        let possible = self.at(place);
        (possible.values.clone(), possible.asked.len())
    }

    /// The value was shown to somebody who had this view. If it can only be the newest, it stands.
    fn shown(&mut self, place: Place, value: Value, (then, asked): &View) {
        let possible = self.at(place);
        let since = &possible.asked[*asked..];
        assert!(
            then.contains(&value) || since.contains(&value),
            "{place:?} is shown with {value:?}, which is none of {then:?} and {since:?}"
        );
        let is_newest = since.last() == Some(&value);
        let may_be_older =
            then.contains(&value) || since.iter().filter(|&it| *it == value).count() > 1;
        if is_newest && !may_be_older {
            possible.values = BTreeSet::from([value]);
        }
    }

    /// A life has begun: what it has must be possible, and is what stands.
    pub fn opened(&mut self, broker: &Broker) {
        for (place, possible) in &mut self.0 {
            if let Some(value) = place.value_in(broker) {
                assert!(
                    possible.values.contains(&value),
                    "{place:?} has {value:?}, which is none of {possible:?}"
                );
                possible.values = BTreeSet::from([value]);
            }
        }
    }
}

#[derive(Debug)]
enum Asked {
    Set(Place, Value),
    Show(Place, View),
    Grow(Uuid, usize),
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Changer {
    errand: Errand<Asked>,
    counter: u64,
    only_looks: bool,
}

impl Changer {
    /// One who changes nothing.
    pub fn onlooker() -> Changer {
        Changer {
            only_looks: true,
            ..Changer::default()
        }
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        self.errand.cut_off();
    }

    /// Whether nothing is unanswered.
    pub fn is_idle(&self) -> bool {
        self.errand.is_idle()
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        if self.errand.step(side, take) && !finishing {
            self.begin(side);
        }
    }

    fn begin(&mut self, side: &mut Side<'_>) {
        // The names of others may be given anew while a request is on its way.
        let main = |topic: &&Facet| topic.name.starts_with("main");
        let topics: Vec<Uuid> = side
            .ledger
            .existing()
            .filter(main)
            .map(|it| it.id)
            .collect();
        let place = match side.luck.below(4) {
            0 => Place::Group,
            1 => Place::Brokers,
            _ if topics.is_empty() => return,
            _ => Place::Topic(side.luck.pick(&topics)),
        };
        match (side.luck.below(8), place) {
            (0, _) => self.errand.hang_up(side),
            _ if self.only_looks => self.show(side, place),
            (1, Place::Topic(id)) => {
                let count = side.ledger.topic(id).partition_count() + 1;
                if count <= MOST_PARTITIONS {
                    self.grow(side, id, count);
                }
            }
            (2 | 3, _) => self.show(side, place),
            (4, _) => self.set(side, place, None),
            _ => {
                self.counter += 1;
                let value = 45_000 + self.counter % 15_000;
                self.set(side, place, Some(value.to_string()));
            }
        }
    }

    /// Asks for a value, or for none.
    pub fn set(&mut self, side: &mut Side<'_>, place: Place, value: Value) {
        let line = self.errand.line(side);
        let resource = place.resource(side.ledger);
        side.ledger.settings.asked(place, value.clone());
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: &resource.name,
                configs: vec![AlterableConfig {
                    name: place.key(),
                    config_operation: if value.is_some() { SET } else { DELETE },
                    value: value.as_deref(),
                }],
            }],
            validate_only: false,
        };
        let api = ApiKey::IncrementalAlterConfigs;
        side.machine.ask(line, api, 1, &request, true);
        self.errand.asked(Asked::Set(place, value));
    }

    fn show(&mut self, side: &mut Side<'_>, place: Place) {
        let line = self.errand.line(side);
        let resource = place.resource(side.ledger);
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: &resource.name,
                configuration_keys: Some(vec![place.key()]),
            }],
            include_synonyms: false,
            include_documentation: false,
        };
        side.machine
            .ask(line, ApiKey::DescribeConfigs, 4, &request, true);
        self.errand
            .asked(Asked::Show(place, side.ledger.settings.view(place)));
    }

    /// Asks for more partitions.
    pub fn grow(&mut self, side: &mut Side<'_>, id: Uuid, count: usize) {
        let line = self.errand.line(side);
        let name = side.ledger.topic(id).name.clone();
        side.ledger.growing(id, count);
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: &name,
                count: count as i32,
                assignments: None,
            }],
            timeout_ms: 1_000,
            validate_only: false,
        };
        side.machine
            .ask(line, ApiKey::CreatePartitions, 3, &request, true);
        self.errand.asked(Asked::Grow(id, count));
    }

    /// Goes away.
    pub fn hang_up(&mut self, side: &mut Side<'_>) {
        self.errand.hang_up(side);
    }
}

fn take(side: &mut Side<'_>, asked: Asked, reply: &Reply) {
    match asked {
        Asked::Set(place, value) => {
            let response: IncrementalAlterConfigsResponse<'_> = reply.read();
            match response.responses[0].error_code {
                ErrorCode::NONE => side.ledger.settings.acked(place, value),
                code => excuse(side, place, code),
            }
        }
        Asked::Show(place, then) => {
            let response: DescribeConfigsResponse<'_> = reply.read();
            let result = &response.results[0];
            match result.error_code {
                ErrorCode::NONE => {
                    // A default, or the broker's, is shown where nothing is set.
                    let shown = result.configs.first();
                    let own = shown.filter(|it| OWN_SOURCES.contains(&it.config_source));
                    let value = own.and_then(|it| it.value.as_ref().map(ToString::to_string));
                    side.ledger.settings.shown(place, value, &then);
                }
                code => excuse(side, place, code),
            }
        }
        Asked::Grow(id, count) => {
            let response: CreatePartitionsResponse<'_> = reply.read();
            match response.results[0].error_code {
                ErrorCode::NONE => side.ledger.grown(id, count),
                // A request that was never answered has done it.
                ErrorCode::INVALID_PARTITIONS => side.ledger.grown(id, count),
                code => excuse(side, Place::Topic(id), code),
            }
        }
    }
}

/// What a client has set: of a topic, of every broker, of a group.
const OWN_SOURCES: [i8; 3] = [1, 3, 8];

/// Topics may go while they are asked about; and a name may by then be another topic's.
fn excuse(side: &mut Side<'_>, place: Place, code: ErrorCode) {
    let is_gone = match place {
        Place::Topic(id) => side.machine.broker().topics().by_id(id).is_none(),
        _ => false,
    };
    assert!(
        is_gone || side.ledger.faulty,
        "{place:?} is refused with {}",
        code.0
    );
}
