//! IncrementalAlterConfigs (44): change some settings of a resource and leave the others (KIP-339).

use super::alter_configs::AlterConfigsResourceResponse;
use crate::proto::wire::wire;

wire! {
    /// Change settings of these resources, or only say whether that could be done.
    struct IncrementalAlterConfigsRequest<'a> {
        resources:     Vec<AlterConfigsResource<'a>>,
        validate_only: bool,
    }

    /// The changes of one resource.
    struct AlterConfigsResource<'a> {
        resource_type: i8,
        resource_name: &'a str,
        configs:       Vec<AlterableConfig<'a>>,
    }

    /// One change. `config_operation` is 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
    struct AlterableConfig<'a> {
        name:             &'a str,
        config_operation: i8,
        value:            Option<&'a str>,
    }

    /// What became of each resource.
    struct IncrementalAlterConfigsResponse<'a> {
        throttle_time_ms: i32,
        responses:        Vec<AlterConfigsResourceResponse<'a>>,
    }
}
