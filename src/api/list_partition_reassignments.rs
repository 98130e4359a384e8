//! ListPartitionReassignments (46), version 0: the partitions that are being moved to other brokers. None ever is, and
//! like Kafka we leave out what is not, be it there or unknown.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub(super) fn handle(
    _broker: &mut Broker,
    call: &mut Call<'_, '_>,
    _request: ListPartitionReassignmentsRequest<'_>,
) -> Outcome {
    call.reply(&ListPartitionReassignmentsResponse::default())
}
