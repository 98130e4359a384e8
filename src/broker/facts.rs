//! What the journal knows of groups, as plain facts: `record` writes and reads them, `groups` lives by them.

use std::sync::Arc;

/// What the journal knows of a group: the generation that was settled last. Applying it makes the group `Stable`, or
/// `Empty` when it has no members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Counts rebalances, from 1; 0 before the first.
    pub id: i32,
    /// `consumer`, `connect` ...; none of a group that only commits offsets.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the members have voted for.
    pub protocol_name: Option<Arc<str>>,
    /// The member that shares out the work.
    pub leader: Option<Arc<str>>,
    /// Since when, in milliseconds since 1970: an empty group's offsets are kept from then on.
    pub since_ms: i64,
    /// The members and their parts of the work.
    pub members: Vec<GenerationMember>,
}

/// A member of a settled generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its instance id, when it is a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The client's name for itself.
    pub client_id: Arc<str>,
    /// Where it comes from.
    pub client_host: Arc<str>,
    /// Silent for longer, it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// What it says about itself in the protocol that was chosen.
    pub metadata: Arc<[u8]>,
    /// Its part of the work, as the leader has written it.
    pub assignment: Arc<[u8]>,
}

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record that was read, or -1.
    pub leader_epoch: i32,
    /// A text of the consumer's.
    pub metadata: Box<str>,
    /// When it was committed, in milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// When it is to go, if the client has said so (v2-v4), in milliseconds since 1970.
    pub expire_timestamp_ms: Option<i64>,
    /// Which of the commits of a partition is newer, where a transaction brings one of them. It is compared only with
    /// those that are pending; where there are none, the next commit has 0.
    pub order: i32,
}
