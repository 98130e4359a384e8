//! Whether the disk is full, as the log is told: a line when it begins, and a line when it is over.
//!
//! It begins with an append that finds no room, or with a journal that finds none for its next files. It is over when
//! for a second nothing was refused, and either as much was taken as had been refused or the file system has room for
//! that and for what a log reserves ahead. A file system that shows free bytes while it refuses (a quota) is believed
//! only as to what it takes. So a disk with room for small batches and none for large ones has one pair of lines, not
//! a pair for each batch.
//!
//! Producers try again and again without a word to anybody, so that these lines are where it is seen.

use crate::clock::Mono;

/// How long nothing must have been refused, and how often the file system is asked.
const QUIET_MS: i64 = 1000;
/// What was refused matters no more after this time, where something smaller was taken.
const FORGET_MS: i64 = 60_000;
/// More than a log reserves ahead.
const HEADROOM_BYTES: u64 = 2 << 20;

/// What small changes of what exists may add to the state while the journal gives no room: little beside the room that
/// it keeps for a snapshot, however many topics there are.
const SMALL_CHANGES_BYTES: usize = 64 << 10;

/// What is known of the room that there is.
#[derive(Debug, Default)]
pub(super) struct FullDisk {
    spell: Option<Spell>,
    /// What small changes have added since the journal had room.
    small_changes_bytes: usize,
}

/// A time without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    since: Mono,
    last: Mono,
    next_look: Mono,
    /// Appends that were refused in it.
    pub(super) refused_count: u64,
    /// The largest of them.
    needed_bytes: u64,
    /// What has been taken at once since the last refusal.
    taken_bytes: u64,
    /// The free bytes of the file system say why something is refused.
    tells: bool,
}

impl Spell {
    /// How long it has lasted.
    pub(super) fn seconds(&self, now: Mono) -> u64 {
        now.since_us(self.since) / 1_000_000
    }

    fn is_roomy(&self, free_bytes: u64) -> bool {
        free_bytes >= self.needed_bytes + HEADROOM_BYTES
    }

    fn is_over(&self, now: Mono, free_bytes: u64) -> bool {
        let takes = self.taken_bytes > 0;
        now >= self.last.plus_ms(QUIET_MS)
            && (takes && self.taken_bytes >= self.needed_bytes
                || self.tells && self.is_roomy(free_bytes)
                || takes && now >= self.last.plus_ms(FORGET_MS))
    }
}

impl FullDisk {
    /// Whether it is full.
    pub(super) fn is_full(&self) -> bool {
        self.spell.is_some()
    }

    /// An append of so many bytes found no room. Says whether that is news.
    pub(super) fn refused(&mut self, now: Mono, bytes: usize, free_bytes: u64) -> bool {
        let is_news = self.lacks(now, bytes, free_bytes);
        self.spell
            .iter_mut()
            .for_each(|spell| spell.refused_count += 1);
        is_news
    }

    /// There is no room for so many bytes. Says whether that is news.
    pub(super) fn lacks(&mut self, now: Mono, bytes: usize, free_bytes: u64) -> bool {
        let is_news = self.spell.is_none();
        let spell = self.spell.get_or_insert(Spell {
            since: now,
            last: now,
            next_look: now.plus_ms(QUIET_MS),
            refused_count: 0,
            needed_bytes: 0,
            taken_bytes: 0,
            tells: true,
        });
        spell.last = now;
        spell.needed_bytes = spell.needed_bytes.max(bytes as u64);
        spell.taken_bytes = 0;
        spell.tells &= !spell.is_roomy(free_bytes);
        is_news
    }

    /// The journal has room for whatever comes.
    pub(super) fn journal_has_room(&mut self) {
        self.small_changes_bytes = 0;
    }

    /// Whether a small change may add so many bytes although the journal has no room.
    pub(super) fn may_change(&self, bytes: usize) -> bool {
        self.small_changes_bytes + bytes <= SMALL_CHANGES_BYTES
    }

    /// A change has put so many bytes in the place of others.
    pub(super) fn changed(&mut self, old_bytes: usize, new_bytes: usize) {
        self.small_changes_bytes = (self.small_changes_bytes + new_bytes).saturating_sub(old_bytes);
    }

