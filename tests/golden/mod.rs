//! Reads the golden vectors. Their format is described in README.md.

pub(crate) mod alloc;
mod cursor;
pub(crate) mod text;

use std::fs;
use std::path::Path;

/// One message as Kafka wrote it.
pub(crate) struct Vector {
    /// What it is, for a person.
    pub(crate) name: String,
    /// A request, or a response.
    pub(crate) is_request: bool,
    /// The version it is written in.
    pub(crate) version: i16,
    /// It cannot be written back: we do not keep what we do not know.
    pub(crate) has_unknown_tags: bool,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// The fields.
    pub(crate) text: String,
}

/// The two headers of one API version, as Kafka wrote them.
pub(crate) struct Headers {
    /// The API's name.
    pub(crate) api: String,
    /// The version of the message behind the headers.
    pub(crate) version: i16,
    /// The request's header.
    pub(crate) request: Vec<u8>,
    /// The response's header.
    pub(crate) response: Vec<u8>,
    /// The correlation id in both.
    pub(crate) correlation_id: String,
    /// The client id, as an `Option` is shown.
    pub(crate) client_id: String,
}

/// The vectors of one API.
pub(crate) fn vectors(api: &str) -> Vec<Vector> {
    let file = read(api);
    let parts = file.split_terminator("\n\n");
    parts.map(|part| vector(api, part)).collect()
}

fn vector(api: &str, part: &str) -> Vector {
    let lines: Vec<&str> = part.lines().collect();
    let [head, bytes, text] = lines[..] else {
        panic!("{api}: not three lines: {part}")
    };
    let words: Vec<&str> = head.split(' ').collect();
    let [kind, version, style, _release] = words[..] else {
        panic!("{api}: not four words: {head}")
    };
    Vector {
        name: format!("{api} {head}"),
        is_request: kind == "request",
        version: version.parse().unwrap(),
        has_unknown_tags: style == "unknown",
        bytes: unhex(bytes),
        text: text.to_string(),
    }
}

/// The headers of every API version.
pub(crate) fn headers() -> Vec<Headers> {
    let file = read("headers");
    let lines = file.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [api, version, request, response, correlation_id, client_id] = words[..] else {
            panic!("not six words: {line}")
        };
        Headers {
            api: api.to_string(),
            version: version.parse().unwrap(),
            request: unhex(request),
            response: unhex(response),
            correlation_id: correlation_id.to_string(),
            client_id: client_id.to_string(),
        }
    });
    lines.collect()
}

fn read(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vectors");
    let path = directory.join(name).with_extension("txt");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Pairs of digits; a dash stands for no bytes.
fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim_start_matches('-');
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
