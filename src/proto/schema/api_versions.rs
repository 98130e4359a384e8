//! ApiVersions (18): what the broker speaks.
//!
//! The response header of this API never has tags; see `header`.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// What do you speak? The client may say what software it is.
    struct ApiVersionsRequest<'a> {
        client_software_name:    &'a str [3..],
        client_software_version: &'a str [3..],
    }

    /// Versions by API, and features (KIP-584).
    struct ApiVersionsResponse<'a> {
        error_code:       ErrorCode,
        api_keys:         Vec<ApiVersion>,
        throttle_time_ms: i32 [1..],
        ;
        0 => supported_features:       Vec<SupportedFeatureKey<'a>> [3..],
        1 => finalized_features_epoch: i64                          [3..] = -1,
        2 => finalized_features:       Vec<FinalizedFeatureKey<'a>> [3..],
        3 => zk_migration_ready:       bool                         [3..],
    }

    /// The range of versions served for one API.
    struct ApiVersion {
        api_key:     i16,
        min_version: i16,
        max_version: i16,
    }

    /// The range of levels that the broker supports for one feature.
    struct SupportedFeatureKey<'a> {
        name:        &'a str,
        min_version: i16,
        max_version: i16,
    }

    /// The range of levels that the cluster has settled on for one feature.
    struct FinalizedFeatureKey<'a> {
        name:              &'a str,
        max_version_level: i16,
        min_version_level: i16,
    }
}
