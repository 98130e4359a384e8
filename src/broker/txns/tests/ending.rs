//! EndTxn: the tables of both versions, retries, and how an end is written.

use super::*;
use ErrorCode as E;

/// Brings an id into that state, with an epoch that is not the first. Answers its producer.
fn in_state(state: TxnState, version: i16) -> (Desk, (i64, i16)) {
    let mut desk = desk();
    desk.producer();
    let who = desk.init(None).unwrap();
    let commits = matches!(state, TxnState::PrepareCommit | TxnState::CompleteCommit);
    if state != TxnState::Empty {
        desk.add(who, &[0]).unwrap();
    }
    if !matches!(state, TxnState::Empty | TxnState::Ongoing) {
        desk.end(who, commits, version).unwrap();
    }
    if matches!(state, TxnState::CompleteCommit | TxnState::CompleteAbort) {
        desk.sync();
    }
    assert_eq!(desk.state(), state);
    let Standing {
        producer_id, epoch, ..
    } = desk.txn().standing;
    (desk, (producer_id, epoch))
}

#[test]
fn the_table_of_version_one_holds() {
    let done = Ok((NO_PRODUCER_ID, NO_PRODUCER_EPOCH));
    let its = Err(E::INVALID_TXN_STATE);
    let ct = Err(E::CONCURRENT_TRANSACTIONS);
    let table = [
        (TxnState::Empty, [its, its]),
        (TxnState::PrepareCommit, [ct, its]),
        (TxnState::PrepareAbort, [its, ct]),
        (TxnState::CompleteCommit, [done, its]),
        (TxnState::CompleteAbort, [its, done]),
    ];
    for (state, verdicts) in table {
        for (commits, verdict) in [true, false].into_iter().zip(verdicts) {
            let (mut desk, who) = in_state(state, V1);
            let written = desk.journal.len();
            assert_eq!(desk.end(who, commits, V1), verdict, "{state:?} {commits}");
            assert_eq!(desk.journal.len(), written);
            for epoch in [who.1 - 1, who.1 + 1] {
                let told = desk.end((who.0, epoch), commits, V1);
                assert_eq!(told, Err(E::PRODUCER_FENCED));
            }
        }
    }
}

#[test]
fn the_table_of_version_two_holds() {
    let (again, bumped) = (Ok((1000, 2)), Ok((1000, 3)));
    let empty = Ok((1000, 2));
    let its = Err(E::INVALID_TXN_STATE);
    let ct = Err(E::CONCURRENT_TRANSACTIONS);
    let pf = Err(E::PRODUCER_FENCED);
    let table = [
        (TxnState::Empty, [pf, its, pf, empty]),
        (TxnState::Ongoing, [pf, empty, pf, empty]),
        (TxnState::PrepareCommit, [ct, pf, its, pf]),
        (TxnState::PrepareAbort, [its, pf, ct, pf]),
        (TxnState::CompleteCommit, [again, its, its, bumped]),
        (TxnState::CompleteAbort, [its, its, again, bumped]),
    ];
    for (state, verdicts) in table {
        let asked = [(true, 1), (true, 0), (false, 1), (false, 0)];
        for ((commits, behind), verdict) in asked.into_iter().zip(verdicts) {
            let (mut desk, who) = in_state(state, V2);
            let asks = (who.0, who.1 - behind);
            let told = desk.end(asks, commits, V2);
            assert_eq!(told, verdict, "{state:?} {commits} {behind}");
            for epoch in [who.1 - 2, who.1 + 1] {
                let told = desk.end((who.0, epoch), commits, V2).err();
                assert!(matches!(told, Some(E::PRODUCER_FENCED)), "{state:?}");
            }
        }
    }
}

#[test]
fn a_stranger_ends_nothing() {
    let (mut desk, who) = in_state(TxnState::Ongoing, V2);
    for version in [V1, V2] {
        let told = desk.end((who.0 - 1, who.1), true, version);
        assert_eq!(told, Err(E::INVALID_PRODUCER_ID_MAPPING));
        let nobody = Claim {
            transactional_id: "nobody",
            ..claim(who)
        };
        let told = desk.txns.end(&nobody, true, version, 5000, desk.now);
        assert_eq!(told, Err(E::INVALID_PRODUCER_ID_MAPPING));
    }
    assert_eq!(claim(who).check(), Ok(()));
    let empty = Claim {
        transactional_id: "",
        ..claim(who)
    };
    assert_eq!(empty.check(), Err(E::INVALID_REQUEST));
}

