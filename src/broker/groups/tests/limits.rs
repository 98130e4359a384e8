//! What members may take in memory.

use super::*;

fn small() -> Desk {
    desk_with(|config| config.chronik_groups_bytes = 100_000)
}

fn saying(bytes: usize) -> Client {
    Client {
        protocols: vec![("range", vec![7; bytes])],
        ..client()
    }
}

fn of(group: &'static str, client: Client) -> Client {
    Client { group, ..client }
}

#[test]
fn beyond_the_limit_nobody_joins_and_nothing_is_kept() {
    let mut desk = small();
    desk.stable(&[saying(40_000)]);
    desk.join(&of("other", saying(40_000)));
    let third = of("third", saying(40_000));
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    assert_eq!(desk.join_error(&third), error);
    assert_eq!(desk.join_error(&third.new_style()), error);
    assert!(desk.groups.get("third").is_none());
}

#[test]
fn at_the_limit_members_come_back_as_large_as_they_were_and_no_larger() {
    let mut desk = small();
    let joined = desk.stable(&[saying(90_000)]);
    let id = &joined[0].member_id;
    let again = desk.join(&saying(90_000).with_id(id));
    assert_eq!(desk.joined(again).error, ErrorCode::NONE);
    let larger = saying(99_000).with_id(id);
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    assert_eq!(desk.join_error(&larger), error);
    assert_eq!(desk.leave(id), ErrorCode::NONE);
    let next = desk.join(&saying(90_000));
    assert_eq!(
        desk.joined(next).error,
        ErrorCode::NONE,
        "room is free again"
    );
}

#[test]
fn a_static_member_that_comes_back_takes_the_room_of_its_former_self() {
    let mut desk = small();
    desk.stable(&[saying(60_000).instance("one")]);
    let back = desk.join(&saying(60_000).instance("one"));
    assert_eq!(desk.joined(back).error, ErrorCode::NONE);
}

#[test]
fn ids_that_wait_for_their_members_take_room_until_their_time_is_over() {
    let mut desk = small();
    let newcomer = client().new_style();
    let mut given = 0;
    while desk.join_error(&newcomer) == ErrorCode::MEMBER_ID_REQUIRED {
        given += 1;
    }
    assert!((100..1000).contains(&given), "{given}");
    desk.wait(SESSION_MS.into());
    assert!(desk.groups.get(GROUP).is_none());
    assert_eq!(desk.join_error(&newcomer), ErrorCode::MEMBER_ID_REQUIRED);
}

#[test]
fn one_group_is_never_larger_than_an_answer_about_it_may_be() {
    let mut desk = desk();
    let asked = desk.join(&saying(20 << 20));
    assert_eq!(desk.joined(asked).error, ErrorCode::NONE);
    let error = ErrorCode::GROUP_MAX_SIZE_REACHED;
    assert_eq!(desk.join_error(&saying(20 << 20)), error);
}

#[test]
fn assignments_count_too() {
    let mut desk = small();
    desk.stable(&[saying(60_000)]);
    let asked = desk.join(&of("other", saying(10_000)));
    let member = desk.joined(asked);
    let part = vec![1; 50_000];
    let spoken = Claim {
        group_id: "other",
        ..claim(&member)
    };
    let asked = desk.sync_as(spoken, None, None, &[(&member.member_id, &part)]);
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    assert_eq!(desk.synced(asked).error, error);
}

#[test]
fn while_the_disk_is_full_no_group_gets_its_first_generation() {
    let mut desk = desk();
    let asked = desk.join(&of("begun", client()));
    let begun = desk.joined(asked);
    desk.groups.set_short(true);
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    assert_eq!(desk.join_error(&client()), error);
    let spoken = Claim {
        group_id: "begun",
        ..claim(&begun)
    };
    let asked = desk.sync_as(spoken, None, None, &[]);
    assert_eq!(desk.synced(asked).error, error);
    desk.groups.set_short(false);
    desk.stable(&[client()]);
}

#[test]
fn while_the_disk_is_full_generations_are_replaced_by_those_that_are_no_larger() {
    let mut desk = desk();
    let joined = desk.stable(&[saying(10_000)]);
    desk.groups.set_short(true);
    let again = desk.join(&saying(9_000).with_id(&joined[0].member_id));
    let again = desk.joined(again);
    desk.share_out(&[again]);
    let joined = desk.join(&saying(10_000).with_id(&joined[0].member_id));
    let joined = desk.joined(joined);
    let asked = desk.sync(&joined, &[]);
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    assert_eq!(desk.synced(asked).error, error);
}

#[test]
fn while_the_disk_is_full_members_of_a_small_group_come_and_go() {
    let mut desk = desk();
    desk.stable(&[client()]);
    let id = Arc::clone(desk.group().members.keys().next().unwrap());
    desk.groups.set_short(true);
    desk.leave(&id);
    desk.stable(&[client(), client()]);
}
