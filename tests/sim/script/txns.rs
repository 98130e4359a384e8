//! The steps of a script that have to do with transactions.

use super::{Script, Step};
use crate::side::Side;
use crate::txns::{Style, Troupe};

/// Turns after which a disk is whole again, and time passes faster.
const BRISK_TURNS: usize = 60;
/// The same where the lanes take one step in a turn.
const SLOW_TURNS: usize = 600;
/// What passes in each of the turns after these.
const LONG_MS: i64 = 300;
/// The timeout of every transaction in a script.
const TIMEOUT_MS: i64 = 60_000;
/// Turns in which transactions are begun and not ended.
const FEW_TURNS: usize = 12;

/// Producers that enter: transactional ids and versions.
pub type Cast<'a> = &'a [(&'static str, Style)];

impl Script {
    /// New producers run so many transactions each, all side by side.
    pub fn transact(&mut self, cast: Cast<'_>, count: usize) -> Step {
        self.enter(cast, count);
        self.play(false, |troupe, side| {
            troupe.is_through() && troupe.is_calm(side)
        })
    }

    /// As `transact`, while the lanes take one step in a turn: requests overtake the rounds of those before
    /// them, and batches the announcement of their partitions.
    pub fn transact_slowly(&mut self, cast: Cast<'_>, count: usize) -> Step {
        self.is_slow = true;
        self.enter(cast, count);
        self.troupe.hurry();
        self.play(false, |troupe, side| {
            troupe.is_through() && troupe.is_calm(side)
        })?;
        self.is_slow = false;
        Ok(())
    }

    /// New producers begin transactions, and are in the middle of them.
    pub fn begin_to_transact(&mut self, cast: Cast<'_>) -> Step {
        self.enter(cast, 1);
        let mut turns = 0;
        self.play(false, |_, _| {
            turns += 1;
            turns == FEW_TURNS
        })
    }

    /// All producers are gone for good. Their transactions are ended when their time is over.
    pub fn desert(&mut self) -> Step {
        let mut troupe = std::mem::take(&mut self.troupe);
        troupe.vanish(&mut self.side());
        self.troupe = troupe;
        self.pass_ms(TIMEOUT_MS)?;
        self.play(false, Troupe::is_calm)
    }

    /// A copier of that version copies something.
    pub fn copy(&mut self, style: Style) -> Step {
        let mut troupe = std::mem::take(&mut self.troupe);
        troupe.enter_copier(style, &mut self.side());
        self.troupe = troupe;
        self.play(false, |troupe, side| {
            troupe.has_copied() && troupe.is_calm(side)
        })
    }

    fn enter(&mut self, cast: Cast<'_>, count: usize) {
        for (id, style) in cast {
            self.troupe.enter(id, *style, count);
        }
    }

    fn play(
        &mut self,
        finishing: bool,
        mut done: impl FnMut(&Troupe, &mut Side<'_>) -> bool,
    ) -> Step {
        let mut turns = 0;
        let brisk_turns = match self.is_slow {
            true => SLOW_TURNS,
            false => BRISK_TURNS,
        };
        self.until(|script| {
            turns += 1;
            if turns > brisk_turns {
                script.machine.pass_ms(LONG_MS);
                script.machine.disk.heal();
                script.machine.disk.set_capacity(None);
            }
            let mut troupe = std::mem::take(&mut script.troupe);
            troupe.step(&mut script.side(), finishing);
            let is_done = done(&troupe, &mut script.side());
            script.troupe = troupe;
            is_done
        })
    }

    /// After a start: what was begun is finished, and everything that is committed is read.
    pub(super) fn check_transactions(&mut self) -> Step {
        if self.troupe.is_empty() {
            return Ok(());
        }
        self.is_slow = false;
        self.play(true, Troupe::is_calm)?;
        let mut troupe = std::mem::take(&mut self.troupe);
        troupe.audit(&mut self.side());
        self.troupe = troupe;
        self.play(true, Troupe::is_calm)?;
        let troupe = std::mem::take(&mut self.troupe);
        troupe.check(&mut self.side());
        self.troupe = troupe;
        Ok(())
    }
}
