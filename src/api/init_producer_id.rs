//! InitProducerId (22), versions 0-5: an id for an idempotent producer.
//!
//! * Without a transactional id any timeout is accepted: clients send 0, -1 and the largest number.
//! * v3+ may carry the id and epoch that a producer had; without a transactional id it is given a new id all
//!   the same, as in Kafka. One of the two without the other is error 42.
//! * With a transactional id: error 53, for there are no transactions yet.
//! * The answer leaves when the block that the id is from is durable, so that it is never given twice.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

const NO_ID: i64 = -1;
const NO_EPOCH: i16 = -1;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: InitProducerIdRequest<'_>,
) -> Outcome {
    let has_id = request.producer_id != NO_ID;
    let has_epoch = request.producer_epoch != NO_EPOCH;
    let refused = match request.transactional_id {
        Some(_) => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        None if has_id != has_epoch => ErrorCode::INVALID_REQUEST,
        None => ErrorCode::NONE,
    };
    let mut response = InitProducerIdResponse {
        error_code: refused,
        producer_id: NO_ID,
        producer_epoch: NO_EPOCH,
        ..Default::default()
    };
    if refused == ErrorCode::NONE {
        let (producer_id, round) = broker.new_producer_id();
        call.after(round);
        (response.producer_id, response.producer_epoch) = (producer_id, 0);
    }
    call.reply(&response)
}
