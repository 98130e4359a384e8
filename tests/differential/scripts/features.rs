//! Levels of features. A script leaves `transaction.version` where it has found it: every other one relies on it.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::api_versions::ApiVersionsRequest;
use chronikd::proto::schema::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};

use crate::run::{Conn, Run};

const TRANSACTIONS: &str = "transaction.version";
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;
/// The last level, where a run ends.
const LATEST: i16 = 2;

/// Feature, level, and how to go there.
type Wish = (&'static str, i16, i8);

fn ask(run: &mut Run<'_>, conn: Conn, validate_only: bool, wishes: &[Wish]) {
    let key = |&(feature, max_version_level, upgrade_type): &Wish| FeatureUpdateKey {
        feature,
        max_version_level,
        upgrade_type,
        allow_downgrade: upgrade_type != UPGRADE,
    };
    run.ask(
        conn,
        UpdateFeaturesRequest {
            feature_updates: wishes.iter().map(key).collect(),
            validate_only,
            ..UpdateFeaturesRequest::default()
        },
    );
}

/// Waits until both brokers tell of this level, and compares what they tell.
fn told(run: &mut Run<'_>, conn: Conn, level: i16) {
    settled(run, conn, level);
    let newest = run.range(ApiKey::ApiVersions).1;
    run.ask_at(newest, conn, versions());
}

/// Waits until both brokers tell of this level, for Kafka's takes a moment to hear of it.
pub(crate) fn settled(run: &mut Run<'_>, conn: Conn, level: i16) {
    let newest = run.range(ApiKey::ApiVersions).1;
    run.settle(
        newest,
        conn,
        |_| versions(),
        |answer| {
            let mut told = answer.finalized_features.iter();
            let told = told.find(|it| it.name == TRANSACTIONS);
            told.map_or(0, |it| it.max_version_level) == level
        },
    );
}

fn versions() -> ApiVersionsRequest<'static> {
    ApiVersionsRequest {
        client_software_name: "software",
        client_software_version: "1.0",
    }
}

pub(crate) fn levels(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let only_goes_up = run.version(ApiKey::UpdateFeatures) == 0;
    let mut now = LATEST;
    for (level, way) in [
        (LATEST, UPGRADE),
        (1, SAFE_DOWNGRADE),
        (LATEST, UPGRADE),
        (0, UNSAFE_DOWNGRADE),
        (1, UPGRADE),
        (0, SAFE_DOWNGRADE),
        (LATEST, UPGRADE),
    ] {
        ask(run, conn, false, &[(TRANSACTIONS, level, way)]);
        if level > now || !only_goes_up {
            now = level;
        }
        told(run, conn, now);
    }
    ask(run, conn, false, &[]);
    ask(run, conn, false, &[("metadata.version", 30, UPGRADE)]);
    ask(
        run,
        conn,
        false,
        &[
            (TRANSACTIONS, 1, SAFE_DOWNGRADE),
            (TRANSACTIONS, LATEST, UPGRADE),
        ],
    );
}

pub(crate) fn refusals(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    for wish in [
        (TRANSACTIONS, LATEST + 1, UPGRADE),
        (TRANSACTIONS, LATEST + 1, UNSAFE_DOWNGRADE),
        (TRANSACTIONS, -1, UPGRADE),
        (TRANSACTIONS, -1, SAFE_DOWNGRADE),
        (TRANSACTIONS, 1, UPGRADE),
        (TRANSACTIONS, 0, UPGRADE),
        ("nothing", 0, UPGRADE),
        ("nothing", 0, SAFE_DOWNGRADE),
        ("nothing", 1, UPGRADE),
        ("", 1, UPGRADE),
    ] {
        ask(run, conn, false, &[wish]);
        ask(run, conn, true, &[wish]);
    }
    let up = (TRANSACTIONS, LATEST, UPGRADE);
    ask(run, conn, false, &[up, ("nothing", 1, UPGRADE)]);
    ask(run, conn, true, &[up]);
    // Version 0 has neither of these fields.
    if run.version(ApiKey::UpdateFeatures) > 0 {
        for way in [-1, 0, 4] {
            ask(run, conn, false, &[(TRANSACTIONS, LATEST, way)]);
        }
        ask(run, conn, true, &[(TRANSACTIONS, 0, SAFE_DOWNGRADE)]);
    }
    told(run, conn, LATEST);
}
