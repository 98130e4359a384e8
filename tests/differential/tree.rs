//! An answer as a tree of named values, made from what Rust's `{:?}` shows of it.
//!
//! `Some`, `Maybe` and `Here` are looked through; a list of bare numbers is one value; an error code keeps its name
//! and number. Record batches are opened, so that a difference has the name of a header's field.

use crate::cursor::{eat, sequence, take};
use std::collections::BTreeSet;
use std::fmt::Debug;

use chronikd::proto::batch::{Batch, magic_of};
use chronikd::proto::codec::Codec;

/// More than the records of any script.
const MOST_BYTES: usize = 64 << 20;

/// A message, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tree {
    /// Fields by name, in the order of the message.
    Struct(Vec<(String, Tree)>),
    /// Elements of an array of structs or strings.
    List(Vec<Tree>),
    /// A number, a string in quotes, an error code, a list of numbers.
    Leaf(String),
}

impl Tree {
    /// The tree of a message.
    pub(crate) fn of(message: &impl Debug) -> Tree {
        let text = format!("{message:?}");
        let mut rest = text.as_str();
        let tree = value(&mut rest);
        assert_eq!(rest, "", "left over of {text}");
        tree
    }

    /// What a struct has under that name.
    pub(crate) fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Struct(fields) => fields.iter().find(|field| field.0 == name).map(|it| &it.1),
            _ => None,
        }
    }

    /// Adds the error codes in it, as in `NONE(0)`.
    pub(crate) fn errors(&self, errors: &mut BTreeSet<String>) {
        match self {
            Tree::Struct(fields) => fields.iter().for_each(|field| field.1.errors(errors)),
            Tree::List(items) => items.iter().for_each(|item| item.errors(errors)),
            Tree::Leaf(word) if word.ends_with(')') && !word.starts_with('"') => {
                errors.insert(word.clone());
            }
            Tree::Leaf(_) => {}
        }
    }
}

fn value(rest: &mut &str) -> Tree {
    if eat(rest, "[") {
        return list(sequence(rest, "]", value));
    }
    if rest.starts_with('"') {
        let length = quoted_bytes(rest);
        return Tree::Leaf(take(rest, length).to_owned());
    }
    let end = rest.find([' ', ',', '(', ')', '[', ']', '{', '}']);
    let word = take(rest, end.unwrap_or(rest.len()));
    if eat(rest, " { ") {
        return Tree::Struct(sequence(rest, " }", field));
    }
    if !eat(rest, "(") {
        return Tree::Leaf(word.to_owned());
    }
    let inner = value(rest);
    assert!(eat(rest, ")"), "no end of {word}: {rest}");
    match inner {
        Tree::Leaf(number) if !["Some", "Maybe", "Here"].contains(&word) => {
            Tree::Leaf(format!("{word}({number})"))
        }
        inner => inner,
    }
}

fn field(rest: &mut &str) -> (String, Tree) {
    let length = rest.find(": ").expect("a field's name");
    let name = take(rest, length).to_owned();
    eat(rest, ": ");
    let tree = match value(rest) {
        Tree::Leaf(numbers) if name == "records" && numbers.starts_with('[') => batches(&numbers),
        tree => tree,
    };
    (name, tree)
}

/// Numbers are one value: bytes, or the ids of brokers.
fn list(items: Vec<Tree>) -> Tree {
    let is_number = |item: &Tree| match item {
        Tree::Leaf(word) => word.parse::<i64>().is_ok(),
        _ => false,
    };
    if items.is_empty() || !items.iter().all(is_number) {
        return Tree::List(items);
    }
    let words = items.into_iter().map(|item| match item {
        Tree::Leaf(word) => word,
        _ => String::new(),
    });
    Tree::Leaf(format!("[{}]", words.collect::<Vec<_>>().join(", ")))
}

/// The length of a string with its quotes.
fn quoted_bytes(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.expect("a closing quote") + 2
}

/// Batches with their headers' fields, or the messages of an old set; what is not whole has a name.
fn batches(numbers: &str) -> Tree {
    let numbers = numbers.trim_matches(['[', ']']).split(", ");
    let bytes: Vec<u8> = numbers.filter_map(|byte| byte.parse().ok()).collect();
    let mut rest = bytes.as_slice();
    let mut trees = Vec::new();
    while magic_of(rest) == Some(2)
        && let Ok((batch, tail)) = Batch::split_first(rest)
    {
        rest = tail;
        trees.push(opened(&batch));
    }
    while magic_of(rest) != Some(2)
        && let Some((message, tail)) = split_message(rest)
    {
        rest = tail;
        trees.push(Tree::Leaf(format!("{message:?}")));
    }
    if !rest.is_empty() {
        let name = Tree::Leaf("a part of a message".to_owned());
        let bytes = Tree::Leaf(format!("{rest:?}"));
        trees.push(Tree::Struct(vec![
            ("name".to_owned(), name),
            ("bytes".to_owned(), bytes),
        ]));
    }
    Tree::List(trees)
}

/// The first message of a set: an offset, a length, and as many bytes.
fn split_message(set: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = set.get(8..12)?.first_chunk().copied()?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok()?;
    set.split_at_checked(12 + length)
}

/// Its checksum follows from all the rest, ids of producers included, so only its truth is kept. What is compressed is
/// unpacked and its length left out: no two compressors write the same bytes.
fn opened(batch: &Batch<'_>) -> Tree {
    let Tree::Struct(mut fields) = Tree::of(batch.header()) else {
        return Tree::of(batch.header());
    };
    let is_packed = batch.header().attributes.codec() != Some(Codec::None);
    fields.retain(|(name, _)| name != "crc" && !(is_packed && name == "batch_length"));
    let crc = batch.check_crc().is_ok();
    fields.push(("crc_is_right".to_owned(), Tree::Leaf(crc.to_string())));
    let payload = format!("{:?}", batch.decompress(MOST_BYTES));
    fields.push(("payload".to_owned(), Tree::Leaf(payload)));
    Tree::Struct(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chronikd::proto::Records;
    use chronikd::proto::batch::BatchBuilder;
    use chronikd::proto::error::ErrorCode;

    #[derive(Debug)]
    #[expect(dead_code, reason = "they are shown")]
    struct Message<'a> {
        error: ErrorCode,
        name: Option<&'a str>,
        nodes: Vec<i32>,
        parts: Vec<(i32, &'a str)>,
        records: Records<'a>,
    }

    #[test]
    fn a_message_is_a_tree_of_named_values() {
        let mut batch = BatchBuilder::new(7);
        batch.push(5, None, Some(b"value"));
        let batch = batch.build(None).expect("a batch");
        let message = Message {
            error: ErrorCode::NONE,
            name: Some("a \"b\" \\, c"),
            nodes: vec![1, -2],
            parts: Vec::new(),
            records: Records::Here(Some(&batch)),
        };
        let tree = Tree::of(&message);
        let shown = |name| match tree.field(name) {
            Some(Tree::Leaf(text)) => text.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(shown("error"), "NONE(0)");
        assert_eq!(shown("name"), r#""a \"b\" \\, c""#);
        assert_eq!(shown("nodes"), "[1, -2]");
        assert_eq!(tree.field("parts"), Some(&Tree::List(Vec::new())));
        let Some(Tree::List(batches)) = tree.field("records") else {
            panic!("{tree:?}");
        };
        let base_offset = batches[0].field("base_offset");
        assert_eq!(base_offset, Some(&Tree::Leaf("7".to_owned())));
        let crc = batches[0].field("crc_is_right");
        assert_eq!(crc, Some(&Tree::Leaf("true".to_owned())));
    }
}
