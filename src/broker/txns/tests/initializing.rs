//! InitProducerId: new ids, new epochs, those who come again, and those who come too late.

use super::*;

#[test]
fn a_new_id_begins_with_epoch_zero_and_every_producer_gets_the_next() {
    let mut desk = desk();
    assert_eq!(desk.init(None), Ok((1000, 0)));
    assert_eq!(desk.state(), TxnState::Empty);
    assert_eq!(desk.init(None), Ok((1000, 1)));
    assert_eq!(desk.init_at_once("others", None), Ok((1001, 0)));
}

#[test]
fn what_does_not_depend_on_state_is_refused_first() {
    let check = |transactional_id, timeout_ms| {
        let ask = Init {
            transactional_id,
            timeout_ms,
            believed: None,
        };
        ask.check(900_000).err()
    };
    assert_eq!(check("", 0), Some(ErrorCode::INVALID_REQUEST));
    for wrong in [0, -1, i32::MIN, 900_001, i32::MAX] {
        let told = check(ID, wrong);
        assert_eq!(told, Some(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    }
    assert_eq!((check(ID, 1), check(ID, 900_000)), (None, None));
}

#[test]
fn a_producer_that_names_its_epoch_gets_the_next_and_the_same_when_it_asks_again() {
    let mut desk = desk();
    let first = desk.producer();
    assert_eq!(desk.init(Some(first)), Ok((1000, 1)));
    assert_eq!(desk.init(Some(first)), Ok((1000, 1)), "a lost answer");
    assert_eq!(desk.init(Some(first)), Ok((1000, 1)));
    let fenced = Err(ErrorCode::PRODUCER_FENCED);
    assert_eq!(desk.init(Some((1000, 7))), fenced);
    assert_eq!(desk.init(Some((999, 1))), fenced);
    assert_eq!(desk.init(None), Ok((1000, 2)));
    assert_eq!(
        desk.init(Some(first)),
        fenced,
        "somebody else has come since"
    );
    assert_eq!(desk.init(Some((1000, 1))), fenced);
}

#[test]
fn a_producer_whose_id_is_forgotten_gets_a_new_one_whatever_it_names() {
    let mut desk = desk();
    assert_eq!(desk.init(Some((77, 5))), Ok((1000, 0)));
}

#[test]
fn a_producer_that_comes_while_a_transaction_is_open_waits_for_its_abort() {
    let mut desk = desk();
    let old = desk.producer();
    desk.add(old, &[0, 1]).unwrap();
    desk.sync();
    let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(desk.init_at_once(ID, None), concurrent);
    assert_eq!(desk.state(), TxnState::PrepareAbort);
    assert_eq!(desk.init_at_once(ID, None), concurrent);
    assert!(
        desk.markers.is_empty(),
        "not before the decision is durable"
    );
    desk.sync();
    assert_eq!(desk.state(), TxnState::CompleteAbort);
    assert_eq!(
        desk.markers,
        [(at(0), 1000, 1, false), (at(1), 1000, 1, false)]
    );
    assert_eq!(desk.init(None), Ok((1000, 2)));
    assert_eq!(desk.add(old, &[0]), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_producer_of_an_unused_up_id_goes_on_under_a_new_one() {
    for believes in [false, true] {
        let mut desk = desk();
        desk.producer();
        while desk.txn().standing.producer.epoch < i16::MAX - 1 {
            desk.init(None).unwrap();
        }
        let last = (1000, i16::MAX - 1);
        let believed = believes.then_some(last);
        assert_eq!(desk.init(believed), Ok((1001, 0)));
        assert!(desk.txns.of_producer(1000).is_none());
        if believes {
            assert_eq!(desk.init(Some(last)), Ok((1001, 0)), "a lost answer");
        }
        let another = Some((1000, i16::MAX - 2));
        assert_eq!(desk.init(another), Err(ErrorCode::PRODUCER_FENCED));
    }
}

#[test]
fn nobody_with_an_older_epoch_gets_on_when_the_epochs_are_used_up() {
    let mut desk = desk();
    desk.producer();
    while desk.txn().standing.producer.epoch < i16::MAX - 1 {
        desk.init(None).unwrap();
    }
    let older = Some((1000, i16::MAX - 2));
    assert_eq!(desk.init(older), Err(ErrorCode::UNKNOWN_SERVER_ERROR));
}

#[test]
fn nobody_writes_with_an_epoch_that_is_not_durable() {
    let mut desk = desk();
    let who = desk.init_at_once(ID, None).unwrap();
    let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(desk.write(who, 0, V2), concurrent);
    desk.sync();
    assert_eq!(desk.write(who, 0, V2), Ok(()));
}

#[test]
fn an_idle_id_is_forgotten_in_time_and_an_open_one_never() {
    let mut desk = desk();
    let who = desk.producer();
    desk.now.wall_ms += 1000;
    assert_eq!(desk.txns.aged(desk.now.wall_ms, 1001), []);
    let gone = vec![desk.txn().record(TxnFact::Expired)];
    assert_eq!(desk.txns.aged(desk.now.wall_ms, 1000), gone);
    assert_eq!(desk.txns.aged(1000, -1000), [], "an implausible clock");
    desk.add(who, &[0]).unwrap();
    assert_eq!(desk.txns.aged(i64::MAX, 1000), []);
    desk.ended(who, true, V1);
    let gone = desk.txns.aged(desk.now.wall_ms + 1000, 1000);
    desk.keep(gone);
    let unknown = Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    assert_eq!(desk.add(who, &[0]), unknown);
    assert_eq!(desk.txns.round_of(ID), desk.gathering);
    assert_eq!(desk.init(Some(who)), Ok((1001, 0)));
}

#[test]
fn an_id_of_a_clock_that_was_not_set_counts_from_when_that_is_seen() {
    for wrong_ms in [0, clock::PLAUSIBLE_MS * 2] {
        let mut desk = desk();
        let wall_ms = std::mem::replace(&mut desk.now.wall_ms, wrong_ms);
        desk.producer();
        desk.now.wall_ms = wall_ms;
        let righted = desk.txns.aged(wall_ms, 1000);
        desk.keep(righted);
        assert_eq!(desk.txn().standing.updated_ms, wall_ms);
        assert_eq!(desk.txns.aged(wall_ms + 999, 1000), []);
        assert_eq!(desk.txns.aged(wall_ms + 1000, 1000).len(), 1);
    }
}
