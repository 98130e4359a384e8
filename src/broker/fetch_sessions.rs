//! Fetch sessions (KIP-227): a consumer names its partitions once, and from then on only what changes is
//! sent either way. A session lives in memory only; a client whose session is gone starts a new one.
//!
//! The rules of an epoch: 0 opens a session (a full fetch), -1 is a full fetch without a session or the end of
//! one, and n > 0 is the n-th incremental fetch of a session. A fetch may be asked many times while it
//! waits, so nothing here changes until `commit`.

use crate::clock::Mono;
use crate::proto::Uuid;
use crate::proto::error::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a fetch names a topic: by name up to v12, by id from v13 on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// Up to v12.
    Name(Arc<str>),
    /// From v13 on.
    Id(Uuid),
}

/// One partition of a fetch: what is wanted, and what the client was told last.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's number.
    pub partition: i32,
    /// The leader epoch that the client believes in; -1 = none.
    pub current_leader_epoch: i32,
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The epoch of the last record that the client has; -1 = none.
    pub last_fetched_epoch: i32,
    /// At most so many bytes of this partition.
    pub max_bytes: i32,
    /// The high watermark in the last answer; -1 before, and after an error.
    pub told_high_watermark: i64,
    /// The log start offset in the last answer.
    pub told_log_start: i64,
}

/// The session fields of a fetch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// 0 = none.
    pub session_id: i32,
    /// See the header of this file.
    pub epoch: i32,
    /// Whether topics are named by id.
    pub by_id: bool,
}

/// What a fetch is, seen from its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Everything asked is answered, and nothing remembered; an older session ends.
    Sessionless,
    /// Everything asked is answered, and a session is opened if there is room.
    Open,
    /// The session's partitions are read; only what is new about them is answered.
    Incremental,
}

#[derive(Debug)]
struct Session {
    /// The epoch that the next incremental fetch must have.
    next_epoch: i32,
    by_id: bool,
    last_used: Mono,
    /// In the order in which they are read; those that had data last stand at the end, so that none
    /// starves.
    partitions: Vec<Wanted>,
}

/// All fetch sessions.
#[derive(Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    by_use: BTreeSet<(Mono, i32)>,
    slots: usize,
    eviction_ms: i64,
    last_id: i32,
}

impl FetchSessions {
    /// Room for `slots` sessions; one that has been used within `eviction_ms` is not pushed out.
    #[must_use]
    pub fn new(slots: usize, eviction_ms: i64, seed: u64) -> FetchSessions {
        let last_id = i32::try_from(seed & 0x3fff_ffff).unwrap_or(0);
        FetchSessions {
            sessions: BTreeMap::new(),
            by_use: BTreeSet::new(),
            slots,
            eviction_ms,
            last_id,
        }
    }

    /// What this fetch is.
    ///
    /// # Errors
    /// The code for the whole response: no such session, another epoch, or ids where names were.
    pub fn plan(&self, asked: Asked) -> Result<Plan, ErrorCode> {
        match asked.epoch {
            0 => return Ok(Plan::Open),
            -1 => return Ok(Plan::Sessionless),
            _ => {}
        }
        let session = self
            .sessions
            .get(&asked.session_id)
            .ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.next_epoch != asked.epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != asked.by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        Ok(Plan::Incremental)
    }

    /// The partitions of an incremental fetch: the session's, changed and joined by those named in the
    /// request, in its order, without the forgotten ones. One that is both named and forgotten is forgotten.
    #[must_use]
    pub fn merged(
        &self,
        session_id: i32,
        named: Vec<Wanted>,
        forgotten: &BTreeSet<(TopicRef, i32)>,
    ) -> Vec<Wanted> {
        let known = self
            .sessions
            .get(&session_id)
            .map_or(&[][..], |session| &session.partitions);
        if named.is_empty() && forgotten.is_empty() {
            return known.to_vec();
        }
        let mut news: BTreeMap<(TopicRef, i32), (usize, Wanted)> = named
            .into_iter()
            .enumerate()
            .map(|(place, wanted)| ((wanted.topic.clone(), wanted.partition), (place, wanted)))
            .filter(|(key, _)| !forgotten.contains(key))
            .collect();
        let mut merged = Vec::with_capacity(known.len() + news.len());
        for old in known {
            let key = (old.topic.clone(), old.partition);
            if forgotten.contains(&key) {
                continue;
            }
            let mut wanted = news
                .remove(&key)
                .map_or_else(|| old.clone(), |(_, new)| new);
            wanted.told_high_watermark = old.told_high_watermark;
            wanted.told_log_start = old.told_log_start;
            merged.push(wanted);
        }
        let mut joining: Vec<_> = news.into_values().collect();
        joining.sort_unstable_by_key(|&(place, _)| place);
        merged.extend(joining.into_iter().map(|(_, wanted)| wanted));
        merged
    }

    /// The fetch is being answered: opens, advances or ends its session. `partitions` is what the session
    /// remembers from now on. Answers the session id of the response, 0 for none.
    pub fn commit(&mut self, asked: Asked, plan: Plan, partitions: Vec<Wanted>, now: Mono) -> i32 {
        match plan {
            Plan::Incremental if !partitions.is_empty() => {
                self.advance(asked.session_id, partitions, now);
                asked.session_id
            }
            Plan::Open => {
                self.end(asked.session_id);
                self.open(asked.by_id, partitions, now)
            }
            Plan::Incremental | Plan::Sessionless => {
                self.end(asked.session_id);
                0
            }
        }
    }

