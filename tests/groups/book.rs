//! What the members of one group have told, held to the promises of a group.
//!
//! * A member that goes on with a partition skips no offset.
//! * A member that takes a partition begins where nothing is below that was committed: a record whose commit was
//!   acknowledged is not processed again.
//! * One offset has one value, whoever reads it.
//!
//! That nothing was skipped between two members shows in the end, when everything must have been processed.
//! Lines of different members may arrive in another order than they were said, a `committed` late above all; that
//! can hide a broken promise now and then, and never makes up one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::member::Line;

/// How many of the newest entries a complaint shows.
const SHOWN: usize = 60;

/// The book of one group.
pub(crate) struct Book {
    began: Instant,
    /// Who has got, begun and committed what, and when that was heard.
    story: Vec<String>,
    /// The values of the records that were processed, by partition and offset.
    processed: BTreeMap<i32, BTreeMap<i64, String>>,
    /// The highest offset of each partition whose commit was acknowledged.
    committed: BTreeMap<i32, i64>,
    members: BTreeMap<usize, Tenure>,
}

/// What one member holds.
#[derive(Default)]
struct Tenure {
    assigned: BTreeSet<i32>,
    /// How often it has told that.
    assigned_count: usize,
    /// Partitions of which it has processed nothing since.
    fresh: BTreeSet<i32>,
    /// The offset that comes next in each partition.
    next: BTreeMap<i32, i64>,
    /// What the broker last refused.
    refused: Option<String>,
}

impl Default for Book {
    fn default() -> Book {
        Book {
            began: Instant::now(),
            story: Vec::new(),
            processed: BTreeMap::new(),
            committed: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }
}

impl Book {
    /// Enters a line.
    ///
    /// # Panics
    /// When it breaks a promise.
    pub(crate) fn enter(&mut self, member: usize, line: Line) {
        if !matches!(line, Line::Got { .. }) {
            self.note(&format!("member {member}: {line:?}"));
        }
        let tenure = self.members.entry(member).or_default();
        match line {
            Line::Assigned(assigned) => {
                tenure.fresh.clone_from(&assigned);
                tenure.assigned = assigned;
                tenure.assigned_count += 1;
            }
            Line::Got {
                partition,
                offset,
                value,
            } => self.got(member, partition, offset, value),
            Line::Committed(offsets) => {
                for (partition, offset) in offsets {
                    let highest = self.committed.entry(partition).or_default();
                    *highest = offset.max(*highest);
                }
            }
            Line::Refused(sentence) => tenure.refused = Some(sentence),
            Line::Left | Line::Ended(_) => {}
        }
    }

    fn note(&mut self, entry: &str) {
        let ms = self.began.elapsed().as_millis();
        self.story.push(format!("{ms:>6} ms  {entry}"));
    }

    fn newest(&self) -> String {
        self.story[self.story.len().saturating_sub(SHOWN)..].join("\n")
    }

    fn got(&mut self, member: usize, partition: i32, offset: i64, value: String) {
        let place = format!("member {member}, partition {partition}");
        let tenure = self.members.entry(member).or_default();
        let next = tenure.next.insert(partition, offset + 1);
        if tenure.fresh.remove(&partition) {
            let committed = self.committed.get(&partition).copied().unwrap_or(0);
            self.note(&format!("{place}: begins at {offset}"));
            assert!(
                offset >= committed,
                "{place}: begins at {offset}, and {committed} is committed\n{}",
                self.newest()
            );
        } else {
            assert_eq!(next, Some(offset), "{place}: skips");
        }
        let values = self.processed.entry(partition).or_default();
        let before = values.entry(offset).or_insert_with(|| value.clone());
        assert_eq!(*before, value, "{place}: offset {offset} has two values");
    }

