//! How large the house is.

use crate::source::Source;
use std::collections::BTreeMap;
use std::fmt;

/// The sizes of `src`, unit tests apart.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// Lines of each room: of the product, and of its unit tests.
    rooms: BTreeMap<String, (usize, usize)>,
    /// Lines of tests/ and bench/.
    outside: usize,
    /// Half of the functions are at most so long.
    pub(crate) median_function_lines: usize,
    /// Nine of ten are.
    ninetieth: usize,
    /// The longest one, and where it is.
    longest: (usize, String),
    /// How often `unsafe` stands in the product.
    pub(crate) unsafe_count: usize,
}

impl Sizes {
    /// Measures these files.
    pub(crate) fn of(sources: &[Source]) -> Sizes {
        let mut rooms = BTreeMap::new();
        let mut functions = Vec::new();
        let mut outside = 0;
        let mut unsafe_count = 0;
        for source in sources {
            let all = source.text.lines().count();
            let product = source.product.lines().count();
            if !source.path.starts_with("src/") {
                outside += all;
                continue;
            }
            let room: &mut (usize, usize) = rooms.entry(source.room().to_owned()).or_default();
            *room = (room.0 + product, room.1 + all - product);
            unsafe_count += source.product.matches("unsafe {").count();
            let in_product = source
                .functions()
                .into_iter()
                .filter(|function| function.line <= product);
            functions.extend(in_product.map(|function| {
                (
                    function.line_count,
                    format!("{} in {}", function.name, source.path),
                )
            }));
        }
        functions.sort();
        let at = |part: usize| {
            functions
                .get(functions.len() * part / 100)
                .map_or(0, |function| function.0)
        };
        Sizes {
            rooms,
            outside,
            median_function_lines: at(50),
            ninetieth: at(90),
            longest: functions.last().cloned().unwrap_or_default(),
            unsafe_count,
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "room       lines  of unit tests")?;
        for (room, (product, tests)) in &self.rooms {
            writeln!(f, "{room:<9} {product:>6} {tests:>6}")?;
        }
        let sum = |part: fn(&(usize, usize)) -> usize| self.rooms.values().map(part).sum::<usize>();
        writeln!(
            f,
            "together  {:>6} {:>6}",
            sum(|room| room.0),
            sum(|room| room.1)
        )?;
        writeln!(f, "tests and benches outside: {} lines", self.outside)?;
        let (lines, place) = &self.longest;
        writeln!(
            f,
            "functions: median {}, nine of ten at most {}, longest {lines} ({place})",
            self.median_function_lines, self.ninetieth
        )?;
        write!(f, "unsafe blocks: {}", self.unsafe_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_functions_and_unsafe_are_counted() {
        let text = "fn a() {\n}\nfn b() {\n unsafe { c() }\n}\n#[cfg(test)]\nmod tests {\n}\n";
        let sizes = Sizes::of(&[
            Source::new("src/disk/map.rs", text),
            Source::new("tests/x.rs", "\n"),
        ]);
        assert_eq!(sizes.rooms["disk"], (5, 3));
        assert_eq!((sizes.outside, sizes.unsafe_count), (1, 1));
        assert_eq!(sizes.longest.0, 3);
        assert!(
            sizes
                .to_string()
                .contains("longest 3 (b in src/disk/map.rs)")
        );
    }
}
