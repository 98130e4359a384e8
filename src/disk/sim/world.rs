//! The model behind the simulated disk.
//!
//! ```text
//! names   live = durable + pending    a pending change is one rename, creation or removal, atomic in itself
//! content live = durable + pending    a pending change is one write or one new length
//! ```
//!
//! A sync moves pending changes to the durable side; a power cut applies a subset of them, and what is
//! durable then is what is live. A failed sync breaks the equation on purpose: it forgets changes that are
//! still seen.

use super::super::{Entry, Mode};
use super::{Fault, Survives, Times};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

pub(super) type Id = u64;
/// A directory and a name in it.
type Slot = (Id, String);

const ROOT: Id = 0;
/// A disk writes this much or nothing.
const SECTOR_BYTES: usize = 512;
/// What `free_bytes` answers when there is no limit.
const ENDLESS_BYTES: u64 = 1 << 40;
const EIO: i32 = 5;
pub(super) const EBADF: i32 = 9;
const ENOSPC: i32 = 28;

/// The error of everything that a dead machine or process is asked.
pub(super) fn gone() -> io::Error {
    io::Error::other("the machine has stopped")
}

/// Operations of one kind, and which of them fails.
#[derive(Clone, Default)]
pub(super) struct Counter {
    pub(super) count: u64,
    pub(super) fault: Option<(u64, Fault, Times)>,
}

impl Counter {
    /// Counts an operation; answers its number and the error that it shall meet.
    fn next(&mut self) -> (u64, io::Result<()>) {
        let number = self.count;
        self.count += 1;
        let result = match self.fault {
            Some((at, fault, times))
                if number == at || (number > at && times == Times::Forever) =>
            {
                Err(io::Error::from_raw_os_error(match fault {
                    Fault::Io => EIO,
                    Fault::Full => ENOSPC,
                }))
            }
            _ => Ok(()),
        };
        (number, result)
    }
}

/// What becomes of an operation.
enum Fate {
    Done,
    Failed(io::Error),
    /// The machine stops while it runs.
    Cut,
}

/// Names: every directory of the tree in one map.
#[derive(Clone, Default)]
struct Names {
    live: BTreeMap<Slot, Id>,
    durable: BTreeMap<Slot, Id>,
    pending: Vec<Vec<(Slot, Option<Id>)>>,
}

impl Names {
    fn change(&mut self, change: Vec<(Slot, Option<Id>)>) {
        apply_names(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Makes durable what touches a directory, and before it whatever touched the same names.
    fn sync(&mut self, dir: Id) {
        let mut touched = BTreeSet::new();
        let (mut due, mut kept) = (Vec::new(), Vec::new());
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            let is_due = change
                .iter()
                .any(|(slot, _)| slot.0 == dir || touched.contains(slot));
            if is_due {
                touched.extend(change.iter().map(|(slot, _)| slot.clone()));
            }
            if is_due { &mut due } else { &mut kept }.push(change);
        }
        kept.reverse();
        self.pending = kept;
        due.iter()
            .rev()
            .for_each(|change| apply_names(&mut self.durable, change));
    }

    fn sync_all(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        pending
            .iter()
            .for_each(|change| apply_names(&mut self.durable, change));
    }

    fn crash(&mut self, luck: &mut Luck, survives: Survives) {
        let pending = std::mem::take(&mut self.pending);
        let kept = luck.choose(pending.len(), survives);
        for (change, _) in pending.iter().zip(kept).filter(|(_, kept)| *kept) {
            apply_names(&mut self.durable, change);
        }
        self.live = self.durable.clone();
    }

    fn in_dir(&self, dir: Id) -> impl Iterator<Item = (&str, Id)> {
        let slots = self
            .live
            .range((dir, String::new())..(dir + 1, String::new()));
        slots.map(|((_, name), id)| (name.as_str(), *id))
    }
}

/// Applies one atomic change. A thing has one name: when an earlier rename of it was lost, a later one
/// takes the old name away all the same.
fn apply_names(names: &mut BTreeMap<Slot, Id>, change: &[(Slot, Option<Id>)]) {
    for (slot, target) in change {
        match target {
            None => {
                names.remove(slot);
            }
            Some(id) => {
                names.retain(|_, named| named != id);
                names.insert(slot.clone(), *id);
            }
        }
    }
}

#[derive(Clone)]
enum Change {
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

fn to_usize(position: u64) -> usize {
    usize::try_from(position).expect("a simulated file fits into memory")
}

#[derive(Clone, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// The end of the space that is reserved: now, and as of the last sync.
    reserved: u64,
    reserved_durable: u64,
    viewed_end: u64,
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
        self.reserved_durable = self.reserved;
    }

