//! An operator: it writes markers by hand, deletes groups that transactions commit offsets of, and changes the level of
//! `transaction.version` while transactions are open.

use super::history::PREY;
use super::{IDS, job};
use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::features::{TRANSACTION_VERSION, find};
use chronikd::broker::wait::ConnId;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use chronikd::proto::schema::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use chronikd::proto::schema::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

/// A producer id that no client is ever given.
const STRANGER: i64 = 1 << 50;
/// Types of an update of features.
const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    line: Option<ConnId>,
    /// The group whose deletion is asked for.
    condemned: Option<&'static str>,
    is_waiting: bool,
}

impl Operator {
    /// The broker is gone.
    pub fn cut_off(&mut self) {
        *self = Operator::default();
    }

    /// Whether everything was answered.
    pub fn is_idle(&self) -> bool {
        !self.is_waiting
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            self.is_waiting = false;
            self.take(side, &reply);
        }
        if !side.machine.is_open(line) {
            side.machine.drop_connection(line);
            return self.cut_off();
        }
        if finishing || self.is_waiting {
            return;
        }
        self.is_waiting = match side.luck.below(8) {
            0 => self.condemn(side, line),
            1 => settle(side, line),
            2..=4 => mark(side, line),
            _ => false,
        };
    }

    /// Deletes a group.
    fn condemn(&mut self, side: &mut Side<'_>, line: ConnId) -> bool {
        let id = side.luck.pick(&IDS);
        side.ledger.txns.condemning(id);
        self.condemned = Some(id);
        let request = DeleteGroupsRequest {
            groups_names: vec![id],
        };
        side.machine
            .ask(line, ApiKey::DeleteGroups, 2, &request, true);
        true
    }

    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        match reply.api {
            ApiKey::DeleteGroups => {
                let response: DeleteGroupsResponse<'_> = reply.read();
                let code = response.results[0].error_code;
                let is_known = [ErrorCode::NONE, ErrorCode::GROUP_ID_NOT_FOUND].contains(&code);
                assert!(is_known, "{} to a deletion", code.0);
                if let Some(id) = self.condemned.take() {
                    side.ledger.txns.judged(id);
                }
                side.ledger.txns.tally.note("groups deleted");
            }
            ApiKey::UpdateFeatures => {
                let response: UpdateFeaturesResponse<'_> = reply.read();
                assert_eq!(response.error_code, ErrorCode::NONE);
                side.ledger.txns.tally.note("levels settled");
            }
            _ => take_marked(side, &reply.read()),
        }
    }
}

/// Settles on another level.
fn settle(side: &mut Side<'_>, line: ConnId) -> bool {
    let level = side.luck.between(0, 2) as i16;
    let feature = find(TRANSACTION_VERSION).expect("a feature of the table");
    let now = side.machine.broker().features().level(feature);
    side.ledger.txns.has_features = true;
    let request = UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: TRANSACTION_VERSION,
            max_version_level: level,
            upgrade_type: if level < now {
                UNSAFE_DOWNGRADE
            } else {
                UPGRADE
            },
            ..Default::default()
        }],
        ..Default::default()
    };
    let version = side.luck.between(1, 2) as i16;
    side.machine
        .ask(line, ApiKey::UpdateFeatures, version, &request, true);
    true
}

/// Writes a marker: of a stranger, of a transaction that is long over, or of the prey.
fn mark(side: &mut Side<'_>, line: ConnId) -> bool {
    let id = side.luck.pick(&IDS);
    let Some((producer_id, epoch)) = side.ledger.txns.newest_of(id) else {
        return false;
    };
    let (producer_id, producer_epoch) = match side.luck.below(4) {
        0 => (STRANGER, side.luck.below(3) as i16),
        1 if id == PREY => (producer_id, epoch.saturating_add(1)),
        _ if id == PREY => (producer_id, epoch),
        _ if epoch < 2 => return false,
        _ => (producer_id, epoch - 2),
    };
    let at = side.luck.pick(&job::usable(side));
    let name = side.ledger.topic(at.topic).name.clone();
    let request = WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id,
            producer_epoch,
            transaction_result: side.luck.once_in(2),
            topics: vec![WritableTxnMarkerTopic {
                name: &name,
                partition_indexes: vec![at.partition],
            }],
            coordinator_epoch: side.luck.below(6) as i32,
            transaction_version: side.luck.pick(&[0, 2]),
        }],
    };
    let version = side.luck.between(1, 2) as i16;
    side.machine
        .ask(line, ApiKey::WriteTxnMarkers, version, &request, true);
    true
}

fn take_marked(side: &mut Side<'_>, response: &WriteTxnMarkersResponse<'_>) {
    let code = response.markers[0].topics[0].partitions[0].error_code;
    match code {
        ErrorCode::NONE => side.ledger.txns.tally.note("markers by hand"),
        ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::TRANSACTION_COORDINATOR_FENCED
        | ErrorCode::NOT_LEADER_OR_FOLLOWER => {}
        ErrorCode::KAFKA_STORAGE_ERROR => assert!(side.ledger.faulty),
        code => panic!("{} to a marker", code.0),
    }
}
