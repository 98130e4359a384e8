//! What an answer's code means to a client, and whether it may be given this one now.

use super::asks::Ask;
use super::client::{Client, Work};
use crate::ledger::State;
use crate::side::Side;
use chronikd::proto::error::ErrorCode;
use chronikd::storage::PartitionId;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has done what it should.
    Done,
    /// It was to be refused.
    Expected,
    /// It is to be sent again.
    Again,
    /// The topic is deleted; nothing else is amiss.
    Gone,
    /// The consumer that it speaks for was replaced: the transaction is to be aborted.
    Replaced,
    /// The producer is not that of its transactional id any more.
    Overtaken,
}

/// What the client makes of it; what it cannot have earned is a panic.
pub fn on(side: &mut Side<'_>, client: &Client, ask: &Ask, code: ErrorCode) -> Verdict {
    match (ask, code) {
        (_, ErrorCode::NONE) => accepted(client, ask),
        (_, ErrorCode::CONCURRENT_TRANSACTIONS) => {
            side.ledger.txns.tally.note("51");
            Verdict::Again
        }
        _ if is_passing(side, code) || client.follows_refused(ask, code) => Verdict::Again,
        (Ask::Verify(_, false), ErrorCode::TRANSACTION_ABORTABLE) => Verdict::Expected,
        (
            Ask::Offset(_),
            ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_INSTANCE_ID,
        ) => replaced(side, ask),
        (
            Ask::Add(_) | Ask::Produce { .. },
            ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ) => {
            let is_gone = |at: &PartitionId| side.ledger.topic(at.topic).state != State::Exists;
            let is_known = match ask {
                Ask::Produce { at, .. } => is_gone(at),
                Ask::Add(all) => all.iter().any(is_gone),
                _ => false,
            };
            assert!(is_known, "{}", client.describe(ask, code));
            side.ledger.txns.tally.note("topics gone");
            Verdict::Gone
        }
        _ => overtaken(side, client, ask, code),
    }
}

/// What passes with time.
fn is_passing(side: &Side<'_>, code: ErrorCode) -> bool {
    match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_LEADER_OR_FOLLOWER => true,
        ErrorCode::KAFKA_STORAGE_ERROR => side.ledger.faulty,
        _ => false,
    }
}

fn accepted(client: &Client, ask: &Ask) -> Verdict {
    if let Ask::Offset(moved) = ask {
        assert!(client.was_seated, "a zombie is obeyed: {:?}", moved.seat);
    }
    Verdict::Done
}

/// Who is refused has been replaced.
fn replaced(side: &mut Side<'_>, ask: &Ask) -> Verdict {
    if let Ask::Offset(moved) = ask {
        let is_still = moved.seat.is_current(side);
        assert!(
            !is_still,
            "a member is taken for a zombie: {:?}",
            moved.seat
        );
        side.ledger.txns.tally.note("zombies refused");
    }
    Verdict::Replaced
}

fn overtaken(side: &mut Side<'_>, client: &Client, ask: &Ask, code: ErrorCode) -> Verdict {
    let is_known = match code {
        ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::TRANSACTION_ABORTABLE
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => true,
        ErrorCode::UNKNOWN_SERVER_ERROR => matches!(ask, Ask::Init { believes: true }),
        _ => false,
    };
    let is_late = client
        .work
        .as_ref()
        .is_some_and(|it| is_late(side, client, it));
    let is_excused = client.is_shared
        || is_late
        || is_forgotten(side, client)
        || matches!(ask, Ask::Init { .. }) && is_used_up(client);
    assert!(is_known && is_excused, "{}", client.describe(ask, code));
    let what = match is_late {
        true => "timed out",
        false if is_forgotten(side, client) => "forgotten",
        false => "fenced",
    };
    side.ledger.txns.tally.note(what);
    Verdict::Overtaken
}

fn is_late(side: &Side<'_>, client: &Client, work: &Work) -> bool {
    let timeout_ms = i64::from(client.speaker.timeout_ms);
    side.machine.now.wall_ms - work.began_ms >= timeout_ms
}

/// It may have missed the answer that brought the last epoch of its producer id, and Kafka has none to bring again; or,
/// twice, the one that brought the next producer id, which Kafka brings again once.
fn is_used_up(client: &Client) -> bool {
    client.speaker.identity.1 >= i16::MAX - 2
}

/// The transactional id was idle for so long that it is gone.
fn is_forgotten(side: &Side<'_>, client: &Client) -> bool {
    let expiration_ms = side.machine.config().transactional_id_expiration_ms;
    side.machine.now.wall_ms - client.touched_ms >= expiration_ms
}
