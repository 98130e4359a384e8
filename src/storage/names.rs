//! Names on disk, all of them Apache Kafka's.
//!
//! ```text
//! <topic>-<n>                       a partition's directory
//! <topic>-<n>.<32 hex>-delete       a deleted partition, waiting for its files to go
//! <20-digit base offset>.log        and .index .timeindex .txnindex .snapshot
//! <20-digit base offset>.log.deleted  and so on: a deleted segment, waiting for its files to go
//! ```
//!
//! A topic's name has been checked by the broker before it gets here ([a-zA-Z0-9._-]{1,249}, neither "."
//! nor ".."), so no name built here can leave its directory.

use super::PartitionId;
use crate::disk::fitted_name;
use std::fmt::Write as _;

/// Leader epochs of a partition: one line for each, with its first offset.
pub(super) const EPOCHS: &str = "leader-epoch-checkpoint";
/// Which topic a partition's directory belongs to.
pub(super) const METADATA: &str = "partition.metadata";
/// How far each partition of the data directory is known to be on disk.
pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// The first offset of partitions whose first segment begins earlier.
pub(super) const LOG_STARTS: &str = "log-start-offset-checkpoint";
/// What the last was, while another takes its place.
pub(super) const OLD_LOG_STARTS: &str = "log-start-offset-checkpoint.old";
/// Files with room for another.
pub(super) const SPARE_LOG_STARTS: [&str; 4] = [
    "log-start-offset-checkpoint.1",
    "log-start-offset-checkpoint.2",
    "log-start-offset-checkpoint.3",
    "log-start-offset-checkpoint.4",
];
/// How far each compacted partition has been compacted.
pub(super) const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
/// Where cut tails and directories of nobody's are kept.
pub(super) const QUARANTINE: &str = "quarantine";

/// A file of a compacted segment that is being written.
pub(super) const CLEANED: &str = "cleaned";
/// A file of a compacted segment that is to take the place of others.
pub(super) const SWAP: &str = "swap";

const DELETE_SUFFIX: &str = "-delete";

/// The kinds of files that carry a base offset in their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Record batches.
    Log,
    /// Offsets to positions.
    Index,
    /// Timestamps to offsets.
    TimeIndex,
    /// Aborted transactions.
    TxnIndex,
    /// Producers, as they were at the offset in the name.
    Snapshot,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Log, "log"),
    (Kind::Index, "index"),
    (Kind::TimeIndex, "timeindex"),
    (Kind::TxnIndex, "txnindex"),
    (Kind::Snapshot, "snapshot"),
];

/// The kinds that a segment consists of.
pub(super) const OF_SEGMENT: [Kind; 4] = [Kind::Log, Kind::Index, Kind::TimeIndex, Kind::TxnIndex];

/// The file of `kind` at `offset`.
pub(super) fn file(offset: i64, kind: Kind) -> String {
    let extension = KINDS.iter().find(|(k, _)| *k == kind).map_or("", |k| k.1);
    format!("{offset:020}.{extension}")
}

/// What the file of `kind` at `offset` is called between its deletion and its removal.
pub(super) fn deleted_file(offset: i64, kind: Kind) -> String {
    file(offset, kind) + ".deleted"
}

/// The reverse of [`file`]; anything else, also a suffix more (`.log.deleted`), is `None`.
pub(super) fn parse_file(name: &str) -> Option<(i64, Kind)> {
    let (digits, extension) = name.split_once('.')?;
    let kind = KINDS.iter().find(|(_, e)| *e == extension)?.0;
    Some((number(digits, 20)?, kind))
}

/// The file of `kind` at `offset` on its way, with one suffix more.
pub(super) fn file_on_its_way(offset: i64, kind: Kind, suffix: &str) -> String {
    format!("{}.{suffix}", file(offset, kind))
}

