//! Rules over several files: tables in the code, the files that belong to their rows, and manual pages.

use crate::source::{self, Source};
use chronikd::config::{self, Change, Key, Kind, Tier, TopicKey};
use chronikd::proto::ApiKey;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::process::Command;

/// The kinds of text that the project has.
pub(crate) const TEXTS: &[&str] = &[
    ".rs", ".md", ".toml", ".java", ".py", ".js", ".go", ".sh", ".1", ".5", ".7", ".8",
];

/// Every package of Cargo.lock, and no other. A new one is a decision: it is made here.
#[rustfmt::skip]
const PACKAGES: &[&str] = &[
    "adler2", "bitflags", "cc", "cfg-if", "chronikd", "crc32c", "crc32fast", "errno", "find-msvc-tools",
    "flate2", "getopts", "getrandom", "jobserver", "libc", "linux-raw-sys", "log", "lz4_flex", "memmap2",
    "miniz_oxide", "mio", "pkg-config", "r-efi", "regex-lite", "rustc_version", "rustix", "semver", "shlex", "signal-hook",
    "signal-hook-mio", "signal-hook-registry", "simd-adler32", "snap", "socket2", "twox-hash",
    "unicode-width", "wasi", "windows-link", "windows-sys", "zlib-rs", "zstd", "zstd-safe", "zstd-sys",
];

/// Complaints about the packages of a Cargo.lock.
fn packages(lock: &str) -> Vec<String> {
    let found: BTreeSet<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let allowed = BTreeSet::from_iter(PACKAGES.iter().copied());
    let new = found
        .difference(&allowed)
        .map(|name| format!("{name} is not allowed"));
    let gone = allowed
        .difference(&found)
        .map(|name| format!("{name} is allowed in vain"));
    new.chain(gone).collect()
}

/// The row of each API in the table of chronikd-protocol(7).
fn api_rows() -> String {
    let mut rows = String::new();
    for api in ApiKey::TABLE {
        let versions = match api.min == api.max {
            true => api.min.to_string(),
            false => format!("{}\\(en{}", api.min, api.max),
        };
        let _ = writeln!(rows, ".It {} Ta {} Ta {versions}", api.key as i16, api.name);
    }
    rows
}

/// `DescribeCluster` to `describe_cluster`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for char in name.chars() {
        if char.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

/// Complaints about files that lack their API's row, and rows that lack a file. `paths` are all sources.
fn api_files(names: &[&str], paths: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    let files: Vec<String> = names.iter().map(|name| snake(name)).collect();
    for file in &files {
        for dir in ["src/api", "src/proto/schema"] {
            let exists = |path: &&str| {
                **path == format!("{dir}/{file}.rs") || **path == format!("{dir}/{file}/mod.rs")
            };
            if !paths.iter().any(exists) {
                complaints.push(format!("{dir}/{file}.rs is missing"));
            }
        }
    }
    for path in paths {
        let stem = path
            .strip_prefix("src/proto/schema/")
            .and_then(|name| name.strip_suffix(".rs"));
        if let Some(stem) = stem
            && stem != "mod"
            && !files.iter().any(|file| file == stem)
        {
            complaints.push(format!("{path} has no row in apis!"));
        }
    }
    complaints
}

/// Short and long name of each row of `OPTIONS` in options.rs.
fn options(code: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let mut parts = line.trim().strip_prefix("(\"")?.split("\", \"");
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    };
    let table = code.split("const OPTIONS").nth(1).unwrap_or_default();
    table
        .lines()
        .take_while(|line| !line.starts_with("];"))
        .filter_map(row)
        .collect()
}

/// Complaints about options without an entry in chronikd(8), and the other way round.
fn option_entries(options: &[(String, String)], page: &str) -> Vec<String> {
    let heads: BTreeSet<String> = options
        .iter()
        .map(|(short, long)| match (short.as_str(), long.as_str()) {
            (short, "") => format!("Fl {short}"),
            ("", long) => format!("Fl Fl {long}"),
            (short, long) => format!("Fl {short} , Fl Fl {long}"),
        })
        .collect();
    let entries: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .filter(|entry| entry.starts_with("Fl "))
        .map(|entry| {
            entry
                .split(" Ar ")
                .next()
                .unwrap_or(entry)
                .trim()
                .to_owned()
        })
        .collect();
    let missing = heads
        .difference(&entries)
        .map(|head| format!("chronikd.8 lacks .It {head}"));
    let vain = entries
        .difference(&heads)
        .map(|entry| format!("chronikd.8 has .It {entry} in vain"));
    missing.chain(vain).collect()
}