    /// A sync that fails: some changes came through, the others never will, and both are seen.
    fn forget(&mut self, luck: &mut Luck) {
        for change in std::mem::take(&mut self.pending) {
            if luck.coin() {
                change.tear(&mut self.durable, luck);
            }
        }
    }

    fn drop_cache(&mut self) {
        self.live.clone_from(&self.durable);
        self.pending
            .iter()
            .for_each(|change| change.apply(&mut self.live));
    }

    fn crash(&mut self, luck: &mut Luck, survives: Survives) {
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
    fn size(&self) -> u64 {
        self.reserved.max(self.live.len() as u64)
    }
}

/// Everything on the disk, and what shall happen to it.
#[derive(Clone)]
pub(super) struct World {
    names: Names,
    dirs: BTreeSet<Id>,
    files: BTreeMap<Id, Content>,
    next_id: Id,
    pub(super) luck: Luck,
    pub(super) boot: u64,
    pub(super) changes: Counter,
    pub(super) looks: Counter,
    pub(super) cut: Option<u64>,
    stopped: bool,
    pub(super) capacity: Option<u64>,
}

impl World {
    pub(super) fn new(seed: u64, dir: &Path) -> World {
        let mut world = World {
            names: Names::default(),
            dirs: BTreeSet::from([ROOT]),
            files: BTreeMap::new(),
            next_id: ROOT + 1,
            luck: Luck::new(seed),
            boot: 0,
            changes: Counter::default(),
            looks: Counter::default(),
            cut: None,
            stopped: false,
            capacity: None,
        };
        let mut parent = ROOT;
        for name in names_of(dir) {
            let id = world.new_id();
            world.dirs.insert(id);
            world
                .names
                .change(vec![((parent, name.to_owned()), Some(id))]);
            parent = id;
        }
        world.names.sync_all();
        world
    }

    pub(super) fn fork(&self, seed: u64) -> World {
        let mut world = self.clone();
        world.luck = Luck::new(seed);
        world
    }

    pub(super) fn crash(&mut self, survives: Survives) {
        self.names.crash(&mut self.luck, survives);
        for content in self.files.values_mut() {
            content.crash(&mut self.luck, survives);
        }
        self.sweep();
        self.reopen();
    }

    /// Ends every open file, and what was to happen.
    pub(super) fn reopen(&mut self) {
        self.boot += 1;
        self.files
            .values_mut()
            .for_each(|content| content.viewed_end = 0);
        self.stopped = false;
        self.cut = None;
        self.changes = Counter::default();
        self.looks = Counter::default();
    }

    pub(super) fn heal(&mut self) {
        self.changes.fault = None;
        self.looks.fault = None;
    }

    /// Forgets what no name leads to.
    fn sweep(&mut self) {
        let mut reached = BTreeSet::new();
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            reached.insert(id);
            open.extend(self.names.in_dir(id).map(|(_, child)| child));
        }
        self.dirs.retain(|id| reached.contains(id));
        self.files.retain(|id, _| reached.contains(id));
        self.names.live.retain(|(dir, _), _| reached.contains(dir));
        self.names.durable = self.names.live.clone();
    }

