//! Fetchers: each follows all partitions of one topic, with long polls, with and without fetch sessions.
//!
//! What a fetcher has read goes into the ledger and stays there: a later life of the broker that has other
//! records at these offsets, or none, is found out.

use crate::call::{self, Read, Reply};
use crate::ledger::State;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use chronikd::proto::{ApiKey, Uuid};
use chronikd::storage::PartitionId;

/// One partition that is followed.
#[derive(Clone, Debug)]
struct Follow {
    at: PartitionId,
    position: i64,
    /// The session has another position.
    moved: bool,
    /// The high watermark when the request left.
    floor: i64,
    /// Everything that was read, if that is wanted.
    kept: Vec<Read>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Fetcher {
    version: i16,
    uses_sessions: bool,
    /// Id and next epoch.
    session: (i32, i32),
    follows: Vec<Follow>,
    line: Option<ConnId>,
    waiting: bool,
    /// It reads from the beginning and keeps it all.
    is_auditor: bool,
}

const NO_SESSION: (i32, i32) = (0, 0);

impl Fetcher {
    /// A fetcher that has no topic yet.
    pub fn new(version: i16, uses_sessions: bool) -> Fetcher {
        Fetcher {
            version,
            uses_sessions: uses_sessions && version >= 7,
            session: NO_SESSION,
            follows: Vec::new(),
            line: None,
            waiting: false,
            is_auditor: false,
        }
    }

    /// One that reads these partitions from their beginning and keeps everything.
    pub fn auditor(all: &[PartitionId], side: &mut Side<'_>) -> Fetcher {
        let follow = |at: &PartitionId| Follow {
            at: *at,
            position: side.ledger.log_start(*at),
            moved: true,
            floor: 0,
            kept: Vec::new(),
        };
        Fetcher {
            follows: all.iter().map(follow).collect(),
            is_auditor: true,
            ..Fetcher::new(13, false)
        }
    }

    /// Everything that the auditor has read.
    pub fn into_kept(self) -> Vec<(PartitionId, Vec<Read>)> {
        self.follows
            .into_iter()
            .map(|follow| (follow.at, follow.kept))
            .collect()
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        (self.line, self.waiting, self.session) = (None, false, NO_SESSION);
        self.follows
            .iter_mut()
            .for_each(|follow| follow.moved = true);
    }

    /// Whether everything that is there has been read.
    pub fn is_idle(&self, side: &mut Side<'_>) -> bool {
        let done = |follow: &Follow| follow.position >= side.ledger.high_watermark(follow.at);
        self.follows.iter().all(done)
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            self.waiting = false;
            self.take(side, &reply);
        }
        if !side.machine.is_open(line) {
            assert!(
                side.machine.is_idle(line),
                "the broker has closed a fetcher's connection"
            );
            side.machine.drop_connection(line);
            self.cut_off();
            return;
        }
        if !finishing && side.luck.once_in(80) {
            side.machine.drop_connection(line);
            self.cut_off();
        } else if !self.waiting && self.choose(side) {
            self.ask(side, line);
        }
    }

    /// Chooses a topic, if there is none; `false` if there is none to be had.
    fn choose(&mut self, side: &mut Side<'_>) -> bool {
        if !self.follows.is_empty() {
            return true;
        }
        let by_id = self.version >= 13;
        let usable = side
            .ledger
            .existing()
            .filter(|topic| by_id || topic.keeps_name());
        let usable: Vec<(Uuid, usize)> = usable.map(|t| (t.id, t.partition_count())).collect();
        if usable.is_empty() {
            return false;
        }
        let (topic, count) = side.luck.pick(&usable);
        for partition in 0..count as i32 {
            let at = PartitionId { topic, partition };
            let position = match side.luck.below(3) {
                0 => side.ledger.high_watermark(at),
                1 => side.luck.below(side.ledger.high_watermark(at) as usize + 1) as i64,
                _ => 0,
            };
            self.follows.push(Follow {
                at,
                position,
                moved: true,
                floor: 0,
                kept: Vec::new(),
            });
        }
        self.session = NO_SESSION;
        true
    }