/// The numbers in exit.rs, and those that chronikd(8) lists.
fn exit_codes(code: &str, page: &str) -> Vec<String> {
    let number = |line: &str| {
        line.split(": u8 = ")
            .nth(1)?
            .strip_suffix(';')
            .map(str::to_owned)
    };
    let used: BTreeSet<String> = code
        .lines()
        .filter_map(number)
        .chain(["0".into()])
        .collect();
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .filter(|entry| entry.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    let differ = used.symmetric_difference(&listed);
    differ
        .map(|code| format!("exit code {code} is not in both exit.rs and chronikd.8"))
        .collect()
}

/// Fields whose settings are not said to be honoured yet: retention will read `cleanup.policy`.
const NOT_YET: &[&str] = &["delete"];

/// Fields of the typed views that nobody outside config/ reads: settings that are not obeyed.
fn unread(views: &str, others: &[&Source]) -> Vec<String> {
    let field = |line: &str| {
        let (name, _) = line.strip_prefix("    pub ")?.split_once(": ")?;
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            .then(|| name.to_owned())
    };
    let reads = |name: &str| {
        others.iter().any(|source| {
            let uses = source.product.match_indices(name);
            uses.into_iter().any(|(at, _)| {
                let rest = &source.product[at + name.len()..];
                source.product[..at].ends_with('.')
                    && !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
            })
        })
    };
    let fields = views
        .lines()
        .filter_map(field)
        .filter(|name| !reads(name) && !NOT_YET.contains(&name.as_str()));
    fields.map(|name| format!("nobody obeys {name}")).collect()
}

/// The entries of chronikd.conf(5) for settings that are honoured, and the names of the others.
fn settings_page() -> String {
    let mut page = String::new();
    let honoured = |key: &&Key| key.tier == Tier::Honoured;
    let _ = writeln!(page, ".Ss Settings of the broker\n.Bl -tag -width Ds");
    for key in config::broker_keys().filter(honoured) {
        page += &entry(key, mark(key.change));
    }
    let _ = writeln!(page, ".El\n.Ss Settings of a topic\n.Bl -tag -width Ds");
    for TopicKey { key, synonyms } in config::topic_keys().filter(|row| honoured(&&row.key)) {
        let names: Vec<&str> = synonyms.iter().map(|(name, _)| *name).collect();
        page += &entry(key, &format!("; the broker's: {}", names.join(", ")));
    }
    page += ".El\n";
    page += &names("Accepted, and obeyed by a later version", Tier::Later);
    page += &names("Accepted, and without meaning here", Tier::Moot);
    page
}

/// When a setting may change.
fn mark(change: Change) -> &'static str {
    match change {
        Change::Live => "; a client may change it at any time",
        Change::Start => "; start only",
    }
}

fn entry(key: &Key, more: &str) -> String {
    let default = match key.default {
        None => "unset".into(),
        Some("") => "default empty".into(),
        Some(default) => format!("default {}", roff(default)),
    };
    let Key { name, about, .. } = key;
    let kind = roff(&kind(key.kind));
    let about = wrapped(&roff(about));
    let facts = wrapped(&format!("Type: {kind}; {default}{more}."));
    format!(".It Cm {name}\n{about}.br\n{facts}")
}

/// Lines of at most 78 characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        if length > 0 && length + 1 + word.len() > 78 {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += word.len();
    }
    lines + "\n"
}

