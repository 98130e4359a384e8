//! Rules that one file keeps or breaks. Each answers its complaints, `line: sentence`.

use crate::source::{ModulePath, Source};

/// A rule and what it is called.
pub(crate) type Rule = (&'static str, fn(&Source) -> Vec<String>);

/// All of them.
pub(crate) const RULES: &[Rule] = &[
    ("arrows point down", arrows),
    ("packages and parts of std have a home", homes),
    ("the core is deterministic", determinism),
    ("unsafe is in one file, and says why", unsafety),
    ("wire primitives stay in proto", wire),
    ("conversion is for handlers and the cleaner", conversion),
    ("a file says what it is", header),
    ("files and functions are short", lengths),
    ("nothing is left over", leftovers),
];

/// Which rooms each room may see.
const BELOW: &[(&str, &[&str])] = &[
    (
        "main",
        &[
            "net", "api", "broker", "storage", "journal", "proto", "disk", "clock", "config",
        ],
    ),
    (
        "net",
        &[
            "api", "broker", "storage", "journal", "proto", "disk", "clock", "config",
        ],
    ),
    (
        "api",
        &[
            "broker", "storage", "journal", "proto", "disk", "clock", "config",
        ],
    ),
    (
        "broker",
        &["storage", "journal", "proto", "disk", "clock", "config"],
    ),
    ("storage", &["proto", "disk", "clock", "config"]),
    ("journal", &["proto", "disk", "clock", "config"]),
    ("proto", &[]),
    ("disk", &[]),
    ("clock", &[]),
    ("config", &[]),
];

fn arrows(source: &Source) -> Vec<String> {
    let Some((room, below)) = BELOW.iter().find(|(room, _)| *room == source.room()) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for ModulePath { line, text } in source.paths() {
        let mut parts = text.split("::");
        let (first, second) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let is_ours = first == "crate" || first == "chronikd";
        let is_room = BELOW.iter().any(|(room, _)| *room == second);
        if is_ours && is_room && second != *room && !below.contains(&second) {
            complaints.push(format!("{line}: {room} may not see {second}"));
        }
        let up = text.split("::").take_while(|part| *part == "super").count();
        if up >= depth(&source.path) {
            complaints.push(format!("{line}: {text} leaves the room; say crate::"));
        }
    }
    complaints
}

/// How far below the crate's root a file's module is.
fn depth(path: &str) -> usize {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .split('/')
        .count()
}

/// What may be used where. The longest row that fits a path decides.
const HOMES: &[(&str, &[&str])] = &[
    ("mio", &["net"]),
    ("socket2", &["net"]),
    ("signal_hook", &["net"]),
    ("signal_hook_mio", &["net"]),
    ("std::net", &["net"]),
    ("std::net::SocketAddr", &["net", "api", "main"]),
    ("std::net::IpAddr", &["net", "api", "main"]),
    ("std::fs", &["disk", "main"]),
    ("std::os", &["disk", "main"]),
    ("std::thread", &["disk"]),
    ("std::env", &["main"]),
    ("std::process", &["disk", "main"]),
    ("std::time::Instant", &["clock"]),
    ("std::time::SystemTime", &["clock", "main"]),
    ("std::time::UNIX_EPOCH", &["clock", "main"]),
    ("rustix", &["disk", "main"]),
    ("memmap2", &["disk"]),
    ("getopts", &["main"]),
    ("crc32c", &["proto", "journal", "storage"]),
    ("crc32fast", &["proto", "storage"]),
    ("flate2", &["proto"]),
    ("lz4_flex", &["proto"]),
    ("regex_lite", &["api"]),
    ("snap", &["proto"]),
    ("twox_hash", &["proto"]),
    ("zstd", &["proto"]),
];

fn homes(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for ModulePath { line, text } in source.paths() {
        let text = text.trim_end_matches("::self");
        let fits = |row: &&(&str, &[&str])| {
            text.strip_prefix(row.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let home = HOMES
            .iter()
            .filter(fits)
            .max_by_key(|(prefix, _)| prefix.len());
        if let Some((_, rooms)) = home
            && !rooms.contains(&source.room())
        {
            complaints.push(format!("{line}: {text} belongs to {}", rooms.join(" and ")));
        }
    }
    complaints
}

/// Ways to a hasher with a random seed.
const RANDOM: &[&str] = &[
    "HashMap::new",
    "HashMap::default",
    "HashMap::with_capacity",
    "HashMap::from",
    "HashSet::new",
    "HashSet::default",
    "HashSet::with_capacity",
    "HashSet::from",
    "RandomState",
    "DefaultHasher",
];

fn determinism(source: &Source) -> Vec<String> {
    let random = |path: &ModulePath| RANDOM.iter().any(|way| path.text.ends_with(way));
    let paths = source.paths().into_iter().filter(random);
    let mut complaints: Vec<String> = paths
        .map(|ModulePath { line, text }| format!("{line}: {text} is random"))
        .collect();
    if !["main", "tests"].contains(&source.room()) && source.text.contains("/dev/urandom") {
        complaints.push("0: randomness comes from main".into());
    }
    complaints
}

fn unsafety(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let mut complaints = Vec::new();
    for (index, code) in source.code.lines().enumerate() {
        let line = index + 1;
        let allows = code.contains("allow(unsafe_code)");
        let uses = words(code).any(|word| word == "unsafe");
        if (uses || allows) && source.path != "src/disk/map.rs" {
            complaints.push(format!("{line}: unsafe is for src/disk/map.rs"));
        } else if uses && !explained(&lines[..index]) {
            complaints.push(format!("{line}: unsafe without a SAFETY: comment above it"));
        }
    }
    complaints
}

/// Whether the comment right above says SAFETY; attributes may stand between.
fn explained(above: &[&str]) -> bool {
    above
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("//") || line.starts_with('#'))
        .any(|line| line.contains("SAFETY:"))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
}

/// Who may turn messages into bytes and back.
const CODERS: &[&str] = &[
    "src/api/",
    "src/proto/",
    "src/broker/record/values.rs",
    "src/broker/groups/subscription.rs",
];

fn wire(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for ModulePath { line, text } in source.paths() {
        let parts: Vec<&str> = text.split("::").collect();
        let is_proto = parts.contains(&"proto");
        let is_primitive = parts.contains(&"Reader") || parts.contains(&"Writer");
        if is_proto && is_primitive && source.room() != "proto" {
            complaints.push(format!("{line}: {text} is for proto"));
        }
        let codes = text.ends_with("proto::encode") || text.ends_with("proto::decode");
        if codes && !CODERS.iter().any(|path| source.path.starts_with(path)) {
            complaints.push(format!(
                "{line}: {text} is for handlers and journal records"
            ));
        }
    }
    complaints
}

/// Who may convert record batches.
const CONVERTERS: &[&str] = &["src/api/", "src/proto/", "src/storage/cleaner"];

fn conversion(source: &Source) -> Vec<String> {
    if CONVERTERS.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let converts = |path: &ModulePath| path.text.contains("proto::legacy");
    let paths = source.paths().into_iter().filter(converts);
    paths
        .map(|ModulePath { line, text }| format!("{line}: {text} is not for this file"))
        .collect()
}

fn header(source: &Source) -> Vec<String> {
    match source.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec!["1: no //! line".into()],
    }
}

/// The cap of a file, in lines.
const FILE_LINES: usize = 1_000;
/// The cap of a function, in lines.
const FUNCTION_LINES: usize = 70;
/// The cap of a line of a comment, in characters. Code is the formatter's, and a row of a table is as long as it is.
const COMMENT_CHARS: usize = 120;

fn lengths(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let count = source.text.lines().count();
    if count > FILE_LINES {
        complaints.push(format!("1: {count} lines"));
    }
    for function in source.functions() {
        if function.line_count > FUNCTION_LINES {
            let (line, name, count) = (function.line, function.name, function.line_count);
            complaints.push(format!("{line}: {name} has {count} lines"));
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        let text = line.trim_start();
        let is_row = text.trim_start_matches(['/', '!']).starts_with(" |");
        if text.starts_with("//") && !is_row && line.chars().count() > COMMENT_CHARS {
            complaints.push(format!(
                "{}: more than {COMMENT_CHARS} characters",
                index + 1
            ));
        }
    }
    complaints
}

/// What only belongs into a draft. Put together here, or this file would complain about itself.
const DRAFTS: &[&str] = &[
    concat!("to", "do!"),
    concat!("db", "g!"),
    concat!("unimple", "mented!"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
];
/// What only belongs into tests.
const TEST_ONLY: &[&str] = &[".unwrap()", "process::abort"];
/// What only belongs into main.
const MAIN_ONLY: &[&str] = &["println!", "print!", "process::exit"];

fn leftovers(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut find = |text: &str, needles: &[&str], why: &str| {
        for (index, line) in text.lines().enumerate() {
            for needle in needles.iter().filter(|needle| line.contains(**needle)) {
                complaints.push(format!("{}: {needle} {why}", index + 1));
            }
        }
    };
    find(&source.text, DRAFTS, "is left over");
    find(&source.product, TEST_ONLY, "is for tests");
    if source.room() != "main" {
        find(&source.product, MAIN_ONLY, "is for main");
    }
    complaints
}

/// What a text of the project never mentions: this is a place of work, not of the product.
const UNMENTIONED: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!(".lib", "rary"),
    concat!("issues", " show"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("repo1", ".maven"),
    concat!("proxy.go", "lang"),
    concat!("npm", "js.org"),
];

/// Lines that mention the workplace, in a text of any kind.
pub(crate) fn mentions(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for needle in UNMENTIONED.iter().filter(|needle| line.contains(**needle)) {
            complaints.push(format!("{}: mentions {needle}", index + 1));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rule says about a file of that text.
    fn said(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
        rule(&Source::new(path, text))
    }

    fn assert_clean(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) {
        assert_eq!(said(rule, path, text), [""; 0]);
    }

    #[test]
    fn an_arrow_that_points_up_or_sideways_is_seen() {
        for (path, text) in [
            ("src/storage/log.rs", "use crate::journal::Journal;"),
            (
                "src/journal/mod.rs",
                "use crate::{clock::Now, storage::Log};",
            ),
            ("src/proto/mod.rs", "fn f() { crate::disk::g(); }"),
            ("src/config/mod.rs", "use crate::clock::Now;"),
            ("src/broker/mod.rs", "use super::api;"),
            ("src/broker/group/mod.rs", "use super::super::api;"),
        ] {
            assert_eq!(said(arrows, path, text).len(), 1, "{path}");
        }
        assert_clean(
            arrows,
            "src/net/mod.rs",
            "use crate::disk::Disk; use self::core::Core;",
        );
        assert_clean(
            arrows,
            "src/broker/group/mod.rs",
            "use super::Broker; use crate::config::Key;",
        );
        assert_clean(arrows, "src/main.rs", "use chronikd::net::Server;");
    }

    #[test]
    fn a_package_away_from_home_is_seen() {
        for (path, text) in [
            ("src/api/fetch.rs", "use mio::Token;"),
            ("src/broker/mod.rs", "fn f() { std::fs::read(p) }"),
            ("src/api/mod.rs", "use std::net::TcpStream;"),
            ("src/storage/log.rs", "use rustix::fs::flock;"),
            ("src/net/server.rs", "use std::time::{Duration, Instant};"),
            ("src/net/server.rs", "use getopts::Options;"),
        ] {
            assert_eq!(said(homes, path, text).len(), 1, "{path}");
        }
        assert_clean(
            homes,
            "src/api/mod.rs",
            "use std::net::{SocketAddr, IpAddr}; use std::time::Duration;",
        );
        assert_clean(
            homes,
            "src/disk/real.rs",
            "use std::fs::{self, File}; use rustix::fs::flock;",
        );
        assert_clean(homes, "src/net/listen.rs", "use miou::Token;");
    }

    #[test]
    fn randomness_is_seen() {
        let path = "src/broker/mod.rs";
        assert_eq!(
            said(determinism, path, "fn f() { let m = HashMap::new(); }").len(),
            1
        );
        assert_eq!(
            said(determinism, path, "use std::hash::RandomState;").len(),
            1
        );
        assert_eq!(
            said(determinism, path, "fn f() { open(\"/dev/urandom\") }").len(),
            1
        );
        assert_clean(determinism, path, "fn f() { BTreeMap::new() }");
        assert_clean(
            determinism,
            path,
            "#[cfg(test)]\nmod tests {\n HashMap::new() }",
        );
    }

    #[test]
    fn unsafe_is_seen_outside_its_file_and_without_a_reason() {
        let text = "// SAFETY: checked.\n#[allow(unsafe_code)]\nunsafe { f() }";
        assert_eq!(said(unsafety, "src/net/mod.rs", text).len(), 2);
        assert_clean(unsafety, "src/disk/map.rs", text);
        assert_eq!(said(unsafety, "src/disk/map.rs", "unsafe { f() }").len(), 1);
        assert_clean(unsafety, "src/net/mod.rs", "// unsafe\nlet x = \"unsafe\";");
    }

    #[test]
    fn wire_primitives_outside_proto_are_seen() {
        let path = "src/broker/topics.rs";
        assert_eq!(
            said(wire, path, "use crate::proto::wire::{Reader, Malformed};").len(),
            1
        );
        assert_eq!(said(wire, path, "fn f() { proto::encode(&x, 0) }").len(), 1);
        assert_clean(
            wire,
            "src/broker/record/values.rs",
            "fn f() { proto::encode(&x, 0) }",
        );
        assert_clean(wire, "src/journal/mod.rs", "use super::writer::Writer;");
    }

    #[test]
    fn conversion_in_a_wrong_place_is_seen() {
        let text = "use crate::proto::legacy::up;";
        assert_eq!(said(conversion, "src/storage/log.rs", text).len(), 1);
        assert_clean(conversion, "src/api/produce.rs", text);
    }

    #[test]
    fn a_file_without_a_header_is_seen() {
        assert_eq!(said(header, "src/a.rs", "// no\nfn f() {}").len(), 1);
        assert_clean(header, "src/a.rs", "//! Yes.\n");
    }

    #[test]
    fn long_files_and_functions_are_seen() {
        let function = |lines: usize| format!("fn f() {{{}}}", "\n".repeat(lines - 1));
        assert_eq!(
            said(lengths, "src/a.rs", &function(71)),
            ["1: f has 71 lines"]
        );
        assert_clean(lengths, "src/a.rs", &function(70));
        assert_eq!(said(lengths, "tests/a.rs", &"\n".repeat(1001)).len(), 1);
        let comment = |chars: usize| format!("    /// {}\n", "x".repeat(chars - 8));
        assert_clean(lengths, "src/a.rs", &comment(120));
        let long = "1: more than 120 characters";
        assert_eq!(said(lengths, "src/a.rs", &comment(121)), [long]);
        let row = format!("//! | {} |\n", "x".repeat(200));
        assert_clean(lengths, "src/a.rs", &row);
    }

    #[test]
    fn leftovers_are_seen() {
        for draft in DRAFTS {
            assert_eq!(
                said(leftovers, "tests/a.rs", &format!("// {draft}")).len(),
                1,
                "{draft}"
            );
        }
        let unwrap = "fn f() { x.unwrap() }";
        assert_eq!(said(leftovers, "src/net/mod.rs", unwrap).len(), 1);
        assert_clean(leftovers, "tests/a.rs", unwrap);
        assert_eq!(
            said(leftovers, "src/net/mod.rs", "fn f() { process::exit(1) }").len(),
            1
        );
        assert_clean(leftovers, "src/main.rs", "fn f() { process::exit(1) }");
    }

    #[test]
    fn mentions_of_the_workplace_are_seen() {
        for needle in UNMENTIONED {
            assert_eq!(mentions(&format!("a\nb {needle} c")).len(), 1, "{needle}");
        }
        assert_eq!(mentions("a working place"), [""; 0]);
    }
}
