//! Compares two answers field by field and says where they differ beyond what the table allows.

use std::collections::BTreeMap;

use chronikd::proto::ApiKey;

use crate::both::{Both, Side};
use crate::table::{May, Table};
use crate::tree::Tree;

/// How much of a long value a complaint shows.
const SHOWN_CHARS: usize = 160;
/// How far apart two clocks may be read.
const CLOCK_MS: i64 = 60_000;
/// Values that stand for "no id".
const NO_ID: &[&str] = &["None", "\"\"", "-1", "AAAAAAAAAAAAAAAAAAAAAA"];

/// Remembers, for one run of a script, which id of ours stands for which of theirs.
#[derive(Default)]
pub(crate) struct Ids {
    of_ours: BTreeMap<(&'static str, String), String>,
    of_theirs: BTreeMap<(&'static str, String), String>,
}

impl Ids {
    /// Whether the two may stand for each other: both are ids, and neither has stood for something else.
    fn agree(&mut self, kind: &'static str, ours: &str, theirs: &str) -> bool {
        let is_none = |id| NO_ID.contains(&id) || (kind == "fetch session" && id == "0");
        if is_none(ours) || is_none(theirs) {
            return ours == theirs;
        }
        let bind = |map: &mut BTreeMap<_, String>, from: &str, to: &str| {
            let known = map.entry((kind, from.to_owned()));
            known.or_insert_with(|| to.to_owned()) == to
        };
        bind(&mut self.of_ours, ours, theirs) && bind(&mut self.of_theirs, theirs, ours)
    }
}

/// Where two answers differ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// As in `topics[0].partitions[1].error_code`.
    pub(crate) path: String,
    /// What chronikd says.
    pub(crate) ours: String,
    /// What Kafka says.
    pub(crate) theirs: String,
}

/// A comparison of two answers to one request.
pub(crate) struct Judge<'t> {
    /// What may differ.
    pub(crate) table: &'t Table,
    /// The name of the API.
    pub(crate) api: &'static str,
    /// The name of the script.
    pub(crate) script: &'static str,
    /// The ids of this run.
    pub(crate) ids: &'t mut Ids,
    /// What was found.
    pub(crate) found: Vec<Difference>,
}

impl Judge<'_> {
    /// Compares two answers.
    pub(crate) fn compare(&mut self, mut trees: Both<Tree>) {
        for side in [Side::Ours, Side::Theirs] {
            self.rearrange("", &mut trees[side]);
        }
        self.compare_at("", &trees[Side::Ours], &trees[Side::Theirs]);
    }

    /// Brings the lists of a tree into the order in which they are compared, the innermost first.
    fn rearrange(&self, path: &str, tree: &mut Tree) {
        match tree {
            Tree::Struct(fields) => fields
                .iter_mut()
                .for_each(|(name, tree)| self.rearrange(&inside(path, name), tree)),
            Tree::List(items) => items
                .iter_mut()
                .for_each(|tree| self.rearrange(&format!("{path}[]"), tree)),
            Tree::Leaf(_) => return,
        }
        for may in self.table.rearranging(self.script, self.api, path) {
            may.rearrange(tree);
        }
    }

    /// Compares two values that stand at the same place.
    fn compare_at(&mut self, path: &str, ours: &Tree, theirs: &Tree) {
        match (ours, theirs) {
            _ if self.is_free(path, ours, theirs) => {}
            (Tree::Struct(ours), Tree::Struct(theirs)) if ours.len() == theirs.len() => {
                for ((name, ours), (_, theirs)) in ours.iter().zip(theirs) {
                    self.compare_at(&inside(path, name), ours, theirs);
                }
            }
            (Tree::List(ours), Tree::List(theirs)) if self.are_as_long(path, ours, theirs) => {
                for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                    self.compare_at(&format!("{path}[{i}]"), ours, theirs);
                }
            }
            (ours, theirs) => self.compare_values(path, &shown(ours), &shown(theirs)),
        }
    }

    /// Whether they differ, and may in any way.
    fn is_free(&self, path: &str, ours: &Tree, theirs: &Tree) -> bool {
        let mut rows = self.table.excusing(self.script, self.api, path);
        let row = rows.find(|(_, may)| matches!(may, May::Free | May::Meanwhile) && ours != theirs);
        row.inspect(|(row, _)| self.table.fire(*row)).is_some()
    }

    /// Whether the lists have as many elements, as far as they must.
    fn are_as_long(&self, path: &str, ours: &[Tree], theirs: &[Tree]) -> bool {
        if ours.len() == theirs.len() {
            return true;
        }
        let mut rows = self.table.excusing(self.script, self.api, path);
        let row = rows.find(|(_, may)| matches!(may, May::Begin));
        let begins = !ours.is_empty() && ours.len() < theirs.len();
        let row = row.filter(|_| begins);
        row.inspect(|(row, _)| self.table.fire(*row)).is_some()
    }

    fn compare_values(&mut self, path: &str, ours: &str, theirs: &str) {
        for (row, may) in self.table.excusing(self.script, self.api, path) {
            let is_excused = match may {
                May::Id(kind) => self.ids.agree(kind, ours, theirs),
                may => may.excuses(ours, theirs),
            };
            if is_excused {
                if ours != theirs || may.is_telling(ours) {
                    self.table.fire(row);
                }
                return;
            }
        }
        if ours != theirs {
            self.found.push(Difference {
                path: path.to_owned(),
                ours: ours.to_owned(),
                theirs: theirs.to_owned(),
            });
        }
    }
}

