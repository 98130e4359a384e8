//! AddOffsetsToTxn (25), versions 0-4: the transaction will bring offsets of a group.
//!
//! * It is AddPartitionsToTxn for the place where the group's offsets are kept: the same checks, in the same order, and
//!   a transaction that was not open begins.
//! * An empty transactional id is error 42. An unknown one, or another producer id than its own, is 49; another epoch
//!   than its own 90, which versions 0 and 1 know as 47; 51 while the last transaction is still being ended.
//! * The group is not looked at: it need not exist, and an empty name is taken. TxnOffsetCommit checks it.
//! * Clients of transactions V2 leave this out: TxnOffsetCommit v5+ adds the group by itself.

use super::Call;
use crate::broker::Broker;
use crate::broker::facts::Producer;
use crate::broker::txns::Claim;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: AddOffsetsToTxnRequest<'_>,
) -> Outcome {
    let claim = Claim {
        transactional_id: request.transactional_id,
        producer: Producer {
            id: request.producer_id,
            epoch: request.producer_epoch,
        },
    };
    let added = call.told(broker.add_group(&claim, request.group_id, call.cx.now));
    call.reply(&AddOffsetsToTxnResponse {
        error_code: added.err().unwrap_or(ErrorCode::NONE),
        ..Default::default()
    })
}
