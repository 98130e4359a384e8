//! EndTxn: who may decide what, when. The verdicts are those of Kafka 4.3, which the two tables here show; `pf` is 90,
//! `its` 48, `ct` 51.
//!
//! Version 1 ends leave the epoch as it is, so that a repeated EndTxn looks like the first:
//!
//! | state | commit | abort |
//! |---|---|---|
//! | Empty | its | its |
//! | Ongoing | decided | decided |
//! | PrepareCommit | ct | its |
//! | PrepareAbort | its | ct |
//! | CompleteCommit | done | its |
//! | CompleteAbort | its | done |
//!
//! Version 2 ends move the epoch. With the epoch before (*again*) a producer repeats its EndTxn; with the current one it
//! speaks of the next transaction, of which it may not know whether it has begun, and so may abort it wherever it is:
//!
//! | state | commit again | commit | abort again | abort |
//! |---|---|---|---|---|
//! | Empty | pf | its | pf | decided |
//! | Ongoing | pf | decided | pf | decided |
//! | PrepareCommit | ct | pf | its | pf |
//! | PrepareAbort | its | pf | ct | pf |
//! | CompleteCommit | done | its | its | decided |
//! | CompleteAbort | its | its | done | decided |

use super::{BUMPING_VERSION, Claim, Transactions};
use crate::broker::facts::{Standing, TxnState};
use crate::clock::Now;
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::proto::error::ErrorCode;

/// What EndTxn leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was ended so before. The producer goes on with this id and epoch; version 1 is told neither.
    Before(i64, i16),
    /// It is to be ended: journal this.
    Decided(Standing),
}

impl Transactions {
    /// Decides about an EndTxn of that version of transactions. `fresh_id` is a producer id that nobody has; it is taken
    /// if it is in the answer.
    ///
    /// # Errors
    /// 49, 90, 51 and 48 as the tables say.
    pub fn end(
        &self,
        claim: &Claim<'_>,
        commits: bool,
        version: i16,
        fresh_id: i64,
        now: Now,
    ) -> Result<Ended, ErrorCode> {
        let standing = &self.claimed(claim)?.standing;
        let verdict = match version {
            ..BUMPING_VERSION => classic(standing, claim, commits)?,
            _ => bumping(standing, claim, commits)?,
        };
        Ok(match verdict {
            Verdict::Decide => {
                let prepared = standing.prepared(commits, version, fresh_id, now.wall_ms);
                Ended::Decided(prepared)
            }
            Verdict::Before if version < BUMPING_VERSION => {
                Ended::Before(NO_PRODUCER_ID, NO_PRODUCER_EPOCH)
            }
            Verdict::Before => Ended::Before(standing.producer_id, standing.epoch),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Decide,
    Before,
}

fn classic(standing: &Standing, claim: &Claim<'_>, commits: bool) -> Result<Verdict, ErrorCode> {
    if claim.producer_id != standing.producer_id {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    if claim.epoch != standing.epoch {
        return Err(ErrorCode::PRODUCER_FENCED);
    }
    match standing.state {
        TxnState::Ongoing => Ok(Verdict::Decide),
        state => repeated(state, commits),
    }
}

/// An EndTxn that says what was said before, or the opposite.
fn repeated(state: TxnState, commits: bool) -> Result<Verdict, ErrorCode> {
    match (state, commits) {
        (TxnState::CompleteCommit, true) | (TxnState::CompleteAbort, false) => Ok(Verdict::Before),
        (TxnState::PrepareCommit, true) | (TxnState::PrepareAbort, false) => {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        }
        _ => Err(ErrorCode::INVALID_TXN_STATE),
    }
}

fn bumping(standing: &Standing, claim: &Claim<'_>, commits: bool) -> Result<Verdict, ErrorCode> {
    let crossed = has_crossed(standing, claim);
    if claim.producer_id != standing.producer_id && !crossed {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    let again = claim.epoch.checked_add(1) == Some(standing.epoch);
    let is_current = claim.epoch == standing.epoch;
    match standing.state {
        TxnState::Empty | TxnState::Ongoing if !is_current => Err(ErrorCode::PRODUCER_FENCED),
        TxnState::Ongoing => Ok(Verdict::Decide),
        TxnState::Empty => first(commits),
        TxnState::PrepareCommit | TxnState::PrepareAbort if !again => {
            Err(ErrorCode::PRODUCER_FENCED)
        }
        state if again || crossed => repeated(state, commits),
        _ if is_current => first(commits),
        _ => Err(ErrorCode::PRODUCER_FENCED),
    }
}

/// An EndTxn of a transaction that has nothing in it.
fn first(commits: bool) -> Result<Verdict, ErrorCode> {
    match commits {
        true => Err(ErrorCode::INVALID_TXN_STATE),
        false => Ok(Verdict::Decide),
    }
}

/// Whether the producer repeats the EndTxn that has used up the epochs of its former producer id.
fn has_crossed(standing: &Standing, claim: &Claim<'_>) -> bool {
    claim.producer_id == standing.previous_producer_id
        && claim.epoch == i16::MAX - 1
        && standing.epoch == 0
}
