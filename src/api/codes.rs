//! The codes that producers know, by API and version. The coordinator of transactions answers the newest.
//!
//! * A producer that a newer one has shut out is told so (90) where it knows that code (KIP-588); who writes never is.
//! * A transaction that has to be aborted for the producer to go on is 120 from KIP-890 on, and 48 before.
//! * A producer of records may try again after 19 at every version, and not after the codes of a coordinator; from v12
//!   on it speaks to the coordinator itself when it writes, and knows 51 (KIP-890).

use crate::proto::ApiKey;
use crate::proto::error::ErrorCode;

/// A code, the API, and the last of its versions that does not know it and has another for it.
type Row = (ErrorCode, ApiKey, i16, ErrorCode);

const EVERY: i16 = i16::MAX;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (ErrorCode::PRODUCER_FENCED, ApiKey::InitProducerId, 3, ErrorCode::INVALID_PRODUCER_EPOCH),
    (ErrorCode::PRODUCER_FENCED, ApiKey::AddPartitionsToTxn, 1, ErrorCode::INVALID_PRODUCER_EPOCH),
    (ErrorCode::PRODUCER_FENCED, ApiKey::AddOffsetsToTxn, 1, ErrorCode::INVALID_PRODUCER_EPOCH),
    (ErrorCode::PRODUCER_FENCED, ApiKey::EndTxn, 1, ErrorCode::INVALID_PRODUCER_EPOCH),
    (ErrorCode::PRODUCER_FENCED, ApiKey::TxnOffsetCommit, EVERY, ErrorCode::INVALID_PRODUCER_EPOCH),
    (ErrorCode::PRODUCER_FENCED, ApiKey::Produce, EVERY, ErrorCode::INVALID_PRODUCER_EPOCH),
    (ErrorCode::TRANSACTION_ABORTABLE, ApiKey::TxnOffsetCommit, 3, ErrorCode::INVALID_TXN_STATE),
    (ErrorCode::TRANSACTION_ABORTABLE, ApiKey::Produce, 10, ErrorCode::INVALID_TXN_STATE),
    (ErrorCode::CONCURRENT_TRANSACTIONS, ApiKey::Produce, 11, ErrorCode::NOT_ENOUGH_REPLICAS),
    (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ApiKey::TxnOffsetCommit, 1, ErrorCode::COORDINATOR_NOT_AVAILABLE),
    (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ApiKey::Produce, EVERY, ErrorCode::NOT_ENOUGH_REPLICAS),
    (ErrorCode::COORDINATOR_NOT_AVAILABLE, ApiKey::Produce, EVERY, ErrorCode::NOT_ENOUGH_REPLICAS),
];

/// The code as that version of the API knows it.
pub(super) fn known(code: ErrorCode, api: ApiKey, version: i16) -> ErrorCode {
    let is_meant = |row: &&Row| (row.0, row.1) == (code, api) && version <= row.2;
    ROWS.iter().find(is_meant).map_or(code, |row| row.3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: ErrorCode, api: ApiKey, versions: [i16; 2]) -> [i16; 2] {
        versions.map(|version| known(code, api, version).0)
    }

    #[test]
    fn a_code_is_told_from_the_version_on_that_knows_it() {
        use ApiKey::{
            AddOffsetsToTxn, AddPartitionsToTxn, EndTxn, InitProducerId, Produce, TxnOffsetCommit,
        };
        let fenced = ErrorCode::PRODUCER_FENCED;
        assert_eq!(told(fenced, InitProducerId, [3, 4]), [47, 90]);
        for api in [AddPartitionsToTxn, AddOffsetsToTxn, EndTxn] {
            assert_eq!(told(fenced, api, [1, 2]), [47, 90]);
        }
        for api in [Produce, TxnOffsetCommit] {
            assert_eq!(told(fenced, api, [0, 13]), [47, 47]);
        }
        let abortable = ErrorCode::TRANSACTION_ABORTABLE;
        assert_eq!(told(abortable, Produce, [10, 11]), [48, 120]);
        assert_eq!(told(abortable, TxnOffsetCommit, [3, 4]), [48, 120]);
        let concurrent = ErrorCode::CONCURRENT_TRANSACTIONS;
        assert_eq!(told(concurrent, Produce, [11, 12]), [19, 51]);
        assert_eq!(told(concurrent, TxnOffsetCommit, [0, 5]), [51, 51]);
        let loading = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        assert_eq!(told(loading, Produce, [3, 13]), [19, 19]);
        assert_eq!(told(loading, TxnOffsetCommit, [1, 2]), [15, 14]);
        let short = ErrorCode::COORDINATOR_NOT_AVAILABLE;
        assert_eq!(told(short, Produce, [3, 13]), [19, 19]);
        assert_eq!(told(short, EndTxn, [0, 5]), [15, 15]);
    }
}
