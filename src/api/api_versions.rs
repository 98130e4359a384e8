//! ApiVersions (18), versions 0-4: which APIs we serve, in which versions.
//!
//! * The answer is the `apis!` table; clients pick the highest version that both sides have.
//! * A version that we do not have is answered in version 0 with error 35 and one row about this API, whatever
//!   the body is; the connection stays open, and the client asks again (KIP-511).
//! * v3+ names the client's software; a name that is not letters, digits, '-' and '.' is error 42.
//! * v3+ also tells the features: the levels that we support and the one that is settled, with an epoch. Up to v3 those
//!   are left out whose lowest level is 0, for old clients fail to read them; the settled levels stay.

use super::{Call, Out};
use crate::broker::Broker;
use crate::broker::features::{FEATURES, Feature, Features};
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::header::{RequestHeader, put_response_header};
use crate::proto::schema::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use crate::proto::{self, ApiInfo, ApiKey};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ApiVersionsRequest<'_>,
) -> Outcome {
    let (name, version) = (
        request.client_software_name,
        request.client_software_version,
    );
    if call.version() >= 3 {
        if !is_software_name(name) || !is_software_name(version) {
            return call.reply(&failed(ErrorCode::INVALID_REQUEST, Vec::new()));
        }
        call.cx.peer.software = Some((brief(name), brief(version)));
    }
    let api_keys = ApiKey::TABLE.iter().map(row).collect();
    let features = broker.features();
    call.after(features.round());
    call.reply(&ApiVersionsResponse {
        api_keys,
        supported_features: supported(call.version()),
        finalized_features_epoch: broker.features_epoch(),
        finalized_features: finalized(features),
        ..Default::default()
    })
}

fn supported(version: i16) -> Vec<SupportedFeatureKey<'static>> {
    let shown = FEATURES.iter().filter(|it| version >= 4 || it.min > 0);
    let row = |feature: &Feature| SupportedFeatureKey {
        name: feature.name,
        min_version: feature.min,
        max_version: feature.max,
    };
    shown.map(row).collect()
}

/// Both ends of the range are the one level that holds.
fn finalized(features: &Features) -> Vec<FinalizedFeatureKey<'static>> {
    let levels = FEATURES.iter().map(|it| (it.name, features.level(it)));
    let row = |(name, level)| FinalizedFeatureKey {
        name,
        max_version_level: level,
        min_version_level: level,
    };
    levels.filter(|&(_, level)| level > 0).map(row).collect()
}

/// Answers a request of a version that we do not have.
pub(super) fn unsupported(header: &RequestHeader<'_>, out: &mut Out) -> Outcome {
    put_response_header(header.api_key, 0, header.correlation_id, &mut out.bytes);
    let response = failed(
        ErrorCode::UNSUPPORTED_VERSION,
        vec![row(&ApiKey::ApiVersions.info())],
    );
    match proto::encode(&response, 0, false, &mut out.bytes) {
        Ok(_) => Outcome::Done,
        Err(e) => Outcome::Close(e.0),
    }
}

fn failed<'a>(error_code: ErrorCode, api_keys: Vec<ApiVersion>) -> ApiVersionsResponse<'a> {
    ApiVersionsResponse {
        error_code,
        api_keys,
        ..Default::default()
    }
}

fn row(api: &ApiInfo) -> ApiVersion {
    ApiVersion {
        api_key: api.key as i16,
        min_version: api.min,
        max_version: api.max,
    }
}

/// As much of a software's name as a line of the log needs: a connection keeps it while it lives. The name is ASCII.
fn brief(name: &str) -> String {
    name.chars().take(64).collect()
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software_name(name: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_edge(name.chars().next())
        && is_edge(name.chars().last())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_name_begins_and_ends_with_a_letter_or_digit() {
        for good in ["a", "apache-kafka-java", "4.3.1", "0"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "a b", "ü", "a\n"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
