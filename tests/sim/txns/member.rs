//! The part of a copier that is a member of a consumer group: it joins, shares out the partitions if it leads, and says
//! now and then that it lives.

use super::job::{self, Seat};
use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::wait::ConnId;
use chronikd::clock::Mono;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use chronikd::proto::schema::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use chronikd::proto::schema::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use chronikd::proto::{ApiKey, Uuid};
use chronikd::storage::PartitionId;

/// The group of all copiers.
pub const GROUP: &str = "mirrors";
const KIND: &str = "consumer";
const PROTOCOL: &str = "range";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// It has to join.
    Out,
    /// It has to ask for its assignment; the leader knows the members.
    Joined(Vec<String>),
    /// It has its partitions.
    Working,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Member {
    /// As whom it speaks.
    pub seat: Seat,
    stage: Stage,
    session_ms: i32,
    /// How long a rebalance waits for it.
    rebalance_ms: i32,
    join_version: i16,
    /// When it says next that it lives.
    beats_at: Mono,
}

impl Member {
    /// A member that is not in the group yet.
    pub fn new(instance: Option<String>, side: &mut Side<'_>) -> Member {
        Member {
            seat: Seat {
                instance,
                ..Seat::nobody(GROUP)
            },
            stage: Stage::Out,
            session_ms: side.luck.pick(&[6_000, 6_000, 15_000, 45_000]),
            rebalance_ms: side.luck.pick(&[1_000, 5_000]),
            join_version: side.luck.between(5, 9) as i16,
            beats_at: Mono(0),
        }
    }

    /// Whether it has its partitions, as far as it knows.
    pub fn is_working(&self) -> bool {
        self.stage == Stage::Working
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        self.beats_at = Mono(0);
        if self.stage != Stage::Working {
            self.stage = Stage::Out;
        }
    }

    /// Its process dies, or it was thrown out: it comes again as somebody new.
    pub fn start_anew(&mut self) {
        self.stage = Stage::Out;
        self.seat = Seat {
            instance: self.seat.instance.take(),
            ..Seat::nobody(GROUP)
        };
    }

    /// Says what it has to say now; `false` if that is nothing.
    pub fn say(&mut self, side: &mut Side<'_>, line: ConnId) -> bool {
        let now = side.machine.now.mono;
        match self.stage.clone() {
            Stage::Out => self.join(side, line),
            Stage::Joined(members) => self.sync(side, line, &members),
            Stage::Working if now < self.beats_at => return false,
            Stage::Working => {
                self.beats_at = now.plus_ms(i64::from(self.session_ms) / 4);
                self.beat(side, line);
            }
        }
        true
    }

    fn join(&self, side: &mut Side<'_>, line: ConnId) {
        let request = JoinGroupRequest {
            group_id: GROUP,
            session_timeout_ms: self.session_ms,
            rebalance_timeout_ms: self.rebalance_ms,
            member_id: &self.seat.member,
            group_instance_id: self.seat.instance.as_deref(),
            protocol_type: KIND,
            protocols: vec![JoinGroupRequestProtocol {
                name: PROTOCOL,
                metadata: b"it copies",
            }],
            reason: None,
        };
        side.machine
            .ask(line, ApiKey::JoinGroup, self.join_version, &request, true);
    }

    fn sync(&self, side: &mut Side<'_>, line: ConnId, members: &[String]) {
        let all = job::inputs(side);
        let share = |place: usize| {
            let own = all.iter().skip(place).step_by(members.len());
            own.flat_map(to_bytes).collect()
        };
        let shares: Vec<Vec<u8>> = (0..members.len()).map(share).collect();
        let assignments =
            members
                .iter()
                .zip(&shares)
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id,
                    assignment,
                });
        let request = SyncGroupRequest {
            group_id: GROUP,
            generation_id: self.seat.generation,
            member_id: &self.seat.member,
            group_instance_id: self.seat.instance.as_deref(),
            protocol_type: Some(KIND),
            protocol_name: Some(PROTOCOL),
            assignments: assignments.collect(),
        };
        side.machine.ask(line, ApiKey::SyncGroup, 5, &request, true);
    }

    fn beat(&self, side: &mut Side<'_>, line: ConnId) {
        let request = HeartbeatRequest {
            group_id: GROUP,
            generation_id: self.seat.generation,
            member_id: &self.seat.member,
            group_instance_id: self.seat.instance.as_deref(),
        };
        side.machine.ask(line, ApiKey::Heartbeat, 4, &request, true);
    }

    /// Takes an answer in. Answers its partitions if it has been given some anew.
    pub fn take(&mut self, reply: &Reply) -> Option<Vec<PartitionId>> {
        match reply.api {
            ApiKey::JoinGroup => self.take_join(&reply.read()),
            ApiKey::SyncGroup => {
                let response: SyncGroupResponse<'_> = reply.read();
                if response.error_code == ErrorCode::NONE {
                    self.stage = Stage::Working;
                    let own = response.assignment.chunks_exact(PLACE_BYTES);
                    return Some(own.map(from_bytes).collect());
                }
                self.take_error(response.error_code);
            }
            _ => self.take_error(reply.read::<HeartbeatResponse>().error_code),
        }
        None
    }

    fn take_join(&mut self, got: &JoinGroupResponse<'_>) {
        match got.error_code {
            ErrorCode::NONE => {
                self.seat.member = got.member_id.to_owned();
                self.seat.generation = got.generation_id;
                let members = got.members.iter();
                let members = members.map(|member| member.member_id.to_owned());
                self.stage = Stage::Joined(match got.skip_assignment {
                    true => Vec::new(),
                    false => members.collect(),
                });
            }
            ErrorCode::MEMBER_ID_REQUIRED => self.seat.member = got.member_id.to_owned(),
            code => self.take_error(code),
        }
    }

    fn take_error(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::NONE => {}
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION => {
                self.stage = Stage::Out;
            }
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => self.start_anew(),
            code => panic!("{} to {self:?}", code.0),
        }
    }
}

/// A partition in an assignment: topics get more of them, so that an index would not do.
const PLACE_BYTES: usize = 20;

fn to_bytes(at: &PartitionId) -> Vec<u8> {
    [&at.topic.0[..], &at.partition.to_be_bytes()].concat()
}

fn from_bytes(bytes: &[u8]) -> PartitionId {
    let (topic, partition) = bytes.split_first_chunk().expect("a topic's id");
    PartitionId {
        topic: Uuid(*topic),
        partition: i32::from_be_bytes(partition.try_into().expect("a number")),
    }
}
