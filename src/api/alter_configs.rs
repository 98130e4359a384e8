//! AlterConfigs (33), versions 0-2: all settings of topics, brokers, groups and subscriptions to metrics at once.
//!
//! * What a resource had and the request does not name is gone; IncrementalAlterConfigs is the better choice.
//! * Levels of loggers cannot be changed so (error 42).
//! * The answer leaves when the settings are durable; they hold from the next request on.

use super::Call;
use super::setting_changes::{self, Change, Op, Wish};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResponse,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: AlterConfigsRequest<'_>,
) -> Outcome {
    let wishes: Vec<Wish<'_>> = request.resources.iter().map(wish).collect();
    let responses = setting_changes::fulfil(broker, &wishes, request.validate_only);
    call.after(broker.kept_settings().round());
    call.reply(&AlterConfigsResponse {
        responses,
        ..Default::default()
    })
}

fn wish<'a>(resource: &AlterConfigsResource<'a>) -> Wish<'a> {
    let changes = resource.configs.iter().map(|config| Change {
        name: config.name,
        op: Op::Set,
        value: config.value,
    });
    Wish {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        changes: changes.collect(),
        replaces: true,
    }
}
