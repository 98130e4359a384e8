//! The coordinator under a simulated clock. After every step what it wants is journaled as the broker does it, the
//! invariants are checked, and answers are collected: each ticket is paid once, and no ticket is paid that was not
//! given.

mod joining;
mod leaving;
mod limits;
mod pending;
mod random;
mod rebalancing;
mod restarting;
mod sessions;
mod statics;
mod syncing;

use super::*;
use crate::broker::wait::ConnId;
use crate::clock::Now;
use crate::journal::Change;
use crate::proto::{ApiKey, Uuid};
use std::collections::BTreeSet;

const GROUP: &str = "readers";
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;

/// The number of a request: the correlation id of its ticket.
type Asked = i32;

/// A client's side of JoinGroup.
#[derive(Clone)]
struct Client {
    group: &'static str,
    id: String,
    instance: Option<&'static str>,
    protocol_type: &'static str,
    protocols: Vec<(&'static str, Vec<u8>)>,
    session_ms: i32,
    rebalance_ms: i32,
    version: i16,
}

/// A client of an old version, which joins without knowing its id.
fn client() -> Client {
    Client {
        group: GROUP,
        id: String::new(),
        instance: None,
        protocol_type: "consumer",
        protocols: vec![("range", vec![0, 1]), ("roundrobin", vec![0, 2])],
        session_ms: SESSION_MS,
        rebalance_ms: REBALANCE_MS,
        version: 3,
    }
}

impl Client {
    fn new_style(self) -> Client {
        Client { version: 9, ..self }
    }

    fn with_id(self, id: &str) -> Client {
        let id = id.to_owned();
        Client { id, ..self }
    }

    fn instance(self, instance: &'static str) -> Client {
        let instance = Some(instance);
        Client {
            instance,
            version: 5,
            ..self
        }
    }

    fn knows(self, protocols: &[&'static str]) -> Client {
        let protocols = protocols.iter().map(|&name| (name, name.into())).collect();
        Client { protocols, ..self }
    }
}

/// The groups, the clock and the journal.
struct Desk {
    groups: Groups,
    config: Arc<BrokerConfig>,
    now: Now,
    round: u64,
    asked: Asked,
    owed: BTreeSet<Asked>,
    answers: BTreeMap<Asked, Fact>,
    journal: Vec<Record>,
}

fn desk() -> Desk {
    desk_with(|_| {})
}

fn desk_with(change: impl FnOnce(&mut BrokerConfig)) -> Desk {
    let mut config = BrokerConfig::default();
    change(&mut config);
    let config = Arc::new(config);
    let now = Now {
        mono: Mono(0).plus_ms(1_000_000),
        wall_ms: 1_700_000_000_000,
    };
    Desk {
        groups: Groups::new(Arc::clone(&config)),
        config,
        now,
        round: 0,
        asked: 0,
        owed: BTreeSet::new(),
        answers: BTreeMap::new(),
        journal: Vec::new(),
    }
}

impl Desk {
    /// Sends a JoinGroup; nothing else happens yet.
    fn ask(&mut self, client: &Client) -> Asked {
        let ticket = self.ticket(ApiKey::JoinGroup);
        let asked = ticket.correlation_id;
        let protocols = client.protocols.iter();
        let join = Join {
            group_id: client.group,
            member_id: &client.id,
            group_instance_id: client.instance,
            client_id: "client",
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: client.session_ms,
            rebalance_timeout_ms: client.rebalance_ms,
            protocol_type: client.protocol_type,
            protocols: protocols.map(|(name, data)| (*name, &**data)).collect(),
            requires_known_member_id: client.version >= 4,
            supports_skipping_assignment: client.version >= 9,
            reason: None,
            fresh_id: Uuid(u128::try_from(asked).unwrap().to_be_bytes()),
        };
        let record = self.groups.join(join, ticket, self.now);
        self.keep(record);
        asked
    }

    /// Sends a JoinGroup, and lets the clock stand still long enough for a new group to begin.
    fn join(&mut self, client: &Client) -> Asked {
        let asked = self.ask(client);
        self.wait(0);
        asked
    }

    fn sync(&mut self, member: &Joined, assignments: &[(&str, &[u8])]) -> Asked {
        self.sync_as(claim(member), None, None, assignments)
    }

    fn sync_as(
        &mut self,
        claim: Claim<'_>,
        protocol_type: Option<&str>,
        protocol_name: Option<&str>,
        assignments: &[(&str, &[u8])],
    ) -> Asked {
        let ticket = self.ticket(ApiKey::SyncGroup);
        let asked = ticket.correlation_id;
        let sync = Sync {
            claim,
            protocol_type,
            protocol_name,
            assignments: assignments.to_vec(),
        };
        let record = self.groups.sync(sync, ticket, self.now);
        self.keep(record);
        asked
    }

    fn beat(&mut self, member: &Joined) -> ErrorCode {
        self.beat_as(claim(member))
    }

    fn beat_as(&mut self, claim: Claim<'_>) -> ErrorCode {
        let error = self.groups.heartbeat(claim, self.now);
        self.keep(None);
        error
    }

    fn commit(&mut self, claim: Claim<'_>, version: i16) -> Result<(), ErrorCode> {
        let checked = self.groups.check_commit(claim, version, self.now);
        self.keep(None);
        checked
    }

