//! Compares what Rust's `{:?}` shows with the readable form of a vector, which has the same syntax.

use super::cursor::{eat, sequence, take};
use std::collections::BTreeMap;

/// A shown value.
#[derive(Debug, PartialEq)]
enum Tree<'t> {
    /// `Name { field: value, .. }`
    Struct(&'t str, BTreeMap<&'t str, Tree<'t>>),
    /// `Name(value)`
    Wrapped(&'t str, Box<Tree<'t>>),
    /// `[value, ..]`
    List(Vec<Tree<'t>>),
    /// A number, a word, or a string with its quotes.
    Leaf(&'t str),
}

/// Whether every field that Kafka shows has the same value in ours. Ours may have more fields: those of releases
/// that Kafka's is too old or too new for.
///
/// # Errors
/// Says where they differ.
pub(crate) fn agree(kafka: &str, ours: &str) -> Result<(), String> {
    same(&parse(kafka), &parse(ours))
}

fn same(kafka: &Tree<'_>, ours: &Tree<'_>) -> Result<(), String> {
    match (kafka, ours) {
        (Tree::Struct(name, fields), Tree::Struct(our_name, our_fields)) if name == our_name => {
            fields.iter().try_for_each(|(field, value)| {
                let ours = our_fields.get(field).ok_or(format!("no field {field}"))?;
                same(value, ours).map_err(|difference| format!("{name}.{field}: {difference}"))
            })
        }
        (Tree::Wrapped(name, value), Tree::Wrapped(our_name, our_value)) if name == our_name => {
            same(value, our_value)
        }
        (Tree::List(items), Tree::List(ours)) if items.len() == ours.len() => items
            .iter()
            .zip(ours)
            .try_for_each(|(kafka, ours)| same(kafka, ours)),
        // An error code is shown by name and number; Kafka's classes have the number.
        (Tree::Leaf(_), Tree::Wrapped(name, code)) if !["Some", "Maybe", "Here"].contains(name) => {
            same(kafka, code)
        }
        _ if kafka == ours => Ok(()),
        _ => Err(format!("{kafka:?} is not {ours:?}")),
    }
}

fn parse(text: &str) -> Tree<'_> {
    let mut rest = text;
    let tree = value(&mut rest);
    assert_eq!(rest, "", "left over of {text}");
    tree
}

fn value<'t>(rest: &mut &'t str) -> Tree<'t> {
    if eat(rest, "[") {
        return Tree::List(sequence(rest, "]", value));
    }
    if let Some(text) = rest.strip_prefix('"') {
        // The vectors have no quotes inside their strings.
        let length = 2 + text.find('"').expect("a closing quote");
        return Tree::Leaf(take(rest, length));
    }
    let end = rest.find([' ', ',', '(', ')', '[', ']', '{', '}']);
    let word = take(rest, end.unwrap_or(rest.len()));
    if eat(rest, " { ") {
        let fields = sequence(rest, " }", |rest| {
            let length = rest.find(": ").expect("a field's name");
            let name = take(rest, length);
            eat(rest, ": ");
            (name, value(rest))
        });
        return Tree::Struct(word, fields.into_iter().collect());
    }
    if eat(rest, "(") {
        let inner = value(rest);
        assert!(eat(rest, ")"), "no end of {word}: {rest}");
        return Tree::Wrapped(word, Box::new(inner));
    }
    Tree::Leaf(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_differing_field_is_found_at_any_depth() {
        let kafka = r#"A { b: [B { c: Some("x, y"), d: 3 }], e: None }"#;
        assert_eq!(
            agree(
                kafka,
                r#"A { e: None, b: [B { d: NAME(3), c: Some("x, y"), z: 1 }] }"#
            ),
            Ok(())
        );
        for wrong in [
            r#"A { e: None, b: [B { d: NAME(4), c: Some("x, y") }] }"#,
            r#"A { e: None, b: [B { d: 3, c: Some("x") }] }"#,
            r#"A { e: None, b: [B { d: 3 }] }"#,
            r#"A { e: None, b: [] }"#,
            r#"A { e: None, b: [C { d: 3, c: Some("x, y") }] }"#,
            r#"A { e: Some(None), b: [B { d: 3, c: Some("x, y") }] }"#,
        ] {
            assert!(agree(kafka, wrong).is_err(), "{wrong}");
        }
    }
}
