//! Copiers: each reads the committed records of its partitions, and writes copies of them and the offsets up to which
//! it has read in one transaction.
//!
//! It begins where its group has committed, once no transaction is undecided about that. Its seat may be taken while it
//! copies, because it was silent for too long, or another process has its instance id: then it is a zombie, whose
//! offsets must be refused, and with them its output.

use super::client::Client;
use super::follow::{self, Follow};
use super::job::{self, Job, Moved, Write};
use super::member::{GROUP, Member};
use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use chronikd::storage::PartitionId;
use std::collections::VecDeque;

/// From this version on several groups are asked for at once.
const GROUPS: i16 = 8;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Copier {
    client: Client,
    member: Member,
    line: Option<ConnId>,
    is_waiting: bool,
    /// The partitions that it was given.
    own: Vec<PartitionId>,
    /// How far they are read; nothing while that has to be asked for.
    follows: Vec<Follow>,
    /// Its client has a job.
    is_busy: bool,
    /// It says nothing to its group while it has a job.
    is_single: bool,
    /// It has no whims.
    is_steady: bool,
    fetch_version: i16,
    offsets_version: i16,
    /// Steps until it wakes up.
    pause: usize,
}

impl Copier {
    /// That of a seed.
    pub fn any(client: Client, instance: Option<String>, side: &mut Side<'_>) -> Copier {
        Copier {
            client: client.employed(),
            member: Member::new(instance, side),
            line: None,
            is_waiting: false,
            own: Vec::new(),
            follows: Vec::new(),
            is_busy: false,
            is_single: side.luck.once_in(2),
            is_steady: false,
            fetch_version: side.luck.pick(&[4, 7, 11, 12, 13, 16]),
            offsets_version: side.luck.between(7, 9) as i16,
            pause: 0,
        }
    }

    /// One without whims.
    pub fn scripted(client: Client, side: &mut Side<'_>) -> Copier {
        Copier {
            is_single: true,
            is_steady: true,
            ..Copier::any(client, None, side)
        }
    }

    /// Whether nothing is begun.
    pub fn is_idle(&self) -> bool {
        self.client.is_idle()
    }

    /// Whether its last transaction is committed.
    pub fn has_copied(&self) -> bool {
        self.client.has_committed
    }

    /// The broker is gone.
    pub fn cut_off(&mut self) {
        self.client.cut_off();
        self.lose_line();
    }

    fn lose_line(&mut self) {
        (self.line, self.is_waiting) = (None, false);
        self.member.cut_off();
    }

    fn hang_up(&mut self, side: &mut Side<'_>) {
        if let Some(line) = self.line {
            side.machine.drop_connection(line);
        }
        self.lose_line();
    }

    /// Does one thing. One that is finishing ends what it is doing, and is silent then.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        self.client.step(side, finishing);
        if finishing {
            return self.hang_up(side);
        }
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            self.is_waiting = false;
            self.take(side, &reply);
        }
        if self.has_whim(side) || !side.machine.is_open(line) {
            return self.hang_up(side);
        }
        if !self.is_waiting {
            self.is_waiting = self.go_on(side, line);
        }
    }

    /// It sleeps, hangs up or dies.
    fn has_whim(&mut self, side: &mut Side<'_>) -> bool {
        match side.luck.below(300) {
            _ if self.is_steady => {}
            0..=2 => self.pause = side.luck.between(5, 60),
            3 | 4 => return true,
            5 => {
                self.member.start_anew();
                return true;
            }
            _ => {}
        }
        false
    }

    /// Asks the next thing; `false` if there is nothing to ask.
    fn go_on(&mut self, side: &mut Side<'_>, line: ConnId) -> bool {
        if !self.client.is_idle() {
            return !self.is_single && self.member.is_working() && self.member.say(side, line);
        }
        if std::mem::take(&mut self.is_busy) && !self.client.has_committed {
            self.follows.clear();
        }
        if self.member.say(side, line) {
            return true;
        }
        if self.own.is_empty() {
            return false;
        }
        if self.follows.is_empty() {
            self.ask_offsets(side, line);
            return true;
        }
        if self.follows.iter().any(|follow| !follow.counted.is_empty()) {
            if self.client.is_ready() {
                self.copy(side);
            }
            return false;
        }
        follow::fetch(side, line, self.fetch_version, &mut self.follows);
        true
    }

    /// Begins a transaction of everything that was read.
    fn copy(&mut self, side: &mut Side<'_>) {
        let mut sources: VecDeque<(PartitionId, i64)> = VecDeque::new();
        let mut offsets = Vec::new();
        for follow in &mut self.follows {
            let read = follow.counted.drain(..);
            sources.extend(read.map(|(offset, _)| (follow.at, offset)));
            if follow.position > follow.from {
                offsets.push((follow.at, follow.position));
                follow.from = follow.position;
            }
        }
        let outputs = job::outputs(side);
        let mut writes = VecDeque::new();
        while !sources.is_empty() {
            let count = side.luck.between(1, 9).min(sources.len());
            writes.push_back(Write {
                at: side.luck.pick(&outputs),
                count,
                sources: sources.drain(..count).collect(),
            });
        }
        let seat = self.member.seat.clone();
        let job = Job {
            number: side.ledger.txns.begin(self.client.speaker.id),
            commits: side.luck.below(5) > 0,
            moves_before: side.luck.below(writes.len() + 1),
            writes,
            moved: Some(Moved { seat, offsets }),
        };
        self.client.employ(job, side);
        self.is_busy = true;
    }

    fn ask_offsets(&mut self, side: &mut Side<'_>, line: ConnId) {
        let version = self.offsets_version;
        let name_of = |at: &PartitionId| side.ledger.topic(at.topic).name.clone();
        let names: Vec<String> = self.own.iter().map(name_of).collect();
        let rows = || self.own.iter().zip(&names);
        let old = rows().map(|(at, name)| OffsetFetchRequestTopic {
            name,
            partition_indexes: vec![at.partition],
        });
        let new = rows().map(|(at, name)| OffsetFetchRequestTopics {
            name,
            partition_indexes: vec![at.partition],
            ..Default::default()
        });
        let group = OffsetFetchRequestGroup {
            group_id: GROUP,
            topics: Some(new.collect()),
            ..Default::default()
        };
        let is_new = version >= GROUPS;
        let request = OffsetFetchRequest {
            group_id: if is_new { "" } else { GROUP },
            topics: (!is_new).then(|| old.collect()),
            groups: if is_new { vec![group] } else { Vec::new() },
            require_stable: true,
        };
        side.machine
            .ask(line, ApiKey::OffsetFetch, version, &request, true);
    }
}

