//! Readers of committed records: what a partition's answer hides is found as Kafka's Java client finds it.
//!
//! An answer brings whole batches up to the last stable offset, and a list of aborted transactions. Where a batch reaches
//! the first offset of one of these, its producer's records do not count from there to that producer's abort marker.

use super::client::usable;
use crate::call::{self, Read, Reply};
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use chronikd::storage::PartitionId;
use std::collections::BTreeSet;

/// One partition that is followed.
#[derive(Clone, Debug)]
struct Follow {
    at: PartitionId,
    from: i64,
    position: i64,
    /// The last stable offset when the request left.
    floor: i64,
    /// Offsets and marks that count.
    counted: Vec<(i64, u64)>,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Reader {
    version: i16,
    follows: Vec<Follow>,
    line: Option<ConnId>,
    is_waiting: bool,
    is_auditor: bool,
}

/// Before it, partitions are named.
const FIRST_BY_ID: i16 = 13;
const READ_COMMITTED: i8 = 1;

impl Reader {
    /// That of a seed, which begins at some last stable offset.
    pub fn any(side: &mut Side<'_>) -> Reader {
        Reader {
            version: side.luck.pick(&[4, 5, 7, 11, 12, 13, 16, 18]),
            follows: Vec::new(),
            line: None,
            is_waiting: false,
            is_auditor: false,
        }
    }

    /// One that reads everything.
    pub fn auditor(side: &mut Side<'_>) -> Reader {
        let follows = usable(side).into_iter().map(|at| follow(at, 0));
        Reader {
            follows: follows.collect(),
            is_auditor: true,
            ..Reader::any(side)
        }
    }

    /// Whether it has read everything from the beginning.
    pub fn is_auditor(&self) -> bool {
        self.is_auditor
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        (self.line, self.is_waiting) = (None, false);
    }

    /// Whether everything that is committed has been read.
    pub fn is_idle(&self, side: &mut Side<'_>) -> bool {
        let mut follows = self.follows.iter();
        follows.all(|follow| {
            let end = side.ledger.high_watermark(follow.at);
            follow.position >= end
        })
    }

    /// Everything that counts.
    pub fn marks(&self) -> Vec<u64> {
        let counted = self.follows.iter().flat_map(|follow| &follow.counted);
        let marks = counted.map(|(_, mark)| *mark);
        marks
            .filter(|mark| *mark >= super::history::FIRST_MARK)
            .collect()
    }

    /// What was read once is what is read later: no record appears or goes behind a reader.
    pub fn agrees_with(&self, other: &Reader) {
        for follow in &self.follows {
            let theirs = other.follows.iter().find(|theirs| theirs.at == follow.at);
            let theirs = theirs.iter().flat_map(|theirs| &theirs.counted);
            let span = follow.from..follow.position;
            let within: Vec<(i64, u64)> = theirs
                .filter(|(offset, _)| span.contains(offset))
                .copied()
                .collect();
            assert_eq!(
                follow.counted, within,
                "{:?} from {}",
                follow.at, follow.from
            );
        }
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
        let is_whim = !finishing && side.luck.once_in(60);
        if is_whim || !side.machine.is_open(line) {
            side.machine.drop_connection(line);
            self.cut_off();
            return;
        }
        if self.follows.is_empty() {
            for at in usable(side) {
                let from = side.ledger.txns.stable(at);
                self.follows.push(follow(at, from));
            }
        }
        if !self.is_waiting && !self.follows.is_empty() {
            self.ask(side, line);
        }
    }

