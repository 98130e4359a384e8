//! How often things have happened over many seeds: a test that never comes to what it is about must fail.

use std::collections::BTreeMap;

/// What is counted, and how often it must happen in a thousand seeds at least.
type Floors = &'static [(&'static str, u64)];

/// In seeds of records.
pub const OF_RECORDS: Floors = &[
    ("compacted away", 2_000),
    ("refused for space", 500),
    ("given up for space", 200),
];

/// In seeds of transactions.
pub const OF_TRANSACTIONS: Floors = &[
    ("compacted away", 1_000),
    ("commits", 4_000),
    ("aborts", 2_000),
    ("fenced", 2_000),
    ("timed out", 1_000),
    ("lost answers", 1_500),
    ("ghosts", 500),
    ("cuts", 1_200),
    ("51", 1_000),
    ("88", 1_000),
    ("zombies refused", 200),
    ("forgotten", 60),
    ("further producer ids", 200),
    ("groups deleted", 1_000),
    ("levels settled", 1_000),
    ("markers by hand", 600),
    ("topics gone", 10),
    ("copies", 8_000),
];

/// Below so many seeds nothing is asked for.
const ENOUGH_SEEDS: u64 = 500;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// It has happened.
    pub fn note(&mut self, what: &'static str) {
        let mut known = OF_RECORDS.iter().chain(OF_TRANSACTIONS);
        debug_assert!(known.any(|(known, _)| *known == what), "{what}");
        *self.0.entry(what).or_default() += 1;
    }

    /// How often it has happened.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// That of another seed is added.
    pub fn add(&mut self, other: &Tally) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Everything has happened often enough for so many seeds.
    pub fn check(&self, floors: Floors, seeds: u64) {
        println!("in {seeds} seeds: {:?}", self.0);
        if seeds < ENOUGH_SEEDS {
            return;
        }
        for (what, floor) in floors {
            let count = self.count(what);
            assert!(
                count * 1_000 >= floor * seeds,
                "{what}: {count} times in {seeds} seeds are too few; {self:?}"
            );
        }
    }
}
