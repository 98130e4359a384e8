//! Who may join, and what it is told.

use super::*;

#[test]
fn a_member_of_an_old_version_is_in_at_once_and_leads_the_first_generation() {
    let mut desk = desk();
    let asked = desk.join(&client());
    let joined = desk.joined(asked);
    assert_eq!(joined.error, ErrorCode::NONE);
    assert_eq!(joined.generation_id, 1);
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(
        *joined.member_id,
        *"client-00000000-0000-0000-0000-000000000001"
    );
    assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(*joined.members[0].metadata, [0, 1]);
    assert!(!joined.skip_assignment);
    assert_eq!(desk.state(), "CompletingRebalance");
    assert!(desk.journal.is_empty(), "nothing is settled yet");
}

#[test]
fn a_member_of_a_new_version_is_told_its_id_and_comes_again_with_it() {
    let mut desk = desk();
    let asked = desk.join(&client().new_style());
    let told = desk.joined(asked);
    assert_eq!(told.error, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!((told.generation_id, &*told.leader), (-1, ""));
    assert_eq!(told.protocol_name, None);
    assert_eq!(desk.state(), "Empty");
    let asked = desk.join(&client().new_style().with_id(&told.member_id));
    let joined = desk.joined(asked);
    assert_eq!(joined.member_id, told.member_id);
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::NONE, 1));
    desk.share_out(&[joined]);
}

#[test]
fn an_id_that_nobody_comes_back_with_is_forgotten_and_its_empty_group_too() {
    let mut desk = desk();
    let asked = desk.join(&client().new_style());
    let told = desk.joined(asked);
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.state(), "Empty");
    desk.wait(1);
    assert_eq!(desk.state(), "Dead");
    let late = client().new_style().with_id(&told.member_id);
    assert_eq!(desk.join_error(&late), ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(desk.journal.is_empty(), "nothing was ever written of it");
}

#[test]
fn a_pending_id_keeps_others_from_beginning_without_it_until_it_expires() {
    let mut desk = desk();
    let first = desk.stable(&[client()]);
    let asked = desk.join(&client().new_style());
    assert_eq!(desk.joined(asked).error, ErrorCode::MEMBER_ID_REQUIRED);
    let leader = desk.join(&client().with_id(&first[0].member_id));
    assert!(desk.owed.contains(&leader), "the pending member may come");
    desk.wait(SESSION_MS.into());
    assert_eq!(desk.joined(leader).generation_id, 2);
}

#[test]
fn a_static_member_cannot_come_back_with_a_pending_id() {
    let mut desk = desk();
    let asked = desk.join(&client().new_style());
    let told = desk.joined(asked);
    let claims = client().instance("one").with_id(&told.member_id);
    let asked = desk.join(&claims);
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::UNKNOWN_SERVER_ERROR);
    assert_eq!(&*refused.member_id, "");
}

#[test]
fn an_empty_group_id_is_illegal() {
    let mut desk = desk();
    let nameless = Client {
        group: "",
        ..client().with_id("me")
    };
    let asked = desk.join(&nameless);
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::INVALID_GROUP_ID);
    assert_eq!(&*refused.member_id, "me");
}

