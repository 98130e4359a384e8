//! WriteTxnMarkers (27), versions 1 and 2: write the ends of transactions into partitions, as a coordinator elsewhere
//! would.
//!
//! * Meant for brokers; `kafka-transactions abort` uses it to end a transaction that hangs. There is no throttle time.
//! * A partition that does not exist is error 3. The log checks the epochs: one below the producer's is 47, and so is a
//!   coordinator epoch below that of the last marker (52 there). A marker without an open transaction is written all
//!   the same.
//! * `transaction_version` (v2, else 0): from 2 on, the epoch must exceed the producer's, and the same one without an
//!   open transaction is a repetition that is accepted and not written again.
//! * Markers of one producer id are answered as one; no markers are answered by none. A partition that one marker names
//!   twice gets it once, and is answered once; Apache Kafka never answers that.
//! * The journal's transaction is not touched: its own end still comes.
//! * The answer leaves when the markers are durable, and where one is refused, what the log was judged by.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::storage::Marker;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: WriteTxnMarkersRequest<'_>,
) -> Outcome {
    let mut results: BTreeMap<i64, Vec<WritableTxnMarkerTopicResult<'_>>> = BTreeMap::new();
    for marker in &request.markers {
        let of_producer = results.entry(marker.producer_id).or_default();
        for (name, indexes) in places(marker) {
            let write = |index| WritableTxnMarkerPartitionResult {
                partition_index: index,
                error_code: write(broker, call, marker, name, index),
            };
            of_producer.push(WritableTxnMarkerTopicResult {
                name,
                partitions: indexes.into_iter().map(write).collect(),
            });
        }
    }
    let result = |(producer_id, topics)| WritableTxnMarkerResult {
        producer_id,
        topics,
    };
    let markers = results.into_iter().map(result).collect();
    call.reply(&WriteTxnMarkersResponse { markers })
}

/// Where a marker is to go.
fn places<'a>(marker: &WritableTxnMarker<'a>) -> BTreeMap<&'a str, BTreeSet<i32>> {
    let mut places: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for topic in &marker.topics {
        places
            .entry(topic.name)
            .or_default()
            .extend(&topic.partition_indexes);
    }
    places
}

/// Writes one marker into one partition.
fn write(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    marker: &WritableTxnMarker<'_>,
    topic: &str,
    partition: i32,
) -> ErrorCode {
    let at = match broker.find(topic, partition) {
        Ok(at) => at,
        Err(why) => return why.code(),
    };
    let marker = Marker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        commits: marker.transaction_result,
        transaction_version: marker.transaction_version.into(),
    };
    let written = broker.write_marker(at, marker, call.cx.now);
    call.after(written.round);
    written
        .answer
        .err()
        .map_or(ErrorCode::NONE, |refused| refused.code)
}