/// What it is told.
impl Copier {
    fn take(&mut self, side: &mut Side<'_>, reply: &Reply) {
        match reply.api {
            ApiKey::Fetch if self.follows.is_empty() => {}
            ApiKey::Fetch => follow::take(side, &reply.read(), &mut self.follows),
            ApiKey::OffsetFetch => self.take_offsets(side, reply),
            _ => {
                if let Some(own) = self.member.take(reply) {
                    (self.own, self.follows) = (own, Vec::new());
                }
            }
        }
    }

    fn take_offsets(&mut self, side: &mut Side<'_>, reply: &Reply) {
        let rows = match reply.version {
            ..GROUPS => old_rows(side, &reply.read()),
            _ => new_rows(side, &reply.read()),
        };
        let is_unstable = |(_, _, code): &(_, _, ErrorCode)| match *code {
            ErrorCode::NONE => false,
            ErrorCode::UNSTABLE_OFFSET_COMMIT => true,
            code => panic!("{} to a question for offsets", code.0),
        };
        if rows.iter().any(is_unstable) {
            side.ledger.txns.tally.note("88");
            self.pause = side.luck.below(4);
            return;
        }
        assert_eq!(rows.len(), self.own.len());
        let follows = rows.into_iter();
        let follows = follows.map(|(at, offset, _)| Follow::new(at, offset.max(0)));
        self.follows = follows.collect();
    }
}

type Row = (PartitionId, i64, ErrorCode);

fn find(side: &Side<'_>, name: &str, partition: i32) -> PartitionId {
    let topic = side.ledger.existing().find(|topic| topic.name == name);
    let topic = topic.expect("a topic that exists").id;
    PartitionId { topic, partition }
}

fn old_rows(side: &Side<'_>, response: &OffsetFetchResponse<'_>) -> Vec<Row> {
    assert_eq!(response.error_code, ErrorCode::NONE);
    let topics = response.topics.iter();
    let rows = topics.flat_map(|topic| topic.partitions.iter().map(|it| (topic.name, it)));
    rows.map(|(name, it)| {
        let at = find(side, name, it.partition_index);
        (at, it.committed_offset, it.error_code)
    })
    .collect()
}

fn new_rows(side: &Side<'_>, response: &OffsetFetchResponse<'_>) -> Vec<Row> {
    let group = &response.groups[0];
    assert_eq!(group.error_code, ErrorCode::NONE);
    let topics = group.topics.iter();
    let rows = topics.flat_map(|topic| topic.partitions.iter().map(|it| (topic.name, it)));
    rows.map(|(name, it)| {
        let at = find(side, name, it.partition_index);
        (at, it.committed_offset, it.error_code)
    })
    .collect()
}
