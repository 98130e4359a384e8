//! What transactional clients speak.

use crate::luck::Luck;

/// The version of each request.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    pub init: i16,
    pub add: i16,
    pub produce: i16,
    pub offsets: i16,
    pub end: i16,
}

/// The version of transactions that a client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Partitions are announced, and the epoch stays.
    First,
    /// The first write is the announcement, and the epoch moves.
    Second,
}

impl Versions {
    /// The newest of that style.
    pub fn newest(style: Style) -> Versions {
        match style {
            Style::First => Versions {
                init: 4,
                add: 3,
                produce: 11,
                offsets: 4,
                end: 4,
            },
            Style::Second => Versions {
                init: 5,
                add: 3,
                produce: 13,
                offsets: 5,
                end: 5,
            },
        }
    }

    /// Any of that style; some clients of the first announce partitions in the broker's form.
    pub fn any(style: Style, luck: &mut Luck) -> Versions {
        let mut of = |low, high| luck.between(low, high) as i16;
        match style {
            Style::First => Versions {
                init: of(0, 5),
                add: of(0, 5),
                produce: of(3, 11),
                offsets: of(0, 4),
                end: of(0, 4),
            },
            Style::Second => Versions {
                init: of(4, 5),
                produce: of(12, 13),
                ..Versions::newest(style)
            },
        }
    }
}
