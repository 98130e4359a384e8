//! WriteTxnMarkers (27), versions 1 and 2: write the ends of transactions into partitions, as a coordinator elsewhere
//! would.
//!
//! * Meant for brokers; `kafka-transactions abort` uses it to end a transaction that hangs. There is no throttle time.
//! * A partition that does not exist is error 3. The log checks the epochs: one below the producer's is 47, and so is a
//!   coordinator epoch below that of the last marker (52 there). A marker without an open transaction is written all
//!   the same.
//! * `transaction_version` (v2, else 0): from 2 on, the epoch must exceed the producer's, and the same one without an
//!   open transaction is a repetition that is accepted and not written again.
//! * Markers of one producer id are answered as one; no markers are answered by none.
//! * The journal's transaction is not touched: its own end still comes.

use super::Call;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::schema::write_txn_markers::WriteTxnMarkersRequest;

pub(super) fn handle(
    _: &mut Broker,
    _: &mut Call<'_, '_>,
    _: WriteTxnMarkersRequest<'_>,
) -> Outcome {
    Outcome::Close("WriteTxnMarkers is not served yet")
}
