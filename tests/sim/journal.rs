//! The journal's directory, seen from outside: what it takes on the disk, and what its snapshot holds.
//!
//! The bounds are those at the head of `journal`. They hold after every turn, whatever was cut before; and once
//! everything is merged, the snapshot has the keys of what is true, and no others.

use crate::machine::ROOT;
use chronikd::broker::Broker;
use chronikd::broker::settings::ResourceType;
use chronikd::disk::sim::SimDisk;
use chronikd::disk::{Disk, Entry, Mode};
use std::path::Path;

/// The size of a file; no round of ours is larger.
const FILE_BYTES: u64 = 1 << 20;
/// What the journal may have beside what grows with the state.
const SPARE_BYTES: u64 = 2 * FILE_BYTES;
/// What its files may have beyond what makes a snapshot due.
const UNMERGED_BYTES: u64 = 3 * FILE_BYTES;
const HEADER_BYTES: usize = 64;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Footprint {
    /// Everything in the directory.
    all_bytes: u64,
    /// Journal files and stock.
    files_bytes: u64,
    /// The newest snapshot.
    snapshot_bytes: u64,
    snapshot_entries: u64,
}

impl Footprint {
    /// What is there now.
    pub fn of(disk: &SimDisk) -> Footprint {
        let dir = Path::new(ROOT).join("journal");
        let entries = disk.list(&dir).expect("the journal's directory");
        let is_file = |e: &&Entry| e.name.ends_with(".journal") || e.name.starts_with("blank");
        let is_snapshot = |e: &&Entry| e.name.ends_with(".snapshot");
        let newest = entries.iter().rfind(is_snapshot);
        let (snapshot_entries, snapshot_bytes) =
            newest.map_or((0, 0), |entry| holds(disk, &dir.join(&entry.name)));
        Footprint {
            all_bytes: disk.bytes_in(&dir),
            files_bytes: entries.iter().filter(is_file).map(|e| e.len).sum(),
            snapshot_bytes,
            snapshot_entries,
        }
    }

    /// Holds it against the bounds, where closed files of so many bytes make a snapshot due.
    pub fn check(&self, limit_bytes: u64) {
        let most_files = limit_bytes + UNMERGED_BYTES;
        assert!(self.files_bytes <= most_files, "{self:?}");
        let most = 2 * self.snapshot_bytes + 3 * self.files_bytes + SPARE_BYTES;
        assert!(self.all_bytes <= most, "{self:?}");
    }

    /// Whether the snapshot has as many keys as there are. That of the producer ids is there if any was given, and may
    /// be there if the answer was lost; that of the features if anybody has asked for another level, perhaps.
    pub fn is_whole(&self, broker: &Broker, has_producers: bool, has_features: bool) -> bool {
        let least = keys(broker) + u64::from(has_producers);
        let most = keys(broker) + 1 + u64::from(has_features);
        (least..=most).contains(&self.snapshot_entries)
    }
}

/// The changes that a snapshot has, and its bytes.
fn holds(disk: &SimDisk, path: &Path) -> (u64, u64) {
    let mut header = [0; HEADER_BYTES];
    let file = disk.open(path, Mode::Read).expect("a snapshot");
    file.read_at(0, &mut header).expect("its header");
    let number = |at: usize| {
        let bytes = header[at..].first_chunk().expect("eight bytes");
        u64::from_be_bytes(*bytes)
    };
    (number(40), number(48) + HEADER_BYTES as u64)
}

/// How many keys the journal has for what is true, without that of the producer ids: the last start, topics, groups
/// that have had a generation, offsets, transactional ids whose transactions are over, what has settings.
fn keys(broker: &Broker) -> u64 {
    let topics = broker.topics().iter().count();
    let groups = broker.groups().iter().map(|group| {
        let was_settled = group.generation_id > 0;
        usize::from(was_settled) + group.offsets.len()
    });
    let transactions = broker.transactions().iter().count();
    let settings = ResourceType::ALL.map(|kind| broker.kept_settings().names(kind).count());
    let settings: usize = settings.iter().sum();
    1 + (topics + groups.sum::<usize>() + transactions + settings) as u64
}
