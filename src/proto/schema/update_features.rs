//! UpdateFeatures (57): raise or lower the levels that the cluster has settled on (KIP-584). Flexible from version
//! 0 on.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Settle on these levels, all of them or none; or only say whether that could be.
    struct UpdateFeaturesRequest<'a> {
        timeout_ms:      i32 = 60000,
        feature_updates: Vec<FeatureUpdateKey<'a>>,
        validate_only:   bool [1..],
    }

    /// The level of one feature, 0 for none. `upgrade_type` is 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    struct FeatureUpdateKey<'a> {
        feature:           &'a str,
        max_version_level: i16,
        allow_downgrade:   bool [..=0],
        upgrade_type:      i8   [1..] = 1,
    }

    /// Whether it was done; below version 2 each feature has a result too.
    struct UpdateFeaturesResponse<'a> {
        throttle_time_ms: i32,
        error_code:       ErrorCode,
        error_message:    Option<Text<'a>>,
        results:          Vec<UpdatableFeatureResult<'a>> [..=1],
    }

    /// One feature, and why it was refused.
    struct UpdatableFeatureResult<'a> {
        feature:       &'a str,
        error_code:    ErrorCode,
        error_message: Option<Text<'a>>,
    }
}
