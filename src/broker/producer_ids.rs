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
    pub(super) fn take(&mut self) -> Result<(i64, u64), i64> {
        let id = self.reserve()?;
        self.spend();
        Ok((id, self.round))
    }

    /// The same, but the id is not given away yet.
    pub(super) fn reserve(&self) -> Result<i64, i64> {
        match self.next == self.end {
            true => Err(self.end + BLOCK_SIZE),
            false => Ok(self.next),
        }
    }

    /// The id that `reserve` names, if it names one.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Gives the id away that `reserve` has named.
    pub(super) fn spend(&mut self) {
        self.next += 1;
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
                let id = ids.take().or_else(|end| {
                    ids.reserved(end, 1);
                    ids.take()
                });
                given.push(id.unwrap().0);
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
