//! Rounds: how facts are written and become durable.
//!
//! A *round* is one group commit. Everything written between two starts of rounds belongs to the round being gathered;
//! a reply is tagged with the highest round among what it wrote and what it read, and leaves when that round is
//! durable. Rounds end one at a time, in order, and each in as many parts as the journal has places for.

use super::record::{Encoded, Record};
use super::{Broker, Fatal};
use crate::clock::Now;
use crate::disk::lanes::Round;

/// Keys and values of one atomic group, where a request could ask for any number of them: small beside a file of the
/// journal, so that a full disk has a place for each.
const PART_BYTES: usize = 64 << 10;

/// The counter of sync rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    /// What is written now becomes durable with this round.
    pub(super) gathering: u64,
    /// The round that the sync lane has, or a part of it.
    pub(super) in_flight: Option<u64>,
    /// The newest durable round. The next has begun if it is not the one being gathered.
    pub(super) synced: u64,
    /// The one of the newest fact.
    pub(super) journaled: u64,
}

impl Rounds {
    /// Those of a start.
    pub(super) fn new() -> Rounds {
        Rounds {
            gathering: 1,
            in_flight: None,
            synced: 0,
            journaled: 0,
        }
    }
}

impl Broker {
    /// The newest round that is durable: replies tagged with a higher one must wait.
    #[must_use]
    pub fn synced_round(&self) -> u64 {
        self.rounds.synced
    }

    /// The number of the journal's newest entry, and the round that makes it durable.
    #[must_use]
    pub fn journaled(&self) -> (u64, u64) {
        (self.journal.last_sequence(), self.rounds.journaled)
    }

    /// Journals facts as one atomic group and makes them true. Answers the round that they belong to.
    pub(super) fn commit(&mut self, records: Vec<Record>) -> u64 {
        self.write(records.into_iter().map(encoded).collect())
    }

    /// Journals facts in their order, in atomic groups of a bounded size. Answers their round. A cut may leave any
    /// beginning of the list: every caller makes sense of that, or finishes it at the next start.
    pub(super) fn commit_in_parts(&mut self, records: Vec<Record>) -> u64 {
        let (mut part, mut part_bytes) = (Vec::new(), 0);
        for (record, encoded) in records.into_iter().map(encoded) {
            let bytes = encoded.bytes();
            if part_bytes + bytes > PART_BYTES {
                self.write(std::mem::take(&mut part));
                part_bytes = 0;
            }
            part_bytes += bytes;
            part.push((record, encoded));
        }
        self.write(part)
    }

    /// Journals one atomic group.
    fn write(&mut self, group: Vec<(Record, Encoded)>) -> u64 {
        let round = self.rounds.gathering;
        let changes: Vec<_> = group.iter().map(|(_, encoded)| encoded.change()).collect();
        self.journal.append(&changes);
        self.rounds.journaled = round;
        for (record, _) in group {
            if let Some(topic) = self.state.apply(record, round) {
                self.forget_partitions(&topic, round);
            }
        }
        round
    }

    /// The next sync round, if anything needs one, none is in flight, and the journal has a place for it or nothing
    /// to put there. Where that place takes only a part of the round, the number comes again with the rest: a round is
    /// durable when nothing of it is withheld. Asked last in a turn.
    ///
    /// # Errors
    /// When a write of this turn has failed for good: the process must stop, and nothing of the turn may be told
    /// to anybody.
    pub fn start_round(&mut self) -> Result<Option<Round>, Fatal> {
        if let Some(fatal) = self.failure.take() {
            return Err(fatal);
        }
        let needed = self.storage.needs_round() || self.journal.needs_round();
        if !needed
            || self.rounds.in_flight.is_some()
            || !self.journal.make_place().map_err(Fatal)?
        {
            return Ok(None);
        }
        let number = self.rounds.synced + 1;
        let mut round = Round {
            number,
            ..Round::default()
        };
        if number == self.rounds.gathering {
            // A round that lacks something would free the replies that wait for it.
            self.storage.gather(&mut round).map_err(Fatal)?;
            self.rounds.gathering += 1;
        }
        self.journal.gather(&mut round);
        self.rounds.in_flight = Some(number);
        Ok(Some(round))
    }

    pub(super) fn synced(&mut self, round: u64, now: Now) {
        assert_eq!(
            self.rounds.in_flight,
            Some(round),
            "rounds end one at a time, in order"
        );
        self.rounds.in_flight = None;
        if !self.journal.synced() {
            return;
        }
        self.rounds.synced = round;
        self.storage.synced(round);
        let durable = self.deletions.partition_point(|&(at, _)| at <= round);
        for (_, partitions) in self.deletions.drain(..durable) {
            for at in partitions {
                self.storage.delete_files(at);
            }
        }
        self.finish_transactions(now);
    }
}

fn encoded(record: Record) -> (Record, Encoded) {
    let encoded = record.encode();
    (record, encoded)
}
