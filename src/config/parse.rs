//! The settings file: Java's properties format, which Kafka's own files have.
//!
//! ```text
//! # a comment, also with !          key = value       key: value       key value
//! key = a value \                   joined with the next line, whose leading blanks go
//!       on two lines
//! \u00e9 \t \n \r \f                escapes; a backslash before any other character is dropped
//! ```
//! The text is UTF-8, where Java's own reader takes Latin-1. A later line of the same key wins.

use std::iter::Peekable;
use std::str::Chars;

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: usize,
    /// The part before the separator.
    pub(super) key: String,
    /// The part behind it.
    pub(super) value: String,
}

/// The settings in `text`, in order; or the number of the line that cannot be read, and why.
pub(super) fn properties(text: &str) -> Result<Vec<Line>, (usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        let mut logical = line.trim_start_matches(BLANK).to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while continues(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(BLANK));
        }
        let (key, value) = split(&logical).map_err(|why| (number, why))?;
        found.push(Line { number, key, value });
    }
    Ok(found)
}

/// What Java calls white space inside a line.
const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

/// Whether an odd number of backslashes ends the line: its end is escaped then.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// Splits at the first separator that is not escaped: blanks, with one `=` or `:` among them.
fn split(line: &str) -> Result<(String, String), String> {
    let mut rest = line.chars().peekable();
    let mut key = String::new();
    while let Some(char) = rest.next_if(|char| !BLANK.contains(char) && !['=', ':'].contains(char))
    {
        key.push(unescape(char, &mut rest)?);
    }
    skip_blanks(&mut rest);
    if rest.next_if(|char| ['=', ':'].contains(char)).is_some() {
        skip_blanks(&mut rest);
    }
    let mut value = String::new();
    while let Some(char) = rest.next() {
        value.push(unescape(char, &mut rest)?);
    }
    Ok((key, value))
}

fn skip_blanks(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|char| BLANK.contains(char)).is_some() {}
}

/// The character that `char` and, behind a backslash, the next ones stand for.
fn unescape(char: char, rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    if char != '\\' {
        return Ok(char);
    }
    Ok(match rest.next() {
        Some('t') => '\t',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('f') => '\u{c}',
        Some('u') => {
            let digits: String = rest.by_ref().take(4).collect();
            u32::from_str_radix(&digits, 16)
                .ok()
                .filter(|_| digits.len() == 4 && !digits.starts_with('+'))
                .and_then(char::from_u32)
                .ok_or_else(|| format!("malformed escape \\u{digits}"))?
        }
        Some(other) => other,
        None => '\\',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let lines = properties(text).expect(text);
        lines
            .into_iter()
            .map(|line| (line.key, line.value))
            .collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text}");
        pairs.remove(0)
    }

    #[test]
    fn the_separator_is_an_equals_sign_a_colon_or_a_blank() {
        let expected = ("a.b".to_owned(), "c d".to_owned());
        for text in [
            "a.b=c d",
            "a.b = c d",
            "a.b:c d",
            "a.b\t:  c d",
            "  a.b c d",
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a"), ("a".into(), String::new()));
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_and_lines_are_counted() {
        let lines = properties("# one\n\n  ! two\nkey=x # stays\r\nb=1").expect("legal");
        assert_eq!((lines[0].number, lines[0].value.as_str()), (4, "x # stays"));
        assert_eq!(lines[1].number, 5);
    }

    #[test]
    fn a_backslash_joins_lines_and_two_do_not() {
        assert_eq!(one("a=b, \\\n   c").1, "b, c");
        assert_eq!(pairs("a=b\\\\\nc=d").len(), 2);
        assert_eq!(one("a=b\\").1, "b");
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(one("a\\=b\\:c = \\u00e9\\t\\q").0, "a=b:c");
        assert_eq!(one("a = \\u00e9\\t\\q").1, "\u{e9}\tq");
        for bad in ["\\u12", "\\uzzzz", "\\u+123", "\\ud800"] {
            assert!(
                properties(&format!("\na={bad}")).is_err_and(|(line, _)| line == 2),
                "{bad}"
            );
        }
    }
}
