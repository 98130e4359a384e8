//! ListConfigResources (74): what has settings (KIP-1142). Version 0 is ListClientMetricsResources, which knows no
//! other type.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Resources of these types; none is all types.
    struct ListConfigResourcesRequest {
        resource_types: Vec<i8> [1..],
    }

    /// The resources.
    struct ListConfigResourcesResponse<'a> {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
        config_resources: Vec<ConfigResource<'a>>,
    }

    /// One resource.
    struct ConfigResource<'a> {
        resource_name: &'a str,
        resource_type: i8 [1..] = 16,
    }
}
