//! The broker's memory on disk: an append-only state journal. Knows entries, not their meaning.
//!
//! ```text
//! <root>/journal/00000000000000000007.snapshot  newest value of every key in files 1 to 7
//!                00000000000000000008.journal   closed: full, never written again
//!                00000000000000000009.journal   current: takes the next round
//!                blank  blank.1 ...             wiped, for later use: zeros from end to end
//!                reserve  reserve.1 ...         blocks for the next snapshot; their bytes mean nothing
//!
//! journal  header | record | record | ... | zeros to the end           (numbers are big-endian)
//! snapshot header | record | record | ... | what an older snapshot left
//!
//! header   0  magic "chronikd"          record   0  sequence, u64: 1, 2, 3 ... without a gap
//!          8  kind, u16: 1 journal,              8  index in its append, u32
//!             2 snapshot                        12  length of the body, u32: a multiple of 8
//!         10  version, u16: 2                   16  CRC-32C of the body
//!         12  CRC-32C of bytes 0..12            20  flags, u32: 1 closed; all others are zero
//!         16  number, u64: that of the name     24  count of changes, u32
//!         24  salt, u64                         28  CRC-32C of number, salt and bytes 0..28
//!         32  sequence, u64   } of a snapshot,  32  body: the changes, then 0 to 7 zeros
//!         40  entries, u64    } else zero
//!         48  bytes, u64      }
//!         56  flags, u32      }
//!         60  CRC-32C of bytes 0..60
//!
//! change   length of the key, u32 | length of the value, i32: -1 is a tombstone | key | value
//! ```
//!
//! A record is an atomic **group** of changes, absolute values and never deltas, so that a group may be
//! replayed twice and the newest value of a key is all that counts. Number and salt are mixed into every
//! record's checksum: what an older file left on the same blocks does not verify, and neither does a
//! value that a client made up to look like a record, because the salt is random and nothing else is made of it.
//!
//! # Snapshots
//! A snapshot's records are blocks of changes, counted from 1, their keys ascending and without tombstones. Its
//! header says how far it goes (the sequence and the flags of the last group that it covers) and what it holds (the
//! number of changes, and the bytes of all blocks). It is merged from the snapshot before it and closed files, in
//! the work lane (`upkeep`); the broker's live state is never asked. One is begun when closed files hold
//! `Limits::bytes`, when `Limits::entries` changes or `Limits::interval_ms` have passed since the last, or when a
//! full disk gives no other file (`schedule`). While nothing changes nothing is written.
//!
//! A start reads the newest snapshot and the files behind it. What that snapshot covers is not read any more, whether
//! it is still there or not: it becomes a blank or a reserve. An older snapshot is given up only when the name of the
//! newer one is durable.
//!
//! # Sizes
//! A file has 1 MiB, zero-filled when it is made and wiped when it is used again, so that syncing a small append
//! changes no metadata. One that is used again costs the loop a header and a rename. A round that is larger than a
//! file gets one of its own size if the disk has that, and else goes in parts; a group has at most `MAX_GROUP_BYTES`.
//! A larger file is cut when it is used again.
//!
//! The reserve and the snapshot's file both have blocks for the snapshot as it is **and all that the other files
//! hold**. With S the bytes of the last snapshot, which is the live state as the last merge found it, and F those of
//! journal files and blanks, the directory has at most `2 * S + 3 * F + 2 MiB`. A new broker has F = 2 MiB. F does not
//! grow beyond `Limits::bytes` + 3 MiB and the largest rounds: what would need more waits for a merge.
//!
//! # A full disk
//! 1. `is_short` says that a blank, or a block of a reserve, could not be had. From then on what makes the state grow
//!    should be refused: `may_grow` tells, and also sees to it that no more is withheld than there are reserved blocks
//!    or free bytes for. What was taken before has its blocks: the merge that finds out that it cannot enlarge the old
//!    reserve has the closed files in the snapshot already, and that reserve still fits those that were written
//!    meanwhile.
//! 2. What replaces or deletes goes through for ever, in the files there are and however much it is: closed files are
//!    merged and used again, and a round takes one after the other. While there is none it **waits** (`make_place` says
//!    no): nothing of it is promised, and everything withheld stays withheld.
//! 3. A full disk never ends the process. A round whose first group is larger than a file, or which comes when a state
//!    that grew against 1 leaves no room for a snapshot, waits until the disk has room again, and with it all later
//!    ones; only a start says so and ends.
//! 4. `is_short` is over when a job has all that it wants. It is tried again, at most ten times a second, after a
//!    round, after a refusal, and while a round waits.
//!
//! File systems that write to new blocks each time (btrfs, ZFS), or have no `fallocate`, promise less.
//!
//! # Rounds
//! Groups are withheld in memory until a round takes all of them as **one append into one file**; or, where no file
//! has room for that, the first of them, and further rounds of the same number the others. It is durable, and later
//! groups may be appended, when nothing of it is withheld. At most one append is in flight. So every record before an
//! append was synced when that was written, and each record says where its append began (`sequence - index`): a record
//! that verifies is proof that everything before its append once was on the disk. An append takes at most one blank,
//! whose header and name are synced before the records are written, so names never reach the disk out of order.
//!
//! # The end of the journal
//! 1. It ends where a record is not the next one: checksums, sequence.
//! 2. Behind the end there are only zeros, unless the last append was cut off. That part is copied into
//!    `quarantine/`, where a full disk has a wiped file or nothing for it, logged in one line, and overwritten with
//!    zeros, before anything is appended: an old record behind a new one would otherwise come back to life.
//! 3. It is **damage** instead, and the start is refused, if the part holds a record of a later append, or if
//!    a later file holds anything: then what does not verify had been synced. So is a snapshot that does not verify
//!    from end to end, and a missing file behind it. A merge that meets damage ends the process.
//! 4. A last file without a valid header and with zeros behind it was never finished, and is removed.
//!
//! A damaged last append cannot be told from a cut one and is treated as that. Records before it in its own
//! round stay; they were never promised, and nothing speaks against them.
//!
//! # How to change the format
//! The first 16 bytes of a file are the same in every version. Whatever else changes, even the use of a
//! reserved byte or flag, raises `version`; a reader keeps reading the versions before its own, writes only
//! its own, begins a new file for that, and refuses newer ones before it has touched anything.
//! Version 1 had no snapshots, blanks or reserves; its header was zero from byte 32 to 60.

