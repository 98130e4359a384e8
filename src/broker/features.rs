//! Features: levels of behaviour that a cluster settles on (KIP-584), one row of `FEATURES` each.
//!
//! * A feature stands at its default until somebody settles on another level. The journal keeps what was settled, so
//!   a later chronikd raises only what nobody has touched.
//! * Level 0 is the absence of a feature: clients are not told of it.
//! * Settled names and levels that this chronikd does not know, because a newer one wrote them, are kept: an unknown
//!   name counts for nothing, a level beyond the range as the nearest within.
//! * Clients believe an answer whose epoch is higher than any they have seen. Ours rises with every change and every
//!   start, because a start may bring a new release with other defaults.
//! * What is asked of Kafka's controller is judged in its order, with its sentences.

use super::Broker;
use super::facts::TxnVersion;
use super::record::Record;
use std::collections::BTreeMap;

/// A feature, and the levels of it that we support.
#[derive(Debug)]
pub struct Feature {
    /// Kafka's name of it.
    pub name: &'static str,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
    /// The level that holds until another is settled.
    default: i16,
}

/// The name of the feature that says which transactions the coordinator prefers: 2 is KIP-890 in full.
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// The features, in rising order of their names. `metadata.version` is that of Kafka 4.3, and stays there: monitors
/// and web interfaces take it for the release that a broker is like.
pub const FEATURES: &[Feature] = &[
    feature("metadata.version", 30, 30, 30),
    feature(TRANSACTION_VERSION, 0, 2, 2),
];

const fn feature(name: &'static str, min: i16, max: i16, default: i16) -> Feature {
    Feature {
        name,
        min,
        max,
        default,
    }
}

/// Which way a change may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Up, or nowhere.
    Upgrade,
    /// Down, or nowhere. Kafka tells safe and unsafe apart by what they lose; here nothing is ever lost.
    Downgrade,
    /// None that we know.
    Unknown,
}

/// The level that somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The level, 0 for none.
    pub level: i16,
    /// Where it may lie.
    pub direction: Direction,
}

/// The settled levels.
#[derive(Debug, Default)]
pub struct Features {
    levels: BTreeMap<String, i16>,
    /// How often something was settled.
    changes: i64,
    /// The sync round of the newest change; 0 for one from before this start.
    round: u64,
}

impl Features {
    /// The level of a feature.
    #[must_use]
    pub fn level(&self, feature: &Feature) -> i16 {
        let level = self.levels.get(feature.name).copied();
        level
            .unwrap_or(feature.default)
            .clamp(feature.min, feature.max)
    }

    /// What `transaction.version` stands for.
    #[must_use]
    pub fn transaction_version(&self) -> TxnVersion {
        let feature = find(TRANSACTION_VERSION).expect("it has a row in the table");
        TxnVersion::of_level(self.level(feature))
    }

    /// The round that makes these levels last.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The journal says so.
    pub(super) fn settled(&mut self, levels: BTreeMap<String, i16>, changes: i64, round: u64) {
        (self.levels, self.changes, self.round) = (levels, changes, round);
    }

    /// Whether that level of a feature may be settled.
    fn judge(&self, node_id: i32, name: &str, wish: Wish) -> Result<(), String> {
        let refused = |why: &str| {
            let level = wish.level;
            Err(format!(
                "Invalid update version {level} for feature {name}. {why}"
            ))
        };
        let known = find(name);
        let now = known.map_or(0, |feature| self.level(feature));
        if wish.direction == Direction::Unknown {
            return refused("The controller does not support the given upgrade type.");
        }
        if wish.level < 0 {
            return refused("A feature version cannot be less than 0.");
        }
        if let Some(why) = unsupported(known, wish.level) {
            return refused(&format!("Local controller {node_id} {why}"));
        }
        match wish.direction {
            Direction::Upgrade if wish.level < now => refused(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.",
            ),
            Direction::Downgrade if wish.level > now => {
                refused("Can't downgrade to a newer version.")
            }
            _ if known.is_none() => refused(&format!("Feature {name} not found.")),
            _ => Ok(()),
        }
    }
}

/// The feature of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