    /// An append of so many bytes was taken.
    pub(super) fn taken(&mut self, bytes: usize) {
        if let Some(spell) = &mut self.spell {
            spell.taken_bytes = spell.taken_bytes.max(bytes as u64);
        }
    }

    /// When `end` is to be asked next.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.spell.map(|spell| spell.next_look)
    }

    /// Whether `end` is to be asked now.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
    }

    /// The spell that is over, if one is.
    pub(super) fn end(&mut self, now: Mono, free_bytes: u64) -> Option<Spell> {
        let spell = self.spell.as_mut()?;
        spell.next_look = now.plus_ms(QUIET_MS);
        self.spell.take_if(|spell| spell.is_over(now, free_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: u64 = 0;
    const PLENTY: u64 = 1 << 30;

    fn at(ms: i64) -> Mono {
        Mono(0).plus_ms(ms)
    }

    /// A disk that has refused 1,000 bytes at the beginning.
    fn full(free_bytes: u64) -> FullDisk {
        let mut disk = FullDisk::default();
        assert!(disk.refused(at(0), 1000, free_bytes), "news");
        disk
    }

    #[test]
    fn it_is_news_once_however_much_is_refused_and_again_after_its_end() {
        let mut disk = full(NOTHING);
        assert!(!disk.refused(at(10), 10, NOTHING));
        let spell = disk.end(at(1010), PLENTY).expect("it is over");
        assert_eq!((spell.refused_count, spell.seconds(at(1010))), (2, 1));
        assert_eq!(disk.next_deadline(), None);
        assert!(disk.refused(at(2000), 10, NOTHING));
    }

    #[test]
    fn it_lasts_while_anything_is_refused_within_a_second() {
        let mut disk = full(NOTHING);
        disk.refused(at(900), 1, NOTHING);
        disk.taken(1000);
        assert_eq!(disk.end(at(1000), PLENTY), None);
        assert_eq!(disk.next_deadline(), Some(at(2000)));
        assert!(disk.end(at(2000), PLENTY).is_some());
    }

    #[test]
    fn room_for_a_small_batch_is_no_end_and_for_the_largest_it_is() {
        let mut disk = full(NOTHING);
        disk.taken(999);
        assert_eq!(disk.end(at(1000), NOTHING), None);
        disk.taken(1000);
        assert!(disk.end(at(2000), NOTHING).is_some());
    }

    #[test]
    fn a_large_batch_that_never_comes_again_is_forgotten() {
        let mut disk = full(NOTHING);
        assert_eq!(disk.end(at(FORGET_MS), NOTHING), None, "nobody has tried");
        disk.taken(1);
        let later = at(FORGET_MS + QUIET_MS);
        assert!(disk.end(later, NOTHING).is_some());
    }

    #[test]
    fn a_quota_is_over_when_something_is_taken() {
        let mut disk = full(PLENTY);
        assert_eq!(disk.end(at(5000), PLENTY), None);
        disk.taken(1000);
        assert!(disk.end(at(6000), PLENTY).is_some());
    }

    #[test]
    fn the_file_system_is_asked_once_a_second() {
        let mut disk = full(NOTHING);
        let mut asked = 0;
        for ms in 0..10_000 {
            if disk.is_due(at(ms)) {
                asked += 1;
                disk.end(at(ms), NOTHING);
            }
        }
        assert_eq!(asked, 9);
    }

    #[test]
    fn small_changes_are_bounded_together_until_the_journal_has_room() {
        let mut disk = full(NOTHING);
        while disk.may_change(500) {
            disk.changed(12, 512);
        }
        assert_eq!(disk.small_changes_bytes, 131 * 500);
        assert!(disk.may_change(36));
        disk.changed(512, 12);
        assert!(disk.may_change(500), "what was given back");
        disk.changed(12, 512);
        assert!(!disk.may_change(500));
        disk.journal_has_room();
        assert!(disk.may_change(500));
    }

    #[test]
    fn a_journal_without_room_is_news_and_no_refused_append() {
        let mut disk = FullDisk::default();
        assert!(disk.lacks(at(0), 1 << 20, NOTHING));
        assert!(!disk.lacks(at(1000), 1 << 20, PLENTY));
        assert_eq!(disk.end(at(1999), PLENTY), None);
        disk.taken(1 << 20);
        let spell = disk.end(at(2000), PLENTY).expect("it is over");
        assert_eq!(spell.refused_count, 0);
    }
}
