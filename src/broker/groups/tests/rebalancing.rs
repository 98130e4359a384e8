//! Rebalances: how long they wait, for whom, and what comes of them.

use super::*;

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut desk = desk();
    let first = desk.stable(&[client()]).remove(0);
    let second = desk.join(&client());
    assert_eq!(desk.state(), "PreparingRebalance");
    assert!(desk.owed.contains(&second));
    assert_eq!(desk.beat(&first), ErrorCode::REBALANCE_IN_PROGRESS);
    let again = desk.join(&client().with_id(&first.member_id));
    let (leader, follower) = (desk.joined(again), desk.joined(second));
    assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
    assert_eq!(leader.leader, first.member_id);
    assert_eq!(follower.leader, first.member_id);
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    desk.share_out(&[leader, follower]);
    assert_eq!(desk.beat(&first), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn who_does_not_join_within_the_rebalance_timeout_is_out() {
    let mut desk = desk();
    let members = desk.stable(&[
        Client {
            session_ms: 600_000,
            rebalance_ms: 30_000,
            ..client()
        },
        Client {
            session_ms: 600_000,
            ..client()
        },
    ]);
    let third = desk.join(&client());
    desk.wait(i64::from(REBALANCE_MS) - 1);
    assert!(desk.owed.contains(&third), "the most patient member counts");
    desk.wait(1);
    let joined = desk.joined(third);
    assert_eq!(joined.generation_id, 2);
    assert_eq!(joined.leader, joined.member_id, "the leader is gone");
    assert_eq!(desk.beat(&members[0]), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(desk.group().members.len(), 1);
}

#[test]
fn who_is_silent_in_a_rebalance_is_out_by_its_session() {
    let mut desk = desk();
    desk.stable(&[client()]);
    let second = desk.join(&client());
    desk.wait(SESSION_MS.into());
    assert_eq!(desk.joined(second).generation_id, 2);
}

#[test]
fn a_member_that_waits_to_join_is_not_expected_to_speak() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client(), client()]);
    let waiting = desk.join(&client().with_id(&members[0].member_id));
    for _ in 0..5 {
        desk.wait(i64::from(SESSION_MS) - 1);
        for late in &members[1..] {
            assert_eq!(desk.beat(late), ErrorCode::REBALANCE_IN_PROGRESS);
        }
    }
    assert!(desk.owed.contains(&waiting), "it is still in");
    desk.wait(SESSION_MS.into());
    let joined = desk.joined(waiting);
    assert_eq!((joined.error, joined.members.len()), (ErrorCode::NONE, 1));
}

#[test]
fn a_new_member_that_waits_for_five_minutes_is_out_because_its_client_may_be_gone() {
    let mut desk = desk();
    let patient = Client {
        session_ms: 1_800_000,
        rebalance_ms: 1_800_000,
        ..client()
    };
    desk.stable(&[patient]);
    let asked = desk.join(&client());
    desk.wait(299_999);
    assert!(desk.owed.contains(&asked));
    desk.wait(1);
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(&*refused.member_id, "");
    assert_eq!(desk.group().members.len(), 1);
}

#[test]
fn a_new_group_waits_for_more_members_as_long_as_they_come() {
    let mut desk = desk_with(|config| config.group_initial_rebalance_delay_ms = 3000);
    let first = desk.ask(&client());
    desk.wait(2000);
    let second = desk.ask(&client());
    desk.wait(3999);
    assert!(desk.owed.contains(&first), "put off once, from 3 s to 6 s");
    desk.wait(1);
    assert_eq!(desk.joined(first).members.len(), 2);
    assert_eq!(desk.joined(second).generation_id, 1);
}

#[test]
fn a_new_group_does_not_wait_longer_than_its_rebalance_timeout() {
    let mut desk = desk_with(|config| config.group_initial_rebalance_delay_ms = 3000);
    let hasty = Client {
        rebalance_ms: 7000,
        ..client()
    };
    let mut asked = vec![desk.ask(&hasty)];
    for _ in 0..6 {
        desk.wait(1000);
        asked.push(desk.ask(&hasty));
    }
    desk.wait(999);
    assert!(desk.answers.is_empty());
    desk.wait(1);
    assert_eq!(desk.joined(asked[0]).members.len(), 7);
}

