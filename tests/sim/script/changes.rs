//! The steps of a script that change settings and numbers of partitions.

use super::{Script, Step};
use crate::changes::{Changer, Place};
use crate::side::Side;

impl Script {
    /// Sets something there, or removes it.
    pub fn set(&mut self, place: Place, value: Option<&str>) -> Step {
        let value = value.map(str::to_owned);
        self.change(|changer, side| changer.set(side, place, value))
    }

    /// Sets something of a topic.
    pub fn set_of(&mut self, topic: &str, value: Option<&str>) -> Step {
        self.set(Place::Topic(self.topic(topic)), value)
    }

    /// Gives a topic more partitions; on a disk that fails it may have fewer.
    pub fn grow(&mut self, name: &str, count: usize) -> Step {
        let id = self.topic(name);
        for attempt in 1.. {
            self.change(|changer, side| changer.grow(side, id, count))?;
            if self.ledger.topic(id).partition_count() >= count {
                break;
            }
            self.heal_after(attempt);
        }
        Ok(())
    }

    fn change(&mut self, ask: impl FnOnce(&mut Changer, &mut Side<'_>)) -> Step {
        let mut changer = Changer::default();
        ask(&mut changer, &mut self.side());
        self.until(|script| {
            changer.step(&mut script.side(), true);
            changer.is_idle()
        })?;
        changer.hang_up(&mut self.side());
        Ok(())
    }
}