mod entry;
mod error;
mod names;
mod replay;
mod schedule;
mod snapshot;
#[cfg(test)]
mod tests;
mod upkeep;
mod writer;

use crate::clock::{Mono, Rate};
use crate::disk::lanes::Job;
use crate::disk::{Disk, FileRef};
use entry::FileHeader;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use upkeep::Upkeep;

pub use entry::{Change, MAX_GROUP_BYTES, group_bytes};
pub use error::OpenError;

/// Its name in the data directory.
const DIR: &str = "journal";

/// What a job of the work lane brings back to the journal.
pub struct Done(Upkeep);

/// Where a journal is, and what its new files are made with.
pub struct Place {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The data directory.
    pub root: PathBuf,
    /// A random number that nobody is told.
    pub salt: u64,
}

impl Place {
    fn dir(&self) -> PathBuf {
        self.root.join(DIR)
    }
}

/// When a snapshot is due: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many milliseconds after the last one, if anything has changed.
    pub interval_ms: i64,
    /// Closed files hold so many bytes.
    pub bytes: u64,
    /// So many changes have been added.
    pub entries: u64,
}

/// The open journal: what is withheld, the file that takes it next, and the files around it.
pub struct Journal {
    disk: Arc<dyn Disk>,
    /// `<root>/journal`.
    dir: PathBuf,
    /// Goes into the files that this process makes.
    salt: u64,
    limits: Limits,
    /// The file of the last record; none until the next round needs one.
    current: Option<JournalFile>,
    /// Files that no snapshot covers and that take no more records, in order.
    closed: Vec<JournalFile>,
    snapshot: Option<Snapshot>,
    reserves: Vec<Reserve>,
    /// Wiped files.
    blanks: Vec<PathBuf>,
    /// What the snapshot covers and was not yet recycled.
    stale: Vec<PathBuf>,
    next_number: u64,
    next_sequence: u64,
    withheld: writer::Withheld,
    /// Records that are not yet durable are being written to the current file.
    in_flight: bool,
    was_clean: bool,
    schedule: schedule::Schedule,
}

