//! A Rust file as the rules see it: text, code without comments and literals, paths and functions.
//!
//! This is no parser. It knows where comments, literals and braces are, and that is enough.

use std::fs;
use std::path::Path;

/// One file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// From the root of the project: `src/net/mod.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// The same length, with blanks instead of comments and literals.
    pub(crate) code: String,
    /// The part of `code` before the unit tests; nothing where the whole file is a test.
    pub(crate) product: String,
}

/// A path of modules as it stands in the code, imports taken apart: `crate::proto::Uuid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModulePath {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its text.
    pub(crate) text: String,
}

/// One function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its first line, from 1.
    pub(crate) line: usize,
    /// Its name.
    pub(crate) name: String,
    /// Its lines.
    pub(crate) line_count: usize,
}

impl Source {
    /// A file of that text.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = blanked(text);
        let product = match path.starts_with("src/") {
            true => code[..tests_start(&code)].to_owned(),
            false => String::new(),
        };
        Source {
            path: path.into(),
            text: text.into(),
            code,
            product,
        }
    }

    /// The room that the file belongs to: the folder under `src`, or the file itself.
    pub(crate) fn room(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or("tests");
        let room = inner.split('/').next().unwrap_or(inner);
        match room.strip_suffix(".rs").unwrap_or(room) {
            "daemon" => "main",
            room => room,
        }
    }

    /// The line of a byte of `code`, from 1.
    pub(crate) fn line(&self, position: usize) -> usize {
        1 + self.code[..position].matches('\n').count()
    }

    /// The paths in the product's code.
    pub(crate) fn paths(&self) -> Vec<ModulePath> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = next_word(&self.product, at) {
            let end = word_end(&self.product, start);
            let line = self.line(start);
            let mut keep = |text: String| found.push(ModulePath { line, text });
            if &self.product[start..end] == "use" {
                let stop = end + self.product[end..].find(';').unwrap_or(0);
                flatten("", &self.product[end..stop], &mut keep);
                at = stop.max(end);
            } else {
                at = path_end(&self.product, start);
                if at > end {
                    keep(squeezed(&self.product[start..at]));
                }
            }
        }
        found
    }

    /// The functions of the whole file.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = next_word(&self.code, at) {
            at = word_end(&self.code, start);
            if &self.code[start..at] != "fn" {
                continue;
            }
            let Some(name) = next_word(&self.code, at) else {
                break;
            };
            let Some(end) = body_end(&self.code, at) else {
                continue;
            };
            found.push(Function {
                line: self.line(start),
                name: self.code[name..word_end(&self.code, name)].into(),
                line_count: self.code[start..end].matches('\n').count() + 1,
            });
        }
        found
    }
}

/// Every file under `dir` whose name ends so, with paths from the root.
pub(crate) fn files(root: &Path, dir: &str, suffixes: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(names) = fs::read_dir(root.join(dir)) else {
        return found;
    };
    let mut names: Vec<_> = names.filter_map(Result::ok).collect();
    names.sort_by_key(fs::DirEntry::file_name);
    for name in names {
        let path = format!("{dir}/{}", name.file_name().to_string_lossy());
        if path == "tests/.cache" {
            continue; // Foreign programs, which are not in git.
        }
        if name.path().is_dir() {
            found.extend(files(root, &path, suffixes));
        } else if suffixes.iter().any(|suffix| path.ends_with(suffix)) {
            let text = fs::read_to_string(name.path()).expect("sources are UTF-8");
            found.push((path, text));
        }
    }
    found
}

/// The Rust files under `src`, `tests` and `bench`. A module that is declared for tests only has no
/// product.
pub(crate) fn sources(root: &Path) -> Vec<Source> {
    let mut all: Vec<Source> = ["src", "tests", "bench"]
        .iter()
        .flat_map(|dir| files(root, dir, &[".rs"]))
        .map(|(path, text)| Source::new(&path, &text))
        .collect();
    let for_tests: Vec<String> = all.iter().flat_map(test_modules).collect();
    for source in &mut all {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if for_tests
            .iter()
            .any(|name| stem == name || stem.starts_with(&format!("{name}/")))
        {
            source.product.clear();
        }
    }
    all
}

/// `src/net/toy` for a `#[cfg(test)] mod toy;` in `src/net/mod.rs`.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = match source.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => source.path.trim_end_matches(".rs").to_owned(),
    };
    let declared = |(_, line): (usize, &str)| {
        let name = line.strip_prefix("mod ")?.strip_suffix(';')?;
        Some(format!("{folder}/{name}"))
    };
    for_tests(&source.code).filter_map(declared).collect()
}

/// Where the unit tests begin, which stand at the end.
fn tests_start(code: &str) -> usize {
    for_tests(code)
        .find(|(_, line)| line.starts_with("mod ") && line.ends_with('{'))
        .map_or(code.len(), |(at, _)| at)
}

