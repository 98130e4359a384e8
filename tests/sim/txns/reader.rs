//! Readers of committed records.

use super::follow::{self, Follow};
use super::job;
use crate::call::{FIRST_MARK, Reply};
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::storage::PartitionId;
use std::collections::BTreeMap;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Reader {
    version: i16,
    follows: Vec<Follow>,
    line: Option<ConnId>,
    is_waiting: bool,
    is_auditor: bool,
}

impl Reader {
    /// That of a seed, which begins at some last stable offset.
    pub fn any(side: &mut Side<'_>) -> Reader {
        Reader {
            version: side.luck.pick(&[4, 5, 7, 11, 12, 13, 16, 18]),
            follows: Vec::new(),
            line: None,
            is_waiting: false,
            is_auditor: false,
        }
    }

    /// One that reads everything.
    pub fn auditor(side: &mut Side<'_>) -> Reader {
        let follows = job::readable(side).into_iter().map(|at| Follow::new(at, 0));
        Reader {
            follows: follows.collect(),
            is_auditor: true,
            ..Reader::any(side)
        }
    }

    /// Whether it has read everything from the beginning.
    pub fn is_auditor(&self) -> bool {
        self.is_auditor
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        (self.line, self.is_waiting) = (None, false);
    }

    /// Whether everything that is committed has been read.
    pub fn is_idle(&self, side: &mut Side<'_>) -> bool {
        let mut follows = self.follows.iter();
        follows.all(|follow| {
            let end = side.ledger.high_watermark(follow.at);
            follow.position >= end
        })
    }

    /// Everything that counts.
    pub fn marks(&self) -> Vec<u64> {
        let counted = self.follows.iter().flat_map(|follow| &follow.counted);
        let marks = counted.map(|(_, mark)| *mark);
        marks.filter(|mark| *mark >= FIRST_MARK).collect()
    }

    /// The offsets of everything that counts.
    pub fn offsets(&self) -> BTreeMap<PartitionId, Vec<i64>> {
        let offsets = |follow: &Follow| {
            let counted = follow.counted.iter();
            (follow.at, counted.map(|(offset, _)| *offset).collect())
        };
        self.follows.iter().map(offsets).collect()
    }

    /// What was read once is what is read later: no record appears or goes behind a reader.
    pub fn agrees_with(&self, other: &Reader) {
        for follow in &self.follows {
            let theirs = other.follows.iter().find(|theirs| theirs.at == follow.at);
            let theirs = theirs.iter().flat_map(|theirs| &theirs.counted);
            let span = follow.from..follow.position;
            let within: Vec<(i64, u64)> = theirs
                .filter(|(offset, _)| span.contains(offset))
                .copied()
                .collect();
            assert_eq!(
                follow.counted, within,
                "{:?} from {}",
                follow.at, follow.from
            );
        }
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            self.is_waiting = false;
            self.take(side, &reply);
        }
        let is_whim = !finishing && side.luck.once_in(60);
        if is_whim || !side.machine.is_open(line) {
            side.machine.drop_connection(line);
            self.cut_off();
            return;
        }
        if self.follows.is_empty() {
            for at in job::lasting(side) {
                let from = side.ledger.txns.stable(at);
                self.follows.push(Follow::new(at, from));
            }
        }
        if !self.is_waiting && !self.follows.is_empty() {
            follow::fetch(side, line, self.version, &mut self.follows);
            self.is_waiting = true;
        }
    }

    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        follow::take(side, &reply.read(), &mut self.follows);
    }
}
