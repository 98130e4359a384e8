//! InitProducerId (22), versions 0-5: an id for an idempotent producer; id and epoch for a transactional one.
//!
//! * v3+ may carry the id and epoch that a producer had. One of the two without the other is error 42.
//! * Without a transactional id a producer gets a new id, whatever it had, and any timeout is accepted: clients send 0,
//!   -1 and the largest number.
//! * An empty transactional id is 42, a timeout that is not positive or above `transaction.max.timeout.ms` 50.
//! * A transactional id keeps its producer id, and every producer gets the next epoch, which shuts out those before
//!   it. When no epoch is left there is a new producer id.
//! * While a transaction is open it is aborted and the answer is 51, as it is until that is done: the client asks
//!   again.
//! * A producer that names an id or epoch which is not its own any more is 90, which versions 0-2 know as 47.
//! * The answer leaves when the block that the id is from, and the epoch, are durable.

use super::Call;
use crate::broker::Broker;
use crate::broker::facts::Producer;
use crate::broker::txns::Init;
use crate::broker::wait::Outcome;
use crate::proto::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use crate::proto::error::ErrorCode;
use crate::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

/// What an answer shows that brings no producer.
const NOBODY: Producer = Producer {
    id: NO_PRODUCER_ID,
    epoch: NO_PRODUCER_EPOCH,
};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: InitProducerIdRequest<'_>,
) -> Outcome {
    let given = give(broker, call, &request);
    let producer = given.unwrap_or(NOBODY);
    call.reply(&InitProducerIdResponse {
        error_code: given.err().unwrap_or(ErrorCode::NONE),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        ..Default::default()
    })
}

fn give(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: &InitProducerIdRequest<'_>,
) -> Result<Producer, ErrorCode> {
    let believed = match (request.producer_id, request.producer_epoch) {
        (NO_PRODUCER_ID, NO_PRODUCER_EPOCH) => None,
        (NO_PRODUCER_ID, _) | (_, NO_PRODUCER_EPOCH) => return Err(ErrorCode::INVALID_REQUEST),
        (id, epoch) => Some(Producer { id, epoch }),
    };
    let Some(transactional_id) = request.transactional_id else {
        let (id, round) = broker.new_producer_id();
        call.after(round);
        return Ok(Producer { id, epoch: 0 });
    };
    let ask = Init {
        transactional_id,
        timeout_ms: request.transaction_timeout_ms,
        believed,
    };
    call.told(broker.init_transactions(&ask, call.cx.now))
}
