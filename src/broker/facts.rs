//! What the journal knows of groups and transactions, as plain facts: `record` writes and reads them, `groups` and
//! `txns` live by them.

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
    /// Names that clients may ask for, of states that nothing is ever in here.
    const UNUSED: [&'static str; 2] = ["Dead", "PrepareEpochFence"];

    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        TxnState::TABLE[self as usize].1
    }

    /// Whether Kafka has a state of that name.
    #[must_use]
    pub fn has_name(name: &str) -> bool {
        TxnState::UNUSED.contains(&name) || TxnState::TABLE.iter().any(|&(_, known)| known == name)
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

    /// There is no transaction.
    #[must_use]
    pub fn is_idle(self) -> bool {
        !self.is_prepared() && self != TxnState::Ongoing
    }
}

/// What the journal knows of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The producer id that goes with it now.
    pub producer_id: i64,
    /// The epoch of its producer; while an end of version 2 is prepared, the one after it.
    pub epoch: i16,
    /// The producer id before the last step, or -1.
    pub previous_producer_id: i64,
    /// The epoch before this one, which a producer may come with that has missed an answer; or -1.
    pub last_epoch: i16,
    /// The producer id from the end of the transaction on, when the epochs of this one are used up; or -1.
    pub next_producer_id: i64,
    /// A transaction that is open for longer is aborted.
    pub timeout_ms: i32,
    /// What it is doing.
    pub state: TxnState,
    /// The version of transactions that the last change of its transaction came with: 0 or 2.
    pub version: i16,
    /// When the last transaction began, in milliseconds since 1970; -1 when there was none since the producer was
    /// initialized.
    pub started_ms: i64,
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
            assert!(TxnState::has_name(name));
        }
        assert_eq!(
            (TxnState::of_number(6), TxnState::of_number(-1)),
            (None, None)
        );
        assert!(TxnState::has_name("Dead") && TxnState::has_name("PrepareEpochFence"));
        assert!(!TxnState::has_name("empty") && !TxnState::has_name(""));
    }
}
