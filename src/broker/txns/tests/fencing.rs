//! Timeouts: a transaction that is open for too long is aborted, and its producer shut out.

use super::*;

#[test]
fn a_transaction_is_aborted_at_its_timeout_and_not_before() {
    for (finalized, last_epoch) in [(V2, Some(0)), (V1, None)] {
        let mut desk = desk();
        desk.finalized = finalized;
        let who = desk.producer();
        desk.wait(1_000_000);
        desk.add(who, &[0]).unwrap();
        desk.wait(i64::from(TIMEOUT_MS) - 1);
        assert_eq!(desk.state(), TxnState::Ongoing);
        desk.wait(1);
        assert_eq!(desk.state(), TxnState::PrepareAbort);
        desk.sync();
        assert_eq!(desk.markers, [(at(0), 1000, 1, false)]);
        let standing = desk.txn().standing;
        assert_eq!(
            (standing.producer.epoch, standing.last_epoch),
            (1, last_epoch)
        );
        assert_eq!(desk.txns.next_deadline(), None);
        assert_eq!(desk.add(who, &[0]), Err(ErrorCode::PRODUCER_FENCED));
    }
}

#[test]
fn a_producer_that_was_timed_out_comes_back_only_where_kafka_lets_it() {
    let back = [(V2, Ok((1000, 1))), (V1, Err(ErrorCode::PRODUCER_FENCED))];
    for (finalized, answer) in back {
        let mut desk = desk();
        desk.finalized = finalized;
        let who = desk.producer();
        desk.add(who, &[0]).unwrap();
        desk.wait(TIMEOUT_MS.into());
        desk.sync();
        assert_eq!(desk.init(Some(who)), answer);
    }
}

#[test]
fn a_timed_out_transaction_answers_its_producer_by_the_table() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    desk.wait(TIMEOUT_MS.into());
    desk.sync();
    let its = Err(ErrorCode::INVALID_TXN_STATE);
    assert_eq!(desk.end(who, true, V2), its, "no commit is promised");
    assert_eq!(desk.end(who, false, V2), Ok((1000, 1)));
    assert_eq!(desk.end(who, true, V1), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_timeout_that_uses_up_the_epochs_leaves_a_way_on() {
    for (finalized, standing) in [(V2, (1001, 0)), (V1, (1000, i16::MAX))] {
        let mut desk = desk();
        desk.finalized = finalized;
        let mut last = desk.producer();
        while last.1 < i16::MAX - 1 {
            last = desk.init(None).unwrap();
        }
        desk.add(last, &[0]).unwrap();
        desk.wait(TIMEOUT_MS.into());
        desk.sync();
        assert_eq!(desk.markers, [(at(0), 1000, i16::MAX, false)]);
        assert_eq!(pair(desk.txn().standing.producer), standing);
        if finalized == V1 {
            let fenced = Err(ErrorCode::PRODUCER_FENCED);
            assert_eq!(desk.end(last, false, V2), fenced, "nobody gets that epoch");
        }
        let next = desk.init(None).unwrap();
        assert_eq!(next.0, 1001);
    }
}

#[test]
fn a_transaction_that_another_system_decides_about_is_never_timed_out() {
    let mut desk = desk();
    let ask = Init {
        transactional_id: ID,
        timeout_ms: i32::MAX,
        believed: None,
    };
    assert_eq!(ask.check(i32::MAX), Ok(()));
    let Ok(Initialized::Ready(standing)) = desk.txns.init(&ask, V2, 1000, desk.now) else {
        panic!("a new id");
    };
    desk.stands(ID, standing);
    desk.add((1000, 0), &[0]).unwrap();
    assert_eq!(desk.txns.next_deadline(), None);
    desk.restart();
    assert_eq!(desk.txns.next_deadline(), None);
}

#[test]
fn ending_in_time_stops_the_clock() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    desk.wait(i64::from(TIMEOUT_MS) - 1);
    desk.ended(who, true, V2);
    desk.wait(10_000_000);
    assert_eq!(desk.state(), TxnState::CompleteCommit);
}
