//! What members say: the requests of the classic protocol, without their encoding.

use crate::proto::Uuid;

/// What a member says of itself when it joins (JoinGroup).
#[derive(Clone, Debug)]
pub struct Join<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The member's id; empty asks for one.
    pub member_id: &'a str,
    /// The id of a static member.
    pub group_instance_id: Option<&'a str>,
    /// The client's name for itself.
    pub client_id: &'a str,
    /// Where it comes from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
    /// Silent for longer, it is out.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it; at v0 the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, `sr` ...
    pub protocol_type: &'a str,
    /// Names and metadata, the member's favourite first.
    pub protocols: Vec<(&'a str, &'a [u8])>,
    /// The client asks again with the id that error 79 brings (v4+).
    pub requires_known_member_id: bool,
    /// The client knows what `skip_assignment` is (v9+).
    pub supports_skipping_assignment: bool,
    /// Why it joins, for the log (v8+).
    pub reason: Option<&'a str>,
    /// Goes into a new member's id.
    pub fresh_id: Uuid,
}

/// A member that names the generation it believes to be in.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The generation.
    pub generation_id: i32,
    /// The member's id.
    pub member_id: &'a str,
    /// The id of a static member.
    pub group_instance_id: Option<&'a str>,
}

/// A request for an assignment (SyncGroup).
#[derive(Clone, Debug)]
pub struct Sync<'a> {
    /// Who asks.
    pub claim: Claim<'a>,
    /// The type of protocol that the member believes in (v5+).
    pub protocol_type: Option<&'a str>,
    /// The protocol that the member believes in (v5+).
    pub protocol_name: Option<&'a str>,
    /// Assignments by member id, from the leader.
    pub assignments: Vec<(&'a str, &'a [u8])>,
}

/// One member that leaves (LeaveGroup).
#[derive(Clone, Copy, Debug)]
pub struct Leaver<'a> {
    /// Its id; empty when an operator names a static member.
    pub member_id: &'a str,
    /// The id of a static member.
    pub group_instance_id: Option<&'a str>,
    /// Why, for the log (v5+).
    pub reason: Option<&'a str>,
}