    fn leave_all(&mut self, leavers: &[Leaver<'_>]) -> Vec<ErrorCode> {
        let (left, record) = self.groups.leave(GROUP, leavers, self.now);
        self.keep(record);
        let left = left.unwrap();
        assert_eq!(left.len(), leavers.len());
        left.into_iter().map(|left| left.error).collect()
    }

    fn leave(&mut self, member_id: &str) -> ErrorCode {
        self.leave_all(&[leaver(member_id, None)])[0]
    }

    /// Lets time pass, and everything happen at its moment.
    fn wait(&mut self, ms: i64) {
        let until = self.now.mono.plus_ms(ms);
        while let Some(at) = self.groups.next_deadline().filter(|&at| at <= until) {
            self.move_to(at.max(self.now.mono));
            let records = self.groups.tick(self.now);
            self.keep(records);
        }
        self.move_to(until);
    }

    fn move_to(&mut self, at: Mono) {
        self.now.wall_ms += i64::try_from(at.since_us(self.now.mono) / 1000).unwrap();
        self.now.mono = at;
    }

    /// The broker stops and starts: what is not in the journal is lost, and so is every connection.
    fn restart(&mut self) {
        self.groups = Groups::new(Arc::clone(&self.config));
        self.owed.clear();
        for record in std::mem::take(&mut self.journal) {
            self.apply(record);
        }
        self.groups.resume(self.now);
        self.keep(None);
    }

    /// What the broker does after every call.
    fn keep(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.round += 1;
            let encoded = record.encode();
            let Change { key, value } = encoded.change();
            let read = Record::decode(&Change { key, value }).unwrap();
            assert_eq!(read, Some(record.clone()));
            self.apply(record);
        }
        for (ticket, fact) in self.groups.take_paid() {
            assert!(self.owed.remove(&ticket.correlation_id), "paid once");
            self.answers.insert(ticket.correlation_id, fact);
        }
        self.groups.check_invariants();
    }

    fn apply(&mut self, record: Record) {
        match record.clone() {
            Record::Group { id, generation } => self.groups.settled(&id, generation, self.round),
            Record::GroupDeleted { id } => self.groups.deleted(&id, self.round),
            record => self.apply_offset(record),
        }
        self.journal.push(record);
    }

    fn apply_offset(&mut self, record: Record) {
        let (groups, round) = (&mut self.groups, self.round);
        match record {
            Record::Offset {
                group,
                at,
                committed,
            } => groups.committed(&group, at, committed, round),
            Record::OffsetForgotten { group, at } => groups.forgotten(&group, at, round),
            Record::PendingOffset {
                producer_id: by,
                group,
                at,
                committed,
            } => groups.offset_pends(&group, by, at, committed, round),
            Record::PendingOffsetDone {
                producer_id: by,
                group,
                at,
            } => groups.offset_pends_no_more(&group, by, at, round),
            _ => panic!("not of this room"),
        }
    }

    fn ticket(&mut self, api_key: ApiKey) -> Ticket {
        self.asked += 1;
        self.owed.insert(self.asked);
        Ticket {
            conn: ConnId {
                slot: 0,
                generation: 0,
            },
            correlation_id: self.asked,
            api_key,
            version: 0,
        }
    }

    fn joined(&mut self, asked: Asked) -> Joined {
        match self.answers.remove(&asked).expect("an answer").answer {
            Answer::Joined(joined) => joined,
            Answer::Synced(_) => panic!("a SyncGroup"),
        }
    }

    fn synced(&mut self, asked: Asked) -> Synced {
        match self.answers.remove(&asked).expect("an answer").answer {
            Answer::Synced(synced) => synced,
            Answer::Joined(_) => panic!("a JoinGroup"),
        }
    }

    fn join_error(&mut self, client: &Client) -> ErrorCode {
        let asked = self.join(client);
        self.joined(asked).error
    }

    fn group(&self) -> &Group {
        self.groups.get(GROUP).expect("the group")
    }

    fn member(&self, id: &str) -> &Member {
        self.group().members.get(id).expect("the member")
    }

    fn state(&self) -> &'static str {
        self.groups.get(GROUP).map_or("Dead", Group::state)
    }

    /// Has these clients in a stable group; its members in the order of the clients.
    fn stable(&mut self, clients: &[Client]) -> Vec<Joined> {
        let asked: Vec<Asked> = clients.iter().map(|client| self.ask(client)).collect();
        self.wait(0);
        let joined: Vec<Joined> = asked.into_iter().map(|asked| self.joined(asked)).collect();
        self.share_out(&joined);
        joined
    }

    /// Everybody asks for its assignment, the leader last. Everybody gets its own id as its assignment.
    fn share_out(&mut self, joined: &[Joined]) {
        let parts: Vec<(&str, &[u8])> = joined
            .iter()
            .map(|member| (&*member.member_id, member.member_id.as_bytes()))
            .collect();
        let (leaders, followers): (Vec<_>, Vec<_>) =
            joined.iter().partition(|m| m.member_id == m.leader);
        let mut asked = Vec::new();
        for member in followers.into_iter().chain(leaders) {
            asked.push((member, self.sync(member, &parts)));
        }
        for (member, asked) in asked {
            let synced = self.synced(asked);
            assert_eq!(synced.error, ErrorCode::NONE);
            assert_eq!(*synced.assignment, *member.member_id.as_bytes());
        }
        assert_eq!(self.state(), "Stable");
    }
}

fn claim(member: &Joined) -> Claim<'_> {
    Claim {
        group_id: GROUP,
        generation_id: member.generation_id,
        member_id: &member.member_id,
        group_instance_id: None,
    }
}

fn leaver<'a>(member_id: &'a str, group_instance_id: Option<&'a str>) -> Leaver<'a> {
    Leaver {
        member_id,
        group_instance_id,
        reason: None,
    }
}