/// A hyphen would be a dash on some devices.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "true or false".into(),
        Kind::Text => "text".into(),
        Kind::OneOf(words) => format!("one of {}", words.join(", ")),
        Kind::Short(min, max) => range("short", min, max),
        Kind::Int(min, max) => range("int", min, max),
        Kind::IntOr(special, min, max) => format!("int, {special} or from {min} to {max}"),
        Kind::Long(min, max) => range("long", min, max),
        Kind::Size(min, max) => range("size", min, max),
        Kind::Share => "0, size from 16384, or percent of the file system".into(),
        Kind::Double(min, f64::MAX) => format!("double from {min}"),
        Kind::Double(min, max) => format!("double from {min} to {max}"),
        Kind::List => "list".into(),
        Kind::ListOf(words) => format!("list of {}", words.join(", ")),
        Kind::Replicas => "replicas as partition:broker with commas, or *".into(),
        Kind::Password => "password".into(),
        Kind::Class => "class".into(),
    }
}

fn range(kind: &str, min: i64, max: i64) -> String {
    match (min, max) {
        (i64::MIN, i64::MAX) => kind.into(),
        (min, i64::MAX) => format!("{kind} from {min}"),
        (min, max) => format!("{kind} from {min} to {max}"),
    }
}

fn names(title: &str, tier: Tier) -> String {
    let all = config::broker_keys().chain(config::topic_keys().map(|row| &row.key));
    let names: BTreeSet<&str> = all
        .filter(|key| key.tier == tier)
        .map(|key| key.name)
        .collect();
    let mut section = format!(".Ss {title}\n.Bl -item -compact\n");
    for name in names {
        let _ = writeln!(section, ".It\n.Cm {name}");
    }
    section + ".El\n"
}

/// The line before a generated part of a page, and the one behind it.
const BEGIN: &str = ".\\\" Written by tests/tidy from the table:\n";
const END: &str = ".\\\" End of what is written.\n";

/// The page with `part` between the two lines; `None` when they are missing.
fn with_part(page: &str, part: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}{part}{END}{tail}"))
}

