//! Static members: they keep their place while they are away, and are replaced when they come back.

use super::*;

/// A stable group of an ordinary member, which leads, and a static one.
fn mixed(desk: &mut Desk) -> (Joined, Joined) {
    let mut members = desk.stable(&[client(), client().instance("one")]);
    let follower = members.remove(1);
    (members.remove(0), follower)
}

fn claim_as<'a>(member: &'a Joined, instance: &'a str) -> Claim<'a> {
    Claim {
        group_instance_id: Some(instance),
        ..claim(member)
    }
}

#[test]
fn a_static_member_is_in_at_once_and_its_id_begins_with_its_instance() {
    let mut desk = desk();
    let joined = desk
        .stable(&[client().instance("one").new_style()])
        .remove(0);
    assert!(joined.member_id.starts_with("one-"));
    let instance = &joined.members[0].group_instance_id;
    assert_eq!(instance.as_deref(), Some("one"));
}

#[test]
fn who_comes_back_to_a_stable_group_takes_its_former_part_without_a_rebalance() {
    let mut desk = desk();
    let (leader, old) = mixed(&mut desk);
    let asked = desk.join(&client().instance("one"));
    let new = desk.joined(asked);
    assert_ne!(new.member_id, old.member_id);
    assert_eq!((new.error, new.generation_id), (ErrorCode::NONE, 1));
    assert_eq!((&new.leader, new.members.len()), (&leader.member_id, 0));
    assert_eq!(desk.state(), "Stable");
    let asked = desk.sync(&new, &[]);
    assert_eq!(*desk.synced(asked).assignment, *old.member_id.as_bytes());
    assert_eq!(desk.beat(&leader), ErrorCode::NONE);
    assert_eq!(desk.journal.len(), 2, "the new id is journaled");
}

