//! DescribeCluster (60), versions 0-2: the cluster's id and its one broker.
//!
//! * v1+ asks for brokers (1) or controllers (2). A broker is asked for brokers; another type is error 115,
//!   an unknown one 42, as Kafka's broker answers.
//! * v2+ may include fenced brokers; there are none.
//! * The cluster id is never null.

use super::Call;
use super::common::{CLUSTER_OPERATIONS, NO_OPERATIONS, endpoint};
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeClusterRequest,
) -> Outcome {
    let refused = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER".into(),
        )),
        other => Some((ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, format!("Unsupported endpoint type {other}").into())),
    };
    if let Some((error_code, message)) = refused {
        let error_message = Some(message);
        return call.reply(&DescribeClusterResponse {
            error_code,
            error_message,
            ..Default::default()
        });
    }
    let (host, port) = endpoint(broker, call.cx.peer);
    let asked = request.include_cluster_authorized_operations;
    let response = DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: &broker.identity.cluster_id,
        controller_id: broker.identity.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: broker.identity.node_id,
            host: &host,
            port,
            rack: broker.config().broker_rack.as_deref(),
            is_fenced: false,
        }],
        cluster_authorized_operations: if asked {
            CLUSTER_OPERATIONS
        } else {
            NO_OPERATIONS
        },
        ..Default::default()
    };
    call.reply(&response)
}