/// Why that level of a feature is none, if so. Level 0 of any other name passes, for it asks for nothing.
fn unsupported(feature: Option<&Feature>, level: i16) -> Option<String> {
    match feature {
        None if level == 0 => None,
        None => Some("does not support this feature.".to_owned()),
        Some(Feature { min, max, .. }) if (*min..=*max).contains(&level) => None,
        Some(Feature { min, max, .. }) if min == max => {
            Some(format!("only supports versions {min}"))
        }
        Some(Feature { min, max, .. }) => Some(format!("only supports versions {min}-{max}")),
    }
}

impl Broker {
    /// The features' levels.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.state.features
    }

    /// The epoch of the features' levels, from 1.
    #[must_use]
    pub fn features_epoch(&self) -> i64 {
        self.state.opened.boot + self.state.features.changes
    }

    /// Settles on these levels, by name: on all of them, or on none.
    ///
    /// # Errors
    /// Why one of them cannot be settled; a sentence.
    pub fn update_features(
        &mut self,
        wishes: &BTreeMap<&str, Wish>,
        validate_only: bool,
    ) -> Result<(), String> {
        let features = &self.state.features;
        for (name, wish) in wishes {
            features.judge(self.identity.node_id, name, *wish)?;
        }
        if validate_only || wishes.is_empty() {
            return Ok(());
        }
        let mut levels = features.levels.clone();
        for (name, wish) in wishes {
            levels.insert((*name).to_owned(), wish.level);
            log::info!("feature {name} is at level {}", wish.level);
        }
        let changes = features.changes + 1;
        self.commit(vec![Record::Features { levels, changes }]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::TxnVersion::{V1, V2};
    use super::*;

    fn wish(level: i16, direction: Direction) -> Wish {
        Wish { level, direction }
    }

    fn settled(level: i16) -> Features {
        let mut features = Features::default();
        let levels = BTreeMap::from([(TRANSACTION_VERSION.to_owned(), level)]);
        features.settled(levels, 1, 1);
        features
    }

    #[test]
    fn a_feature_stands_at_its_default_until_it_is_settled_and_never_outside_its_range() {
        let feature = find(TRANSACTION_VERSION).unwrap();
        assert_eq!(Features::default().level(feature), 2);
        for (level, stands, version) in [(0, 0, V1), (1, 1, V1), (2, 2, V2), (9, 2, V2)] {
            assert_eq!(settled(level).level(feature), stands);
            assert_eq!(settled(level).transaction_version(), version);
        }
    }

    #[test]
    fn names_are_in_order_and_defaults_in_range() {
        assert!(FEATURES.is_sorted_by_key(|feature| feature.name));
        for feature in FEATURES {
            assert_eq!(Features::default().level(feature), feature.default);
        }
    }

    #[test]
    fn a_level_goes_only_where_its_direction_points() {
        use Direction::{Downgrade, Unknown, Upgrade};
        let features = settled(1);
        let judge = |name, level, direction| features.judge(1, name, wish(level, direction));
        for (level, direction) in [(1, Upgrade), (2, Upgrade), (1, Downgrade), (0, Downgrade)] {
            assert_eq!(judge(TRANSACTION_VERSION, level, direction), Ok(()));
        }
        for (name, level, direction, why) in [
            (TRANSACTION_VERSION, 0, Upgrade, "without setting"),
            (TRANSACTION_VERSION, 2, Downgrade, "newer version."),
            (
                TRANSACTION_VERSION,
                3,
                Upgrade,
                "only supports versions 0-2",
            ),
            (TRANSACTION_VERSION, -1, Downgrade, "less than 0."),
            (TRANSACTION_VERSION, 1, Unknown, "upgrade type."),
            (
                "metadata.version",
                29,
                Downgrade,
                "only supports versions 30",
            ),
            ("nothing", 1, Upgrade, "does not support this feature."),
            ("nothing", 0, Downgrade, "Feature nothing not found."),
        ] {
            let refused = judge(name, level, direction).expect_err(why);
            assert!(refused.contains(why), "{refused}");
            assert!(refused.contains(name), "{refused}");
        }
    }
}
