//! InitProducerId with a transactional id: the producer gets an id and an epoch that nobody has had with it, and
//! whoever had it before is shut out. An open transaction is aborted first, and the producer asks again.

use super::standing;
use super::{Init, Transactions};
use crate::broker::facts::{Producer, Standing, TxnVersion};
use crate::clock::Now;
use crate::proto::error::ErrorCode;

/// What InitProducerId leads to; both are to be journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialized {
    /// The producer gets this id and epoch.
    Ready(Standing),
    /// The open transaction is aborted; until that is done the producer is told 51.
    Fencing(Standing),
}

impl Transactions {
    /// Decides about an InitProducerId. `fresh_id` is a producer id that nobody has; it is taken if it is in the
    /// answer.
    ///
    /// # Errors
    /// 90 for a producer that somebody has overtaken, 51 while an end is being written, -1 see `Standing::initialized`.
    pub fn init(
        &self,
        ask: &Init<'_>,
        finalized_version: TxnVersion,
        fresh_id: i64,
        now: Now,
    ) -> Result<Initialized, ErrorCode> {
        let txn = self.get(ask.transactional_id);
        let standing = txn.map_or(Standing::unborn(fresh_id), |txn| txn.standing);
        if !ask.believed.is_none_or(|it| is_known(&standing, it)) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if standing.state.is_prepared() {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        if !standing.state.is_idle() {
            let fenced = standing.fenced(finalized_version, fresh_id, now.wall_ms);
            return Ok(Initialized::Fencing(fenced));
        }
        let believed = ask.believed.map(|producer| producer.epoch);
        let is_last = believed.is_none_or(|epoch| epoch == standing.producer.epoch);
        if standing.is_exhausted() && is_last {
            let rotated = standing.rotated(fresh_id, ask.timeout_ms, believed, now.wall_ms);
            return Ok(Initialized::Ready(rotated));
        }
        let ready = standing.initialized(ask.timeout_ms, believed, now.wall_ms)?;
        Ok(Initialized::Ready(ready))
    }
}

/// Whether the producer may be the one of this transactional id, which need not be known: a producer whose id is
/// forgotten comes with what it had. One that has missed the answer that brought a new producer id comes with the
/// previous one and its last epoch.
fn is_known(standing: &Standing, Producer { id, epoch }: Producer) -> bool {
    let was_last = standing.previous_producer_id == Some(id) && standing::is_exhausted(epoch);
    standing.is_unborn() || id == standing.producer.id || was_last
}
