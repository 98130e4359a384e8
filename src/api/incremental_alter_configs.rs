//! IncrementalAlterConfigs (44), versions 0-1: some settings of topics, brokers, groups, subscriptions to metrics, and
//! levels of loggers.
//!
//! * A list can be added to and taken from; where the resource has none of its own, that begins with the default.
//! * Levels of loggers hold until the broker stops. They are those of the rooms (`net`, `storage` ...) and of `root`.
//! * The answer leaves when the settings are durable; they hold from the next request on.

use super::Call;
use super::setting_changes::{self, Change, Op, Wish};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::incremental_alter_configs::{
    AlterConfigsResource, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: IncrementalAlterConfigsRequest<'_>,
) -> Outcome {
    let wishes: Vec<Wish<'_>> = request.resources.iter().map(wish).collect();
    let responses = setting_changes::fulfil(broker, &wishes, request.validate_only);
    call.after(broker.kept_settings().round());
    call.reply(&IncrementalAlterConfigsResponse {
        responses,
        ..Default::default()
    })
}

fn wish<'a>(resource: &AlterConfigsResource<'a>) -> Wish<'a> {
    let changes = resource.configs.iter().map(|config| Change {
        name: config.name,
        op: match config.config_operation {
            0 => Op::Set,
            1 => Op::Delete,
            2 => Op::Append,
            3 => Op::Subtract,
            other => Op::Unknown(other),
        },
        value: config.value,
    });
    Wish {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        changes: changes.collect(),
        replaces: false,
    }
}
