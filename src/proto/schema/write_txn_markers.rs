//! WriteTxnMarkers (27): write the ends of transactions into partitions. Flexible from its first version on.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Write these markers.
    struct WriteTxnMarkersRequest<'a> {
        markers: Vec<WritableTxnMarker<'a>>,
    }

    /// One marker: a commit (`transaction_result`) or an abort, for partitions of one producer.
    struct WritableTxnMarker<'a> {
        producer_id:         i64,
        producer_epoch:      i16,
        transaction_result:  bool,
        topics:              Vec<WritableTxnMarkerTopic<'a>>,
        coordinator_epoch:   i32,
        transaction_version: i8 [2..],
    }

    /// Partitions of one topic.
    struct WritableTxnMarkerTopic<'a> {
        name:              &'a str,
        partition_indexes: Vec<i32>,
    }

    /// What became of each marker.
    struct WriteTxnMarkersResponse<'a> {
        markers: Vec<WritableTxnMarkerResult<'a>>,
    }

    /// One marker of the answer.
    struct WritableTxnMarkerResult<'a> {
        producer_id: i64,
        topics:      Vec<WritableTxnMarkerTopicResult<'a>>,
    }

    /// One topic of the answer.
    struct WritableTxnMarkerTopicResult<'a> {
        name:       &'a str,
        partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    /// One partition of the answer.
    struct WritableTxnMarkerPartitionResult {
        partition_index: i32,
        error_code:      ErrorCode,
    }
}
