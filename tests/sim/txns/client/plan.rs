//! What a client asks next: an identity, then whatever its job needs.

use super::super::asks::{Ask, BATCHED};
use super::super::job::{self, Job, Write};
use super::Client;
use crate::call::{Author, key_of};
use crate::producer;
use crate::side::Side;
use chronikd::proto::batch::BatchBuilder;
use chronikd::storage::PartitionId;
use std::collections::BTreeSet;

impl Client {
    /// What it asks next, if anything.
    pub(super) fn plan(&mut self, side: &mut Side<'_>, finishing: bool) -> Option<Ask> {
        if self.work.is_some() {
            return self.go_on(side);
        }
        let is_wanted = self.is_employed || self.left > 0;
        if finishing || !is_wanted || !self.flying.is_empty() {
            return None;
        }
        if !self.has_identity {
            return Some(Ask::Init { believes: false });
        }
        let believes = self.speaker.versions.init >= 3;
        let rarely = if self.is_employed { 90 } else { 12 };
        if believes && side.luck.once_in(rarely) {
            return Some(Ask::Init { believes });
        }
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let by_id = self.speaker.versions.produce >= producer::FIRST_BY_ID;
        let job = Job::any(side, self.speaker.id, by_id && !self.is_steady);
        self.employ(job, side);
        self.go_on(side)
    }

    fn go_on(&mut self, side: &mut Side<'_>) -> Option<Ask> {
        let is_second = self.is_second();
        let is_alone = self.flying.is_empty();
        let work = self.work.as_mut()?;
        if work.job.is_time_to_move() {
            let moved = work.job.moved.clone().filter(|_| is_alone)?;
            if !is_second && !work.has_group {
                return Some(Ask::AddGroup(moved.seat.group));
            }
            side.ledger.txns.moving(work.job.number);
            return Some(Ask::Offset(moved));
        }
        if let Some(write) = work.job.writes.front() {
            let at = write.at;
            if !is_second && !work.partitions.contains(&at) {
                return is_alone.then(|| self.announce(side, at));
            }
            let write = work.job.writes.pop_front()?;
            return Some(self.write(side, write));
        }
        if !is_alone {
            return None;
        }
        if !is_second && self.speaker.versions.add >= BATCHED && !work.is_verified {
            work.is_verified = true;
            let at = side.luck.pick(&job::usable(side));
            return Some(Ask::Verify(at, work.partitions.contains(&at)));
        }
        // All that it wrote was for a topic that is deleted: in version 2 there is nothing to commit.
        if is_second && !work.has_begun {
            work.job.commits = false;
        }
        if work.job.commits {
            side.ledger.txns.committing(work.job.number);
        }
        Some(Ask::End(work.job.commits))
    }

    /// Partitions are announced one by one, or with others that nothing will be written to.
    fn announce(&mut self, side: &mut Side<'_>, at: PartitionId) -> Ask {
        let mut all = BTreeSet::from([at]);
        let work = self.working();
        let shuns_extras = work.shuns_extras;
        all.extend(work.job.writes.iter().map(|write| write.at).take(2));
        if !self.is_steady && side.luck.once_in(3) {
            let mut others = side.ledger.partitions();
            let is_extra = |at: &PartitionId| job::is_extra(&side.ledger.topic(at.topic).name);
            others.retain(|at| !(shuns_extras && is_extra(at)));
            all.insert(side.luck.pick(&others));
        }
        if self.is_hasty {
            self.working().partitions.extend(&all);
        }
        Ask::Add(all.into_iter().collect())
    }

    fn write(&mut self, side: &mut Side<'_>, write: Write) -> Ask {
        let Write { at, count, sources } = write;
        let filler = side.luck.below(200);
        let first = self.next_mark;
        self.next_mark += count as u64;
        let sequence = self.sequences.entry(at).or_default();
        let author = Author {
            id: self.speaker.identity.0,
            epoch: self.speaker.identity.1,
            sequence: *sequence,
        };
        *sequence += count as i32;
        let number = self.working().job.number;
        let topic = side.ledger.topic(at.topic);
        let is_extra = job::is_extra(&topic.name);
        side.ledger.txns.writing(number, first, count, is_extra);
        side.ledger.txns.copying(first, &sources);
        side.ledger.sending(at, first, count);
        Ask::Produce {
            at,
            first,
            count,
            bytes: batch(first, count, filler, side.machine.now.wall_ms, author),
        }
    }
}

fn batch(first: u64, count: usize, filler: usize, time_ms: i64, author: Author) -> Vec<u8> {
    let mut builder = BatchBuilder::new(0)
        .producer(author.id, author.epoch, author.sequence)
        .transactional();
    for mark in first..first + count as u64 {
        let mut value = mark.to_be_bytes().to_vec();
        value.resize(8 + filler, mark as u8);
        builder.push(time_ms, Some(&key_of(mark).to_be_bytes()), Some(&value));
    }
    builder.build(None).expect("a batch")
}
