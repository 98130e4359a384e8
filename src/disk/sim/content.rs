//! The bytes of a file of the simulated disk: those that processes see, those that are durable, and the
//! changes between.
//!
//! A change is a write, torn at 512 bytes, or a new length; each is lost or kept by itself, whatever their
//! order was. A write that is lost may leave its length behind, filled with zeros.

use super::Survives;
use super::luck::Luck;

/// A disk writes this much or nothing.
const SECTOR_BYTES: usize = 512;

#[derive(Clone)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Write(position, bytes) => put(image, *position, bytes),
            Change::Length(len) => image.resize(to_usize(*len), 0),
        }
    }

    /// Applies the sectors that the seed picks.
    fn tear(&self, image: &mut Vec<u8>, luck: &mut Luck) {
        let Change::Write(position, bytes) = self else {
            return self.apply(image);
        };
        let first = SECTOR_BYTES - to_usize(*position) % SECTOR_BYTES;
        let (head, rest) = bytes.split_at(first.min(bytes.len()));
        let sectors: Vec<&[u8]> = std::iter::once(head)
            .chain(rest.chunks(SECTOR_BYTES))
            .collect();
        let kept = luck.choose(sectors.len(), Survives::Some);
        let mut position = *position;
        for (sector, kept) in sectors.into_iter().zip(kept) {
            if kept {
                put(image, position, sector);
            }
            position += sector.len() as u64;
        }
    }

    /// A file may have grown although the bytes never came: it reads as zeros.
    fn grow_only(&self, image: &mut Vec<u8>) {
        if let Change::Write(position, bytes) = self {
            let end = to_usize(*position) + bytes.len();
            image.resize(end.max(image.len()), 0);
        }
    }
}

fn put(image: &mut Vec<u8>, position: u64, bytes: &[u8]) {
    let start = to_usize(position);
    let end = start + bytes.len();
    image.resize(end.max(image.len()), 0);
    image[start..end].copy_from_slice(bytes);
}

pub(super) fn to_usize(position: u64) -> usize {
    usize::try_from(position).expect("a simulated file fits into memory")
}

#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// The end of the space that is reserved: now, and as of the last sync.
    pub(super) reserved: u64,
    reserved_durable: u64,
    pub(super) viewed_end: u64,
    /// When it was last written to.
    pub(super) modified_ms: i64,
}

impl Content {
    /// An empty file, made at that time.
    pub(super) fn new(modified_ms: i64) -> Content {
        Content {
            modified_ms,
            ..Content::default()
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
        self.reserved_durable = self.reserved;
    }

    /// A sync that fails: some changes came through, the others never will, and both are seen.
    pub(super) fn forget(&mut self, luck: &mut Luck) {
        for change in std::mem::take(&mut self.pending) {
            if luck.coin() {
                change.tear(&mut self.durable, luck);
            }
        }
    }

    pub(super) fn drop_cache(&mut self) {
        self.live.clone_from(&self.durable);
        self.pending
            .iter()
            .for_each(|change| change.apply(&mut self.live));
    }

    pub(super) fn crash(&mut self, luck: &mut Luck, survives: Survives) {
        let pending = std::mem::take(&mut self.pending);
        let kept = luck.choose(pending.len(), survives);
        for (change, kept) in pending.iter().zip(kept) {
            match (kept, survives) {
                (true, Survives::Some) if luck.coin() => change.tear(&mut self.durable, luck),
                (true, _) => change.apply(&mut self.durable),
                (false, Survives::Some) if luck.below(4) == 0 => {
                    change.grow_only(&mut self.durable);
                }
                (false, _) => {}
            }
        }
        self.live.clone_from(&self.durable);
        self.reserved = self.reserved_durable;
    }

    /// Bytes that count against the capacity.
    pub(super) fn size(&self) -> u64 {
        self.reserved.max(self.live.len() as u64)
    }
}
