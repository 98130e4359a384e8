//! Appends, and the room that there is for them and for the journal: what the disk refuses is counted, told in the log
//! at a bounded rate (`full_disk`), and answered; what it fails at for good ends the process.

use super::Broker;
use crate::clock::{Mono, Now, Rate};
use crate::proto::error::ErrorCode;
use crate::storage::{Appended, NewBatch, Origin, PartitionId, Refused};

/// What a fact takes in the journal besides its texts, at most.
const FACT_BYTES: usize = 128;

/// Appends that were refused, since the start: those that found no room, and those of a damaged partition.
#[derive(Debug)]
pub(super) struct RefusedAppends {
    pub(super) count: u64,
    /// How often a line tells of the latter.
    told: Rate,
}

impl Default for RefusedAppends {
    fn default() -> Self {
        RefusedAppends {
            count: 0,
            told: Rate::per_minute(1),
        }
    }
}

impl Broker {
    /// Whether something new of about so many bytes may be journaled. Where the disk is full, what room is left is kept
    /// for what replaces and deletes, and such a request is refused; the journal looks for more.
    pub fn may_grow(&mut self, bytes: usize) -> bool {
        let has_room = self.journal.may_grow(bytes + FACT_BYTES);
        if has_room {
            self.full_disk.journal_has_room();
        }
        has_room
    }

    /// Whether a small change of what exists may add so many bytes to what is journaled. On a full disk, too, for such
    /// a change may be the way out of it; but all of them together may add only a little until there is room.
    pub fn may_change(&mut self, bytes: usize) -> bool {
        self.may_grow(bytes) || self.full_disk.may_change(bytes)
    }

    /// A change has been made, which puts so many bytes in the place of others.
    pub fn changed(&mut self, old_bytes: usize, new_bytes: usize) {
        self.full_disk.changed(old_bytes, new_bytes);
    }

    /// Appends a batch that nothing but its log can refuse any more, and notes what the disk has refused.
    ///
    /// # Errors
    /// As `Storage::append`; what the disk failed at for good is told to `failure`, not to the client.
    pub fn append(
        &mut self,
        at: PartitionId,
        batch: &NewBatch<'_>,
        origin: Origin,
        now: Now,
    ) -> Result<Appended, Refused> {
        let size_bytes = batch.header.size_bytes();
        match self.storage.append(at, now, batch, origin) {
            Ok(appended) => {
                self.full_disk.taken(size_bytes);
                Ok(appended)
            }
            Err(mut refused) => {
                let has_failed = self.take_failure(&mut refused);
                if refused.lacks_space {
                    self.note_full_disk(now, at, (size_bytes, &refused));
                } else if !has_failed && refused.code == ErrorCode::KAFKA_STORAGE_ERROR {
                    self.note_refused_append(now.mono, at, &refused);
                }
                Err(refused)
            }
        }
    }

    /// Notes that there was no room for an append. What has been deleted and was to stay on the disk for a while goes
    /// at once.
    pub(super) fn note_full_disk(
        &mut self,
        now: Now,
        at: PartitionId,
        (bytes, refused): (usize, &Refused),
    ) {
        self.refused_appends.count += 1;
        self.storage.hurry_removals(now);
        let free_bytes = self.free_bytes();
        if self.full_disk.refused(now.mono, bytes, free_bytes) {
            let place = self.place(at);
            let why = refused.message.as_deref().unwrap_or_default();
            log::warn!(
                "{why}: records are refused until there is room, the first for {place}; free_bytes={free_bytes}"
            );
        }
    }

    /// Notes that the journal has no room for its next files.
    pub(super) fn note_short_journal(&mut self, now: Mono) {
        if !self.journal.is_short() {
            return;
        }
        let free_bytes = self.free_bytes();
        if self.full_disk.lacks(now, 0, free_bytes) {
            log::warn!(
                "the disk is full: the journal has no room for its next files; free_bytes={free_bytes}"
            );
        }
    }

    /// Says it when there is room again, for which whatever is deleted meanwhile leaves at once. A journal that was
    /// short must have found some.
    pub(super) fn tick_full_disk(&mut self, now: Now) {
        if !self.full_disk.is_due(now.mono) {
            return;
        }
        self.storage.hurry_removals(now);
        let now = now.mono;
        self.note_short_journal(now);
        self.journal.look_for_room();
        let free_bytes = self.free_bytes();
        if let Some(spell) = self.full_disk.end(now, free_bytes) {
            log::info!(
                "the disk has room again: records are taken; refused={} seconds={} free_bytes={free_bytes}",
                spell.refused_count,
                spell.seconds(now)
            );
        }
    }

    /// What the file system says it has room for; 0 where it says nothing.
    pub(super) fn free_bytes(&self) -> u64 {
        self.storage.space().map_or(0, |space| space.free_bytes)
    }

    /// What the disk failed at for good ends the process. Says whether it has.
    pub(super) fn take_failure(&mut self, refused: &mut Refused) -> bool {
        let failure = refused.failure.take();
        let has_failed = failure.is_some();
        failure.into_iter().for_each(|failure| self.fail(failure));
        has_failed
    }

    /// Notes that a partition did not take what a client wanted to append for another reason than want of space: one
    /// line a minute, and a count in the report.
    fn note_refused_append(&mut self, now: Mono, at: PartitionId, refusal: &Refused) {
        self.refused_appends.count += 1;
        if let Some(left_out) = self.refused_appends.told.admit(now) {
            let place = self.place(at);
            let why = refusal.message.as_deref();
            let why = why.unwrap_or("the partition is damaged, as the log of the start says");
            log::warn!("records for {place} were refused: {why}; left_out={left_out}");
        }
    }
}
