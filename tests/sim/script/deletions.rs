//! The steps of a script that delete records.

use super::{Script, Step};
use crate::deleter::Deleter;
use chronikd::storage::PartitionId;

impl Script {
    /// Has the first partition of a topic begin there; -1 is where it ends.
    pub fn delete_records(&mut self, name: &str, offset: i64) -> Step {
        let at = PartitionId {
            topic: self.topic(name),
            partition: 0,
        };
        for attempt in 1.. {
            let mut deleter = Deleter::default();
            deleter.delete(&mut self.side(), at, offset);
            self.until(|script| {
                deleter.step(&mut script.side(), true);
                deleter.is_idle()
            })?;
            deleter.hang_up(&mut self.side());
            if offset < 0 || self.ledger.log_start(at) >= offset {
                break;
            }
            self.heal_after(attempt);
        }
        Ok(())
    }
}
