//! Somebody who deletes records. What was acknowledged as deleted stays so in every later life; nothing is deleted
//! that nobody has asked for and no topic's settings have; and what is deleted leaves the disk.

use crate::call::Reply;
use crate::errand::Errand;
use crate::machine::{Machine, ROOT};
use crate::side::Side;
use chronikd::disk::Disk;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use chronikd::storage::PartitionId;
use std::collections::BTreeSet;
use std::io::ErrorKind::NotFound;
use std::path::Path;

const HIGH_WATERMARK: i64 = -1;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Deleter {
    errand: Errand<(PartitionId, i64)>,
}

impl Deleter {
    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        self.errand.cut_off();
    }

    /// Whether nothing is unanswered.
    pub fn is_idle(&self) -> bool {
        self.errand.is_idle()
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        if self.errand.step(side, take) && !finishing {
            self.begin(side);
        }
    }

    fn begin(&mut self, side: &mut Side<'_>) {
        // The names of others may be given anew while a request is on its way.
        let mut all = side.ledger.partitions();
        all.retain(|at| side.ledger.topic(at.topic).name.starts_with("main"));
        if all.is_empty() {
            return;
        }
        let at = side.luck.pick(&all);
        match side.luck.below(10) {
            0 => self.errand.hang_up(side),
            1 => self.delete(side, at, HIGH_WATERMARK),
            // Not much at once, or there is soon nothing left that could come back.
            _ => {
                let start = side.ledger.log_start(at);
                let more = side.luck.between(0, 6) as i64;
                let most = side.ledger.high_watermark(at);
                self.delete(side, at, most.min(start + more));
            }
        }
    }

    /// Asks for a partition to begin there.
    pub fn delete(&mut self, side: &mut Side<'_>, at: PartitionId, offset: i64) {
        let line = self.errand.line(side);
        side.ledger.deleting_records(at, offset);
        let name = side.ledger.topic(at.topic).name.clone();
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: &name,
                partitions: vec![DeleteRecordsPartition {
                    partition_index: at.partition,
                    offset,
                }],
            }],
            timeout_ms: 10_000,
        };
        let version = side.luck.between(0, 2) as i16;
        let api = ApiKey::DeleteRecords;
        side.machine.ask(line, api, version, &request, true);
        self.errand.asked((at, offset));
    }

    /// Goes away.
    pub fn hang_up(&mut self, side: &mut Side<'_>) {
        self.errand.hang_up(side);
    }
}

fn take(side: &mut Side<'_>, (at, offset): (PartitionId, i64), reply: &Reply) {
    let response: DeleteRecordsResponse<'_> = reply.read();
    let row = &response.topics[0].partitions[0];
    match row.error_code {
        ErrorCode::NONE => {
            assert!(row.low_watermark >= offset);
            side.ledger.deleted_records(at, row.low_watermark);
        }
        ErrorCode::NOT_LEADER_OR_FOLLOWER => {}
        ErrorCode::KAFKA_STORAGE_ERROR if side.ledger.faulty => {}
        // A power cut has taken back what was never synced.
        ErrorCode::OFFSET_OUT_OF_RANGE if !side.ledger.topic(at.topic).durable => {}
        code => panic!("DeleteRecords failed with {}", code.0),
    }
}

/// When all is quiet, no log has a segment that lies before its beginning, in memory or on the disk, and what counts
/// for the budget is what is there.
pub fn check_shrunk(machine: &Machine) {
    let counted_bytes = machine.broker().storage.used_bytes();
    let (named_bytes, deleted_bytes) = machine.segment_bytes();
    assert_eq!(named_bytes + deleted_bytes, counted_bytes, "in the books");
    for log in machine.broker().storage.logs() {
        let bases = log.segment_bases();
        let distinct: BTreeSet<i64> = bases.iter().map(|(base, _)| *base).collect();
        assert_eq!(distinct.len(), bases.len(), "a segment below the start");
        let topic = machine.broker().topics().by_id(log.id().topic);
        let name = &topic.expect("a log has a topic").name;
        let dir = Path::new(ROOT).join(format!("{name}-{}", log.id().partition));
        // Before its first record a log has none.
        let files = match machine.disk.list(&dir) {
            Err(error) if error.kind() == NotFound && log.log_end() == 0 => continue,
            files => files.expect("a listing"),
        };
        let names = files.iter().map(|file| file.name.as_str());
        let logs = names.clone().filter(|name| name.ends_with(".log"));
        assert_eq!(logs.count(), bases.len(), "segments of {}", dir.display());
        let deleted = names.filter(|name| name.ends_with(".deleted"));
        assert_eq!(
            deleted.count(),
            0,
            "what was deleted is in {}",
            dir.display()
        );
    }
}