    fn ask(&mut self, side: &mut Side<'_>, line: ConnId) {
        let by_id = self.version >= FIRST_BY_ID;
        let name_of = |follow: &Follow| side.ledger.topic(follow.at.topic).name.clone();
        let names: Vec<String> = self.follows.iter().map(name_of).collect();
        let mut topics = Vec::new();
        for (follow, name) in self.follows.iter_mut().zip(&names) {
            follow.floor = side.ledger.txns.stable(follow.at);
            topics.push(FetchTopic {
                topic: if by_id { "" } else { name },
                topic_id: match by_id {
                    true => follow.at.topic,
                    false => Default::default(),
                },
                partitions: vec![FetchPartition {
                    partition: follow.at.partition,
                    fetch_offset: follow.position,
                    partition_max_bytes: side.luck.between(1, 4_000) as i32,
                    ..Default::default()
                }],
            });
        }
        let request = FetchRequest {
            max_wait_ms: side.luck.pick(&[0, 1, 100, 400]),
            min_bytes: side.luck.pick(&[0, 1, 500]),
            max_bytes: i32::MAX,
            isolation_level: READ_COMMITTED,
            session_epoch: -1,
            topics,
            ..Default::default()
        };
        side.machine
            .ask(line, ApiKey::Fetch, self.version, &request, true);
        self.is_waiting = true;
    }

    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        let response: FetchResponse<'_> = reply.read();
        assert_eq!(response.error_code, ErrorCode::NONE);
        for topic in &response.responses {
            for data in &topic.partitions {
                let fits = |follow: &&mut Follow| {
                    let name = &side.ledger.topic(follow.at.topic).name;
                    let same = follow.at.topic == topic.topic_id || name == topic.topic;
                    same && follow.at.partition == data.partition_index
                };
                let found = self.follows.iter_mut().find(fits);
                let found = found.expect("a partition that was asked for");
                found.take(side, data);
            }
        }
    }
}

fn follow(at: PartitionId, from: i64) -> Follow {
    Follow {
        at,
        from,
        position: from,
        floor: 0,
        counted: Vec::new(),
    }
}

impl Follow {
    fn take(&mut self, side: &mut Side<'_>, data: &PartitionData<'_>) {
        if data.error_code == ErrorCode::NOT_LEADER_OR_FOLLOWER {
            return;
        }
        assert_eq!(data.error_code, ErrorCode::NONE);
        let stable = data.last_stable_offset;
        assert!(stable >= self.floor, "the last stable offset went back");
        assert!(stable <= data.high_watermark);
        let aborted = data.aborted_transactions.as_deref();
        let mut filter = Filter::new(aborted.expect("a list, for it was asked for"));
        for batch in call::batches(data.records.bytes().unwrap_or_default()) {
            let next = batch.header.next_offset();
            assert!(next <= stable, "read beyond the last stable offset");
            side.ledger.saw(self.at, &batch, self.position);
            if filter.counts(&batch) {
                self.count(side, &batch);
            }
            self.position = next;
        }
    }

    fn count(&mut self, side: &mut Side<'_>, batch: &Read) {
        for (offset, mark) in (batch.header.base_offset..).zip(&batch.marks) {
            if offset >= self.position {
                side.ledger.txns.read(*mark);
                self.counted.push((offset, *mark));
            }
        }
    }
}

/// What hides aborted records in one answer.
struct Filter {
    /// First offsets and producer ids, the nearest last.
    ahead: Vec<(i64, i64)>,
    aborting: BTreeSet<i64>,
}

impl Filter {
    fn new(aborted: &[AbortedTransaction]) -> Filter {
        let pairs = aborted.iter().map(|it| (it.first_offset, it.producer_id));
        let mut ahead: Vec<(i64, i64)> = pairs.collect();
        assert!(ahead.is_sorted_by_key(|(first, _)| *first));
        ahead.reverse();
        Filter {
            ahead,
            aborting: BTreeSet::new(),
        }
    }

    /// Whether the records of the next batch count.
    fn counts(&mut self, batch: &Read) -> bool {
        let header = &batch.header;
        while let Some((_, id)) = self
            .ahead
            .pop_if(|(first, _)| *first <= header.last_offset())
        {
            self.aborting.insert(id);
        }
        if let Some(commits) = batch.commits {
            if !commits {
                self.aborting.remove(&header.producer_id);
            }
            return false;
        }
        !header.attributes.is_transactional() || !self.aborting.contains(&header.producer_id)
    }
}
