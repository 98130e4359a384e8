//! Producer ids. One is never given twice: ids are journaled in blocks, and a block that a stop cut short
//! is lost.

/// How many ids one journal record reserves (as in Kafka, KIP-730).
const BLOCK_SIZE: i64 = 1000;

/// The ids that may be given away.
#[derive(Debug, Default)]
pub struct ProducerIds {
    next: i64,
    /// The first id beyond the block in hand; what the journal has.
    end: i64,
    /// The sync round of the record that reserved the block in hand.
    round: u64,
}

impl ProducerIds {
    /// The id to give next, or the `ProducerIds` value to journal before asking again.
    pub(super) fn fresh(&self) -> Result<i64, i64> {
        match self.next == self.end {
            true => Err(self.end + BLOCK_SIZE),
            false => Ok(self.next),
        }
    }

    /// Somebody has the id from now on, which may be the one that `fresh` names.
    pub(super) fn taken(&mut self, id: i64) {
        if (self.next..self.end).contains(&id) {
            self.next = id + 1;
        }
    }

    /// The sync round that an answer with an id of the block in hand waits for.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The journal says that ids below `end` may have been given away. A replayed block (round 0) is
    /// skipped; one reserved in a round of this process is in hand.
    pub(super) fn reserved(&mut self, end: i64, round: u64) {
        self.next = if round == 0 { end } else { self.end };
        self.end = end;
        self.round = round;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_never_given_twice_across_blocks_and_restarts() {
        let (mut ids, mut given) = (ProducerIds::default(), Vec::new());
        for restart in [false, true, false, true] {
            for _ in 0..1500 {
                if let Err(end) = ids.fresh() {
                    ids.reserved(end, 1);
                }
                let id = ids.fresh().unwrap();
                ids.taken(id);
                given.push(id);
            }
            if restart {
                let end = ids.end;
                ids = ProducerIds::default();
                ids.reserved(end, 0);
            }
        }
        assert!(given.is_sorted_by(|a, b| a < b));
    }
}