    fn new_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id - 1
    }

    fn fate(&mut self) -> Fate {
        let (number, result) = self.changes.next();
        if self.stopped {
            return Fate::Failed(gone());
        }
        if self.cut.is_some_and(|cut| number >= cut) {
            self.stopped = true;
            return Fate::Cut;
        }
        result.map_or_else(Fate::Failed, |()| Fate::Done)
    }

    /// Runs a change that is all or nothing.
    fn change<R>(&mut self, change: impl FnOnce(&mut World) -> io::Result<R>) -> io::Result<R> {
        match self.fate() {
            Fate::Done => change(self),
            Fate::Failed(error) => Err(error),
            Fate::Cut => change(self).and_then(|_| Err(gone())),
        }
    }

    fn look(&mut self) -> io::Result<()> {
        let (_, result) = self.looks.next();
        if self.stopped { Err(gone()) } else { result }
    }

    fn find(&self, path: &Path) -> io::Result<Id> {
        names_of(path).try_fold(ROOT, |dir, name| self.child(&(dir, name.to_owned())))
    }

    fn child(&self, slot: &Slot) -> io::Result<Id> {
        if !self.dirs.contains(&slot.0) {
            return Err(ErrorKind::NotADirectory.into());
        }
        self.names
            .live
            .get(slot)
            .copied()
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The directory and the name of a path whose last component need not exist.
    fn slot(&self, path: &Path) -> io::Result<Slot> {
        let name = names_of(path).next_back().ok_or(ErrorKind::InvalidInput)?;
        let dir = self.find(path.parent().unwrap_or(path))?;
        if !self.dirs.contains(&dir) {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok((dir, name.to_owned()))
    }

    fn dir(&self, path: &Path) -> io::Result<Id> {
        let id = self.find(path)?;
        if self.dirs.contains(&id) {
            Ok(id)
        } else {
            Err(ErrorKind::NotADirectory.into())
        }
    }

    fn content(&mut self, id: Id) -> io::Result<&mut Content> {
        self.files
            .get_mut(&id)
            .ok_or_else(|| ErrorKind::IsADirectory.into())
    }

    pub(super) fn open(&mut self, path: &Path, mode: Mode) -> io::Result<Id> {
        match self.find(path) {
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && matches!(mode, Mode::Create | Mode::CreateNew) =>
            {
                self.change(|world| {
                    let slot = world.slot(path)?;
                    let id = world.new_id();
                    world.files.insert(id, Content::default());
                    world.names.change(vec![(slot, Some(id))]);
                    Ok(id)
                })
            }
            Ok(_) if mode == Mode::CreateNew => Err(ErrorKind::AlreadyExists.into()),
            found => {
                self.look()?;
                let id = found?;
                self.content(id).map(|_| id)
            }
        }
    }

    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.look()?;
        let dir = self.dir(dir)?;
        let entry = |(name, id): (&str, Id)| Entry {
            name: name.to_owned(),
            is_dir: self.dirs.contains(&id),
            len: self
                .files
                .get(&id)
                .map_or(0, |content| content.live.len() as u64),
        };
        Ok(self.names.in_dir(dir).map(entry).collect())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.change(|world| {
            match world.find(path) {
                Ok(id) if world.dirs.contains(&id) => return Ok(()),
                Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
                Err(_) => {}
            }
            let slot = world.slot(path)?;
            let id = world.new_id();
            world.dirs.insert(id);
            world.names.change(vec![(slot, Some(id))]);
            Ok(())
        })
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|world| {
            let (from_slot, to_slot) = (world.slot(from)?, world.slot(to)?);
            let id = world.child(&from_slot)?;
            if from_slot == to_slot {
                return Ok(());
            }
            if to.starts_with(from) {
                return Err(ErrorKind::InvalidInput.into());
            }
            if let Ok(target) = world.child(&to_slot) {
                match (world.dirs.contains(&id), world.dirs.contains(&target)) {
                    (true, false) => return Err(ErrorKind::NotADirectory.into()),
                    (false, true) => return Err(ErrorKind::IsADirectory.into()),
                    _ => world.check_empty(target)?,
                }
            }
            world
                .names
                .change(vec![(from_slot, None), (to_slot, Some(id))]);
            Ok(())
        })
    }

    fn check_empty(&self, dir: Id) -> io::Result<()> {
        if self.names.in_dir(dir).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.change(|world| {
            let slot = world.slot(path)?;
            let id = world.child(&slot)?;
            world.content(id)?;
            world.names.change(vec![(slot, None)]);
            Ok(())
        })
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        self.change(|world| {
            let id = world.dir(path)?;
            world.check_empty(id)?;
            let slot = world.slot(path)?;
            world.names.change(vec![(slot, None)]);
            Ok(())
        })
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dir(path)?;
        match self.fate() {
            Fate::Done => self.names.sync(dir),
            Fate::Failed(error) => return Err(error),
            Fate::Cut => return Err(gone()),
        }
        Ok(())
    }

    pub(super) fn sync_all(&mut self) -> io::Result<()> {
        match self.fate() {
            Fate::Done => {
                self.names.sync_all();
                self.files.values_mut().for_each(Content::sync);
                Ok(())
            }
            Fate::Failed(error) if !self.stopped => {
                self.files
                    .values_mut()
                    .for_each(|content| content.forget(&mut self.luck));
                Err(error)
            }
            Fate::Failed(error) => Err(error),
            Fate::Cut => Err(gone()),
        }
    }

    pub(super) fn free_bytes(&mut self) -> io::Result<u64> {
        self.look()?;
        Ok(self.free())
    }

    fn free(&self) -> u64 {
        let Some(capacity) = self.capacity else {
            return ENDLESS_BYTES;
        };
        let used: u64 = self
            .names
            .live
            .values()
            .filter_map(|id| self.files.get(id))
            .map(Content::size)
            .sum();
        capacity.saturating_sub(used)
    }

    pub(super) fn read(&mut self, id: Id, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.look()?;
        let live = &self.content(id)?.live;
        let start = to_usize(position).min(live.len());
        let count = buf.len().min(live.len() - start);
        buf[..count].copy_from_slice(&live[start..start + count]);
        Ok(count)
    }

    pub(super) fn write(&mut self, id: Id, position: u64, mut bytes: Vec<u8>) -> io::Result<()> {
        let fate = self.fate();
        if self.stopped && !matches!(fate, Fate::Cut) {
            return Err(gone());
        }
        let free = self.free();
        let room = self
            .content(id)?
            .size()
            .saturating_add(free)
            .saturating_sub(position);
        let fits = bytes.len() as u64 <= room;
        bytes.truncate(to_usize(room.min(bytes.len() as u64)));
        let result = match fate {
            Fate::Done if fits => Ok(()),
            Fate::Done => Err(io::Error::from_raw_os_error(ENOSPC)),
            Fate::Failed(error) => {
                bytes.truncate(to_usize(self.luck.below(bytes.len() as u64)));
                Err(error)
            }
            Fate::Cut => Err(gone()),
        };
        if !bytes.is_empty() {
            self.content(id)?.change(Change::Write(position, bytes));
        }
        result
    }

    pub(super) fn len(&mut self, id: Id) -> io::Result<u64> {
        self.look()?;
        Ok(self.content(id)?.live.len() as u64)
    }

    pub(super) fn set_len(&mut self, id: Id, len: u64) -> io::Result<()> {
        if len < self.content(id)?.viewed_end {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.change(|world| {
            let content = world.content(id)?;
            content.change(Change::Length(len));
            content.reserved = 0;
            Ok(())
        })
    }

    pub(super) fn sync(&mut self, id: Id) -> io::Result<()> {
        match self.fate() {
            Fate::Done => self.content(id)?.sync(),
            Fate::Cut => return Err(gone()),
            Fate::Failed(error) => {
                if !self.stopped {
                    let luck = &mut self.luck;
                    self.files.get_mut(&id).ok_or_else(gone)?.forget(luck);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn reserve(&mut self, id: Id, position: u64, len: u64) -> io::Result<()> {
        self.change(|world| {
            let (free, end) = (world.free(), position.saturating_add(len));
            let content = world.content(id)?;
            if end > content.size().saturating_add(free) {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            content.reserved = content.reserved.max(end);
            Ok(())
        })
    }

    pub(super) fn drop_cache(&mut self, id: Id) -> io::Result<()> {
        self.look()?;
        self.content(id)?.drop_cache();
        Ok(())
    }

    pub(super) fn view(&mut self, id: Id, position: u64, len: usize) -> io::Result<Vec<u8>> {
        self.look()?;
        let content = self.content(id)?;
        let end = position.saturating_add(len as u64);
        if end > content.live.len() as u64 {
            return Err(ErrorKind::InvalidInput.into());
        }
        content.viewed_end = content.viewed_end.max(end);
        Ok(content.live[to_usize(position)..to_usize(end)].to_vec())
    }
}

/// The components of a path that name something.
fn names_of(path: &Path) -> impl DoubleEndedIterator<Item = &str> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

/// Numbers from a seed: xorshift64*, good enough to pick and never to keep a secret.
#[derive(Clone)]
pub(super) struct Luck(u64);

impl Luck {
    fn new(seed: u64) -> Luck {
        // Zero is the one state that xorshift never leaves.
        Luck(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    /// Below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Which of `count` things survive. Of the subsets, none, all and a prefix come up often, because
    /// that is what disks do most.
    fn choose(&mut self, count: usize, survives: Survives) -> Vec<bool> {
        let shape = match survives {
            Survives::Nothing => 0,
            Survives::Everything => 1,
            Survives::Some => self.below(6),
        };
        match shape {
            0 => vec![false; count],
            1 => vec![true; count],
            2 => {
                let prefix = self.below(count as u64 + 1);
                (0..count as u64).map(|index| index < prefix).collect()
            }
            _ => (0..count).map(|_| self.coin()).collect(),
        }
    }
}
