//! What a start finds in the journal and in the logs, and what it makes of it.

use super::*;

fn stray(partition: i32, who: Who) -> Stray {
    Stray {
        at: at(partition),
        producer: producer(who),
    }
}

#[test]
fn an_open_transaction_goes_on_after_a_restart_with_what_it_has() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0, 1]).unwrap();
    desk.add_group(who, "g").unwrap();
    desk.restart();
    assert_eq!(desk.state(), TxnState::Ongoing);
    assert_eq!(desk.txn().partitions.len(), 2);
    assert!(desk.txn().groups.contains("g"));
    assert_eq!(desk.write(who, 0, V1), Ok(()));
    assert_eq!(desk.end(who, true, V2), Ok((1000, 1)));
}

#[test]
fn a_decided_end_is_carried_on_after_a_restart() {
    for commits in [true, false] {
        let mut desk = desk();
        let who = desk.producer();
        desk.add(who, &[0]).unwrap();
        desk.end(who, commits, V2).unwrap();
        desk.restart();
        assert_eq!(desk.markers, []);
        desk.finish();
        assert_eq!(desk.markers, [(at(0), 1000, 1, commits)]);
        assert!(desk.state().is_idle());
        assert_eq!(desk.end(who, commits, V2), Ok((1000, 1)), "a lost answer");
    }
}

#[test]
fn partitions_that_have_their_marker_are_not_marked_again() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0, 1]).unwrap();
    desk.end(who, true, V2).unwrap();
    let part = desk.txn().marked(&[at(0)], desk.now);
    desk.keep(part);
    desk.restart();
    desk.finish();
    assert_eq!(desk.markers, [(at(1), 1000, 1, true)]);
}

#[test]
fn a_timeout_goes_on_after_a_restart_and_is_never_longer_than_it_is() {
    let jumps = [(-1_000_000_000, 60_000), (20_000, 40_000), (10_000_000, 0)];
    for (jump_ms, left_ms) in jumps {
        let mut desk = desk();
        let who = desk.producer();
        desk.add(who, &[0]).unwrap();
        desk.now.wall_ms += jump_ms;
        desk.restart();
        let due = desk.txns.next_deadline();
        assert_eq!(due, Some(desk.now.mono.plus_ms(left_ms)), "{jump_ms}");
    }
}

#[test]
fn a_timeout_that_began_before_the_clock_was_set_is_whole_after_a_restart() {
    let mut desk = desk();
    let wall_ms = std::mem::replace(&mut desk.now.wall_ms, 1000);
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    desk.now.wall_ms = wall_ms;
    desk.restart();
    let whole = desk.now.mono.plus_ms(TIMEOUT_MS.into());
    assert_eq!(desk.txns.next_deadline(), Some(whole));
}

#[test]
fn records_whose_transaction_was_cut_off_are_its_own_again() {
    let mut desk = desk();
    let who = desk.producer();
    desk.restart();
    let adopted = desk.txns.adopt(&stray(4, who), desk.now);
    let Adoption::Adopted(_, records) = adopted else {
        panic!("{adopted:?}");
    };
    assert_eq!(records.len(), 2, "it begins, and has the partition");
    desk.keep(records);
    assert_eq!(desk.state(), TxnState::Ongoing);
    let known = desk.txns.adopt(&stray(4, who), desk.now);
    assert_eq!(known, Adoption::Adopted(ID.into(), Vec::new()));
    desk.wait(TIMEOUT_MS.into());
    desk.sync();
    assert_eq!(desk.markers, [(at(4), 1000, 1, false)]);
}

#[test]
fn records_of_nobody_or_of_another_epoch_are_orphans() {
    let mut desk = desk();
    let who = desk.producer();
    desk.init(None).unwrap();
    for nobody in [who, (who.0, 2), (who.0 + 1, 1)] {
        let told = desk.txns.adopt(&stray(0, nobody), desk.now);
        assert_eq!(told, Adoption::Orphan, "{nobody:?}");
    }
}

#[test]
fn records_behind_an_end_that_is_being_written_wait_for_it() {
    let mut desk = desk();
    let who = desk.producer();
    desk.add(who, &[0]).unwrap();
    let next = desk.end(who, true, V2).unwrap();
    desk.restart();
    let behind = stray(0, next);
    assert_eq!(desk.txns.adopt(&behind, desk.now), Adoption::Later);
    desk.finish();
    let told = desk.txns.adopt(&behind, desk.now);
    assert!(matches!(told, Adoption::Adopted(_, records) if records.len() == 2));
}

#[test]
fn records_of_the_producer_id_that_follows_an_end_wait_for_it_too() {
    let mut desk = desk();
    let mut who = desk.producer();
    while who.1 < i16::MAX - 1 {
        who = desk.init(None).unwrap();
    }
    desk.write(who, 0, V2).unwrap();
    let next = desk.end(who, true, V2).unwrap();
    assert_eq!(next, (1001, 0));
    desk.restart();
    assert_eq!(desk.txns.adopt(&stray(0, next), desk.now), Adoption::Later);
    desk.finish();
    let told = desk.txns.adopt(&stray(0, next), desk.now);
    assert!(matches!(told, Adoption::Adopted(_, records) if records.len() == 2));
}
