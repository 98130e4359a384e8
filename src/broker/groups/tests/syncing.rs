//! Sharing out the work.

use super::*;
use crate::broker::groups::subscription::TopicNames;

/// Two members of a generation whose work is not shared out; the first one leads.
fn pair(desk: &mut Desk) -> [Joined; 2] {
    let asked = [desk.ask(&client()), desk.ask(&client())];
    desk.wait(0);
    asked.map(|asked| desk.joined(asked))
}

#[test]
fn a_follower_waits_for_its_part_until_the_leader_has_spoken() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    let parts: [(&str, &[u8]); 2] = [(&leader.member_id, b"one"), (&follower.member_id, b"two")];
    let waiting = desk.sync(&follower, &[]);
    assert!(desk.owed.contains(&waiting));
    let spoken = desk.sync(&leader, &parts);
    let (led, followed) = (desk.synced(spoken), desk.synced(waiting));
    assert_eq!(
        (&*led.assignment, &*followed.assignment),
        (&b"one"[..], &b"two"[..])
    );
    assert_eq!(led.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(led.protocol_name.as_deref(), Some("range"));
    assert_eq!(desk.state(), "Stable");
    assert_eq!(desk.journal.len(), 1, "one record for the generation");
}

#[test]
fn a_late_follower_gets_its_part_at_once() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    desk.sync(&leader, &[(&follower.member_id, b"two")]);
    assert_eq!(desk.state(), "Stable");
    let late = desk.sync(&follower, &[]);
    assert_eq!(*desk.synced(late).assignment, *b"two");
}

#[test]
fn who_is_left_out_by_the_leader_gets_nothing_and_strangers_are_ignored() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    let waiting = desk.sync(&follower, &[]);
    desk.sync(
        &leader,
        &[
            ("stranger", b"x"),
            (&leader.member_id, b"1"),
            (&leader.member_id, b"2"),
        ],
    );
    let synced = desk.synced(waiting);
    assert_eq!(
        (synced.error, synced.assignment.len()),
        (ErrorCode::NONE, 0)
    );
    assert_eq!(desk.group().members.len(), 2);
    let kept = &desk.member(&leader.member_id).assignment;
    assert_eq!(**kept, *b"2", "the last word counts");
}

#[test]
fn what_a_follower_thinks_of_the_assignments_does_not_count() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    desk.sync(&follower, &[(&follower.member_id, b"all")]);
    assert_eq!(desk.state(), "CompletingRebalance");
    desk.sync(&leader, &[]);
    let kept = &desk.member(&follower.member_id).assignment;
    assert!(kept.is_empty());
}

