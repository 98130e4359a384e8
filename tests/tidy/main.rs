//! The laws of the house, checked on the source itself: who may import whom, what may be used where, how
//! long things may be, and that tables, files and manual pages agree.
//!
//! `rules` looks at one file at a time, `agree` at several; each rule is tried on bad samples, too. With
//! `--nocapture` the sizes of the house are printed. Where a generated part of a manual page is out of
//! date, `CHRONIKD_WRITE_MAN=1` writes it anew.

mod agree;
mod rules;
mod sizes;
mod source;

use std::path::Path;

/// The root of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with all the complaints, one a line.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_file_keeps_the_rules() {
    let sources = source::sources(root());
    assert!(sources.len() > 20, "the sources are somewhere else");
    let mut complaints = Vec::new();
    for source in &sources {
        for (name, rule) in rules::RULES {
            for complaint in rule(source) {
                complaints.push(format!("{}:{complaint} ({name})", source.path));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn nothing_mentions_the_workplace() {
    let mut texts: Vec<(String, String)> = ["src", "tests", "bench", "man", ".ci"]
        .iter()
        .flat_map(|dir| source::files(root(), dir, agree::TEXTS))
        .collect();
    for name in ["README.md", "Cargo.toml", ".ci/run"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            texts.push((name.into(), text));
        }
    }
    let complaints = |(path, text): &(String, String)| {
        let found = rules::mentions(text);
        found
            .into_iter()
            .map(|complaint| format!("{path}:{complaint}"))
            .collect::<Vec<_>>()
    };
    assert_none(&texts.iter().flat_map(complaints).collect::<Vec<_>>());
}

#[test]
fn the_sizes_are_known() {
    let sizes = sizes::Sizes::of(&source::sources(root()));
    println!("{sizes}");
    assert!(sizes.median_function_lines <= 12, "functions grow");
    assert!(sizes.unsafe_count <= 8, "unsafe grows");
}
