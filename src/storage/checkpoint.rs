//! The small text files beside the logs, in Apache Kafka's formats.
//!
//! ```text
//! recovery-point-offset-checkpoint      leader-epoch-checkpoint      partition.metadata
//! log-start-offset-checkpoint
//! cleaner-offset-checkpoint
//!   0                                     0                            version: 0
//!   2                                     2                            topic_id: GkBGOCFXQyOFbLkWTnU0pQ
//!   telemetry 0 99818                     0 0
//!   telemetry 3 512                       4 81233
//! ```
//!
//! The first two lines are the format's version and the number of lines that follow. A file that does
//! not read as such is answered with a sentence. Only the log starts are the only witness of what they say: without
//! them the caller does not go on.

use super::names;
use crate::disk::{self, Disk};
use crate::proto::Uuid;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Offsets by topic name and partition.
pub(super) type Offsets = BTreeMap<(String, i32), i64>;

/// The text of an offset checkpoint.
pub(super) fn encode_offsets<'a>(
    lines: impl ExactSizeIterator<Item = (&'a str, i32, i64)>,
) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for (topic, partition, offset) in lines {
        let _ = writeln!(text, "{topic} {partition} {offset}");
    }
    text
}

/// Reads an offset checkpoint.
pub(super) fn decode_offsets(text: &str) -> Result<Offsets, String> {
    let mut offsets = Offsets::new();
    for line in body(text)? {
        let mut words = line.split_ascii_whitespace();
        let entry = (|| {
            let topic = words.next()?.to_owned();
            let partition = words.next()?.parse().ok()?;
            Some(((topic, partition), words.next()?.parse().ok()?))
        })();
        let (key, offset) = entry.ok_or_else(|| format!("no such line is known: {line:?}"))?;
        offsets.insert(key, offset);
    }
    Ok(offsets)
}

/// The text of a leader epoch checkpoint: (epoch, first offset), ascending.
pub(super) fn encode_epochs(epochs: &[(i32, i64)]) -> String {
    let mut text = format!("0\n{}\n", epochs.len());
    for (epoch, start) in epochs {
        let _ = writeln!(text, "{epoch} {start}");
    }
    text
}

/// Reads a leader epoch checkpoint.
pub(super) fn decode_epochs(text: &str) -> Result<Vec<(i32, i64)>, String> {
    let mut epochs = Vec::new();
    for line in body(text)? {
        let entry = line
            .split_once(' ')
            .and_then(|(epoch, start)| Some((epoch.parse().ok()?, start.trim().parse().ok()?)));
        epochs.push(entry.ok_or_else(|| format!("no such line is known: {line:?}"))?);
    }
    Ok(epochs)
}

/// The lines behind the version and the count, which must be right.
fn body(text: &str) -> Result<Vec<&str>, String> {
    let mut lines = text.lines();
    match lines.next() {
        None => return Ok(Vec::new()),
        Some("0") => {}
        Some(version) => return Err(format!("version {version:?} is not known")),
    }
    let count = lines.next().unwrap_or("0");
    let lines: Vec<&str> = lines.collect();
    if count.parse() == Ok(lines.len()) {
        Ok(lines)
    } else {
        Err(format!("{count} lines announced, {} there", lines.len()))
    }
}

/// The text of `partition.metadata`.
pub(super) fn encode_metadata(topic: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic}")
}

/// Reads `partition.metadata`.
pub(super) fn decode_metadata(text: &str) -> Option<Uuid> {
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version: ")?;
    let id = lines.next()?.strip_prefix("topic_id: ")?.parse().ok()?;
    matches!(version.trim(), "0" | "1").then_some(id)
}

/// Which topic the directory says it belongs to; `None` when it does not say.
pub(super) fn topic_of(disk: &dyn Disk, dir: &Path) -> Option<Uuid> {
    decode_metadata(&read_text(disk, &dir.join(names::METADATA)).ok()??)
}

/// A small file's text; `None` when there is no such file.
pub(super) fn read_text(disk: &dyn Disk, path: &Path) -> io::Result<Option<String>> {
    let text = read_bytes(disk, path)?;
    Ok(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A small file's bytes; `None` when there is no such file.
pub(super) fn read_bytes(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    match disk::read_all(disk, path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_back() {
        let text = encode_offsets([("telemetry", 0, 99818), ("x.y_z-1", 3, i64::MAX)].into_iter());
        assert_eq!(
            text,
            "0\n2\ntelemetry 0 99818\nx.y_z-1 3 9223372036854775807\n"
        );
        let offsets = decode_offsets(&text).unwrap();
        assert_eq!(offsets[&("telemetry".to_owned(), 0)], 99818);
        assert_eq!(offsets.len(), 2);
    }

    #[test]
    fn epochs_come_back() {
        let epochs = vec![(0, 0), (4, 81233)];
        assert_eq!(encode_epochs(&epochs), "0\n2\n0 0\n4 81233\n");
        assert_eq!(decode_epochs("0\n2\n0 0\n4 81233\n"), Ok(epochs));
    }

    #[test]
    fn an_empty_file_is_an_empty_checkpoint() {
        assert_eq!(decode_epochs(""), Ok(Vec::new()));
        assert_eq!(decode_offsets("0\n0\n").map(|o| o.len()), Ok(0));
    }

    #[test]
    fn a_wrong_version_count_or_line_is_refused() {
        for text in [
            "1\n0\n",
            "0\n2\na 0 1\n",
            "0\n1\na 0\n",
            "0\nx\n",
            "0\n1\na b c\n",
        ] {
            assert!(decode_offsets(text).is_err(), "{text:?}");
        }
        assert!(decode_epochs("0\n1\n7\n").is_err());
    }

    #[test]
    fn the_topic_id_comes_back_and_a_foreign_version_does_not() {
        let id = Uuid([7; 16]);
        assert_eq!(decode_metadata(&encode_metadata(id)), Some(id));
        assert_eq!(
            decode_metadata("version: 7\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"),
            None
        );
    }
}
