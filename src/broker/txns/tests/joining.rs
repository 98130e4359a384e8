//! What joins a transaction, and by which version.

use super::*;

const WAYS: [TxnVersion; 2] = [V1, V2];

#[test]
fn the_first_partition_begins_the_transaction_and_later_ones_join_it() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[3, 1, 3]).unwrap();
    assert_eq!(desk.state(), TxnState::Ongoing);
    let begun = desk.journal.len();
    let begun_ms = desk.txn().standing.started_ms;
    assert_eq!(begun_ms, Some(desk.now.wall_ms));
    desk.wait(1000);
    desk.add(who, &[1, 2, 2]).unwrap();
    assert_eq!(
        desk.journal.len(),
        begun + 1,
        "once, however often it is named"
    );
    desk.add_group(who, "readers").unwrap();
    assert_eq!(desk.txn().standing.started_ms, begun_ms);
    assert!(desk.txn().partitions.iter().eq([&at(1), &at(2), &at(3)]));
    assert!(desk.txn().groups.contains("readers"));
    let written = desk.journal.len();
    desk.add(who, &[1, 3]).unwrap();
    desk.add_group(who, "readers").unwrap();
    assert_eq!(desk.journal.len(), written, "nothing new is not journaled");
}

#[test]
fn a_request_without_partitions_begins_a_transaction_too() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[]).unwrap();
    assert_eq!(desk.state(), TxnState::Ongoing);
    assert_eq!(desk.end(who, true, V1), Ok(who));
}

#[test]
fn who_is_not_the_producer_joins_nothing() {
    let mut desk = desk();
    let unknown = Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    assert_eq!(desk.add((1000, 0), &[0]), unknown);
    let who = desk.producer();
    assert_eq!(desk.add((who.0 + 1, 0), &[0]), unknown);
    for epoch in [-1, 1] {
        let stranger = (who.0, epoch);
        let fenced = Err(ErrorCode::PRODUCER_FENCED);
        assert_eq!(desk.add(stranger, &[0]), fenced);
        assert_eq!(desk.add_group(stranger, "g"), fenced);
        assert_eq!(desk.write(stranger, 0, V2), fenced);
    }
    assert_eq!(desk.state(), TxnState::Empty);
}

#[test]
fn a_partition_that_was_not_added_joins_by_version_two_alone() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    for version in WAYS {
        assert_eq!(desk.write(who, 0, version), Ok(()));
    }
    let abortable = Err(ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(desk.write(who, 1, V1), abortable);
    assert_eq!(desk.write(who, 1, V2), Ok(()));
    assert_eq!(desk.write(who, 1, V1), Ok(()));
}

#[test]
fn a_group_that_was_not_added_joins_by_version_two_alone() {
    let mut desk = desk();
    let who = desk.producer();
    let abortable = Err(ErrorCode::TRANSACTION_ABORTABLE);
    let told = desk.txns.admit_group(&claim(who), "g", V1, desk.now);
    assert_eq!(told, abortable);
    let joins = desk.txns.admit_group(&claim(who), "g", V2, desk.now);
    desk.keep(joins.unwrap());
    assert_eq!(desk.state(), TxnState::Ongoing);
    for version in WAYS {
        let told = desk.txns.admit_group(&claim(who), "g", version, desk.now);
        assert_eq!(told, Ok(Vec::new()));
    }
}

#[test]
fn nothing_joins_while_an_end_is_being_written() {
    for version in [V1, V2] {
        let mut desk = desk();
        let who = desk.producer();
        desk.add(who, &[0]).unwrap();
        let next = desk.end(who, true, version).unwrap();
        let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        assert_eq!(desk.add(next, &[0]), concurrent);
        assert_eq!(desk.add_group(next, "g"), concurrent);
        for version in WAYS {
            assert_eq!(desk.write(next, 0, version), concurrent);
        }
        assert!(!desk.txns.is_ongoing(producer(who)));
    }
}

#[test]
fn a_transaction_of_version_one_is_written_to_only_when_the_one_before_is_durably_complete() {
    for version in WAYS {
        let mut desk = desk();
        let who = desk.producer();
        desk.add(who, &[0]).unwrap();
        desk.end(who, true, V1).unwrap();
        desk.sync();
        assert_eq!(desk.state(), TxnState::CompleteCommit);
        desk.add(who, &[0]).unwrap();
        let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        assert_eq!(desk.write(who, 0, version), concurrent);
        desk.sync();
        assert_eq!(desk.write(who, 0, version), Ok(()));
    }
}

#[test]
fn a_transaction_of_version_two_is_written_to_at_once() {
    let mut desk = desk();
    let who = desk.producer();
    desk.write(who, 0, V2).unwrap();
    let next = desk.end(who, true, V2).unwrap();
    desk.sync();
    assert_eq!(desk.write(next, 0, V2), Ok(()));
    assert_eq!(desk.state(), TxnState::Ongoing);
}
