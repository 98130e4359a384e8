//! From groups in memory to appends of a round, and the files that take them.
//!
//! Making a file (create, reserve, fill 1 MiB with zeros) is done here, on the loop, because it costs a
//! fraction of a millisecond while nothing is synced; the syncs of its zeros and of its name belong to the
//! round, before the round's records.

use super::entry::{self, CLOSED, Change, FileHeader, HEADER_BYTES};
use super::{Current, Journal, JournalFile};
use crate::disk::lanes::{Append, Round};
use crate::disk::{FileRef, Mode};
use std::io;

/// The size of a file, unless one round needs more.
pub(super) const FILE_BYTES: u64 = 1 << 20;

/// A file is filled with so many zeros over and over.
const BLOCK_BYTES: usize = 4096;

impl Journal {
    /// Adds a group, withheld in memory until a round takes it. No changes make no group.
    ///
    /// # Panics
    /// When the group is larger than `MAX_GROUP_BYTES`; `group_bytes` tells.
    pub fn append(&mut self, changes: &[Change<'_>]) {
        if !changes.is_empty() {
            self.push(0, changes);
        }
    }

    /// Adds the mark of a clean stop, which must be the last group; gathered like any other.
    pub fn close(&mut self) {
        self.push(CLOSED, &[]);
    }

    fn push(&mut self, flags: u32, changes: &[Change<'_>]) {
        let (sequence, index) = (self.next_sequence, self.withheld_groups);
        entry::push_record(&mut self.withheld, sequence, index, flags, changes);
        self.next_sequence += 1;
        self.withheld_groups += 1;
        self.size.groups += 1;
        self.size.entries += changes.len() as u64;
    }

    /// Whether anything waits for a round.
    #[must_use]
    pub fn needs_round(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Moves what is withheld into the round. The round before must have been `synced`. While the journal
    /// is short, every call tries again to make the next file, also when nothing is withheld.
    ///
    /// # Errors
    /// When a file was needed and could not be made. Then nothing has changed: what is withheld stays, and
    /// a later call may succeed.
    ///
    /// # Panics
    /// When the round before is still in flight, because the new records would say that it is durable.
    pub fn gather(&mut self, round: &mut Round) -> io::Result<()> {
        self.make_ready(round);
        if !self.needs_round() {
            return Ok(());
        }
        assert!(self.in_flight.is_none(), "one round at a time");
        let current = match self.current.take() {
            Some(current) if current.has_room(self.withheld.len()) => current,
            full => match self.next_file(round) {
                Ok(file) => Current::new(file),
                Err(failure) => {
                    self.current = full;
                    return Err(failure);
                }
            },
        };
        let current = self.current.insert(current);
        let mut records = std::mem::take(&mut self.withheld);
        entry::seal(&mut records, current.file.seed);
        round.then.push(current.append(records));
        self.withheld_groups = 0;
        self.in_flight = Some(round.number);
        Ok(())
    }

    /// The round is durable.
    pub fn synced(&mut self, round: u64) {
        self.in_flight.take_if(|number| *number == round);
    }

    /// Makes the next file ahead of need.
    fn make_ready(&mut self, round: &mut Round) {
        let half_full = self.current.as_ref().is_some_and(Current::is_half_full);
        if !half_full || self.ready.is_some() {
            return;
        }
        match self.make_file(FILE_BYTES, round) {
            Ok(file) => {
                self.ready = Some(file);
                self.short = false;
            }
            Err(failure) => {
                if !self.short {
                    log::warn!("the journal could not make its next file: {failure}");
                }
                self.short = true;
            }
        }
    }

    /// A file without records and with room for what is withheld.
    fn next_file(&mut self, round: &mut Round) -> io::Result<JournalFile> {
        let bytes = (HEADER_BYTES + self.withheld.len()) as u64;
        if let Some(file) = &mut self.ready {
            self.size.bytes += file.grow(bytes)?;
        }
        match self.ready.take() {
            Some(file) => Ok(file),
            None => self.make_file(bytes.max(FILE_BYTES), round),
        }
    }

    /// Makes the file of the next number with room for `len` bytes. The round syncs it and its name before
    /// any record can be in it.
    fn make_file(&mut self, len: u64, round: &mut Round) -> io::Result<JournalFile> {
        let header = FileHeader {
            number: self.next_number,
            salt: self.salt,
        };
        let path = self.dir.join(entry::file_name(header.number));
        let file = self.disk.open(&path, Mode::CreateNew)?;
        if let Err(error) = fill(&file, header, len) {
            // An unfinished file is worth nothing; the next start would remove it too.
            let _ = self.disk.remove_file(&path);
            return Err(error);
        }
        self.next_number += 1;
        self.size.files += 1;
        self.size.bytes += len;
        round.files.push((file.clone(), path.clone()));
        round.dirs.push(self.dir.clone());
        Ok(JournalFile {
            file,
            path,
            seed: header.seed(),
            len,
        })
    }
}

/// Reserves the blocks first, so that a full disk is an answer here and not a failed sync.
fn fill(file: &FileRef, header: FileHeader, len: u64) -> io::Result<()> {
    file.reserve(0, len)?;
    let zeros = [0; BLOCK_BYTES];
    let mut first = zeros;
    first[..HEADER_BYTES].copy_from_slice(&header.encode());
    let mut blocks = vec![&zeros[..]; FILE_BYTES as usize / BLOCK_BYTES];
    blocks[0] = &first;
    file.write_at(0, &blocks)
}

impl JournalFile {
    /// Reserves what one large round needs beyond the end; its write makes the file longer. Answers by how
    /// much.
    fn grow(&mut self, len: u64) -> io::Result<u64> {
        let more = len.saturating_sub(self.len);
        if more > 0 {
            self.file.reserve(self.len, more)?;
            self.len = len;
        }
        Ok(more)
    }
}

impl Current {
    fn new(file: JournalFile) -> Current {
        Current {
            file,
            position: HEADER_BYTES as u64,
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.position + bytes as u64 <= self.file.len
    }

    fn is_half_full(&self) -> bool {
        self.position > self.file.len / 2
    }

    /// The next bytes of the file.
    fn append(&mut self, bytes: Vec<u8>) -> Append {
        let position = self.position;
        self.position += bytes.len() as u64;
        Append {
            file: self.file.file.clone(),
            path: self.file.path.clone(),
            position,
            bytes,
        }
    }
}
