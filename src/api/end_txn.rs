//! EndTxn (26), versions 0-5: commit or abort the open transaction.
//!
//! * An empty transactional id is error 42; an unknown one, or another producer id than its own, 49.
//! * Versions 0-4: another epoch than its own is 90, which versions 0 and 1 know as 47. A repetition of the end that
//!   was reached is accepted, and 51 while it is being reached; any other end is 48, and so is one before a transaction
//!   has begun.
//! * Version 5 raises the epoch and answers the new one; a new producer id when the epochs are used up. The epoch
//!   before the current one is a repetition: it is accepted with the current id and epoch after the same end, else 48,
//!   and 90 where nothing has ended yet. An abort without a transaction is accepted, and raises the epoch; a commit
//!   without one is 48.
//! * The answer leaves when the decision is durable, with the data and offsets it decides about.

use super::Call;
use crate::broker::Broker;
use crate::broker::facts::Producer;
use crate::broker::txns::Claim;
use crate::broker::wait::Outcome;
use crate::proto::schema::end_txn::{EndTxnRequest, EndTxnResponse};

/// From this version on every end moves the epoch.
const BUMPS: i16 = 5;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: EndTxnRequest<'_>,
) -> Outcome {
    let claim = Claim {
        transactional_id: request.transactional_id,
        producer: Producer {
            id: request.producer_id,
            epoch: request.producer_epoch,
        },
    };
    let version = call.txn_version(BUMPS);
    let ended = broker.end_transaction(&claim, request.committed, version, call.cx.now);
    let response = match call.told(ended) {
        Ok(producer) => EndTxnResponse {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            ..Default::default()
        },
        Err(error_code) => EndTxnResponse {
            error_code,
            ..Default::default()
        },
    };
    call.reply(&response)
}