#[test]
fn a_session_timeout_outside_the_range_is_refused() {
    let mut desk = desk();
    for session_ms in [5_999, 1_800_001, -1] {
        let client = Client {
            session_ms,
            ..client()
        };
        assert_eq!(desk.join_error(&client), ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    for session_ms in [6_000, 1_800_000] {
        let client = Client {
            session_ms,
            ..client().new_style()
        };
        assert_eq!(desk.join_error(&client), ErrorCode::MEMBER_ID_REQUIRED);
    }
}

#[test]
fn an_id_that_the_group_does_not_know_is_refused() {
    let mut desk = desk();
    let stranger = client().with_id("stranger");
    let asked = desk.join(&stranger);
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(refused.protocol_name, None);
    assert_eq!(desk.state(), "Dead", "a group is not made by it");
    desk.stable(&[client()]);
    let asked = desk.join(&stranger);
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(refused.protocol_name, None);
    assert_eq!(&*refused.member_id, "stranger");
}

#[test]
fn a_member_without_a_type_or_protocols_is_refused_and_leaves_no_group_behind() {
    let mut desk = desk();
    let typeless = Client {
        protocol_type: "",
        ..client()
    };
    for useless in [typeless, client().knows(&[])] {
        let error = desk.join_error(&useless);
        assert_eq!(error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        assert_eq!(desk.state(), "Dead");
    }
}

#[test]
fn a_member_of_another_type_or_without_a_common_protocol_is_refused() {
    let mut desk = desk();
    desk.stable(&[client().knows(&["a", "b"]), client().knows(&["b", "c"])]);
    for (protocol_type, protocols) in [("connect", ["b", "x"]), ("consumer", ["a", "c"])] {
        let other = Client {
            protocol_type,
            ..client().knows(&protocols)
        };
        let error = desk.join_error(&other);
        assert_eq!(error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    assert_eq!(desk.state(), "Stable", "nobody is disturbed by it");
}

#[test]
fn the_protocol_that_all_know_and_most_prefer_is_chosen() {
    let mut desk = desk();
    let clients = [
        client().knows(&["lonely", "a", "b"]),
        client().knows(&["b", "a"]),
        client().knows(&["b", "a"]),
    ];
    let joined = desk.stable(&clients);
    assert_eq!(joined[0].protocol_name.as_deref(), Some("b"));
    let metadata: Vec<_> = joined[0].members.iter().map(|m| &*m.metadata).collect();
    assert_eq!(metadata, [b"b", b"b", b"b"]);
}

#[test]
fn groups_of_other_types_work_alike_and_their_bytes_are_kept() {
    let mut desk = desk();
    let worker = Client {
        protocol_type: "connect",
        protocols: vec![("sessioned", vec![255, 0, 7])],
        ..client()
    };
    let joined = desk.stable(&[worker]);
    assert_eq!(joined[0].protocol_type.as_deref(), Some("connect"));
    assert_eq!(*joined[0].members[0].metadata, [255, 0, 7]);
    let kept = desk.member(&joined[0].member_id);
    assert_eq!(kept.metadata("sessioned"), [255, 0, 7]);
    assert_eq!(kept.metadata("other"), [0; 0]);
}

#[test]
fn an_empty_group_may_become_one_of_another_type() {
    let mut desk = desk();
    let joined = desk.stable(&[client()]);
    desk.leave(&joined[0].member_id);
    assert_eq!(desk.state(), "Empty");
    let worker = Client {
        protocol_type: "connect",
        ..client()
    };
    desk.stable(&[worker]);
    assert_eq!(desk.group().protocol_type.as_deref(), Some("connect"));
}

#[test]
fn a_full_group_takes_nobody_else() {
    let mut desk = desk_with(|config| config.group_max_size = 2);
    let joined = desk.stable(&[client(), client()]);
    let asked = desk.join(&client());
    let refused = desk.joined(asked);
    assert_eq!(refused.error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(&*refused.member_id, "");
    let asked = desk.join(&client().with_id(&joined[1].member_id));
    let still_in = desk.joined(asked);
    assert_eq!(still_in.error, ErrorCode::NONE);
}

#[test]
fn of_a_group_that_is_too_large_those_who_join_again_last_are_out() {
    let mut desk = desk();
    let joined = desk.stable(&[client(), client()]);
    let mut smaller = BrokerConfig::default();
    smaller.group_max_size = 1;
    desk.config = Arc::new(smaller);
    desk.restart();
    assert_eq!(desk.state(), "PreparingRebalance");
    let first = desk.join(&client().with_id(&joined[1].member_id));
    let again = desk.join(&client().with_id(&joined[1].member_id));
    assert_eq!(desk.joined(first).error, ErrorCode::REBALANCE_IN_PROGRESS);
    let late = client().with_id(&joined[0].member_id);
    assert_eq!(desk.join_error(&late), ErrorCode::GROUP_MAX_SIZE_REACHED);
    desk.wait(REBALANCE_MS.into());
    assert_eq!(desk.joined(again).generation_id, 2);
    assert_eq!(desk.group().members.len(), 1);
}

#[test]
fn a_client_name_of_any_length_makes_an_id_that_can_be_written() {
    let mut desk = desk();
    let record = {
        let ticket = desk.ticket(ApiKey::JoinGroup);
        let name = format!("x{}", "ü".repeat(16_383));
        let join = Join {
            group_id: GROUP,
            member_id: "",
            group_instance_id: None,
            client_id: &name,
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer",
            protocols: vec![("range", &[])],
            requires_known_member_id: true,
            supports_skipping_assignment: true,
            reason: Some("x"),
            fresh_id: Uuid([0xab; 16]),
        };
        desk.groups.join(join, ticket, desk.now)
    };
    desk.keep(record);
    let id = desk.joined(1).member_id;
    assert_eq!(id.len(), 32_766, "one byte less than fits, for ü has two");
    assert!(id.ends_with("ü-abababab-abab-abab-abab-abababababab"));
}

#[test]
fn as_many_protocols_as_fit_are_weighed_in_one_look_at_each() {
    let mut desk = desk();
    let names: Vec<String> = (0..50_000).map(|n| format!("p{n:05}")).collect();
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let mut other = names.clone();
    other.rotate_left(49_999);
    let joined = desk.stable(&[client().knows(&names), client().knows(&other[..1])]);
    assert_eq!(joined[0].protocol_name.as_deref(), Some("p49999"));
    let stranger = client().knows(&names[..49_999]);
    let error = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(desk.join_error(&stranger), error);
}

#[test]
fn a_protocol_that_is_named_twice_counts_once() {
    let mut desk = desk();
    let twice = client().knows(&["a", "a", "b"]);
    let joined = desk.stable(&[twice.clone(), client().knows(&["b"])]);
    assert_eq!(joined[0].protocol_name.as_deref(), Some("b"));
    let only_a = client().knows(&["a"]);
    let error = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(desk.join_error(&only_a), error, "one of two knows it");
    desk.leave(&joined[1].member_id);
    let again = desk.join(&twice.with_id(&joined[0].member_id));
    assert_eq!(desk.joined(again).protocol_name.as_deref(), Some("a"));
}