    fn advance(&mut self, id: i32, partitions: Vec<Wanted>, now: Mono) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        self.by_use.remove(&(session.last_used, id));
        self.by_use.insert((now, id));
        session.last_used = now;
        session.next_epoch = next_epoch(session.next_epoch);
        session.partitions = partitions;
    }

    fn open(&mut self, by_id: bool, partitions: Vec<Wanted>, now: Mono) -> i32 {
        if self.sessions.len() >= self.slots && !self.evict(now) {
            return 0;
        }
        let id = loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.sessions.contains_key(&self.last_id) {
                break self.last_id;
            }
        };
        self.by_use.insert((now, id));
        self.sessions.insert(
            id,
            Session {
                next_epoch: 1,
                by_id,
                last_used: now,
                partitions,
            },
        );
        id
    }

    /// Makes room by ending the session that has been idle longest, if that is long enough.
    fn evict(&mut self, now: Mono) -> bool {
        match self.by_use.first() {
            Some(&(used, id)) if used.plus_ms(self.eviction_ms) <= now => {
                self.end(id);
                true
            }
            _ => false,
        }
    }

    fn end(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.by_use.remove(&(session.last_used, id));
        }
    }
}

/// Epochs wrap past zero, which would open a session.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partition: i32, fetch_offset: i64) -> Wanted {
        Wanted {
            topic: TopicRef::Id(Uuid([1; 16])),
            partition,
            current_leader_epoch: -1,
            fetch_offset,
            last_fetched_epoch: -1,
            max_bytes: 1024,
            told_high_watermark: -1,
            told_log_start: -1,
        }
    }

    fn asked(session_id: i32, epoch: i32) -> Asked {
        Asked {
            session_id,
            epoch,
            by_id: true,
        }
    }

    #[test]
    fn a_session_advances_by_one_epoch_a_fetch() {
        let mut all = FetchSessions::new(10, 1000, 0);
        let opening = asked(0, 0);
        assert_eq!(all.plan(opening), Ok(Plan::Open));
        let id = all.commit(opening, Plan::Open, vec![wanted(0, 5)], Mono(0));
        assert_ne!(id, 0);
        assert_eq!(
            all.plan(asked(id, 2)),
            Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH)
        );
        assert_eq!(all.plan(asked(id, 1)), Ok(Plan::Incremental));
        assert_eq!(
            all.plan(asked(id, 1)),
            Ok(Plan::Incremental),
            "planning changes nothing"
        );
        assert_eq!(
            all.commit(asked(id, 1), Plan::Incremental, vec![wanted(0, 5)], Mono(1)),
            id
        );
        assert_eq!(all.plan(asked(id, 2)), Ok(Plan::Incremental));
        assert_eq!(
            all.plan(Asked {
                by_id: false,
                ..asked(id, 2)
            }),
            Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR)
        );
        assert_eq!(
            all.plan(asked(id + 1, 2)),
            Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
        );
        assert_eq!(
            all.commit(asked(id, -1), Plan::Sessionless, vec![], Mono(2)),
            0
        );
        assert_eq!(
            all.plan(asked(id, 2)),
            Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
        );
    }

    #[test]
    fn an_incremental_fetch_changes_adds_and_forgets_partitions() {
        let mut all = FetchSessions::new(10, 1000, 0);
        let known = vec![
            wanted(0, 5),
            Wanted {
                told_high_watermark: 9,
                ..wanted(1, 6)
            },
        ];
        let id = all.commit(asked(0, 0), Plan::Open, known, Mono(0));
        let topic = TopicRef::Id(Uuid([1; 16]));
        let forgotten = BTreeSet::from([(topic.clone(), 0), (topic, 4)]);
        let named = vec![wanted(3, 0), wanted(1, 8), wanted(4, 0), wanted(2, 0)];
        let merged = all.merged(id, named, &forgotten);
        assert_eq!(
            merged,
            [
                Wanted {
                    told_high_watermark: 9,
                    ..wanted(1, 8)
                },
                wanted(3, 0),
                wanted(2, 0)
            ]
        );
    }

    #[test]
    fn a_session_may_open_without_partitions_and_ends_when_the_last_is_forgotten() {
        let mut all = FetchSessions::new(10, 1000, 0);
        let id = all.commit(asked(0, 0), Plan::Open, vec![], Mono(0));
        assert_ne!(id, 0);
        let step = |all: &mut FetchSessions, epoch, partitions| {
            all.commit(asked(id, epoch), Plan::Incremental, partitions, Mono(0))
        };
        assert_eq!(step(&mut all, 1, vec![wanted(0, 0)]), id);
        assert_eq!(step(&mut all, 2, vec![]), 0);
        assert_eq!(
            all.plan(asked(id, 3)),
            Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
        );
    }

    #[test]
    fn a_full_table_keeps_busy_sessions_and_ends_idle_ones() {
        let mut all = FetchSessions::new(1, 1000, 0);
        let first = all.commit(asked(0, 0), Plan::Open, vec![wanted(0, 0)], Mono(0));
        assert_eq!(
            all.commit(asked(0, 0), Plan::Open, vec![wanted(0, 0)], Mono(999_999)),
            0
        );
        let second = all.commit(asked(0, 0), Plan::Open, vec![wanted(0, 0)], Mono(1_000_000));
        assert_ne!(second, 0);
        assert_eq!(
            all.plan(asked(first, 1)),
            Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
        );
    }
}
