//! DescribeConfigs (32), versions 0-4: settings as they are in force, with type, source and what stands behind them.
//!
//! * A broker is asked for by its id, and shows all of its settings; the empty name is for what clients have set for
//!   every broker. Another id, or none where one is needed, is error 42; a topic that does not exist 3; a name that
//!   cannot be a topic's 17. Groups and subscriptions to metrics show their defaults where there are none of the name.
//! * A type that is none of these refuses all resources of the request, as in Kafka.
//! * Keys that do not exist are left out. The documentation is ours, not Kafka's.
//! * Resources are written one after the other, for the rows of an answer take several times its bytes. What an answer
//!   may take, 64 MiB, is so the only limit, and no resource is looked at behind it.

use super::Call;
use super::refusal::{self, Refusal};
use crate::broker::Broker;
use crate::broker::settings::{Resource, ResourceType};
use crate::broker::topics::name_problem;
use crate::broker::wait::Outcome;
use crate::config::{self, Described, Source, Synonym, Wanted};
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResult, DescribeConfigsSynonym,
};

/// Kafka's sentence for a request that it does not look into.
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or the \
     message was sent to an incompatible broker. See the broker logs for more details.";

/// The field of the response that stands before the results.
const NO_THROTTLE_MS: i32 = 0;

/// What an answer shows of each setting.
#[derive(Clone, Copy)]
struct Shown {
    synonyms: bool,
    documentation: bool,
}

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeConfigsRequest<'_>,
) -> Outcome {
    call.after(broker.kept_settings().round());
    let shown = Shown {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let is_strange =
        |it: &DescribeConfigsResource<'_>| ResourceType::of_number(it.resource_type).is_none();
    let is_bad = request.resources.iter().any(is_strange);
    let results = request.resources.iter().map(|resource| {
        let described = match is_bad {
            true => Err(Refusal::invalid(MALFORMED)),
            false => describe(broker, resource),
        };
        result(resource, described, shown)
    });
    call.reply_made(&NO_THROTTLE_MS, results)
}

/// The settings of one resource.
fn describe(
    broker: &Broker,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Described>, Refusal> {
    let invalid = |why: &'static str| Err(Refusal::invalid(why));
    let name = resource.resource_name;
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    let wanted = &Wanted::of(keys);
    let Some(kind) = ResourceType::of_number(resource.resource_type) else {
        return invalid(MALFORMED);
    };
    let own = broker.settings_of(&Resource::new(kind, name));
    match kind {
        ResourceType::Topic => {
            check_topic(broker, name)?;
            Ok(config::describe_topic(broker.config(), own, wanted))
        }
        ResourceType::Broker if name.is_empty() => {
            Ok(config::describe_every_broker(broker.config(), wanted))
        }
        ResourceType::Broker => {
            check_id(broker, name, " or empty string,")?;
            Ok(config::describe_broker(broker.config(), wanted))
        }
        ResourceType::BrokerLogger if name.is_empty() => invalid("Broker id must not be empty"),
        ResourceType::BrokerLogger => {
            check_id(broker, name, "")?;
            let loggers = broker.loggers().iter().filter(|(name, _)| wanted.has(name));
            let levels = loggers.map(|(name, level)| config::describe_logger(name, level.word));
            Ok(levels.collect())
        }
        ResourceType::ClientMetrics if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty")
        }
        ResourceType::ClientMetrics => Ok(config::describe_client_metrics(own, wanted)),
        ResourceType::Group if name.is_empty() => invalid("Group name must not be empty"),
        ResourceType::Group => Ok(config::describe_group(broker.config(), own, wanted)),
    }
}

fn check_topic(broker: &Broker, name: &str) -> Result<(), Refusal> {
    if let Some(why) = name_problem(name) {
        return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    }
    match broker.topics().by_name(name) {
        Some(_) => Ok(()),
        None => Err(Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "")),
    }
}

fn check_id(broker: &Broker, name: &str, or: &str) -> Result<(), Refusal> {
    let ours = broker.identity.node_id;
    let why = match name.parse::<i32>() {
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
        Ok(id) if id != ours => {
            format!("Unexpected broker id, expected {ours}{or} but received {name}")
        }
        Ok(_) => return Ok(()),
    };
    Err(Refusal::invalid(why))
}

fn result<'a>(
    resource: &DescribeConfigsResource<'a>,
    described: Result<Vec<Described>, Refusal>,
    shown: Shown,
) -> DescribeConfigsResult<'a> {
    let (configs, (error_code, error_message)) = match described {
        // Kafka has an empty text where there is nothing to say.
        Ok(settings) => (settings, (ErrorCode::NONE, Some("".into()))),
        Err(refusal) => (Vec::new(), refusal::parts(Some(refusal))),
    };
    let row = |setting| row(setting, shown);
    DescribeConfigsResult {
        error_code,
        error_message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        configs: configs.into_iter().map(row).collect(),
    }
}

fn row<'a>(setting: Described, shown: Shown) -> DescribeConfigsResourceResult<'a> {
    let synonyms = match shown.synonyms {
        true => setting.synonyms,
        false => Vec::new(),
    };
    DescribeConfigsResourceResult {
        name: setting.name,
        value: setting.value.map(Into::into),
        read_only: setting.is_read_only,
        is_default: setting.source == Source::Default,
        config_source: setting.source as i8,
        is_sensitive: setting.is_sensitive,
        synonyms: synonyms.into_iter().map(synonym).collect(),
        config_type: setting.kind,
        documentation: setting
            .about
            .filter(|about| shown.documentation || about.is_empty())
            .map(Into::into),
    }
}

fn synonym<'a>(synonym: Synonym) -> DescribeConfigsSynonym<'a> {
    DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value.map(Into::into),
        source: synonym.source as i8,
    }
}