    fn ask(&mut self, side: &mut Side<'_>, line: ConnId) {
        let by_id = self.version >= 13;
        let is_full = !self.uses_sessions || self.session.1 == 0;
        for follow in &mut self.follows {
            follow.floor = side.ledger.high_watermark(follow.at);
        }
        let names: Vec<String> = self
            .follows
            .iter()
            .map(|follow| side.ledger.topic(follow.at.topic).name.clone())
            .collect();
        let max_bytes = if self.is_auditor {
            1 << 20
        } else {
            side.luck.between(1, 6000) as i32
        };
        let mut topics: Vec<FetchTopic<'_>> = Vec::new();
        for (follow, name) in self
            .follows
            .iter()
            .zip(&names)
            .filter(|(f, _)| is_full || f.moved)
        {
            topics.push(FetchTopic {
                topic: if by_id { "" } else { name },
                topic_id: if by_id { follow.at.topic } else { Uuid::ZERO },
                partitions: vec![FetchPartition {
                    partition: follow.at.partition,
                    fetch_offset: follow.position,
                    partition_max_bytes: max_bytes,
                    ..Default::default()
                }],
            });
        }
        let waits = !self.is_auditor && side.luck.once_in(2);
        let (session_id, session_epoch) = if self.uses_sessions {
            self.session
        } else {
            (0, -1)
        };
        let request = FetchRequest {
            max_wait_ms: if waits {
                side.luck.between(1, 400) as i32
            } else {
                0
            },
            min_bytes: side.luck.between(0, 2000) as i32,
            max_bytes: if self.is_auditor {
                i32::MAX
            } else {
                side.luck.between(1, 20_000) as i32
            },
            isolation_level: side.luck.below(2) as i8,
            session_id,
            session_epoch,
            topics,
            ..Default::default()
        };
        side.machine
            .ask(line, ApiKey::Fetch, self.version, &request, true);
        self.follows
            .iter_mut()
            .for_each(|follow| follow.moved = false);
        self.waiting = true;
    }

    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        let response: FetchResponse<'_> = reply.read();
        match response.error_code {
            ErrorCode::NONE => {}
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH => {
                assert!(self.uses_sessions, "a session that nobody asked for");
                self.session = NO_SESSION;
                self.follows
                    .iter_mut()
                    .for_each(|follow| follow.moved = true);
                return;
            }
            code => panic!("fetch failed with {}", code.0),
        }
        if self.uses_sessions {
            let is_kept = response.session_id != 0;
            self.session = if is_kept {
                (response.session_id, self.session.1 + 1)
            } else {
                NO_SESSION
            };
        }
        for topic in &response.responses {
            for data in &topic.partitions {
                let index = self.find(side, topic.topic, topic.topic_id, data.partition_index);
                if !self.take_partition(side, index, data) {
                    self.follows.clear();
                    self.session = NO_SESSION;
                    return;
                }
            }
        }
    }

    fn find(&self, side: &Side<'_>, name: &str, id: Uuid, partition: i32) -> usize {
        let fits = |follow: &Follow| {
            let same = follow.at.topic == id || side.ledger.topic(follow.at.topic).name == name;
            same && follow.at.partition == partition
        };
        self.follows
            .iter()
            .position(fits)
            .expect("a partition that was asked for")
    }

    /// `false` when the topic has gone.
    fn take_partition(
        &mut self,
        side: &mut Side<'_>,
        index: usize,
        data: &PartitionData<'_>,
    ) -> bool {
        let follow = &mut self.follows[index];
        let topic = side.ledger.topic(follow.at.topic);
        match data.error_code {
            ErrorCode::NONE => {}
            ErrorCode::NOT_LEADER_OR_FOLLOWER => return true,
            ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                assert_ne!(topic.state, State::Exists, "{} is not found", topic.name);
                return false;
            }
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                let is_lost = !topic.durable && side.ledger.losses > 0;
                let start = side.ledger.log_start(follow.at);
                assert!(
                    is_lost || follow.position < start,
                    "{} is outside, but {:?} begins at {start}",
                    follow.position,
                    follow.at
                );
                (follow.position, follow.moved) = (start, true);
                return true;
            }
            code => panic!(
                "fetch of {}-{} at {}: {}",
                topic.name, follow.at.partition, follow.position, code.0
            ),
        }
        assert!(
            data.high_watermark >= follow.floor,
            "the high watermark of {} went back",
            topic.name
        );
        let is_compacted = topic.is_compacted;
        let batches = call::batches(data.records.bytes().unwrap_or_default());
        for (place, batch) in batches.into_iter().enumerate() {
            let base = batch.header.base_offset;
            let inside = place == 0 && base <= follow.position;
            let passes = base > follow.position && is_compacted;
            assert!(
                inside || passes || base == follow.position,
                "a gap in {:?} before {base}: {} expected",
                follow.at,
                follow.position
            );
            assert!(
                batch.header.last_offset() >= follow.position,
                "a batch that nobody asked for"
            );
            assert!(
                batch.header.next_offset() <= data.high_watermark,
                "read beyond the high watermark"
            );
            side.ledger.saw(follow.at, &batch, follow.position);
            (follow.position, follow.moved) = (batch.header.next_offset(), true);
            if self.is_auditor {
                follow.kept.push(batch);
            }
        }
        true
    }
}