/// Whether the generated part of a page is up to date. It is written when the environment says so.
fn assert_part(page: &str, part: &str) {
    let path = crate::root().join("man").join(page);
    let old = read(&format!("man/{page}"));
    let new = with_part(&old, part).expect("the page has the two lines");
    if std::env::var_os("CHRONIKD_WRITE_MAN").is_some() {
        fs::write(&path, &new).expect("the page can be written");
    } else {
        assert!(
            old == new,
            "{page} is out of date: run this with CHRONIKD_WRITE_MAN=1"
        );
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(crate::root().join(path)).expect(path)
}

#[test]
fn the_packages_are_the_allowed_ones() {
    crate::assert_none(&packages(&read("Cargo.lock")));
}

#[test]
fn every_api_has_its_files_and_every_schema_its_row() {
    let sources = source::sources(crate::root());
    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    let names: Vec<&str> = ApiKey::TABLE.iter().map(|api| api.name).collect();
    crate::assert_none(&api_files(&names, &paths));
}

#[test]
fn the_protocol_page_lists_the_versions_that_are_served() {
    assert_part("chronikd-protocol.7", &api_rows());
}

#[test]
fn the_settings_page_lists_the_settings_that_are_honoured() {
    assert_part("chronikd.conf.5", &settings_page());
}

#[test]
fn the_command_s_page_lists_its_options_and_exit_codes() {
    let page = read("man/chronikd.8");
    let options = options(&read("src/daemon/options.rs"));
    assert!(options.len() > 10, "the table of options is somewhere else");
    let mut complaints = option_entries(&options, &page);
    complaints.extend(exit_codes(&read("src/daemon/exit.rs"), &page));
    crate::assert_none(&complaints);
}

#[test]
fn every_setting_that_is_said_to_be_honoured_is_read_by_somebody() {
    let sources = source::sources(crate::root());
    let others: Vec<&Source> = sources
        .iter()
        .filter(|source| source.room() != "config")
        .collect();
    crate::assert_none(&unread(&read("src/config/views.rs"), &others));
}

#[test]
fn every_manual_page_is_plain_and_complete() {
    for (path, text) in source::files(crate::root(), "man", &[".5", ".7", ".8"]) {
        for section in [
            ".Dd ",
            ".Dt ",
            ".Sh NAME",
            ".Sh DESCRIPTION",
            ".Sh SEE ALSO",
        ] {
            assert!(text.contains(section), "{path} lacks {section}");
        }
        assert!(text.is_ascii(), "{path} is not plain");
        assert!(
            text.lines().all(|line| line.trim_end() == line),
            "{path} has blanks at line ends"
        );
    }
}

/// Other manuals are installed nowhere when this runs, so that one remark does not count.
#[test]
fn mandoc_has_nothing_to_say() {
    for (path, _) in source::files(crate::root(), "man", &[".5", ".7", ".8"]) {
        let run = Command::new("mandoc")
            .args(["-Tlint", &path])
            .current_dir(crate::root())
            .output();
        let Ok(run) = run else {
            assert!(std::env::var_os("CI").is_none(), "there is no mandoc");
            return eprintln!("SKIPPED: there is no mandoc");
        };
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let lines = said
            .lines()
            .filter(|line| !line.contains("referenced manual not found"));
        crate::assert_none(&lines.map(str::to_owned).collect::<Vec<_>>());
    }
}

#[cfg(test)]
mod samples {
    use super::*;

    #[test]
    fn a_package_too_many_or_too_few_is_seen() {
        let lock: String = PACKAGES
            .iter()
            .map(|name| format!("name = \"{name}\"\n"))
            .collect();
        assert_eq!(packages(&lock), [""; 0]);
        assert_eq!(
            packages(&format!("{lock}name = \"tokio\"\n")),
            ["tokio is not allowed"]
        );
        assert_eq!(
            packages(&lock.replace("\"mio\"", "\"log\"")),
            ["mio is allowed in vain"]
        );
    }

    #[test]
    fn an_api_without_a_file_and_a_schema_without_a_row_are_seen() {
        let paths = [
            "src/api/fetch/mod.rs",
            "src/proto/schema/fetch.rs",
            "src/proto/schema/mod.rs",
        ];
        assert_eq!(api_files(&["Fetch"], &paths), [""; 0]);
        assert_eq!(api_files(&["Fetch", "ListOffsets"], &paths).len(), 2);
        assert_eq!(
            api_files(&[], &paths),
            ["src/proto/schema/fetch.rs has no row in apis!"]
        );
    }

    #[test]
    fn an_option_without_an_entry_and_an_entry_without_an_option_are_seen() {
        let code = "const OPTIONS: X = &[\n    (\"p\", \"port\", \"PORT\", \"x\"),\n    (\"T\", \"\", \"\", \"y\"),\n];";
        let options = options(code);
        assert_eq!(options.len(), 2);
        let page = ".It Fl p , Fl Fl port Ar port\n.It Fl T\n";
        assert_eq!(option_entries(&options, page), [""; 0]);
        assert_eq!(option_entries(&options, ".It Fl T\n").len(), 1);
        assert_eq!(
            option_entries(&options, &format!("{page}.It Fl Fl other Ar x\n")).len(),
            1
        );
    }

    #[test]
    fn an_exit_code_on_one_side_only_is_seen() {
        let code = "const A: u8 = 64;\n";
        assert_eq!(exit_codes(code, ".It 0\n.It 64\n"), [""; 0]);
        assert_eq!(exit_codes(code, ".It 0\n").len(), 1);
        assert_eq!(exit_codes(code, ".It 0\n.It 64\n.It 65\n").len(), 1);
    }

    #[test]
    fn a_setting_that_nobody_reads_is_seen() {
        let views = "    pub node_id: i32,\n    pub fn f() {}\n";
        let reads = |text| unread(views, &[&Source::new("src/api/a.rs", text)]);
        assert_eq!(reads("fn f() { c.node_id }"), [""; 0]);
        assert_eq!(
            reads("fn f() { c.node_ids; node_id }"),
            ["nobody obeys node_id"]
        );
    }

    #[test]
    fn long_texts_are_wrapped_between_words() {
        let text = "word ".repeat(40);
        assert!(wrapped(&text).lines().all(|line| line.len() <= 78));
        assert_eq!(wrapped("a b"), "a b\n");
    }

    #[test]
    fn a_stale_part_of_a_page_is_seen() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(with_part(&page, "old\n").as_deref(), Some(page.as_str()));
        assert_ne!(with_part(&page, "new\n").as_deref(), Some(page.as_str()));
        assert_eq!(with_part("a\n", "new\n"), None);
    }
}
