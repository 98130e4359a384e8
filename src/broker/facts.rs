//! What the journal knows of groups and transactions, as plain facts: `record` writes and reads them, `groups` and
//! `txns` live by them.

use crate::storage::PartitionId;
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

/// A producer as logs know it: its id, and the epoch that shuts out those who had the id before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch; -1 before the first.
    pub epoch: i16,
}

/// How transactions are ended and joined (KIP-890). It goes by the version of each request, and where nobody has asked
/// by the finalized `transaction.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnVersion {
    /// An end leaves the epoch as it is, and what is written to has to be added before.
    V1,
    /// Every end moves the epoch, and what is written to joins by that.
    V2,
}

impl TxnVersion {
    /// That of a level of `transaction.version`: levels 0 and 1 differ only in how Kafka stores its state.
    #[must_use]
    pub fn of_level(level: i16) -> TxnVersion {
        match level {
            ..2 => TxnVersion::V1,
            _ => TxnVersion::V2,
        }
    }

    /// The level that journal and markers have for it.
    #[must_use]
    pub fn level(self) -> i16 {
        match self {
            TxnVersion::V1 => 0,
            TxnVersion::V2 => 2,
        }
    }
}

/// What the journal says of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnFact {
    /// It stands so.
    Stands(Standing),
    /// It is forgotten.
    Expired,
}

/// What the journal says of a producer's transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnTouch {
    /// A partition is in it.
    Partition(PartitionId),
    /// A partition has the marker of its end.
    PartitionDone(PartitionId),
    /// Offsets of a group are in it.
    Group(Arc<str>),
    /// What its end means for a group's offsets is journaled.
    GroupDone(Arc<str>),
}

/// What a transactional id is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnState {
    /// There was no transaction since the producer was initialized.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// Its commit is decided; markers are being written.
    PrepareCommit,
    /// Its abort is decided; markers are being written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

impl TxnState {
    /// All of them, with Kafka's names, which clients are shown; the place in the table is Kafka's number.
    const TABLE: [(TxnState, &'static str); 6] = [
        (TxnState::Empty, "Empty"),
        (TxnState::Ongoing, "Ongoing"),
        (TxnState::PrepareCommit, "PrepareCommit"),
        (TxnState::PrepareAbort, "PrepareAbort"),
        (TxnState::CompleteCommit, "CompleteCommit"),
        (TxnState::CompleteAbort, "CompleteAbort"),
    ];
    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        TxnState::TABLE[self as usize].1
    }

    /// The names of all states.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TxnState::TABLE.iter().map(|&(_, name)| name)
    }

    /// Kafka's number.
    pub(super) fn number(self) -> i8 {
        self as i8
    }

    /// The state of that number.
    pub(super) fn of_number(number: i8) -> Option<TxnState> {
        let row = TxnState::TABLE.get(usize::try_from(number).ok()?)?;
        Some(row.0)
    }

    /// An end is decided, and not all markers are written.
    #[must_use]
    pub fn is_prepared(self) -> bool {
        matches!(self, TxnState::PrepareCommit | TxnState::PrepareAbort)
    }

    /// The last transaction is committed, or its commit is decided.
    #[must_use]
    pub fn commits(self) -> bool {
        matches!(self, TxnState::PrepareCommit | TxnState::CompleteCommit)
    }

    /// There is no transaction.
    #[must_use]
    pub fn is_idle(self) -> bool {
        !self.is_prepared() && self != TxnState::Ongoing
    }
}

/// What the journal knows of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The producer that goes with it now; while an end of version 2 is prepared, its epoch is the one after it.
    pub producer: Producer,
    /// The producer id before the last step.
    pub previous_producer_id: Option<i64>,
    /// The epoch before this one, which a producer may come with that has missed an answer.
    pub last_epoch: Option<i16>,
    /// The producer id from the end of the transaction on, when the epochs of this one are used up.
    pub next_producer_id: Option<i64>,
    /// A transaction that is open for longer is aborted.
    pub timeout_ms: i32,
    /// What it is doing.
    pub state: TxnState,
    /// The version of transactions that the last change of its transaction came with.
    pub version: TxnVersion,
    /// When the last transaction began, in milliseconds since 1970, if there was one since the producer was
    /// initialized.
    pub started_ms: Option<i64>,
    /// When it was changed last, in milliseconds since 1970.
    pub updated_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_states_is_in_the_order_of_their_numbers() {
        for (number, (state, name)) in (0..).zip(TxnState::TABLE) {
            assert_eq!(TxnState::of_number(number), Some(state));
            assert_eq!((state.number(), state.name()), (number, name));
        }
        assert_eq!(
            (TxnState::of_number(6), TxnState::of_number(-1)),
            (None, None)
        );
    }
}
