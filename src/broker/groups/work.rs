//! A group at work: what every call does to a group is done through this, so that no ticket is lost.

use super::super::record::Record;
use super::super::wait::Ticket;
use super::answers::{Answer, Joined, Synced};
use super::group::{Generation, GenerationMember, Group};
use super::members::Member;
use crate::clock::{Now, Rate};
use crate::config::BrokerConfig;
use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// The target of the room's log lines.
pub(super) const LOG: &str = "chronikd::groups";

/// A generation is never larger than this, whatever `message.max.bytes` says: it is one record of the journal.
const MAX_GENERATION_BYTES: usize = 32 << 20;

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Paid {
    pub(super) ticket: Ticket,
    /// The group whose newest record the answer has to wait for.
    pub(super) group: Arc<str>,
    pub(super) answer: Answer,
}

/// A group, and what a call needs beside it.
pub(super) struct Work<'a> {
    pub(super) group: &'a mut Group,
    pub(super) paid: &'a mut Vec<Paid>,
    pub(super) logged: &'a mut Rate,
    pub(super) config: &'a BrokerConfig,
    pub(super) now: Now,
}

impl Work<'_> {
    /// Answers.
    pub(super) fn pay(&mut self, ticket: Ticket, answer: impl Into<Answer>) {
        self.paid.push(Paid {
            ticket,
            group: Arc::clone(&self.group.id),
            answer: answer.into(),
        });
    }

    /// Answers a JoinGroup with an error; nothing else happens.
    pub(super) fn refuse_join(
        &mut self,
        ticket: Ticket,
        error: ErrorCode,
        member_id: &str,
    ) -> Option<Record> {
        self.pay(ticket, Joined::refused(error, member_id));
        None
    }

    /// Answers a SyncGroup with an error; nothing else happens.
    pub(super) fn refuse_sync(&mut self, ticket: Ticket, error: ErrorCode) -> Option<Record> {
        self.pay(ticket, Synced::refused(error));
        None
    }

    /// Takes a member out, or an id that waits for its member. If it waits for an answer it hears that it is unknown, so
    /// that it comes again if it is still there. The leader's place goes to anybody.
    pub(super) fn remove(&mut self, member_id: &str) {
        self.group.pending.remove(member_id);
        let Some(member) = self.group.members.remove(member_id) else {
            return;
        };
        if self.group.is_leader(member_id) {
            self.group.leader = self.group.members.keys().next().cloned();
        }
        if let Some(ticket) = member.joining {
            self.refuse_join(ticket, ErrorCode::UNKNOWN_MEMBER_ID, "");
        }
        if let Some(ticket) = member.syncing {
            self.refuse_sync(ticket, ErrorCode::UNKNOWN_MEMBER_ID);
        }
    }

    /// Answers everybody who waits for an assignment with an error; nobody has one.
    pub(super) fn cancel_syncs(&mut self, error: ErrorCode) {
        let mut waiting = Vec::new();
        for (_, member) in self.group.members.iter_mut() {
            member.assignment = Arc::default();
            if let Some(ticket) = member.syncing.take() {
                waiting.push(ticket);
                if member.joining.is_none() {
                    member.begin_session(self.now.mono);
                }
            }
        }
        for ticket in waiting {
            self.refuse_sync(ticket, error);
        }
    }

    /// Whether the generation is larger than a message may be.
    pub(super) fn is_too_large(&self, generation: &Generation) -> bool {
        let most = self.config.message_max_bytes.min(MAX_GENERATION_BYTES);
        generation.size_bytes() + self.group.id.len() > most
    }
}

impl Generation {
    /// What it takes in the record that Apache Kafka writes, about: texts and blobs and a few bytes beside each.
    fn size_bytes(&self) -> usize {
        const RECORD: usize = 100;
        self.members
            .iter()
            .map(GenerationMember::size_bytes)
            .sum::<usize>()
            + RECORD
    }
}

impl GenerationMember {
    fn size_bytes(&self) -> usize {
        const NUMBERS: usize = 24;
        let instance = self.group_instance_id.as_ref().map_or(0, |id| id.len());
        let texts = self.member_id.len() + self.client_id.len() + self.client_host.len();
        texts + instance + self.metadata.len() + self.assignment.len() + NUMBERS
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

    /// Its record.
    pub(super) fn record(&self, generation: Generation) -> Record {
        Record::Group {
            id: Arc::clone(&self.id),
            generation,
        }
    }
}
