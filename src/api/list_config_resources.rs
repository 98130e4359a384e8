//! ListConfigResources (74), versions 0-1: what can have settings, and for groups and subscriptions to metrics, what
//! has some.
//!
//! A type that a version does not know is error 35, with no resources at all; version 0 knows subscriptions only.

use super::Call;
use crate::broker::Broker;
use crate::broker::settings::ResourceType;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ListConfigResourcesRequest,
) -> Outcome {
    call.after(broker.kept_settings().round());
    let supported: &[ResourceType] = match call.version() {
        0 => &[ResourceType::ClientMetrics],
        _ => &ResourceType::ALL,
    };
    let asked = request.resource_types;
    let is_known = |number: &i8| supported.iter().any(|kind| *kind as i8 == *number);
    if !asked.iter().all(is_known) {
        return call.reply(&ListConfigResourcesResponse {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            ..Default::default()
        });
    }
    let node_id = broker.identity.node_id.to_string();
    let wanted = supported
        .iter()
        .filter(|&&kind| asked.is_empty() || asked.contains(&(kind as i8)));
    let config_resources = wanted.flat_map(|&kind| resources(broker, kind, &node_id));
    call.reply(&ListConfigResourcesResponse {
        config_resources: config_resources.collect(),
        ..Default::default()
    })
}

fn resources<'a>(
    broker: &'a Broker,
    kind: ResourceType,
    node_id: &'a str,
) -> Vec<ConfigResource<'a>> {
    let resource = |resource_name| ConfigResource {
        resource_name,
        resource_type: kind as i8,
    };
    match kind {
        ResourceType::Topic => broker
            .topics()
            .iter()
            .map(|topic| resource(&*topic.name))
            .collect(),
        ResourceType::Broker | ResourceType::BrokerLogger => vec![resource(node_id)],
        ResourceType::ClientMetrics | ResourceType::Group => {
            broker.kept_settings().names(kind).map(resource).collect()
        }
    }
}
