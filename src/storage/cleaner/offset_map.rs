//! Which record is the last of its key, in a table of stated size.
//!
//! ```text
//! slot (24 bytes): hash of the key, 128 bits | offset + 1, 0 for an empty slot
//! ```
//!
//! Keys themselves are not kept, as in Kafka: two keys of one hash would count as one. So that nobody can choose a key
//! that takes another's place, the hash has a secret. Slots are probed one after the other; a table that is as
//! full as it may get takes no new key, and what is known of the others still moves. Pages that no key fell on take no
//! memory.
//!
//! `until` says how far the table speaks for the log: every key of the dirty section before it is here.

use super::hash;

const SLOT_BYTES: u64 = 24;
/// Below this a table could not hold the keys of one large batch in a few passes.
const MIN_SLOTS: u64 = 64;

/// How large a table may be, and the secret of its hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// `log.cleaner.dedupe.buffer.size`, in bytes.
    pub(super) bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`: the part of the slots that is used.
    pub(super) load: f64,
    /// Nobody else's to know.
    pub(super) secret: u64,
}

/// The last offsets of keys.
pub(super) struct OffsetMap {
    slots: Vec<[u64; 3]>,
    used: usize,
    limit: usize,
    secret: u64,
    until: i64,
}

impl OffsetMap {
    /// An empty table for at most `keys` of them, if the size allows so many. It speaks for nothing behind `from`.
    pub(super) fn new(size: Size, keys: u64, from: i64) -> OffsetMap {
        let load = if size.load > 0.0 {
            size.load.min(0.95)
        } else {
            0.9
        };
        let wanted = ((keys as f64 / load) as u64).saturating_add(2);
        let slots = wanted.min(size.bytes / SLOT_BYTES).max(MIN_SLOTS);
        OffsetMap {
            slots: vec![[0; 3]; slots as usize],
            used: 0,
            limit: ((slots as f64 * load) as usize).max(1),
            secret: size.secret,
            until: from,
        }
    }

    /// Notes that a key was seen at an offset; offsets come in order. `false` if the key is new and there is no room.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let slot = self.slot(hash);
        if self.slots[slot][2] == 0 {
            if self.used == self.limit {
                return false;
            }
            self.used += 1;
        }
        let [a, b] = hash;
        self.slots[slot] = [a, b, offset.cast_unsigned() + 1];
        true
    }

    /// The last offset at which the key was seen.
    pub(super) fn get(&self, key: &[u8]) -> Option<i64> {
        let [_, _, offset] = self.slots[self.slot(self.hash(key))];
        Some(offset.checked_sub(1)?.cast_signed())
    }

    /// It speaks for everything before this offset.
    pub(super) fn until(&self) -> i64 {
        self.until
    }

    /// All keys before this offset are here.
    pub(super) fn set_until(&mut self, until: i64) {
        self.until = self.until.max(until);
    }

    /// How many keys there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The slot that has the hash, or the empty one where it belongs. There always is one: not all slots are used.
    fn slot(&self, [a, b]: [u64; 2]) -> usize {
        let count = self.slots.len();
        let mut slot = (a % count as u64) as usize;
        loop {
            let [x, y, offset] = self.slots[slot];
            if offset == 0 || (x, y) == (a, b) {
                return slot;
            }
            slot = (slot + 1) % count;
        }
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        hash::of([self.secret, !self.secret], key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn map(bytes: u64, keys: u64) -> OffsetMap {
        let size = Size {
            bytes,
            load: 0.9,
            secret: 7,
        };
        OffsetMap::new(size, keys, 0)
    }

    #[test]
    fn the_last_offset_of_every_key_is_known_and_of_no_other() {
        let (mut map, mut naive) = (map(1 << 20, 5000), BTreeMap::new());
        for offset in 0..20_000u64 {
            let key = (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 51).to_be_bytes();
            if naive.len() < 5000 || naive.contains_key(&key) {
                assert!(map.put(&key, offset.cast_signed()));
                naive.insert(key, offset.cast_signed());
            }
        }
        assert_eq!(map.len(), naive.len());
        for (key, offset) in naive {
            assert_eq!(map.get(&key), Some(offset));
        }
        assert_eq!((map.get(b""), map.get(b"nobody")), (None, None));
    }

    #[test]
    fn a_full_table_takes_no_new_key_and_moves_those_it_has() {
        let mut map = map(1, u64::MAX);
        let full = (0..1000u32).find(|n| !map.put(&n.to_be_bytes(), i64::from(*n)));
        let full = full.expect("so small a table is full soon");
        assert_eq!(full as usize, (MIN_SLOTS as f64 * 0.9) as usize);
        assert!(map.put(&3u32.to_be_bytes(), 2000) && !map.put(b"new", 2001));
        assert_eq!(map.get(&3u32.to_be_bytes()), Some(2000));
        assert_eq!(map.get(b"new"), None);
        assert_eq!(map.len(), full as usize);
    }

    #[test]
    fn the_table_is_as_large_as_is_allowed_and_no_larger_than_is_needed() {
        assert_eq!(map(24_000, u64::MAX).slots.len(), 1000);
        assert!(map(1 << 40, 100).slots.len() < 120);
        let mut small = map(1 << 40, 100);
        assert!((0..100u32).all(|n| small.put(&n.to_be_bytes(), 0)));
    }

    #[test]
    fn an_empty_key_is_a_key_and_offset_zero_an_offset() {
        let mut map = map(1 << 10, 10);
        assert!(map.put(b"", 0));
        assert_eq!(map.get(b""), Some(0));
    }
}
