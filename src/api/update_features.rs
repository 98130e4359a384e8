//! UpdateFeatures (57), versions 0-2: settle on other levels of features (KIP-584), on all that are named or on none.
//!
//! * A feature that may not go to that level is error 95 for the whole request, with Kafka's sentence: a level out of
//!   range, an unknown name, a way down without a downgrade's type or up with one, a type that is neither. There are
//!   then no results.
//! * Safe and unsafe downgrades are the same here: no level changes what is stored.
//! * Version 0 has no type but `allow_downgrade`, which Kafka does not look at; neither do we: it only goes up.
//! * A feature that is named twice goes to the last level. v0 and v1 have a result for each that was named, whose
//!   message is `NONE`.
//! * `timeout_ms` means nothing: the answer leaves when the levels are durable, and a refusal when those are that it
//!   was judged by.

use super::Call;
use super::refusal::Refusal;
use crate::broker::Broker;
use crate::broker::features::{Direction, Wish};
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: UpdateFeaturesRequest<'_>,
) -> Outcome {
    let updates = request.feature_updates;
    let wishes = updates.iter().map(|it| (it.feature, wish(it))).collect();
    let updated = broker.update_features(&wishes, request.validate_only);
    call.after(broker.features().round());
    if let Err(why) = updated {
        let message = format!(
            "The update failed for all features since the following feature had an error: {why}"
        );
        let Refusal { code, message } = Refusal::new(ErrorCode::INVALID_UPDATE_VERSION, message);
        return call.reply(&UpdateFeaturesResponse {
            error_code: code,
            error_message: message,
            ..Default::default()
        });
    }
    call.reply(&UpdateFeaturesResponse {
        results: updates.iter().map(done).collect(),
        ..Default::default()
    })
}

fn wish(update: &FeatureUpdateKey<'_>) -> Wish {
    Wish {
        level: update.max_version_level,
        direction: match update.upgrade_type {
            1 => Direction::Upgrade,
            2 | 3 => Direction::Downgrade,
            _ => Direction::Unknown,
        },
    }
}

fn done<'a>(update: &FeatureUpdateKey<'a>) -> UpdatableFeatureResult<'a> {
    UpdatableFeatureResult {
        feature: update.feature,
        error_code: ErrorCode::NONE,
        error_message: Some("NONE".into()),
    }
}