#[test]
fn a_new_group_whose_members_all_go_is_journaled_as_empty() {
    let mut desk = desk_with(|config| config.group_initial_rebalance_delay_ms = 3000);
    let asked = desk.ask(&client());
    let id = Arc::clone(desk.group().members.keys().next().unwrap());
    assert_eq!(desk.leave(&id), ErrorCode::NONE);
    assert_eq!(desk.joined(asked).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(desk.state(), "PreparingRebalance");
    desk.wait(3000);
    assert_eq!((desk.state(), desk.group().generation_id), ("Empty", 1));
    assert_eq!(desk.journal.len(), 1);
}

#[test]
fn a_member_that_says_something_else_makes_a_rebalance() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    let same = desk.join(&client().with_id(&members[1].member_id));
    let told = desk.joined(same);
    assert_eq!((told.generation_id, desk.state()), (1, "Stable"));
    assert_eq!(told.leader, members[0].member_id);
    let other = client().knows(&["range", "roundrobin"]);
    let asked = desk.join(&other.with_id(&members[1].member_id));
    assert!(desk.owed.contains(&asked));
    assert_eq!(desk.state(), "PreparingRebalance");
}

#[test]
fn the_order_of_protocols_is_something_to_say() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    let mut turned = client().with_id(&members[1].member_id);
    turned.protocols.reverse();
    desk.join(&turned);
    assert_eq!(desk.state(), "PreparingRebalance");
}

#[test]
fn a_leader_that_joins_a_stable_group_again_makes_a_rebalance() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    desk.join(&client().with_id(&members[0].member_id));
    assert_eq!(desk.state(), "PreparingRebalance");
}

#[test]
fn who_has_lost_the_answer_gets_it_again_before_the_work_is_shared_out() {
    let mut desk = desk();
    let asked = [desk.ask(&client()), desk.ask(&client())];
    desk.wait(0);
    let members = asked.map(|asked| desk.joined(asked));
    for member in &members {
        let again = desk.join(&client().with_id(&member.member_id));
        assert_eq!(desk.joined(again), *member);
    }
    assert_eq!(desk.state(), "CompletingRebalance");
}

#[test]
fn a_change_while_the_work_is_shared_out_begins_anew_and_cancels_those_who_wait() {
    let mut desk = desk();
    let asked = [desk.ask(&client()), desk.ask(&client())];
    desk.wait(0);
    let members = asked.map(|asked| desk.joined(asked));
    let waiting = desk.sync(&members[1], &[]);
    assert!(desk.owed.contains(&waiting));
    desk.join(&client());
    let synced = desk.synced(waiting);
    assert_eq!(synced.error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(desk.state(), "PreparingRebalance");
    let late = desk.sync(&members[0], &[]);
    assert_eq!(desk.synced(late).error, ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_request_that_another_one_of_the_same_member_overtakes_is_answered_all_the_same() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    let first = desk.join(&client().with_id(&members[0].member_id));
    let second = desk.join(&client().with_id(&members[0].member_id));
    assert_eq!(desk.joined(first).error, ErrorCode::REBALANCE_IN_PROGRESS);
    desk.wait(SESSION_MS.into());
    assert_eq!(desk.joined(second).error, ErrorCode::NONE);
}

#[test]
fn an_answer_waits_for_the_newest_record_of_its_group() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    desk.join(&client().with_id(&members[0].member_id));
    assert_eq!(desk.answers.values().next().unwrap().round, 1);
    assert_eq!(desk.groups.round_of(GROUP), 1);
    assert_eq!(desk.groups.newest_round(), 1);
    desk.leave(&members[0].member_id);
    assert_eq!(desk.groups.round_of(GROUP), 2);
    let id: Arc<str> = GROUP.into();
    desk.keep(vec![Record::GroupDeleted { id }]);
    assert_eq!((desk.state(), desk.groups.round_of(GROUP)), ("Dead", 3));
    assert_eq!(desk.groups.newest_round(), 3);
    let asked = desk.join(&client().with_id("me"));
    assert_eq!(desk.answers.remove(&asked).unwrap().round, 3);
}
