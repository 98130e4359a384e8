//! Members that go.

use super::*;

#[test]
fn when_a_member_leaves_the_others_rebalance_at_once() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    assert_eq!(desk.leave(&members[0].member_id), ErrorCode::NONE);
    assert_eq!(desk.state(), "PreparingRebalance");
    let again = desk.join(&client().with_id(&members[1].member_id));
    let joined = desk.joined(again);
    assert_eq!(
        (joined.generation_id, &joined.leader),
        (2, &members[1].member_id)
    );
}

#[test]
fn when_the_last_member_leaves_the_group_is_empty() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    assert!(
        desk.groups
            .removable(GROUP)
            .is_err_and(|e| e == ErrorCode::NON_EMPTY_GROUP)
    );
    assert_eq!(desk.leave(&members[0].member_id), ErrorCode::NONE);
    assert_eq!((desk.state(), desk.group().generation_id), ("Empty", 2));
    assert!(desk.groups.removable(GROUP).is_ok());
    let none = desk.groups.removable("other");
    assert!(none.is_err_and(|e| e == ErrorCode::GROUP_ID_NOT_FOUND));
}

#[test]
fn those_who_are_unknown_are_told_so_one_by_one() {
    let mut desk = desk();
    let leavers = [leaver("a", None), leaver("b", Some("one"))];
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(
        desk.leave_all(&leavers),
        [unknown, unknown],
        "no such group"
    );
    let members = desk.stable(&[client(), client()]);
    let leavers = [
        leaver("a", None),
        leaver(&members[0].member_id, None),
        leaver("", None),
    ];
    assert_eq!(
        desk.leave_all(&leavers),
        [unknown, ErrorCode::NONE, unknown]
    );
    assert_eq!(desk.group().members.len(), 1);
}

#[test]
fn who_is_unknown_disturbs_nobody() {
    let mut desk = desk();
    desk.stable(&[client()]);
    desk.leave("stranger");
    assert_eq!(desk.state(), "Stable");
}

#[test]
fn an_empty_group_id_is_an_error_of_the_whole_request() {
    let mut desk = desk();
    let (left, record) = desk.groups.leave("", &[leaver("a", None)], desk.now);
    assert_eq!(left, Err(ErrorCode::INVALID_GROUP_ID));
    assert!(record.is_none());
}

#[test]
fn several_leave_with_one_rebalance() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    let both: Vec<_> = members.iter().map(|m| leaver(&m.member_id, None)).collect();
    desk.leave_all(&both);
    assert_eq!((desk.state(), desk.group().generation_id), ("Empty", 2));
}

#[test]
fn a_pending_member_that_leaves_lets_the_others_go_on() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    let asked = desk.join(&client().new_style());
    let pending = desk.joined(asked);
    let waiting = desk.join(&client().with_id(&members[0].member_id));
    assert!(desk.owed.contains(&waiting));
    assert_eq!(desk.leave(&pending.member_id), ErrorCode::NONE);
    assert_eq!(desk.joined(waiting).generation_id, 2);
}

#[test]
fn a_group_whose_only_pending_member_leaves_is_forgotten() {
    let mut desk = desk();
    let asked = desk.join(&client().new_style());
    let pending = desk.joined(asked);
    assert_eq!(desk.leave(&pending.member_id), ErrorCode::NONE);
    assert_eq!(desk.state(), "Dead");
    assert_eq!(desk.groups.next_deadline(), None);
}

#[test]
fn a_member_that_leaves_while_it_waits_to_join_is_told_that_it_is_unknown() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    let waiting = desk.join(&client().with_id(&members[0].member_id));
    desk.leave(&members[0].member_id);
    let refused = desk.joined(waiting);
    assert_eq!(refused.error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(&*refused.member_id, "");
}

#[test]
fn a_member_that_leaves_while_it_waits_for_its_part_is_told_that_it_is_unknown() {
    let mut desk = desk();
    let asked = [desk.ask(&client()), desk.ask(&client())];
    desk.wait(0);
    let members = asked.map(|asked| desk.joined(asked));
    let waiting = desk.sync(&members[1], &[]);
    desk.leave(&members[1].member_id);
    assert_eq!(desk.synced(waiting).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(desk.state(), "PreparingRebalance");
}

#[test]
fn when_the_one_that_is_missed_leaves_the_rebalance_goes_on() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    let waiting = desk.join(&client().with_id(&members[0].member_id));
    desk.leave(&members[1].member_id);
    assert_eq!(desk.joined(waiting).generation_id, 2);
}
