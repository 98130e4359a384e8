//! A group at work: what every call does to a group is done through this, so that no ticket is lost.

use super::super::record::Record;
use super::super::wait::Ticket;
use super::answers::{Answer, Joined, Synced};
use super::group::Group;
use crate::clock::{Now, Rate};
use crate::config::BrokerConfig;
use crate::proto::error::ErrorCode;
use std::sync::Arc;

/// The target of the room's log lines.
pub(super) const LOG: &str = "chronikd::groups";

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
    /// How much more the members of all groups may take.
    pub(super) spare_bytes: usize,
    /// The disk is full.
    pub(super) is_short: bool,
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

    /// Takes a member out, or an id that waits for its member. If it waits for an answer it hears that it is unknown,
    /// so that it comes again if it is still there. The leader's place goes to anybody.
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
        self.group.members.take_assignments();
        for (_, member) in self.group.members.iter_mut() {
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
}
