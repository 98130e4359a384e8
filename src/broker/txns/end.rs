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
//! Version 2 ends move the epoch. With the epoch before (*again*) a producer repeats its EndTxn; with the current one
//! it speaks of the next transaction, of which it may not know whether it has begun, and so may abort it wherever it
//! is:
//!
//! | state | commit again | commit | abort again | abort |
//! |---|---|---|---|---|
//! | Empty | pf | its | pf | decided |
//! | Ongoing | pf | decided | pf | decided |
//! | PrepareCommit | ct | pf | its | pf |
//! | PrepareAbort | its | pf | ct | pf |
//! | CompleteCommit | done | its | its | decided |
//! | CompleteAbort | its | its | done | decided |

use super::{Claim, Transactions};
use crate::broker::facts::{Producer, Standing, TxnState, TxnVersion};
use crate::clock::Now;
use crate::proto::error::ErrorCode;

/// What EndTxn leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was ended so before. This is who the producer goes on as.
    Before(Producer),
    /// It is to be ended: journal this.
    Decided(Standing),
}

impl Transactions {
    /// Decides about an EndTxn of that version of transactions. `fresh_id` is a producer id that nobody has; it is
    /// taken if it is in the answer.
    ///
    /// # Errors
    /// 49, 90, 51 and 48 as the tables say.
    pub fn end(
        &self,
        claim: &Claim<'_>,
        commits: bool,
        version: TxnVersion,
        fresh_id: i64,
        now: Now,
    ) -> Result<Ended, ErrorCode> {
        let standing = &self.claimed(claim)?.standing;
        let verdict = match version {
            TxnVersion::V1 => classic(standing, claim.producer, commits)?,
            TxnVersion::V2 => bumping(standing, claim.producer, commits)?,
        };
        Ok(match verdict {
            Verdict::Before => Ended::Before(standing.producer),
            Verdict::Decide => {
                let prepared = standing.prepared(commits, version, fresh_id, now.wall_ms);
                Ended::Decided(prepared)
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Decide,
    Before,
}

fn classic(standing: &Standing, producer: Producer, commits: bool) -> Result<Verdict, ErrorCode> {
    standing.check(producer)?;
    match standing.state {
        TxnState::Ongoing => Ok(Verdict::Decide),
        state => repeated(state, commits),
    }
}

fn bumping(standing: &Standing, producer: Producer, commits: bool) -> Result<Verdict, ErrorCode> {
    let (state, is_current) = (standing.state, standing.producer == producer);
    let is_again = standing.was(producer);
    match state {
        TxnState::Ongoing if is_current => Ok(Verdict::Decide),
        _ if is_current && state.is_idle() => first(commits),
        TxnState::Empty | TxnState::Ongoing if is_again => Err(ErrorCode::PRODUCER_FENCED),
        _ if is_again => repeated(state, commits),
        _ => {
            standing.check(producer)?;
            Err(ErrorCode::PRODUCER_FENCED)
        }
    }
}

/// An EndTxn that says what was said before, or the opposite.
fn repeated(state: TxnState, commits: bool) -> Result<Verdict, ErrorCode> {
    if state == TxnState::Empty || state.commits() != commits {
        return Err(ErrorCode::INVALID_TXN_STATE);
    }
    match state.is_prepared() {
        true => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
        false => Ok(Verdict::Before),
    }
}

/// An EndTxn of a transaction that has nothing in it.
fn first(commits: bool) -> Result<Verdict, ErrorCode> {
    match commits {
        true => Err(ErrorCode::INVALID_TXN_STATE),
        false => Ok(Verdict::Decide),
    }
}
