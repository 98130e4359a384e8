//! UpdateFeatures (57), versions 0-2: settle on other levels of features (KIP-584).

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::update_features::UpdateFeaturesRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: UpdateFeaturesRequest<'_>,
) -> Outcome {
    Outcome::Close("UpdateFeatures is not served yet")
}
