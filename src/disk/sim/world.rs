//! The model behind the simulated disk: names (`names`), bytes (`content`), and what befalls them.
//!
//! ```text
//! names   live = durable + pending    a pending change is one rename, creation or removal, atomic in itself
//! content live = durable + pending    a pending change is one write or one new length
//! ```
//!
//! A sync moves pending changes to the durable side; a power cut applies a subset of them, and what is
//! durable then is what is live. A failed sync breaks the equation on purpose: it forgets changes that are
//! still seen.

use super::content::{Change, Content, to_usize};
use super::luck::Luck;
use super::names::{Id, Names, Slot};
use super::{Fault, Survives, Times};
use crate::disk::{Entry, Mode};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

const ROOT: Id = 0;
/// What `free_bytes` answers when there is no limit.
const ENDLESS_BYTES: u64 = 1 << 40;
const EIO: i32 = 5;
pub(super) const EBADF: i32 = 9;
const ENOSPC: i32 = 28;
const MAX_NAME_BYTES: usize = 255;

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
    /// What the machine's clock shows.
    pub(super) wall_ms: i64,
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
            wall_ms: 0,
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
        if name.len() > MAX_NAME_BYTES {
            return Err(ErrorKind::InvalidFilename.into());
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
                    let content = Content::new(world.wall_ms);
                    world.files.insert(id, content);
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
            modified_ms: self.files.get(&id).map_or(0, |content| content.modified_ms),
        };
        Ok(self.names.in_dir(dir).map(entry).collect())
    }

    pub(super) fn bytes_in(&self, dir: &Path) -> io::Result<u64> {
        let dir = self.dir(dir)?;
        let files = self
            .names
            .in_dir(dir)
            .filter_map(|(_, id)| self.files.get(&id));
        Ok(files.map(Content::size).sum())
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

    pub(super) fn total_bytes(&mut self) -> io::Result<u64> {
        self.look()?;
        Ok(self.capacity.unwrap_or(ENDLESS_BYTES))
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
            let wall_ms = self.wall_ms;
            let content = self.content(id)?;
            content.change(Change::Write(position, bytes));
            content.modified_ms = wall_ms;
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
            let wall_ms = world.wall_ms;
            let content = world.content(id)?;
            content.change(Change::Length(len));
            content.reserved = 0;
            content.modified_ms = wall_ms;
            Ok(())
        })
    }

    /// A power cut leaves it: it is the last time that may be older, and nobody relies on its being exact.
    pub(super) fn set_modified(&mut self, id: Id, ms: i64) -> io::Result<()> {
        self.change(|world| {
            world.content(id)?.modified_ms = ms;
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
