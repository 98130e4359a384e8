//! What may differ between chronikd and Apache Kafka, and why: everything else is a bug of ours.
//!
//! A path is written without indices, and matches from its end: `throttle_time_ms` anywhere, `topics[].name` only
//! there. A row that nothing needed fails the suite, so the list stays short and true.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How two values, or two lists, may differ.
pub(crate) enum May {
    /// Ids that each broker makes for itself: of this kind, one of ours always stands for the same one of theirs.
    Id(&'static str),
    /// Milliseconds since 1970, read at about the same time.
    Clock,
    /// Anything.
    Free,
    /// Ours is not above theirs.
    Lower,
    /// Sentences, but neither is null.
    Words,
    /// Exactly ours and theirs.
    Be(&'static str, &'static str),
    /// The order of a list, which is sorted by this field.
    Order(&'static str),
    /// Elements of these names, which are left out of a list.
    Lack(&'static [&'static str]),
}

/// One permission.
pub(crate) struct Row {
    /// Only in the script of this name; empty for any.
    script: &'static str,
    /// Only in answers of this API; empty for any.
    api: &'static str,
    /// Where, from the end of the path.
    path: &'static str,
    may: May,
    why: &'static str,
}

const fn row(api: &'static str, path: &'static str, may: May, why: &'static str) -> Row {
    let script = "";
    Row {
        script,
        api,
        path,
        may,
        why,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("", "topic_id", May::Id("topic"), "each broker makes the id of a topic"),
    row("", "cluster_id", May::Id("cluster"), "each cluster has its own"),
    row("", "producer_id", May::Id("producer"), "each broker gives out its own"),
    row("", "brokers[].port", May::Free, "each listens on a free port"),
];

/// The rows, and how often each was needed.
pub(crate) struct Table {
    fired: Vec<AtomicUsize>,
}

impl Table {
    /// Nothing was needed yet.
    pub(crate) fn new() -> Table {
        let fired = ROWS.iter().map(|_| AtomicUsize::new(0)).collect();
        Table { fired }
    }

    /// The rows that may excuse a value at a path, with their indices.
    pub(crate) fn excusing(
        &self,
        script: &str,
        api: &str,
        path: &str,
    ) -> impl Iterator<Item = (usize, &'static May)> {
        let rows = ROWS.iter().enumerate();
        let fitting = rows.filter(move |(_, row)| row.fits(script, api, path));
        fitting
            .map(|(i, row)| (i, &row.may))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The rows that put the list at a path in another order or take something out of it. To be looked at is to be
    /// needed: whether two lists are in the same order by luck says nothing.
    pub(crate) fn rearranging(&self, script: &str, api: &str, path: &str) -> Vec<&'static May> {
        let rows = self.excusing(script, api, path);
        let rows = rows.filter(|(_, may)| matches!(may, May::Order(_) | May::Lack(_)));
        let rows = rows.inspect(|(row, _)| self.fire(*row));
        rows.map(|(_, may)| may).collect()
    }

    /// A row was needed.
    pub(crate) fn fire(&self, row: usize) {
        self.fired[row].fetch_add(1, Ordering::Relaxed);
    }

    /// The rows that nothing needed.
    pub(crate) fn idle(&self) -> Vec<String> {
        let rows = ROWS.iter().zip(&self.fired);
        let idle = rows.filter(|(_, fired)| fired.load(Ordering::Relaxed) == 0);
        idle.map(|(row, _)| format!("{} {} ({})", row.api, row.path, row.why))
            .collect()
    }
}

impl Row {
    fn fits(&self, script: &str, api: &str, path: &str) -> bool {
        let of = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        if !of(self.script, script) || !of(self.api, api) {
            return false;
        }
        let path = without_indices(path);
        match path.strip_suffix(self.path) {
            Some(before) => before.is_empty() || before.ends_with('.'),
            None => false,
        }
    }
}

/// `topics[].name` of `topics[7].name`.
fn without_indices(path: &str) -> String {
    let mut inside = false;
    let keep = |c: &char| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => return !inside,
        }
        true
    };
    path.chars().filter(keep).collect()
}
