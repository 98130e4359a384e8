//! Windows: aligned pieces of files, mapped, so that payload goes from the page cache to a socket without
//! a copy. The only file with `unsafe`.
//!
//! ```text
//! file   |------ window 0 ------|------ window 1 ------|------ window 2 ------|
//! bytes  ==========================================####.......................
//!                                              view ^^^^ end of file; the window goes on, nobody looks
//! ```
//!
//! All files of a disk share one bounded cache. The least recently used window that no view pins makes
//! room for a new one; a window that left the cache while views pin it counts until the last view goes.
//! When everything is pinned, and where a map cannot be had, the payload is copied. So is a short view whose
//! window is not there: a new window costs 15 us until it goes, and copying 32 KiB less than 1 us more than
//! sending them from a window.
//!
//! A closed file that loses its name while windows of it are pinned keeps their blocks and gives the others back
//! (`Cache::give_back`). So what all readers together hold of deleted files is never more than the windows that may be
//! mapped, however large those files are, and one of them no more than its own.
//!
//! The rules that make the one `unsafe` sound, and who keeps them:
//! * Only bytes below the end of the file are looked at. `view` checks the length, and a file is never cut
//!   below the end of what was viewed: `check_cut` refuses. Whoever opens such a file again while old views
//!   live must not cut it through the new descriptor: new file, rename.
//! * Viewed bytes do not change. A log is only appended to, and a failed append is cut off before anybody
//!   views it; the lock keeps other broker processes away. Blocks are given back only where no window is, of a file
//!   that nobody has open and whose name goes.
//!
//! A page that the disk cannot read gives EFAULT to a `writev` and SIGBUS to anybody else, so views are
//! handed to sockets only.

use super::View;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::FallocateFlags;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The size of a window, a multiple of every page size.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// Windows of a disk unless somebody says otherwise: 1 GiB of addresses, a quarter of that where there are
/// only 4.
pub(super) const WINDOW_COUNT: usize = if cfg!(target_pointer_width = "32") {
    64
} else {
    256
};
/// So many windows as are asked for, or as there is room for where there are only 4 GiB of addresses.
pub(super) fn room_for(count: usize) -> usize {
    match cfg!(target_pointer_width = "32") {
        true => count.min(WINDOW_COUNT),
        false => count,
    }
}

/// Views up to this length use a window that is there and make no new one.
const SHORT_BYTES: usize = 32 * 1024;