#[test]
fn the_former_id_of_a_static_member_is_fenced() {
    let mut desk = desk();
    let (_, old) = mixed(&mut desk);
    desk.join(&client().instance("one"));
    let fenced = ErrorCode::FENCED_INSTANCE_ID;
    let as_one = claim_as(&old, "one");
    assert_eq!(desk.beat_as(as_one), fenced);
    assert_eq!(desk.commit(as_one, 9), Err(fenced));
    let asked = desk.sync_as(as_one, None, None, &[]);
    assert_eq!(desk.synced(asked).error, fenced);
    let asked = desk.join(&client().instance("one").with_id(&old.member_id));
    let refused = desk.joined(asked);
    assert_eq!(
        (refused.error, &refused.member_id),
        (fenced, &old.member_id)
    );
    assert_eq!(refused.protocol_name, None);
    let left = desk.leave_all(&[leaver(&old.member_id, Some("one"))]);
    assert_eq!(left, [fenced]);
    assert_eq!(desk.beat(&old), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_leader_that_comes_back_is_told_to_skip_the_assignment_if_it_knows_how() {
    let mut desk = desk();
    let old = desk.stable(&[client().instance("one"), client()]).remove(0);
    let asked = desk.join(&client().instance("one").new_style());
    let new = desk.joined(asked);
    assert!(new.skip_assignment);
    assert_eq!(new.leader, new.member_id);
    assert_eq!(new.members.len(), 2);
    assert_eq!(desk.group().leader.as_ref(), Some(&new.member_id));
    let asked = desk.join(&client().instance("one"));
    let newer = desk.joined(asked);
    assert!(!newer.skip_assignment);
    assert_eq!(newer.leader, new.member_id, "it is not told that it leads");
    assert!(newer.members.is_empty());
    assert_eq!(desk.group().leader.as_ref(), Some(&newer.member_id));
    assert_ne!(old.member_id, newer.member_id);
}

#[test]
fn who_comes_back_with_another_protocol_makes_a_rebalance_if_that_changes_the_vote() {
    let mut desk = desk();
    let known = client().knows(&["a", "b"]);
    let instance = |of: &Client, name| of.clone().instance(name);
    desk.stable(&[instance(&known, "one"), instance(&known, "two")]);
    let asked = desk.join(&instance(&known, "one").knows(&["a", "b", "c"]));
    assert_eq!(desk.joined(asked).error, ErrorCode::NONE);
    assert_eq!(desk.state(), "Stable");
    let asked = desk.join(&instance(&known, "one").knows(&["b"]));
    assert!(desk.owed.contains(&asked));
    assert_eq!(desk.state(), "PreparingRebalance");
}

#[test]
fn who_comes_back_while_the_work_is_shared_out_makes_a_rebalance() {
    let mut desk = desk();
    let asked = [desk.ask(&client()), desk.ask(&client().instance("one"))];
    desk.wait(0);
    let members = asked.map(|asked| desk.joined(asked));
    let waiting = desk.sync_as(claim_as(&members[1], "one"), None, None, &[]);
    desk.join(&client().instance("one"));
    assert_eq!(desk.synced(waiting).error, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(desk.state(), "PreparingRebalance");
}

#[test]
fn who_comes_back_twice_while_it_waits_to_join_is_there_once() {
    let mut desk = desk();
    let (leader, _) = mixed(&mut desk);
    desk.join(&client());
    let first = desk.join(&client().instance("one"));
    let second = desk.join(&client().instance("one"));
    let fenced = desk.joined(first);
    assert_eq!(fenced.error, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(fenced.protocol_name, None);
    let again = desk.join(&client().with_id(&leader.member_id));
    assert_eq!(desk.joined(second).error, ErrorCode::NONE);
    assert_eq!(desk.joined(again).members.len(), 3);
}

#[test]
fn a_static_member_that_is_away_stays_in_the_next_generation_until_its_session_ends() {
    let mut desk = desk();
    let away = Client {
        session_ms: 600_000,
        ..client().instance("one")
    };
    let members = desk.stable(&[client(), away]);
    let waiting = desk.join(&client().with_id(&members[0].member_id));
    desk.wait(REBALANCE_MS.into());
    let joined = desk.joined(waiting);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    desk.sync(&joined, &[]);
    assert_eq!(desk.state(), "Stable");
    for _ in 0..5 {
        desk.wait(9_000);
        assert_eq!(desk.beat(&joined), ErrorCode::NONE);
    }
    desk.wait(9_000);
    desk.beat(&joined);
    desk.wait(6_000);
    assert_eq!(desk.beat(&joined), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(
        desk.group().members.len(),
        1,
        "it has not asked for its part"
    );
}

#[test]
fn a_leader_that_is_away_is_replaced_as_leader() {
    let mut desk = desk();
    let away = Client {
        session_ms: 600_000,
        ..client().instance("one")
    };
    let members = desk.stable(&[away, client()]);
    let other = client().knows(&["range"]).with_id(&members[1].member_id);
    let waiting = desk.join(&other);
    desk.wait(REBALANCE_MS.into());
    let joined = desk.joined(waiting);
    assert_eq!(joined.leader, members[1].member_id);
    assert_eq!(joined.members.len(), 2);
}

#[test]
fn if_only_static_members_are_missed_the_rebalance_waits_for_their_sessions() {
    let mut desk = desk();
    let away = Client {
        session_ms: 600_000,
        ..client().instance("one")
    };
    let members = desk.stable(&[client(), away]);
    desk.leave(&members[0].member_id);
    desk.wait(599_999);
    assert_eq!(desk.state(), "PreparingRebalance");
    desk.wait(1);
    assert_eq!(desk.state(), "Empty");
}

#[test]
fn a_rebalance_without_any_patience_does_not_spin() {
    let mut desk = desk();
    let hasty = Client {
        rebalance_ms: 1,
        ..client()
    };
    let members = desk.stable(&[hasty.clone(), hasty.instance("one")]);
    let hastier = Client {
        rebalance_ms: 0,
        ..client().instance("one")
    };
    desk.join(&hastier);
    desk.leave(&members[0].member_id);
    desk.wait(SESSION_MS.into());
    assert_eq!(desk.state(), "Empty");
}

#[test]
fn an_operator_removes_a_static_member_by_its_instance() {
    let mut desk = desk();
    mixed(&mut desk);
    let leavers = [leaver("", Some("one")), leaver("", Some("two"))];
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(desk.leave_all(&leavers), [ErrorCode::NONE, unknown]);
    assert_eq!(desk.state(), "PreparingRebalance");
    assert_eq!(desk.group().members.len(), 1);
}

#[test]
fn a_member_that_claims_an_instance_which_nobody_has_is_unknown() {
    let mut desk = desk();
    let (leader, _) = mixed(&mut desk);
    let wrong = claim_as(&leader, "two");
    assert_eq!(desk.beat_as(wrong), ErrorCode::UNKNOWN_MEMBER_ID);
    let wrong = claim_as(&leader, "one");
    assert_eq!(desk.beat_as(wrong), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn who_comes_back_too_large_to_be_kept_is_refused_and_the_former_one_stays() {
    let mut desk = desk();
    let members = desk.stable(&[client().instance("one"), client()]);
    let mut fat = client().instance("one").new_style();
    fat.protocols[0].1 = vec![0; 2 << 20];
    let asked = desk.join(&fat);
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!((&*refused.member_id, refused.generation_id), ("", 1));
    assert_eq!(refused.leader, members[0].member_id);
    assert_eq!((desk.state(), desk.journal.len()), ("Stable", 1));
    assert_eq!(desk.beat_as(claim_as(&members[0], "one")), ErrorCode::NONE);
    let kept = desk.member(&members[0].member_id);
    assert_eq!(kept.metadata("range"), [0, 1]);
}
