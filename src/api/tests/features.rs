//! Levels of features: what is told, what can be settled, and what a kill leaves of it.

use super::*;
use crate::broker::features::{FEATURES, TRANSACTION_VERSION};
use crate::proto::schema::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::proto::schema::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// Name, lowest and highest level.
type Row = (String, i16, i16);

impl Bench {
    /// What is supported, what is settled, and its epoch.
    fn features(&mut self, version: i16) -> (Vec<Row>, Vec<Row>, i64) {
        let request = ApiVersionsRequest {
            client_software_name: "a",
            client_software_version: "1",
        };
        let body = self.ask(ApiKey::ApiVersions, version, &request).answer();
        let answer: ApiVersionsResponse<'_> =
            proto::decode(&body, version, version >= 3).expect("a response");
        let supported = answer.supported_features.iter();
        let finalized = answer.finalized_features.iter();
        (
            supported
                .map(|it| (it.name.to_owned(), it.min_version, it.max_version))
                .collect(),
            finalized
                .map(|it| {
                    (
                        it.name.to_owned(),
                        it.min_version_level,
                        it.max_version_level,
                    )
                })
                .collect(),
            answer.finalized_features_epoch,
        )
    }

    fn level(&mut self) -> i16 {
        let mut rows = FEATURES.iter();
        let feature = rows.find(|row| row.name == TRANSACTION_VERSION);
        self.broker.features().level(feature.expect("a row"))
    }

    /// The code, the message, and how many results.
    fn update(
        &mut self,
        version: i16,
        wishes: &[(&str, i16, i8)],
        validate_only: bool,
    ) -> (ErrorCode, String, usize) {
        let key = |&(feature, max_version_level, upgrade_type): &(_, i16, i8)| FeatureUpdateKey {
            feature,
            max_version_level,
            upgrade_type,
            allow_downgrade: upgrade_type != UPGRADE,
        };
        let request = UpdateFeaturesRequest {
            feature_updates: wishes.iter().map(key).collect(),
            validate_only,
            ..Default::default()
        };
        let body = self.ask(ApiKey::UpdateFeatures, version, &request).answer();
        let answer: UpdateFeaturesResponse<'_> =
            proto::decode(&body, version, true).expect("a response");
        let message = answer.error_message.as_deref().unwrap_or_default();
        (answer.error_code, message.to_owned(), answer.results.len())
    }

    /// One update of version 1 that goes well.
    fn settle(&mut self, level: i16, upgrade_type: i8) {
        let wishes = [("transaction.version", level, upgrade_type)];
        let done = (ErrorCode::NONE, String::new(), 1);
        assert_eq!(self.update(1, &wishes, false), done);
    }
}

fn row(name: &str, min: i16, max: i16) -> Row {
    (name.to_owned(), min, max)
}

#[test]
fn old_clients_are_not_shown_what_they_cannot_read() {
    let mut bench = Bench::new();
    let (metadata, settled) = (
        row("metadata.version", 30, 30),
        row("transaction.version", 2, 2),
    );
    let supported = row("transaction.version", 0, 2);
    let finalized = vec![metadata.clone(), settled];
    assert_eq!(bench.features(2), (vec![], vec![], -1));
    assert_eq!(
        bench.features(3),
        (vec![metadata.clone()], finalized.clone(), 1)
    );
    assert_eq!(bench.features(4), (vec![metadata, supported], finalized, 1));
}

#[test]
fn a_level_is_settled_once_and_for_every_start_to_come() {
    let mut bench = Bench::new();
    bench.settle(1, SAFE_DOWNGRADE);
    assert!(bench.round > bench.broker.synced_round());
    assert_eq!(bench.features(4).1[1], row("transaction.version", 1, 1));
    assert!(
        bench.round > bench.broker.synced_round(),
        "told only when it lasts"
    );
    assert_eq!(bench.features(4).2, 2);
    bench.run();
    let mut bench = bench.restart();
    assert_eq!((bench.level(), bench.features(4).2), (1, 3));
    bench.settle(0, UNSAFE_DOWNGRADE);
    assert_eq!(bench.features(4).1, [row("metadata.version", 30, 30)]);
    bench.run();
    let mut bench = bench.restart();
    bench.settle(2, UPGRADE);
    assert_eq!((bench.level(), bench.features(4).2), (2, 6));
}

#[test]
fn nothing_is_settled_where_one_of_several_is_refused_or_validation_is_all() {
    let mut bench = Bench::new();
    let down = ("transaction.version", 1, SAFE_DOWNGRADE);
    assert_eq!(
        bench.update(2, &[down], true),
        (ErrorCode::NONE, String::new(), 0)
    );
    let (code, why, results) = bench.update(1, &[down, ("nothing", 1, UPGRADE)], false);
    assert_eq!((code, results), (ErrorCode::INVALID_UPDATE_VERSION, 0));
    assert_eq!(
        why,
        "The update failed for all features since the following feature had an error: Invalid update version 1 \
         for feature nothing. Local controller 1 does not support this feature."
    );
    assert_eq!((bench.level(), bench.features(4).2), (2, 1));
    assert_eq!(
        bench.update(1, &[], false),
        (ErrorCode::NONE, String::new(), 0)
    );
    assert_eq!(bench.features(4).2, 1);
}

#[test]
fn version_0_goes_up_only_whatever_it_allows() {
    let mut bench = Bench::new();
    let down = [("transaction.version", 1, SAFE_DOWNGRADE)];
    let (code, why, _) = bench.update(0, &down, false);
    assert_eq!(code, ErrorCode::INVALID_UPDATE_VERSION);
    assert!(why.ends_with("either safe or unsafe downgrade."), "{why}");
    bench.settle(1, SAFE_DOWNGRADE);
    let up = [("transaction.version", 2, UPGRADE)];
    assert_eq!(
        bench.update(0, &up, false),
        (ErrorCode::NONE, String::new(), 1)
    );
    assert_eq!(bench.level(), 2);
}

#[test]
fn of_two_levels_for_one_feature_the_last_is_taken() {
    let mut bench = Bench::new();
    bench.settle(0, SAFE_DOWNGRADE);
    let both = [1, 2].map(|level| ("transaction.version", level, UPGRADE));
    assert_eq!(
        bench.update(1, &both, false),
        (ErrorCode::NONE, String::new(), 2)
    );
    assert_eq!(bench.level(), 2);
}