#[test]
fn markers_follow_the_durable_decision_with_the_epoch_of_their_version() {
    for (version, epoch) in [(V1, 0), (V2, 1)] {
        let mut desk = desk();
        let who = desk.producer();
        desk.add(who, &[0, 1]).unwrap();
        desk.add_group(who, "readers").unwrap();
        assert_eq!(desk.end(who, true, version), Ok((1000, epoch)));
        assert!(desk.txn().groups.is_empty(), "they go with the decision");
        assert!(desk.markers.is_empty());
        desk.sync();
        assert_eq!(
            desk.markers,
            [(at(0), 1000, epoch, true), (at(1), 1000, epoch, true)]
        );
        assert_eq!(desk.state(), TxnState::CompleteCommit);
        assert_eq!(desk.txn().standing.version, version);
    }
}

#[test]
fn a_producer_of_version_two_goes_from_transaction_to_transaction() {
    let mut desk = desk();
    let mut who = desk.producer();
    for round in 0..5 {
        desk.write(who, 0, Joining::Added).unwrap();
        let next = desk.ended(who, round % 2 == 0, V2);
        assert_eq!(next, (1000, who.1 + 1));
        who = next;
    }
    assert_eq!(desk.markers.len(), 5);
}

#[test]
fn the_end_that_uses_up_the_epochs_brings_a_new_id_and_can_be_repeated() {
    let mut desk = desk();
    let mut who = desk.producer();
    while who.1 < i16::MAX - 1 {
        who = desk.init(None).unwrap();
    }
    desk.write(who, 0, Joining::Added).unwrap();
    assert_eq!(desk.end(who, true, V2), Ok((1001, 0)));
    let standing = desk.txn().standing;
    assert_eq!((standing.producer_id, standing.epoch), (1000, i16::MAX));
    assert_eq!(desk.end(who, true, V2), Err(E::CONCURRENT_TRANSACTIONS));
    desk.sync();
    assert_eq!(desk.markers, [(at(0), 1000, i16::MAX, true)]);
    assert_eq!(desk.end(who, true, V2), Ok((1001, 0)), "a lost answer");
    assert_eq!(desk.end(who, false, V2), Err(E::INVALID_TXN_STATE));
    assert!(desk.txns.of_producer(1000).is_none());
    desk.write((1001, 0), 0, Joining::Added).unwrap();
    assert_eq!(desk.end(who, true, V2), Err(E::INVALID_PRODUCER_ID_MAPPING));
}

#[test]
fn an_abort_where_there_is_nothing_moves_the_epoch_and_writes_no_marker() {
    let mut desk = desk();
    let who = desk.producer();
    assert_eq!(desk.end(who, false, V2), Ok((1000, 1)));
    assert_eq!(desk.state(), TxnState::PrepareAbort);
    desk.sync();
    assert_eq!(desk.state(), TxnState::CompleteAbort);
    assert!(desk.markers.is_empty());
    assert_eq!(desk.txn().standing.started_ms, desk.now.wall_ms);
}

#[test]
fn a_full_disk_puts_the_end_off_and_others_go_on() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    desk.full = true;
    desk.end(who, false, V1).unwrap();
    let other = desk.init_at_once("other", None).unwrap();
    desk.sync();
    assert_eq!(desk.state(), TxnState::PrepareAbort);
    let idle = Claim {
        transactional_id: "other",
        ..claim(other)
    };
    let Ok(Ended::Decided(standing)) = desk.txns.end(&idle, false, V2, 9000, desk.now) else {
        panic!("it may abort");
    };
    desk.decide("other", standing);
    desk.sync();
    let other = desk.txns.get("other").unwrap();
    assert_eq!(
        other.state(),
        TxnState::CompleteAbort,
        "it has no partition"
    );
    desk.wait(1200);
    assert_eq!(desk.end(who, false, V1), Err(E::CONCURRENT_TRANSACTIONS));
    desk.full = false;
    desk.wait(300);
    assert_eq!(desk.state(), TxnState::CompleteAbort);
    assert_eq!(desk.markers, [(at(0), 1000, 0, false)]);
}

#[test]
fn an_end_that_is_too_large_for_a_turn_is_complete_only_with_its_last_partition() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0, 1, 2]).unwrap();
    desk.end(who, true, V2).unwrap();
    (desk.synced, desk.gathering) = (desk.gathering, desk.gathering + 1);
    let id = desk.txns.take_end(desk.synced).unwrap();
    let part = desk.txns.marked(&id, &[at(0), at(2)], desk.now);
    desk.txns.go_on(Arc::clone(&id));
    desk.keep(part);
    assert_eq!(desk.state(), TxnState::PrepareCommit);
    assert_eq!(
        desk.txns.take_end(desk.synced),
        Some(id),
        "in the next turn"
    );
    let rest = desk.txns.marked(&ID.into(), &[at(1)], desk.now);
    desk.keep(rest);
    assert_eq!(desk.state(), TxnState::CompleteCommit);
}
