//! What members are told, perhaps much later: owned facts, which `api::answer` turns into bytes.

use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// A late answer to a member: what to say, and the sync round that it has to wait for.
#[derive(Debug)]
pub struct Fact {
    /// The answer leaves when this round is durable.
    pub round: u64,
    /// What to say.
    pub answer: Answer,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a JoinGroup.
    Joined(Joined),
    /// To a SyncGroup.
    Synced(Synced),
}

/// What a member is told that has asked to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Whether it is in.
    pub error: ErrorCode,
    /// The generation that has begun, or -1.
    pub generation_id: i32,
    /// The group's type of protocol, when there is one.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for. Kafka's errors have an empty name, and some none.
    pub protocol_name: Option<Arc<str>>,
    /// The member that shares out the work, or nobody.
    pub leader: Arc<str>,
    /// The leader is not to share out anew (KIP-814).
    pub skip_assignment: bool,
    /// The asking member's id, also with error 79.
    pub member_id: Arc<str>,
    /// All members, for the leader.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id, when it is a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// What it says about itself in the protocol that was chosen.
    pub metadata: Arc<[u8]>,
}

/// What a member is told that has asked for its assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Whether it has one.
    pub error: ErrorCode,
    /// The group's type of protocol.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for.
    pub protocol_name: Option<Arc<str>>,
    /// Its part of the work, as the leader has written it.
    pub assignment: Arc<[u8]>,
}

impl Joined {
    /// An error and nothing else; `member_id` is what Kafka puts beside it.
    #[must_use]
    pub fn refused(error: ErrorCode, member_id: &str) -> Joined {
        Joined {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: "".into(),
            skip_assignment: false,
            member_id: member_id.into(),
            members: Vec::new(),
        }
    }
}

impl Synced {
    /// An error and nothing else.
    #[must_use]
    pub fn refused(error: ErrorCode) -> Synced {
        Synced {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Arc::default(),
        }
    }
}

impl From<Joined> for Answer {
    fn from(joined: Joined) -> Answer {
        Answer::Joined(joined)
    }
}

impl From<Synced> for Answer {
    fn from(synced: Synced) -> Answer {
        Answer::Synced(synced)
    }
}