    /// Whether these members, and nobody else, share all partitions, each having some.
    pub(crate) fn is_shared_by(&self, members: &[usize], partition_count: usize) -> bool {
        let sets = || members.iter().filter_map(|member| self.members.get(member));
        let sum: usize = sets().map(|tenure| tenure.assigned.len()).sum();
        let all: BTreeSet<i32> = sets()
            .flat_map(|tenure| tenure.assigned.iter().copied())
            .collect();
        sets().filter(|tenure| !tenure.assigned.is_empty()).count() == members.len()
            && sum == partition_count
            && all.len() == partition_count
    }

    /// The partitions of a member, and how often it has told of a change.
    pub(crate) fn assigned(&self, member: usize) -> (BTreeSet<i32>, usize) {
        let tenure = self.members.get(&member);
        tenure.map_or_else(Default::default, |tenure| {
            (tenure.assigned.clone(), tenure.assigned_count)
        })
    }

    /// Whether in each partition everything below these ends is committed.
    pub(crate) fn is_committed(&self, ends: &[i64]) -> bool {
        (0..).zip(ends).all(|(partition, end)| {
            let committed = self.committed.get(&partition).copied().unwrap_or(0);
            committed >= *end
        })
    }

    /// What was processed of a partition.
    pub(crate) fn processed(&self, partition: i32) -> BTreeMap<i64, String> {
        self.processed.get(&partition).cloned().unwrap_or_default()
    }
}

impl std::fmt::Display for Book {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (member, tenure) in &self.members {
            let (assigned, next) = (&tenure.assigned, &tenure.next);
            writeln!(
                f,
                "member {member}: {assigned:?}, next {next:?}, refused {:?}",
                tenure.refused
            )?;
        }
        writeln!(f, "committed {:?}", self.committed)?;
        f.write_str(&self.newest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(partitions: &[i32]) -> Line {
        Line::Assigned(partitions.iter().copied().collect())
    }

    fn got(offset: i64) -> Line {
        Line::Got {
            partition: 0,
            offset,
            value: offset.to_string(),
        }
    }

    fn book(lines: &[(usize, Line)]) -> Book {
        let mut book = Book::default();
        for (member, line) in lines {
            book.enter(*member, line.clone());
        }
        book
    }

    #[test]
    fn a_record_may_come_again_until_it_is_committed() {
        let mut book = book(&[
            (0, assigned(&[0, 1])),
            (0, got(0)),
            (0, got(1)),
            (0, Line::Committed(vec![(0, 1)])),
            (1, assigned(&[0])),
            (1, got(1)),
        ]);
        assert!(book.is_committed(&[1]) && !book.is_committed(&[2]));
        assert_eq!(book.processed(0).len(), 2);
        book.enter(0, assigned(&[1]));
        assert!(book.is_shared_by(&[0, 1], 2));
        assert_eq!(book.assigned(0), (BTreeSet::from([1]), 2));
    }

    #[test]
    #[should_panic(expected = "begins at 0, and 1 is committed")]
    fn a_reset_is_seen() {
        book(&[
            (0, assigned(&[0])),
            (0, got(0)),
            (0, Line::Committed(vec![(0, 1)])),
            (1, assigned(&[0])),
            (1, got(0)),
        ]);
    }

    #[test]
    #[should_panic(expected = "skips")]
    fn a_gap_is_seen() {
        book(&[(0, assigned(&[0])), (0, got(0)), (0, got(2))]);
    }

    #[test]
    #[should_panic(expected = "has two values")]
    fn a_changed_record_is_seen() {
        let other = Line::Got {
            partition: 0,
            offset: 0,
            value: "other".to_owned(),
        };
        book(&[
            (0, assigned(&[0])),
            (0, got(0)),
            (1, assigned(&[0])),
            (1, other),
        ]);
    }

    #[test]
    fn partitions_held_twice_or_by_nobody_are_not_shared() {
        let lines = [(0, assigned(&[0, 1])), (1, assigned(&[1]))];
        assert!(!book(&lines).is_shared_by(&[0, 1], 2), "twice");
        assert!(!book(&lines).is_shared_by(&[0], 3), "nobody");
        assert!(!book(&lines).is_shared_by(&[0, 2], 2), "one has none");
        assert!(book(&lines).is_shared_by(&[0], 2));
    }
}
