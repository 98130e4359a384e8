//! What members take in memory, and the limit of it (`chronik.groups.bytes`).
//!
//! Members and the ids that are given to new ones count: texts and blobs at their length, and what is kept beside each
//! at a fixed size. Whoever asks for more is told to come again (15), before anything is kept; what takes the place of
//! something as large always goes through, so that members which are in come back into the next generation. Groups
//! that have nobody, and offsets, pending ones too, are in the journal and do not count.

use super::group::Group;
use super::members::Member;
use super::{Groups, Join};
use crate::proto::error::ErrorCode;

/// What a group takes that has anybody, beside its id.
const GROUP_BYTES: usize = 512;

/// What a member takes beside its texts and blobs.
const MEMBER_BYTES: usize = 512;

/// What a protocol takes beside its name and what is said in it.
const PROTOCOL_BYTES: usize = 128;

/// A new member's id is the client's name, or the instance id, and this.
const FRESH_ID_BYTES: usize = 37;

/// The members of one group have no more, whatever the limit of all is: their leader is told of all of them in one
/// answer.
const MAX_GROUP_BYTES: usize = 32 << 20;

impl Groups {
    /// Whether there is memory for what the member says, beside what that takes the place of.
    pub(super) fn check_memory(&self, join: &Join<'_>) -> Result<(), ErrorCode> {
        let group = self.get(join.group_id);
        let has = group.map_or(0, Group::bytes);
        let had = group.and_then(|group| {
            let id = join.known_id(group)?;
            Some(group.members.get(id)?.bytes(id))
        });
        let more = match had {
            Some(had) => join.bytes().saturating_sub(had),
            None if has == 0 => join.bytes() + join.group_id.len() + GROUP_BYTES,
            None => join.bytes(),
        };
        match more {
            0 => Ok(()),
            _ if has + more > MAX_GROUP_BYTES => Err(ErrorCode::GROUP_MAX_SIZE_REACHED),
            _ if more > self.spare_bytes() => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            _ => Ok(()),
        }
    }

    /// How much more all members may take.
    pub(super) fn spare_bytes(&self) -> usize {
        self.config.chronik_groups_bytes.saturating_sub(self.bytes)
    }
}

impl Group {
    /// What its members take, and those who may become members.
    pub(super) fn bytes(&self) -> usize {
        match self.members.bytes() + self.pending.bytes() {
            0 => 0,
            bytes => bytes + self.id.len() + GROUP_BYTES,
        }
    }
}

impl Join<'_> {
    /// The member that it takes the place of, or speaks for.
    fn known_id<'a>(&'a self, group: &'a Group) -> Option<&'a str> {
        match (self.member_id, self.group_instance_id) {
            ("", Some(instance)) => group.members.of_instance(instance).map(|id| &**id),
            (id, _) => Some(id),
        }
    }

    /// What it takes to keep it.
    fn bytes(&self) -> usize {
        let instance = self.group_instance_id.unwrap_or_default();
        let id_bytes = match (self.member_id, instance) {
            ("", "") => self.client_id.len() + FRESH_ID_BYTES,
            ("", instance) => instance.len() + FRESH_ID_BYTES,
            (id, _) => id.len(),
        };
        let texts = id_bytes + instance.len() + self.client_id.len() + self.client_host.len();
        let protocols = self.protocols.iter();
        texts + MEMBER_BYTES + spoken(protocols.map(|(name, data)| (name.len(), data.len())))
    }
}

impl Member {
    /// What it takes, under that id.
    pub(super) fn bytes(&self, id: &str) -> usize {
        let instance = self.group_instance_id.as_deref().unwrap_or_default();
        let texts = id.len() + instance.len() + self.client_id.len() + self.client_host.len();
        let protocols = self.protocols.iter();
        let spoken = spoken(protocols.map(|(name, data)| (name.len(), data.len())));
        texts + MEMBER_BYTES + spoken + self.assignment.len()
    }
}

fn spoken(protocols: impl Iterator<Item = (usize, usize)>) -> usize {
    protocols
        .map(|(name, data)| name + data + PROTOCOL_BYTES)
        .sum()
}