/// The reverse of [`file_on_its_way`] for one of these suffixes.
pub(super) fn parse_on_its_way<'a>(
    name: &str,
    suffixes: &[&'a str],
) -> Option<(i64, Kind, &'a str)> {
    let (file, suffix) = name.rsplit_once('.')?;
    let suffix = suffixes.iter().find(|known| **known == suffix)?;
    let (offset, kind) = parse_file(file)?;
    Some((offset, kind, suffix))
}

/// A partition's directory.
pub(super) fn dir(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The reverse of [`dir`].
pub(super) fn parse_dir(name: &str) -> Option<(&str, i32)> {
    let (topic, digits) = name.rsplit_once('-')?;
    let partition = i32::try_from(number(digits, digits.len())?).ok()?;
    let canonical = digits == "0" || !digits.starts_with('0');
    (canonical && !topic.is_empty()).then_some((topic, partition))
}

/// What a directory is called between its deletion and the removal of its files. The topic's id stands
/// where Kafka has a random one, so that the name is never taken twice.
pub(super) fn deleted_dir(topic: &str, id: PartitionId) -> String {
    let mut suffix = String::from(".");
    for byte in id.topic.0 {
        let _ = write!(suffix, "{byte:02x}");
    }
    suffix.push_str(DELETE_SUFFIX);
    fitted_name(topic, &format!("-{}{suffix}", id.partition))
}

/// Whether a directory waits for the removal of its files: a name of [`deleted_dir`]'s, and nothing that a human
/// would choose.
pub(super) fn is_deleted_dir(name: &str) -> bool {
    let parts = name
        .strip_suffix(DELETE_SUFFIX)
        .and_then(|name| name.rsplit_once('.'));
    parts.is_some_and(|(dir, id)| {
        let is_hex = id
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        id.len() == 32 && is_hex && parse_dir(dir).is_some()
    })
}

/// Decimal digits and nothing else; `str::parse` would take a sign.
fn number(digits: &str, len: usize) -> Option<i64> {
    let plain = digits.len() == len && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Uuid;

    #[test]
    fn a_file_name_comes_back_as_its_offset_and_kind() {
        for (kind, _) in KINDS {
            let name = file(i64::MAX, kind);
            assert_eq!(parse_file(&name), Some((i64::MAX, kind)), "{name}");
        }
        assert_eq!(file(0, Kind::Log), "00000000000000000000.log");
    }

    #[test]
    fn names_that_are_nearly_right_are_nobody_s() {
        for name in [
            "0.log",
            "00000000000000000000.log.deleted",
            "+0000000000000000001.log",
            "99999999999999999999.log",
            "00000000000000000000",
        ] {
            assert_eq!(parse_file(name), None, "{name}");
        }
        for name in [
            "topic",
            "topic-",
            "-1",
            "topic-01",
            "topic-+1",
            "t-9999999999",
        ] {
            assert_eq!(parse_dir(name), None, "{name}");
        }
    }

    #[test]
    fn a_directory_name_splits_at_its_last_hyphen() {
        assert_eq!(parse_dir("a-b-0-12"), Some(("a-b-0", 12)));
        assert_eq!(parse_dir(&dir("x", i32::MAX)), Some(("x", i32::MAX)));
    }

    #[test]
    fn a_deleted_directory_keeps_to_the_longest_name_and_is_no_partition() {
        let id = PartitionId {
            topic: Uuid([0xab; 16]),
            partition: 7,
        };
        let name = deleted_dir(&"x".repeat(249), id);
        assert_eq!(name.len(), 255);
        assert!(is_deleted_dir(&name));
        assert_eq!(parse_dir(&name), None);
        let id = "0123456789abcdef".repeat(2);
        assert!(is_deleted_dir(&format!("a.b-0.{id}-delete")));
        for name in [
            "to-delete".into(),
            "photos.of-2024-delete".into(),
            format!("photos.{id}-delete"),
            format!("a-0.{}-delete", id.to_uppercase()),
            format!("a-0.{}-delete", &id[1..]),
        ] {
            assert!(!is_deleted_dir(&name), "{name}");
        }
    }
}
