//! What joins a transaction, by which version, and what others are told.

use super::*;

const WAYS: [Joining; 3] = [Joining::Refused, Joining::Abortable, Joining::Added];

#[test]
fn the_first_partition_begins_the_transaction_and_later_ones_join_it() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[3, 1]).unwrap();
    assert_eq!(desk.state(), TxnState::Ongoing);
    let begun_ms = desk.txn().standing.started_ms;
    assert_eq!(begun_ms, desk.now.wall_ms);
    desk.wait(1000);
    desk.add(who, &[1, 2]).unwrap();
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
        assert_eq!(desk.write(stranger, 0, Joining::Added), fenced);
    }
    assert_eq!(desk.state(), TxnState::Empty);
}

#[test]
fn a_partition_that_was_not_added_joins_by_version_two_alone() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    for joining in WAYS {
        assert_eq!(desk.write(who, 0, joining), Ok(()));
    }
    let abortable = Err(ErrorCode::TRANSACTION_ABORTABLE);
    assert_eq!(desk.write(who, 1, Joining::Refused), abortable);
    assert_eq!(desk.write(who, 1, Joining::Abortable), abortable);
    assert_eq!(desk.write(who, 1, Joining::Added), Ok(()));
    assert_eq!(desk.write(who, 1, Joining::Refused), Ok(()));
}

#[test]
fn a_group_that_was_not_added_joins_by_version_two_alone() {
    let mut desk = desk();
    let who = desk.producer();
    let abortable = Err(ErrorCode::TRANSACTION_ABORTABLE);
    for joining in [Joining::Refused, Joining::Abortable] {
        let told = desk.txns.admit_group(&claim(who), "g", joining, desk.now);
        assert_eq!(told, abortable);
    }
    let joins = desk
        .txns
        .admit_group(&claim(who), "g", Joining::Added, desk.now);
    desk.keep(joins.unwrap());
    assert_eq!(desk.state(), TxnState::Ongoing);
    for joining in WAYS {
        let told = desk.txns.admit_group(&claim(who), "g", joining, desk.now);
        assert_eq!(told, Ok(Vec::new()));
    }
}

#[test]
fn versions_of_requests_say_what_joins_and_which_codes_are_known() {
    let of_produce = [9, 10, 11, 12, 13].map(Joining::of_produce);
    let of_offsets = [2, 3, 4, 5, 6].map(Joining::of_offsets);
    let [refused, abortable, added] = WAYS;
    assert_eq!(of_produce, [refused, refused, abortable, added, added]);
    assert_eq!(of_offsets, of_produce);
    let codes =
        |error| WAYS.map(|joining| (joining.told(error).0, joining.told_to_writer(error).0));
    assert_eq!(codes(ErrorCode::PRODUCER_FENCED), [(47, 47); 3]);
    assert_eq!(
        codes(ErrorCode::TRANSACTION_ABORTABLE),
        [(48, 48), (120, 120), (120, 120)]
    );
    assert_eq!(
        codes(ErrorCode::CONCURRENT_TRANSACTIONS),
        [(51, 19), (51, 19), (51, 51)]
    );
    assert_eq!(
        codes(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        [(14, 19); 3]
    );
    assert_eq!(codes(ErrorCode::INVALID_PRODUCER_ID_MAPPING), [(49, 49); 3]);
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
        for joining in WAYS {
            assert_eq!(desk.write(next, 0, joining), concurrent);
        }
        assert!(!desk.txns.is_ongoing(who.0));
    }
}

#[test]
fn a_transaction_of_version_one_is_written_to_only_when_the_one_before_is_durably_complete() {
    for joining in WAYS {
        let mut desk = desk();
        let who = desk.producer();
        desk.add(who, &[0]).unwrap();
        desk.end(who, true, V1).unwrap();
        desk.sync();
        assert_eq!(desk.state(), TxnState::CompleteCommit);
        desk.add(who, &[0]).unwrap();
        let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        assert_eq!(desk.write(who, 0, joining), concurrent);
        desk.sync();
        assert_eq!(desk.write(who, 0, joining), Ok(()));
    }
}

#[test]
fn a_transaction_of_version_two_is_written_to_at_once() {
    let mut desk = desk();
    let who = desk.producer();
    desk.write(who, 0, Joining::Added).unwrap();
    let next = desk.end(who, true, V2).unwrap();
    desk.sync();
    assert_eq!(desk.write(next, 0, Joining::Added), Ok(()));
    assert_eq!(desk.state(), TxnState::Ongoing);
}