impl May {
    /// Whether a row of this kind lets the two values pass. Ids are looked at elsewhere.
    fn excuses(&self, ours: &str, theirs: &str) -> bool {
        let number = |text: &str| text.parse::<i64>().ok();
        match self {
            May::Id(_) | May::Order(_) | May::Lack(_) | May::Served | May::Begin => false,
            May::Free | May::Meanwhile => true,
            May::Be(one, other) => ours == *one && theirs == *other,
            May::Words => ours.starts_with('"') && (theirs.starts_with('"') || theirs == "None"),
            May::Shuffled => sorted(ours) == sorted(theirs),
            May::Lower => number(ours) <= number(theirs),
            May::Clock => match (number(ours), number(theirs)) {
                (Some(ours), Some(theirs)) if ours > 0 && theirs > 0 => {
                    (ours - theirs).abs() < CLOCK_MS
                }
                _ => ours == theirs,
            },
        }
    }

    /// Whether equal values are a coincidence that leaves the row needed.
    fn is_telling(&self, value: &str) -> bool {
        match self {
            May::Id(_) => !NO_ID.contains(&value),
            May::Clock => value.parse().is_ok_and(|ms: i64| ms > 0),
            _ => false,
        }
    }

    /// Puts the elements of a list in the order of one of their fields, or takes some out.
    fn rearrange(&self, tree: &mut Tree) {
        let Tree::List(items) = tree else {
            return;
        };
        match self {
            May::Order(field) => items.sort_by(|a, b| a.field(field).cmp(&b.field(field))),
            May::Lack(names) => items.retain(|item| {
                let mut names_of = ["name", "group_id", "topic", "resource_name"].iter();
                let name = names_of.find_map(|field| item.field(field));
                let name = name.map(shown).unwrap_or_default();
                !names
                    .iter()
                    .any(|it| name.trim_matches('"').starts_with(it))
            }),
            May::Served => items.retain(|item| {
                let key = item.field("api_key").map(shown).unwrap_or_default();
                key.parse()
                    .is_ok_and(|key| ApiKey::from_wire(key).is_some())
            }),
            _ => {}
        }
    }
}

/// The words of a list of numbers in one order.
fn sorted(numbers: &str) -> Vec<&str> {
    let mut numbers: Vec<&str> = numbers.trim_matches(['[', ']']).split(", ").collect();
    numbers.sort_unstable();
    numbers
}

/// The path of a field.
fn inside(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn shown(tree: &Tree) -> String {
    match tree {
        Tree::Leaf(text) => text.clone(),
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("{} elements: [{}]", items.len(), items.join(", "))
        }
        Tree::Struct(fields) => {
            let show = |(name, tree): &(String, Tree)| format!("{name}: {}", shown(tree));
            let fields: Vec<String> = fields.iter().map(show).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// The values of a difference, cut to the part where it begins.
pub(crate) fn excerpts(difference: &Difference) -> Both<String> {
    let (ours, theirs) = (&difference.ours, &difference.theirs);
    let equal = ours.chars().zip(theirs.chars()).take_while(|(a, b)| a == b);
    let skipped = equal.count().saturating_sub(SHOWN_CHARS / 4);
    let cut = |text: &String| {
        let start = if skipped > 0 { "..." } else { "" };
        let part: String = text.chars().skip(skipped).take(SHOWN_CHARS).collect();
        format!("{start}{part}")
    };
    Both::each(|side| match side {
        Side::Ours => cut(ours),
        Side::Theirs => cut(theirs),
    })
}
