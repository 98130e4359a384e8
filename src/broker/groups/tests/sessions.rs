//! Heartbeats, commits and silence.

use super::*;

#[test]
fn a_member_that_is_silent_for_its_session_is_out_and_the_others_rebalance() {
    let mut desk = desk();
    let members = desk.stable(&[client(), client()]);
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.beat(&members[0]), ErrorCode::NONE);
    assert_eq!(desk.state(), "Stable");
    desk.wait(1);
    assert_eq!(desk.state(), "PreparingRebalance");
    assert_eq!(desk.beat(&members[1]), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(desk.beat(&members[0]), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn when_the_last_member_is_silent_the_group_is_empty_and_journaled_so() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    desk.wait(SESSION_MS.into());
    assert_eq!((desk.state(), desk.group().generation_id), ("Empty", 2));
    assert_eq!(desk.group().protocol_type.as_deref(), Some("consumer"));
    assert_eq!(desk.group().protocol_name, None);
    assert_eq!(desk.group().since_ms, desk.now.wall_ms);
    assert_eq!(desk.journal.len(), 2);
    assert_eq!(desk.groups.next_deadline(), None, "nothing to wait for");
    assert_eq!(desk.beat(&members[0]), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_heartbeat_only_moves_its_own_deadline() {
    let mut desk = desk();
    let members = desk.stable(&[client()]);
    let at = desk.groups.next_deadline();
    desk.move_to(desk.now.mono.plus_ms(5000));
    desk.beat(&members[0]);
    assert_eq!(desk.groups.next_deadline(), at, "the timer stays");
    desk.wait(5000);
    assert_eq!(desk.state(), "Stable", "it looked, and nothing was due");
    assert!(desk.groups.next_deadline() > at);
}

#[test]
fn wrong_heartbeats_are_refused() {
    let mut desk = desk();
    let member = desk.stable(&[client()]).remove(0);
    let right = claim(&member);
    for (wrong, error) in [
        (
            Claim {
                group_id: "",
                ..right
            },
            ErrorCode::INVALID_GROUP_ID,
        ),
        (
            Claim {
                group_id: "other",
                ..right
            },
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
        (
            Claim {
                member_id: "",
                ..right
            },
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
        (
            Claim {
                generation_id: 0,
                ..right
            },
            ErrorCode::ILLEGAL_GENERATION,
        ),
        (
            Claim {
                generation_id: 2,
                ..right
            },
            ErrorCode::ILLEGAL_GENERATION,
        ),
        (
            Claim {
                group_instance_id: Some("one"),
                ..right
            },
            ErrorCode::UNKNOWN_MEMBER_ID,
        ),
    ] {
        assert_eq!(desk.beat_as(wrong), error, "{wrong:?}");
    }
    assert_eq!(desk.beat_as(right), ErrorCode::NONE);
}

#[test]
fn a_heartbeat_counts_while_the_work_is_shared_out() {
    let mut desk = desk();
    let asked = desk.join(&client());
    let member = desk.joined(asked);
    assert_eq!(desk.beat(&member), ErrorCode::NONE);
}

#[test]
fn consumers_outside_of_groups_commit_while_there_are_no_members() {
    let mut desk = desk();
    let outside = Claim {
        group_id: GROUP,
        generation_id: -1,
        member_id: "",
        group_instance_id: None,
    };
    assert_eq!(desk.commit(outside, 2), Ok(()));
    assert_eq!(desk.state(), "Dead", "checking makes no group");
    let members = desk.stable(&[client()]);
    assert_eq!(desk.commit(outside, 2), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    desk.leave(&members[0].member_id);
    assert_eq!(desk.commit(outside, 2), Ok(()));
}

#[test]
fn a_commit_of_a_generation_to_a_group_that_does_not_exist_is_refused() {
    let mut desk = desk();
    let claim = Claim {
        group_id: GROUP,
        generation_id: 0,
        member_id: "",
        group_instance_id: None,
    };
    assert_eq!(desk.commit(claim, 8), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(desk.commit(claim, 9), Err(ErrorCode::GROUP_ID_NOT_FOUND));
}

#[test]
fn a_member_commits_in_its_generation_only_and_lives_on_by_it() {
    let mut desk = desk();
    let member = desk.stable(&[client()]).remove(0);
    let right = claim(&member);
    let old = Claim {
        generation_id: 0,
        ..right
    };
    let none = Claim {
        generation_id: -1,
        ..right
    };
    let stranger = Claim {
        member_id: "stranger",
        ..right
    };
    assert_eq!(desk.commit(old, 9), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(desk.commit(none, 9), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(desk.commit(stranger, 9), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.commit(right, 9), Ok(()));
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.beat(&member), ErrorCode::NONE);
}

#[test]
fn a_member_may_still_commit_while_the_next_rebalance_is_prepared() {
    let mut desk = desk();
    let member = desk.stable(&[client()]).remove(0);
    desk.join(&client());
    assert_eq!(desk.state(), "PreparingRebalance");
    assert_eq!(desk.commit(claim(&member), 9), Ok(()));
}

#[test]
fn nobody_commits_while_the_work_is_shared_out() {
    let mut desk = desk();
    let asked = desk.join(&client());
    let member = desk.joined(asked);
    let error = desk.commit(claim(&member), 9);
    assert_eq!(error, Err(ErrorCode::REBALANCE_IN_PROGRESS));
}

#[test]
fn a_member_whose_answer_found_nobody_is_out_by_its_session() {
    let mut desk = desk();
    let lost = desk.stable(&[client()]).remove(0);
    let asked = desk.join(&client());
    let again = desk.join(&client().with_id(&lost.member_id));
    // The connection of the first member is gone: nobody takes this answer.
    desk.joined(again);
    let other = desk.joined(asked);
    assert_eq!(desk.state(), "CompletingRebalance");
    let waiting = desk.sync(&other, &[]);
    desk.wait(SESSION_MS.into());
    assert_eq!(desk.synced(waiting).error, ErrorCode::REBALANCE_IN_PROGRESS);
    let again = desk.join(&client().with_id(&other.member_id));
    let alone = desk.joined(again);
    assert_eq!((alone.generation_id, alone.members.len()), (3, 1));
}