/// A mapped window.
struct Window {
    map: MmapRaw,
    /// The end of what was viewed, from the window's start. Grows only.
    viewed: AtomicUsize,
    /// The cache's count of windows, wherever they are held.
    mapped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Window {
    #[allow(unsafe_code)]
    fn as_ref(&self) -> &[u8] {
        let len = self.viewed.load(Ordering::Acquire);
        // SAFETY: the map lives as long as `self` and is at least `viewed` bytes long, because `viewed` is
        // only ever set to ends of pieces of one window. Those bytes were in the file when they were viewed,
        // the file is not cut below them, and nobody writes them again: see the rules above.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr(), len) }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.mapped.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All windows of one disk.
pub(super) struct Cache {
    slots: Mutex<Slots>,
    next_file: AtomicU64,
    limit: usize,
}

#[derive(Default)]
struct Slots {
    /// By file and index of the window in it.
    windows: BTreeMap<(u64, u64), Slot>,
    /// Those of closed files that views pin.
    orphans: Vec<(Place, Weak<Window>)>,
    /// How often each file is open.
    open: BTreeMap<Identity, usize>,
    /// Counts uses.
    clock: u64,
    mapped: Arc<AtomicUsize>,
}

struct Slot {
    window: Arc<Window>,
    place: Place,
    last_use: u64,
}

/// Device and number of a file.
pub(super) type Identity = (u64, u64);

/// Where a window lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    file: Identity,
    index: u64,
}

impl Cache {
    /// An empty cache of at most so many windows.
    pub(super) fn new(limit: usize) -> Cache {
        Cache {
            slots: Mutex::default(),
            next_file: AtomicU64::new(0),
            limit,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // Whatever panicked, the slots are consistent after every statement.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A window that is there. In it, the bytes before `viewed` exist.
    fn find(&self, key: (u64, u64), viewed: usize) -> Option<Arc<Window>> {
        let mut slots = self.slots();
        slots.clock += 1;
        let last_use = slots.clock;
        let slot = slots.windows.get_mut(&key)?;
        slot.last_use = last_use;
        slot.window.viewed.fetch_max(viewed, Ordering::Release);
        Some(Arc::clone(&slot.window))
    }

    /// A new window; `None` when it cannot be had.
    fn make(
        &self,
        file: (&fs::File, Identity),
        key: (u64, u64),
        viewed: usize,
    ) -> Option<Arc<Window>> {
        let (file, identity) = file;
        let mut slots = self.slots();
        if slots.mapped.load(Ordering::Relaxed) >= self.limit && !slots.evict() {
            return None;
        }
        let start = key.1 * WINDOW_BYTES as u64;
        let place = Place {
            file: identity,
            index: key.1,
        };
        let map = MmapOptions::new()
            .offset(start)
            .len(WINDOW_BYTES)
            .map_raw_read_only(file)
            .ok()?;
        slots.mapped.fetch_add(1, Ordering::Relaxed);
        let window = Arc::new(Window {
            map,
            viewed: AtomicUsize::new(viewed),
            mapped: Arc::clone(&slots.mapped),
        });
        let slot = Slot {
            window: Arc::clone(&window),
            place,
            last_use: slots.clock,
        };
        slots.windows.insert(key, slot);
        Some(window)
    }

    fn opened(&self, identity: Identity) {
        *self.slots().open.entry(identity).or_default() += 1;
    }

    fn closed(&self, identity: Identity) {
        let mut slots = self.slots();
        if let Entry::Occupied(mut count) = slots.open.entry(identity) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// Forgets the windows of a file. Those that views pin stay mapped until the views go.
    fn forget(&self, file: u64) {
        let mut slots = self.slots();
        let Slots {
            windows, orphans, ..
        } = &mut *slots;
        orphans.retain(|(_, window)| window.strong_count() > 0);
        windows.retain(|(owner, _), slot| {
            let is_pinned = Arc::strong_count(&slot.window) > 1;
            if *owner == file && is_pinned {
                orphans.push((slot.place, Arc::downgrade(&slot.window)));
            }
            *owner != file
        });
    }

    /// A file is about to lose its name: gives back its blocks but those of its windows, if it has any and nobody has
    /// it open. Where the file system cannot do that, and when something fails, it keeps them until the last window
    /// goes.
    pub(super) fn give_back(&self, path: &Path) {
        if !self.has_windows() {
            return;
        }
        let opened = fs::OpenOptions::new().write(true).open(path);
        if let Ok(file) = opened
            && let Ok(found) = file.metadata()
        {
            for Range { start, end } in self.gaps(identity(&found), found.len()) {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                let _ = rustix::fs::fallocate(&file, flags, start, end - start);
            }
        }
    }

    fn has_windows(&self) -> bool {
        let slots = self.slots();
        !(slots.windows.is_empty() && slots.orphans.is_empty())
    }

    /// What lies between the windows of a file of so many bytes; nothing where it has none, or is open.
    fn gaps(&self, file: Identity, len: u64) -> Vec<Range<u64>> {
        let slots = self.slots();
        let orphans = slots.orphans.iter();
        let orphans = orphans.filter(|(_, window)| window.strong_count() > 0);
        let there = slots.windows.values().map(|slot| slot.place);
        let all = there.chain(orphans.map(|(place, _)| *place));
        let mine = all.filter(|place| place.file == file);
        let pinned: BTreeSet<u64> = mine.map(|place| place.index).collect();
        if pinned.is_empty() || slots.open.contains_key(&file) {
            return Vec::new();
        }
        let last = len.div_ceil(WINDOW_BYTES as u64);
        let free = (0..last).filter(|index| !pinned.contains(index));
        let range = |index| index * WINDOW_BYTES as u64..(index + 1) * WINDOW_BYTES as u64;
        free.map(range).collect()
    }
}

/// Which file it is, whatever its names are.
pub(super) fn identity(found: &fs::Metadata) -> Identity {
    (found.dev(), found.ino())
}

impl Slots {
    /// Drops the least recently used window that nobody pins; `false` when there is none.
    fn evict(&mut self) -> bool {
        // New pins are taken under the lock that we hold, so a count of one stays one.
        let free = self
            .windows
            .iter()
            .filter(|(_, slot)| Arc::strong_count(&slot.window) == 1);
        let oldest = free
            .min_by_key(|(_, slot)| slot.last_use)
            .map(|(key, _)| *key);
        oldest.is_some_and(|key| self.windows.remove(&key).is_some())
    }
}

/// The windows of one open file.
pub(super) struct Windows {
    cache: Arc<Cache>,
    file: u64,
    identity: Identity,
    /// The end of what was ever viewed.
    viewed_end: AtomicU64,
}

impl Windows {
    /// A file that nobody has viewed.
    pub(super) fn new(cache: &Arc<Cache>, identity: Identity) -> Windows {
        cache.opened(identity);
        Windows {
            cache: Arc::clone(cache),
            identity,
            file: cache.next_file.fetch_add(1, Ordering::Relaxed),
            viewed_end: AtomicU64::new(0),
        }
    }

    /// Refuses a length below the end of what was viewed.
    pub(super) fn check_cut(&self, len: u64) -> io::Result<()> {
        if len < self.viewed_end.load(Ordering::Acquire) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it has been viewed beyond that length",
            ));
        }
        Ok(())
    }

    /// Unmaps what nobody pins; the pages of a mapped window stay in the cache.
    pub(super) fn forget(&self) {
        self.cache.forget(self.file);
    }

    /// The range as views, one a window.
    pub(super) fn view(&self, file: &fs::File, position: u64, len: usize) -> io::Result<Vec<View>> {
        let end = position
            .checked_add(len as u64)
            .ok_or(ErrorKind::InvalidInput)?;
        if end > file.metadata()?.len() {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "the range ends behind the file",
            ));
        }
        self.viewed_end.fetch_max(end, Ordering::Release);
        let mut views = Vec::with_capacity(len / WINDOW_BYTES + 2);
        let mut position = position;
        while position < end {
            let start = (position % WINDOW_BYTES as u64) as usize;
            let count = (end - position).min((WINDOW_BYTES - start) as u64) as usize;
            let key = (self.file, position / WINDOW_BYTES as u64);
            let window = match self.cache.find(key, start + count) {
                None if len > SHORT_BYTES => {
                    self.cache.make((file, self.identity), key, start + count)
                }
                found => found,
            };
            views.push(match window {
                Some(window) => View::new(window, start, count),
                None => copy(file, position, count)?,
            });
            position += count as u64;
        }
        Ok(views)
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.forget();
        self.cache.closed(self.identity);
    }
}

