//! What a restart of the broker leaves: the last settled generation.

use super::*;

#[test]
fn a_stable_group_goes_on_after_a_restart_without_a_rebalance() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client().instance("one")]);
    desk.restart();
    assert_eq!(desk.state(), "Stable");
    assert_eq!(desk.group().leader.as_ref(), Some(&members[0].leader));
    for member in &members {
        assert_eq!(desk.beat(member), ErrorCode::NONE);
        assert_eq!(desk.commit(claim(member), 9), Ok(()));
        let asked = desk.sync(member, &[]);
        assert_eq!(*desk.synced(asked).assignment, *member.member_id.as_bytes());
    }
    assert_eq!(desk.group().generation_id, 1);
}

#[test]
fn members_that_are_gone_after_a_restart_time_out_from_then_on() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    desk.wait(i64::from(SESSION_MS) - 1);
    desk.restart();
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.beat(&members[0]), ErrorCode::NONE);
    desk.wait(1);
    assert_eq!(desk.beat(&members[1]), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_rebalance_that_a_restart_cuts_off_is_as_if_it_had_not_begun() {
    let mut desk = desk();
    let first = desk.stable(&[client()]).remove(0);
    let asked = desk.join(&client());
    let again = desk.join(&client().with_id(&first.member_id));
    let (second, again) = (desk.joined(asked), desk.joined(again));
    assert_eq!(again.generation_id, 2);
    desk.restart();
    assert_eq!((desk.state(), desk.group().generation_id), ("Stable", 1));
    assert_eq!(desk.beat(&first), ErrorCode::NONE);
    assert_eq!(desk.beat(&again), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(desk.beat(&second), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_replayed_member_that_says_the_same_in_its_protocol_alone_needs_no_rebalance() {
    let mut desk = desk();
    let members = desk.stable(&[client().knows(&["a"]), client().knows(&["a"])]);
    desk.restart();
    let asked = desk.join(&client().knows(&["a"]).with_id(&members[1].member_id));
    assert_eq!(desk.joined(asked).generation_id, 1);
    assert_eq!(desk.state(), "Stable");
}

#[test]
fn an_empty_group_and_its_generation_are_there_after_a_restart() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    desk.leave(&members[0].member_id);
    desk.restart();
    assert_eq!((desk.state(), desk.group().generation_id), ("Empty", 2));
    let joined = desk.stable(&[client()]).remove(0);
    assert_eq!(joined.generation_id, 3, "generations never fall");
}

#[test]
fn a_static_member_that_came_back_is_known_by_its_new_id_after_a_restart() {
    let mut desk = desk();
    desk.stable(&[client(), client().instance("one")]);
    let other = client().instance("one").knows(&["range", "more"]);
    let asked = desk.join(&other);
    let new = desk.joined(asked);
    desk.restart();
    assert_eq!(desk.beat(&new), ErrorCode::NONE);
    let kept = desk.member(&new.member_id);
    assert_eq!(kept.metadata("range"), b"range");
    assert_eq!(desk.group().members.len(), 2);
}

#[test]
fn what_was_said_last_counts_after_a_restart() {
    let mut desk = desk();
    let first = desk.stable(&[client().knows(&["a", "b"])]).remove(0);
    let mut wiser = client().knows(&["a"]).with_id(&first.member_id);
    wiser.protocols[0].1 = b"wiser".to_vec();
    let asked = desk.join(&wiser);
    let joined = desk.joined(asked);
    desk.share_out(&[joined]);
    desk.restart();
    let kept = desk.member(&first.member_id);
    assert_eq!(kept.metadata("a"), b"wiser");
}

#[test]
fn pending_ids_do_not_survive_a_restart() {
    let mut desk = desk();
    let asked = desk.join(&client().new_style());
    let told = desk.joined(asked);
    desk.restart();
    let late = client().new_style().with_id(&told.member_id);
    assert_eq!(desk.join_error(&late), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn an_idle_group_wants_nothing() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    desk.leave(&members[0].member_id);
    desk.restart();
    assert_eq!(desk.groups.next_deadline(), None);
}