#[test]
fn wrong_claims_are_refused_in_kafkas_order() {
    let mut desk = desk();
    let [leader, _] = pair(&mut desk);
    let mut error = |claim, protocol_type, name| {
        let asked = desk.sync_as(claim, protocol_type, name, &[]);
        desk.synced(asked).error
    };
    let right = claim(&leader);
    let nameless = Claim {
        group_id: "",
        ..right
    };
    let elsewhere = Claim {
        group_id: "other",
        ..right
    };
    let stranger = Claim {
        member_id: "stranger",
        generation_id: 7,
        ..right
    };
    let old = Claim {
        generation_id: 0,
        ..right
    };
    assert_eq!(error(nameless, None, None), ErrorCode::INVALID_GROUP_ID);
    assert_eq!(error(elsewhere, None, None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(error(stranger, None, None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(error(old, Some("x"), None), ErrorCode::ILLEGAL_GENERATION);
    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(error(right, Some("connect"), Some("range")), inconsistent);
    assert_eq!(error(right, Some("consumer"), Some("sticky")), inconsistent);
    let right = error(right, Some("consumer"), Some("range"));
    assert_eq!(right, ErrorCode::NONE);
}

#[test]
fn who_does_not_ask_for_its_part_in_time_is_out() {
    let mut desk = desk();
    let slow = Client {
        session_ms: 600_000,
        ..client()
    };
    let asked = [desk.ask(&slow), desk.ask(&slow)];
    desk.wait(0);
    let [leader, follower] = asked.map(|asked| desk.joined(asked));
    desk.sync(&leader, &[]);
    desk.wait(i64::from(REBALANCE_MS) - 1);
    assert_eq!(desk.state(), "Stable");
    desk.wait(1);
    assert_eq!(desk.state(), "PreparingRebalance");
    assert_eq!(desk.beat(&follower), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(desk.beat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_leader_that_does_not_share_out_the_work_loses_its_place() {
    let mut desk = desk();
    let slow = Client {
        session_ms: 600_000,
        ..client()
    };
    let asked = [desk.ask(&slow), desk.ask(&slow)];
    desk.wait(0);
    let [leader, follower] = asked.map(|asked| desk.joined(asked));
    let waiting = desk.sync(&follower, &[]);
    desk.wait(REBALANCE_MS.into());
    assert_eq!(desk.synced(waiting).error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(desk.beat(&leader), ErrorCode::UNKNOWN_MEMBER_ID);
    let again = desk.join(&slow.with_id(&follower.member_id));
    let joined = desk.joined(again);
    assert_eq!(
        (joined.generation_id, &joined.leader),
        (2, &follower.member_id)
    );
}

#[test]
fn a_member_that_waits_for_its_part_is_not_expected_to_speak() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    let waiting = desk.sync(&follower, &[]);
    for _ in 0..4 {
        desk.wait(i64::from(SESSION_MS) - 1);
        assert_eq!(desk.beat(&leader), ErrorCode::NONE);
    }
    desk.sync(&leader, &[]);
    assert_eq!(desk.synced(waiting).error, ErrorCode::NONE);
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.beat(&follower), ErrorCode::NONE, "its session is new");
}

#[test]
fn assignments_that_are_too_large_are_refused_and_the_group_begins_anew() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    let waiting = desk.sync(&follower, &[]);
    let large = vec![0; 10 << 20];
    let spoken = desk.sync(&leader, &[(&leader.member_id, &large)]);
    assert_eq!(desk.synced(spoken).error, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(desk.synced(waiting).error, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(desk.state(), "PreparingRebalance");
    assert!(desk.journal.is_empty());
    let again = [&leader, &follower].map(|m| desk.join(&client().with_id(&m.member_id)));
    let joined = again.map(|asked| desk.joined(asked));
    desk.share_out(&joined);
}

#[test]
fn metadata_that_is_too_large_is_found_when_it_is_to_be_kept() {
    let mut desk = desk();
    let fat = Client {
        protocols: vec![("range", vec![0; 10 << 20])],
        ..client()
    };
    let asked = desk.join(&fat);
    let joined = desk.joined(asked);
    assert_eq!(joined.error, ErrorCode::NONE);
    let asked = desk.sync(&joined, &[]);
    assert_eq!(desk.synced(asked).error, ErrorCode::UNKNOWN_SERVER_ERROR);
}

#[test]
fn a_second_request_of_the_same_member_takes_the_place_of_the_first() {
    let mut desk = desk();
    let [leader, follower] = pair(&mut desk);
    let first = desk.sync(&follower, &[]);
    let second = desk.sync(&follower, &[]);
    assert_eq!(desk.synced(first).error, ErrorCode::REBALANCE_IN_PROGRESS);
    desk.sync(&leader, &[]);
    assert_eq!(desk.synced(second).error, ErrorCode::NONE);
}

#[test]
fn the_topics_of_consumers_are_known_from_what_they_say() {
    let mut desk = desk();
    desk.stable(&[reader(&["b", "aa"]), reader(&["", "c", "b"])]);
    let topics = desk.group().subscribed_topics().unwrap();
    assert_eq!(topics.iter().collect::<Vec<_>>(), ["", "aa", "b", "c"]);
    assert!(desk.group().is_subscribed_to("c") && !desk.group().is_subscribed_to("a"));
}

#[test]
fn the_topics_are_those_of_the_last_generation_until_the_next_one_begins() {
    let mut desk = desk();
    let members = desk.stable(&[reader(&["t"]), reader(&["u"])]);
    let changed = reader(&["u"]).with_id(&members[0].member_id);
    desk.join(&changed);
    assert_eq!(desk.state(), "PreparingRebalance");
    assert!(desk.group().is_subscribed_to("t"), "the other still reads");
    desk.join(&reader(&["u"]).with_id(&members[1].member_id));
    assert_eq!(desk.state(), "CompletingRebalance");
    assert!(!desk.group().is_subscribed_to("t"));
}

#[test]
fn an_empty_group_reads_nothing_until_its_next_generation_has_begun() {
    let mut desk = desk_with(|config| config.group_initial_rebalance_delay_ms = 1000);
    desk.ask(&reader(&["t"]));
    assert!(desk.group().is_subscribed_to("t"), "it may, who knows");
    desk.wait(1000);
    let id = Arc::clone(desk.group().members.keys().next().unwrap());
    desk.leave(&id);
    desk.ask(&reader(&["t"]));
    assert_eq!(desk.state(), "PreparingRebalance");
    assert!(!desk.group().is_subscribed_to("t"));
    desk.wait(1000);
    assert!(desk.group().is_subscribed_to("t"));
}

/// A consumer that subscribes to these topics.
fn reader(topics: &[&str]) -> Client {
    let mut bytes = vec![0, 1, 0, 0, 0, u8::try_from(topics.len()).unwrap()];
    for topic in topics {
        bytes.extend([0, u8::try_from(topic.len()).unwrap()]);
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([255, 255, 255, 255]);
    bytes.extend(b"what later versions add");
    Client {
        protocols: vec![("range", bytes)],
        ..client()
    }
}

#[test]
fn garbage_in_the_metadata_means_that_the_topics_are_unknown() {
    for garbage in [
        &b""[..],
        b"\0",
        b"\0\0\xff\xff\xff\xff",
        b"\0\0\x7f\xff\xff\xff",
        b"\0\0\0\0\0\x01\0\x09a",
        b"\0\0\0\0\0\0\0\0\0\x05a",
        b"\xff\xff\0\0\0\0\xff\xff\xff\xff",
    ] {
        let mut desk = desk();
        let odd = Client {
            protocols: vec![("range", garbage.to_vec())],
            ..client()
        };
        desk.stable(&[odd]);
        assert_eq!(desk.group().subscribed_topics(), None);
        assert!(desk.group().is_subscribed_to("anything"));
    }
}

#[test]
fn of_groups_that_are_no_consumers_no_topics_are_known() {
    let mut desk = desk();
    let worker = Client {
        protocol_type: "connect",
        ..client()
    };
    let members = desk.stable(&[worker]);
    assert_eq!(desk.group().subscribed_topics(), None);
    assert!(!desk.group().is_subscribed_to("anything"));
    desk.leave(&members[0].member_id);
    let members = desk.stable(&[client()]);
    desk.leave(&members[0].member_id);
    assert_eq!(
        desk.group().subscribed_topics(),
        Some(&TopicNames::default())
    );
}