fn copy(file: &fs::File, position: u64, len: usize) -> io::Result<View> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, position)?;
    Ok(View::owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::conformance::Scratch;
    use super::*;

    const WINDOW: u64 = WINDOW_BYTES as u64;
    /// A length that makes a window.
    const LONG: usize = SHORT_BYTES + 1;

    /// A file of three windows and a bit, in which every 4 KiB begin with their number.
    fn file(scratch: &Scratch, name: &str) -> fs::File {
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(scratch.0.join(name))
            .unwrap();
        let end = 3 * WINDOW + 5_000;
        for position in (0..end).step_by(4096) {
            file.write_all_at(&(position / 4096).to_le_bytes(), position)
                .unwrap();
        }
        file.set_len(end).unwrap();
        file
    }

    fn windows_of(cache: &Arc<Cache>, file: &fs::File) -> Windows {
        Windows::new(cache, identity(&file.metadata().unwrap()))
    }

    fn mapped(cache: &Cache) -> usize {
        cache.slots().mapped.load(Ordering::Relaxed)
    }

    fn number(view: &View) -> u64 {
        u64::from_le_bytes(view.bytes()[..8].try_into().unwrap())
    }

    #[test]
    fn a_view_is_cut_at_window_borders() {
        let scratch = Scratch::new();
        let (file, cache) = (file(&scratch, "f"), Arc::new(Cache::new(WINDOW_COUNT)));
        let windows = windows_of(&cache, &file);
        let views = windows
            .view(&file, WINDOW - 8192, 2 * WINDOW_BYTES)
            .unwrap();
        let lens: Vec<usize> = views.iter().map(View::len).collect();
        assert_eq!(lens, [8192, WINDOW_BYTES, WINDOW_BYTES - 8192]);
        assert_eq!(
            views.iter().map(number).collect::<Vec<_>>(),
            [1022, 1024, 2048]
        );
        assert_eq!(mapped(&cache), 3);
    }

    #[test]
    fn a_window_serves_bytes_that_came_after_it() {
        let scratch = Scratch::new();
        let (file, cache) = (file(&scratch, "f"), Arc::new(Cache::new(WINDOW_COUNT)));
        let windows = windows_of(&cache, &file);
        let before = windows
            .view(&file, 3 * WINDOW - LONG as u64, LONG + 5_000)
            .unwrap();
        file.write_all_at(&[7; 10_000], 3 * WINDOW + 5_000).unwrap();
        let after = windows.view(&file, 3 * WINDOW + 5_000, 10_000).unwrap();
        assert_eq!(after[0].bytes(), [7; 10_000]);
        assert_eq!(before[1].len(), 5_000);
        assert_eq!(mapped(&cache), 2);
    }

    #[test]
    fn the_least_recently_used_window_goes() {
        let scratch = Scratch::new();
        let (file, cache) = (file(&scratch, "f"), Arc::new(Cache::new(2)));
        let windows = windows_of(&cache, &file);
        for index in [0, 1, 0, 2] {
            drop(windows.view(&file, index * WINDOW, LONG).unwrap());
        }
        let kept: Vec<u64> = cache.slots().windows.keys().map(|key| key.1).collect();
        assert_eq!(kept, [0, 2]);
        assert_eq!(mapped(&cache), 2);
    }

    #[test]
    fn payload_is_copied_when_every_window_is_pinned() {
        let scratch = Scratch::new();
        let (file, cache) = (file(&scratch, "f"), Arc::new(Cache::new(1)));
        let windows = windows_of(&cache, &file);
        let pinned = windows.view(&file, 0, LONG).unwrap();
        let copied = windows.view(&file, WINDOW, LONG).unwrap();
        assert_eq!((number(&pinned[0]), number(&copied[0])), (0, 1024));
        assert!(cache.slots().windows.contains_key(&(0, 0)));
        assert_eq!(mapped(&cache), 1);
        drop(pinned);
        drop(windows.view(&file, WINDOW, LONG).unwrap());
        assert!(cache.slots().windows.contains_key(&(0, 1)));
    }

    #[test]
    fn a_closed_file_leaves_the_cache_and_counts_while_it_is_pinned() {
        let scratch = Scratch::new();
        let (file, cache) = (file(&scratch, "f"), Arc::new(Cache::new(1)));
        let (first, second) = (windows_of(&cache, &file), windows_of(&cache, &file));
        let pinned = first.view(&file, WINDOW, LONG).unwrap();
        drop(first);
        assert!(cache.slots().windows.is_empty());
        drop(second.view(&file, 0, LONG).unwrap());
        assert!(
            cache.slots().windows.is_empty(),
            "the pinned window fills the limit"
        );
        assert_eq!(number(&pinned[0]), 1024);
        drop(pinned);
        assert_eq!(mapped(&cache), 0);
    }

    #[test]
    fn a_deleted_file_keeps_the_blocks_of_pinned_windows_and_no_others() {
        let scratch = Scratch::new();
        let (path, cache) = (scratch.0.join("f"), Arc::new(Cache::new(WINDOW_COUNT)));
        let file = file(&scratch, "f");
        let bytes_of = |file: &fs::File| file.metadata().unwrap().blocks() * 512;
        cache.give_back(&path);
        assert!(bytes_of(&file) > 3 * WINDOW, "nothing is pinned");
        let (one, other) = (windows_of(&cache, &file), windows_of(&cache, &file));
        let first = one.view(&file, WINDOW, LONG).unwrap();
        drop(one.view(&file, 0, LONG).unwrap());
        let second = other.view(&file, 2 * WINDOW, LONG).unwrap();
        drop(one);
        cache.give_back(&path);
        assert!(bytes_of(&file) > 3 * WINDOW, "somebody has it open");
        drop(other);
        cache.give_back(&path);
        let left = bytes_of(&file);
        assert!((2 * WINDOW..2 * WINDOW + 65_536).contains(&left), "{left}");
        assert_eq!((number(&first[0]), number(&second[0])), (1024, 2048));
        assert_eq!(first[0].bytes()[4096..4104], 1025u64.to_le_bytes());
        drop(second);
        cache.give_back(&path);
        assert!(bytes_of(&file) < WINDOW + 65_536, "what was unpinned goes");
        assert_eq!(number(&first[0]), 1024);
        assert!(cache.slots().open.is_empty());
    }

    #[test]
    fn a_file_that_nobody_has_viewed_is_left_alone() {
        let scratch = Scratch::new();
        let cache = Arc::new(Cache::new(WINDOW_COUNT));
        let (viewed, other) = (file(&scratch, "f"), file(&scratch, "g"));
        let windows = windows_of(&cache, &viewed);
        let pinned = windows.view(&viewed, 0, LONG).unwrap();
        cache.give_back(&scratch.0.join("g"));
        assert!(other.metadata().unwrap().blocks() * 512 > 3 * WINDOW);
        assert_eq!(number(&pinned[0]), 0);
    }

    #[test]
    fn a_short_view_takes_a_window_only_if_it_is_there() {
        let scratch = Scratch::new();
        let (file, cache) = (file(&scratch, "f"), Arc::new(Cache::new(WINDOW_COUNT)));
        let windows = windows_of(&cache, &file);
        let short = || windows.view(&file, 4096, SHORT_BYTES).unwrap();
        let pins = || Arc::strong_count(&cache.slots().windows[&(0, 0)].window);
        assert_eq!(number(&short()[0]), 1);
        assert_eq!(mapped(&cache), 0);
        drop(windows.view(&file, 0, LONG).unwrap());
        assert_eq!(pins(), 1);
        let mapped_view = short();
        assert_eq!((number(&mapped_view[0]), pins()), (1, 2));
    }
}
