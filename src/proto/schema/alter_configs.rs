//! AlterConfigs (33): put other settings in the place of all that a resource has.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Give these resources these settings, or only say whether that could be done.
    struct AlterConfigsRequest<'a> {
        resources:     Vec<AlterConfigsResource<'a>>,
        validate_only: bool,
    }

    /// All settings of one resource.
    struct AlterConfigsResource<'a> {
        resource_type: i8,
        resource_name: &'a str,
        configs:       Vec<AlterableConfig<'a>>,
    }

    /// One setting.
    struct AlterableConfig<'a> {
        name:  &'a str,
        value: Option<&'a str>,
    }

    /// What became of each resource.
    struct AlterConfigsResponse<'a> {
        throttle_time_ms: i32,
        responses:        Vec<AlterConfigsResourceResponse<'a>>,
    }

    /// Whether it has the settings, or why not; the same in IncrementalAlterConfigs.
    struct AlterConfigsResourceResponse<'a> {
        error_code:    ErrorCode,
        error_message: Option<Text<'a>>,
        resource_type: i8,
        resource_name: &'a str,
    }
}
