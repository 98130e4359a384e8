//! Partitions on disk. Knows batches, not requests.

use crate::proto::Uuid;

/// One partition of one topic, by the topic's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic's id, never zero.
    pub topic: Uuid,
    /// The partition's number, from 0.
    pub partition: i32,
}

/// What a job of the work lane brings back to the storage.
pub enum Done {}

use crate::clock::{Mono, Now};
use crate::config::LogConfig;
use crate::disk::lanes::{Job, Round};
use crate::disk::{Disk, View};
use crate::proto::error::ErrorCode;
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Storage;
pub struct Known {
    pub id: PartitionId,
    pub topic_name: Arc<str>,
    pub config: Arc<LogConfig>,
}
pub enum Unavailable {
    Unknown,
    Loading,
    Damaged,
}
pub enum Origin {
    Client,
}
pub struct Appended {
    pub base_offset: i64,
    pub log_append_time_ms: i64,
    pub log_start_offset: i64,
    pub round: u64,
    pub duplicate: bool,
}
pub struct Refused {
    pub code: ErrorCode,
    pub message: Option<Cow<'static, str>>,
    pub record_errors: Vec<(i32, Option<String>)>,
    pub failure: Option<Failure>,
}
pub struct Failure {
    pub path: PathBuf,
    pub error: io::Error,
}
pub struct Found {
    pub views: Vec<View>,
    pub bytes: usize,
}
#[derive(Debug)]
pub enum ReadError {
    X(i32),
}
impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "x")
    }
}
impl ReadError {
    pub fn code(&self) -> ErrorCode {
        ErrorCode::NONE
    }
}
pub struct TimedOffset {
    pub timestamp: i64,
    pub offset: i64,
    pub leader_epoch: i32,
}
pub struct Log;
impl Log {
    pub fn log_start(&self) -> i64 {
        0
    }
    pub fn high_watermark(&self) -> i64 {
        0
    }
    pub fn last_stable_offset(&self) -> i64 {
        0
    }
    pub fn log_end(&self) -> i64 {
        0
    }
    pub fn config(&self) -> &Arc<LogConfig> {
        unimplemented!()
    }
    pub fn epoch_of(&self, _o: i64) -> i32 {
        0
    }
    pub fn end_of_epoch(&self, _e: i32) -> (i32, i64) {
        (0, 0)
    }
    pub fn available(&self, _f: i64, _u: i64) -> usize {
        0
    }
}
impl Storage {
    pub fn new(
        _disk: Arc<dyn Disk>,
        _root: PathBuf,
        _leader_epoch: i32,
        _producer_id_expiration_ms: i64,
    ) -> Storage {
        Storage
    }
    pub fn start(&mut self, _known: Vec<Known>, _clean: bool, _now: Now) -> io::Result<()> {
        Ok(())
    }
    pub fn create(
        &mut self,
        _id: PartitionId,
        _topic_name: &Arc<str>,
        _config: &Arc<LogConfig>,
        _now: Now,
    ) -> io::Result<()> {
        Ok(())
    }
    pub fn forget(&mut self, _id: PartitionId) {}
    pub fn delete_files(&mut self, _id: PartitionId, _now: Now) {}
    pub fn log(&self, _id: PartitionId) -> Result<&Log, Unavailable> {
        Err(Unavailable::Unknown)
    }
    pub fn is_loading(&self, _id: PartitionId) -> bool {
        false
    }
    pub fn append(
        &mut self,
        _id: PartitionId,
        _now: Now,
        _records: &[u8],
        _origin: Origin,
    ) -> Result<Appended, Refused> {
        unimplemented!()
    }
    pub fn read(
        &mut self,
        _id: PartitionId,
        _from: i64,
        _until: i64,
        _max_bytes: usize,
        _at_least_one: bool,
    ) -> Result<Found, ReadError> {
        unimplemented!()
    }
    pub fn read_raw(
        &mut self,
        _id: PartitionId,
        _from: i64,
        _until: i64,
        _max_bytes: usize,
        _at_least_one: bool,
    ) -> Result<Vec<u8>, ReadError> {
        unimplemented!()
    }
    pub fn offset_for_time(
        &mut self,
        _id: PartitionId,
        _time: i64,
    ) -> Result<Option<TimedOffset>, ReadError> {
        unimplemented!()
    }
    pub fn max_timestamp(&mut self, _id: PartitionId) -> Result<Option<TimedOffset>, ReadError> {
        unimplemented!()
    }
    pub fn segment_bases(&self, _id: PartitionId) -> Vec<(i64, i64)> {
        unimplemented!()
    }
    pub fn gather(&mut self, _round: &mut Round) {}
    pub fn needs_round(&self) -> bool {
        false
    }
    pub fn synced(&mut self, _round: u64) {}
    pub fn take_signals(&mut self) -> Vec<(PartitionId, usize)> {
        vec![]
    }
    pub fn take_jobs(&mut self) -> Vec<Job<Done>> {
        vec![]
    }
    pub fn absorb(&mut self, _done: Done, _now: Now) -> Result<(), Failure> {
        Ok(())
    }
    pub fn tick(&mut self, _now: Now) {}
    pub fn next_deadline(&self) -> Option<Mono> {
        None
    }
    pub fn begin_close(&mut self, _now: Now) {}
    pub fn closed(&self) -> bool {
        true
    }
    pub fn check_invariants(&self) {}
}
impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Refused {
        Refused {
            code,
            message: None,
            record_errors: vec![],
            failure: None,
        }
    }
}
impl Refused {
    pub fn new(code: ErrorCode, m: &'static str) -> Refused {
        Refused {
            code,
            message: Some(m.into()),
            record_errors: vec![],
            failure: None,
        }
    }
}
impl From<Unavailable> for ReadError {
    fn from(_: Unavailable) -> ReadError {
        ReadError::X(1)
    }
}
impl Log {
    pub fn segment_bases(&self) -> Vec<(i64, i64)> {
        unimplemented!()
    }
}