/// What the journal holds, for status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Journal files, wiped ones included.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Groups that no snapshot covers, those withheld included.
    pub groups: u64,
    /// Changes in these groups.
    pub entries: u64,
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
    /// Keys in the snapshot.
    pub snapshot_entries: u64,
}

/// One file of the journal, open for writing.
struct JournalFile {
    path: PathBuf,
    file: FileRef,
    number: u64,
    /// Number and salt, as every record's checksum begins.
    seed: u32,
    len: u64,
    /// Where the next record goes. Behind it there are only zeros.
    position: u64,
    /// The next append has to make it durable first, name and all.
    is_new: bool,
    groups: u64,
    changes: u64,
}

/// A file whose blocks are there for a snapshot.
#[derive(Clone)]
struct Reserve {
    path: PathBuf,
    /// Bytes that it is known to have on the disk.
    bytes: u64,
}

/// A durable snapshot.
#[derive(Clone)]
struct Snapshot {
    file: Reserve,
    header: FileHeader,
}

impl Snapshot {
    /// Its own bytes, without what else its file has.
    fn bytes(&self) -> u64 {
        entry::HEADER_BYTES as u64 + self.header.holds.bytes
    }
}

impl Journal {
    /// Opens or creates `<root>/journal/` and hands every group, in order, to `each`; the snapshot comes first, in
    /// groups that no round has had. When it returns, all that was replayed is durable, a tail that was cut off is
    /// in `<root>/quarantine/`, and there is a place for the first round.
    ///
    /// # Errors
    /// `Damaged` and `Newer` leave the disk untouched.
    pub fn open(
        place: Place,
        limits: Limits,
        now: Mono,
        each: &mut dyn FnMut(&[Change<'_>]),
    ) -> Result<Journal, OpenError> {
        let mut journal = replay::open(place, limits, now, each)?;
        journal.make_first_place()?;
        Ok(journal)
    }

    /// Whether the journal ended in the mark of a clean stop when it was opened; also true for a new one.
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// What the journal holds.
    #[must_use]
    pub fn size(&self) -> Size {
        let files = schedule::size_of(self.closed.iter().chain(&self.current));
        let merging = self.schedule.merging();
        let wiped = self.blanks.len() as u64;
        let snapshot = self.snapshot.as_ref();
        Size {
            files: files.files + merging.files + wiped,
            bytes: files.bytes + merging.bytes + wiped * entry::FILE_BYTES,
            groups: files.groups + merging.groups + self.withheld.groups,
            entries: files.entries + merging.entries + self.withheld.changes,
            snapshot_bytes: snapshot.map_or(0, Snapshot::bytes),
            snapshot_entries: snapshot.map_or(0, |snapshot| snapshot.header.holds.entries),
        }
    }

    /// The sequence of the newest group, withheld or written; 0 while there is none.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }
}

/// What `<root>/journal` is, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was ever journaled there: it is missing, empty, or what a first start that was cut off has left.
    Unbegun,
    /// A journal, whole or not.
    Begun,
    /// It holds files that no journal has, and none of its own.
    Strange,
}

/// Looks what `<root>/journal` is, and touches nothing.
///
/// # Errors
/// What the disk says.
pub fn look(disk: &dyn Disk, root: &Path) -> io::Result<Found> {
    names::look(disk, &root.join(DIR))
}

/// Reads a journal as `Journal::open` does, and touches nothing.
///
/// # Errors
/// Those of `Journal::open`.
pub fn check(
    disk: &dyn Disk,
    root: &Path,
    each: &mut dyn FnMut(&[Change<'_>]),
) -> Result<(), OpenError> {
    replay::check(disk, &root.join(DIR), each)
}
