//! UnregisterBroker (64), version 0: forget a broker that is gone.
//!
//! * No broker but this one was ever here: another id is error 102, with Kafka's sentence.
//! * Our own id is error 42: a broker that forgets itself serves nobody. Kafka does that.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: UnregisterBrokerRequest,
) -> Outcome {
    let id = request.broker_id;
    let (error_code, message) = match id == broker.identity.node_id {
        true => (
            ErrorCode::INVALID_REQUEST,
            "The only broker of a cluster cannot be unregistered.".to_owned(),
        ),
        false => (
            ErrorCode::BROKER_ID_NOT_REGISTERED,
            format!("Broker ID {id} is not currently registered"),
        ),
    };
    call.reply(&UnregisterBrokerResponse {
        error_code,
        error_message: Some(message.into()),
        ..Default::default()
    })
}
