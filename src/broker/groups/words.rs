//! How ids and reasons stand in log lines. Clients choose them, up to 32 KB each, so they are cut.

use std::sync::Arc;

/// So much of a text is logged.
const TEXT_CHARS: usize = 255;

/// So many members are named.
const NAMED_COUNT: usize = 3;

/// The beginning of a text.
pub(super) fn cut(text: &str) -> &str {
    let beyond = text.char_indices().nth(TEXT_CHARS);
    beyond.map_or(text, |(at, _)| &text[..at])
}

/// A client's reason, as the end of a sentence.
pub(super) fn because(reason: Option<&str>) -> String {
    match reason {
        None | Some("") => String::new(),
        Some(reason) => format!(": {}", cut(reason)),
    }
}

/// The member of that id, or the first of several and how many more there are.
pub(super) fn named_members(ids: &[Arc<str>]) -> String {
    if let [id] = ids {
        return format!("member {:?}", cut(id));
    }
    let named: Vec<&str> = ids.iter().take(NAMED_COUNT).map(|id| cut(id)).collect();
    match ids.len() - named.len() {
        0 => format!("members {named:?}"),
        more => format!("members {named:?} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = "ü".repeat(16_000);
        assert_eq!(cut(&long), "ü".repeat(TEXT_CHARS));
        assert_eq!(because(Some(&long)), format!(": {}", cut(&long)));
        assert_eq!((because(Some("")), because(None)), Default::default());
    }

    #[test]
    fn of_many_members_a_few_are_named() {
        let ids: Vec<Arc<str>> = (0..10_000)
            .map(|id| format!("{id:032000}").into())
            .collect();
        assert!(named_members(&ids).ends_with("and 9997 more"));
        assert!(named_members(&ids).len() < 1000);
        assert_eq!(
            named_members(&["a".into(), "b".into()]),
            r#"members ["a", "b"]"#
        );
        assert_eq!(named_members(&["a".into()]), r#"member "a""#);
    }
}
