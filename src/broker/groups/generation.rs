//! Generations: how one is made of a group, whether it can be kept, and how a group becomes what its record says.

use super::super::facts::{Generation, GenerationMember};
use super::super::record::Record;
use super::answers::Synced;
use super::group::{Group, Phase};
use super::members::Member;
use super::words::cut;
use super::work::{LOG, Paid, Work};
use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// A generation is never larger than this, whatever `message.max.bytes` says: it is one record of the journal.
const MAX_GENERATION_BYTES: usize = 32 << 20;

/// On a full disk a generation of up to this size may still be larger than the last: who goes must be able to come
/// back.
const SMALL_GENERATION_BYTES: usize = 4096;

impl Work<'_> {
    /// Whether the generation can be kept: in one record (else -1), in memory and on the disk (else 15).
    pub(super) fn check_kept(&self, generation: &Generation) -> Result<(), ErrorCode> {
        let most = self.config.message_max_bytes.min(MAX_GENERATION_BYTES);
        let bytes = generation.size_bytes();
        if bytes + self.group.id.len() > most {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        let kept = self.group.kept_bytes;
        let is_larger = kept == 0 || bytes > kept.max(SMALL_GENERATION_BYTES);
        let parts = generation.members.iter().map(|m| m.assignment.len());
        let has = self.group.members.values().map(|m| m.assignment.len());
        let more = parts.sum::<usize>().saturating_sub(has.sum());
        match self.is_short && is_larger || more > self.spare_bytes {
            true => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            false => Ok(()),
        }
    }

    /// The generation's record. Here a rebalance ends, which is worth one line.
    pub(super) fn keep(&mut self, generation: Generation) -> Option<Record> {
        if let Some(left_out) = self.logged.admit(self.now.mono) {
            self.tell(&generation);
            if left_out > 0 {
                log::info!(target: LOG, "{left_out} rebalances before this one have no line");
            }
        }
        Some(Record::Group {
            id: Arc::clone(&self.group.id),
            generation,
        })
    }

    fn tell(&self, generation: &Generation) {
        let (since, reason) = match &self.group.rebalance {
            Some(rebalance) => (rebalance.since, rebalance.reason.as_str()),
            None => (self.now.mono, ""),
        };
        let state = match generation.members.is_empty() {
            true => "empty",
            false => "stable",
        };
        let ms = self.now.mono.since_us(since) / 1000;
        log::info!(
            target: LOG,
            "group {:?} is {state} generation={} members={} ms={ms} reason={reason:?}",
            cut(&self.group.id),
            generation.id,
            generation.members.len()
        );
    }
}

impl Group {
    /// The generation as it is to be journaled, with these assignments.
    pub(super) fn generation(
        &self,
        since_ms: i64,
        assignment: impl Fn(&Arc<str>, &Member) -> Arc<[u8]>,
    ) -> Generation {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let described = |(id, member): (&Arc<str>, &Member)| GenerationMember {
            member_id: Arc::clone(id),
            group_instance_id: member.group_instance_id.clone(),
            client_id: Arc::clone(&member.client_id),
            client_host: Arc::clone(&member.client_host),
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            metadata: member.said_of(protocol).cloned().unwrap_or_default(),
            assignment: assignment(id, member),
        };
        Generation {
            id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            since_ms,
            members: self.members.iter().map(described).collect(),
        }
    }

    /// The next generation, of nobody.
    pub(super) fn generation_of_nobody(&self, since_ms: i64) -> Generation {
        Generation {
            id: self.generation_id + 1,
            protocol_type: self.protocol_type.clone(),
            protocol_name: None,
            leader: None,
            since_ms,
            members: Vec::new(),
        }
    }

    /// Makes a journaled generation true. Answers what those are told who wait for it.
    pub(super) fn settle(&mut self, generation: Generation) -> Vec<Paid> {
        assert!(
            generation.id >= self.generation_id,
            "generations never fall"
        );
        self.kept_bytes = generation.size_bytes();
        self.generation_id = generation.id;
        self.protocol_type = generation.protocol_type;
        self.protocol_name = generation.protocol_name;
        self.leader = generation.leader;
        self.since_ms = generation.since_ms;
        self.rebalance = None;
        self.phase = match generation.members.is_empty() {
            true => Phase::Empty,
            false => Phase::Stable,
        };
        let protocol = self.protocol_name.clone().unwrap_or_default();
        let mut living = std::mem::take(&mut self.members);
        let mut paid = Vec::new();
        for member in generation.members {
            let id = Arc::clone(&member.member_id);
            let mut member = member.settle(living.remove(&id), &protocol);
            if let Some(ticket) = member.syncing.take() {
                paid.push(Paid {
                    ticket,
                    group: Arc::clone(&self.id),
                    answer: self.synced(Arc::clone(&member.assignment)).into(),
                });
            }
            self.members.insert(id, member);
        }
        self.read_subscriptions();
        paid
    }

    /// What a member is told that gets its part of the work.
    pub(super) fn synced(&self, assignment: Arc<[u8]>) -> Synced {
        Synced {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        }
    }
}

impl Generation {
    /// What it takes in the record that Apache Kafka writes, about: texts and blobs and a few bytes beside each.
    fn size_bytes(&self) -> usize {
        const RECORD: usize = 100;
        let members = self.members.iter().map(GenerationMember::size_bytes);
        members.sum::<usize>() + RECORD
    }
}

impl GenerationMember {
    fn size_bytes(&self) -> usize {
        const NUMBERS: usize = 24;
        let instance = self.group_instance_id.as_ref().map_or(0, |id| id.len());
        let texts = self.member_id.len() + self.client_id.len() + self.client_host.len();
        texts + instance + self.metadata.len() + self.assignment.len() + NUMBERS
    }

    /// The member. Unless it is replayed, it lives and has said what the record says; then what is transient about it
    /// stays, and what it has said of other protocols.
    fn settle(self, lived: Option<Member>, protocol: &Arc<str>) -> Member {
        let member = Member {
            group_instance_id: self.group_instance_id,
            client_id: self.client_id,
            client_host: self.client_host,
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            protocols: vec![(Arc::clone(protocol), Arc::clone(&self.metadata))],
            assignment: self.assignment,
            deadline: None,
            joining: None,
            syncing: None,
            is_unsynced: false,
        };
        match lived {
            Some(lived) if lived.said_of(protocol) == Some(&self.metadata) => Member {
                protocols: lived.protocols,
                deadline: lived.deadline,
                joining: lived.joining,
                syncing: lived.syncing,
                is_unsynced: lived.is_unsynced,
                ..member
            },
            _ => member,
        }
    }
}