/// Every place that is marked as being for tests, and the first line behind its attributes.
fn for_tests(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices("#[cfg(test)]").filter_map(|(at, _)| {
        let mut lines = code[at..].lines().map(str::trim);
        let item = lines.find(|line| !line.starts_with('#') && !line.is_empty());
        Some((at, item?))
    })
}

/// `text` with blanks for everything in comments, strings and characters; line ends stay.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(text, at);
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let in_word = at > 0 && is_word(text.as_bytes()[at - 1]);
    match rest {
        [b'/', b'/', ..] => {
            at + rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len())
        }
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !in_word => at + raw_string(rest).unwrap_or(0),
        [b'\'', b'\\', ..] => at + quoted(rest, b'\''),
        [b'\'', ..] => at + character(&text[at..]),
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    let end = rest[body..]
        .windows(close.len())
        .position(|window| window == close.as_bytes());
    Some(end.map_or(rest.len(), |end| body + end + close.len()))
}

/// The length of a character literal; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    let _ = chars.next();
    match chars.next() {
        Some((at, '\'')) => at + 1,
        _ => 0,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The next identifier that begins at `from` or later.
fn next_word(code: &str, from: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    let starts = |&at: &usize| {
        let first = bytes[at];
        (first.is_ascii_alphabetic() || first == b'_') && (at == 0 || !is_word(bytes[at - 1]))
    };
    (from..bytes.len()).find(starts)
}

fn word_end(code: &str, start: usize) -> usize {
    let length = code.as_bytes()[start..]
        .iter()
        .take_while(|&&byte| is_word(byte))
        .count();
    start + length
}

/// The end of `a::b::c` that begins at `start`, blanks allowed around `::`.
fn path_end(code: &str, start: usize) -> usize {
    let mut end = word_end(code, start);
    while let Some(rest) = code[end..].trim_start().strip_prefix("::") {
        let word = code.len() - rest.trim_start().len();
        if word_end(code, word) == word {
            break;
        }
        end = word_end(code, word);
    }
    end
}

fn squeezed(path: &str) -> String {
    path.split_whitespace().collect()
}

/// Takes `a::{b, c::{d, e}}` apart.
fn flatten(prefix: &str, tree: &str, keep: &mut impl FnMut(String)) {
    let tree = tree.trim();
    let Some((head, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return keep(format!("{prefix}{}", squeezed(path)));
    };
    let prefix = format!("{prefix}{}", squeezed(head));
    let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
    let mut depth = 0;
    let mut start = 0;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                flatten(&prefix, &inner[start..at], keep);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        flatten(&prefix, &inner[start..], keep);
    }
}

/// The end of the body of a function whose `fn` ends at `from`; `None` for one without a body.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    let mut braces = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text =
            "a /* b /* c */ d */ 'e' '\\'' \"f\\\"g\" r#\"h\"i\"# // j\nk<'l> b\"m\" xr\"n\"";
        let words: Vec<String> = blanked(text).split_whitespace().map(Into::into).collect();
        assert_eq!(words, ["a", "k<'l>", "b", "xr"]);
        assert_eq!(blanked(text).len(), text.len());
    }

    #[test]
    fn imports_are_taken_apart() {
        let source = Source::new(
            "src/a.rs",
            "use a::{self, b::{c, d as e}};\nfn f() { g::<h>(i::j::k()); }",
        );
        let paths: Vec<String> = source.paths().into_iter().map(|path| path.text).collect();
        assert_eq!(paths, ["a::self", "a::b::c", "a::b::d", "i::j::k"]);
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "trait T { fn a(&self); }\nfn b(x: [u8; 2]) -> u8\nwhere\n{\n  { 1 }\n}\n";
        let functions = Source::new("src/a.rs", text).functions();
        let b = Function {
            line: 2,
            name: "b".into(),
            line_count: 5,
        };
        assert_eq!(functions, [b]);
    }

    #[test]
    fn tests_are_no_product() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(Source::new("src/a.rs", text).product, "fn a() {}\n");
        let text = text.replace("mod tests", "#[expect(x)]\nmod tests");
        assert_eq!(Source::new("src/a.rs", &text).product, "fn a() {}\n");
        assert_eq!(Source::new("tests/a.rs", &text).product, "");
        let parent = Source::new("src/net/mod.rs", "#[cfg(test)]\nmod toy;\nmod other;\n");
        assert_eq!(test_modules(&parent), ["src/net/toy"]);
    }

    #[test]
    fn a_room_is_a_folder_or_a_file() {
        let room = |path| Source::new(path, "").room().to_owned();
        assert_eq!(room("src/net/server.rs"), "net");
        assert_eq!(room("src/clock.rs"), "clock");
        assert_eq!(room("src/daemon/check.rs"), "main");
        assert_eq!(room("tests/wire.rs"), "tests");
    }
}
